"""A person without a browser, and apps that people sign in to, for implementations that are not ours."""

from __future__ import annotations

import html
import json
import re
from typing import Any
from urllib.parse import parse_qs, urljoin, urlsplit

import requests

from tests.foreign.conftest import TlsServer
from tests.foreign.loopback import session_on_loopback

PASSWORD = "correct horse battery"
CALLBACK = "https://app.lighthouse.example/callback"
GOODBYE = "https://app.lighthouse.example/bye"
SCOPE = "openid profile email offline_access"
DOCUMENT = {
    "grant_types": ["authorization_code", "refresh_token"],
    "redirect_uris": [CALLBACK],
    "post_logout_redirect_uris": [GOODBYE],
    "scope": SCOPE,
    "token_endpoint_auth_method": "private_key_jwt",
    "token_endpoint_auth_signing_alg": "ES256",
    "request_object_signing_alg": "ES256",
    "id_token_signed_response_alg": "ES256",
}

# A member of the partner's organization, and apps of it by name. May run more than once on one server.
SET_UP = """
import json, sys
from allauth.account.models import EmailAddress
from django.utils import timezone
from registry.actors import COMMAND_LINE as actor
from registry.lifecycle import register_client
from registry.models import Membership, Organization, User
given, made = json.load(sys.stdin), {}
organization = Organization.objects.get(is_operator=False)
user = User.objects.filter(email=given["email"]).first()
if user is None:
    user = User.objects.create_user(given["email"], given["password"], name=given["name"])
    EmailAddress.objects.create(user=user, email=user.email, verified=True, primary=True)
    Membership.objects.create(organization=organization, user=user, role="developer")
for name, document in given["documents"].items():
    made[name] = register_client(actor, organization, document, now=timezone.now()).client_id
print(json.dumps({"clients": made, "sub": str(user.sub), "org_id": str(organization.org_id)}))
"""


def set_up_apps(server: TlsServer, documents: dict[str, Any], *, email: str, name: str) -> dict[str, Any]:
    """Register apps that a person can sign in to; return their identifiers by name, the person's sub and the org_id."""
    given = {"email": email, "password": PASSWORD, "name": name, "documents": documents}
    return dict(json.loads(server.manage("shell", "--verbosity", "0", "--command", SET_UP, stdin=json.dumps(given))))


class ErrorPage(AssertionError):
    """The server shows a person what is wrong."""

    def __init__(self, page: requests.Response) -> None:
        self.page = page
        super().__init__(page.text)


class Person:
    """Follows redirects inside the server, signs in and allows, until the server sends them to the app."""

    def __init__(self, server: TlsServer, email: str) -> None:
        self.issuer, self.email, self.asked = server.issuer, email, [""]
        self.session = session_on_loopback(server.ca_file)

    def go(self, address: str) -> str:
        """Open `address` and do what the pages ask; return the address outside the server where it ended. Raises ErrorPage."""
        return self.go_on(self.session.get(address, allow_redirects=False, timeout=30))

    def go_on(self, answer: requests.Response) -> str:
        """Do what an answer asks, as `go` does."""
        self.asked = []
        for _ in range(12):
            if "Location" in answer.headers:
                target = urljoin(answer.url, answer.headers["Location"])
                if not target.startswith(f"{self.issuer}/"):
                    return target
                answer = self.session.get(target, allow_redirects=False, timeout=30)
            else:
                answer = self._answer_page(answer)
        raise AssertionError(f"The pages led nowhere: {self.asked}")

    def _answer_page(self, page: requests.Response) -> requests.Response:
        if page.status_code != 200:
            raise ErrorPage(page)
        address, path = page.url, urlsplit(page.url).path
        self.asked.append(path)
        if path == "/accounts/login/":
            fields = {"login": self.email, "password": PASSWORD}
        elif path == "/accounts/reauthenticate/":
            fields = {"password": PASSWORD}
        elif path.startswith("/oauth/interaction/"):
            fields = {"answer": "allow"}
        else:
            raise AssertionError(f"An unexpected page: {address}")
        if following := parse_qs(urlsplit(address).query).get("next"):
            fields["next"] = following[0]
        fields["csrfmiddlewaretoken"] = html.unescape(re.findall(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)[-1])
        # Where there is TLS, Django compares the page that a form was on.
        return self.session.post(address, data=fields, headers={"Referer": address}, allow_redirects=False, timeout=30)
