"""One app: whether it works, what it is, its activity, and pausing or closing it."""

from __future__ import annotations

import shlex
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
from dcr.answers import registration_client_uri
from dcr.models import AcceptedStatement
from portal.access import actor_for, get_client
from portal.forms.organizations import CloseForm
from portal.views.common import do_and_return, page, paginate
from portal.views.metadata_rows import declared_rows, with_origin
from portal.views.timeline import entries, events_of_client
from registry.gate import Fixer
from registry.health import Access, Cause, describe_access
from registry.lifecycle import assess_metadata, change_client
from registry.models import Client, ClientCheck
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
        "statement": statement,
        "registration_client_uri": registration_client_uri(client.client_id) if client.source == Client.Source.DCR else "",
        "remarks": [finding for finding in assessment.findings if finding.level == "warning"],
        "check": ClientCheck.objects.filter(client=client).first(),
        "snippet": token_snippet(client, access),
        "open_request": client.change_requests.filter(state__in=("open", "sent_back")).order_by("-id").first(),
        "may_go_live": client.stage == Client.Stage.TEST and client.state == Client.State.ACTIVE,
    }
    return page(request, "apps/overview.html", client.organization, "apps", context)


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
    return {"sentence": cause.sentence, "fixer": fixer, "url": url, "link": link}


def token_snippet(client: Client, access: Access) -> str:
    """Return a command that gets a token for the app itself, filled with its own values; empty when it acts for people only."""
    if "client_credentials" not in client.grant_types:
        return ""
    lines = [f"curl {shlex.quote(endpoint_url('token_endpoint'))}"]
    method = client.token_endpoint_auth_method
    if method == "client_secret_basic":
        lines.append(f'--user {shlex.quote(client.client_id)}:"$CLIENT_SECRET"')
    lines.append("--data grant_type=client_credentials")
    if method == "client_secret_post":
        lines += [f"--data-urlencode {shlex.quote('client_id=' + client.client_id)}", '--data-urlencode client_secret="$CLIENT_SECRET"']
    if method == "private_key_jwt":
        lines.append("--data client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
        lines.append('--data-urlencode client_assertion="$CLIENT_ASSERTION"')
    if scopes := [name for name in client.scopes if name not in access.waiting_scopes]:
        lines.append(f"--data-urlencode {shlex.quote('scope=' + ' '.join(scopes))}")
    return " \\\n  ".join(lines)


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
    return page(request, "apps/delete.html", client.organization, "apps", {"client": client, "tab": "overview", "form": form})


@login_required
@require_GET
def app_activity(request: HttpRequest, slug: str, reference: UUID) -> HttpResponse:
    """List everything that happened to the app and its requests."""
    client = get_client(request, slug, reference)
    events = paginate(request, events_of_client(client))
    requests = client.change_requests.order_by("-id")[:10]
    context = {"client": client, "tab": "activity", "page": events, "events": entries(events), "requests": list(requests)}
    return page(request, "apps/activity.html", client.organization, "apps", context)
