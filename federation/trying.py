"""Trying out metadata: what a federation's rules and ours would make of it, without registering anything (portal.md, page 4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from federation.client_documents import Way, build_document
from federation.core import claims as rules_of_statements
from federation.core.policy_trial import merge_supplied_policies
from federation.core.resolution import TITLES, StepNumber
from federation.core.trust_chains import PolicyStatement, apply_policies
from federation.registration import list_changes
from protocol.errors import FederationError, InvalidMetadata
from registry.findings import Finding
from registry.lifecycle import Assessment, Rules, assess_document


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of it: the metadata as declared, after the federation's rules and as it would be registered; None is not reached.

    `changes` are as a record keeps them. `failure` is the finding that ended the trial, with the step that it belongs to.
    """

    declared: Mapping[str, Any]
    resolved: Mapping[str, Any] | None = None
    registered: Mapping[str, Any] | None = None
    changes: tuple[Mapping[str, Any], ...] = ()
    findings: tuple[Finding, ...] = ()
    step: str = ""
    superiors: tuple[str, ...] = ()

    @property
    def is_refused(self) -> bool:
        """Say whether nothing would be registered."""
        return any(finding.level == "error" for finding in self.findings)


def try_metadata(
    declared: Mapping[str, Any],
    entity_type: str,
    statements: Sequence[PolicyStatement],
    way: Way | None,
    *,
    rules: Rules,
    stage: str,
    now: datetime,
) -> Trial:
    """Say what would become of metadata below these statements, the immediate superior's first; no query, nothing is fetched or raised.

    Without a `way` it registers by hand or by RFC 7591, where no federation has a say.
    """
    if way is None:
        assessment = assess_document(declared, rules, stage=stage, now=now)
        return _trial(declared, declared, assessment, list_changes(None, entity_type, assessment.decisions), statements)
    superiors = tuple(statement.issuer for statement in statements)
    step = StepNumber.MERGE_POLICIES
    try:
        metadata = rules_of_statements.read_metadata({"metadata": {entity_type: dict(declared)}})
        policies = merge_supplied_policies(statements)
        step = StepNumber.APPLY_POLICY
        resolved = apply_policies(metadata, statements, policies)
        if entity_type not in resolved.metadata:
            raise InvalidMetadata(f"A superior does not allow the entity type {entity_type}.")
        step = StepNumber.LOCAL_RULES
        document = build_document(
            entity_type, metadata[entity_type], resolved.metadata[entity_type], way, default_scopes=rules.policy.federation_default_scopes
        )
    except FederationError as error:
        member = next(iter(error.members), "metadata")
        found = Finding(f"federation.{error.code}", "error", member, error.description)
        after = resolved.metadata[entity_type] if step is StepNumber.LOCAL_RULES else None
        changes = tuple(list_changes(resolved, entity_type, ())) if after is not None else ()
        return Trial(declared, after, None, changes, (found,), TITLES[step], superiors)
    assessment = assess_document(document.document, rules, stage=stage, now=now)
    changes = tuple(list_changes(resolved, entity_type, (*document.decisions, *assessment.decisions)))
    return _trial(declared, document.resolved, assessment, changes, statements)


def _trial(
    declared: Mapping[str, Any],
    resolved: Mapping[str, Any],
    assessment: Assessment,
    changes: Sequence[Mapping[str, Any]],
    statements: Sequence[PolicyStatement],
) -> Trial:
    step = TITLES[StepNumber.LOCAL_RULES] if assessment.errors else ""
    superiors = tuple(statement.issuer for statement in statements)
    return Trial(declared, resolved, assessment.metadata, tuple(changes), assessment.findings, step, superiors)
