"""Client secrets: made here, shown once, two live at a time (house decision 14; R05, R15)."""

from __future__ import annotations

import json
import re
from datetime import timedelta

import pytest
from django.core import serializers
from django.db import connection
from django.test.utils import CaptureQueriesContext

from protocol.errors import TransitionRefused
from registry import digests
from registry.actors import job, person
from registry.credentials import client_with_secret as client_with
from registry.credentials import create_secret, end_secret, live_secrets
from registry.gate import Action, client_may_act
from registry.lifecycle import change_client
from registry.models import AuditEvent, ClientSecret, ServerSecret
from tests.registry.support import jwks, secret_matches

BASIC = "client_secret_basic"


def refusal(act):
    with pytest.raises(TransitionRefused) as caught:
        act()
    return caught.value.reason


@pytest.mark.spec("DCR-RESP-05")
@pytest.mark.threat("R15")
def test_a_secret_has_256_random_bits_in_visible_ascii_and_works(client_with_secret, now):
    client, secret = client_with_secret
    assert re.fullmatch(r"ccs_[A-Za-z0-9_-]{43}", secret.value)
    assert secret_matches(client, secret.value, now)
    assert secret.row.tail == secret.value[-4:]


def test_every_secret_is_another_and_belongs_to_its_client(client_with_secret, make_client, now):
    client, secret = client_with_secret
    other = make_client()
    another = create_secret(other, job("test"), now=now)
    assert secret.value != another.value
    assert not secret_matches(other, secret.value, now)
    assert not secret_matches(client, another.value, now)


@pytest.mark.threat("R15", "R05")
def test_the_stored_digest_is_not_a_secret(client_with_secret, now):
    client, secret = client_with_secret
    stored = secret.row.digest
    for presented in (
        stored,
        stored.upper(),
        f"ccs_{stored}",
        secret.value[:-1],
        secret.value + "=",
        secret.value.swapcase(),
        "",
        "\ud800",
        secret.row.tail,
    ):
        assert not secret_matches(client, presented, now)


@pytest.mark.threat("R05", "R15")
def test_the_digest_is_keyed_and_bound_to_its_purpose(client_with_secret, now):
    client, secret = client_with_secret
    assert digests.keyed_digest(secret.value, "client-secret") == secret.row.digest
    assert digests.keyed_digest(secret.value, "invitation") != secret.row.digest
    ServerSecret.objects.filter(name="digest").delete()
    digests.forget()
    assert not secret_matches(client, secret.value, now)


@pytest.mark.spec("DCR-RESP-05")
@pytest.mark.threat("R05")
def test_the_value_is_in_no_row_no_trail_and_no_repr(client_with_secret, now):
    _, secret = client_with_secret
    assert secret.value not in f"{secret!r} {secret} {secret.row!r} {[secret]}"
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names():
            cursor.execute(f'SELECT * FROM "{table}"')  # noqa: S608 - names from the database itself
            assert secret.value not in repr(cursor.fetchall()), table
    trail = serializers.serialize("json", AuditEvent.objects.all())
    assert secret.value not in trail
    assert secret.row.digest not in trail
    assert json.loads(trail)


def test_two_secrets_live_at_a_time(client_with_secret, now):
    client, first = client_with_secret
    second = create_secret(client, job("test"), now=now, label="second")
    assert secret_matches(client, first.value, now)
    assert secret_matches(client, second.value, now)
    assert refusal(lambda: create_secret(client, job("test"), now=now)) == "limit"
    end_secret(first.row, job("test"), now=now)
    assert create_secret(client, job("test"), now=now).value
    assert live_secrets(client, now).count() == 2


def test_rotation_overlaps_until_the_time_it_was_given(client_with_secret, now):
    client, old = client_with_secret
    end = now + timedelta(hours=24)
    new = create_secret(client, job("test"), now=now, end_others_at=end)
    for moment, works in ((now, True), (end - timedelta(microseconds=1), True), (end, False)):
        assert secret_matches(client, old.value, moment) == works
        assert secret_matches(client, new.value, moment)
    # A later rotation never prolongs what ends earlier.
    create_secret(client, job("test"), now=end, end_others_at=end + timedelta(days=1))
    assert ClientSecret.objects.get(pk=old.row.pk).expires_at == end


def test_a_refused_rotation_ends_nothing(client_with_secret, now):
    client, first = client_with_secret
    create_secret(client, job("test"), now=now)
    assert refusal(lambda: create_secret(client, job("test"), now=now, end_others_at=now + timedelta(hours=1))) == "limit"
    assert not ClientSecret.objects.filter(expires_at__isnull=False).exists()
    assert create_secret(client, job("test"), now=now, end_others_at=now).value
    assert not secret_matches(client, first.value, now)


def test_a_secret_may_have_an_end_of_its_own(client_with_secret, now):
    client, _ = client_with_secret
    short = create_secret(client, job("test"), now=now, expires_at=now + timedelta(seconds=1))
    assert secret_matches(client, short.value, now)
    assert not secret_matches(client, short.value, now + timedelta(seconds=1))


def test_an_ended_secret_is_over_at_once_and_ends_once_in_the_trail(client_with_secret, now):
    client, secret = client_with_secret
    end_secret(secret.row, job("test"), now=now)
    end_secret(secret.row, job("test"), now=now)
    assert not secret_matches(client, secret.value, now)
    assert list(AuditEvent.objects.filter(event__startswith="secret.").order_by("id").values_list("event", flat=True)) == [
        "secret.created", "secret.ended",
    ]  # fmt: skip


@pytest.mark.threat("R12")
@pytest.mark.parametrize("name", ["viewer", "stranger", "reviewer", "operator", "auditor"])
def test_only_owners_and_developers_make_and_end_secrets(cast, client_with_secret, now, name):
    client, secret = client_with_secret
    actor = person(getattr(cast, name), staff=name in ("reviewer", "operator", "auditor"))
    before = AuditEvent.objects.count()
    assert refusal(lambda: create_secret(client, actor, now=now)) == "permission"
    assert refusal(lambda: end_secret(secret.row, actor, now=now)) == "permission"
    assert AuditEvent.objects.count() == before
    assert create_secret(client, person(cast.developer), now=now).row.created_by == cast.developer


@pytest.mark.parametrize("metadata", [{"token_endpoint_auth_method": "private_key_jwt", "jwks": jwks()}])
def test_a_client_that_does_not_use_secrets_gets_none(make_client, now, metadata):
    assert refusal(lambda: create_secret(make_client(**metadata), job("test"), now=now)) == "method"


def test_a_closed_client_gets_no_secret(client_with_secret, cast, now):
    client, _ = client_with_secret
    change_client(client, "close", cast.as_owner, now=now)
    assert refusal(lambda: create_secret(client, job("test"), now=now)) == "state"


@pytest.mark.threat("R15")
def test_the_last_use_is_noted_at_most_once_an_hour(client_with_secret, now, django_assert_num_queries):
    client, secret = client_with_secret
    with django_assert_num_queries(2):
        assert secret_matches(client, secret.value, now)
    for moment in (now, now + timedelta(minutes=59, seconds=59)):
        with django_assert_num_queries(1):
            assert secret_matches(client, secret.value, moment)
    with django_assert_num_queries(2):
        assert secret_matches(client, secret.value, now + timedelta(hours=1))
    secret.row.refresh_from_db()
    assert secret.row.last_used_at == now + timedelta(hours=1)


@pytest.mark.spec("PKJ-09")
@pytest.mark.threat("R15")
def test_an_unknown_client_costs_the_same_queries_as_a_wrong_secret(client_with_secret, make_client, now):
    client, _ = client_with_secret
    statements = []
    for asked in (client.client_id, make_client().client_id, "unknown"):
        with CaptureQueriesContext(connection) as queries:
            assert client_with(asked, "ccs_wrong", BASIC, now) is None
        statements.append([query["sql"].replace(asked, "N") for query in queries])
    assert statements[0] == statements[1] == statements[2]
    assert len(statements[0]) == 1


@pytest.mark.spec("PKJ-08")
@pytest.mark.threat("R15", "O14")
@pytest.mark.parametrize("method", ["client_secret_post", "private_key_jwt", "none", ""])
def test_the_right_secret_by_another_method_is_no_use(client_with_secret, now, method):
    client, secret = client_with_secret
    assert client_with(client.client_id, secret.value, method, now) is None
    secret.row.refresh_from_db()
    assert secret.row.last_used_at is None


@pytest.mark.spec("PKJ-09")
@pytest.mark.threat("R15")
def test_a_client_is_found_by_its_secret_in_one_query_and_the_gate_needs_no_other(
    client_with_secret, make_client, now, django_assert_num_queries
):
    client, secret = client_with_secret
    assert client_with(client.client_id, secret.value, BASIC, now) == client
    with django_assert_num_queries(1):
        found = client_with(client.client_id, secret.value, BASIC, now)
        assert client_may_act(found, Action.TOKEN, now).allowed
        assert found.token_endpoint_auth_method == "client_secret_basic"
    for client_id, presented in (
        (client.client_id, "ccs_wrong"),
        (client.client_id, secret.row.digest),
        (make_client().client_id, secret.value),
        ("unknown", secret.value),
        (client.client_id.upper(), secret.value),
    ):
        with django_assert_num_queries(1):
            assert client_with(client_id, presented, BASIC, now) is None
    end_secret(secret.row, job("test"), now=now)
    assert client_with(client.client_id, secret.value, BASIC, now) is None


@pytest.mark.threat("R15")
def test_digests_are_compared_in_constant_time(monkeypatch, client_with_secret, now):
    compared = []
    monkeypatch.setattr("registry.credentials.digests_equal", lambda one, other: compared.append((one, other)) or False)
    assert not secret_matches(client_with_secret[0], "x", now)
    assert client_with("unknown", "x", BASIC, now) is None
    assert [len(one) == len(other) == 64 for one, other in compared] == [True, True]
