"""One method, the registered one, at every endpoint; what a failure tells and costs (RFC 6749, 2.3; threats.md O14, R15)."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import combinations
from typing import Any

import pytest
import time_machine
from django.conf import settings

from authserver import throttling
from authserver.client_authentication import FAILED
from registry import digests, windows
from registry.actors import job
from registry.credentials import create_secret, end_secret
from registry.models import Client, ClientSecret
from tests.authserver.support import (
    ENDPOINTS,
    EVERY_ENDPOINT,
    METHODS,
    TOKEN,
    Caller,
    Credentials,
    assertion_parameters,
    basic,
    counted,
    key,
    outcome,
    raw_basic,
)

Call = Callable[..., Any]
every_endpoint = pytest.mark.parametrize("endpoint", EVERY_ENDPOINT)
OK, REFUSED, MALFORMED = "200", "401 invalid_client", "400 invalid_request"
ENTITY_ID = "https://rp.example:8443/travel?app=1&x=%41"


def merged(caller: Caller, *methods: str) -> tuple[dict[str, str], dict[str, str]]:
    """Return parameters and headers that present several methods at once."""
    parameters: dict[str, str] = {}
    headers: dict[str, str] = {}
    for method in methods:
        more_parameters, more_headers = caller.credentials(method)
        parameters |= more_parameters
        headers |= more_headers
    return parameters, headers


@every_endpoint
@pytest.mark.spec("PKJ-08", "PKJ-10")
@pytest.mark.threat("O14")
@pytest.mark.parametrize("registered", METHODS)
def test_only_the_registered_method_authenticates(caller_by: Call, call: Call, endpoint: str, registered: str) -> None:
    caller = caller_by(registered)
    caller.secret, caller.key = caller.secret or "ccs_none", caller.key or key()
    outcomes = {method: outcome(call(endpoint, *caller.credentials(method))) for method in (*METHODS, "none")}
    assert outcomes == {method: OK if method == registered else REFUSED for method in (*METHODS, "none")}


@every_endpoint
@pytest.mark.spec("PKJ-02")
@pytest.mark.threat("O14")
@pytest.mark.parametrize("registered", METHODS)
def test_two_or_three_methods_are_refused_before_anything_is_computed(
    caller_by: Call, call: Call, endpoint: str, registered: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    caller = caller_by(registered)
    caller.secret, caller.key = caller.secret or "ccs_none", caller.key or key()
    mixes = [merged(caller, *methods) for count in (2, 3) for methods in combinations(METHODS, count)]

    def never(*args: object) -> None:
        raise AssertionError("something was hashed")

    monkeypatch.setattr(digests, "keyed_digest", never)
    monkeypatch.setattr("registry.credentials.digest_of_secret", never)
    with counted() as queries:
        assert {outcome(call(endpoint, *mix)) for mix in mixes} == {MALFORMED}
    assert len(queries) == 0


@every_endpoint
@pytest.mark.threat("O14")
def test_a_parameter_without_a_value_counts_as_left_out(with_secret: Caller, with_key: Caller, call: Call, endpoint: str) -> None:
    names = ("client_secret", "client_assertion", "client_assertion_type", "client_id", "scope")
    assert outcome(call(endpoint, dict.fromkeys(names, ""), with_secret.credentials()[1])) == OK
    assert outcome(call(endpoint, {"client_secret": "", **with_key.credentials()[0]})) == OK
    assert outcome(call(endpoint, {"client_id": with_key.client_id, "client_secret": "", "client_assertion": ""})) == REFUSED


@every_endpoint
@pytest.mark.threat("O14")
def test_a_public_client_gets_nothing_here(make_client: Call, call: Call, endpoint: str) -> None:
    public = make_client(
        token_endpoint_auth_method="none",
        grant_types=["authorization_code"],
        redirect_uris=["https://app.example/cb"],
    )
    Client.objects.filter(pk=public.pk).update(is_resource_server=True)
    expected = {"/oauth/token": "400 unauthorized_client", "/oauth/revoke": OK, "/oauth/introspect": "400 unauthorized_client"}
    assert outcome(call(endpoint, {"client_id": public.client_id})) == expected[endpoint]


@every_endpoint
def test_a_request_without_credentials_is_refused(call: Call, db: None, endpoint: str) -> None:
    for headers in ({}, {"Authorization": ""}, {"Authorization": "Bearer cat_x"}, {"Authorization": "Digest x"}):
        with counted() as queries:
            assert outcome(call(endpoint, {}, headers)) == REFUSED
        assert len(queries) == 0


@every_endpoint
@pytest.mark.spec("PKJ-09")
def test_a_basic_failure_gets_a_basic_challenge(with_secret: Caller, call: Call, endpoint: str) -> None:
    for headers in (
        basic(with_secret.client_id, "wrong"),
        raw_basic(b"no colon"),
        {"Authorization": "Basic"},
        {"Authorization": "basic !"},
    ):
        answer = call(endpoint, {}, headers)
        assert outcome(answer) == REFUSED
        assert answer["WWW-Authenticate"] == f'Basic realm="{settings.ISSUER}"'


BAD_BASIC = {
    "not base64": {"Authorization": "Basic $$$"},
    "no value": {"Authorization": "Basic "},
    "no colon": raw_basic(b"client"),
    "nothing": raw_basic(b""),
    "a colon alone": raw_basic(b":"),
    "not UTF-8": raw_basic(b"\xff\xfe:\xff"),
    "NUL": raw_basic(b"a\0b:c\0d"),
    "an encoded NUL": raw_basic(b"a%00b:c%00d"),
    "an encoded surrogate": raw_basic(b"%ED%A0%80:%ED%A0%80"),
    "bad percent-encoding": raw_basic(b"%zz%:%"),
    "a long name": raw_basic(b"x" * 5000 + b":y"),
    "a long secret": raw_basic(b"x:" + b"y" * 40_000),
    "whitespace in base64": {"Authorization": "Basic " + base64.b64encode(b"a:b").decode() + " x"},
    "base64url": {"Authorization": "Basic __-_"},
}


@every_endpoint
@pytest.mark.parametrize("name", BAD_BASIC)
def test_broken_basic_credentials_are_refused(call: Call, db: None, endpoint: str, name: str) -> None:
    assert outcome(call(endpoint, {}, BAD_BASIC[name])) == REFUSED


@every_endpoint
def test_basic_credentials_of_a_url_are_percent_encoded(with_secret: Caller, call: Call, endpoint: str) -> None:
    Client.objects.filter(pk=with_secret.client.pk).update(client_id=ENTITY_ID)
    assert outcome(call(endpoint, {}, basic(ENTITY_ID, with_secret.secret))) == OK
    assert outcome(call(endpoint, {"client_id": ENTITY_ID}, basic(ENTITY_ID, with_secret.secret))) == OK
    assert outcome(call(endpoint, {}, raw_basic(f"{ENTITY_ID}:{with_secret.secret}".encode()))) == REFUSED


@every_endpoint
def test_client_id_beside_basic_is_the_same_one(with_secret: Caller, call: Call, endpoint: str) -> None:
    _, headers = with_secret.credentials()
    assert outcome(call(endpoint, {"client_id": with_secret.client_id}, headers)) == OK
    assert outcome(call(endpoint, {"client_id": "another"}, headers)) == MALFORMED


@every_endpoint
def test_the_name_of_the_scheme_is_not_case_sensitive(with_secret: Caller, call: Call, endpoint: str) -> None:
    value = with_secret.credentials()[1]["Authorization"].partition(" ")[2]
    assert {outcome(call(endpoint, {}, {"Authorization": f"{scheme} {value}"})) for scheme in ("basic", "BASIC", "Basic ")} == {OK}


@pytest.fixture
def wrong_attempts(caller_by: Call) -> dict[str, dict[str, Credentials]]:
    """Attempts per method that fail: with a client nobody knows, and with a known one and something wrong."""
    unknown = "5f3c7a52-0000-4000-8000-000000000000"
    by_basic, by_post = caller_by("client_secret_basic"), caller_by("client_secret_post")
    return {
        "basic": {
            "unknown": ({}, basic(unknown, "ccs_wrong")),
            "wrong": ({}, basic(by_basic.client_id, "ccs_wrong")),
            "other method": ({}, basic(by_post.client_id, by_post.secret)),
        },
        "post": {
            "unknown": ({"client_id": unknown, "client_secret": "ccs_wrong"}, {}),
            "wrong": ({"client_id": by_post.client_id, "client_secret": "ccs_wrong"}, {}),
            "other method": ({"client_id": by_basic.client_id, "client_secret": by_basic.secret}, {}),
        },
    }


@every_endpoint
@pytest.mark.spec("PKJ-09")
@pytest.mark.threat("R15", "J19")
def test_unknown_client_and_wrong_secret_answer_alike_and_cost_alike(wrong_attempts: Any, call: Call, endpoint: str) -> None:
    for attempts in wrong_attempts.values():
        bodies, costs = {}, {}
        for name, attempt in attempts.items():
            with counted() as queries:
                answer = call(endpoint, *attempt)
            bodies[name] = {member: value for member, value in answer.json().items() if member != "instance"}
            costs[name] = len(queries)
        assert bodies["unknown"] == bodies["wrong"] == bodies["other method"]
        assert bodies["unknown"]["error_description"] == FAILED
        assert set(costs.values()) == {1}, costs


@pytest.mark.threat("R15")
def test_too_many_failures_get_429_while_a_good_client_works(with_secret: Caller, caller_by: Call, post_form: Call) -> None:
    good = caller_by("private_key_jwt")
    wrong = basic(with_secret.client_id, "ccs_wrong")
    answers = [post_form(TOKEN, ENDPOINTS[TOKEN], **wrong) for _ in range(throttling.FAILURES_PER_CLIENT + 1)]
    assert [answer.status_code for answer in answers] == [401] * throttling.FAILURES_PER_CLIENT + [429]
    assert answers[-1]["Retry-After"] == str(throttling.WINDOW_SECONDS)
    assert answers[-1].json()["error"] == "temporarily_unavailable"
    assert post_form(TOKEN, {**ENDPOINTS[TOKEN], **assertion_parameters(good.assertion())}).status_code == 200
    assert post_form(TOKEN, ENDPOINTS[TOKEN], **with_secret.credentials()[1]).status_code == 200


@pytest.mark.threat("R15")
def test_failures_are_counted_for_the_address_too(post_form: Call, db: None) -> None:
    statuses = [
        post_form(TOKEN, ENDPOINTS[TOKEN], **basic(f"unknown-{number}", "ccs_wrong")).status_code
        for number in range(throttling.FAILURES_PER_SOURCE + 1)
    ]
    assert statuses == [401] * throttling.FAILURES_PER_SOURCE + [429]


@pytest.mark.threat("R15", "S11")
def test_a_window_ends_and_names_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    counter = throttling.WindowCounter(lambda: clock[0])
    assert [counter.count("client", "a") for _ in range(3)] == [1, 2, 3]
    clock[0] += throttling.WINDOW_SECONDS
    assert counter.count("client", "a") == 1
    monkeypatch.setattr(windows, "NAMES_REMEMBERED", 10)
    for number in range(50):
        counter.count("client", str(number))
    assert len(counter._counts) == 10


@every_endpoint
@pytest.mark.threat("R15")
def test_a_stored_digest_is_no_secret(with_secret: Caller, call: Call, endpoint: str) -> None:
    row = ClientSecret.objects.get(client=with_secret.client)
    for stolen in (row.digest, row.tail, ""):
        assert outcome(call(endpoint, {}, basic(with_secret.client_id, stolen))) == REFUSED


def test_a_secret_presented_by_another_method_does_not_count_as_used(with_secret: Caller, call: Call) -> None:
    assert outcome(call(TOKEN, *with_secret.credentials("client_secret_post"))) == REFUSED
    assert ClientSecret.objects.get(client=with_secret.client).last_used_at is None
    assert outcome(call(TOKEN, *with_secret.credentials())) == OK
    assert ClientSecret.objects.get(client=with_secret.client).last_used_at is not None


def test_two_secrets_live_side_by_side_until_the_old_one_ends(with_secret: Caller, call: Call, now: datetime) -> None:
    end = now + timedelta(hours=1)
    old, new = with_secret.secret, create_secret(with_secret.client, job("test"), now=now, end_others_at=end)

    def works(secret: str, moment: datetime) -> bool:
        with time_machine.travel(moment, tick=False):
            return outcome(call(TOKEN, {}, basic(with_secret.client_id, secret))) == OK

    assert [works(old, now), works(new.value, now)] == [True, True]
    assert [works(old, end), works(new.value, end)] == [False, True]
    end_secret(new.row, job("test"), now=end)
    assert not works(new.value, end)


def test_no_slow_password_hash_runs_for_a_client(with_secret: Caller, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(*args: object, **kwargs: object) -> None:
        raise AssertionError("a slow hash")

    monkeypatch.setattr("hashlib.pbkdf2_hmac", slow)
    for name in ("check_password", "make_password"):
        monkeypatch.setattr(f"django.contrib.auth.hashers.{name}", slow)
        monkeypatch.setattr(f"oauth2_provider.oauth2_validators.{name}", slow, raising=False)
    for endpoint in EVERY_ENDPOINT:
        assert outcome(call(endpoint, *with_secret.credentials())) == OK
        assert outcome(call(endpoint, {}, basic(with_secret.client_id, "ccs_wrong"))) == REFUSED


def test_the_record_has_no_place_for_a_secret_or_an_owner() -> None:
    columns = {field.name for field in Client._meta.get_fields()}
    assert columns.isdisjoint({"client_secret", "hash_client_secret", "user"})
