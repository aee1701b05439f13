"""One app: whether it works, what it is, and pausing or closing it."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from authserver.endpoints import endpoint_url
from authserver.live_tokens import count_live_access_tokens, count_live_refresh_tokens
from dcr.answers import registration_client_uri
from dcr.models import AcceptedStatement
from federation.models import FederationRecord
from portal.access import actor_for, get_client
from portal.forms.organizations import CloseForm
from portal.snippets.curl import own_token
from portal.snippets.facts import facts_of
from portal.views.common import do_and_return, page
from portal.views.metadata_rows import declared_rows, with_origin
from portal.views.trust import ValueRow, value_rows
from registry.credentials import live_secrets
from registry.gate import Fixer
from registry.health import Access, Cause, describe_access
from registry.lifecycle import assess_metadata, change_client
from registry.models import ChangeRequest, Client, ClientCheck
from registry.transitions import CLIENT, OWNER

# The steps a partner takes here: the transition, and what is said when it is done. Closing has a page of its own.
STEPS: Final = {
    "claim": ("activate", gettext_lazy("Claimed. It is active now.")),
    "activate": ("activate", gettext_lazy("Activated.")),
    "pause": ("pause", gettext_lazy("Paused. Every token ended; secrets are kept.")),
    "resume": ("resume", gettext_lazy("Resumed. The app asks for new tokens with its old secrets.")),
}


@login_required
@require_GET
def app(request: HttpRequest, slug: str, reference: UUID) -> HttpResponse:
    """Answer whether the app can get tokens right now, and show what it is."""
    client = get_client(request, slug, reference)
    now = timezone.now()
    access = describe_access(client, now)
    assessment = assess_metadata(
        client.declared_metadata, client.organization, stage=client.stage, now=now, restrictions=client.restrictions
    )
    rows = declared_rows(client.declared_metadata, client.metadata, assessment.decisions)
    statement = statement_of(client)
    context = {
        "client": client,
        "tab": "overview",
        "status": _status(client, access),
        "access": access,
        "token_endpoint": endpoint_url("token_endpoint"),
        "discovery": settings.ISSUER + reverse("openid-configuration") if "authorization_code" in client.grant_types else "",
        "issuer": settings.ISSUER,
        "rows": with_origin(rows, statement.asserted) if statement else rows,
        "values": _federation_values(client),
        "statement": statement,
        "registration_client_uri": registration_client_uri(client.client_id) if client.source == Client.Source.DCR else "",
        "remarks": [finding for finding in assessment.findings if finding.level == "warning"],
        "check": ClientCheck.objects.filter(client=client).first(),
        "snippet": token_snippet(client, access),
        "open_request": client.change_requests.filter(state__in=("open", "sent_back")).order_by("-id").first(),
        "may_go_live": client.stage == Client.Stage.TEST and client.state == Client.State.ACTIVE,
    }
    return page(request, "apps/overview.html", client.organization, "apps", context)


def _federation_values(client: Client) -> list[ValueRow]:
    """Return declared, resolved and registered metadata of an app of a federation, empty for any other. One query, for such apps only."""
    record = FederationRecord.objects.filter(client=client).first() if client.trust != Client.Trust.NONE else None
    return value_rows(client.declared_metadata, record.resolved_metadata, client.metadata, record.changes) if record else []


def statement_of(client: Client) -> AcceptedStatement | None:
    """Return the software statement that an app registered itself with. One query, for such apps only."""
    if client.source != Client.Source.DCR:
        return None
    return AcceptedStatement.objects.filter(client=client).select_related("issuer").first()


def _status(client: Client, access: Access) -> dict[str, Any]:
    """Return the answer for templates/components/status.html."""
    if not access.can:
        verdict, sentence = "blocked", _("No.")
    elif access.remarks:
        verdict, sentence = "attention", _("Yes, with something to look at.")
    else:
        verdict, sentence = "ok", _("Yes.")
    causes = [_cause(client, cause) for cause in (*access.reasons, *access.remarks)]
    return {"verdict": verdict, "sentence": sentence, "causes": causes}


def _cause(client: Client, cause: Cause) -> dict[str, str]:
    """Return a cause with the page where it can be mended here."""
    place = [client.organization.slug, client.reference]
    url, link = "", ""
    if cause.code.startswith(("secret", "keys")):
        url, link = reverse("app_credentials", args=place), _("Open credentials")
    elif cause.code.startswith("trust_"):
        url, link = reverse("app_trust", args=place), _("Open its trust")
    elif cause.code in ("client_paused", "client_draft"):
        url, link = "#steps", _("See below")
    elif cause.code == "scope_waiting" and client.stage == Client.Stage.TEST:
        url, link = reverse("app_go_live", args=place), _("Ask for approval")
    fixer = "" if cause.fixer == Fixer.NOBODY else cause.fixer.value
    return {"code": cause.code, "sentence": cause.sentence, "fixer": fixer, "url": url, "link": link}


def token_snippet(client: Client, access: Access) -> str:
    """Return a command that gets a token for the app itself, filled with its own values; empty when it acts for people only."""
    if "client_credentials" not in client.grant_types:
        return ""
    return own_token(facts_of(client, waiting_scopes=access.waiting_scopes))


@login_required
@require_POST
def app_step(request: HttpRequest, slug: str, reference: UUID, step: str) -> HttpResponse:
    """Claim or activate a draft, pause or resume."""
    client = get_client(request, slug, reference)
    if step not in STEPS:
        raise Http404
    transition, done = STEPS[step]
    return do_and_return(
        request,
        lambda: change_client(client, transition, actor_for(request), now=timezone.now()),
        done=str(done),
        to=reverse("app", args=[slug, reference]),
    )


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def app_delete(request: HttpRequest, slug: str, reference: UUID) -> HttpResponse:
    """Close an app for good, after its name was typed."""
    client = get_client(request, slug, reference, OWNER)
    if client.state not in CLIENT["close"].sources:
        return redirect("app", slug, reference)
    form = CloseForm(request.POST if request.method == "POST" else None, name=str(client))
    if form.is_bound and form.is_valid():
        return do_and_return(
            request,
            lambda: change_client(client, "close", actor_for(request), now=timezone.now()),
            done=_("Closed. Every token ended at once, and its client ID is never used again."),
            to=reverse("app", args=[slug, reference]),
        )
    context = {"client": client, "tab": "overview", "form": form, "ends": what_ends(client)}
    return page(request, "apps/delete.html", client.organization, "apps", context)


def what_ends(client: Client) -> dict[str, Any]:
    """Return what would stop working if `client` was closed now. Four queries."""
    now = timezone.now()
    return {
        "access_tokens": count_live_access_tokens(now, application=client),
        "refresh_tokens": count_live_refresh_tokens(now, application=client),
        "secrets": live_secrets(client, now).count(),
        "open_request": client.change_requests.filter(state=ChangeRequest.State.OPEN).first(),
    }
