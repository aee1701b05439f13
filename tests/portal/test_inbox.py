"""The notices of the signed-in person: the list, what is new, and which of them are mailed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from pytest_django.asserts import assertContains, assertNotContains, assertRedirects

from portal.notices import send_notice
from registry.actors import Actor, job, person
from registry.lifecycle import change_organization, request_go_live
from registry.members import remove_member
from registry.models import Client, Membership, Notice, NoticeReceipt, Organization, User
from registry.notice_preferences import muted_groups
from registry.notices import record_news
from tests.conftest import Cast, make_organization

INBOX, ACCOUNT = "/account/notices/", "/account/"
PAYLOADS = (Path(__file__).parent / "markup_corpus.txt").read_text().splitlines()


@pytest.fixture(autouse=True)
def _empty(cast: Cast) -> None:
    """Forget what the making of the cast told."""
    Notice.objects.update(sent_at="2026-01-01T00:00Z")
    NoticeReceipt.objects.all().delete()


def tell(event: str, subject: Any, organization: Organization | None, now: datetime, actor: Actor | None = None, **more: Any) -> None:
    """Write a notice and have it sent."""
    row = record_news(actor or job("test"), event, subject, organization, **more)
    assert send_notice(Notice.objects.select_related("event__organization", "person").get(event=row), now=now)


def fill(cast: Cast, make_client: Callable[..., Client], now: datetime, number: int) -> None:
    for _ in range(number):
        client = make_client()
        tell("client.suspended", client, cast.organization, now, cast.as_reviewer, reason="Abuse.")
        tell("change.approved", request_go_live(client, cast.as_owner, now=now), cast.organization, now)


def test_the_inbox_lists_what_happened_newest_first_with_what_is_new_marked(
    cast: Cast, owner: Browser, make_client: Callable[..., Client], now: datetime
) -> None:
    tell("client.suspended", make_client(), cast.organization, now, cast.as_reviewer, reason="Abuse.")
    tell("org.approved", cast.organization, cast.organization, now)
    page = owner.get(INBOX)
    text = page.content.decode()
    assert text.index("Lighthouse Travel is approved") < text.index("App stopped: Back office")
    assert text.count(">New</span>") == 2
    for part in ("our staff", "Abuse.", "2 unread notices"):
        assertContains(page, part)
    assertNotContains(page, "reviewer@credence.example")


def test_all_are_marked_as_read_at_once_and_a_second_post_is_harmless(
    cast: Cast, owner: Browser, developer: Browser, make_client: Callable[..., Client], now: datetime
) -> None:
    tell("client.suspended", make_client(), cast.organization, now)
    for _ in range(2):
        assertRedirects(owner.post(reverse("account_notices_read")), INBOX, fetch_redirect_response=False)
    page = owner.get(INBOX)
    assertNotContains(page, ">New</span>")
    assertNotContains(page, "Mark all as read")
    assertContains(developer.get(INBOX), ">New</span>")


def test_the_unread_count_stands_on_every_page_and_costs_no_query(
    cast: Cast, owner: Browser, make_client: Callable[..., Client], now: datetime
) -> None:
    with CaptureQueriesContext(connection) as before:
        assertNotContains(owner.get(ACCOUNT), "unread notice")
    tell("client.suspended", make_client(), cast.organization, now)
    with CaptureQueriesContext(connection) as after:
        assertContains(owner.get(ACCOUNT), "1 unread notice")
    assert len(after) == len(before)


def test_the_inbox_takes_the_same_number_of_queries_for_much_as_for_little(
    cast: Cast, owner: Browser, make_client: Callable[..., Client], now: datetime
) -> None:
    fill(cast, make_client, now, 1)
    with CaptureQueriesContext(connection) as little:
        owner.get(INBOX)
    fill(cast, make_client, now, 14)
    with CaptureQueriesContext(connection) as much:
        assertContains(owner.get(INBOX), "Page 1 of 2")
    assert len(much) == len(little) <= 7


@pytest.mark.parametrize("number", ["2", "0", "-1", "x", "\x00", "9" * 400])
def test_any_page_number_shows_a_page(cast: Cast, owner: Browser, number: str) -> None:
    assert owner.get(INBOX, {"page": number}).status_code == 200


@pytest.mark.threat("R09")
def test_who_left_an_organization_reads_its_notices_no_more_but_that_they_left(
    cast: Cast,
    developer: Browser,
    owner: Browser,
    make_client: Callable[..., Client],
    now: datetime,
    django_capture_on_commit_callbacks: Any,
) -> None:
    tell("client.suspended", make_client(client_name="Secret plan"), cast.organization, now)
    assertContains(developer.get(INBOX), "Secret plan")
    with django_capture_on_commit_callbacks(execute=True):
        remove_member(cast.organization.memberships.get(user=cast.developer), cast.as_owner)
    page = developer.get(INBOX)
    assertNotContains(page, "Secret plan")
    assertContains(page, "You are no longer a member of Lighthouse Travel")
    assertContains(page, "1 unread notice")
    assertContains(owner.get(INBOX), "Somebody left Lighthouse Travel")


@pytest.mark.threat("R09")
def test_a_membership_that_ended_any_other_way_closes_the_notices_too(
    cast: Cast, developer: Browser, make_client: Callable[..., Client], now: datetime
) -> None:
    tell("client.suspended", make_client(client_name="Secret plan"), cast.organization, now)
    Membership.objects.filter(user=cast.developer).delete()
    assertNotContains(developer.get(INBOX), "Secret plan")


@pytest.mark.threat("R09")
def test_whoever_is_no_longer_staff_reads_the_queue_s_notices_no_more(cast: Cast, sign_in: Callable[..., Browser], now: datetime) -> None:
    tell("org.submitted", cast.organization, cast.organization, now)
    reviewer = sign_in("reviewer")
    assertContains(reviewer.get(INBOX), "To review: the organization Lighthouse Travel")
    User.objects.filter(pk=cast.reviewer.pk).update(staff_role="")
    assertNotContains(reviewer.get(INBOX), "To review")


@pytest.mark.threat("R06")
@pytest.mark.parametrize("payload", PAYLOADS)
def test_markup_in_names_and_reasons_is_text(
    cast: Cast, owner: Browser, make_client: Callable[..., Client], now: datetime, payload: str
) -> None:
    client = make_client()
    Client.objects.filter(pk=client.pk).update(name=payload[:200])
    client.refresh_from_db()
    tell("client.suspended", client, cast.organization, now, reason=payload)
    html = owner.get(INBOX).content.decode()
    assert "<script>alert" not in html
    assert payload not in html or "<" not in payload


def test_an_empty_inbox_says_what_will_stand_there(cast: Cast, owner: Browser) -> None:
    assertContains(owner.get(INBOX), "No notices yet")


def test_switches_are_saved_and_security_stays_on(cast: Cast, owner: Browser) -> None:
    page = owner.get(ACCOUNT)
    assertContains(page, 'id="mail-security" name="mail" value="security" aria-describedby="mail-security-hint" checked disabled')
    assertNotContains(page, 'id="mail-queue"')
    sent = {"mail": ["reviews", "members", "endings", "nonsense\x00", "security"]}
    for _ in range(2):
        assertRedirects(owner.post(reverse("account_notice_preferences"), sent), ACCOUNT, fetch_redirect_response=False)
    assert muted_groups(cast.owner) == {"trust", "registrations"}
    page = owner.get(ACCOUNT)
    assertContains(page, 'value="trust" aria-describedby="mail-trust-hint">')
    assertContains(page, 'value="reviews" aria-describedby="mail-reviews-hint" checked>')


def test_notices_change_by_forms_of_ours_alone(cast: Cast, owner: Browser) -> None:
    strict = Browser(enforce_csrf_checks=True)
    strict.force_login(cast.owner)
    for name in ("account_notices_read", "account_notice_preferences"):
        assert owner.get(reverse(name)).status_code == 405
        assert strict.post(reverse(name)).status_code == 403


def test_a_review_reaches_the_inboxes_of_partner_and_staff_through_the_real_steps(
    cast: Cast, sign_in: Callable[..., Browser], now: datetime, django_capture_on_commit_callbacks: Any
) -> None:
    organization = make_organization(cast.stranger, cast.reviewer, now, "Driftwood Labs", approve=False)
    with django_capture_on_commit_callbacks(execute=True):
        change_organization(organization, "submit", person(cast.stranger), now=now)
    assertContains(sign_in("stranger").get(INBOX), "Driftwood Labs was submitted for approval")
    assertContains(sign_in("reviewer").get(INBOX), f"/staff/registry/organization/{organization.pk}/")
