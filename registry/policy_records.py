"""Changing the registration policy; reading it is `registry.policies`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from django.db import transaction

from protocol.errors import MetadataRefused, TransitionRefused
from registry import audit
from registry.actors import Actor
from registry.findings import Finding, errors_among
from registry.models import Organization, PolicyRecord
from registry.policies import get_scope_rules
from registry.registration_policy import ScopeRule, review_policy_values
from registry.transitions import OPERATOR, SYSTEM


def save_policy(
    organization: Organization | None,
    values: Mapping[str, Any],
    actor: Actor,
    *,
    now: datetime,
    unless: Callable[[], bool] = lambda: False,
) -> PolicyRecord:
    """Make `values` the ones that differ from the built-in policy, for all or for one organization; return the record.

    It counts from the next registration or edit; apps that break it are told and have a grace period (`registry.client_checks`).
    Saving what is there already writes nothing. Raises TransitionRefused with reason permission, or stale when `unless()`, asked with the
    records locked, says that this is not what was looked at any more; MetadataRefused with the findings about the values.
    """
    with transaction.atomic():
        check_may_change(organization, actor)
        findings = review_policy_record(values, get_scope_rules())
        if errors_among(findings):
            raise MetadataRefused(findings)
        owner = organization.pk if organization else None
        records = {record.organization_id: record for record in PolicyRecord.objects.select_for_update()}
        if unless():
            raise TransitionRefused("stale", "The policy changed since this report was made. Look at a new report before you save.")
        record = records.get(owner) or PolicyRecord(organization=organization)
        changed = audit.difference_between(record.values, values)
        if changed:
            record.values, record.updated_at, record.updated_by = dict(values), now, actor.user
            record.save()
            audit.record(actor, "policy.changed", record, organization=organization, difference=changed)
        return record


def check_may_change(organization: Organization | None, actor: Actor) -> None:
    """Raise TransitionRefused with reason permission unless `actor` may change the policy for all, or that of `organization`."""
    if not actor.has_role(organization, OPERATOR, SYSTEM):
        raise TransitionRefused("permission", "Only an operator may change the registration policy.")


def review_policy_record(values: Mapping[str, Any], scopes: Mapping[str, ScopeRule]) -> tuple[Finding, ...]:
    """Return what is wrong with the values of a record, on a server that has `scopes`. Pure."""
    offered = {name for name, rule in scopes.items() if not rule.is_retired}
    findings = list(review_policy_values(dict(values)))
    for member in ("default_scopes", "federation_default_scopes", "allowed_scopes"):
        findings += _unknown_scopes(member, values.get(member), offered)
    return tuple(findings)


def _unknown_scopes(member: str, names: object, offered: set[str]) -> list[Finding]:
    """Return a finding for default scopes that nobody could ask for."""
    if not isinstance(names, list):
        return []
    wrong = [str(name)[:60] for name in names if name not in offered]
    return [Finding("policy.scope", "error", member, f"This server has no scope {', '.join(wrong)}.")] if wrong else []
