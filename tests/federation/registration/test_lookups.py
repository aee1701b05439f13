"""Looking entities up for strangers: once at a time, not again soon after a failure, within budgets; and new keys (F13, F14, S01)."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import Client as Browser

from federation import lookups
from federation.core.issuing import build_jwks
from federation.lookups import FAILURES_PER_HOST, LOOKUPS_PER_SOURCE
from federation.models import EntityClaim, EntityLookup, FederationRecord
from federation.simulator import Fault
from protocol.fetch import Page
from protocol.jose import generate_private_key, issue_jwt
from registry.models import Client, Organization
from tests.federation.registration.support import FORM, HARBOUR, LIGHTHOUSE, NORTHLIGHT, TIDEWATER, RelyingParty, World
from tests.registry.threads import together

KEY = generate_private_key("ES256")
KEYS_AT = f"{LIGHTHOUSE}/keys"


def push(party: RelyingParty, *, source: str = "192.0.2.1", **changes: Any) -> Any:
    """Push a signed request from an address."""
    body = urlencode({"request": party.request_object(**changes)})
    return Browser(SERVER_NAME="127.0.0.1", REMOTE_ADDR=source).post("/oauth/par", body, content_type=FORM)


def told(answer: Any) -> str:
    """Return the status and code of an answer in a word."""
    return str(answer.status_code) if answer.status_code < 400 else f"{answer.status_code} {answer.json()['error']}"


def nobody(world: World, entity_id: str) -> RelyingParty:
    """Return an entity that is not there."""
    return RelyingParty(world, entity_id, KEY)


# A failure is remembered.


@pytest.mark.spec("FED-SEC-10")
@pytest.mark.threat("F14")
def test_an_entity_that_failed_is_not_looked_up_again_for_a_growing_time(world: World, now: datetime) -> None:
    party, moment = nobody(world, LIGHTHOUSE), now
    for minutes in (1, 2, 4, 8, 16, 32, 60, 60):
        world.fetcher.reset_counts()
        with world.at(moment):
            first = push(party)
            assert told(first) == "400 invalid_trust_chain"
            assert world.fetched(LIGHTHOUSE) == 1
            again = push(party)
        with world.at(moment + timedelta(minutes=minutes, seconds=-1)):
            at_last = push(party)
        assert world.fetched(LIGHTHOUSE) == 1
        for answer in (again, at_last):
            assert told(answer) == "400 invalid_trust_chain"
            assert {name: answer.json().get(name) for name in ("step", "error_description")} == {
                name: first.json().get(name) for name in ("step", "error_description")
            }
        assert minutes * 60 <= int(again["Retry-After"]) <= minutes * 60 + 1
        assert 1 <= int(at_last["Retry-After"]) <= 2
        moment += timedelta(minutes=minutes, seconds=1)


@pytest.mark.spec("FED-SEC-10")
@pytest.mark.threat("F14")
def test_a_victim_that_many_name_is_asked_once(world: World) -> None:
    party = nobody(world, LIGHTHOUSE)
    answers = {told(push(party, source=f"198.51.100.{number}")) for number in range(1, 100)}
    assert (answers, len(world.fetcher.requests)) == ({"400 invalid_trust_chain"}, 1)


@pytest.mark.threat("F14")
def test_an_entity_that_gets_well_registers_and_its_failures_are_forgotten(world: World, lighthouse: RelyingParty, now: datetime) -> None:
    lighthouse.entity.fault = Fault.NOT_FOUND
    assert told(push(lighthouse)) == "400 invalid_trust_chain"
    lighthouse.entity.fault = None
    assert told(push(lighthouse)) == "400 invalid_trust_chain"
    with world.at(now + timedelta(seconds=90)):
        assert told(push(lighthouse)) == "201"
    assert not EntityLookup.objects.exists()


@pytest.mark.threat("F14", "T11")
def test_who_has_not_the_keys_cannot_lock_an_entity_out(lighthouse: RelyingParty, world: World) -> None:
    for _ in range(5):
        assert told(push(lighthouse, key=KEY)) == "400 invalid_request_object"
    assert world.fetched(LIGHTHOUSE) == 1
    assert EntityLookup.objects.filter(misses=0, lease="", refused_until=None).count() == 1
    assert told(push(lighthouse)) == "201"


@pytest.mark.threat("F09", "F14")
def test_of_a_failure_nothing_is_kept_that_the_network_said(world: World, lighthouse: RelyingParty) -> None:
    lighthouse.entity.fault = Fault.HTML_PAGE
    push(lighthouse)
    kept = EntityLookup.objects.get().failure
    assert set(kept) == {"step", "title", "entity", "sentence", "fixer", "class", "code", "status", "request_id"}
    assert "<" not in json.dumps(kept)


# Budgets.


@pytest.mark.spec("FED-SEC-10")
@pytest.mark.threat("F14")
@pytest.mark.parametrize("other", [("192.0.2.1", "192.0.2.2"), ("2001:db8::1", "2001:db8:0:1::1")], ids=["IPv4", "IPv6"])
def test_one_source_has_so_many_looked_up_in_a_minute(world: World, other: tuple[str, str]) -> None:
    source, elsewhere = other
    for number in range(LOOKUPS_PER_SOURCE):
        address = source if ":" not in source else f"2001:db8::{number + 1:x}"
        assert told(push(nobody(world, f"https://n{number}.example"), source=address)) == "400 invalid_trust_chain"
    answer = push(nobody(world, "https://last.example"), source=source)
    assert (told(answer), answer["Retry-After"]) == ("429 temporarily_unavailable", "60")
    assert len(world.fetcher.requests) == LOOKUPS_PER_SOURCE
    assert told(push(world.add(), source=source)) == "429 temporarily_unavailable"
    assert told(push(world.add(), source=elsewhere)) == "201"


@pytest.mark.threat("F14")
def test_who_is_registered_needs_no_budget(world: World, lighthouse: RelyingParty) -> None:
    assert told(push(lighthouse)) == "201"
    for number in range(LOOKUPS_PER_SOURCE + 1):
        push(nobody(world, f"https://n{number}.example"))
    assert told(push(lighthouse)) == "201"


@pytest.mark.spec("FED-SEC-10")
@pytest.mark.threat("F14")
def test_of_one_host_so_many_may_fail_in_a_minute(world: World, now: datetime) -> None:
    good = world.add(f"{LIGHTHOUSE}/good")
    for number in range(FAILURES_PER_HOST):
        assert told(push(nobody(world, f"{LIGHTHOUSE}/{number}"), source=f"192.0.2.{number}")) == "400 invalid_trust_chain"
    for party in (nobody(world, f"{LIGHTHOUSE}/last"), good, nobody(world, f"https://LIGHTHOUSE.example/{'x' * 9}")):
        answer = push(party)
        assert (told(answer), answer["Retry-After"]) == ("429 temporarily_unavailable", "60")
    assert len(world.fetcher.requests) == FAILURES_PER_HOST
    assert told(push(nobody(world, f"{LIGHTHOUSE}/0"))) == "400 invalid_trust_chain"  # remembered, nothing is fetched
    assert told(push(world.add(TIDEWATER))) == "201"
    with world.at(now + timedelta(seconds=90)):
        assert told(push(good)) == "201"


@pytest.mark.spec("FED-SEC-10")
@pytest.mark.threat("F14", "S11")
def test_only_so_many_lookups_run_at_once_and_each_gives_its_place_back(
    world: World, lighthouse: RelyingParty, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = threading.BoundedSemaphore(1)
    monkeypatch.setattr(lookups, "_places", places)
    with places:
        answer = push(lighthouse)
        assert (told(answer), answer["Retry-After"]) == ("429 temporarily_unavailable", "3")
    assert world.fetcher.requests == ()
    push(nobody(world, TIDEWATER))
    push(lighthouse, key=KEY)
    assert told(push(lighthouse)) == "201"


# One at a time.


@pytest.mark.threat("S01")
def test_who_waits_too_long_for_another_is_told_to_come_back(
    world: World, lighthouse: RelyingParty, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookups, "LEASE", timedelta(seconds=0.2))
    held = {"host": "lighthouse.example", "started_at": now, "lease": "another", "leased_until": now + timedelta(seconds=30)}
    EntityLookup.objects.create(entity_id=LIGHTHOUSE, **held)
    answer = push(lighthouse)
    assert (told(answer), answer["Retry-After"]) == ("429 temporarily_unavailable", "5")
    assert world.fetcher.requests == ()
    EntityLookup.objects.update(leased_until=now - timedelta(seconds=1))  # it died
    assert told(push(lighthouse)) == "201"


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give every thread a place of its own."""
    monkeypatch.setattr(lookups, "_places", threading.BoundedSemaphore(60))


def bodies(*parties: RelyingParty) -> list[str]:
    """Return one request of each, signed."""
    return [urlencode({"request": party.request_object(redirect_uri=party.metadata["redirect_uris"][0])}) for party in parties]


def at_once(requests: list[str]) -> list[str]:
    """Send all at the same moment; return what became of each."""

    def act(number: int) -> str:
        browser = Browser(SERVER_NAME="127.0.0.1", REMOTE_ADDR=f"192.0.2.{number}")
        return told(browser.post("/oauth/par", requests[number], content_type=FORM))

    return together(len(requests), act)


@pytest.mark.threat("S01")
@pytest.mark.django_db(transaction=True)
def test_fifty_first_requests_make_one_client_by_one_resolution(world: World, lighthouse: RelyingParty, room: None) -> None:
    answers = at_once(bodies(*[lighthouse] * 50))
    assert answers == ["201"] * 50
    assert Client.objects.filter(client_id=LIGHTHOUSE).count() == 1
    assert FederationRecord.objects.count() == EntityClaim.objects.count() == Organization.objects.count() == 1
    assert (world.fetched(LIGHTHOUSE, HARBOUR, NORTHLIGHT), len(world.fetcher.requests)) == (3, 5)
    assert not EntityLookup.objects.exists()


@pytest.mark.threat("S01", "F14")
@pytest.mark.django_db(transaction=True)
def test_fifty_requests_of_an_entity_that_is_not_there_ask_for_it_once(world: World, room: None) -> None:
    requests = [urlencode({"request": nobody(world, LIGHTHOUSE).request_object()}) for _ in range(50)]
    assert at_once(requests) == ["400 invalid_trust_chain"] * 50
    assert len(world.fetcher.requests) == 1


@pytest.mark.threat("S01")
@pytest.mark.django_db(transaction=True)
def test_different_entities_register_side_by_side(world: World, room: None) -> None:
    parties = [world.add(f"https://app{number}.example", name="One name") for number in range(20)]
    assert at_once(bodies(*parties)) == ["201"] * 20
    assert Client.objects.filter(source="federation_automatic").count() == 20
    assert len(set(Client.objects.values_list("organization", flat=True))) == 20


@pytest.mark.threat("T03", "S01")
@pytest.mark.django_db(transaction=True)
def test_of_twins_at_the_same_time_one_wins(world: World, room: None) -> None:
    spellings = (
        "https://lighthouse.example/app",
        "https://LIGHTHOUSE.example/app",
        "https://lighthouse.example/%61pp",
        "https://lighthouse.example:443/app",
    )
    answers = at_once(bodies(*[world.add(spelling) for spelling in spellings]))
    assert sorted(answers) == ["201", "403 access_denied", "403 access_denied", "403 access_denied"]
    assert Client.objects.count() == FederationRecord.objects.count() == Organization.objects.count() == EntityClaim.objects.count() == 1


@pytest.mark.threat("S01", "T11")
@pytest.mark.django_db(transaction=True)
def test_one_request_object_is_used_once_by_whoever_is_first(world: World, lighthouse: RelyingParty, room: None) -> None:
    answers = at_once(bodies(lighthouse) * 10)
    assert sorted(answers) == ["201", *["400 invalid_request_object"] * 9]


# New keys.


def rotate(party: RelyingParty, *, keep: bool = False) -> None:
    """Give the entity a new protocol key."""
    old, party.key = party.key, generate_private_key("ES256")
    party.metadata["jwks"] = build_jwks([party.key, old] if keep else [party.key])


@pytest.mark.spec("FED-KEY-07", "FED-REG-05")
@pytest.mark.threat("F13")
def test_new_keys_count_at_once_and_old_ones_no_more_without_our_staff(world: World, lighthouse: RelyingParty) -> None:
    assert told(push(lighthouse)) == "201"
    old = lighthouse.key
    rotate(lighthouse)
    world.fetcher.reset_counts()
    assert told(push(lighthouse)) == "201"
    assert world.fetched(LIGHTHOUSE) == 1
    assert told(push(lighthouse, key=old)) == "400 invalid_request_object"
    assert told(lighthouse.push(lighthouse.assertion(key=old), scope="openid")) == "401 invalid_client"
    assert [key["kid"] for key in lighthouse.client.metadata["jwks"]["keys"]] == [lighthouse.key.kid]
    assert (lighthouse.client.trust, world.fetched(LIGHTHOUSE)) == ("valid", 1)


@pytest.mark.spec("FED-KEY-07")
def test_during_a_rollover_both_keys_count(world: World, lighthouse: RelyingParty) -> None:
    assert told(push(lighthouse)) == "201"
    old = lighthouse.key
    rotate(lighthouse, keep=True)
    assert [told(push(lighthouse, key=key)) for key in (lighthouse.key, old)] == ["201", "201"]


@pytest.mark.spec("FED-KEY-07", "FED-AUT-27")
def test_new_federation_keys_are_no_reason_to_refuse_anybody(world: World, lighthouse: RelyingParty) -> None:
    assert told(push(lighthouse)) == "201"
    world.federation.roll_keys(LIGHTHOUSE, overlap=False)
    world.federation.roll_keys(HARBOUR)
    rotate(lighthouse)
    assert told(push(lighthouse)) == "201"
    assert told(push(lighthouse, key=lighthouse.entity.keys[0])) == "400 invalid_request_object"


def _by_request_object(party: RelyingParty) -> Any:
    return push(party, key=generate_private_key("ES256"))


def _by_browser(party: RelyingParty) -> Any:
    return party.authorize(party.request_object(generate_private_key("ES256")))


def _by_assertion(party: RelyingParty) -> Any:
    return party.push(party.assertion(key=generate_private_key("ES256")), response_type="code")


def _at_the_token_endpoint(party: RelyingParty) -> Any:
    form = {"grant_type": "authorization_code", "code": "c", "redirect_uri": party.callback}
    return party.world.post("/oauth/token", {**form, **party.authentication(party.assertion(key=generate_private_key("ES256")))})


@pytest.mark.spec("FED-KEY-07")
@pytest.mark.threat("F13")
@pytest.mark.parametrize("fault", [None, Fault.SERVER_ERROR], ids=["", "while it does not answer"])
@pytest.mark.parametrize("attack", [_by_request_object, _by_browser, _by_assertion, _at_the_token_endpoint])
def test_unknown_keys_make_us_look_once_in_thirty_seconds(
    world: World, lighthouse: RelyingParty, now: datetime, attack: Callable[[RelyingParty], Any], fault: Fault | None
) -> None:
    with world.at(now):
        assert told(push(lighthouse)) == "201"
    lighthouse.entity.fault = fault
    world.fetcher.reset_counts()
    for seconds, looks in ((1, 1), (15, 1), (30, 1), (32, 2), (61, 2), (63, 3)):
        with world.at(now + timedelta(seconds=seconds)):
            assert {attack(lighthouse).status_code for _ in range(4)} <= {400, 401}
        assert world.fetched(LIGHTHOUSE) == looks, seconds
    with world.at(now + timedelta(seconds=64)):
        assert told(push(lighthouse)) == "201"


@pytest.mark.spec("FED-KEY-07", "FED-JWK-10")
@pytest.mark.threat("F13")
@pytest.mark.parametrize("kind", ["jwks_uri", "signed_jwks_uri"])
def test_keys_behind_an_address_are_fetched_anew_once_in_thirty_seconds(
    world: World, lighthouse: RelyingParty, now: datetime, kind: str
) -> None:
    def publish() -> None:
        jwks = build_jwks([lighthouse.key])
        if kind == "jwks_uri":
            world.fetcher.put(KEYS_AT, Page(json.dumps(jwks).encode(), "application/jwk-set+json"))
        else:
            claims = {"iss": LIGHTHOUSE, "sub": LIGHTHOUSE, **jwks}
            signed = issue_jwt(claims, lighthouse.entity.keys[0], typ="jwk-set+jwt")
            world.fetcher.put(KEYS_AT, Page(signed.encode(), "application/jwk-set+jwt"))

    del lighthouse.metadata["jwks"]
    lighthouse.metadata[kind] = KEYS_AT
    publish()
    with world.at(now):
        assert told(push(lighthouse)) == "201"
    old, lighthouse.key = lighthouse.key, generate_private_key("ES256")
    publish()
    with world.at(now + timedelta(seconds=40)):
        world.fetcher.reset_counts()
        assert told(push(lighthouse)) == "201"
        assert told(push(lighthouse, key=old)) == "400 invalid_request_object"
        for _ in range(5):
            assert told(push(lighthouse, key=generate_private_key("ES256"))) == "400 invalid_request_object"
        assert world.fetcher.fetches[KEYS_AT] == 1
        assert told(push(lighthouse)) == "201"


@pytest.mark.threat("F13")
@pytest.mark.django_db(transaction=True)
def test_many_unknown_keys_at_once_make_us_look_once(world: World, lighthouse: RelyingParty, room: None) -> None:
    assert told(push(lighthouse)) == "201"
    requests = [urlencode({"request": lighthouse.request_object(generate_private_key("ES256"))}) for _ in range(20)]
    world.fetcher.reset_counts()
    assert at_once(requests) == ["400 invalid_request_object"] * 20
    assert world.fetched(LIGHTHOUSE) == 1
