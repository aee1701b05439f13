"""What is known of a registered client's trust, in words for people: its state, its chain, and what the last check found (portal.md 4.7).

Everything is read from the client's record; nothing is fetched or verified again, since what is kept was verified when it was stored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Any, Final

from django.conf import settings

from federation.core.resolution import TITLES, Fixer, StepNumber, StepStatus
from federation.core.statements import LATEST_TIME, parse_entity_statement
from federation.models import FederationRecord
from federation.registration import as_time
from protocol.constants import TRUST_CHAIN_HEADER_LIMIT
from protocol.errors import StatementInvalid
from registry.models import Client

# Checks look again when 10 to 25 % of a chain's life is left: who is beyond that was not given newer statements.
_LAST_PART: Final = 0.1
_LONGEST_WARNING: Final = timedelta(days=7)


class Standing(Enum):
    """The state of a client's trust as people read it."""

    VALID = "valid"
    EXPIRING = "expiring"
    EXPIRED = "expired"
    STALE = "stale"
    SUSPECT = "suspect"
    BROKEN = "broken"


class Place(Enum):
    """Where in the chain an entity stands."""

    SUBJECT = "subject"
    INTERMEDIATE = "intermediate"
    ANCHOR = "anchor"


@dataclass(frozen=True, slots=True)
class Hop:
    """One entity of the chain: its statement about `about` (itself, for the subject) and until when that is valid, if it is known."""

    entity: str
    place: Place
    about: str
    issued_at: datetime | None
    valid_until: datetime | None
    failed: bool


@dataclass(frozen=True, slots=True)
class ReportedStep:
    """One step of the last check."""

    number: int
    title: str
    status: StepStatus


@dataclass(frozen=True, slots=True)
class ReportedFailure:
    """Why the last check did not confirm the trust. `tell` is a message for whoever can fix it; `at` is None when it is not known."""

    step: int
    title: str
    entity: str
    sentence: str
    fixer: str
    code: str
    at: datetime | None
    tell: str


@dataclass(frozen=True, slots=True)
class TrustReport:
    """The whole report. `first_to_end` is the hop whose statement ends first; `next_check_at` is None when nobody looks again by itself.

    There is neither a failure nor steps for trust that was ended by hand: the audit trail says why.
    """

    standing: Standing
    ends: datetime | None
    hops: tuple[Hop, ...]
    first_to_end: Hop | None
    failure: ReportedFailure | None
    steps: tuple[ReportedStep, ...]
    confirmed_at: datetime
    checked_at: datetime
    next_check_at: datetime | None


def describe_trust(record: FederationRecord, now: datetime) -> TrustReport:
    """Return the report about a record that came with its client. No query."""
    hops = _hops(record)
    first = min((hop for hop in hops if hop.valid_until), key=lambda hop: hop.valid_until or now, default=None)
    failure = _failure(record, hops)
    next_check = record.next_check_at if record.client.state != Client.State.CLOSED else None
    return TrustReport(
        standing=_standing(record.client, first, now),
        ends=record.client.trust_expires_at,
        hops=hops,
        first_to_end=first,
        failure=failure,
        steps=_steps(failure) if failure or record.client.trust == Client.Trust.VALID else (),
        confirmed_at=record.checked_at,
        checked_at=(failure.at if failure else None) or record.checked_at,
        next_check_at=next_check,
    )


def _standing(client: Client, first_to_end: Hop | None, now: datetime) -> Standing:
    """Return the state in words: what was lost first, then what ended, then what ends soon."""
    if client.trust in (Client.Trust.BROKEN, Client.Trust.SUSPECT):
        return Standing(client.trust)
    if client.trust_expires_at is None or client.trust_expires_at <= now:
        return Standing.EXPIRED
    if client.trust == Client.Trust.STALE:
        return Standing.STALE
    if client.trust_expires_at - now < warning_before_end(first_to_end):
        return Standing.EXPIRING
    return Standing.VALID


def warning_before_end(hop: Hop | None) -> timedelta:
    """Return how long before the end of a chain people are told of it; `hop` is the one that ends first."""
    if hop is None or hop.issued_at is None or hop.valid_until is None:
        return timedelta(0)
    return min((hop.valid_until - hop.issued_at) * _LAST_PART, _LONGEST_WARNING)


def _hops(record: FederationRecord) -> tuple[Hop, ...]:
    """Return the chain, subject first. A statement that cannot be read leaves its times unknown."""
    said = _times(record.statements)
    entities = [str(entity) for entity in record.entities]
    culprit = str((record.failure or {}).get("entity", ""))
    hops = []
    for position, entity in enumerate(entities):
        about = entities[position - 1] if position else entity
        issued_at, valid_until = said.get((entity, about), (None, None))
        last = position == len(entities) - 1
        place = Place.ANCHOR if last and position else Place.INTERMEDIATE if position else Place.SUBJECT
        hops.append(Hop(entity, place, about, issued_at, valid_until, entity == culprit))
    return tuple(hops)


def _times(statements: list[str]) -> dict[tuple[str, str], tuple[datetime | None, datetime | None]]:
    """Return from when and until when each statement is valid, by issuer and subject."""
    found: dict[tuple[str, str], tuple[datetime | None, datetime | None]] = {}
    for raw in statements:
        try:
            statement = parse_entity_statement(raw, max_length=TRUST_CHAIN_HEADER_LIMIT)
        except StatementInvalid:
            continue
        claims = statement.jwt.unverified_claims
        key = statement.unverified_issuer, statement.unverified_subject
        found.setdefault(key, (_moment(claims.get("iat")), _moment(claims.get("exp"))))
    return found


def _moment(seconds: object) -> datetime | None:
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or seconds < 0:
        return None
    return as_time(int(min(seconds, LATEST_TIME)))


def _steps(failure: ReportedFailure | None) -> tuple[ReportedStep, ...]:
    """Return every step: ok up to the one that failed, not reached behind it."""

    def status(number: StepNumber) -> StepStatus:
        if failure is None or number < failure.step:
            return StepStatus.OK
        return StepStatus.FAILED if number == failure.step else StepStatus.NOT_REACHED

    return tuple(ReportedStep(number.value, TITLES[number], status(number)) for number in StepNumber)


def _failure(record: FederationRecord, hops: tuple[Hop, ...]) -> ReportedFailure | None:
    told: Mapping[str, Any] | None = record.failure
    if told is None:
        return None
    at = _moment(told.get("at"))
    words = {name: str(told.get(name, "")) for name in ("title", "entity", "sentence", "fixer", "code")}
    step = told.get("step")
    number = step if isinstance(step, int) else StepNumber.FETCH_CONFIGURATION.value
    chain = [f"Trust anchor: {record.anchor}", f"Chain when it was last confirmed, at {_utc(record.checked_at)}:"]
    return ReportedFailure(step=number, at=at, tell=write_message(record.entity_id, chain, hops, words, number, at), **words)


def write_message(
    entity_id: str, chain: Sequence[str], hops: Sequence[Hop], words: Mapping[str, str], step: int, at: datetime | None
) -> str:
    """Return what a partner can send to whoever can fix it: entities, times and the rule, and nothing that is secret.

    `chain` are the lines before the entities of the chain; `words` are title, entity, sentence, fixer and code of the failure.
    """
    when = f" at {_utc(at)}" if at else ""
    lines = [
        f"The authorization server {settings.ISSUER} could not confirm the trust chain of {entity_id}{when}.",
        f"Step {step}: {words['title']}",
        f"About: {words['entity']}",
        f"Found: {words['sentence']}",
        f"Error code: {words['code']}",
        *chain,
        *(f"  {hop.entity}{f', valid until {_utc(hop.valid_until)}' if hop.valid_until else ''}" for hop in hops),
    ]
    if words["fixer"] and words["fixer"] != Fixer.NOBODY.value:
        lines.insert(5, f"Who can fix it: {words['fixer']}")
    return "\n".join(lines)


def _utc(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def entity_kinds(entity_type: str) -> str:
    """Return what an entity type is called beside its name in the specification."""
    return {"openid_relying_party": "OpenID relying party", "oauth_client": "OAuth client"}.get(entity_type, entity_type)
