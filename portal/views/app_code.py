"""Code for an app, filled with its own values (portal.md 4.3, page 21)."""

from __future__ import annotations

from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.http import require_GET

from portal.access import get_client
from portal.snippets.catalogue import groups_for
from portal.snippets.facts import facts_of
from portal.views.common import page
from registry.entitlements import scopes_waiting_for_approval


@login_required
@require_GET
def app_code(request: HttpRequest, slug: str, reference: UUID) -> HttpResponse:
    """Show snippets for the app; secrets and tokens stand in variables."""
    client = get_client(request, slug, reference)
    waiting = scopes_waiting_for_approval(client, timezone.now())
    groups = groups_for(client, facts_of(client, waiting_scopes=waiting))
    return page(request, "apps/code.html", client.organization, "apps", {"client": client, "tab": "code", "groups": groups})
