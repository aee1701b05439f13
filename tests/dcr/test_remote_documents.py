"""What stands behind jwks_uri and sector_identifier_uri: fetched once, checked, never told of in detail (DCR-JWK-07, DCR-META-35)."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client as Browser

from protocol.fetch import FetchConfig, HttpFetcher, InMemoryFetcher, Page, failure
from protocol.fetch.failures import FAILURES
from registry.models import ClientKeySet, ClientKeyUse
from registry.outbound import use_fetcher
from tests.authserver.support import TOKEN, Caller, assertion_parameters, key, outcome
from tests.conftest import Cast
from tests.dcr.support import MACHINE, WEBSITE, Machine, client_of, metadata_in, row_counts

pytestmark = pytest.mark.django_db
Holder = Callable[..., Machine]
ICM = "400 invalid_client_metadata"
KEYS, SECTOR = "https://lighthouse.example/jwks.json", "https://lighthouse.example/sector.json"
BY_URI: dict[str, Any] = {**MACHINE, "token_endpoint_auth_method": "private_key_jwt", "jwks_uri": KEYS}
IN_SECTOR: dict[str, Any] = {**WEBSITE, "sector_identifier_uri": SECTOR}


def page(value: Any, media_type: str = "application/json", status: int = 200, **headers: str) -> Page:
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    return Page(body, media_type, status, {name.replace("_", "-"): text for name, text in headers.items()})


def keys_page(*keys: Any, **headers: str) -> Page:
    return page({"keys": list(keys) or [key().public_jwk()]}, "application/jwk-set+json", **headers)


GENERIC = "jwks_uri: The document at jwks_uri cannot be fetched or read. Serve a JWK Set there, over https and without redirects."
UNUSABLE: dict[str, Any] = {
    **{f"{reason} (failure)": failure(reason, "10.0.0.7:5432 connection refused secret-host") for reason in FAILURES},
    "nothing there": None,
    "an error of the server": page({"keys": []}, status=500),
    "a redirect": page(b"", status=302, location="https://lighthouse.example/other.json"),
    "HTML": page(b"<html>secret-host 10.0.0.7</html>", "text/html"),
    "HTML that says JSON": page(b"<html>secret-host 10.0.0.7</html>"),
    "no content": page(b""),
    "broken JSON": page(b'{"keys":['),
    "a name twice": page(b'{"keys":[],"keys":[]}'),
    "too large": page(b" " * (64 * 1024 + 1), "application/jwk-set+json"),
    "an array": page([]),
}


@pytest.mark.spec("DCR-ERR-04", "DCR-JWK-07", "DCR-ERR-01", "DCR-ERR-02")
@pytest.mark.threat("F01", "F06", "F07")
@pytest.mark.parametrize("name", UNUSABLE)
def test_keys_that_cannot_be_fetched_refuse_with_one_sentence_whatever_went_wrong(
    machine: Machine, web: InMemoryFetcher, name: str
) -> None:
    told = machine.registered()
    web.put(KEYS, UNUSABLE[name])
    before = row_counts()
    answers = [machine.register(BY_URI), machine.replace(told, BY_URI)]
    for answer in answers:
        assert outcome(answer) == ICM
        body = answer.json()
        assert body["error_description"] == GENERIC
        assert body["invalid_members"] == ["jwks_uri"]
        del body["instance"]
        assert not [word for word in ("10.0.0.7", "secret-host", "refused", "timeout", "404") if word in str(body)]
    after = row_counts()
    assert after.pop("dcr_refusedregistration") == 1
    assert after == {name: count for name, count in before.items() if name != "dcr_refusedregistration"}
    assert metadata_in(machine.read(told).json()) == metadata_in(told)


WRONG_KEYS: dict[str, list[Any]] = {
    "none": [],
    "only a key to encrypt": [{**key().public_jwk(), "use": "enc"}],
    "a private key": [{**key().public_jwk(), "d": "A" * 43}],
    "a symmetric key": [{"kty": "oct", "k": "AAAA", "kid": "1"}],
    "a key of a weak curve": [{**key().public_jwk(), "crv": "P-192"}],
    "two of one name": [{**key().public_jwk(), "kid": "a"}, {**key("ES256", 2).public_jwk(), "kid": "a"}],
    "no keys but texts": ["x"],
}


@pytest.mark.spec("DCR-JWK-07", "DCR-JWK-02", "DCR-JWK-03", "DCR-JWK-05", "DCR-META-31")
@pytest.mark.parametrize("name", WRONG_KEYS)
def test_keys_behind_an_address_pass_the_same_rules_as_keys_in_the_body(machine: Machine, web: InMemoryFetcher, name: str) -> None:
    web.put(KEYS, page({"keys": WRONG_KEYS[name]}, "application/jwk-set+json"))
    answer = machine.register(BY_URI)
    assert outcome(answer) == ICM
    assert answer.json()["invalid_members"] == ["jwks_uri"]
    assert not ClientKeySet.objects.exists()
    assert not ClientKeyUse.objects.exists()


@pytest.mark.spec("DCR-JWK-05", "DCR-META-20")
def test_one_of_the_keys_can_verify_the_registered_algorithm(machine: Machine, web: InMemoryFetcher) -> None:
    web.put(KEYS, keys_page())
    assert outcome(machine.register(BY_URI, token_endpoint_auth_signing_alg="PS256")) == ICM
    assert machine.register(BY_URI, token_endpoint_auth_signing_alg="ES256").status_code == 201


@pytest.mark.spec("DCR-JWK-07", "DCR-META-29")
def test_fetched_keys_are_kept_so_that_the_first_token_request_fetches_nothing(
    machine: Machine, web: InMemoryFetcher, post_form: Any, now: datetime
) -> None:
    web.put(KEYS, keys_page(cache_control="max-age=3600"))
    told = machine.registered(BY_URI)
    assert dict(web.fetches) == {KEYS: 1}
    caller = Caller(client_of(told), "private_key_jwt", now, key=key())
    asked = {"grant_type": "client_credentials", **assertion_parameters(caller.assertion())}
    assert outcome(post_form(TOKEN, asked)) == "200"
    assert web.total == 1
    kept = ClientKeySet.objects.get()
    assert (kept.jwks_uri, kept.fresh_until - kept.fetched_at) == (KEYS, timedelta(hours=1))
    assert ClientKeyUse.objects.get().client.client_id == told["client_id"]
    assert "jwks" not in told
    with time_machine.travel(now + timedelta(hours=2), tick=False):
        later = Caller(caller.client, "private_key_jwt", now + timedelta(hours=2), key=key())
        assert outcome(post_form(TOKEN, {"grant_type": "client_credentials", **assertion_parameters(later.assertion())})) == "200"
    assert web.total == 2


@pytest.mark.spec("DCR-JWK-07", "DCR-MGT-11")
def test_an_update_looks_behind_the_address_again_and_keeps_what_is_there(
    machine: Machine, web: InMemoryFetcher, post_form: Any, now: datetime
) -> None:
    web.put(KEYS, keys_page())
    told = machine.registered(BY_URI)
    web.put(KEYS, keys_page(key("ES256", 2).public_jwk()))
    assert machine.replace(told).status_code == 200
    assert dict(web.fetches) == {KEYS: 2}
    caller = Caller(client_of(told), "private_key_jwt", now, key=key("ES256", 2))
    assert outcome(post_form(TOKEN, {"grant_type": "client_credentials", **assertion_parameters(caller.assertion())})) == "200"
    other = "https://lighthouse.example/other.json"
    web.put(other, keys_page(key("ES256", 3).public_jwk()))
    assert machine.replace(told, {**BY_URI, "jwks_uri": other}).status_code == 200
    assert dict(web.fetches) == {KEYS: 2, other: 1}
    assert (
        outcome(post_form(TOKEN, {"grant_type": "client_credentials", **assertion_parameters(caller.assertion())})) == "401 invalid_client"
    )
    assert machine.read(told).status_code == 200
    assert web.fetches[other] <= 2


@pytest.mark.spec("DCR-META-07", "DCR-ERR-04")
@pytest.mark.threat("F01", "S11")
def test_nothing_is_fetched_for_who_may_not_register_or_for_what_is_refused_anyway(
    machine: Machine, web: InMemoryFetcher, holder: Holder, cast: Cast
) -> None:
    both = {**WEBSITE, "token_endpoint_auth_method": "private_key_jwt", "jwks_uri": KEYS, "sector_identifier_uri": SECTOR}
    web.put(KEYS, keys_page())
    web.put(SECTOR, page(WEBSITE["redirect_uris"]))
    for token in (None, "cci_unknown", "x"):
        assert outcome(Machine(Browser(), token).register(both)) == "401 invalid_token"
    used_up = holder(uses_limit=1)
    told = used_up.registered()
    assert outcome(used_up.register(both)) == "401 invalid_token"
    elsewhere = holder(source_networks=("192.0.2.0/24",))
    assert outcome(elsewhere.register(both)) == "401 invalid_token"
    for wrong in ({"client_name": 5}, {"redirect_uris": ["x"]}, {"grant_types": ["password"]}):
        assert machine.register({**both, **wrong}).status_code == 400
        assert machine.replace(told, {**both, **wrong}).status_code == 400
    wrong_id = machine.send("PUT", f"/register/{told['client_id']}", {**both, "client_id": "x"}, token=told["registration_access_token"])
    assert wrong_id.status_code == 400
    assert outcome(machine.send("PUT", f"/register/{told['client_id']}", both, token="x")) == "401 invalid_token"
    assert web.total == 0
    assert machine.register(both).status_code == 201
    assert dict(web.fetches) == {KEYS: 1, SECTOR: 1}


@pytest.mark.spec("DCR-JWK-07", "DCR-ERR-04")
@pytest.mark.threat("F01", "F02")
@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "[::1]", "10.0.0.7", "169.254.169.254", "[::ffff:127.0.0.1]", "[fd00::1]", "192.168.1.1", "0.0.0.0", "localhost"),  # noqa: S104
        *("internal", "metadata.google.internal", "lighthouse.example:8443", "2130706433", "0x7f.1"),
    ],
)
def test_no_private_address_is_ever_asked(machine: Machine, host: str) -> None:
    asked: list[Any] = []

    def connect(*args: Any, **options: Any) -> Any:
        asked.append(args)
        raise OSError("connected")

    def resolve(name: str, port: int) -> list[str]:
        return ["10.0.0.7"]  # whatever the name is, it leads inside

    with use_fetcher(HttpFetcher(replace(FetchConfig(), resolver=resolve, connector=connect))):
        for document in (
            {**BY_URI, "jwks_uri": f"https://{host}/jwks.json"},
            {**WEBSITE, "sector_identifier_uri": f"https://{host}/sector"},
        ):
            answer = machine.register(document)
            assert outcome(answer) == ICM
            assert "10.0.0.7" not in answer.content.decode()
    assert asked == []


@pytest.mark.spec("DCR-ERR-04")
@pytest.mark.threat("F01")
def test_a_name_that_leads_inside_is_answered_as_one_that_leads_nowhere(machine: Machine) -> None:
    def inside(name: str, port: int) -> list[str]:
        return ["10.0.0.7"]

    def nowhere(name: str, port: int) -> list[str]:
        raise socket.gaierror(-2, "Name or service not known")

    bodies = []
    for resolver in (inside, nowhere):
        with use_fetcher(HttpFetcher(replace(FetchConfig(), resolver=resolver))):
            body = machine.register(BY_URI).json()
        bodies.append({**body, "instance": ""})
    assert bodies[0] == bodies[1]


# sector_identifier_uri


@pytest.mark.spec("DCR-META-35")
@pytest.mark.threat("F04")
def test_a_sector_names_every_redirect_uri(machine: Machine, web: InMemoryFetcher) -> None:
    uris = ["https://lighthouse.example/a", "https://other.example/b"]
    web.put(SECTOR, page([*uris, "https://third.example/c"]))
    told = machine.registered(IN_SECTOR, redirect_uris=uris)
    assert told["sector_identifier_uri"] == SECTOR
    assert dict(web.fetches) == {SECTOR: 1}
    wrong = (
        ["https://lighthouse.example/a", "https://evil.example/"],
        ["https://lighthouse.example/a/"],
        [*uris, "https://lighthouse.example/d"],
    )
    for redirect_uris in wrong:
        answer = machine.register(IN_SECTOR, redirect_uris=redirect_uris)
        assert outcome(answer) == ICM
        assert answer.json()["invalid_members"] == ["sector_identifier_uri"]
        assert outcome(machine.replace(told, {**IN_SECTOR, "redirect_uris": redirect_uris})) == ICM
    assert client_of(told).registered_redirect_uris == uris
    machine.registered(signing_machine(), sector_identifier_uri=SECTOR)


def signing_machine() -> dict[str, Any]:
    return {**MACHINE, "token_endpoint_auth_method": "client_secret_basic"}


NO_SECTORS: dict[str, Any] = {
    **{f"{reason} (failure)": failure(reason, "10.0.0.7 secret-host") for reason in FAILURES},
    "nothing there": None,
    "an error": page([], status=503),
    "a redirect": page(b"", status=301, location="https://lighthouse.example/other.json"),
    "HTML": page(b"<html>secret-host</html>", "text/html"),
    "HTML that says JSON": page(b"<html>secret-host</html>"),
    "too large": page(b" " * (64 * 1024 + 1)),
    "NaN": page(b"[NaN]"),
}


@pytest.mark.spec("DCR-META-35", "DCR-ERR-04")
@pytest.mark.threat("F01", "F04", "F06")
@pytest.mark.parametrize("name", NO_SECTORS)
def test_a_sector_that_cannot_be_fetched_refuses_with_one_sentence(machine: Machine, web: InMemoryFetcher, name: str) -> None:
    web.put(SECTOR, NO_SECTORS[name])
    answer = machine.register(IN_SECTOR)
    assert outcome(answer) == ICM
    assert answer.json()["error_description"] == (
        "sector_identifier_uri: The document at sector_identifier_uri cannot be fetched or read."
        " Serve a JSON array of redirect URIs there, over https."
    )


@pytest.mark.spec("DCR-META-35")
@pytest.mark.parametrize(
    "document", [{}, {"redirect_uris": WEBSITE["redirect_uris"]}, "x", 5, None, True, [], [5], [WEBSITE["redirect_uris"]]]
)
def test_a_sector_that_is_no_list_of_them_is_refused(machine: Machine, web: InMemoryFetcher, document: Any) -> None:
    web.put(SECTOR, page(document))
    assert outcome(machine.register(IN_SECTOR)) == ICM


@pytest.mark.spec("DCR-META-35", "DCR-META-06")
def test_what_is_wrong_behind_both_addresses_is_told_at_once(machine: Machine, web: InMemoryFetcher) -> None:
    answer = machine.register({**IN_SECTOR, "token_endpoint_auth_method": "private_key_jwt", "jwks_uri": KEYS})
    assert outcome(answer) == ICM
    assert answer.json()["invalid_members"] == ["jwks_uri", "sector_identifier_uri"]
    assert dict(web.fetches) == {KEYS: 1, SECTOR: 1}


@pytest.mark.spec("DCR-JWK-07")
def test_no_transaction_is_open_while_something_is_fetched(holder: Holder, web: InMemoryFetcher) -> None:
    from django.db import connection

    machine, depths = holder(), []
    outside = len(connection.savepoint_ids)

    def answer(request: Any) -> Page:
        depths.append(len(connection.savepoint_ids))
        return keys_page()

    web.put(KEYS, answer)
    told = machine.registered(BY_URI)
    machine.replace(told)
    assert depths == [outside, outside]


@pytest.mark.spec("DCR-MGT-18", "DCR-JWK-07")
@pytest.mark.threat("R11")
def test_keys_of_an_address_that_waits_for_approval_do_not_count_yet(
    holder: Holder, web: InMemoryFetcher, post_form: Any, now: datetime
) -> None:
    machine = holder(stage="live")
    web.put(KEYS, keys_page())
    told = machine.registered(BY_URI)
    other = "https://evil.example/jwks.json"
    web.put(other, keys_page(key("ES256", 4).public_jwk()))
    answer = machine.replace(told, {**BY_URI, "jwks_uri": other})
    assert answer.json()["change_request"]["state"] == "open"
    assert ClientKeySet.objects.get().jwks_uri == KEYS
    asked = {"grant_type": "client_credentials"}
    caller = Caller(client_of(told), "private_key_jwt", now, key=key())
    assert outcome(post_form(TOKEN, {**asked, **assertion_parameters(caller.assertion(signer=key("ES256", 4)))})) == "401 invalid_client"
    assert outcome(post_form(TOKEN, {**asked, **assertion_parameters(caller.assertion())})) == "200"
