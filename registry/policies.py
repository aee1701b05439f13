"""The registration policy in force, from its records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import Q

from registry.models import Organization, PolicyRecord, Scope
from registry.registration_policy import RegistrationPolicy, ScopeRule, merge_policy


@dataclass(frozen=True, slots=True)
class Policies:
    """The values of every policy record by its organization, None being for all."""

    values: Mapping[int | None, Mapping[str, Any]]

    def of(self, organization_id: int | None) -> RegistrationPolicy:
        """Return the policy for an organization, or for all."""
        return merge_policy(*(self.values[owner] for owner in dict.fromkeys((None, organization_id)) if owner in self.values))


def get_policies() -> Policies:
    """Return all policies, for whoever needs those of many organizations. One query."""
    return Policies(dict(PolicyRecord.objects.values_list("organization_id", "values")))


def get_policy(organization: Organization | None = None) -> RegistrationPolicy:
    """Return the policy for `organization`, or for all. One query."""
    wanted = Q(organization__isnull=True) | Q(organization=organization) if organization else Q(organization__isnull=True)
    values: dict[int | None, Any] = dict(PolicyRecord.objects.filter(wanted).values_list("organization_id", "values"))
    return Policies(values).of(organization.pk if organization else None)


def get_scope_rules() -> dict[str, ScopeRule]:
    """Return what the policy needs to know of every scope. One query."""
    return {scope.name: ScopeRule(scope.is_sensitive, scope.is_retired) for scope in Scope.objects.all()}
