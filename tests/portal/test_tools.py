"""The toolbox: what each tool says, what it never says, and how often it may make this server fetch something."""

from __future__ import annotations

import base64
import json
import logging
import re
import socket
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import NameOID
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from hypothesis import given, settings
from hypothesis import strategies as st
from pytest_django.asserts import assertContains, assertNotContains

from federation.core.issuing import build_jwks
from federation.models import EntityLookup
from federation.simulator import Fault
from portal.views.tools.page import TOOLS
from protocol.errors import FetchError
from protocol.fetch import FetchConfig, FetchPurpose, HttpFetcher, InMemoryFetcher, Page, standard_request
from protocol.jose import generate_private_key, issue_jwt
from registry.client_metadata import read_client_metadata
from registry.findings import errors_among
from registry.models import AuditEvent
from registry.outbound import BudgetedFetcher, use_fetcher
from registry.tool_limits import QUESTIONS_AT_ONCE, QUESTIONS_OF_ALL, QUESTIONS_PER_NETWORK, QUESTIONS_PER_PERSON, question, questions
from tests.conftest import Cast
from tests.federation.registration.conftest import lighthouse, server_keys, standard_scopes, world
from tests.federation.registration.support import HARBOUR, LIGHTHOUSE, NORTHLIGHT, RelyingParty, World
from tests.portal.test_hostile_input import BAD_KEYS, HOSTILE_URIS

__all__ = ["lighthouse", "server_keys", "standard_scopes", "world"]

PURE = {"tool_keys": "jwks", "tool_redirect_uris": "redirect_uris", "tool_jwt": "token", "tool_dry_run": "metadata", "tool_pem": "pem"}
ASKING = ("tool_entity", "tool_chain")
KEY = generate_private_key("ES256")
JWKS_URI = "https://keys.example/jwks"


@pytest.fixture(autouse=True)
def _forget_questions() -> Iterator[None]:
    questions.forget()
    yield
    questions.forget()


@pytest.fixture
def silent() -> Iterator[InMemoryFetcher]:
    """A network on which nothing answers, and which counts."""
    fetcher = InMemoryFetcher()
    with use_fetcher(fetcher):
        yield fetcher


def ask(browser: Browser, name: str, **data: str) -> Any:
    """Fill in a tool as a page without scripts sends it, with what is chosen at first."""
    chosen = {
        "tool_redirect_uris": {"application_type": "web", "stage": "test"},
        "tool_dry_run": {"way": "automatic", "entity_type": "openid_relying_party", "stage": "live"},
    }
    return browser.post(reverse(name), {**chosen.get(name, {}), **data})


def text_of(response: Any) -> str:
    """Return what a page says, without markup."""
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", response.content.decode())))


# All tools


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.name)
def test_everybody_sees_every_tool_and_its_example(db: None, silent: InMemoryFetcher, tool: Any) -> None:
    assertContains(Browser().get(reverse("tools")), f'href="{reverse(tool.name)}"')
    empty, filled = (Browser().get(reverse(tool.name) + query) for query in ("", "?example=1"))
    assertContains(empty, f'href="{reverse(tool.name)}?example=1"')
    for page in (empty, filled):
        assertContains(page, str(tool.title))
        assert ("Sign in first" in text_of(page)) == tool.needs_account
    assert len(filled.content) > len(empty.content)
    assert silent.total == 0


@pytest.mark.parametrize("name", PURE)
def test_an_example_is_answered_for_everybody_and_nothing_is_fetched_or_kept(
    db: None, silent: InMemoryFetcher, form_on: Callable[..., dict[str, Any]], name: str
) -> None:
    before = AuditEvent.objects.count()
    form = form_on(Browser().get(reverse(name) + "?example=1"), PURE[name])
    page = Browser().post(reverse(name), {field: values[0] for field, values in form.items() if field != "csrfmiddlewaretoken"})
    assert page.status_code == 200
    assert page.context["answered"]
    assertContains(page, "data-result")
    assert (silent.total, AuditEvent.objects.count(), EntityLookup.objects.count()) == (0, before, 0)


@pytest.mark.parametrize("name", [*PURE, *ASKING])
def test_a_page_takes_a_fixed_number_of_queries(cast: Cast, owner: Browser, name: str) -> None:
    with CaptureQueriesContext(connection) as queries:
        assert Browser().get(reverse(name)).status_code == 200
    assert len(queries) == 0
    with CaptureQueriesContext(connection) as queries:
        assert owner.get(reverse(name)).status_code == 200
    assert len(queries) <= 3


@pytest.mark.parametrize("name", [*PURE, *ASKING])
@pytest.mark.parametrize(
    "value", ["", " ", "\0", "x\0y", "\ud800".encode("utf-8", "surrogatepass").decode("utf-8", "replace"), "💥" * 40_000]
)
def test_what_no_tool_can_read_is_refused_next_to_its_field(
    cast: Cast, owner: Browser, silent: InMemoryFetcher, name: str, value: str
) -> None:
    field = PURE.get(name, "entity_id")
    page = ask(owner, name, **{field: value})
    assert page.status_code == 200
    assert page.context["form"].errors or not page.context["is_usable"] if name == "tool_keys" else True
    assert silent.total == 0


@pytest.mark.parametrize("name", ["tool_redirect_uris", "tool_dry_run"])
def test_a_choice_that_there_is_not_is_refused(db: None, name: str) -> None:
    field = PURE[name]
    page = ask(Browser(), name, **{field: "{}", "stage": "nowhere", "application_type": "<b>", "way": "x", "entity_type": "y"})
    assert page.status_code == 200
    assert "stage" in page.context["form"].errors


@pytest.mark.threat("R07")
@pytest.mark.parametrize("name", [*PURE, *ASKING])
def test_what_is_put_in_comes_back_as_text(cast: Cast, owner: Browser, silent: InMemoryFetcher, name: str) -> None:
    hostile = "https://evil.example/<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"
    for value in (hostile, json.dumps({hostile: hostile, "client_name": hostile, "keys": [{"kid": hostile}]})):
        html = ask(owner, name, **{PURE.get(name, "entity_id"): value}).content.decode()
        assert "<script>alert" not in html
        assert "<img src=x" not in html


def test_a_form_from_elsewhere_is_refused_and_a_program_without_a_cookie_is_answered(cast: Cast) -> None:
    browser = Browser(enforce_csrf_checks=True)
    given = {"redirect_uris": "https://app.example/callback", "application_type": "web", "stage": "live"}
    address = reverse("tool_redirect_uris")
    assert browser.post(address, given).status_code == 403
    answer = browser.post(address, given, headers={"Accept": "application/json"})
    assert answer.json()["lines"] == [{"line": 1, "uri": "https://app.example/callback", "refused": False, "findings": []}]
    refused = browser.post(address, {}, headers={"Accept": "application/json"})
    assert (refused.status_code, set(refused.json()["errors"])) == (400, {"redirect_uris", "application_type", "stage"})
    browser.force_login(cast.owner)
    assert browser.post(address, given, headers={"Accept": "application/json"}).status_code == 403


# Private keys


def private_texts() -> dict[str, str]:
    """Return one private key of each form, as people have them."""
    keys = {
        "rsa": rsa.generate_private_key(65537, 2048),
        "ec": ec.generate_private_key(ec.SECP256R1()),
        "ed": ed25519.Ed25519PrivateKey.generate(),
    }
    texts = {}
    for kind, key in keys.items():
        texts[f"{kind} pkcs8"] = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        texts[f"{kind} encrypted"] = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")).decode()
        texts[f"{kind} openssh"] = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()
        texts[f"{kind} bare"] = base64.encodebytes(key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())).decode()
        if kind != "ed":
            texts[f"{kind} traditional"] = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode()
    texts["jwk"] = json.dumps(KEY.to_private_jwk())
    texts["jwks"] = json.dumps({"keys": [KEY.to_private_jwk()]})
    texts["jwk cut off"] = json.dumps(KEY.to_private_jwk())[:-3]
    texts["jwk deep"] = json.dumps({"client_name": "x", "jwks": {"keys": [{"nested": [KEY.to_private_jwk()]}]}})
    texts["symmetric"] = json.dumps({"kty": "oct", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA"})
    texts["putty"] = "PuTTY-User-Key-File-3: ssh-rsa\nPrivate-Lines: 1\nAAAAgQCsecretsecretsecretsecretsecretsecret"
    return texts


PRIVATE = private_texts()


def secret_part(text: str) -> str:
    """Return what must never be seen again of a private text: its longest line, or the private member."""
    member = re.search(r'"(?:d|k)": "([^"]{20,})', text)
    return member[1] if member else max(text.splitlines(), key=len)


@pytest.mark.threat("J07")
@pytest.mark.parametrize("name", [*PURE, *ASKING])
@pytest.mark.parametrize("kind", PRIVATE)
def test_a_private_key_anywhere_is_called_leaked_and_is_neither_shown_again_nor_logged(
    cast: Cast,
    owner: Browser,
    silent: InMemoryFetcher,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    name: str,
    kind: str,
) -> None:
    caplog.set_level(logging.DEBUG)
    field, secret = PURE.get(name, "entity_id"), secret_part(PRIVATE[kind])
    page = ask(owner, name, **{field: PRIVATE[kind]})
    assertContains(page, "Treat this key as leaked")
    assert secret not in unescape(page.content.decode())
    assert secret not in caplog.text + "".join(capfd.readouterr())
    program = owner.post(reverse(name), {field: PRIVATE[kind]}, headers={"Accept": "application/json"})
    assert secret not in program.content.decode()
    assert silent.total == 0


@pytest.mark.threat("J07")
def test_a_private_key_inside_a_jwt_is_not_shown(db: None) -> None:
    for claims, headers in (
        ({"jwks": {"keys": [KEY.to_private_jwk()]}}, {}),
        ({}, {"jwk": KEY.to_private_jwk()}),
        ({"x": PRIVATE["ec pkcs8"]}, {}),
    ):
        token = issue_jwt({"iss": "x", **claims}, KEY, typ="JWT", headers=headers)
        page = ask(Browser(), "tool_jwt", token=token)
        assertContains(page, "Treat this key as leaked")
        assertNotContains(page, KEY.to_private_jwk()["d"])
        assertNotContains(page, token)


@pytest.mark.threat("J07")
def test_text_that_the_pem_tool_does_not_understand_is_not_shown_again(db: None) -> None:
    for text in ("MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7 and more", "<RSAKeyValue><D>c2VjcmV0</D></RSAKeyValue>"):
        page = ask(Browser(), "tool_pem", pem=text)
        assert page.status_code == 200
        assertNotContains(page, text[:30])


# Hostile text


@pytest.mark.threat("J12", "J13", "F08")
@settings(max_examples=60)
@given(text=st.one_of(st.text(max_size=300), st.text(alphabet='-BEGIN PUBLCKYD{}[]":,.\n=eyJ0123', max_size=200)))
def test_no_text_breaks_a_tool(db: None, text: str) -> None:
    browser = Browser()
    for name, field in PURE.items():
        assert ask(browser, name, **{field: text}).status_code == 200, name
    assert ask(browser, "tool_jwt", token=text, jwks=text).status_code == 200
    assert ask(browser, "tool_dry_run", metadata="{}", policy_1=text, policy_2=text).status_code == 200


NAMES = [
    "value",
    "add",
    "default",
    "one_of",
    "subset_of",
    "superset_of",
    "essential",
    "scope",
    "grant_types",
    "openid_relying_party",
    "jwks",
    "keys",
    "redirect_uris",
    "metadata_policy",
    "metadata_policy_crit",
    "constraints",
    "metadata",
    "contacts",
    "client_registration_types",
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**15), 10**15) | st.text(max_size=10) | st.sampled_from(["value", "add", "openid", "none"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4),
    max_leaves=12,
)
OBJECTS = st.dictionaries(
    st.sampled_from(["openid_relying_party", "scope", "grant_types", "metadata_policy", "jwks", "contacts"]), JSON, max_size=4
)


@pytest.mark.threat("T05", "T06")
@settings(max_examples=100)
@given(metadata=OBJECTS, one=OBJECTS, two=OBJECTS, way=st.sampled_from(["automatic", "explicit", "client"]))
def test_no_json_breaks_the_dry_run(db: None, metadata: Any, one: Any, two: Any, way: str) -> None:
    given_policies = {} if way == "client" else {"policy_1": json.dumps(one), "policy_2": json.dumps(two)}
    assert ask(Browser(), "tool_dry_run", metadata=json.dumps(metadata), way=way, **given_policies).status_code == 200


@settings(max_examples=60)
@given(header=st.dictionaries(st.sampled_from(["alg", "kid", "typ", "crit", "jwk"]), JSON), claims=st.dictionaries(
    st.sampled_from(["iss", "sub", "exp", "iat", "nbf", "jwks", "metadata", "aud"]), JSON))  # fmt: skip
def test_no_claims_break_the_decoder(db: None, header: Any, claims: Any) -> None:
    def part(value: Any) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    for typ in ({}, {"typ": "entity-statement+jwt"}):
        token = f"{part({'alg': 'ES256', **header, **typ})}.{part({'iss': 'https://a.example', 'sub': 'https://a.example', **claims})}.AAAA"
        assert ask(Browser(), "tool_jwt", token=token).status_code == 200


# Keys


@pytest.mark.threat("J08", "J09")
@pytest.mark.parametrize("what", BAD_KEYS)
def test_keys_that_are_none_are_called_so(db: None, what: str) -> None:
    page = ask(Browser(), "tool_keys", jwks=BAD_KEYS[what])
    assert page.status_code == 200
    assert page.context["form"].errors or errors_among(page.context["findings"])
    assertNotContains(page, "These keys can be used")


def test_each_key_is_shown_with_what_could_be_better(db: None) -> None:
    two = generate_private_key("Ed25519")
    bare = {name: value for name, value in two.public_jwk().items() if name != "use"}
    page = ask(Browser(), "tool_keys", jwks=json.dumps({"keys": [KEY.public_jwk(), bare]}))
    assertContains(page, "These keys can be used")
    assertContains(page, KEY.kid)
    assertContains(page, "The key does not say what it is for: add &#x27;use&#x27;.")


def test_keys_behind_an_address_are_fetched_once_for_somebody_who_is_signed_in(cast: Cast, owner: Browser) -> None:
    fetcher = InMemoryFetcher({JWKS_URI: Page(json.dumps(build_jwks([KEY])).encode(), "application/jwk-set+json")})
    with use_fetcher(fetcher):
        anonymous = ask(Browser(), "tool_keys", jwks_uri=JWKS_URI)
        assert (anonymous.status_code, fetcher.total) == (403, 0)
        assertContains(anonymous, "Sign in first", status_code=403)
        assert Browser().post(reverse("tool_keys"), {"jwks_uri": JWKS_URI}, headers={"Accept": "application/json"}).status_code == 403
        page = ask(owner, "tool_keys", jwks_uri=JWKS_URI)
    assert fetcher.fetches == {JWKS_URI: 1}
    assertContains(page, KEY.kid)
    assertContains(page, "application/jwk-set+json")


@pytest.mark.threat("F01", "F06", "F09")
def test_a_name_with_a_private_address_is_not_fetched_and_looks_like_one_that_does_not_exist(cast: Cast, owner: Browser) -> None:
    def resolve(host: str, _port: int) -> list[str]:
        if host == "inside.example":
            return ["10.0.0.1"]
        raise socket.gaierror(socket.EAI_NONAME, "no such name")

    with use_fetcher(HttpFetcher(FetchConfig(resolver=resolve))):
        for name, field in (("tool_keys", "jwks_uri"), ("tool_entity", "entity_id")):
            pages = [ask(owner, name, **{field: f"https://{host}.example"}) for host in ("inside", "nowhere")]
            inside, nowhere = (page.context["findings"] for page in pages)
            assert inside == nowhere
            assert [finding.sentence for finding in inside] == ["The URL could not be fetched."]


@pytest.mark.threat("F07", "F08")
@pytest.mark.parametrize(
    "address", ["https://10.0.0.1", "https://127.0.0.1", "https://[::1]", "https://169.254.169.254", "https://localhost", "file:///etc"]
)
def test_addresses_that_are_no_public_names_are_never_fetched(cast: Cast, owner: Browser, silent: InMemoryFetcher, address: str) -> None:
    for name, field in (("tool_keys", "jwks_uri"), ("tool_entity", "entity_id"), ("tool_chain", "entity_id")):
        assert ask(owner, name, **{field: address}).status_code == 200
    assert silent.total == 0


def test_failures_of_the_network_are_told_in_words(cast: Cast, owner: Browser) -> None:
    fetcher = InMemoryFetcher({JWKS_URI: Page(b"<html>", "text/html")})
    with use_fetcher(fetcher):
        assertContains(ask(owner, "tool_keys", jwks_uri=JWKS_URI), "another media type than expected")
        assertContains(ask(owner, "tool_keys", jwks_uri="https://keys.example/none"), "The URL answers with a 4xx status.")
        fetcher.put(JWKS_URI, Page(json.dumps({"keys": [KEY.to_private_jwk()]}).encode(), "application/json"))
        page = ask(owner, "tool_keys", jwks_uri=JWKS_URI)
    assertContains(page, "Treat it as leaked")
    assertNotContains(page, KEY.to_private_jwk()["d"])


def test_an_address_that_is_none_and_two_ways_at_once_are_refused(cast: Cast, owner: Browser, silent: InMemoryFetcher) -> None:
    for given_values in ({"jwks_uri": "http://keys.example/"}, {"jwks_uri": JWKS_URI, "jwks": "{}"}, {"jwks_uri": "https://a@b.example/"}):
        assert ask(owner, "tool_keys", **given_values).context["form"].errors
    assert silent.total == 0


# PEM


def test_public_keys_in_pem_form_become_jwks_named_by_their_thumbprint(db: None) -> None:
    keys = [rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP384R1()), ed25519.Ed25519PrivateKey.generate()]
    blocks = [key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode() for key in keys]
    blocks.append(keys[0].public_key().public_bytes(Encoding.PEM, PublicFormat.PKCS1).decode())
    page = Browser().post(reverse("tool_pem"), {"pem": "Bag Attributes\n" + "\n".join(blocks[:3])}, headers={"Accept": "application/json"})
    jwks = page.json()["jwks"]["keys"]
    assert [(key["kty"], key.get("alg"), key["use"]) for key in jwks] == [
        ("RSA", None, "sig"),
        ("EC", "ES384", "sig"),
        ("OKP", "EdDSA", "sig"),
    ]
    assert page.json()["usable"]
    assert [key["thumbprint"] for key in page.json()["keys"]] == [key["kid"] for key in jwks]
    again = Browser().post(reverse("tool_pem"), {"pem": blocks[3]}, headers={"Accept": "application/json"})
    assert again.json()["jwks"]["keys"][0] == jwks[0]


def test_a_certificate_gives_its_key(db: None, now: datetime) -> None:
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "app.example")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
    for days in (9, -9):
        certificate = (
            builder.not_valid_before(now - timedelta(days=20)).not_valid_after(now + timedelta(days=days)).sign(key, hashes.SHA256())
        )
        page = ask(Browser(), "tool_pem", pem=certificate.public_bytes(Encoding.PEM).decode())
        assertContains(page, "As a JWK Set")
        assertContains(page, "P-256")
        assert ("The certificate around this key is expired." in text_of(page)) == (days < 0)


SHORT = rsa.generate_private_key(65537, 1024)  # noqa: S505 - it is the one to refuse


def test_keys_that_this_server_does_not_use_are_refused_with_words(db: None) -> None:
    odd = [dsa.generate_private_key(2048), ec.generate_private_key(ec.SECP256K1()), SHORT]
    for key in odd:
        page = ask(Browser(), "tool_pem", pem=key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode())
        assert errors_among(page.context["findings"])
        assertNotContains(page, "As a JWK Set")


# Redirect URIs


@pytest.mark.threat("F08", "O03", "O04")
def test_hostile_redirect_uris_are_refused_line_by_line(db: None) -> None:
    browser = Browser()
    for uri in HOSTILE_URIS:
        page = ask(browser, "tool_redirect_uris", redirect_uris=uri)
        assert page.status_code == 200
        if page.context.get("answered"):
            for line in page.context["review"].lines:
                assert line.is_refused or line.uri.startswith("https://"), uri


@pytest.mark.parametrize("kind", ["web", "native"])
@pytest.mark.parametrize("stage", ["test", "live"])
def test_a_line_is_refused_exactly_when_registration_refuses_it_and_in_the_same_words(
    db: None, now: datetime, kind: str, stage: str
) -> None:
    uris = [
        "https://a.example/cb",
        "http://127.0.0.1/cb",
        "http://localhost/cb",
        "com.example:/cb",
        "https://a.example/#x",
        "https://a.example/*",
    ]
    page = Browser().post(
        reverse("tool_redirect_uris"),
        {"redirect_uris": "\n".join(uris), "application_type": kind, "stage": stage},
        headers={"Accept": "application/json"},
    )
    document = {"redirect_uris": uris, "application_type": kind, "token_endpoint_auth_method": "none"}
    reading = read_client_metadata(document, now=int(now.timestamp()), allow_loopback_http=stage == "test")
    expected = [[one.sentence for one in reading.findings if one.field == f"redirect_uris[{position}]"] for position in range(len(uris))]
    assert [[one["sentence"] for one in line["findings"]] for line in page.json()["lines"]] == expected


def test_lines_keep_their_numbers_and_say_what_is_nearly_the_same(db: None) -> None:
    page = ask(Browser(), "tool_redirect_uris", redirect_uris="\nhttps://a.example/cb\n\nhttps://a.example/cb/\n https://a.example/cb \n")
    lines = page.context["review"].lines
    assert [line.number for line in lines] == [2, 4, 5]
    assert lines[1].findings[0].code == "redirect_uri.slash_twin"
    assert "the same as line 2" in lines[2].findings[-1].sentence


def test_a_flood_of_lines_is_checked_as_far_as_an_app_can_have_them(db: None) -> None:
    page = ask(Browser(), "tool_redirect_uris", redirect_uris="a\n" * 50_000)
    assert len(page.context["review"].lines) == 50
    assertContains(page, "Only the first 50 are checked")


# JWT


def test_a_jwt_without_keys_is_called_not_verified_and_nothing_is_fetched(db: None, silent: InMemoryFetcher) -> None:
    claims = {"iss": "https://a.example", "sub": "someone", "exp": int(time.time()) + 300, "jwks_uri": JWKS_URI}
    page = ask(Browser(), "tool_jwt", token=issue_jwt(claims, KEY, typ="JWT", headers={"jku": JWKS_URI}))
    words = text_of(page)
    assert "Not verified" in words
    assert "in 5 minutes" in words
    assert "whoever wrote it chose them" in words
    assert silent.total == 0


def test_the_signature_is_checked_by_the_keys_that_were_pasted(db: None) -> None:
    token, other = issue_jwt({"iss": "x"}, KEY, typ="JWT"), generate_private_key("ES256")
    good = ask(Browser(), "tool_jwt", token=token, jwks=json.dumps(build_jwks([KEY])))
    assertContains(good, "Verified with the keys that you pasted")
    for jwks in (build_jwks([other]), {"keys": [{**other.public_jwk(), "kid": KEY.kid}]}):
        assertContains(ask(Browser(), "tool_jwt", token=token, jwks=json.dumps(jwks)), "The signature does not verify")
    changed = ".".join([token.split(".")[0], base64.urlsafe_b64encode(b'{"iss":"y"}').decode().rstrip("="), token.split(".")[2]])
    assertContains(ask(Browser(), "tool_jwt", token=changed, jwks=json.dumps(build_jwks([KEY]))), "The signature does not verify")


@pytest.mark.threat("J02", "J03")
def test_nobody_signed_and_shared_secrets_are_pointed_out_and_never_verify(db: None) -> None:
    for algorithm, words in (("none", "Nobody signed this"), ("HS256", "shared secret")):
        header = base64.urlsafe_b64encode(json.dumps({"alg": algorithm}).encode()).decode().rstrip("=")
        token = f"{header}.e30.AAAA"
        assertContains(ask(Browser(), "tool_jwt", token=token), words)
        assertContains(ask(Browser(), "tool_jwt", token=token, jwks=json.dumps(build_jwks([KEY]))), "The signature does not verify")


def test_an_entity_configuration_is_checked_by_its_own_keys_and_a_subordinate_statement_is_not(
    world: World, lighthouse: RelyingParty
) -> None:
    configuration = ask(Browser(), "tool_jwt", token=world.federation.configuration(LIGHTHOUSE))
    assertContains(configuration, "Verified with the keys in it")
    assertContains(configuration, "which anybody can do")
    statement = ask(Browser(), "tool_jwt", token=world.federation.statement(HARBOUR, LIGHTHOUSE))
    assertContains(statement, "Not verified")
    assertContains(statement, "signed by its issuer")
    assert world.fetcher.total == 0


# Entities and chains


def test_an_entity_configuration_is_read_with_one_fetch(world: World, lighthouse: RelyingParty, owner: Browser) -> None:
    world.fetcher.reset_counts()
    page = ask(owner, "tool_entity", entity_id=LIGHTHOUSE)
    assert world.fetcher.total == 1
    assertContains(page, HARBOUR)
    assertContains(page, "openid_relying_party")
    assertContains(page, "Verified with the keys in it")
    assertContains(ask(owner, "tool_entity", entity_id=NORTHLIGHT), "signed by a key that is pinned here")


@pytest.mark.parametrize("fault", list(Fault))
def test_every_fault_of_an_entity_is_told_in_words(world: World, lighthouse: RelyingParty, owner: Browser, fault: Fault) -> None:
    lighthouse.entity.fault = fault
    for name in ASKING:
        page = ask(owner, name, entity_id=LIGHTHOUSE)
        assert page.status_code == 200
        if name == "tool_entity":
            assert page.context["findings"], fault


def test_the_thirteen_steps_lead_to_the_anchor_and_what_is_kept_is_not_fetched_again(
    world: World, lighthouse: RelyingParty, owner: Browser
) -> None:
    world.fetcher.reset_counts()
    page = ask(owner, "tool_chain", entity_id=LIGHTHOUSE)
    assert [step["state"] for step in page.context["steps"]] == ["done"] * 13
    words = text_of(page)
    assert re.search(r"Valid until in 2[34] hours", words)
    for entity in (LIGHTHOUSE, HARBOUR, NORTHLIGHT):
        assert entity in words
    assertContains(page, "<svg")
    assertContains(page, 'href="#hop-3"')
    assert world.fetcher.total == 5
    ask(owner, "tool_chain", entity_id=LIGHTHOUSE)
    assert world.fetcher.total == 5


def test_a_member_that_was_expelled_sees_the_step_and_who_can_fix_it(world: World, lighthouse: RelyingParty, owner: Browser) -> None:
    del world.federation.entities[HARBOUR].subordinates[LIGHTHOUSE]
    page = ask(owner, "tool_chain", entity_id=LIGHTHOUSE)
    states = [step["state"] for step in page.context["steps"]]
    assert states == ["done"] * 4 + ["failed"] + ["skipped"] * 8
    assertContains(page, "it is not, or no longer, a member")
    assertContains(page, "the federation operator")
    assertContains(page, "could not confirm the trust chain of")


def test_metadata_that_our_rules_refuse_fails_at_their_step_with_the_chain_intact(
    world: World, lighthouse: RelyingParty, owner: Browser
) -> None:
    lighthouse.metadata["redirect_uris"] = ["http://lighthouse.example/callback"]
    page = ask(owner, "tool_chain", entity_id=LIGHTHOUSE)
    states = [step["state"] for step in page.context["steps"]]
    assert (states[10], states[12]) == ("failed", "done")
    assertContains(page, "but it cannot register as an app")
    assertContains(page, "A redirect URI must not use http.")


def test_an_entity_that_is_no_app_has_nothing_to_register(world: World, owner: Browser) -> None:
    page = ask(owner, "tool_chain", entity_id=HARBOUR)
    assert [step["state"] for step in page.context["steps"]][10] == "skipped"
    assertContains(page, "It is no app, so there is nothing to register.")


def test_a_chain_shows_what_each_rule_changed(world: World, lighthouse: RelyingParty, owner: Browser) -> None:
    policy = {"openid_relying_party": {"contacts": {"add": ["operator@harbour.example"]}}}
    world.federation.entities[HARBOUR].subordinates[LIGHTHOUSE]["metadata_policy"] = policy
    words = text_of(ask(owner, "tool_chain", entity_id=LIGHTHOUSE))
    assert "operator@harbour.example" in words
    assert f"Rule: add, by {HARBOUR}." in words


def test_programs_get_the_same_steps_without_what_nobody_vouches_for(world: World, lighthouse: RelyingParty, owner: Browser) -> None:
    lighthouse.entity.claims["jwks"] = {"keys": [KEY.to_private_jwk()]}
    answer = owner.post(reverse("tool_chain"), {"entity_id": LIGHTHOUSE}, headers={"Accept": "application/json"})
    assert [step["status"] for step in answer.json()["steps"]][1] == "failed"
    for name in ASKING:
        assertNotContains(ask(owner, name, entity_id=LIGHTHOUSE), KEY.to_private_jwk()["d"])
        program = owner.post(reverse(name), {"entity_id": LIGHTHOUSE}, headers={"Accept": "application/json"})
        assert KEY.to_private_jwk()["d"] not in program.content.decode()


@pytest.mark.threat("T01")
def test_a_web_of_superiors_costs_no_more_than_one_question_may(world: World, lighthouse: RelyingParty, owner: Browser) -> None:
    superiors = [f"https://s{number}.example" for number in range(10)]
    for name in superiors:
        for number in range(10):
            world.federation.add_authority(f"{name}/{number}", [])
        world.federation.add_authority(name, [f"{name}/{number}" for number in range(10)])
    lighthouse.entity.superiors[:] = superiors
    for name in superiors:
        world.federation.entities[name].subordinates[LIGHTHOUSE] = {}
    world.fetcher.reset_counts()
    assert ask(owner, "tool_chain", entity_id=LIGHTHOUSE).status_code == 200
    assert world.fetcher.total <= 24


# Trying out metadata


DECLARED = {
    "client_name": "App",
    "redirect_uris": ["https://app.example/cb"],
    "token_endpoint_auth_method": "private_key_jwt",
    "jwks": {"keys": [KEY.public_jwk()]},
    "scope": "openid profile unheard.of",
    "grant_types": ["authorization_code", "refresh_token"],
}


def try_out(browser: Browser, metadata: Any = None, **data: Any) -> Any:
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in data.items()}
    return ask(browser, "tool_dry_run", metadata=json.dumps(metadata or DECLARED), **texts)


def test_each_changed_value_is_shown_with_its_rule(db: None) -> None:
    anchor = {"openid_relying_party": {"grant_types": {"subset_of": ["authorization_code"]}}}
    below = {"metadata_policy": {"openid_relying_party": {"contacts": {"add": ["tech@app.example"]}}}}
    page = try_out(Browser(), policy_1=anchor, policy_2=below)
    rows = {row.member: row for row in page.context["rows"]}
    assert rows["grant_types"].resolved == "authorization_code"
    assert rows["grant_types"].federation_rules == ("Rule: subset_of, by Policy of the trust anchor.",)
    assert rows["contacts"].federation_rules == ("Rule: add, by Policy of the superior below it.",)
    assert rows["scope"].changed_here
    assert "This server has no scope unheard.of" in rows["scope"].server_rules[0]
    assertContains(page, "This would be registered")


def test_policies_that_do_not_go_together_name_the_superior(db: None) -> None:
    policies = {"policy_1": {"scope": {"value": "openid"}}, "policy_2": {"scope": {"value": "profile"}}}
    page = try_out(Browser(), **policies)
    assertContains(page, "This would be refused")
    assertContains(page, "Merge the policies")
    assertContains(page, "Policy of the superior below it: &#x27;scope&#x27;")


def test_metadata_that_breaks_a_policy_and_metadata_that_breaks_our_rules_end_at_their_steps(db: None) -> None:
    assertContains(try_out(Browser(), policy_1={"software_id": {"essential": True}}), "Apply the policy to the metadata")
    refused = try_out(Browser(), {**DECLARED, "redirect_uris": ["http://app.example/cb"]})
    assertContains(refused, "Our own rules on the result")
    assertContains(refused, "A redirect URI must not use http.")
    assertContains(try_out(Browser(), {**DECLARED, "token_endpoint_auth_method": "none"}), "authenticates by private_key_jwt")


def test_without_a_federation_only_our_rules_count(db: None) -> None:
    page = try_out(Browser(), {**DECLARED, "token_endpoint_auth_method": "client_secret_basic", "jwks": None}, way="client")
    assertContains(page, "This would be registered")
    assert try_out(Browser(), policy_1={"scope": {"value": "openid"}}, way="client").context["form"].errors


@pytest.mark.parametrize("policy", ["[]", "nonsense", '{"openid_relying_party": 1}', {"metadata_policy_crit": []}, {"constraints": 1}])
def test_a_policy_that_is_none_is_refused_next_to_its_field(db: None, policy: Any) -> None:
    assert "policy_2" in try_out(Browser(), policy_2=policy).context["form"].errors


def test_the_policies_of_a_chain_are_fetched_for_somebody_who_is_signed_in(world: World, lighthouse: RelyingParty, owner: Browser) -> None:
    policy = {"openid_relying_party": {"contacts": {"add": ["operator@harbour.example"]}}}
    world.federation.entities[HARBOUR].subordinates[LIGHTHOUSE]["metadata_policy"] = policy
    world.fetcher.reset_counts()
    assert try_out(Browser(), entity_id=LIGHTHOUSE).status_code == 403
    assert world.fetcher.total == 0
    page = try_out(owner, entity_id=LIGHTHOUSE)
    assert page.context["trial"].superiors == (HARBOUR, NORTHLIGHT)
    assert {row.member: row for row in page.context["rows"]}["contacts"].federation_rules == (f"Rule: add, by {HARBOUR}.",)
    lost = try_out(owner, entity_id="https://nowhere.example")
    assert "entity_id" in lost.context["form"].errors


# Limits


@pytest.mark.threat("F14", "R15")
def test_a_person_who_asks_too_often_waits_and_loses_nothing_that_they_typed(world: World, owner: Browser, developer: Browser) -> None:
    for _ in range(QUESTIONS_PER_PERSON):
        assert ask(owner, "tool_entity", entity_id=NORTHLIGHT).status_code == 200
    world.fetcher.reset_counts()
    refused = ask(owner, "tool_chain", entity_id="https://typed.example")
    assert (refused.status_code, refused["Retry-After"]) == (429, "60")
    assertContains(refused, "Wait a minute, then ask again.", status_code=429)
    assertContains(refused, "https://typed.example", status_code=429)
    assert world.fetcher.total == 0
    program = owner.post(reverse("tool_entity"), {"entity_id": NORTHLIGHT}, headers={"Accept": "application/json"})
    assert (program.status_code, program["Retry-After"]) == (429, "60")
    assert ask(owner, "tool_redirect_uris", redirect_uris="https://a.example/cb").status_code == 200
    assert ask(developer, "tool_entity", entity_id=NORTHLIGHT).status_code == 200


@pytest.mark.threat("F14", "R15")
def test_networks_and_everybody_together_have_limits_too(cast: Cast, silent: InMemoryFetcher, sign_in: Callable[..., Browser]) -> None:
    people = ("owner", "developer", "viewer", "stranger", "reviewer")

    def send(who: str, source: str) -> int:
        browser = sign_in(who, REMOTE_ADDR=source)
        return int(browser.post(reverse("tool_keys"), {"jwks_uri": JWKS_URI}).status_code)

    codes = [send(people[number % 3], "2001:db8::%x" % (number + 1)) for number in range(QUESTIONS_PER_NETWORK + 1)]
    assert codes == [200] * QUESTIONS_PER_NETWORK + [429]
    codes = [send(people[3 + number % 2], f"192.0.2.{number}") for number in range(QUESTIONS_OF_ALL - QUESTIONS_PER_NETWORK + 1)]
    assert codes == [200] * (QUESTIONS_OF_ALL - QUESTIONS_PER_NETWORK) + [429]
    assert silent.total <= QUESTIONS_OF_ALL


@pytest.mark.threat("F10", "S01")
def test_slow_servers_leave_threads_for_everybody_else(cast: Cast, owner: Browser, silent: InMemoryFetcher) -> None:
    held = [question(f"person {number}", None) for number in range(QUESTIONS_AT_ONCE)]
    for one in held:
        one.__enter__()
    try:
        refused = ask(owner, "tool_keys", jwks_uri=JWKS_URI)
    finally:
        for one in held:
            one.__exit__(None, None, None)
    assert (refused.status_code, refused["Retry-After"]) == (429, "5")
    assert ask(owner, "tool_keys", jwks_uri=JWKS_URI).status_code == 200


@pytest.mark.threat("T01", "F10")
def test_one_question_fetches_within_its_number_and_its_time() -> None:
    clock = [0.0]
    inner = InMemoryFetcher(otherwise=Page(b"{}", "application/json"))
    fetcher = BudgetedFetcher(inner, fetches=3, seconds=8, monotonic=lambda: clock[0])
    wanted = [standard_request(FetchPurpose.JWKS, f"https://a.example/{number}") for number in range(5)]
    answers = fetcher.fetch_many(wanted[:2])
    assert all(not isinstance(answer, FetchError) for answer in answers)
    assert [isinstance(answer, FetchError) for answer in fetcher.fetch_many(wanted)] == [False, True, True, True, True]
    assert inner.total == 3
    late = BudgetedFetcher(inner, fetches=3, seconds=8, monotonic=lambda: clock[0])
    clock[0] = 6.0
    late.fetch(wanted[0])
    assert inner.requests[-1].deadline_seconds == 2.0
    clock[0] = 8.5
    with pytest.raises(FetchError) as error:
        late.fetch(wanted[1])
    assert (error.value.reason, error.value.permanent) == ("budget", False)


def test_times_of_the_far_future_are_shown(db: None) -> None:
    page = ask(Browser(), "tool_jwt", token=issue_jwt({"iss": "x", "exp": 2**40 - 1}, KEY, typ="JWT"))
    assertContains(page, datetime(9999, 12, 31, tzinfo=UTC).strftime("%-d %b %Y"))
