"""Automatic registration: an entity becomes a client by a request that it signed (OpenID Federation 1.0, 12.1).

Nothing is fetched for a request that does not look signed by the entity, and nothing is written before its signature verified with keys
of the resolved metadata (FED-AUT-05, -27; threats.md T11).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from federation.checking import force_check
from federation.client_documents import OAUTH_CLIENT, Way
from federation.core.resolution import Resolution
from federation.core.resolver import RELYING_PARTY_TYPES, Resolver
from federation.core.statement_cache import DEFAULT_MAX_AGE
from federation.lookups import TrustNotEstablished, check_trust, look_up
from federation.models import TrustAnchorRecord
from federation.own_entity import own_entity_id
from federation.registration import SOURCES, prepare, protocol_keys_of, read_surroundings, register
from federation.resolving import get_resolver
from protocol.constants import CLOCK_LEEWAY
from protocol.errors import (
    AccessDenied,
    InvalidClient,
    InvalidJwt,
    InvalidRequestObject,
    InvalidTrustChain,
    InvalidUrl,
    NotFound,
    OAuthError,
)
from protocol.jose import UnverifiedJwt, Verifier, validate_unverified, verify_jwt
from protocol.jose.purposes import FEDERATION_CLIENT_ASSERTION, FEDERATION_REQUEST_OBJECT
from protocol.urls import parse_entity_identifier
from registry.gate import Action, client_may_act
from registry.models import Client

# A supplied chain stands in for fetching only while it is as fresh as what would be kept anyway (threats.md T08).
SUPPLIED_CHAIN_AGE: Final = DEFAULT_MAX_AGE


@dataclass(frozen=True, slots=True)
class Proof:
    """What a request brings to prove that its sender has the entity's keys: a request object or a client assertion, not verified yet.

    `token_endpoint` is where it came, if its address may be the audience.
    """

    parameter: str
    verifier: Verifier
    jwt: UnverifiedJwt
    token_endpoint: str = ""

    def audience_for(self, known: Client | None) -> str:
        """Return the audience that it must have: our entity identifier and no other (FED-AUT-09, -29).

        A client that registered automatically may name the token endpoint there, also when its trust has to be looked at again.
        """
        own, named = own_entity_id(), self.jwt.unverified_claims.get("aud")
        if self.token_endpoint and named == self.token_endpoint and known is not None and is_registered_automatically(known):
            return self.token_endpoint
        return own

    def refusal(self, error: InvalidJwt) -> OAuthError:
        """Return the error for what is wrong with the JWT."""
        kind = InvalidRequestObject if self.parameter == "request" else InvalidClient
        return kind(f"{self.parameter}: {error.description}", detail=error.reason, members=(self.parameter,))


def by_request_object(jwt: UnverifiedJwt) -> Proof:
    """Return the proof that a request object is."""
    return Proof("request", FEDERATION_REQUEST_OBJECT, jwt)


def by_client_assertion(jwt: UnverifiedJwt, *, token_endpoint: str = "") -> Proof:
    """Return the proof that a client assertion is; `token_endpoint` is given where it came there."""
    return Proof("client_assertion", FEDERATION_CLIENT_ASSERTION, jwt, token_endpoint)


def is_entity_identifier(client_id: str) -> bool:
    """Say whether a client identifier has the form of an entity identifier."""
    try:
        parse_entity_identifier(client_id)
    except InvalidUrl:
        return False
    return True


def is_registered_automatically(client: Client) -> bool:
    """Say whether a client became one by its own signed request, so that the stricter rules of 12.1.1 count for what it signs."""
    return client.source == Client.Source.FEDERATION_AUTOMATIC


def find_automatic_client(
    client_id: str, known: Client | None, proof: Proof | None, action: Action, *, source: str, now: datetime
) -> Client | None:
    """Return the client `client_id` as it may act now: `known`, or the entity of that name registered, or registered again.

    `known` is what the database has. A known client comes back as it is unless its trust ran out or broke; people's decisions are never
    undone. Raises OAuthError or FederationError that says why an entity could not be registered.
    """
    if known is not None and not _may_come_back(known, action, now):
        return known
    if not is_entity_identifier(client_id) or not TrustAnchorRecord.objects.filter(is_enabled=True).exists():
        return known
    if known is None and action is Action.TOKEN and proof is not None and "trust_chain" not in proof.jwt.unverified_header:
        return None  # nobody is discovered at the token endpoint
    if proof is None:
        if known is not None:
            return known
        raise InvalidClient(
            "An entity of a federation registers by a request that it signs: send a request object, or authenticate by private_key_jwt.",
            detail="unsigned request of an unknown entity",
            members=("request",),
        )
    try:
        validate_unverified(proof.verifier, proof.jwt, int(now.timestamp()), issuer=client_id, audience=proof.audience_for(known))
    except InvalidJwt as error:
        raise proof.refusal(error) from error
    except NotFound:  # we are no entity ourselves, so nobody can register with us so
        return known
    registering = _Registration(client_id, known, proof, action, now)
    try:
        return look_up(client_id, registering.find, registering.register, source=source, now=now)
    except TrustNotEstablished as error:
        raise error.for_client() from error


def _may_come_back(known: Client, action: Action, now: datetime) -> bool:
    """Say whether a new look at the trust of a client is all that is between it and acting.

    An explicit registration is renewed by its own endpoint; only where entities register by their requests it becomes an automatic one.
    """
    if known.source not in SOURCES.values() or known.state != Client.State.ACTIVE:
        return False
    if known.source == Client.Source.FEDERATION_EXPLICIT and action not in (Action.AUTHORIZE, Action.PUSH_AUTHORIZATION):
        return False
    verdict = client_may_act(known, action, now)
    return not verdict.allowed and verdict.reason.startswith("trust_")


@dataclass(frozen=True, slots=True)
class _Registration:
    """One entity on its way, by one request."""

    entity_id: str
    known: Client | None
    proof: Proof
    action: Action
    now: datetime

    def find(self) -> Client | None:
        """Return the client if another request brought it here meanwhile."""
        client = Client.objects.select_related("organization").filter(client_id=self.entity_id).first()
        return None if client is None or _may_come_back(client, self.action, self.now) else client

    def register(self) -> Client:
        """Resolve, verify the proof, register. Raises OAuthError or FederationError."""
        around = read_surroundings(get_resolver(), for_stranger=self.known is None)
        organization = self.known.organization if self.known else None
        candidate = prepare(self._resolve(around.resolver), Way.AUTOMATIC, around, organization)
        keys = protocol_keys_of(candidate, around)
        try:
            audience = self.proof.audience_for(self.known)
            verify_jwt(self.proof.verifier, self.proof.jwt, keys, int(self.now.timestamp()), issuer=self.entity_id, audience=audience)
        except InvalidJwt as error:
            raise self.proof.refusal(error) from error
        return register(candidate, then=lambda client: client, now=self.now)

    def _resolve(self, resolver: Resolver) -> Resolution:
        supplied = self._supplied(resolver)
        if self.action is Action.TOKEN and self.known is None:
            return _only_supplied(supplied)
        # What was lost comes back by a look of our own only: a chain from before would bring back whom a superior has expelled since.
        if supplied is not None and self.known is None and _is_fresh(supplied, self.now):
            return supplied
        return check_trust(resolver.resolve(self.entity_id, past_caches=self.known is not None))

    def _supplied(self, resolver: Resolver) -> Resolution | None:
        """Return what a chain in the header proves, validated in full; None without one or when it proves nothing (FED-AUT-23, -24).

        Raises InvalidTrustChain for a peer chain that does not fit (FED-AUT-20).
        """
        header, claims = self.proof.jwt.unverified_header, self.proof.jwt.unverified_claims
        chain = header.get("trust_chain", claims.get("trust_chain"))
        if not isinstance(chain, list) or not all(isinstance(entry, str) for entry in chain):
            return None
        types = (OAUTH_CLIENT,) if self.action is Action.TOKEN else RELYING_PARTY_TYPES
        found = resolver.resolve_supplied(chain, entity_types=types)
        if "peer_trust_chain" in header:
            _check_peer_chain(header["peer_trust_chain"], found, resolver)
        return found if found.ok and found.entity_id == self.entity_id else None


def check_chains_of(client: Client, header: Mapping[str, Any]) -> None:
    """Refuse a request of a registered entity that brings a peer chain which does not fit its own (FED-AUT-20).

    Its own chain is of no other use: the client is registered. Raises InvalidTrustChain.
    """
    if "peer_trust_chain" in header:
        resolver = get_resolver()
        found = resolver.resolve_supplied([entry for entry in header["trust_chain"] if isinstance(entry, str)], entity_types=())
        if found.entity_id != client.client_id:
            raise InvalidTrustChain("trust_chain is no valid chain of this entity.")
        _check_peer_chain(header["peer_trust_chain"], found, resolver)


def _check_peer_chain(peer: Sequence[Any], found: Resolution, resolver: Resolver) -> None:
    """Refuse a chain about us that is none, or that ends elsewhere than the entity's own (FED-AUT-20)."""
    ours = resolver.resolve_supplied([entry for entry in peer if isinstance(entry, str)], entity_types=())
    fits = ours.chain and found.chain and ours.entity_id == own_entity_id() and ours.chain.anchor_id == found.chain.anchor_id
    if not fits:
        raise InvalidTrustChain("peer_trust_chain is no valid chain from this server to the trust anchor of trust_chain.")


def _only_supplied(supplied: Resolution | None) -> Resolution:
    """Return a chain that came with a first token request, if its anchor lets machine clients register so; nothing is discovered here."""
    if supplied is None or supplied.chain is None:
        raise InvalidClient(
            "Unknown client. A machine client registers at the federation registration endpoint.", members=("client_assertion",)
        )
    if not TrustAnchorRecord.objects.filter(entity_id=supplied.chain.anchor_id, registers_at_token_endpoint=True).exists():
        raise AccessDenied("Clients below this trust anchor register at the federation registration endpoint.")
    return supplied


def _is_fresh(supplied: Resolution, now: datetime) -> bool:
    chain = supplied.chain
    if chain is None:
        return False
    oldest = min(statement.issued_at for statement in (chain.subject, *chain.statements))
    return oldest >= now.timestamp() - SUPPLIED_CHAIN_AGE - CLOCK_LEEWAY


def refresh_for_unknown_key(client: Client, *, now: datetime) -> Client:
    """Look at a client's federation again because it signs with a key that is not known; at most every 30 seconds (threats.md F13).

    Returns the client as it is then.
    """
    if force_check(client, now=now) is None:
        return client
    return Client.objects.select_related("organization").get(pk=client.pk)
