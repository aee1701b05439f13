"""Who would gain or lose what by another rule about trust marks or organizations: a dry run (portal.md 4.5). It fetches and writes nothing.

It judges by what is kept of each client: the verdicts of its last check about marks that rules are about and, of marks that no rule was
about so far, that its own configuration carries them. Those are verified with the next check only, and the report says so.
"""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from django.db.models import QuerySet

from federation.core.claims import read_trust_marks
from federation.core.statements import parse_entity_statement
from federation.mark_entitlements import MarkReview, MarkVerdict
from federation.models import EntityClaim, FederationRecord, OrganizationRule, RegistrationRequest, TrustMarkRule
from federation.trust_anchors import clients_depending_on
from protocol.constants import TRUST_CHAIN_HEADER_LIMIT
from protocol.errors import StatementInvalid
from protocol.strict_json import canonical_json
from protocol.urls import parse_entity_identifier
from registry.models import Client, Organization

SAMPLE: Final = 100
CHUNK: Final = 500
# A page waits for it; what was not looked at by then is said.
LONGEST_SECONDS: Final = 5.0

Granted = tuple[str, str]


@dataclass(frozen=True, slots=True)
class ChangedEntity:
    """An app that would be entitled to more or less by its marks; `hopes` are what a mark would give that nobody has verified yet."""

    client: Client
    entity_id: str
    gains: tuple[str, ...]
    hopes: tuple[str, ...]
    loses: tuple[str, ...]


@dataclass(slots=True)
class RuleReport:
    """What a dry run came to. `digest` names the rules that it compared, so that saving can tell whether they are the same still."""

    digest: str
    total: int
    covered: int = 0
    gains: Counter[str] = field(default_factory=Counter)
    hopes: Counter[str] = field(default_factory=Counter)
    loses: Counter[str] = field(default_factory=Counter)
    changed: int = 0
    sample: list[ChangedEntity] = field(default_factory=list)

    @property
    def rows(self) -> list[tuple[str, int, int, int]]:
        """Return every scope and grant that somebody would gain or lose, with how many would gain, may gain and lose it."""
        names = sorted({*self.gains, *self.hopes, *self.loses})
        return [(name, self.gains[name], self.hopes[name], self.loses[name]) for name in names]

    def add(self, changed: ChangedEntity | None) -> None:
        """Count an app that was looked at."""
        self.covered += 1
        if changed is None:
            return
        self.changed += 1
        self.gains.update(changed.gains)
        self.hopes.update(changed.hopes)
        self.loses.update(changed.loses)
        if len(self.sample) < SAMPLE:
            self.sample.append(changed)


def rules_after(rule: TrustMarkRule | None, values: Mapping[str, Any] | None) -> tuple[list[TrustMarkRule], list[TrustMarkRule]]:
    """Return the rules in force today, and those with `rule` changed to `values`, or gone without them; None is a new rule. One query."""
    today = list(TrustMarkRule.objects.order_by("pk"))
    kept = [one for one in today if rule is None or one.pk != rule.pk]
    after = [*kept, TrustMarkRule(**dict(values))] if values is not None else kept
    return [one for one in today if one.is_enabled], [one for one in after if one.is_enabled]


def digest_of_rules(*rules: Iterable[TrustMarkRule]) -> str:
    """Return the digest of what rules say."""
    said = [[[one.trust_mark_type, one.anchor, one.issuers, one.scopes, one.grant_types] for one in some] for some in rules]
    return _digest(said)


def preview_mark_rules(
    before: list[TrustMarkRule], after: list[TrustMarkRule], *, clock: Callable[[], float] = time.monotonic
) -> RuleReport:
    """Return who would gain or lose what, of as many apps as fit in a few seconds. Two queries, and one for each 500 apps."""
    report = RuleReport(digest_of_rules(before, after), _records().count())
    end = clock() + LONGEST_SECONDS
    new_types = {rule.trust_mark_type for rule in after} - {rule.trust_mark_type for rule in before}
    for record in _each_record():
        report.add(compare_record(record, before, after, new_types))
        if clock() >= end:
            break
    return report


def _records() -> QuerySet[FederationRecord]:
    return FederationRecord.objects.exclude(client__state=Client.State.CLOSED)


def _each_record() -> Iterator[FederationRecord]:
    wanted = _records().select_related("client__organization").only(
        "anchor", "entity_id", "trust_marks", "statements", "client__name", "client__client_id", "client__metadata",
        "client__organization__legal_name", "client__state",
    )  # fmt: skip
    after = 0
    while rows := list(wanted.filter(pk__gt=after).order_by("pk")[:CHUNK]):
        yield from rows
        if len(rows) < CHUNK:
            return
        after = rows[-1].pk


def compare_record(
    record: FederationRecord, before: list[TrustMarkRule], after: list[TrustMarkRule], new_types: set[str]
) -> ChangedEntity | None:
    """Return what would be different for the client of a record, None when nothing would. Pure."""
    verdicts = tuple(_verdict(told) for told in record.trust_marks)
    has, gets = (_granted(verdicts, rules, record.anchor) for rules in (before, after))
    carried = tuple(_unverified(record, new_types)) if new_types else ()
    hopes = _granted(carried, after, record.anchor) - gets - has
    if has == gets and not hopes:
        return None
    return ChangedEntity(record.client, record.entity_id, _names(gets - has), _names(hopes), _names(has - gets))


def _verdict(told: Mapping[str, Any]) -> MarkVerdict:
    names = ("trust_mark_type", "issuer", "counts", "is_unsure", "expires_at", "sentence")
    return MarkVerdict(**{name: told[name] for name in names})


def _granted(verdicts: tuple[MarkVerdict, ...], rules: list[TrustMarkRule], anchor: str) -> set[Granted]:
    review = MarkReview(verdicts, tuple(rule for rule in rules if rule.anchor in ("", anchor)))
    return set(review.grants()) | review.unsure_of


def _names(granted: set[Granted]) -> tuple[str, ...]:
    return tuple(f"{kind} {value}" for kind, value in sorted(granted))


def _unverified(record: FederationRecord, types: set[str]) -> Iterator[MarkVerdict]:
    """Yield the marks of `types` that the entity's own configuration carries, as if they counted: who issued them is what they say."""
    try:
        said = parse_entity_statement(record.statements[0], max_length=TRUST_CHAIN_HEADER_LIMIT).jwt.unverified_claims
        entries = read_trust_marks(said)
    except (IndexError, StatementInvalid):
        return
    for entry in entries:
        if entry.trust_mark_type in types:
            issuer = str(entry.unverified.unverified_claims.get("iss", ""))
            yield MarkVerdict(entry.trust_mark_type, issuer, True, False, None, "Not verified yet.")


@dataclass(frozen=True, slots=True)
class OrganizationRuleReport:
    """What a rule about a superior decides: entities that wait below it, and how many apps below it keep the organization they have."""

    digest: str
    waiting: tuple[RegistrationRequest, ...]
    waiting_count: int
    registered_count: int


def preview_organization_rule(superior: str, organization: Organization) -> OrganizationRuleReport:
    """Return what a rule that gives everything below `superior` to `organization` would decide of the entities that wait.

    The rule about the nearest superior counts, and the claim of an organization more than any rule. Four queries. Raises InvalidUrl.
    """
    name = parse_entity_identifier(superior).text
    others = set(OrganizationRule.objects.exclude(superior=name).values_list("superior", flat=True))
    proven = set(EntityClaim.objects.filter(proven_at__isnull=False).values_list("entity_id", flat=True))
    waiting = [
        request
        for request in RegistrationRequest.objects.filter(state=RegistrationRequest.State.OPEN).defer("statements", "resolved_metadata")
        if request.entity_id not in proven and next((one for one in request.entities[1:] if one == name or one in others), None) == name
    ]
    said = {"superior": name, "organization": organization.pk, "waiting": [request.pk for request in waiting]}
    registered = len(clients_depending_on(name))
    return OrganizationRuleReport(_digest(said), tuple(waiting[:SAMPLE]), len(waiting), registered)


def _digest(said: Any) -> str:
    return hashlib.sha256(canonical_json(said)).hexdigest()
