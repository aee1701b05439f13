"""Policies that somebody wants to try out, as superiors would state them: read by the rules of statements, proven by nobody. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from federation.core import claims as rules
from federation.core.constraints import Constraints, parse_constraints
from federation.core.metadata_policy import Policy
from federation.core.policy_operators import OPERATORS
from federation.core.trust_chains import PolicyStatement, merge_statement_policy
from protocol.errors import PolicyConflict

_STATEMENT_CLAIMS = ("metadata_policy", "metadata_policy_crit", "constraints", "metadata")


@dataclass(frozen=True, slots=True)
class SuppliedPolicy:
    """What a superior called `issuer` would state."""

    issuer: str
    metadata: Mapping[str, Mapping[str, Any]]
    metadata_policy: Mapping[str, Any]
    metadata_policy_crit: tuple[str, ...]
    constraints: Constraints


def read_supplied_policy(document: Mapping[str, Any], issuer: str, entity_type: str) -> SuppliedPolicy:
    """Return the policy of a document: claims of a subordinate statement, its `metadata_policy` alone, or that of `entity_type` in it.

    Raises StatementInvalid for what no statement could say.
    """
    claims: Mapping[str, Any] = document
    if not any(name in document for name in _STATEMENT_CLAIMS):
        named = [name for value in document.values() if isinstance(value, dict) for name in value]
        bare = bool(named) and all(name in OPERATORS for name in named)
        claims = {"metadata_policy": {entity_type: document} if bare else document}
    return SuppliedPolicy(
        issuer,
        rules.read_metadata(claims),
        rules.read_metadata_policy(claims),
        rules.read_metadata_policy_crit(claims),
        parse_constraints(claims.get("constraints", {}), present="constraints" in claims),
    )


def merge_supplied_policies(statements: Sequence[PolicyStatement]) -> Mapping[str, Policy]:
    """Return the merged policy by entity type, the immediate superior's statement being the first given.

    Raises PolicyConflict that names the superior with whose policy the ones above it do not go together.
    """
    merged: Mapping[str, Policy] = {}
    for statement in reversed(statements):
        try:
            merged = merge_statement_policy(merged, statement)
        except PolicyConflict as error:
            raise PolicyConflict(f"{statement.issuer}: {error.description}", members=error.members) from None
    return merged
