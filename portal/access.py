"""Who may see what: the one place where a page finds its organization or app (threats.md R09).

Every lookup starts from the memberships of the signed-in person, so what is not theirs does not exist for them.
"""

from __future__ import annotations

import ipaddress
from typing import Any, Final
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest

from dcr.initial_access_tokens import with_keeper
from dcr.models import InitialAccessToken
from registry.actors import Actor, person
from registry.labels import in_english
from registry.models import AppDraft, ChangeRequest, Client, Membership, Organization, User
from registry.transitions import DEVELOPER, OWNER

EDITORS: Final = (OWNER, DEVELOPER)

# In order: a browser names those it descends from as well.
_BROWSERS: Final = (("Edg/", "Edge"), ("OPR/", "Opera"), ("Firefox/", "Firefox"), ("Chrome/", "Chrome"), ("Safari/", "Safari"))
OTHER_BROWSER: Final = "Other"


def get_organization(request: HttpRequest, slug: str, *roles: str) -> Organization:
    """Return the organization `slug` of the signed-in person, with their membership in `request.membership`.

    Raises Http404 when they are no member, and PermissionDenied with a sentence when they have none of `roles`.
    """
    found = Membership.objects.filter(user=request.user, organization__slug=slug).select_related("organization").first()  # type: ignore[misc]
    if found is None:
        raise Http404
    if roles and found.role not in roles:
        raise PermissionDenied(needed_role(found, *roles))
    request.membership = found  # type: ignore[attr-defined]
    return found.organization


def get_client(request: HttpRequest, slug: str, reference: UUID, *roles: str) -> Client:
    """Return the app `reference` of the organization `slug`, with the same refusals as `get_organization`."""
    organization = get_organization(request, slug, *roles)
    client = organization.clients.filter(reference=reference).select_related("created_by").first()
    if client is None:
        raise Http404
    client.organization = organization
    return client


def get_app_draft(request: HttpRequest, slug: str, reference: UUID, *roles: str) -> AppDraft:
    """Return the draft `reference` of an app of the organization `slug`, with the same refusals as `get_organization`."""
    organization = get_organization(request, slug, *roles)
    draft = organization.app_drafts.filter(reference=reference).first()
    if draft is None:
        raise Http404
    draft.organization = organization
    return draft


def get_change_request(request: HttpRequest, slug: str, reference: UUID, change: UUID) -> ChangeRequest:
    """Return the change request `change` of that app, with the same refusals as `get_organization`."""
    client = get_client(request, slug, reference)
    found = client.change_requests.filter(reference=change).select_related("submitted_by").first()
    if found is None:
        raise Http404
    found.client = client
    return found


def get_initial_access_token(request: HttpRequest, slug: str, reference: UUID, *roles: str) -> InitialAccessToken:
    """Return the token `reference` of the organization `slug`, with the same refusals as `get_organization`."""
    organization = get_organization(request, slug, *roles)
    tokens = with_keeper().select_related("organization", "profile", "kept_by__user", "kept_by_app", "created_by")
    token = tokens.filter(organization=organization, reference=reference).first()
    if token is None:
        raise Http404
    return token


def needed_role(membership: Membership, *roles: str) -> str:
    """Return the sentence for somebody whose role is too small."""
    words = " or ".join(in_english(Membership.Role(role).label).lower() for role in roles)
    article, own = "an" if words[0] in "aeiou" else "a", in_english(Membership.Role(membership.role).label).lower()
    return f"This takes {article} {words} of {membership.organization.legal_name}; you are a {own}."


def has_role(request: HttpRequest, *roles: str) -> bool:
    """Say whether the membership that `get_organization` found is one of `roles`, to show or hide what a page offers."""
    return request.membership.role in roles  # type: ignore[attr-defined]


def permissions(request: HttpRequest) -> dict[str, Any]:
    """Return what templates ask: the person's role here, and what goes with it."""
    return {"role": request.membership.role, "is_owner": has_role(request, OWNER), "may_edit": has_role(request, *EDITORS)}  # type: ignore[attr-defined]


def actor_for(request: HttpRequest) -> Actor:
    """Return the signed-in person as actor of a service call, as a partner and never as staff."""
    return actor_as(request, request.user)  # type: ignore[arg-type]


def actor_as(request: HttpRequest, user: User) -> Actor:
    """Return `user`, who may have proven who they are by this request only, as actor of a service call."""
    return person(
        user,
        request_id=getattr(request, "request_id", ""),
        source_address=source_address(request),
        user_agent_family=user_agent_family(request.headers.get("User-Agent", "")),
    )


def source_address(request: HttpRequest) -> str | None:
    """Return the address the request came from, or None when the server knows none, as on a socket file."""
    try:
        return str(ipaddress.ip_address(request.META.get("REMOTE_ADDR", "")))
    except ValueError:
        return None


def user_agent_family(text: str) -> str:
    """Return the name of the browser, without version, that a User-Agent header speaks of."""
    return next((name for mark, name in _BROWSERS if mark in text), OTHER_BROWSER if text else "")
