"""Ending a client with many tokens: refused at once, not a token row touched; deleted later (house decision 5)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection

from authserver.cleaning import BATCH, delete_expired_tokens, delete_tokens_of_ended_generations
from authserver.families import REFRESH_IDLE
from authserver.models import AccessToken, AuthorizationRequest, Consent, Grant, IDToken, RefreshToken
from authserver.tasks import delete_dead_tokens
from registry.actors import person
from registry.lifecycle import change_client, change_organization
from registry.models import Client
from tests.authserver.support import TOKEN, Caller, counted, key, outcome
from tests.conftest import Cast

Call = Callable[..., Any]


def fill(caller: Caller, cast: Cast, count: int, expires: datetime) -> None:
    """Give a client `count` access tokens, each with a refresh token."""
    common = {"application": caller.client, "user": cast.owner, "credential_generation": caller.client.credential_generation}
    names = [f"{caller.client_id} {number}" for number in range(count)]
    access_tokens = [AccessToken(token=f"cat_{name}", expires=expires, scope="bookings.read", **common) for name in names]
    AccessToken.objects.bulk_create(access_tokens, batch_size=5000)
    refresh_tokens = [RefreshToken(token=f"crt_{row.token}", access_token=row, **common) for row in access_tokens]
    RefreshToken.objects.bulk_create(refresh_tokens, batch_size=5000)


@pytest.mark.django_db(transaction=True)
@pytest.mark.threat("S02", "O10")
@pytest.mark.parametrize("whole_organization", [False, True], ids=["client", "organization"])
def test_ending_a_client_touches_no_token_and_cleaning_deletes_them_in_a_few_statements(
    cast: Cast, caller_by: Call, call_as: Call, now: datetime, whole_organization: bool
) -> None:
    count = 20_000 if connection.vendor == "postgresql" else 1_000
    ended, kept = caller_by("client_secret_basic"), caller_by("private_key_jwt", signing_key=key("ES256", 1))
    fill(ended, cast, count, now + timedelta(hours=1))
    if not whole_organization:
        fill(kept, cast, 10, now + timedelta(hours=1))
    staff = person(cast.reviewer, staff=True)
    with counted() as queries:
        if whole_organization:
            change_organization(cast.organization, "suspend", staff, now=now, reason="found abuse")
        else:
            change_client(ended.client, "suspend", staff, now=now, reason="found abuse")
    assert not [query for query in queries if "authserver_" in query["sql"]]
    assert outcome(call_as(ended, TOKEN)) == "400 unauthorized_client"
    with counted() as queries:
        assert delete_tokens_of_ended_generations() == 2 * count
    assert len(queries) <= 1 + 8 * (2 if whole_organization else 1)
    left = 0 if whole_organization else 10
    assert (AccessToken.objects.count(), RefreshToken.objects.count()) == (left, left)
    assert delete_dead_tokens() == 0


@pytest.mark.django_db(transaction=True)
def test_cleaning_is_done_once_per_generation(cast: Cast, with_secret: Caller, issue: Call, now: datetime) -> None:
    staff = person(cast.reviewer, staff=True)
    issue(with_secret)
    change_client(with_secret.client, "suspend", staff, now=now, reason="found abuse")
    change_client(with_secret.client, "reinstate", staff, now=now)
    issue(with_secret)
    assert delete_tokens_of_ended_generations() == 1
    with counted() as queries:
        assert delete_tokens_of_ended_generations() == 0
    assert len(queries) == 1
    assert AccessToken.objects.get().credential_generation == Client.objects.get(pk=with_secret.client.pk).credential_generation == 2


def test_what_is_over_goes_requests_at_once_and_tokens_a_day_later(cast: Cast, with_secret: Caller, now: datetime) -> None:
    common = {"application": with_secret.client, "credential_generation": 1}
    for name, age in (("old", timedelta(days=1, seconds=1)), ("recent", timedelta(hours=23)), ("live", -timedelta(hours=1))):
        AccessToken.objects.create(token=name, expires=now - age, scope=name, **common)
        AuthorizationRequest.objects.create(origin=name, parameters={}, expires=now - age, **common)
    assert delete_expired_tokens(now) == 3
    assert set(AccessToken.objects.values_list("scope", flat=True)) == {"recent", "live"}
    assert AuthorizationRequest.objects.get().origin == "live"  # anybody can make one, so they go at once
    assert delete_expired_tokens(now) == 0


@pytest.mark.spec("BCP-06")
@pytest.mark.threat("O06", "O07")
def test_what_tells_that_a_code_or_refresh_token_is_used_twice_stays_as_long_as_its_family(
    cast: Cast, with_secret: Caller, now: datetime
) -> None:
    common = {"application": with_secret.client, "user": cast.owner, "credential_generation": 1}
    ages = {"idle": REFRESH_IDLE + timedelta(days=1, seconds=1), "used": REFRESH_IDLE, "alone": timedelta(days=2)}
    for name, age in ages.items():
        grant = Grant.objects.create(code=name, expires=now - age, redirect_uri="https://app.example/cb", scope=name, **common)
        if name != "alone":
            row = RefreshToken.objects.create(token=name, token_family=grant.family, revoked=now - age, scope=name, **common)
            RefreshToken.objects.filter(pk=row.pk).update(created=now - age)
    assert delete_expired_tokens(now) == 3
    assert list(Grant.objects.values_list("scope", flat=True)) == list(RefreshToken.objects.values_list("scope", flat=True)) == ["used"]


def test_expired_tokens_go_in_batches(cast: Cast, with_secret: Caller, now: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    assert BATCH >= 1000
    monkeypatch.setattr("authserver.cleaning.BATCH", 10)
    rows = [
        AccessToken(token=str(number), expires=now - timedelta(days=2), application=with_secret.client, credential_generation=1)
        for number in range(25)
    ]
    AccessToken.objects.bulk_create(rows)
    with counted() as queries:
        assert delete_expired_tokens(now) == 25
    assert sum("DELETE" in query["sql"] for query in queries) == 3


def test_every_kind_of_token_is_cleaned() -> None:
    from authserver import cleaning, models

    lasting = {Consent}  # a person's word, kept until they take it back
    cleaned = {AccessToken, RefreshToken, Grant, IDToken, AuthorizationRequest}
    assert cleaned | lasting == {getattr(models, name) for name in models.__all__}
    assert timedelta(hours=1) <= cleaning.KEPT_AFTER_EXPIRY
