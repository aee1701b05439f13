"""What the tests of the staff pages share."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from django.test import Client as Browser
from django.urls import reverse

from registry.actors import person
from registry.lifecycle import change_organization, create_organization, register_client, request_go_live, update_client
from registry.models import ChangeRequest, Client, Organization, User
from tests.conftest import Cast


@pytest.fixture
def sign_in() -> Callable[[User], Browser]:
    """Return a function that opens a browser in which a person is signed in."""

    def sign(user: User) -> Browser:
        browser = Browser(SERVER_NAME="127.0.0.1")
        browser.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
        return browser

    return sign


@pytest.fixture
def as_reviewer(cast: Cast, sign_in: Callable[[User], Browser]) -> Browser:
    """A browser of the reviewer."""
    return sign_in(cast.reviewer)


@pytest.fixture
def administrator(db: None) -> User:
    """Somebody who may do everything."""
    return User.objects.create_superuser("root@credence.example", name="Root")


@pytest.fixture
def pending(cast: Cast, now: datetime) -> Organization:
    """An organization that waits for review, owned by the stranger."""
    actor = person(cast.stranger)
    contacts = {"technical": "tech@tidewater.example", "security": "security@tidewater.example"}
    organization = create_organization(
        actor, "Tidewater Ferries", now=now, owner=cast.stranger, country="DK", website="https://tidewater.example", contacts=contacts
    )
    return change_organization(organization, "submit", actor, now=now)


@pytest.fixture
def app(cast: Cast, now: datetime) -> Client:
    """An app in test of the approved organization, which asks for a sensitive scope."""
    document = {"client_name": "Back office", "grant_types": ["client_credentials"], "scope": "bookings.read bookings.write"}
    return register_client(person(cast.owner), cast.organization, document, now=now)


@pytest.fixture
def go_live(app: Client, cast: Cast, now: datetime) -> ChangeRequest:
    """The app's request to go live."""
    return request_go_live(app, person(cast.owner), now=now, justification="We open in June.")


@pytest.fixture
def rename(cast: Cast, now: datetime) -> Callable[[Client], Any]:
    """Return a function by which the owner edits an app between review and approval."""
    return lambda client: update_client(client, person(cast.owner), {**client.metadata, "client_name": "Front office"}, now=now)


def page_of(row: Any) -> str:
    """Return the address of the page of a row."""
    return reverse(f"staff:registry_{row._meta.model_name}_change", args=(row.pk,))


def step_of(row: Any, name: str) -> str:
    """Return the address of a step of a row."""
    return reverse(f"staff:registry_{row._meta.model_name}_step", args=(row.pk, name))


def messages_in(response: Any) -> str:
    """Return what the page says on top."""
    return " ".join(str(message) for message in response.context["messages"])
