"""Looking up entities for strangers: once at a time, not again soon after a failure, and within budgets (threats.md F14, S01).

Who looks up what is a row, so that all processes know. A failure is remembered for a minute, then twice as long, up to an hour.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Final, TypeVar

import structlog
from django.conf import settings
from django.db.models import Q

from federation.core.resolution import TITLES, Failure, Fixer, Resolution, StepNumber
from federation.models import EntityLookup
from protocol.errors import (
    AccessDenied,
    InvalidClientMetadata,
    InvalidMetadata,
    InvalidRedirectUri,
    InvalidTrustChain,
    ProtocolError,
    TooManyRequests,
)
from protocol.redaction import cut_credentials_from
from protocol.urls import parse_entity_identifier
from registry.windows import WINDOW_SECONDS, WindowCounter, network_of

Found = TypeVar("Found")

LOOKUPS_PER_SOURCE: Final = 60
FAILURES_PER_HOST: Final = 3
SHORTEST_REFUSAL: Final = timedelta(minutes=1)
LONGEST_REFUSAL: Final = timedelta(hours=1)
# A resolution takes eight seconds at most; what comes after it is quick.
LEASE: Final = timedelta(seconds=15)
LOOK_AGAIN_SECONDS: Final = 0.05
KEPT: Final = timedelta(days=1)
# What is refused before anything is looked up costs its sender nothing, who may name whom they like: few are kept for staff.
UNREAD_PER_SOURCE: Final = 10
UNREAD_OF_ALL: Final = 60
UNREAD_KEPT: Final = 500
_UNREAD: Final = "unread"

lookups: Final = WindowCounter()
_places = threading.BoundedSemaphore(settings.LOOKUPS_AT_ONCE)


class TrustNotEstablished(InvalidTrustChain):
    """No trust chain leads to the entity, with the failing step for whoever asks; `code` and `status` are those of that failure."""

    def __init__(self, failure: Failure | None = None, *, kept: dict[str, object] | None = None, retry_after: int | None = None) -> None:
        self.failure = failure
        told = dict(kept or {}) if failure is None else failure_as_json(failure)
        super().__init__(str(told.get("sentence", "")), retry_after=retry_after, detail=failure.detail if failure else "remembered")
        self.kept = told
        self.code, self.status = str(told.get("code", "invalid_trust_chain")), int(str(told.get("status", 400)))  # type: ignore[misc]
        shown = {"step": "step", "title": "step_title", "entity": "entity", "fixer": "who_can_fix_it"}
        self.extensions = {name: told[member] for member, name in shown.items() if member in told}

    def for_client(self) -> TrustNotEstablished:
        """Return the same with a code that an authorization server answers clients with (FED-AUT-35)."""
        if self.code not in _CODES_FOR_CLIENTS:
            self.code = "invalid_trust_chain"  # type: ignore[misc]
        if self.status == 404:  # of federation endpoints (8.9); RFC 6749, 5.2 knows 400
            self.status = 400  # type: ignore[misc]
        return self


_CODES_FOR_CLIENTS: Final = ("invalid_trust_anchor", "invalid_trust_chain", "invalid_metadata", "temporarily_unavailable")


def failure_as_json(failure: Failure) -> dict[str, object]:
    """Return what is kept of a failure, and shown: nothing of what the network said (threats.md F09)."""
    return {
        "step": failure.step.value,
        "title": failure.title,
        "entity": failure.entity,
        "sentence": failure.sentence,
        "fixer": failure.fixer.value,
        "class": failure.failure_class.value,
        "code": failure.error.code,
        "status": failure.error.status,
    }


def check_trust(resolution: Resolution) -> Resolution:
    """Return a resolution that established trust. Raises TrustNotEstablished."""
    if resolution.failure is not None:
        raise TrustNotEstablished(resolution.failure, retry_after=resolution.failure.error.retry_after)
    return resolution


def look_up(
    entity_id: str, find: Callable[[], Found | None], work: Callable[[], Found], *, source: str, now: datetime, remembers: bool = True
) -> Found:
    """Return what `find` finds, or else what `work` makes of the entity, which one caller at a time does while the others wait.

    Without `remembers` no failure is held against the entity: it may be about what somebody sent in its name. Staff see it for a day.
    Raises TooManyRequests beyond a budget, TrustNotEstablished for what failed a short while ago, and whatever `work` raises.
    """
    if source and lookups.count("source", network_of(source)) > LOOKUPS_PER_SOURCE:
        raise TooManyRequests("Your network asked for too many unknown entities; wait a minute.", retry_after=WINDOW_SECONDS)
    with _place():
        give_up = time.monotonic() + LEASE.total_seconds()
        while (lease := _claim(entity_id, now, remembers=remembers)) is None:
            if time.monotonic() > give_up:
                raise TooManyRequests("This entity is being looked up; try again in a few seconds.", retry_after=5)
            time.sleep(LOOK_AGAIN_SECONDS)
            if (found := find()) is not None:
                return found
        try:
            found = find()
            result = work() if found is None else found
        except BaseException as error:
            if remembers and isinstance(error, TrustNotEstablished):
                _note_failure(entity_id, lease, error, now)
            elif isinstance(error, ProtocolError):
                _show_failure(entity_id, lease, error, now)
            EntityLookup.objects.filter(entity_id=entity_id, lease=lease).update(lease="", leased_until=None)
            raise
        EntityLookup.objects.filter(entity_id=entity_id, lease=lease).delete()
        return result


@contextmanager
def _place() -> Iterator[None]:
    """Hold one of this process's places, so that slow foreign servers leave threads for everybody else."""
    if not _places.acquire(blocking=False):
        raise TooManyRequests("This server is looking up as many entities as it can; try again in a few seconds.", retry_after=3)
    try:
        yield
    finally:
        _places.release()


def _claim(entity_id: str, now: datetime, *, remembers: bool) -> str | None:
    """Return a lease on looking the entity up, or None while another has it. Raises what forbids to look."""
    row = EntityLookup.objects.filter(entity_id=entity_id).first()
    host = parse_entity_identifier(entity_id).host
    if remembers:
        _check_failures(entity_id, row, host, now)
    if row is None:
        EntityLookup.objects.bulk_create([EntityLookup(entity_id=entity_id, host=host, started_at=now)], ignore_conflicts=True)
    lease = uuid.uuid4().hex
    free = EntityLookup.objects.filter(Q(leased_until=None) | Q(leased_until__lte=now), entity_id=entity_id)
    if remembers:  # it may have failed since the row was read
        free = free.filter(Q(refused_until=None) | Q(refused_until__lte=now))
    return lease if free.update(lease=lease, leased_until=now + LEASE, started_at=now) else None


def _check_failures(entity_id: str, row: EntityLookup | None, host: str, now: datetime) -> None:
    """Refuse to look up what failed a short while ago, or whose host did several times."""
    if row is not None and row.refused_until is not None and row.refused_until > now:
        raise TrustNotEstablished(kept=row.failure, retry_after=int((row.refused_until - now).total_seconds()) + 1)
    recent = Q(host=host, started_at__gt=now - timedelta(seconds=WINDOW_SECONDS), misses__gt=0)
    if EntityLookup.objects.filter(recent).exclude(entity_id=entity_id).count() >= FAILURES_PER_HOST:
        raise TooManyRequests("Several entities of this host could not be resolved; wait a minute.", retry_after=WINDOW_SECONDS)


def _note_failure(entity_id: str, lease: str, error: TrustNotEstablished, now: datetime) -> None:
    row = EntityLookup.objects.filter(entity_id=entity_id, lease=lease).first()
    if row is None:
        return
    row.misses += 1
    wait = min(SHORTEST_REFUSAL * 2 ** min(row.misses - 1, 10), LONGEST_REFUSAL)
    row.failure, row.refused_until, row.lease, row.leased_until = {**error.kept, **_request()}, now + wait, "", None
    row.save(update_fields=["misses", "failure", "refused_until", "lease", "leased_until"])


def _show_failure(entity_id: str, lease: str, error: ProtocolError, now: datetime) -> None:
    """Keep a refusal for staff to see, without holding it against the entity; what is held against it stays as it is."""
    told = error.kept if isinstance(error, TrustNotEstablished) else _refusal_as_json(error)
    free = Q(refused_until=None) | Q(refused_until__lte=now)
    EntityLookup.objects.filter(free, entity_id=entity_id, lease=lease).update(failure={**told, **_request()})


def keep_unread(entity_id: str, error: ProtocolError, *, source: str, now: datetime) -> None:
    """Keep for staff that a request in the name of an entity was refused before the entity was looked up. Three statements at most.

    Nothing is held against the entity, and what is known of it already stays; the oldest of these rows make room. `entity_id` is unproven.
    """
    if source and lookups.count("unread", network_of(source)) > UNREAD_PER_SOURCE:
        return
    if lookups.count("unread", "") > UNREAD_OF_ALL:
        return
    kept = {"failure": {**_refusal_as_json(error), **_request(), _UNREAD: True}, "started_at": now}
    rows = EntityLookup.objects.filter(failure__has_key=_UNREAD)
    if not rows.filter(entity_id=entity_id, misses=0, lease="").update(**kept):
        host = parse_entity_identifier(entity_id).host
        EntityLookup.objects.bulk_create([EntityLookup(entity_id=entity_id, host=host, **kept)], ignore_conflicts=True)
        newest = rows.order_by("-started_at", "-id").values("id")[:UNREAD_KEPT]
        rows.exclude(id__in=list(newest.values_list("id", flat=True))).delete()


def _refusal_as_json(error: ProtocolError) -> dict[str, object]:
    """Return what is kept of a refusal behind the chain: our own rules about metadata are a step, a missing organization is none."""
    told: dict[str, object] = {"code": error.code, "status": error.status, "sentence": cut_credentials_from(error.description)[:1000]}
    if isinstance(error, AccessDenied):
        return {**told, "fixer": Fixer.STAFF.value}
    if isinstance(error, InvalidClientMetadata | InvalidRedirectUri | InvalidMetadata):
        told |= {"step": StepNumber.LOCAL_RULES.value, "title": TITLES[StepNumber.LOCAL_RULES]}
    return {**told, "fixer": Fixer.PARTNER.value}


def _request() -> dict[str, object]:
    return {"request_id": str(structlog.contextvars.get_contextvars().get("request_id", ""))}


def forget_lookup(entity_id: str) -> None:
    """Forget that an entity failed, as when staff or a sweep look at it themselves."""
    EntityLookup.objects.filter(entity_id=entity_id).delete()


def purge_lookups(now: datetime) -> int:
    """Delete what is too old to matter; return how many rows went."""
    deleted, _ = EntityLookup.objects.filter(started_at__lt=now - KEPT).delete()
    return deleted
