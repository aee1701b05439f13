"""The page of a change request as the partner sees it: difference, checks, and the conversation with the reviewer."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from registry.lifecycle import approve_change, decide_change, request_go_live
from registry.models import ChangeRequest, Client, ReviewComment
from registry.review_comments import add_comment, add_note
from tests.conftest import Cast

Address = Callable[..., str]


@pytest.fixture
def change(cast: Cast, make_client: Callable[..., Client], now: datetime) -> ChangeRequest:
    """A request to go live."""
    return request_go_live(make_client(scope="bookings.read bookings.write"), cast.as_owner, now=now)


@pytest.fixture
def url(change: ChangeRequest, app_url: Address) -> str:
    return app_url("app_change", change.client, change.reference)


@pytest.fixture
def comment_url(change: ChangeRequest, app_url: Address) -> str:
    return app_url("app_change_comment", change.client, change.reference)


def test_partner_and_reviewer_talk_and_our_staff_has_no_name(
    developer: Browser, change: ChangeRequest, url: str, comment_url: str, cast: Cast, now: datetime, fill: Callable[..., Any]
) -> None:
    fill(developer, url, "text", to=comment_url, text="Is anything missing?")
    add_comment(change, cast.as_reviewer, "Which data is it?", now=now + timedelta(minutes=5))
    body = developer.get(url).content.decode()
    assert body.index("Is anything missing?") < body.index("Which data is it?")
    assert "Our staff" in body
    assert cast.reviewer.email not in body
    assert ">Reviewer<" not in body


def test_a_comment_is_written_once(
    developer: Browser, change: ChangeRequest, url: str, comment_url: str, form_on: Callable[..., Any]
) -> None:
    data = {**form_on(developer.get(url), "text"), "text": "Hello"}
    for _ in range(2):
        assert developer.post(comment_url, data).url == f"{url}#comments"
    assert ReviewComment.objects.count() == 1


@pytest.mark.parametrize("text", ["", "   ", "x" * 4001, "a\0b"])
def test_a_comment_that_is_refused_stays_in_the_form(developer: Browser, comment_url: str, text: str) -> None:
    response = developer.post(comment_url, {"once": "n" * 20, "text": text})
    assert response.status_code == 200
    assert response.context["form"].errors["text"]
    assert not ReviewComment.objects.exists()


def test_a_viewer_reads_and_is_offered_no_form(
    viewer: Browser, owner: Browser, change: ChangeRequest, url: str, comment_url: str, cast: Cast, now: datetime
) -> None:
    add_comment(change, cast.as_reviewer, "Which data is it?", now=now)
    page = viewer.get(url)
    assert "Which data is it?" in page.content.decode()
    assert "Send to the reviewer" not in page.content.decode()
    assert "Send to the reviewer" in owner.get(url).content.decode()
    refused = viewer.post(comment_url, {"once": "n" * 20, "text": "Hello"})
    assert refused.status_code == 403
    assert b"owner or developer" in refused.content


@pytest.mark.threat("R09")
def test_internal_notes_never_reach_the_page(owner: Browser, change: ChangeRequest, url: str, cast: Cast, now: datetime) -> None:
    add_note(cast.organization, cast.as_reviewer, "They owe us money", now=now, request=change)
    add_note(cast.organization, cast.as_reviewer, "They owe us money", now=now)
    page = owner.get(url)
    assert "They owe us money" not in page.content.decode()
    assert page.context["thread"] == []


def test_the_checklist_of_going_live_is_there_while_something_can_be_done(
    owner: Browser, change: ChangeRequest, url: str, cast: Cast, now: datetime
) -> None:
    titles = {str(item["title"]): item["done"] for item in owner.get(url).context["items"]}
    assert titles["The organization is approved"]
    assert not titles["It has a credential that works"]
    decide_change(change, "send_back", cast.as_reviewer, now=now, reason="Say more.")
    assert owner.get(url).context["items"]
    assert "Ask again" in owner.get(url).content.decode()
    again = request_go_live(change.client, cast.as_owner, now=now)
    approve_change(again, cast.as_reviewer, digest=again.digest, now=now)
    done = owner.get(url.replace(str(change.reference), str(again.reference)))
    assert "items" not in done.context or not done.context["items"]
    assert "Send to the reviewer" not in done.content.decode()


def test_nobody_writes_about_what_is_decided(owner: Browser, change: ChangeRequest, comment_url: str, cast: Cast, now: datetime) -> None:
    decide_change(change, "reject", cast.as_reviewer, now=now, reason="No.")
    response = owner.post(comment_url, {"once": "n" * 20, "text": "Why?"})
    assert response.status_code == 200
    assert "nobody reads new comments" in response.content.decode()


def test_the_page_costs_the_same_however_much_was_written(
    owner: Browser, change: ChangeRequest, url: str, cast: Cast, now: datetime
) -> None:
    def cost() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert owner.get(url).status_code == 200
        return len(queries)

    add_comment(change, cast.as_owner, "One", now=now)
    before = cost()
    for number in range(8):
        add_comment(change, cast.as_owner if number % 2 else cast.as_reviewer, f"Comment {number}", now=now)
    assert cost() == before <= 13


@pytest.mark.threat("R06")
def test_markup_of_the_reviewer_is_shown_as_text(owner: Browser, change: ChangeRequest, url: str, cast: Cast, now: datetime) -> None:
    add_comment(change, cast.as_reviewer, "<script>alert(1)</script>", now=now)
    body = owner.get(url).content.decode()
    assert "<script>alert" not in body
    assert "&lt;script&gt;" in body


def test_the_profile_tells_what_was_decided_about_the_organization(owner: Browser, cast: Cast) -> None:
    page = owner.get(reverse("organization_profile", args=[cast.organization.slug]))
    assert [str(entry.sentence) for entry in page.context["history"]] == [
        "Organization approved",
        "A reviewer looks at the organization",
        "Organization submitted for approval",
    ]
    assert cast.reviewer.email not in page.content.decode()


def test_closing_says_what_stops_working(owner: Browser, change: ChangeRequest, app_url: Address) -> None:
    page = owner.get(app_url("app_delete", change.client))
    assert page.context["ends"]["open_request"] == change
    body = page.content.decode()
    assert "Access tokens alive now" in body
    assert "Secrets that work now" in body
