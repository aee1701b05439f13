"""The refresh token grant, with rotation and reuse detection (RFC 6749, 6; RFC 9700, 4.14)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from authserver.families import end_family, find_refresh_token, is_idle, lock_family, use_refresh_token
from authserver.grants.base import Answer, PersonGrant, issue_tokens, written
from authserver.models import RefreshToken
from protocol.errors import InvalidGrant, InvalidScope
from registry.models import Client


class RefreshTokenGrant(PersonGrant):
    """Exchanges a refresh token for new tokens, once; a second use ends its whole family."""

    grant_type = "refresh_token"

    def create_token_response(self, request: Any, token_handler: Any) -> Answer:  # noqa: ARG002 - oauthlib's signature
        """Answer a token request."""
        now = timezone.now()
        client = self.authenticated_client(request)
        row = _find(self.parameter(request, "refresh_token"), client, now)
        scopes, resources = _narrowed(row, dict(request.decoded_body).get("scope", "")), self.resources(request)
        try:
            with transaction.atomic():
                head = lock_family(row.token_family)
                head.user = row.user
                use_refresh_token(row, now=now)
                answer = issue_tokens(head, client, scopes, refreshable=row.scope.split(), resources=resources, nonce="", now=now)
        except InvalidGrant:
            end_family(row.token_family, now=now)
            raise
        return written(answer, client, now)


def _find(value: str, client: Client, now: datetime) -> RefreshToken:
    row = find_refresh_token(value)
    if row is None or row.application_id != client.pk:
        raise InvalidGrant(detail="unknown refresh token, or another client's")
    if row.revoked is not None:
        end_family(row.token_family, now=now)
        raise InvalidGrant(detail="refresh token used twice")
    if row.credential_generation != client.credential_generation or is_idle(row, now) or not row.user.is_active:
        raise InvalidGrant(detail="generation, idle or user")
    return row


def _narrowed(row: RefreshToken, asked: str) -> list[str]:
    """Return the scopes of the new tokens: what was granted, or less if the client asks for less (RFC 6749, 6)."""
    granted = row.scope.split()
    wanted = list(dict.fromkeys(asked.split())) or granted
    if not set(wanted) <= set(granted):
        raise InvalidScope("A refreshed token cannot have more scopes than were granted.", members=("scope",))
    return wanted
