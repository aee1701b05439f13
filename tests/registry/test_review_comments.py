"""Comments between partner and reviewer, notes of our staff, and approving in spite of what the checks found."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from protocol.errors import TransitionRefused
from registry.actors import Actor, person
from registry.canned_reasons import reasons_for, save_canned_reason
from registry.lifecycle import assign_change, create_organization, decide_change, request_go_live, submission_digest, update_client
from registry.lifecycle.organizations import change_organization
from registry.models import AuditEvent, CannedReason, ChangeRequest, Client, Membership, ReviewComment
from registry.review_checks import CHANGE_CHECKS, changes_since_review, check_change_request, check_organization, results_of
from registry.review_comments import COMMENTS_LIMIT, TEXT_LIMIT, add_comment, add_note, comments_for_staff, thread_for_partner
from registry.reviews import approve_reviewed_change, approve_reviewed_organization, needs_override
from registry.working_days import add_working_days, working_days_between
from tests.conftest import Cast


@pytest.fixture
def change(cast: Cast, make_client: Callable[..., Client], now: datetime) -> ChangeRequest:
    """A request to go live of an app that asks for a sensitive scope."""
    return request_go_live(make_client(scope="bookings.read bookings.write"), cast.as_owner, now=now)


def refusal(call: Callable[[], Any]) -> str:
    with pytest.raises(TransitionRefused) as caught:
        call()
    return str(caught.value.reason)


def test_partner_and_reviewer_write_and_the_partner_reads_our_staff_as_one(change: ChangeRequest, cast: Cast, now: datetime) -> None:
    add_comment(change, person(cast.developer), "Why did you ask?\r\nTell us.", now=now)
    add_comment(change, cast.as_reviewer, "Which data is it?", now=now)
    thread = thread_for_partner(change)
    assert [(entry.author, entry.by_staff, entry.text) for entry in thread] == [
        ("Developer", False, "Why did you ask?\nTell us."),
        ("", True, "Which data is it?"),
    ]
    events = AuditEvent.objects.filter(event__in=("change.commented", "change.answered")).order_by("id")
    assert [(event.event, event.organization_id) for event in events] == [
        ("change.commented", cast.organization.pk),
        ("change.answered", cast.organization.pk),
    ]


@pytest.mark.threat("R09")
@pytest.mark.parametrize("who", ["viewer", "stranger"])
def test_who_has_no_part_in_the_request_does_not_write(change: ChangeRequest, cast: Cast, now: datetime, who: str) -> None:
    assert refusal(lambda: add_comment(change, person(getattr(cast, who)), "Hello", now=now)) == "permission"
    for role in ("operator", "auditor"):
        assert refusal(lambda role=role: add_comment(change, person(getattr(cast, role), staff=True), "Hello", now=now)) == "permission"
    assert not ReviewComment.objects.exists()


def test_nobody_reviews_by_comments_what_is_their_own_organizations(change: ChangeRequest, cast: Cast, now: datetime) -> None:
    Membership.objects.create(organization=cast.organization, user=cast.reviewer, role="viewer")
    assert refusal(lambda: add_comment(change, cast.as_reviewer, "Fine", now=now)) == "permission"
    assert refusal(lambda: add_note(cast.organization, cast.as_reviewer, "Fine", now=now)) == "permission"


@pytest.mark.parametrize(
    ("text", "reason"), [("", "text_missing"), (" \r\n ", "text_missing"), ("x" * (TEXT_LIMIT + 1), "text_too_long"), ("a\0b", "text")]
)
def test_a_comment_is_text_of_some_length(change: ChangeRequest, cast: Cast, now: datetime, text: str, reason: str) -> None:
    assert refusal(lambda: add_comment(change, cast.as_owner, text, now=now)) == reason
    assert refusal(lambda: add_note(cast.organization, cast.as_reviewer, text, now=now)) == reason


def test_a_thread_has_an_end(change: ChangeRequest, cast: Cast, now: datetime) -> None:
    rows = [ReviewComment(organization=cast.organization, change_request=change, by_staff=False, text="x")] * COMMENTS_LIMIT
    ReviewComment.objects.bulk_create(
        [ReviewComment(organization=row.organization, change_request=change, by_staff=False, text="x") for row in rows]
    )
    assert refusal(lambda: add_comment(change, cast.as_owner, "One more", now=now)) == "too_many"


def test_a_partner_writes_while_something_can_be_done_and_a_reviewer_also_after(change: ChangeRequest, cast: Cast, now: datetime) -> None:
    decide_change(change, "send_back", cast.as_reviewer, now=now, reason="Say more.")
    add_comment(change, cast.as_owner, "More it is.", now=now)
    decided = request_go_live(change.client, cast.as_owner, now=now)
    decide_change(decided, "reject", cast.as_reviewer, now=now, reason="No.")
    assert refusal(lambda: add_comment(decided, cast.as_owner, "Why?", now=now)) == "state"
    add_comment(decided, cast.as_reviewer, "Because.", now=now)


@pytest.mark.threat("R09")
def test_a_note_is_in_nothing_that_belongs_to_the_partner(change: ChangeRequest, cast: Cast, now: datetime) -> None:
    add_note(cast.organization, cast.as_reviewer, "We know them from Tidewater.", now=now)
    add_note(cast.organization, person(cast.operator, staff=True), "Their bank vouches.", now=now, request=change)
    assert thread_for_partner(change) == []
    assert [row.text for row in comments_for_staff(cast.organization, change)] == ["We know them from Tidewater.", "Their bank vouches."]
    assert [row.text for row in comments_for_staff(cast.organization)] == ["We know them from Tidewater."]
    events = AuditEvent.objects.filter(event="review.noted")
    assert {(event.organization_id, event.reason, str(event.difference)) for event in events} == {(None, "", "{}")}


@pytest.mark.parametrize("who", ["owner", "viewer", "stranger"])
def test_only_our_staff_writes_notes(cast: Cast, now: datetime, who: str) -> None:
    assert refusal(lambda: add_note(cast.organization, person(getattr(cast, who)), "Hello", now=now)) == "permission"
    assert refusal(lambda: add_note(cast.organization, person(cast.auditor, staff=True), "Hello", now=now)) == "permission"


def test_approving_in_spite_of_warnings_needs_a_reason_that_stays_inside(change: ChangeRequest, cast: Cast, now: datetime) -> None:
    assert needs_override(check_change_request(change, now=now))
    kept = {"digest": change.digest, "now": now, "reason": "Welcome."}
    assert refusal(lambda: approve_reviewed_change(change, cast.as_reviewer, **kept)) == "override_missing"
    change.refresh_from_db()
    assert (change.state, AuditEvent.objects.filter(event="change.approved").count()) == ("open", 0)
    approve_reviewed_change(change, cast.as_reviewer, **kept, override="They book for people.")
    change.refresh_from_db()
    note = ReviewComment.objects.get()
    assert (change.state, note.text, note.is_internal) == ("approved", "They book for people.", True)
    event = AuditEvent.objects.get(event="review.overridden")
    assert (event.difference["findings"][0], event.organization_id) == (["scope.sensitive"], None)


def test_what_passes_every_check_is_approved_without_explanation(cast: Cast, make_client: Callable[..., Client], now: datetime) -> None:
    change = request_go_live(make_client(), cast.as_owner, now=now)
    assert all(result.passed for result in results_of(CHANGE_CHECKS, check_change_request(change, now=now)))
    approve_reviewed_change(change, cast.as_reviewer, digest=change.digest, now=now)
    assert not ReviewComment.objects.exists()


def test_an_organization_that_resembles_another_needs_an_explanation_too(cast: Cast, now: datetime) -> None:
    actor = person(cast.stranger)
    contacts = {"technical": "t@tidewater.example", "security": "s@tidewater.example"}
    twin = create_organization(
        actor,
        cast.organization.legal_name,
        now=now,
        owner=cast.stranger,
        country="DK",
        website="https://tidewater.example",
        contacts=contacts,
    )
    twin = change_organization(twin, "submit", actor, now=now)
    assert "org.twin_legal_name" in {finding.code for finding in check_organization(twin)}
    kept = {"digest": submission_digest(twin), "now": now}
    assert refusal(lambda: approve_reviewed_organization(twin, cast.as_reviewer, **kept)) == "override_missing"
    assert approve_reviewed_organization(twin, cast.as_reviewer, **kept, override="A daughter.").state == "approved"


@pytest.mark.threat("R11")
def test_what_changed_after_it_was_read_is_said_before_anything_else(change: ChangeRequest, cast: Cast, now: datetime) -> None:
    assert refusal(lambda: approve_reviewed_change(change, cast.as_reviewer, digest="other", now=now)) == "changed"
    assign_change(change, cast.as_reviewer)
    update_client(change.client, cast.as_owner, {**change.client.metadata, "client_name": "Front"}, now=now)
    assert refusal(lambda: approve_reviewed_change(change, cast.as_reviewer, digest=change.digest, now=now)) == "state"


def test_what_changed_since_the_last_review_is_told_from_the_trail(cast: Cast, now: datetime) -> None:
    from registry.lifecycle import update_organization

    actor = person(cast.stranger)
    contacts = {"technical": "t@tidewater.example", "security": "s@tidewater.example"}
    made = create_organization(
        actor, "Tidewater", now=now, owner=cast.stranger, country="DK", website="https://old.example", contacts=contacts
    )
    change_organization(made, "submit", actor, now=now)
    assert changes_since_review(made) == {}
    change_organization(made, "request_changes", cast.as_reviewer, now=now, reason="Which website?")
    for website in ("https://wrong.example", "https://new.example"):
        update_organization(made, actor, website=website)
    update_organization(made, actor, contacts={"technical": "x@tidewater.example", "security": "s@tidewater.example"})
    assert changes_since_review(made) == {
        "website": ["https://old.example", "https://new.example"],
        "contact_technical": ["t@tidewater.example", "x@tidewater.example"],
    }


def test_words_for_reviewers_are_there_from_the_start_and_edited_by_reviewers_and_operators(cast: Cast) -> None:
    assert {row.step for row in CannedReason.objects.all()} == set(CannedReason.Step.values)
    values = {"name": "Wrong country", "step": "request_changes", "text": "Please check the country.", "is_active": True}
    actors: list[Actor] = [cast.as_reviewer, person(cast.operator, staff=True)]
    row = save_canned_reason(None, actors[0], **values)
    save_canned_reason(row, actors[1], **{**values, "is_active": False})
    save_canned_reason(row, actors[1], **{**values, "is_active": False})
    assert row not in reasons_for("request_changes")
    assert [event.event for event in AuditEvent.objects.filter(object_type="cannedreason").order_by("id")] == [
        "canned_reason.added",
        "canned_reason.changed",
    ]
    assert refusal(lambda: save_canned_reason(None, actors[0], **values)) == "duplicate"
    assert refusal(lambda: save_canned_reason(None, actors[0], **{**values, "name": "x", "step": "approve"})) == "step"
    for actor in (person(cast.auditor, staff=True), cast.as_owner):
        assert refusal(lambda actor=actor: save_canned_reason(None, actor, **{**values, "name": "Other"})) == "permission"


@pytest.mark.parametrize(
    ("start", "days", "end"),
    [
        (datetime(2026, 11, 23, 9, tzinfo=UTC), 2, datetime(2026, 11, 25, 9, tzinfo=UTC)),  # Monday to Wednesday
        (datetime(2026, 11, 27, 15, tzinfo=UTC), 2, datetime(2026, 12, 1, 15, tzinfo=UTC)),  # Friday to Tuesday
        (datetime(2026, 11, 28, 15, tzinfo=UTC), 1, datetime(2026, 12, 1, tzinfo=UTC)),  # Saturday waits from Monday
        (datetime(2026, 11, 23, 9, tzinfo=UTC), 11, datetime(2026, 12, 8, 9, tzinfo=UTC)),
    ],
)
def test_working_days_leave_out_weekends(start: datetime, days: int, end: datetime) -> None:
    assert add_working_days(start, days) == end
    assert working_days_between(start, end) == days
    assert working_days_between(start, end - timedelta(seconds=1)) == days - 1
    assert working_days_between(end, start) == 0
