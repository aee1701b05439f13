"""Everything that happened in an organization: filtered, on pages and as a file (portal.md 4.3, page 27)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from django.contrib.auth.decorators import login_required
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET

from portal.access import get_organization
from portal.csv_export import csv_response
from portal.views.common import page, paginate
from portal.views.timeline import entries, events_of_organization
from registry.models import AuditEvent

# What the page can be narrowed to: its words, and the nouns that names of events begin with.
_SHOWS: Final = {
    "organization": (gettext_lazy("Organization"), ("org",)),
    "members": (gettext_lazy("Members"), ("member",)),
    "apps": (
        gettext_lazy("Apps"),
        ("client", "secret", "keys", "certificate", "trust", "statement", "registration_token", "registrations"),
    ),
    "requests": (gettext_lazy("Requests to our staff"), ("change", "review")),
    "tokens": (gettext_lazy("Registration tokens"), ("token",)),
    "entities": (gettext_lazy("Entities"), ("entity",)),
}
_AT_ONCE: Final = 500
EXPORT_LIMIT: Final = 100_000


@login_required
@require_GET
def organization_activity(request: HttpRequest, slug: str) -> HttpResponse:
    """List what happened in the organization."""
    organization, show = get_organization(request, slug), _wanted(request)
    events = paginate(request, _filtered(events_of_organization(organization), show))
    shows = [("", _("Everything")), *((name, words) for name, (words, _nouns) in _SHOWS.items())]
    context = {"page": events, "events": entries(events), "show": show, "shows": shows, "export_limit": EXPORT_LIMIT}
    return page(request, "organizations/activity.html", organization, "activity", context)


@login_required
@require_GET
def organization_activity_export(request: HttpRequest, slug: str) -> StreamingHttpResponse:
    """Return the newest EXPORT_LIMIT rows of the page, as the filter has them, as CSV or as JSON lines."""
    events = _filtered(events_of_organization(get_organization(request, slug)), _wanted(request))
    header = ["time", "event", "sentence", "actor", "detail"]
    if request.GET.get("format") != "jsonl":
        words = [_("Time"), _("Event"), _("What"), _("Who"), _("Details")]
        return csv_response(f"{slug}-activity.csv", words, _rows(events))
    # In ASCII: readers of lines take U+2028 and U+0085 for the end of one.
    lines = (json.dumps({**dict(zip(header, row, strict=True)), "time": row[0].isoformat()}) + "\n" for row in _rows(events))
    headers = {"Content-Disposition": f'attachment; filename="{slug}-activity.jsonl"', "Cache-Control": "no-store"}
    return StreamingHttpResponse(lines, content_type="application/jsonl", headers=headers)


def _wanted(request: HttpRequest) -> str:
    show = request.GET.get("show", "")
    return show if show in _SHOWS else ""


def _filtered(events: QuerySet[AuditEvent], show: str) -> QuerySet[AuditEvent]:
    wanted = Q()
    for noun in _SHOWS[show][1] if show else ():
        wanted |= Q(event__startswith=f"{noun}.")
    return events.filter(wanted)


def _rows(events: QuerySet[AuditEvent]) -> Iterator[list[Any]]:
    """Yield the newest events as the page shows them, read a part at a time. Two queries for each."""
    part, left = list(events[:_AT_ONCE]), EXPORT_LIMIT
    while part and left > 0:
        for event, entry in zip(part[:left], entries(part[:left]), strict=True):
            yield [entry.time, event.event, str(entry.sentence), entry.actor, entry.detail]
        left -= len(part)
        part = list(events.filter(id__lt=part[-1].id)[:_AT_ONCE])
