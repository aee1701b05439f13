"""Client authentication, the same at every endpoint: exactly one method, and it is the registered one (RFC 6749, 2.3; RFC 7523).

Nothing is decided from unverified input but which client is meant: its record says how it authenticates (threats.md O14).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import unquote_plus

import structlog
from django.conf import settings

from authserver.throttling import note_failed_authentication
from federation import automatic
from protocol.constants import CLIENT_ASSERTION_TYPE, CLIENT_ID_LIMIT, CLOCK_LEEWAY
from protocol.errors import InvalidClient, InvalidJwt, InvalidKeySet, InvalidRequest, UnauthorizedClient
from protocol.jose import KeySet, UnverifiedJwt, parse_unverified, verify_jwt
from protocol.jose.algorithms import algorithms_agree
from protocol.jose.keys import NO_KEY_VERIFIES
from protocol.jose.purposes import CLIENT_ASSERTION, FEDERATION_CLIENT_ASSERTION
from registry.client_keys import get_client_keys
from registry.compiled import CompiledQuery
from registry.credentials import client_with_secret
from registry.gate import Action, client_may_act
from registry.models import Client
from registry.single_use import use_once

log = structlog.get_logger(__name__)

# One text for an unknown client, a wrong secret and a bad signature, so that nobody can probe for clients (PKJ-09; threats.md J19).
FAILED: Final = "Client authentication failed: unknown client, wrong credentials, or another method than the registered one."


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a request presents: one method, the client it names, and the secret or assertion."""

    method: str
    client_id: str
    secret: str = ""
    assertion: UnverifiedJwt | None = None

    def __repr__(self) -> str:
        return f"Credentials({self.method!r}, {self.client_id!r})"


def read_credentials(authorization: str, parameters: Mapping[str, str]) -> Credentials:
    """Return the one credential that a request presents, in its Authorization header or its body.

    Raises InvalidRequest for none or more than one, InvalidClient for a malformed one (PKJ-01, PKJ-02).
    """
    scheme, _, value = authorization.partition(" ")
    presented = [
        *(["client_secret_basic"] if scheme.lower() == "basic" else []),
        *(["client_secret_post"] if "client_secret" in parameters else []),
        *(["private_key_jwt"] if "client_assertion" in parameters or "client_assertion_type" in parameters else []),
    ]
    if len(presented) > 1:
        raise InvalidRequest("Authenticate with one method only.", members=("client_assertion", "client_secret"))
    client_id = parameters.get("client_id", "")
    if not presented:
        if not client_id:
            raise InvalidClient("This request does not authenticate a client.", detail="no credentials")
        return Credentials("none", client_id)
    if presented == ["client_secret_basic"]:
        return _read_basic(value.strip(), client_id)
    if presented == ["client_secret_post"]:
        return Credentials("client_secret_post", client_id, secret=parameters["client_secret"])
    return _read_assertion(parameters, client_id)


def _read_basic(value: str, client_id: str) -> Credentials:
    try:
        decoded = base64.b64decode(value, validate=True).decode()
        name, colon, secret = decoded.partition(":")
    except (binascii.Error, ValueError):
        colon = ""
    if not colon:
        raise InvalidClient("The Basic credentials are not client_id:client_secret in base64.", scheme="Basic")
    # RFC 6749, 2.3.1: both halves are form-encoded first, which keeps the colon of a URL out of the way.
    name, secret = unquote_plus(name), unquote_plus(secret)
    if client_id and client_id != name:
        raise InvalidRequest("client_id differs from the Basic credentials.", members=("client_id",))
    return Credentials("client_secret_basic", name, secret=secret)


def _read_assertion(parameters: Mapping[str, str], client_id: str) -> Credentials:
    if parameters.get("client_assertion_type") != CLIENT_ASSERTION_TYPE:
        raise InvalidClient(f"client_assertion_type must be {CLIENT_ASSERTION_TYPE}.", members=("client_assertion_type",))
    try:
        assertion = parse_unverified(parameters.get("client_assertion", ""), max_length=FEDERATION_CLIENT_ASSERTION.max_length)
    except InvalidJwt as error:
        raise InvalidClient(f"client_assertion: {error.description}", members=("client_assertion",)) from error
    subject = assertion.unverified_claims.get("sub")
    if not isinstance(subject, str) or not subject:
        raise InvalidClient("client_assertion: the claim sub must be the client_id.", members=("client_assertion",))
    if client_id and client_id != subject:
        raise InvalidRequest("client_id differs from the claim sub of client_assertion.", members=("client_id",))
    return Credentials("private_key_jwt", subject, assertion=assertion)


def is_possible_client_id(client_id: str) -> bool:
    """Say whether a client can be called so; what cannot be a name never reaches the database."""
    return 0 < len(client_id) <= CLIENT_ID_LIMIT and client_id.isascii() and client_id.isprintable()


def load_client(client_id: str) -> Client | None:
    """Return the client with its organization, or None. One query; none for what no client can be called."""
    if not is_possible_client_id(client_id):
        return None
    return next(iter(_BY_CLIENT_ID.rows(client_id)), None)


_BY_CLIENT_ID: Final = CompiledQuery(lambda client_id: Client.objects.select_related("organization").filter(client_id=client_id).order_by())


def find_client(client_id: str, action: Action, *, proof: automatic.Proof | None = None, source: str = "", now: datetime) -> Client | None:
    """Return who wants something new: at authorize, PAR and token. Registration by federation comes in here and nowhere else.

    `proof` is what the request brings that an entity signed. Raises OAuthError or FederationError when an entity could not be registered.
    """
    known = load_client(client_id)
    if known is not None and known.trust == Client.Trust.NONE:
        return known
    return automatic.find_automatic_client(client_id, known, proof, action, source=source, now=now)


Load = Callable[["Credentials"], Client | None]


def load_by_credentials(credentials: Credentials) -> Client | None:
    """Return the client that credentials name; nothing is registered."""
    return load_client(credentials.client_id)


def find_by_credentials(action: Action, *, source: str, now: datetime, token_endpoint: str = "") -> Load:
    """Return the function that finds the client of a request at an endpoint where an entity may register by its client assertion.

    `token_endpoint` is given by the endpoint that is it.
    """

    def find(credentials: Credentials) -> Client | None:
        if credentials.assertion is None:
            return load_client(credentials.client_id)
        proof = automatic.by_client_assertion(credentials.assertion, token_endpoint=token_endpoint)
        return find_client(credentials.client_id, action, proof=proof, source=source, now=now)

    return find


def keys_for(client: Client, jwt: UnverifiedJwt, *, now: datetime) -> KeySet:
    """Return the keys to verify what `client` signed; an entity's that came with its trust chain are looked up again for an unknown one.

    Raises InvalidKeySet when there are no usable keys.
    """
    kid = jwt.unverified_header.get("kid")
    keys = get_client_keys(client, kid=kid, now=now)
    if client.trust != Client.Trust.NONE and "jwks" in client.metadata and all(key.kid != kid for key in keys.keys):
        keys = get_client_keys(automatic.refresh_for_unknown_key(client, now=now), kid=kid, now=now)
    return keys


def authenticate_client(
    authorization: str,
    parameters: Mapping[str, str],
    *,
    action: Action | None,
    now: datetime,
    token_endpoint: str,
    source: str = "",
    load: Load = load_by_credentials,
) -> Client:
    """Authenticate the client of a request and ask the gate whether it may do `action` (None: no gate, for revocation).

    `load` finds a client without a secret by its identifier; `source` is the address that failures are counted for.
    Raises InvalidRequest, InvalidClient, TooManyRequests, or UnauthorizedClient with the gate's sentence for a client that proved itself.
    """
    credentials = read_credentials(authorization, parameters)
    try:
        client = _prove(credentials, load, action, now, token_endpoint)
    except InvalidClient:
        note_failed_authentication(credentials.client_id, source)
        raise
    if client.state == Client.State.CLOSED:
        raise _failure(credentials, "closed")
    if action is not None:
        verdict = client_may_act(client, action, now)
        if not verdict.allowed:
            raise UnauthorizedClient(verdict.sentence, detail=verdict.reason)
    return client


def _failure(credentials: Credentials, detail: str) -> InvalidClient:
    return InvalidClient(FAILED, scheme="Basic" if credentials.method == "client_secret_basic" else "", detail=detail)


def _prove(credentials: Credentials, load: Load, action: Action | None, now: datetime, token_endpoint: str) -> Client:
    """Return the client that the credentials prove. Raises InvalidClient; the work and the text do not tell whether it exists."""
    name, method = credentials.client_id, credentials.method
    if method in ("client_secret_basic", "client_secret_post"):
        client = client_with_secret(name, credentials.secret, method, now) if is_possible_client_id(name) else None
    else:
        client = load(credentials)
        if client is not None and client.token_endpoint_auth_method != method:
            client = None
    if credentials.assertion is not None:
        legacy_audience = token_endpoint if client is not None and _may_name_token_endpoint(client, action) else None
        _verify_assertion(client, credentials, credentials.assertion, now, legacy_audience)
    if client is None:
        raise _failure(credentials, "unknown client, method or secret")
    return client


def _may_name_token_endpoint(client: Client, action: Action | None) -> bool:
    """Say whether an assertion may have the token endpoint as audience: by a switch of staff, or for the entities of a federation, whose
    standard asks for our identifier at PAR only and whose conformance suite sends the address to the token endpoint (decision 0017).
    """
    automatically = automatic.is_registered_automatically(client) and action is not Action.PUSH_AUTHORIZATION
    return client.accepts_token_endpoint_audience or automatically


def _verify_assertion(
    client: Client | None, credentials: Credentials, assertion: UnverifiedJwt, now: datetime, legacy_audience: str | None
) -> None:
    """Verify a client assertion (PKJ-03 to PKJ-08) and use up its `jti`, in this order.

    What is wrong with the assertion itself is said, since it is the same for every client; whose keys failed is not.
    """
    audience, verifier = settings.ISSUER, CLIENT_ASSERTION
    if legacy_audience is not None and assertion.unverified_claims.get("aud") == legacy_audience:
        log.info("legacy_assertion_audience", client_id=credentials.client_id)
        audience = legacy_audience
    if client is not None and automatic.is_registered_automatically(client):
        verifier = FEDERATION_CLIENT_ASSERTION

    def keys(jwt: UnverifiedJwt) -> KeySet:
        if client is None or not _is_registered_algorithm(client, jwt.unverified_header["alg"]):
            raise InvalidKeySet("unknown", "Unknown client, or another algorithm than the registered one.")
        return keys_for(client, jwt, now=now)

    try:
        verified = verify_jwt(verifier, assertion, keys, int(now.timestamp()), issuer=credentials.client_id, audience=audience)
    except InvalidKeySet as error:
        raise _failure(credentials, error.description) from error
    except InvalidJwt as error:
        if error.description == NO_KEY_VERIFIES:
            raise _failure(credentials, error.detail or error.reason) from error
        hint = f" Expected: {settings.ISSUER}" if error.claim == "aud" else ""
        raise InvalidClient(f"client_assertion: {error.description}{hint}", detail=error.reason, members=("client_assertion",)) from error
    if client is not None:
        automatic.check_chains_of(client, verified.header)
    expires_at = datetime.fromtimestamp(int(verified.claims["exp"]), UTC) + timedelta(seconds=CLOCK_LEEWAY + 1)
    if not use_once("client_assertion", credentials.client_id, verified.claims["jti"], expires_at=expires_at):
        raise InvalidClient("client_assertion: its jti was used before.", detail="replayed", members=("client_assertion",))


def _is_registered_algorithm(client: Client, algorithm: str) -> bool:
    registered = client.metadata.get("token_endpoint_auth_signing_alg")
    return registered is None or algorithms_agree(registered, algorithm)
