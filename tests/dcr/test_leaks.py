"""No credential of registration in a log, a table, a mail, the cache, the queue or a page (DCR-HTTP-12; threats.md R05)."""

from __future__ import annotations

import io
import json
import pickle
import re
import time
from collections.abc import Callable
from datetime import datetime
from html.parser import HTMLParser
from io import StringIO
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
from allauth.account.models import EmailAddress
from django.conf import settings
from django.core import mail
from django.core.cache import caches
from django.core.management import call_command
from django.test import Client as Browser

from dcr.initial_access_tokens import TokenTerms, create_initial_access_token
from dcr.models import SoftwareStatementIssuer
from dcr.registration_access_tokens import reset_registration_access_token
from portal.logs import CUT
from portal.tasks import send_due_notices
from protocol.jose import issue_jwt
from registry.models import User
from tests.authserver.authorization.support import sign_in
from tests.authserver.support import key
from tests.authserver.test_leaks import database_dump, everything_logged  # noqa: F401 - a fixture
from tests.conftest import Cast
from tests.dcr.support import MACHINE, WEBSITE, Machine, as_update, client_of, make_profile, place_of, signer

pytestmark = pytest.mark.django_db
PAGES_LIMIT = 120


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:  # noqa: ARG002
        self.found += [value for name, value in attrs if name == "href" and value]


def pages_of(user: User, *starts: str) -> dict[str, str]:
    """Return every page that `user` reaches by links from `starts`."""
    browser = Browser()
    sign_in(browser, user)
    pages: dict[str, str] = {}
    waiting = list(starts)
    while waiting and len(pages) < PAGES_LIMIT:
        path = waiting.pop(0)
        if path in pages:
            continue
        answer = browser.get(path, follow=True)
        pages[path] = answer.getvalue().decode(errors="replace")
        links = _Links()
        links.feed(pages[path])
        for link in links.found:
            parts = urlsplit(urljoin(f"http://testserver{path}", link))
            if parts.netloc == "testserver" and parts.path.startswith(("/org/", "/staff/")) and "logout" not in parts.path:
                waiting.append(parts.path)
    return pages


def statement(issuer: str, now: datetime) -> str:
    seconds = int(now.timestamp())
    claims = {"iss": issuer, "iat": seconds, "exp": seconds + 600, "software_id": "x", "client_name": "Vouched", "jti": "s-1"}
    return issue_jwt(claims, key("ES256", 6), typ="JWT")


class Journey:
    """Registers, updates, rotates, deletes and fails, and remembers every credential that was seen."""

    def __init__(self, cast: Cast, now: datetime) -> None:
        self.cast, self.now, self.used = cast, now, set()  # type: ignore[var-annotated]
        terms = TokenTerms(label="leaks", expires_at=datetime.fromtimestamp(time.time() + 3600, tz=now.tzinfo), uses_limit=50)
        made = [
            create_initial_access_token(cast.organization, cast.as_owner, terms, now=now).value,
            create_initial_access_token(
                cast.organization,
                cast.as_operator,
                TokenTerms(
                    **{
                        **{name: getattr(terms, name) for name in ("label", "expires_at", "uses_limit")},
                        "profile": make_profile(is_hardened=True),
                    }
                ),
                now=now,
            ).value,
        ]
        out = StringIO()
        call_command("create_initial_access_token", "--organization", cast.organization.slug, stdout=out, stderr=StringIO())
        made.append(out.getvalue().strip())
        self.used |= set(made)
        self.machine, self.hardened = Machine(Browser(), made[0]), Machine(Browser(), made[1])
        for machine in (self.machine, self.hardened):
            machine.client.raise_request_exception = False

    def note(self, answer: Any) -> dict[str, Any]:
        told = dict(answer.json())
        self.used |= {told[name] for name in ("client_secret", "registration_access_token", "software_statement") if name in told}
        return told

    def go(self) -> None:
        for machine in (self.machine, self.hardened):
            told = self.note(machine.register())
            self.note(machine.read(told))
            other = self.note(machine.register(WEBSITE, token_endpoint_auth_method="none"))
            changed = self.note(machine.replace(told, {**MACHINE, "client_name": "Other", "client_secret": told["client_secret"]}))
            self.note(machine.replace(other, WEBSITE))
            self.note(machine.replace(changed, signer()))
            made = reset_registration_access_token(client_of(told), self.cast.as_owner, now=self.now)
            self.used.add(made.value)
            machine.delete({**told, "registration_access_token": made.value})
        self.fail()
        self.vouch()

    def fail(self) -> None:
        """Send everything wrong that carries a credential in it."""
        machine = self.machine
        told, victim = self.note(machine.register()), self.note(machine.register())
        secret, value = told["client_secret"], told["registration_access_token"]
        for document in (
            {**MACHINE, "client_name": secret, "contacts": [value]},
            {**MACHINE, "application_type": secret, "token_endpoint_auth_method": value},
            {**WEBSITE, "redirect_uris": [f"http://{value}/{secret}#{machine.token}"]},
            {**MACHINE, secret: value, "x": machine.token, "client_id": value},
            {**MACHINE, "software_statement": "x." + secret},
        ):
            machine.register(document)
            machine.replace(told, document)
        machine.replace(told, {**MACHINE, "client_secret": victim["client_secret"], "client_id_issued_at": secret})
        machine.replace(told, {**MACHINE, "client_secret": secret[:-2] + "zz"})
        machine.register(json.dumps({"client_secret": secret}).encode()[:-1])
        machine.send("POST", "/register", MACHINE, token=value)
        machine.send("POST", f"/register?access_token={machine.token}", MACHINE)
        machine.send("GET", f"/register/{secret}", token=machine.token)
        machine.send("GET", f"{place_of(told)}?token={value}", Authorization=f"Basic {value}")
        machine.send("PATCH", place_of(told), as_update(told), token=value)
        machine.send("DELETE", place_of(victim), token=value)

    def vouch(self) -> None:
        """Bring statements, one that is believed and some that are not."""
        SoftwareStatementIssuer.objects.create(
            issuer="https://publisher.example",
            name="Publisher",
            jwks={"keys": [key("ES256", 6).public_jwk()]},
            algorithms=["ES256"],
            claims=["client_name", "software_id"],
            organization=self.cast.organization,
        )
        for issuer in ("https://publisher.example", "https://nobody.example"):
            raw = statement(issuer, self.now)
            self.used.add(raw)
            for machine in (self.machine, self.hardened):
                answer = machine.register({**MACHINE, "software_statement": raw})
                if answer.status_code == 201:
                    self.note(machine.replace(self.note(answer)))


def broken(*args: Any, **options: Any) -> Any:
    raise RuntimeError(f"in its midst, with {args} {options}")


@pytest.mark.spec("DCR-HTTP-12", "DCR-RESP-05", "DCR-MGT-16", "DCR-IAT-04")
@pytest.mark.threat("R05", "R04", "S07")
def test_no_credential_of_registration_is_found_anywhere(
    cast: Cast,
    now: datetime,
    everything_logged: io.StringIO,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for user in (cast.owner, cast.reviewer, cast.operator):
        EmailAddress.objects.create(user=user, email=user.email, verified=True, primary=True)
    journey = Journey(cast, now)
    journey.go()
    with monkeypatch.context() as patched:  # a fault of ours, whose traceback has everything
        patched.setattr("dcr.registration.issue_registration_access_token", broken)
        assert journey.machine.register().status_code == 500
        patched.setattr("dcr.client_configuration.update_client", broken)
    send_due_notices()
    slug = cast.organization.slug
    pages = {
        **pages_of(cast.owner, f"/org/{slug}/", f"/org/{slug}/apps/", f"/org/{slug}/activity/"),
        **{f"as reviewer {path}": text for path, text in pages_of(cast.reviewer, "/staff/").items()},
        **{f"as operator {path}": text for path, text in pages_of(cast.operator, "/staff/").items()},
    }
    assert len(pages) > 15, sorted(pages)
    assert any("Lighthouse" in text for text in pages.values())
    written = {
        **pages,
        "log": everything_logged.getvalue(),
        "database": database_dump(),
        "mail": "".join(str(message.message()) for message in mail.outbox),
        "cache": pickle.dumps(list(getattr(caches["default"], "_cache", {}).items())).decode("latin-1"),
        "queue": "".join(path.read_text(errors="replace") for path in Path(settings.DATA_DIR).glob("queue*/*") if path.is_file()),
    }
    assert len(journey.used) > 25
    statements = {value for value in journey.used if value.startswith("ey")}
    assert len(statements) == 2
    assert "request_refused" in written["log"] or "unexpected_error" in written["log"]
    found = [(place, value[:8]) for place, text in written.items() for value in journey.used if value in text]
    believed = [one for one in found if one[0] == "database" and one[1].startswith("ey")]
    # The statement that a client was registered with is what the answer carries back (DCR-SS-07): it is kept, and nowhere else.
    assert [one for one in found if one not in believed] == []
    shaped = {place: re.findall(r"cc[irs]_[A-Za-z0-9_-]{43}", text) for place, text in written.items()}
    assert {place: values for place, values in shaped.items() if values} == {}


@pytest.mark.spec("DCR-HTTP-12")
@pytest.mark.threat("R05")
def test_the_log_cuts_every_kind_of_credential_of_registration(everything_logged: io.StringIO) -> None:  # noqa: F811
    import structlog

    from registry.digests import random_credential

    values = [random_credential(prefix) for prefix in ("cci", "ccr", "ccs")]
    for value in values:
        structlog.get_logger("dcr.test").warning("event", text=value, header=f"Bearer {value}", body={"registration_access_token": value})
    text = everything_logged.getvalue()
    assert not [value for value in values if value in text]
    assert text.count(CUT) >= 9


@pytest.mark.threat("R05")
def test_a_registration_in_a_repr_has_no_credential(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    from dcr import answers

    seen: list[str] = []
    original: Callable[[Any], Any] = answers.build_client_information
    monkeypatch.setattr("dcr.views.registration.build_client_information", lambda one: (seen.append(repr(one)), original(one))[1])
    told = machine.registered()
    machine.replace(told)
    assert len(seen) == 2
    assert not [text for text in seen if told["client_secret"] in text or told["registration_access_token"] in text]


@pytest.mark.threat("R05")
def test_a_submission_in_a_repr_has_no_credential(machine: Machine) -> None:
    from dcr.registration import Submission

    assert "cci_secret" not in repr(Submission({"client_secret": "ccs_secret"}, "cci_secret", "", ""))
