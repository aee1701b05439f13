"""Which registrations by a federation somebody should look at before they end."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Final

from django.db.models import F

from federation.models import FederationRecord
from registry.attention import Attention
from registry.models import Client, Organization

NOTICE_BEFORE_END: Final = timedelta(days=7)


def find_trust_attention(organizations: Collection[Organization], now: datetime) -> list[Attention]:
    """Return the apps of `organizations` whose explicit registration ends soon; a chain that is renewed does not. One query.

    One that was made for a few days ends soon when half of that is over.
    """
    by_id = {organization.pk: organization for organization in organizations}
    near = FederationRecord.objects.filter(registration_ends__gt=now, registration_ends__lte=now + NOTICE_BEFORE_END)
    unrenewed = near.filter(client__trust=Client.Trust.VALID, client__trust_expires_at__gte=F("registration_ends"))
    wanted = unrenewed.filter(client__organization__in=by_id)
    rows = wanted.exclude(client__state=Client.State.CLOSED).select_related("client").defer("statements", "changes", "resolved_metadata")
    sentence = "Its explicit registration ends; register it again before."
    return [
        Attention("trust_ending", sentence, by_id[row.client.organization_id], row.client, moment=row.registration_ends)
        for row in rows.order_by("registration_ends")
        if row.registration_ends is not None and row.registration_ends - now <= (row.registration_ends - row.registered_at) / 2
    ]
