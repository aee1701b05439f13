"""The first page of an organization: what needs attention, where it stands, and who acts next."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import pytest
from django.test import Client as Browser
from django.urls import reverse
from pytest_django.asserts import assertContains, assertNotContains

from federation.models import FederationRecord
from registry.lifecycle import change_organization, request_go_live
from registry.models import AppDraft, ChangeRequest, Client, ClientKeySet, Organization
from tests.conftest import Cast, later

MakeClient = Callable[..., Client]


def overview(browser: Browser, organization: Organization) -> str:
    return browser.get(reverse("organization", args=[organization.slug])).content.decode()


@pytest.mark.parametrize(
    ("trust", "words"), [("broken", "Its trust is lost"), ("suspect", "Its trust is in doubt"), ("stale", "could not be checked lately")]
)
def test_trust_that_is_not_what_it_should_be_needs_attention(
    cast: Cast, owner: Browser, make_client: MakeClient, now: datetime, trust: str, words: str
) -> None:
    client = make_client()
    Client.objects.filter(pk=client.pk).update(trust=trust, trust_expires_at=later(now, days=2))
    html = overview(owner, cast.organization)
    assert words in html
    assert reverse("app_trust", args=[cast.organization.slug, client.reference]) in html
    assertContains(owner.get(reverse("organizations")), "1 thing to look at")
    Client.objects.filter(pk=client.pk).update(state="closed")
    assert words not in overview(owner, cast.organization)


def test_a_registration_that_ends_keys_that_fail_and_drafts_that_wait_need_attention(
    cast: Cast, owner: Browser, make_client: MakeClient, now: datetime
) -> None:
    client = make_client()
    Client.objects.filter(pk=client.pk).update(
        trust="valid", trust_expires_at=later(now, days=3), metadata={**client.metadata, "jwks_uri": "https://lighthouse.example/jwks"}
    )
    FederationRecord.objects.create(
        client=client, entity_id="x", twin_digest="x", anchor="a", superior="s", registration_ends=later(now, days=3),
        registered_at=later(now, days=-60),
    )  # fmt: skip
    ClientKeySet.objects.create(
        client=client, jwks_uri="https://lighthouse.example/jwks", attempted_at=now, fresh_until=later(now, days=-2), failure="Gone."
    )
    AppDraft.objects.create(organization=cast.organization, answers={"client_name": "Kiosk"}, updated_at=later(now, days=-2))
    html = overview(owner, cast.organization)
    for words in (
        "Its explicit registration ends",
        "keys could not be fetched for more than a day",
        "<strong>Kiosk</strong>: A draft of an app",
    ):
        assert words in html
    assertContains(owner.get(reverse("organizations")), "3 things to look at")


def test_a_draft_of_today_is_left_in_peace(cast: Cast, owner: Browser, now: datetime) -> None:
    AppDraft.objects.create(organization=cast.organization, answers={"client_name": "Kiosk"}, updated_at=now)
    assert "Kiosk" not in overview(owner, cast.organization)


@pytest.mark.threat("R09")
def test_what_needs_attention_elsewhere_is_nobody_else_s(cast: Cast, owner: Browser, foreign: Organization, now: datetime) -> None:
    AppDraft.objects.create(organization=foreign, answers={"client_name": "Kiosk"}, updated_at=later(now, days=-2))
    assert "Kiosk" not in overview(owner, cast.organization)


def test_apps_are_counted_by_stage_state_and_way(cast: Cast, owner: Browser, make_client: MakeClient) -> None:
    for number, source in enumerate(("manual", "manual", "dcr", "federation_automatic", "dcr")):
        client = make_client()
        Client.objects.filter(pk=client.pk).update(
            source=source, state="closed" if number == 4 else "active", stage="live" if number == 0 else "test"
        )
    html = overview(owner, cast.organization)
    for link, count in (("stage=test", 3), ("stage=live", 1), ("state=suspended", 0), ("source=manual", 2), ("source=dcr", 1)):
        assert f'?{link}">{count}</a>' in html
    assert "source=federation_explicit" not in html


def test_a_suspended_organization_reads_why_what_still_works_and_whom_to_write_to(
    cast: Cast, owner: Browser, now: datetime, settings: object
) -> None:
    change_organization(cast.organization, "suspend", cast.as_reviewer, now=now, reason="A key was published.")
    html = overview(owner, cast.organization)
    for words in ("A key was published.", "You can still sign in, read everything", "mailto:credence@127.0.0.1", "tone-danger"):
        assert words in html


def test_one_that_waits_reads_who_acts_next_and_how_long_reviews_take(
    cast: Cast, owner: Browser, make_client: MakeClient, now: datetime
) -> None:
    for hours in (2, 4):
        change = request_go_live(make_client(), cast.as_owner, now=later(now, hours=-hours))
        ChangeRequest.objects.filter(pk=change.pk).update(state="approved", decided_at=now)
    Organization.objects.filter(pk=cast.organization.pk).update(state="pending", submitted_at=now)
    page = owner.get(reverse("organization", args=[cast.organization.slug]))
    assertContains(page, "Our staff has to act next")
    assertContains(page, "half of all reviews were done within 2 hours")
    assertNotContains(page, "takes longer than two working days")
    Organization.objects.filter(pk=cast.organization.pk).update(submitted_at=later(now, days=-7))
    ChangeRequest.objects.all().delete()
    assertContains(owner.get(reverse("organization", args=[cast.organization.slug])), "takes longer than two working days")


def test_the_checklist_ticks_itself(cast: Cast, owner: Browser, make_client: MakeClient, now: datetime) -> None:
    before = owner.get(reverse("organization", args=[cast.organization.slug])).context["checklist"]
    client = make_client()
    Client.objects.filter(pk=client.pk).update(last_used_at=now, stage="live")
    cast.organization.memberships.filter(user=cast.developer).update(role="owner")
    after = owner.get(reverse("organization", args=[cast.organization.slug])).context["checklist"]
    assert [item["done"] for item in before] == [True, True, True, False, False, False, False]
    assert all(item["done"] for item in after)
