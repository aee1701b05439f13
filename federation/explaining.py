"""A resolution in words: the same lines for the command line, support and, later, pages (portal.md 4.7)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from federation.core.resolution import Failure, Resolution, Step, StepStatus

MARKS: Final[Mapping[StepStatus, str]] = {StepStatus.OK: "✓", StepStatus.FAILED: "✗", StepStatus.NOT_REACHED: "·"}


def as_lines(resolution: Resolution) -> Iterator[str]:
    """Yield the report for an operator: every step with its mark, the chain as a tree, what changed in the metadata, and the other paths.

    It shows what the network said, so it is for the command line and not for partners (threats.md F09).
    """
    for step in resolution.steps:
        yield from _step_lines(step)
    yield ""
    if resolution.chain:
        yield from _chain_lines(resolution)
    yield from _candidate_lines(resolution)
    yield f"{resolution.fetches} fetches, {resolution.signature_checks} signature checks."


def _step_lines(step: Step) -> Iterator[str]:
    yield f"{MARKS[step.status]} {step.number.value:2} {step.title}{': ' + step.sentence if step.sentence else ''}"
    if step.failure:
        yield f"     entity    {step.failure.entity}"
        yield f"     who can fix it: {step.failure.fixer.value}   code: {step.failure.code}   {step.failure.failure_class.value}"
        if step.failure.detail:
            yield f"     detail    {step.failure.detail}"


def _chain_lines(resolution: Resolution) -> Iterator[str]:
    chain = resolution.chain
    if chain is None:
        return
    ends = [chain.subject.expires_at, *(statement.expires_at for statement in chain.statements)]
    for depth, entity in enumerate(chain.entities):
        until = f"   valid until {_utc(ends[depth])}" if depth < len(ends) else ""
        anchor = "   (trust anchor)" if entity == chain.anchor_id else ""
        yield f"{'   ' * depth}{'└─ ' if depth else ''}{entity}{until}{anchor}"
    yield f"The whole chain is valid until {_utc(chain.expires_at)}. {resolution.choice}"
    if chain.unpinned_keys:
        names = ", ".join(_shown(kid) for kid in chain.unpinned_keys)
        yield f"! {chain.anchor_id} announces keys that are not pinned here: {names}. Confirm them with the federation, then pin them."
    yield ""
    if resolution.metadata:
        for change in resolution.metadata.changes:
            rules = ", ".join(change.operators) or "set directly"
            yield f"{_shown(change.entity_type)}.{_shown(change.parameter)}: declared {change.declared!r}, resolved {change.resolved!r}"
            yield f"     {rules}, by {', '.join(change.set_by) or 'nobody'}"
        if not resolution.metadata.changes:
            yield "The federation changed nothing in the metadata."


def _candidate_lines(resolution: Resolution) -> Iterator[str]:
    others = [candidate for candidate in resolution.candidates if candidate.failure]
    if others:
        yield "Paths that were not used:"
    for candidate in others:
        yield f"  {' > '.join(candidate.entities)}"
        yield f"     {candidate.failure.sentence if candidate.failure else ''}"


def _shown(name: str) -> str:
    """Return a foreign name so that it cannot steer a terminal."""
    return name if name.isascii() and name.isprintable() else repr(name)


def _utc(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"


def as_json(resolution: Resolution) -> dict[str, Any]:
    """Return the same as JSON members; `statements` are enough to decide again offline."""
    chain = resolution.chain
    return {
        "entity_id": resolution.entity_id,
        "ok": resolution.ok,
        "unpinned_anchor_keys": list(chain.unpinned_keys) if chain else [],
        "time": resolution.now,
        "steps": [_step_json(step) for step in resolution.steps],
        "trust_anchor": chain.anchor_id if chain else None,
        "entities": list(chain.entities) if chain else [],
        "expires_at": chain.expires_at if chain else None,
        "declared_metadata": {name: dict(values) for name, values in chain.subject.metadata.items()} if chain else None,
        "metadata": {name: dict(values) for name, values in resolution.metadata.metadata.items()} if resolution.metadata else None,
        "candidates": [
            {"entities": list(candidate.entities), "failure": _failure_json(candidate.failure)} for candidate in resolution.candidates
        ],
        "choice": resolution.choice,
        "fetches": resolution.fetches,
        "signature_checks": resolution.signature_checks,
        "statements": list(resolution.statements),
    }


def _step_json(step: Step) -> dict[str, Any]:
    return {
        "number": step.number.value,
        "title": step.title,
        "status": step.status.value,
        "entity": step.entity,
        "sentence": step.sentence,
        "failure": _failure_json(step.failure),
    }


def _failure_json(failure: Failure | None) -> dict[str, Any] | None:
    if failure is None:
        return None
    return {
        "step": failure.step.value,
        "entity": failure.entity,
        "sentence": failure.sentence,
        "fixer": failure.fixer.value,
        "class": failure.failure_class.value,
        "error": failure.code,
        "evidence": dict(failure.evidence) if failure.evidence else None,
    }
