"""Explicit registration: an entity posts its configuration and gets a signed answer (OpenID Federation 1.0, 12.2)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from federation.client_documents import Way
from federation.core.resolution import Resolution
from federation.core.statements import EntityConfiguration, UnverifiedStatement, parse_entity_statement, verify_entity_configuration
from federation.lookups import TrustNotEstablished, keep_unread, look_up
from federation.models import FederationRecord
from federation.own_entity import own_entity_id, sign_as_entity
from federation.registration import as_time, prepare, read_surroundings, register
from federation.resolving import get_resolver
from protocol.constants import CLOCK_LEEWAY, EXPLICIT_REGISTRATION_RESPONSE_TYPE, TRUST_CHAIN_HEADER_LIMIT
from protocol.errors import InvalidClient, InvalidJson, InvalidRequest, InvalidTrustChain, ProtocolError, SignatureInvalid
from protocol.jose import VerificationBudget
from protocol.strict_json import parse_strict_json
from registry.actors import federation_entity
from registry.credentials import create_secret
from registry.models import Client
from registry.single_use import use_once

CONFIGURATION: Final = "application/entity-statement+jwt"
CHAIN: Final = "application/trust-chain+json"
MEDIA_TYPES: Final = (CONFIGURATION, CHAIN)


@dataclass(frozen=True, slots=True)
class RegistrationBody:
    """What was posted: the entity's configuration, and where the chains that came with it end; they are only hints."""

    statement: UnverifiedStatement
    anchors: frozenset[str]


@dataclass(frozen=True, slots=True)
class Registered:
    """A client with the secret that was made for it, if its method needs one, and its resolved metadata of other entity types."""

    client: Client
    secret: str | None
    other_metadata: Mapping[str, Mapping[str, Any]]


@contextmanager
def _refusals_kept(statement: UnverifiedStatement, source: str, now: datetime) -> Iterator[None]:
    """Keep for staff why a registration is refused inside the with block, where nothing was looked up yet."""
    try:
        yield
    except ProtocolError as error:
        keep_unread(statement.unverified_subject, error, source=source, now=now)
        raise


def read_registration(body: bytes, media_type: str, *, source: str, now: datetime) -> RegistrationBody:
    """Return what was posted, by its media type (FED-EXP-02, -03, -06, -07, -09). Raises InvalidRequest, StatementInvalid."""
    chain: Sequence[Any] = ()
    if media_type == CHAIN:
        chain = _read_chain(body)
        statement = parse_entity_statement(chain[0], max_length=TRUST_CHAIN_HEADER_LIMIT)
    else:
        statement = parse_entity_statement(body, max_length=TRUST_CHAIN_HEADER_LIMIT)
    with _refusals_kept(statement, source, now):
        return RegistrationBody(statement, _read_anchors(statement, chain))


def _read_anchors(statement: UnverifiedStatement, chain: Sequence[Any]) -> frozenset[str]:
    """Return where the chains end that came with a statement. Raises InvalidRequest, StatementInvalid."""
    header = statement.jwt.unverified_header
    if chain and "peer_trust_chain" in header:
        raise InvalidRequest("peer_trust_chain does not go with a chain as body.", members=("peer_trust_chain",))
    if "peer_trust_chain" in header and _subject_of(header["peer_trust_chain"]) != own_entity_id():
        raise InvalidTrustChain("peer_trust_chain does not begin at this server.", members=("peer_trust_chain",))
    chains = [chain, *(header[name] for name in ("trust_chain", "peer_trust_chain") if name in header)]
    return frozenset(_end_of(found) for found in chains if found)


def _read_chain(body: bytes) -> list[str]:
    try:
        chain = parse_strict_json(body, max_bytes=TRUST_CHAIN_HEADER_LIMIT)
    except InvalidJson as error:
        raise InvalidRequest(f"The body is no JSON array of statements. {error.description}") from error
    if not isinstance(chain, list) or not chain or not all(isinstance(entry, str) for entry in chain):
        raise InvalidRequest("The body is no JSON array of statements.")
    return chain


def _subject_of(chain: object) -> str:
    """Return whom a chain says that it is about (FED-EXP-14)."""
    return _read_end(chain, 0).unverified_subject


def _end_of(chain: object) -> str:
    """Return where a chain says that it ends. It is a hint, and is compared with the anchor that was reached (FED-EXP-24)."""
    return _read_end(chain, -1).unverified_issuer


def _read_end(chain: object, position: int) -> UnverifiedStatement:
    if not isinstance(chain, list) or not chain or not isinstance(chain[position], str):
        raise InvalidTrustChain("A trust chain is an array of statements.")
    return parse_entity_statement(chain[position])


def register_explicitly(posted: RegistrationBody, *, source: str, now: datetime) -> Registered:
    """Register the entity that posted its configuration, or renew and replace its registration (FED-EXP-10 to -21).

    Every chain is built here, from the configuration's authority hints; the metadata is the posted one. Raises InvalidClient when the
    request is not signed by keys that the federation vouches for, FederationError for trust that is not established, AccessDenied when
    the organization or a rule refuses, OAuthError of RFC 7591 for metadata that our rules refuse.
    """
    with _refusals_kept(posted.statement, source, now):
        if len(posted.anchors) > 1:
            raise InvalidTrustChain("The chains of this request do not end at the same trust anchor.")
        configuration = _verify(posted.statement, now)
    only_anchor = next(iter(posted.anchors), None)

    def work() -> Registered:
        around = read_surroundings(get_resolver(only_anchor), for_stranger=True)
        # Who was here before is looked at past the caches: they would bring back whom a superior has expelled since.
        known = FederationRecord.objects.filter(entity_id=configuration.subject).exists()
        resolution = around.resolver.resolve(configuration.subject, posted=configuration, past_caches=known)
        _check_signer(resolution)
        candidate = prepare(resolution, Way.EXPLICIT, around)
        metadata = resolution.metadata.metadata if resolution.metadata else {}
        others = {name: values for name, values in metadata.items() if name != candidate.document.entity_type}
        return register(candidate, now=now, then=lambda client: Registered(client, _make_secret(client, configuration, now=now), others))

    def find() -> Registered | None:  # each registration is one of its own: none is answered with another's
        return None

    # What fails here may have been sent by anybody in the entity's name: it is not held against the entity.
    return look_up(configuration.subject, find, work, source=source, now=now, remembers=False)


def _verify(statement: UnverifiedStatement, now: datetime) -> EntityConfiguration:
    """Verify the posted configuration by its own keys. Raises InvalidClient for its signature, StatementInvalid for anything else."""
    try:
        return verify_entity_configuration(
            statement, statement.unverified_subject, now=int(now.timestamp()), budget=VerificationBudget(), audience=own_entity_id()
        )
    except SignatureInvalid as error:
        raise InvalidClient(f"The entity configuration is not signed by its own key: {error.description}", detail=error.reason) from error


def _check_signer(resolution: Resolution) -> None:
    """Refuse a request that is signed by keys which the superiors do not vouch for: somebody else may have sent it."""
    failure = resolution.failure
    if failure is None or failure.entity != resolution.entity_id:
        return
    if isinstance(failure.error, SignatureInvalid) and failure.error.reason == "superior_keys":
        refusal = InvalidClient(f"This request is not signed by keys that the federation vouches for. {failure.sentence}")
        refusal.extensions = TrustNotEstablished(failure).extensions
        raise refusal


def _make_secret(client: Client, configuration: EntityConfiguration, *, now: datetime) -> str | None:
    """Return a new secret if the client's method needs one; it ends with the registration, and those before end now (FED-EXP-15, -18).

    A request that was seen before gets none, so that nobody gets a secret by sending another's request again. Raises InvalidRequest.
    """
    if not client.uses_secret:
        return None
    digest, ends = hashlib.sha256(configuration.raw.encode()).hexdigest(), as_time(configuration.expires_at + CLOCK_LEEWAY)
    if not use_once("explicit_registration", client.client_id, digest, expires_at=ends):
        raise InvalidRequest("This entity configuration was used for a registration before; sign a new one.")
    actor = federation_entity(client.client_id)
    return create_secret(client, actor, now=now, label="federation", end_others_at=now, expires_at=client.trust_expires_at).value


def issue_registration_response(registered: Registered, *, now: datetime) -> str:
    """Return the signed answer to an explicit registration (12.2.3; FED-EXP-22 to -27)."""
    client = registered.client
    record = FederationRecord.objects.get(client=client)
    ends = client.trust_expires_at or now
    issued_at = int(record.registered_at.timestamp())
    metadata: dict[str, Any] = {**client.metadata, "client_id": client.client_id, "client_id_issued_at": issued_at}
    if registered.secret is not None:
        metadata |= {"client_secret": registered.secret, "client_secret_expires_at": int(ends.timestamp())}
    claims = {
        "iss": own_entity_id(),
        "sub": record.entity_id,
        "aud": record.entity_id,
        "iat": int(now.timestamp()),
        "exp": int(ends.timestamp()),
        "trust_anchor": record.anchor,
        "authority_hints": [record.superior],
        "metadata": {**registered.other_metadata, record.entity_type: metadata},
    }
    return sign_as_entity(claims, EXPLICIT_REGISTRATION_RESPONSE_TYPE)
