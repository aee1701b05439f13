"""What both grants about a person have in common."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from django.utils import timezone

from authserver.authorization.parameters import check_resources
from authserver.families import issue_access_token, issue_refresh_token, wants_refresh_token
from authserver.id_tokens import issue_id_token
from authserver.models import Grant
from authserver.tokens import check_grant, policy_for_tokens, token_lifetime
from protocol.errors import InvalidRequest, InvalidTarget
from registry.entitlements import entitled_scopes
from registry.models import Client
from registry.usage import note_use

Answer = tuple[dict[str, str], str, int]
HEADERS = {"Content-Type": "application/json", "Cache-Control": "no-store", "Pragma": "no-cache"}


class PersonGrant:
    """A grant by which a person's tokens are issued."""

    grant_type: str

    def __init__(self, request_validator: Any) -> None:
        self.request_validator = request_validator

    def authenticated_client(self, request: Any) -> Client:
        """Return the client of the request, authenticated and registered for this grant. Raises OAuthError."""
        self.request_validator.authenticate_client(request)
        client: Client = request.client
        check_grant(client, self.grant_type, timezone.now())
        return client

    def parameter(self, request: Any, name: str) -> str:
        """Return a parameter that must be there. Raises InvalidRequest."""
        value = dict(request.decoded_body or ()).get(name)
        if not value:
            raise InvalidRequest(f"The parameter {name} is missing.", members=(name,))
        return str(value)

    def resources(self, request: Any) -> list[str]:
        """Return the resources that the token shall be for, which may be several. Raises InvalidTarget."""
        return list(check_resources([value for name, value in request.decoded_body or () if name == "resource"]))


def issue_tokens(
    head: Grant, client: Client, scopes: list[str], *, refreshable: list[str], resources: list[str], nonce: str, now: datetime
) -> dict[str, Any]:
    """Issue the tokens of one answer, inside the caller's transaction that holds the family.

    `refreshable` are the scopes that a refresh token keeps, which asking for fewer does not change (RFC 6749, 6); `resources` are whom
    the access token shall be for, of those that the code is for if it names any. Raises InvalidTarget (RFC 8707, 2.2).
    """
    if head.resource and not set(resources) <= set(head.resource):
        raise InvalidTarget("The code was not issued for one of these resources.", members=("resource",))
    entitled = entitled_scopes(client, now)
    granted = [scope for scope in scopes if scope in entitled]
    policy = policy_for_tokens(client)
    lifetime = token_lifetime(client, policy, now)
    value = issue_access_token(head, client, granted, lifetime, resources=resources or head.resource, now=now)
    answer: dict[str, Any] = {"access_token": value, "token_type": "Bearer", "expires_in": lifetime, "scope": " ".join(granted)}
    if wants_refresh_token(client, refreshable):
        answer["refresh_token"] = issue_refresh_token(head, client, refreshable)
    if "openid" in granted:
        answer["id_token"] = issue_id_token(head, client, policy, access_token=value, nonce=nonce, entitled=entitled, now=now)
    return answer


def written(answer: dict[str, Any], client: Client, now: datetime) -> Answer:
    """Return an answer as oauthlib passes it on."""
    note_use(client, now)
    return HEADERS, json.dumps(answer), 200
