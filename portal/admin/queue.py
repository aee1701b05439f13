"""The review queue: what waits for a person, oldest first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import CharField, DateTimeField, Exists, F, OuterRef, QuerySet, Value
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe

from federation.models import RegistrationRequest
from portal.admin.roles import may_act, may_read, needed_role
from registry.models import ChangeRequest, Membership, Organization, User
from registry.working_days import working_days_between

PAGE: Final = 25
OVERDUE_AFTER: Final = 2
SHOWN: Final = (
    ("all", gettext_lazy("Everything")),
    ("mine", gettext_lazy("Assigned to me")),
    ("unassigned", gettext_lazy("Unassigned")),
    ("partner", gettext_lazy("Waiting for the partner")),
)
ORGANIZATION, ENTITY = "organization", "entity"
KINDS: Final = (
    ("", gettext_lazy("Every kind")),
    (ORGANIZATION, gettext_lazy("Organizations")),
    (ChangeRequest.Kind.GO_LIVE, gettext_lazy("Going live")),
    (ChangeRequest.Kind.CHANGE, gettext_lazy("Changes of live apps")),
    (ENTITY, gettext_lazy("Unassigned entities")),
)
# What a page of the queue is asked for by; a step made from it leads back to the same place.
_PLACE: Final = ("show", "kind", "page")


@dataclass(frozen=True, slots=True)
class Waiting:
    """One thing that waits; `step_url` assigns it to the person who looks, where they may."""

    kind: str
    name: str
    organization: Organization | None
    since: datetime
    days: int
    reviewer: User | None
    url: str
    is_own: bool
    is_overdue: bool = False
    step_url: str = ""


def queue_counts(user: User) -> dict[str, int]:
    """Return how much waits, for the index. Three queries."""
    if not may_read(user, "review"):
        return {}
    return {
        "entities": RegistrationRequest.objects.filter(state=RegistrationRequest.State.OPEN).count(),
        "organizations": Organization.objects.filter(state=Organization.State.PENDING).count(),
        "changes": ChangeRequest.objects.filter(state=ChangeRequest.State.OPEN).count(),
    }


def address_of_queue(data: Mapping[str, str]) -> str:
    """Return where in the queue a step was made from, by the fields that its form carries; empty when it was made elsewhere."""
    if data.get("back") != "queue":
        return ""
    place = {name: data[name][:20] for name in _PLACE if data.get(name)}
    return reverse("staff:queue") + (f"?{urlencode(place)}" if place else "")


def find_waiting(user: User, shown: str, kind: str) -> QuerySet[Any, Any]:
    """Return what waits as rows of kind, number and time, oldest first: one query, whatever it is made of."""
    parts = [
        *([_organizations(user, shown)] if kind in ("", ORGANIZATION) else []),
        *([_changes(user, shown, kind)] if kind in ("", *ChangeRequest.Kind.values) else []),
        *([_entities(shown)] if kind in ("", ENTITY) else []),
    ]
    return parts[0].union(*parts[1:], all=True).order_by("since", "what", "number")


def _rows(rows: QuerySet[Any], what: Any, since: Any) -> QuerySet[Any, Any]:
    """Return number, kind and time of rows, in columns of the same type whatever they are about."""
    named = rows.order_by().annotate(what=what, since=since, number=F("pk"))
    return named.values_list("what", "number", "since")


def _organizations(user: User, shown: str) -> QuerySet[Any, Any]:
    waits_for_partner = shown == "partner"
    state = Organization.State.CHANGES_REQUESTED if waits_for_partner else Organization.State.PENDING
    rows = Organization.objects.filter(state=state, **_of_reviewer(user, shown))
    since = F("state_changed_at") if waits_for_partner else Coalesce("submitted_at", "state_changed_at", output_field=DateTimeField())
    return _rows(rows, Value(ORGANIZATION, CharField()), since)


def _changes(user: User, shown: str, kind: str) -> QuerySet[Any, Any]:
    rows = ChangeRequest.objects.filter(**_of_reviewer(user, shown), **({"kind": kind} if kind else {}))
    if shown == "partner":
        newer = ChangeRequest.objects.filter(client=OuterRef("client"), pk__gt=OuterRef("pk"))
        sent_back = rows.filter(~Exists(newer), state=ChangeRequest.State.SENT_BACK)
        return _rows(sent_back, Value("change", CharField()), Coalesce("decided_at", "submitted_at", output_field=DateTimeField()))
    return _rows(rows.filter(state=ChangeRequest.State.OPEN), Value("change", CharField()), F("submitted_at"))


def _entities(shown: str) -> QuerySet[Any, Any]:
    """Return the entities that wait for an organization: nobody is assigned to them, and no partner can do anything."""
    rows = RegistrationRequest.objects.filter(state=RegistrationRequest.State.OPEN)
    return _rows(rows if shown in ("all", "unassigned") else rows.none(), Value(ENTITY, CharField()), F("first_seen_at"))


def _of_reviewer(user: User, shown: str) -> dict[str, Any]:
    narrowed: dict[str, dict[str, Any]] = {"mine": {"reviewer": user}, "unassigned": {"reviewer": None}}
    return narrowed.get(shown, {})


def load_waiting(rows: Iterable[tuple[str, int, datetime]], user: User, now: datetime, *, waits_for_us: bool) -> list[Waiting]:
    """Return the rows of one page with what they are about. Four queries."""
    rows = list(rows)
    numbers = {what: [number for kind, number, _ in rows if kind == what] for what in (ORGANIZATION, "change", ENTITY)}
    organizations = Organization.objects.select_related("reviewer").in_bulk(numbers[ORGANIZATION])
    changes = ChangeRequest.objects.select_related("client__organization", "reviewer").in_bulk(numbers["change"])
    entities = RegistrationRequest.objects.defer("statements", "resolved_metadata").in_bulk(numbers[ENTITY])
    own = set(Membership.objects.filter(user=user).values_list("organization_id", flat=True))
    acts = may_act(user, "review") and waits_for_us
    found: dict[str, Mapping[int, Any]] = {ORGANIZATION: organizations, "change": changes, ENTITY: entities}
    items = []
    for what, number, since in rows:
        row = found[what].get(number)
        if row is None:  # decided between the queries
            continue
        days = working_days_between(since, now)
        shared = {"since": since, "days": days, "is_overdue": waits_for_us and days >= OVERDUE_AFTER}
        items.append(_waiting(row, user, own, acts=acts, **shared))
    return items


def _waiting(row: Any, user: User, own: set[int], *, acts: bool, **shared: Any) -> Waiting:
    if isinstance(row, RegistrationRequest):
        url = reverse("staff:federation_registrationrequest_change", args=(row.pk,))
        return Waiting("Unassigned entity", row.name or row.entity_id, None, reviewer=None, url=url, is_own=False, **shared)
    if isinstance(row, Organization):
        organization, kind, name, model = row, "Organization", row.legal_name, "organization"
        is_own = row.pk in own
    else:
        organization, kind, name, model = row.client.organization, row.get_kind_display(), str(row.client), "changerequest"
        is_own = organization.pk in own or row.submitted_by_id == user.pk
    takes = acts and not is_own and row.reviewer_id != user.pk
    step_url = reverse(f"staff:registry_{model}_step", args=(row.pk, "assign")) if takes else ""
    url = reverse(f"staff:registry_{model}_change", args=(row.pk,))
    return Waiting(kind, name, organization, reviewer=row.reviewer, url=url, is_own=is_own, step_url=step_url, **shared)


@require_safe
def queue_view(request: HttpRequest) -> HttpResponse:
    """Show the queue: mine, unassigned, waiting for the partner or everything, of every kind or one."""
    from portal.admin.site import staff_site

    user: User = request.user  # type: ignore[assignment]
    if not may_read(user, "review"):
        raise PermissionDenied(needed_role(user, "review"))
    shown, kind = request.GET.get("show", ""), request.GET.get("kind", "")
    shown = shown if shown in dict(SHOWN) else "all"
    kind = kind if kind in dict(KINDS) else ""
    page = Paginator(find_waiting(user, shown, kind), PAGE).get_page(request.GET.get("page"))
    items = load_waiting(page.object_list, user, timezone.now(), waits_for_us=shown != "partner")
    context = {
        **staff_site.each_context(request),
        "title": "Review queue",
        "page": page,
        "items": items,
        "shown": shown,
        "kind": kind,
        "filters": SHOWN,
        "kinds": KINDS,
        "overdue_after": OVERDUE_AFTER,
    }
    return TemplateResponse(request, "admin/staff/queue.html", context)
