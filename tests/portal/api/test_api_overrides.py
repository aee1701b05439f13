"""What the automatic checks found is explained by whoever approves it, a person on the review page or a program by the API."""

from __future__ import annotations

from datetime import datetime

import pytest

from registry.actors import person
from registry.lifecycle import change_organization, register_client, request_go_live
from registry.models import AuditEvent, ChangeRequest, Client, Organization, ReviewComment
from tests.conftest import Cast
from tests.portal.api.support import Machine

pytestmark = pytest.mark.threat("R11")


@pytest.fixture
def sensitive(cast: Cast, now: datetime) -> ChangeRequest:
    """A request to go live with a sensitive scope."""
    document = {"client_name": "Back office", "grant_types": ["client_credentials"], "scope": "bookings.write"}
    client = register_client(cast.as_owner, cast.organization, document, now=now)
    return request_go_live(client, cast.as_owner, now=now)


@pytest.fixture
def elsewhere(foreign: Organization, cast: Cast, admin: Machine, now: datetime) -> Organization:
    """An organization that waits for review, whose owner writes from another domain than it names."""
    contacts = {"technical": "t@tidewater.example", "security": "s@tidewater.example"}
    answer = admin.send(
        "PATCH", f"/organizations/{foreign.slug}", {"website": "https://ferries.example", "email_domains": [], "contacts": contacts}
    )
    assert answer.status_code == 200, answer.content
    return change_organization(foreign, "submit", person(cast.stranger), now=now)


def test_a_program_that_approves_an_app_in_spite_of_the_checks_says_why(sensitive: ChangeRequest, admin: Machine) -> None:
    path = f"/change-requests/{sensitive.reference}/decisions"
    for override in ({}, {"override": ""}, {"override": "  \n"}):
        refused = admin.post(path, {"step": "approve", "digest": sensitive.digest, **override})
        assert refused.status_code == 400
        (item,) = refused.json()["errors"]
        assert (item["field"], item["code"]) == ("override", "override_missing")
        assert "Asks for the sensitive scope bookings.write" in item["sentence"]
    sensitive.refresh_from_db()
    assert sensitive.state == "open"
    assert Client.objects.get(pk=sensitive.client_id).stage == "test"
    assert not ReviewComment.objects.exists()
    done = admin.post(path, {"step": "approve", "digest": sensitive.digest, "override": "Their auditor asked for it."})
    assert (done.status_code, done.json()["state"]) == (200, "approved")
    note = ReviewComment.objects.get()
    assert (note.text, note.is_internal, note.by_staff, note.author) == ("Their auditor asked for it.", True, True, None)
    event = AuditEvent.objects.get(event="review.overridden")
    assert (event.actor_id, event.difference["findings"][0]) == (admin.client.client_id, ["scope.sensitive"])
    assert "Their auditor" not in done.content.decode()


def test_a_program_that_approves_an_organization_in_spite_of_the_checks_says_why(elsewhere: Organization, admin: Machine) -> None:
    path, steps = f"/organizations/{elsewhere.slug}", f"/organizations/{elsewhere.slug}/transitions"
    digest = admin.get(path)["submission_digest"]
    for given in ({"digest": digest}, {}):
        refused = admin.post(steps, {"step": "approve", **given})
        assert refused.status_code == 400
        assert [(item["field"], item["code"]) for item in refused.json()["errors"]] == [("override", "override_missing")]
    assert admin.get(path)["state"] == "pending"
    done = admin.post(steps, {"step": "approve", "digest": digest, "override": "The bank confirmed who they are."})
    assert (done.status_code, done.json()["state"]) == (200, "approved")
    assert ReviewComment.objects.get().text == "The bank confirmed who they are."


def test_what_the_checks_pass_needs_no_words(cast: Cast, admin: Machine, now: datetime) -> None:
    document = {"client_name": "Back office", "grant_types": ["client_credentials"], "scope": "bookings.read"}
    client = register_client(cast.as_owner, cast.organization, document, now=now)
    change = request_go_live(client, cast.as_owner, now=now)
    done = admin.post(f"/change-requests/{change.reference}/decisions", {"step": "approve", "digest": change.digest})
    assert done.status_code == 200
    assert not ReviewComment.objects.exists()


@pytest.mark.parametrize("override", [7, ["x"], None, "x" * 2001])
def test_an_override_that_is_no_text_is_refused_at_its_field(sensitive: ChangeRequest, admin: Machine, override: object) -> None:
    path = f"/change-requests/{sensitive.reference}/decisions"
    refused = admin.post(path, {"step": "approve", "digest": sensitive.digest, "override": override})
    assert refused.status_code == 400
    assert [item["field"] for item in refused.json()["errors"]] == ["override"]


def test_a_partner_cannot_override_anything(sensitive: ChangeRequest, own: Machine) -> None:
    path = f"/change-requests/{sensitive.reference}/decisions"
    refused = own.post(path, {"step": "approve", "digest": sensitive.digest, "override": "We are fine."})
    assert (refused.status_code, refused.json()["reason"]) == (403, "permission")


def test_the_openapi_document_names_the_field(admin: Machine) -> None:
    schemas = admin.get("/openapi.json")["components"]["schemas"]
    for name in ("ChangeDecision", "OrganizationTransition"):
        field = schemas[name]["properties"]["override"]
        assert field["type"] == "string"
        assert "automatic checks" in field["description"]
        assert "override" not in schemas[name]["required"]
