"""Looking at the trust of registered clients again, and what follows from it (threats.md 3.2; house decision 10)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Any, Final

from django.db import transaction
from django.db.models import Q

from federation.client_documents import Way
from federation.core.resolution import FailureClass, Fixer, StepNumber
from federation.core.statements import EntityConfiguration, parse_entity_statement, verify_entity_configuration
from federation.lookups import TrustNotEstablished, forget_lookup
from federation.mark_entitlements import entitle_by_marks
from federation.models import FederationRecord
from federation.own_entity import own_entity_id
from federation.registration import Candidate, Surroundings, note_replaced_keys, prepare, read_surroundings, record_values
from federation.resolving import get_resolver
from federation.scheduling import next_check_of_broken, next_look_in_doubt, next_retry
from protocol.constants import TRUST_CHAIN_HEADER_LIMIT
from protocol.errors import FederationError, MetadataRefused, StatementInvalid, TemporarilyUnavailable, TransitionRefused
from protocol.jose import VerificationBudget
from registry.actors import Actor, federation_entity
from registry.lifecycle import confirm_trust, lose_trust
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
class Loss:
    """Why trust was not confirmed: the words for the record, what kind of evidence it is, and when to ask again if it says so."""

    told: dict[str, Any]
    failure_class: FailureClass
    retry_after: int | None = None

    @property
    def reason(self) -> str:
        """Return the sentence for the audit trail and the partner."""
        who = f" Who can fix it: {self.told['fixer']}." if self.told.get("fixer") else ""
        return f"{self.told['sentence']}{who}"


@dataclass(frozen=True, slots=True)
class Check:
    """What one look at a client's federation found: a candidate, or why there is none."""

    record: FederationRecord
    candidate: Candidate | None
    loss: Loss | None


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
        return Check(record, None, _loss_of_trust(error))
    except TemporarilyUnavailable as error:
        return Check(record, None, Loss(_told(record, error, Fixer.NOBODY), FailureClass.TRANSIENT, error.retry_after))
    except FederationError as error:
        return Check(record, None, Loss(_told(record, error, Fixer.PARTNER), FailureClass.SIGNED_NEGATIVE))
    return Check(record, candidate, None)


def _posted_configuration(record: FederationRecord, now: int) -> EntityConfiguration:
    """Return the configuration that an explicit registration was made with, verified again. Raises StatementInvalid."""
    statement = parse_entity_statement(record.statements[0], max_length=TRUST_CHAIN_HEADER_LIMIT)
    return verify_entity_configuration(statement, record.entity_id, now=now, budget=VerificationBudget(), audience=own_entity_id())


def _loss_of_trust(error: TrustNotEstablished) -> Loss:
    return Loss(error.kept, FailureClass(error.kept["class"]), error.retry_after)


def _told(record: FederationRecord, error: FederationError, fixer: Fixer) -> dict[str, Any]:
    """Return the words for what is wrong with metadata that the federation left standing."""
    step = StepNumber.VERIFY_CONFIGURATION if isinstance(error, StatementInvalid) else StepNumber.LOCAL_RULES
    return {
        "step": step.value,
        "title": "Our own rules on the result" if step is StepNumber.LOCAL_RULES else "The registration's own statement",
        "entity": record.entity_id,
        "sentence": error.description,
        "fixer": fixer.value,
        "class": FailureClass.SIGNED_NEGATIVE.value,
        "code": error.code,
        "status": error.status,
    }


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
                return _lose(record, _refused_by_our_rules(record, error), actor, now)
        if check.loss is None:
            raise ValueError("a check found neither a candidate nor a loss")
        return _lose(record, check.loss, actor, now)


def _refused_by_our_rules(record: FederationRecord, error: MetadataRefused) -> Loss:
    findings = " ".join(f"{finding.field}: {finding.sentence}" for finding in error.findings if finding.level == "error")
    told = {
        "step": StepNumber.LOCAL_RULES.value,
        "title": "Our own rules on the result",
        "entity": record.entity_id,
        "sentence": f"Our own rules refuse what the federation left standing. {findings}"[:2000],
        "fixer": Fixer.PARTNER.value,
        "class": FailureClass.SIGNED_NEGATIVE.value,
        "code": "invalid_metadata",
        "status": 400,
    }
    return Loss(told, FailureClass.SIGNED_NEGATIVE)


def _confirm(record: FederationRecord, candidate: Candidate, actor: Actor, now: datetime) -> Outcome:
    before, was_lost = record.client.metadata, record.client.trust in (Client.Trust.SUSPECT, Client.Trust.BROKEN)
    trusted = candidate.trusted
    if record.registration_ends is not None:  # an explicit registration does not outlive its answer, whatever the chain says now
        trusted = type(trusted)(trusted.declared, trusted.document, min(trusted.expires_at, record.registration_ends))
    client, assessment = confirm_trust(record.client, actor, trusted, now=now)
    note_replaced_keys(record, candidate.chain, actor)
    for name, value in record_values(candidate, assessment.decisions, now=now).items():
        setattr(record, name, value)
    record.save()
    entitle_by_marks(client, candidate.marks)
    if was_lost:
        return Outcome.REVIVED
    return Outcome.UNCHANGED if before == client.metadata else Outcome.UPDATED


def _lose(record: FederationRecord, loss: Loss, actor: Actor, now: datetime) -> Outcome:
    misses = _count(record, loss)
    step, following = _what_follows(record, loss, misses, now)
    client = lose_trust(record.client, step, actor, reason=loss.reason)
    if client.trust == Client.Trust.BROKEN:
        following = next_check_of_broken(record.checked_at, now)
    record.misses, record.next_check_at = misses, following
    record.failure = {**loss.told, "at": int(now.timestamp())}
    record.lease, record.leased_until = "", None
    record.save(update_fields=["misses", "failure", "next_check_at", "lease", "leased_until"])
    return _AFTER_LOSS[step] if client.trust != Client.Trust.BROKEN else Outcome.BROKEN


def _count(record: FederationRecord, loss: Loss) -> int:
    """Return how many checks in a row did not confirm the trust; of a client in doubt, only those that found a sign that it is gone."""
    if record.client.trust == Client.Trust.SUSPECT:
        return record.misses + (loss.failure_class is not FailureClass.TRANSIENT)
    first_sign = loss.failure_class is FailureClass.UNSIGNED_NEGATIVE and record.client.trust != Client.Trust.BROKEN
    return 1 if first_sign else record.misses + 1


def _what_follows(record: FederationRecord, loss: Loss, misses: int, now: datetime) -> tuple[str, datetime | None]:
    """Return the step of the trust table and when to look again, by the class of the evidence (threats.md 3.2)."""
    if loss.failure_class is FailureClass.TRANSIENT:
        return "miss", next_retry(misses, now, loss.retry_after)
    if loss.failure_class is FailureClass.UNSIGNED_NEGATIVE:
        looks = misses if record.client.trust == Client.Trust.SUSPECT else 1
        following = next_look_in_doubt(looks, now)
        return ("doubt", following) if following is not None else ("break", None)
    return "break", None
