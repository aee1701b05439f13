"""Entities that a new organization names: claimed with it, unproven, all or none."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from django.test import Client as Browser
from django.urls import reverse
from pytest_django.asserts import assertContains

from federation.entity_claims import CLAIMS_LIMIT
from federation.models import EntityClaim
from registry.models import AuditEvent, Organization
from tests.conftest import Cast
from tests.federation.registration.support import claim

NEW = "/org/new/"


def create(browser: Browser, fill: Callable[..., Any], entity_ids: str, **values: Any) -> Any:
    return fill(browser, NEW, "legal_name", **{"legal_name": "Driftwood Labs", "entity_ids": entity_ids, **values})


def findings_of(response: Any) -> list[str]:
    return [finding.sentence for finding in response.context["form"].fields["entity_ids"].findings]


@pytest.fixture
def browser(sign_in: Callable[..., Browser]) -> Browser:
    """A browser of somebody without an organization."""
    return sign_in("stranger")


def test_entities_that_are_named_are_claimed_and_wait_for_their_proof_on_the_federation_page(
    browser: Browser, fill: Callable[..., Any]
) -> None:
    response = create(browser, fill, "https://one.example\n\n  https://two.example/rp \nhttps://one.example")
    assertContains(response, "Prove them on the page Federation")
    claims = EntityClaim.objects.filter(organization__legal_name="Driftwood Labs").order_by("entity_id")
    assert [(row.entity_id, row.proven_at, bool(row.challenge)) for row in claims] == [
        ("https://one.example", None, True),
        ("https://two.example/rp", None, True),
    ]
    page = browser.get(reverse("organization_federation", args=[claims[0].organization.slug]))
    assertContains(page, "Prove it in one of two ways.", count=2)
    assert AuditEvent.objects.filter(event="entity.claimed").count() == 2


def test_without_entities_nothing_is_claimed_and_nothing_said_of_it(browser: Browser, fill: Callable[..., Any]) -> None:
    response = create(browser, fill, " \n ")
    assert "Prove them" not in response.content.decode()
    assert not EntityClaim.objects.exists()


def test_a_bad_line_is_named_and_nothing_is_made_or_lost(cast: Cast, browser: Browser, fill: Callable[..., Any], now: datetime) -> None:
    claim("https://taken.example", cast.organization, now)
    typed = "https://fine.example\n\nhttp://plain.example\nhttps://taken.example"
    response = create(browser, fill, typed, country="DK")
    third, fourth = findings_of(response)
    assert third.startswith("Line 3: This is no entity identifier.")
    assert fourth.startswith("Line 4: This entity belongs to another organization here.")
    assert (response.context["form"]["entity_ids"].value(), response.context["form"]["country"].value()) == (typed, "DK")
    assert not Organization.objects.filter(legal_name="Driftwood Labs").exists()
    assert not EntityClaim.objects.filter(entity_id="https://fine.example").exists()
    assert not AuditEvent.objects.filter(event="org.created", object_label="Driftwood Labs").exists()


def test_a_refused_page_can_be_corrected_and_sent_again(
    browser: Browser, fill: Callable[..., Any], form_on: Callable[..., dict[str, Any]]
) -> None:
    refused = create(browser, fill, "nonsense")
    answer = browser.post(NEW, {**form_on(refused, "legal_name"), "entity_ids": "https://one.example"})
    assert answer.status_code == 302
    assert EntityClaim.objects.get().organization.legal_name == "Driftwood Labs"


def test_two_posts_of_one_page_claim_once(browser: Browser, form_on: Callable[..., dict[str, Any]]) -> None:
    data = {**form_on(browser.get(NEW), "legal_name"), "legal_name": "Driftwood Labs", "entity_ids": "https://one.example"}
    assert browser.post(NEW, data)["Location"] == browser.post(NEW, data)["Location"]
    assert (EntityClaim.objects.count(), AuditEvent.objects.filter(event="entity.claimed").count()) == (1, 1)


@pytest.mark.threat("S11")
def test_more_than_an_organization_can_claim_are_refused_before_any_is_looked_at(browser: Browser, fill: Callable[..., Any]) -> None:
    response = create(browser, fill, "\n".join(f"https://e{number}.example" for number in range(CLAIMS_LIMIT + 1)))
    assert findings_of(response) == [f"An organization claims at most {CLAIMS_LIMIT} entities."]
    assert not EntityClaim.objects.exists()


@pytest.mark.threat("R06")
@pytest.mark.parametrize("text", ["\0", "<img src=x onerror=alert(1)>", "https://" + "a" * 5000, "\u202ehttps://x.example", "[1]\n[2]"])
def test_nonsense_comes_back_as_text_beside_its_field(browser: Browser, fill: Callable[..., Any], text: str) -> None:
    response = create(browser, fill, text)
    assert response.status_code == 200
    assert findings_of(response)
    assert "<img src=x" not in response.content.decode()
    assert not Organization.objects.filter(legal_name="Driftwood Labs").exists()
