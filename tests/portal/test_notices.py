"""Mails about transitions: to whom, what they say, and none about what was rolled back."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from smtplib import SMTPRecipientsRefused
from typing import Any

import pytest
from django.core import mail
from django.core.mail.backends.locmem import EmailBackend
from django.db import transaction
from django.utils import translation
from django.utils.translation import gettext
from kombu.exceptions import OperationalError as BrokerAway

from portal.management.commands.run import load_demo_data_once
from portal.notices import render_mails, send_due_notices, send_notice, send_notice_by_number
from portal.tasks import send_one_notice
from protocol.errors import TransitionRefused
from registry.actors import person
from registry.credentials import create_secret
from registry.lifecycle import approve_change, change_client, change_organization, decide_change, register_client, request_go_live
from registry.models import AuditEvent, Client, Notice, NoticeReceipt, Organization, User
from registry.notice_recipients import find_recipients
from registry.notices import MOST_ATTEMPTS, claim_notice, due_notices, resend_notice
from tests.conftest import Cast, later, make_organization
from tests.portal.test_notice_kinds import cause
from tests.registry.threads import together

Commit = Callable[..., Any]


@pytest.fixture
def commit(django_capture_on_commit_callbacks: Any) -> Commit:
    """Return what runs the callbacks of a commit."""

    def run() -> Any:
        return django_capture_on_commit_callbacks(execute=True)

    return run


def sent() -> list[tuple[str, tuple[str, ...]]]:
    found: dict[str, list[str]] = {}
    for message in mail.outbox:
        found.setdefault(message.subject.removeprefix("[Credence] "), []).extend(message.to)
    return [(subject, tuple(sorted(to))) for subject, to in found.items()]


OWNER, SECURITY, DEVELOPER = "owner@lighthouse.example", "security@lighthouse.example", "developer@lighthouse.example"


def test_the_review_of_an_organization_is_mailed_to_its_owners(cast: Cast, now: datetime, commit: Commit) -> None:
    staff, owner = person(cast.reviewer, staff=True), person(cast.stranger)
    organization = make_organization(cast.stranger, cast.reviewer, now, "Driftwood Labs", approve=False)
    mail.outbox.clear()
    with commit():
        organization = change_organization(organization, "submit", owner, now=now)
        organization = change_organization(organization, "request_changes", staff, now=now, reason="Who runs this?")
        organization = change_organization(organization, "submit", owner, now=now)
        change_organization(organization, "approve", staff, now=now)
    assert sent() == [
        ("Driftwood Labs was submitted for approval", ("stranger@tidewater.example",) * 2),
        ("To review: the organization Driftwood Labs", ("reviewer@credence.example",) * 2),
        ("Driftwood Labs: changes requested", ("stranger@tidewater.example",)),
        ("Driftwood Labs is approved", ("stranger@tidewater.example",)),
    ]


def test_a_mail_says_what_happened_who_did_it_what_to_do_and_where(cast: Cast, now: datetime, commit: Commit) -> None:
    staff = person(cast.reviewer, staff=True, request_id="request-4711", source_address="203.0.113.7")
    with commit():
        change_organization(cast.organization, "suspend", staff, now=now, reason="A key was published.")
    assert sent() == [("Lighthouse Travel is suspended", (OWNER, SECURITY))]
    body = mail.outbox[0].body
    for part in (
        "our staff",
        "A key was published.",
        "Answer to our staff.",
        "http://127.0.0.1:8000/org/lighthouse-travel/",
        "request-4711",
    ):
        assert part in body
    assert "reviewer@credence.example" not in body
    assert "203.0.113.7" not in body


def test_apps_suspended_reinstated_offered_and_closed_are_mailed(
    cast: Cast, make_client: Callable[..., Client], now: datetime, commit: Commit
) -> None:
    client = make_client()
    with commit():
        change_client(client, "suspend", cast.as_reviewer, now=now, reason="Abuse.")
        change_client(client, "reinstate", cast.as_reviewer, now=now)
        change_client(client, "close", cast.as_owner, now=now)
        register_client(
            cast.as_reviewer,
            cast.organization,
            {"client_name": "Offer", "grant_types": ["client_credentials"]},
            now=now,
            offer_to_owner=True,
        )
    assert sent() == [
        ("App stopped: Back office", (DEVELOPER, OWNER, SECURITY)),
        ("App works again: Back office", (DEVELOPER, OWNER, SECURITY)),
        ("App closed: Back office", (DEVELOPER, OWNER)),
        ("An app waits for you: Offer", (OWNER,)),
    ]


def test_decisions_reach_the_owners_with_their_reason(
    cast: Cast, make_client: Callable[..., Client], now: datetime, commit: Commit
) -> None:
    client = make_client()
    with commit():
        first = request_go_live(client, cast.as_owner, now=now)
        decide_change(first, "send_back", cast.as_reviewer, now=now, reason="Name a contact.")
        second = request_go_live(client, cast.as_owner, now=now)
        approve_change(second, cast.as_reviewer, digest=second.digest, now=now)
    assert [subject for subject, to in sent() if OWNER in to] == [
        "Waiting for review: Back office",
        "Sent back: Back office",
        "Approved: Back office",
    ]
    assert ("To review: Back office", ("reviewer@credence.example",) * 2) in sent()
    assert any("Name a contact." in message.body for message in mail.outbox)


@pytest.mark.django_db(transaction=True)
def test_nothing_is_mailed_about_what_was_rolled_back(cast: Cast, make_client: Callable[..., Client], now: datetime) -> None:
    client = make_client()
    mail.outbox.clear()

    with transaction.atomic():
        change_client(client, "suspend", cast.as_reviewer, now=now, reason="No.")
        transaction.set_rollback(True)
    assert mail.outbox == []
    change_client(client, "suspend", cast.as_reviewer, now=now, reason="Yes.")
    assert len(mail.outbox) == 3


@pytest.mark.threat("X21")
def test_a_mail_server_that_is_away_costs_time_only(cast: Cast, now: datetime, commit: Commit, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise ConnectionRefusedError

    mail.outbox.clear()
    Notice.objects.update(sent_at=now)
    with monkeypatch.context() as away, commit():
        away.setattr(EmailBackend, "send_messages", refuse)
        change_organization(cast.organization, "suspend", cast.as_reviewer, now=now, reason="Abuse.")
    with monkeypatch.context() as away:
        away.setattr(EmailBackend, "send_messages", refuse)
        Notice.objects.filter(sent_at=None).update(attempts=0)
        change_organization(cast.organization, "reinstate", cast.as_reviewer, now=now)
    cast.organization.refresh_from_db()
    assert cast.organization.state == Organization.State.APPROVED
    assert send_due_notices(later(now, minutes=2)) == 2
    assert [subject for subject, _ in sent()] == ["Lighthouse Travel is suspended", "Lighthouse Travel is reinstated"]
    assert send_due_notices(later(now, minutes=20)) == 0


@pytest.mark.threat("X06", "S05")
def test_a_notice_is_sent_once_whoever_tries(cast: Cast, now: datetime) -> None:
    change_organization(cast.organization, "suspend", cast.as_reviewer, now=now, reason="Abuse.")
    one, other = (Notice.objects.order_by("pk").last() for _ in range(2))
    assert one is not None
    assert other is not None
    assert claim_notice(one, now)
    assert not claim_notice(other, now)
    assert one.pk not in {notice.pk for notice in due_notices(now)}
    Notice.objects.filter(pk=one.pk).update(attempts=MOST_ATTEMPTS)
    assert one.pk not in {notice.pk for notice in due_notices(later(now, days=4))}


@pytest.mark.threat("R16")
def test_a_name_with_line_breaks_cannot_add_headers(cast: Cast, now: datetime, commit: Commit) -> None:
    Organization.objects.filter(pk=cast.organization.pk).update(legal_name="Evil\r\nBcc: all@example.org")
    with commit():
        change_organization(cast.organization, "suspend", cast.as_reviewer, now=now, reason="Abuse.")
    assert mail.outbox[0].subject == "[Credence] Evil Bcc: all@example.org is suspended"
    assert mail.outbox[0].recipients() == [OWNER]


def test_no_mail_carries_a_secret(cast: Cast, make_client: Callable[..., Client], now: datetime, commit: Commit) -> None:
    client = make_client()
    with commit():
        value = create_secret(client, cast.as_owner, now=now).value
        change_client(client, "suspend", cast.as_reviewer, now=now, reason="Leaked.")
    assert all(value not in message.body for message in mail.outbox)


@pytest.mark.threat("X21")
def test_an_address_that_is_refused_for_good_does_not_repeat_the_mails_to_the_others(
    cast: Cast, make_client: Callable[..., Client], now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    notice = cause("client.suspended", cast, make_client(), now)
    plain = EmailBackend.send_messages
    codes = {SECURITY: 550, DEVELOPER: 451}

    def send(self: EmailBackend, messages: list[Any]) -> int:
        if code := codes.get(messages[0].to[0]):
            raise SMTPRecipientsRefused({messages[0].to[0]: (code, b"no")})
        return plain(self, messages)

    mail.outbox.clear()
    monkeypatch.setattr(EmailBackend, "send_messages", send)
    assert not send_notice(notice, now=now)
    del codes[DEVELOPER]
    assert send_due_notices(later(now, minutes=2)) >= 1
    mine = [message.to[0] for message in mail.outbox if message.subject.startswith("[Credence] App stopped")]
    assert sorted(mine) == [DEVELOPER, OWNER]
    notice.refresh_from_db()
    assert notice.deliveries[SECURITY] == "refused"


def test_a_broker_that_is_away_costs_a_minute_only(cast: Cast, now: datetime, commit: Commit, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise BrokerAway

    mail.outbox.clear()
    with monkeypatch.context() as away, commit():
        away.setattr(send_one_notice, "apply_async", refuse)
        change_organization(cast.organization, "suspend", cast.as_reviewer, now=now, reason="Abuse.")
    assert mail.outbox == []
    assert send_due_notices(later(now, minutes=1)) >= 1
    assert ("Lighthouse Travel is suspended", (OWNER, SECURITY)) in sent()


def test_a_person_is_written_to_in_their_language(cast: Cast, make_client: Callable[..., Client], now: datetime) -> None:
    User.objects.filter(pk=cast.owner.pk).update(language="de")
    notice = cause("client.suspended", cast, make_client(), now)
    with translation.override("de"):
        expected = gettext("What you need to do:")
    (body,) = (one.body for one in render_mails(notice, find_recipients(notice)) if one.address == OWNER)
    assert expected in body


@pytest.mark.services
@pytest.mark.django_db(transaction=True)
@pytest.mark.threat("X06", "S05")
def test_two_workers_at_once_send_one_mail(on_postgresql: None, cast: Cast, make_client: Callable[..., Client], now: datetime) -> None:
    with transaction.atomic():
        notice = cause("client.suspended", cast, make_client(), now)
        Notice.objects.filter(pk=notice.pk).update(sent_at=now)
    Notice.objects.filter(pk=notice.pk).update(sent_at=None, attempts=0, deliveries={}, due_at=now)
    mail.outbox.clear()
    results = together(4, lambda _: send_notice_by_number(notice.pk, now))
    assert sorted(results) == [False, False, False, True]
    assert sorted(to for message in mail.outbox for to in message.to) == sorted([DEVELOPER, OWNER, SECURITY])
    assert NoticeReceipt.objects.filter(notice=notice).count() == 2


def test_an_operator_sends_a_notice_again_to_everybody_and_nobody_else_may(
    cast: Cast, make_client: Callable[..., Client], now: datetime
) -> None:
    notice = cause("client.suspended", cast, make_client(), now)
    send_notice(notice, now=now)
    with pytest.raises(TransitionRefused):
        resend_notice(notice, person(cast.auditor, staff=True), now=now)
    mail.outbox.clear()
    again = resend_notice(notice, person(cast.operator, staff=True), now=later(now, days=9))
    assert again.pk in {row.pk for row in due_notices(later(now, days=9))}
    assert send_notice_by_number(again.pk, later(now, days=9))
    assert len(mail.outbox) == 3
    assert AuditEvent.objects.filter(event="notice.resent").count() == 1


@pytest.mark.django_db(transaction=True)
def test_the_demo_data_of_a_first_start_mail_nobody(settings: Any, tmp_path: Path) -> None:
    settings.DATA_DIR = tmp_path

    assert load_demo_data_once()
    assert sent() == []
    assert NoticeReceipt.objects.exists(), "what happened in the demo is in its inboxes"
