"""The documentation inside the product: its commands work, every code is explained, and the search finds both."""

from __future__ import annotations

import builtins
import html
import io
import json
import re
from collections.abc import Callable
from contextlib import redirect_stdout
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from authserver.documents import metadata_snapshot
from dcr.initial_access_tokens import TokenTerms, create_initial_access_token
from federation.core.resolution import StepNumber
from portal.catalogue import FINDING_GROUPS, REASON_GROUP, STATEMENT_GROUPS, STEP_GROUP, anchors_of
from portal.documentation.commands import commands
from portal.documentation.errors import ADVICE
from portal.documentation.links import documentation_of
from portal.documentation.pages import PAGES
from registry import gate, health
from registry.actors import COMMAND_LINE
from registry.credentials import create_secret
from registry.lifecycle import register_client
from registry.models import Client, Scope
from registry.signing_keys import ensure_signing_keys
from tests.authserver.authorization.support import said, sign_in
from tests.conftest import Cast
from tests.portal.finding_codes import ROOT, finding_codes
from tests.portal.pasting import members, paste, shell

VISITOR = {"SERVER_NAME": "127.0.0.1"}


def text_of(name: str) -> str:
    page = Browser(**VISITOR).get(reverse("docs_page", args=[name]))
    assert page.status_code == 200
    return page.content.decode()


def ids_in(text: str) -> list[str]:
    return [html.unescape(found) for found in re.findall(r'\bid="([^"]+)"', text)]


@pytest.mark.django_db
@pytest.mark.parametrize("name", [page.name for page in PAGES])
def test_a_page_opens_for_everybody_small_and_with_each_id_once(name: str) -> None:
    text = text_of(name)
    found = ids_in(text)
    assert sorted(found) == sorted(set(found))
    assert len(text) < 60_000
    for anchor in re.findall(r'href="#([^"]+)"', text):
        assert anchor in found
    for path, anchor in re.findall(r'href="(/docs/[a-z-]+/|/reference/)#([^"]+)"', text):
        assert anchor in ids_in(Browser(**VISITOR).get(path).content.decode())


# Every code has an anchor, and every anchor a code (portal.md 6.9).


def test_every_finding_code_of_the_sources_is_explained_and_nothing_else() -> None:
    codes, explained = finding_codes(), anchors_of((*FINDING_GROUPS, *STATEMENT_GROUPS))
    unexplained = {code for code in codes - explained if not (code.startswith("federation.") and documentation_of(code))}
    assert unexplained == set(), "say in portal/catalogue what these mean and what to do"
    assert explained - codes == set(), "no finding has these codes any more"
    assert len(codes) > 150


def test_every_reason_of_the_gate_and_of_health_is_explained_and_nothing_else() -> None:
    sources = (ROOT / "registry/gate.py").read_text() + (ROOT / "registry/health.py").read_text()
    codes = set(re.findall(r'Verdict\(\s*(?:True|False), "(\w+)"', sources)) | set(re.findall(r'Cause\(\s*"(\w+)"', sources))
    assert {gate.ALLOWED.reason, "client_suspended", "secret_missing"} <= codes
    assert codes - {gate.ALLOWED.reason} == anchors_of((REASON_GROUP,))
    assert health.Cause


def test_every_step_of_a_chain_is_explained() -> None:
    assert anchors_of((STEP_GROUP,)) == {f"step-{step.value}" for step in StepNumber}


@pytest.mark.django_db
def test_every_code_leads_to_an_anchor_that_is_on_the_page() -> None:
    codes = {*anchors_of((*FINDING_GROUPS, *STATEMENT_GROUPS, REASON_GROUP, STEP_GROUP)), *ADVICE} - {"form", "refused"}
    pages = {page.name: set(ids_in(text_of(page.name))) for page in PAGES}
    for code in codes:
        address = urlsplit(documentation_of(code))
        assert address.fragment == code
        assert code in pages[address.path.removeprefix("/docs/").strip("/")], code
    assert documentation_of("nothing.like.this") == documentation_of("form") == ""
    assert documentation_of("federation.invalid_metadata").endswith("/docs/errors/#invalid_metadata")
    assert documentation_of("statement.rsa_size").endswith("#jwks.rsa_size")


@pytest.mark.parametrize("group", [*FINDING_GROUPS, *STATEMENT_GROUPS, REASON_GROUP, STEP_GROUP], ids=lambda group: group.name)
def test_every_entry_says_what_it_means_and_what_to_do(group: Any) -> None:
    for entry in group.entries:
        assert str(entry.meaning).endswith(".")
        assert str(entry.advice).endswith((".", "])"))


def test_a_refused_form_links_each_finding_to_its_explanation(cast: Cast, owner: Browser) -> None:
    form = {
        "client_name": "Site",
        "kind": "web",
        "token_endpoint_auth_method": "client_secret_basic",
        "redirect_uris": "https://a.example/#",
    }
    page = owner.post(f"{reverse('app_check', args=[cast.organization.slug])}?field=redirect_uris", form)
    assert f'href="{reverse("docs_page", args=["findings"])}#redirect_uri.fragment"' in page.content.decode()


# The commands, as they are pasted.


@pytest.fixture
def machine(cast: Cast, make_client: Callable[..., Client], now: datetime) -> dict[str, str]:
    client = make_client()
    secret = create_secret(client, cast.as_owner, now=now)
    return {"CLIENT_ID": client.client_id, "CLIENT_SECRET": secret.value, "SCOPE": "bookings.read"}


@pytest.fixture
def registration_token(cast: Cast, now: datetime) -> str:
    terms = TokenTerms(label="Installer", uses_limit=9, expires_at=now + timedelta(days=1))
    return create_initial_access_token(cast.organization, cast.as_owner, terms, now=now).value


def test_every_command_stands_on_a_page_with_the_addresses_of_this_server(db: None) -> None:
    everything = html.unescape("".join(text_of(page.name) for page in PAGES))
    for name, command in commands().items():
        assert command in everything, name
        assert "{" not in re.sub(r"\{[\s\S]*\}", "", command)


def test_discovery_is_where_the_page_says(db: None, settings: Any) -> None:
    assert members(paste(commands()["discovery"]))["issuer"] == settings.ISSUER


def test_a_machine_gets_a_token_with_its_secret(machine: dict[str, str]) -> None:
    assert members(paste(commands()["client_credentials"], **machine))["access_token"]


def test_a_machine_gets_a_token_with_a_key_that_the_python_lines_made(
    make_client: Callable[..., Client], cast: Cast, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    printed, registered = io.StringIO(), []

    def ask(_: str = "") -> str:
        jwks = json.loads(printed.getvalue().partition("Register this: ")[2])
        registered.append(make_client(token_endpoint_auth_method="private_key_jwt", jwks=jwks))
        return registered[0].client_id

    monkeypatch.setattr(builtins, "input", ask)
    with redirect_stdout(printed):
        exec(compile(commands()["key"], "key", "exec"), {})  # noqa: S102 - our own lines, run as a reader would
    assertion = printed.getvalue().rpartition("client_assertion = ")[2].strip()
    answer = paste(commands()["client_assertion"], CLIENT_ASSERTION=assertion, SCOPE="bookings.read")
    assert members(answer)["scope"] == "bookings.read"


def allow(browser: Browser, address: str) -> str:
    """Go to an address of an authorization request and press Allow; return the code that comes back."""
    parts = urlsplit(address)
    place = browser.get(f"{parts.path}?{parts.query}")["Location"]
    assert browser.get(place).status_code == 200
    return said(browser.post(place, {"answer": "allow"}))["code"]


@pytest.mark.parametrize("public", [False, True])
def test_a_person_signs_in_and_the_code_is_exchanged(cast: Cast, now: datetime, public: bool) -> None:
    ensure_signing_keys(COMMAND_LINE, now=now)
    browser = Browser(**VISITOR)
    sign_in(browser, cast.owner)
    redirect = "http://127.0.0.1/callback" if public else "https://app.lighthouse.example/callback"
    document = {
        "client_name": "Site", "redirect_uris": [redirect], "grant_types": ["authorization_code", "refresh_token"],
        "scope": "openid offline_access",
        **({"application_type": "native", "token_endpoint_auth_method": "none"} if public else {}),
    }  # fmt: skip
    client = register_client(COMMAND_LINE, cast.organization, document, now=now)
    values = {"CLIENT_ID": client.client_id, "REDIRECT_URI": redirect}
    printed = shell(commands()["authorize"] + '\necho "$VERIFIER"', values).split()
    address, verifier = printed
    address = address.replace("scope=openid", "scope=openid+offline_access")
    values |= {"CODE": allow(browser, address), "VERIFIER": verifier}
    if not public:
        values["CLIENT_SECRET"] = create_secret(client, cast.as_owner, now=now).value
    tokens = members(paste(commands()["code_public" if public else "code"], **values))
    assert members(paste(commands()["userinfo"], ACCESS_TOKEN=tokens["access_token"]))["sub"] == str(cast.owner.sub)
    if not public:
        assert members(paste(commands()["refresh"], REFRESH_TOKEN=tokens["refresh_token"], **values))["access_token"]


def test_software_registers_reads_changes_and_deletes_an_app(cast: Cast, registration_token: str) -> None:
    values = {"REGISTRATION_TOKEN": registration_token, "SCOPE": "bookings.read"}
    app = members(paste(commands()["register_machine"], **values))
    values |= {"CLIENT_ID": app["client_id"], "CLIENT_SECRET": app["client_secret"]}
    assert members(paste(commands()["client_credentials"], **values))["access_token"]
    values |= {name.upper(): app[name] for name in ("registration_client_uri", "registration_access_token")}
    assert members(paste(commands()["read"], **values))["client_name"] == "Oslo branch"
    assert members(paste(commands()["change"], **values))["client_name"] == "Oslo office"
    assert paste(commands()["delete"], **values).status_code == 204


@pytest.mark.parametrize("kind", ["register_web", "register_native"])
def test_software_registers_other_kinds_of_apps(cast: Cast, registration_token: str, kind: str) -> None:
    app = members(paste(commands()[kind], REGISTRATION_TOKEN=registration_token))
    assert (app["token_endpoint_auth_method"] == "none") is (kind == "register_native")
    assert "openid" in app["scope"].split()


def test_the_metadata_of_the_entity_on_the_page_can_be_registered(cast: Cast, now: datetime) -> None:
    claims = json.loads(commands()["entity"])
    metadata = dict(claims["metadata"]["openid_relying_party"])
    assert claims["iss"] == claims["sub"]
    assert register_client(COMMAND_LINE, cast.organization, metadata, now=now).metadata["scope"] == "openid profile email"


def test_an_entity_registers_where_the_page_says_and_reads_our_configuration_there(db: None, now: datetime) -> None:
    ensure_signing_keys(COMMAND_LINE, now=now)
    answer = paste(commands()["our_entity"])
    assert (answer.status_code, answer["Content-Type"]) == (200, "application/entity-statement+jwt")
    command = commands()["explicit"].replace("--data-binary @configuration.jwt", "--data not.a.statement")
    refused = paste(command)
    # It is the statement that is refused, not the address, the method or the media type.
    assert (refused.status_code, refused.json()["error"]) not in ((404, "not_found"), (405, "invalid_request"), (415, "invalid_request"))
    assert refused.json()["error_uri"].partition("#")[2] in ADVICE


# What the pages say comes from the database and the policy.


@pytest.mark.threat("R06")
def test_scopes_are_listed_as_text_and_retired_ones_and_the_operators_own_are_not(cast: Cast) -> None:
    Scope.objects.create(name="x.read", title="<script>alert(1)</script>", description="<b>data</b>", is_sensitive=True)
    Scope.objects.create(name="old.read", title="Old", is_retired=True)
    text = text_of("scopes")
    assert all(word in text for word in ("&lt;script&gt;alert(1)", "&lt;b&gt;data", "bookings.read", "Needs approval"))
    assert not any(word in text for word in ("<script>alert(1)", "old.read", "registry.admin"))


@pytest.mark.parametrize("page", ["by-hand", "limits", "scopes", "findings"])
def test_a_page_takes_few_queries_however_many_scopes_there_are(cast: Cast, page: str) -> None:
    def count() -> int:
        with CaptureQueriesContext(connection) as queries:
            text_of(page)
        return len(queries)

    metadata_snapshot.get()
    little = count()
    for number in range(20):
        Scope.objects.create(name=f"more.{number}", title="More")
    assert count() == little <= 2


# The search.


def found(query: str) -> list[tuple[str, str]]:
    page = Browser(**VISITOR).get(reverse("docs"), {"q": query})
    assert page.status_code == 200
    return [(hit.url, hit.title) for hit in page.context["page"]]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("query", "url"),
    [
        ("invalid_grant", "/docs/errors/#invalid_grant"),
        ("redirect_uri.fragment", "/docs/findings/#redirect_uri.fragment"),
        ("url.userinfo", "/docs/findings/#redirect_uri.userinfo"),
        ("trust_broken", "/docs/trust-chain/#trust_broken"),
        ("explicit registration", "/docs/federation/#explicit"),
        ("ROLES", "/docs/organizations/#roles"),
    ],
)
def test_the_search_finds_a_code_or_a_section_first(query: str, url: str) -> None:
    assert found(query)[0][0] == url


@pytest.mark.django_db
def test_what_is_found_is_on_the_page_that_it_leads_to() -> None:
    for url, _ in found("token"):
        path, _, anchor = url.partition("#")
        text = Browser(**VISITOR).get(path).content.decode()
        assert not anchor or anchor in ids_in(text), url


@pytest.mark.django_db
@pytest.mark.threat("R06")
@pytest.mark.parametrize("query", ["zzzz nothing", "<script>alert(1)</script>", "\x00", "x" * 10_000, "%", "  ", "(((", "é" * 200])
def test_a_search_for_anything_is_answered_with_a_page(query: str) -> None:
    page = Browser(**VISITOR).get(reverse("docs"), {"q": query, "page": "99999999999999999999"})
    assert page.status_code == 200
    assert b"<script>alert" not in page.content


@pytest.mark.django_db
def test_long_results_have_pages() -> None:
    first = Browser(**VISITOR).get(reverse("docs"), {"q": "redirect_uri"})
    assert len(first.context["page"].object_list) == 25
    second = Browser(**VISITOR).get(reverse("docs"), {"q": "redirect_uri", "page": "2"})
    assert first.context["page"].object_list != second.context["page"].object_list


@pytest.mark.django_db
def test_an_unknown_page_is_404_with_the_search() -> None:
    page = Browser(**VISITOR).get("/docs/unheard-of/")
    assert page.status_code == 404
    assert 'name="q"' in page.content.decode()
    assert 'name="q"' not in Browser(**VISITOR).get("/unheard-of/").content.decode()


@pytest.mark.django_db
def test_pages_are_read_only() -> None:
    for name in ("docs", "docs_errors", "reference"):
        assert Browser(**VISITOR).post(reverse(name)).status_code == 405
