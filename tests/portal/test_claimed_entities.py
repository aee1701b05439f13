"""What the federation page says about each entity that an organization has proven: type, superiors and trust marks."""

from __future__ import annotations

from datetime import datetime

import pytest
from django.test import Client as Browser
from django.urls import reverse
from pytest_django.asserts import assertContains, assertNotContains

from federation.models import FederationRecord
from registry.models import Client
from tests.conftest import Cast, make_organization
from tests.federation.registration.conftest import lighthouse, server_keys, standard_scopes, world
from tests.federation.registration.support import HARBOUR, LIGHTHOUSE, NORTHLIGHT, RelyingParty, claim

__all__ = ["lighthouse", "server_keys", "standard_scopes", "world"]

MARK = {"trust_mark_type": "https://marks.example/member", "issuer": "https://marks.example", "counts": True, "is_unsure": False}
HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture
def url(cast: Cast) -> str:
    """The federation page of the cast's organization."""
    return reverse("organization_federation", args=[cast.organization.slug])


@pytest.fixture
def record(cast: Cast, lighthouse: RelyingParty, now: datetime) -> FederationRecord:
    """What is known of the app of Lighthouse, which the cast's organization has proven."""
    claim(LIGHTHOUSE, cast.organization, now)
    assert lighthouse.push(request=lighthouse.request_object()).status_code == 201
    return lighthouse.record


def test_a_proven_entity_shows_its_type_and_its_superiors_in_order(viewer: Browser, url: str, record: FederationRecord) -> None:
    response = viewer.get(url)
    (shown,) = response.context["claims"]
    assert shown["registered"]["superiors"] == [HARBOUR, NORTHLIGHT]
    for words in ("<code>openid_relying_party</code>", f"<li><code>{HARBOUR}</code></li><li><code>{NORTHLIGHT}</code></li>"):
        assertContains(response, words)
    assertContains(response, "It carries no trust mark that this server has a rule about.")


def test_its_trust_marks_are_shown_with_what_became_of_them_and_when_they_end(viewer: Browser, url: str, record: FederationRecord) -> None:
    record.trust_marks = [
        {**MARK, "expires_at": 4_000_000_000, "sentence": "The trust mark is valid."},
        {**MARK, "counts": False, "expires_at": None, "sentence": "Its issuer says that it is revoked."},
    ]
    record.save()
    response = viewer.get(url)
    for words in ("The trust mark is valid.", "Does not count", "Its issuer says that it is revoked.", "does not end", "2096"):
        assertContains(response, words)


def test_an_entity_without_an_app_has_nothing_of_it(cast: Cast, viewer: Browser, url: str, now: datetime) -> None:
    claim(LIGHTHOUSE, cast.organization, now)
    response = viewer.get(url)
    assertContains(response, "It has not registered an app yet")
    assertNotContains(response, "Superiors, up to the trust anchor")


@pytest.mark.threat("R09")
def test_nothing_is_shown_of_an_app_of_another_organization(
    cast: Cast, viewer: Browser, url: str, record: FederationRecord, now: datetime
) -> None:
    other = make_organization(cast.stranger, cast.reviewer, now, "Tidewater")
    Client.objects.filter(pk=record.client_id).update(organization=other)
    (shown,) = viewer.get(url).context["claims"]
    assert shown["registered"] is None


@pytest.mark.threat("R06")
def test_what_a_federation_says_is_shown_as_text(viewer: Browser, url: str, record: FederationRecord) -> None:
    record.trust_marks = [{**MARK, **dict.fromkeys(("trust_mark_type", "issuer", "sentence"), HOSTILE), "expires_at": HOSTILE}]
    record.entities, record.entity_type = [LIGHTHOUSE, HOSTILE], HOSTILE[:40]
    record.save()
    page = viewer.get(url).content.decode()
    assert "<img src=x" not in page
    assert page.count("&lt;img src=x") >= 4
