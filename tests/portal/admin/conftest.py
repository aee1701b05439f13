"""What the tests of the staff pages share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client as Browser
from django.urls import reverse

from federation.models import FederationRecord, RegistrationRequest, TrustAnchorRecord
from federation.registration import twin_digest
from protocol.jose import generate_private_key
from registry.actors import federation_entity, person
from registry.lifecycle import (
    TrustedMetadata,
    change_organization,
    create_organization,
    register_client,
    register_trusted_client,
    request_go_live,
    update_client,
)
from registry.models import ChangeRequest, Client, Organization, User
from tests.conftest import Cast


@pytest.fixture
def sign_in() -> Callable[[User], Browser]:
    """Return a function that opens a browser in which a person is signed in."""

    def sign(user: User) -> Browser:
        browser = Browser(SERVER_NAME="127.0.0.1")
        browser.force_login(user, backend="portal.accounts.AuthenticationBackend")
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


ANCHOR, HARBOUR = "https://northlight.example", "https://harbour.example"


@dataclass
class Federated:
    """A trust anchor, one that was trusted before, an app below the first, and an entity that waits for an organization."""

    anchor: TrustAnchorRecord
    former: TrustAnchorRecord
    client: Client
    request: RegistrationRequest


@pytest.fixture
def register_below(cast: Cast, now: datetime) -> Callable[..., Client]:
    """Return a function that registers an entity of a federation below Harbour, without asking anybody."""

    def make(entity_id: str, organization: Organization | None = None, **record: Any) -> Client:
        declared = {
            "client_name": "Ferries", "grant_types": ["client_credentials"], "token_endpoint_auth_method": "private_key_jwt",
            "scope": "bookings.read", "jwks": {"keys": [generate_private_key("ES256").public_jwk()]},
        }  # fmt: skip
        trusted = TrustedMetadata({**declared, "client_name": "Declared ferries"}, declared, now + timedelta(days=1))
        actor, source = federation_entity(entity_id), Client.Source.FEDERATION_AUTOMATIC
        client, _ = register_trusted_client(actor, organization or cast.organization, entity_id, source, trusted, now=now)
        FederationRecord.objects.create(
            client=client, entity_id=entity_id, twin_digest=twin_digest(entity_id), entity_type="oauth_client", superior=HARBOUR,
            resolved_metadata=declared, next_check_at=now + timedelta(hours=6),
            **{"entities": [entity_id, HARBOUR, ANCHOR], "anchor": ANCHOR, **record},
        )  # fmt: skip
        return client

    return make


@pytest.fixture
def federated(register_below: Callable[..., Client], now: datetime) -> Federated:
    """The federation of the story."""
    keys = {"keys": [generate_private_key("ES256").public_jwk()]}
    entity_id = "https://tidewater.example"
    request = RegistrationRequest.objects.create(
        entity_id=entity_id, name="Tidewater Insurance", entities=[entity_id, HARBOUR, ANCHOR],
        resolved_metadata={"openid_relying_party": {"client_name": "Tidewater", "redirect_uris": [f"{entity_id}/callback"]}},
    )  # fmt: skip
    return Federated(
        anchor=TrustAnchorRecord.objects.create(entity_id=ANCHOR, jwks=keys),
        former=TrustAnchorRecord.objects.create(entity_id="https://southlight.example", jwks=keys, is_enabled=False),
        client=register_below("https://ferries.example"),
        request=request,
    )


def page_of(row: Any) -> str:
    """Return the address of the page of a row."""
    return reverse(f"staff:{row._meta.app_label}_{row._meta.model_name}_change", args=(row.pk,))


def subpage_of(row: Any, name: str) -> str:
    """Return the address of a page below the page of a row."""
    return reverse(f"staff:{row._meta.app_label}_{row._meta.model_name}_{name}", args=(row.pk,))


def list_of(model: Any, name: str = "changelist") -> str:
    """Return the address of the list of a model, or of the form that adds to it."""
    return reverse(f"staff:{model._meta.app_label}_{model._meta.model_name}_{name}")


def step_of(row: Any, name: str) -> str:
    """Return the address of a step of a row."""
    return reverse(f"staff:registry_{row._meta.model_name}_step", args=(row.pk, name))


def messages_in(response: Any) -> str:
    """Return what the page says on top."""
    return " ".join(str(message) for message in response.context["messages"])


def save_rule(browser: Browser, address: str, data: dict[str, Any], **how: Any) -> Any:
    """Send the form of a rule, look at who would change, and save what was shown; return the last answer."""
    response = browser.post(address, data)
    shown = response.context and (response.context.get("report") or response.context.get("decides"))
    return browser.post(address, {**data, "seen": shown.digest}, **how) if shown else response
