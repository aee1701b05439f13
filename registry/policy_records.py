"""Changing the registration policy; reading it is `registry.policies`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import transaction

from protocol.errors import MetadataRefused, TransitionRefused
from registry import audit
from registry.actors import Actor
from registry.findings import Finding, errors_among
from registry.models import Organization, PolicyRecord
from registry.policies import get_scope_rules
from registry.registration_policy import review_policy_values
from registry.transitions import OPERATOR, SYSTEM


def save_policy(organization: Organization | None, values: Mapping[str, Any], actor: Actor, *, now: datetime) -> PolicyRecord:
    """Make `values` the ones that differ from the built-in policy, for all or for one organization; return the record.

    It counts from the next registration or edit; apps that break it are told and have a grace period (`registry.client_checks`).
    Saving what is there already writes nothing. Raises TransitionRefused with reason permission, or MetadataRefused with the findings
    about the values.
    """
    with transaction.atomic():
        if not actor.has_role(organization, OPERATOR, SYSTEM):
            raise TransitionRefused("permission", "Only an operator may change the registration policy.")
        findings = review_policy_values(dict(values))
        for member in ("default_scopes", "federation_default_scopes", "allowed_scopes"):
            findings += tuple(_unknown_scopes(member, values.get(member)))
        if errors_among(findings):
            raise MetadataRefused(findings)
        record = PolicyRecord.objects.select_for_update().filter(organization=organization).first()
        record = record or PolicyRecord(organization=organization)
        changed = audit.difference_between(record.values, values)
        if changed:
            record.values, record.updated_at, record.updated_by = dict(values), now, actor.user
            record.save()
            audit.record(actor, "policy.changed", record, organization=organization, difference=changed)
        return record


def _unknown_scopes(member: str, names: object) -> list[Finding]:
    """Return a finding for default scopes that nobody could ask for."""
    if not isinstance(names, list):
        return []
    offered = {name for name, rule in get_scope_rules().items() if not rule.is_retired}
    wrong = [str(name)[:60] for name in names if name not in offered]
    return [Finding("policy.scope", "error", member, f"This server has no scope {', '.join(wrong)}.")] if wrong else []
