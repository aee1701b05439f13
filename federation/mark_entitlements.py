"""What the trust marks of an entity entitle its client to (house decision 7; OpenID Federation 1.0, 7.3)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Final

from federation.core.resolver import Resolver
from federation.core.trust_chains import TrustChain
from federation.core.trust_marks import TrustMark, fetch_trust_mark_status, is_active, review_trust_marks
from federation.models import TrustMarkRule
from protocol.errors import FetchError, TrustMarkInvalid
from protocol.jose import VerificationBudget
from registry.models import Client, Entitlement

SIGNATURES: Final = 24


@dataclass(frozen=True, slots=True)
class MarkVerdict:
    """One trust mark that a rule is about: whether it counts, and why not. `expires_at` is in seconds."""

    trust_mark_type: str
    issuer: str
    counts: bool
    is_unsure: bool
    expires_at: int | None
    sentence: str

    def as_json(self) -> dict[str, Any]:
        """Return the verdict as JSON members."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class MarkReview:
    """The verdicts about an entity's marks, and the rules they were made for."""

    verdicts: tuple[MarkVerdict, ...]
    rules: tuple[TrustMarkRule, ...]

    def grants(self) -> dict[tuple[str, str], tuple[MarkVerdict, datetime | None]]:
        """Return what the marks grant: (kind, value) to the mark that does so for the longest time, and its end."""
        found: dict[tuple[str, str], tuple[MarkVerdict, datetime | None]] = {}
        for rule in self.rules:
            for verdict in self.verdicts:
                if not verdict.counts or verdict.trust_mark_type != rule.trust_mark_type or not _is_accepted(rule, verdict.issuer):
                    continue
                end = None if verdict.expires_at is None else datetime.fromtimestamp(verdict.expires_at, UTC)
                for key in _granted_by(rule):
                    if key not in found or _lasts_longer(end, found[key][1]):
                        found[key] = (verdict, end)
        return found

    @property
    def unsure_of(self) -> set[tuple[str, str]]:
        """Return what would be granted by marks whose status could not be asked for."""
        unsure = {(verdict.trust_mark_type, verdict.issuer) for verdict in self.verdicts if verdict.is_unsure}
        return {
            key for rule in self.rules for kind, issuer in unsure
            if kind == rule.trust_mark_type and _is_accepted(rule, issuer) for key in _granted_by(rule)
        }  # fmt: skip


def _is_accepted(rule: TrustMarkRule, issuer: str) -> bool:
    return not rule.issuers or issuer in rule.issuers


def _granted_by(rule: TrustMarkRule) -> Iterable[tuple[str, str]]:
    yield from ((Entitlement.Kind.SCOPE, name) for name in rule.scopes)
    yield from ((Entitlement.Kind.GRANT, name) for name in rule.grant_types)


def _lasts_longer(one: datetime | None, other: datetime | None) -> bool:
    return other is not None and (one is None or one > other)


def review_marks(chain: TrustChain, resolver: Resolver, rules: Iterable[TrustMarkRule]) -> MarkReview:
    """Return what counts of the marks that the chain's subject carries, of the types that `rules` are about. Fetches; raises nothing."""
    about = tuple(rule for rule in rules if rule.anchor in ("", chain.anchor_id))
    types = {rule.trust_mark_type for rule in about}
    if not types & {entry.trust_mark_type for entry in chain.subject.trust_marks}:
        return MarkReview((), about)
    issuers: dict[str, TrustChain | None] = {}

    def find_issuer_chain(issuer: str) -> TrustChain | None:
        issuers[issuer] = resolver.resolve(issuer, entity_types=()).chain
        return issuers[issuer]

    budget, now = VerificationBudget(SIGNATURES), int(resolver.clock())
    findings = review_trust_marks(chain.subject, find_issuer_chain, now=now, budget=budget)
    verdicts = []
    for finding in findings:
        if finding.trust_mark_type not in types:
            continue
        if finding.mark is None:
            verdicts.append(MarkVerdict(finding.trust_mark_type, finding.unverified_issuer, False, False, None, finding.sentence))
        else:
            verdicts.append(_with_status(finding.mark, issuers[finding.mark.issuer], resolver, now, budget))
    return MarkReview(tuple(verdicts), about)


def _with_status(mark: TrustMark, issuer_chain: TrustChain | None, resolver: Resolver, now: int, budget: VerificationBudget) -> MarkVerdict:
    """Ask the issuer whether a mark that verifies is still active; when it cannot be asked, what was granted before stays."""
    if issuer_chain is None:
        raise ValueError("a mark that verifies has a chain to its issuer")
    try:
        status = fetch_trust_mark_status(mark, issuer_chain.subject, resolver.fetcher, now=now, budget=budget)
    except (FetchError, TrustMarkInvalid) as error:
        return MarkVerdict(mark.trust_mark_type, mark.issuer, False, True, mark.expires_at, f"Its status is not known: {error.description}")
    counts = is_active(status)
    sentence = "The trust mark is valid." if counts else f"Its issuer says that it is {str(status)[:40]}."
    return MarkVerdict(mark.trust_mark_type, mark.issuer, counts, False, mark.expires_at, sentence)


def entitle_by_marks(client: Client, review: MarkReview) -> None:
    """Make the entitlements that rest on trust marks those of `review`; all others stay as they are."""
    grants, unsure = review.grants(), review.unsure_of
    before = {(row.kind, row.value): row for row in client.entitlements.filter(because=Entitlement.Because.MARK)}
    gone = [row.pk for key, row in before.items() if key not in grants and key not in unsure]
    if gone:
        Entitlement.objects.filter(pk__in=gone).delete()
    rows = [
        Entitlement(
            client=client, kind=kind, value=value, because=Entitlement.Because.MARK, expires_at=end,
            evidence=f"{verdict.trust_mark_type} by {verdict.issuer}"[:500],
        )
        for (kind, value), (verdict, end) in grants.items()
    ]  # fmt: skip
    if rows:
        Entitlement.objects.bulk_create(
            rows, update_conflicts=True, unique_fields=["client", "kind", "value", "because"], update_fields=["expires_at", "evidence"]
        )


def entitle_by_new_rules(reviews: Sequence[tuple[Client, MarkReview]]) -> None:
    """Make the entitlements of clients whose marks are as they were those of today's rules. One query where nothing differs."""
    held: defaultdict[int, dict[tuple[str, str], datetime | None]] = defaultdict(dict)
    for row in Entitlement.objects.filter(client__in=[client for client, _ in reviews], because=Entitlement.Because.MARK):
        held[row.client_id][row.kind, row.value] = row.expires_at
    for client, review in reviews:
        if held[client.pk] != {key: end for key, (_, end) in review.grants().items()}:
            entitle_by_marks(client, review)
