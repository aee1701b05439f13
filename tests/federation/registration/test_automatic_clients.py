"""Clients that registered automatically: pushed requests, tokens, how they authenticate, and how long they last (12.1.1.2 to 12.1.4)."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.test import Client as Browser

from authserver.models import AuthorizationRequest
from federation.core.issuing import build_jwks
from federation.models import TrustAnchorRecord
from federation.simulator import Fault
from protocol.constants import CLIENT_ASSERTION_TYPE
from protocol.jose import generate_private_key, issue_jwt, parse_unverified
from registry.actors import job
from registry.lifecycle import change_client, register_client
from registry.models import Client, ClientSecret
from tests.authserver.authorization.support import CHALLENGE, VERIFIER, Flow, sign_in
from tests.conftest import Cast
from tests.federation.registration.sending import (
    TOKEN,
    WAYS,
    accepted,
    assert_nothing_written,
    every_way,
    pushed,
    refusal,
    said,
    send,
    with_another_signature,
)
from tests.federation.registration.support import HARBOUR, ISSUER, LIGHTHOUSE, NORTHLIGHT, TIDEWATER, RelyingParty, World

# Pushed requests.


@pytest.mark.spec("FED-AUT-28", "FED-AUT-31")
@pytest.mark.parametrize("named", [True, False], ids=["with client_id", "without client_id"])
def test_a_request_object_is_all_that_a_push_needs(lighthouse: RelyingParty, world: World, named: bool) -> None:
    for _ in range(2):
        parameters = {"request": lighthouse.request_object(), **({"client_id": LIGHTHOUSE} if named else {})}
        answer = world.post("/oauth/par", parameters)
        assert accepted(answer)
        visit = world.browser.get("/oauth/authorize", {"client_id": LIGHTHOUSE, "request_uri": answer.json()["request_uri"]})
        assert accepted(visit)


@pytest.mark.spec("FED-AUT-28", "FED-AUT-31")
def test_an_assertion_is_all_the_authentication_that_a_push_needs(lighthouse: RelyingParty, world: World) -> None:
    for parameters in (pushed(lighthouse), pushed(lighthouse, client_id=None), {"request": lighthouse.request_object()}):
        assert accepted(lighthouse.push(**parameters))
    assert world.fetched(LIGHTHOUSE) == 1


@pytest.mark.spec("FED-AUT-29")
@pytest.mark.threat("T11")
@pytest.mark.parametrize(
    "aud",
    [ISSUER + "/oauth/par", ISSUER + TOKEN, ISSUER + "/", [ISSUER, ISSUER + "/oauth/par"], [ISSUER], "https://other.example", [], None],
    ids=str,
)
def test_the_audience_of_a_pushed_assertion_is_this_server_alone(lighthouse: RelyingParty, world: World, aud: Any) -> None:
    assert refusal(lighthouse.push(lighthouse.assertion(aud=aud), **pushed(lighthouse))) == "invalid_client"
    assert world.fetcher.requests == ()
    assert_nothing_written()
    assert accepted(lighthouse.push(**pushed(lighthouse)))
    assert refusal(lighthouse.push(lighthouse.assertion(aud=aud), **pushed(lighthouse))) == "invalid_client"


@pytest.mark.spec("FED-AUT-05", "FED-AUT-28")
@pytest.mark.threat("T11")
@pytest.mark.parametrize(
    "changes",
    [{"iss": TIDEWATER}, {"sub": TIDEWATER}, {"jti": None}, {"exp": None}, {"exp": 1_000_000_000}, {"iss": None}, {"headers": {"jwk": {}}}],
    ids=lambda changes: next(iter(changes)),
)
def test_an_assertion_that_is_not_as_it_must_be_is_refused_before_any_fetch(
    lighthouse: RelyingParty, world: World, changes: dict[str, Any]
) -> None:
    answer = lighthouse.push(lighthouse.assertion(**changes), **pushed(lighthouse, client_id=None))
    assert refusal(answer) == "invalid_client"
    assert world.fetcher.requests == ()
    assert_nothing_written()


@pytest.mark.spec("FED-AUT-28", "FED-AUT-31")
@pytest.mark.threat("T11")
def test_only_a_protocol_key_authenticates_a_push(lighthouse: RelyingParty, world: World) -> None:
    signers = (lighthouse.entity.keys[0], generate_private_key("ES256"), replace(generate_private_key("ES256"), kid=lighthouse.key.kid))
    for signer in signers:
        assert refusal(lighthouse.push(lighthouse.assertion(key=signer), **pushed(lighthouse))) == "invalid_client"
    assert_nothing_written()
    assert accepted(lighthouse.push(**pushed(lighthouse)))
    for signer in signers:
        assert refusal(lighthouse.push(lighthouse.assertion(key=signer), **pushed(lighthouse))) == "invalid_client"


@pytest.mark.spec("FED-AUT-12", "FED-AUT-28")
def test_a_request_object_is_no_assertion_and_an_assertion_no_request_object(lighthouse: RelyingParty, world: World) -> None:
    assert refusal(lighthouse.push(lighthouse.request_object(), **pushed(lighthouse))) == "invalid_client"
    assert refusal(send(lighthouse, "PAR", lighthouse.assertion())) == "invalid_request_object"
    both = {**lighthouse.request_claims(), "sub": LIGHTHOUSE, "exp": int(time.time()) + 60}
    assert refusal(send(lighthouse, "PAR", issue_jwt(both, lighthouse.key, typ="JWT"))) == "invalid_request_object"
    assert refusal(lighthouse.push(issue_jwt(both, lighthouse.key, typ="JWT"), **pushed(lighthouse))) == "invalid_client"
    assert_nothing_written()


@pytest.mark.spec("FED-AUT-28")
def test_a_request_object_inside_an_authenticated_push_is_checked_too(lighthouse: RelyingParty, world: World) -> None:
    other = world.add(TIDEWATER)
    for request in (lighthouse.request_object(generate_private_key("ES256")), other.request_object(), lighthouse.request_object(sub="x")):
        answer = lighthouse.push(request=request)
        assert refusal(answer) in ("invalid_request_object", "invalid_request")
    assert not AuthorizationRequest.objects.exists()


# The whole way to tokens.


@pytest.fixture
def person(cast: Cast) -> Browser:
    """The browser of a person who is signed in and belongs to no organization."""
    EmailAddress.objects.create(user=cast.stranger, email=cast.stranger.email, verified=True, primary=True)
    browser = Browser(SERVER_NAME="127.0.0.1")
    sign_in(browser, cast.stranger)
    return browser


def code_for(party: RelyingParty, browser: Browser, **changes: Any) -> str:
    """Return a code, with consent."""
    started = party.authorize(party.request_object(**changes), browser=browser)
    return Flow(None, browser).finish(started)  # type: ignore[arg-type]


def exchange(party: RelyingParty, code: str, assertion: str | None = None, **more: str) -> Any:
    """Exchange a code."""
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": party.callback, **more}
    return party.world.post(TOKEN, {**form, **party.authentication(assertion)})


@pytest.mark.spec("FED-AUT-02", "FED-AUT-03", "FED-AUT-05")
def test_the_flow_goes_on_to_tokens_without_pkce_nonce_and_state(lighthouse: RelyingParty, person: Browser, cast: Cast) -> None:
    started = lighthouse.authorize(browser=person)
    answer = person.post(started["Location"], {"answer": "allow"})
    assert answer["Location"].startswith(lighthouse.callback + "?")
    assert set(said(answer)) == {"code", "iss"}
    tokens = exchange(lighthouse, said(answer)["code"]).json()
    claims = parse_unverified(tokens["id_token"], max_length=100_000).unverified_claims
    assert (claims["iss"], claims["aud"], claims["sub"]) == (ISSUER, LIGHTHOUSE, str(cast.stranger.sub))
    assert "nonce" not in claims
    told = person.get("/oauth/userinfo", headers={"Authorization": f"Bearer {tokens['access_token']}"})
    assert told.json()["sub"] == str(cast.stranger.sub)
    assert not ClientSecret.objects.exists()


def test_the_nonce_and_state_inside_the_object_come_back(lighthouse: RelyingParty, person: Browser) -> None:
    started = lighthouse.authorize(lighthouse.request_object(nonce="n-1", state="s-1"), browser=person)
    answer = said(person.post(started["Location"], {"answer": "allow"}))
    claims = parse_unverified(exchange(lighthouse, answer["code"]).json()["id_token"], max_length=100_000).unverified_claims
    assert (answer["state"], claims["nonce"]) == ("s-1", "n-1")


def test_a_pushed_request_leads_to_tokens(lighthouse: RelyingParty, world: World, person: Browser) -> None:
    request_uri = lighthouse.push(**pushed(lighthouse)).json()["request_uri"]
    started = person.get("/oauth/authorize", {"client_id": LIGHTHOUSE, "request_uri": request_uri})
    code = Flow(None, person).finish(started)  # type: ignore[arg-type]
    assert exchange(lighthouse, code).status_code == 200


@pytest.mark.parametrize(
    ("challenge", "verifier", "good"),
    [
        ({"code_challenge": CHALLENGE, "code_challenge_method": "S256"}, {"code_verifier": VERIFIER}, True),
        ({"code_challenge": CHALLENGE, "code_challenge_method": "S256"}, {"code_verifier": "x" * 43}, False),
        ({"code_challenge": CHALLENGE, "code_challenge_method": "S256"}, {}, False),
        ({}, {"code_verifier": VERIFIER}, False),
        ({}, {"code_verifier": "x"}, False),
        ({}, {}, True),
    ],
    ids=["both", "wrong verifier", "challenge alone", "verifier alone", "a bad verifier alone", "neither"],
)
@pytest.mark.threat("O08")
def test_nobody_takes_pkce_out_of_a_flow_that_has_it(
    lighthouse: RelyingParty, person: Browser, challenge: dict[str, str], verifier: dict[str, str], good: bool
) -> None:
    answer = exchange(lighthouse, code_for(lighthouse, person, **challenge), **verifier)
    assert answer.status_code == (200 if good else 400), answer.content
    assert good or answer.json()["error"] == "invalid_grant"


@pytest.mark.parametrize(
    "challenge",
    [{"code_challenge": CHALLENGE}, {"code_challenge_method": "S256"}, {"code_challenge": CHALLENGE, "code_challenge_method": "plain"}],
    ids=["no method", "no challenge", "plain"],
)
@pytest.mark.threat("O08")
def test_half_a_challenge_is_none(lighthouse: RelyingParty, challenge: dict[str, str]) -> None:
    assert said(lighthouse.authorize(lighthouse.request_object(**challenge)))["error"] == "invalid_request"


@pytest.mark.spec("FED-AUT-37")
@pytest.mark.parametrize(
    ("aud", "good"),
    [
        (ISSUER, True),
        (ISSUER + TOKEN, True),
        (ISSUER + "/", False),
        (ISSUER + "/oauth/par", False),
        ([ISSUER, ISSUER + TOKEN], False),
        ([ISSUER], False),
        ("https://other.example", False),
    ],
    ids=str,
)
def test_at_the_token_endpoint_both_names_of_this_server_will_do(lighthouse: RelyingParty, person: Browser, aud: Any, good: bool) -> None:
    answer = exchange(lighthouse, code_for(lighthouse, person), lighthouse.assertion(aud=aud))
    assert answer.status_code == (200 if good else 401), answer.content


@pytest.mark.spec("FED-AUT-03", "FED-AUT-37")
def test_an_entity_gets_tokens_by_its_key_alone(lighthouse: RelyingParty, world: World, person: Browser) -> None:
    code = code_for(lighthouse, person)
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": lighthouse.callback, "client_id": LIGHTHOUSE}
    for credentials in (
        {},
        {"client_secret": ""},
        {"client_secret": "secret"},
        lighthouse.authentication(lighthouse.assertion(key=lighthouse.entity.keys[0])),
    ):
        assert refusal(world.post(TOKEN, {**form, **credentials})) == "invalid_client"
    assertion = lighthouse.assertion()
    assert exchange(lighthouse, code, assertion).status_code == 200
    assert refusal(exchange(lighthouse, code, assertion)) == "invalid_client"


# What an entity may say about how it registers and authenticates.


@pytest.mark.spec("FED-AUT-39")
@pytest.mark.parametrize(
    ("types", "good"),
    [(None, True), (["automatic"], True), (["explicit", "automatic"], True), (["explicit"], False), ([], False), ("automatic", False)],
    ids=str,
)
def test_an_entity_registers_in_the_way_that_it_names(world: World, types: Any, good: bool) -> None:
    party = world.add(client_registration_types=types)
    answer = send(party, "PAR", party.request_object())
    assert accepted(answer) if good else refusal(answer) == "invalid_metadata"


@pytest.mark.spec("FED-AUT-03", "FED-AUT-37", "FED-AUT-38", "FED-AUT-30")
@pytest.mark.threat("T06")
@pytest.mark.parametrize(
    ("declared", "good"),
    [
        ({"token_endpoint_auth_method": None}, True),
        ({"token_endpoint_auth_method": "private_key_jwt"}, True),
        ({"token_endpoint_auth_method": None, "token_endpoint_auth_methods_supported": ["client_secret_basic", "private_key_jwt"]}, True),
        (
            {
                "token_endpoint_auth_method": "tls_client_auth",
                "token_endpoint_auth_methods_supported": ["tls_client_auth", "private_key_jwt"],
            },
            True,
        ),
        ({"token_endpoint_auth_method": "private_key_jwt", "token_endpoint_auth_methods_supported": ["client_secret_basic"]}, True),
        ({"token_endpoint_auth_method": None, "token_endpoint_auth_methods_supported": ["client_secret_basic"]}, False),
        ({"token_endpoint_auth_method": None, "token_endpoint_auth_methods_supported": []}, False),
        ({"token_endpoint_auth_method": None, "token_endpoint_auth_methods_supported": "private_key_jwt"}, False),
        ({"token_endpoint_auth_method": "client_secret_basic"}, False),
        ({"token_endpoint_auth_method": "client_secret_post"}, False),
        ({"token_endpoint_auth_method": "client_secret_jwt"}, False),
        ({"token_endpoint_auth_method": "none"}, False),
        ({"token_endpoint_auth_method": "self_signed_tls_client_auth"}, False),
    ],
    ids=str,
)
def test_an_automatic_client_signs_and_never_gets_a_secret(world: World, declared: dict[str, Any], good: bool) -> None:
    party = world.add(**declared)
    answer = send(party, "PAR", party.request_object())
    if good:
        assert accepted(answer)
        assert party.client.metadata["token_endpoint_auth_method"] == party.client.token_endpoint_auth_method == "private_key_jwt"
        assert b"secret" not in answer.content
    else:
        assert refusal(answer) == "invalid_metadata"
        assert_nothing_written()
    assert not ClientSecret.objects.exists()


@pytest.mark.spec("FED-AUT-01")
def test_the_server_says_that_entities_register_automatically(world: World) -> None:
    told = world.browser.get("/.well-known/openid-federation").content.decode()
    metadata = parse_unverified(told, max_length=100_000).unverified_claims["metadata"]
    for entity_type in ("openid_provider", "oauth_authorization_server"):
        assert "automatic" in metadata[entity_type]["client_registration_types_supported"]


# Machine clients at the token endpoint.


def client_credentials(party: RelyingParty, **assertion: Any) -> Any:
    """Ask for a token as a machine."""
    form = {"grant_type": "client_credentials", "scope": "bookings.read"}
    return party.world.post(TOKEN, {**form, **party.authentication(party.assertion(**assertion))})


@pytest.mark.spec("FED-AUT-05", "FED-AUT-24")
@pytest.mark.threat("F14", "T08", "T11")
def test_nobody_is_discovered_at_the_token_endpoint(cast: Cast, world: World) -> None:
    machine = world.add_machine("https://machine.example")
    assert refusal(client_credentials(machine)) == "invalid_client"
    chain = {"trust_chain": machine.chain()}
    assert client_credentials(machine, headers=chain).json()["error"] == "access_denied"
    TrustAnchorRecord.objects.update(registers_at_token_endpoint=True)
    forged = {"trust_chain": [with_another_signature(chain["trust_chain"][0]), *chain["trust_chain"][1:]]}
    assert refusal(client_credentials(machine, headers=forged)) == "invalid_client"
    assert refusal(client_credentials(machine, headers=chain, key=machine.entity.keys[0])) == "invalid_client"
    assert_nothing_written()
    assert client_credentials(machine, headers=chain).status_code == 200
    assert (world.fetcher.requests, machine.client.grant_types) == ((), ["client_credentials"])
    assert client_credentials(machine).status_code == 200


@pytest.mark.spec("FED-AUT-05")
@pytest.mark.parametrize("path", [TOKEN, "/oauth/introspect", "/oauth/revoke"])
def test_no_other_endpoint_registers_anybody(lighthouse: RelyingParty, world: World, path: str) -> None:
    form = {"grant_type": "authorization_code", "code": "c", "redirect_uri": lighthouse.callback, "token": "t"}
    assert refusal(world.post(path, {**form, **lighthouse.authentication()})) == "invalid_client"
    assert world.fetcher.requests == ()
    assert_nothing_written()


# Clients and their registration in time.


@pytest.mark.spec("FED-REG-07")
def test_a_client_of_another_origin_is_not_taken_over(lighthouse: RelyingParty, world: World, cast: Cast, now: datetime) -> None:
    jwks = build_jwks([generate_private_key("ES256")])
    document = {
        "client_name": "Other",
        "grant_types": ["client_credentials"],
        "token_endpoint_auth_method": "private_key_jwt",
        "jwks": jwks,
    }
    other = register_client(job("test"), cast.organization, document, now=now)
    Client.objects.filter(pk=other.pk).update(client_id=LIGHTHOUSE)
    for way in WAYS:
        assert refusal(send(lighthouse, way, lighthouse.request_object())).startswith("invalid_")
    assert refusal(lighthouse.push(**pushed(lighthouse))) == "invalid_client"
    assert world.fetcher.requests == ()
    assert (lighthouse.client.source, lighthouse.client.trust, lighthouse.client.metadata["jwks"]) == (
        "manual",
        "none",
        other.metadata["jwks"],
    )


@pytest.mark.spec("FED-REG-03", "FED-REG-08")
def test_a_registration_lasts_as_long_as_its_chain(world: World, lighthouse: RelyingParty) -> None:
    world.federation.entities[HARBOUR].lifetime = 3600
    assert accepted(lighthouse.authorize())
    ends = min(parse_unverified(entry, max_length=100_000).unverified_claims["exp"] for entry in lighthouse.record.statements)
    assert lighthouse.client.trust_expires_at is not None
    assert lighthouse.client.trust_expires_at.timestamp() == ends
    assert lighthouse.record.resolved_metadata["redirect_uris"] == [lighthouse.callback]
    assert (lighthouse.record.anchor, len(lighthouse.record.statements)) == (NORTHLIGHT, 4)


@pytest.mark.spec("FED-REG-03", "FED-REG-06")
@every_way
def test_past_the_end_of_its_chain_an_entity_is_looked_at_anew(world: World, lighthouse: RelyingParty, way: str, now: datetime) -> None:
    assert accepted(lighthouse.authorize())
    first = lighthouse.client
    with world.at(now + timedelta(days=2)):
        world.fetcher.reset_counts()
        assert accepted(send(lighthouse, way, lighthouse.request_object()))
        assert world.fetched(LIGHTHOUSE) == 1
        assert lighthouse.client.pk == first.pk
        assert lighthouse.client.trust_expires_at > first.trust_expires_at
    with world.at(now + timedelta(days=5)):
        lighthouse.entity.fault = Fault.SERVER_ERROR
        answer = send(lighthouse, way, lighthouse.request_object())
        assert (answer.status_code, "Location" in answer) == (503, False)


@pytest.mark.spec("FED-REG-03", "FED-REG-06", "FED-AUT-24")
@pytest.mark.threat("T08")
def test_a_chain_from_before_does_not_bring_back_who_was_expelled(world: World, lighthouse: RelyingParty, now: datetime) -> None:
    assert accepted(lighthouse.authorize())
    for entity in world.federation.entities.values():
        entity.lifetime = 10 * 24 * 3600
    with world.at(now + timedelta(days=2)):
        chain = lighthouse.chain()
        world.federation.expel(HARBOUR, LIGHTHOUSE)
        assert refusal(send(lighthouse, "PAR", lighthouse.request_object(headers={"trust_chain": chain}))) == "invalid_trust_chain"


@pytest.mark.spec("FED-REG-06", "FED-AUT-36")
def test_what_people_decided_stays(world: World, lighthouse: RelyingParty, cast: Cast, now: datetime) -> None:
    assert accepted(lighthouse.authorize())
    change_client(lighthouse.client, "suspend", cast.as_reviewer, now=now, reason="abuse")
    world.fetcher.reset_counts()
    for way in WAYS:
        assert refusal(send(lighthouse, way, lighthouse.request_object())) == "unauthorized_client"
    with world.at(now + timedelta(days=2)):
        for way in WAYS:
            assert refusal(send(lighthouse, way, lighthouse.request_object())) == "unauthorized_client"
    assert world.fetcher.requests == ()
    assert lighthouse.client.state == "suspended"


def test_an_assertion_names_its_type(lighthouse: RelyingParty, world: World) -> None:
    parameters = {**pushed(lighthouse), "client_assertion": lighthouse.assertion(), "client_assertion_type": CLIENT_ASSERTION_TYPE + "x"}
    assert refusal(world.post("/oauth/par", parameters)) == "invalid_client"
    assert_nothing_written()
