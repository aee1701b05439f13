"""Fixtures that every room uses."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from django.db import connection
from django.db.backends.sqlite3.base import DatabaseOperations
from django.utils import timezone
from hypothesis import HealthCheck, settings

from registry.actors import Actor, job, person
from registry.client_secrets import NewSecret
from registry.credentials import create_secret
from registry.lifecycle import change_organization, create_organization, register_client
from registry.models import Client, Membership, Organization, Scope, User

# What lands is decided by the change alone, so every run draws the same examples; `--hypothesis-profile=explore` draws new ones.
# No deadlines: the first example pays for imports and keys, and machines that run tests are busy.
settings.register_profile(
    "gate", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
settings.register_profile("explore", parent=settings.get_profile("gate"), derandomize=False)
settings.load_profile("gate")

AUDIT_TABLES = ("registry_auditevent", "registry_auditseal")


@pytest.fixture(autouse=True, scope="session")
def _flush_past_the_audit_triggers() -> Iterator[None]:
    """Let tests that commit empty the tables afterwards: SQLite deletes rows, which the audit triggers refuse."""
    original = DatabaseOperations.sql_flush

    def sql_flush(self: DatabaseOperations, style: Any, tables: Any, **options: Any) -> list[str]:
        with self.connection.cursor() as cursor:
            cursor.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name IN (%s, %s)", AUDIT_TABLES)
            triggers = cursor.fetchall()
        drops = [f"DROP TRIGGER {name}" for name, _ in triggers]
        return [*drops, *original(self, style, tables, **options), *(sql for _, sql in triggers)]

    DatabaseOperations.sql_flush = sql_flush
    yield
    DatabaseOperations.sql_flush = original


@pytest.fixture(autouse=True)
def _forget_process_state() -> None:
    """Forget what this process remembers of another test's database."""
    from authserver.documents import configuration_snapshot, metadata_snapshot, signed_jwks_snapshot
    from authserver.throttling import failures, sign_ins
    from authserver.tokens import policies
    from portal.api.throttling import requests
    from registry import banners, digests, failed_requests
    from registry.signing_keys import forget_snapshots

    digests.forget()
    banners.due_snapshot.keep(())
    forget_snapshots()
    for snapshot in (metadata_snapshot, configuration_snapshot, signed_jwks_snapshot):
        snapshot.forget()
    failures.forget()
    sign_ins.forget()
    policies.forget()
    requests.forget()
    failed_requests.notes.forget()


@pytest.fixture
def now() -> datetime:
    """The time of the test: now, in whole seconds."""
    return timezone.now().replace(microsecond=0)


@dataclass
class Cast:
    """An approved organization with one member of each role, staff of each role, and scopes."""

    organization: Organization
    owner: User
    developer: User
    viewer: User
    stranger: User
    reviewer: User
    operator: User
    auditor: User

    @property
    def as_owner(self) -> Actor:
        return person(self.owner)

    @property
    def as_reviewer(self) -> Actor:
        return person(self.reviewer, staff=True)

    @property
    def as_operator(self) -> Actor:
        return person(self.operator, staff=True)


def make_organization(owner: User, reviewer: User, now: datetime, name: str = "Lighthouse Travel", *, approve: bool = True) -> Organization:
    """Return an organization that went through the real transitions."""
    contacts = {"technical": "tech@lighthouse.example", "security": "security@lighthouse.example"}
    organization = create_organization(
        person(owner), name, now=now, owner=owner, country="NO", website="https://lighthouse.example", contacts=contacts
    )
    if approve:
        organization = change_organization(organization, "submit", person(owner), now=now)
        organization = change_organization(organization, "assign", person(reviewer, staff=True), now=now)
        organization = change_organization(organization, "approve", person(reviewer, staff=True), now=now)
    return organization


@pytest.fixture
def cast(db: None, now: datetime) -> Cast:
    """The people of the story; committed when the test uses `transactional_db`."""
    users = {name: User.objects.create_user(f"{name}@lighthouse.example", name=name.title()) for name in ("owner", "developer", "viewer")}
    staff = {
        role: User.objects.create_user(f"{role}@credence.example", name=role.title(), staff_role=role)
        for role in ("reviewer", "operator", "auditor")
    }
    organization = make_organization(users["owner"], staff["reviewer"], now)
    for role in ("developer", "viewer"):
        Membership.objects.create(organization=organization, user=users[role], role=role)
    Scope.objects.create(name="bookings.read", title="See your bookings")
    Scope.objects.create(name="bookings.write", title="Change your bookings", is_sensitive=True)
    stranger = User.objects.create_user("stranger@tidewater.example", name="Stranger")
    return Cast(organization=organization, stranger=stranger, **users, **staff)


@pytest.fixture
def make_client(cast: Cast, now: datetime) -> Callable[..., Client]:
    """Return a function that registers an active test-stage client of the cast's organization."""

    def make(**metadata: Any) -> Client:
        document = {"client_name": "Back office", "grant_types": ["client_credentials"], "scope": "bookings.read", **metadata}
        return register_client(job("test"), cast.organization, document, now=now)

    return make


@pytest.fixture
def client_with_secret(make_client: Callable[..., Client], now: datetime) -> tuple[Client, NewSecret]:
    """Return a client that authenticates by secret, and its secret."""
    client = make_client()
    return client, create_secret(client, job("test"), now=now)


@pytest.fixture
def post_form(client: Any) -> Callable[..., Any]:
    """Return a function that posts a form to a protocol endpoint, with Basic credentials when given."""

    def post(path: str, parameters: Any, *, basic: tuple[str, str] | None = None, **headers: str) -> Any:
        if basic:
            headers["Authorization"] = "Basic " + base64.b64encode(f"{basic[0]}:{basic[1]}".encode()).decode()
        body = parameters if isinstance(parameters, str | bytes) else urlencode(parameters)
        return client.post(path, body, content_type="application/x-www-form-urlencoded", headers=headers)

    return post


@pytest.fixture
def on_postgresql() -> None:
    """Skip a test that only means something between real connections of PostgreSQL."""
    if connection.vendor != "postgresql":
        pytest.skip("needs PostgreSQL; run make test-services")


def later(moment: datetime, **how_much: float) -> datetime:
    """Return a moment after `moment`."""
    return moment + timedelta(**how_much)
