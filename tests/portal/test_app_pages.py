"""Pages of an app: registered from one form, changed, paused, closed; and the answer to "can it get tokens right now?"."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.conf import settings
from django.test import Client as Browser
from django.urls import reverse
from pytest_django.asserts import assertContains, assertNotContains, assertRedirects

from federation.models import FederationRecord
from protocol.jose import generate_private_key
from registry.actors import person
from registry.credentials import create_secret
from registry.health import describe_access
from registry.lifecycle import approve_change, change_client, register_client, request_go_live
from registry.models import ChangeRequest, Client
from tests.conftest import Cast

MACHINE = {
    "client_name": "Nightly sync",
    "kind": "machine",
    "token_endpoint_auth_method": "client_secret_basic",
    "scope": ["bookings.read"],
}
SERVER = {
    "client_name": "Site",
    "kind": "web",
    "token_endpoint_auth_method": "client_secret_basic",
    "redirect_uris": "https://site.example/cb",
}


@pytest.fixture
def live(cast: Cast, make_client: Callable[..., Client], now: datetime) -> Client:
    client = make_client()
    change = request_go_live(client, cast.as_owner, now=now)
    approve_change(change, cast.as_reviewer, digest=change.digest, now=now)
    client.refresh_from_db()
    return client


def test_a_developer_registers_a_test_app(cast: Cast, developer: Browser, register_app: Callable[..., Any]) -> None:
    response = register_app(developer, **MACHINE)
    client = cast.organization.clients.get()
    assertRedirects(response, reverse("app", args=[cast.organization.slug, client.reference]))
    assert (client.stage, client.state, client.source, client.created_by) == ("test", "active", "manual", cast.developer)
    assert client.metadata["grant_types"] == ["client_credentials"]
    assert client.metadata["scope"] == "bookings.read"
    assertContains(developer.get(response["Location"]), "It has no secret yet.")


@pytest.mark.parametrize(("chosen", "registered"), [("ES256", "ES256"), ("", "RS256"), ("PS256", "PS256"), ("Ed25519", "Ed25519")])
def test_the_form_proposes_es256_and_takes_the_other_algorithms_and_sign_out_addresses(
    cast: Cast, developer: Browser, register_app: Callable[..., Any], chosen: str, registered: str
) -> None:
    values = {"id_token_signed_response_alg": chosen, "post_logout_redirect_uris": "https://site.example/bye\nhttps://site.example/"}
    register_app(developer, **{**SERVER, **values})
    client = cast.organization.clients.get()
    assert client.metadata["id_token_signed_response_alg"] == registered
    assert client.metadata["post_logout_redirect_uris"] == ["https://site.example/bye", "https://site.example/"]
    form = developer.get(reverse("app_edit", args=[cast.organization.slug, client.reference])).context["form"]
    assert form["id_token_signed_response_alg"].value() == registered
    assert form["post_logout_redirect_uris"].value() == "https://site.example/bye\nhttps://site.example/"


def test_saving_an_app_as_it_is_declares_no_algorithm(
    cast: Cast, developer: Browser, fill: Callable[..., Any], make_client: Callable[..., Client], app_url: Callable[..., str]
) -> None:
    client = make_client(grant_types=["authorization_code"], redirect_uris=["https://site.example/cb"])
    values = {name: value for name, value in developer.get(app_url("app_edit", client)).context["form"].initial.items() if value}
    fill(developer, app_url("app_edit", client), "client_name", **{**values, "client_uri": "https://site.example/"})
    client.refresh_from_db()
    assert client.metadata["client_uri"] == "https://site.example/"
    assert "id_token_signed_response_alg" not in client.declared_metadata
    assert client.metadata["id_token_signed_response_alg"] == "RS256"


def test_the_check_of_one_field_answers_with_its_findings_and_writes_nothing(cast: Cast, developer: Browser, owner: Browser) -> None:
    url = reverse("app_check", args=[cast.organization.slug])
    response = developer.post(f"{url}?field=redirect_uris", {**SERVER, "redirect_uris": "http://site.example/cb"})
    assertContains(response, "A redirect URI must not use http.")
    assertNotContains(response, "<html")
    assert developer.post(f"{url}?field=client_name", SERVER).content.strip() == b""
    assert developer.post(f"{url}?field=nothing", SERVER).status_code == 404
    assert developer.post(f"{url}?field=client_name&app=nonsense", SERVER).status_code == 404
    assert not cast.organization.clients.exists()


def test_an_edit_of_a_test_app_applies_at_once_and_keeps_what_the_form_does_not_show(
    cast: Cast, developer: Browser, fill: Callable[..., Any], app_url: Callable[..., str], now: datetime
) -> None:
    document = {"client_name": "Old", "grant_types": ["client_credentials"], "software_id": "importer-7", "client_name#nb": "Gammel"}
    client = register_client(person(cast.developer), cast.organization, document, now=now)
    fill(developer, app_url("app_edit", client), "client_name", client_name="New")
    client.refresh_from_db()
    assert (client.name, client.metadata["software_id"], client.metadata["client_name#nb"]) == ("New", "importer-7", "Gammel")


def test_opening_and_saving_the_settings_changes_nothing(
    cast: Cast, developer: Browser, fill: Callable[..., Any], app_url: Callable[..., str], now: datetime
) -> None:
    key = dict(generate_private_key("ES256").public_jwk())
    document = {
        "client_name": "Both",
        "grant_types": ["authorization_code", "client_credentials"],
        "redirect_uris": ["https://a.example/cb", "https://b.example/"],
        "token_endpoint_auth_method": "private_key_jwt",
        "jwks": {"keys": [key]},
        "contacts": ["a@a.example"],
        "scope": "bookings.read bookings.write",
        "client_uri": "https://a.example/",
        "id_token_signed_response_alg": "ES256",
    }
    client = register_client(person(cast.developer), cast.organization, document, now=now)
    before = client.metadata
    fill(developer, app_url("app_edit", client), "client_name")
    client.refresh_from_db()
    assert client.metadata == before


def test_a_harmless_edit_of_a_live_app_applies_at_once(
    live: Client, developer: Browser, fill: Callable[..., Any], app_url: Callable[..., str]
) -> None:
    fill(developer, app_url("app_edit", live), "client_name", client_name="Renamed")
    live.refresh_from_db()
    assert live.name == "Renamed"
    assert not live.change_requests.filter(state="open").exists()


def test_a_sensitive_edit_of_a_live_app_waits_with_its_difference_and_reason(
    cast: Cast, live: Client, developer: Browser, owner: Browser, fill: Callable[..., Any], app_url: Callable[..., str]
) -> None:
    values = {"scope": ["bookings.read", "bookings.write"], "justification": "We cancel bookings now."}
    response = fill(developer, app_url("app_edit", live), "client_name", **values)
    change = live.change_requests.get(state="open")
    assertRedirects(response, app_url("app_change", live, change.reference))
    for text in (
        "Asks for more scopes: bookings.write.",
        "We cancel bookings now.",
        "bookings.read bookings.write",
        "Our staff has to act next",
    ):
        assertContains(response, text)
    live.refresh_from_db()
    assert live.scopes == ["bookings.read"]
    assertContains(owner.post(app_url("app_change", live, change.reference), follow=True), "Withdrawn")
    change.refresh_from_db()
    assert change.state == ChangeRequest.State.WITHDRAWN


def test_going_live_shows_what_blocks_it(
    cast: Cast, owner: Browser, make_client: Callable[..., Client], fill: Callable[..., Any], app_url: Callable[..., str]
) -> None:
    metadata = {"grant_types": ["authorization_code"], "redirect_uris": ["http://127.0.0.1/cb"]}
    client = make_client(**metadata)
    response = fill(owner, app_url("app_go_live", client), "justification", justification="Please")
    assertContains(response, "A redirect URI must not use http.")
    assertContains(response, "What is listed below must be mended first.")
    assert not client.change_requests.exists()


def test_an_owner_asks_to_go_live_once_however_often_it_is_sent(
    cast: Cast, owner: Browser, make_client: Callable[..., Client], form_on: Callable[..., dict[str, Any]], app_url: Callable[..., str]
) -> None:
    client = make_client(scope="bookings.read bookings.write")
    url = app_url("app_go_live", client)
    page = owner.get(url)
    assertContains(page, "bookings.write")
    data = {**form_on(page, "justification"), "justification": "For partners."}
    assert owner.post(url, data)["Location"] == owner.post(url, data)["Location"]
    assert client.change_requests.count() == 1


def test_a_request_that_was_sent_back_says_why_and_who_acts_next(
    cast: Cast, owner: Browser, make_client: Callable[..., Client], app_url: Callable[..., str], now: datetime
) -> None:
    from registry.lifecycle import decide_change

    client = make_client()
    change = request_go_live(client, cast.as_owner, now=now)
    decide_change(change, "send_back", cast.as_reviewer, now=now, reason="Name a contact.")
    assertContains(owner.get(app_url("app_change", client, change.reference)), "Name a contact.")
    assertContains(owner.get(reverse("organization", args=[cast.organization.slug])), "A reviewer sent a request back.")


def test_pausing_and_resuming_are_for_owners(
    owner: Browser, developer: Browser, make_client: Callable[..., Client], app_url: Callable[..., str]
) -> None:
    client = make_client()
    assert developer.post(app_url("app_step", client, "pause")).status_code == 403
    assertContains(owner.post(app_url("app_step", client, "pause"), follow=True), "This app was paused by its owner.")
    owner.post(app_url("app_step", client, "resume"))
    client.refresh_from_db()
    assert client.state == Client.State.ACTIVE
    assert owner.post(app_url("app_step", client, "suspend")).status_code == 404


def test_an_offered_draft_is_claimed(cast: Cast, developer: Browser, app_url: Callable[..., str], now: datetime) -> None:
    document = {"client_name": "Prepared", "grant_types": ["client_credentials"]}
    client = register_client(cast.as_reviewer, cast.organization, document, now=now, offer_to_owner=True)
    assertContains(developer.get(app_url("app", client)), "Our staff prepared this app for you")
    developer.post(app_url("app_step", client, "claim"))
    client.refresh_from_db()
    assert client.state == Client.State.ACTIVE


def test_closing_an_app_takes_its_typed_name(owner: Browser, make_client: Callable[..., Client], app_url: Callable[..., str]) -> None:
    client = make_client()
    url = app_url("app_delete", client)
    assertContains(owner.post(url, {"typed_name": "back office"}), "This is not the name")
    assertContains(owner.post(url, {"typed_name": "Back office"}, follow=True), "This app is closed for good.")
    client.refresh_from_db()
    assert client.state == Client.State.CLOSED


def test_apps_from_elsewhere_are_not_edited_here(
    developer: Browser, make_client: Callable[..., Client], app_url: Callable[..., str]
) -> None:
    client = make_client()
    Client.objects.filter(pk=client.pk).update(source=Client.Source.DCR)
    assertContains(developer.get(app_url("app_edit", client)), "This app registered itself")
    developer.post(app_url("app_edit", client), {"client_name": "Other", "kind": "machine"})
    client.refresh_from_db()
    assert client.name == "Back office"


def test_the_list_filters_and_counts(cast: Cast, viewer: Browser, make_client: Callable[..., Client], now: datetime) -> None:
    url = reverse("apps", args=[cast.organization.slug])
    assertContains(viewer.get(url), "No app yet")
    make_client(client_name="Alpha")
    change_client(make_client(client_name="Beta"), "close", cast.as_owner, now=now)
    assertContains(viewer.get(url), "Alpha")
    assertNotContains(viewer.get(url), "Beta")
    assertContains(viewer.get(url, {"state": "closed"}), "Beta")
    assertContains(viewer.get(url, {"q": "gamma"}), "No app matches")
    assert viewer.get(url, {"q": "a\0b", "stage": "x", "state": "%", "page": "99"}).status_code == 200


def codes(client: Client, now: datetime) -> tuple[set[str], set[str]]:
    access = describe_access(Client.objects.select_related("organization").get(pk=client.pk), now)
    return {cause.code for cause in access.reasons}, {cause.code for cause in access.remarks}


def test_access_counts_credentials_scopes_and_grants(cast: Cast, make_client: Callable[..., Client], now: datetime) -> None:
    client = make_client(scope="bookings.read bookings.write")
    assert codes(client, now) == ({"secret_missing"}, {"scope_waiting"})
    create_secret(client, cast.as_owner, now=now, expires_at=now + timedelta(days=1))
    assert codes(client, now) == (set(), {"scope_waiting", "secret_ending"})
    assert codes(client, now + timedelta(days=2)) == ({"secret_missing"}, {"scope_waiting"})
    site = make_client(grant_types=["authorization_code"], redirect_uris=["https://a.example/cb"], token_endpoint_auth_method="none")
    assert codes(site, now) == (set(), set())
    assert describe_access(site, now).can is True


def test_access_follows_the_keys_at_a_key_address(cast: Cast, make_client: Callable[..., Client], now: datetime) -> None:
    from registry.models import ClientKeySet

    client = make_client(token_endpoint_auth_method="private_key_jwt", jwks_uri="https://keys.example/jwks")
    assert codes(client, now) == (set(), {"keys_unchecked"})
    row = ClientKeySet.objects.create(client=client, jwks_uri="https://keys.example/jwks", attempted_at=now, failure="No answer.")
    assert codes(client, now) == ({"keys_unreachable"}, set())
    row.jwks, row.fresh_until = {"keys": []}, now + timedelta(hours=1)
    row.save()
    assert codes(client, now) == (set(), {"keys_stale"})


def test_the_page_shows_declared_beside_effective_with_the_rule(
    cast: Cast, viewer: Browser, make_client: Callable[..., Client], app_url: Callable[..., str]
) -> None:
    response = viewer.get(app_url("app", make_client(scope="bookings.read nowhere.read")))
    assertContains(response, "This server has no scope nowhere.read; it was left out.")
    assertContains(response, "--user")
    assertContains(response, "scope=bookings.read")


def test_an_app_for_people_is_told_where_discovery_is_and_gets_no_command_that_would_fail(
    viewer: Browser, make_client: Callable[..., Client], app_url: Callable[..., str]
) -> None:
    site = make_client(grant_types=["authorization_code"], redirect_uris=["https://a.example/cb"])
    response = viewer.get(app_url("app", site))
    assertContains(response, f"{settings.ISSUER}/.well-known/openid-configuration")
    assertNotContains(response, "Get a token")


def test_an_app_of_a_federation_shows_declared_resolved_and_registered_side_by_side(
    viewer: Browser, make_client: Callable[..., Client], app_url: Callable[..., str]
) -> None:
    client = make_client(scope="bookings.read")
    Client.objects.filter(pk=client.pk).update(trust=Client.Trust.VALID, declared_metadata={"scope": "bookings.read bookings.write"})
    change = {"by": "federation", "member": "scope", "before": "", "after": "", "rule": "subset_of", "set_by": ["https://anchor.example"]}
    FederationRecord.objects.create(
        client=client, entity_id="https://a.example", twin_digest="x", anchor="https://anchor.example", superior="https://anchor.example",
        resolved_metadata={"scope": "bookings.read"}, changes=[change],
    )  # fmt: skip
    response = viewer.get(app_url("app", client))
    for text in ("bookings.read bookings.write", "After the federation", "Rule: subset_of, by https://anchor.example."):
        assertContains(response, text)
