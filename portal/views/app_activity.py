"""What happened to an app, and what it asked for and did not get (portal.md 4.3, page 22)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_GET

from authserver.authorization.differences import Piece, nearest, show_difference
from portal.access import get_client
from portal.documentation.errors import ADVICE
from portal.views.common import page, paginate
from portal.views.timeline import entries, events_of_client
from registry.failed_requests import failures_of_client
from registry.models import Client, FailedRequest

SHOWN_BESIDE_EVENTS: Final = 5
EVERYTHING, EVENTS, FAILURES = "", "events", "failures"
_SHOWS: Final = ((EVERYTHING, _("Everything")), (EVENTS, _("Events")), (FAILURES, _("Failed requests")))
# The endpoints as people call them; what authserver notes.
ENDPOINTS: Final = {
    "token": _("Token endpoint"),
    "par": _("Pushed authorization request endpoint"),
    "authorization": _("Authorization endpoint"),
    "introspection": _("Introspection endpoint"),
    "revocation": _("Revocation endpoint"),
}
_REGISTER_IT: Final = _("Send a redirect URI exactly as it is registered, or register this one.")


@dataclass(frozen=True, slots=True)
class Failure:
    """One refused request, with what to do about it and how a refused redirect URI differs from the nearest registered one."""

    row: FailedRequest
    endpoint: Any
    advice: Any
    closest: str | None
    difference: list[Piece]


@login_required
@require_GET
def app_activity(request: HttpRequest, slug: str, reference: UUID) -> HttpResponse:
    """List what happened to the app, its requests for approval, and what endpoints refused to it in the last 14 days."""
    client = get_client(request, slug, reference)
    show = request.GET.get("show", EVERYTHING)
    show = show if show in dict(_SHOWS) else EVERYTHING
    context: dict[str, Any] = {"client": client, "tab": "activity", "show": show, "shows": _SHOWS}
    failures = failures_of_client(client, timezone.now())
    if show == FAILURES:
        rows = paginate(request, failures)
        context |= {"page": rows, "failures": describe_failures(client, rows)}
    else:
        events = paginate(request, events_of_client(client))
        context |= {"page": events, "events": entries(events), "requests": list(client.change_requests.order_by("-id")[:10])}
    if show == EVERYTHING:
        newest = list(failures[: SHOWN_BESIDE_EVENTS + 1])
        context |= {"failures": describe_failures(client, newest[:SHOWN_BESIDE_EVENTS]), "more": len(newest) > SHOWN_BESIDE_EVENTS}
    return page(request, "apps/activity.html", client.organization, "apps", context)


def describe_failures(client: Client, rows: Iterable[FailedRequest]) -> list[Failure]:
    """Return refused requests of `client` as the page shows them."""
    registered = client.registered_redirect_uris
    found = []
    for row in rows:
        closest = nearest(row.redirect_uri, registered)
        difference = show_difference(row.redirect_uri, closest) if closest else []
        advice = _REGISTER_IT if row.redirect_uri else ADVICE.get(row.error, ("", ""))[1]
        found.append(Failure(row, ENDPOINTS.get(row.endpoint, row.endpoint), advice, closest, difference))
    return found
