"""The review queue: what waits for a person, oldest first."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.views.decorators.http import require_safe

from federation.models import RegistrationRequest
from portal.admin.roles import may_act, may_read
from registry.models import ChangeRequest, Membership, Organization, User

PAGE: Final = 50
SHOWN: Final = (("all", "Everything"), ("mine", "Assigned to me"), ("unassigned", "Unassigned"))


@dataclass(frozen=True, slots=True)
class Waiting:
    """One thing that waits for review."""

    kind: str
    name: str
    organization: Organization
    since: datetime
    reviewer: User | None
    url: str
    is_own: bool


def queue_counts(user: User) -> dict[str, int]:
    """Return how much waits, for the index. Three queries."""
    if not may_read(user, "review"):
        return {}
    return {
        "entities": RegistrationRequest.objects.filter(state=RegistrationRequest.State.OPEN).count(),
        "organizations": Organization.objects.filter(state=Organization.State.PENDING).count(),
        "changes": ChangeRequest.objects.filter(state=ChangeRequest.State.OPEN).count(),
    }


def list_waiting(user: User, shown: str) -> list[Waiting]:
    """Return what waits, oldest first. Three queries, however much it is."""
    organizations = Organization.objects.filter(state=Organization.State.PENDING).select_related("reviewer")
    changes = ChangeRequest.objects.filter(state=ChangeRequest.State.OPEN).select_related("client__organization", "reviewer")
    narrowed: dict[str, dict[str, Any]] = {"mine": {"reviewer": user}, "unassigned": {"reviewer": None}}
    chosen = narrowed.get(shown, {})
    own = set(Membership.objects.filter(user=user).values_list("organization_id", flat=True))
    items = [_organization(row, own) for row in organizations.filter(**chosen)]
    items += [_change(row, own, user) for row in changes.filter(**chosen)]
    return sorted(items, key=lambda item: item.since)


def _organization(row: Organization, own: set[int]) -> Waiting:
    url = reverse("staff:registry_organization_change", args=(row.pk,))
    since = row.submitted_at or row.state_changed_at
    return Waiting("Organization", row.legal_name, row, since, row.reviewer, url, row.pk in own)


def _change(row: ChangeRequest, own: set[int], user: User) -> Waiting:
    organization = row.client.organization
    url = reverse("staff:registry_changerequest_change", args=(row.pk,))
    is_own = organization.pk in own or row.submitted_by_id == user.pk
    return Waiting(row.get_kind_display(), str(row.client), organization, row.submitted_at, row.reviewer, url, is_own)


@require_safe
def queue_view(request: HttpRequest) -> HttpResponse:
    """Show the queue: mine, unassigned or everything."""
    from portal.admin.site import staff_site

    user: User = request.user  # type: ignore[assignment]
    if not may_read(user, "review"):
        raise PermissionDenied("Your role does not open this page.")
    shown = request.GET.get("show", "all")
    shown = shown if shown in dict(SHOWN) else "all"
    page = Paginator(list_waiting(user, shown), PAGE).get_page(request.GET.get("page"))
    context = {
        **staff_site.each_context(request),
        "title": "Review queue",
        "page": page,
        "shown": shown,
        "filters": SHOWN,
        "may_act": may_act(user, "review"),
    }
    return TemplateResponse(request, "admin/staff/queue.html", context)
