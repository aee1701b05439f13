"""What trust marks entitle to, as operators say it; what follows for a client is `mark_entitlements`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from django.db import IntegrityError, transaction

from federation.models import FederationRecord, TrustMarkRule
from protocol.constants import CLIENT_ID_LIMIT
from protocol.errors import InvalidUrl, MetadataRefused, TransitionRefused
from protocol.urls import parse_entity_identifier
from registry import audit
from registry.actors import Actor
from registry.client_metadata.fields import GRANT_TYPES
from registry.findings import Finding, Findings, errors_among
from registry.policies import get_scope_rules
from registry.transitions import OPERATOR, SYSTEM

EDITABLE: Final = ("trust_mark_type", "anchor", "issuers", "scopes", "grant_types", "is_enabled")
_DUPLICATE: Final = Finding("trust_mark_rule.duplicate", "error", "trust_mark_type", "There is a rule for this type and trust anchor.")


def save_trust_mark_rule(
    rule: TrustMarkRule | None,
    values: Mapping[str, Any],
    actor: Actor,
    *,
    now: datetime,
    unless: Callable[[], bool] = lambda: False,
) -> TrustMarkRule:
    """Make a rule, or change `rule`; return it. `values` are of EDITABLE. Saving what is there already writes nothing.

    It counts from each client's next check, and these are due at once. Raises TransitionRefused with reason permission or state, or stale
    when `unless()` says that this is not what was looked at any more; MetadataRefused with the findings about the values.
    """
    _check_operator(actor)
    try:
        with transaction.atomic():
            row = _lock(rule) if rule else TrustMarkRule(created_at=now)
            before = _told(row) if rule else {}
            given = {name: values.get(name, getattr(row, name)) for name in EDITABLE}
            findings = _review(given, held_scopes=row.scopes if rule else ())
            if errors_among(findings):
                raise MetadataRefused(findings)
            if unless():
                raise TransitionRefused("stale", "The rules changed since this report was made. Look at the new one before you save.")
            for name, value in given.items():
                setattr(row, name, value)
            changed = audit.difference_between(before, _told(row))
            if changed:
                row.changed_at = now
                row.save()
                event = "trust_mark_rule.changed" if rule else "trust_mark_rule.added"
                audit.record(actor, event, row, organization=None, difference=changed)
                _look_at_all(now)
            return row
    except IntegrityError:
        raise MetadataRefused((_DUPLICATE,)) from None


def delete_trust_mark_rule(rule: TrustMarkRule, actor: Actor, *, now: datetime) -> None:
    """Forget a rule; what it entitled to ends with each client's next check, and these are due at once. Raises TransitionRefused."""
    _check_operator(actor)
    with transaction.atomic():
        row = _lock(rule)
        audit.record(actor, "trust_mark_rule.deleted", row, organization=None, difference=audit.difference_between(_told(row), {}))
        row.delete()
        _look_at_all(now)


def _lock(rule: TrustMarkRule) -> TrustMarkRule:
    row = TrustMarkRule.objects.select_for_update().filter(pk=rule.pk).first()
    if row is None:
        raise TransitionRefused("state", "This rule is gone meanwhile.")
    return row


def _look_at_all(now: datetime) -> None:
    FederationRecord.objects.filter(next_check_at__gt=now).update(next_check_at=now)


def _told(row: TrustMarkRule) -> dict[str, Any]:
    return {name: getattr(row, name) for name in EDITABLE}


def _review(values: Mapping[str, Any], *, held_scopes: object) -> tuple[Finding, ...]:
    """Return what is wrong with the values of a rule. A scope that was retired stays where the rule has it. One query."""
    findings = Findings()
    name = values["trust_mark_type"]
    if not (isinstance(name, str) and name.isprintable() and name == name.strip() and 0 < len(name) <= CLIENT_ID_LIMIT):
        sentence = f"A trust mark type is a name without white space around it, of at most {CLIENT_ID_LIMIT} characters."
        findings.error("trust_mark_rule.type", "trust_mark_type", sentence)
    if values["anchor"] != "":
        _review_entity(values["anchor"], "anchor", findings)
    for issuer in _strings(values["issuers"], "issuers", findings):
        _review_entity(issuer, "issuers", findings)
    rules, held = get_scope_rules(), held_scopes if isinstance(held_scopes, list) else []
    offered = {scope for scope, rule in rules.items() if not rule.is_retired or scope in held}
    _review_choice(values["scopes"], "scopes", offered, "This server has no scope {}.", findings)
    _review_choice(values["grant_types"], "grant_types", GRANT_TYPES, f"This server has {', '.join(GRANT_TYPES)}, and not {{}}.", findings)
    if not isinstance(values["is_enabled"], bool):
        findings.error("trust_mark_rule.value", "is_enabled", "is_enabled must be true or false.")
    return tuple(findings.items)


def _strings(value: object, member: str, findings: Findings) -> list[str]:
    if isinstance(value, list) and all(isinstance(entry, str) for entry in value) and len(set(value)) == len(value):
        return value
    findings.error("trust_mark_rule.value", member, f"{member} must be a list of strings, each of them once.")
    return []


def _review_entity(value: object, member: str, findings: Findings) -> None:
    try:
        parse_entity_identifier(str(value))
    except InvalidUrl as error:
        findings.error("trust_mark_rule.entity", member, f"{str(value)[:100]!r} is no entity identifier. {error.description}")


def _review_choice(value: object, member: str, offered: Any, sentence: str, findings: Findings) -> None:
    wrong = [entry for entry in _strings(value, member, findings) if entry not in offered]
    if wrong:
        findings.error("trust_mark_rule.choice", member, sentence.format(", ".join(entry[:60] for entry in wrong)))


def review_rule(rule: TrustMarkRule | None, values: Mapping[str, Any], actor: Actor) -> None:
    """Raise what saving these values would raise about them: TransitionRefused with reason permission, or MetadataRefused."""
    _check_operator(actor)
    findings = _review(values, held_scopes=rule.scopes if rule else ())
    same = TrustMarkRule.objects.filter(trust_mark_type=values["trust_mark_type"], anchor=values["anchor"])
    same = same.exclude(pk=rule.pk) if rule else same
    if not errors_among(findings) and same.exists():
        findings = (_DUPLICATE,)
    if errors_among(findings):
        raise MetadataRefused(findings)


def _check_operator(actor: Actor) -> None:
    if not actor.has_role(None, OPERATOR, SYSTEM):
        raise TransitionRefused("permission", "Only an operator may say what trust marks entitle to.")
