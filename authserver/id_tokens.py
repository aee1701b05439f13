"""ID tokens (OpenID Connect Core, 2) and the claims about a person."""

from __future__ import annotations

import base64
import hashlib
import uuid
from collections.abc import Collection
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from allauth.account.models import EmailAddress
from django.conf import settings

from authserver.authorization.claims import SCOPE_OF_CLAIM
from authserver.models import AccessToken, Grant
from protocol.errors import InsufficientScope
from protocol.jose import issue_jwt
from registry.entitlements import entitled_scopes
from registry.models import Client, SigningKey, User
from registry.registration_policy import RegistrationPolicy
from registry.signing_keys import get_keys

LIFETIME_SECONDS: Final = 600
_HASHES: Final = {"256": hashlib.sha256, "384": hashlib.sha384, "512": hashlib.sha512}


def issue_id_token(
    head: Grant, client: Client, policy: RegistrationPolicy, *, access_token: str, nonce: str, entitled: Collection[str], now: datetime
) -> str:
    """Return an ID token about the person of `head` for `client`, signed with the algorithm that the client registered.

    Claims about the person are there when the request named them and the client is still entitled to them (OpenID Connect Core, 5.5).
    """
    user: User = head.user
    algorithm = client.metadata.get("id_token_signed_response_alg", "RS256")
    seconds = int(now.timestamp())
    claims: dict[str, Any] = {
        **claims_about(user, allowed_claims(head, "id_token", entitled)),
        "iss": settings.ISSUER,
        "sub": str(user.sub),
        "aud": client.client_id,
        "iat": seconds,
        "exp": seconds + LIFETIME_SECONDS,
        "auth_time": head.auth_time,
        "jti": str(uuid.uuid4()),
        "at_hash": at_hash(access_token, algorithm),
        **({"nonce": nonce} if nonce else {}),
        **({"acr": head.acr} if head.acr else {}),
        **({"amr": head.amr.split()} if head.amr else {}),
        **({"org_id": str(client.organization.org_id)} if policy.org_id_in_id_token else {}),
    }
    # RFC 9864: EdDSA is the older name of Ed25519; a client that registered it is answered under that name.
    stored = "Ed25519" if algorithm == "EdDSA" else algorithm
    key = get_keys(SigningKey.Purpose.PROTOCOL).current[stored]
    return issue_jwt(claims, replace(key, algorithm=algorithm), typ="JWT")


def at_hash(access_token: str, algorithm: str) -> str:
    """Return the left half of the hash of an access token, by the hash of the signature (OpenID Connect Core, 3.1.3.6)."""
    digest = _HASHES.get(algorithm[-3:], hashlib.sha512)(access_token.encode()).digest()
    return base64.urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode()


def claims_of_scopes(scopes: Collection[str]) -> set[str]:
    """Return the names of the claims about a person that `scopes` allow (OpenID Connect Core, 5.4)."""
    return {name for name, scope in SCOPE_OF_CLAIM.items() if scope in scopes}


def allowed_claims(head: Grant, place: str, entitled: Collection[str]) -> set[str]:
    """Return the names of the claims that the request of `head` named for `place` and that `entitled` still allows."""
    return claims_of_scopes(entitled).intersection(head.asked_claims(place))


def claims_about(user: User, names: Collection[str]) -> dict[str, Any]:
    """Return the claims called `names` about a person, as far as they are known (OpenID Connect Core, 5.1)."""
    claims: dict[str, Any] = {}
    if "name" in names and user.name:
        claims["name"] = user.name
    if "email" in names:
        claims["email"] = user.email
    if "email_verified" in names:
        claims["email_verified"] = EmailAddress.objects.filter(user=user, email__iexact=user.email, verified=True).exists()
    return claims


def userinfo(token: AccessToken, user: User, *, now: datetime) -> dict[str, Any]:
    """Return what a live access token tells about its person: what its scopes allow now, and what its request named one by one.

    Raises InsufficientScope without the scope openid (OpenID Connect Core, 5.3).
    """
    entitled = entitled_scopes(token.application, now)
    scopes = entitled.intersection(token.scope.split())
    if "openid" not in scopes:
        raise InsufficientScope("This token does not carry the scope openid.")
    names = claims_of_scopes(scopes)
    if head := Grant.objects.filter(family=token.family).first() if token.family else None:
        names |= allowed_claims(head, "userinfo", entitled)
    return {"sub": str(user.sub), **claims_about(user, names)}
