"""Writing the audit trail, sealing it and checking the seals (house decision 17; threats.md S09)."""

from __future__ import annotations

import hashlib
import hmac
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Final

from django.db import connection, models, transaction
from django.utils import timezone

from protocol.strict_json import canonical_json
from registry.actors import Actor
from registry.compiled import CompiledInsert
from registry.digests import server_secret
from registry.labels import in_english
from registry.models import AuditEvent, AuditSeal, Client, Organization
from registry.models.audit import ActorKind

_EVENTS: Final = CompiledInsert(AuditEvent)
SEAL_SIZE: Final = 10_000
_BREAKS: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_NEVER_RECORDED: Final = frozenset(("client_secret", "software_statement", "registration_access_token", "digest", "password"))
_date: ContextVar[datetime | None] = ContextVar("audit_date", default=None)


@contextmanager
def dated(moment: datetime) -> Iterator[None]:
    """Date the events written in the with block `moment`: for the made-up history of the demo alone, told oldest first."""
    token = _date.set(moment)
    try:
        yield
    finally:
        _date.reset(token)


def record(
    actor: Actor,
    event: str,
    subject: models.Model,
    *,
    organization: Organization | None,
    reason: str = "",
    difference: Mapping[str, Any] | None = None,
    result: str = "ok",
) -> AuditEvent:
    """Write one audit row for `event` on `subject`, in the caller's transaction.

    `difference` maps a member to [before, after]; members that hold a secret are never written.
    """
    event_row = AuditEvent(
        time=_date.get() or timezone.now(),
        request_id=_one_line(actor.request_id, 64),
        actor_kind=actor.kind,
        actor_id=_one_line(actor.id, 64),
        actor_label=_one_line(actor.label, 254),
        organization=organization,
        object_type=subject._meta.model_name or "",
        object_id=object_id_of(subject),
        object_label=_one_line(in_english(subject), 254),
        event=event,
        result=result,
        reason=reason,
        difference={name: value for name, value in (difference or {}).items() if name not in _NEVER_RECORDED},
        source_address=actor.source_address,
        user_agent_family=_one_line(actor.user_agent_family, 40),
    )
    _EVENTS.insert(event_row)
    return event_row


def _one_line(text: str, limit: int) -> str:
    """Return `text` with control characters and line separators escaped, so that no label can fake a line of a log or an export."""
    return _BREAKS.sub(lambda match: f"\\u{ord(match[0]):04x}", text)[:limit]


def object_id_of(subject: models.Model) -> str:
    """Return the identifier under which the trail knows an object."""
    if isinstance(subject, Client):
        return str(subject.reference)
    if isinstance(subject, Organization):
        return str(subject.org_id)
    return str(subject.pk)


def done_by_staff(events: Iterable[AuditEvent]) -> frozenset[int]:
    """Return the ids of those events that staff did, or an app of this server's operator towards another organization.

    Partners do not see who of staff it was. At most one query.
    """
    events = list(events)
    apps = {event.actor_id for event in events if event.actor_kind == ActorKind.CLIENT}
    rows = Client.objects.filter(client_id__in=apps, organization__is_operator=True) if apps else Client.objects.none()
    operators = dict(rows.values_list("client_id", "organization_id"))
    return frozenset(
        event.id
        for event in events
        if event.actor_kind == ActorKind.STAFF
        or (event.actor_kind == ActorKind.CLIENT and operators.get(event.actor_id, event.organization_id) != event.organization_id)
    )


def difference_between(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Return the members that differ, each as [before, after]; an absent member is None."""
    names = sorted(set(before) | set(after))
    return {name: [before.get(name), after.get(name)] for name in names if before.get(name) != after.get(name)}


def event_digest(event: AuditEvent) -> bytes:
    """Return the SHA-256 of everything an audit row says."""
    content = {field.attname: _plain(getattr(event, field.attname)) for field in event._meta.concrete_fields}
    return hashlib.sha256(canonical_json(content)).digest()


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def seal(now: datetime) -> AuditSeal | None:
    """Seal the events after the last seal, at most SEAL_SIZE of them; return the seal, or None when there is nothing to seal.

    Before choosing the last row it waits for every transaction that is writing one, so that no row can slip into a sealed range later.
    """
    last_id = _last_settled_event()
    with transaction.atomic():
        # The table, not its last row: who waits for a row gets that row again, and would seal the same events a second time.
        _lock_table(AuditSeal, "SHARE ROW EXCLUSIVE")
        previous = AuditSeal.objects.order_by("-last_id").first()
        after = previous.last_id if previous else 0
        events = list(AuditEvent.objects.filter(id__gt=after, id__lte=last_id).order_by("id")[:SEAL_SIZE])
        if not events:
            return None
        new = AuditSeal(
            first_id=after + 1,
            last_id=events[-1].id,
            fingerprints=_fingerprints(events),
            previous_digest=previous.digest if previous else "",
            sealed_at=now,
        )
        new.digest = _seal_digest(new, events)
        new.signature = _signature(new.digest)
        new.save(force_insert=True)
        return new


def _last_settled_event() -> int:
    """Return the highest event id below which no uncommitted row can still appear."""
    with transaction.atomic():
        _lock_table(AuditEvent, "SHARE")
        return AuditEvent.objects.aggregate(last=models.Max("id"))["last"] or 0


def _lock_table(model: type[models.Model], mode: str) -> None:
    """Lock a table for this transaction; on SQLite its beginning did that already (transaction_mode IMMEDIATE)."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL lock_timeout = '2s'")
            cursor.execute(f"LOCK TABLE {model._meta.db_table} IN {mode} MODE")


def _fingerprints(events: list[AuditEvent]) -> dict[str, str]:
    return {str(event.id): event_digest(event).hex()[:16] for event in events}


def _seal_digest(seal_row: AuditSeal, events: list[AuditEvent]) -> str:
    sealed_at = seal_row.sealed_at.astimezone(UTC).isoformat()
    digest = hashlib.sha256(f"{seal_row.first_id}:{seal_row.last_id}:{seal_row.previous_digest}:{sealed_at}".encode())
    for event in events:
        digest.update(event_digest(event))
    return digest.hexdigest()


def _signature(digest: str) -> str:
    return hmac.new(server_secret("audit-seal"), digest.encode(), hashlib.sha256).hexdigest()


@dataclass(frozen=True, slots=True)
class SealFault:
    """A place where the trail is not what was sealed; `event_id` is None when the seal itself is at fault."""

    event_id: int | None
    sentence: str


def verify() -> Iterator[SealFault]:
    """Yield every fault of the sealed trail, oldest first; nothing means that it is intact up to the last seal."""
    yield from verify_numbers()
    for _row, faults in _verify_seals(after=0):
        yield from faults


@dataclass(frozen=True, slots=True)
class Verification:
    """What was found in a stretch of the trail: its faults, how many seals it has, and the last event that was checked.

    `goes_on` says that there are seals after it.
    """

    faults: tuple[SealFault, ...]
    seals: int
    checked_from: int
    checked_to: int
    goes_on: bool


def verify_for_a_while(*, after: int = 0, seconds: float = 4, faults_limit: int = 100, monotonic: Any = time.monotonic) -> Verification:
    """Verify the seals after the event `after` for about so many seconds, at least one; from the first on when no seal ended with it."""
    after = after if AuditSeal.objects.filter(last_id=after).exists() else 0
    ends, seals, last = monotonic() + seconds, 0, after
    faults = [*islice(verify_numbers(), faults_limit)] if after == 0 else []
    for row, found in _verify_seals(after=after):
        faults += found
        seals, last = seals + 1, row.last_id
        if monotonic() > ends or len(faults) >= faults_limit:
            break
    goes_on = AuditSeal.objects.filter(last_id__gt=last).exists()
    return Verification(tuple(faults[:faults_limit]), seals, after + 1, last, goes_on)


def verify_numbers() -> Iterator[SealFault]:
    """Yield the events with numbers that the database never gives."""
    for event_id in AuditEvent.objects.filter(id__lt=1).order_by("id").values_list("id", flat=True):
        yield SealFault(event_id, f"Event {event_id} was added: events are numbered from 1.")


def _verify_seals(*, after: int) -> Iterator[tuple[AuditSeal, list[SealFault]]]:
    """Yield every seal after the one that ended with the event `after`, with its faults."""
    before = AuditSeal.objects.filter(last_id=after).first()
    previous, expected_first = (before.digest if before else ""), after + 1
    for row in AuditSeal.objects.filter(last_id__gt=after).order_by("last_id").iterator(chunk_size=50):
        faults = list(_faults_of(row, previous, expected_first))
        yield row, faults
        previous, expected_first = row.digest, row.last_id + 1


def _faults_of(row: AuditSeal, previous: str, expected_first: int) -> Iterator[SealFault]:
    name = f"The seal over {row.first_id} to {row.last_id}"
    if row.first_id != expected_first or row.previous_digest != previous:
        yield SealFault(None, f"{name} does not follow the one before: a seal is missing or was changed.")
    if not hmac.compare_digest(row.signature, _signature(row.digest)):
        yield SealFault(None, f"{name} was not signed by this server.")
    yield from _faults_in(row, name)


def _faults_in(row: AuditSeal, name: str) -> Iterator[SealFault]:
    events = list(AuditEvent.objects.filter(id__gte=row.first_id, id__lte=row.last_id).order_by("id"))
    found = _fingerprints(events)
    if _seal_digest(row, events) == row.digest:
        if found != row.fingerprints:
            yield SealFault(None, f"{name} was changed: its fingerprints are not those of its events.")
        return
    faults = [
        *(SealFault(int(key), f"Event {key} is missing.") for key in row.fingerprints.keys() - found.keys()),
        *(SealFault(int(key), f"Event {key} was added after sealing.") for key in found.keys() - row.fingerprints.keys()),
        *(
            SealFault(int(key), f"Event {key} was changed after sealing.")
            for key in found
            if row.fingerprints.get(key, found[key]) != found[key]
        ),
    ]
    yield from sorted(faults, key=lambda fault: fault.event_id or 0) or [SealFault(None, f"{name} was changed.")]
