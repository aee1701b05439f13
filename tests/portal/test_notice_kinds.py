"""Every kind of notice: who gets it, what its mail says, and none about what was rolled back (portal.md 4.8)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from django.core import mail
from django.db import transaction
from django.test import Client as Browser

from dcr.initial_access_tokens import TokenTerms, create_initial_access_token
from dcr.models import InitialAccessToken
from federation.models import RegistrationRequest
from portal.notice_subjects import find_subjects
from portal.notice_words import GROUPS, WORDS
from portal.notices import render_mails
from registry.actors import Actor, job
from registry.lifecycle import register_client, request_go_live
from registry.models import ChangeRequest, Client, Contact, Membership, Notice, NoticeReceipt, Organization, User
from registry.models.audit import ActorKind
from registry.notice_kinds import KINDS, Group, Voice
from registry.notice_recipients import find_recipients
from registry.notices import NOTIFIED, record_news
from registry.transitions import CHANGE_REQUEST, CLIENT, ORGANIZATION, TRUST
from tests.conftest import Cast, later

OWNER, SECURITY, DEVELOPER = "owner@lighthouse.example", "security@lighthouse.example", "developer@lighthouse.example"


def about(event: str, cast: Cast, client: Client, change: ChangeRequest, token: InitialAccessToken) -> Any:
    """Return what an event of this name is about, as its service has it."""
    if event.startswith("change."):
        return change
    if event.startswith("token."):
        return token
    if event.startswith("account."):
        return cast.viewer
    if event.startswith("registration_request."):
        return RegistrationRequest.objects.create(entity_id="https://entity.example")
    return cast.organization if event.startswith(("org.", "member.", "registrations.", "review.")) else client


MACHINE = Actor(kind=ActorKind.REGISTRATION_ACCESS_TOKEN, id="x", label="Installer", request_id="request-4711")


def cause(event: str, cast: Cast, client: Client, now: datetime) -> Notice:
    """Write the notice of one kind as a transition does, done by a machine for a request."""
    change = client.change_requests.first() or request_go_live(client, cast.as_owner, now=now)
    token = (
        InitialAccessToken.objects.first()
        or create_initial_access_token(
            cast.organization, cast.as_owner, TokenTerms(label="Installer", expires_at=later(now, days=20)), now=now
        ).row
    )
    subject = about(event, cast, client, change, token)
    actor = replace(MACHINE, kind=ActorKind.INITIAL_ACCESS_TOKEN) if event == "client.registered" else MACHINE
    organization = None if event.startswith(("registration_request.", "account.")) else cast.organization
    difference = {"jwks": [None, None], "secret": [None, "production \u2026abcd"], "email": [None, "new@lighthouse.example"]}
    row = record_news(actor, event, subject, organization, reason="Said so.", difference=difference, person=cast.viewer)
    return Notice.objects.select_related("event__organization", "person").get(event=row)


@pytest.mark.parametrize("event", sorted(KINDS))
def test_every_mail_says_what_happened_who_did_it_what_to_do_where_and_how_to_change_it(
    cast: Cast, make_client: Callable[..., Client], now: datetime, event: str
) -> None:
    notice = cause(event, cast, make_client(), now)
    recipients = find_recipients(notice)
    mails = list(render_mails(notice, recipients))
    assert {one.voice for one in recipients} == {part.voice for part in KINDS[event]}
    assert len({one.address for one in mails}) == len(mails) == len(recipients) > 0
    for one, recipient in zip(mails, recipients, strict=True):
        (subject,) = find_subjects([(notice.event, recipient.voice)])
        assert subject.name in one.subject
        assert one.body.startswith(one.subject.removeprefix("[Credence] "))
        for part in (
            "Done by: Installer",
            "Said so.",
            "What you need to do:",
            str(WORDS[recipient.voice][event].to_do),
            "http://127.0.0.1:8000" + subject.path,
            "request id: request-4711",
            "/profile/" if recipient.contact else "/account/#notices",
        ):
            assert part in one.body, part
        assert "<" not in one.body
        assert "%(" not in one.body + one.subject


@pytest.mark.parametrize("event", sorted(KINDS))
def test_the_page_that_a_notice_links_to_opens_for_whoever_gets_it(
    cast: Cast, make_client: Callable[..., Client], now: datetime, event: str, sign_in: Callable[..., Browser]
) -> None:
    notice = cause(event, cast, make_client(), now)
    told = {one.voice: one.user for one in find_recipients(notice) if one.user}
    for voice, user in told.items():
        (subject,) = find_subjects([(notice.event, voice)])
        browser = Browser()
        browser.force_login(user, backend="portal.accounts.AuthenticationBackend")
        assert browser.get(subject.path).status_code == 200, voice


@pytest.mark.parametrize("event", sorted(KINDS))
@pytest.mark.django_db(transaction=True)
def test_nothing_of_any_kind_is_told_when_the_transition_rolls_back(
    cast: Cast, make_client: Callable[..., Client], now: datetime, event: str
) -> None:
    client = make_client()
    request_go_live(client, cast.as_owner, now=now)
    mail.outbox.clear()
    before = Notice.objects.count(), NoticeReceipt.objects.count()
    with transaction.atomic():
        cause(event, cast, client, now)
        transaction.set_rollback(True)
    assert (Notice.objects.count(), NoticeReceipt.objects.count(), mail.outbox) == (*before, [])
    cause(event, cast, client, now)
    assert mail.outbox
    assert Notice.objects.filter(sent_at=None, event__event=event).count() == 0


def test_every_kind_has_words_in_every_voice_it_is_told_in_and_no_others() -> None:
    wanted = {(part.voice, event) for event, parts in KINDS.items() for part in parts}
    assert wanted == {(voice, event) for voice, words in WORDS.items() for event in words}
    assert set(GROUPS) == set(Group)
    assert frozenset(KINDS) == NOTIFIED


def test_every_notice_of_a_transition_is_about_one_that_exists() -> None:
    steps = {step.event for table in (ORGANIZATION, CLIENT, CHANGE_REQUEST, TRUST) for step in table.values()}
    told = {event for event in KINDS if event.startswith(("org.", "change.", "client.", "trust."))}
    others = {"org.orphaned", "change.requested", "client.drafted", "client.registered", "client.updated", "client.check_failed"}
    others |= {"change.commented", "change.answered", "trust.ending", "trust.unconfirmed", "trust.recovered"}
    assert told - steps == others


def test_each_person_and_each_address_is_told_once(cast: Cast, make_client: Callable[..., Client], now: datetime) -> None:
    Contact.objects.create(organization=cast.organization, kind=Contact.Kind.TECHNICAL, email=SECURITY)
    Contact.objects.create(organization=cast.organization, kind=Contact.Kind.TECHNICAL, email="Owner@Lighthouse.example")
    notice = cause("trust.broken", cast, make_client(), now)
    addresses = [one.address for one in find_recipients(notice)]
    assert sorted(addresses) == sorted([OWNER, DEVELOPER, SECURITY, "tech@lighthouse.example"])


def test_nobody_hears_of_this_server_s_own_organization_and_no_inactive_person_of_anything(
    cast: Cast, make_client: Callable[..., Client], now: datetime
) -> None:
    notice = cause("client.suspended", cast, make_client(), now)
    User.objects.filter(pk=cast.developer.pk).update(is_active=False)
    assert DEVELOPER not in {one.address for one in find_recipients(notice)}
    Organization.objects.filter(pk=cast.organization.pk).update(is_operator=True)
    assert find_recipients(Notice.objects.select_related("event__organization").get(pk=notice.pk)) == []


def test_staff_who_are_members_do_not_review_and_administrators_do_where_there_is_nobody_else(cast: Cast, now: datetime) -> None:
    notice = cause(
        "org.submitted", cast, register_client(job("test"), cast.organization, {"grant_types": ["client_credentials"]}, now=now), now
    )
    chief = User.objects.create_superuser("chief@credence.example")
    assert "reviewer@credence.example" in {one.address for one in find_recipients(notice)}
    Membership.objects.create(organization=cast.organization, user=cast.reviewer, role="viewer")
    assert {one.address for one in find_recipients(notice) if one.voice == Voice.STAFF} == {chief.email}


def test_whoever_asked_and_left_since_is_not_told(cast: Cast, make_client: Callable[..., Client], now: datetime) -> None:
    client = make_client()
    change = request_go_live(client, cast.as_owner, now=now)
    change.submitted_by = cast.developer
    change.save()
    assert DEVELOPER in {one.address for one in find_recipients(cause("change.approved", cast, client, now))}
    cast.developer.memberships.all().delete()
    assert DEVELOPER not in {one.address for one in find_recipients(cause("change.sent_back", cast, client, now))}
