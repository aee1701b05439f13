"""Which registrations by a federation somebody should look at before they end."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from django.db.models import F

from federation.models import FederationRecord
from federation.registration import registered_last
from registry.attention import Attention
from registry.models import Client, Organization
from registry.reminders import FIRST_TOLD_BEFORE, ends_soon


def find_trust_attention(organizations: Collection[Organization], now: datetime) -> list[Attention]:
    """Return the apps of `organizations` whose explicit registration ends soon; a chain that is renewed does not. One query.

    One that was made for a short time ends soon when half of that is over.
    """
    by_id = {organization.pk: organization for organization in organizations}
    near = FederationRecord.objects.filter(registration_ends__gt=now, registration_ends__lte=now + FIRST_TOLD_BEFORE)
    unrenewed = near.filter(client__trust=Client.Trust.VALID, client__trust_expires_at__gte=F("registration_ends"))
    wanted = unrenewed.filter(client__organization__in=by_id)
    rows = wanted.exclude(client__state=Client.State.CLOSED).select_related("client").defer("changes", "resolved_metadata")
    sentence = "Its explicit registration ends; register it again before."
    return [
        Attention("trust_ending", sentence, by_id[row.client.organization_id], row.client, moment=row.registration_ends)
        for row in rows.order_by("registration_ends")
        if row.registration_ends is not None and ends_soon(row.registration_ends, now, since=registered_last(row))
    ]
