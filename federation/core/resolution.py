"""What a resolution found: the chosen chain and metadata, or the step that failed, who can fix it, and the evidence (portal.md 4.7)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, IntEnum
from typing import Any, Final

from federation.core.trust_chains import ResolvedMetadata, TrustChain
from protocol.errors import (
    ConstraintViolated,
    FederationError,
    FetchError,
    InvalidMetadata,
    InvalidSubject,
    InvalidTrustAnchor,
    InvalidTrustChain,
    NotFound,
    ProtocolError,
    StatementInvalid,
    TemporarilyUnavailable,
)


class StepNumber(IntEnum):
    """The steps in order."""

    FETCH_CONFIGURATION = 1
    VERIFY_CONFIGURATION = 2
    AUTHORITY_HINTS = 3
    FETCH_SUPERIOR = 4
    FETCH_STATEMENT = 5
    VERIFY_STATEMENT = 6
    REACH_ANCHOR = 7
    CONSTRAINTS = 8
    MERGE_POLICIES = 9
    APPLY_POLICY = 10
    LOCAL_RULES = 11
    TRUST_MARKS = 12
    EXPIRY = 13


TITLES: Final[Mapping[StepNumber, str]] = {
    StepNumber.FETCH_CONFIGURATION: "Fetch the entity configuration",
    StepNumber.VERIFY_CONFIGURATION: "Its signature and times",
    StepNumber.AUTHORITY_HINTS: "Its authority hints",
    StepNumber.FETCH_SUPERIOR: "Fetch the superior's configuration",
    StepNumber.FETCH_STATEMENT: "Fetch the subordinate statement",
    StepNumber.VERIFY_STATEMENT: "Signature by the superior, and keys match",
    StepNumber.REACH_ANCHOR: "Reaches a trust anchor that is accepted here",
    StepNumber.CONSTRAINTS: "Constraints",
    StepNumber.MERGE_POLICIES: "Merge the policies",
    StepNumber.APPLY_POLICY: "Apply the policy to the metadata",
    StepNumber.LOCAL_RULES: "Our own rules on the result",
    StepNumber.TRUST_MARKS: "Trust marks",
    StepNumber.EXPIRY: "Expiry of the whole chain",
}


class StepStatus(Enum):
    """How a step went."""

    OK = "ok"
    FAILED = "failed"
    NOT_REACHED = "not reached"


class FailureClass(Enum):
    """What a failure means for a client that is registered already (threats.md 3.2)."""

    TRANSIENT = "transient"
    UNSIGNED_NEGATIVE = "unsigned negative"
    SIGNED_NEGATIVE = "signed negative"


class Fixer(Enum):
    """Who can mend a failure."""

    PARTNER = "the partner"
    SUPERIOR = "the superior"
    FEDERATION_OPERATOR = "the federation operator"
    STAFF = "our staff"
    HOST = "whoever runs the host; if its name is right, try again later"
    NOBODY = "nobody; try again later"


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a path ended: the step, the entity it is about, a sentence, and the error that a federation endpoint answers with.

    `evidence` holds decoded claims of the statement at fault, where there is one.
    """

    step: StepNumber
    entity: str
    sentence: str
    fixer: Fixer
    failure_class: FailureClass
    error: FederationError
    detail: str = ""
    evidence: Mapping[str, Any] | None = field(default=None, repr=False)

    @property
    def code(self) -> str:
        """Return the federation error code."""
        return self.error.code

    @property
    def title(self) -> str:
        """Return what the step is."""
        return TITLES[self.step]


_FIXERS: Final[Mapping[StepNumber, Fixer]] = {
    StepNumber.FETCH_CONFIGURATION: Fixer.PARTNER,
    StepNumber.VERIFY_CONFIGURATION: Fixer.PARTNER,
    StepNumber.AUTHORITY_HINTS: Fixer.PARTNER,
    StepNumber.FETCH_SUPERIOR: Fixer.SUPERIOR,
    StepNumber.FETCH_STATEMENT: Fixer.FEDERATION_OPERATOR,
    StepNumber.VERIFY_STATEMENT: Fixer.SUPERIOR,
    StepNumber.REACH_ANCHOR: Fixer.STAFF,
    StepNumber.CONSTRAINTS: Fixer.FEDERATION_OPERATOR,
    StepNumber.MERGE_POLICIES: Fixer.FEDERATION_OPERATOR,
    StepNumber.APPLY_POLICY: Fixer.PARTNER,
    StepNumber.TRUST_MARKS: Fixer.PARTNER,
}


# What nobody whom we trust signed proves nothing: whoever answers for the host may have put it there (docs/decisions/0009).
_NOT_SIGNED: Final = frozenset(
    ("shape", "json", "base64url", "encrypted", "too_long", "signature", "unknown_kid", "key_mismatch", "ambiguous_key", "own_keys")
)
_NOT_CHECKED: Final = "verification_budget"
_OWN_LIMITS: Final = frozenset(("budget", "busy", "rate_limited"))


def failure_from(step: StepNumber, entity: str, error: ProtocolError, evidence: Mapping[str, Any] | None = None) -> Failure:
    """Return the failure for an error at a step; a `FetchError` is classed by whether trying again can help."""
    if isinstance(error, FetchError):
        return _fetch_failure(step, entity, error)
    wire = error if isinstance(error, FederationError) else InvalidTrustChain(error.description, detail=error.detail)
    if step is StepNumber.VERIFY_CONFIGURATION:
        wire = InvalidSubject(wire.description, detail=wire.detail)
    return Failure(step, entity, wire.description, _FIXERS[step], _class_of(error), wire, error.detail, evidence)


def _class_of(error: ProtocolError) -> FailureClass:
    reason = error.reason if isinstance(error, StatementInvalid) else ""
    if reason == _NOT_CHECKED:
        return FailureClass.TRANSIENT
    return FailureClass.UNSIGNED_NEGATIVE if reason in _NOT_SIGNED else FailureClass.SIGNED_NEGATIVE


def _fetch_failure(step: StepNumber, entity: str, error: FetchError) -> Failure:
    if not error.permanent:
        wire: FederationError = TemporarilyUnavailable(error.description, retry_after=error.retry_after)
        fixer = Fixer.NOBODY if error.reason in _OWN_LIMITS else Fixer.HOST
        return Failure(step, entity, error.description, fixer, FailureClass.TRANSIENT, wire, error.detail)
    sentence = error.description
    if step is StepNumber.FETCH_STATEMENT and error.http_status == 404:
        sentence = "The superior does not know this entity: it is not, or no longer, a member."
    return Failure(step, entity, sentence, _FIXERS[step], FailureClass.UNSIGNED_NEGATIVE, NotFound(sentence), error.detail)


@dataclass(frozen=True, slots=True)
class Step:
    """One line of the report."""

    number: StepNumber
    status: StepStatus
    entity: str
    sentence: str
    failure: Failure | None = None

    @property
    def title(self) -> str:
        """Return what the step is."""
        return TITLES[self.number]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A path that was tried: its entities so far, and either its chain and metadata, or why it was not used."""

    entities: tuple[str, ...]
    chain: TrustChain | None = None
    metadata: ResolvedMetadata | None = None
    failure: Failure | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Resolution:
    """The whole answer about one entity at one time. `now` is in seconds; `statements` are the raw chain, to decide again offline.

    `chain` and `metadata` are there exactly when trust was established, `failure` when not: that of the path that came furthest.
    """

    entity_id: str
    now: int
    candidates: tuple[Candidate, ...]
    chain: TrustChain | None
    metadata: ResolvedMetadata | None
    failure: Failure | None
    choice: str
    fetches: int
    signature_checks: int

    @property
    def ok(self) -> bool:
        """Say whether trust was established."""
        return self.chain is not None

    @property
    def steps(self) -> tuple[Step, ...]:
        """Return the report: the steps of the chosen chain, or of the path that came furthest."""
        return steps_for(self.entity_id, self.failure, self.chain)

    @property
    def statements(self) -> tuple[str, ...]:
        """Return the raw statements of the chosen chain."""
        return self.chain.raw if self.chain else ()


def steps_for(entity_id: str, failure: Failure | None, chain: TrustChain | None) -> tuple[Step, ...]:
    """Return the report of one path: ok up to the failure, not reached behind it; our own rules and trust marks are asked for later."""
    return tuple(_step(number, entity_id, failure, chain) for number in StepNumber)


_ASKED_LATER: Final = (StepNumber.LOCAL_RULES, StepNumber.TRUST_MARKS)


def _step(number: StepNumber, entity_id: str, failure: Failure | None, chain: TrustChain | None) -> Step:
    if failure is not None and number == failure.step:
        return Step(number, StepStatus.FAILED, failure.entity, failure.sentence, failure)
    if number in _ASKED_LATER or (failure is not None and number > failure.step):
        return Step(number, StepStatus.NOT_REACHED, entity_id, "")
    return Step(number, StepStatus.OK, entity_id, _sentence(number, chain))


def _sentence(number: StepNumber, chain: TrustChain | None) -> str:
    if chain is None:
        return ""
    superiors = ", ".join(chain.entities[1:]) or "none: it is the trust anchor"
    return {
        StepNumber.AUTHORITY_HINTS: f"Superiors on this path: {superiors}.",
        StepNumber.REACH_ANCHOR: f"The chain ends at {chain.anchor_id}.",
        StepNumber.EXPIRY: f"The chain is valid until {chain.expires_at} (seconds since 1970).",
    }.get(number, "")


def furthest(failures: tuple[Failure, ...]) -> Failure | None:
    """Return the failure of the path that came furthest; among equals the one that trying again may mend, then the first.

    That a path leads to no accepted anchor says less than what went wrong on one that may: an entity can be in other federations too.
    """

    def rank(failure: Failure) -> tuple[float, bool]:
        elsewhere = failure.step is StepNumber.REACH_ANCHOR
        return (StepNumber.AUTHORITY_HINTS + 0.5 if elsewhere else failure.step, failure.failure_class is FailureClass.TRANSIENT)

    return max(failures, key=rank, default=None)


def constraint_failure(entity: str, error: ConstraintViolated) -> Failure:
    """Return the failure for a broken constraint."""
    return failure_from(StepNumber.CONSTRAINTS, entity, error)


def no_hints_failure(entity: str) -> Failure:
    """Return the failure of a subject that names no superior and is no trust anchor that is accepted here."""
    error = InvalidTrustChain("It names no superior, and it is no trust anchor that is accepted here.")
    return Failure(StepNumber.AUTHORITY_HINTS, entity, error.description, Fixer.PARTNER, FailureClass.UNSIGNED_NEGATIVE, error)


def no_anchor_failure(entity: str, reason: str) -> Failure:
    """Return the failure of an entity from which no accepted anchor can be reached (FED-TCR-05)."""
    error = InvalidTrustAnchor(reason)
    return Failure(StepNumber.REACH_ANCHOR, entity, reason, Fixer.STAFF, FailureClass.UNSIGNED_NEGATIVE, error)


def type_missing_failure(entity: str, entity_types: tuple[str, ...]) -> Failure:
    """Return the failure of an entity that has none of the entity types that are needed (FED-CON-12)."""
    sentence = f"After the federation's rules the entity has no metadata as {' or '.join(entity_types)}."
    error = InvalidMetadata(sentence)
    return Failure(StepNumber.APPLY_POLICY, entity, sentence, Fixer.PARTNER, FailureClass.SIGNED_NEGATIVE, error)
