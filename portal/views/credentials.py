"""Secrets and keys of an app. A secret stands in exactly one answer: that of the POST which made it (portal.md, page 18)."""

from __future__ import annotations

import shlex
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from dcr.answers import registration_client_uri
from dcr.models import RegistrationAccessToken
from dcr.registration_access_tokens import NewRegistrationAccessToken, reset_registration_access_token
from portal.access import EDITORS, actor_for, get_client
from portal.forms.apps import SecretForm
from portal.forms.once import OnceForm, run_once
from portal.views.app_pages import token_snippet
from portal.views.common import do_and_return, page, refusals_denied
from protocol.errors import InvalidKeySet, TransitionRefused
from protocol.jose import parse_jwk_set_once
from registry.client_keys import fetch_client_keys
from registry.client_secrets import NewSecret
from registry.credentials import create_secret, end_secret, live_secrets
from registry.health import describe_access
from registry.models import Client, ClientKeySet
from registry.transitions import OWNER

_OVERLAPS: Final = {"now": timedelta(0), "24h": timedelta(hours=24), "7d": timedelta(days=7), "30d": timedelta(days=30)}
_SHOWN_ENDED: Final = timedelta(days=90)


@login_required
@require_GET
def app_credentials(request: HttpRequest, slug: str, reference: UUID) -> HttpResponse:
    """Show what the app proves itself with."""
    client = get_client(request, slug, reference)
    now = timezone.now()
    return _credentials_page(request, client, SecretForm(rotates=live_secrets(client, now).exists()), now)


def _credentials_page(request: HttpRequest, client: Client, form: SecretForm, now: datetime) -> HttpResponse:
    secrets = [
        secret for secret in client.secrets.select_related("created_by") if not secret.expires_at or secret.expires_at > now - _SHOWN_ENDED
    ]
    live = [secret for secret in secrets if not secret.expires_at or secret.expires_at > now]
    fetched = ClientKeySet.objects.filter(client=client).first()
    context = {
        "client": client,
        "tab": "credentials",
        "form": form,
        "secrets": [{"row": secret, "live": secret in live} for secret in secrets],
        "live": live,
        "may_have_secret": client.uses_secret and client.state not in (Client.State.DRAFT, Client.State.CLOSED),
        "keys": _keys(client, fetched),
        "fetched": fetched,
        "jwks_uri": client.metadata.get("jwks_uri", ""),
        **_registration_access(client, now),
    }
    return page(request, "apps/credentials.html", client.organization, "apps", context)


def _registration_access(client: Client, now: datetime) -> dict[str, Any]:
    """Return what the page says of the token by which an app manages its own registration. One query, for those apps only."""
    if client.source != Client.Source.DCR:
        return {}
    token = RegistrationAccessToken.objects.filter(client=client).select_related("initial_access_token").first()
    if token is None:
        return {}
    ended = "revoked" if token.revoked_at else "expired" if token.expires_at and token.expires_at <= now else ""
    return {
        "registration_token": token,
        "registration_token_state": ended or "active",
        "registration_client_uri": registration_client_uri(client.client_id),
        "reset_form": OnceForm(),
    }


def _keys(client: Client, fetched: ClientKeySet | None) -> list[Any]:
    """Return the usable keys: registered, or as last fetched."""
    jwks = client.metadata.get("jwks") or (fetched.jwks if fetched and fetched.jwks_uri == client.metadata.get("jwks_uri") else None)
    if not jwks:
        return []
    try:
        return list(parse_jwk_set_once(jwks).keys)
    except InvalidKeySet:
        return []


@never_cache
@login_required
@require_POST
def app_secret_create(request: HttpRequest, slug: str, reference: UUID) -> HttpResponse:
    """Make a secret and show it, in this answer and never again."""
    client = get_client(request, slug, reference, *EDITORS)
    now = timezone.now()
    rotates = live_secrets(client, now).exists()
    form = SecretForm(request.POST, rotates=rotates and "overlap" in request.POST)
    if not form.is_valid():
        return _credentials_page(request, client, form, now)
    made: list[NewSecret] = []
    back = reverse("app_credentials", args=[slug, reference])

    def make() -> str:
        overlap = form.cleaned_data.get("overlap")
        ends = now + _OVERLAPS[overlap] if overlap else None
        made.append(create_secret(client, actor_for(request), now=now, label=form.cleaned_data["label"], end_others_at=ends))
        return back

    try:
        with refusals_denied():
            run_once(request, form, make, otherwise=back)
    except TransitionRefused as refused:
        form.add_error(None, refused.description)
        return _credentials_page(request, client, form, now)
    if not made:
        messages.warning(request, _("This secret was shown already. If it is lost, make another one."))
        return redirect(back)
    context = {
        "client": client,
        "tab": "credentials",
        "secret": made[0].value,
        "row": made[0].row,
        "snippet": token_snippet(client, describe_access(client, now)),
        "back": back,
    }
    return page(request, "apps/secret.html", client.organization, "apps", context)


@login_required
@require_POST
def app_secret_end(request: HttpRequest, slug: str, reference: UUID, secret: int) -> HttpResponse:
    """End a secret at once."""
    client = get_client(request, slug, reference)
    row = get_object_or_404(client.secrets, pk=secret)
    return do_and_return(
        request,
        lambda: end_secret(row, actor_for(request), now=timezone.now()),
        done=_("%(secret)s ended. Requests with it are refused from now on.") % {"secret": row},
        to=reverse("app_credentials", args=[slug, reference]),
    )


@never_cache
@login_required
@require_POST
def app_registration_token_reset(request: HttpRequest, slug: str, reference: UUID) -> HttpResponse:
    """Replace the token by which the app manages its registration, and show it, in this answer and never again."""
    client = get_client(request, slug, reference, OWNER)
    back = reverse("app_credentials", args=[slug, reference])
    form = OnceForm(request.POST)
    made: list[NewRegistrationAccessToken] = []

    def make() -> str:
        made.append(reset_registration_access_token(client, actor_for(request), now=timezone.now()))
        return back

    if form.is_valid():
        try:
            with refusals_denied():
                run_once(request, form, make, otherwise=back)
        except TransitionRefused as refused:
            messages.error(request, refused.description)
            return redirect(back)
    if not made:
        messages.warning(request, _("Nothing was replaced: this page was sent before, or is too old. Reset the token again if it is lost."))
        return redirect(back)
    address = registration_client_uri(client.client_id)
    context = {
        "client": client,
        "tab": "credentials",
        "value": made[0].value,
        "address": address,
        "command": f'curl {shlex.quote(address)} \\\n  --header "Authorization: Bearer {made[0].value}"',
        "back": back,
    }
    return page(request, "apps/registration_token.html", client.organization, "apps", context)


@login_required
@require_POST
def app_keys_check(request: HttpRequest, slug: str, reference: UUID) -> HttpResponse:
    """Fetch the keys behind the key address now and say how that went."""
    client = get_client(request, slug, reference, *EDITORS)
    if client.metadata.get("jwks_uri"):
        row = fetch_client_keys(client, now=timezone.now())
        if row.failure:
            messages.error(request, _("The keys could not be fetched: %(failure)s") % {"failure": row.failure})
        else:
            messages.success(request, _("Fetched %(n)d keys.") % {"n": len(_keys(client, row))})
    return redirect("app_credentials", slug, reference)
