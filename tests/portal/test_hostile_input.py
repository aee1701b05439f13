"""What people who mean harm send through the forms: nothing breaks, nothing slips in."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps as django_apps
from django.core import serializers
from django.test import Client as Browser
from django.urls import reverse
from pytest_django.asserts import assertContains

from protocol.jose import generate_private_key
from registry.lifecycle import request_go_live
from registry.models import Client, Organization
from tests.conftest import Cast
from tests.portal.test_access_matrix import ORGANIZATION_PAGES, Place, address, furnish

MACHINE = {"client_name": "App", "kind": "machine", "token_endpoint_auth_method": "client_secret_basic"}
URL_CORPUS = Path(__file__).parent.parent / "protocol" / "url_corpus.txt"


def corpus(name: str) -> list[str]:
    """Return the lines of a file beside this one, written in Python's unicode_escape."""
    lines = (Path(__file__).parent / name).read_text().splitlines()
    return [line.encode().decode("unicode_escape") for line in lines]


@pytest.fixture
def send(developer: Browser, register_app: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that goes through the steps of a new app with some answers changed, up to the first that is refused."""

    def post(**values: Any) -> Any:
        return register_app(developer, **{**MACHINE, **values})

    return post


KEY = dict(generate_private_key("ES256").public_jwk())
RSA_NUMBER = "A" * 683
BAD_KEYS = {
    "deep nesting": "[" * 5000,
    "deep objects": '{"keys":' * 500 + "1" + "}" * 500,
    "many values": json.dumps({"keys": [1] * 20000}),
    "a long number": '{"keys": ' + "9" * 5000 + "}",
    "a huge exponent": '{"keys": [1e999]}',
    "NaN": '{"keys": [NaN]}',
    "duplicates": '{"keys": [], "keys": []}',
    "NUL escaped": '{"keys": [{"kid": "\\u0000"}]}',
    "half a surrogate pair": '{"keys": [{"kid": "\\ud800"}]}',
    "a byte order mark": "\ufeff{}",
    "not JSON": "nonsense",
    "an array": "[]",
    "a string": '"keys"',
    "null": "null",
    "keys that are no array": '{"keys": {}}',
    "keys that are numbers": '{"keys": [1, 2]}',
    "no key": '{"keys": []}',
    "a symmetric key": '{"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}',
    "an unknown curve": json.dumps({"keys": [{**KEY, "crv": "P-192"}]}),
    "a point off the curve": json.dumps({"keys": [{**KEY, "y": KEY["x"]}]}),
    "the same kid twice": json.dumps({"keys": [KEY, KEY]}),
    "too many keys": json.dumps({"keys": [KEY] * 100}),
    "an even exponent": json.dumps({"keys": [{"kty": "RSA", "n": RSA_NUMBER, "e": "AAAA"}]}),
    "a short RSA key": json.dumps({"keys": [{"kty": "RSA", "n": "AQAB", "e": "AQAB"}]}),
    "a kid with control characters": json.dumps({"keys": [{**KEY, "kid": "a\nb"}]}),
    "a kid that is an object": json.dumps({"keys": [{**KEY, "kid": {}}]}),
    "something huge": "x" * 200_000,
}


@pytest.mark.threat("J07", "J08", "J09", "J12", "J13", "J14", "R17")
@pytest.mark.spec("DCR-META-29", "DCR-META-30", "DCR-META-31")
@pytest.mark.parametrize("what", BAD_KEYS)
def test_keys_that_are_none_are_refused_next_to_their_field(cast: Cast, send: Callable[..., Any], what: str) -> None:
    response = send(token_endpoint_auth_method="private_key_jwt", jwks=BAD_KEYS[what])
    assert response.status_code == 200
    assert "jwks" in response.context["form"].errors
    assert not cast.organization.clients.exists()


PRIVATE = [{**KEY, name: "c2VjcmV0LXZhbHVl"} for name in ("d", "p", "q", "dp", "dq", "qi", "oth", "k")]


@pytest.mark.threat("J07")
@pytest.mark.parametrize("jwk", PRIVATE, ids=lambda jwk: str(list(jwk)[-1]))
def test_a_private_member_anywhere_is_refused_and_forgotten(cast: Cast, send: Callable[..., Any], jwk: dict[str, Any]) -> None:
    for document in ({"keys": [jwk]}, jwk, {"keys": [KEY, jwk]}, {"keys": [{**KEY, "nested": [jwk]}]}):
        response = send(token_endpoint_auth_method="private_key_jwt", jwks=json.dumps(document))
        assertContains(response, "Treat this key as leaked")
        assert b"c2VjcmV0LXZhbHVl" not in response.content
    assert not cast.organization.clients.exists()


HOSTILE_URIS = corpus("hostile_redirect_uris.txt")


@pytest.mark.threat("F08", "O03", "O04")
@pytest.mark.spec("DCR-META-11", "DCR-META-12", "DCR-META-16")
def test_hostile_redirect_uris_are_refused_line_by_line(cast: Cast, send: Callable[..., Any]) -> None:
    for uri in HOSTILE_URIS:
        response = send(kind="web", redirect_uris=uri)
        assert response.status_code in (200, 302), uri
        if response.status_code == 302:
            (registered,) = cast.organization.clients.get().registered_redirect_uris
            assert registered.startswith("https://"), uri
            cast.organization.clients.all().delete()


@pytest.mark.threat("F08", "F01")
@pytest.mark.parametrize("field", ["client_uri", "jwks_uri", "policy_uri", "tos_uri", "logo_uri"])
def test_every_address_field_takes_the_corpus_without_breaking(cast: Cast, developer: Browser, field: str) -> None:
    url = f"{reverse('app_check', args=[cast.organization.slug])}?field={field}"
    for line in URL_CORPUS.read_text().splitlines()[1::4]:
        verdict, _, text = line.split("\t")
        value = re.sub("[\ud800-\udfff]", "\ufffd", text.encode().decode("unicode_escape"))  # as a browser sends it
        response = developer.post(url, {**MACHINE, field: value})
        assert response.status_code == 200, line
        if verdict != "accept" and value.strip():
            assert b"Error:" in response.content or value != value.strip(), line


@pytest.mark.threat("R01")
@pytest.mark.spec("DCR-META-03")
def test_ten_thousand_redirect_uris_are_one_finding(cast: Cast, send: Callable[..., Any]) -> None:
    response = send(kind="web", redirect_uris="\n".join(f"https://a/{n}" for n in range(10_000)))
    assert response.status_code == 200
    assert len(response.context["form"].errors["redirect_uris"]) <= 2


def test_a_body_over_the_limit_is_refused_and_not_an_error_of_ours(cast: Cast, developer: Browser) -> None:
    url = reverse("app_new", args=[cast.organization.slug])
    assert developer.post(url, {**MACHINE, "redirect_uris": "https://a.example/cb\n" * 20_000}).status_code in (400, 413)
    assert developer.post(url, {f"field{n}": "x" for n in range(600)}).status_code in (400, 413)


STRANGE = (
    "\x00",
    "a\x00b",
    "\ud800".encode("utf-8", "surrogatepass").decode("latin-1"),
    "\u202eevil",
    "\ufffe",
    "\U000e0001",
    "𝕏" * 300,
    " " * 500,
    "%00",
    "%s%s%n",
)


def test_strange_text_in_any_field_breaks_nothing(cast: Cast, developer: Browser, owner: Browser) -> None:
    app, check = reverse("app_new", args=[cast.organization.slug]), reverse("app_check", args=[cast.organization.slug])
    fields = (
        "client_name",
        "kind",
        "scope",
        "token_endpoint_auth_method",
        "redirect_uris",
        "jwks",
        "jwks_uri",
        "contacts",
        "client_uri",
        "once",
    )
    for text in STRANGE:
        assert developer.post(app, dict.fromkeys(fields, text)).status_code == 200
        assert developer.post(f"{check}?field=client_name", {**MACHINE, "client_name": text}).status_code == 200
        names = ("legal_name", "registration_number", "country", "website", "email_domains", "contact_security", "once")
        assert owner.post(reverse("organization_new"), dict.fromkeys(names, text)).status_code == 200
        fields_of_token = ("label", "uses_limit", "days", "grant_types", "allowed_scopes", "redirect_hosts", "source_networks", "once")
        token = reverse("registration_token_new", args=[cast.organization.slug])
        assert owner.post(token, dict.fromkeys(fields_of_token, text)).status_code == 200
        assert (
            owner.post(reverse("member_invite", args=[cast.organization.slug]), {"email": text, "role": text, "once": text}).status_code
            == 200
        )


def test_bytes_that_are_no_text_break_nothing(cast: Cast, developer: Browser) -> None:
    url = reverse("app_new", args=[cast.organization.slug])
    for body in (b"client_name=%ff%fe&kind=machine", b"\xff\xfe\x00", b"client_name=%ed%a0%80&kind=machine", b"%", b"=" * 400):
        assert developer.post(url, body, content_type="application/x-www-form-urlencoded").status_code in (200, 400)
    assert developer.post(url, b"--x\r\nbroken", content_type="multipart/form-data; boundary=x").status_code in (200, 400)
    assert developer.post(url, b"{}", content_type="application/json").status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/org/%00/",
        "/org/x/apps/not-a-uuid/",
        "/org/x/members/99999999999999999999999/role/",
        "/invite/%00/",
        "/invite/" + "a" * 5000 + "/",
        "/org/%ff/",
    ],
)
def test_addresses_that_name_nothing_are_not_found(cast: Cast, owner: Browser, path: str) -> None:
    assert owner.get(path).status_code in (404, 405)
    assert owner.post(path).status_code in (403, 404, 405)


SERVER_OWNED = {
    "state": "active",
    "stage": "live",
    "trust": "valid",
    "client_id": "mine",
    "client_secret": "mine",
    "organization": "1",
    "organization_id": "1",
    "is_resource_server": "on",
    "skip_authorization": "on",
    "registration_source": "dcr",
    "source": "dcr",
    "created_by": "1",
    "id": "1",
    "pk": "1",
    "reference": "00000000-0000-0000-0000-000000000000",
    "approved": "on",
    "metadata": "{}",
    "declared_metadata": "{}",
    "credential_generation": "9",
    "accepts_token_endpoint_audience": "on",
    "paused_by_owner": "on",
    "offered_to_owner": "on",
    "org_id": "x",
    "slug": "x",
    "is_operator": "on",
    "reviewer": "1",
    "role": "owner",
    "is_staff": "on",
    "is_superuser": "on",
    "staff_role": "reviewer",
    "_connector": "OR",
    "_negated": "1",
    "organization__slug": "x",
    "client_id_issued_at": "1",
    "grant_types": "password",
    "application_type": "native",
}


@pytest.mark.threat("R03")
@pytest.mark.spec("DCR-META-01", "DCR-META-05")
def test_fields_that_are_not_on_the_form_do_nothing(cast: Cast, send: Callable[..., Any], owner: Browser, fill: Callable[..., Any]) -> None:
    send()
    send(**SERVER_OWNED)
    plain, loaded = cast.organization.clients.order_by("id")
    ignored = {"id", "reference", "client_id", "created", "updated", "state_changed_at"}
    for field in Client._meta.concrete_fields:
        if field.name not in ignored:
            assert getattr(plain, field.attname) == getattr(loaded, field.attname), field.name
    assert loaded.client_id != "mine"
    url = reverse("organization_profile", args=[cast.organization.slug])
    before = Organization.objects.filter(pk=cast.organization.pk).values().get()
    fill(owner, url, "website", **SERVER_OWNED)
    assert Organization.objects.filter(pk=cast.organization.pk).values().get() == before
    cast.owner.refresh_from_db()
    assert not cast.owner.is_staff


@pytest.mark.threat("R03")
def test_an_edit_with_fields_that_are_not_on_the_form_does_nothing_with_them(
    cast: Cast, developer: Browser, fill: Callable[..., Any], make_client: Callable[..., Client], app_url: Callable[..., str]
) -> None:
    client = make_client()
    before = {field.name: getattr(client, field.attname) for field in Client._meta.concrete_fields}
    fill(developer, app_url("app_edit", client), "client_name", **SERVER_OWNED)
    client.refresh_from_db()
    changed = {name for name, value in before.items() if getattr(client, Client._meta.get_field(name).attname) != value}
    assert changed <= {"updated", "declared_metadata"}


CONFUSABLE = corpus("confusable_names.txt")


@pytest.mark.threat("R07")
@pytest.mark.spec("DCR-META-25")
def test_a_name_that_looks_like_another_is_refused_or_flagged(cast: Cast, developer: Browser, owner: Browser) -> None:
    assert len(CONFUSABLE) >= 100
    check = reverse("app_check", args=[cast.organization.slug])
    for name in CONFUSABLE:
        response = developer.post(f"{check}?field=client_name", {**MACHINE, "client_name": name})
        assert b"Error:" in response.content or b"Warning:" in response.content, ascii(name)
        response = owner.post(reverse("organization_new"), {"legal_name": name, "once": "n" * 20, "country": "zz"})
        assert response.status_code == 200


@pytest.mark.threat("R07")
@pytest.mark.parametrize(
    "name",
    ["Lighthouse Travel", "Bücher & Söhne", "Ærø Færge", "東京カメラ", "Яндекс", "Ελλάδα Ταξίδια", "O'Brien", "7-Eleven", "Müller GmbH"],
)
def test_an_honest_name_is_left_alone(cast: Cast, developer: Browser, name: str) -> None:
    check = reverse("app_check", args=[cast.organization.slug])
    assert developer.post(f"{check}?field=client_name", {**MACHINE, "client_name": name}).content.strip() == b""


@pytest.fixture
def place(cast: Cast, now: datetime) -> Place:
    """An organization with one of everything that a URL can name."""
    made = furnish(cast.organization, cast.owner, now)
    made.arguments["change"] = request_go_live(made.client, cast.as_owner, now=now).reference
    return made


@pytest.mark.threat("R08")
def test_no_form_is_taken_without_its_anti_forgery_token(cast: Cast, place: Place, sign_in: Callable[..., Browser]) -> None:
    browser = sign_in("owner", enforce_csrf_checks=True)
    addresses = [address(name, place.arguments) for name, methods in ORGANIZATION_PAGES.items() if "post" in methods]
    before = everything()
    for url in [*addresses, reverse("organization_new"), reverse("invitation", args=["x"])]:
        assert browser.post(url, {"client_name": "x", "typed_name": "App"}).status_code == 403, url
    assert everything() == before


@pytest.mark.threat("R08")
def test_reading_pages_changes_nothing(cast: Cast, place: Place, owner: Browser) -> None:
    addresses = [address(name, place.arguments) for name, methods in ORGANIZATION_PAGES.items()]
    before = everything()
    for url in [
        *addresses,
        reverse("organizations"),
        reverse("organization_new"),
        reverse("healthz"),
        reverse("readyz"),
        reverse("docs_errors"),
    ]:
        owner.get(url)
        owner.head(url)
    assert everything() == before


def everything() -> str:
    """Return a digest of every row that is not a session."""
    models = [model for model in django_apps.get_models() if model._meta.app_label != "sessions"]
    text = "".join(serializers.serialize("json", model.objects.order_by("pk")) for model in models)
    return hashlib.sha256(text.encode()).hexdigest()


def test_nothing_is_created_by_a_form_of_somebody_else(
    cast: Cast, owner: Browser, developer: Browser, form_on: Callable[..., dict[str, Any]]
) -> None:
    """A nonce belongs to whoever used it: the same value in the hands of another person is another form."""
    url = reverse("app_new", args=[cast.organization.slug])
    data = form_on(owner.get(url), "kind")
    first, second = owner.post(url, data), developer.post(url, data)
    assert first["Location"] != second["Location"]
