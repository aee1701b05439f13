"""Who would gain or lose what by another rule about trust marks or organizations, before it is saved (portal.md 4.5)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from federation.models import EntityClaim, FederationRecord, OrganizationRule, RegistrationRequest, TrustMarkRule
from federation.rule_preview import preview_mark_rules, preview_organization_rule, rules_after
from federation.trust_mark_rules import save_trust_mark_rule
from protocol.errors import InvalidUrl, TransitionRefused
from protocol.jose.base64url import encode_base64url
from protocol.strict_json import canonical_json
from registry.actors import job
from registry.models import AuditEvent, Entitlement
from tests.portal.admin.conftest import ANCHOR, HARBOUR, register_below  # noqa: F401

MARK, OTHER, ISSUER = "https://marks.example/certified", "https://marks.example/other", "https://issuer.example"


def verdict(kind: str = MARK, *, counts: bool = True, unsure: bool = False) -> dict[str, Any]:
    return {"trust_mark_type": kind, "issuer": ISSUER, "counts": counts, "is_unsure": unsure, "expires_at": None, "sentence": "."}


def rule(kind: str = MARK, **values: Any) -> TrustMarkRule:
    return TrustMarkRule.objects.create(trust_mark_type=kind, **values)


def jwt(header: dict[str, Any], claims: dict[str, Any]) -> str:
    parts = [encode_base64url(canonical_json(part)) for part in (header, claims)]
    return ".".join([*parts, encode_base64url(b"signature")])


def configuration(*kinds: str) -> str:
    """Return an entity configuration that carries marks of these types; nobody signed it."""
    header = {"alg": "ES256", "typ": "trust-mark+jwt", "kid": "k"}
    marks = [{"trust_mark_type": kind, "trust_mark": jwt(header, {"iss": ISSUER, "trust_mark_type": kind})} for kind in kinds]
    claims = {"iss": "https://rp.example", "sub": "https://rp.example", "trust_marks": marks}
    return jwt({"alg": "ES256", "typ": "entity-statement+jwt", "kid": "k"}, claims)


def look(changed: TrustMarkRule | None, values: dict[str, Any] | None) -> Any:
    return preview_mark_rules(*rules_after(changed, values))


def test_a_wider_rule_gives_more_to_those_whose_mark_counts(register_below: Callable[..., Any]) -> None:  # noqa: F811
    known = rule(scopes=["bookings.read"])
    client = register_below("https://one.example", trust_marks=[verdict()])
    register_below("https://two.example", trust_marks=[verdict(counts=False)])
    register_below("https://three.example")
    report = look(known, {"trust_mark_type": MARK, "scopes": ["bookings.read", "bookings.write"], "grant_types": ["client_credentials"]})
    assert [(one.client, one.gains, one.loses) for one in report.sample] == [
        (client, ("grant client_credentials", "scope bookings.write"), ())
    ]
    assert report.rows == [("grant client_credentials", 1, 0, 0), ("scope bookings.write", 1, 0, 0)]
    assert (report.covered, report.total, report.changed) == (3, 3, 1)


@pytest.mark.parametrize(
    "values",
    [
        None,
        {"trust_mark_type": MARK, "scopes": ["bookings.write"], "is_enabled": False},
        {"trust_mark_type": MARK, "scopes": ["bookings.write"], "issuers": ["https://else.example"]},
        {"trust_mark_type": MARK, "scopes": ["bookings.write"], "anchor": "https://else.example"},
    ],
)
def test_a_rule_that_goes_or_means_others_takes_what_it_gave(register_below: Callable[..., Any], values: Any) -> None:  # noqa: F811
    known = rule(scopes=["bookings.write"])
    register_below("https://one.example", trust_marks=[verdict()])
    register_below("https://two.example", trust_marks=[verdict(counts=False, unsure=True)])
    assert look(known, values).rows == [("scope bookings.write", 0, 0, 2)]


def test_what_another_rule_gives_too_is_not_lost(register_below: Callable[..., Any]) -> None:  # noqa: F811
    known = rule(scopes=["bookings.write"])
    rule(OTHER, scopes=["bookings.write"])
    register_below("https://one.example", trust_marks=[verdict(), verdict(OTHER)])
    assert look(known, None).changed == 0


def test_a_mark_that_no_rule_was_about_may_give_something_once_it_is_verified(register_below: Callable[..., Any]) -> None:  # noqa: F811
    register_below("https://one.example", statements=[configuration(MARK)])
    register_below("https://two.example", statements=[configuration(OTHER)])
    register_below("https://three.example", statements=["nonsense"])
    register_below("https://four.example", statements=[])
    report = look(None, {"trust_mark_type": MARK, "scopes": ["bookings.write"]})
    assert report.rows == [("scope bookings.write", 0, 1, 0)]
    assert [one.entity_id for one in report.sample] == ["https://one.example"]


def test_a_dry_run_writes_nothing_and_takes_the_same_queries_for_much_as_for_little(register_below: Callable[..., Any]) -> None:  # noqa: F811
    known = rule(scopes=["bookings.write"])

    def count() -> int:
        with CaptureQueriesContext(connection) as queries:
            look(known, None)
        return len(queries)

    register_below("https://one.example", trust_marks=[verdict()])
    little = count()
    for number in range(5):
        register_below(f"https://more{number}.example", trust_marks=[verdict()], statements=[configuration(OTHER)])
    events = AuditEvent.objects.count()
    assert count() == little
    assert (Entitlement.objects.filter(because="mark").count(), AuditEvent.objects.count()) == (0, events)


def test_a_dry_run_that_takes_too_long_says_how_far_it_came(register_below: Callable[..., Any]) -> None:  # noqa: F811
    for number in range(3):
        register_below(f"https://more{number}.example")
    ticks = iter((0.0, 1.0, 99.0))
    report = preview_mark_rules(*rules_after(None, None), clock=lambda: next(ticks))
    assert (report.covered, report.total) == (2, 3)


def test_a_rule_is_not_saved_when_the_rules_changed_since_they_were_looked_at(db: None, now: Any) -> None:
    values = {"trust_mark_type": MARK, "anchor": "", "issuers": [], "scopes": [], "grant_types": [], "is_enabled": True}
    seen = look(None, values).digest
    rule(OTHER)
    assert look(None, values).digest != seen
    with pytest.raises(TransitionRefused) as refused:
        save_trust_mark_rule(None, values, job("test"), now=now, unless=lambda: look(None, values).digest != seen)
    assert refused.value.reason == "stale"
    assert TrustMarkRule.objects.count() == 1


def test_a_rule_about_a_superior_decides_about_those_who_wait_below_it(cast: Any, register_below: Callable[..., Any], now: Any) -> None:  # noqa: F811
    register_below("https://registered.example")
    for name, chain in (
        ("https://below.example", [HARBOUR, ANCHOR]),
        ("https://claimed.example", [HARBOUR, ANCHOR]),
        ("https://nearer.example", ["https://near.example", HARBOUR, ANCHOR]),
        ("https://elsewhere.example", ["https://else.example", ANCHOR]),
    ):
        RegistrationRequest.objects.create(entity_id=name, entities=[name, *chain])
    RegistrationRequest.objects.create(entity_id="https://past.example", entities=["https://past.example", HARBOUR], state="dismissed")
    OrganizationRule.objects.create(superior="https://near.example", organization=cast.organization)
    EntityClaim.objects.create(entity_id="https://claimed.example", organization=cast.organization, proven_at=now - timedelta(days=1))
    report = preview_organization_rule(HARBOUR, cast.organization)
    assert [request.entity_id for request in report.waiting] == ["https://below.example"]
    assert (report.waiting_count, report.registered_count) == (1, 1)
    assert FederationRecord.objects.count() == 1


def test_a_superior_that_is_no_entity_is_refused(cast: Any) -> None:
    with pytest.raises(InvalidUrl):
        preview_organization_rule("http://harbour.example", cast.organization)
