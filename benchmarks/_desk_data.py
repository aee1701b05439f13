"""A desk in use: many organizations, clients of every way in, open requests and a long trail, copied in bulk from a few."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any, Final

BATCH: Final = 2_000
# The first organization has a tenth of all clients: lists must be quick for whoever has the most.
LARGEST_SHARE: Final = 10
DAYS_OF_HISTORY: Final = 365
DOCUMENTS: Final[tuple[dict[str, Any], ...]] = (
    {"grant_types": ["client_credentials"], "scope": "bookings.read", "token_endpoint_auth_method": "client_secret_basic"},
    {
        "redirect_uris": ["https://app.partner.example/callback"],
        "scope": "openid bookings.read",
        "token_endpoint_auth_method": "client_secret_basic",
    },
    {
        "application_type": "native",
        "redirect_uris": ["http://127.0.0.1/callback"],
        "token_endpoint_auth_method": "none",
        "scope": "openid bookings.write",
    },
)
EVENTS: Final = (
    "client.updated",
    "secret.created",
    "client.registered",
    "change.requested",
    "change.approved",
    "trust.stale",
    "member.joined",
)


class Desk:
    """What `fill` made, as far as pages are asked for it."""

    def __init__(self, owner: Any, administrator: Any, organization: Any, client: Any, change: Any) -> None:
        self.owner, self.administrator, self.organization = owner, administrator, organization
        self.client, self.change = client, change


def fill(*, clients: int, organizations: int, events: int, now: datetime) -> Desk:
    """Fill the empty database and return where to look."""
    from registry.lifecycle import request_go_live
    from registry.models import Client, Membership, Organization, Scope, User

    for name in ("bookings.read", "bookings.write"):
        Scope.objects.create(name=name, title=name, is_sensitive=name.endswith("write"))
    owner = User.objects.create_user("owner@partner.example", name="Olga Owner")
    administrator = User.objects.create_superuser("root@credence.example", name="Root")
    Organization.objects.bulk_create(_organizations(organizations, owner, now), batch_size=BATCH)
    rows = list(Organization.objects.filter(is_operator=False).order_by("pk"))
    Membership.objects.bulk_create([Membership(organization=row, user=owner, role="owner") for row in rows[:5]])
    samples = [_sample(rows[0], owner, document, now) for document in DOCUMENTS]
    Client.objects.bulk_create(_clients(samples, rows, clients, now), batch_size=BATCH)
    _add_credentials(owner, now)
    _add_events(rows, events, now)
    client = samples[1]
    change = request_go_live(client, _actor(owner), now=now, justification="It is ready.")
    _add_requests(change, rows, now)
    return Desk(owner, administrator, rows[0], client, change)


def _actor(user: Any) -> Any:
    from registry.actors import person

    return person(user)


def _organizations(count: int, owner: Any, now: datetime) -> Iterator[Any]:
    from registry.models import Organization

    for number in range(count):
        waits = number % 10 == 9
        yield Organization(
            slug=f"partner-{number}",
            legal_name=f"Partner {number:04d} Travel and Insurance",
            country="NO",
            registration_number=f"{number:09d}",
            website=f"https://partner-{number}.example",
            email_domains=["partner.example"],
            state="pending" if waits else "approved",
            submitted_at=now - timedelta(days=number % 7) if waits else None,
            created_by=owner,
            created_at=now - timedelta(days=number % DAYS_OF_HISTORY),
        )


def _sample(organization: Any, owner: Any, document: dict[str, Any], now: datetime) -> Any:
    from registry.lifecycle import register_client

    return register_client(_actor(owner), organization, {"client_name": "Bookings", **document}, now=now)


def _clients(samples: list[Any], organizations: list[Any], count: int, now: datetime) -> Iterator[Any]:
    from registry.models import Client

    fields = [field.attname for field in Client._meta.concrete_fields if field.attname not in ("id", "reference", "client_id")]
    federation = Client.Source.FEDERATION_AUTOMATIC
    for number in range(count - len(samples)):
        values = {name: getattr(samples[number % len(samples)], name) for name in fields}
        source = (Client.Source.MANUAL, Client.Source.DCR, federation)[number % 3]
        largest = number % LARGEST_SHARE == 0
        trusted = source == federation
        values |= {
            "organization_id": organizations[0 if largest else number % len(organizations)].pk,
            "name": f"App number {number:05d}",
            "source": source,
            "trust": ("valid", "valid", "stale", "broken")[number % 4] if trusted else "none",
            "trust_expires_at": now + timedelta(days=number % 90) if trusted else None,
            "state": "suspended" if number % 25 == 24 else "active",
            "stage": "live" if trusted or number % 2 else "test",
            "last_used_at": now - timedelta(days=number % 120),
        }
        client_id = f"https://app-{number}.partner.example/{number}" if trusted else str(uuid.uuid4())
        yield Client(**values, reference=uuid.uuid4(), client_id=client_id)


def _add_credentials(owner: Any, now: datetime) -> None:
    """Give secrets to what uses them, spread `created` over the year, and a federation record to entities."""
    from federation.models import FederationRecord
    from registry.models import Client, ClientSecret

    rows = list(Client.objects.order_by("pk").only("pk", "client_id", "source"))
    for number, row in enumerate(rows):
        row.created = now - timedelta(days=number % DAYS_OF_HISTORY)
    Client.objects.bulk_update(rows, ["created"], batch_size=500)
    secrets = (
        ClientSecret(
            client=row, digest=_digest(f"secret {row.pk}"), tail="abcd", created_by=owner, expires_at=now + timedelta(days=row.pk % 200)
        )
        for row in rows
        if row.source != Client.Source.FEDERATION_AUTOMATIC
    )
    ClientSecret.objects.bulk_create(secrets, batch_size=BATCH)
    records = (
        FederationRecord(
            client=row,
            entity_id=row.client_id,
            twin_digest=_digest(row.client_id),
            entity_type="openid_relying_party",
            anchor="https://anchor.example",
            superior=f"https://intermediate-{row.pk % 100}.example",
            entities=[row.client_id, f"https://intermediate-{row.pk % 100}.example", "https://anchor.example"],
        )
        for row in rows
        if row.source == Client.Source.FEDERATION_AUTOMATIC
    )
    FederationRecord.objects.bulk_create(records, batch_size=BATCH)


def _add_events(organizations: list[Any], count: int, now: datetime) -> None:
    from registry.models import AuditEvent, Client

    clients = list(Client.objects.values_list("reference", "name", "organization_id"))
    step = timedelta(days=DAYS_OF_HISTORY) / max(count, 1)

    def rows() -> Iterator[Any]:
        for number in range(count):
            reference, name, organization = clients[number * 7 % len(clients)]
            yield AuditEvent(
                time=now - timedelta(days=DAYS_OF_HISTORY) + number * step,
                request_id=f"{number:032x}",
                actor_kind="user",
                actor_id=str(number % 50),
                actor_label="Olga Owner",
                organization_id=organizations[0].pk if number % LARGEST_SHARE == 0 else organization,
                object_type="client",
                object_id=str(reference),
                object_label=name,
                event=EVENTS[number % len(EVENTS)],
                difference={"scope": ["bookings.read", "bookings.read bookings.write"]},
                source_address="192.0.2.17",
                user_agent_family="Firefox",
            )

    for batch in batches(rows(), 10_000):
        AuditEvent.objects.bulk_create(batch, batch_size=BATCH)


def _add_requests(change: Any, organizations: list[Any], now: datetime) -> None:
    """Let 300 requests wait, in every organization some."""
    from registry.models import ChangeRequest, Client

    waiting = Client.objects.exclude(pk=change.client_id).filter(organization__in=organizations)[:300]
    fields = ("kind", "state", "metadata", "base_digest", "digest", "justification", "submitted_by_id")
    values = {name: getattr(change, name) for name in fields}
    rows = (ChangeRequest(client=client, submitted_at=now - timedelta(hours=client.pk % 200), **values) for client in waiting)
    ChangeRequest.objects.bulk_create(rows, batch_size=BATCH)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def batches(rows: Iterable[Any], size: int) -> Iterator[list[Any]]:
    """Return `rows` in lists of at most `size`."""
    batch: list[Any] = []
    for row in rows:
        batch.append(row)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
