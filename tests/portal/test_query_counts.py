"""How many queries each page takes, however much there is to show (portal.md 5.15)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from authserver.consents import remember_consent
from registry.actors import person
from registry.app_drafts import start_draft
from registry.credentials import create_secret
from registry.lifecycle import create_organization, request_go_live
from registry.members import invite
from registry.models import Client, Membership, User
from tests.conftest import Cast

# Session, user and membership are three of each.
PAGES = {
    "account": 8,
    "organizations": 11,
    "organization": 15,
    "organization_profile": 9,
    "organization_activity": 9,
    "registration_tokens": 9,
    "registration_token_new": 9,
    "organization_federation": 10,
    "organization_members": 9,
    "apps": 10,
    "app_new": 9,
    "app_draft": 9,
    "app": 12,
    "app_edit": 9,
    "app_activity": 10,
    "app_code": 9,
    "app_test": 9,
    "app_credentials": 9,
    "app_trust": 9,
    "app_go_live": 12,
}


def count(browser: Browser, url: str) -> int:
    with CaptureQueriesContext(connection) as queries:
        assert browser.get(url).status_code == 200
    return len(queries)


def grow(cast: Cast, client: Client, make_client: Callable[..., Client], now: datetime) -> None:
    """Add several of everything."""
    for number in range(6):
        more = make_client(client_name=f"App {number}", scope="bookings.read bookings.write")
        create_secret(more, cast.as_owner, now=now, expires_at=now + timedelta(days=3))
        request_go_live(more, cast.as_owner, now=now)
        start_draft(cast.as_owner, cast.organization, "web", now=now)
        Client.objects.filter(pk=more.pk).update(state="suspended" if number % 2 else "active")
        user = User.objects.create_user(f"more{number}@lighthouse.example")
        Membership.objects.create(organization=cast.organization, user=user, role="viewer")
        invite(cast.organization, cast.as_owner, email=f"new{number}@lighthouse.example", role="viewer", now=now)
        create_organization(person(cast.owner), f"Another {number}", now=now, owner=cast.owner)
        Browser().force_login(cast.owner)
        remember_consent(cast.owner, more, ["bookings.read"], cast.as_owner, now=now)
    for _ in range(4):
        row = create_secret(client, cast.as_owner, now=now, end_others_at=now)
        assert row.value


@pytest.mark.parametrize("name", PAGES)
def test_a_page_takes_the_same_number_of_queries_for_much_as_for_little(
    cast: Cast, owner: Browser, make_client: Callable[..., Client], now: datetime, name: str
) -> None:
    client = make_client()
    remember_consent(cast.owner, client, ["bookings.read"], cast.as_owner, now=now)
    arguments: list[Any] = [] if name in ("account", "organizations") else [cast.organization.slug]
    if name == "app_draft":
        arguments += [start_draft(cast.as_owner, cast.organization, "web", now=now).reference, "review"]
    elif (name.startswith("app_") and name != "app_new") or name == "app":
        arguments.append(client.reference)
    url = reverse(name, args=arguments)
    # The menu of organizations is there as soon as there are two; it costs the same query.
    little = count(owner, url)
    grow(cast, client, make_client, now)
    assert count(owner, url) == little
    assert little <= PAGES[name]
