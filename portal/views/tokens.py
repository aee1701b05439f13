"""Initial access tokens of an organization: what lets its software register apps, and what was refused (portal.md, page 25)."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from dcr.initial_access_tokens import (
    NewInitialAccessToken,
    adopt_initial_access_token,
    create_initial_access_token,
    restrictions_of,
    revoke_initial_access_token,
)
from dcr.models import InitialAccessToken, RegistrationAccessToken
from portal.access import actor_for, get_initial_access_token, get_organization
from portal.forms.once import run_once
from portal.forms.tokens import TokenForm
from portal.views.common import do_and_return, page, paginate, refusals_denied
from portal.views.token_rows import describe_token, example_document, needs_keys, register_command, tokens_to_show
from protocol.errors import MetadataRefused, TransitionRefused
from registry.models import Organization
from registry.policies import get_policy
from registry.registration_policy import narrow_policy
from registry.transitions import OWNER


@login_required
@require_GET
def registration_tokens(request: HttpRequest, slug: str) -> HttpResponse:
    """List the tokens of the organization; without one, say what they are for."""
    organization = get_organization(request, slug)
    now = timezone.now()
    rows = paginate(request, tokens_to_show().filter(organization=organization))
    context = {
        "page": rows,
        "tokens": [describe_token(token, now) for token in rows],
        "command": register_command(example_document(get_policy(organization))),
        "is_closed": organization.state == Organization.State.CLOSED,
    }
    return page(request, "tokens/list.html", organization, "tokens", context)


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def registration_token_new(request: HttpRequest, slug: str) -> HttpResponse:
    """Make a token and show its value, in this answer and never again."""
    organization = get_organization(request, slug, OWNER)
    form = TokenForm(request.POST if request.method == "POST" else None)
    made: list[NewInitialAccessToken] = []

    def make() -> str:
        now = timezone.now()
        made.append(create_initial_access_token(organization, actor_for(request), form.terms(now), now=now))
        return reverse("registration_token", args=[slug, made[0].row.reference])

    if form.is_bound and form.is_valid():
        try:
            with refusals_denied():
                address = run_once(request, form, make, otherwise=reverse("registration_tokens", args=[slug]))
        except MetadataRefused as refused:
            form.show_findings(refused.findings)
        except TransitionRefused as refused:
            form.refuse(refused.description)
        else:
            return _shown_once(request, organization, made, address)
    return page(request, "tokens/new.html", organization, "tokens", {"form": form})


def _shown_once(request: HttpRequest, organization: Organization, made: list[NewInitialAccessToken], address: str) -> HttpResponse:
    """Show the value of a token that was made now; who sends the page again is led to the token."""
    if not made:
        messages.warning(request, _("This token was shown already. If its value is lost, revoke it and make another one."))
        return redirect(address)
    return page(request, "tokens/shown.html", organization, "tokens", {**shown_once(made[0]), "back": address})


def shown_once(made: NewInitialAccessToken) -> dict[str, Any]:
    """Return what the page shows that shows the value of a token."""
    policy = narrow_policy(get_policy(made.row.organization), restrictions_of(made.row))
    document = example_document(policy, made.row.stage)
    return {"token": made.row, "value": made.value, "command": register_command(document, made.value), "needs_keys": needs_keys(document)}


@login_required
@require_GET
def registration_token(request: HttpRequest, slug: str, token: UUID) -> HttpResponse:
    """Show what a token allows, what registered with it and what was refused."""
    row = get_initial_access_token(request, slug, token)
    organization = row.organization
    described = describe_token(row, timezone.now())
    is_kept_by_reader = row.is_kept and row.keeper == request.user
    registered = RegistrationAccessToken.objects.filter(initial_access_token=row, client__organization=organization)
    context = {
        "token": described,
        "page": paginate(request, registered.select_related("client").order_by("-client__created", "-pk")),
        "refused": list(row.refused.all()),
        "may_adopt": not row.made_by_staff and row.revoked_at is None and not is_kept_by_reader,
    }
    return page(request, "tokens/detail.html", organization, "tokens", context)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def registration_token_revoke(request: HttpRequest, slug: str, token: UUID) -> HttpResponse:
    """Ask, and end a token at once."""
    row = get_initial_access_token(request, slug, token, OWNER)
    if request.method != "POST":
        return page(request, "tokens/revoke.html", row.organization, "tokens", {"token": row})
    return do_and_return(
        request,
        lambda: revoke_initial_access_token(row, actor_for(request), now=timezone.now()),
        done=_("Revoked. It registers nothing any more; the apps that it registered stay."),
        to=_address(slug, row),
    )


@login_required
@require_POST
def registration_token_adopt(request: HttpRequest, slug: str, token: UUID) -> HttpResponse:
    """Make the reader its keeper."""
    row = get_initial_access_token(request, slug, token, OWNER)
    return do_and_return(
        request,
        lambda: adopt_initial_access_token(row, actor_for(request)),
        done=_("You keep this token now. It works as long as you are an owner here."),
        to=_address(slug, row),
    )


def _address(slug: str, row: InitialAccessToken) -> str:
    return reverse("registration_token", args=[slug, row.reference])
