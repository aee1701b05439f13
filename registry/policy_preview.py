"""Who would change by another registration policy: a dry run over every registered app, in pieces, that writes nothing (portal.md 4.5).

Both policies judge each app, and only what they judge differently is reported: who broke a rule before and would break it still is no news.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal

from protocol.errors import MetadataRefused
from protocol.strict_json import canonical_json
from registry.actors import Actor
from registry.client_checks import CHUNK, GRACE, RulesOfAll, examine_client, open_clients
from registry.findings import errors_among
from registry.labels import in_english
from registry.models import Client, Entitlement, Organization, PolicyRecord
from registry.policies import Policies, get_policies, get_scope_rules
from registry.policy_records import review_policy_record, save_policy
from registry.registration_policy import Decision

SAMPLE: Final = 100
GROUPS_LIMIT: Final = 200

Effect = Literal["fails", "loses", "changes", "mended"]


@dataclass(frozen=True, slots=True)
class Change:
    """What would be different for one app, by the code of the rule and the member it is about.

    It fails (would be suspended after the grace period), loses a grant at once, changes with its next edit (a value goes or is another),
    or is mended (a rule that it breaks today no longer stands).
    """

    effect: Effect
    code: str
    member: str
    sentence: str


@dataclass(frozen=True, slots=True)
class ChangedClient:
    """An app that would change, as lists show it. `suspended_from` is None for one that nothing would suspend."""

    number: int
    client_id: str
    name: str
    source: str
    state: str
    organization_number: int
    organization: str
    changes: tuple[Change, ...]
    suspended_from: datetime | None

    @property
    def effects(self) -> frozenset[Effect]:
        """Return what would happen to it."""
        return frozenset(change.effect for change in self.changes)


@dataclass(frozen=True, slots=True)
class Proposal:
    """Another policy, for all or for one organization, on top of what is in force. `digest` names both; see `propose`."""

    organization: Organization | None
    values: Mapping[str, Any]
    old: RulesOfAll
    new: RulesOfAll
    digest: str


def propose(organization: Organization | None, values: Mapping[str, Any]) -> Proposal:
    """Return the proposal to save `values`. Its digest is another one as soon as any policy or scope is. Two queries.

    Raises MetadataRefused with the findings about the values.
    """
    policies, scopes = get_policies(), get_scope_rules()
    findings = review_policy_record(values, scopes)
    if errors_among(findings):
        raise MetadataRefused(findings)
    owner = organization.pk if organization else None
    laid_over = Policies({**policies.values, owner: dict(values)})
    said = {
        "organization": owner,
        "values": dict(values),
        "policies": {str(key): dict(value) for key, value in policies.values.items()},
        "scopes": {name: [rule.is_sensitive, rule.is_retired] for name, rule in scopes.items()},
    }
    digest = hashlib.sha256(canonical_json(said)).hexdigest()
    return Proposal(organization, dict(values), RulesOfAll(policies, scopes), RulesOfAll(laid_over, scopes), digest)


def is_change(proposal: Proposal) -> bool:
    """Say whether a proposal is anything else than what is in force."""
    owner = proposal.organization.pk if proposal.organization else None
    return dict(proposal.old.policies.values.get(owner, {})) != dict(proposal.values)


def save_proposal(proposal: Proposal, seen: str, actor: Actor, *, now: datetime) -> PolicyRecord:
    """Save a proposal whose digest is the one that was `seen` with the report.

    Raises TransitionRefused with reason stale when a policy or scope changed since, or permission.
    """
    return save_policy(
        proposal.organization,
        proposal.values,
        actor,
        now=now,
        unless=lambda: propose(proposal.organization, proposal.values).digest != seen,
    )


def compare_client(
    client: Client, old: RulesOfAll, new: RulesOfAll, now: datetime, *, marked_grants: frozenset[str] = frozenset()
) -> tuple[Change, ...]:
    """Return what would be different for `client`, loaded as `open_clients` does. Pure.

    `marked_grants` are the grants that its trust marks or our staff entitle it to.
    """
    before, after = examine_client(client, old, now), examine_client(client, new, now)
    broke = {(one.code, _list_of(one.field)) for one in before.breaks}
    breaks = {(one.code, _list_of(one.field)) for one in after.breaks}
    fails = [
        Change("fails", one.code, _list_of(one.field), one.sentence) for one in after.breaks if (one.code, _list_of(one.field)) not in broke
    ]
    mended = [
        Change("mended", one.code, _list_of(one.field), one.sentence)
        for one in before.breaks
        if (one.code, _list_of(one.field)) not in breaks
    ]
    known = {_as_key(made) for made in before.decisions}
    changes = [
        Change("changes", f"policy.{made.rule}", made.member, made.sentence)
        for made in after.decisions
        if made.action != "refused" and _as_key(made) not in known
    ]
    lost = _grants_lost(client, old, new) - marked_grants
    loses = [
        Change("loses", "policy.grant_needs_mark", "grant_types", f"{name} needs a trust mark, which it has not.") for name in sorted(lost)
    ]
    return tuple(dict.fromkeys((*fails, *loses, *changes, *mended)))


def _list_of(field_name: str) -> str:
    return field_name.partition("[")[0]


def _as_key(made: Decision) -> tuple[str, str, str]:
    return made.member, made.action, str(made.after)


def _grants_lost(client: Client, old: RulesOfAll, new: RulesOfAll) -> frozenset[str]:
    """Return the grants that an entity of a federation may use without a trust mark today, and not by the new rules."""
    if client.trust == Client.Trust.NONE:
        return frozenset()
    by_mark = [set(rules.of(client).policy.federation_grant_types_by_mark) for rules in (new, old)]
    return frozenset(by_mark[0] - by_mark[1]) & frozenset(client.grant_types)


def preview(proposal: Proposal, now: datetime, *, after: int = 0) -> Iterator[tuple[Client, ChangedClient | None]]:
    """Yield every app that the proposal could concern, by primary key from `after` on, with what would change for it, if anything would.

    Drafts and closed apps are left out, as in the daily check. Two queries for each 500 apps.
    """
    wanted = open_clients().defer("declared_metadata", "key_set__jwks")
    if proposal.organization is not None:
        wanted = wanted.filter(organization=proposal.organization)
    while clients := list(wanted.filter(pk__gt=after).order_by("pk")[:CHUNK]):
        grants = _marked_grants(clients, now) if proposal_restricts_grants(proposal) else {}
        for client in clients:
            changes = compare_client(client, proposal.old, proposal.new, now, marked_grants=grants.get(client.pk, frozenset()))
            yield client, _changed(client, changes, now) if changes else None
        if len(clients) < CHUNK:
            return
        after = clients[-1].pk


def proposal_restricts_grants(proposal: Proposal) -> bool:
    """Say whether the proposal says which grants need a trust mark, so that what marks entitle to has to be read."""
    return "federation_grant_types_by_mark" in proposal.values


def _marked_grants(clients: list[Client], now: datetime) -> dict[int, frozenset[str]]:
    rows = Entitlement.objects.filter(client__in=clients, kind=Entitlement.Kind.GRANT)
    found: dict[int, frozenset[str]] = {}
    for row in rows:
        if row.expires_at is None or row.expires_at > now:
            found[row.client_id] = found.get(row.client_id, frozenset()) | {row.value}
    return found


def _changed(client: Client, changes: tuple[Change, ...], now: datetime) -> ChangedClient:
    stops = client.state == Client.State.ACTIVE and not client.organization.is_operator
    fails = any(change.effect == "fails" for change in changes)
    return ChangedClient(
        number=client.pk,
        client_id=client.client_id,
        name=str(client),
        source=in_english(Client.Source(client.source).label),
        state=client.state,
        organization_number=client.organization_id,
        organization=str(client.organization),
        changes=changes,
        suspended_from=now + GRACE if fails and stops else None,
    )


@dataclass(slots=True)
class Group:
    """Equal findings of several apps, in the words of the first."""

    change: Change
    count: int = 0


@dataclass(slots=True)
class Report:
    """What a dry run came to so far. `after` is the last app that was looked at; equal findings are counted together."""

    total: int
    after: int = 0
    covered: int = 0
    is_done: bool = False
    clients: Counter[str] = field(default_factory=Counter)
    groups: dict[tuple[str, str, str], Group] = field(default_factory=dict)
    sample: list[ChangedClient] = field(default_factory=list)

    @property
    def largest_groups(self) -> list[Group]:
        """Return the groups, the largest first."""
        return sorted(self.groups.values(), key=lambda group: -group.count)

    @property
    def changed(self) -> int:
        """Return how many apps would change."""
        return self.clients["changed"]

    def add(self, client: Client, found: ChangedClient | None) -> None:
        """Count an app that was looked at."""
        self.covered += 1
        self.after = client.pk
        if found is None:
            return
        self.clients["changed"] += 1
        self.clients.update(found.effects)
        self.clients["suspended"] += found.suspended_from is not None
        for key, change in {(one.effect, one.code, one.member): one for one in reversed(found.changes)}.items():
            if key in self.groups or len(self.groups) < GROUPS_LIMIT:
                self.groups.setdefault(key, Group(change)).count += 1
        if len(self.sample) < SAMPLE:
            self.sample.append(found)


def start_report(proposal: Proposal) -> Report:
    """Return the empty report of a dry run, which knows how many apps there are to look at. One query."""
    wanted = open_clients()
    if proposal.organization is not None:
        wanted = wanted.filter(organization=proposal.organization)
    return Report(total=wanted.count())


def go_on(report: Report, proposal: Proposal, now: datetime, *, is_over: Callable[[], bool]) -> Report:
    """Look at further apps until all are covered or `is_over()` says that this took long enough; return the report."""
    for client, found in preview(proposal, now, after=report.after):
        report.add(client, found)
        if is_over():
            return report
    report.is_done = True
    return report
