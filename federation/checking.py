"""Looking at the trust of registered clients again, and what follows from it (threats.md 3.2; house decision 10)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum
from typing import Final

from django.db import transaction
from django.db.models import Q

from federation.client_documents import Way
from federation.core.resolution import Failure, FailureClass, Fixer, StepNumber
from federation.core.statements import EntityConfiguration, parse_entity_statement, verify_entity_configuration
from federation.lookups import TrustNotEstablished, failure_as_json, forget_lookup
from federation.mark_entitlements import entitle_by_marks
from federation.models import FederationRecord
from federation.own_entity import own_entity_id
from federation.registration import Candidate, Surroundings, note_replaced_keys, prepare, read_surroundings, record_values, replaced_keys
from federation.resolving import get_resolver
from federation.scheduling import next_check_of_broken, next_look_in_doubt, next_retry
from protocol.constants import TRUST_CHAIN_HEADER_LIMIT
from protocol.errors import FederationError, InvalidMetadata, MetadataRefused, StatementInvalid, TemporarilyUnavailable, TransitionRefused
from protocol.jose import VerificationBudget
from registry.actors import Actor, federation_entity
from registry.client_metadata.wire import error_for_findings
from registry.lifecycle import TrustedMetadata, confirm_trust, keep_trust, lose_trust
from registry.models import Client
from registry.transitions import DEVELOPER, OPERATOR, OWNER

FORCED_CHECK_EVERY: Final = timedelta(seconds=30)


class Outcome(Enum):
    """What a check came to."""

    UNCHANGED = "unchanged"
    UPDATED = "updated"
    REVIVED = "revived"
    STALE = "stale"
    SUSPECT = "suspect"
    BROKEN = "broken"


_AFTER_LOSS: Final = {"miss": Outcome.STALE, "doubt": Outcome.SUSPECT, "break": Outcome.BROKEN}


@dataclass(frozen=True, slots=True)
class Check:
    """What one look at a client's federation found: a candidate, or why there is none."""

    record: FederationRecord
    candidate: Candidate | None = None
    failure: Failure | None = None


def check_client(record: FederationRecord, *, now: datetime) -> Outcome:
    """Look at one client's trust now, past all caches, and write what follows."""
    forget_lookup(record.entity_id)
    return settle(look_again(record, read_surroundings(get_resolver()), past_caches=True), now=now)


def force_check(client: Client, *, now: datetime) -> Outcome | None:
    """Look at a client's trust now; None, without a look, when somebody else forced one less than 30 seconds ago (threats.md F13)."""
    due = Q(forced_at=None) | Q(forced_at__lte=now - FORCED_CHECK_EVERY)
    if not FederationRecord.objects.filter(due, client=client).update(forced_at=now):
        return None
    return check_client(FederationRecord.objects.select_related("client__organization").get(client=client), now=now)


def check_again(client: Client, actor: Actor, *, now: datetime) -> Outcome:
    """Look at a client's trust now because a person asks for it. Raises TransitionRefused with reason permission, source, state or wait."""
    if not actor.has_role(client.organization, OWNER, DEVELOPER, OPERATOR):
        raise TransitionRefused("permission", "Only an owner or a developer may have the trust of an app checked.")
    if not FederationRecord.objects.filter(client=client).exists():
        raise TransitionRefused("source", "This app was not registered by a federation; there is no trust chain to check.")
    if client.state == Client.State.CLOSED:
        raise TransitionRefused("state", "This app is closed; its trust is not checked any more.")
    outcome = force_check(client, now=now)
    if outcome is None:
        seconds = int(FORCED_CHECK_EVERY.total_seconds())
        raise TransitionRefused("wait", f"It was checked less than {seconds} seconds ago; the result is below. Try again in a moment.")
    return outcome


def look_again(record: FederationRecord, around: Surroundings, *, past_caches: bool = False) -> Check:
    """Resolve the entity of a record as it was registered. `record` comes with its client and organization; nothing is written."""
    way = Way.EXPLICIT if record.client.source == Client.Source.FEDERATION_EXPLICIT else Way.AUTOMATIC
    try:
        posted = _posted_configuration(record, int(around.resolver.clock())) if way is Way.EXPLICIT else None
        resolution = around.resolver.resolve(record.entity_id, past_caches=past_caches, posted=posted)
        candidate = prepare(resolution, way, around, record.client.organization)
    except TrustNotEstablished as error:
        return Check(record, failure=error.failure)
    except FederationError as error:
        return Check(record, failure=_failure_beyond_the_chain(record, error))
    return Check(record, candidate)


def _posted_configuration(record: FederationRecord, now: int) -> EntityConfiguration:
    """Return the configuration that an explicit registration was made with, verified again. Raises StatementInvalid."""
    statement = parse_entity_statement(record.statements[0], max_length=TRUST_CHAIN_HEADER_LIMIT)
    return verify_entity_configuration(statement, record.entity_id, now=now, budget=VerificationBudget(), audience=own_entity_id())


def _failure_beyond_the_chain(record: FederationRecord, error: FederationError) -> Failure:
    """Return the failure for what is wrong with a registration whose chain is not: its own statement, its keys or its metadata."""
    if isinstance(error, TemporarilyUnavailable):
        return _failure(record, StepNumber.LOCAL_RULES, Fixer.NOBODY, FailureClass.TRANSIENT, error)
    step = StepNumber.VERIFY_CONFIGURATION if isinstance(error, StatementInvalid) else StepNumber.LOCAL_RULES
    return _failure(record, step, Fixer.PARTNER, FailureClass.SIGNED_NEGATIVE, error)


def _failure(record: FederationRecord, step: StepNumber, fixer: Fixer, kind: FailureClass, error: FederationError) -> Failure:
    return Failure(step, record.entity_id, error.description, fixer, kind, error, error.detail)


def failure_of_ours(record: FederationRecord) -> Failure:
    """Return the failure for a fault of this server, which says nothing about the entity."""
    error = TemporarilyUnavailable("This server could not look at the entity. Our staff are told.")
    return _failure(record, StepNumber.FETCH_CONFIGURATION, Fixer.STAFF, FailureClass.TRANSIENT, error)


def settle(check: Check, *, now: datetime) -> Outcome:
    """Write what follows from a check, in one transaction: trust, metadata, tokens, audit trail, and when to look again."""
    with transaction.atomic():
        record = FederationRecord.objects.select_for_update(of=("self",)).select_related("client__organization").get(pk=check.record.pk)
        actor = federation_entity(record.entity_id)
        if record.client.state == Client.State.CLOSED:  # since it was taken: what people closed is not looked at again
            FederationRecord.objects.filter(pk=record.pk).update(next_check_at=None, lease="", leased_until=None)
            return Outcome.UNCHANGED
        if check.candidate is not None:
            try:
                with transaction.atomic():
                    return _confirm(record, check.candidate, actor, now)
            except MetadataRefused as error:
                if record.client.trust != Client.Trust.BROKEN and dict(check.candidate.document.resolved) == record.resolved_metadata:
                    return _keep(record, check.candidate, actor, now)
                return _lose(record, _refused_by_our_rules(record, error), actor, now)
        if check.failure is None:
            raise ValueError("a check found neither a candidate nor a failure")
        return _lose(record, check.failure, actor, now)


def _refused_by_our_rules(record: FederationRecord, error: MetadataRefused) -> Failure:
    found = error_for_findings(error.findings)
    refusal = InvalidMetadata(f"Our own rules refuse what the federation left standing. {found.description}"[:2000])
    return _failure(record, StepNumber.LOCAL_RULES, Fixer.PARTNER, FailureClass.SIGNED_NEGATIVE, refusal)


def _keep(record: FederationRecord, candidate: Candidate, actor: Actor, now: datetime) -> Outcome:
    """Leave a client as it is registered whose federation says what it said: our own rules changed, and those give a time of grace.

    `registry.client_checks` tells its owners and suspends it when that is over.
    """
    client = keep_trust(record.client, actor, _trusted(record, candidate).expires_at)
    values = record_values(candidate, (), now=now)
    for name in values.keys() - {"changes", "trust_marks"}:
        setattr(record, name, values[name])
    record.client = client
    record.save()
    return Outcome.UNCHANGED


def _trusted(record: FederationRecord, candidate: Candidate) -> TrustedMetadata:
    trusted = candidate.trusted
    if record.registration_ends is None:
        return trusted
    # An explicit registration does not outlive its answer, whatever the chain says now.
    return replace(trusted, expires_at=min(trusted.expires_at, record.registration_ends))


def _confirm(record: FederationRecord, candidate: Candidate, actor: Actor, now: datetime) -> Outcome:
    before, was_lost = record.client.metadata, record.client.trust in (Client.Trust.SUSPECT, Client.Trust.BROKEN)
    trusted = _trusted(record, candidate)
    client, assessment = confirm_trust(record.client, actor, trusted, now=now)
    if replaced := replaced_keys(record, candidate.chain):
        note_replaced_keys(client, replaced, actor)
    for name, value in record_values(candidate, assessment.decisions, now=now).items():
        setattr(record, name, value)
    record.save()
    entitle_by_marks(client, candidate.marks)
    if was_lost:
        return Outcome.REVIVED
    return Outcome.UNCHANGED if before == client.metadata else Outcome.UPDATED


def _lose(record: FederationRecord, failure: Failure, actor: Actor, now: datetime) -> Outcome:
    misses = _count(record, failure)
    step, following = _what_follows(record, failure, misses, now)
    reason = f"{failure.sentence} Who can fix it: {failure.fixer.value}."
    client = lose_trust(record.client, step, actor, reason=reason)
    if client.trust == Client.Trust.BROKEN:
        following = next_check_of_broken(record.checked_at, now)
    record.misses, record.next_check_at = misses, following
    record.failure = {**failure_as_json(failure), "at": int(now.timestamp())}
    record.lease, record.leased_until = "", None
    record.save(update_fields=["misses", "failure", "next_check_at", "lease", "leased_until"])
    return _AFTER_LOSS[step] if client.trust != Client.Trust.BROKEN else Outcome.BROKEN


def _count(record: FederationRecord, failure: Failure) -> int:
    """Return how many checks in a row did not confirm the trust; of a client in doubt, only those that found a sign that it is gone."""
    if record.client.trust == Client.Trust.SUSPECT:
        return record.misses + (failure.failure_class is not FailureClass.TRANSIENT)
    first_sign = failure.failure_class is FailureClass.UNSIGNED_NEGATIVE and record.client.trust != Client.Trust.BROKEN
    return 1 if first_sign else record.misses + 1


def _what_follows(record: FederationRecord, failure: Failure, misses: int, now: datetime) -> tuple[str, datetime | None]:
    """Return the step of the trust table and when to look again, by the class of the evidence (threats.md 3.2)."""
    if failure.failure_class is FailureClass.TRANSIENT:
        return "miss", next_retry(misses, now, failure.error.retry_after)
    if failure.failure_class is FailureClass.UNSIGNED_NEGATIVE:
        looks = misses if record.client.trust == Client.Trust.SUSPECT else 1
        following = next_look_in_doubt(looks, now)
        return ("doubt", following) if following is not None else ("break", None)
    return "break", None
