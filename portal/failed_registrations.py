"""Registrations that did not come about: dynamic ones by token, and entities of federations, newest first (portal.md 4.5, 4.7)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from django.db.models import CharField, F, Q, QuerySet, Value
from django.utils.translation import gettext_lazy

from dcr.models import RefusedRegistration
from federation.core.resolution import TITLES, StepNumber
from federation.models import EntityLookup
from registry.models import Organization

if TYPE_CHECKING:
    from django.utils.functional import _StrPromise

DYNAMIC, FEDERATION = "dynamic", "federation"
WAYS: Final = ((DYNAMIC, gettext_lazy("Dynamic registration")), (FEDERATION, gettext_lazy("Federation")))
STEPS: Final = tuple((number.value, TITLES[number]) for number in StepNumber)
SEARCH_LIMIT: Final = 200
_PARTNER: Final = gettext_lazy("the partner")
_STAFF: Final = gettext_lazy("our staff")
_ISSUER: Final = gettext_lazy("the issuer of the software statement, or our staff")
# Who can fix what dynamic registration refuses, where it is not the partner.
_FIXERS: Final[dict[str, _StrPromise]] = {
    "invalid_software_statement": _ISSUER,
    "unapproved_software_statement": _ISSUER,
    "access_denied": _STAFF,
    "temporarily_unavailable": gettext_lazy("nobody; try again later"),
    "server_error": _STAFF,
}


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked for: one way or all, one of the thirteen steps or all, and words to search for."""

    way: str = ""
    step: int | None = None
    search: str = ""


@dataclass(frozen=True, slots=True)
class FailedRegistration:
    """One registration that failed: who tried, what was answered, at which step, and who can fix it."""

    at: datetime
    way: str
    who: str
    token: int | None
    organization: Organization | None
    error: str
    sentence: str
    step: int | None
    step_title: str
    fixer: str | _StrPromise
    request_id: str


def read_question(data: Any) -> Question:
    """Return what the fields of a filter ask for; what cannot be asked for is left out."""
    way, step = str(data.get("way", "")), str(data.get("step", ""))
    known = way if way in dict(WAYS) else ""
    number = int(step) if step.isascii() and step.isdigit() and len(step) < 4 and int(step) in dict(STEPS) else None
    return Question(known, number, str(data.get("q", "")).replace("\x00", "").strip()[:SEARCH_LIMIT])


def find_failed_registrations(question: Question) -> QuerySet[Any, Any]:
    """Return the failures as rows of way, number and time, newest first: one query over both kinds."""
    parts = [
        *([_dynamic(question)] if question.way in ("", DYNAMIC) and question.step is None else []),
        *([_of_federations(question)] if question.way in ("", FEDERATION) else []),
    ]
    if not parts:
        return _rows(RefusedRegistration.objects.none(), DYNAMIC, "refused_at")
    return parts[0].union(*parts[1:], all=True).order_by("-moment", "-what", "-number")


def _rows(rows: QuerySet[Any], what: str, moment: str) -> QuerySet[Any, Any]:
    named = rows.order_by().annotate(what=Value(what, CharField()), moment=F(moment), number=F("pk"))
    return named.values_list("what", "number", "moment")


def _dynamic(question: Question) -> QuerySet[Any, Any]:
    words = question.search
    wanted = Q()
    if words:
        named = Q(token__label__icontains=words) | Q(token__organization__legal_name__icontains=words)
        wanted = named | Q(error=words) | Q(request_id=words) | Q(description__icontains=words)
    return _rows(RefusedRegistration.objects.filter(wanted), DYNAMIC, "refused_at")


def _of_federations(question: Question) -> QuerySet[Any, Any]:
    wanted = Q(failure__isnull=False)
    if question.step is not None:
        wanted &= Q(failure__step=question.step)
    if words := question.search:
        said = Q(failure__code=words) | Q(failure__request_id=words) | Q(failure__sentence__icontains=words)
        wanted &= Q(entity_id__icontains=words) | said
    return _rows(EntityLookup.objects.filter(wanted), FEDERATION, "started_at")


def load_failed_registrations(rows: Iterable[tuple[str, int, datetime]]) -> list[FailedRegistration]:
    """Return the rows of one page with what they are about. Two queries."""
    rows = list(rows)
    refused = RefusedRegistration.objects.select_related("token__organization").in_bulk([pk for what, pk, _ in rows if what == DYNAMIC])
    failed = EntityLookup.objects.in_bulk([pk for what, pk, _ in rows if what == FEDERATION])
    found = []
    for what, pk, _ in rows:
        if what == DYNAMIC and pk in refused:
            found.append(_from_refused(refused[pk]))
        elif what == FEDERATION and pk in failed:  # both may be gone since the query before
            found.append(_from_lookup(failed[pk]))
    return found


def _from_refused(row: RefusedRegistration) -> FailedRegistration:
    return FailedRegistration(
        at=row.refused_at,
        way=DYNAMIC,
        who=str(row.token),
        token=row.token_id,
        organization=row.token.organization,
        error=row.error,
        sentence=row.description,
        step=None,
        step_title="",
        fixer=_FIXERS.get(row.error, _PARTNER),
        request_id=row.request_id,
    )


def _from_lookup(row: EntityLookup) -> FailedRegistration:
    told = row.failure or {}
    step = told.get("step")
    return FailedRegistration(
        at=row.started_at,
        way=FEDERATION,
        who=row.entity_id,
        token=None,
        organization=None,
        error=str(told.get("code", "")),
        sentence=str(told.get("sentence", "")),
        step=step if isinstance(step, int) else None,
        step_title=str(told.get("title", "")),
        fixer=str(told.get("fixer", "")),
        request_id=str(told.get("request_id", "")),
    )
