"""Explicit registrations that are refused before anything is looked up: kept for staff, few of them, and held against nobody."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from federation import lookups
from federation.lookups import UNREAD_OF_ALL, UNREAD_PER_SOURCE, keep_unread, purge_lookups
from federation.models import EntityLookup
from portal.failed_registrations import FEDERATION, Question, find_failed_registrations, load_failed_registrations
from protocol.errors import InvalidClient
from protocol.jose import generate_private_key
from tests.federation.registration.support import HARBOUR, LIGHTHOUSE, RelyingParty, World


@pytest.mark.threat("F14")
def test_staff_see_who_was_refused_and_why_and_the_entity_registers_all_the_same(world: World, lighthouse: RelyingParty) -> None:
    forged = lighthouse.explicit(key=generate_private_key("ES256"))
    assert lighthouse.register(forged).json()["error"] == "invalid_client"
    assert lighthouse.register(lighthouse.explicit(headers={"peer_trust_chain": ["x.y.z"]})).status_code == 400
    assert not world.fetcher.requests
    (shown,) = load_failed_registrations(find_failed_registrations(Question(FEDERATION)))
    assert (shown.who, shown.step, shown.fixer) == (LIGHTHOUSE, None, "the partner")
    assert forged not in str(EntityLookup.objects.values())
    row = EntityLookup.objects.get()
    assert (row.misses, row.refused_until, row.lease) == (0, None, "")
    assert lighthouse.register().status_code == 200
    assert not EntityLookup.objects.exists()


@pytest.mark.threat("F14")
def test_what_is_known_of_an_entity_is_not_overwritten_by_a_stranger(world: World, lighthouse: RelyingParty, now: datetime) -> None:
    known = {"code": "not_found", "sentence": "It is no member."}
    EntityLookup.objects.create(entity_id=LIGHTHOUSE, host="lighthouse.example", started_at=now, misses=1, failure=known)
    lighthouse.register(lighthouse.explicit(key=generate_private_key("ES256")))
    row = EntityLookup.objects.get()
    assert (row.failure, row.misses, row.started_at) == (known, 1, now)


@pytest.mark.threat("F14", "S11")
def test_a_flood_fills_nothing(world: World, now: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    error = InvalidClient("No.")
    for number in range(UNREAD_PER_SOURCE + 5):
        keep_unread(f"https://flood{number}.example", error, source="203.0.113.7", now=now)
    assert EntityLookup.objects.count() == UNREAD_PER_SOURCE
    for number in range(UNREAD_OF_ALL + 5):
        keep_unread(f"https://wide{number}.example", error, source=f"198.51.100.{number}", now=now)
    assert EntityLookup.objects.count() == UNREAD_OF_ALL
    looked_up = EntityLookup.objects.create(entity_id=HARBOUR, host="harbour.example", started_at=now - timedelta(hours=1), misses=1)
    monkeypatch.setattr(lookups, "UNREAD_KEPT", 5)
    lookups.lookups.forget()
    keep_unread("https://newest.example", error, source="203.0.113.8", now=now + timedelta(seconds=1))
    assert EntityLookup.objects.count() == 5 + 1
    assert EntityLookup.objects.filter(pk=looked_up.pk).exists()
    assert EntityLookup.objects.filter(entity_id="https://newest.example").exists()
    purge_lookups(now + timedelta(days=2))
    assert not EntityLookup.objects.exists()
