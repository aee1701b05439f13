"""What people and machines store is data wherever it comes out: sign-in pages, mails, CSV, audit export, API (threats.md R06, R16)."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from email import message_from_bytes
from email.policy import default
from typing import Any

import pytest
from django.core import mail
from django.core.mail import EmailMessage
from django.test import Client as Browser
from django.urls import reverse

from portal.admin import staff_site
from portal.notices import mail_invitation, render_mails
from registry import audit
from registry.actors import COMMAND_LINE
from registry.members import invite
from registry.models import AuditEvent, ChangeRequest, Client, Contact, Notice, Organization, Scope, User
from registry.notice_kinds import KINDS
from registry.notice_recipients import find_recipients
from registry.resource_servers import get_operator_organization
from tests.authserver.authorization.conftest import app, flow, new_app, server_keys, standard_scopes
from tests.authserver.authorization.support import CALLBACK, GOODBYE, LOGOUT, Flow, hidden
from tests.conftest import Cast
from tests.portal.api.support import make_machine
from tests.portal.test_notice_kinds import MACHINE, cause
from tests.portal.test_stored_markup import LENGTH, furnished, store
from tests.portal.test_stored_markup_ways import TEXTS, Words, assert_is_text

__all__ = ["app", "flow", "furnished", "new_app", "server_keys", "standard_scopes"]
pytestmark = pytest.mark.threat("R06")

# Line ends that JSON lets stand as they are, among those that parsers of lines take for one.
LINES = '\u2028{"event": "forged"}\u2029{"event": "forged"}\x85{"event": "forged"}\n{"event": "forged"}\r\n{"event": "forged"}'
FORMULAS = (
    *("=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "=cmd|' /C calc'!A0", '=HYPERLINK("https://evil.example")', "\ufeff=1"),
    *("\uff1d1+1", "\uff0b1", "\uff0d1", "\uff20SUM(A1)", 'a",=1+1', "a\n=1+1", "a;=1+1"),
)
STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20", "\ufeff")
FORGED = (
    "Lighthouse\r\nBcc: victim@evil.example\r\nContent-Type: text/html\r\n\r\nWhat you need to do:\r\nhttps://evil.example/\r\n\r\n"
    "-- \r\nCredence, https://evil.example\u2028https://evil.example\x85https://evil.example\u202e"
)

Furnished = tuple[Client, ChangeRequest]


def texts_within(value: object) -> Iterator[str]:
    """Yield every text in JSON."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, member in value.items():
            yield from (name, *texts_within(member))
    elif isinstance(value, list):
        for member in value:
            yield from texts_within(member)


# The pages of the authorization server


@pytest.mark.threat("R07", "O13")
def test_consent_shows_what_is_stored_as_text_and_the_organization_first(flow: Flow) -> None:
    for payload in TEXTS:
        addresses = {"policy_uri": f"https://lighthouse.example/{payload}", "tos_uri": f"https://lighthouse.example/?{payload}"}
        metadata = {**flow.app.client.metadata, "client_name": payload, **addresses}
        Client.objects.filter(pk=flow.app.client.pk).update(name=payload, metadata=metadata)
        Organization.objects.filter(pk=flow.app.client.organization_id).update(legal_name=f"Organization {payload}"[:200])
        Scope.objects.update(title=payload[:100], description=payload)
        page = flow.ask(scope="openid bookings.read")
        assert (page.status_code, b'name="answer"' in page.content) == (200, True)
        html = page.content.decode()
        assert_is_text(html, payload)
        words = Words(html).text
        assert words.index("Organization ") < words.index(f"“{payload}”")


def test_pages_that_end_or_refuse_a_sign_in_show_what_is_sent_and_stored_as_text(flow: Flow) -> None:
    for payload in TEXTS:
        Organization.objects.filter(pk=flow.app.client.organization_id).update(legal_name=payload)
        left = {"client_id": flow.app.client_id, "post_logout_redirect_uri": GOODBYE, "state": payload, "ui_locales": payload}
        pages = [
            flow.ask(redirect_uri=f"{CALLBACK}{payload}"),
            flow.ask(redirect_uri=payload, state=payload),
            flow.ask(client_id=payload),
            flow.ask(response_mode="form_post", prompt=payload, state=payload),
            flow.ask(response_mode=payload, response_type=payload, scope=payload, redirect_uri=f"{CALLBACK}/x"),
            flow.browser.get(LOGOUT, left),
            flow.browser.get(LOGOUT, {**left, "post_logout_redirect_uri": payload}),
            flow.browser.get(f"/oauth/interaction/{payload}"),
        ]
        for number, page in enumerate(pages):
            assert page["Content-Type"].startswith("text/html"), (number, payload)
            assert_is_text(page.content.decode(), f"{number}: {payload}")
        assert payload in Words(pages[5].content.decode()).text


def test_an_answer_by_form_carries_hostile_values_unchanged_to_the_registered_address_only(flow: Flow) -> None:
    flow.code()
    for payload in TEXTS:
        page = flow.ask(response_mode="form_post", state=payload)
        assert_is_text(page.content.decode(), payload)
        action, members = hidden(page)
        assert (action, members["state"], set(members)) == (CALLBACK, payload, {"code", "state", "iss"})


# Mails


def rendered(notice: Notice) -> list[EmailMessage]:
    """Return the mails of a notice as they are sent."""
    return [EmailMessage(one.subject, one.body, to=[one.address]) for one in render_mails(notice, find_recipients(notice))]


def check_mail(sent: EmailMessage, what: str, *, asks: int = 1) -> None:
    """Fail when stored text made a header, a part, or a line that reads like one of ours."""
    assert not [character for character in sent.subject if not character.isprintable()], what
    parsed = message_from_bytes(sent.message().as_bytes(), policy=default)
    assert not {"bcc", "cc", "reply-to"} & {name.lower() for name in parsed}, what
    assert (parsed.get_content_type(), list(parsed.iter_parts()), parsed["to"]) == ("text/plain", [], sent.to[0]), what
    lines = parsed.get_content().splitlines()
    assert lines.count("What you need to do:") == asks, what
    assert lines.count("-- ") == 1, what
    assert not [line for line in lines if line.startswith(("Bcc", "Content-Type", "https://evil", "Credence, https://evil"))], what


@pytest.mark.threat("R16")
@pytest.mark.parametrize("event", sorted(KINDS))
def test_nothing_stored_makes_a_header_or_a_line_of_ours_in_a_mail(cast: Cast, furnished: Furnished, now: datetime, event: str) -> None:
    client, _ = furnished
    store(FORGED[:150], cast, *furnished)
    User.objects.update(name=FORGED[:150])
    Contact.objects.update(email="security@lighthouse.example")  # an address that is none never gets this far
    notice = cause(event, cast, client, now)
    difference = {"member": [None, FORGED], "secret": [None, FORGED], "other_secrets_end": [None, FORGED], FORGED: [FORGED, FORGED]}
    told = AuditEvent(**{field.attname: getattr(notice.event, field.attname) for field in AuditEvent._meta.concrete_fields})
    told.object_label, told.actor_label, told.reason, told.difference = FORGED, FORGED, FORGED, difference
    notice.event = told
    mails = rendered(notice)
    assert mails
    for sent in mails:
        check_mail(sent, event)
        assert "<" not in sent.body


@pytest.mark.threat("R16")
def test_an_invitation_is_one_line_of_names_whatever_they_hold(cast: Cast, now: datetime, django_capture_on_commit_callbacks: Any) -> None:
    User.objects.filter(pk=cast.owner.pk).update(name=FORGED[:150])
    Organization.objects.filter(pk=cast.organization.pk).update(legal_name=FORGED[:200])
    cast.owner.refresh_from_db()
    cast.organization.refresh_from_db()
    new = invite(cast.organization, cast.as_owner, email="new@lighthouse.example", role="viewer", now=now)
    mail.outbox.clear()
    with django_capture_on_commit_callbacks(execute=True):
        mail_invitation(new)
    (sent,) = mail.outbox
    check_mail(sent, "invitation")
    assert cast.owner.email in sent.body


# Files


def lists() -> list[str]:
    """Return the addresses of every list of staff as CSV."""
    admins = [one for one in staff_site._registry.values() if one.has_csv]  # type: ignore[attr-defined]
    assert len(admins) > 15
    return [reverse(f"staff:{one.url_name('csv')}") for one in admins]  # type: ignore[attr-defined]


def cells_of(browser: Browser, url: str) -> tuple[list[str], list[list[str]]]:
    """Return header and rows of a CSV file."""
    answer = browser.get(url)
    assert (answer.status_code, answer["Content-Type"]) == (200, "text/csv; charset=utf-8"), url
    assert "attachment" in answer["Content-Disposition"]
    text = b"".join(answer.streaming_content).decode("utf-8-sig")
    header, *rows = csv.reader(io.StringIO(text, newline=""))
    return header, rows


@pytest.mark.threat("R16")
def test_no_cell_of_any_file_is_a_formula_or_spills_into_another(
    cast: Cast, owner: Browser, furnished: Furnished, sign_in: Callable[..., Browser]
) -> None:
    staff = sign_in(User.objects.create_superuser("root@credence.example", name="Root"))
    apps = reverse("apps_export", args=[cast.organization.slug])
    trail = reverse("staff:registry_auditevent_export") + "?format=csv"
    for text in (*FORMULAS, *TEXTS[::5]):
        store(text, cast, *furnished)
        audit.record(
            replace(MACHINE, label=text), "client.updated", furnished[0], organization=None, reason=text, difference={text: [text]}
        )
        seen = set()
        for url in (*lists(), trail, apps):
            header, rows = cells_of(owner if url == apps else staff, url)
            assert all(len(row) == len(header) for row in rows), (url, text)
            cells = [cell for row in rows for cell in row]
            assert not [cell for cell in cells if cell.startswith(STARTS)], (url, text)
            seen |= {url for cell in cells if text in cell}
        assert len(seen) > 10, (text, seen)


@pytest.mark.threat("S06")
def test_no_text_makes_a_line_of_its_own_in_the_audit_export(
    cast: Cast, make_client: Callable[..., Client], sign_in: Callable[..., Browser]
) -> None:
    client = make_client()
    for text in (*TEXTS, *FORMULAS, LINES, "\u202e", "\ufeff"):
        audit.record(
            replace(MACHINE, label=text), "client.updated", client, organization=None, reason=text, difference={text: [text, text]}
        )
    events = list(AuditEvent.objects.order_by("id"))
    answer = sign_in("auditor").get(reverse("staff:registry_auditevent_export"))
    assert (answer["Content-Type"], "attachment" in answer["Content-Disposition"]) == ("application/jsonl", True)
    lines = b"".join(answer.streaming_content).decode().splitlines()
    read = [json.loads(line) for line in lines]
    assert [(row["id"], row["reason"], row["difference"]) for row in read] == [(one.pk, one.reason, one.difference) for one in events]


# The API


def test_the_api_answers_stored_markup_as_text_in_json(cast: Cast, furnished: Furnished, now: datetime) -> None:
    desk = make_machine(get_operator_organization(COMMAND_LINE, now=now), "registry.admin", now, name="Desk")
    own = Client.objects.filter(pk=desk.client.pk)
    columns = {name: value for name, value in own.values().get().items() if name != "id"}
    operator = Organization.objects.filter(pk=desk.client.organization_id)
    state = operator.get().state
    client, change = furnished
    slug, reference = cast.organization.slug, client.reference
    token = cast.organization.initial_access_tokens.get()
    tokens = f"/organizations/{slug}/initial-access-tokens"
    paths = [
        *("/organizations", f"/organizations/{slug}", f"/organizations/{slug}/clients", f"/organizations/{slug}/change-requests"),
        *(f"/organizations/{slug}/audit", tokens, f"{tokens}/{token.reference}", f"{tokens}/{token.reference}/refused"),
        *(f"/clients/{reference}", f"/clients/{reference}/secrets", "/change-requests", f"/change-requests/{change.reference}", "/audit"),
    ]
    for start in TEXTS:
        text = start[:LENGTH]
        store(text, cast, client, change)
        own.update(**columns)
        operator.update(state=state)
        audit.record(
            replace(MACHINE, label=text), "client.updated", client, organization=cast.organization, reason=text, difference={text: [text]}
        )
        for path in paths:
            answer = desk.send("GET", path)
            assert (answer.status_code, answer["Content-Type"], answer["X-Content-Type-Options"]) == (200, "application/json", "nosniff"), (
                path
            )
            assert any(one.startswith(text[:60]) for one in texts_within(json.loads(answer.content))), (path, text)
        for refused in (
            desk.send("GET", "/organizations/" + text.replace("/", "")),
            desk.post("/organizations", {text: text, "legal_name": [text]}),
        ):
            assert (refused.status_code >= 400, refused["Content-Type"]) == (True, "application/problem+json")
            assert json.loads(refused.content)["status"] == refused.status_code
