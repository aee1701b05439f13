"""The resolver: what is asked of it, and with what it works."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from federation.core.resolution import (
    Candidate,
    Resolution,
    StepNumber,
    constraint_failure,
    failure_from,
    no_anchor_failure,
)
from federation.core.resolver.limits import ResolutionLimits
from federation.core.resolver.walk import Walk
from federation.core.statement_cache import StatementCache
from federation.core.statements import (
    EntityConfiguration,
    parse_entity_statement,
)
from federation.core.trust_chains import (
    PolicyMemory,
    TrustAnchor,
    validate_trust_chain,
)
from protocol.errors import (
    ConstraintViolated,
    FederationError,
    InvalidTrustAnchor,
    StatementInvalid,
)
from protocol.fetch import Fetcher

RELYING_PARTY_TYPES: Final = ("openid_relying_party", "oauth_client")


class Resolver:
    """Resolves entities against pinned trust anchors; `clock` gives seconds, `monotonic` drives the time limit.

    No chain goes through an entity that is `refused`.
    """

    def __init__(
        self,
        fetcher: Fetcher,
        anchors: Iterable[TrustAnchor],
        cache: StatementCache,
        *,
        refused: frozenset[str] = frozenset(),
        limits: ResolutionLimits | None = None,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.fetcher = fetcher
        self.anchors = {anchor.entity_id: anchor for anchor in anchors}
        self.cache = cache
        self.refused = refused
        self.limits = limits or ResolutionLimits()
        self.clock, self.monotonic = clock, monotonic
        self.policies = PolicyMemory()

    def resolve(
        self,
        entity_id: str,
        *,
        entity_types: tuple[str, ...] = RELYING_PARTY_TYPES,
        past_caches: bool = False,
        posted: EntityConfiguration | None = None,
    ) -> Resolution:
        """Return what is found about `entity_id`, which is an entity identifier in form; trust or the reason why not.

        One of `entity_types` must be left after the federation's rules; an empty tuple asks for none. `posted` is the configuration that
        the entity itself made for an explicit registration, in place of the published one (12.2.2; FED-EXP-11). Nothing is raised.
        Signatures that do not fit together are looked at once more without the cache, within the same limits: somebody may have new keys.
        """
        walk = Walk(self, entity_id, entity_types, past_caches=past_caches, posted=posted)
        resolution = walk.resolve()
        return walk.begun_anew().resolve() if walk.may_be_outdated(resolution) else resolution

    def resolve_supplied(self, raw_statements: Sequence[str], *, entity_types: tuple[str, ...] = RELYING_PARTY_TYPES) -> Resolution:
        """Return what a supplied chain proves, without any fetch; it is validated in full (FED-TCV-17, FED-SEC-03). Nothing is raised."""
        subject = _claimed_subject(raw_statements)
        walk = Walk(self, subject, entity_types, past_caches=False)
        try:
            chain = validate_trust_chain(raw_statements, self.anchors.values(), now=walk.now, budget=walk.budget)
        except ConstraintViolated as error:
            return walk.conclude([Candidate((subject,), failure=constraint_failure(subject, error))])
        except InvalidTrustAnchor as error:
            return walk.conclude([Candidate((subject,), failure=no_anchor_failure(subject, error.description))])
        except FederationError as error:
            return walk.conclude([Candidate((subject,), failure=failure_from(StepNumber.VERIFY_STATEMENT, subject, error))])
        return walk.conclude([walk.judge(chain)])


def _claimed_subject(raw_statements: Sequence[str]) -> str:
    """Return whom a supplied chain says it is about, for the report; nothing if it does not say it."""
    try:
        return parse_entity_statement(raw_statements[0]).unverified_subject
    except (IndexError, StatementInvalid):
        return ""
