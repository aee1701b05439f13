"""What a resource server learns about a token (RFC 7662, 2.2)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.conf import settings

from authserver.models import AccessToken
from authserver.tokens import checksum_of, policy_for_tokens
from registry.entitlements import entitled_scopes, lacks_grant
from registry.gate import Action, client_may_act


def introspect(token: str, *, now: datetime) -> dict[str, Any]:
    """Return the introspection answer for a presented token: `{"active": False}` unless everything allows it at `now`.

    The scope is what was granted and is still entitled; `org_id` says whose app it is, `stage` whether it is a test.
    """
    row = live_access_token(token, Action.INTROSPECT, now=now)
    if row is None:
        return {"active": False}
    client = row.application
    entitled = entitled_scopes(client, now)
    answer = {
        "active": True,
        "scope": " ".join(scope for scope in row.scope.split() if scope in entitled),
        "client_id": client.client_id,
        "org_id": str(client.organization.org_id),
        "stage": client.stage,
        "token_type": "Bearer",
        "iss": settings.ISSUER,
        "sub": str(row.user.sub) if row.user else client.client_id,
        "iat": int(row.created.timestamp()),
        "exp": int(row.expires.timestamp()),
    }
    return {**answer, "aud": row.resource} if row.resource else answer


def live_access_token(token: str, action: Action, *, now: datetime) -> AccessToken | None:
    """Return the row of a presented access token if everything allows it at `now`: its end, its generation, its person and the gate."""
    row = find_access_token(token)
    if row is None or row.expires <= now or not row.is_live or (row.user is not None and not row.user.is_active):
        return None
    client = row.application
    if not client_may_act(client, action, now).allowed:
        return None
    by = "client_credentials" if row.user is None else "authorization_code"
    return None if lacks_grant(client, by, policy_for_tokens(client), now) else row


def find_access_token(token: str) -> AccessToken | None:
    """Return the row of a presented access token with client, organization and user, or None. One query."""
    return AccessToken.objects.select_related("application__organization", "user").filter(token_checksum=checksum_of(token)).first()
