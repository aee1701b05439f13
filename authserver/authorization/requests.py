"""Authorization requests from arrival to row: whose they are, what they say, and whether it is proven."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from authserver import client_authentication
from authserver.authorization.parameters import AuthorizationParameters, check_text, prove_redirect_uri, read_parameters, response_mode_of
from authserver.authorization.people import subject_of_hint
from authserver.authorization.request_objects import open_request_object, read_request_object
from authserver.models import AuthorizationRequest
from federation.automatic import by_request_object, is_entity_identifier, is_registered_automatically
from protocol.constants import REQUEST_URI_PREFIX
from protocol.errors import (
    InvalidClient,
    InvalidRequest,
    InvalidRequestObject,
    InvalidRequestUri,
    OAuthError,
    RequestUriNotSupported,
    TooManyRequests,
    UnauthorizedClient,
)
from protocol.jose import UnverifiedJwt
from registry.digests import keyed_digest, random_credential
from registry.entitlements import entitled_scopes
from registry.gate import Action, client_may_act
from registry.models import Client
from registry.policies import get_policy

PUSHED_LIFETIME: Final = timedelta(seconds=90)
ANSWER_LIFETIME: Final = timedelta(minutes=30)
PUSHED_AT_ONCE: Final = 200
CLIENT_AUTHENTICATION: Final = frozenset(("client_assertion", "client_assertion_type", "client_secret"))
_PURPOSE: Final = "request-uri"


class RefusedAfterProof(Exception):
    """A refusal that the app may hear: client and redirect URI are proven."""

    def __init__(self, error: OAuthError, client: Client, redirect_uri: str, response_mode: str, state: str | None) -> None:
        self.error, self.client, self.redirect_uri, self.response_mode, self.state = error, client, redirect_uri, response_mode, state
        super().__init__(error.description)


@dataclass(frozen=True, slots=True)
class Proven:
    """A request whose client and redirect URI are proven and whose parameters are checked."""

    client: Client
    parameters: AuthorizationParameters
    origin: str
    signed: bool


def prove_request(raw: Mapping[str, str], *, now: datetime, source: str = "") -> Proven:
    """Prove the request of the authorization endpoint, but for a pushed one.

    `source` is the address that asks. Raises OAuthError or FederationError for a page, RefusedAfterProof for an answer to the app.
    """
    if "request" in raw and "request_uri" in raw:
        raise InvalidRequest("request and request_uri cannot stand together.", members=("request", "request_uri"))
    if "request_uri" in raw:
        raise RequestUriNotSupported(members=("request_uri",))
    request = read_request_object(raw["request"]) if "request" in raw else None
    client = _client_of(raw, request, now, source)
    if request is not None:
        inside = open_request_object(request, raw, client, now=now)
        return check_request(inside, client, AuthorizationRequest.Origin.REQUEST_OBJECT, signed=True, now=now)
    if is_registered_automatically(client):  # on a page: nothing proves that the request is the entity's (FED-AUT-05, -36)
        raise InvalidRequest("An entity of a federation signs or pushes its authorization requests.", members=("request",))
    return check_request(raw, client, AuthorizationRequest.Origin.PARAMETERS, signed=False, now=now)


def _client_of(raw: Mapping[str, str], request: UnverifiedJwt | None, now: datetime, source: str) -> Client:
    """Return the client of a request if it may act: before its keys are fetched, and on a page, since its addresses count no more."""
    client_id = raw.get("client_id", "")
    if not client_id:
        raise InvalidRequest("The parameter client_id is missing.", members=("client_id",))
    if request is not None and request.unverified_claims.get("client_id") != client_id:
        # JAR-02, before anybody is looked for: else the developer would read of the claim iss.
        raise InvalidRequestObject("request: its client_id is not the client_id that stands beside it.", members=("client_id",))
    proof = by_request_object(request) if request is not None else None
    client = client_authentication.find_client(client_id, Action.AUTHORIZE, proof=proof, source=source, now=now)
    if client is None or client.state == Client.State.CLOSED:
        raise InvalidClient("No app with this client_id is registered here.", members=("client_id",))
    check_gate(client, now)
    return client


def check_gate(client: Client, now: datetime) -> None:
    """Raise UnauthorizedClient with the gate's sentence if the client may not act."""
    verdict = client_may_act(client, Action.AUTHORIZE, now)
    if not verdict.allowed:
        raise UnauthorizedClient(verdict.sentence, detail=verdict.reason)


def check_request(raw: Mapping[str, str], client: Client, origin: str, *, signed: bool, now: datetime) -> Proven:
    """Check the parameters of a known client. Raises RedirectUriUnproven for a page, RefusedAfterProof for an answer to the app."""
    check_text(raw)
    redirect_uri = prove_redirect_uri(raw, client)
    try:
        check_way(client, origin, signed=signed)
        needs_challenge = not is_registered_automatically(client) or origin == AuthorizationRequest.Origin.PARAMETERS
        parameters = read_parameters(raw, client, entitled_scopes(client, now), needs_challenge=needs_challenge)
        if parameters.id_token_hint:
            subject_of_hint(parameters.id_token_hint, client, now=now)
    except OAuthError as error:
        raise RefusedAfterProof(error, client, redirect_uri, response_mode_of(raw), raw.get("state")) from error
    return Proven(client, parameters, origin, signed)


def check_way(client: Client, origin: str, *, signed: bool) -> None:
    """Refuse a way that the client or this server does not allow (JAR-10, PAR-14)."""
    policy = get_policy(client.organization)
    needs_push = policy.require_pushed_authorization_requests or client.metadata.get("require_pushed_authorization_requests")
    needs_signature = policy.require_signed_request_object or client.metadata.get("require_signed_request_object")
    if needs_push and origin != AuthorizationRequest.Origin.PUSHED:
        raise InvalidRequest("This app must push its authorization requests (RFC 9126).", members=("request_uri",))
    if needs_signature and not signed:
        raise InvalidRequest("This app must sign its authorization requests (RFC 9101).", members=("request",))


def keep_request(proven: Proven, *, now: datetime) -> AuthorizationRequest:
    """Keep a proven request until the person answered it."""
    return AuthorizationRequest.objects.create(
        application=proven.client,
        origin=proven.origin,
        signed=proven.signed,
        parameters=proven.parameters.as_json(),
        created=now,
        expires=now + ANSWER_LIFETIME,
    )


def prove_again(row: AuthorizationRequest, parameters: AuthorizationParameters, *, now: datetime) -> None:
    """Check that what a kept request was proven by still holds: the app, its redirect URI and the way it came.

    Raises UnauthorizedClient, RedirectUriUnproven or InvalidRequest; none of them is for the app to hear.
    """
    check_gate(row.application, now)
    prove_redirect_uri({"redirect_uri": parameters.redirect_uri}, row.application)
    check_way(row.application, row.origin, signed=row.signed)


def client_of_signed_push(raw: Mapping[str, str], *, now: datetime, source: str) -> Client | None:
    """Return the entity that pushes a request which it signed and does not authenticate otherwise (OpenID Federation 1.0, 12.1.1.2).

    None when the request is no such one. What it signed is verified by `push_request`. Raises OAuthError or FederationError.
    """
    if "request" not in raw or not CLIENT_AUTHENTICATION.isdisjoint(raw):
        return None
    request = read_request_object(raw["request"])
    client_id = raw.get("client_id", request.unverified_claims.get("client_id"))
    if not isinstance(client_id, str) or not is_entity_identifier(client_id):
        return None
    client = client_authentication.find_client(
        client_id, Action.PUSH_AUTHORIZATION, proof=by_request_object(request), source=source, now=now
    )
    if client is None or not is_registered_automatically(client):
        return None
    check_gate(client, now)
    return client


def push_request(raw: Mapping[str, str], client: Client, *, now: datetime) -> tuple[str, int]:
    """Keep a pushed request of an authenticated client; return its request_uri and lifetime in seconds (RFC 9126, 2).

    Raises OAuthError: everything is answered to the client, who is the one that asked (PAR-04, -05, -13).
    """
    if "request_uri" in raw:
        raise InvalidRequest("request_uri cannot be pushed.", members=("request_uri",))
    signed = "request" in raw
    if signed:
        raw = open_request_object(read_request_object(raw["request"]), {"client_id": client.client_id}, client, now=now)
    if raw.get("client_id", client.client_id) != client.client_id:
        raise InvalidRequest("client_id differs from the authenticated client.", members=("client_id",))
    try:
        proven = check_request(raw, client, AuthorizationRequest.Origin.PUSHED, signed=signed, now=now)
    except RefusedAfterProof as refusal:
        raise refusal.error from refusal
    _check_quota(client, now)
    handle = random_credential("par")
    AuthorizationRequest.objects.create(
        application=client,
        origin=proven.origin,
        signed=proven.signed,
        parameters=proven.parameters.as_json(),
        digest=keyed_digest(handle, _PURPOSE),
        created=now,
        expires=now + PUSHED_LIFETIME,
    )
    return REQUEST_URI_PREFIX + handle, int(PUSHED_LIFETIME.total_seconds())


def _check_quota(client: Client, now: datetime) -> None:
    """Refuse a client that keeps pushing what nobody follows (PAR-16). Anybody can push for a public one; addresses are counted there."""
    if client.client_type == Client.CLIENT_PUBLIC:
        return
    waiting = AuthorizationRequest.objects.filter(application=client, created__gt=now - PUSHED_LIFETIME, consumed_at=None)
    if waiting.exclude(digest="").count() >= PUSHED_AT_ONCE:
        seconds = int(PUSHED_LIFETIME.total_seconds())
        raise TooManyRequests(f"This app has {PUSHED_AT_ONCE} pushed requests waiting; let some expire.", retry_after=seconds)


def find_pushed_request(raw: Mapping[str, str], *, now: datetime) -> AuthorizationRequest:
    """Return the pushed request that `raw` names; only client_id counts beside it (PAR-09, -10). Raises InvalidRequestUri.

    The URI is good for PUSHED_LIFETIME; who comes in time then has as long to answer as anybody.
    """
    handle = raw["request_uri"].removeprefix(REQUEST_URI_PREFIX)
    row = (
        AuthorizationRequest.objects.select_related("application__organization")
        .filter(digest=keyed_digest(handle, _PURPOSE), consumed_at=None)
        .first()
    )
    if row is None or row.application.client_id != raw.get("client_id") or not row.is_live or row.created + PUSHED_LIFETIME <= now:
        raise InvalidRequestUri(members=("request_uri",))
    AuthorizationRequest.objects.filter(pk=row.pk).update(expires=now + ANSWER_LIFETIME)
    return row


def is_pushed(raw: Mapping[str, str]) -> bool:
    """Say whether a request names one that was pushed here."""
    return raw.get("request_uri", "").startswith(REQUEST_URI_PREFIX) and "request" not in raw
