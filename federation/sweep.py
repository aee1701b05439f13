"""The sweep: looks at the trust of every client that is due, many at a time (house decisions 10, 16; threats.md X18, X19).

Work is rows: a sweep leases due records for a while, so that a second one takes others and what a killed one held is taken up again.
Superiors are shared: of each, the first client is looked at alone and the others find its statements in the sweep's own cache.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import structlog
from django.db import transaction
from django.db.models import Q, QuerySet

from federation.checking import Check, Outcome, failure_of_ours, look_again, settle
from federation.core.statement_cache import MemoryStatementCache
from federation.mark_entitlements import entitle_by_new_rules
from federation.models import FederationRecord
from federation.registration import Surroundings, as_time, read_surroundings, record_values, replaced_keys
from federation.resolving import get_resolver
from registry.lifecycle import Rules, assess_metadata, extend_trust
from registry.models import Client
from registry.policies import get_scope_rules
from registry.registration_policy import ScopeRule

log = structlog.get_logger(__name__)

CHUNK: Final = 200
LEASE: Final = timedelta(seconds=90)
AT_ONCE: Final = 4
CACHED_STATEMENTS: Final = 1024
# What was fetched at the beginning of a sweep is not used at the end of a long one.
CACHED_SECONDS: Final = 300

Clock = Callable[[], datetime]
Report = Callable[[FederationRecord, Outcome], None]


@dataclass(slots=True)
class Sweep:
    """One sweep under way: what it reads once, and what it came to."""

    clock: Clock
    report: Report = field(default=lambda record, outcome: None)
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    known_superiors: set[str] = field(default_factory=set)
    around: Surroundings = field(init=False)
    scopes: dict[str, ScopeRule] = field(init=False)

    def __post_init__(self) -> None:
        cache = MemoryStatementCache(limit=CACHED_STATEMENTS, max_age=CACHED_SECONDS)
        self.around = read_surroundings(get_resolver(cache=cache))
        self.scopes = get_scope_rules()

    def run(self, *, until: datetime | None = None) -> Counter[Outcome]:
        """Look at all clients that are due, in chunks, until none is left or the time is over; return how many came to what."""
        while (until is None or self.clock() < until) and (records := claim_due(self.clock())):
            self.take(records)
        return self.outcomes

    def take(self, records: list[FederationRecord]) -> None:
        """Look at these clients, and write what follows: in bulk for those that are as they were, one by one for the others."""
        same: list[Check] = []
        with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
            for check in self._look(records, pool):
                outcome = self._settle(check)
                if outcome is None:
                    same.append(check)
                else:
                    self._tell(check.record, outcome)
        write_unchanged(same, now=self.clock())
        for check in same:
            self._tell(check.record, Outcome.UNCHANGED)

    def _tell(self, record: FederationRecord, outcome: Outcome) -> None:
        self.outcomes[outcome] += 1
        self.report(record, outcome)

    def _look(self, records: list[FederationRecord], pool: ThreadPoolExecutor) -> Iterator[Check]:
        others = []
        for record in records:
            if record.superior in self.known_superiors:
                others.append(record)
            else:
                self.known_superiors.add(record.superior)
                yield self._check(record)
        yield from pool.map(self._check, others)

    def _check(self, record: FederationRecord) -> Check:
        try:
            return look_again(record, self.around, past_caches=record.misses > 0)
        except Exception:  # a fault of ours about one entity must not keep the others from being looked at (threats.md X20)
            log.exception("trust_check_failed", entity_id=record.entity_id)
            return Check(record, failure=failure_of_ours(record))

    def _settle(self, check: Check) -> Outcome | None:
        """Write what follows from a check and return it; None for a client that is as it was, which is written in bulk."""
        try:
            return None if self._is_unchanged(check) else settle(check, now=self.clock())
        except Exception:  # as above, for what is only met while it is written
            log.exception("trust_check_failed", entity_id=check.record.entity_id)
            return settle(Check(check.record, failure=failure_of_ours(check.record)), now=self.clock())

    def _is_unchanged(self, check: Check) -> bool:
        record, candidate = check.record, check.candidate
        client = record.client
        if candidate is None or client.trust != Client.Trust.VALID or replaced_keys(record, candidate.chain):
            return False
        if [verdict.as_json() for verdict in candidate.marks.verdicts] != record.trust_marks:
            return False
        rules = Rules(self.around.policies.of(client.organization_id), self.scopes)
        document = candidate.trusted.document
        found = assess_metadata(document, client.organization, stage=client.stage, now=self.clock(), restrictions={}, rules=rules)
        return not found.errors and found.metadata == client.metadata and dict(candidate.trusted.declared) == client.declared_metadata


def due_records(now: datetime) -> QuerySet[FederationRecord]:
    """Return the records that should be looked at and that no sweep has taken, the longest due first.

    Those below one superior are spread by their dates, so that no superior is asked about all of them at once (threats.md X18).
    """
    free = Q(leased_until=None) | Q(leased_until__lte=now)
    due = FederationRecord.objects.filter(free, next_check_at__lte=now).exclude(client__state=Client.State.CLOSED)
    return due.order_by("next_check_at", "pk")


def claim_due(now: datetime, *, limit: int = CHUNK) -> list[FederationRecord]:
    """Lease records that are due and return them with client and organization; an empty list when none is due."""
    while numbers := list(due_records(now).values_list("pk", flat=True)[:limit]):
        lease = uuid.uuid4().hex
        if claim(FederationRecord.objects.filter(pk__in=numbers), lease, now):
            mine = FederationRecord.objects.filter(lease=lease).select_related("client__organization")
            return list(mine.order_by("next_check_at", "pk"))
    return []


def claim(records: QuerySet[FederationRecord], lease: str, now: datetime) -> int:
    """Lease those of `records` that nobody has; return how many. One statement, so that two sweeps never take the same."""
    free = Q(leased_until=None) | Q(leased_until__lte=now)
    return records.filter(free).update(lease=lease, leased_until=now + LEASE)


def write_unchanged(checks: Iterable[Check], *, now: datetime) -> None:
    """Write down that these clients are as they were: until when trust lasts now, and when to look again. Two statements.

    A third asks what those with trust marks are entitled to: the rules about their marks may have changed.
    """
    records, ends, marked = [], {}, []
    for check in checks:
        if check.candidate is None:
            raise ValueError("an unchanged client has a candidate")
        record = check.record
        kept = record.changes
        for name, value in record_values(check.candidate, (), now=now).items():
            setattr(record, name, value)
        record.changes = kept
        end = as_time(check.candidate.chain.expires_at)
        ends[record.client_id] = min(end, record.registration_ends or end)
        records.append(record)
        if check.candidate.marks.verdicts:
            marked.append((record.client, check.candidate.marks))
    if not records:
        return
    with transaction.atomic():
        extend_trust(ends)
        FederationRecord.objects.bulk_create(records, update_conflicts=True, unique_fields=["id"], update_fields=WRITTEN)
        if marked:
            entitle_by_new_rules(marked)


WRITTEN: Final = (
    *("anchor", "superior", "entities", "statements", "resolved_metadata", "trust_marks"),
    *("checked_at", "next_check_at", "misses", "failure", "lease", "leased_until"),
)
