"""One resolution under way: up by authority hints, level by level, within its limits (OpenID Federation 1.0, 10.1)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeVar, cast

from federation.core.resolution import (
    Candidate,
    Failure,
    Resolution,
    StepNumber,
    constraint_failure,
    failure_from,
    furthest,
    no_anchor_failure,
    no_hints_failure,
    type_missing_failure,
)
from federation.core.resolver.addresses import configuration_url, statement_url
from federation.core.statement_cache import StatementKey
from federation.core.statements import (
    EntityConfiguration,
    SubordinateStatement,
    UnverifiedStatement,
    parse_entity_statement,
    verify_entity_configuration,
    verify_subordinate_statement,
)
from federation.core.trust_chains import (
    TrustAnchor,
    TrustChain,
    apply_chain_policies,
    enforce_chain_constraints,
    link_chain,
    resolve_policies,
)
from protocol.errors import (
    ConstraintViolated,
    FetchError,
    InvalidIssuer,
    InvalidMetadata,
    InvalidTrustChain,
    ProtocolError,
    SignatureInvalid,
)
from protocol.fetch import FetchPurpose, FetchRequest, FetchResponse, standard_request
from protocol.jose import VerificationBudget

if TYPE_CHECKING:
    from federation.core.resolver.resolver import Resolver

Key = TypeVar("Key")
_NOT_ENOUGH_LEFT: Final = 0.05


@dataclass(frozen=True, slots=True)
class _Path:
    """A way up from the subject: the entities so far, and a statement for each step."""

    entities: tuple[str, ...]
    statements: tuple[SubordinateStatement, ...]

    def extended(self, statement: SubordinateStatement) -> _Path:
        return _Path((*self.entities, statement.issuer), (*self.statements, statement))


@dataclass(slots=True)
class Walk:
    """One resolution under way: what was fetched, what is left to spend, and which candidates there are."""

    resolver: Resolver
    entity_id: str
    entity_types: tuple[str, ...]
    past_caches: bool = field(kw_only=True)
    posted: EntityConfiguration | None = field(default=None, kw_only=True)
    now: int = field(init=False)
    budget: VerificationBudget = field(init=False)
    deadline: float = field(init=False)
    bytes_left: int = field(init=False)
    fetches: int = field(default=0, init=False)
    remembered: bool = field(default=False, init=False)
    configurations: dict[str, EntityConfiguration | Failure] = field(default_factory=dict, init=False)
    statements: dict[tuple[str, str], SubordinateStatement | Failure] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        limits = self.resolver.limits
        self.now = int(self.resolver.clock())
        self.budget = VerificationBudget(limits.signature_checks)
        self.deadline = self.resolver.monotonic() + limits.seconds
        self.bytes_left = limits.bytes
        if self.posted is not None:
            self.configurations[self.entity_id] = self.posted

    def may_be_outdated(self, resolution: Resolution) -> bool:
        """Say whether signatures did not fit while a statement was from the cache."""
        signatures = (isinstance(found.failure.error, SignatureInvalid) for found in resolution.candidates if found.failure)
        return self.remembered and not resolution.ok and any(signatures)

    def begun_anew(self) -> Walk:
        """Return this resolution from the start, past all caches, with what is left of its limits."""
        again = Walk(self.resolver, self.entity_id, self.entity_types, past_caches=True, posted=self.posted)
        again.now, again.budget, again.deadline = self.now, self.budget, self.deadline
        again.bytes_left, again.fetches = self.bytes_left, self.fetches
        return again

    def resolve(self) -> Resolution:
        """Walk up level by level until a chain is valid or nothing is left to try."""
        self._learn_configurations([self.entity_id])
        subject = self.configurations[self.entity_id]
        if isinstance(subject, Failure):
            return self.conclude([Candidate((self.entity_id,), failure=subject)])
        if anchor := self.resolver.anchors.get(self.entity_id):
            return self.conclude([self._candidate(_Path((self.entity_id,), ()), anchor)])
        candidates: list[Candidate] = []
        paths = [_Path((self.entity_id,), ())]
        limit = self.resolver.limits.paths
        for _ in range(self.resolver.limits.depth):
            candidates += [_unfinished(path.entities) for path in paths[limit:]]
            found, paths = self._climb(paths[:limit])
            candidates += found
            if not paths:
                break
        candidates += [_unfinished(path.entities) for path in paths]
        return self.conclude(candidates)

    def _climb(self, paths: list[_Path]) -> tuple[list[Candidate], list[_Path]]:
        """Go one level up every path; return the candidates that ended here and the paths that go on.

        Anchors come first (FED-TCR-10): when a chain to one is valid, every other way up is longer and is not followed.
        """
        ended: list[Candidate] = []
        edges: list[tuple[_Path, str]] = []
        for path in paths:
            hints, dropped = self._hints(path)
            edges += [(path, superior) for superior in hints]
            ended += dropped
        others = [edge for edge in edges if edge[1] not in self.resolver.anchors]
        reached, _ = self._follow([edge for edge in edges if edge[1] in self.resolver.anchors])
        if any(candidate.chain for candidate in reached):
            return [*ended, *reached, *(_unfinished((*path.entities, superior)) for path, superior in others)], []
        lost, onward = self._follow(others)
        return [*ended, *reached, *lost], onward

    def _follow(self, edges: list[tuple[_Path, str]]) -> tuple[list[Candidate], list[_Path]]:
        """Learn side by side what these steps up need; return the candidates that ended here and the paths that go on."""
        ended: list[Candidate] = []
        self._learn_configurations(superior for _, superior in edges)
        self._learn_statements((superior, path.entities[-1]) for path, superior in edges)
        onward: list[_Path] = []
        for path, superior in edges:
            statement = self.statements[superior, path.entities[-1]]
            if isinstance(statement, Failure):
                ended.append(Candidate((*path.entities, superior), failure=statement))
            elif anchor := self.resolver.anchors.get(superior):
                ended.append(self._candidate(path.extended(statement), anchor))
            else:
                onward.append(path.extended(statement))
        return ended, onward

    def _hints(self, path: _Path) -> tuple[list[str], list[Candidate]]:
        """Return the superiors to try above a path, anchors first, and the hints that are not tried, with the reason."""
        top = self.configurations[path.entities[-1]]
        hints = top.authority_hints if isinstance(top, EntityConfiguration) else ()
        if not hints:
            return [], [Candidate(path.entities, failure=_topmost(path))]
        refused = self.resolver.refused
        usable = sorted(
            (hint for hint in hints if hint not in path.entities and hint not in refused),
            key=lambda hint: hint not in self.resolver.anchors,
        )
        limit = self.resolver.limits.hints
        dropped = [self._dropped(path, hint, "The hint leads back into the path.") for hint in hints if hint in path.entities]
        dropped += [
            Candidate((*path.entities, hint), failure=no_anchor_failure(path.entities[-1], f"{hint} is not trusted here."))
            for hint in hints
            if hint in refused
        ]
        dropped += [self._dropped(path, hint, f"Only {limit} hints of an entity are tried.") for hint in usable[limit:]]
        return usable[:limit], dropped

    def _dropped(self, path: _Path, hint: str, reason: str) -> Candidate:
        failure = failure_from(StepNumber.AUTHORITY_HINTS, path.entities[-1], InvalidTrustChain(reason))
        return Candidate((*path.entities, hint), failure=failure)

    def _candidate(self, path: _Path, anchor: TrustAnchor) -> Candidate:
        """Link a path that reached an anchor, and judge it."""
        subject, top = self.configurations[path.entities[0]], self.configurations[anchor.entity_id]
        if isinstance(top, Failure):
            return Candidate(path.entities, failure=top)
        try:
            linked = link_chain(cast("EntityConfiguration", subject), path.statements, anchor, top, now=self.now, budget=self.budget)
        except ProtocolError as error:
            return Candidate(path.entities, failure=failure_from(StepNumber.VERIFY_STATEMENT, path.entities[0], error))
        try:
            enforce_chain_constraints(linked)
        except ConstraintViolated as error:
            return Candidate(path.entities, failure=constraint_failure(path.entities[0], error))
        return self.judge(linked)

    def judge(self, chain: TrustChain) -> Candidate:
        """Resolve the metadata of a valid chain, independently of every other (FED-TCR-06, FED-TCV-10, -11)."""
        if found := self.resolver.refused.intersection(chain.entities):
            return Candidate(chain.entities, failure=no_anchor_failure(chain.subject.subject, f"{min(found)} is not trusted here."))
        try:
            policies = resolve_policies(chain, self.resolver.policies)
        except InvalidMetadata as error:
            return Candidate(chain.entities, failure=failure_from(StepNumber.MERGE_POLICIES, chain.anchor_id, error))
        try:
            metadata = apply_chain_policies(chain, policies)
        except InvalidMetadata as error:
            return Candidate(chain.entities, failure=failure_from(StepNumber.APPLY_POLICY, chain.subject.subject, error))
        if self.entity_types and not any(name in metadata.metadata for name in self.entity_types):
            return Candidate(chain.entities, failure=type_missing_failure(chain.subject.subject, self.entity_types))
        return Candidate(chain.entities, chain=chain, metadata=metadata)

    def conclude(self, candidates: list[Candidate]) -> Resolution:
        """Choose among the candidates and write the report (FED-TCV-12)."""
        order = list(self.resolver.anchors)
        valid = [candidate for candidate in candidates if candidate.chain]
        valid.sort(key=lambda found: (len(found.entities), order.index(found.entities[-1]), found.entities))
        best = valid[0] if valid else None
        failure = None if best else furthest(tuple(candidate.failure for candidate in candidates if candidate.failure))
        choice = ""
        if best and best.chain:
            choice = f"Of {len(valid)} valid chains the shortest, then by the order of trust anchors: {' > '.join(best.entities)}."
        return Resolution(
            entity_id=self.entity_id,
            now=self.now,
            failure=failure,
            candidates=tuple(candidates),
            chain=best.chain if best else None,
            metadata=best.metadata if best else None,
            choice=choice,
            fetches=self.fetches,
            signature_checks=self.budget.spent,
        )

    def _learn_configurations(self, entity_ids: Iterable[str]) -> None:
        """Get the configurations that are not known yet, from the cache or side by side from their entities."""
        missing = [entity_id for entity_id in dict.fromkeys(entity_ids) if entity_id not in self.configurations]
        requests: dict[str, FetchRequest] = {}
        for entity_id in missing:
            key = StatementKey(entity_id, entity_id, "")
            kept = None if self.past_caches else self.resolver.cache.get(key, self.now)
            if kept is not None:
                self.configurations[entity_id], self.remembered = cast("EntityConfiguration", kept), True
            else:
                requests[entity_id] = self._request(FetchPurpose.ENTITY_CONFIGURATION, configuration_url(entity_id))
        for entity_id, answer in self._fetch(requests).items():
            self.configurations[entity_id] = self._read_configuration(entity_id, answer)

    def _read_configuration(self, entity_id: str, answer: FetchResponse | FetchError) -> EntityConfiguration | Failure:
        is_subject = entity_id == self.entity_id
        if isinstance(answer, FetchError):
            step = StepNumber.FETCH_CONFIGURATION if is_subject else StepNumber.FETCH_SUPERIOR
            return failure_from(step, entity_id, answer)
        anchor = self.resolver.anchors.get(entity_id)
        statement: UnverifiedStatement | None = None
        try:
            statement = parse_entity_statement(answer.body)
            pinned = anchor.keys if anchor else None
            found = verify_entity_configuration(statement, entity_id, now=self.now, budget=self.budget, pinned=pinned)
        except ProtocolError as error:
            step = StepNumber.VERIFY_CONFIGURATION if is_subject else StepNumber.FETCH_SUPERIOR
            return failure_from(step, entity_id, error, statement.jwt.unverified_claims if statement else None)
        self.resolver.cache.put(StatementKey(entity_id, entity_id, ""), found, self.now)
        return found

    def _learn_statements(self, edges: Iterable[tuple[str, str]]) -> None:
        """Get the statements of superiors about subordinates that are not known yet (FED-TCR-03, -04)."""
        requests: dict[tuple[str, str], FetchRequest] = {}
        for superior, subject in dict.fromkeys(edges):
            configuration = self.configurations[superior]
            if (superior, subject) in self.statements:
                continue
            if isinstance(configuration, Failure):
                self.statements[superior, subject] = configuration
            elif configuration.fetch_endpoint is None:
                error = InvalidIssuer("The superior has no federation_fetch_endpoint.")
                self.statements[superior, subject] = failure_from(StepNumber.FETCH_SUPERIOR, superior, error)
            elif kept := self._kept_statement(superior, subject, configuration.fetch_endpoint):
                self.statements[superior, subject], self.remembered = kept, True
            else:
                url = statement_url(configuration.fetch_endpoint, subject)
                requests[superior, subject] = self._request(FetchPurpose.SUBORDINATE_STATEMENT, url)
        for (superior, subject), answer in self._fetch(requests).items():
            self.statements[superior, subject] = self._read_statement(superior, subject, answer)

    def _kept_statement(self, superior: str, subject: str, endpoint: str) -> SubordinateStatement | None:
        if self.past_caches:
            return None
        return cast("SubordinateStatement | None", self.resolver.cache.get(StatementKey(superior, subject, endpoint), self.now))

    def _read_statement(self, superior: str, subject: str, answer: FetchResponse | FetchError) -> SubordinateStatement | Failure:
        if isinstance(answer, FetchError):
            return failure_from(StepNumber.FETCH_STATEMENT, superior, answer)
        issuer = cast("EntityConfiguration", self.configurations[superior])
        statement: UnverifiedStatement | None = None
        try:
            statement = parse_entity_statement(answer.body)
            found = verify_subordinate_statement(statement, subject, superior, issuer.keys, now=self.now, budget=self.budget)
        except ProtocolError as error:
            evidence = statement.jwt.unverified_claims if statement else None
            return failure_from(StepNumber.VERIFY_STATEMENT, superior, error, evidence)
        self.resolver.cache.put(StatementKey(superior, subject, issuer.fetch_endpoint or ""), found, self.now)
        return found

    def _request(self, purpose: FetchPurpose, url: str) -> FetchRequest:
        left = self.deadline - self.resolver.monotonic()
        return standard_request(purpose, url, deadline_seconds=max(left, _NOT_ENOUGH_LEFT), past_caches=self.past_caches)

    def _fetch(self, requests: dict[Key, FetchRequest]) -> dict[Key, FetchResponse | FetchError]:
        """Fetch side by side what the limits allow; what they do not is answered by a transient error (FED-SEC-08)."""
        if not requests:
            return {}
        room = self.resolver.limits.fetches - self.fetches if self.resolver.monotonic() < self.deadline else 0
        tried = list(requests)[: max(room, 0)]
        self.fetches += len(tried)
        answers: dict[Key, FetchResponse | FetchError] = {}
        for key, answer in zip(tried, self.resolver.fetcher.fetch_many([requests[key] for key in tried]), strict=True):
            if isinstance(answer, FetchResponse):
                self.bytes_left -= len(answer.body)
            answers[key] = answer if self.bytes_left >= 0 else _out_of_budget()
        return {key: answers.get(key) or _out_of_budget() for key in requests}


def _topmost(path: _Path) -> Failure:
    """Return the failure of a path above whose last entity there is nothing."""
    if not path.statements:
        return no_hints_failure(path.entities[-1])
    return no_anchor_failure(path.entities[-1], "It is at the top of its federation, and it is no trust anchor that is accepted here.")


def _unfinished(entities: tuple[str, ...]) -> Candidate:
    reason = "It was not followed further: a shorter chain is valid, or the limit of depth or of paths is reached."
    return Candidate(entities, failure=no_anchor_failure(entities[-1], reason), note=reason)


def _out_of_budget() -> FetchError:
    return FetchError("budget", "This resolution used up what one resolution may fetch.", permanent=False)
