"""What one resolution may cost (threats.md T01)."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from federation.core.resolution import FailureClass, Fixer
from federation.core.resolver import ResolutionLimits
from federation.core.statement_cache import MemoryStatementCache
from federation.simulator import SimulatedFederation
from protocol.errors import FetchError
from protocol.fetch import FetchRequest, FetchResponse, InMemoryFetcher, Page
from tests.federation.support import (
    ANCHOR,
    LEAF,
    Clock,
    check_report,
    configuration_claims,
    resolver_for,
    sign,
    signing_key,
    small_federation,
    statement_claims,
)

STATEMENT = "application/entity-statement+jwt"


class SlowFetcher:
    """Answers as a federation, each fetch taking `seconds` or until its deadline; those of one batch at the same time."""

    def __init__(self, inner: InMemoryFetcher, clock: Clock, seconds: float) -> None:
        self.inner, self.clock, self.seconds = inner, clock, seconds

    def fetch(self, request: FetchRequest) -> FetchResponse:
        result = self.fetch_many([request])[0]
        if isinstance(result, FetchError):
            raise result
        return result

    def fetch_many(self, requests: Sequence[FetchRequest]) -> list[FetchResponse | FetchError]:
        if not requests:
            return []
        longest = max(request.deadline_seconds or 0 for request in requests)
        self.clock.now += min(self.seconds, longest)
        if self.seconds > longest:
            return [FetchError("deadline", "too slow", permanent=False) for _ in requests]
        return self.inner.fetch_many(requests)


def hint_tree(breadth: int) -> tuple[SimulatedFederation, InMemoryFetcher]:
    """Return a federation and a fetcher for which every entity names `breadth` superiors never seen before, without an end."""
    federation = SimulatedFederation(Clock())
    federation.add_authority(ANCHOR)
    federation.add_relying_party(LEAF, [])
    key = signing_key("tree")
    count = iter(range(10**9))

    def answer(request: FetchRequest) -> Page | FetchError | None:
        host, _, rest = request.url.removeprefix("https://").partition("/")
        entity_id = f"https://{host}"
        if entity_id == ANCHOR:
            return federation.answer(request)
        if rest.startswith("fetch?"):
            subject = "https://" + request.url.rpartition("%2F%2F")[2]
            claims = statement_claims(entity_id, subject, jwks={"keys": [key.public_jwk()]})
        else:
            claims = configuration_claims(
                entity_id,
                jwks={"keys": [key.public_jwk()]},
                metadata={"federation_entity": {"federation_fetch_endpoint": f"{entity_id}/fetch"}},
                authority_hints=[f"https://t{next(count)}.example" for _ in range(breadth)],
            )
        return Page(sign(claims, key).encode(), STATEMENT)

    return federation, InMemoryFetcher(otherwise=answer, clock=federation.clock)


@pytest.mark.spec("FED-TCR-09", "FED-SEC-08")
@pytest.mark.threat("T01")
@pytest.mark.parametrize("breadth", [1, 2, 10, 100])
@pytest.mark.parametrize("seconds", [0.0, 0.9, 3.0, 60.0])
def test_an_endless_tree_of_superiors_costs_a_bounded_number_of_fetches_and_a_bounded_time(breadth: int, seconds: float) -> None:
    federation, inner = hint_tree(breadth)
    monotonic = Clock(100.0)
    resolution = resolver_for(federation, fetcher=SlowFetcher(inner, monotonic, seconds), monotonic=monotonic).resolve(LEAF)
    assert not resolution.ok
    assert resolution.fetches <= 24
    assert inner.total <= 24
    assert monotonic.now - 100 <= 8.3
    assert resolution.signature_checks <= 64
    assert len(resolution.candidates) < 5000
    check_report(resolution)


@pytest.mark.spec("FED-TCR-09")
@pytest.mark.threat("T01")
def test_nothing_is_fetched_after_the_last_second() -> None:
    federation, inner = hint_tree(1)
    monotonic = Clock(100.0)
    slow = SlowFetcher(inner, monotonic, 2.0)
    resolution = resolver_for(federation, fetcher=slow, monotonic=monotonic).resolve(LEAF)
    assert (resolution.fetches, inner.total, monotonic.now) == (4, 4, 108.0)


@pytest.mark.spec("FED-TCR-09")
@pytest.mark.threat("T01")
def test_at_most_ten_hints_of_an_entity_are_tried_and_the_anchor_is_one_of_them() -> None:
    federation = SimulatedFederation(Clock())
    federation.add_authority(ANCHOR)
    others = [f"https://o{number}.example" for number in range(30)]
    for name in others:
        federation.add_authority(name)
    federation.add_relying_party(LEAF, others)
    fetcher = federation.fetcher()
    resolution = resolver_for(federation, fetcher=fetcher, limits=ResolutionLimits(fetches=1000)).resolve(LEAF)
    asked = {request.url for request in fetcher.requests if "well-known" in request.url}
    assert len(asked) == 11
    assert sum("Only 10 hints" in (candidate.failure.sentence if candidate.failure else "") for candidate in resolution.candidates) == 20
    federation.entities[LEAF].superiors.append(ANCHOR)
    federation.entities[ANCHOR].subordinates[LEAF] = {}
    assert resolver_for(federation).resolve(LEAF).ok


@pytest.mark.spec("FED-TCR-09")
@pytest.mark.parametrize("depth", [1, 2, 3, 6])
def test_no_more_levels_are_climbed_than_the_limit(depth: int) -> None:
    federation = SimulatedFederation(Clock())
    federation.add_authority(ANCHOR)
    superior = ANCHOR
    for number in range(depth):
        superior = federation.add_authority(f"https://i{number}.example", [superior]).entity_id
    federation.add_relying_party(LEAF, [superior])
    limits = ResolutionLimits(depth=depth)
    tops = federation.entities["https://i0.example"].entity_id
    assert not resolver_for(federation, limits=limits).resolve(LEAF).ok
    assert resolver_for(federation, [tops], limits=limits).resolve(LEAF).ok


@pytest.mark.spec("FED-TCR-09")
@pytest.mark.threat("T01")
@pytest.mark.parametrize(
    ("limits", "ok"), [({"bytes": 100_000}, True), ({"bytes": 3_000}, False), ({"fetches": 5}, True), ({"fetches": 4}, False)]
)
def test_what_does_not_fit_into_the_limits_is_transient_and_never_trusted(limits: dict[str, int], ok: bool) -> None:
    federation = small_federation()
    resolution = resolver_for(federation, limits=ResolutionLimits(**limits)).resolve(LEAF)
    assert resolution.ok is ok
    if not ok:
        assert resolution.failure
        assert (resolution.failure.failure_class, resolution.failure.fixer) == (FailureClass.TRANSIENT, Fixer.NOBODY)
        assert resolution.failure.code == "temporarily_unavailable"


def test_signatures_beyond_the_limit_say_nothing_about_the_entity() -> None:
    failure = resolver_for(small_federation(), limits=ResolutionLimits(signature_checks=2)).resolve(LEAF).failure
    assert failure
    assert failure.failure_class is FailureClass.TRANSIENT


@pytest.mark.threat("T01")
def test_a_web_of_superiors_that_is_in_the_cache_costs_no_more_paths_than_the_limit() -> None:
    """Twelve intermediates that all know each other: without a limit of paths their orders would be tried one by one."""
    federation = SimulatedFederation(Clock())
    web = [f"https://w{number}.example" for number in range(12)]
    for name in web:
        federation.add_authority(name)
    for name in web:
        federation.entities[name].superiors = [other for other in web if other != name]
        federation.entities[name].subordinates = {other: {} for other in web if other != name}
    federation.add_authority(ANCHOR)
    federation.add_relying_party(LEAF, web[:10])
    cache = MemoryStatementCache()
    warm = ResolutionLimits(fetches=1000, signature_checks=1000, depth=2)
    resolver_for(federation, cache=cache, limits=warm).resolve(LEAF)
    resolution = resolver_for(federation, cache=cache).resolve(LEAF)
    assert not resolution.ok
    assert len(resolution.candidates) < 7000
