"""The keys behind a jwks_uri: fetched lazily, kept, and never fetched more often than every 30 seconds (DCR-JWK-07, -08; F13)."""

from __future__ import annotations

import json
import secrets
from datetime import timedelta

import pytest

from protocol.errors import InvalidKeySet
from protocol.fetch import FetchPurpose, InMemoryFetcher, Page, failure
from registry.actors import job
from registry.client_keys import clients_sharing_keys, fetch_client_keys, get_client_keys
from registry.lifecycle import register_client, update_client
from registry.models import ClientKeySet
from registry.outbound import use_fetcher
from tests.conftest import make_organization
from tests.registry.support import jwks, machine, public_jwk

URI = "https://app.example.org/jwks.json"
OLD, NEW = public_jwk(number=1), public_jwk(number=2)


def page(*keys, media_type="application/jwk-set+json", status=200, **headers):
    return Page(
        json.dumps({"keys": list(keys)}).encode(), media_type, status, {name.replace("_", "-"): value for name, value in headers.items()}
    )


@pytest.fixture
def server():
    with use_fetcher(fetcher := InMemoryFetcher({URI: page(OLD)})):
        yield fetcher


@pytest.fixture
def client(make_client):
    return make_client(token_endpoint_auth_method="private_key_jwt", jwks_uri=URI)


def kids(client, now, kid=None):
    return {key.kid for key in get_client_keys(client, kid=kid, now=now).keys}


def unavailable(client, now, kid=None):
    with pytest.raises(InvalidKeySet) as caught:
        get_client_keys(client, kid=kid, now=now)
    return caught.value.reason


def test_registered_keys_are_never_fetched(server, make_client, now, django_assert_num_queries):
    client = make_client(token_endpoint_auth_method="private_key_jwt", jwks=jwks())
    with django_assert_num_queries(0):
        assert kids(client, now, kid="unknown") == {public_jwk()["kid"]}
    assert server.total == 0
    assert unavailable(make_client(), now) == "none"


@pytest.mark.spec("DCR-JWK-07")
def test_the_first_use_fetches_once_for_the_purpose_of_key_sets(server, client, now):
    assert server.total == 0
    assert kids(client, now, kid=OLD["kid"]) == kids(client, now) == {OLD["kid"]}
    assert [request.purpose for request in server.requests] == [FetchPurpose.JWKS]


@pytest.mark.spec("DCR-JWK-08")
@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, 300), ("max-age=0", 300), ("no-store", 300), ("max-age=299", 300), ("max-age=301", 301), ("public, max-age=3600", 3600),
        ("Max-Age=3600", 3600), ("max-age=86400", 86400), ("max-age=86401", 86400), ("max-age=999999999", 86400),
        ("max-age=9999999999", 300),
        ("s-maxage=3600", 300), ("max-age=-1", 300), ("max-age=1e9", 300), ("x-max-age=3600", 300),
        ("max-age=\u0663\u0660\u0660\u0660", 300),
    ],
)  # fmt: skip
def test_keys_are_fresh_as_cache_control_says_between_5_minutes_and_24_hours(server, client, now, header, seconds):
    server.put(URI, page(OLD, **({"cache_control": header} if header else {})))
    kids(client, now)
    kids(client, now + timedelta(seconds=seconds - 1))
    assert server.total == 1
    kids(client, now + timedelta(seconds=seconds))
    assert server.total == 2


@pytest.mark.spec("DCR-JWK-08")
@pytest.mark.threat("F13")
def test_an_unknown_kid_fetches_once_more_after_the_cool_down(server, client, now):
    kids(client, now)
    server.put(URI, page(OLD, NEW))
    assert kids(client, now + timedelta(seconds=29), kid=NEW["kid"]) == {OLD["kid"]}
    assert server.total == 1
    assert kids(client, now + timedelta(seconds=30), kid=NEW["kid"]) == {OLD["kid"], NEW["kid"]}
    assert server.total == 2


@pytest.mark.spec("DCR-JWK-08")
@pytest.mark.threat("F13")
@pytest.mark.parametrize("count", [1_000, pytest.param(10_000, marks=pytest.mark.services)])  # the full number takes ten seconds
def test_ten_thousand_random_kids_in_a_minute_fetch_at_most_twice(server, client, now, count):
    for number in range(count):
        assert kids(client, now + timedelta(seconds=60 * number / count), kid=secrets.token_hex(8)) == {OLD["kid"]}
    assert server.total == 2


@pytest.mark.threat("F13")
@pytest.mark.parametrize(
    "answer", [page(), failure("deadline"), page(OLD, status=500), page(OLD, media_type="text/html"), Page(b"[]", "application/json")]
)
def test_the_cool_down_does_not_depend_on_the_answer(server, client, now, answer):
    server.put(URI, answer)
    for second in range(30):
        assert unavailable(client, now + timedelta(seconds=second), kid=secrets.token_hex(8)) == "unavailable"
    assert server.total == 1
    server.put(URI, page(OLD))
    assert kids(client, now + timedelta(seconds=30)) == {OLD["kid"]}


BAD = {
    "network": failure("deadline"),
    "500": page(NEW, status=500),
    "404": None,
    "redirect": page(NEW, status=302, location="https://evil.example/jwks"),
    "html": page(NEW, media_type="text/html"),
    "not JSON": Page(b"{", "application/json"),
    "duplicate members": Page(b'{"keys": [], "keys": []}', "application/json"),
    "deep": Page(b'{"keys":' + b"[" * 5000, "application/json"),
    "NaN": Page(b'{"keys": [NaN]}', "application/json"),
    "no key": page(),
    "private key": page({**NEW, "d": "AQ"}),
    "symmetric key": page({"kty": "oct", "k": "AQ"}),
    "one bad key among good": page(OLD, {**NEW, "x": "AQ"}),
    "one kid twice": page(OLD, {**NEW, "kid": OLD["kid"]}),
}


@pytest.mark.spec("DCR-JWK-08", "DCR-JWK-02", "DCR-ERR-04")
@pytest.mark.threat("F05", "F12", "J07", "J12", "J13")
@pytest.mark.parametrize("answer", BAD.values(), ids=BAD)
def test_the_last_good_keys_are_kept_for_a_day_when_a_fetch_fails(server, client, now, answer):
    kids(client, now)
    server.put(URI, answer)
    stale = now + timedelta(minutes=5)
    assert kids(client, stale, kid=OLD["kid"]) == {OLD["kid"]}
    row = ClientKeySet.objects.get(client=client)
    assert row.failure
    assert "evil.example" not in row.failure
    assert row.fetched_at == now
    last = stale + timedelta(hours=24)
    assert kids(client, last - timedelta(seconds=1)) == {OLD["kid"]}
    assert unavailable(client, last) == "unavailable"
    server.put(URI, page(NEW))
    assert kids(client, last + timedelta(seconds=30)) == {NEW["kid"]}
    assert ClientKeySet.objects.get(client=client).failure == ""


@pytest.mark.spec("DCR-JWK-07")
@pytest.mark.threat("F01", "F07")
@pytest.mark.parametrize(
    "uri", ["https://169.254.169.254/jwks", "http://app.example.org/jwks", "https://localhost/jwks", "file:///etc/passwd"]
)
def test_a_hostile_address_that_slipped_into_the_row_is_never_connected_to(server, client, now, uri):
    server.put(uri, page(OLD))
    client.metadata["jwks_uri"] = uri
    assert unavailable(client, now) == "unavailable"
    assert server.total == 0


@pytest.mark.threat("F05")
def test_keys_of_another_address_are_not_used_after_it_changed(server, client, now):
    kids(client, now)
    other = "https://app.example.org/new.json"
    client = update_client(client, job("test"), {**client.metadata, "jwks_uri": other}, now=now).client
    assert unavailable(client, now) == "unavailable"
    server.put(other, page(NEW))
    assert kids(client, now + timedelta(seconds=30)) == {NEW["kid"]}


def test_a_check_by_hand_says_how_it_went(server, client, now):
    assert fetch_client_keys(client, now=now).failure == ""
    server.remove(URI)
    assert fetch_client_keys(client, now=now + timedelta(seconds=29)).failure == ""
    row = fetch_client_keys(client, now=now + timedelta(seconds=30))
    assert row.failure.endswith(".")
    assert row.jwks == {"keys": [OLD]}


@pytest.mark.spec("DCR-JWK-09")
def test_fetched_keys_of_another_organization_are_noticed_also_after_an_edit(server, client, cast, now):
    tidewater = make_organization(cast.stranger, cast.reviewer, now, name="Tidewater")
    theirs = register_client(job("test"), tidewater, machine(jwks={"keys": [OLD]}), now=now)
    assert not clients_sharing_keys(theirs).exists()
    kids(client, now)
    assert clients_sharing_keys(theirs).get() == client
    update_client(client, job("test"), {**client.metadata, "client_name": "Renamed"}, now=now)
    assert clients_sharing_keys(theirs).get() == client
    server.put(URI, page(NEW))
    kids(client, now + timedelta(minutes=5))
    assert not clients_sharing_keys(theirs).exists()
