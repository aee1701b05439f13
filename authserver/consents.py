"""What people let apps have: given on the consent page, remembered, taken back at /account/.

Every step is in the audit trail without an organization: what a person uses is no business of the members of a partner.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from django.db import transaction

from authserver.families import end_families_of
from authserver.models import Consent
from registry import audit
from registry.actors import Actor
from registry.models import Client, User


def has_consented(user: User, client: Client, scopes: Collection[str]) -> bool:
    """Say whether the person let the app have all of `scopes` before."""
    consent = Consent.objects.filter(user=user, application=client).first()
    return consent is not None and set(scopes) <= set(consent.scopes)


def lock_consent(user: User, client: Client, scopes: Collection[str]) -> bool:
    """Say the same for as long as the caller's transaction lasts: nobody takes the consent back before it ends."""
    consent = Consent.objects.select_for_update().filter(user=user, application=client).first()
    return consent is not None and set(scopes) <= set(consent.scopes)


def remember_consent(user: User, client: Client, scopes: Collection[str], actor: Actor, *, now: datetime) -> Consent:
    """Remember that the person lets the app have `scopes`, beside what they let it have before."""
    with transaction.atomic():
        consent = None
        while consent is None:  # it may be taken back between the two statements
            Consent.objects.bulk_create([Consent(user=user, application=client)], ignore_conflicts=True)
            consent = Consent.objects.select_for_update().filter(user=user, application=client).first()
        before, after = consent.scopes, sorted({*consent.scopes, *scopes})
        consent.scopes, consent.given_at = after, now
        consent.save()
        if after != before:
            audit.record(actor, "consent.given", consent, organization=None, difference=_difference(client, before, after))
        return consent


def withdraw_consent(consent: Consent, actor: Actor, *, now: datetime) -> None:
    """Forget a consent and end every code and token that came of it. One that is gone already is left alone."""
    with transaction.atomic():
        row = Consent.objects.select_for_update(of=("self",)).select_related("user", "application").filter(pk=consent.pk).first()
        if row is None:
            return
        end_families_of(row.user, row.application, now=now)
        audit.record(actor, "consent.withdrawn", row, organization=None, difference=_difference(row.application, row.scopes, []))
        row.delete()


def _difference(client: Client, before: list[str], after: list[str]) -> dict[str, list[object]]:
    return {"scopes": [before, after], "client_id": [client.client_id, client.client_id]}
