"""The plan oidcc-basic-certification-test-plan, with the code flow, client_secret_basic, and PKCE in every request.

The docstring of a test, or the name of its case, is the module that it mirrors.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import Client as Browser
from django.urls import reverse

from registry.models import User
from tests.authserver.authorization.support import AUTHORIZE, CALLBACK, USERINFO, page, said, sign_in
from tests.authserver.support import FORM, Caller
from tests.conformance.steps import PLAIN_CLAIMS, RelyingParty, read_userinfo, redeemed, refused, refused_to_app

Answer = Any

# Parameters that a server may follow or leave alone, and that may not break anything (OpenID Connect Core, 3.1.2.1 and 15.1).
HARMLESS = [
    pytest.param({"display": "page"}, id="oidcc-display-page"),
    pytest.param({"display": "popup"}, id="oidcc-display-popup"),
    pytest.param({"extra": "foobar"}, id="oidcc-ensure-request-with-unknown-parameter-succeeds"),
    pytest.param({"login_hint": "buffy@id.credence.example"}, id="oidcc-login-hint"),
    pytest.param({"ui_locales": "se"}, id="oidcc-ui-locales"),
    pytest.param({"claims_locales": "se"}, id="oidcc-claims-locales"),
    pytest.param({"nonce": None}, id="oidcc-ensure-request-without-nonce-succeeds-for-code-flow"),
    pytest.param({}, id="oidcc-ensure-request-with-valid-pkce-succeeds"),
]


@pytest.fixture
def party(new_app: Callable[..., Caller], person: User) -> RelyingParty:
    """A client that registered no algorithm for ID tokens, and nobody signed in."""
    return RelyingParty(new_app("client_secret_basic", id_token_signed_response_alg=None), person=person)


def must_sign_in_again(party: RelyingParty, started: Answer) -> None:
    """Check that the server asks who is signed in to prove it again."""
    answer = party.go_on(started)
    assert answer.status_code == 302
    assert answer["Location"].startswith(reverse("account_reauthenticate"))


def test_the_whole_flow_succeeds(party: RelyingParty) -> None:
    """oidcc-server"""
    done = party.run()
    assert "client_secret_basic" in party.metadata()["token_endpoint_auth_methods_supported"]
    assert done.claims.keys() - PLAIN_CLAIMS == {"org_id"}  # of the organization, never of the person


def test_the_whole_flow_succeeds_with_the_secret_in_the_form(new_app: Callable[..., Caller], person: User) -> None:
    """oidcc-server-client-secret-post"""
    party = RelyingParty(new_app("client_secret_post", id_token_signed_response_alg=None), person=person)
    party.run()
    assert "client_secret_post" in party.metadata()["token_endpoint_auth_methods_supported"]


def test_a_request_without_response_type_is_refused(party: RelyingParty) -> None:
    """oidcc-response-type-missing"""
    refused_to_app(said(party.begin(response_type=None)), "state-1", "invalid_request", "unsupported_response_type")


def test_an_id_token_is_signed_by_rs256_when_nothing_was_registered(party: RelyingParty) -> None:
    """oidcc-idtoken-signature"""
    header = party.run().header
    assert header["alg"] == "RS256"
    assert header["kid"]


@pytest.mark.parametrize("parameters", HARMLESS)
def test_a_request_succeeds_with_or_without_what_may_be_there(party: RelyingParty, parameters: dict[str, Any]) -> None:
    party.run(**parameters)


def test_userinfo_is_had_by_get(party: RelyingParty) -> None:
    """oidcc-userinfo-get"""
    assert party.run().userinfo.keys() == {"sub"}


def test_userinfo_is_had_by_post_with_the_token_in_the_header(party: RelyingParty) -> None:
    """oidcc-userinfo-post-header"""
    done = party.run()
    answer = Browser(SERVER_NAME="127.0.0.1").post(USERINFO, headers={"Authorization": f"Bearer {done.tokens['access_token']}"})
    read_userinfo(answer, done.claims["sub"])


def test_the_scope_profile_gives_the_name_in_userinfo(party: RelyingParty) -> None:
    """oidcc-scope-profile"""
    assert party.run(scope="openid profile").userinfo["name"]


@pytest.mark.parametrize("order", ["oidcc-scope-email", "oidcc-alternate-happy-flow"])
def test_the_scope_email_gives_the_address_in_userinfo_in_any_order(party: RelyingParty, order: str) -> None:
    changes = {"scope": "openid email" if order == "oidcc-scope-email" else "email openid"}
    sent = party.sent(**changes)
    query = sent if order == "oidcc-scope-email" else dict(reversed(sent.items()))
    done = party.check(party.browser.get(AUTHORIZE, query), **changes)
    assert done.userinfo.keys() == {"sub", "email", "email_verified"}
    assert not {"name", "email"} & done.claims.keys()


def test_an_essential_claim_comes_in_userinfo_without_its_scope(party: RelyingParty) -> None:
    """oidcc-claims-essential"""
    done = party.run(claims=json.dumps({"userinfo": {"name": {"essential": True}}}))
    assert done.userinfo["name"]
    assert "name" not in done.claims


def test_prompt_login_makes_the_person_sign_in_again(party: RelyingParty) -> None:
    """oidcc-prompt-login"""
    first = party.run()
    with party.later(1):
        started = party.begin(prompt="login")
        must_sign_in_again(party, started)
        assert party.check(started).claims["auth_time"] > first.claims["auth_time"]


def test_max_age_makes_the_person_sign_in_again(party: RelyingParty) -> None:
    """oidcc-max-age-1"""
    first = party.run()
    with party.later(2):
        started = party.begin(max_age="1")
        must_sign_in_again(party, started)
        assert party.check(started).claims["auth_time"] > first.claims["auth_time"]


def test_prompt_none_is_refused_when_nobody_is_signed_in(party: RelyingParty) -> None:
    """oidcc-prompt-none-not-logged-in"""
    members = party.answered(party.begin(prompt="none", state="s" * 128), silently=True)
    refused_to_app(members, "s" * 128, "interaction_required", "login_required", "account_selection_required", "consent_required")


@pytest.mark.parametrize("module", ["oidcc-prompt-none-logged-in", "oidcc-id-token-hint", "oidcc-max-age-10000"])
def test_who_is_signed_in_is_not_asked_again(party: RelyingParty, module: str) -> None:
    is_max_age = module == "oidcc-max-age-10000"
    first = party.run(**({"max_age": "15000"} if is_max_age else {}))
    second: dict[str, Any] = {"max_age": "10000"} if is_max_age else {"prompt": "none"}
    if module == "oidcc-id-token-hint":
        second["id_token_hint"] = first.tokens["id_token"]
    with party.later(2):
        again = party.run(silently=True, **second)
    assert [again.claims[name] for name in ("sub", "auth_time")] == [first.claims[name] for name in ("sub", "auth_time")]


def test_asking_for_the_offered_context_classes_gives_one_of_them(party: RelyingParty) -> None:
    """oidcc-ensure-request-with-acr-values-succeeds"""
    offered = party.metadata().get("acr_values_supported", ["1", "2"])
    party.visitor().run(acr_values=" ".join(offered))  # a password reaches no class, which breaks nothing
    sign_in(party.browser, party.person, records=({"method": "mfa", "type": "webauthn", "passwordless": True},))
    assert party.run(acr_values=" ".join(offered)).claims["acr"] in offered


@pytest.mark.parametrize("seconds", [pytest.param(0, id="oidcc-codereuse"), pytest.param(30, id="oidcc-codereuse-30seconds")])
def test_a_code_used_twice_is_refused_and_ends_its_access_token(party: RelyingParty, seconds: int) -> None:
    done = party.run()
    with party.later(seconds):
        refused(party.redeem(done.members["code"]), "invalid_grant")
        assert party.userinfo(done.tokens["access_token"]).status_code == 401


def test_an_unregistered_redirect_uri_is_told_on_a_page(party: RelyingParty) -> None:
    """oidcc-ensure-registered-redirect-uri"""
    assert "redirect_uri" in page(party.begin(redirect_uri=f"{CALLBACK}/x7Kq9TbWzP"))


def test_a_request_may_be_posted(party: RelyingParty) -> None:
    """oidcc-ensure-post-request-succeeds"""
    party.check(party.browser.post(AUTHORIZE, urlencode(party.sent()), content_type=FORM))


def test_a_refresh_token_works_for_its_client_alone(party: RelyingParty, new_app: Callable[..., Caller]) -> None:
    """oidcc-refresh-token"""
    offline = {"scope": "openid offline_access", "prompt": "consent"}
    assert "offline_access" in party.metadata()["scopes_supported"]
    assert "refresh_token" in party.metadata()["grant_types_supported"]
    second = RelyingParty(new_app("client_secret_basic", id_token_signed_response_alg=None), person=party.person)
    issued = ""
    for one, nonce, narrowed in ((party, "nonce-1", {"scope": offline["scope"]}), (second, "n" * 43, {})):
        first = one.run(nonce=nonce, **offline)
        with one.later(1):
            tokens = redeemed(one.refresh(first.tokens["refresh_token"], **narrowed))
            refreshed_as_before(one, first.claims, tokens)
            assert tokens["access_token"] != first.tokens["access_token"]
        issued = tokens.get("refresh_token", first.tokens["refresh_token"])
    refused(party.refresh(issued), "invalid_grant")


def refreshed_as_before(party: RelyingParty, before: dict[str, Any], tokens: dict[str, Any]) -> None:
    """Check refreshed tokens against the ID token of the first ones (OpenID Connect Core, 12.2)."""
    _, claims = party.read(tokens, None)
    assert all(claims.get(name) == before.get(name) for name in ("iss", "sub", "aud", "auth_time", "azp"))
    assert claims["iat"] > before["iat"]
    read_userinfo(party.userinfo(tokens["access_token"]), before["sub"])
