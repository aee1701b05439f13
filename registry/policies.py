"""The registration policy in force, from its records."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.db import connection
from django.db.models import Q

from registry.models import Client, Organization, PolicyRecord, Scope
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


@dataclass(frozen=True, slots=True)
class RegistrationFacts:
    """What one registration depends on: the policy in force, every scope, and how many clients the organization has."""

    policy: RegistrationPolicy
    scopes: Mapping[str, ScopeRule]
    clients: int


# In SQL, because a registration asks three things at once, and asking one by one costs as much as writing what it registers.
_FACTS: Final = """
SELECT 'policy', CAST(COALESCE(organization_id, 0) AS varchar(20)), CAST("values" AS text), 0, 0 FROM registry_policyrecord
WHERE organization_id IS NULL OR organization_id = %s
UNION ALL
SELECT 'scope', name, '', CASE WHEN is_sensitive THEN 1 ELSE 0 END, CASE WHEN is_retired THEN 1 ELSE 0 END FROM registry_scope
UNION ALL
SELECT 'clients', '', '', COUNT(*), 0 FROM registry_client WHERE organization_id = %s AND state <> %s
"""


def get_registration_facts(organization: Organization) -> RegistrationFacts:
    """Return what a registration for `organization` depends on. One query."""
    values: dict[int | None, Any] = {}
    scopes: dict[str, ScopeRule] = {}
    clients = 0
    with connection.cursor() as cursor:
        cursor.execute(_FACTS, [organization.pk, organization.pk, Client.State.CLOSED])
        for kind, name, text, first, second in cursor.fetchall():
            if kind == "policy":
                values[int(name) or None] = json.loads(text)
            elif kind == "scope":
                scopes[name] = ScopeRule(bool(first), bool(second))
            else:
                clients = first
    return RegistrationFacts(Policies(values).of(organization.pk), scopes, clients)


def get_scope_rules() -> dict[str, ScopeRule]:
    """Return what the policy needs to know of every scope. One query."""
    return {scope.name: ScopeRule(scope.is_sensitive, scope.is_retired) for scope in Scope.objects.all()}
