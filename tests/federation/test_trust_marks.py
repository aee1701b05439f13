"""Trust marks: which count, whose word that is, and their status (OpenID Federation 1.0, 7 and 8.4; threats.md T14)."""

from __future__ import annotations

from typing import Any

import pytest

from federation.core.claims import TRUST_MARKS_LIMIT
from federation.core.statements import LATEST_TIME
from federation.core.trust_chains import TrustChain
from federation.core.trust_marks import (
    STATUS_MAX_AGE,
    TrustMark,
    TrustMarkFinding,
    fetch_trust_mark_status,
    is_active,
    review_trust_marks,
)
from federation.simulator import SimulatedFederation
from protocol.errors import FetchError, TrustMarkInvalid
from protocol.fetch import InMemoryFetcher, Page
from protocol.jose import VerificationBudget, issue_jwt
from tests.federation.support import ANCHOR, LEAF, NOW, OTHER, Clock, resolver_for, sign, signing_key, small_federation

AUDITED, OWNED, ANYONE = "https://marks.example/audited", "https://marks.example/owned", "https://marks.example/anyone"
ISSUER, OWNER = "https://issuer.example", "https://owner.example"
STATUS_TYPE = "trust-mark-status-response+jwt"


def marked_federation(clock: Clock | None = None) -> SimulatedFederation:
    """Return a federation with an issuer of marks, an outsider, and an owner who lets the issuer issue one type."""
    federation = small_federation(clock)
    federation.add_authority(ISSUER, [ANCHOR])
    federation.add_authority(OTHER, [ANCHOR])
    federation.add_authority(OWNER, [ANCHOR])
    owner_keys = {"keys": [key.public_jwk() for key in federation.entities[OWNER].keys]}
    federation.entities[ANCHOR].claims |= {
        "trust_mark_issuers": {AUDITED: [ISSUER], OWNED: [ISSUER], ANYONE: []},
        "trust_mark_owners": {OWNED: {"sub": OWNER, "jwks": owner_keys}},
    }
    return federation


def review(federation: SimulatedFederation, now: int = NOW) -> tuple[TrustMarkFinding, ...]:
    """Return the findings about the leaf's marks; issuers are resolved as the leaf is."""
    resolver = resolver_for(federation)
    carrier = resolver.resolve(LEAF).chain
    assert carrier

    def find(entity_id: str) -> TrustChain | None:
        return resolver.resolve(entity_id, entity_types=()).chain

    return review_trust_marks(carrier.subject, find, now=now, budget=VerificationBudget(100))


def only(federation: SimulatedFederation, now: int = NOW) -> TrustMark | str:
    """Return the one mark of the leaf, or why it does not count."""
    (finding,) = review(federation, now)
    return finding.mark or finding.sentence


@pytest.mark.spec("FED-TMK-13", "FED-TMK-14", "FED-TMK-15", "FED-TMK-17", "FED-TMK-20", "FED-TMK-21", "FED-TMK-06")
def test_a_mark_by_an_issuer_that_the_anchor_names_counts() -> None:
    federation = marked_federation()
    raw = federation.grant_mark(ISSUER, LEAF, AUDITED, lifetime=100)
    assert only(federation) == TrustMark(AUDITED, ISSUER, LEAF, None, NOW + 100, raw)


@pytest.mark.spec("FED-TMK-20", "FED-ESC-12")
@pytest.mark.threat("T14")
def test_the_anchor_says_who_may_issue_which_type() -> None:
    federation = marked_federation()
    federation.grant_mark(OTHER, LEAF, AUDITED)
    assert "does not let this issuer" in str(only(federation))
    for issuer in (OTHER, ISSUER, ANCHOR, LEAF):
        federation.entities[LEAF].marks.clear()
        federation.grant_mark(issuer, LEAF, ANYONE)
        assert isinstance(only(federation), TrustMark)
    federation.entities[LEAF].marks.clear()
    federation.grant_mark(ISSUER, LEAF, "https://marks.example/unknown")
    assert "does not recognize" in str(only(federation))


@pytest.mark.spec("FED-ESC-11", "FED-TMK-21")
@pytest.mark.threat("T14")
def test_nobody_but_the_anchor_of_the_issuers_chain_says_who_may_issue() -> None:
    federation = marked_federation()
    for entity_id in (LEAF, OTHER):
        federation.entities[entity_id].claims["trust_mark_issuers"] = {AUDITED: [LEAF, OTHER]}
        federation.entities[LEAF].marks.clear()
        federation.grant_mark(entity_id, LEAF, AUDITED)
        assert "does not let this issuer" in str(only(federation))
    federation.entities[OTHER].claims["trust_mark_owners"] = {AUDITED: {"sub": OTHER, "jwks": {"keys": [signing_key(OTHER).public_jwk()]}}}
    federation.entities[LEAF].marks.clear()
    federation.grant_mark(ISSUER, LEAF, AUDITED)
    assert isinstance(only(federation), TrustMark)


@pytest.mark.spec("FED-TMK-13")
@pytest.mark.threat("T14")
def test_an_issuer_to_whom_no_chain_leads_issues_nothing() -> None:
    federation = marked_federation()
    federation.add_authority("https://outside.example")
    federation.grant_mark("https://outside.example", LEAF, ANYONE)
    assert "No trust chain" in str(only(federation))
    federation.entities[LEAF].marks.clear()
    federation.grant_mark(ISSUER, LEAF, AUDITED)
    federation.expel(ANCHOR, ISSUER)
    assert "No trust chain" in str(only(federation))


def carry(federation: SimulatedFederation, raw: str, trust_mark_type: str = AUDITED) -> None:
    federation.entities[LEAF].marks[:] = [{"trust_mark_type": trust_mark_type, "trust_mark": raw}]


def mark_claims(**changes: Any) -> dict[str, Any]:
    return {"iss": ISSUER, "sub": LEAF, "trust_mark_type": AUDITED, "iat": NOW, **changes}


# What is wrong with a mark: claims, claims that are dropped, header.
WRONG_MARKS: list[tuple[dict[str, Any], tuple[str, ...], dict[str, Any]]] = [
    ({"sub": OTHER}, (), {}),
    ({"sub": LEAF + "/"}, (), {}),
    ({"sub": "HTTPS://leaf.example"}, (), {}),
    ({"iat": NOW + 61}, (), {}),
    ({"iat": str(NOW)}, (), {}),
    ({"exp": NOW - 60}, (), {}),
    ({"exp": None}, (), {}),
    ({"exp": "never"}, (), {}),
    ({}, ("sub",), {}),
    ({}, ("iat",), {}),
    ({}, ("iss",), {}),
    ({"iss": OTHER}, (), {}),
    ({"iss": [ISSUER]}, (), {}),
    ({"delegation": "a.b.c"}, (), {}),
    ({}, (), {"typ": None}),
    ({}, (), {"typ": "JWT"}),
    ({}, (), {"typ": "entity-statement+jwt"}),
    ({}, (), {"typ": "trust-mark-delegation+jwt"}),
    ({}, (), {"alg": "none"}),
    ({}, (), {"alg": "HS256"}),
    ({}, (), {"alg": None}),
    ({}, (), {"kid": None}),
    ({}, (), {"kid": "unknown"}),
    ({}, (), {"crit": ["exp"]}),
    ({}, (), {"jwk": {}}),
]


@pytest.mark.spec("FED-TMK-01", "FED-TMK-02", "FED-TMK-04", "FED-TMK-14", "FED-TMK-15", "FED-TMK-16", "FED-TMK-17")
@pytest.mark.threat("T14")
@pytest.mark.parametrize(("changes", "drop", "header"), WRONG_MARKS, ids=range(len(WRONG_MARKS)))
def test_a_mark_with_anything_wrong_does_not_count(changes: dict[str, Any], drop: tuple[str, ...], header: dict[str, Any]) -> None:
    federation = marked_federation()
    key = federation.entities[ISSUER].keys[0]
    claims = {name: value for name, value in mark_claims(**changes).items() if name not in drop}
    carry(federation, sign(claims, key, **{"typ": "trust-mark+jwt", **header}))
    assert isinstance(only(federation), str)
    carry(federation, sign(mark_claims(), key, typ="trust-mark+jwt"))
    assert isinstance(only(federation), TrustMark)


@pytest.mark.spec("FED-TMK-17")
@pytest.mark.threat("T14")
def test_a_mark_by_another_key_under_the_issuers_name_does_not_count() -> None:
    federation = marked_federation()
    kid = federation.entities[ISSUER].keys[0].kid
    carry(federation, sign(mark_claims(), signing_key("forger"), typ="trust-mark+jwt", kid=kid))
    assert "signature" in str(only(federation))
    federation.grant_mark(ISSUER, LEAF, AUDITED)
    federation.entities[LEAF].marks.pop(0)
    federation.roll_keys(ISSUER, overlap=False)
    assert "signature" in str(only(federation))


@pytest.mark.spec("FED-TMK-16")
def test_a_mark_without_an_end_does_not_end_and_others_end_to_the_second() -> None:
    clock = Clock()
    federation = marked_federation(clock)
    federation.grant_mark(ISSUER, LEAF, AUDITED)
    mark = only(federation, NOW + 10**8)
    assert isinstance(mark, TrustMark)
    assert mark.expires_at is None
    federation.entities[LEAF].marks.clear()
    federation.grant_mark(ISSUER, LEAF, AUDITED, lifetime=100)
    assert isinstance(only(federation, NOW + 159), TrustMark)
    assert "expired" in str(only(federation, NOW + 160))
    carry(federation, sign(mark_claims(exp=2**40 - 1), federation.entities[ISSUER].keys[0], typ="trust-mark+jwt"))
    mark = only(federation)
    assert isinstance(mark, TrustMark)
    assert mark.expires_at == LATEST_TIME


def owned_mark(federation: SimulatedFederation, delegation: object, **options: Any) -> None:
    federation.entities[LEAF].marks.clear()
    federation.grant_mark(ISSUER, LEAF, OWNED, **({} if delegation is None else {"delegation": delegation}), **options)


@pytest.mark.spec("FED-TMK-08", "FED-TMK-09", "FED-TMK-10", "FED-TMK-12", "FED-TMK-18", "FED-TMK-07", "FED-ESC-13")
@pytest.mark.threat("T14")
def test_a_type_with_an_owner_needs_a_delegation_by_that_owner() -> None:
    federation = marked_federation()
    owned_mark(federation, federation.delegate_mark(OWNER, ISSUER, OWNED))
    mark = only(federation)
    assert isinstance(mark, TrustMark)
    assert mark.owner == OWNER
    for missing in (None, "", 1, ["a.b.c"], "a.b.c", {}):
        owned_mark(federation, missing)
        assert isinstance(only(federation), str)


def delegation_claims(**changes: Any) -> dict[str, Any]:
    return {"iss": OWNER, "sub": ISSUER, "trust_mark_type": OWNED, "iat": NOW, **changes}


WRONG_DELEGATIONS: list[tuple[dict[str, Any], tuple[str, ...], dict[str, Any]]] = [
    ({"iss": OTHER}, (), {}),
    ({"iss": ISSUER}, (), {}),
    ({"sub": OTHER}, (), {}),
    ({"sub": LEAF}, (), {}),
    ({"trust_mark_type": AUDITED}, (), {}),
    ({"iat": NOW + 61}, (), {}),
    ({"exp": NOW - 60}, (), {}),
    ({"exp": None}, (), {}),
    ({}, ("iss",), {}),
    ({}, ("sub",), {}),
    ({}, ("trust_mark_type",), {}),
    ({}, ("iat",), {}),
    ({}, (), {"typ": None}),
    ({}, (), {"typ": "trust-mark+jwt"}),
    ({}, (), {"typ": "JWT"}),
    ({}, (), {"alg": "none"}),
    ({}, (), {"alg": "HS256"}),
    ({}, (), {"kid": None}),
    ({}, (), {"kid": "unknown"}),
    ({}, (), {"trust_chain": ["a.b.c"]}),
]


@pytest.mark.spec("FED-TMK-08", "FED-TMK-09", "FED-TMK-10", "FED-TMK-11", "FED-TMK-12")
@pytest.mark.threat("T14")
@pytest.mark.parametrize(("changes", "drop", "header"), WRONG_DELEGATIONS, ids=range(len(WRONG_DELEGATIONS)))
def test_a_delegation_with_anything_wrong_makes_the_mark_not_count(changes: Any, drop: tuple[str, ...], header: dict[str, Any]) -> None:
    federation = marked_federation()
    key = federation.entities[OWNER].keys[0]
    claims = {name: value for name, value in delegation_claims(**changes).items() if name not in drop}
    owned_mark(federation, sign(claims, key, **{"typ": "trust-mark-delegation+jwt", **header}))
    assert isinstance(only(federation), str)


@pytest.mark.spec("FED-TMK-12")
@pytest.mark.threat("T14")
def test_the_owners_keys_are_those_that_the_anchor_publishes_and_not_the_owners_own() -> None:
    federation = marked_federation()
    new = federation.roll_keys(OWNER, overlap=False)
    owned_mark(federation, sign(delegation_claims(), new, typ="trust-mark-delegation+jwt"))
    assert isinstance(only(federation), str)
    for impostor in (ISSUER, LEAF):
        raw = sign(delegation_claims(), federation.entities[impostor].keys[0], typ="trust-mark-delegation+jwt")
        owned_mark(federation, raw)
        assert isinstance(only(federation), str)


@pytest.mark.spec("FED-TMK-11")
def test_a_mark_does_not_outlive_its_delegation() -> None:
    federation = marked_federation()
    key = federation.entities[OWNER].keys[0]
    for mark_ends, delegation_ends, expected in ((100, 50, 50), (50, 100, 50), (None, 50, 50), (50, None, 50), (None, None, None)):
        claims = delegation_claims(**({} if delegation_ends is None else {"exp": NOW + delegation_ends}))
        owned_mark(federation, sign(claims, key, typ="trust-mark-delegation+jwt"), lifetime=mark_ends)
        mark = only(federation)
        assert isinstance(mark, TrustMark)
        assert mark.expires_at == (None if expected is None else NOW + expected)


@pytest.mark.spec("FED-TMK-18")
@pytest.mark.threat("T14")
def test_a_delegation_that_nobody_can_verify_makes_the_mark_not_count() -> None:
    federation = marked_federation()
    federation.grant_mark(ISSUER, LEAF, AUDITED, delegation=federation.delegate_mark(OWNER, ISSUER, AUDITED))
    assert "no owner" in str(only(federation))


@pytest.mark.spec("FED-TMK-20")
@pytest.mark.threat("T14")
def test_one_bad_mark_spoils_none_and_each_issuer_is_looked_for_once() -> None:
    federation = marked_federation()
    asked: list[str] = []
    for position in range(6):
        federation.grant_mark(ISSUER if position % 2 else OTHER, LEAF, AUDITED)
    carrier = resolver_for(federation).resolve(LEAF).chain
    assert carrier

    def find(entity_id: str) -> TrustChain | None:
        asked.append(entity_id)
        return resolver_for(federation).resolve(entity_id, entity_types=()).chain

    findings = review_trust_marks(carrier.subject, find, now=NOW, budget=VerificationBudget(100))
    assert [finding.mark is not None for finding in findings] == [False, True] * 3
    assert [finding.unverified_issuer for finding in findings] == [OTHER, ISSUER] * 3
    assert sorted(asked) == sorted([ISSUER, OTHER])


@pytest.mark.spec("FED-SEC-08")
@pytest.mark.threat("T14")
def test_more_than_twenty_marks_are_refused_with_the_configuration() -> None:
    federation = marked_federation()
    for _ in range(TRUST_MARKS_LIMIT):
        federation.grant_mark(ISSUER, LEAF, AUDITED)
    assert len(review(federation)) == 20
    federation.grant_mark(ISSUER, LEAF, AUDITED)
    assert not resolver_for(federation).resolve(LEAF).ok


@pytest.mark.threat("T14")
def test_the_checks_of_marks_stay_within_the_budget() -> None:
    federation = marked_federation()
    for _ in range(5):
        federation.grant_mark(ISSUER, LEAF, AUDITED)
    carrier = resolver_for(federation).resolve(LEAF).chain
    issuer = resolver_for(federation).resolve(ISSUER, entity_types=()).chain
    assert carrier
    budget = VerificationBudget(2)
    findings = review_trust_marks(carrier.subject, lambda _: issuer, now=NOW, budget=budget)
    assert [finding.mark is not None for finding in findings] == [True, True, False, False, False]


def test_a_mark_is_not_verified_without_the_configuration_of_the_anchor() -> None:
    federation = marked_federation()
    federation.grant_mark(ISSUER, LEAF, ANYONE)
    resolver = resolver_for(federation)
    carrier, issuer = resolver.resolve(LEAF).chain, resolver.resolve(ISSUER, entity_types=()).chain
    assert carrier
    assert issuer
    short = TrustChain(issuer.subject, issuer.statements, issuer.anchor_id, None)
    (finding,) = review_trust_marks(carrier.subject, lambda _: short, now=NOW, budget=VerificationBudget())
    assert finding.mark is None


# Status


def status_of(federation: SimulatedFederation, fetcher: InMemoryFetcher | None = None) -> str | None:
    mark = only(federation)
    assert isinstance(mark, TrustMark)
    issuer = resolver_for(federation).resolve(ISSUER, entity_types=()).chain
    assert issuer
    return fetch_trust_mark_status(mark, issuer.subject, fetcher or federation.fetcher(), now=NOW, budget=VerificationBudget())


@pytest.mark.spec("FED-TMK-19", "FED-TMS-01", "FED-TMS-03", "FED-TMS-04")
@pytest.mark.threat("T14")
def test_the_status_of_a_mark_is_what_its_issuer_signs() -> None:
    federation = marked_federation()
    raw = federation.grant_mark(ISSUER, LEAF, AUDITED)
    fetcher = federation.fetcher()
    assert status_of(federation, fetcher) == "active"
    asked = [(request.method, request.url, request.form.startswith(b"trust_mark=eyJ")) for request in fetcher.requests]
    assert asked == [("POST", federation.entities[ISSUER].status_endpoint, True)]
    federation.entities[ISSUER].revoked_marks.add(raw)
    assert status_of(federation) == "revoked"
    del federation.entities[ISSUER].metadata["federation_entity"]["federation_trust_mark_status_endpoint"]
    assert status_of(federation) is None


def test_only_active_and_no_status_at_all_let_a_mark_count() -> None:
    assert [is_active(status) for status in ("active", None, "revoked", "expired", "invalid", "Active", "")] == [True, True] + [False] * 5


WRONG_STATUS: list[tuple[dict[str, Any], str | None]] = [
    ({"trust_mark": "another"}, STATUS_TYPE),
    ({"iss": OTHER}, STATUS_TYPE),
    ({"iat": NOW + 61}, STATUS_TYPE),
    ({"iat": NOW - STATUS_MAX_AGE - 1}, STATUS_TYPE),
    ({"exp": NOW - 60}, STATUS_TYPE),
    ({"status": None}, STATUS_TYPE),
    ({"status": True}, STATUS_TYPE),
    ({}, "JWT"),
    ({}, "trust-mark+jwt"),
    ({}, None),
]


@pytest.mark.spec("FED-TMS-03", "FED-TMS-04", "FED-TMS-07")
@pytest.mark.threat("T14")
@pytest.mark.parametrize(("changes", "typ"), WRONG_STATUS, ids=range(len(WRONG_STATUS)))
def test_a_status_with_anything_wrong_is_no_status(changes: dict[str, Any], typ: str | None) -> None:
    federation = marked_federation()
    raw = federation.grant_mark(ISSUER, LEAF, AUDITED)
    issuer = federation.entities[ISSUER]
    claims = {"iss": ISSUER, "iat": NOW, "trust_mark": raw, "status": "active", **changes}
    fetcher = federation.fetcher()
    fetcher.put(issuer.status_endpoint, Page(issue_jwt(claims, issuer.keys[0], typ=typ).encode(), f"application/{STATUS_TYPE}"))
    with pytest.raises(TrustMarkInvalid):
        status_of(federation, fetcher)


@pytest.mark.spec("FED-TMS-03")
@pytest.mark.threat("T14")
def test_an_unsigned_or_foreign_status_is_no_status() -> None:
    federation = marked_federation()
    raw = federation.grant_mark(ISSUER, LEAF, AUDITED)
    issuer = federation.entities[ISSUER]
    claims = {"iss": ISSUER, "iat": NOW, "trust_mark": raw, "status": "active"}
    fetcher = federation.fetcher()
    for body in (b'{"active": true}', issue_jwt(claims, signing_key("forger"), typ=STATUS_TYPE).encode()):
        fetcher.put(issuer.status_endpoint, Page(body, f"application/{STATUS_TYPE}"))
        with pytest.raises(TrustMarkInvalid):
            status_of(federation, fetcher)
    for page in (Page(b"{}", "application/json"), Page(b"", "text/plain", 404), Page(b"", "text/plain", 500)):
        fetcher.put(issuer.status_endpoint, page)
        with pytest.raises(FetchError):
            status_of(federation, fetcher)
