"""How what a client has by a software statement ends: the statement expires, or its issuer counts no more."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from django.db import transaction
from django.db.models import Q, QuerySet

from dcr.models import AcceptedStatement, RegistrationAccessToken, SoftwareStatementIssuer
from registry.actors import Actor, job
from registry.lifecycle import Assessment, Rules, assess_metadata, change_client
from registry.lifecycle.steps import record_step
from registry.models import Client, Entitlement
from registry.policies import get_policies, get_scope_rules

CHUNK: Final = 100
ENDED: Final = "statement.ended"
_JOB: Final = job("software statements")


def end_statements(actor: Actor, *, now: datetime) -> int:
    """End every accepted statement that expired or whose issuer is disabled; return how many. Each chunk is a transaction of its own.

    What it entitled to is taken away, the client is held against today's rules, and its owners hear of it. A client that has no other
    basis than an issuer that was disabled is suspended: every token of it ends. It may run twice at a time: rows are claimed by locks.
    """
    ended = 0
    while numbers := list(_due(now).order_by("pk").values_list("client_id", flat=True)[:CHUNK]):
        with transaction.atomic():
            ended += _end(numbers, actor, now)
    return ended


def end_statements_of(issuer: SoftwareStatementIssuer, actor: Actor, *, now: datetime) -> int:
    """End every accepted statement of a disabled issuer in the caller's transaction; return how many.

    Clients that rest on its statements alone are suspended, those too whose statement had expired before.
    """
    _suspend_former(issuer, actor, now)
    numbers = list(_due(now).filter(issuer=issuer).order_by("pk").values_list("client_id", flat=True))
    return sum(_end(numbers[start : start + CHUNK], actor, now) for start in range(0, len(numbers), CHUNK))


def _suspend_former(issuer: SoftwareStatementIssuer, actor: Actor, now: datetime) -> None:
    ended = AcceptedStatement.objects.select_related("issuer", "client").filter(issuer=issuer, ended_at__isnull=False)
    rows = list(ended.filter(replaced_initial_access_token=True).order_by("client_id"))
    alone = _standing_alone(rows)
    for row in rows:
        if row.client_id in alone and _can_be_suspended(row.client):
            _suspend(row, actor, now)


def _suspend(row: AcceptedStatement, actor: Actor, now: datetime) -> None:
    change_client(row.client, "suspend", replace(_JOB, request_id=actor.request_id), now=now, reason=_why(row))


def _due(now: datetime) -> QuerySet[AcceptedStatement]:
    return AcceptedStatement.objects.filter(Q(expires_at__lte=now) | Q(issuer__is_enabled=False), ended_at=None)


def _end(numbers: Sequence[int], actor: Actor, now: datetime) -> int:
    """End the statements of clients that are still due once the clients are locked, always in the same order."""
    locked = Client.objects.select_for_update(of=("self",)).select_related("organization").filter(pk__in=numbers).order_by("pk")
    clients = {client.pk: client for client in locked}
    rows = list(_due(now).select_related("issuer").filter(client_id__in=clients).order_by("client_id"))
    for row in rows:
        row.client = clients[row.client_id]
    scopes = _take_scopes([row.client_id for row in rows])
    AcceptedStatement.objects.filter(pk__in=[row.pk for row in rows]).update(ended_at=now)
    alone = _standing_alone(rows)
    for row, found in _check_again(rows, now):
        suspends = row.client_id in alone and not row.issuer.is_enabled and _can_be_suspended(row.client)
        _record(row, found, scopes.get(row.client_id, []), actor, suspends=suspends)
        if suspends:
            _suspend(row, actor, now)
    return len(rows)


def _take_scopes(numbers: Sequence[int]) -> dict[int, list[str]]:
    """Delete the entitlements that rest on the statements of these clients; return their scopes by client."""
    by_statement = Entitlement.objects.filter(client_id__in=numbers, because=Entitlement.Because.STATEMENT)
    found: dict[int, list[str]] = {}
    for number, scope in by_statement.order_by("value").values_list("client_id", "value"):
        found.setdefault(number, []).append(scope)
    by_statement.delete()
    return found


def _standing_alone(rows: Sequence[AcceptedStatement]) -> set[int]:
    """Return the clients that registered by a statement alone: they came without an initial access token, as their issuer allowed."""
    numbers = [row.client_id for row in rows if row.replaced_initial_access_token and row.client.source == Client.Source.DCR]
    with_token = RegistrationAccessToken.objects.filter(client_id__in=numbers, initial_access_token__isnull=False)
    return set(numbers) - set(with_token.values_list("client_id", flat=True))


def _can_be_suspended(client: Client) -> bool:
    return client.state == Client.State.ACTIVE or (client.state == Client.State.SUSPENDED and client.paused_by_owner)


@dataclass(frozen=True, slots=True)
class Recheck:
    """What today's rules say of a client as it is registered: what they refuse, and what they would leave out or change."""

    refused: tuple[str, ...]
    changed: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """Return it in words."""
        if self.refused:
            return f"Today's rules would refuse its registration: {'; '.join(self.refused)}"
        if self.changed:
            return f"Today's rules would change its registration: {'; '.join(self.changed)}"
        return "Its registration is as today's rules allow."


def _check_again(rows: Sequence[AcceptedStatement], now: datetime) -> Iterator[tuple[AcceptedStatement, Recheck]]:
    """Yield each statement with what the rules of today say of its client. Two queries for all of them."""
    if not rows:
        return
    policies, scopes = get_policies(), get_scope_rules()
    for row in rows:
        client, rules = row.client, Rules(policies.of(row.client.organization_id), scopes)
        assessment = assess_metadata(
            client.metadata, client.organization, stage=client.stage, now=now, restrictions=client.restrictions, rules=rules
        )
        yield row, _read(assessment)


def _read(assessment: Assessment) -> Recheck:
    refused = tuple(finding.sentence for finding in assessment.errors)
    return Recheck(refused, tuple(made.sentence for made in assessment.decisions if made.action != "refused"))


def _why(row: AcceptedStatement) -> str:
    if row.issuer.is_enabled:
        return f"The software statement of {row.issuer} expired."
    return f"{row.issuer} vouches for software here no more."


def _record(row: AcceptedStatement, found: Recheck, scopes: list[str], actor: Actor, *, suspends: bool) -> None:
    """Write what ended and why. A client that is suspended by it brings a notice of its own, and a closed one is nobody's concern."""
    difference: dict[str, Any] = {"entitled_scopes": [scopes, []], "recheck": [None, found.sentence]}
    record_step(
        actor,
        ENDED,
        row.client,
        row.client.organization,
        reason=f"{_why(row)} {found.sentence}"[:1000],
        difference=difference,
        is_news=not suspends and row.client.state != Client.State.CLOSED,
    )
