"""The list of apps: filters, health, the file, and how many queries it takes."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from pytest_django.asserts import assertContains, assertNotContains

from portal.csv_export import plain_cell
from registry.credentials import create_secret
from registry.health import Health, check_health, needs_attention
from registry.lifecycle import change_client
from registry.models import Client, ClientKeySet, Organization
from tests.conftest import Cast


@pytest.fixture
def url(cast: Cast) -> str:
    return reverse("apps", args=[cast.organization.slug])


def read_csv(response: Any) -> list[list[str]]:
    text = b"".join(response.streaming_content).decode()
    assert text.startswith("\ufeff")
    return list(csv.reader(io.StringIO(text[1:])))


@pytest.fixture
def ward(cast: Cast, make_client: Callable[..., Client], now: datetime) -> dict[str, str]:
    """Apps in every health there is; returns the health that each must have, by name."""
    key = {"token_endpoint_auth_method": "private_key_jwt", "jwks_uri": "https://keys.example/jwks"}
    site = {"grant_types": ["authorization_code"], "redirect_uris": ["https://a.example/cb"], "token_endpoint_auth_method": "none"}

    def fetched(name: str, **values: Any) -> Client:
        client = make_client(client_name=name, **key)
        ClientKeySet.objects.create(client=client, **{"jwks_uri": key["jwks_uri"], "attempted_at": now, **values})
        return client

    def trusted(name: str, trust: str, ends: datetime | None) -> None:
        Client.objects.filter(pk=make_client(client_name=name, **site).pk).update(trust=trust, trust_expires_at=ends)

    day = timedelta(days=1)
    make_client(client_name="public", **site)
    make_client(client_name="secretless")
    create_secret(make_client(client_name="lasting"), cast.as_owner, now=now)
    create_secret(make_client(client_name="ending"), cast.as_owner, now=now, expires_at=now + 5 * day)
    create_secret(make_client(client_name="far"), cast.as_owner, now=now, expires_at=now + 90 * day)
    create_secret(make_client(client_name="over"), cast.as_owner, now=now - 2 * day, expires_at=now - day)
    make_client(client_name="unchecked", **key)
    good = {"jwks": {"keys": []}, "fresh_until": now + day / 24}
    fetched("fetched", **good)
    fetched("stale keys", **good, failure="No answer.")
    fetched("no keys", failure="No answer.")
    fetched("moved", failure="No answer.", jwks_uri="https://before.example/jwks")
    for trust, ends in (("valid", now + day), ("stale", now + day), ("suspect", now + day), ("broken", now + day)):
        trusted(f"trust {trust}", trust, ends)
    trusted("trust over", "valid", now - day)
    trusted("trust unknown", "valid", None)
    change_client(make_client(client_name="closed"), "close", cast.as_owner, now=now)
    change_client(make_client(client_name="paused"), "pause", cast.as_owner, now=now)
    broken = ("secretless", "over", "no keys", "trust suspect", "trust broken", "trust over", "trust unknown", "paused")
    return {
        **dict.fromkeys(("public", "lasting", "far", "fetched", "trust valid"), "ok"),
        **dict.fromkeys(broken, "broken"),
        **dict.fromkeys(("stale keys", "trust stale"), "degraded"),
        **dict.fromkeys(("unchecked", "moved", "closed"), "unknown"),
        "ending": "expiring",
    }


def test_health_says_what_stops_an_app_and_what_will(cast: Cast, ward: dict[str, str], now: datetime) -> None:
    clients = list(Client.objects.filter(organization=cast.organization).select_related("organization"))
    found = check_health(clients, now)
    assert {client.name: found[client.pk].health.value for client in clients} == ward
    assert {health.value for health in Health} == set(ward.values())


def test_the_filter_finds_exactly_what_is_not_well(cast: Cast, ward: dict[str, str], now: datetime) -> None:
    wanted = {name for name, health in ward.items() if health in ("expiring", "degraded", "broken")}
    assert set(cast.organization.clients.filter(needs_attention(now)).values_list("name", flat=True)) == wanted
    Organization.objects.update(state="suspended")
    everything = set(ward) - {"closed"}
    assert set(Client.objects.filter(needs_attention(now)).values_list("name", flat=True)) == everything


def test_the_list_filters_by_way_stage_state_health_and_text(
    viewer: Browser, url: str, ward: dict[str, str], make_client: Callable[..., Client]
) -> None:
    def names(**wanted: str) -> set[str]:
        return {row["client"].name for row in viewer.get(url, wanted).context["rows"]}

    assert "closed" not in names()
    assert names(state="closed") == {"closed"}
    assert names(health="attention", q="trust") == {"trust stale", "trust suspect", "trust broken", "trust over", "trust unknown"}
    Client.objects.filter(name="far").update(source="dcr", stage="live")
    assert names(source="dcr") == names(stage="live") == {"far"}
    assert names(source="nonsense", stage="%", state="'", health="x") == names()
    assertContains(viewer.get(url, {"q": "gamma"}), "No app matches")
    assert viewer.get(url, {"q": "a\0b", "page": "99", "health": "\0"}).status_code == 200


def test_an_organization_without_apps_sees_three_ways(cast: Cast, developer: Browser, viewer: Browser, url: str) -> None:
    page = developer.get(url)
    assertContains(page, "Choose this if", count=3)
    for name in ("app_new", "registration_tokens", "organization_federation"):
        assertContains(page, f'<a href="{reverse(name, args=[cast.organization.slug])}">')
    assertNotContains(viewer.get(url), "Choose this if")


def test_the_list_takes_as_many_queries_for_a_full_page_as_for_one_row(
    cast: Cast, owner: Browser, url: str, make_client: Callable[..., Client], now: datetime
) -> None:
    def count() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert owner.get(url).status_code == 200
        return len(queries)

    make_client()
    few = count()
    for number in range(30):
        create_secret(make_client(client_name=f"App {number}"), cast.as_owner, now=now)
    assert count() == few <= 10
    assert len(owner.get(url).context["rows"]) == 25


def test_the_file_holds_the_filtered_apps(cast: Cast, viewer: Browser, ward: dict[str, str]) -> None:
    response = viewer.get(reverse("apps_export", args=[cast.organization.slug]), {"health": "attention", "q": "s"})
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    assert response["Content-Disposition"] == f'attachment; filename="{cast.organization.slug}-apps.csv"'
    assert "no-store" in response["Cache-Control"]
    header, *rows = read_csv(response)  # no client identifier has an "s"
    assert header[:5] == ["Name", "Client ID", "Stage", "State", "Health"]
    assert {row[0]: row[4] for row in rows} == {
        name: health for name, health in ward.items() if health in ("expiring", "degraded", "broken") and "s" in name
    }


def test_the_file_has_more_apps_than_a_page_and_none_of_another_organization(
    cast: Cast, viewer: Browser, foreign: Organization, make_client: Callable[..., Client]
) -> None:
    for number in range(30):
        make_client(client_name=f"App {number}")
    rows = read_csv(viewer.get(reverse("apps_export", args=[cast.organization.slug])))
    assert len(rows) == 31
    assert viewer.get(reverse("apps_export", args=[foreign.slug])).status_code == 404


@pytest.mark.threat("R06")
@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n"])
def test_no_cell_of_the_file_is_a_formula(cast: Cast, viewer: Browser, make_client: Callable[..., Client], start: str) -> None:
    text = f'{start}HYPERLINK("https://evil.example","x")'
    Client.objects.filter(pk=make_client().pk).update(name=text)
    rows = read_csv(viewer.get(reverse("apps_export", args=[cast.organization.slug])))
    assert rows[1][0] == f"'{text}"
    assert plain_cell("a=b") == "a=b"
    assert plain_cell(None) == ""
