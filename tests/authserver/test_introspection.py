"""Introspection: for resource servers only, and as things are now (RFC 7662; house decisions 5, 7, 8)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from django.conf import settings

from authserver.models import AccessToken
from registry.actors import job
from registry.entitlements import grant_scopes
from registry.models import Client, Entitlement
from registry.resource_servers import create_resource_server
from tests.authserver.support import EVERY_ENDPOINT, INTROSPECT, Caller, basic, counted, outcome
from tests.conftest import Cast

Call = Callable[..., Any]
INACTIVE = {"active": False}


def test_a_resource_server_learns_whose_token_it_is(cast: Cast, with_secret: Caller, issue: Call, post_form: Call, now: datetime) -> None:
    resource_server, secret = create_resource_server("Bookings API", job("test"), now=now)
    token = issue(with_secret, scope="bookings.read")
    answer = post_form(INTROSPECT, {"token": token}, **basic(resource_server.client_id, secret.value))
    body = answer.json()
    issued_at, expires_at = body.pop("iat"), body.pop("exp")
    assert 0 <= issued_at - now.timestamp() < 60
    assert expires_at - issued_at in (599, 600)
    assert body == {
        "active": True,
        "scope": "bookings.read",
        "client_id": with_secret.client_id,
        "org_id": str(cast.organization.org_id),
        "stage": "test",
        "token_type": "Bearer",
        "iss": settings.ISSUER,
        "sub": with_secret.client_id,
    }


def test_introspection_says_the_stage(with_secret: Caller, issue: Call, introspect: Call) -> None:
    token = issue(with_secret)
    assert introspect(with_secret, token)["stage"] == "test"
    Client.objects.filter(pk=with_secret.client.pk).update(stage="live")
    assert introspect(with_secret, token)["stage"] == "live"


def test_a_client_that_is_no_resource_server_learns_nothing(with_secret: Caller, issue: Call, call_as: Call) -> None:
    token = issue(with_secret)
    Client.objects.filter(pk=with_secret.client.pk).update(is_resource_server=False)
    for asked in (token, "cat_unknown", ""):
        answer = call_as(with_secret, INTROSPECT, token=asked)
        assert outcome(answer) == "400 unauthorized_client"


def test_a_request_without_token_is_malformed(with_secret: Caller, call_as: Call) -> None:
    assert outcome(call_as(with_secret, INTROSPECT, token="")) == "400 invalid_request"


@pytest.mark.threat("R15")
def test_what_is_no_token_is_inactive(with_secret: Caller, issue: Call, introspect: Call) -> None:
    token = issue(with_secret)
    row = AccessToken.objects.get()
    stolen = (row.token_checksum, hashlib.sha256(token.encode()).hexdigest())
    for presented in (
        *stolen,
        token[:-1],
        token + "x",
        token.upper(),
        f" {token}",
        f"{token} ",
        "\0",
        "é",
        "\udcff".encode("utf-8", "replace"),
        "x" * 5000,
    ):
        assert introspect(with_secret, presented) == INACTIVE, presented
    assert introspect(with_secret, token)["active"]


def test_a_hint_changes_nothing(with_secret: Caller, issue: Call, call_as: Call) -> None:
    token = issue(with_secret)
    for hint in ("access_token", "refresh_token", "nonsense", ""):
        assert call_as(with_secret, INTROSPECT, token=token, token_type_hint=hint).json()["active"]


def test_a_scope_ends_with_its_entitlement(caller_by: Call, issue: Call, introspect: Call, now: datetime) -> None:
    caller = caller_by("client_secret_basic", scope="bookings.read bookings.write")
    grant_scopes(caller.client, ["bookings.write"], Entitlement.Because.STAFF)
    token = issue(caller, scope="bookings.read bookings.write")
    assert introspect(caller, token)["scope"] == "bookings.read bookings.write"
    Entitlement.objects.filter(value="bookings.write").delete()
    assert introspect(caller, token)["scope"] == "bookings.read"
    Entitlement.objects.filter(value="bookings.read").update(expires_at=now)
    assert introspect(caller, token)["scope"] == ""


def test_a_scope_ends_with_its_registration(with_secret: Caller, issue: Call, introspect: Call) -> None:
    token = issue(with_secret, scope="bookings.read")
    Client.objects.filter(pk=with_secret.client.pk).update(metadata={**with_secret.client.metadata, "scope": "bookings.write"})
    assert introspect(with_secret, token)["scope"] == ""


def test_a_token_does_not_grow_with_the_entitlements_of_its_client(caller_by: Call, issue: Call, introspect: Call) -> None:
    caller = caller_by("client_secret_basic", scope="bookings.read bookings.write")
    token = issue(caller, scope="bookings.read")
    grant_scopes(caller.client, ["bookings.write"], Entitlement.Because.STAFF)
    assert introspect(caller, token)["scope"] == "bookings.read"


@pytest.mark.django_db(transaction=True)
def test_introspection_costs_three_statements_and_inactive_two(with_secret: Caller, issue: Call, introspect: Call) -> None:
    token = issue(with_secret)
    costs = {}
    for presented in (token, "cat_unknown"):
        with counted() as queries:
            introspect(with_secret, presented)
        costs[presented] = len(queries)
    assert costs == {token: 3, "cat_unknown": 2}


@pytest.mark.threat("R05")
@pytest.mark.parametrize("endpoint", EVERY_ENDPOINT)
def test_a_token_is_no_way_in(with_secret: Caller, issue: Call, call: Call, endpoint: str) -> None:
    token = issue(with_secret)
    for headers in ({"Authorization": f"Bearer {token}"}, basic(with_secret.client_id, token)):
        assert outcome(call(endpoint, {}, headers)) == "401 invalid_client"
