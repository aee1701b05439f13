"""What an organization should look at, before it becomes an outage (portal.md 4.3, page 9)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db.models import Exists, F, OuterRef, Q, QuerySet

from registry.endings import failing_keys, without_longer_sibling
from registry.models import AppDraft, ChangeRequest, Client, ClientCheck, ClientKeySet, ClientSecret, Organization
from registry.reminders import FIRST_TOLD_BEFORE

# What an app registered is the most of its row, and nobody needs it to be told of the app; there may be many.
_REGISTERED: Final = ("metadata", "declared_metadata", "restrictions")
# Whoever works on a draft today need not be told of it.
DRAFT_WAITS_AFTER: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Attention:
    """One thing to look at. `code` is stable; `client` is the app it is about, if it is about one; `moment` when it happens or happened."""

    code: str
    sentence: str
    organization: Organization
    client: Client | None = None
    change_request: ChangeRequest | None = None
    moment: datetime | None = None
    draft: AppDraft | None = None


_ORGANIZATION_SENTENCES: Final = {
    Organization.State.CHANGES_REQUESTED: "A reviewer asks for changes before it can be approved.",
    Organization.State.REJECTED: "The organization was rejected.",
    Organization.State.SUSPENDED: "The organization is suspended; its apps get no tokens.",
}


_TRUST_SENTENCES: Final = {
    Client.Trust.BROKEN: "Its trust is lost; it gets no tokens. Its trust page says which step failed and who can fix it.",
    Client.Trust.SUSPECT: "Its trust is in doubt; it gets no tokens until a second look.",
    Client.Trust.STALE: "Its trust could not be checked lately; the last result counts until it ends.",
}


def find_attention(organizations: Collection[Organization], now: datetime) -> list[Attention]:
    """Return what the members of `organizations` should look at. Six queries, however many there are."""
    by_id = {organization.pk: organization for organization in organizations}
    items = [
        Attention(f"organization_{row.state}", _ORGANIZATION_SENTENCES[Organization.State(row.state)], row, moment=row.state_changed_at)
        for row in organizations
        if row.state in _ORGANIZATION_SENTENCES
    ]
    for client in _troubled_clients(by_id):
        items += _troubles_of(client, by_id[client.organization_id])
    for keys in _failing_keys(by_id, now):
        sentence = "Its keys could not be fetched for more than a day; without them it cannot sign in."
        organization = by_id[keys.client.organization_id]
        items.append(Attention("keys_unreachable", sentence, organization, keys.client, moment=keys.attempted_at))
    for draft in _waiting_drafts(by_id, now):
        sentence = "A draft of an app waits to be finished or thrown away."
        items.append(Attention("draft_waiting", sentence, by_id[draft.organization_id], draft=draft, moment=draft.updated_at))
    for request in _sent_back(by_id):
        organization = by_id[request.client.organization_id]
        items.append(
            Attention("change_sent_back", "A reviewer sent a request back.", organization, request.client, request, request.decided_at)
        )
    for secret in _ending_secrets(by_id, now):
        organization = by_id[secret.client.organization_id]
        items.append(Attention("secret_ending", f"{secret} ends soon.", organization, secret.client, moment=secret.expires_at))
    for check in _open_checks(by_id):
        sentence = f"It breaks a rule and will be suspended unless that is mended: {check.sentences[0]}"
        items.append(Attention("rule_broken", sentence, by_id[check.client.organization_id], check.client, moment=check.enforce_at))
    return items


def count_attention(organizations: Collection[Organization], now: datetime) -> Counter[int]:
    """Return how many things `find_attention` finds, by organization. As many queries, without building what nobody reads."""
    ids = {organization.pk for organization in organizations}
    counts = Counter(row.pk for row in organizations if row.state in _ORGANIZATION_SENTENCES)
    for organization, state, trust in _troubled_clients(ids).values_list("organization_id", "state", "trust"):
        counts[organization] += (state in (Client.State.DRAFT, Client.State.SUSPENDED)) + (trust in _TRUST_SENTENCES)
    counts.update(keys.client.organization_id for keys in _failing_keys(ids, now))
    counts.update(_waiting_drafts(ids, now).values_list("organization_id", flat=True))
    for rows in (_sent_back(ids), _ending_secrets(ids, now), _open_checks(ids)):
        counts.update(rows.order_by().values_list("client__organization_id", flat=True))
    return counts


def _failing_keys(ids: Collection[int], now: datetime) -> list[ClientKeySet]:
    """Return the kept keys whose address has failed for a day and is still the app's."""
    rows = failing_keys(now).filter(client__organization__in=ids).select_related("client")
    return [row for row in rows if row.jwks_uri == row.client.metadata.get("jwks_uri")]


def _waiting_drafts(ids: Collection[int], now: datetime) -> QuerySet[AppDraft]:
    return AppDraft.objects.filter(organization__in=ids, updated_at__lte=now - DRAFT_WAITS_AFTER).order_by("updated_at")


def _troubled_clients(ids: Collection[int]) -> QuerySet[Client]:
    """Return the apps that are offered, stopped, or whose trust is not what it should be."""
    waiting = Q(state=Client.State.DRAFT, offered_to_owner=True) | Q(state=Client.State.SUSPENDED)
    trust = Q(trust__in=_TRUST_SENTENCES) & ~Q(state=Client.State.CLOSED)
    return Client.objects.filter(waiting | trust, organization__in=ids).defer(*_REGISTERED)


def _troubles_of(client: Client, organization: Organization) -> Iterator[Attention]:
    if client.state == Client.State.DRAFT:
        sentence = "Our staff prepared this app for you; claim it."
        yield Attention("client_offered", sentence, organization, client, moment=client.state_changed_at)
    elif client.state == Client.State.SUSPENDED:
        sentence = "This app gets no tokens: it is paused or suspended."
        yield Attention("client_suspended", sentence, organization, client, moment=client.state_changed_at)
    if sentence := _TRUST_SENTENCES.get(Client.Trust(client.trust), ""):
        ends = client.trust_expires_at if client.trust == Client.Trust.STALE else None
        yield Attention(f"trust_{client.trust}", sentence, organization, client, moment=ends)


def _sent_back(ids: Collection[int]) -> QuerySet[ChangeRequest]:
    """Return requests that were sent back and not followed by another."""
    later = ChangeRequest.objects.filter(client=OuterRef("client"), id__gt=OuterRef("id"))
    rows = ChangeRequest.objects.filter(~Exists(later), state=ChangeRequest.State.SENT_BACK, client__organization__in=ids)
    return rows.exclude(client__state=Client.State.CLOSED).select_related("client")


def _open_checks(ids: Collection[int]) -> QuerySet[ClientCheck]:
    """Return what breaks today's rules and is still to be enforced."""
    rows = ClientCheck.objects.filter(Q(enforced_at=None) | Q(enforce_at__gt=F("enforced_at")), client__organization__in=ids)
    return rows.exclude(client__state=Client.State.CLOSED).select_related("client")


def _ending_secrets(ids: Collection[int], now: datetime) -> QuerySet[ClientSecret]:
    """Return live secrets that end soon and have no other that lasts longer beside them."""
    near = ClientSecret.objects.filter(expires_at__gt=now, expires_at__lte=now + FIRST_TOLD_BEFORE, client__organization__in=ids)
    rows = without_longer_sibling(near).exclude(client__state=Client.State.CLOSED).select_related("client")
    return rows.defer(*(f"client__{name}" for name in _REGISTERED))
