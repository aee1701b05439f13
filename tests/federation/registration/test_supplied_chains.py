"""Trust chains that come with a request: verified in full, fresh, or as good as not there (OpenID Federation 1.0, 12.1.1.1; T08)."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
import time_machine

from federation.core.issuing import build_jwks
from federation.models import EntityLookup
from protocol.jose import generate_private_key, parse_unverified
from protocol.jose.base64url import encode_base64url
from tests.federation.registration.sending import (
    accepted,
    assert_nothing_written,
    every_way,
    offline,
    pushed,
    refusal,
    send,
    with_another_signature,
)
from tests.federation.registration.support import HARBOUR, ISSUER, LIGHTHOUSE, NORTHLIGHT, TIDEWATER, RelyingParty, World


@pytest.mark.spec("FED-AUT-16", "FED-AUT-23", "FED-AUT-24")
@pytest.mark.threat("T08")
@every_way
@pytest.mark.parametrize("where", ["header", "claim"])
def test_a_fresh_chain_of_the_entity_stands_in_for_fetching(lighthouse: RelyingParty, world: World, way: str, where: str) -> None:
    chain = lighthouse.chain()
    request = lighthouse.request_object(**({"headers": {"trust_chain": chain}} if where == "header" else {"trust_chain": chain}))
    assert accepted(send(lighthouse, way, request))
    assert world.fetcher.requests == ()
    assert lighthouse.record.statements == chain


@pytest.mark.spec("FED-AUT-24")
@pytest.mark.threat("T08")
def test_a_chain_without_the_anchors_own_configuration_will_do(lighthouse: RelyingParty, world: World) -> None:
    assert accepted(lighthouse.push(assertion=lighthouse.assertion(headers={"trust_chain": lighthouse.chain()[:-1]}), **pushed(lighthouse)))
    assert world.fetcher.requests == ()


@pytest.mark.spec("FED-AUT-16")
def test_the_header_wins_over_the_claim(lighthouse: RelyingParty, world: World) -> None:
    with offline(world):
        request = lighthouse.request_object(headers={"trust_chain": ["a.b.c"]}, trust_chain=lighthouse.chain())
        assert send(lighthouse, "POST", request).status_code == 503
        assert_nothing_written()
    world.forget()
    EntityLookup.objects.all().delete()
    world.fetcher.reset_counts()
    request = lighthouse.request_object(headers={"trust_chain": lighthouse.chain()}, trust_chain=["a.b.c"])
    assert accepted(send(lighthouse, "POST", request))
    assert world.fetcher.requests == ()


@pytest.mark.spec("FED-AUT-24")
@pytest.mark.threat("T08")
def test_a_stale_chain_is_looked_at_anew(lighthouse: RelyingParty, world: World) -> None:
    with time_machine.travel(time.time() - 1000, tick=False):
        chain = lighthouse.chain()
    assert accepted(send(lighthouse, "POST", lighthouse.request_object(headers={"trust_chain": chain})))
    assert world.fetched(LIGHTHOUSE) == 1
    assert lighthouse.record.statements != chain


def _rewritten(statement: str, **claims: Any) -> str:
    header, _, signature = statement.split(".")
    changed = {**parse_unverified(statement, max_length=100_000).unverified_claims, **claims}
    return ".".join([header, encode_base64url(json.dumps(changed).encode()), signature])


def _by_stranger(party: RelyingParty) -> list[str]:
    """Return the chain as somebody would make it who has none of the keys."""
    federation = party.world.federation
    kept = {name: entity.keys for name, entity in federation.entities.items()}
    try:
        for entity in federation.entities.values():
            entity.keys = [generate_private_key("ES256")]
        return party.chain()
    finally:
        for name, keys in kept.items():
            federation.entities[name].keys = keys


def _long_ago(party: RelyingParty) -> list[str]:
    with time_machine.travel(time.time() - 30 * 24 * 3600, tick=False):
        return party.chain()


def _of_another(party: RelyingParty) -> list[str]:
    return party.world.add(TIDEWATER).chain()


def _below_another_anchor(party: RelyingParty) -> list[str]:
    world = party.world
    world.federation.add_authority("https://southlight.example")
    world.federation.entities["https://southlight.example"].subordinates[LIGHTHOUSE] = {}
    federation = world.federation
    return [
        federation.configuration(LIGHTHOUSE),
        federation.statement("https://southlight.example", LIGHTHOUSE),
        federation.configuration("https://southlight.example"),
    ]


def _changed(position: int, change: Callable[[str], str]) -> Callable[[RelyingParty], list[str]]:
    def tamper(party: RelyingParty) -> list[str]:
        chain = party.chain()
        chain[position] = change(chain[position])
        return chain

    return tamper


FORGED_CHAINS: dict[str, Callable[[RelyingParty], list[str]]] = {
    **{f"one bit of the signature of statement {number}": _changed(number, with_another_signature) for number in range(4)},
    **{f"statement {number} rewritten": _changed(number, lambda found: _rewritten(found, exp=2_000_000_000_000)) for number in range(4)},
    "the subject's keys rewritten": _changed(1, lambda found: _rewritten(found, jwks=build_jwks([generate_private_key("ES256")]))),
    "one statement left out": lambda party: [party.chain()[0], *party.chain()[2:]],
    "turned around": lambda party: party.chain()[::-1],
    "the subject alone": lambda party: party.chain()[:1],
    "one statement twice": lambda party: [*party.chain()[:2], *party.chain()[1:]],
    "no statements": lambda party: ["a.b.c", "", "x" * 1000],
    "all by a stranger": _by_stranger,
    "expired": _long_ago,
    "of another entity": _of_another,
    "below another anchor": _below_another_anchor,
}


@pytest.mark.spec("FED-AUT-24", "FED-AUT-25")
@pytest.mark.threat("T08")
@pytest.mark.parametrize("forgery", FORGED_CHAINS.values(), ids=FORGED_CHAINS)
def test_a_chain_that_proves_nothing_is_never_accepted(
    lighthouse: RelyingParty, world: World, forgery: Callable[[RelyingParty], list[str]]
) -> None:
    request = lighthouse.request_object(headers={"trust_chain": [entry or "." for entry in forgery(lighthouse)]})
    with offline(world):
        assert send(lighthouse, "PAR", request).json()["error"] == "temporarily_unavailable"
    assert_nothing_written()


@pytest.mark.spec("FED-AUT-24", "FED-AUT-27")
@pytest.mark.threat("T08", "T11")
@pytest.mark.parametrize("forgery", FORGED_CHAINS.values(), ids=FORGED_CHAINS)
def test_beside_a_chain_that_proves_nothing_our_own_look_counts(
    lighthouse: RelyingParty, world: World, forgery: Callable[[RelyingParty], list[str]]
) -> None:
    chain = [entry or "." for entry in forgery(lighthouse)]
    stranger = generate_private_key("ES256")
    assert (
        refusal(send(lighthouse, "POST", lighthouse.request_object(stranger, headers={"trust_chain": chain}))) == "invalid_request_object"
    )
    assert_nothing_written()
    assert accepted(send(lighthouse, "POST", lighthouse.request_object(headers={"trust_chain": chain})))
    assert lighthouse.record.entities == [LIGHTHOUSE, HARBOUR, NORTHLIGHT]
    assert lighthouse.record.statements != chain


@pytest.mark.spec("FED-AUT-24", "FED-AUT-27")
@pytest.mark.threat("T08", "T11")
def test_a_true_chain_does_not_help_a_stranger(lighthouse: RelyingParty, world: World) -> None:
    headers = {"trust_chain": lighthouse.chain()}
    for key in (generate_private_key("ES256"), lighthouse.entity.keys[0], world.add(TIDEWATER).key):
        assert refusal(send(lighthouse, "PAR", lighthouse.request_object(key, headers=headers))) == "invalid_request_object"
    assert world.fetcher.requests == ()
    assert_nothing_written()


def own_chain(world: World, *, below: str = HARBOUR) -> list[str]:
    """Return a chain from this server, as an entity below `below`."""
    if ISSUER not in world.federation.entities:
        world.federation.add_relying_party(ISSUER, [below])
    return RelyingParty(world, ISSUER, world.federation.entities[ISSUER].keys[0]).chain()


@pytest.mark.spec("FED-AUT-20")
@every_way
def test_a_chain_about_this_server_may_stand_beside_the_entitys(lighthouse: RelyingParty, world: World, way: str) -> None:
    headers = {"trust_chain": lighthouse.chain(), "peer_trust_chain": own_chain(world)}
    assert accepted(send(lighthouse, way, lighthouse.request_object(headers=headers)))
    assert world.fetcher.requests == ()


@pytest.mark.spec("FED-AUT-20")
@every_way
@pytest.mark.parametrize("peer", ["another anchor", "an anchor unknown here", "about another", "tampered", "no statements"])
def test_a_chain_about_this_server_that_does_not_fit_is_refused(lighthouse: RelyingParty, world: World, way: str, peer: str) -> None:
    world.federation.add_authority("https://southlight.example")
    world.federation.add_authority("https://westlight.example")
    world.accept("https://southlight.example")
    peers: dict[str, Callable[[], list[str]]] = {
        "another anchor": lambda: own_chain(world, below="https://southlight.example"),
        "an anchor unknown here": lambda: own_chain(world, below="https://westlight.example"),
        "about another": lambda: world.add(TIDEWATER).chain(),
        "tampered": lambda: [with_another_signature(own_chain(world)[0]), *own_chain(world)[1:]],
        "no statements": lambda: ["a.b.c"],
    }
    request = lighthouse.request_object(headers={"trust_chain": lighthouse.chain(), "peer_trust_chain": peers[peer]()})
    assert refusal(send(lighthouse, way, request)) == "invalid_trust_chain"
    assert_nothing_written()
