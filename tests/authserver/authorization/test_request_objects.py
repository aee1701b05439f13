"""Signed requests by value (RFC 9101): what is inside counts, what is outside is forgotten, and nobody else can make one."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest
from django.conf import settings

from authserver.models import AuthorizationRequest
from protocol.fetch import InMemoryFetcher, Page
from protocol.jose import generate_private_key, issue_jwt
from registry.actors import job
from registry.lifecycle import update_client
from registry.models import Client, PolicyRecord, SingleUseValue
from registry.outbound import use_fetcher
from tests.authserver.authorization.support import AUTHORIZE, CALLBACK, Flow, make_app, page, parameters, request_object, said
from tests.authserver.support import FORM, Caller, key
from tests.conftest import Cast

METADATA = "/.well-known/openid-configuration"
ES384 = generate_private_key("ES384")


def send(flow: Flow, token: str, **outside: Any) -> Any:
    """Send a request object with client_id and `outside` beside it."""
    query = {"client_id": flow.app.client_id, "request": token, **outside}
    return flow.browser.get(AUTHORIZE, {name: value for name, value in query.items() if value is not None})


def accepted(answer: Any) -> bool:
    """Say whether a request was kept; otherwise it is a page that leads nowhere."""
    if answer.status_code == 302:
        return True
    page(answer)
    return False


def forged(flow: Flow, header: dict[str, Any], signature: str = "") -> str:
    """Return a request object with any header."""
    from protocol.jose.base64url import encode_base64url

    seconds = int(time.time())
    claims = {**parameters(flow.app), "iss": flow.app.client_id, "aud": settings.ISSUER, "exp": seconds + 60}
    parts = [encode_base64url(json.dumps(part).encode()) for part in (header, claims)]
    return ".".join([*parts, signature])


@pytest.mark.spec("JAR-02", "JAR-12")
@pytest.mark.parametrize("outside", [{}, {"response_type": "code", "scope": "openid"}])
def test_a_signed_request_needs_nothing_but_client_id_outside(flow: Flow, outside: dict[str, str]) -> None:
    started = send(flow, request_object(flow.app), **outside)
    code = flow.finish(started)
    row = AuthorizationRequest.objects.get()
    assert row.origin == "request_object"
    assert flow.exchange(code).status_code == 200


@pytest.mark.spec("JAR-01")
@pytest.mark.parametrize("algorithm", ["ES256", "PS256", "RS256", "Ed25519", "EdDSA"])
def test_every_published_algorithm_works(cast: Cast, now: Any, server_keys: None, flow: Flow, algorithm: str) -> None:
    assert algorithm in flow.browser.get(METADATA).json()["request_object_signing_alg_values_supported"]
    signer = key(algorithm)
    app = make_app(cast.organization, now, jwks={"keys": [signer.public_jwk()]}, request_object_signing_alg=algorithm)
    assert accepted(send(Flow(app), request_object(app, signer=signer)))


@pytest.mark.spec("JAR-01")
@pytest.mark.threat("J02")
def test_nothing_unsigned_is_a_signed_request(flow: Flow) -> None:
    for algorithm in ("none", "None", "NONE", "", "HS256", ["ES256"], None):
        for signature in ("", "AAAA"):
            assert not accepted(send(flow, forged(flow, {"alg": algorithm, "typ": "oauth-authz-req+jwt"}, signature))), algorithm
    assert not accepted(send(flow, request_object(flow.app).rpartition(".")[0] + "."))
    assert not accepted(send(flow, request_object(flow.app)[:-6] + "AAAAAA"))
    encrypted = "eyJhbGciOiJSU0EtT0FFUCIsImVuYyI6IkEyNTZHQ00ifQ.a.b.c.d"
    assert not accepted(send(flow, encrypted))


@pytest.mark.spec("JAR-01")
def test_an_algorithm_that_is_not_published_is_refused(cast: Cast, now: Any, server_keys: None, flow: Flow) -> None:
    app = make_app(cast.organization, now, jwks={"keys": [ES384.public_jwk(), key().public_jwk()]})
    assert not accepted(send(Flow(app), request_object(app, signer=ES384)))
    assert accepted(send(Flow(app), request_object(app, signer=key())))
    PolicyRecord.objects.create(organization=None, values={"client_assertion_algorithms": ["PS256"]})
    assert not accepted(send(Flow(app), request_object(app, signer=key())))


@pytest.mark.spec("JAR-01")
def test_only_the_registered_algorithm_counts(new_app: Callable[..., Caller]) -> None:
    both = {"keys": [key().public_jwk(), key("PS256").public_jwk()]}
    app = new_app(jwks=both, request_object_signing_alg="PS256")
    assert not accepted(send(Flow(app), request_object(app, signer=key())))
    assert accepted(send(Flow(app), request_object(app, signer=key("PS256"))))


@pytest.mark.spec("JAR-01")
@pytest.mark.threat("J03")
def test_only_a_registered_key_counts(flow: Flow, new_app: Callable[..., Caller]) -> None:
    foreign = generate_private_key("ES256")
    assert not accepted(send(flow, request_object(flow.app, signer=foreign)))
    seconds = int(time.time())
    claims = {**parameters(flow.app), "iss": flow.app.client_id, "aud": settings.ISSUER, "exp": seconds + 60}
    for headers in (
        {"jwk": foreign.public_jwk()},
        {"jku": "https://evil.example"},
        {"x5c": ["x"]},
        {"crit": ["exp"]},
        {"trust_chain": ["x"]},
    ):
        assert not accepted(send(flow, issue_jwt(claims, foreign, typ="oauth-authz-req+jwt", headers=headers))), headers


@pytest.mark.spec("JAR-02")
def test_client_id_stands_outside_and_is_equal_inside(flow: Flow, new_app: Callable[..., Caller]) -> None:
    other = new_app()
    good = request_object(flow.app)
    assert not accepted(send(flow, good, client_id=None))
    assert not accepted(send(flow, good, client_id=other.client_id))
    assert not accepted(send(flow, request_object(flow.app, client_id=None)))
    assert not accepted(send(flow, request_object(flow.app, client_id=other.client_id)))
    assert not accepted(send(flow, request_object(flow.app, client_id=other.client_id), client_id=other.client_id))
    assert accepted(send(flow, good))


@pytest.mark.spec("JAR-02")
def test_request_and_request_uri_do_not_stand_together(flow: Flow) -> None:
    for request_uri in ("https://app.lighthouse.example/r", flow.pushed()):
        assert "invalid_request" in page(send(flow, request_object(flow.app), request_uri=request_uri))


@pytest.mark.spec("JAR-03")
def test_what_stands_outside_is_forgotten(flow: Flow) -> None:
    outside = {
        "redirect_uri": "https://evil.example/", "scope": "openid profile email", "state": "outside", "nonce": "outside", "prompt": "none",
        "code_challenge": "A" * 43, "response_mode": "form_post", "max_age": "0", "login_hint": "x@y.example", "response_type": "token",
    }  # fmt: skip
    started = send(flow, request_object(flow.app, scope="openid", state=None, nonce=None), **outside)
    kept = AuthorizationRequest.objects.get().parameters
    assert (kept["redirect_uri"], kept["scope"], kept["nonce"], kept["prompt"], kept["response_mode"]) == (
        CALLBACK,
        ["openid"],
        "",
        [],
        "query",
    )
    assert set(said(flow.allow(started))) == {"code", "iss"}  # no state


@pytest.mark.spec("JAR-03", "JAR-11")
def test_an_error_is_told_with_the_state_inside_to_the_address_inside(flow: Flow) -> None:
    answer = send(flow, request_object(flow.app, scope="nothing", state="inside"), state="outside", redirect_uri="https://evil.example/")
    assert answer["Location"].startswith(CALLBACK)
    assert said(answer)["state"] == "inside"
    assert "state" not in said(send(flow, request_object(flow.app, scope="nothing", state=None), state="outside"))


@pytest.mark.spec("JAR-11")
@pytest.mark.threat("O05")
def test_nothing_is_redirected_before_the_object_is_verified(flow: Flow) -> None:
    foreign = generate_private_key("ES256")
    for token in (
        request_object(flow.app, signer=foreign),
        request_object(flow.app, redirect_uri="https://evil.example/"),
        request_object(flow.app, redirect_uri=None),
        request_object(flow.app, redirect_uri=CALLBACK + "/"),
        request_object(flow.app, exp=1, iat=1),
        "garbage",
        "a.b.c",
        "x" * 70_000,
    ):
        page(
            flow.browser.post(
                AUTHORIZE, urlencode({"client_id": flow.app.client_id, "request": token, "redirect_uri": CALLBACK}), content_type=FORM
            )
        )


@pytest.mark.spec("JAR-04")
def test_the_codes_are_those_of_the_standard(flow: Flow) -> None:
    assert "invalid_request_object" in page(send(flow, "garbage"))
    assert "invalid_request_object" in page(send(flow, request_object(flow.app, signer=generate_private_key("ES256"))))
    assert "invalid_request_object" in page(send(flow, request_object(flow.app, aud="https://other.example")))
    assert "invalid_request_uri" in page(flow.visit("urn:ietf:params:oauth:request_uri:par_unknown"))
    assert "request_uri_not_supported" in page(flow.visit("https://app.lighthouse.example/r"))


@pytest.mark.spec("JAR-05")
@pytest.mark.parametrize("name", ["request", "request_uri"])
@pytest.mark.parametrize("value", ["x", "", None, "https://app.lighthouse.example/r"])
def test_a_request_holds_no_request(flow: Flow, name: str, value: str | None) -> None:
    seconds = int(time.time())
    claims = {**parameters(flow.app), "iss": flow.app.client_id, "aud": settings.ISSUER, "exp": seconds + 60, name: value}
    assert not accepted(send(flow, issue_jwt(claims, key(), typ="oauth-authz-req+jwt")))


@pytest.mark.spec("JAR-06")
@pytest.mark.threat("J15")
def test_issuer_audience_and_times_follow_the_rules(flow: Flow) -> None:
    now = int(time.time())
    issuer = settings.ISSUER
    table: list[tuple[dict[str, Any], bool]] = [
        ({}, True),
        ({"iss": None}, False),
        ({"iss": "someone"}, False),
        ({"iss": issuer}, False),
        ({"aud": None}, False),
        ({"aud": "https://other.example"}, False),
        ({"aud": issuer + "/"}, False),
        ({"aud": issuer + "/oauth/authorize"}, False),
        ({"aud": []}, False),
        ({"aud": [issuer]}, True),
        ({"aud": [issuer, "https://other.example"]}, True),
        ({"aud": ["https://other.example"]}, False),
        ({"aud": 1}, False),
        ({"exp": None}, False),
        ({"exp": now - 70, "iat": now - 100}, False),
        ({"exp": now - 50, "iat": now - 100}, True),
        ({"exp": str(now + 60)}, False),
        ({"exp": True}, False),
        ({"exp": now + 299, "iat": now}, True),
        ({"exp": now + 302, "iat": now}, False),
        ({"exp": now + 10_000, "iat": None}, False),
        ({"iat": now + 8, "nbf": now + 8}, True),
        ({"nbf": now + 70, "exp": now + 100}, False),
        ({"iat": now + 70, "exp": now + 100}, False),
        ({"nbf": now - 3601, "exp": now + 60}, False),
        ({"nbf": now - 10, "exp": now + 3700}, False),
        ({"nbf": "soon"}, False),
    ]
    for changes, good in table:
        assert accepted(send(flow, request_object(flow.app, **changes))) is good, changes


@pytest.mark.spec("JAR-07")
@pytest.mark.threat("J05")
def test_the_type_keeps_other_jwts_out(flow: Flow) -> None:
    for typ, good in (
        ("oauth-authz-req+jwt", True),
        ("JWT", True),
        (None, True),
        ("jwt", False),
        ("at+jwt", False),
        ("entity-statement+jwt", False),
        ("client-authentication+jwt", False),
        ("OAUTH-AUTHZ-REQ+JWT", False),
        ("application/oauth-authz-req+jwt", False),
        ("", False),
    ):
        assert accepted(send(flow, request_object(flow.app, typ=typ))) is good, typ


@pytest.mark.spec("JAR-07")
@pytest.mark.threat("J05")
def test_a_client_assertion_or_an_id_token_is_no_request(flow: Flow) -> None:
    assert not accepted(send(flow, flow.app.assertion()))
    assert not accepted(send(flow, request_object(flow.app, sub=flow.app.client_id, typ="JWT")))
    assert not accepted(send(flow, flow.tokens()["id_token"]))
    assert not accepted(send(flow, request_object(flow.app, sub=flow.app.client_id)))
    assert not accepted(send(flow, request_object(flow.app, sub="somebody")))


@pytest.mark.spec("JAR-07")
def test_a_request_is_no_client_assertion(flow: Flow) -> None:
    form = {"client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer", "client_assertion": request_object(flow.app)}
    answer = flow.browser.post("/oauth/token", urlencode({"grant_type": "authorization_code", "code": "x", **form}), content_type=FORM)
    assert answer.json()["error"] == "invalid_client"


@pytest.mark.spec("JAR-09")
@pytest.mark.threat("J16", "J17")
def test_a_jti_counts_once_and_only_once_it_is_signed(flow: Flow, new_app: Callable[..., Caller]) -> None:
    assert not accepted(send(flow, request_object(flow.app, jti="one", signer=generate_private_key("ES256"))))
    assert not SingleUseValue.objects.exists()
    token = request_object(flow.app, jti="one")
    assert accepted(send(flow, token))
    assert not accepted(send(flow, token))
    assert not accepted(send(flow, request_object(flow.app, jti="one", state="other")))
    assert flow.push(request=request_object(flow.app, jti="one"), **dict.fromkeys(parameters(flow.app))).status_code == 400
    other = new_app()
    assert accepted(send(Flow(other), request_object(other, jti="one")))
    assert (
        flow.post("/oauth/token", grant_type="refresh_token", refresh_token="x").json()["error"] == "invalid_grant"
    )  # assertions have their own


@pytest.mark.spec("JAR-09")
def test_a_request_without_jti_may_come_again(flow: Flow) -> None:
    token = request_object(flow.app, jti=None)
    assert accepted(send(flow, token))
    assert accepted(send(flow, token))
    for value in ("", 5, ["x"]):
        assert not accepted(send(flow, request_object(flow.app, jti=value)))


@pytest.mark.spec("JAR-10")
def test_an_app_that_must_sign_cannot_ask_without(new_app: Callable[..., Caller], cast: Cast) -> None:
    app = new_app(require_signed_request_object=True)
    flow = Flow(app)
    refused = said(flow.start())
    assert refused["error"] == "invalid_request"
    assert "iss" in refused
    assert flow.push().json()["error"] == "invalid_request"
    assert accepted(send(flow, request_object(app)))
    outside = dict.fromkeys(parameters(app))
    assert flow.push(**{**outside, "request": request_object(app)}).status_code == 201


@pytest.mark.spec("JAR-10")
def test_a_server_that_wants_signatures_gets_them_everywhere_and_says_so(flow: Flow) -> None:
    assert flow.browser.get(METADATA).json()["require_signed_request_object"] is False
    PolicyRecord.objects.create(organization=None, values={"require_signed_request_object": True})
    assert said(flow.start())["error"] == "invalid_request"
    assert flow.push().json()["error"] == "invalid_request"
    assert accepted(send(flow, request_object(flow.app)))
    outside = dict.fromkeys(parameters(flow.app))
    assert flow.push(**{**outside, "request": request_object(flow.app)}).status_code == 201
    from authserver.documents import metadata_snapshot

    metadata_snapshot.forget()
    document = flow.browser.get(METADATA).json()
    assert document["require_signed_request_object"] is True
    assert document["request_parameter_supported"] is True


@pytest.mark.spec("JAR-08")
def test_metadata_says_that_references_are_not_followed(flow: Flow) -> None:
    for path in (METADATA, "/.well-known/oauth-authorization-server"):
        assert flow.browser.get(path).json()["request_uri_parameter_supported"] is False


@pytest.mark.spec("JAR-11")
def test_sixty_kilobytes_fit_into_a_post_and_more_than_sixty_four_do_not(flow: Flow) -> None:
    def post(token: str) -> Any:
        return flow.browser.post(AUTHORIZE, urlencode({"client_id": flow.app.client_id, "request": token}), content_type=FORM)

    def padded(count: int) -> str:
        return request_object(flow.app, **{f"x{number}": "y" * 1000 for number in range(count)})

    large = padded(44)
    assert 59_000 < len(large) < 64 * 1024
    assert accepted(post(large))
    assert not accepted(post(padded(50)))
    assert "too_large" not in page(post("x" * 255_000), 413)


@pytest.mark.spec("JAR-03")
def test_values_inside_are_texts_numbers_or_objects(flow: Flow) -> None:
    assert accepted(send(flow, request_object(flow.app, max_age=100_000, claims={"id_token": {"email": None}})))
    kept = AuthorizationRequest.objects.get().parameters
    assert (kept["max_age"], kept["claims"]["id_token"]) == (100_000, ["email"])
    for changes in ({"scope": ["openid"]}, {"state": 1.5}, {"state": True}, {"nonce": ["x"]}, {"redirect_uri": [CALLBACK]}):
        assert not accepted(send(flow, request_object(flow.app, **changes))), changes


@pytest.mark.threat("J12")
def test_hostile_objects_are_answered(flow: Flow) -> None:
    for changes in (
        {"state": "\0"},
        {"state": "\x7f\u202e"},
        {"nonce": "\0"},
        {"claims": {"\0": 1}},
        {"state": "x" * 3000},
        {"max_age": 10**400},
    ):
        answer = send(flow, request_object(flow.app, **changes))
        assert answer.status_code < 500, changes
        if answer.status_code == 302:
            assert flow.go_on(answer).status_code == 200, changes


def test_an_object_comes_by_post_as_well(flow: Flow) -> None:
    body = urlencode({"client_id": flow.app.client_id, "request": request_object(flow.app)})
    started = flow.browser.post(AUTHORIZE, body, content_type=FORM, headers={"Origin": "https://app.lighthouse.example"})
    assert flow.exchange(flow.finish(started)).status_code == 200


@pytest.mark.threat("O10")
def test_nothing_is_fetched_for_an_app_that_may_not_act(new_app: Callable[..., Caller]) -> None:
    app = new_app(jwks=None, jwks_uri="https://keys.lighthouse.example/jwks")
    Client.objects.filter(pk=app.client.pk).update(state="suspended")
    page(send(Flow(app), request_object(app)))  # where fetching fails the test


def test_the_keys_may_stand_behind_a_jwks_uri(new_app: Callable[..., Caller]) -> None:
    uri = "https://app.lighthouse.example/jwks.json"
    app = new_app(jwks=None, jwks_uri=uri)
    keys = Page(json.dumps({"keys": [key().public_jwk()]}).encode(), "application/jwk-set+json")
    with use_fetcher(fetcher := InMemoryFetcher({uri: keys})):
        assert accepted(send(Flow(app), request_object(app)))
        assert accepted(send(Flow(app), request_object(app)))
        for _ in range(20):
            assert not accepted(send(Flow(app), request_object(app, signer=generate_private_key("ES256"))))
        assert fetcher.total == 1


def test_an_object_counts_for_an_app_without_client_authentication_too(new_app: Callable[..., Caller]) -> None:
    app = new_app("none", jwks={"keys": [key().public_jwk()]})
    assert accepted(send(Flow(app), request_object(app)))


def test_a_changed_key_ends_what_was_signed_before(flow: Flow, now: Any) -> None:
    token = request_object(flow.app)
    document = {**flow.app.client.metadata, "jwks": {"keys": [generate_private_key("ES256").public_jwk()]}}
    update_client(flow.app.client, job("test"), document, now=now)
    assert not accepted(send(flow, token))
