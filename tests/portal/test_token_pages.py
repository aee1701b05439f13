"""Registration tokens: made by owners, shown once, with what registered with them and what was refused (portal.md, page 25)."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from datetime import datetime, timedelta
from html import unescape
from typing import Any

import pytest
from django.apps import apps as django_apps
from django.core import mail, serializers
from django.core.cache import cache
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from pytest_django.asserts import assertContains, assertNotContains, assertRedirects

from dcr.initial_access_tokens import REFUSALS_KEPT, TokenTerms, create_initial_access_token
from dcr.models import (
    AcceptedStatement,
    InitialAccessToken,
    RefusedRegistration,
    RegistrationAccessToken,
    RegistrationProfile,
    SoftwareStatementIssuer,
)
from dcr.token_attention import find_token_attention
from portal.views.token_rows import example_document, register_command
from registry.actors import Actor, client_actor, job
from registry.lifecycle import assess_metadata
from registry.members import remove_member
from registry.models import AuditEvent, Client, Membership, Organization, User
from registry.policies import get_policy
from registry.registration_policy import narrow_policy
from tests.conftest import Cast
from tests.dcr.support import Machine

SIXTY_HOSTS = "\n".join(f"h{number}.example" for number in range(60))
HOSTILE = "<script>alert(1)</script>\"'><img src=x>"


@pytest.fixture
def url(cast: Cast) -> str:
    """The list of the cast's organization."""
    return reverse("registration_tokens", args=[cast.organization.slug])


@pytest.fixture
def new_url(cast: Cast) -> str:
    """The form of a new token."""
    return reverse("registration_token_new", args=[cast.organization.slug])


@pytest.fixture
def make_token(cast: Cast, now: datetime) -> Callable[..., Any]:
    """Return a function that makes a token of the cast's organization, by its owner unless told otherwise."""

    def make(actor: Actor | None = None, organization: Organization | None = None, **terms: Any) -> Any:
        values = {"label": "Installer", "expires_at": now + timedelta(days=30), "uses_limit": 5, **terms}
        return create_initial_access_token(organization or cast.organization, actor or cast.as_owner, TokenTerms(**values), now=now)

    return make


@pytest.fixture
def token_url(cast: Cast) -> Callable[..., str]:
    """Return a function that gives the address of a page of a token."""

    def make(row: InitialAccessToken, name: str = "registration_token") -> str:
        return reverse(name, args=[cast.organization.slug, row.reference])

    return make


def machine(value: str) -> Machine:
    """Return a machine that registers with a token."""
    return Machine(Browser(), value)


def command_on(response: Any) -> list[str]:
    """Return the words of the command on a page, as a shell reads them."""
    html = response.content.decode()
    start = html.index('<code id="snippet">') + len('<code id="snippet">')
    return shlex.split(unescape(html[start : html.index("</code>", start)]))


def send(words: list[str]) -> Any:
    """Do what a curl command says, without curl."""
    assert words[0] == "curl"
    path = "/" + words[1].split("/", 3)[3]
    headers = dict(words[place + 1].split(": ", 1) for place, word in enumerate(words) if word == "--header")
    data = words[words.index("--data") + 1] if "--data" in words else None
    browser = Browser()
    if data is None:
        return browser.get(path, headers=headers)
    return browser.post(path, data, content_type=headers.pop("Content-Type"), headers=headers)


# Without a token


def test_without_a_token_the_page_says_what_it_is_for_with_a_command_of_four_lines(owner: Browser, viewer: Browser, url: str) -> None:
    response = owner.get(url)
    assertContains(response, "No token yet")
    assertContains(response, "Make a token")
    words = command_on(response)
    assert "Authorization: Bearer $TOKEN" in words
    html = response.content.decode()
    start = html.index('<code id="snippet">')
    assert html[start : html.index("</code>", start)].count("\n") == 3
    assertNotContains(viewer.get(url), "Make a token")


def test_the_navigation_leads_to_the_page_between_apps_and_federation(cast: Cast, viewer: Browser, url: str) -> None:
    html = viewer.get(url).content.decode()
    assert f'<a href="{url}" aria-current="page">' in html
    places = [html.index(f'href="{reverse(name, args=[cast.organization.slug])}"') for name in ("apps", "organization_federation")]
    assert places[0] < html.index(f'href="{url}"') < places[1]


# Making one


@pytest.mark.spec("DCR-IAT-04")
def test_a_token_is_shown_in_the_answer_once_and_the_command_beside_it_registers_an_app(
    cast: Cast, owner: Browser, fill: Callable[..., Any], url: str, new_url: str, token_url: Callable[..., str]
) -> None:
    response = fill(owner, new_url, "label", follow=False, label="Branch offices", uses_limit=2)
    value = response.context["value"]
    assertContains(response, "shown only now")
    assert "no-store" in response["Cache-Control"]
    row = InitialAccessToken.objects.get()
    assert (row.label, row.uses_limit, row.stage, row.keeper, row.tail) == ("Branch offices", 2, "test", cast.owner, value[-4:])
    registered = send(command_on(response))
    assert registered.status_code == 201, registered.content
    client = Client.objects.get(client_id=registered.json()["client_id"])
    assert client.organization == cast.organization
    for address in (url, token_url(row)):
        page = owner.get(address)
        assertNotContains(page, value)
        assertContains(page, "1 of 2")
    assertContains(owner.get(token_url(row)), client.client_id)


@pytest.mark.spec("DCR-IAT-04")
def test_the_value_is_in_no_table_cache_session_mail_or_trail(owner: Browser, fill: Callable[..., Any], new_url: str) -> None:
    value = fill(owner, new_url, "label", follow=False, label="x").context["value"]
    address = InitialAccessToken.objects.get().reference
    everything = "".join(serializers.serialize("json", model.objects.all()) for model in django_apps.get_models() if model._meta.managed)
    assert str(address) in everything
    sinks = (everything, str(getattr(cache, "_cache", "")), str(dict(owner.session)), "".join(str(one.message()) for one in mail.outbox))
    assert not [sink for sink in sinks if value in sink]


def test_sending_the_page_again_shows_no_value_and_makes_no_other_token(
    owner: Browser, form_on: Callable[..., dict[str, Any]], new_url: str, token_url: Callable[..., str]
) -> None:
    data = {**form_on(owner.get(new_url), "label"), "label": "x"}
    first = owner.post(new_url, data)
    second = owner.post(new_url, data, follow=True)
    row = InitialAccessToken.objects.get()
    assertRedirects(second, token_url(row))
    assertContains(second, "This token was shown already.")
    assertNotContains(second, first.context["value"])


def test_what_the_form_restricts_holds_for_what_registers(owner: Browser, fill: Callable[..., Any], new_url: str, url: str) -> None:
    response = fill(
        owner,
        new_url,
        "label",
        follow=False,
        label="Shops",
        days="30",
        uses_limit=3,
        grant_types=["authorization_code"],
        allowed_scopes=["bookings.read"],
        token_endpoint_auth_methods=["client_secret_post"],
        redirect_hosts="shop.example.org\n\nshop.example.org\norg.example.shop:\n",
        source_networks="192.0.2.0/24\n127.0.0.0/8",
    )
    row = InitialAccessToken.objects.get()
    assert row.restrictions == {
        "grant_types": ["authorization_code"],
        "allowed_scopes": ["bookings.read"],
        "token_endpoint_auth_methods": ["client_secret_post"],
        "redirect_hosts": ["shop.example.org", "org.example.shop:"],
    }
    assert row.source_networks == ["192.0.2.0/24", "127.0.0.0/8"]
    registered = send(command_on(response))
    assert registered.status_code == 201, registered.content
    assert machine(response.context["value"]).register().status_code == 400
    page = owner.get(url)
    for words in ("Grants: authorization_code", "Scopes: bookings.read", "Used from: 192.0.2.0/24, 127.0.0.0/8", "1 of 3"):
        assertContains(page, words)


WRONG = {
    "label": ["", " ", "x" * 61, "𝕏" * 400, "a\x00b", "two\nlines", "\u202eevil", "x" * 100_000],
    "uses_limit": ["0", "-1", "1001", "x", "", "1.5", "9" * 30, "9" * 6000],
    "days": ["", "0", "367", "-7", "x"],
    "grant_types": [["password"], ["authorization_code", "\x00"]],
    "allowed_scopes": [["no.such.scope"]],
    "token_endpoint_auth_methods": [["tls_client_auth"]],
    "redirect_hosts": ["https://app.example.org", "*", "APP.example.org", "a b", "\x00", "app.example.org/x", SIXTY_HOSTS],
    "source_networks": ["192.0.2.1/24", "anywhere", "192.0.2.0/33", "::/129", "\x00", "fe80::1%eth0", "0.0.0.0/0\nx", "10.0.0.0/8\n" * 60],
}


@pytest.mark.parametrize("field", WRONG)
def test_terms_that_no_token_may_have_are_refused_at_their_field(
    owner: Browser, form_on: Callable[..., dict[str, Any]], new_url: str, field: str
) -> None:
    page = form_on(owner.get(new_url), "label")
    for wrong in WRONG[field]:
        response = owner.post(new_url, {**page, "label": "x", field: wrong})
        assert response.status_code == 200, repr(wrong)[:60]
        assert list(response.context["form"].errors) == [field], repr(wrong)[:60]
    assert not InitialAccessToken.objects.exists()


def test_a_wrong_network_is_named_by_its_line(owner: Browser, form_on: Callable[..., dict[str, Any]], new_url: str) -> None:
    data = {**form_on(owner.get(new_url), "label"), "label": "x", "source_networks": "192.0.2.0/24\n\nanywhere"}
    assertContains(owner.post(new_url, data), "Line 3: &#x27;anywhere&#x27; is no network.")


def test_what_is_not_on_the_form_changes_nothing(
    cast: Cast, owner: Browser, form_on: Callable[..., dict[str, Any]], new_url: str, now: datetime
) -> None:
    profile = RegistrationProfile.objects.create(name="bank")
    more = {"stage": "live", "profile": profile.pk, "made_by_staff": "on", "uses": "0", "organization": "1", "kept_by": "1", "digest": "x"}
    owner.post(new_url, {**form_on(owner.get(new_url), "label"), "label": "x", **more})
    row = InitialAccessToken.objects.get()
    assert (row.stage, row.profile, row.made_by_staff, row.organization) == ("test", None, False, cast.organization)


@pytest.mark.parametrize("state", ["suspended", "rejected", "closed"])
def test_an_organization_that_is_stopped_gets_no_token_and_is_told_why(
    cast: Cast, owner: Browser, form_on: Callable[..., dict[str, Any]], new_url: str, state: str
) -> None:
    data = {**form_on(owner.get(new_url), "label"), "label": "x"}
    Organization.objects.filter(pk=cast.organization.pk).update(state=state)
    assertContains(owner.post(new_url, data), f"The organization is {state}.")
    assert not InitialAccessToken.objects.exists()


def test_a_refused_form_can_be_sent_again(owner: Browser, form_on: Callable[..., dict[str, Any]], new_url: str) -> None:
    data = form_on(owner.get(new_url), "label")
    owner.post(new_url, {**data, "label": "x", "redirect_hosts": "*"})
    assert owner.post(new_url, {**data, "label": "x"}).context["value"]


def test_developers_and_viewers_read_and_are_offered_nothing(
    developer: Browser, viewer: Browser, url: str, make_token: Callable[..., Any], token_url: Callable[..., str]
) -> None:
    row = make_token().row
    for browser in (developer, viewer):
        assertNotContains(browser.get(url), "tokens/new/")
        page = browser.get(token_url(row))
        for name in ("registration_token_revoke", "registration_token_adopt"):
            assertNotContains(page, token_url(row, name))


# What stands there


def test_the_list_says_of_each_token_whether_it_works_and_why_not(
    cast: Cast, viewer: Browser, url: str, make_token: Callable[..., Any], now: datetime
) -> None:
    for name in ("works", "revoked", "expired", "used up", "unkept"):
        make_token(label=name)
    rows = {name: InitialAccessToken.objects.filter(label=name) for name in ("revoked", "expired", "used up", "unkept")}
    rows["revoked"].update(revoked_at=now)
    rows["expired"].update(expires_at=now - timedelta(days=1))
    rows["used up"].update(uses=5)
    rows["unkept"].update(kept_by=Membership.objects.get(user=cast.developer))
    response = viewer.get(url)
    found = {token.row.label: (token.standing, token.why) for token in response.context["tokens"]}
    assert found["works"] == ("active", "")
    assert {name: standing for name, (standing, _) in found.items()} == {
        "works": "active", "revoked": "revoked", "expired": "expired", "used up": "used_up", "unkept": "unkept",
    }  # fmt: skip
    for standing, why in found.values():
        assert (standing == "active") == (why == "")
        assertContains(response, why)
    Organization.objects.filter(pk=cast.organization.pk).update(state="suspended")
    assertContains(viewer.get(url), "The organization is suspended.", count=1)


@pytest.mark.threat("R01")
def test_refused_attempts_stand_under_the_token_with_reason_members_and_request_id(
    viewer: Browser, url: str, make_token: Callable[..., Any], token_url: Callable[..., str]
) -> None:
    made = make_token(restrictions={"redirect_hosts": ["shop.example.org"]})
    response = machine(made.value).register({"client_name": "Shop", "redirect_uris": ["https://elsewhere.example/cb"]})
    assert response.status_code == 400
    page = viewer.get(token_url(made.row))
    for words in ("invalid_redirect_uri", "elsewhere.example", "redirect_uris", "127.0.0.1", response["X-Request-ID"], "0 of 5"):
        assertContains(page, words)
    assertContains(page, f"{reverse('docs_errors')}#invalid_redirect_uri")
    assertContains(viewer.get(url), "#refused")


def test_the_newest_attempts_are_kept_and_fit_on_a_page(
    viewer: Browser, make_token: Callable[..., Any], token_url: Callable[..., str], now: datetime
) -> None:
    made = make_token()
    for number in range(REFUSALS_KEPT):
        RefusedRegistration.objects.create(
            token=made.row, refused_at=now, error="invalid_client_metadata", description=f"Wrong {number}.", members=["scope"]
        )
    page = viewer.get(token_url(made.row))
    assertContains(page, "Wrong 0.")
    assert len(page.content) < 60_000


def test_a_token_of_staff_names_nobody_of_them_and_nobody_adopts_it(
    cast: Cast, owner: Browser, url: str, make_token: Callable[..., Any], token_url: Callable[..., str]
) -> None:
    profile = RegistrationProfile.objects.create(name="partner-bank", description="For banks.", values={"redirect_uris_limit": 3})
    row = make_token(cast.as_operator, stage="live", profile=profile).row
    for address in (url, token_url(row)):
        page = owner.get(address)
        assertContains(page, "our staff")
        assertContains(page, "partner-bank")
        assertContains(page, "Redirect URIs at most")
        assertNotContains(page, cast.operator.email)
    assertNotContains(owner.get(token_url(row)), "Adopt")
    assert owner.post(token_url(row, "registration_token_adopt")).status_code == 403


def test_a_token_that_an_app_made_names_the_app_and_can_be_adopted(
    owner: Browser, url: str, make_client: Callable[..., Client], make_token: Callable[..., Any], token_url: Callable[..., str]
) -> None:
    app = make_client(client_name="Fleet manager")
    row = make_token(client_actor(app)).row
    for address in (url, token_url(row)):
        assertContains(owner.get(address), "Fleet manager")
    Client.objects.filter(pk=app.pk).update(state="suspended")
    assertContains(owner.get(token_url(row)), "It registers nothing now")
    owner.post(token_url(row, "registration_token_adopt"))
    page = owner.get(token_url(row))
    assertNotContains(page, "It registers nothing now")
    assertContains(page, "an app, or somebody who left")


# Ending and keeping


def test_revoking_asks_first_and_says_that_apps_stay(owner: Browser, make_token: Callable[..., Any], token_url: Callable[..., str]) -> None:
    made = make_token()
    told = machine(made.value).register().json()
    address = token_url(made.row, "registration_token_revoke")
    assertContains(owner.get(address), "The apps that it registered stay as they are")
    assert InitialAccessToken.objects.get().revoked_at is None
    response = owner.post(address, follow=True)
    assertRedirects(response, token_url(made.row))
    assertContains(response, "The initial access token was revoked.")
    assertNotContains(response, address)
    assert machine(made.value).register().status_code == 401
    assert Client.objects.get(client_id=told["client_id"]).state == "active"
    owner.post(address)
    assert AuditEvent.objects.filter(event="token.revoked").count() == 1


def test_a_colleague_adopts_a_token_before_or_after_its_keeper_left(
    cast: Cast, owner: Browser, sign_in: Callable[..., Browser], make_token: Callable[..., Any], token_url: Callable[..., str]
) -> None:
    other = User.objects.create_user("second@lighthouse.example", name="Second")
    Membership.objects.create(organization=cast.organization, user=other, role="owner")
    made = make_token()
    assertNotContains(owner.get(token_url(made.row)), "Adopt")
    colleague = sign_in(other)
    assertContains(colleague.get(token_url(made.row)), "Adopt")
    remove_member(Membership.objects.get(user=cast.owner), cast.as_owner)
    assert machine(made.value).register().status_code == 401
    page = colleague.get(token_url(made.row))
    assertContains(page, "an owner can adopt it")
    assertContains(page, "nobody")
    response = colleague.post(token_url(made.row, "registration_token_adopt"), follow=True)
    assertContains(response, "You keep this token now.")
    assert machine(made.value).register().status_code == 201
    assert colleague.post(token_url(made.row, "registration_token_adopt")).status_code == 302


@pytest.mark.threat("R09")
def test_a_token_of_another_organization_is_not_found_under_this_one(
    cast: Cast, foreign: Organization, owner: Browser, url: str, make_token: Callable[..., Any], token_url: Callable[..., str]
) -> None:
    row = make_token(job("test"), foreign, label="Elsewhere").row
    assertNotContains(owner.get(url), "Elsewhere")
    for name in ("registration_token", "registration_token_revoke"):
        assert owner.get(token_url(row, name)).status_code == 404
    for name in ("registration_token_revoke", "registration_token_adopt"):
        assert owner.post(token_url(row, name)).status_code == 404
    row.refresh_from_db()
    assert row.revoked_at is None


# What needs attention, and the timeline


def test_a_token_that_ends_soon_with_uses_left_needs_attention(
    cast: Cast, owner: Browser, make_token: Callable[..., Any], token_url: Callable[..., str], now: datetime
) -> None:
    row = make_token(label="Soon", expires_at=now + timedelta(days=30)).row
    make_token(label="Short", expires_at=now + timedelta(days=1))
    make_token(label="Spent")
    InitialAccessToken.objects.filter(label="Spent").update(uses=5, expires_at=now + timedelta(days=1))
    home = reverse("organization", args=[cast.organization.slug])
    assert find_token_attention([cast.organization], now) == []
    assertNotContains(owner.get(home), "uses left")
    InitialAccessToken.objects.filter(label="Soon").update(created_at=now - timedelta(days=24), expires_at=now + timedelta(days=6))
    page = owner.get(home)
    assertContains(page, f"The registration token {row} ends with 5 of 5 uses left.")
    assertContains(page, f'href="{token_url(row)}"')
    assertContains(owner.get(reverse("organizations")), "1 thing to look at")
    assert [item.code for item in find_token_attention([cast.organization], now + timedelta(hours=13))] == ["token_ending"] * 2


def test_a_token_whose_keeper_left_needs_attention_until_it_is_adopted(
    cast: Cast, owner: Browser, make_token: Callable[..., Any], token_url: Callable[..., str], now: datetime
) -> None:
    row = make_token().row
    InitialAccessToken.objects.update(kept_by=None)
    assertContains(owner.get(reverse("organization", args=[cast.organization.slug])), "an owner can adopt it")
    owner.post(token_url(row, "registration_token_adopt"))
    assert find_token_attention([cast.organization], now) == []


def test_the_activity_tells_of_tokens_in_words(
    cast: Cast, owner: Browser, make_token: Callable[..., Any], token_url: Callable[..., str], fill: Callable[..., Any],
    app_url: Callable[..., str],
) -> None:  # fmt: skip
    made = make_token()
    told = machine(made.value).register().json()
    client = Client.objects.get(client_id=told["client_id"])
    reset(owner, client, app_url, fill)
    owner.post(token_url(made.row, "registration_token_revoke"))
    page = owner.get(reverse("organization_activity", args=[cast.organization.slug]))
    for words in ("Registration token made: Installer", "Registration access token replaced: Back office", "Registration token revoked"):
        assertContains(page, words)
    assertContains(owner.get(app_url("app_activity", client)), "Registration access token replaced")


# The app's own token


@pytest.fixture
def registered(make_token: Callable[..., Any]) -> tuple[Client, dict[str, Any]]:
    """An app that registered itself, and what it was answered."""
    told = machine(make_token().value).register().json()
    return Client.objects.get(client_id=told["client_id"]), told


def reset(browser: Browser, client: Client, app_url: Callable[..., str], fill: Callable[..., Any]) -> Any:
    """Press the button that resets the registration access token."""
    address = app_url("app_registration_token_reset", client)
    html = browser.get(app_url("app_credentials", client)).content.decode()
    form = html[html.index(f'action="{address}"') :]
    once = form[form.index('name="once" value="') + len('name="once" value="') :].partition('"')[0]
    return browser.post(address, {"once": once})


@pytest.mark.spec("DCR-MGT-16")
def test_an_owner_resets_the_token_of_an_app_and_sees_the_new_one_once(
    registered: tuple[Client, dict[str, Any]], owner: Browser, app_url: Callable[..., str], fill: Callable[..., Any]
) -> None:
    client, told = registered
    page = owner.get(app_url("app_credentials", client))
    for words in ("Registration access token", told["registration_client_uri"], "Installer"):
        assertContains(page, words)
    assertNotContains(page, told["registration_access_token"])
    response = reset(owner, client, app_url, fill)
    value = response.context["value"]
    assertContains(response, "shown only now")
    assert "no-store" in response["Cache-Control"]
    assert machine("").read(told).status_code == 401
    read = send(command_on(response))
    assert (read.status_code, read.json()["client_id"]) == (200, client.client_id)
    assertNotContains(owner.get(app_url("app_credentials", client)), value)


def test_sending_the_reset_again_replaces_nothing(
    registered: tuple[Client, dict[str, Any]], owner: Browser, app_url: Callable[..., str], fill: Callable[..., Any]
) -> None:
    client, _ = registered
    address, data = app_url("app_registration_token_reset", client), {"once": "n" * 20}
    owner.post(address, data)
    digest = RegistrationAccessToken.objects.get().digest
    assertContains(owner.post(address, data, follow=True), "Nothing was replaced")
    assertContains(owner.post(address, {}, follow=True), "Nothing was replaced")
    assert RegistrationAccessToken.objects.get().digest == digest


def test_others_read_of_the_token_and_cannot_reset_it(
    registered: tuple[Client, dict[str, Any]], developer: Browser, viewer: Browser, owner: Browser, app_url: Callable[..., str]
) -> None:
    client, _ = registered
    address = app_url("app_registration_token_reset", client)
    for browser in (developer, viewer):
        page = browser.get(app_url("app_credentials", client))
        assertContains(page, "An owner of your organization can reset it.")
        assertNotContains(page, address)
        assert browser.post(address, {"once": "n" * 20}).status_code == 403


def test_the_page_says_when_the_token_ended_and_a_closed_app_gets_none(
    registered: tuple[Client, dict[str, Any]], owner: Browser, app_url: Callable[..., str], now: datetime
) -> None:
    client, _ = registered
    RegistrationAccessToken.objects.update(revoked_at=now, is_hardened=True, is_read_only=True)
    page = owner.get(app_url("app_credentials", client))
    for words in ("Revoked", "It may read the registration only.", "It is replaced with every change."):
        assertContains(page, words)
    RegistrationAccessToken.objects.update(revoked_at=None, expires_at=now - timedelta(days=1))
    assertContains(owner.get(app_url("app_credentials", client)), "Expired")
    Client.objects.update(state="closed")
    address = app_url("app_registration_token_reset", client)
    assertNotContains(owner.get(app_url("app_credentials", client)), address)
    assertContains(owner.post(address, {"once": "n" * 20}, follow=True), "This app is closed.")


def test_an_app_made_by_hand_has_no_such_token(make_client: Callable[..., Client], owner: Browser, app_url: Callable[..., str]) -> None:
    client = make_client()
    assertNotContains(owner.get(app_url("app_credentials", client)), "Registration access token")
    response = owner.post(app_url("app_registration_token_reset", client), {"once": "n" * 20}, follow=True)
    assertContains(response, "This app did not register itself")


def test_the_settings_of_an_app_that_registered_itself_say_where_it_is_changed(
    registered: tuple[Client, dict[str, Any]], developer: Browser, app_url: Callable[..., str]
) -> None:
    client, told = registered
    page = developer.get(app_url("app_edit", client))
    assertContains(page, "by PUT to its registration address")
    assertContains(page, told["registration_client_uri"])
    assertContains(page, "client_credentials")
    assert developer.post(app_url("app_edit", client), {"client_name": "Other"}).status_code == 302
    client.refresh_from_db()
    assert client.name == "Back office"


@pytest.mark.spec("DCR-SS-08")
def test_each_member_says_whether_the_statement_asserts_it_or_the_app_alone(
    registered: tuple[Client, dict[str, Any]], viewer: Browser, developer: Browser, app_url: Callable[..., str], now: datetime
) -> None:
    client, _ = registered
    assertNotContains(viewer.get(app_url("app", client)), "elf-asserted")
    issuer = SoftwareStatementIssuer.objects.create(issuer="https://directory.example", name="The directory")
    AcceptedStatement.objects.create(client=client, issuer=issuer, statement="x.y.z", asserted=["client_name"], accepted_at=now)
    page = viewer.get(app_url("app", client))
    assertContains(page, "by The directory")
    origins = {row.member: row.origin for row in page.context["rows"]}
    assert (origins["client_name"], origins["grant_types"]) == ("Asserted by the software statement", "Self-asserted")
    settings = developer.get(app_url("app_edit", client))
    assertContains(settings, "Asserted by the software statement", count=1)
    assertContains(settings, "Self-asserted", count=2)  # grants and scopes; nobody said the defaults


# The example


RESTRICTED: list[dict[str, Any]] = [
    {},
    {"grant_types": ["client_credentials"]},
    {"grant_types": ["authorization_code"]},
    {"grant_types": ["authorization_code", "refresh_token"], "redirect_hosts": ["shop.example.org"]},
    {"grant_types": ["authorization_code"], "redirect_hosts": ["org.example.app:"]},
    {"grant_types": ["authorization_code"], "token_endpoint_auth_methods": ["none"], "redirect_hosts": ["org.example.app:"]},
    {"token_endpoint_auth_methods": ["client_secret_post"], "allowed_scopes": ["bookings.read"]},
    {"grant_types": ["authorization_code"], "token_endpoint_auth_methods": ["none"]},
]


@pytest.mark.parametrize("restrictions", RESTRICTED, ids=str)
def test_the_example_registers_under_whatever_a_token_allows(
    cast: Cast, make_token: Callable[..., Any], restrictions: dict[str, Any], now: datetime
) -> None:
    made = make_token(restrictions=restrictions)
    policy = narrow_policy(get_policy(cast.organization), restrictions)
    response = send(shlex.split(register_command(example_document(policy), made.value)))
    assert response.status_code == 201, response.content


def test_an_example_that_needs_keys_says_so(cast: Cast, owner: Browser, fill: Callable[..., Any], new_url: str) -> None:
    page = fill(owner, new_url, "label", follow=False, label="x", token_endpoint_auth_methods=["private_key_jwt"])
    assertContains(page, "jwks.json")
    policy = narrow_policy(get_policy(), {"token_endpoint_auth_methods": ["private_key_jwt"]})
    command = register_command(example_document(policy), "T")
    data = shlex.split(command)[-1].replace("$(cat jwks.json)", '{"keys": []}')
    assert json.loads(data)["jwks"] == {"keys": []}


# Hostile words, and how much it costs


@pytest.mark.threat("R06")
def test_what_machines_and_colleagues_wrote_is_text(
    cast: Cast, owner: Browser, url: str, make_token: Callable[..., Any], token_url: Callable[..., str], now: datetime
) -> None:
    made = make_token()
    machine(made.value).register(client_name=HOSTILE, redirect_uris=[HOSTILE], **{HOSTILE: 1})
    profile = RegistrationProfile.objects.create(name="x", description=HOSTILE, values={"redirect_hosts": [HOSTILE]})
    restrictions = {"grant_types": [HOSTILE], "allowed_scopes": [HOSTILE]}
    InitialAccessToken.objects.update(label=HOSTILE, restrictions=restrictions, source_networks=[HOSTILE], profile=profile)
    RefusedRegistration.objects.create(
        token=made.row, refused_at=now, error=HOSTILE, description=HOSTILE, members=[HOSTILE], request_id=HOSTILE
    )
    home = reverse("organization", args=[cast.organization.slug])
    InitialAccessToken.objects.update(kept_by=None)
    for address in (url, token_url(made.row), token_url(made.row, "registration_token_revoke"), home):
        html = owner.get(address).content.decode()
        assert "&lt;script&gt;alert(1)" in html, address
        for part in ("<script>alert", "<img src=x"):
            assert part not in html, (address, part)


def count(browser: Browser, url: str) -> int:
    with CaptureQueriesContext(connection) as queries:
        assert browser.get(url).status_code == 200
    return len(queries)


def test_pages_take_the_same_number_of_queries_for_much_as_for_little(
    cast: Cast, owner: Browser, url: str, make_token: Callable[..., Any], token_url: Callable[..., str], app_url: Callable[..., str],
    now: datetime,
) -> None:  # fmt: skip
    made = make_token(uses_limit=50)
    told = machine(made.value).register().json()
    machine(made.value).register(grant_types=["password"])
    client = Client.objects.get(client_id=told["client_id"])
    addresses = [
        url, token_url(made.row), app_url("app_credentials", client), app_url("app_edit", client), app_url("app", client),
        reverse("organization", args=[cast.organization.slug]), reverse("organizations"),
    ]  # fmt: skip
    little = {address: count(owner, address) for address in addresses}
    profile = RegistrationProfile.objects.create(name="bank", values={"redirect_uris_limit": 3})
    for number in range(6):
        make_token(cast.as_operator, label=f"Staff {number}", profile=profile)
        make_token(label=f"Token {number}", restrictions={"allowed_scopes": ["bookings.read"]})
        machine(made.value).register(client_name=f"App {number}")
        machine(made.value).register(grant_types=["password"])
    InitialAccessToken.objects.filter(label="Token 1").update(kept_by=None)
    InitialAccessToken.objects.filter(label="Token 2").update(created_at=now - timedelta(days=99), expires_at=now + timedelta(days=1))
    assert {address: count(owner, address) for address in addresses} == little
    assert max(little.values()) <= 15


def test_the_list_has_pages(owner: Browser, url: str, make_token: Callable[..., Any]) -> None:
    for number in range(26):
        make_token(label=f"Token {number}")
    assertContains(owner.get(url), "1 to 25 of 26")
    assert [token.row.label for token in owner.get(f"{url}?page=2").context["tokens"]] == ["Token 0"]


def test_the_example_of_the_page_is_what_the_rules_accept(cast: Cast, now: datetime) -> None:
    document = example_document(get_policy(cast.organization))
    assessed = assess_metadata(document, cast.organization, stage="test", now=now, restrictions={})
    assert [finding for finding in assessed.findings if finding.level == "error"] == []
