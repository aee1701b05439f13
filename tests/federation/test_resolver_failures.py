"""What a failed resolution says: step, entity, who can mend it, and what it proves (portal.md 4.7; threats.md 3.2)."""

from __future__ import annotations

import pytest

from federation.core.resolution import FailureClass, Fixer, StepNumber
from federation.core.resolver import configuration_url
from federation.simulator import Fault
from protocol.fetch import Page
from tests.federation.support import (
    ANCHOR,
    INTERMEDIATE,
    LEAF,
    OTHER,
    check_report,
    resolver_for,
    small_federation,
)

PERMANENT = {Fault.NOT_FOUND, Fault.REDIRECT}
BROKEN = {Fault.NOT_A_JWT, Fault.WRONG_SIGNATURE, Fault.EXPIRED}
POSITIONS = {
    "leaf": (LEAF, StepNumber.FETCH_CONFIGURATION, StepNumber.VERIFY_CONFIGURATION, Fixer.PARTNER, "invalid_subject"),
    "intermediate": (INTERMEDIATE, StepNumber.FETCH_SUPERIOR, StepNumber.FETCH_SUPERIOR, Fixer.SUPERIOR, "invalid_trust_chain"),
    "anchor": (ANCHOR, StepNumber.FETCH_SUPERIOR, StepNumber.FETCH_SUPERIOR, Fixer.SUPERIOR, "invalid_trust_chain"),
    "lower": (INTERMEDIATE, StepNumber.FETCH_STATEMENT, StepNumber.VERIFY_STATEMENT, Fixer.SUPERIOR, "invalid_trust_chain"),
    "upper": (ANCHOR, StepNumber.FETCH_STATEMENT, StepNumber.VERIFY_STATEMENT, Fixer.SUPERIOR, "invalid_trust_chain"),
}


@pytest.mark.spec("FED-ECP-10", "FED-TCR-08", "FED-HTT-03", "FED-SEC-07")
@pytest.mark.threat("T08", "X08")
@pytest.mark.parametrize("position", POSITIONS)
@pytest.mark.parametrize("fault", Fault)
def test_every_fault_says_where_it_is_who_mends_it_and_what_it_proves(fault: Fault, position: str) -> None:
    entity, fetch_step, verify_step, verify_fixer, verify_code = POSITIONS[position]
    federation = small_federation()
    setattr(federation.entities[entity], "statement_fault" if position in ("lower", "upper") else "fault", fault)
    resolution = resolver_for(federation).resolve(LEAF)
    failure = resolution.failure
    assert failure
    check_report(resolution)
    assert failure.entity == entity
    if fault in BROKEN:
        kind = FailureClass.SIGNED_NEGATIVE if fault is Fault.EXPIRED else FailureClass.UNSIGNED_NEGATIVE
        assert (failure.step, failure.fixer, failure.failure_class, failure.code) == (verify_step, verify_fixer, kind, verify_code)
        assert (failure.evidence is None) is (fault is Fault.NOT_A_JWT)
        assert failure.evidence is None or failure.evidence["iss"] == entity
    elif fault in PERMANENT:
        fixer = Fixer.FEDERATION_OPERATOR if fetch_step is StepNumber.FETCH_STATEMENT else verify_fixer
        expected = (fetch_step, fixer, FailureClass.UNSIGNED_NEGATIVE, "not_found")
        assert (failure.step, failure.fixer, failure.failure_class, failure.code) == expected
    else:
        expected = (fetch_step, Fixer.HOST, FailureClass.TRANSIENT, "temporarily_unavailable")
        assert (failure.step, failure.fixer, failure.failure_class, failure.code) == expected


@pytest.mark.spec("FED-HTT-03")
@pytest.mark.parametrize(
    ("media_type", "ok"),
    [
        ("application/entity-statement+jwt", True),
        ("Application/Entity-Statement+JWT; charset=utf-8", True),
        ("application/jwt", False),
        ("application/json", False),
        ("text/plain", False),
        ("application/entity-statement", False),
        ("application/entity-statement+jwt, text/plain", False),
    ],
)
def test_only_the_media_type_itself_is_compared(media_type: str, ok: bool) -> None:
    federation = small_federation()
    fetcher = federation.fetcher()
    fetcher.put(configuration_url(LEAF), Page(federation.configuration(LEAF).encode(), media_type))
    assert resolver_for(federation, fetcher=fetcher).resolve(LEAF).ok is ok


@pytest.mark.spec("FED-SEC-06", "FED-ECP-10")
@pytest.mark.parametrize(
    "entity_id",
    ["http://leaf.example", "https://127.0.0.1", "https://localhost", "https://leaf.example:22", "https://a@leaf.example", "x", ""],
)
def test_an_identifier_that_is_not_fetched_is_refused_without_a_fetch(entity_id: str) -> None:
    federation = small_federation()
    fetcher = federation.fetcher()
    resolution = resolver_for(federation, fetcher=fetcher).resolve(entity_id)
    assert not resolution.ok
    assert fetcher.total == 0 or entity_id == "https://leaf.example:22"
    check_report(resolution)


def test_a_superior_without_fetch_endpoint_is_the_wrong_one_to_ask() -> None:
    federation = small_federation()
    del federation.entities[INTERMEDIATE].metadata["federation_entity"]["federation_fetch_endpoint"]
    failure = resolver_for(federation).resolve(LEAF).failure
    assert failure
    assert (failure.step, failure.code, failure.fixer) == (StepNumber.FETCH_SUPERIOR, "invalid_issuer", Fixer.SUPERIOR)


@pytest.mark.spec("FED-TCR-05", "FED-ESC-07")
def test_a_leaf_without_superiors_and_a_chain_to_a_foreign_anchor_are_told_apart() -> None:
    federation = small_federation()
    federation.entities[LEAF].superiors = []
    alone = resolver_for(federation).resolve(LEAF).failure
    assert alone
    assert (alone.step, alone.fixer, alone.code) == (StepNumber.AUTHORITY_HINTS, Fixer.PARTNER, "invalid_trust_chain")
    assert alone.failure_class is FailureClass.UNSIGNED_NEGATIVE
    federation.entities[LEAF].superiors = [INTERMEDIATE]
    federation.add_authority(OTHER)
    foreign = resolver_for(federation, [OTHER]).resolve(LEAF).failure
    assert foreign
    assert (foreign.step, foreign.entity, foreign.fixer) == (StepNumber.REACH_ANCHOR, ANCHOR, Fixer.STAFF)
    assert foreign.code == "invalid_trust_anchor"


@pytest.mark.spec("FED-TCR-01")
def test_without_trust_anchors_nothing_is_trusted() -> None:
    resolution = resolver_for(small_federation(), []).resolve(LEAF)
    assert not resolution.ok
    check_report(resolution)


@pytest.mark.spec("FED-ESV-04", "FED-ECP-10")
@pytest.mark.threat("T03")
def test_the_twin_with_a_slash_shares_the_document_and_is_another_entity() -> None:
    federation = small_federation()
    resolver = resolver_for(federation)
    assert resolver.resolve(LEAF).ok
    failure = resolver.resolve(LEAF + "/").failure
    assert failure
    assert (failure.step, failure.entity, failure.code) == (StepNumber.VERIFY_CONFIGURATION, LEAF + "/", "invalid_subject")
    federation.entities[LEAF].superiors = [INTERMEDIATE + "/"]
    assert not resolver_for(federation).resolve(LEAF).ok


def test_constraints_and_policies_fail_at_their_steps() -> None:
    federation = small_federation()
    federation.entities[ANCHOR].subordinates[INTERMEDIATE]["constraints"] = {"max_path_length": 0}
    failure = resolver_for(federation).resolve(LEAF).failure
    assert failure
    assert (failure.step, failure.code, failure.fixer) == (StepNumber.CONSTRAINTS, "invalid_trust_chain", Fixer.FEDERATION_OPERATOR)
    assert failure.failure_class is FailureClass.SIGNED_NEGATIVE
    policies = {ANCHOR: {"x": {"value": "a"}}, INTERMEDIATE: {"x": {"value": "b"}}}
    for superior, subject in ((ANCHOR, INTERMEDIATE), (INTERMEDIATE, LEAF)):
        federation.entities[superior].subordinates[subject] = {"metadata_policy": {"openid_relying_party": policies[superior]}}
    failure = resolver_for(federation).resolve(LEAF).failure
    assert failure
    assert (failure.step, failure.code) == (StepNumber.MERGE_POLICIES, "invalid_metadata")
    assert failure.failure_class is FailureClass.SIGNED_NEGATIVE
