"""What the rules of this server make of a metadata document."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

from registry.client_metadata import read_client_metadata
from registry.findings import Finding, errors_among
from registry.models import Client, Organization
from registry.policies import get_policy, get_scope_rules
from registry.registration_policy import Decision, RegistrationPolicy, ScopeRule, apply_registration_policy, narrow_policy

_NONE: Final[Mapping[str, Any]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Assessment:
    """What the rules of this server make of a metadata document: what would be registered, and everything to say about it."""

    metadata: dict[str, Any]
    findings: tuple[Finding, ...]
    decisions: tuple[Decision, ...]

    @property
    def errors(self) -> tuple[Finding, ...]:
        """Return the findings that refuse it."""
        return errors_among(self.findings)


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules in force for an organization's clients, for whoever assesses many of them."""

    policy: RegistrationPolicy
    scopes: Mapping[str, ScopeRule]


def assess_metadata(
    document: Mapping[str, object],
    organization: Organization,
    *,
    stage: str,
    now: datetime,
    restrictions: Mapping[str, Any],
    rules: Rules | None = None,
) -> Assessment:
    """Say what this server makes of a metadata document for a client of `organization` in `stage`; writes nothing.

    `restrictions` are those of the client (`Client.restrictions`), or of what a new one registers with.

    Form, DCR, federation and every update pass here, so that an update runs exactly what a create runs (house decision 7). Two queries,
    none when the `rules` are given.
    """
    rules = rules or Rules(get_policy(organization), get_scope_rules())
    return assess_document(document, rules, stage=stage, now=now, restrictions=restrictions)


def assess_document(
    document: Mapping[str, object], rules: Rules, *, stage: str, now: datetime, restrictions: Mapping[str, Any] = _NONE
) -> Assessment:
    """Say what `rules` make of a metadata document, whoever it may belong to; no query."""
    policy = narrow_policy(rules.policy, restrictions)
    loopback = policy.loopback_http_in_test and stage == Client.Stage.TEST
    reading = read_client_metadata(document, now=int(now.timestamp()), allow_loopback_http=loopback)
    outcome = apply_registration_policy(policy, reading.metadata, stage=stage, scopes=rules.scopes)
    return Assessment(outcome.metadata, reading.findings + outcome.findings, outcome.decisions)
