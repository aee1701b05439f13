"""What the simulator promises to the tests, the demo and operators."""

from __future__ import annotations

import pytest

from federation.core.resolver import configuration_url
from federation.simulator import Fault, SimulatedFederation
from protocol.fetch import FetchPurpose, InMemoryFetcher, standard_request
from tests.federation.support import ANCHOR, INTERMEDIATE, LEAF, OTHER, Clock, resolver_for, small_federation


@pytest.mark.parametrize("overlap", [True, False])
@pytest.mark.parametrize("entity_id", [LEAF, INTERMEDIATE])
def test_keys_roll_with_and_without_overlap_and_superiors_follow(entity_id: str, overlap: bool) -> None:
    federation = small_federation()
    old = federation.entities[entity_id].keys[0]
    new = federation.roll_keys(entity_id, overlap=overlap)
    assert [key.kid for key in federation.entities[entity_id].keys] == ([new.kid, old.kid] if overlap else [new.kid])
    chain = resolver_for(federation).resolve(LEAF).chain
    assert chain
    assert new.kid in [key.kid for statement in (chain.subject, *chain.statements) for key in statement.keys.keys]


@pytest.mark.threat("T09")
def test_an_anchor_that_rolls_is_refused_until_its_new_key_is_pinned() -> None:
    federation = small_federation()
    resolver = resolver_for(federation)
    federation.roll_keys(ANCHOR)
    assert not resolver.resolve(LEAF).ok
    assert resolver_for(federation).resolve(LEAF).ok


@pytest.mark.parametrize("fault", Fault)
def test_every_fault_breaks_the_chain_and_is_gone_when_it_is_taken_away(fault: Fault) -> None:
    federation = small_federation()
    for attribute in ("fault", "statement_fault"):
        setattr(federation.entities[INTERMEDIATE], attribute, fault)
        assert not resolver_for(federation).resolve(LEAF).ok
        setattr(federation.entities[INTERMEDIATE], attribute, None)
        assert resolver_for(federation).resolve(LEAF).ok


def test_documents_follow_the_clock() -> None:
    clock = Clock()
    federation = small_federation(clock)
    resolver = resolver_for(federation)
    first = resolver.resolve(LEAF).chain
    clock.now += 10**6
    second = resolver.resolve(LEAF).chain
    assert first
    assert second
    assert second.expires_at - first.expires_at == 10**6


def test_who_is_expelled_or_unknown_is_answered_with_404() -> None:
    federation = small_federation()
    federation.expel(INTERMEDIATE, LEAF)
    failure = resolver_for(federation).resolve(LEAF).failure
    assert failure
    assert failure.detail == "status 404"
    assert resolver_for(federation).resolve("https://nobody.example").failure


def test_marks_are_granted_carried_and_revoked() -> None:
    federation = small_federation()
    mark = federation.grant_mark(ANCHOR, LEAF, "https://marks.example/a", lifetime=5)
    chain = resolver_for(federation).resolve(LEAF).chain
    assert chain
    assert [entry.unverified.token for entry in chain.subject.trust_marks] == [mark]


def test_entities_with_paths_and_slashes_are_served_where_the_standard_says() -> None:
    federation = SimulatedFederation(Clock())
    federation.add_authority("https://host.example/anchor/")
    federation.add_authority("https://host.example/between", ["https://host.example/anchor/"])
    federation.add_relying_party("https://host.example/rp", ["https://host.example/between"])
    assert resolver_for(federation, ["https://host.example/anchor/"]).resolve("https://host.example/rp").ok


def test_the_fetcher_counts_and_other_algorithms_work() -> None:
    for algorithm in ("ES256", "Ed25519"):
        federation = SimulatedFederation(Clock(), algorithm=algorithm)
        federation.add_authority(ANCHOR)
        federation.add_relying_party(OTHER, [ANCHOR])
        fetcher = federation.fetcher()
        assert isinstance(fetcher, InMemoryFetcher)
        assert resolver_for(federation, fetcher=fetcher).resolve(OTHER).ok
        assert fetcher.total == 3
    body = fetcher.fetch(standard_request(FetchPurpose.ENTITY_CONFIGURATION, configuration_url(ANCHOR))).body
    assert body.count(b".") == 2
