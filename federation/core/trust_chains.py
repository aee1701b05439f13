"""Trust chains: linked, validated against pinned keys, and resolved into metadata (OpenID Federation 1.0, 4, 6.1.4, 10.2). Pure.

A `TrustChain` exists only after every rule of 10.2 and every constraint of 6.2 held; nothing but this module makes one.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from federation.core.constraints import UNCONSTRAINED, Constraints, enforce_constraints, filter_entity_types
from federation.core.metadata_policy import Policy, apply_read_policy, check_critical_operators, merge_policy, read_policy
from federation.core.statements import (
    EntityConfiguration,
    SubordinateStatement,
    UnverifiedStatement,
    is_current,
    parse_entity_statement,
    verify_entity_configuration,
    verify_subordinate_statement,
)
from protocol.errors import InvalidTrustAnchor, InvalidTrustChain, SignatureInvalid, StatementExpired
from protocol.jose import KeySet, VerificationBudget

CHAIN_LIMIT: Final = 8
POLICIES_REMEMBERED: Final = 1024


@dataclass(frozen=True, slots=True)
class TrustAnchor:
    """A trust anchor that this server accepts, with the keys that were pinned for it, held to the rules of `FEDERATION_ENTITY_KEYS`.

    House decision 10.
    """

    entity_id: str
    keys: KeySet


@dataclass(frozen=True, slots=True)
class TrustChain:
    """A validated chain: the subject's configuration, the statements from its immediate superior up to the anchor's, and the anchor.

    `anchor` is the anchor's configuration where it is known (FED-TCH-02); a chain of the anchor about itself has no statements.
    `unpinned_keys` names the keys that the anchor publishes and nobody pinned here: they verify nothing, and an operator should know of
    them before the anchor signs with them (FED-KEY-06).
    """

    subject: EntityConfiguration
    statements: tuple[SubordinateStatement, ...]
    anchor_id: str
    anchor: EntityConfiguration | None
    unpinned_keys: tuple[str, ...] = ()

    @property
    def entities(self) -> tuple[str, ...]:
        """Return the entity identifiers, subject first, anchor last."""
        return (self.subject.subject, *(statement.issuer for statement in self.statements))

    @property
    def expires_at(self) -> int:
        """Return when the chain ends, in seconds: the earliest end of its statements (FED-TCV-13)."""
        ends = [self.subject.expires_at, *(statement.expires_at for statement in self.statements)]
        return min([*ends, self.anchor.expires_at] if self.anchor else ends)

    @property
    def raw(self) -> tuple[str, ...]:
        """Return the chain as it travels: compact statements, subject first (FED-TCH-01)."""
        whole = (self.subject.raw, *(statement.raw for statement in self.statements))
        return (*whole, self.anchor.raw) if self.anchor and self.statements else whole


def link_chain(
    subject: EntityConfiguration,
    statements: Sequence[SubordinateStatement],
    anchor: TrustAnchor,
    anchor_configuration: EntityConfiguration | None,
    *,
    now: int,
    budget: VerificationBudget,
) -> TrustChain:
    """Link verified statements into a chain, subject first (FED-TCV-01 to -07, FED-ESV-06). Constraints are not enforced yet.

    Every signature is checked by a key of the statement above it, and at the top by a pinned key; a signature that was checked by the
    same key before costs nothing. Raises InvalidTrustChain or one of its kinds, InvalidTrustAnchor for a top that is not the anchor.
    """
    chain = TrustChain(
        subject, tuple(statements), anchor.entity_id, anchor_configuration, _unpinned_keys(anchor_configuration or subject, anchor)
    )
    entities = chain.entities
    if len(set(entities)) != len(entities):
        raise InvalidTrustChain("The chain goes through an entity twice.")
    if entities[-1] != anchor.entity_id:
        raise InvalidTrustAnchor("The chain does not end at the trust anchor.")
    members = [subject, *statements, *([anchor_configuration] if anchor_configuration else [])]
    for member in members:
        if not is_current(member, now):
            raise StatementExpired("expired", f"The statement about {member.subject} is expired or not valid yet.", claim="exp")
    for lower, upper in zip([subject, *statements], statements, strict=False):
        if lower.issuer != upper.subject:
            raise InvalidTrustChain("Two neighbouring statements of the chain do not fit together.")
        if not lower.is_signed_by(upper.keys, budget):
            reason = "superior_keys" if lower is subject else "superior_keys_above"
            raise SignatureInvalid(reason, f"{lower.issuer} signs with a key that {upper.issuer} does not vouch for.")
    if statements and statements[0].issuer not in subject.authority_hints:
        raise InvalidTrustChain(f"{subject.subject} does not name {statements[0].issuer} among its authority_hints.")
    for top in (statements[-1] if statements else subject, anchor_configuration):
        if top is not None and not top.is_signed_by(anchor.keys, budget):
            raise SignatureInvalid("anchor_keys", "A statement of the trust anchor is not signed by a key that was pinned for it.")
    return chain


def _unpinned_keys(configuration: EntityConfiguration, anchor: TrustAnchor) -> tuple[str, ...]:
    if configuration.subject != anchor.entity_id:
        return ()
    if configuration.keys is anchor.keys:
        return ()
    return tuple(str(key.kid) for key in configuration.keys.keys if not any(key.is_same_as(pinned) for pinned in anchor.keys.keys))


def validate_trust_chain(
    raw_statements: Sequence[str], anchors: Iterable[TrustAnchor], *, now: int, budget: VerificationBudget | None = None
) -> TrustChain:
    """Validate a chain that somebody supplied, exactly as a fetched one: it is only a hint (FED-TCH-01 to -04, FED-TCV-17; threats.md T08).

    `raw_statements` are compact JWTs, subject first; the anchor's configuration may be missing at the end (FED-TCH-02).
    Raises InvalidTrustAnchor, InvalidTrustChain or one of its kinds.
    """
    if not 1 <= len(raw_statements) <= CHAIN_LIMIT:
        raise InvalidTrustChain(f"A trust chain has 1 to {CHAIN_LIMIT} statements.")
    budget = budget or VerificationBudget(2 * CHAIN_LIMIT)
    parsed = [parse_entity_statement(raw) for raw in raw_statements]
    by_id = {anchor.entity_id: anchor for anchor in anchors}
    anchor = by_id.get(parsed[-1].unverified_issuer)
    if anchor is None:
        raise InvalidTrustAnchor("The chain ends at a trust anchor that is not accepted here.")
    has_anchor = len(parsed) > 1 and parsed[-1].unverified_issuer == parsed[-1].unverified_subject
    anchor_configuration = None
    if has_anchor or len(parsed) == 1:
        anchor_configuration = verify_entity_configuration(parsed[-1], anchor.entity_id, now=now, budget=budget, pinned=anchor.keys)
    statements = _verify_downwards(parsed[1:-1] if has_anchor else parsed[1:], anchor, now, budget)
    subject = anchor_configuration if len(parsed) == 1 else verify_entity_configuration(
        parsed[0], parsed[0].unverified_subject, now=now, budget=budget
    )  # fmt: skip
    if subject is None:
        raise InvalidTrustChain("The chain has no entity configuration of its subject.")
    chain = link_chain(subject, statements, anchor, anchor_configuration, now=now, budget=budget)
    enforce_chain_constraints(chain)
    return chain


def _verify_downwards(
    parsed: Sequence[UnverifiedStatement], anchor: TrustAnchor, now: int, budget: VerificationBudget
) -> list[SubordinateStatement]:
    """Verify subordinate statements from the anchor's down, each by the keys that the one above vouches for."""
    verified: list[SubordinateStatement] = []
    issuer, keys = anchor.entity_id, anchor.keys
    for statement in reversed(parsed):
        found = verify_subordinate_statement(statement, statement.unverified_subject, issuer, keys, now=now, budget=budget)
        verified.insert(0, found)
        issuer, keys = found.subject, found.keys
    return verified


def enforce_chain_constraints(chain: TrustChain) -> None:
    """Enforce the constraints of every statement on everything below it (FED-CON-01, -04, -08, FED-AMB-09). Raises ConstraintViolated."""
    entities = chain.entities
    for position, statement in enumerate(chain.statements):
        if statement.constraints is not UNCONSTRAINED:
            enforce_constraints(statement.constraints, position, entities[: position + 1])


@dataclass(frozen=True, slots=True)
class MetadataChange:
    """What a superior made of one parameter: `declared` and `resolved` are its values (None when absent), `operators` the rules."""

    entity_type: str
    parameter: str
    declared: Any
    resolved: Any
    operators: Mapping[str, Any]
    set_by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ResolvedMetadata:
    """The subject's metadata by entity type after its federation's rules, and every parameter that they changed."""

    metadata: Mapping[str, Mapping[str, Any]]
    changes: tuple[MetadataChange, ...]


class PolicyStatement(Protocol):
    """What policies are merged and applied from: a verified statement, or what somebody wants to try out."""

    @property
    def issuer(self) -> str:
        """Return who says it."""
        ...

    @property
    def metadata(self) -> Mapping[str, Mapping[str, Any]]:
        """Return the metadata that it sets."""
        ...

    @property
    def metadata_policy(self) -> Mapping[str, Any]:
        """Return its policy by entity type."""
        ...

    @property
    def metadata_policy_crit(self) -> tuple[str, ...]:
        """Return the operators that must be understood."""
        ...

    @property
    def constraints(self) -> Constraints:
        """Return its constraints."""
        ...


class PolicyMemory:
    """Remembers merged policies, so that a superior's are merged once for all below it, and equal ones of its leaves once too. Bounded."""

    def __init__(self, limit: int = POLICIES_REMEMBERED) -> None:
        self._limit = limit
        self._merged: OrderedDict[tuple[str, ...], Mapping[str, Policy]] = OrderedDict()
        self._lock = threading.Lock()

    def merged(self, statements: Sequence[SubordinateStatement]) -> Mapping[str, Policy]:
        """Return the merged policy by entity type of `statements`, the anchor's being the last. Raises PolicyConflict."""
        if not statements:
            return {}
        key = tuple(statement.policy_content for statement in statements)
        with self._lock:
            known = self._merged.get(key)
        if known is None:
            known = merge_statement_policy(self.merged(statements[1:]), statements[0])
        with self._lock:
            self._merged[key] = known
            self._merged.move_to_end(key)
            while len(self._merged) > self._limit:
                self._merged.popitem(last=False)
        return known


def merge_statement_policy(superior: Mapping[str, Policy], statement: PolicyStatement) -> Mapping[str, Policy]:
    """Return the policies by entity type after the policy of one more statement below (FED-POL-36 to -39). Raises PolicyConflict."""
    check_critical_operators(statement.metadata_policy_crit)
    if not statement.metadata_policy:
        return superior
    merged = dict(superior)
    for entity_type, policy in statement.metadata_policy.items():
        merged[entity_type] = merge_policy(merged.get(entity_type, {}), read_policy(policy))
    return merged


def resolve_policies(chain: TrustChain, memory: PolicyMemory | None = None) -> Mapping[str, Policy]:
    """Return the resolved policy by entity type, the anchor's being merged first (6.1.4.1; FED-POL-34, -35). Raises PolicyConflict."""
    return (memory or PolicyMemory()).merged(chain.statements)


def apply_chain_policies(chain: TrustChain, policies: Mapping[str, Policy]) -> ResolvedMetadata:
    """Return the subject's metadata after overlay, entity type constraints and policy, in this order (FED-POL-40 to -44, FED-CON-11).

    Raises PolicyViolation.
    """
    return apply_policies(chain.subject.metadata, chain.statements, policies)


def apply_policies(
    declared: Mapping[str, Mapping[str, Any]], statements: Sequence[PolicyStatement], policies: Mapping[str, Policy]
) -> ResolvedMetadata:
    """Do the same with what an entity would declare below `statements`, the immediate superior's first. Raises PolicyViolation."""
    overlay = statements[0].metadata if statements else {}
    metadata = {name: {**parameters, **overlay.get(name, {})} for name, parameters in declared.items()}
    allowed = filter_entity_types(metadata, (statement.constraints for statement in statements))
    resolved = {name: apply_read_policy(policies.get(name, {}), parameters) for name, parameters in allowed.items()}
    return ResolvedMetadata(resolved, tuple(_changes(declared, statements, resolved, policies)))


def _changes(
    declared: Mapping[str, Mapping[str, Any]],
    statements: Sequence[PolicyStatement],
    resolved: Mapping[str, Mapping[str, Any]],
    policies: Mapping[str, Policy],
) -> Iterable[MetadataChange]:
    for entity_type, after in resolved.items():
        before = declared[entity_type]
        for parameter in sorted(before.keys() | after.keys()):
            if before.get(parameter) == after.get(parameter):
                continue
            setters = [
                statement.issuer
                for position, statement in enumerate(statements)
                if parameter in statement.metadata_policy.get(entity_type, {})
                or (position == 0 and parameter in statement.metadata.get(entity_type, {}))
            ]
            yield MetadataChange(
                entity_type,
                parameter,
                before.get(parameter),
                after.get(parameter),
                policies.get(entity_type, {}).get(parameter, {}),
                tuple(setters),
            )
