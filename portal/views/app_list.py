"""The apps of an organization as a list: filtered, with their health, on pages and as a file (portal.md 4.3, page 12)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from typing import Any, Final

from django.contrib.auth.decorators import login_required
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from portal.access import EDITORS, get_organization, has_role
from portal.csv_export import csv_response
from portal.registration_ways import WAYS
from portal.views.common import page, paginate
from portal.views.draft_rows import draft_rows
from registry.app_drafts import DRAFTS_LIMIT
from registry.health import check_health, needs_attention
from registry.models import Client, Organization

FILTERS: Final = ("q", "source", "stage", "state", "health")
ATTENTION: Final = "attention"
_CHUNK: Final = 500


@login_required
@require_GET
def apps(request: HttpRequest, slug: str) -> HttpResponse:
    """List the apps of the organization, and the drafts of those who may go on with them."""
    organization = get_organization(request, slug)
    wanted, now = _wanted(request), timezone.now()
    rows = paginate(request, _filtered(organization, wanted, now))
    drafts = draft_rows(organization.app_drafts.all()[:DRAFTS_LIMIT]) if has_role(request, *EDITORS) else []
    context = {
        "page": rows,
        "rows": _with_health(organization, list(rows), now),
        "drafts": drafts,
        "ways": WAYS,
        "wanted": wanted,
        "filtered": any(wanted.values()),
        "sources": Client.Source.choices,
        "stages": Client.Stage.choices,
        "states": Client.State.choices,
        "healths": [(ATTENTION, _("Needs attention"))],
    }
    return page(request, "apps/list.html", organization, "apps", context)


@login_required
@require_GET
def apps_export(request: HttpRequest, slug: str) -> StreamingHttpResponse:
    """Return the filtered list as a CSV file."""
    organization = get_organization(request, slug)
    now = timezone.now()
    header = [
        *(_("Name"), _("Client ID"), _("Stage"), _("State"), _("Health"), _("Registered"), _("Registered at")),
        *(_("Last used"), _("Next expiry"), _("Authentication"), _("Scopes")),
    ]
    return csv_response(f"{slug}-apps.csv", header, _exported(organization, _filtered(organization, _wanted(request), now), now))


def _exported(organization: Organization, clients: QuerySet[Client], now: datetime) -> Iterator[list[Any]]:
    remaining = clients.iterator(chunk_size=_CHUNK)
    while chunk := list(islice(remaining, _CHUNK)):
        for row in _with_health(organization, chunk, now):
            client: Client = row["client"]
            yield [
                *(client, client.client_id, client.get_stage_display(), client.get_state_display(), row["health"]),
                *(client.get_source_display(), client.created, client.last_used_at, row["expires_at"]),
                *(client.token_endpoint_auth_method, " ".join(client.scopes)),
            ]


def _wanted(request: HttpRequest) -> dict[str, str]:
    return {name: request.GET.get(name, "").replace("\0", "")[:200] for name in FILTERS}


def _filtered(organization: Organization, wanted: dict[str, str], now: datetime) -> QuerySet[Client]:
    """Return the apps that match the filters; closed ones only when they are asked for."""
    rows = organization.clients.all()
    if text := wanted["q"]:
        rows = rows.filter(Q(name__icontains=text) | Q(client_id__icontains=text))
    if wanted["source"] in Client.Source.values:
        rows = rows.filter(source=wanted["source"])
    if wanted["stage"] in Client.Stage.values:
        rows = rows.filter(stage=wanted["stage"])
    if wanted["health"] == ATTENTION:
        rows = rows.filter(needs_attention(now))
    if wanted["state"] in Client.State.values:
        return rows.filter(state=wanted["state"])
    return rows.exclude(state=Client.State.CLOSED)


def _with_health(organization: Organization, clients: list[Client], now: datetime) -> list[dict[str, Any]]:
    """Return each app with its health and when something it needs ends next; a closed one has neither."""
    for client in clients:
        client.organization = organization
    checkups = check_health(clients, now)
    return [
        {
            "client": client,
            "health": "" if client.state == Client.State.CLOSED else checkups[client.pk].health.value,
            "expires_at": checkups[client.pk].expires_at,
        }
        for client in clients
    ]
