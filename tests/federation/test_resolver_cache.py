"""What the resolver remembers, for how long, and when it looks again."""

from __future__ import annotations

import pytest

from federation.core.resolution import FailureClass, Fixer, StepNumber
from federation.core.resolver import ResolutionLimits
from federation.core.statement_cache import MemoryStatementCache
from federation.core.trust_chains import TrustAnchor
from federation.simulator import SimulatedFederation
from tests.federation.support import (
    ANCHOR,
    INTERMEDIATE,
    LEAF,
    OTHER,
    Clock,
    key_set,
    resolver_for,
    small_federation,
)


@pytest.mark.spec("FED-HTT-01", "FED-TCV-09", "FED-TCV-14")
def test_kept_statements_are_used_until_their_age_or_their_end_and_not_a_second_longer() -> None:
    clock = Clock()
    federation = small_federation(clock)
    resolver = resolver_for(federation, cache=MemoryStatementCache(max_age=1000))
    assert resolver.resolve(LEAF).fetches == 5
    clock.now += 999
    assert resolver.resolve(LEAF).fetches == 0
    clock.now += 1
    assert resolver.resolve(LEAF).fetches == 5
    federation.entities[INTERMEDIATE].lifetime = 100
    resolver = resolver_for(federation, cache=MemoryStatementCache())
    found = resolver.resolve(LEAF)
    assert found.chain
    assert found.chain.expires_at == clock.now + 100
    clock.now += 99
    assert resolver.resolve(LEAF).fetches == 0
    clock.now += 1
    refreshed = resolver.resolve(LEAF)
    assert (refreshed.ok, refreshed.fetches) == (True, 2)
    clock.now -= 30
    assert resolver.resolve(LEAF).fetches > 0


def test_the_cache_is_bounded_and_forgets_by_entity() -> None:
    federation = small_federation()
    cache = MemoryStatementCache(limit=3)
    assert resolver_for(federation, cache=cache).resolve(LEAF).ok
    assert len(cache) == 3
    cache = MemoryStatementCache()
    resolver = resolver_for(federation, cache=cache)
    assert resolver.resolve(LEAF).ok
    cache.forget(INTERMEDIATE)
    assert len(cache) == 2
    assert resolver.resolve(LEAF).fetches == 3


def test_an_expelled_leaf_is_refused_when_its_statement_is_asked_for_again() -> None:
    federation = small_federation()
    resolver = resolver_for(federation)
    assert resolver.resolve(LEAF).ok
    federation.expel(INTERMEDIATE, LEAF)
    assert resolver.resolve(LEAF).ok
    gone = resolver.resolve(LEAF, past_caches=True)
    assert gone.failure
    assert (gone.failure.step, gone.failure.entity, gone.failure.code) == (StepNumber.FETCH_STATEMENT, INTERMEDIATE, "not_found")
    assert (gone.failure.failure_class, gone.failure.fixer) == (FailureClass.UNSIGNED_NEGATIVE, Fixer.FEDERATION_OPERATOR)
    assert "no longer" in gone.failure.sentence
    resolver.cache.forget(LEAF)
    assert not resolver.resolve(LEAF).ok


def test_past_caches_asks_for_everything_again_and_tells_the_fetcher_so() -> None:
    federation = small_federation()
    fetcher = federation.fetcher()
    resolver = resolver_for(federation, fetcher=fetcher)
    resolver.resolve(LEAF)
    fetcher.reset_counts()
    assert resolver.resolve(LEAF, past_caches=True).fetches == 5
    assert all(request.past_caches for request in fetcher.requests)
    assert resolver.resolve(LEAF).fetches == 0


def test_answers_of_two_authorities_that_share_a_host_are_kept_apart() -> None:
    federation = SimulatedFederation(Clock())
    federation.add_authority(ANCHOR)
    one, two = "https://shared.example/one", "https://shared.example/two"
    for name in (one, two):
        federation.add_authority(name, [ANCHOR])
    federation.add_relying_party(LEAF, [one, two])
    federation.entities[two].subordinates[LEAF] = {"metadata": {"openid_relying_party": {"client_name": "By two"}}}
    cache = MemoryStatementCache()
    assert resolver_for(federation, cache=cache).resolve(LEAF).ok
    federation.entities[LEAF].superiors = [two]
    cache.forget(LEAF)
    found = resolver_for(federation, cache=cache).resolve(LEAF)
    assert found.metadata
    assert found.metadata.metadata["openid_relying_party"]["client_name"] == "By two"


def test_an_authority_that_moves_its_endpoint_is_asked_there() -> None:
    federation = small_federation()
    cache = MemoryStatementCache()
    resolver = resolver_for(federation, cache=cache)
    assert resolver.resolve(LEAF).ok
    federation.entities[INTERMEDIATE].metadata["federation_entity"]["federation_fetch_endpoint"] = f"{INTERMEDIATE}/fetch?v=2"
    for key in [key for key in cache._kept if key.issuer == key.subject == INTERMEDIATE]:
        del cache._kept[key]
    assert resolver.resolve(LEAF).fetches == 2


@pytest.mark.spec("FED-TCV-06")
@pytest.mark.threat("T09")
def test_statements_that_were_kept_under_other_pinned_keys_are_not_believed() -> None:
    federation = small_federation()
    cache = MemoryStatementCache()
    assert resolver_for(federation, cache=cache).resolve(LEAF).ok
    other = TrustAnchor(ANCHOR, key_set(OTHER))
    resolver = resolver_for(federation, cache=cache)
    resolver.anchors[ANCHOR] = other
    found = resolver.resolve(LEAF)
    assert not found.ok
    assert found.failure
    assert found.failure.entity == ANCHOR


@pytest.mark.threat("T09")
def test_an_anchor_that_changed_its_keys_is_trusted_at_once_when_the_new_ones_are_pinned() -> None:
    federation = small_federation()
    cache = MemoryStatementCache()
    assert resolver_for(federation, cache=cache).resolve(LEAF).ok
    federation.roll_keys(ANCHOR, overlap=False)
    found = resolver_for(federation, cache=cache).resolve(LEAF)
    assert found.ok
    assert found.fetches == 5


@pytest.mark.spec("FED-TCV-04")
def test_a_superior_that_changed_its_keys_is_looked_at_again_before_anybody_below_is_refused() -> None:
    """The kept statement about the leaf is by the old key, and the anchor vouches for the new one already."""
    clock = Clock()
    federation = small_federation(clock)
    cache = MemoryStatementCache()
    assert resolver_for(federation, cache=cache).resolve(LEAF).ok
    federation.roll_keys(INTERMEDIATE, overlap=False)
    for key in [key for key in cache._kept if key.issuer == ANCHOR]:
        del cache._kept[key]
    found = resolver_for(federation, cache=cache).resolve(LEAF)
    assert found.ok
    assert found.fetches <= 24


@pytest.mark.threat("T01")
def test_the_second_look_stays_within_the_limits_of_the_first() -> None:
    federation = small_federation()
    cache = MemoryStatementCache()
    assert resolver_for(federation, cache=cache).resolve(LEAF).ok
    cache.forget(LEAF)
    fetcher = federation.fetcher()
    resolver = resolver_for(federation, cache=cache, fetcher=fetcher, limits=ResolutionLimits(fetches=4))
    resolver.anchors[ANCHOR] = TrustAnchor(ANCHOR, key_set(OTHER))
    found = resolver.resolve(LEAF)
    assert not found.ok
    assert (found.fetches, fetcher.total) == (4, 4)


@pytest.mark.spec("FED-TCV-07")
def test_a_leaf_with_new_keys_that_its_superior_does_not_know_yet_is_signed_evidence() -> None:
    federation = small_federation()
    old = [key.public_jwk() for key in federation.entities[LEAF].keys]
    federation.entities[INTERMEDIATE].subordinates[LEAF] = {"jwks": {"keys": old}}
    federation.roll_keys(LEAF, overlap=False)
    failure = resolver_for(federation).resolve(LEAF).failure
    assert failure
    assert (failure.step, failure.entity) == (StepNumber.VERIFY_STATEMENT, LEAF)
    assert (failure.failure_class, failure.code) == (FailureClass.SIGNED_NEGATIVE, "invalid_trust_chain")
