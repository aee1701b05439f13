"""From a resolution that established trust to a client of the right organization, in one transaction; automatic and explicit alike.

The federation's rules come first, then our own (house decision 7). What each of them changed is kept side by side with the chain.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

import structlog
from django.db import IntegrityError, transaction

from federation.client_documents import ClientDocument, Way, build_client_document
from federation.core.protocol_keys import get_protocol_keys
from federation.core.resolution import Resolution
from federation.core.resolver import Resolver
from federation.core.statements import parse_entity_statement
from federation.core.trust_chains import ResolvedMetadata, TrustChain
from federation.fetched_keys import keys_of_strangers
from federation.lookups import check_trust
from federation.mark_entitlements import MarkReview, entitle_by_marks, review_marks
from federation.models import FederationRecord, RegistrationRequest, TrustMarkRule
from federation.organizations import OrganizationUnknown, organization_for, queue_entity
from federation.scheduling import next_check
from protocol.constants import TRUST_CHAIN_HEADER_LIMIT
from protocol.errors import (
    AccessDenied,
    FetchError,
    InvalidKeySet,
    InvalidMetadata,
    MetadataRefused,
    TemporarilyUnavailable,
    TransitionRefused,
)
from protocol.jose import FEDERATION_ENTITY_KEYS, KeySet, VerificationBudget, parse_jwk_set_once
from protocol.urls import fold_entity_identifier
from registry import audit
from registry.actors import Actor, federation_entity
from registry.client_metadata.wire import error_for_findings
from registry.lifecycle import Assessment, TrustedMetadata, confirm_trust, register_trusted_client
from registry.models import Client, Organization
from registry.policies import Policies, get_policies
from registry.registration_policy import Decision

log = structlog.get_logger(__name__)

Result = TypeVar("Result")
SOURCES: Final = {Way.AUTOMATIC: Client.Source.FEDERATION_AUTOMATIC, Way.EXPLICIT: Client.Source.FEDERATION_EXPLICIT}


@dataclass(frozen=True, slots=True)
class Candidate:
    """A trusted entity on its way to be a client: the resolution, what it registers with, its keys, and what its trust marks say."""

    resolution: Resolution
    chain: TrustChain
    document: ClientDocument
    keys: KeySet | None
    marks: MarkReview
    way: Way

    @property
    def trusted(self) -> TrustedMetadata:
        """Return what the lifecycle needs."""
        declared = {name: value for name, value in self.document.declared.items() if value is not None}
        return TrustedMetadata(declared, self.document.document, as_time(self.chain.expires_at))


def as_time(seconds: int) -> datetime:
    """Return the moment of seconds since 1970."""
    return datetime.fromtimestamp(seconds, UTC)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is needed around a resolution, read from the database once: then any number of threads can prepare candidates."""

    resolver: Resolver
    mark_rules: tuple[TrustMarkRule, ...]
    policies: Policies
    for_stranger: bool = False


def read_surroundings(resolver: Resolver, *, for_stranger: bool = False) -> Surroundings:
    """Return what is around a resolution; two queries. `for_stranger` says that anybody can make us do it, so keys are remembered."""
    return Surroundings(resolver, tuple(TrustMarkRule.objects.filter(is_enabled=True)), get_policies(), for_stranger)


def prepare(resolution: Resolution, way: Way, around: Surroundings, organization: Organization | None = None) -> Candidate:
    """Return the candidate of a resolution; its signed keys and the status of its trust marks are fetched here. No query.

    Raises TrustNotEstablished, InvalidMetadata, TemporarilyUnavailable.
    """
    chain = check_trust(resolution).chain
    if chain is None:
        raise ValueError("trust without a chain")
    policy = around.policies.of(organization.pk if organization else None)
    document = build_client_document(resolution, way, default_scopes=policy.federation_default_scopes)
    keys, decisions = None, document.decisions
    if "signed_jwks_uri" in document.document:
        keys, decision = _take_signed_keys(document, chain, around)
        decisions = (*decisions, decision)
    marks = review_marks(chain, around.resolver, around.mark_rules)
    return Candidate(resolution, chain, replace(document, decisions=decisions), keys, marks, way)


def _take_signed_keys(document: ClientDocument, chain: TrustChain, around: Surroundings) -> tuple[KeySet, Decision]:
    """Fetch the keys behind signed_jwks_uri and register them by value, since only a chain says who may sign them (FED-JWK-02 to -06)."""
    uri = document.document["signed_jwks_uri"]
    keys = _fetch_keys({"signed_jwks_uri": uri}, chain, around)
    del document.document["signed_jwks_uri"]
    document.document["jwks"] = keys.public_jwks()
    sentence = "The signed keys were fetched and are registered by value; they are fetched again with every check."
    return keys, Decision("signed_jwks_uri", "replaced", uri, None, "federation.signed_keys", sentence)


def _fetch_keys(metadata: Mapping[str, Any], chain: TrustChain, around: Surroundings) -> KeySet:
    subject, now, fetcher = chain.subject, int(around.resolver.clock()), around.resolver.fetcher

    def fetch() -> KeySet:
        return get_protocol_keys(metadata, subject.subject, subject.keys, fetcher, now=now, budget=VerificationBudget())

    uri = metadata.get("signed_jwks_uri") or metadata.get("jwks_uri")
    try:
        remembered = around.for_stranger and isinstance(uri, str) and "jwks" not in metadata
        return keys_of_strangers.get((subject.subject, str(uri)), fetch) if remembered else fetch()
    except FetchError as error:
        raise TemporarilyUnavailable(f"The keys of the entity cannot be fetched: {error.description}", detail=error.detail) from error
    except InvalidKeySet as error:
        raise InvalidMetadata(f"The keys of the entity cannot be used: {error.description}", members=("jwks",)) from error


def protocol_keys_of(candidate: Candidate, around: Surroundings) -> KeySet:
    """Return the keys that the entity signs requests with: those of its resolved metadata, never its federation keys (FED-AUT-27).

    Raises InvalidMetadata, TemporarilyUnavailable.
    """
    return candidate.keys or _fetch_keys(candidate.document.document, candidate.chain, around)


def register(candidate: Candidate, *, then: Callable[[Client], Result], now: datetime) -> Result:
    """Make the candidate a client, or renew the client that it is, with exactly what both policies leave standing.

    Returns what `then` makes of it in the same transaction.

    Raises AccessDenied when the organization or its limit refuses; for metadata that our rules refuse InvalidMetadata, or OAuthError of
    RFC 7591 when it registers explicitly. Nothing is half written. An entity without organization is kept for staff where its anchor's
    rule says so.
    """
    entity_id = candidate.chain.subject.subject
    actor = federation_entity(entity_id)
    try:
        with transaction.atomic():
            return then(_write(candidate, entity_id, actor, now))
    except OrganizationUnknown as error:
        if error.for_staff and queue_entity(candidate.resolution, actor, now=now).state == RegistrationRequest.State.DISMISSED:
            raise OrganizationUnknown(for_staff=False) from error
        raise
    except MetadataRefused as error:
        refusal = error_for_findings(error.findings)
        if candidate.way is Way.AUTOMATIC:  # an authorization server says invalid_metadata (FED-AUT-35)
            raise InvalidMetadata(refusal.description, members=refusal.members) from error
        raise refusal from error
    except TransitionRefused as error:
        raise AccessDenied(error.description, detail=error.reason) from error
    except IntegrityError:
        raise AccessDenied("Another entity is registered whose identifier differs only in spelling.", detail="identifier twin") from None


def _write(candidate: Candidate, entity_id: str, actor: Actor, now: datetime) -> Client:
    known = Client.objects.select_related("organization").filter(client_id=entity_id).first()
    source = SOURCES[candidate.way]
    if known is None:
        _check_twins(entity_id)
        organization = organization_for(candidate.resolution, actor, now=now)
        client, assessment = register_trusted_client(actor, organization, entity_id, source, candidate.trusted, now=now)
    elif known.source not in SOURCES.values():
        raise AccessDenied("This client was registered in another way.", detail="other source")
    else:
        client, assessment = confirm_trust(known, actor, candidate.trusted, now=now, source=source)
    keep_record(client, candidate, assessment, now=now)
    return client


def _check_twins(entity_id: str) -> None:
    """Refuse an identifier that differs from a known entity's only in spelling (threats.md T03)."""
    if FederationRecord.objects.filter(twin_digest=twin_digest(entity_id)).exclude(entity_id=entity_id).exists():
        raise AccessDenied("Another entity is registered whose identifier differs only in spelling.", detail="identifier twin")


def twin_digest(entity_id: str) -> str:
    """Return the SHA-256 of what all twins of an identifier share."""
    return hashlib.sha256(fold_entity_identifier(entity_id).encode()).hexdigest()


def keep_record(client: Client, candidate: Candidate, assessment: Assessment, *, now: datetime) -> FederationRecord:
    """Keep the chain behind a client, what the rules changed, and its entitlements by trust marks, inside the caller's transaction."""
    values = record_values(candidate, assessment.decisions, now=now)
    values["registration_ends"] = as_time(candidate.chain.expires_at) if candidate.way is Way.EXPLICIT else None
    entity_id = candidate.chain.subject.subject
    known = FederationRecord.objects.filter(client=client).first()
    if known is not None and (replaced := replaced_keys(known, candidate.chain)):
        note_replaced_keys(client, replaced, federation_entity(entity_id))
    created = {**values, "entity_id": entity_id, "twin_digest": twin_digest(entity_id), "registered_at": now}
    record, _ = FederationRecord.objects.update_or_create(client=client, defaults=values, create_defaults=created)
    entitle_by_marks(client, candidate.marks)
    return record


def registered_last(record: FederationRecord) -> datetime:
    """Return when an explicit registration was made that counts now: when the configuration was signed that asked for it.

    Checks keep that configuration, and they leave `registered_at` as it was the first time.
    """
    if not record.statements:
        return record.registered_at
    statement = parse_entity_statement(record.statements[0], max_length=TRUST_CHAIN_HEADER_LIMIT)
    return max(record.registered_at, as_time(int(statement.jwt.unverified_claims["iat"])))


Kids = list[list[str]]


def replaced_keys(record: FederationRecord, chain: TrustChain) -> Kids | None:
    """Return the names of the federation keys before and now when none of those from the last look is left, else None (threats.md T10)."""
    statement = parse_entity_statement(record.statements[0], max_length=TRUST_CHAIN_HEADER_LIMIT)
    before, after = parse_jwk_set_once(statement.jwt.unverified_claims["jwks"], purpose=FEDERATION_ENTITY_KEYS), chain.subject.keys
    if not {key.thumbprint for key in before.keys}.isdisjoint(key.thumbprint for key in after.keys):
        return None
    return [[str(key.kid) for key in keys.keys] for keys in (before, after)]


def note_replaced_keys(client: Client, kids: Kids, actor: Actor) -> None:
    """Write to the trail and the log that an entity exchanged all its federation keys at once.

    Its superiors vouch for the new ones, so it stays trusted; but a host that changed hands looks like this, and people should know.
    """
    audit.record(actor, "entity.keys_replaced", client, organization=client.organization, difference={"kids": kids})
    log.warning("entity_keys_replaced", entity_id=client.client_id, before=kids[0], after=kids[1])


def record_values(candidate: Candidate, local: Iterable[Decision], *, now: datetime) -> dict[str, Any]:
    """Return what a record says after a check that confirmed the trust."""
    chain = candidate.chain
    return {
        "entity_type": candidate.document.entity_type,
        "anchor": chain.anchor_id,
        "superior": chain.entities[1] if len(chain.entities) > 1 else chain.anchor_id,
        "entities": list(chain.entities),
        "statements": list(chain.raw),
        "resolved_metadata": dict(candidate.document.resolved),
        "changes": list_changes(candidate.resolution.metadata, candidate.document.entity_type, (*candidate.document.decisions, *local)),
        "trust_marks": [verdict.as_json() for verdict in candidate.marks.verdicts],
        "checked_at": now,
        "next_check_at": next_check(as_time(chain.expires_at), now),
        "misses": 0,
        "failure": None,
        "lease": "",
        "leased_until": None,
    }


def list_changes(metadata: ResolvedMetadata | None, entity_type: str, decisions: Iterable[Decision]) -> list[Mapping[str, Any]]:
    """Return what the federation's rules changed and what ours did, as records keep it and pages show it."""
    return [*_federation_changes(metadata, entity_type), *(_local_change(made) for made in decisions)]


def _federation_changes(metadata: ResolvedMetadata | None, entity_type: str) -> Iterable[Mapping[str, Any]]:
    for change in metadata.changes if metadata else ():
        if change.entity_type == entity_type:
            rule = ", ".join(change.operators) or "metadata"
            yield {
                "by": "federation", "member": change.parameter, "before": change.declared, "after": change.resolved,
                "rule": rule, "set_by": list(change.set_by),
            }  # fmt: skip


def _local_change(made: Decision) -> Mapping[str, Any]:
    return {"by": "server", **asdict(made)}
