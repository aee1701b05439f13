"""manage.py sandbox [link | exchange URL | token | expel NAME | readmit NAME]"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.test import Client as Browser
from django.urls import reverse

from portal.demo.federation import CALLBACK, HARBOUR
from portal.demo.sandbox import Sandbox, load_sandbox, save_sandbox
from protocol.jose import parse_unverified
from protocol.jose.purposes import ID_TOKEN

FORM = "application/x-www-form-urlencoded"
HELP = """\
A federation that exists on this machine only: trust anchor Northlight, below it Harbour, below it two partners.

  manage.py sandbox link                a first sign-in at Lighthouse, which nobody registered: open it in your browser
  manage.py sandbox exchange URL        what Lighthouse gets for the address that your browser was sent to
  manage.py sandbox token               Tidewater registers explicitly and gets a token
  manage.py sandbox expel tidewater     Harbour no longer vouches for it; see: manage.py refresh_trust --all
  manage.py sandbox readmit tidewater   Harbour vouches again"""


class Command(BaseCommand):
    """Play the partners of the sandbox."""

    help = "Play the partners and the superior of the small federation that make run brings along."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the arguments."""
        parser.add_argument("action", nargs="?", choices=("link", "exchange", "token", "expel", "readmit"))
        parser.add_argument("subject", nargs="?", help="a partner (lighthouse, tidewater), or the address for exchange")

    def handle(self, *args: Any, **options: Any) -> None:
        """Do it."""
        sandbox = load_sandbox()
        if sandbox is None:
            raise CommandError(
                "There is no sandbox here: `make run` makes one when it starts for the first time on one's own machine. "
                "Set PORT and CREDENCE_DATA_DIR as `make run` had them."
            )
        subject = options["subject"] or ""
        if options["action"] in ("expel", "readmit"):
            self._move(sandbox, options["action"], subject)
        elif options["action"] == "exchange":
            self._exchange(sandbox, subject)
        else:
            {"link": self._link, "token": self._token, None: self._explain}[options["action"]](sandbox)

    def _explain(self, sandbox: Sandbox) -> None:
        self.stdout.write(HELP)
        if sandbox.expelled:
            self.stdout.write(f"\nExpelled now: {', '.join(sandbox.expelled)}.")

    def _link(self, sandbox: Sandbox) -> None:
        party = sandbox.lighthouse
        request = party.request_object(redirect_uri=CALLBACK, scope="openid profile", state="sandbox")
        parameters = {"client_id": party.entity_id, "response_type": "code", "scope": "openid", "request": request}
        self.stdout.write(f"{settings.ISSUER}{reverse('authorize')}?{urlencode(parameters)}")
        self.stderr.write("Open it within two minutes. Afterwards your browser is sent to a host that does not exist: copy that address.")

    def _exchange(self, sandbox: Sandbox, address: str) -> None:
        code = dict(parse_qsl(urlsplit(address).query)).get("code")
        if not code:
            raise CommandError("Give the whole address that your browser was sent to, in quotes; it carries a code.")
        answer = self._post(
            {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK, **sandbox.lighthouse.authentication()}
        )
        claims = parse_unverified(answer["id_token"], max_length=ID_TOKEN.max_length).unverified_claims
        self.stdout.write(json.dumps({"scope": answer["scope"], "id_token": dict(claims)}, indent=2))

    def _token(self, sandbox: Sandbox) -> None:
        party = sandbox.tidewater
        browser = Browser(SERVER_NAME="127.0.0.1", raise_request_exception=False)
        registered = browser.post(reverse("federation_registration"), party.registration(), content_type="application/entity-statement+jwt")
        if registered.status_code != 200:
            raise CommandError(registered.content.decode())
        answer = self._post({"grant_type": "client_credentials", "scope": "bookings.read", **party.authentication()})
        self.stdout.write(json.dumps(answer, indent=2))

    def _post(self, parameters: dict[str, str]) -> dict[str, Any]:
        browser = Browser(SERVER_NAME="127.0.0.1", raise_request_exception=False)
        answer = browser.post(reverse("token"), urlencode(parameters), content_type=FORM)
        if answer.status_code != 200:
            raise CommandError(answer.content.decode())
        found: dict[str, Any] = answer.json()
        return found

    def _move(self, sandbox: Sandbox, action: str, name: str) -> None:
        party = sandbox.partners.get(name)
        if party is None:
            raise CommandError(f"Name a partner: {' or '.join(sandbox.partners)}.")
        members = sandbox.as_json()
        expelled = set(members["expelled"]) - {name} | ({name} if action == "expel" else set())
        save_sandbox(Sandbox.from_json({**members, "expelled": sorted(expelled)}))
        says = "no longer vouches" if action == "expel" else "vouches"
        self.stdout.write(f"{HARBOUR} {says} for {party.entity_id}. The worker finds out by itself; at once: manage.py refresh_trust --all")
