"""Registering an app step by step: what and how, one group of answers at a time, and the review that registers it."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client as Browser
from django.urls import reverse
from pytest_django.asserts import assertContains, assertNotContains, assertRedirects

from protocol.errors import TransitionRefused
from protocol.jose import generate_private_key
from registry.actors import person
from registry.app_answers import KINDS
from registry.app_drafts import DRAFTS_LIMIT, discard_draft, purge_drafts, register_draft, save_answers, start_draft
from registry.models import AppDraft, Client, PolicyRecord
from tests.conftest import Cast

MACHINE = {"client_name": "Nightly sync", "token_endpoint_auth_method": "client_secret_basic", "scope": ["bookings.read"]}
SITE = {"client_name": "Site", "redirect_uris": "https://site.example/cb", "token_endpoint_auth_method": "client_secret_basic", "scope": []}
KEY = dict(generate_private_key("ES256").public_jwk())


@pytest.fixture
def start(cast: Cast, now: datetime) -> Callable[..., AppDraft]:
    """Return a function that begins a draft with some answers."""

    def make(kind: str = "web", **answers: Any) -> AppDraft:
        draft = start_draft(person(cast.developer), cast.organization, kind, now=now)
        return save_answers(draft, person(cast.developer), answers, now=now)

    return make


@pytest.fixture
def step_url(cast: Cast) -> Callable[..., str]:
    """Return a function that gives the address of a step of a draft."""
    return lambda draft, step: reverse("app_draft", args=[cast.organization.slug, draft.reference, step])


def test_a_developer_goes_through_the_steps_and_has_an_app(cast: Cast, developer: Browser, fill: Callable[..., Any]) -> None:
    page = fill(developer, reverse("app_new", args=[cast.organization.slug]), "kind", kind="web")
    draft = AppDraft.objects.get()
    here = {step: reverse("app_draft", args=[cast.organization.slug, draft.reference, step]) for step in
            ("basics", "redirects", "authentication", "scopes", "review")}  # fmt: skip
    assertRedirects(page, here["basics"])
    assert draft.created_by == cast.developer
    page = fill(developer, here["basics"], "client_name", client_name="Site", contacts="tech@site.example")
    assertRedirects(page, here["redirects"])
    page = fill(developer, here["redirects"], "redirect_uris", redirect_uris="https://site.example/cb")
    assertRedirects(page, here["authentication"])
    assert page.context["form"]["token_endpoint_auth_method"].value() == "private_key_jwt"
    page = fill(developer, here["authentication"], "jwks", jwks=json.dumps(KEY))
    assertRedirects(page, here["scopes"])
    assertContains(page, "Needs approval")
    page = developer.post(here["scopes"], {"scope": ["bookings.read"]}, follow=True)
    assertRedirects(page, here["review"])
    assertContains(page, "https://site.example/cb")
    page = developer.post(here["review"], follow=True)
    client = cast.organization.clients.get()
    assertRedirects(page, reverse("app", args=[cast.organization.slug, client.reference]))
    assert (client.stage, client.state, client.source, client.created_by) == ("test", "active", "manual", cast.developer)
    assert client.metadata["grant_types"] == ["authorization_code", "refresh_token"]
    assert client.metadata["jwks"] == {"keys": [KEY]}
    assert client.metadata["id_token_signed_response_alg"] == "ES256"
    assert not AppDraft.objects.exists()


@pytest.mark.parametrize(
    ("kind", "method", "application_type", "grant"),
    [
        ("web", "private_key_jwt", "web", "authorization_code"),
        ("browser", "none", "web", "authorization_code"),
        ("native", "none", "native", "authorization_code"),
        ("machine", "private_key_jwt", "web", "client_credentials"),
    ],
)
def test_each_kind_of_app_has_its_steps_and_its_suggestion(
    cast: Cast, developer: Browser, start: Callable[..., AppDraft], step_url: Callable[..., str],
    kind: str, method: str, application_type: str, grant: str,
) -> None:  # fmt: skip
    draft = start(kind, **{**SITE, "jwks": json.dumps(KEY), "token_endpoint_auth_method": ""})
    page = developer.get(step_url(draft, "redirects"))
    if kind == "machine":
        assertRedirects(page, step_url(draft, "review"))
        assertNotContains(developer.get(step_url(draft, "authentication")), "ID token signature")
    else:
        assertContains(page, "Redirect URIs")
    fresh = start(kind)
    assert developer.get(step_url(fresh, "authentication")).context["form"]["token_endpoint_auth_method"].value() == method
    metadata = register_draft(draft, person(cast.developer), now=draft.updated_at).metadata
    assert metadata["token_endpoint_auth_method"] == method
    assert metadata["application_type"] == application_type
    assert metadata["grant_types"][0] == grant
    assert ("redirect_uris" in metadata) == (kind != "machine")


@pytest.mark.parametrize(
    ("values", "to"),
    [
        ({"kind": "web", "way": "dcr"}, "registration_tokens"),
        ({"kind": "web", "way": "federation"}, "organization_federation"),
        ({"kind": "entity", "way": "manual"}, "organization_federation"),
    ],
)
def test_the_other_ways_lead_to_their_own_pages(
    cast: Cast, developer: Browser, fill: Callable[..., Any], values: dict[str, str], to: str
) -> None:
    slug = cast.organization.slug
    page = fill(developer, reverse("app_new", args=[slug]), "kind", **values)
    assertRedirects(page, reverse(to, args=[slug]))
    assert not AppDraft.objects.exists()
    if to == "registration_tokens":
        assertContains(page, "curl")


def test_the_picker_says_what_each_choice_is_for_and_what_it_asks(cast: Cast, developer: Browser) -> None:
    page = developer.get(reverse("app_new", args=[cast.organization.slug]))
    html = page.content.decode()
    assert html.count("Choose this if") == 8
    for words in ("Web server app", "Single-page app", "Native app", "Machine-to-machine", "Federation entity", "Dynamic registration"):
        assert words in html


def test_beginning_twice_from_one_page_makes_one_draft(cast: Cast, developer: Browser, form_on: Callable[..., dict[str, Any]]) -> None:
    url = reverse("app_new", args=[cast.organization.slug])
    data = form_on(developer.get(url), "kind")
    assert developer.post(url, data)["Location"] == developer.post(url, data)["Location"]
    assert AppDraft.objects.count() == 1


@pytest.mark.spec("DCR-META-11", "DCR-META-12", "DCR-META-16")
def test_a_step_is_kept_with_what_is_wrong_in_it_and_the_list_of_steps_says_where(
    developer: Browser, start: Callable[..., AppDraft], step_url: Callable[..., str]
) -> None:
    draft = start(client_name="Site")
    typed = "https://site.example/ok\n\nhttps://site.example/cb#part\njavascript:alert(1)"
    page = developer.post(step_url(draft, "redirects"), {"redirect_uris": typed, "post_logout_redirect_uris": ""})
    for words in ("Line 3: A redirect URI must not have a fragment.", "Line 4: ", "Saved. It cannot be registered like this"):
        assertContains(page, words)
    draft.refresh_from_db()
    assert draft.answers["redirect_uris"] == typed
    texts = {str(step["title"]): (step["state"], step.get("text", "")) for step in page.context["steps"]}
    assert texts["Basics"] == ("done", "")
    assert texts["Redirects"] == ("failed todo", "2 things to fix")
    assert texts["Scopes"] == ("", "Not yet")
    again = developer.get(step_url(draft, "redirects"))
    assertContains(again, "Line 3: A redirect URI must not have a fragment.")
    assert again.context["form"]["redirect_uris"].value() == typed
    review = developer.get(step_url(draft, "review"))
    assertContains(review, "A redirect URI must not have a fragment.")


@pytest.mark.spec("DCR-META-06", "DCR-META-07", "DCR-META-14")
def test_what_is_wrong_stands_beside_its_field_and_nothing_typed_is_lost(
    developer: Browser, start: Callable[..., AppDraft], step_url: Callable[..., str]
) -> None:
    values = {"client_name": "Site", "client_uri": "http://x.example", "contacts": "nobody"}
    form = developer.post(step_url(start(), "basics"), values).context["form"]
    assert set(form.errors) == {"client_uri", "contacts"}
    assert {name: form[name].value() for name in values} == values


def test_an_app_with_something_to_fix_is_not_registered_and_keeps_its_draft(
    cast: Cast, developer: Browser, start: Callable[..., AppDraft], step_url: Callable[..., str]
) -> None:
    draft = start(**{**SITE, "redirect_uris": "http://site.example/cb"})
    assertContains(developer.post(step_url(draft, "review")), "1 thing has to be fixed.")
    nameless = start(**{**SITE, "client_name": ""})
    assertContains(developer.post(step_url(nameless, "review")), "The app has no name.")
    assert not cast.organization.clients.exists()
    assert AppDraft.objects.count() == 2


def test_warnings_do_not_hold_the_registration_up(
    cast: Cast, developer: Browser, start: Callable[..., AppDraft], step_url: Callable[..., str]
) -> None:
    draft = start(**{**SITE, "redirect_uris": "https://site.example/cb?x=1"})
    assertContains(developer.get(step_url(draft, "review")), "This redirect URI has a query")
    developer.post(step_url(draft, "review"))
    assert cast.organization.clients.count() == 1


@pytest.mark.threat("X24")
def test_registering_twice_makes_one_app_and_every_old_page_leads_to_it(
    cast: Cast, developer: Browser, start: Callable[..., AppDraft], step_url: Callable[..., str]
) -> None:
    draft = start(**SITE)
    first, second = developer.post(step_url(draft, "review")), developer.post(step_url(draft, "review"))
    client = cast.organization.clients.get()
    assert first["Location"] == second["Location"] == reverse("app", args=[cast.organization.slug, client.reference])
    assert developer.get(step_url(draft, "basics"))["Location"] == first["Location"]
    with pytest.raises(TransitionRefused, match="gone"):
        register_draft(draft, person(cast.developer), now=draft.updated_at)


def test_a_registration_that_is_refused_late_keeps_the_draft(
    cast: Cast, developer: Browser, start: Callable[..., AppDraft], step_url: Callable[..., str], make_client: Callable[..., Client]
) -> None:
    draft = start(**SITE)
    PolicyRecord.objects.update_or_create(organization=cast.organization, defaults={"values": {"clients_limit": 1}})
    make_client()
    page = developer.post(step_url(draft, "review"))
    assertContains(page, "This organization has its 1 apps; close one, or ask our staff for more.")
    assert AppDraft.objects.filter(pk=draft.pk).exists()


def test_an_organization_at_its_limit_is_told_the_number_and_who_can_raise_it(
    cast: Cast, developer: Browser, make_client: Callable[..., Client], fill: Callable[..., Any]
) -> None:
    PolicyRecord.objects.update_or_create(organization=cast.organization, defaults={"values": {"clients_limit": 1}})
    make_client()
    url = reverse("app_new", args=[cast.organization.slug])
    assertContains(developer.get(url), "This organization has its 1 apps; close one, or ask our staff for more.")
    assertContains(fill(developer, url, "kind"), "ask our staff for more", count=1)
    assert not AppDraft.objects.exists()


def test_an_organization_has_at_most_twenty_drafts(cast: Cast, developer: Browser, fill: Callable[..., Any], now: datetime) -> None:
    for _ in range(DRAFTS_LIMIT):
        start_draft(person(cast.developer), cast.organization, "web", now=now)
    assertContains(fill(developer, reverse("app_new", args=[cast.organization.slug]), "kind"), "This organization has 20 drafts.")
    assert AppDraft.objects.count() == DRAFTS_LIMIT


def test_drafts_without_a_change_for_thirty_days_are_deleted(cast: Cast, start: Callable[..., AppDraft], now: datetime) -> None:
    old, young = start(), start()
    AppDraft.objects.filter(pk=old.pk).update(updated_at=now - timedelta(days=31))
    AppDraft.objects.filter(pk=young.pk).update(updated_at=now - timedelta(days=29))
    assert purge_drafts(now) == 1
    assert list(AppDraft.objects.all()) == [young]


def test_the_list_of_apps_offers_drafts_to_go_on_with_and_to_discard(
    cast: Cast, developer: Browser, viewer: Browser, start: Callable[..., AppDraft]
) -> None:
    draft = start(client_name="Half an app")
    url = reverse("apps", args=[cast.organization.slug])
    assertContains(developer.get(url), "Half an app")
    assertNotContains(viewer.get(url), "Half an app")
    discard = reverse("app_draft_discard", args=[cast.organization.slug, draft.reference])
    assertContains(developer.post(discard, follow=True), "The draft was discarded.")
    assert not AppDraft.objects.exists()
    assert developer.post(discard).status_code == 404


def test_only_editors_of_the_organization_touch_its_drafts(cast: Cast, start: Callable[..., AppDraft], now: datetime) -> None:
    draft = start()
    for who in (cast.viewer, cast.stranger):
        for call in (
            lambda who=who: start_draft(person(who), cast.organization, "web", now=now),
            lambda who=who: save_answers(draft, person(who), {}, now=now),
            lambda who=who: discard_draft(draft, person(who)),
            lambda who=who: register_draft(draft, person(who), now=now),
        ):
            with pytest.raises(TransitionRefused, match="Only an owner or developer"):
                call()


PRIVATE = {
    "a set": json.dumps({"keys": [{**KEY, "d": "c2VjcmV0LXZhbHVl"}]}),
    "a piece": '{"d": "c2VjcmV0LXZhbHVl',
    "PEM": "-----BEGIN PRIVATE KEY-----\nc2VjcmV0LXZhbHVl",
}


@pytest.mark.threat("J07")
@pytest.mark.parametrize("text", PRIVATE.values(), ids=PRIVATE)
def test_a_pasted_private_key_is_neither_kept_nor_shown_again(
    cast: Cast, developer: Browser, start: Callable[..., AppDraft], step_url: Callable[..., str], text: str
) -> None:
    draft = start(client_name="App")
    values = {"token_endpoint_auth_method": "private_key_jwt", "jwks": text, "id_token_signed_response_alg": "ES256"}
    checks = f"{reverse('app_check', args=[cast.organization.slug])}?draft={draft.reference}&field=jwks"
    for page in (developer.post(step_url(draft, "authentication"), values), developer.post(checks, values)):
        assertContains(page, "Treat this key as leaked")
        assert b"c2VjcmV0LXZhbHVl" not in page.content
    save_answers(draft, person(cast.developer), {"jwks": text}, now=draft.updated_at)
    draft.refresh_from_db()
    assert draft.answers["jwks"] == ""
    assert "c2VjcmV0LXZhbHVl" not in json.dumps(draft.answers)


def test_keys_that_cannot_be_read_are_shown_again_but_not_kept(
    developer: Browser, start: Callable[..., AppDraft], step_url: Callable[..., str]
) -> None:
    draft = start(client_name="App")
    page = developer.post(step_url(draft, "authentication"), {"token_endpoint_auth_method": "private_key_jwt", "jwks": "{nonsense"})
    assert page.context["form"]["jwks"].value() == "{nonsense"
    draft.refresh_from_db()
    assert draft.answers["jwks"] == ""


def test_the_check_of_one_field_knows_the_other_answers_and_writes_nothing(
    cast: Cast, developer: Browser, start: Callable[..., AppDraft]
) -> None:
    draft = start("native")
    checks = f"{reverse('app_check', args=[cast.organization.slug])}?draft={draft.reference}"
    page = developer.post(f"{checks}&field=redirect_uris", {"redirect_uris": "http://127.0.0.1/cb"})
    assert page.content.strip() == b""
    page = developer.post(f"{checks}&field=redirect_uris", {"redirect_uris": "http://site.example/cb"})
    assertContains(page, "A redirect URI must not use http.")
    assertNotContains(page, "<html")
    for wrong in ("&field=nothing", "&field=justification", ""):
        assert developer.post(f"{checks}{wrong}", {}).status_code == 404
    assert developer.post(f"{checks[:-3]}abc&field=kind", {}).status_code == 404
    draft.refresh_from_db()
    assert "redirect_uris" not in draft.answers


def test_the_fields_ask_for_their_check_and_work_without_scripts(
    developer: Browser, start: Callable[..., AppDraft], step_url: Callable[..., str]
) -> None:
    draft = start()
    page = developer.get(step_url(draft, "redirects"))
    assertContains(page, f'hx-post="/org/lighthouse-travel/apps/check/?draft={draft.reference}&amp;field=redirect_uris"')


@pytest.mark.threat("R07")
def test_hosts_are_registered_in_lower_case_and_shown_in_ascii(
    cast: Cast, developer: Browser, start: Callable[..., AppDraft], step_url: Callable[..., str]
) -> None:
    draft = start(**SITE)
    page = developer.post(step_url(draft, "redirects"), {"redirect_uris": "https://site.ex\u0430mple/cb"})
    assertContains(page, "The host is written site.xn--exmple-4nf. Its letters are of different scripts or imitate others.")
    page = developer.post(step_url(draft, "redirects"), {"redirect_uris": "https://site.xn--exmple-4nf/cb"}, follow=True)
    assertContains(developer.get(step_url(draft, "review")), "The host site.xn--exmple-4nf mixes letters of different scripts")
    developer.post(step_url(draft, "redirects"), {"redirect_uris": "HTTPS://Site.Example/CB"})
    assertContains(
        developer.get(step_url(draft, "review")), "The scheme and the host are registered in lower case: https://site.example/CB"
    )
    developer.post(step_url(draft, "review"))
    assert cast.organization.clients.get().registered_redirect_uris == ["https://site.example/CB"]


def test_changing_the_kind_leaves_out_what_makes_no_sense_any_more(
    cast: Cast, developer: Browser, start: Callable[..., AppDraft], step_url: Callable[..., str]
) -> None:
    draft = start(**{**SITE, "redirect_uris": "javascript:alert(1)"})
    developer.post(step_url(draft, "kind"), {"kind": "machine"})
    developer.post(step_url(draft, "review"))
    assert cast.organization.clients.get().metadata["grant_types"] == ["client_credentials"]
    assert set(KINDS) == {"web", "browser", "native", "machine"}


def test_who_comes_from_the_review_goes_back_to_it(
    developer: Browser, start: Callable[..., AppDraft], step_url: Callable[..., str]
) -> None:
    draft = start(**SITE)
    page = developer.post(f"{step_url(draft, 'basics')}?review", {"client_name": "Other"})
    assert page["Location"] == step_url(draft, "review")


def test_strange_answers_break_nothing_and_are_told_beside_their_field(
    developer: Browser, start: Callable[..., AppDraft], step_url: Callable[..., str]
) -> None:
    draft = start(**SITE)
    assert developer.get(step_url(draft, "nothing")).status_code == 404
    for text in ("\x00", "a\x00b", "\u202e", "x" * 30_000, "%00", "[]", "{}"):
        for step, fields in (
            ("kind", ("kind",)),
            ("basics", ("client_name", "contacts", "client_uri", "logo_uri", "tos_uri", "policy_uri")),
            ("redirects", ("redirect_uris", "post_logout_redirect_uris")),
            ("authentication", ("token_endpoint_auth_method", "jwks", "jwks_uri", "id_token_signed_response_alg")),
            ("scopes", ("scope",)),
        ):
            assert developer.post(step_url(draft, step), dict.fromkeys(fields, text)).status_code in (200, 302)
        assert developer.get(step_url(draft, "review")).status_code == 200
    draft.refresh_from_db()
    assert draft.answers["kind"] == "web"
    assert draft.answers["scope"] == []


def test_more_than_a_draft_holds_is_refused_and_what_was_kept_stays(cast: Cast, start: Callable[..., AppDraft], now: datetime) -> None:
    draft = start(client_name="Site")
    with pytest.raises(TransitionRefused, match="256 KiB"):
        save_answers(draft, person(cast.developer), {"client_name": "x" * 300_000}, now=now)
    draft.refresh_from_db()
    assert draft.answers["client_name"] == "Site"


def test_a_draft_keeps_nothing_that_is_no_answer(cast: Cast, start: Callable[..., AppDraft], now: datetime) -> None:
    draft = start(state="active", stage="live", client_id="mine")
    assert draft.answers == {"kind": "web"}
