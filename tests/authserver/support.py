"""Callers, endpoints and forging for the tests of the authorization server."""

from __future__ import annotations

import base64
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from threading import Thread
from typing import Any
from urllib.parse import quote

from django.conf import settings
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext

from protocol.constants import CLIENT_ASSERTION_TYPE
from protocol.jose import SigningKey, generate_private_key, issue_jwt
from registry.actors import job
from registry.credentials import create_secret
from registry.lifecycle import register_client
from registry.models import Client, Organization

TOKEN, REVOKE, INTROSPECT = "/oauth/token", "/oauth/revoke", "/oauth/introspect"

# What each endpoint needs beside client authentication.
ENDPOINTS: dict[str, dict[str, str]] = {
    TOKEN: {"grant_type": "client_credentials"},
    REVOKE: {"token": "cat_unknown"},
    INTROSPECT: {"token": "cat_unknown"},
}
EVERY_ENDPOINT = tuple(ENDPOINTS)
FORM = "application/x-www-form-urlencoded"
METHODS = ("client_secret_basic", "client_secret_post", "private_key_jwt")

Credentials = tuple[dict[str, str], dict[str, str]]


@cache
def key(algorithm: str = "ES256", number: int = 0) -> SigningKey:
    """Return key `number` for an algorithm, the same one each time; RSA keys are shared between the RSA algorithms."""
    if algorithm[:2] in ("PS", "RS"):
        return SigningKey(_rsa(number).kid, algorithm, _rsa(number).private_key)
    return generate_private_key(algorithm)


@cache
def _rsa(number: int) -> SigningKey:
    return generate_private_key("RS256", rsa_bits=2048)


def basic(name: str, secret: str) -> dict[str, str]:
    """Return the header of HTTP Basic, both halves form-encoded first (RFC 6749, 2.3.1)."""
    return raw_basic(f"{quote(name, safe='')}:{quote(secret, safe='')}".encode())


def raw_basic(userpass: bytes) -> dict[str, str]:
    """Return the header of HTTP Basic over any bytes."""
    return {"Authorization": "Basic " + base64.b64encode(userpass).decode()}


def assertion_claims(client_id: str, now: datetime, **changes: Any) -> dict[str, Any]:
    """Return the claims of a good client assertion after `changes`; None takes a claim away."""
    seconds = int(now.timestamp())
    claims = {"iss": client_id, "sub": client_id, "aud": settings.ISSUER, "iat": seconds, "exp": seconds + 60, "jti": uuid.uuid4().hex}
    return {name: value for name, value in {**claims, **changes}.items() if value is not None}


def assertion_parameters(assertion: str) -> dict[str, str]:
    """Return the parameters that present a client assertion."""
    return {"client_assertion_type": CLIENT_ASSERTION_TYPE, "client_assertion": assertion}


@dataclass
class Caller:
    """A client with what it authenticates by. It has the right to introspect, so that it may call every endpoint."""

    client: Client
    method: str
    now: datetime
    secret: str = ""
    key: SigningKey | None = None

    @property
    def client_id(self) -> str:
        return self.client.client_id

    def assertion(self, *, signer: SigningKey | None = None, typ: str | None = "JWT", headers: Any = None, **claims: Any) -> str:
        """Return an assertion of this client, good but for `claims`."""
        signing_key = signer or self.key or key()
        return issue_jwt(assertion_claims(self.client_id, self.now, **claims), signing_key, typ=typ, headers=headers)

    def credentials(self, method: str = "") -> Credentials:
        """Return parameters and headers that authenticate by `method`, or by the registered one."""
        method = method or self.method
        if method == "client_secret_basic":
            return {}, basic(self.client_id, self.secret)
        if method == "client_secret_post":
            return {"client_id": self.client_id, "client_secret": self.secret}, {}
        if method == "private_key_jwt":
            return assertion_parameters(self.assertion()), {}
        return {"client_id": self.client_id}, {}


def make_caller(organization: Organization, now: datetime, method: str, *, signing_key: SigningKey | None = None, **options: Any) -> Caller:
    """Return an active client that authenticates by `method`, with the metadata `options`."""
    signing_key = signing_key or key()
    keys = {"jwks": {"keys": [signing_key.public_jwk()]}} if method == "private_key_jwt" else {}
    document = {
        "client_name": f"By {method.replace('_', ' ')}",
        "grant_types": ["client_credentials"],
        "scope": "bookings.read",
        "token_endpoint_auth_method": method,
        **keys,
        **options,
    }
    client = register_client(job("test"), organization, document, now=now, is_resource_server=True)
    if method == "private_key_jwt":
        return Caller(client, method, now, key=signing_key)
    return Caller(client, method, now, secret=create_secret(client, job("test"), now=now).value)


def outcome(answer: Any) -> str:
    """Return what became of a request in a word: the status, and the error code when there is one."""
    if answer.status_code < 400:
        return str(answer.status_code)
    return f"{answer.status_code} {answer.json()['error']}"


class Counted(CaptureQueriesContext):
    """The statements of this connection, but for those that write down a failed request when its answer is out."""

    @property
    def captured_queries(self) -> list[dict[str, str]]:
        """Return what the answer waited for."""
        return [query for query in super().captured_queries if "registry_failedrequest" not in query["sql"]]


@contextmanager
def counted() -> Iterator[CaptureQueriesContext]:
    """Capture the statements of this connection that an answer waits for, those of transactions included."""
    with Counted(connection) as queries:
        yield queries


def in_threads(jobs: Iterable[Callable[[], Any]]) -> list[Any]:
    """Run every job in a thread with a connection of its own; return the results in order. An exception is a result."""
    jobs = list(jobs)
    results: list[Any] = [None] * len(jobs)

    def run(position: int, work: Callable[[], Any]) -> None:
        try:
            results[position] = work()
        except Exception as error:  # noqa: BLE001 - whatever it is, the test sees it
            results[position] = error
        finally:
            connections.close_all()

    threads = [Thread(target=run, args=pair) for pair in enumerate(jobs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return results
