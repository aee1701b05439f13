"""Resolving: which chain is found and chosen, what it costs, and that it can be decided again (OpenID Federation 1.0, 10)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from federation.core.resolution import FailureClass, StepNumber
from federation.core.resolver import configuration_url, statement_url
from federation.core.statements import parse_entity_statement
from federation.simulator import Fault, SimulatedFederation
from protocol.fetch import Page
from tests.federation.support import (
    ANCHOR,
    INTERMEDIATE,
    LEAF,
    NOW,
    OTHER,
    Clock,
    chain_of,
    check_report,
    resolver_for,
    sign,
    small_federation,
    two_federations,
)

STATEMENT = "application/entity-statement+jwt"


@pytest.mark.spec("FED-TCR-01", "FED-TCR-03", "FED-ESV-10", "FED-TCH-01", "FED-ECP-05")
def test_a_cold_chain_of_four_statements_costs_five_fetches_and_five_signature_checks() -> None:
    federation = small_federation()
    fetcher = federation.fetcher()
    resolution = resolver_for(federation, fetcher=fetcher).resolve(LEAF)
    assert resolution.ok
    assert (resolution.fetches, resolution.signature_checks, len(resolution.statements)) == (5, 5, 4)
    assert dict(fetcher.fetches) == dict.fromkeys(
        [
            *(configuration_url(entity_id) for entity_id in (LEAF, INTERMEDIATE, ANCHOR)),
            statement_url(f"{INTERMEDIATE}/fetch", LEAF),
            statement_url(f"{ANCHOR}/fetch", INTERMEDIATE),
        ],
        1,
    )
    assert {request.method for request in fetcher.requests} == {"GET"}
    assert resolution.chain
    assert resolution.chain.entities == (LEAF, INTERMEDIATE, ANCHOR)
    check_report(resolution)


def test_a_second_leaf_costs_two_fetches_and_two_signature_checks_and_the_same_leaf_none() -> None:
    federation = small_federation()
    federation.add_relying_party(OTHER, [INTERMEDIATE])
    resolver = resolver_for(federation)
    assert resolver.resolve(LEAF).ok
    second, again = resolver.resolve(OTHER), resolver.resolve(LEAF)
    assert (second.ok, second.fetches, second.signature_checks) == (True, 2, 2)
    assert (again.ok, again.fetches, again.signature_checks) == (True, 0, 0)


@pytest.mark.spec("FED-TCV-09")
def test_a_sweep_costs_two_fetches_for_each_leaf_and_each_intermediate_and_one_for_the_anchor() -> None:
    federation = SimulatedFederation(Clock())
    federation.add_authority(ANCHOR)
    intermediates = [f"https://i{number}.example" for number in range(3)]
    leaves = [f"https://rp{number}.example" for number in range(300)]
    for entity_id in intermediates:
        federation.add_authority(entity_id, [ANCHOR], metadata_policy={"openid_relying_party": {"contacts": {"add": ["a@b.example"]}}})
    for number, entity_id in enumerate(leaves):
        federation.add_relying_party(entity_id, [intermediates[number % 3]])
    resolver = resolver_for(federation)
    found = [resolver.resolve(entity_id) for entity_id in leaves]
    assert all(resolution.ok for resolution in found)
    total = 2 * len(leaves) + 2 * len(intermediates) + 1
    assert sum(resolution.fetches for resolution in found) == total
    assert sum(resolution.signature_checks for resolution in found) <= total


@pytest.mark.spec("FED-TCV-16", "FED-TCH-05")
def test_an_anchor_resolves_to_itself_and_a_subject_may_be_an_intermediate() -> None:
    federation = small_federation()
    itself = resolver_for(federation).resolve(ANCHOR, entity_types=())
    assert (itself.ok, itself.fetches, len(itself.statements)) == (True, 1, 1)
    between = resolver_for(federation).resolve(INTERMEDIATE, entity_types=("federation_entity",))
    assert between.chain
    assert between.chain.entities == (INTERMEDIATE, ANCHOR)


@pytest.mark.spec("FED-TCV-12", "FED-TCR-10")
def test_the_shortest_chain_wins_then_the_order_of_anchors_then_the_names() -> None:
    shortest = resolver_for(two_federations(), [ANCHOR, OTHER]).resolve(LEAF)
    assert shortest.chain
    assert shortest.chain.anchor_id == OTHER
    assert OTHER in shortest.choice
    federation = two_federations()
    federation.entities[LEAF].superiors.append(ANCHOR)
    federation.entities[ANCHOR].subordinates[LEAF] = {}
    for order in ([ANCHOR, OTHER], [OTHER, ANCHOR]):
        chosen = resolver_for(federation, order).resolve(LEAF)
        assert chosen.chain
        assert chosen.chain.anchor_id == order[0]
        assert "2 valid chains" in chosen.choice
    diamond = SimulatedFederation(Clock())
    diamond.add_authority(ANCHOR)
    for name in ("https://b.example", "https://a.example"):
        diamond.add_authority(name, [ANCHOR])
    diamond.add_relying_party(LEAF, ["https://b.example", "https://a.example"])
    for _ in range(2):
        chosen = resolver_for(diamond).resolve(LEAF)
        assert chosen.chain
        assert chosen.chain.entities == (LEAF, "https://a.example", ANCHOR)
        diamond.entities[LEAF].superiors.reverse()


@pytest.mark.spec("FED-TCR-10")
def test_an_anchor_that_is_named_beside_others_is_asked_first_and_the_others_not_at_all() -> None:
    federation = two_federations()
    fetcher = federation.fetcher()
    resolution = resolver_for(federation, [OTHER], fetcher=fetcher).resolve(LEAF)
    assert (resolution.ok, resolution.fetches) == (True, 3)
    assert configuration_url(INTERMEDIATE) not in fetcher.fetches
    assert any(candidate.entities == (LEAF, INTERMEDIATE) and candidate.note for candidate in resolution.candidates)


@pytest.mark.spec("FED-TCR-10", "FED-TCR-09")
def test_the_anchor_is_reached_though_ten_superiors_lead_mostly_elsewhere() -> None:
    federation = SimulatedFederation(Clock())
    federation.add_authority(ANCHOR)
    superiors = [f"https://i{number}.example" for number in range(10)]
    for number, entity_id in enumerate(superiors):
        federation.add_authority(f"https://foreign{number}.example")
        federation.add_authority(entity_id, [f"https://foreign{number}.example", *([ANCHOR] if number == 9 else [])])
    federation.add_relying_party(LEAF, superiors)
    resolution = resolver_for(federation).resolve(LEAF)
    assert resolution.ok
    assert resolution.fetches <= 24


@pytest.mark.spec("FED-TCR-06")
@pytest.mark.parametrize("fault", [Fault.WRONG_SIGNATURE, Fault.SERVER_ERROR, Fault.NOT_A_JWT, Fault.EXPIRED, Fault.NOT_FOUND])
@pytest.mark.parametrize("at", ["configuration", "statement"])
def test_one_bad_path_does_not_spoil_another(fault: Fault, at: str) -> None:
    federation = two_federations()
    setattr(federation.entities[OTHER], "fault" if at == "configuration" else "statement_fault", fault)
    pinned = federation.anchor(OTHER)
    resolution = resolver_for(federation, [ANCHOR, OTHER]).resolve(LEAF)
    assert resolution.chain
    assert resolution.chain.anchor_id == ANCHOR
    lost = next(candidate for candidate in resolution.candidates if candidate.entities == (LEAF, OTHER))
    assert lost.failure
    assert pinned


@pytest.mark.spec("FED-TCR-06", "FED-TCV-11")
@pytest.mark.parametrize(
    "statement",
    [
        {"constraints": {"naming_constraints": {"excluded": ["leaf.example"]}}},
        {"metadata_policy": {"openid_relying_party": {"x": {"essential": True}}}},
        {"metadata_policy": {"openid_relying_party": {"x": {"one_of": []}}}},
        {"metadata_policy_crit": ["regexp"]},
        {"constraints": {"allowed_entity_types": []}},
        {"crit": ["x"], "x": 1},
    ],
    ids="-".join,
)
def test_a_path_that_its_rules_forbid_does_not_spoil_a_longer_one(statement: dict[str, Any]) -> None:
    federation = two_federations()
    federation.entities[OTHER].subordinates[LEAF] = statement
    resolution = resolver_for(federation, [ANCHOR, OTHER]).resolve(LEAF)
    assert resolution.chain
    assert resolution.chain.anchor_id == ANCHOR
    federation.entities[INTERMEDIATE].subordinates[LEAF] = statement
    assert not resolver_for(federation, [ANCHOR, OTHER]).resolve(LEAF).ok


@pytest.mark.spec("FED-TCR-05", "FED-TCR-06")
def test_what_went_wrong_on_the_way_to_our_anchor_is_said_before_what_other_federations_lack() -> None:
    """An entity in two federations whose superior here is away for a moment is not judged by the other federation's anchor."""
    federation = two_federations()
    federation.entities[INTERMEDIATE].fault = Fault.SERVER_ERROR
    failure = resolver_for(federation, [ANCHOR]).resolve(LEAF).failure
    assert failure
    assert (failure.step, failure.entity, failure.failure_class) == (StepNumber.FETCH_SUPERIOR, INTERMEDIATE, FailureClass.TRANSIENT)
    federation.entities[INTERMEDIATE].fault = None
    federation.expel(INTERMEDIATE, LEAF)
    failure = resolver_for(federation, [ANCHOR]).resolve(LEAF).failure
    assert failure
    assert (failure.step, failure.failure_class) == (StepNumber.FETCH_STATEMENT, FailureClass.UNSIGNED_NEGATIVE)


@pytest.mark.spec("FED-TCV-17", "FED-SEC-03", "FED-TCV-14")
def test_the_statements_of_a_resolution_give_the_same_verdict_offline_until_they_end() -> None:
    clock = Clock()
    federation = small_federation(clock, metadata_policy={"openid_relying_party": {"response_types": {"subset_of": ["code"]}}})
    found = resolver_for(federation).resolve(LEAF)
    fetcher = federation.fetcher()
    offline = resolver_for(federation, fetcher=fetcher)
    replayed = offline.resolve_supplied(found.statements)
    assert (replayed.ok, replayed.metadata, replayed.statements) == (True, found.metadata, found.statements)
    assert replayed.chain == found.chain
    assert fetcher.total == 0
    assert found.chain
    clock.now = found.chain.expires_at
    late = offline.resolve_supplied(found.statements)
    assert late.failure
    assert (late.ok, late.failure.code, late.entity_id) == (False, "invalid_trust_chain", LEAF)
    check_report(late)
    assert resolver_for(federation).resolve(LEAF).ok


@pytest.mark.parametrize("raw", [[], [""], ["a.b.c"], ["x"] * 9, ["a.b.c.d.e"]])
def test_a_supplied_chain_of_junk_is_reported_like_any_other(raw: list[str]) -> None:
    resolution = resolver_for(small_federation()).resolve_supplied(raw)
    assert (resolution.ok, resolution.entity_id) == (False, "")
    check_report(resolution)


KINDS = ("trust-mark+jwt", "jwk-set+jwt", "JWT", "explicit-registration-response+jwt", None)
CLAIMS = ("iss", "sub", "exp", "jwks", "metadata", "crit", "authority_hints", "constraints", "metadata_policy", "trust_marks")
json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=3)),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(st.text(max_size=3), inner, max_size=2)),
    max_leaves=5,
)
answers = st.one_of(
    st.binary(max_size=300),
    st.sampled_from(["cut", "twice", "swapped", "nested", *(f"typ:{kind}" for kind in KINDS)]),
    st.dictionaries(st.sampled_from(CLAIMS), json_values, max_size=3),
)


@pytest.mark.spec("FED-ECP-10", "FED-TCR-06")
@pytest.mark.threat("T01", "T08")
@settings(deadline=None, max_examples=150)
@given(st.sampled_from(["leaf", "intermediate", "anchor", "lower", "upper"]), answers)
def test_no_answer_raises_anything(position: str, answer: Any) -> None:
    federation = small_federation()
    whole = dict(
        zip(
            ("leaf", "lower", "upper", "anchor", "intermediate"),
            (*chain_of(federation, LEAF, INTERMEDIATE, ANCHOR), federation.configuration(INTERMEDIATE)),
            strict=True,
        )
    )
    urls = {
        "leaf": configuration_url(LEAF),
        "intermediate": configuration_url(INTERMEDIATE),
        "anchor": configuration_url(ANCHOR),
        "lower": statement_url(f"{INTERMEDIATE}/fetch", LEAF),
        "upper": statement_url(f"{ANCHOR}/fetch", INTERMEDIATE),
    }
    good = whole[position]
    key = federation.entities[{"leaf": LEAF, "anchor": ANCHOR, "upper": ANCHOR}.get(position, INTERMEDIATE)].keys[0]
    if isinstance(answer, bytes):
        body = answer
    elif isinstance(answer, dict):
        body = _resigned(good, key, answer)
    else:
        body = {
            "cut": good.encode()[: len(good) // 2],
            "twice": (good + good).encode(),
            "swapped": whole["upper" if position == "leaf" else "leaf"].encode(),
            "nested": f"{good}.{good}".encode(),
        }.get(answer) or _resigned(good, key, {}, typ=None if answer == "typ:None" else answer.removeprefix("typ:"))
    fetcher = federation.fetcher()
    fetcher.put(urls[position], Page(body, STATEMENT))
    resolution = resolver_for(federation, fetcher=fetcher).resolve(LEAF)
    check_report(resolution)
    if isinstance(answer, bytes | str):
        assert not resolution.ok


def _resigned(raw: str, key: Any, changes: dict[str, Any], typ: str | None = "entity-statement+jwt") -> bytes:
    """Return a good statement with changed claims, signed by its issuer's key."""
    claims = dict(parse_entity_statement(raw).jwt.unverified_claims) | changes
    return sign(claims, key, typ=typ).encode()


def test_now_is_the_second_of_the_clock() -> None:
    assert resolver_for(small_federation(Clock(NOW + 0.9))).resolve(LEAF).now == NOW
