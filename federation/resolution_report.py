"""A resolution in the form of the report about a registered client, so that pages show both alike (portal.md 4.7)."""

from __future__ import annotations

from datetime import datetime

from federation.core.resolution import Failure, Resolution, Step
from federation.registration import as_time
from federation.trust_report import Hop, Place, ReportedFailure, ReportedStep, Standing, TrustReport, warning_before_end, write_message


def describe_resolution(
    resolution: Resolution, steps: tuple[Step, ...], failure: Failure | None, *, anchors: frozenset[str]
) -> TrustReport:
    """Return the report about a resolution with these steps; `failure` may also be one that comes after the chain. No query."""
    now = as_time(resolution.now)
    hops = _hops(resolution, failure, anchors)
    chain = resolution.chain
    first = min((hop for hop in hops if hop.valid_until), key=lambda hop: hop.valid_until or now, default=None)
    ends = as_time(chain.expires_at) if chain else None
    standing = Standing.BROKEN
    if ends is not None:
        standing = Standing.EXPIRING if ends - now < warning_before_end(first) else Standing.VALID
    return TrustReport(
        standing=standing,
        ends=ends,
        hops=hops,
        first_to_end=first,
        failure=_failure(resolution.entity_id, hops, failure, now) if failure else None,
        steps=tuple(ReportedStep(step.number.value, step.title, step.status) for step in steps),
        confirmed_at=now,
        checked_at=now,
        next_check_at=None,
    )


def _hops(resolution: Resolution, failure: Failure | None, anchors: frozenset[str]) -> tuple[Hop, ...]:
    """Return the chosen chain, or the path that came furthest, whose statements prove nothing and have no times."""
    culprit = failure.entity if failure else ""
    if chain := resolution.chain:
        said = [(chain.subject.subject, chain.subject), *((one.subject, one) for one in chain.statements)]
        return tuple(
            Hop(entity, _place(position, entity, anchors), about, as_time(one.issued_at), as_time(one.expires_at), entity == culprit)
            for position, (entity, (about, one)) in enumerate(zip(chain.entities, said, strict=True))
        )
    tried = next((one.entities for one in resolution.candidates if one.failure is resolution.failure), (resolution.entity_id,))
    return tuple(
        Hop(entity, _place(position, entity, anchors), tried[max(position - 1, 0)], None, None, entity == culprit)
        for position, entity in enumerate(tried)
    )


def _place(position: int, entity: str, anchors: frozenset[str]) -> Place:
    if position == 0:
        return Place.SUBJECT
    return Place.ANCHOR if entity in anchors else Place.INTERMEDIATE


def _failure(entity_id: str, hops: tuple[Hop, ...], failure: Failure, now: datetime) -> ReportedFailure:
    words = {
        "title": failure.title,
        "entity": failure.entity,
        "sentence": failure.sentence,
        "fixer": failure.fixer.value,
        "code": failure.code,
    }
    tell = write_message(entity_id, ["The path that was looked at:"], hops, words, failure.step.value, now)
    return ReportedFailure(step=failure.step.value, at=now, tell=tell, **words)
