"""Fixtures of the authorization server's tests."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from authserver.throttling import failures
from tests.authserver.support import ENDPOINTS, INTROSPECT, TOKEN, Caller, make_caller
from tests.conftest import Cast

Answer = Any


@pytest.fixture
def caller_by(cast: Cast, now: datetime) -> Callable[..., Caller]:
    """Return a function that makes a caller for an authentication method."""

    def make(method: str, **options: Any) -> Caller:
        return make_caller(cast.organization, now, method, **options)

    return make


@pytest.fixture
def with_key(caller_by: Callable[..., Caller]) -> Caller:
    """A caller that authenticates by private_key_jwt with ES256."""
    return caller_by("private_key_jwt")


@pytest.fixture
def with_secret(caller_by: Callable[..., Caller]) -> Caller:
    """A caller that authenticates by client_secret_basic."""
    return caller_by("client_secret_basic")


@pytest.fixture
def call(post_form: Callable[..., Any]) -> Callable[..., Answer]:
    """Return a function that calls an endpoint with what it needs and given credentials, as if nobody had failed before."""

    def send(endpoint: str, parameters: dict[str, Any] | None = None, headers: dict[str, str] | None = None) -> Answer:
        failures.forget()
        return post_form(endpoint, {**ENDPOINTS[endpoint], **(parameters or {})}, **(headers or {}))

    return send


@pytest.fixture
def call_as(call: Callable[..., Answer]) -> Callable[..., Answer]:
    """Return a function that calls an endpoint as a caller, by its registered method."""

    def send(caller: Caller, endpoint: str, **parameters: Any) -> Answer:
        credentials, headers = caller.credentials()
        return call(endpoint, {**parameters, **credentials}, headers)

    return send


@pytest.fixture
def issue(call_as: Callable[..., Answer]) -> Callable[..., str]:
    """Return a function that gets an access token for a caller."""

    def get(caller: Caller, **parameters: Any) -> str:
        answer = call_as(caller, TOKEN, **parameters)
        assert answer.status_code == 200, answer.content
        return str(answer.json()["access_token"])

    return get


@pytest.fixture
def introspect(call_as: Callable[..., Answer]) -> Callable[..., dict[str, Any]]:
    """Return a function that asks about a token as a resource server."""

    def ask(caller: Caller, token: str) -> dict[str, Any]:
        answer = call_as(caller, INTROSPECT, token=token)
        assert answer.status_code == 200, answer.content
        return dict(answer.json())

    return ask
