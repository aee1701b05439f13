"""The plan fapi2-security-profile-final-test-plan: plain_fapi with OpenID Connect, private_key_jwt, unsigned requests, plain answers.

The docstring of a test, or the name of its case, is the module that it mirrors; what is about sender-constrained tokens is left out.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from django.test import Client as Browser

from protocol.jose import SigningKey
from registry.models import User
from tests.authserver.authorization.support import AUTHORIZE, CALLBACK, PAR, TOKEN, USERINFO, VERIFIER, Answer, page, said
from tests.authserver.support import Caller, assertion_parameters, key
from tests.conformance.steps import (
    JWKS,
    OAUTH,
    OPENID,
    PLAIN_CLAIMS,
    RelyingParty,
    SignedIn,
    assert_unguessable,
    code_form,
    post,
    read_userinfo,
    redeemed,
    refused,
    refused_to_app,
)
from tests.conformance.test_config import check_document, check_keys

NAME = "fapi2-security-profile-final-"
ALGORITHMS = {"PS256", "ES256", "EdDSA", "Ed25519"}
REGISTERED = {"require_pushed_authorization_requests": True}
QUERY = {"dummy1": "lorem", "dummy2": "ipsum"}


def case(module: str, *values: Any) -> Any:
    """Return a case that is named after the module that it mirrors."""
    return pytest.param(*values, id=NAME + module)


@dataclass
class Fapi(RelyingParty):
    """A client that pushes its requests and repeats at the authorization endpoint what OAuth 2.0 wants there."""

    is_backwards: bool = False

    def pushed(self, **changes: Any) -> str:
        """Push a request and return its request_uri."""
        answer = self.push(**{"redirect_uri": self.redirect_uri, **changes})
        assert answer.status_code == 201, answer.content
        assert answer["Content-Type"] == "application/json"
        assert answer.json()["expires_in"] > 0
        assert_unguessable(answer.json()["request_uri"])
        return str(answer.json()["request_uri"])

    def visit(self, request_uri: str, **more: Any) -> Answer:
        """Bring a pushed request to the authorization endpoint, with the parameters that have to stand beside it, and `more`."""
        sent = self.sent()
        beside = {name: sent[name] for name in ("client_id", "response_type", "redirect_uri", "scope")}
        query = sorted({**beside, "request_uri": request_uri, **more}.items(), reverse=self.is_backwards)
        return self.browser.get(AUTHORIZE, {name: value for name, value in query if value is not None})

    def begin(self, **changes: Any) -> Answer:
        """Push a request and bring it to the authorization endpoint."""
        return self.visit(self.pushed(**changes), **{name: changes[name] for name in changes.keys() & {"scope"}})

    def code_alone(self) -> str:
        """Return a fresh code."""
        return self.answered(self.begin())["code"]

    def token_request(self, **claims: Any) -> Answer:
        """Exchange a fresh code with an assertion that has `claims`."""
        code = self.code_alone()
        return post(TOKEN, code_form(code, **assertion_parameters(self.app.assertion(**claims))))

    def push_with(self, **claims: Any) -> Answer:
        """Push a request with an assertion that has `claims`."""
        return post(PAR, {**self.sent(), **assertion_parameters(self.app.assertion(**claims))})


@pytest.fixture
def party(new_app: Callable[..., Caller], person: User) -> Fapi:
    """The first client; nobody is signed in."""
    return Fapi(new_app(**REGISTERED), person=person)


@pytest.fixture
def second(new_app: Callable[..., Caller], person: User) -> Fapi:
    """The second client: keys of its own, and a query in its redirect URI."""
    signer, redirect_uri = key("ES256", 1), f"{CALLBACK}?dummy1=lorem&dummy2=ipsum"
    app = new_app(jwks={"keys": [signer.public_jwk()]}, redirect_uris=[redirect_uri], post_logout_redirect_uris=None, **REGISTERED)
    app.key = signer
    return Fapi(app, person=person, redirect_uri=redirect_uri, is_backwards=True)


def ask_userinfo(scheme: str, token: str, **headers: str) -> Answer:
    """Ask for userinfo, which stands for the resource of the suite."""
    return Browser(SERVER_NAME="127.0.0.1").get(USERINFO, headers={"Authorization": f"{scheme} {token}", **headers})


@pytest.mark.parametrize("path", [OPENID, OAUTH])
def test_the_documents_name_what_the_profile_wants(party: Fapi, settings: Any, path: str) -> None:
    """fapi2-security-profile-final-discovery-end-point-verification"""
    document = party.metadata(path)
    check_document(document, settings.ISSUER)
    assert "code" in document["response_types_supported"]
    assert document["authorization_response_iss_parameter_supported"] is True
    assert document["pushed_authorization_request_endpoint"].startswith("https://")
    assert isinstance(document["require_pushed_authorization_requests"], bool)
    assert "private_key_jwt" in document["token_endpoint_auth_methods_supported"]
    assert set(document["token_endpoint_auth_signing_alg_values_supported"]) & ALGORITHMS
    assert "S256" in document["code_challenge_methods_supported"]
    if path == OPENID:
        assert set(document["id_token_signing_alg_values_supported"]) & ALGORITHMS
        assert "openid" in document["scopes_supported"]
        assert set(document["subject_types_supported"]) <= {"public", "pairwise"}
    check_keys(party.browser.get(JWKS).json()["keys"])


def test_two_clients_go_through_the_whole_flow(party: Fapi, second: Fapi) -> None:
    """fapi2-security-profile-final-happy-flow"""
    done = party.run()
    token = done.tokens["access_token"]
    assert done.header["alg"] in ALGORITHMS
    assert done.claims.keys() - PLAIN_CLAIMS == {"org_id"}
    assert 400 <= party.browser.get(USERINFO, {"access_token": token}).status_code < 500
    for accepted in ("application/json; charset=utf-8", "application/json, */*;q=0.8"):
        read_userinfo(ask_userinfo("Bearer", token, Accept=accepted), done.claims["sub"])
    members = second.run(nonce="n" * 43).members
    assert {name: members[name] for name in QUERY} == QUERY


def test_a_person_who_refuses_is_reported_to_both_clients(party: Fapi, second: Fapi) -> None:
    """fapi2-security-profile-final-user-rejects-authentication"""
    party.run()
    second.browser = party.browser
    for one, query in ((party, {}), (second, QUERY)):
        started = one.begin(state="s" * 128, prompt="consent")
        one.go_on(started)
        members = said(one.browser.post(started["Location"], {"answer": "deny"}))
        assert {name: members.pop(name) for name in query} == query
        refused_to_app(members, "s" * 128, "access_denied")


@pytest.mark.parametrize(
    "changes",
    [
        case("ensure-authorization-request-without-state-success", {"state": None}),
        case("ensure-authorization-request-without-nonce-success", {"nonce": None}),
        case("ensure-authorization-request-with-64-char-nonce-success", {"nonce": "n" * 64}),
        case("ensure-other-scope-order-succeeds", {"scope": "bookings.read email openid"}),
        case("ensure-authorization-request-with-long-state", {"state": "s" * 1000}),
    ],
)
def test_a_request_succeeds_and_comes_back_as_it_was_sent(party: Fapi, changes: dict[str, Any]) -> None:
    party.run(**changes)


def test_a_nonce_is_kept_whole_or_refused(party: Fapi) -> None:
    """fapi2-security-profile-final-ensure-authorization-request-with-long-nonce"""
    answer = party.push(nonce="n" * 384)
    if answer.status_code == 201:
        party.check(party.visit(answer.json()["request_uri"]), nonce="n" * 384)
    else:
        refused(answer, "invalid_request")


@pytest.mark.parametrize(
    ("pushed", "beside"),
    [
        case("ensure-different-nonce-inside-and-outside-request-object", {}, {"nonce": "another"}),
        case("ensure-different-state-inside-and-outside-request-object", {}, {"state": "another"}),
        case("state-only-outside-request-object-not-used", {"state": None}, {"state": "outside"}),
        case("par-without-duplicate-parameters", {}, {"response_type": None, "redirect_uri": None, "scope": None}),
    ],
)
def test_what_was_pushed_counts_and_nothing_beside_it(party: Fapi, pushed: dict[str, Any], beside: dict[str, Any]) -> None:
    party.check(party.visit(party.pushed(**pushed), **beside), **pushed)


def test_every_claim_that_is_offered_comes_when_it_is_requested(party: Fapi) -> None:
    """fapi2-security-profile-final-test-claims-parameter-identity-claims"""
    document = party.metadata()
    assert document["claims_parameter_supported"] is True
    offered = [name for name in document["claims_supported"] if name in ("sub", "name", "email", "email_verified")]
    ways = [None, {}, {"essential": True}, {"x7Kq9TbWzP": "unknown"}, {"essential": False}]
    asked = {name: ways[number % len(ways)] for number, name in enumerate(offered)}
    done = party.run(claims=json.dumps({"id_token": asked, "userinfo": asked, "x7Kq9TbWzP": {"b4Rn": None}}))
    assert set(offered) <= done.claims.keys() | done.userinfo.keys()
    assert done.userinfo.keys() <= set(offered)
    assert done.claims.keys() <= PLAIN_CLAIMS | {*offered, "org_id"}


def test_the_scheme_of_the_authorization_header_has_no_case(party: Fapi) -> None:
    """fapi2-security-profile-final-access-token-type-header-case-sensitivity"""
    done = party.run()
    scheme = done.tokens["token_type"].swapcase()
    read_userinfo(ask_userinfo(scheme, done.tokens["access_token"]), done.claims["sub"])


@pytest.mark.parametrize(
    ("changes", "codes"),
    [
        case("ensure-request-object-without-redirect-uri-fails", {"redirect_uri": None}, ("invalid_request", "invalid_request_object")),
        case("ensure-redirect-uri-in-authorization-request", {"redirect_uri": None}, ("invalid_request", "invalid_request_object")),
        case(
            "plain-fapi-tolerate-unregistered-redirect-uri",
            {"redirect_uri": f"{CALLBACK}/x7Kq9TbWzP"},
            ("invalid_request", "invalid_request_object"),
        ),
        case(
            "ensure-response-type-code-idtoken-fails",
            {"response_type": "code id_token"},
            ("unsupported_response_type", "invalid_request", "unauthorized_client"),
        ),
        case(
            "ensure-response-type-token-fails",
            {"response_type": "token"},
            ("unsupported_response_type", "invalid_request", "unauthorized_client"),
        ),
        case(
            "par-authorization-request-containing-request_uri-form-param",
            {"request_uri": "urn:example:E2ooXxELkEFSKR90ymYV"},
            ("invalid_request", "invalid_request_object", "request_uri_not_supported"),
        ),
        case("par-ensure-pkce-required", {"code_challenge": None, "code_challenge_method": None}, ("invalid_request",)),
        case("par-plain-pkce-rejected", {"code_challenge": VERIFIER, "code_challenge_method": "plain"}, ("invalid_request",)),
    ],
)
def test_a_request_is_refused_when_it_is_pushed(party: Fapi, changes: dict[str, Any], codes: tuple[str, ...]) -> None:
    refused(party.push(**changes), *codes)


def test_a_request_that_was_not_pushed_is_refused(party: Fapi) -> None:
    """fapi2-security-profile-final-ensure-unsigned-authorization-request-without-using-par-fails"""
    refused_to_app(said(party.start()), "state-1", "invalid_request")


def test_a_code_is_refused_with_the_name_of_another_client(party: Fapi, second: Fapi) -> None:
    """fapi2-security-profile-final-ensure-client-id-in-token-endpoint"""
    code = party.code_alone()
    assertion = second.app.assertion(signer=party.app.key)
    refused(
        post(TOKEN, code_form(code, client_id=second.app.client_id, **assertion_parameters(assertion))), "invalid_client", "invalid_grant"
    )


def test_a_code_is_refused_when_another_client_brings_it(party: Fapi, second: Fapi) -> None:
    """fapi2-security-profile-final-ensure-authorization-code-is-bound-to-client"""
    refused(second.redeem(party.code_alone(), redirect_uri=CALLBACK), "invalid_grant")


def test_a_code_used_twice_is_refused_and_ends_its_access_token(party: Fapi) -> None:
    """fapi2-security-profile-final-attempt-reuse-authorization-code-after-one-second"""
    done = party.run()
    with party.later(1):
        refused(party.redeem(done.members["code"]), "invalid_grant")
        assert party.userinfo(done.tokens["access_token"]).status_code == 401


def test_a_code_is_refused_after_a_minute(party: Fapi) -> None:
    """fapi2-security-profile-final-ensure-token-endpoint-fails-with-expired-auth-code"""
    code = party.code_alone()
    with party.later(62):
        refused(party.redeem(code), "invalid_grant")


def test_an_assertion_by_rs256_is_refused(new_app: Callable[..., Caller], person: User) -> None:
    """fapi2-security-profile-final-ensure-signed-client-assertion-with-RS256-fails"""
    signer = key("PS256")
    app = new_app(jwks={"keys": [signer.public_jwk()]}, **REGISTERED)
    app.key = signer
    refused(Fapi(app, person=person).token_request(signer=SigningKey(signer.kid, "RS256", signer.private_key)), "invalid_client")


def test_a_code_is_refused_without_an_assertion(party: Fapi) -> None:
    """fapi2-security-profile-final-ensure-client-assertion-in-token-endpoint"""
    answer = post(TOKEN, code_form(party.code_alone(), client_id=party.app.client_id))
    refused(answer, "invalid_client", "invalid_request")


@pytest.mark.parametrize(
    "claims",
    [
        case("ensure-client-assertion-with-exp-is-5-minutes-in-past-fails", {"exp": -300}),
        case("ensure-client-assertion-with-wrong-aud-fails", {"aud": "https://other.example/userinfo"}),
        case("ensure-client-assertion-with-no-sub-fails", {"sub": None}),
    ],
)
def test_a_code_is_refused_with_a_bad_assertion(party: Fapi, claims: dict[str, Any]) -> None:
    if "exp" in claims:
        claims = {"exp": int(time.time()) + claims["exp"]}
    refused(party.token_request(**claims), "invalid_client", "invalid_request")


def offline(party: Fapi) -> SignedIn:
    """Go through the flow for a refresh token."""
    return party.run(scope="openid offline_access", prompt="consent")


def test_a_refresh_token_works_for_its_client_when_it_authenticates(party: Fapi, second: Fapi) -> None:
    """fapi2-security-profile-final-refresh-token"""
    assert "refresh_token" in party.metadata()["grant_types_supported"]
    first = offline(party)
    with party.later(1):
        tokens = redeemed(party.refresh(first.tokens["refresh_token"], scope="openid offline_access"))
        _, claims = party.read(tokens, None)
        assert all(claims.get(name) == first.claims.get(name) for name in ("iss", "sub", "aud", "auth_time", "azp"))
        assert claims["iat"] > first.claims["iat"]
        read_userinfo(party.userinfo(tokens["access_token"]), first.claims["sub"])
    form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    refused(post(TOKEN, form), "invalid_client", "invalid_grant", "invalid_request")
    refused(party.refresh(offline(second).tokens["refresh_token"]), "invalid_grant")


def test_looking_at_a_pushed_request_does_not_use_it_up(party: Fapi) -> None:
    """fapi2-security-profile-final-par-ensure-reused-request-uri-prior-to-auth-completion-succeeds"""
    request_uri = party.pushed()
    assert party.go_on(party.visit(request_uri)).status_code == 302  # to the page for signing in
    party.check(party.visit(request_uri))


def test_a_pushed_request_is_answered_once(party: Fapi) -> None:
    """fapi2-security-profile-final-par-attempt-reuse-request_uri"""
    request_uri = party.pushed()
    party.check(party.visit(request_uri))
    assert "invalid_request_uri" in page(party.visit(request_uri))


def test_a_pushed_request_is_refused_when_its_time_is_over(party: Fapi) -> None:
    """fapi2-security-profile-final-par-attempt-to-use-expired-request_uri"""
    answer = party.push().json()
    with party.later(answer["expires_in"] + 1):
        assert "invalid_request_uri" in page(party.visit(answer["request_uri"]))


def test_a_pushed_request_is_refused_for_another_client(party: Fapi, second: Fapi) -> None:
    """fapi2-security-profile-final-par-attempt-to-use-request_uri-for-different-client"""
    assert "invalid_request" in page(second.visit(party.pushed()))


def test_an_assertion_from_a_clock_that_is_ahead_a_little_is_accepted(party: Fapi) -> None:
    """fapi2-security-profile-final-par-ensure-jwt-client-assertions-nbf-8-seconds-in-the-future-is-accepted"""
    ahead = int(time.time()) + 8
    answer = party.push_with(iat=ahead, nbf=ahead)
    assert answer.status_code == 201, answer.content
    party.check(party.visit(answer.json()["request_uri"]))


def test_an_assertion_from_more_than_a_minute_ahead_is_refused(party: Fapi, time_machine: Any) -> None:
    """fapi2-security-profile-final-par-ensure-jwt-client-assertions-nbf-over-60-seconds-in-the-future-fails"""
    now = int(time.time())
    time_machine.move_to(now, tick=False)  # two seconds decide
    refused(party.push_with(iat=now + 62, nbf=now + 62, exp=now + 122), "invalid_client", "invalid_request")


@pytest.mark.parametrize(
    "audiences",
    [
        case("par-test-array-as-audience-fails", ["issuer", "token_endpoint"]),
        case("par-test-par-endpoint-url-as-audience-fails", "pushed_authorization_request_endpoint"),
        case("par-test-token-endpoint-url-as-audience-fails", "token_endpoint"),
    ],
)
def test_a_push_is_refused_for_another_audience_than_the_issuer_alone(party: Fapi, audiences: list[str] | str) -> None:
    document = party.metadata()
    aud = document[audiences] if isinstance(audiences, str) else [document[name] for name in audiences]
    refused(party.push_with(aud=aud), "invalid_client", "invalid_request")


def test_nothing_is_pushed_by_put(party: Fapi) -> None:
    """fapi2-security-profile-final-par-attempt-invalid-http-method"""
    assert 400 <= party.browser.put(PAR, "").status_code < 600


@pytest.mark.parametrize(
    "verifier",
    [case("ensure-pkce-code-verifier-required", None), case("incorrect-pkce-code-verifier-rejected", "A" * 43)],
)
def test_a_code_is_refused_without_its_verifier(party: Fapi, verifier: str | None) -> None:
    refused(party.redeem(party.code_alone(), code_verifier=verifier), "invalid_grant")
