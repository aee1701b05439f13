"""Reviewing organizations and change requests in the staff pages."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client as Browser
from django.urls import reverse

from protocol.jose import generate_private_key
from registry.actors import person
from registry.lifecycle import (
    change_organization,
    create_organization,
    register_client,
    request_go_live,
    update_client,
    update_organization,
)
from registry.models import AuditEvent, ChangeRequest, Client, Membership, Organization, User
from tests.conftest import Cast
from tests.portal.admin.conftest import messages_in, page_of, step_of


def codes_on(response: Any) -> set[str]:
    """Return the codes of what the automatic checks found."""
    return {finding.code for check in response.context["checks"] for finding in check.findings}


def test_the_queue_shows_what_waits_oldest_first(as_reviewer: Browser, pending: Organization, go_live: ChangeRequest) -> None:
    Organization.objects.filter(pk=pending.pk).update(submitted_at=go_live.submitted_at - timedelta(days=3))
    items = as_reviewer.get(reverse("staff:queue")).context["items"]
    assert [item.name for item in items] == ["Tidewater Ferries", "Back office"]


def test_the_queue_can_be_narrowed_to_mine_and_to_unassigned(as_reviewer: Browser, pending: Organization, go_live: ChangeRequest) -> None:
    as_reviewer.post(step_of(go_live, "assign"))
    names = {}
    for shown in ("mine", "unassigned", "all", "nonsense"):
        names[shown] = [item.name for item in as_reviewer.get(reverse("staff:queue"), {"show": shown}).context["items"]]
    assert names["mine"] == ["Back office"]
    assert names["unassigned"] == ["Tidewater Ferries"]
    assert len(names["all"]) == len(names["nonsense"]) == 2


def test_the_queue_is_the_first_link_of_the_index(as_reviewer: Browser, pending: Organization) -> None:
    response = as_reviewer.get(reverse("staff:index"))
    assert response.context["app_list"][0]["models"][0]["admin_url"] == reverse("staff:queue")
    assert "1 organization waits" in response.content.decode()


def test_the_queue_needs_the_same_queries_however_much_waits(
    as_reviewer: Browser, cast: Cast, go_live: ChangeRequest, pending: Organization, now: datetime, django_assert_num_queries: Any
) -> None:
    with django_assert_num_queries(7):
        as_reviewer.get(reverse("staff:queue"))
    for number in range(5):
        actor = person(cast.stranger)
        organization = _submitted(f"Partner {number}", actor, cast.stranger, now)
        change_organization(organization, "assign", person(cast.reviewer, staff=True), now=now)
    with django_assert_num_queries(7):
        as_reviewer.get(reverse("staff:queue"))


def _submitted(name: str, actor: Any, owner: User, now: datetime) -> Organization:
    contacts = {"technical": "t@tidewater.example", "security": "s@tidewater.example"}
    made = create_organization(actor, name, now=now, owner=owner, country="DK", website="https://t.example", contacts=contacts)
    return change_organization(made, "submit", actor, now=now)


def test_a_reviewer_takes_and_approves_an_organization(as_reviewer: Browser, pending: Organization, cast: Cast) -> None:
    as_reviewer.post(step_of(pending, "assign"))
    digest = as_reviewer.get(page_of(pending)).context["digest"]
    response = as_reviewer.post(step_of(pending, "approve"), {"digest": digest, "reason": "Welcome."}, follow=True)
    pending.refresh_from_db()
    assert pending.state == "approved"
    assert pending.reviewer == cast.reviewer
    assert "approved" in messages_in(response)
    event = AuditEvent.objects.filter(event="org.approved", object_id=str(pending.org_id)).get()
    assert (event.actor_kind, event.actor_label, event.reason) == ("staff", cast.reviewer.email, "Welcome.")


@pytest.mark.threat("R11")
def test_an_organization_that_changed_after_it_was_read_is_not_approved(as_reviewer: Browser, pending: Organization, cast: Cast) -> None:
    digest = as_reviewer.get(page_of(pending)).context["digest"]
    update_organization(pending, person(cast.stranger), website="https://phish.example")
    response = as_reviewer.post(step_of(pending, "approve"), {"digest": digest}, follow=True)
    pending.refresh_from_db()
    assert pending.state == "pending"
    assert "no longer what you reviewed" in messages_in(response)


@pytest.mark.threat("R11")
def test_an_approval_that_says_nothing_of_what_was_read_is_refused(
    as_reviewer: Browser, pending: Organization, go_live: ChangeRequest
) -> None:
    for row in (pending, go_live):
        response = as_reviewer.post(step_of(row, "approve"), {"override": "It is fine."}, follow=True)
        assert "no longer what you reviewed" in messages_in(response)
        row.refresh_from_db()
        assert row.state in ("pending", "open")


def test_sending_back_needs_words_for_the_partner(as_reviewer: Browser, pending: Organization) -> None:
    response = as_reviewer.post(step_of(pending, "request_changes"), {"reason": "  "})
    assert response.status_code == 200
    assert "This field is required" in response.content.decode()
    as_reviewer.post(step_of(pending, "request_changes"), {"reason": "Which country is this?"})
    pending.refresh_from_db()
    assert (pending.state, pending.state_reason) == ("changes_requested", "Which country is this?")


def test_a_rejected_organization_can_be_reopened_by_staff(as_reviewer: Browser, pending: Organization) -> None:
    as_reviewer.post(step_of(pending, "reject"), {"reason": "A copy of another one."})
    pending.refresh_from_db()
    assert pending.state == "rejected"
    as_reviewer.post(step_of(pending, "reopen"))
    pending.refresh_from_db()
    assert pending.state == "draft"


def test_what_a_colleague_reviews_is_not_decided_by_another(
    pending: Organization, go_live: ChangeRequest, cast: Cast, sign_in: Any
) -> None:
    colleague = User.objects.create_user("second@credence.example", staff_role="reviewer")
    first, second = sign_in(cast.reviewer), sign_in(colleague)
    for row in (pending, go_live):
        first.post(step_of(row, "assign"))
        response = second.post(step_of(row, "reject"), {"reason": "No."}, follow=True)
        assert "assign it to yourself first" in messages_in(response)
        row.refresh_from_db()
        assert row.state in ("pending", "open")


def test_nobody_reviews_an_organization_of_their_own(pending: Organization, cast: Cast, as_reviewer: Browser) -> None:
    Membership.objects.create(organization=pending, user=cast.reviewer, role="viewer")
    page = as_reviewer.get(page_of(pending))
    assert page.context["offered"] == []
    assert "a colleague must review it" in page.content.decode()
    for step in ("assign", "approve", "reject"):
        as_reviewer.post(step_of(pending, step), {"reason": "Because.", "digest": page.context["digest"]})
    pending.refresh_from_db()
    assert (pending.state, pending.reviewer) == ("pending", None)


@pytest.mark.threat("R11")
def test_nobody_approves_what_they_submitted(go_live: ChangeRequest, cast: Cast, as_reviewer: Browser) -> None:
    ChangeRequest.objects.filter(pk=go_live.pk).update(submitted_by=cast.reviewer)
    page = as_reviewer.get(page_of(go_live))
    assert page.context["offered"] == []
    response = as_reviewer.post(step_of(go_live, "approve"), {"digest": go_live.digest, "override": "It needs the scope."}, follow=True)
    assert "a colleague must review it" in messages_in(response)
    go_live.refresh_from_db()
    assert go_live.state == "open"


def test_an_approved_request_puts_the_app_live(as_reviewer: Browser, go_live: ChangeRequest, app: Client) -> None:
    page = as_reviewer.get(page_of(go_live))
    assert f'value="{go_live.digest}"' in page.content.decode()
    as_reviewer.post(step_of(go_live, "approve"), {"digest": go_live.digest, "override": "It needs the scope."})
    app.refresh_from_db()
    assert app.stage == "live"


@pytest.mark.threat("R11")
def test_a_request_whose_app_changed_after_it_was_read_is_not_approved(
    as_reviewer: Browser, go_live: ChangeRequest, app: Client, rename: Callable[[Client], Any]
) -> None:
    as_reviewer.get(page_of(go_live))
    rename(app)
    response = as_reviewer.post(step_of(go_live, "approve"), {"digest": go_live.digest, "override": "It needs the scope."}, follow=True)
    assert "cannot be done while it is superseded" in messages_in(response)
    app.refresh_from_db()
    assert app.stage == "test"


def test_a_request_is_sent_back_and_the_app_stays_as_it_is(as_reviewer: Browser, go_live: ChangeRequest, app: Client) -> None:
    as_reviewer.post(step_of(go_live, "send_back"), {"reason": "Drop the write scope."})
    go_live.refresh_from_db()
    app.refresh_from_db()
    assert (go_live.state, go_live.reason, app.stage) == ("sent_back", "Drop the write scope.", "test")


def test_two_posts_make_one_transition(as_reviewer: Browser, pending: Organization, go_live: ChangeRequest) -> None:
    digest = as_reviewer.get(page_of(pending)).context["digest"]
    for _ in range(2):
        as_reviewer.post(step_of(pending, "approve"), {"digest": digest})
        response = as_reviewer.post(step_of(go_live, "approve"), {"digest": go_live.digest, "override": "It needs the scope."}, follow=True)
    assert "cannot be done while it is approved" in messages_in(response)
    assert AuditEvent.objects.filter(event="org.approved", object_id=str(pending.org_id)).count() == 1
    assert AuditEvent.objects.filter(event="change.approved").count() == 1


def test_the_review_page_points_at_what_is_odd(as_reviewer: Browser, cast: Cast, now: datetime, pending: Organization) -> None:
    Organization.objects.filter(pk=cast.organization.pk).update(registration_number="912 345")
    Organization.objects.filter(pk=pending.pk).update(registration_number="912 345")
    codes = codes_on(as_reviewer.get(page_of(pending)))
    assert "org.twin_registration_number" in codes
    assert "org.owner_elsewhere" not in codes


def test_the_review_of_a_request_points_at_hosts_scopes_and_shared_keys(
    as_reviewer: Browser, cast: Cast, now: datetime, pending: Organization
) -> None:
    jwks = {"keys": [generate_private_key("ES256").public_jwk()]}
    document = {
        "client_name": "Web",
        "redirect_uris": ["https://elsewhere.example/cb"],
        "grant_types": ["authorization_code"],
        "token_endpoint_auth_method": "private_key_jwt",
        "jwks": jwks,
        "scope": "bookings.write",
    }
    register_client(person(cast.stranger), pending, document, now=now)
    client = register_client(person(cast.owner), cast.organization, document, now=now)
    request = request_go_live(client, person(cast.owner), now=now)
    codes = codes_on(as_reviewer.get(page_of(request)))
    assert {"redirect_uri.elsewhere", "scope.sensitive", "jwks.shared"} <= codes


def test_the_page_of_a_request_shows_what_differs(
    as_reviewer: Browser, go_live: ChangeRequest, app: Client, cast: Cast, now: datetime
) -> None:
    as_reviewer.post(step_of(go_live, "approve"), {"digest": go_live.digest, "override": "It needs the scope."})
    app.refresh_from_db()
    document = {
        "client_name": app.name,
        "grant_types": ["client_credentials", "authorization_code"],
        "redirect_uris": ["https://lighthouse.example/cb"],
    }
    update = update_client(app, person(cast.owner), document, now=now)
    assert update.change_request is not None
    rows = as_reviewer.get(page_of(update.change_request)).context["diff"]
    assert {row.member for row in rows if row.changed} >= {"grant_types", "redirect_uris"}
