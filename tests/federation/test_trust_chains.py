"""Trust chains: what links them, what ends them, and that nothing but a whole and genuine one is valid (4, 10.2, 10.4)."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from federation.core.resolution import FailureClass, StepNumber
from federation.core.trust_chains import CHAIN_LIMIT, TrustAnchor, TrustChain, link_chain, validate_trust_chain
from federation.simulator import SimulatedFederation
from protocol.errors import (
    ConstraintViolated,
    FederationError,
    InvalidTrustAnchor,
    InvalidTrustChain,
    SignatureInvalid,
    StatementExpired,
    StatementInvalid,
)
from protocol.jose import VerificationBudget, generate_private_key
from tests.federation.support import (
    ANCHOR,
    INTERMEDIATE,
    LEAF,
    LIFETIME,
    NOW,
    OTHER,
    Clock,
    chain_of,
    configuration_claims,
    jwks,
    key_set,
    resolver_for,
    sign,
    signing_key,
    small_federation,
    statement_claims,
    verify_configuration,
    verify_statement,
)

PINNED = TrustAnchor(ANCHOR, key_set(ANCHOR))


def good_chain(**changes: dict[str, Any]) -> list[str]:
    """Return leaf, intermediate's statement, anchor's statement, anchor; `changes` are claims by part."""
    authority = {"federation_entity": {"federation_fetch_endpoint": "https://anchor.example/fetch"}}
    anchor = {name: value for name, value in configuration_claims(ANCHOR, metadata=authority).items() if name != "authority_hints"}
    return [
        sign(configuration_claims(LEAF, authority_hints=[INTERMEDIATE]) | changes.get("leaf", {})),
        sign(statement_claims(INTERMEDIATE, LEAF) | changes.get("lower", {})),
        sign(statement_claims(ANCHOR, INTERMEDIATE) | changes.get("upper", {})),
        sign(anchor | changes.get("anchor", {})),
    ]


GOOD = good_chain()


def validate(raw: list[str], *anchors: TrustAnchor, now: int = NOW) -> TrustChain:
    return validate_trust_chain(raw, anchors or [PINNED], now=now)


def refusal(raw: list[str], *anchors: TrustAnchor, now: int = NOW) -> FederationError:
    with pytest.raises((InvalidTrustChain, InvalidTrustAnchor)) as caught:
        validate(raw, *anchors, now=now)
    return caught.value


@pytest.mark.spec("FED-TCH-01", "FED-TCH-02", "FED-TCH-03", "FED-TCV-05", "FED-TCV-17", "FED-TCV-16")
def test_a_good_chain_is_valid_with_and_without_the_anchors_configuration() -> None:
    raw = good_chain()
    whole, short = validate(raw), validate(raw[:-1])
    assert whole.entities == short.entities == (LEAF, INTERMEDIATE, ANCHOR)
    assert whole.raw == tuple(raw)
    assert short.raw == tuple(raw[:-1])
    assert whole.anchor
    assert (short.anchor, short.anchor_id) == (None, ANCHOR)


@pytest.mark.spec("FED-TCV-16")
def test_a_direct_chain_has_three_statements() -> None:
    raw = [sign(configuration_claims()), sign(statement_claims()), sign(configuration_claims(ANCHOR))]
    assert validate(raw).entities == (LEAF, ANCHOR)


@pytest.mark.spec("FED-TCV-16", "FED-TCH-05")
def test_the_chain_of_the_anchor_itself_is_its_configuration() -> None:
    chain = validate([good_chain()[3]])
    assert (chain.entities, chain.statements, len(chain.raw)) == ((ANCHOR,), (), 1)


@pytest.mark.spec("FED-TCH-05")
def test_an_anchor_below_another_ends_the_chain_where_it_is_pinned() -> None:
    raw = [*good_chain()[:2], sign(configuration_claims(INTERMEDIATE, authority_hints=[ANCHOR]))]
    assert validate(raw, TrustAnchor(INTERMEDIATE, key_set(INTERMEDIATE)), PINNED).anchor_id == INTERMEDIATE
    assert isinstance(refusal(raw), InvalidTrustAnchor)


@pytest.mark.spec("FED-TCH-01", "FED-TCH-03", "FED-TCV-04", "FED-TCV-17")
@pytest.mark.threat("T07", "T08")
@pytest.mark.parametrize("length", [3, 4])
def test_every_other_order_of_a_valid_chain_is_invalid(length: int) -> None:
    raw = good_chain()[:length]
    orders = [list(order) for order in itertools.permutations(raw)]
    assert sum(1 for order in orders if _is_valid(order)) == 1


def _is_valid(raw: list[str], *anchors: TrustAnchor) -> bool:
    try:
        validate(raw, *anchors)
    except (InvalidTrustChain, InvalidTrustAnchor):
        return False
    return True


@pytest.mark.spec("FED-TCH-01")
@pytest.mark.threat("T07", "T08")
def test_no_part_of_a_chain_can_be_left_out_or_repeated() -> None:
    raw = good_chain()
    anchor_itself = ([raw[3]], [raw[3], raw[3]])
    for count in range(5):
        for picked in itertools.product(raw, repeat=count):
            if list(picked) not in (raw, raw[:-1], *anchor_itself):
                assert not _is_valid(list(picked)), [raw.index(part) for part in picked]


@pytest.mark.threat("T08")
@pytest.mark.spec("FED-TCV-17")
def test_statements_of_another_chain_do_not_fit() -> None:
    raw = good_chain()
    other = [
        sign(configuration_claims(OTHER, authority_hints=[INTERMEDIATE])),
        sign(statement_claims(INTERMEDIATE, OTHER)),
        sign(statement_claims(ANCHOR, OTHER)),
        sign(configuration_claims(OTHER)),
    ]
    for position in range(4):
        assert not _is_valid([*raw[:position], other[position], *raw[position + 1 :]])
    assert not _is_valid([raw[0], other[1], raw[2]])


@pytest.mark.spec("FED-TCV-04", "FED-TCV-06", "FED-TCV-03", "FED-TCV-17", "FED-ESV-12")
@pytest.mark.threat("T08")
@settings(deadline=None)
@given(st.integers(0, 3), st.floats(0, 1, exclude_max=True), st.integers(0, 7))
def test_a_flipped_bit_anywhere_never_leaves_a_valid_chain(part: int, where: float, bit: int) -> None:
    raw = GOOD.copy()
    position = int(where * len(raw[part]))
    flipped = chr(ord(raw[part][position]) ^ (1 << bit))
    raw[part] = raw[part][:position] + flipped + raw[part][position + 1 :]
    assert not _is_valid(raw)
    if part < 3:
        assert not _is_valid(raw[:3])


BASE64URL = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


@pytest.mark.spec("FED-TCV-04", "FED-TCV-06", "FED-TCV-03", "FED-TCV-17")
@pytest.mark.threat("T08")
@pytest.mark.parametrize("part", range(4))
def test_another_character_at_any_place_never_leaves_a_valid_chain(part: int) -> None:
    """Every place of every statement, changed to a character that base64url has, so that most still decode."""
    for position, character in enumerate(GOOD[part]):
        other = BASE64URL[(BASE64URL.find(character) + 1 + position % 7) % 64]
        raw = GOOD.copy()
        raw[part] = raw[part][:position] + other + raw[part][position + 1 :]
        assert not _is_valid(raw), position


@pytest.mark.threat("T08")
@pytest.mark.parametrize("part", range(4))
def test_a_changed_claim_under_the_old_signature_is_invalid(part: int) -> None:
    header, _, signature = GOOD[part].split(".")
    claims = [
        configuration_claims(LEAF, authority_hints=[INTERMEDIATE]),
        statement_claims(INTERMEDIATE, LEAF),
        statement_claims(ANCHOR, INTERMEDIATE),
        configuration_claims(ANCHOR),
    ][part]
    changed = sign(claims | {"exp": NOW + LIFETIME + 1}).split(".")[1]
    raw = GOOD.copy()
    raw[part] = f"{header}.{changed}.{signature}"
    assert isinstance(refusal(raw), SignatureInvalid)


@pytest.mark.spec("FED-TCV-04", "FED-TCH-03", "FED-ESV-04")
@pytest.mark.threat("T08", "T03")
@pytest.mark.parametrize("name", [OTHER, LEAF + "/"])
def test_a_member_cannot_speak_under_another_name_with_the_key_that_its_superior_vouches_for(name: str) -> None:
    posing = sign(configuration_claims(name, jwks=jwks(LEAF), authority_hints=[INTERMEDIATE]), signing_key(LEAF))
    error = refusal([posing, *GOOD[1:]])
    assert type(error) is InvalidTrustChain
    assert "fit together" in error.description


@pytest.mark.spec("FED-TCV-07", "FED-TCV-04", "FED-TCH-03")
def test_the_leafs_own_key_proves_nothing_when_its_superior_does_not_vouch_for_it() -> None:
    raw = good_chain(lower={"jwks": jwks(OTHER)})
    error = refusal(raw)
    assert isinstance(error, SignatureInvalid)
    assert error.reason == "superior_keys"
    assert LEAF in error.description
    assert INTERMEDIATE in error.description


@pytest.mark.spec("FED-TCV-04", "FED-TCV-07")
@pytest.mark.parametrize("part", ["lower", "upper"])
def test_another_key_under_the_same_name_does_not_verify(part: str) -> None:
    subject = LEAF if part == "lower" else INTERMEDIATE
    same_name = {**signing_key(OTHER).public_jwk(), "kid": signing_key(subject).kid}
    assert isinstance(refusal(good_chain(**{part: {"jwks": {"keys": [same_name]}}})), SignatureInvalid)


@pytest.mark.spec("FED-TCV-06", "FED-TCH-04")
@pytest.mark.threat("T09", "T08")
def test_keys_that_the_anchors_own_document_carries_are_not_believed() -> None:
    """A whole federation by somebody else under the anchor's name."""
    forged = SimulatedFederation(Clock())
    for entity_id, superiors in ((ANCHOR, []), (INTERMEDIATE, [ANCHOR])):
        forged.add_authority(entity_id, superiors)
    forged.add_relying_party(LEAF, [INTERMEDIATE])
    raw = chain_of(forged, LEAF, INTERMEDIATE, ANCHOR)
    assert _is_valid(raw, forged.anchor(ANCHOR))
    for supplied in (raw, raw[:-1], [raw[0], raw[1], raw[2], GOOD[3]]):
        assert isinstance(refusal(supplied), SignatureInvalid)
    resolver = resolver_for(forged)
    resolver.anchors[ANCHOR] = PINNED
    found = resolver.resolve(LEAF)
    assert not found.ok
    assert found.failure
    assert (found.failure.step, found.failure.entity) == (StepNumber.FETCH_SUPERIOR, ANCHOR)
    assert found.failure.failure_class is FailureClass.UNSIGNED_NEGATIVE


@pytest.mark.spec("FED-TCV-06", "FED-TCH-04")
@pytest.mark.threat("T09")
def test_a_statement_by_a_key_that_the_anchor_published_and_nobody_pinned_is_refused() -> None:
    """The document lists the pinned key and a second one; the second one signs."""
    second = signing_key("second")
    upper = sign(statement_claims(ANCHOR, INTERMEDIATE), second)
    anchor = sign(configuration_claims(ANCHOR, jwks=jwks(ANCHOR, "second")))
    assert isinstance(refusal([*GOOD[:2], upper, anchor]), SignatureInvalid)
    statement = verify_statement(sign(statement_claims(), signing_key(ANCHOR)))
    configuration = verify_configuration(sign(configuration_claims()))
    other = TrustAnchor(ANCHOR, key_set("second"))
    with pytest.raises(SignatureInvalid) as caught:
        link_chain(configuration, [statement], other, None, now=NOW, budget=VerificationBudget())
    assert caught.value.reason == "anchor_keys"


@pytest.mark.spec("FED-ESV-06")
def test_a_superior_that_the_leaf_does_not_name_is_no_superior() -> None:
    error = refusal(good_chain(leaf={"authority_hints": [OTHER]}))
    assert type(error) is InvalidTrustChain
    assert "authority_hints" in error.description


@pytest.mark.spec("FED-TCR-04")
@pytest.mark.threat("T02")
def test_a_chain_through_an_entity_twice_is_refused() -> None:
    raw = [
        sign(configuration_claims(LEAF, authority_hints=[INTERMEDIATE])),
        sign(statement_claims(INTERMEDIATE, LEAF)),
        sign(statement_claims(OTHER, INTERMEDIATE)),
        sign(statement_claims(INTERMEDIATE, OTHER)),
        sign(statement_claims(ANCHOR, INTERMEDIATE)),
    ]
    error = refusal(raw)
    assert type(error) is InvalidTrustChain
    assert "twice" in error.description


PARTS = ("leaf", "lower", "upper", "anchor")


@pytest.mark.spec("FED-TCV-02", "FED-TCV-01", "FED-ESV-08")
@pytest.mark.threat("T08")
@pytest.mark.parametrize("part", PARTS)
def test_one_expired_statement_at_any_place_invalidates_the_chain(part: str) -> None:
    for exp in (NOW - LIFETIME, NOW - 1, NOW):
        assert isinstance(refusal(good_chain(**{part: {"exp": exp}})), StatementExpired)
    assert validate(good_chain(**{part: {"exp": NOW + 1}}))
    assert isinstance(refusal(good_chain(**{part: {"iat": NOW + 61}})), StatementExpired)
    assert validate(good_chain(**{part: {"iat": NOW + 60}}))


@pytest.mark.spec("FED-TCV-01")
@pytest.mark.parametrize("part", range(4))
@pytest.mark.parametrize("claim", ["iss", "sub", "iat", "exp", "jwks"])
def test_a_chain_needs_every_claim_of_every_statement(part: int, claim: str) -> None:
    kinds: list[Callable[[], dict[str, Any]]] = [
        lambda: configuration_claims(LEAF, authority_hints=[INTERMEDIATE]),
        lambda: statement_claims(INTERMEDIATE, LEAF),
        lambda: statement_claims(ANCHOR, INTERMEDIATE),
        lambda: configuration_claims(ANCHOR),
    ]
    claims = kinds[part]()
    key = signing_key(claims["iss"])
    del claims[claim]
    raw = GOOD.copy()
    raw[part] = sign(claims, key)
    assert isinstance(refusal(raw), StatementInvalid)


@pytest.mark.spec("FED-TCV-13")
@pytest.mark.parametrize("part", PARTS)
def test_the_chain_ends_with_its_first_statement_to_end(part: str) -> None:
    assert validate(good_chain(**{part: {"exp": NOW + 100}})).expires_at == NOW + 100
    assert validate(GOOD).expires_at == NOW + LIFETIME


@pytest.mark.spec("FED-SEC-08")
def test_a_chain_has_at_least_one_and_at_most_eight_statements() -> None:
    for raw in ([], [GOOD[0]] * (CHAIN_LIMIT + 1), GOOD * 100):
        assert type(refusal(raw)) is InvalidTrustChain
    federation = small_federation()
    path = [f"https://i{number}.example" for number in range(5)]
    for superior, entity_id in itertools.pairwise([ANCHOR, *reversed(path)]):
        federation.add_authority(entity_id, [superior])
    federation.add_relying_party(OTHER, [path[0]])
    raw = chain_of(federation, OTHER, *path, ANCHOR)
    assert len(raw) == CHAIN_LIMIT
    assert validate(raw, federation.anchor(ANCHOR))
    assert len(resolver_for(federation).resolve(OTHER).statements) == CHAIN_LIMIT


def test_a_supplied_chain_costs_one_signature_check_for_each_statement_and_never_more_than_its_budget() -> None:
    budget = VerificationBudget(100)
    assert validate_trust_chain(GOOD, [PINNED], now=NOW, budget=budget)
    assert budget.spent == 4
    with pytest.raises(StatementInvalid) as caught:
        validate_trust_chain(GOOD, [PINNED], now=NOW, budget=VerificationBudget(3))
    assert caught.value.reason == "verification_budget"


@pytest.mark.spec("FED-TCV-01", "FED-TCV-17")
@pytest.mark.parametrize("junk", ["", "a.b.c", "{}", "null", "\u00e9", "a" * 100_000, GOOD[0] + "\n", GOOD[0].replace(".", "..")])
@pytest.mark.parametrize("part", range(4))
def test_junk_at_any_place_is_refused_with_a_documented_error(part: int, junk: str) -> None:
    raw = GOOD.copy()
    raw[part] = junk
    assert isinstance(refusal(raw), StatementInvalid)


def rolled(*, overlap: bool) -> tuple[SimulatedFederation, list[str]]:
    """Return a federation whose leaf and intermediate rolled their keys, and its chain from before."""
    federation = small_federation()
    before = chain_of(federation, LEAF, INTERMEDIATE, ANCHOR)
    for entity_id in (LEAF, INTERMEDIATE):
        federation.roll_keys(entity_id, overlap=overlap)
    return federation, before


@pytest.mark.spec("FED-TCV-04", "FED-TCV-07")
def test_old_statements_fit_new_ones_only_while_the_old_keys_are_vouched_for() -> None:
    for overlap in (True, False):
        federation, before = rolled(overlap=overlap)
        after = chain_of(federation, LEAF, INTERMEDIATE, ANCHOR)
        anchor = federation.anchor(ANCHOR)
        assert _is_valid(after, anchor)
        for mixed in ([before[0], *after[1:]], [*before[:2], *after[2:]], [after[0], before[1], *after[2:]]):
            # The old statement about the leaf does not know its new key, overlap or not.
            leaf_is_known = mixed[0] == before[0] or mixed[1] == after[1]
            assert _is_valid(mixed, anchor) is (overlap and leaf_is_known)


@pytest.mark.spec("FED-TCV-05", "FED-TCR-05")
def test_a_chain_to_an_anchor_that_is_not_accepted_says_whose_work_it_is() -> None:
    federation = small_federation()
    raw = chain_of(federation, LEAF, INTERMEDIATE, ANCHOR)
    assert isinstance(refusal(raw, TrustAnchor(OTHER, key_set(OTHER))), InvalidTrustAnchor)
    with pytest.raises(InvalidTrustAnchor):
        validate_trust_chain(raw, [], now=NOW)
    federation.add_authority(OTHER)
    failure = resolver_for(federation, [OTHER]).resolve_supplied(raw).failure
    assert failure
    assert (failure.step, failure.entity, failure.fixer.value, failure.code) == (7, LEAF, "our staff", "invalid_trust_anchor")


@pytest.mark.spec("FED-TCV-10", "FED-CON-01")
def test_a_supplied_chain_is_held_to_its_constraints_and_policies() -> None:
    assert isinstance(refusal(good_chain(upper={"constraints": {"max_path_length": 0}})), ConstraintViolated)
    federation = small_federation(metadata_policy={"openid_relying_party": {"never": {"essential": True}}})
    raw = chain_of(federation, LEAF, INTERMEDIATE, ANCHOR)
    failure = resolver_for(federation).resolve_supplied(raw).failure
    assert failure
    assert (failure.step.name, failure.code, failure.entity) == ("APPLY_POLICY", "invalid_metadata", LEAF)


@pytest.mark.threat("T08")
def test_a_supplied_chain_is_about_the_entity_that_signed_its_first_statement() -> None:
    federation = small_federation()
    resolution = resolver_for(federation).resolve_supplied(chain_of(federation, LEAF, INTERMEDIATE, ANCHOR))
    assert (resolution.ok, resolution.entity_id, resolution.fetches) == (True, LEAF, 0)


def test_errors_of_chains_are_short_whatever_the_identifiers() -> None:
    long = "https://leaf.example/" + "a" * 1900
    raw = good_chain(leaf={"iss": long, "sub": long})
    raw[0] = sign(configuration_claims(long, authority_hints=[INTERMEDIATE]), signing_key(long))
    raw[1] = sign(statement_claims(INTERMEDIATE, long, jwks=jwks(OTHER)))
    assert len(refusal(raw).description) < 5000


@pytest.mark.threat("T09")
def test_an_anchor_may_roll_its_keys_while_an_old_one_is_pinned_and_still_signs() -> None:
    federation = small_federation()
    pinned = federation.anchor(ANCHOR)
    federation.entities[ANCHOR].keys.append(generate_private_key("ES256"))
    assert _is_valid(chain_of(federation, LEAF, INTERMEDIATE, ANCHOR), pinned)
    federation.entities[ANCHOR].keys.reverse()
    assert not _is_valid(chain_of(federation, LEAF, INTERMEDIATE, ANCHOR), pinned)
    assert _is_valid(chain_of(federation, LEAF, INTERMEDIATE, ANCHOR), federation.anchor(ANCHOR))
