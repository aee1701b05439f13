"""The page about oneself: one's own consents and name, and nobody else's."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import pytest
from django.test import Client as Browser
from django.urls import reverse

from authserver.consents import has_consented, remember_consent
from authserver.models import AccessToken, Consent, Grant, RefreshToken
from registry.actors import person
from registry.models import AuditEvent, Client, User
from tests.conftest import Cast, later

SCOPES = ("bookings.read",)


@pytest.fixture
def consent(cast: Cast, make_client: Callable[..., Client], now: datetime) -> Consent:
    """What the owner let an app have, with a code and tokens that came of it."""
    client = make_client()
    grant = Grant.objects.create(
        application=client, user=cast.owner, code="code", expires=later(now, minutes=1), redirect_uri="https://app.example/cb", scope="x"
    )
    common = {"user": cast.owner, "application": client, "scope": "x"}
    AccessToken.objects.create(token="access", expires=later(now, minutes=10), family=grant.family, **common)
    RefreshToken.objects.create(token="refresh", token_family=grant.family, **common)
    return remember_consent(cast.owner, client, SCOPES, person(cast.owner), now=now)


def test_a_consent_is_listed_with_organization_app_and_scopes_in_words(owner: Browser, consent: Consent) -> None:
    text = owner.get(reverse("account")).content.decode()
    assert text.index("Lighthouse Travel</th>" if "Lighthouse Travel</th>" in text else "Lighthouse Travel<span") < text.index(
        "Back office"
    )
    assert "See your bookings" in text
    assert "bookings.read" not in text


def test_taking_it_back_ends_everything_and_is_in_the_trail_without_the_partner(owner: Browser, cast: Cast, consent: Consent) -> None:
    answer = owner.post(reverse("consent_take_back", args=[consent.pk]))
    assert (answer.status_code, answer["Location"]) == (302, reverse("account"))
    assert not has_consented(cast.owner, consent.application, SCOPES)
    assert not Grant.objects.filter(ended_at=None).exists()
    assert not RefreshToken.objects.filter(revoked=None).exists()
    assert all(token.is_expired() for token in AccessToken.objects.all())
    events = AuditEvent.objects.filter(event__startswith="consent.").order_by("id")
    assert [event.event for event in events] == ["consent.given", "consent.withdrawn"]
    assert {event.organization_id for event in events} == {None}


def test_giving_the_same_again_is_no_event(cast: Cast, consent: Consent, now: datetime) -> None:
    remember_consent(cast.owner, consent.application, SCOPES, person(cast.owner), now=now)
    assert AuditEvent.objects.filter(event="consent.given").count() == 1


@pytest.mark.threat("R09")
def test_nobody_takes_back_what_somebody_else_gave(developer: Browser, cast: Cast, consent: Consent) -> None:
    assert developer.post(reverse("consent_take_back", args=[consent.pk])).status_code == 404
    assert "Lighthouse Travel" not in developer.get(reverse("account")).content.decode()
    assert has_consented(cast.owner, consent.application, SCOPES)


def test_taking_back_takes_a_form_of_ours(owner: Browser, cast: Cast, consent: Consent) -> None:
    assert owner.get(reverse("consent_take_back", args=[consent.pk])).status_code == 405
    strict = Browser(enforce_csrf_checks=True)
    strict.force_login(cast.owner)
    assert strict.post(reverse("consent_take_back", args=[consent.pk])).status_code == 403


@pytest.mark.parametrize(("sent", "kept"), [("Olga  Owner ", "Olga  Owner"), ("", ""), ("Ol\u202ega", "Owner"), ("x" * 151, "Owner")])
def test_a_name_is_kept_when_it_can_be_shown(owner: Browser, cast: Cast, sent: str, kept: str) -> None:
    answer = owner.post(reverse("account"), {"name": sent, "staff_role": "operator", "email": "else@lighthouse.example"})
    user = User.objects.get(pk=cast.owner.pk)
    assert (user.name, user.staff_role, user.email) == (kept, "", cast.owner.email)
    assert answer.status_code == (302 if kept == sent.strip() else 200)
