"""What ends or stands still of what the registry owns: secrets, certificates of registered keys, key addresses (portal.md 4.8).

Each function yields chunks, with one query for each.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.db.models import Exists, OuterRef, Q, QuerySet

from protocol.jose import certificate_ends
from registry.models import Client, ClientKeySet, ClientSecret, Reminder
from registry.reminders import CHUNK, FIRST_TOLD_BEFORE, TOLD_AFTER_END, Ending, Incident, Recovery

UNREACHABLE_AFTER: Final = timedelta(hours=24)
KEYS: Final = "keys"


def without_longer_sibling(secrets: QuerySet[ClientSecret]) -> QuerySet[ClientSecret]:
    """Return those of `secrets` that have none beside them which lasts longer, so that the app stops with them."""
    lasting = ClientSecret.objects.filter(Q(expires_at__isnull=True) | Q(expires_at__gt=OuterRef("expires_at")), client=OuterRef("client"))
    return secrets.filter(~Exists(lasting))


def find_ending_secrets(now: datetime) -> Iterator[list[Ending]]:
    """Yield the last secrets of apps that end within 30 days, or ended just now."""
    near = ClientSecret.objects.filter(expires_at__gt=now - TOLD_AFTER_END, expires_at__lte=now + FIRST_TOLD_BEFORE)
    wanted = without_longer_sibling(near).exclude(client__state=Client.State.CLOSED).select_related("client__organization")
    after = 0
    while rows := list(wanted.filter(pk__gt=after).order_by("pk")[:CHUNK]):
        yield [
            Ending(
                subject_of_secret(row), f"{row} is the only secret of this app that lasts as long.", row.client, row.client.organization,
                row.expires_at, "secret.ending", "secret.expired", row.created_at,
            )
            for row in rows
            if row.expires_at is not None
        ]  # fmt: skip
        after = rows[-1].pk


def subject_of_secret(secret: ClientSecret) -> str:
    """Return the name under which reminders about a secret are kept."""
    return f"secret:{secret.pk}"


def find_ending_certificates(now: datetime) -> Iterator[list[Ending]]:
    """Yield the certificates in the registered keys of apps that end within 30 days, or ended just now."""
    wanted = Client.objects.exclude(state=Client.State.CLOSED).filter(metadata__jwks__isnull=False)
    wanted = wanted.select_related("organization").defer("declared_metadata", "restrictions")
    after = 0
    while rows := list(wanted.filter(pk__gt=after).order_by("pk")[:CHUNK]):
        yield [ending for row in rows for ending in _certificates_of(row, now)]
        after = rows[-1].pk


def _certificates_of(client: Client, now: datetime) -> Iterator[Ending]:
    for name, seconds in certificate_ends(client.metadata.get("jwks")):
        moment = datetime.fromtimestamp(seconds, UTC)
        if now - TOLD_AFTER_END < moment <= now + FIRST_TOLD_BEFORE:
            sentence = f"The certificate of the registered key {name} ends."
            subject = f"certificate:{client.pk}:{name}"[:120]
            yield Ending(subject, sentence, client, client.organization, moment, "certificate.ending", "certificate.expired")


def find_unreachable_keys(now: datetime) -> Iterator[list[Incident]]:
    """Yield the apps whose key address has failed for 24 hours, counted from when the last good copy should have been fetched anew.

    An address that never answered counts from when the app was registered.
    """
    wanted = failing_keys(now).select_related("client__organization")
    after = 0
    while rows := list(wanted.filter(pk__gt=after).order_by("pk")[:CHUNK]):
        yield [_unreachable(row) for row in rows if row.jwks_uri == row.client.metadata.get("jwks_uri")]
        after = rows[-1].pk


def failing_keys(now: datetime) -> QuerySet[ClientKeySet]:
    """Return the kept key sets whose address has failed for 24 hours, but those of closed apps."""
    long_ago = now - UNREACHABLE_AFTER
    since = Q(fresh_until__lte=long_ago) | Q(fresh_until=None, client__created__lte=long_ago)
    return ClientKeySet.objects.filter(since).exclude(failure="").exclude(client__state=Client.State.CLOSED)


def _unreachable(row: ClientKeySet) -> Incident:
    sentence = f"{row.jwks_uri} could not be fetched: {row.failure}"
    return Incident(f"{KEYS}:{row.client_id}", sentence, row.client, row.client.organization, "keys.unreachable")


def recovered_keys(rows: list[Reminder], now: datetime) -> list[Recovery]:
    """Return which of the told incidents about key addresses are over. One query."""
    clients: dict[str, Any] = {f"{KEYS}:{client.pk}": client for client in _clients_of(rows)}
    still = {f"{KEYS}:{pk}" for pk in failing_keys(now).filter(client__in=clients.values()).values_list("client_id", flat=True)}
    over = [row for row in rows if row.subject not in still]
    return [
        Recovery(row, client, client.organization, "keys.reachable", "The address of its keys answers again.")
        if (client := clients.get(row.subject)) is not None and client.state != Client.State.CLOSED
        else Recovery(row)
        for row in over
    ]


def _clients_of(rows: list[Reminder]) -> QuerySet[Client]:
    numbers = [int(row.subject.rpartition(":")[2]) for row in rows]
    return Client.objects.filter(pk__in=numbers).select_related("organization")
