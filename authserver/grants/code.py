"""The authorization code grant (RFC 6749, 4.1.3; RFC 7636, 4.6)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from authserver.families import end_family, use_code
from authserver.grants.base import Answer, PersonGrant, issue_tokens, written
from authserver.models import Grant
from federation.automatic import is_registered_automatically
from protocol.errors import InvalidGrant
from registry.models import Client

# RFC 7636, 4.1
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")


class AuthorizationCodeGrant(PersonGrant):
    """Exchanges a code for tokens: once, by the client that it was issued to, with the verifier of its challenge."""

    grant_type = "authorization_code"

    def create_token_response(self, request: Any, token_handler: Any) -> Answer:  # noqa: ARG002 - oauthlib's signature
        """Answer a token request."""
        now = timezone.now()
        client = self.authenticated_client(request)
        code, redirect_uri = (self.parameter(request, name) for name in ("code", "redirect_uri"))
        verifier = dict(request.decoded_body).get("code_verifier", "")
        if not _VERIFIER.fullmatch(verifier) and (verifier or not is_registered_automatically(client)):
            raise InvalidGrant("code_verifier is missing or not 43 to 128 unreserved characters (RFC 7636, 4.1).")
        resources = self.resources(request)
        grant = _find(code, client)
        if grant.used_at is not None:
            end_family(grant.family, now=now)
            raise InvalidGrant(detail="code used twice")
        _check(grant, client, redirect_uri, verifier, now)
        try:
            with transaction.atomic():
                use_code(grant, now=now)
                scopes = grant.scope.split()
                answer = issue_tokens(grant, client, scopes, refreshable=scopes, resources=resources, nonce=grant.nonce, now=now)
        except InvalidGrant:
            end_family(grant.family, now=now)
            raise
        return written(answer, client, now)


def _find(code: str, client: Client) -> Grant:
    grant = Grant.objects.select_related("user").filter(code=code, application=client).first()
    if grant is None:
        raise InvalidGrant(detail="unknown code, or another client's")
    return grant


def _check(grant: Grant, client: Client, redirect_uri: str, verifier: str, now: datetime) -> None:
    """Check that the code is current and that everything it was bound to is the same (BCP-09)."""
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    problems = (
        ("expired", grant.expires <= now),
        ("generation", grant.credential_generation != client.credential_generation),
        ("ended", grant.ended_at is not None),
        ("redirect_uri", grant.redirect_uri != redirect_uri),
        # A verifier without a challenge is refused too, so that nobody can take the challenge out of a request (RFC 9700, 2.1.1).
        ("code_verifier", not hmac.compare_digest(grant.code_challenge, challenge if verifier else "")),
        ("user", not grant.user.is_active),
    )
    for problem, found in problems:
        if found:
            raise InvalidGrant(detail=problem)
