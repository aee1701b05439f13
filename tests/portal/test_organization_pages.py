"""Pages of an organization: created as a draft, completed, submitted, withdrawn, closed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.test import Client as Browser
from django.urls import reverse
from pytest_django.asserts import assertContains, assertNotContains, assertRedirects

from registry.actors import person
from registry.lifecycle import change_organization
from registry.models import AuditEvent, Membership, Organization
from tests.conftest import Cast, make_organization

COMPLETE = {
    "legal_name": "Driftwood Labs",
    "country": "DK",
    "registration_number": "DK-77",
    "website": "https://driftwood.example",
    "contact_technical": "tech@driftwood.example",
    "contact_security": "security@driftwood.example",
}


def create(browser: Browser, fill: Callable[..., Any], **values: Any) -> Any:
    return fill(browser, reverse("organization_new"), "legal_name", **{**COMPLETE, **values})


def test_the_list_invites_a_person_without_organization_to_register_one(cast: Cast, sign_in: Callable[..., Browser]) -> None:
    assertContains(sign_in("stranger").get(reverse("organizations")), "No organization yet")


def test_a_new_organization_is_a_draft_and_its_creator_the_owner(
    cast: Cast, sign_in: Callable[..., Browser], fill: Callable[..., Any]
) -> None:
    response = create(sign_in("stranger"), fill, email_domains="driftwood.example\nlabs.example")
    organization = Organization.objects.get(legal_name="Driftwood Labs")
    assertRedirects(response, reverse("organization", args=[organization.slug]))
    assert organization.state == Organization.State.DRAFT
    assert organization.email_domains == ["driftwood.example", "labs.example"]
    assert organization.memberships.get().role == Membership.Role.OWNER
    assert sorted(organization.contacts.values_list("kind", flat=True)) == ["security", "technical"]


def test_an_incomplete_organization_is_saved_all_the_same(cast: Cast, sign_in: Callable[..., Browser], fill: Callable[..., Any]) -> None:
    browser = sign_in("stranger")
    response = create(browser, fill, country="", website="", contact_technical="", contact_security="")
    assertContains(response, "Before it can be submitted it needs: country, website, technical contact, security contact.")


def test_a_taken_registration_number_is_said_next_to_the_field_and_reveals_nobody(
    cast: Cast, sign_in: Callable[..., Browser], fill: Callable[..., Any]
) -> None:
    create(sign_in("owner"), fill)
    response = create(sign_in("stranger"), fill, legal_name="Other Name")
    assertContains(response, "An organization with this registration number is registered already")
    assert response.context["form"].errors.keys() == {"registration_number"}
    assertNotContains(response, "owner@lighthouse.example")
    assert response.context["form"]["legal_name"].value() == "Other Name"


def test_what_is_wrong_stands_next_to_its_field_with_its_line(
    cast: Cast, sign_in: Callable[..., Browser], fill: Callable[..., Any]
) -> None:
    response = create(
        sign_in("stranger"), fill, website="http://driftwood.example", email_domains="good.example\n\nnot a domain", contact_security="x"
    )
    assert response.context["form"].errors.keys() == {"website", "email_domains", "contact_security"}
    assertContains(response, "Line 3: This is not a domain.")
    assert not Organization.objects.filter(legal_name="Driftwood Labs").exists()


def test_posting_the_same_page_twice_makes_one_organization(
    cast: Cast, sign_in: Callable[..., Browser], form_on: Callable[..., dict[str, Any]]
) -> None:
    browser, url = sign_in("stranger"), reverse("organization_new")
    data = {**form_on(browser.get(url), "legal_name"), **COMPLETE}
    first, second = browser.post(url, data), browser.post(url, data)
    assert first["Location"] == second["Location"]
    assert Organization.objects.filter(legal_name="Driftwood Labs").count() == 1


def test_a_refused_page_can_be_corrected_and_sent_again(
    cast: Cast, sign_in: Callable[..., Browser], form_on: Callable[..., dict[str, Any]]
) -> None:
    browser, url = sign_in("stranger"), reverse("organization_new")
    data = {**form_on(browser.get(url), "legal_name"), **COMPLETE}
    refused = browser.post(url, {**data, "website": "nonsense"})
    assert refused.status_code == 200
    assert browser.post(url, {**form_on(refused, "legal_name"), **COMPLETE}).status_code == 302


def test_an_owner_submits_and_withdraws(cast: Cast, sign_in: Callable[..., Browser], fill: Callable[..., Any]) -> None:
    browser = sign_in("stranger")
    create(browser, fill)
    organization = Organization.objects.get(legal_name="Driftwood Labs")
    profile = browser.get(reverse("organization_profile", args=[organization.slug]))
    assertContains(profile, "Submit for approval")
    response = browser.post(reverse("organization_step", args=[organization.slug, "submit"]), follow=True)
    assertContains(response, "Waiting for a reviewer")
    organization.refresh_from_db()
    assert organization.state == Organization.State.PENDING
    browser.post(reverse("organization_step", args=[organization.slug, "withdraw"]))
    organization.refresh_from_db()
    assert organization.state == Organization.State.DRAFT


def test_submitting_an_incomplete_organization_says_what_is_missing(
    cast: Cast, foreign: Organization, sign_in: Callable[..., Browser]
) -> None:
    response = sign_in("stranger").post(reverse("organization_step", args=[foreign.slug, "submit"]), follow=True)
    assertContains(response, "Before it can be reviewed the organization needs: website")
    foreign.refresh_from_db()
    assert foreign.state == Organization.State.DRAFT


def test_settled_identity_cannot_be_typed_over_but_the_rest_can(cast: Cast, owner: Browser, fill: Callable[..., Any]) -> None:
    url = reverse("organization_profile", args=[cast.organization.slug])
    data = {"legal_name": "Someone Else", "country": "SE", "website": "https://new.example", "contact_technical": "new@lighthouse.example"}
    fill(owner, url, "website", **data)
    cast.organization.refresh_from_db()
    assert (cast.organization.legal_name, cast.organization.country) == ("Lighthouse Travel", "NO")
    assert cast.organization.website == "https://new.example"
    event = AuditEvent.objects.filter(event="org.updated").first()
    assert event is not None
    assert event.difference["contact_technical"] == ["tech@lighthouse.example", "new@lighthouse.example"]


def test_saving_without_a_change_leaves_no_trace(cast: Cast, owner: Browser, fill: Callable[..., Any]) -> None:
    fill(owner, reverse("organization_profile", args=[cast.organization.slug]), "website")
    assert not AuditEvent.objects.filter(event="org.updated").exists()


def test_closing_takes_the_typed_name(cast: Cast, foreign: Organization, sign_in: Callable[..., Browser]) -> None:
    browser, url = sign_in("stranger"), reverse("organization_step", args=[foreign.slug, "close"])
    assertContains(browser.post(url, {"typed_name": "tidewater"}), "This is not the name")
    foreign.refresh_from_db()
    assert foreign.state == Organization.State.DRAFT
    browser.post(url, {"typed_name": "Tidewater Insurance"})
    foreign.refresh_from_db()
    assert foreign.state == Organization.State.CLOSED


def test_a_suspended_organization_says_why_and_what_still_works(cast: Cast, owner: Browser, now: datetime) -> None:
    change_organization(cast.organization, "suspend", cast.as_reviewer, now=now, reason="A key of yours was published.")
    response = owner.get(reverse("organization", args=[cast.organization.slug]))
    assertContains(response, "A key of yours was published.")
    assertContains(response, "work again after reinstatement")


def test_a_rejected_organization_is_reopened_once(cast: Cast, now: datetime, sign_in: Callable[..., Browser]) -> None:
    organization = make_organization(cast.stranger, cast.reviewer, now, "Driftwood Labs", approve=False)
    browser, url = sign_in("stranger"), reverse("organization_step", args=[organization.slug, "reopen"])
    staff = person(cast.reviewer, staff=True)
    for _ in range(2):
        organization = change_organization(organization, "submit", person(cast.stranger), now=now)
        organization = change_organization(organization, "reject", staff, now=now, reason="Not a company.")
        response = browser.post(url, follow=True)
    assertContains(response, "can be reopened once")


def test_the_overview_ticks_what_is_done(cast: Cast, owner: Browser, make_client: Callable[..., Any]) -> None:
    url = reverse("organization", args=[cast.organization.slug])
    before = {item["title"]: item["done"] for item in owner.get(url).context["checklist"]}
    make_client()
    after = {item["title"]: item["done"] for item in owner.get(url).context["checklist"]}
    assert before["Get approved"]
    assert not before["Register a test app"]
    assert after["Register a test app"]


def test_activity_shows_colleagues_but_neither_name_nor_address_of_staff(cast: Cast, owner: Browser) -> None:
    AuditEvent.objects.create(
        organization=cast.organization,
        actor_kind="staff",
        actor_label="reviewer@credence.example",
        source_address="203.0.113.7",
        object_type="organization",
        object_id="x",
        event="org.approved",
    )
    AuditEvent.objects.create(
        organization=cast.organization,
        actor_kind="user",
        actor_label="developer@lighthouse.example",
        source_address="198.51.100.9",
        object_type="client",
        object_id="x",
        object_label="Back office",
        event="client.updated",
    )
    response = owner.get(reverse("organization_activity", args=[cast.organization.slug]))
    assertContains(response, "Our staff")
    assertNotContains(response, "reviewer@credence.example")
    assertNotContains(response, "203.0.113.7")
    assertContains(response, "developer@lighthouse.example")


def test_activity_has_pages_of_25(cast: Cast, owner: Browser) -> None:
    AuditEvent.objects.bulk_create(
        AuditEvent(organization=cast.organization, actor_kind="user", object_type="organization", object_id=str(n), event="org.updated")
        for n in range(40)
    )
    url = reverse("organization_activity", args=[cast.organization.slug])
    assert len(owner.get(url).context["events"]) == 25
    assertContains(owner.get(url, {"page": "2"}), "Previous page")
    assert owner.get(url, {"page": "nonsense"}).status_code == 200
