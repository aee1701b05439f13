"""Reading the audit trail at any size: every question is answered from an index, or from a bounded stretch of the newest events.

Pages go on by event number, never by counting (portal.md 4.5, "Audit"; 5.15).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.apps import apps
from django.db.models import Q, QuerySet

from registry import audit
from registry.actors import Actor
from registry.models import AuditEvent, Client, Organization, User
from registry.models.users import normalize_email

PAGE: Final = 50
# How many events one page looks through for what no index answers; older ones are a link away.
STRETCH: Final = 100_000
COUNTED: Final = 10_000
EXPORTED_AT_ONCE: Final = 1000
_NAMES: Final = 20
# A row is numbered when it is written and timed when it is made, a little earlier; no transaction takes longer.
_SKEW: Final = timedelta(hours=1)
_EARLIEST: Final = datetime.min.replace(tzinfo=UTC) + _SKEW
_LATEST: Final = datetime.max.replace(tzinfo=UTC) - _SKEW


@dataclass(frozen=True, slots=True)
class AuditQuestion:
    """Which events: every member that is set narrows. `object`, `actor` and `organization` are what people know them by."""

    since: datetime | None = None
    until: datetime | None = None
    actor_kind: str = ""
    actor: str = ""
    organization: str = ""
    object_type: str = ""
    object: str = ""
    event: str = ""
    result: str = ""
    source_address: str = ""
    request_id: str = ""

    @property
    def is_from_an_index(self) -> bool:
        """Say whether an index leads to the events, so that none is read in vain but for a few."""
        named = (self.actor, self.organization, self.object, self.source_address, self.request_id)
        loose = (self.actor_kind, self.object_type, self.result)
        return any(named) or not (any(loose) or self.event) or (_is_whole(self.event) and not any(loose))


def _is_whole(event: str) -> bool:
    return "." in event and not event.endswith(".")


@dataclass(frozen=True, slots=True)
class AuditPage:
    """One page of events, newest first. `before` leads to older ones; `searched_to` is set when the page ended its stretch."""

    events: list[AuditEvent]
    before: int | None
    searched_to: int | None


def find_events(question: AuditQuestion) -> QuerySet[AuditEvent]:
    """Return the events that `question` asks for, newest first, with their organizations. At most six queries before it is read."""
    return _find(question, *_number_range(question))


def _find(question: AuditQuestion, first: int, last: int | None) -> QuerySet[AuditEvent]:
    """Return the events of the question; the bounds of their numbers stand beside the time, because rows are read in that order."""
    wanted = Q(id__gte=first) & (Q() if last is None else Q(id__lte=last))
    wanted &= Q() if question.since is None else Q(time__gte=question.since)
    wanted &= Q() if question.until is None else Q(time__lt=question.until)
    for name in ("actor_kind", "object_type", "result", "source_address", "request_id"):
        if value := getattr(question, name):
            wanted &= Q(**{name: value})
    if question.event:
        wanted &= Q(event=question.event) if _is_whole(question.event) else Q(event__startswith=question.event)
    if question.organization:
        named = Organization.objects.filter(Q(legal_name__icontains=question.organization) | Q(slug=question.organization))
        wanted &= Q(organization__in=list(named.values_list("pk", flat=True)[:_NAMES]))
    if question.object:
        wanted &= _about(question.object, question.object_type)
    if question.actor:
        wanted &= Q(actor_id__in=_actors(question.actor))
    return AuditEvent.objects.filter(wanted).select_related("organization").order_by("-id")


def _number_range(question: AuditQuestion) -> tuple[int, int | None]:
    """Return the numbers between which the events of the time range are; the second is None when the newest are among them."""
    first = 0 if question.since is None else _first_after(max(question.since, _EARLIEST) - _SKEW)
    last = None if question.until is None else _first_after(min(question.until, _LATEST) + _SKEW)
    return (_last_id() + 1 if first is None else first), last


def _first_after(moment: datetime) -> int | None:
    return AuditEvent.objects.filter(time__gte=moment).order_by("time").values_list("id", flat=True).first()


def _last_id() -> int:
    return AuditEvent.objects.order_by("-id").values_list("id", flat=True).first() or 0


def _about(text: str, object_type: str) -> Q:
    """Return the condition for events about what is called `text`: an app, an organization, a person, or the number of a row."""
    references = Client.objects.filter(Q(client_id=text) | Q(name=text)).values_list("reference", flat=True)[:_NAMES]
    organizations = Organization.objects.filter(Q(slug=text) | Q(legal_name=text)).values_list("org_id", flat=True)[:_NAMES]
    people = User.objects.filter(email=normalize_email(text)).values_list("pk", flat=True)[:1]
    names = [text[:64], *(str(one) for rows in (references, organizations, people) for one in rows)]
    # With the type the index on both finds them; without, it is looked up once for each type there can be.
    types = [object_type] if object_type else object_types()
    return Q(object_type__in=types, object_id__in=names)


def _actors(text: str) -> list[str]:
    """Return the identifiers under which the trail knows who is called `text`."""
    people = User.objects.filter(email=normalize_email(text)).values_list("sub", flat=True)[:1]
    return [text[:64], *(str(sub) for sub in people)]


def object_types() -> list[str]:
    """Return the names of everything that an event can be about."""
    rooms = ("registry", "dcr", "federation", "authserver")
    return sorted({str(model._meta.model_name) for room in rooms for model in apps.get_app_config(room).get_models()})


def page_of_events(question: AuditQuestion, *, before: int | None = None, limit: int = PAGE) -> AuditPage:
    """Return the newest events that answer `question`, older than the event `before`. At most seven queries."""
    first, last = _number_range(question)
    floor = first
    if not question.is_from_an_index:
        newest = min(number for number in (before, last, _last_id()) if number is not None)
        floor = max(first, newest - STRETCH)
    rows = _find(question, floor, last)  # with one lower bound: SQLite would read from the lesser of two
    if before is not None:
        rows = rows.filter(id__lt=before)
    events = list(rows[: limit + 1])
    if len(events) > limit:
        return AuditPage(events[:limit], events[limit - 1].id, None)
    goes_on = floor > max(first, 1)
    return AuditPage(events, floor if goes_on else None, floor if goes_on else None)


def count_events(question: AuditQuestion) -> int | None:
    """Return how many events answer `question`, counted to one more than COUNTED; None when counting would read the trail."""
    return find_events(question).order_by()[: COUNTED + 1].count() if question.is_from_an_index else None


def span_of_trail() -> tuple[datetime, datetime] | None:
    """Return the times of the oldest and the newest event, None while there is none. Two queries."""
    times = AuditEvent.objects.order_by("id").values_list("time", flat=True)
    oldest, newest = times.first(), times.last()
    return (oldest, newest) if oldest and newest else None


def export_events(question: AuditQuestion, actor: Actor, *, form: str) -> Iterator[AuditEvent]:
    """Note that `actor` takes the answers away as `form`, and return them, oldest first, read a part at a time.

    The note is written before anything is read, and is not among them.
    """
    last = _last_id()
    asked = {name: str(value) for name in question.__slots__ if (value := getattr(question, name))}
    note_export(actor, "trail.exported", {"form": form, **asked})
    return _read_in_parts(question, last)


def note_export(actor: Actor, event: str, asked: dict[str, Any]) -> None:
    """Write down that a person took data away; `asked` says which."""
    if actor.user is not None:
        audit.record(actor, event, actor.user, organization=None, difference={name: [None, value] for name, value in asked.items()})


def _read_in_parts(question: AuditQuestion, newest: int) -> Iterator[AuditEvent]:
    first, last = _number_range(question)
    last = newest if last is None else min(last, newest)
    while part := list(_find(question, first, last).order_by("id")[:EXPORTED_AT_ONCE]):
        yield from part
        first = part[-1].id + 1
