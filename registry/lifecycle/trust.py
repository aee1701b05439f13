"""Clients that a trust chain vouches for: registered, confirmed, doubted, broken, revived (house decisions 4, 5, 10)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db import connection, transaction
from django.db.models import F

from protocol.errors import MetadataRefused, TransitionRefused
from registry.actors import Actor
from registry.audit import difference_between
from registry.lifecycle.assessment import Assessment, assess_metadata
from registry.lifecycle.clients import check_room, count_clients
from registry.lifecycle.records import apply_metadata, lock_client, write_metadata
from registry.lifecycle.steps import check_step, record_step
from registry.models import Client, Organization
from registry.policies import get_policy
from registry.transitions import SYSTEM, TRUST


@dataclass(frozen=True, slots=True)
class TrustedMetadata:
    """What a trust chain says of a client: what it declared, the document that the federation's rules left of it, and when that ends."""

    declared: Mapping[str, Any]
    document: Mapping[str, Any]
    expires_at: datetime


def register_trusted_client(
    actor: Actor, organization: Organization, client_id: str, source: str, trusted: TrustedMetadata, *, now: datetime
) -> tuple[Client, Assessment]:
    """Register the entity `client_id` as a live client of `organization`; return it, and what our own rules made of its document.

    Raises MetadataRefused with all findings, or TransitionRefused with reason permission, organization or limit.
    """
    with transaction.atomic():
        row = Organization.objects.select_for_update().get(pk=organization.pk)
        _check_job(actor, row)
        if row.state != Organization.State.APPROVED:
            raise TransitionRefused("organization", f"The organization of this entity is {row.state_in_english}.")
        check_room(row, limit=get_policy(row).clients_limit, count=count_clients(row))
        assessment = _assess(trusted, row, now)
        client = Client(
            client_id=client_id,
            organization=row,
            source=source,
            stage=Client.Stage.LIVE,
            state=Client.State.ACTIVE,
            state_changed_at=now,
            trust=Client.Trust.VALID,
            trust_expires_at=trusted.expires_at,
            declared_metadata=dict(trusted.declared),
        )
        # The first of each way is told at once, the others once a day (registry.registration_digests).
        is_first = not row.clients.filter(source=source).exists()
        write_metadata(client, assessment.metadata, now=now)
        difference = difference_between({}, assessment.metadata)
        record_step(actor, "client.registered", client, row, difference=difference, is_news=is_first)
        return client, assessment


def confirm_trust(
    client: Client, actor: Actor, trusted: TrustedMetadata, *, now: datetime, source: str | None = None
) -> tuple[Client, Assessment]:
    """Take over what a new look at the trust chain says; trust that was lost comes back with the same client, its tokens do not.

    `source` is how it was registered anew, None when it was only looked at again. What people decided stays as it is. Raises
    MetadataRefused with all findings when our own rules refuse the new document, or TransitionRefused with reason permission or state.
    """
    with transaction.atomic():
        row = lock_client(client)
        _check_job(actor, row.organization)
        if row.state == Client.State.CLOSED:
            raise TransitionRefused("state", "This app is closed.")
        assessment = _assess(trusted, row.organization, now)
        if row.trust != Client.Trust.VALID:
            _change_trust(row, "revive" if row.trust == Client.Trust.BROKEN else "restore", actor, "")
        row.trust_expires_at = trusted.expires_at
        row.source = source or row.source
        row.declared_metadata = dict(trusted.declared)
        apply_metadata(row, assessment.metadata, actor, now=now)
        return row, assessment


def keep_trust(client: Client, actor: Actor, expires_at: datetime) -> Client:
    """Write down that the trust chain of a client stands, whatever our own rules say of its metadata by now, which stays as it is.

    Raises TransitionRefused with reason permission or state.
    """
    with transaction.atomic():
        row = lock_client(client)
        _check_job(actor, row.organization)
        if row.trust != Client.Trust.VALID:
            _change_trust(row, "restore", actor, "")
        row.trust_expires_at = expires_at
        row.save(update_fields=["trust", "trust_expires_at"])
        return row


def extend_trust(ends: Mapping[int, datetime]) -> None:
    """Write down, by primary key, until when trust lasts that was found unchanged, in one round to the database.

    In SQL, because a sweep does it for thousands, and the ORM takes longer to write it than the database to do it.
    """
    values = [(connection.ops.adapt_datetimefield_value(end), pk, Client.Trust.VALID, Client.State.CLOSED) for pk, end in ends.items()]
    with connection.cursor() as cursor:
        cursor.executemany(_EXTEND, values)


_EXTEND: Final = "UPDATE registry_client SET trust_expires_at = %s WHERE id = %s AND trust = %s AND state <> %s"


def lose_trust(client: Client, step_name: str, actor: Actor, *, reason: str) -> Client:
    """Make the step `miss`, `doubt` or `break` of `transitions.TRUST`; return the client as it is then.

    Breaking ends every code and token in this transaction; doubt alone keeps them for the case that it was wrong (house decision 10).
    A client that is where the step leads already, or further, stays as it is. Raises TransitionRefused.
    """
    with transaction.atomic():
        row = lock_client(client)
        if row.state != Client.State.CLOSED and row.trust in TRUST[step_name].sources:
            _change_trust(row, step_name, actor, reason)
            row.save()
        return row


def end_trust(clients: Iterable[Client], actor: Actor, *, reason: str) -> int:
    """Break the trust of several clients at once, as when an operator no longer accepts a trust anchor; return how many had it.

    One UPDATE ends all their codes and tokens; the audit rows stand in the same transaction. Raises TransitionRefused.
    """
    step = TRUST["break"]
    with transaction.atomic():
        numbers = [client.pk for client in clients]
        held = Client.objects.filter(pk__in=numbers, trust__in=step.sources).exclude(state=Client.State.CLOSED)
        rows = list(held.select_for_update(of=("self",)).select_related("organization"))
        for row in rows:
            check_step(step, row.trust, actor, row.organization, reason)
        ended = Client.objects.filter(pk__in=[row.pk for row in rows])
        ended.update(trust=Client.Trust.BROKEN, credential_generation=F("credential_generation") + 1)
        for row in rows:
            difference = {"trust": [row.trust, Client.Trust.BROKEN]}
            record_step(actor, step.event, row, row.organization, reason=reason, difference=difference)
        return len(rows)


def _change_trust(row: Client, step_name: str, actor: Actor, reason: str) -> None:
    step = TRUST[step_name]
    check_step(step, row.trust, actor, row.organization, reason)
    before, row.trust = row.trust, step.target or row.trust
    if step_name == "break":
        row.credential_generation += 1
    difference = difference_between({"trust": before}, {"trust": row.trust})
    record_step(actor, step.event, row, row.organization, reason=reason, difference=difference)


def _check_job(actor: Actor, organization: Organization) -> None:
    if not actor.has_role(organization, SYSTEM):
        raise TransitionRefused("permission", "Only the federation's own checks may do this.")


def _assess(trusted: TrustedMetadata, organization: Organization, now: datetime) -> Assessment:
    assessment = assess_metadata(trusted.document, organization, stage=Client.Stage.LIVE, now=now, restrictions={})
    if assessment.errors:
        raise MetadataRefused(assessment.findings)
    return assessment
