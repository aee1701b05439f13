"""Existing apps under today's rules: which of them break, why, and from when on that is enforced (DCR-MGT-22).

A rule counts for new registrations at once. What is registered already is examined here, whatever way it came: what breaks is written down
and told to the owners, and what still breaks when the grace period is over is suspended. Nothing is fetched.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from django.db import transaction
from django.db.models import QuerySet

from registry.actors import Actor
from registry.findings import Finding
from registry.key_addresses import KEPT_AFTER_FAILURE
from registry.lifecycle import Rules, assess_metadata, change_client
from registry.lifecycle.steps import record_step
from registry.models import Client, ClientCheck, Organization
from registry.models.checks import date_of
from registry.policies import Policies, get_policies, get_scope_rules
from registry.registration_policy import Decision, RegistrationPolicy, ScopeRule

CHUNK: Final = 500
GRACE: Final = timedelta(days=30)
IDLE: Final = "client.idle"
# What the policy would change, and certificates that end. What a reviewer should look at besides is no news about a registered app.
_WARNINGS: Final = ("policy.", "jwks.certificate_")
_SENTENCES_LIMIT: Final = 10

Outcome = Literal["fine", "failing", "found", "passed", "suspended"]


@dataclass(frozen=True, slots=True)
class RulesOfAll:
    """Today's rules, read once for many apps."""

    policies: Policies
    scopes: dict[str, ScopeRule]
    by_organization: dict[int, Rules] = field(default_factory=dict)

    def of(self, client: Client) -> Rules:
        """Return the rules for the organization of `client`."""
        owner = client.organization_id
        if owner not in self.by_organization:
            self.by_organization[owner] = Rules(self.policies.of(owner), self.scopes)
        return self.by_organization[owner]


@dataclass(frozen=True, slots=True)
class ExaminedClient:
    """What rules say of a registered app: what breaks, what the policy would change, and all that is to say about its metadata."""

    breaks: tuple[Finding, ...]
    decisions: tuple[Decision, ...]
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class CheckedClient:
    """What today's rules say of a registered app. `check` is the row it should have, as stored or not saved yet; None when it is fine."""

    client: Client
    check: ClientCheck | None
    new: tuple[dict[str, Any], ...]
    warnings: tuple[Finding, ...]

    @property
    def differs(self) -> bool:
        """Say whether the stored row is not the one it should be."""
        stored = _stored_check(self.client)
        return (self.check.findings if self.check else None) != (stored.findings if stored else None)


@dataclass(frozen=True, slots=True)
class SettledClient:
    """What today's rules say of a registered app, and what came of it."""

    checked: CheckedClient
    outcome: Outcome


def get_rules_of_all() -> RulesOfAll:
    """Return today's rules. Two queries."""
    return RulesOfAll(get_policies(), get_scope_rules())


def check_clients(
    now: datetime, *, grace: timedelta = GRACE, organization: Organization | None = None, after: int = 0
) -> Iterator[CheckedClient]:
    """Yield what today's rules say of every app that is neither draft nor closed, by primary key from `after` on; writes nothing.

    What is found now would be enforced `grace` later. Two queries, and one for each 500 apps.
    """
    yield from _check_clients(get_rules_of_all(), now, grace=grace, organization=organization, after=after)


def settle_clients(
    now: datetime, actor: Actor, *, grace: timedelta = GRACE, organization: Organization | None = None, after: int = 0
) -> Iterator[SettledClient]:
    """Write down what `check_clients` finds, delete what is fine again, and suspend what is due; yield each app when it is done.

    Every app is settled in a transaction of its own, so that this can be stopped anywhere and run again.
    """
    rules = get_rules_of_all()
    ClientCheck.objects.filter(client__state=Client.State.CLOSED).delete()
    for checked in _check_clients(rules, now, grace=grace, organization=organization, after=after):
        if checked.differs or _is_due(checked, now):
            yield _settle(checked.client, rules, actor, now, grace)
        else:
            yield SettledClient(checked, "failing" if checked.check else "fine")


def _check_clients(
    rules: RulesOfAll, now: datetime, *, grace: timedelta, organization: Organization | None, after: int
) -> Iterator[CheckedClient]:
    wanted = open_clients().defer("declared_metadata", "key_set__jwks")
    if organization is not None:
        wanted = wanted.filter(organization=organization)
    while clients := list(wanted.filter(pk__gt=after).order_by("pk")[:CHUNK]):
        for client in clients:
            yield check_client(client, rules, now, grace=grace)
        if len(clients) < CHUNK:
            return
        after = clients[-1].pk


def open_clients() -> QuerySet[Client]:
    """Return every app that is neither draft nor closed, with what `examine_client` reads."""
    return _locked_clients().select_related("key_set", "failed_check")


def _locked_clients() -> QuerySet[Client]:
    return Client.objects.exclude(state__in=(Client.State.DRAFT, Client.State.CLOSED)).select_related("organization")


def _stored_check(client: Client) -> ClientCheck | None:
    return getattr(client, "failed_check", None)


def examine_client(client: Client, rules: RulesOfAll, now: datetime) -> ExaminedClient:
    """Return what `rules` say of `client`, today's or others. No query when it was loaded as `open_clients` does."""
    found = assess_metadata(
        client.metadata, client.organization, stage=client.stage, now=now, restrictions=client.restrictions, rules=rules.of(client)
    )
    breaks = (*found.errors, *_find_idleness(client, rules.of(client).policy, now))
    return ExaminedClient(breaks, found.decisions, found.findings)


def check_client(client: Client, rules: RulesOfAll, now: datetime, *, grace: timedelta) -> CheckedClient:
    """Return what `rules` say of `client`. No query when it was loaded as `open_clients` does."""
    found = examine_client(client, rules, now)
    warnings = [finding for finding in found.findings if finding.level != "error" and finding.code.startswith(_WARNINGS)]
    check, new = _plan(client, found.breaks, now, grace)
    return CheckedClient(client, check, new, (*warnings, *_find_unreachable_keys(client, now)))


def _find_idleness(client: Client, policy: RegistrationPolicy, now: datetime) -> Iterator[Finding]:
    """Find that nobody uses an app that registered itself. A person who reinstates it gives it as much time again."""
    days = policy.dynamic_client_idle_days
    if not days or client.source != Client.Source.DCR:
        return
    if client.state == Client.State.ACTIVE:
        since = max(client.last_used_at or client.created, client.state_changed_at)
    elif (check := _stored_check(client)) and any(one["code"] == IDLE for one in check.findings):
        since = client.last_used_at or client.created
    else:
        return
    if since <= now - timedelta(days=days):
        yield Finding(IDLE, "error", "last_used_at", f"This app got no token for {days} days.", "Use it, or close it.")


def _find_unreachable_keys(client: Client, now: datetime) -> Iterator[Finding]:
    """Find that the keys behind a `jwks_uri` failed for longer than the copy from before counts."""
    keys = getattr(client, "key_set", None)
    if keys is None or keys.jwks_uri != client.metadata.get("jwks_uri") or not keys.failure:
        return
    if keys.fresh_until is None or now >= keys.fresh_until + KEPT_AFTER_FAILURE:
        words = f"Its keys cannot be fetched: {keys.failure}"
        yield Finding("jwks_uri.unreachable", "warning", "jwks_uri", words, "It cannot sign in before its key address answers again.")


def _plan(
    client: Client, breaks: Iterable[Finding], now: datetime, grace: timedelta
) -> tuple[ClientCheck | None, tuple[dict[str, Any], ...]]:
    """Return the row that `client` should have, not saved, and those of its findings that are new."""
    stored = _stored_check(client)
    dates = {_rule_of(one): one["enforce_at"] for one in stored.findings} if stored else {}
    entries = [
        {"code": one.code, "field": one.field, "sentence": one.sentence, "hint": one.hint, "enforce_at": (now + grace).isoformat()}
        for one in breaks
    ]
    new = tuple(one for one in entries if _rule_of(one) not in dates)
    if not entries:
        return None, ()
    for one in entries:
        one["enforce_at"] = dates.get(_rule_of(one), one["enforce_at"])
    kept = {"pk": stored.pk, "found_at": stored.found_at, "enforced_at": stored.enforced_at} if stored else {"found_at": now}
    check = ClientCheck(client_id=client.pk, findings=entries, **kept)
    check.enforce_at = check.next_date()
    return check, new


def _rule_of(entry: dict[str, Any]) -> tuple[str, str]:
    """Return which rule is broken, wherever in a list of values."""
    return entry["code"], entry["field"].partition("[")[0]


def _is_due(checked: CheckedClient, now: datetime) -> bool:
    """Say whether the app is to be suspended: by now something that still breaks is due.

    What is stopped already stays as it is; and nothing stops an app of this server's own organization, which no mail would have warned.
    """
    client, check = checked.client, checked.check
    return client.state == Client.State.ACTIVE and not client.organization.is_operator and check is not None and bool(check.due(now))


def _settle(client: Client, rules: RulesOfAll, actor: Actor, now: datetime, grace: timedelta) -> SettledClient:
    """Examine the locked row once more, and write what follows."""
    with transaction.atomic():
        row = _locked_clients().select_for_update(of=("self",)).filter(pk=client.pk).first()
        if row is None:  # closed since it was read
            return SettledClient(CheckedClient(client, None, (), ()), "fine")
        checked = check_client(row, rules, now, grace=grace)
        stored, check = _stored_check(row), checked.check
        if check is None:
            return SettledClient(checked, _end(row, stored, actor) if stored else "fine")
        if checked.differs:
            check.save()
        if checked.new:
            names = {"rules": [None, sorted({one["code"] for one in checked.new})]}
            record_step(actor, "client.check_failed", row, row.organization, reason=_warning(checked), difference=names)
        if _is_due(checked, now):
            row = change_client(row, "suspend", actor, now=now, reason=f"It breaks rules of this server. {_in_words(check.due(now))}")
            check.enforced_at = now
            check.enforce_at = check.next_date()
            check.save()
            return SettledClient(replace(checked, client=row), "suspended")
        return SettledClient(checked, "found" if checked.new else "failing")


def _end(row: Client, stored: ClientCheck, actor: Actor) -> Outcome:
    """Forget what is mended. Whoever was suspended for it stays so until a person reinstates it."""
    names = {"rules": [sorted({one["code"] for one in stored.findings}), None]}
    stored.delete()
    record_step(actor, "client.check_passed", row, row.organization, difference=names)
    return "passed"


def _warning(checked: CheckedClient) -> str:
    """Return the words in which the owners hear of new findings."""
    day = min(date_of(one) for one in checked.new).date().isoformat()
    return f"{_in_words(checked.new)} The app is suspended on {day} unless this is mended before."


def _in_words(entries: Iterable[dict[str, Any]]) -> str:
    """Return findings as sentences, each once, with what to do about them."""
    sentences = list(dict.fromkeys(f"{one['sentence']} {one['hint']}".strip() for one in entries))
    more = len(sentences) - _SENTENCES_LIMIT
    return " ".join(sentences[:_SENTENCES_LIMIT]) + (f" And {more} more, on its page." if more > 0 else "")
