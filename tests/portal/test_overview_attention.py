"""What needs attention, when much does: the most urgent first, on pages, at a fixed price."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import datetime, timedelta

from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from pytest_django.asserts import assertContains, assertNotContains

from registry.credentials import create_secret
from registry.models import AppDraft, Client, Organization
from tests.conftest import Cast, later

MakeClient = Callable[..., Client]
MANY = 1000
HTML_LIMIT = 60 * 1024


def multiply(client: Client, count: int, **changes: object) -> None:
    """Add `count` apps like this one."""
    fields = {field.attname: getattr(client, field.attname) for field in client._meta.concrete_fields if not field.primary_key}
    rows = [
        Client(**{**fields, "client_id": str(uuid.uuid4()), "reference": uuid.uuid4(), "name": f"App {number:04}", **changes})
        for number in range(count)
    ]
    Client.objects.bulk_create(rows, batch_size=500)


def address_of(organization: Organization) -> str:
    return reverse("organization", args=[organization.slug])


def test_a_thousand_apps_that_need_attention_make_a_short_page(cast: Cast, owner: Browser, make_client: MakeClient) -> None:
    client = make_client(client_name="Back office")
    Client.objects.filter(pk=client.pk).update(state="suspended")
    client.refresh_from_db()
    owner.get(address_of(cast.organization))
    with CaptureQueriesContext(connection) as few:
        assertContains(owner.get(address_of(cast.organization)), "it is paused or suspended", count=1)
    multiply(client, MANY - 1)
    with CaptureQueriesContext(connection) as many:
        page = owner.get(address_of(cast.organization))
    assert len(many) == len(few)
    assert len(page.content) < HTML_LIMIT
    assertContains(page, "it is paused or suspended", count=25)
    assertContains(page, "1 to 25 of 1000")
    assertContains(owner.get(reverse("organizations")), "1000 things to look at")


def test_the_rest_is_on_the_next_pages(cast: Cast, owner: Browser, make_client: MakeClient) -> None:
    client = make_client()
    multiply(client, 30, state="suspended")
    first, second = (owner.get(f"{address_of(cast.organization)}?page={number}") for number in (1, 2))
    for number, page, count in ((1, first, 25), (2, second, 5)):
        assertContains(page, "it is paused or suspended", count=count)
        assertContains(page, f"Page {number} of 2")
    for odd in ("0", "999", "x", "%00", "1" * 400):
        assert owner.get(f"{address_of(cast.organization)}?page={odd}").status_code == 200


def test_what_stopped_stands_before_what_will_and_that_before_what_waits(
    cast: Cast, owner: Browser, make_client: MakeClient, now: datetime
) -> None:
    broken, paused = (make_client(client_name=name) for name in ("Broken", "Paused"))
    Client.objects.filter(pk=broken.pk).update(trust="broken")
    Client.objects.filter(pk=paused.pk).update(state="suspended")
    for days in (9, 2, 5):
        create_secret(make_client(client_name=f"In {days} days"), cast.as_owner, now=now, expires_at=now + timedelta(days=days))
    AppDraft.objects.create(organization=cast.organization, answers={"client_name": "Kiosk"}, updated_at=later(now, days=-2))
    items = owner.get(address_of(cast.organization)).context["attention"]
    told = [str(row["item"].client or row["item"].draft) for row in items]
    assert told == ["Broken", "Paused", "In 2 days", "In 5 days", "In 9 days", "Kiosk"]


def test_pages_of_what_needs_attention_are_nobody_else_s(
    cast: Cast, owner: Browser, foreign: Organization, make_client: MakeClient
) -> None:
    multiply(make_client(), 30, state="suspended", organization_id=foreign.pk)
    for number in (1, 2):
        assertNotContains(owner.get(f"{address_of(cast.organization)}?page={number}"), "paused or suspended")
