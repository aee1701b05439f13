"""The registration policy in force, from its records."""

from __future__ import annotations

from django.db.models import Q

from registry.models import Organization, PolicyRecord, Scope
from registry.registration_policy import RegistrationPolicy, ScopeRule, merge_policy


def get_policy(organization: Organization | None = None) -> RegistrationPolicy:
    """Return the policy for `organization`, or for all. One query."""
    wanted = Q(organization__isnull=True) | Q(organization=organization) if organization else Q(organization__isnull=True)
    records = sorted(PolicyRecord.objects.filter(wanted), key=lambda row: row.organization_id is not None)
    return merge_policy(*(row.values for row in records))


def get_scope_rules() -> dict[str, ScopeRule]:
    """Return what the policy needs to know of every scope. One query."""
    return {scope.name: ScopeRule(scope.is_sensitive, scope.is_retired) for scope in Scope.objects.all()}
