"""Request objects by value (RFC 9101). What is inside counts; what is outside is forgotten."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings

from authserver.authorization.parameters import NAMES
from authserver.client_authentication import keys_for
from federation.automatic import check_chains_of, is_registered_automatically
from protocol.constants import CLOCK_LEEWAY
from protocol.errors import InvalidJwt, InvalidKeySet, InvalidRequest, InvalidRequestObject
from protocol.jose import KeySet, UnverifiedJwt, parse_unverified, verify_jwt
from protocol.jose.algorithms import algorithms_agree
from protocol.jose.purposes import FEDERATION_REQUEST_OBJECT, REQUEST_OBJECT
from protocol.strict_json import canonical_json
from registry.models import Client
from registry.policies import get_policy
from registry.single_use import use_once


def read_request_object(token: str) -> UnverifiedJwt:
    """Return a request object without any trust in it. Raises InvalidRequestObject."""
    try:
        return parse_unverified(token, max_length=FEDERATION_REQUEST_OBJECT.max_length)
    except InvalidJwt as error:
        raise InvalidRequestObject(f"request: {error.description}", members=("request",)) from error


def open_request_object(request: UnverifiedJwt, outside: Mapping[str, str], client: Client, *, now: datetime) -> dict[str, str]:
    """Verify a request object of `client` and return the parameters inside (JAR-01 to -09); its `jti` is used up if it has one.

    `outside` are the parameters beside it; client_id must be there and equal (JAR-02). Raises InvalidRequest or InvalidRequestObject.
    """
    if outside.get("client_id") != request.unverified_claims.get("client_id"):
        raise InvalidRequest("client_id must stand beside the request object and be equal to the one inside.", members=("client_id",))

    def keys(jwt: UnverifiedJwt) -> KeySet:
        registered, used = client.metadata.get("request_object_signing_alg"), jwt.unverified_header["alg"]
        if registered is not None and not algorithms_agree(registered, used):
            raise InvalidKeySet("algorithm", f"The app registered {registered} for request objects.")
        if used not in (offered := get_policy(client.organization).client_assertion_algorithms):
            raise InvalidKeySet("algorithm", f"Request objects are signed with one of {', '.join(offered)}.")
        return keys_for(client, jwt, now=now)

    verifier = FEDERATION_REQUEST_OBJECT if is_registered_automatically(client) else REQUEST_OBJECT
    try:
        verified = verify_jwt(verifier, request, keys, int(now.timestamp()), issuer=client.client_id, audience=settings.ISSUER)
    except (InvalidJwt, InvalidKeySet) as error:
        raise InvalidRequestObject(f"request: {error.description}", detail=error.reason, members=("request",)) from error
    check_chains_of(client, verified.header)
    _use_identifier(verified.claims, client)
    return {name: _as_text(name, verified.claims[name]) for name in verified.claims.keys() & NAMES}


def _use_identifier(claims: Mapping[str, Any], client: Client) -> None:
    if "jti" not in claims:
        return
    expires_at = datetime.fromtimestamp(int(claims["exp"]), UTC) + timedelta(seconds=CLOCK_LEEWAY + 1)
    if not use_once("request_object", client.client_id, str(claims["jti"]), expires_at=expires_at):
        raise InvalidRequestObject("request: its jti was used before.", detail="replayed", members=("request",))


def _as_text(name: str, value: Any) -> str:
    """Return a claim as the parameter it stands for: numbers and objects are written out (RFC 9101, 4)."""
    if isinstance(value, str):
        return value
    if name == "resource" and isinstance(value, list) and all(isinstance(uri, str) for uri in value):
        return " ".join(value)
    if isinstance(value, bool) or not isinstance(value, int | dict):
        raise InvalidRequestObject(f"request: the claim {name[:60]} is not a text, number or object.", members=(name[:60],))
    if isinstance(value, int):
        return str(value)
    return canonical_json(value).decode()
