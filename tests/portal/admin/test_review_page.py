"""The one page on which organizations and requests are reviewed: notes, conversation, canned words, the mail before it is sent."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.core import mail
from django.core.cache import cache
from django.test import Client as Browser
from django.urls import reverse

from protocol.fetch import InMemoryFetcher, Page, failure
from registry import homepages
from registry.actors import person
from registry.models import AuditEvent, CannedReason, ChangeRequest, Client, ClientKeySet, Organization, ReviewComment, User
from registry.outbound import use_fetcher
from registry.review_comments import add_comment, add_note
from tests.conftest import Cast
from tests.portal.admin.conftest import list_of, messages_in, page_of, step_of, subpage_of

HTMX = {"HX-Request": "true"}
SECRET_WORDS = "They owe us money since May"


def nonce(response: Any, form: str = "note_form") -> str:
    return str(response.context[form]["once"].value())


def write(browser: Browser, row: Any, what: str, text: str) -> Any:
    """Write as a person does: from the form of the page."""
    once = nonce(browser.get(page_of(row)), f"{what}_form")
    return browser.post(subpage_of(row, what), {"once": once, "text": text}, follow=True)


def test_notes_are_kept_once_and_read_by_colleagues(as_reviewer: Browser, pending: Organization, cast: Cast, sign_in: Any) -> None:
    data = {"once": nonce(as_reviewer.get(page_of(pending))), "text": "We met them."}
    for _ in range(2):
        assert as_reviewer.post(subpage_of(pending, "note"), data).url == page_of(pending)
    assert ReviewComment.objects.filter(organization=pending, is_internal=True).count() == 1
    assert "We met them." in sign_in(cast.auditor).get(page_of(pending)).content.decode()


@pytest.mark.parametrize("text", ["", "x" * 4001, "a\0b"])
def test_a_note_that_cannot_be_kept_stays_in_its_form(as_reviewer: Browser, pending: Organization, text: str) -> None:
    response = as_reviewer.post(subpage_of(pending, "note"), {"once": "n" * 20, "text": text})
    assert response.status_code == 200
    assert response.context["note_form"].errors["text"]
    assert response.context["note_form"]["text"].value() == text
    assert not ReviewComment.objects.exists()


def test_the_reviewer_writes_to_the_partner_and_reads_the_answer(
    as_reviewer: Browser, go_live: ChangeRequest, cast: Cast, now: datetime
) -> None:
    write(as_reviewer, go_live, "comment", "Which data?")
    add_comment(go_live, person(cast.owner), "Bookings of last week.", now=now + timedelta(minutes=5))
    body = as_reviewer.get(page_of(go_live)).content.decode()
    assert body.index("Which data?") < body.index("Bookings of last week.")
    assert ReviewComment.objects.filter(is_internal=False).count() == 2


@pytest.mark.threat("R09")
def test_internal_notes_are_on_no_page_and_no_answer_of_the_partner(
    cast: Cast, as_reviewer: Browser, go_live: ChangeRequest, now: datetime, sign_in: Callable[[User], Browser]
) -> None:
    add_note(cast.organization, cast.as_reviewer, SECRET_WORDS, now=now)
    write(as_reviewer, go_live, "note", SECRET_WORDS)
    digest = as_reviewer.get(page_of(go_live)).context["subject"].digest
    as_reviewer.post(step_of(go_live, "approve"), {"digest": digest, "override": SECRET_WORDS})
    assert ReviewComment.objects.filter(text=SECRET_WORDS).count() == 3
    owner, slug, client = sign_in(cast.owner), cast.organization.slug, go_live.client
    organization_pages = ("organization", "organization_profile", "organization_activity", "apps", "organization_members")
    app_pages = ("app", "app_activity", "app_credentials", "app_edit", "app_delete")
    addresses = [reverse("organizations"), reverse("account")]
    addresses += [reverse(name, args=[slug]) for name in organization_pages]
    addresses += [reverse(name, args=[slug, client.reference]) for name in app_pages]
    addresses.append(reverse("app_change", args=[slug, client.reference, go_live.reference]))
    for address in addresses:
        body = owner.get(address).content.decode()
        assert SECRET_WORDS not in body, address
        assert "nternal note" not in body, address
        assert "review.noted" not in body, address
    assert not AuditEvent.objects.filter(event__startswith="review.", organization__isnull=False).exists()
    assert not [row for row in AuditEvent.objects.all() if SECRET_WORDS in f"{row.reason}{row.difference}{row.object_label}"]
    assert not [message for message in mail.outbox if SECRET_WORDS in message.body]


def test_words_used_often_are_put_in_without_scripts_and_nothing_typed_is_lost(as_reviewer: Browser, pending: Organization) -> None:
    words = CannedReason.objects.filter(step="request_changes").first()
    assert words is not None
    data = {"reason": "Dear partner,", "canned": words.pk, "do": "insert"}
    response = as_reviewer.post(step_of(pending, "request_changes"), data)
    assert response.context["form"]["reason"].value() == f"Dear partner,\n\n{words.text}"
    assert str(words.pk) == str(response.context["form"]["canned"].value())
    pending.refresh_from_db()
    assert pending.state == "pending"
    again = as_reviewer.post(step_of(pending, "request_changes"), {**data, "reason": response.context["form"]["reason"].value()})
    assert again.context["form"]["reason"].value() == response.context["form"]["reason"].value()
    for canned in ("", "99999", "x", "\0"):
        response = as_reviewer.post(step_of(pending, "request_changes"), {**data, "canned": canned})
        assert response.context["form"]["reason"].value() == "Dear partner,"


def test_htmx_gets_the_field_alone(as_reviewer: Browser, pending: Organization) -> None:
    words = CannedReason.objects.filter(step="reject").first()
    assert words is not None
    response = as_reviewer.post(step_of(pending, "reject"), {"reason": "", "canned": words.pk, "do": "insert"}, headers=HTMX)
    body = response.content.decode()
    assert "<html" not in body
    assert words.text[:40] in body
    preview = as_reviewer.post(step_of(pending, "reject"), {"reason": "No room.", "do": "preview"}, headers=HTMX).content.decode()
    assert "<html" not in preview
    assert "No room." in preview


def test_only_words_of_the_step_that_are_offered_can_be_chosen(as_reviewer: Browser, pending: Organization) -> None:
    CannedReason.objects.filter(step="reject").update(is_active=False)
    page = as_reviewer.get(step_of(pending, "reject"))
    assert [value for value, _ in page.context["form"]["canned"].field.choices] == [""]


@pytest.mark.parametrize("step", ["request_changes", "reject", "approve"])
def test_the_preview_is_the_mail_that_is_sent(
    as_reviewer: Browser, pending: Organization, cast: Cast, step: str, django_capture_on_commit_callbacks: Any
) -> None:
    from django.utils import timezone

    from portal.notices import send_due_notices

    reason = "Which <b>country</b> is this?"
    events = AuditEvent.objects.count()
    shown = as_reviewer.post(step_of(pending, step), {"reason": reason, "do": "preview"})
    preview = shown.context["preview"]
    assert AuditEvent.objects.count() == events
    pending.refresh_from_db()
    assert pending.state == "pending"
    assert "<b>country" not in shown.content.decode()
    assert cast.stranger.email in preview.addresses
    send_due_notices(timezone.now())
    mail.outbox.clear()
    as_reviewer.post(step_of(pending, step), {"reason": reason, "digest": as_reviewer.get(page_of(pending)).context["digest"]})
    send_due_notices(timezone.now())
    (sent,) = [message for message in mail.outbox if message.to == [cast.stranger.email]]
    assert sent.subject == preview.subject
    body, shown_body = (re.sub(r"\d\d:\d\d", "", text) for text in (sent.body, preview.body))
    assert shown_body in body
    assert cast.reviewer.email not in preview.body


def test_approving_in_spite_of_warnings_asks_why_next_to_the_field_and_keeps_the_note(
    as_reviewer: Browser, go_live: ChangeRequest, app: Client
) -> None:
    page = as_reviewer.get(page_of(go_live))
    assert "override" in page.context["approve_form"].fields
    response = as_reviewer.post(step_of(go_live, "approve"), {"digest": go_live.digest, "reason": "Welcome."})
    assert response.status_code == 200
    assert "Say why it is fine" in response.content.decode()
    assert response.context["approve_form"]["reason"].value() == "Welcome."
    as_reviewer.post(step_of(go_live, "approve"), {"digest": go_live.digest, "reason": "Welcome.", "override": "They book for people."})
    app.refresh_from_db()
    assert app.stage == "live"
    assert "They book for people." in as_reviewer.get(page_of(go_live)).content.decode()


def test_what_passes_is_ticked_and_asks_for_no_explanation(as_reviewer: Browser, pending: Organization) -> None:
    page = as_reviewer.get(page_of(pending))
    assert all(check.passed for check in page.context["checks"])
    assert "override" not in page.context["approve_form"].fields


def test_checks_of_a_request_name_short_keys_and_addresses_that_fail(as_reviewer: Browser, go_live: ChangeRequest, app: Client) -> None:
    metadata = {**go_live.metadata, "jwks_uri": "https://lighthouse.example/keys"}
    ChangeRequest.objects.filter(pk=go_live.pk).update(metadata=metadata)
    ClientKeySet.objects.create(
        client=app, jwks_uri="https://lighthouse.example/keys", failure="The URL answers with a 5xx status.", attempted_at=app.created
    )
    found = [finding.code for check in as_reviewer.get(page_of(go_live)).context["checks"] for finding in check.findings]
    assert "jwks_uri.failing" in found


@pytest.mark.threat("F05")
def test_the_website_is_asked_for_when_a_reviewer_wants_and_not_again_within_a_minute(as_reviewer: Browser, pending: Organization) -> None:
    cache.clear()
    homepages.checks.forget()
    fetcher = InMemoryFetcher({"https://tidewater.example": Page(b"<!DOCTYPE html>", "text/html")})
    with use_fetcher(fetcher):
        assert "Not checked in the last days" in as_reviewer.get(page_of(pending)).content.decode()
        assert fetcher.total == 0
        for _ in range(3):
            response = as_reviewer.post(subpage_of(pending, "homepage"), follow=True)
        assert "It answers with a page." in messages_in(response)
        assert fetcher.total == 1
    assert AuditEvent.objects.filter(event="review.homepage_checked").count() == 1
    assert "It answers with a page." in as_reviewer.get(page_of(pending)).content.decode()


@pytest.mark.parametrize(
    ("answer", "answers"),
    [(failure("redirect"), True), (failure("dns"), False), (failure("server_error"), False), (failure("too_large"), True)],
)
def test_a_website_that_does_not_answer_is_said_to(as_reviewer: Browser, pending: Organization, answer: Any, answers: bool) -> None:
    cache.clear()
    homepages.checks.forget()
    with use_fetcher(InMemoryFetcher({"https://tidewater.example": answer})):
        as_reviewer.post(subpage_of(pending, "homepage"))
    assert as_reviewer.get(page_of(pending)).context["homepage"].answers is answers


def test_many_websites_in_a_minute_are_refused(as_reviewer: Browser, pending: Organization) -> None:
    homepages.checks.forget()
    with use_fetcher(InMemoryFetcher()):
        for _ in range(homepages.CHECKS_PER_MINUTE + 1):
            cache.clear()
            response = as_reviewer.post(subpage_of(pending, "homepage"), follow=True)
    assert "Wait a minute" in messages_in(response)


def test_words_for_reviewers_are_edited_on_a_page(as_reviewer: Browser) -> None:
    values = {"name": "Too vague", "step": "reject", "text": "Say what it is for.", "is_active": "on"}
    assert as_reviewer.post(list_of(CannedReason, "add"), values).status_code == 302
    again = as_reviewer.post(list_of(CannedReason, "add"), values)
    assert again.status_code == 200
    assert again.context["form"].errors["name"]
    row = CannedReason.objects.get(name="Too vague")
    as_reviewer.post(page_of(row), {**values, "text": "Say more."})
    row.refresh_from_db()
    assert row.text == "Say more."


def test_the_review_pages_cost_the_same_however_much_was_written(
    as_reviewer: Browser, pending: Organization, go_live: ChangeRequest, cast: Cast, now: datetime, django_assert_max_num_queries: Any
) -> None:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    def cost(row: Any) -> int:
        with CaptureQueriesContext(connection) as queries:
            as_reviewer.get(page_of(row))
        return len(queries)

    add_note(pending, cast.as_reviewer, "One", now=now)
    add_note(cast.organization, cast.as_reviewer, "One", now=now, request=go_live)
    before = cost(pending), cost(go_live)
    for number in range(6):
        add_note(pending, cast.as_reviewer, f"Note {number}", now=now)
        add_comment(go_live, person(cast.owner), f"Comment {number}", now=now)
    assert (cost(pending), cost(go_live)) == before


@pytest.mark.threat("R06")
def test_markup_in_notes_and_comments_is_shown_as_text(as_reviewer: Browser, go_live: ChangeRequest, cast: Cast, now: datetime) -> None:
    markup = "<img src=x onerror=alert(1)>"
    add_comment(go_live, person(cast.owner), markup, now=now)
    add_note(cast.organization, cast.as_reviewer, markup, now=now)
    body = as_reviewer.get(page_of(go_live)).content.decode()
    assert markup not in body
    assert body.count("&lt;img src=x") >= 2
