"""What an organization should look at, before it becomes an outage (portal.md 4.3, page 9)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db.models import Exists, F, OuterRef, Q

from registry.models import ChangeRequest, Client, ClientCheck, ClientSecret, Organization

NOTICE_BEFORE_END: Final = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Attention:
    """One thing to look at. `code` is stable; `client` is the app it is about, if it is about one; `moment` when it happens or happened."""

    code: str
    sentence: str
    organization: Organization
    client: Client | None = None
    change_request: ChangeRequest | None = None
    moment: datetime | None = None


_ORGANIZATION_SENTENCES: Final = {
    Organization.State.CHANGES_REQUESTED: "A reviewer asks for changes before it can be approved.",
    Organization.State.REJECTED: "The organization was rejected.",
    Organization.State.SUSPENDED: "The organization is suspended; its apps get no tokens.",
}


def find_attention(organizations: Collection[Organization], now: datetime) -> list[Attention]:
    """Return what the members of `organizations` should look at. Four queries, however many there are."""
    by_id = {organization.pk: organization for organization in organizations}
    items = [
        Attention(f"organization_{row.state}", _ORGANIZATION_SENTENCES[Organization.State(row.state)], row, moment=row.state_changed_at)
        for row in organizations
        if row.state in _ORGANIZATION_SENTENCES
    ]
    waiting = Q(state=Client.State.DRAFT, offered_to_owner=True) | Q(state=Client.State.SUSPENDED)
    for client in Client.objects.filter(waiting, organization__in=by_id):
        offered = client.state == Client.State.DRAFT
        sentence = "Our staff prepared this app for you; claim it." if offered else "This app gets no tokens: it is paused or suspended."
        code = "client_offered" if offered else "client_suspended"
        items.append(Attention(code, sentence, by_id[client.organization_id], client, moment=client.state_changed_at))
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


def _sent_back(ids: Collection[int]) -> list[ChangeRequest]:
    """Return requests that were sent back and not followed by another."""
    later = ChangeRequest.objects.filter(client=OuterRef("client"), id__gt=OuterRef("id"))
    rows = ChangeRequest.objects.filter(~Exists(later), state=ChangeRequest.State.SENT_BACK, client__organization__in=ids)
    return list(rows.exclude(client__state=Client.State.CLOSED).select_related("client"))


def _open_checks(ids: Collection[int]) -> list[ClientCheck]:
    """Return what breaks today's rules and is still to be enforced."""
    rows = ClientCheck.objects.filter(Q(enforced_at=None) | Q(enforce_at__gt=F("enforced_at")), client__organization__in=ids)
    return list(rows.exclude(client__state=Client.State.CLOSED).select_related("client"))


def _ending_secrets(ids: Collection[int], now: datetime) -> list[ClientSecret]:
    """Return live secrets that end soon and have no other that lasts longer beside them."""
    lasting = ClientSecret.objects.filter(Q(expires_at__isnull=True) | Q(expires_at__gt=OuterRef("expires_at")), client=OuterRef("client"))
    rows = ClientSecret.objects.filter(
        ~Exists(lasting), expires_at__gt=now, expires_at__lte=now + NOTICE_BEFORE_END, client__organization__in=ids
    )
    return list(rows.exclude(client__state=Client.State.CLOSED).select_related("client"))
