"""Looking at what a trust anchor publishes, beside the keys that are pinned here (portal.md 4.5, trust anchor, "fetch now")."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Final

from federation.core.resolution import TITLES, StepNumber
from federation.core.resolver import configuration_url
from federation.core.statements import EntityConfiguration, parse_entity_statement, verify_entity_configuration
from federation.models import TrustAnchorRecord
from protocol.errors import FetchError, InvalidKeySet, StatementInvalid, TransitionRefused
from protocol.fetch import Fetcher, FetchPurpose, standard_request
from protocol.jose import FEDERATION_ENTITY_KEYS, KeySet, PublicKey, VerificationBudget, parse_jwk_set
from registry import audit
from registry.actors import Actor
from registry.models import AuditEvent
from registry.transitions import OPERATOR

FETCHED: Final = "trust_anchor.fetched"
_KEYS_NAMED: Final = 5
_KEY_NAME_LIMIT: Final = 64


class AnchorVerdict(Enum):
    """What a trust anchor publishes, as far as the pinned keys are concerned."""

    SAME = "same"
    CHANGED = "changed"
    NOT_PINNED = "not_pinned"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class AnchorReading:
    """What was found, in words, and the names of the keys that it publishes."""

    verdict: AnchorVerdict
    sentence: str
    published: tuple[str, ...] = ()


def read_anchor(anchor: TrustAnchorRecord, actor: Actor, fetcher: Fetcher, *, now: datetime) -> AnchorReading:
    """Fetch the configuration of `anchor` past every cache, and compare its keys with the pinned ones. Nothing but the event is written.

    Raises TransitionRefused with reason permission.
    """
    if not actor.has_role(None, OPERATOR):
        raise TransitionRefused("permission", "Only an operator may have a trust anchor fetched.")
    pinned = _pinned(anchor)
    reading = _read(anchor.entity_id, pinned, fetcher, now)
    kids = [[_name(key) for key in pinned.keys], list(reading.published)]
    audit.record(
        actor,
        FETCHED,
        anchor,
        organization=None,
        reason=reading.sentence,
        result="failed" if reading.verdict is AnchorVerdict.UNREADABLE else "ok",
        difference={"kids": kids} if reading.verdict in (AnchorVerdict.CHANGED, AnchorVerdict.NOT_PINNED) else {},
    )
    return reading


def last_reading(anchor: TrustAnchorRecord) -> AuditEvent | None:
    """Return when `anchor` was fetched last because somebody asked, and in its reason what was found. One query."""
    return AuditEvent.objects.filter(object_type=anchor._meta.model_name, object_id=str(anchor.pk), event=FETCHED).first()


def _read(entity_id: str, pinned: KeySet, fetcher: Fetcher, now: datetime) -> AnchorReading:
    try:
        answer = fetcher.fetch(standard_request(FetchPurpose.ENTITY_CONFIGURATION, configuration_url(entity_id), past_caches=True))
        statement = parse_entity_statement(answer.body)
        seconds, budget = int(now.timestamp()), VerificationBudget(1)
        configuration = verify_entity_configuration(statement, entity_id, now=seconds, budget=budget)
    except FetchError as error:
        return _unreadable(StepNumber.FETCH_CONFIGURATION, error.description)
    except StatementInvalid as error:
        return _unreadable(StepNumber.VERIFY_CONFIGURATION, error.description)
    return _compare(configuration, pinned)


def _pinned(anchor: TrustAnchorRecord) -> KeySet:
    try:
        return parse_jwk_set(anchor.jwks, purpose=FEDERATION_ENTITY_KEYS)
    except InvalidKeySet:
        return KeySet(())


def _unreadable(step: StepNumber, sentence: str) -> AnchorReading:
    return AnchorReading(AnchorVerdict.UNREADABLE, f"It cannot be read. Step {step.value}, {TITLES[step].lower()}: {sentence}")


def _compare(configuration: EntityConfiguration, pinned: KeySet) -> AnchorReading:
    published = tuple(_name(key) for key in configuration.keys.keys)
    announced, gone = _names_missing(configuration.keys, pinned), _names_missing(pinned, configuration.keys)
    sentences = []
    if announced:
        sentences.append(
            f"It announces {_keys(announced)}, not pinned here. Ask the federation by another way whether it is so,"
            " then pin old and new keys together."
        )
    if gone:
        sentences.append(f"It publishes no more {_keys(gone)}, pinned here. What is pinned still counts, until other keys are saved here.")
    if not configuration.is_signed_by(pinned, VerificationBudget(1)):
        signed = "It is signed with a key that is not pinned here, so that no chain can end at it now."
        return AnchorReading(AnchorVerdict.NOT_PINNED, " ".join([signed, *sentences]), published)
    if sentences:
        return AnchorReading(AnchorVerdict.CHANGED, " ".join(sentences), published)
    return AnchorReading(AnchorVerdict.SAME, "It publishes the keys that are pinned here, and no others.", published)


def _names_missing(keys: KeySet, others: KeySet) -> list[str]:
    """Return the names of those keys that are not among the others under the same name."""
    known = {(key.kid, key.thumbprint) for key in others.keys}
    return [_name(key) for key in keys.keys if (key.kid, key.thumbprint) not in known]


def _name(key: PublicKey) -> str:
    return (key.kid or key.thumbprint)[:_KEY_NAME_LIMIT]


def _keys(every: Sequence[str]) -> str:
    shown = ", ".join(every[:_KEYS_NAMED]) + (f" and {len(every) - _KEYS_NAMED} more" if len(every) > _KEYS_NAMED else "")
    return f"the key {shown}" if len(every) == 1 else f"the keys {shown}"
