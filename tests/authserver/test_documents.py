"""Keys and metadata: nothing is named that does not work, no header moves them, and they outlive the database (X02, O12)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.conf import settings
from django.db import OperationalError, connection
from django.test import Client as Browser
from django.test import override_settings

from protocol.jose import parse_jwk_set
from registry import digests, signing_keys
from registry.actors import job
from registry.models import PolicyRecord, Scope, ServerSecret, SigningKey
from registry.signing_keys import ensure_signing_keys, get_keys, rotate_signing_key
from registry.snapshots import Snapshot
from tests.authserver.authorization.support import make_app
from tests.authserver.support import ENDPOINTS, FORM, TOKEN, Caller, assertion_parameters, key, outcome
from tests.conftest import Cast

Call = Callable[..., Any]
METADATA, JWKS = "/.well-known/oauth-authorization-server", "/oauth/jwks"
SPOOFED = {
    "X-Forwarded-Host": "attacker.example",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Port": "444",
    "X-Forwarded-Prefix": "/attacker",
    "X-Forwarded-For": "203.0.113.9",
    "Forwarded": "host=attacker.example;proto=https",
    "X-Original-URL": "/attacker",
    "X-Rewrite-URL": "/attacker",
    "X-Script-Name": "/attacker",
    "Origin": "https://attacker.example",
}


@pytest.fixture
def metadata(client: Browser, db: None) -> dict[str, Any]:
    """The metadata document."""
    return dict(client.get(METADATA).json())


def test_metadata_has_what_rfc_8414_requires(metadata: dict[str, Any]) -> None:
    assert metadata["issuer"] == settings.ISSUER
    assert metadata.keys() >= {"issuer", "token_endpoint", "jwks_uri", "response_types_supported", "grant_types_supported"}
    assert metadata["request_uri_parameter_supported"] is False
    assert metadata["registration_endpoint"] == settings.ISSUER + "/register"
    urls = {name: value for name, value in metadata.items() if name.endswith(("_endpoint", "_uri"))}
    assert all(value.startswith(settings.ISSUER + "/") for value in urls.values())


def test_every_endpoint_that_is_named_answers(client: Browser, metadata: dict[str, Any]) -> None:
    pages = {"authorization_endpoint": 400, "end_session_endpoint": 303}
    for name, url in metadata.items():
        if name.endswith("_endpoint"):
            answer = client.post(urlsplit(url).path, "a=b", content_type=FORM)
            if name in pages:
                assert answer.status_code == pages[name], name
            else:
                wanted = ("400 invalid_request", "401 invalid_client", "401 invalid_token", "415 invalid_request")  # /register reads JSON
                assert outcome(answer) in wanted, name
        if name.endswith("_uri"):
            assert client.get(urlsplit(url).path).status_code == 200, name


def test_every_grant_method_and_algorithm_that_is_named_works(
    metadata: dict[str, Any], caller_by: Call, call: Call, cast: Cast, now: datetime
) -> None:
    for kind in ("token", "revocation", "introspection"):
        path = urlsplit(metadata[f"{kind}_endpoint"]).path
        for method in metadata[f"{kind}_endpoint_auth_methods_supported"]:
            if method == "none":
                caller = make_app(cast.organization, now, method)
                wanted = {"token": "400 unauthorized_client", "revocation": "200"}[kind]  # it asks for client_credentials
            else:
                caller, wanted = caller_by(method), "200"
            assert outcome(call(path, *caller.credentials())) == wanted, (kind, method)
        for algorithm in metadata[f"{kind}_endpoint_auth_signing_alg_values_supported"]:
            caller = caller_by("private_key_jwt", signing_key=key(algorithm), token_endpoint_auth_signing_alg=algorithm)
            assert outcome(call(path, assertion_parameters(caller.assertion()))) == "200", (kind, algorithm)
    grants = ["authorization_code", "refresh_token", "client_credentials"]
    caller = caller_by("client_secret_basic", grant_types=grants, redirect_uris=["https://app.example/cb"])
    assert metadata["grant_types_supported"] == grants
    for grant_type, missing in zip(grants, ("code", "refresh_token", None), strict=True):
        parameters, headers = caller.credentials()
        answer = call(TOKEN, {"grant_type": grant_type, **parameters}, headers)
        assert outcome(answer) == ("200" if missing is None else "400 invalid_request"), grant_type
        assert missing is None or f"The parameter {missing} is missing" in answer.json()["error_description"]


def test_nothing_works_that_is_not_named(metadata: dict[str, Any], with_secret: Caller, call_as: Call) -> None:
    every_grant = {
        "authorization_code",
        "refresh_token",
        "client_credentials",
        "password",
        "implicit",
        "urn:ietf:params:oauth:grant-type:device_code",
    }
    for grant_type in every_grant - set(metadata["grant_types_supported"]):
        assert call_as(with_secret, TOKEN, grant_type=grant_type).status_code == 400, grant_type


def test_every_scope_that_is_named_exists_and_is_not_retired(client: Browser, cast: Cast) -> None:
    Scope.objects.create(name="old", title="Old", is_retired=True)
    named = client.get(METADATA).json()["scopes_supported"]
    assert named == sorted(Scope.objects.filter(is_retired=False).values_list("name", flat=True))
    assert {"bookings.read", "openid", "offline_access"} < set(named)


def test_metadata_follows_the_policy(client: Browser, db: None) -> None:
    values = {"token_endpoint_auth_methods": ["client_secret_basic"], "grant_types": ["authorization_code"]}
    PolicyRecord.objects.create(organization=None, values=values)
    document = client.get(METADATA).json()
    assert document["token_endpoint_auth_methods_supported"] == ["client_secret_basic"]
    assert document["grant_types_supported"] == ["authorization_code"]
    assert "token_endpoint_auth_signing_alg_values_supported" not in document


@pytest.mark.parametrize("path", [METADATA, JWKS])
def test_public_documents_may_be_read_by_anybody_and_kept(client: Browser, db: None, path: str) -> None:
    answer = client.get(path)
    assert answer["Access-Control-Allow-Origin"] == "*"
    assert answer["Cache-Control"] == "public, max-age=300"
    assert answer["Content-Type"] == ("application/jwk-set+json" if path == JWKS else "application/json")
    assert client.head(path).status_code == 200
    strict = Browser(SERVER_NAME="127.0.0.1", enforce_csrf_checks=True)  # as in production
    for method in ("post", "put", "delete", "patch", "options"):
        assert outcome(getattr(strict, method)(path)) == "405 invalid_request"
    assert not answer.cookies


@pytest.mark.threat("O12")
def test_no_header_moves_a_url_or_the_issuer(client: Browser, with_key: Caller, call: Call) -> None:
    plain = client.get(METADATA).content
    assert client.get(METADATA, headers=SPOOFED).content == plain
    for host in ("localhost", "127.0.0.1:9999", "LOCALHOST."):
        assert client.get(METADATA, headers={"Host": host, **SPOOFED}).content == plain
    failed = call(TOKEN, {}, SPOOFED)
    assert "attacker" not in failed.content.decode() + str(failed.headers)
    for audience in ("https://attacker.example", "https://127.0.0.1", "https://attacker.example/oauth/token"):
        assert outcome(call(TOKEN, assertion_parameters(with_key.assertion(aud=audience)), SPOOFED)) == "401 invalid_client"
    assert outcome(call(TOKEN, assertion_parameters(with_key.assertion()), SPOOFED)) == "200"


@pytest.mark.threat("O12")
@pytest.mark.parametrize("path", [METADATA, TOKEN])
def test_a_foreign_host_is_refused(client: Browser, db: None, path: str) -> None:
    for host in ("attacker.example", "127.0.0.1.attacker.example", "127.0.0.1@attacker.example", "a b", ""):
        answer = client.post(path, "a=b", content_type=FORM, headers={"Host": host}, HTTP_HOST=host)
        assert answer.status_code == 400, host
        assert b"attacker" not in answer.content


@override_settings(TRUSTED_PROXY=False)
def test_a_request_id_comes_from_us_unless_a_proxy_is_trusted(client: Browser, db: None) -> None:
    offered = {"X-Request-ID": "0123456789abcdef"}
    assert client.get(JWKS, headers=offered)["X-Request-ID"] != offered["X-Request-ID"]
    with override_settings(TRUSTED_PROXY=True):
        assert client.get(JWKS, headers=offered)["X-Request-ID"] == offered["X-Request-ID"]
        for bad in ("short", "x" * 65, "a b c d e f g", "<script>alert(1)</script>"):
            assert client.get(JWKS, headers={"X-Request-ID": bad})["X-Request-ID"] != bad


@contextmanager
def database_away() -> Iterator[None]:
    """Let every statement fail as it does when the database is gone."""

    def fail(execute: object, sql: str, *args: object) -> None:
        raise OperationalError("server closed the connection unexpectedly")

    with connection.execute_wrapper(fail):
        yield


@pytest.mark.threat("X02")
def test_keys_and_metadata_outlive_the_database(client: Browser, db: None, now: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    ensure_signing_keys(job("test"), now=now)
    before = {path: client.get(path).content for path in (METADATA, JWKS)}
    monkeypatch.setattr("registry.snapshots.time.monotonic", lambda: 1e9)  # what is known is old
    with database_away():
        for path, content in before.items():
            for _ in range(3):
                answer = client.get(path)
                assert (answer.status_code, answer.content) == (200, content)


@pytest.mark.threat("X02")
@pytest.mark.parametrize("path", [METADATA, JWKS])
def test_a_document_never_read_before_is_unavailable_not_broken(client: Browser, db: None, path: str) -> None:
    with database_away():
        answer = client.get(path)
    assert outcome(answer) == "503 temporarily_unavailable"
    assert answer["Retry-After"] == "5"


@pytest.mark.threat("X01", "X02")
def test_requests_that_need_the_database_say_when_to_come_back(with_secret: Caller, with_key: Caller, call: Call) -> None:
    for caller in (with_secret, with_key):
        for endpoint in ENDPOINTS:
            with database_away():
                answer = call(endpoint, *caller.credentials())
            assert outcome(answer) == "503 temporarily_unavailable"
            assert answer["Retry-After"] == "5"
            assert "connection" not in answer.content.decode()
    assert outcome(call(TOKEN, *with_secret.credentials())) == "200"


@pytest.mark.threat("X02")
def test_a_snapshot_is_read_again_only_when_it_is_old(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, reads = [0.0], []
    monkeypatch.setattr("registry.snapshots.time.monotonic", lambda: clock[0])
    snapshot = Snapshot(lambda: reads.append(clock[0]) or len(reads), seconds=30.0)
    assert [snapshot.get(), snapshot.get()] == [1, 1]
    clock[0] = 30.0
    assert snapshot.get() == 2


def test_published_keys_are_public_and_usable(client: Browser, db: None, now: datetime) -> None:
    ensure_signing_keys(job("test"), now=now)
    document = client.get(JWKS).json()
    keys = parse_jwk_set(document).keys
    assert [key.alg for key in keys].count(None) == 2  # Ed25519, which signs under two names
    assert {key.alg for key in keys} == {"ES256", "RS256", "PS256", None}
    assert all(member.keys().isdisjoint({"d", "p", "q", "dp", "dq", "qi", "oth", "k"}) for member in document["keys"])
    assert len({key.kid for key in keys}) == len(keys) == 8


def test_a_rotated_key_stays_published_for_a_week(client: Browser, db: None, now: datetime) -> None:
    ensure_signing_keys(job("test"), now=now)
    old = get_keys("protocol").current["ES256"].kid
    rotate_signing_key("protocol", "ES256", job("test"), now=now)
    assert get_keys("protocol").current["ES256"].kid != old
    assert old in [key["kid"] for key in client.get(JWKS).json()["keys"]]
    SigningKey.objects.filter(kid=old).update(retired_at=now - timedelta(days=8))
    signing_keys.forget_snapshots()
    assert old not in [key["kid"] for key in client.get(JWKS).json()["keys"]]


@pytest.mark.threat("S06", "S08")
def test_every_purpose_has_a_key_of_its_own(client: Browser, db: None, now: datetime) -> None:
    ensure_signing_keys(job("test"), now=now)
    published = {member["kid"] for member in client.get(JWKS).json()["keys"]}
    federation = set(SigningKey.objects.filter(purpose="federation").values_list("kid", flat=True))
    assert federation
    assert published.isdisjoint(federation)
    digest_key = digests.server_secret("digest")
    assert digest_key != digests.server_secret("another")
    assert digest_key.hex() not in {settings.SECRET_KEY, *settings.FIELD_ENCRYPTION_KEYS}
    assert len({digests.keyed_digest("x", purpose) for purpose in ("client-secret", "token", "code")}) == 3


@pytest.mark.threat("S08")
def test_private_keys_and_server_secrets_are_stored_encrypted(db: None, now: datetime) -> None:
    ensure_signing_keys(job("test"), now=now)
    stored = [row.private_key_encrypted for row in SigningKey.objects.all()]
    assert not [text for text in stored if "PRIVATE KEY" in text]
    secret = digests.server_secret("digest").hex()
    assert secret not in ServerSecret.objects.get(name="digest").value_encrypted
    assert all(key not in text for text in stored for key in settings.FIELD_ENCRYPTION_KEYS)
