"""The plan oidcc-dynamic-certification-test-plan, with the code flow and private_key_jwt. The suite has an initial access token.

The docstring of a test, or the name of its case, is the module that it mirrors. Assertions are for the issuer, never for the endpoint.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import cache
from typing import Any

import pytest
from django.test import Client as Browser
from joserfc.jwk import RSAKey

from protocol.fetch import InMemoryFetcher, Page
from registry.actors import job
from registry.models import PolicyRecord, SigningKey, User
from registry.outbound import use_fetcher
from registry.signing_keys import forget_snapshots, rotate_signing_key
from tests.authserver.authorization.support import CALLBACK, page, sign_in
from tests.conformance.registration import client_of, machine, nothing_registered, public_keys, refused_registration, registered
from tests.conformance.steps import JWKS, OPENID, RelyingParty, redeemed
from tests.conformance.test_config import check_document, check_keys
from tests.conftest import Cast
from tests.dcr.support import make_token

pytestmark = [pytest.mark.spec("DCR-CS-01")]
SUITE = "https://suite.conformance.example/test/a/credence"
LOGIN = "https://suite.conformance.example/login.html"
RSA = "RS256"


@cache
def rsa_key(name: str | None = None) -> RSAKey:
    """Return a key that the suite made: by name, or without one."""
    return RSAKey.generate_key(2048, {"kid": name} if name else None, auto_kid=False)


@pytest.fixture
def pages() -> Iterator[dict[str, Page]]:
    """What the suite serves, by address."""
    served: dict[str, Page] = {}
    with use_fetcher(InMemoryFetcher(otherwise=lambda request: served.get(request.url))):
        yield served


@pytest.fixture
def register(cast: Cast, now: datetime, standard_scopes: None, server_keys: None, pages: dict[str, Page]) -> Callable[..., Any]:
    """Return a function that registers as the suite does, with what a module adds to it.

    The suite asks for no scope, so an operator says which one gets without asking.
    """
    PolicyRecord.objects.create(organization=None, values={"default_scopes": ["openid", "offline_access"]})
    sender = machine(make_token(cast.organization, now))

    def send(**members: Any) -> Any:
        keys = {} if "jwks_uri" in members else {"jwks": public_keys(rsa_key(), RSA)}
        document = {
            "client_name": "credence test client", "grant_types": ["authorization_code"], "response_types": ["code"],
            "redirect_uris": [CALLBACK], "contacts": ["certification@oidf.example"], "token_endpoint_auth_method": "private_key_jwt",
        }  # fmt: skip
        return sender.register({**document, **keys, **members})

    return send


@pytest.fixture
def party(register: Callable[..., Any], person: User, now: datetime) -> Callable[..., RelyingParty]:
    """Return a function that registers a client and returns what goes through flows as it."""

    def make(key: RSAKey | None = None, **members: Any) -> RelyingParty:
        registration = registered(register(**members))
        redirect_uri = members.get("redirect_uris", [CALLBACK])[0]
        return RelyingParty(client_of(registration, key or rsa_key(), now), person=person, redirect_uri=redirect_uri)

    return make


def served_json(value: Any) -> Page:
    """Return JSON as the suite serves it."""
    return Page(json.dumps(value).encode(), "application/json")


def test_an_id_token_is_signed_by_rs256_when_that_was_registered(party: Callable[..., RelyingParty]) -> None:
    """oidcc-idtoken-rs256"""
    header = party(id_token_signed_response_alg=RSA).run().header
    assert header["alg"] == RSA
    assert header["kid"]


def test_a_request_without_redirect_uri_is_told_on_a_page(party: Callable[..., RelyingParty]) -> None:
    """oidcc-ensure-redirect-uri-in-authorization-request"""
    asking = party(redirect_uris=[CALLBACK, "https://example.org/redirect"])
    assert "redirect_uri" in page(asking.begin(redirect_uri=None))


def test_a_registered_query_comes_back_with_the_answer(party: Callable[..., RelyingParty]) -> None:
    """oidcc-redirect-uri-query-OK"""
    members = party(redirect_uris=[f"{CALLBACK}?foo=bar"]).run().members
    assert members["foo"] == "bar"


@pytest.mark.parametrize(
    ("known", "sent"),
    [
        pytest.param(f"{CALLBACK}?foo=bar", f"{CALLBACK}?bar=foo", id="oidcc-redirect-uri-query-mismatch"),
        pytest.param(CALLBACK, f"{CALLBACK}?foo=bar", id="oidcc-redirect-uri-query-added"),
    ],
)
def test_another_query_than_the_registered_one_is_told_on_a_page(party: Callable[..., RelyingParty], known: str, sent: str) -> None:
    assert "redirect_uri" in page(party(redirect_uris=[known]).begin(redirect_uri=sent))


def test_a_redirect_uri_with_a_fragment_is_not_registered(register: Callable[..., Any]) -> None:
    """oidcc-redirect-uri-regfrag"""
    with nothing_registered():
        refused_registration(register(redirect_uris=[f"{CALLBACK}#foobar"]), "invalid_redirect_uri", "invalid_client_metadata")


def test_the_discovery_document_names_where_clients_register(register: Callable[..., Any], settings: Any) -> None:
    """oidcc-discovery-endpoint-verification"""
    browser = Browser(SERVER_NAME="127.0.0.1")
    document = browser.get(OPENID).json()
    check_document(document, settings.ISSUER)
    assert document["registration_endpoint"] == f"{settings.ISSUER}/register"
    assert registered(register())["registration_client_uri"].startswith(document["registration_endpoint"])
    check_keys(browser.get(JWKS).json()["keys"])


@pytest.mark.parametrize("module", ["oidcc-server", "oidcc-ensure-client-assertion-with-iss-aud-succeeds"])
def test_the_whole_flow_succeeds(party: Callable[..., RelyingParty], module: str) -> None:
    done = party().run()
    assert done.members["code"]


@pytest.mark.parametrize(
    "member",
    [
        pytest.param("logo_uri", id="oidcc-registration-logo-uri"),
        pytest.param("policy_uri", id="oidcc-registration-policy-uri"),
        pytest.param("tos_uri", id="oidcc-registration-tos-uri"),
    ],
)
def test_a_person_who_is_asked_sees_where_the_app_explains_itself(party: Callable[..., RelyingParty], person: User, member: str) -> None:
    asking = party(**{member: LOGIN})
    sign_in(asking.browser, person)
    shown = asking.go_on(asking.begin()).content.decode()
    assert "credence test client" in shown
    # A picture from elsewhere would tell its owner who signs in where, so the page loads none.
    assert (f'href="{LOGIN}"' in shown, f'src="{LOGIN}"' in shown) == (member != "logo_uri", False)
    asking.run()


def test_keys_are_taken_from_where_they_are_served(party: Callable[..., RelyingParty], pages: dict[str, Page]) -> None:
    """oidcc-registration-jwks-uri"""
    key = rsa_key("first")
    pages[f"{SUITE}/client1_jwks"] = served_json(public_keys(key, RSA))
    party(key, jwks_uri=f"{SUITE}/client1_jwks").run()


@pytest.mark.parametrize(
    "named",
    [pytest.param([CALLBACK], id="oidcc-registration-sector-uri"), pytest.param([LOGIN], id="oidcc-registration-sector-bad")],
)
def test_a_sector_has_to_name_the_redirect_uris(register: Callable[..., Any], pages: dict[str, Page], named: list[str]) -> None:
    address = f"{SUITE}/redirect_uris.json"
    pages[address] = served_json(named)
    answer = register(sector_identifier_uri=address)
    if CALLBACK in named:
        assert registered(answer)["sector_identifier_uri"] == address
    else:
        refused_registration(answer, "invalid_client_metadata")
    with nothing_registered():  # pairwise subjects are not offered
        refused_registration(register(sector_identifier_uri=address, subject_type="pairwise"), "invalid_client_metadata")


def test_new_keys_of_the_server_stand_beside_the_old_ones(party: Callable[..., RelyingParty], now: datetime) -> None:
    """oidcc-server-rotate-keys"""
    asking = party()
    before = {key["kid"] for key in asking.browser.get(JWKS).json()["keys"]}
    rotate_signing_key(SigningKey.Purpose.PROTOCOL, RSA, job("test"), now=now)
    forget_snapshots()
    keys = asking.browser.get(JWKS).json()["keys"]
    check_keys(keys)
    assert before < {key["kid"] for key in keys}
    assert asking.run().header["alg"] == RSA


def test_a_refresh_token_works_with_new_keys_of_the_client(party: Callable[..., RelyingParty], pages: dict[str, Page]) -> None:
    """oidcc-refresh-token-rp-key-rotation"""
    first, second, address = rsa_key("first"), rsa_key("second"), f"{SUITE}/client1_jwks"
    pages[address] = served_json(public_keys(first, RSA))
    offline = party(first, jwks_uri=address, grant_types=["authorization_code", "refresh_token"])
    done = offline.run(scope="openid offline_access", prompt="consent")
    pages[address] = served_json(public_keys(second, RSA))
    with offline.later(60):
        offline.app.own_key = second  # type: ignore[attr-defined]
        redeemed(offline.refresh(done.tokens["refresh_token"]))


def test_a_refresh_token_works_for_its_client(party: Callable[..., RelyingParty]) -> None:
    """oidcc-refresh-token"""
    offline = party(grant_types=["authorization_code", "refresh_token"])
    done = offline.run(scope="openid offline_access", prompt="consent")
    with offline.later(1):
        _, claims = offline.read(redeemed(offline.refresh(done.tokens["refresh_token"])), None)
        assert claims["sub"] == done.claims["sub"]
        assert claims["iat"] > done.claims["iat"]
