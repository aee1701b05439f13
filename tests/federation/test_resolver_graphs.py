"""Resolving in graphs with loops, against brute force (threats.md T02)."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from federation.core.resolution import StepNumber
from federation.core.resolver import ResolutionLimits
from federation.simulator import SimulatedFederation
from tests.federation.support import (
    ANCHOR,
    LEAF,
    Clock,
    check_report,
    resolver_for,
    small_federation,
)

UNBOUNDED = ResolutionLimits(fetches=10_000, depth=40, hints=100, paths=100_000, bytes=10**9, signature_checks=10_000)


@pytest.mark.spec("FED-TCR-04")
@pytest.mark.threat("T02")
@pytest.mark.parametrize("length", [1, 2, 3, 5])
def test_a_loop_drops_the_edge_and_not_the_resolution(length: int) -> None:
    federation = SimulatedFederation(Clock())
    federation.add_authority(ANCHOR)
    ring = [f"https://r{number}.example" for number in range(length)]
    for entity_id in ring:
        federation.add_authority(entity_id)
    for subject, superior in zip(ring, [*ring[1:], ring[0]], strict=True):
        federation.entities[subject].superiors.append(superior)
        federation.entities[superior].subordinates[subject] = {}
    federation.add_relying_party(LEAF, [ring[0]])
    looping = resolver_for(federation).resolve(LEAF)
    assert not looping.ok
    assert looping.failure
    assert looping.failure.step is StepNumber.AUTHORITY_HINTS
    assert "back into the path" in looping.failure.sentence
    federation.entities[ring[-1]].superiors.append(ANCHOR)
    federation.entities[ANCHOR].subordinates[ring[-1]] = {}
    found = resolver_for(federation).resolve(LEAF)
    assert found.chain
    assert found.chain.entities == (LEAF, *ring, ANCHOR)


@pytest.mark.threat("T02")
def test_a_leaf_that_names_itself_is_not_its_own_superior() -> None:
    federation = small_federation()
    federation.entities[LEAF].superiors.insert(0, LEAF)
    assert resolver_for(federation).resolve(LEAF).ok
    federation.entities[LEAF].superiors = [LEAF]
    federation.entities[LEAF].subordinates[LEAF] = {}
    failure = resolver_for(federation).resolve(LEAF).failure
    assert failure
    assert (failure.step, failure.code) == (StepNumber.AUTHORITY_HINTS, "invalid_trust_chain")


def random_world(seed: int, nodes: int = 30) -> tuple[SimulatedFederation, list[str], list[str]]:
    """Return a federation over a random directed graph, its entities and those that are anchors. Hints and lists do not always agree."""
    chance = random.Random(seed)  # noqa: S311 - a reproducible graph
    federation = SimulatedFederation(Clock())
    names = [f"https://n{number}.example" for number in range(nodes)]
    for name in names:
        federation.add_authority(name)
    for name in names:
        hints = chance.sample(names, chance.randint(0, 3))
        federation.entities[name].superiors = hints
        for superior in names:
            if (superior in hints and chance.random() < 0.7) or chance.random() < 0.03:
                federation.entities[superior].subordinates[name] = {}
    return federation, names, chance.sample(names, 2)


def shortest_path(federation: SimulatedFederation, start: str, anchors: Sequence[str]) -> int | None:
    """Return the number of entities of the shortest chain to an anchor, by brute force over simple paths; None when there is none."""
    level = [(start,)]
    while level:
        for path in level:
            if path[-1] in anchors:
                return len(path)
        level = [
            (*path, superior)
            for path in level
            for superior in federation.entities[path[-1]].superiors
            if superior not in path and path[-1] in federation.entities[superior].subordinates
        ]
    return None


@pytest.mark.spec("FED-TCR-04", "FED-TCR-06", "FED-TCV-12")
@pytest.mark.threat("T02")
@pytest.mark.parametrize("seed", range(6))
def test_random_graphs_give_the_verdict_of_brute_force(seed: int) -> None:
    federation, names, anchors = random_world(seed)
    resolver = resolver_for(federation, anchors, limits=UNBOUNDED)
    for name in names:
        expected = shortest_path(federation, name, anchors)
        resolution = resolver.resolve(name, entity_types=())
        assert (len(resolution.chain.entities) if resolution.chain else None) == expected, name
        check_report(resolution)
        if resolution.chain:
            assert len(set(resolution.chain.entities)) == len(resolution.chain.entities)


@pytest.mark.threat("T01", "T02")
@pytest.mark.parametrize("seed", range(6, 10))
def test_within_the_usual_limits_random_graphs_are_never_trusted_more(seed: int) -> None:
    federation, names, anchors = random_world(seed)
    for name in names:
        expected = shortest_path(federation, name, anchors)
        resolution = resolver_for(federation, anchors).resolve(name, entity_types=())
        assert resolution.fetches <= 24
        if resolution.chain:
            assert len(resolution.chain.entities) == expected
        else:
            assert expected is None or expected > 7 or resolution.fetches == 24
