"""Who calls the API: an app, by a client credentials token in the Authorization header and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.conf import settings
from django.utils import timezone
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from authserver.introspection import live_access_token
from authserver.models import AccessToken
from portal.access import source_address, user_agent_family
from portal.api.throttling import note_request
from protocol.errors import InsufficientScope, InvalidToken, TokenMissing
from registry.actors import Actor, client_actor
from registry.entitlements import entitled_scopes
from registry.gate import Action
from registry.models import Client, Organization

REGISTRY: Final = "registry"
REGISTRY_ADMIN: Final = "registry.admin"


@dataclass(frozen=True, slots=True)
class Caller:
    """The app behind a request. `is_admin` says whether it may see and review every organization, or its own only."""

    client: Client
    is_admin: bool
    actor: Actor

    def owns(self, organization: Organization) -> bool:
        """Say whether this is the app's own organization."""
        return self.client.organization_id == organization.pk

    def require_admin(self) -> None:
        """Refuse an app that is not the operator's. Raises InsufficientScope."""
        if not self.is_admin:
            raise InsufficientScope("This takes the scope registry.admin, of an app of this server's operator.", scope=REGISTRY_ADMIN)


class BearerToken(BaseAuthentication):
    """Authenticates by an access token that an app was issued for itself (RFC 6750, 2.1). No cookie, form or query parameter counts."""

    def authenticate(self, request: Request) -> tuple[None, Caller]:
        """Return the caller. Raises TokenMissing, InvalidToken, InsufficientScope or TooManyRequests."""
        scheme, _, value = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            raise TokenMissing
        now = timezone.now()
        row = live_access_token(value.strip(), Action.USE_API, now=now)
        if row is None or row.user is not None or not _is_for_us(row):
            raise InvalidToken
        note_request(row.application.client_id)
        return None, _caller(row, request, now)


def _is_for_us(row: AccessToken) -> bool:
    """Say whether a token is for any resource, or for this server among others (RFC 8707, 2.2)."""
    return not row.resource or settings.ISSUER in {resource.rstrip("/") for resource in row.resource}


def _caller(row: AccessToken, request: Request, now: datetime) -> Caller:
    """Return the caller with what it was granted and is still entitled to; registry.admin counts for the operator's apps alone."""
    client = row.application
    scopes = set(row.scope.split()) & entitled_scopes(client, now)
    is_admin = REGISTRY_ADMIN in scopes and client.organization.is_operator
    if not is_admin and REGISTRY not in scopes:
        raise InsufficientScope("This takes the scope registry, granted to an app of your organization.", scope=REGISTRY)
    return Caller(client, is_admin, client_actor(client, as_staff=is_admin, **_traces(request)))


def _traces(request: Request) -> dict[str, Any]:
    """Return what the trail says of the request itself."""
    http = request._request  # noqa: SLF001 - DRF keeps Django's request there
    return {
        "request_id": getattr(http, "request_id", ""),
        "source_address": source_address(http),
        "user_agent_family": user_agent_family(http.headers.get("User-Agent", "")),
    }
