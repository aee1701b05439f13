"""The token endpoint: which grants, which scopes, which resources, and what is stored (RFC 6749, 4.4; RFC 8707)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection

from authserver.models import AccessToken, RefreshToken
from registry.entitlements import grant_scopes
from registry.models import Client, Entitlement, PolicyRecord, Scope
from registry.usage import SAMPLED_EVERY
from tests.authserver.support import TOKEN, Caller, assertion_parameters, counted, outcome
from tests.conftest import Cast

Call = Callable[..., Any]
OK = "200"
ODD_RESOURCES = (
    "https://[::1",
    "https://api.example/\0",
    "https://api.example/\x7f",
    "https://größe.example/",
    "https://api.example:99999/",
    "https://a b/",
)


@pytest.mark.parametrize("grant_type", ["password", "implicit", "urn:x", "CLIENT_CREDENTIALS", "x" * 9000])
def test_a_grant_that_is_not_offered_is_refused(with_secret: Caller, call_as: Call, grant_type: str) -> None:
    assert outcome(call_as(with_secret, TOKEN, grant_type=grant_type)) == "400 unsupported_grant_type"


def test_a_request_without_grant_type_is_malformed(with_secret: Caller, post_form: Call, call_as: Call) -> None:
    assert outcome(call_as(with_secret, TOKEN, grant_type="")) == "400 invalid_request"
    assert outcome(post_form(TOKEN, {"scope": "x"}, **with_secret.credentials()[1])) == "400 invalid_request"


def test_a_client_gets_only_the_grants_it_registered(caller_by: Call, call_as: Call) -> None:
    caller = caller_by("client_secret_basic", grant_types=["authorization_code"], redirect_uris=["https://app.example/cb"])
    assert outcome(call_as(caller, TOKEN)) == "400 unauthorized_client"
    for grant_type in ("authorization_code", "refresh_token"):
        assert outcome(call_as(caller_by("client_secret_basic"), TOKEN, grant_type=grant_type)) == "400 unauthorized_client"


def test_a_token_answer_says_what_was_granted(with_secret: Caller, call_as: Call) -> None:
    body = call_as(with_secret, TOKEN, scope="bookings.read").json()
    assert body.pop("access_token").startswith("cat_")
    assert body == {"token_type": "Bearer", "expires_in": 600, "scope": "bookings.read"}


def test_two_tokens_are_never_equal(with_secret: Caller, issue: Call) -> None:
    tokens = {issue(with_secret) for _ in range(20)}
    assert len(tokens) == 20
    assert all(len(token) >= 43 + len("cat_") for token in tokens)


def test_a_request_without_scope_gets_nothing_and_never_everything(with_secret: Caller, call_as: Call) -> None:
    for parameters in ({}, {"scope": ""}):
        assert call_as(with_secret, TOKEN, **parameters).json().get("scope", "") == ""
    assert outcome(call_as(with_secret, TOKEN, scope="  ")) == "400 invalid_scope"


def test_a_request_without_scope_gets_the_default_as_far_as_entitled(cast: Cast, with_secret: Caller, call_as: Call) -> None:
    PolicyRecord.objects.create(organization=None, values={"default_scopes": ["bookings.write", "bookings.read", "nothing"]})
    assert call_as(with_secret, TOKEN).json()["scope"] == "bookings.read"


@pytest.mark.parametrize(
    "scope", ["bookings.write", "bookings.read bookings.write", "introspection", "__all__", "*", "BOOKINGS.READ", "a\0b", "größe"]
)
def test_a_scope_that_is_not_registered_is_refused_by_name(with_secret: Caller, call_as: Call, scope: str) -> None:
    answer = call_as(with_secret, TOKEN, scope=scope)
    assert outcome(answer) == "400 invalid_scope"
    assert answer.json()["invalid_members"] == ["scope"]
    assert not AccessToken.objects.exists()


def test_a_scope_needs_registration_and_entitlement(caller_by: Call, call_as: Call, now: datetime) -> None:
    caller = caller_by("client_secret_basic", scope="bookings.read bookings.write")
    waiting = call_as(caller, TOKEN, scope="bookings.write")
    assert outcome(waiting) == "400 invalid_scope"
    assert "waits for approval" in waiting.json()["error_description"]
    grant_scopes(caller.client, ["bookings.write", "unregistered"], Entitlement.Because.STAFF)
    assert outcome(call_as(caller, TOKEN, scope="bookings.write")) == OK
    assert outcome(call_as(caller, TOKEN, scope="unregistered")) == "400 invalid_scope"
    Entitlement.objects.filter(value="bookings.write").update(expires_at=now - timedelta(seconds=1))
    assert outcome(call_as(caller, TOKEN, scope="bookings.write")) == "400 invalid_scope"


def test_a_scope_named_a_thousand_times_is_stored_once(with_secret: Caller, call_as: Call) -> None:
    answer = call_as(with_secret, TOKEN, scope=" ".join(["bookings.read"] * 1000))
    assert answer.json()["scope"] == "bookings.read"
    assert AccessToken.objects.get().scope == "bookings.read"


def test_resources_are_absolute_uris_and_may_repeat(with_secret: Caller, post_form: Call, introspect: Call) -> None:
    _, headers = with_secret.credentials()

    def ask(*resources: str) -> Any:
        return post_form(TOKEN, [("grant_type", "client_credentials"), *(("resource", value) for value in resources)], **headers)

    answer = ask("https://api.example/a", "https://api.example/b")
    assert introspect(with_secret, answer.json()["access_token"])["aud"] == ["https://api.example/a", "https://api.example/b"]
    for bad in (
        "relative",
        "https://api.example/#f",
        "https://u:p@api.example/",
        "https://",
        "urn:x:y",
        "javascript:alert(1)",
        *ODD_RESOURCES,
    ):
        assert outcome(ask(bad)) == "400 invalid_target", bad
        assert outcome(ask("https://api.example/a", bad)) == "400 invalid_target", bad


@pytest.mark.threat("R05")
def test_only_a_digest_is_stored(with_secret: Caller, issue: Call) -> None:
    token = issue(with_secret)
    with connection.cursor() as cursor:
        cursor.execute("SELECT token, token_checksum FROM authserver_accesstoken")
        ((value, checksum),) = cursor.fetchall()
    assert value == ""
    assert checksum not in (token, hashlib.sha256(token.encode()).hexdigest())


def test_an_access_token_lives_as_long_as_the_policy_says(
    cast: Cast, with_secret: Caller, call_as: Call, introspect: Call, now: datetime
) -> None:
    PolicyRecord.objects.create(organization=cast.organization, values={"access_token_lifetime_seconds": 120})
    with time_machine.travel(now, tick=False):
        body = call_as(with_secret, TOKEN).json()
        assert body["expires_in"] == 120
    for seconds, active in ((119, True), (120, False), (121, False)):
        with time_machine.travel(now + timedelta(seconds=seconds), tick=False):
            assert introspect(with_secret, body["access_token"])["active"] is active


def test_no_refresh_token_comes_with_client_credentials(caller_by: Call, call_as: Call) -> None:
    caller = caller_by("client_secret_basic")
    Client.objects.filter(pk=caller.client.pk).update(
        metadata={**caller.client.metadata, "grant_types": ["client_credentials", "refresh_token"]}
    )
    assert "refresh_token" not in call_as(caller, TOKEN).json()
    assert not RefreshToken.objects.exists()


def test_the_use_of_a_client_is_noted_once_an_hour(with_secret: Caller, issue: Call, now: datetime) -> None:
    for moment, noted in ((now, now), (now + timedelta(minutes=59), now), (now + SAMPLED_EVERY, now + SAMPLED_EVERY)):
        with time_machine.travel(moment, tick=False):
            issue(with_secret)
        assert Client.objects.get(pk=with_secret.client.pk).last_used_at == noted


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("scope", ["", "bookings.read"])
def test_a_token_costs_three_statements_by_secret_and_four_by_key(with_secret: Caller, with_key: Caller, call: Call, scope: str) -> None:
    costs = []
    for caller in (with_secret, with_key):
        for _ in range(2):  # the first request of an hour notes the use of the client
            credentials, headers = caller.credentials()
            with counted() as queries:
                assert outcome(call(TOKEN, {"scope": scope, **credentials}, headers)) == OK
        costs.append(len(queries))
    assert costs == ([3, 4] if scope else [2, 3]), queries.captured_queries


@pytest.mark.django_db(transaction=True)
def test_default_scopes_cost_no_more(cast: Cast, with_secret: Caller, call_as: Call) -> None:
    names = [f"scope.{number}" for number in range(10)]
    Scope.objects.bulk_create(Scope(name=name, title=name) for name in names)
    metadata = {**with_secret.client.metadata, "scope": " ".join(names)}
    Client.objects.filter(pk=with_secret.client.pk).update(metadata=metadata)
    grant_scopes(with_secret.client, names, Entitlement.Because.STAFF)
    PolicyRecord.objects.create(organization=None, values={"default_scopes": names})
    for _ in range(2):
        with counted() as queries:
            assert call_as(with_secret, TOKEN).json()["scope"] == " ".join(names)
    assert len(queries) == 3, queries.captured_queries


@pytest.mark.django_db(transaction=True)
def test_a_refused_assertion_writes_nothing(with_key: Caller, call: Call) -> None:
    for assertion in (with_key.assertion(aud="x"), with_key.assertion()[:-6] + "AAAAAA"):
        with counted() as queries:
            call(TOKEN, assertion_parameters(assertion))
        assert [query["sql"].split()[0] for query in queries] == ["SELECT"]
