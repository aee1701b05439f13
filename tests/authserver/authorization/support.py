"""A person, a browser and an app that go through the code flow together."""

from __future__ import annotations

import base64
import hashlib
import time
import uuid
from dataclasses import dataclass, field
from datetime import datetime
from html.parser import HTMLParser
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from django.conf import settings
from django.test import Client as Browser

from authserver.throttling import failures, sign_ins
from protocol.jose import SigningKey, issue_jwt
from registry.actors import job
from registry.credentials import create_secret
from registry.lifecycle import register_client
from registry.models import Organization, User
from tests.authserver.support import FORM, INTROSPECT, REVOKE, TOKEN, Caller, key

AUTHORIZE, PAR, USERINFO, LOGOUT = "/oauth/authorize", "/oauth/par", "/oauth/userinfo", "/oauth/logout"
CALLBACK = "https://app.lighthouse.example/cb"
GOODBYE = "https://app.lighthouse.example/bye"
SCOPE = "openid profile email offline_access bookings.read"
VERIFIER = "correct-horse-battery-staple-0123456789-abcdef"
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
Answer = Any


def sign_in(browser: Browser, user: User, *, ago: float = 5, records: Any = ({"method": "password"},)) -> None:
    """Sign `user` in, `ago` seconds before now, as allauth leaves it behind; `records` are the methods."""
    browser.force_login(user)
    session = browser.session
    session["account_authentication_methods"] = [{"at": time.time() - ago, **record} for record in records]
    session["account_authentication_methods_user"] = str(user.pk)
    session.save()


def make_app(organization: Organization, now: datetime, method: str = "private_key_jwt", **options: Any) -> Caller:
    """Return an active app for people that authenticates by `method`, with the metadata `options`; None leaves a member out."""
    keys = {"jwks": {"keys": [key().public_jwk()]}} if method == "private_key_jwt" else {}
    document = {
        "client_name": "Travel planner",
        "grant_types": ["authorization_code", "refresh_token"],
        "redirect_uris": [CALLBACK],
        "post_logout_redirect_uris": [GOODBYE],
        "scope": SCOPE,
        "token_endpoint_auth_method": method,
        "id_token_signed_response_alg": "ES256",
        **keys,
        **options,
    }
    document = {name: value for name, value in document.items() if value is not None}
    client = register_client(job("test"), organization, document, now=now)
    secret = create_secret(client, job("test"), now=now).value if method.startswith("client_secret") else ""
    return Caller(client, method, now, secret=secret, key=key() if method == "private_key_jwt" else None)


def parameters(app: Caller, **changes: Any) -> dict[str, Any]:
    """Return the parameters of a good request after `changes`; None takes one away."""
    good = {
        "client_id": app.client_id,
        "response_type": "code",
        "redirect_uri": CALLBACK,
        "scope": "openid",
        "state": "state-1",
        "nonce": "nonce-1",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    }
    return {name: value for name, value in {**good, **changes}.items() if value is not None}


def request_object(app: Caller, *, signer: SigningKey | None = None, typ: str | None = "oauth-authz-req+jwt", **changes: Any) -> str:
    """Return a good request object of `app` after `changes`."""
    seconds = int(time.time())
    claims = {"iss": app.client_id, "aud": settings.ISSUER, "iat": seconds, "exp": seconds + 60, "jti": uuid.uuid4().hex}
    return issue_jwt(parameters(app, **{**claims, **changes}), signer or app.key or key(), typ=typ)


class _Hidden(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.inside, self.action, self.members = False, "", {}  # type: ignore[var-annotated]

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        given = dict(attrs)
        if tag == "form":
            self.inside = "data-submit-now" in given
            self.action = given["action"] if self.inside else self.action
        elif self.inside and tag == "input" and given.get("type") == "hidden":
            self.members[given["name"]] = given["value"]


def hidden(response: Answer) -> tuple[str, dict[str, str]]:
    """Return the action and the hidden members of the form that posts itself."""
    parser = _Hidden()
    parser.feed(response.content.decode())
    return parser.action, parser.members


def said(response: Answer) -> dict[str, str]:
    """Return what the app was told, by redirect or by form_post."""
    if response.status_code == 200:
        return hidden(response)[1]
    assert response.status_code == 303, (response.status_code, response.content[:2000])
    pairs = parse_qsl(urlsplit(response["Location"]).query, keep_blank_values=True, strict_parsing=True)
    assert len(dict(pairs)) == len(pairs), "a parameter comes twice"
    return dict(pairs)


def page(response: Answer, status: int = 400) -> str:
    """Return the text of an error page, which leads nowhere."""
    text: str = response.content.decode()
    assert "Location" not in response, response["Location"]
    assert response.status_code == status, (response.status_code, text[:2000])
    assert response["Content-Type"].startswith("text/html")
    assert "http-equiv" not in text.lower()
    assert "data-submit-now" not in text
    return text


@dataclass
class Flow:
    """One person at one browser with one app."""

    app: Caller
    browser: Browser = field(default_factory=lambda: Browser(SERVER_NAME="127.0.0.1"))

    def start(self, **changes: Any) -> Answer:
        """Send a request to the authorization endpoint."""
        sign_ins.forget()
        return self.browser.get(AUTHORIZE, parameters(self.app, **changes))

    def go_on(self, started: Answer) -> Answer:
        """Follow the redirect to the page behind a proven request."""
        assert started.status_code == 302, (started.status_code, started.headers.get("Location"), started.content[:2000])
        assert started["Location"].startswith("/oauth/interaction/"), started["Location"]
        return self.browser.get(started["Location"])

    def ask(self, **changes: Any) -> Answer:
        """Send a request and look at what comes of it."""
        started = self.start(**changes)
        return self.go_on(started) if started.status_code == 302 else started

    def allow(self, started: Answer, **more: str) -> Answer:
        """Press Allow."""
        return self.browser.post(started["Location"], {"answer": "allow", **more})

    def code(self, **changes: Any) -> str:
        """Return a code, consenting when asked."""
        return self.finish(self.start(**changes))

    def finish(self, started: Answer) -> str:
        """Return the code of a started request, consenting when asked."""
        answer = self.go_on(started)
        if answer.status_code == 200 and b'value="allow"' in answer.content:
            answer = self.allow(started)
        members = said(answer)
        assert "code" in members, members
        return members["code"]

    def post(self, endpoint: str, **form: Any) -> Answer:
        """Post a form as the app, authenticated by its registered method; None leaves a parameter out."""
        failures.forget()
        credentials, headers = self.app.credentials()
        body = urlencode({name: value for name, value in {**form, **credentials}.items() if value is not None})
        return Browser(SERVER_NAME="127.0.0.1").post(endpoint, body, content_type=FORM, headers=headers)

    def exchange(self, code: str, /, **changes: Any) -> Answer:
        """Exchange a code."""
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK, "code_verifier": VERIFIER}
        return self.post(TOKEN, **{**form, **changes})

    def tokens(self, **changes: Any) -> dict[str, Any]:
        """Go through the whole flow and return the tokens."""
        answer = self.exchange(self.code(**changes), redirect_uri=changes.get("redirect_uri", CALLBACK))
        assert answer.status_code == 200, answer.content
        return dict(answer.json())

    def refresh(self, token: str, **changes: Any) -> Answer:
        """Use a refresh token."""
        return self.post(TOKEN, grant_type="refresh_token", refresh_token=token, **changes)

    def push(self, **changes: Any) -> Answer:
        """Push a request."""
        return self.post(PAR, **parameters(self.app, **changes))

    def pushed(self, **changes: Any) -> str:
        """Push a request and return its request_uri."""
        answer = self.push(**changes)
        assert answer.status_code == 201, answer.content
        return str(answer.json()["request_uri"])

    def visit(self, request_uri: str, **more: Any) -> Answer:
        """Bring a pushed request to the authorization endpoint."""
        query = {"client_id": self.app.client_id, "request_uri": request_uri, **more}
        return self.browser.get(AUTHORIZE, {name: value for name, value in query.items() if value is not None})

    def revoke(self, token: str) -> Answer:
        """Give a token up."""
        return self.post(REVOKE, token=token)

    def userinfo(self, token: str) -> Answer:
        """Ask about the person."""
        return Browser(SERVER_NAME="127.0.0.1").get(USERINFO, headers={"Authorization": f"Bearer {token}"})


def is_active(resource_server: Caller, token: str) -> bool:
    """Say whether introspection calls a token active."""
    return bool(introspected(resource_server, token)["active"])


def introspected(resource_server: Caller, token: str) -> dict[str, Any]:
    """Return what a resource server learns about a token."""
    answer = Flow(resource_server).post(INTROSPECT, token=token)
    assert answer.status_code == 200, answer.content
    return dict(answer.json())
