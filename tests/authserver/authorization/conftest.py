"""Fixtures of the tests about people: an app, a person who is signed in, and no network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from importlib import import_module
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.apps import apps

from protocol.jose import SigningKey
from registry import signing_keys
from registry.actors import job
from registry.outbound import use_fetcher
from registry.signing_keys import ensure_signing_keys
from tests.authserver.authorization.support import Flow, make_app, sign_in
from tests.authserver.support import Caller, key, make_caller
from tests.conftest import Cast


class NoFetch:
    """A fetcher that fails the test that uses it."""

    def fetch(self, request: Any) -> Any:
        raise AssertionError(f"fetched {request}")

    fetch_many = fetch


@pytest.fixture(autouse=True)
def no_network() -> Iterator[None]:
    """Fail whatever fetches."""
    with use_fetcher(NoFetch()):  # type: ignore[arg-type]
        yield


@pytest.fixture
def standard_scopes(db: None) -> None:
    """Bring back the scopes that a migration made and a test that commits took away."""
    import_module("registry.migrations.0004_standard_scopes").add_scopes(apps, None)


@pytest.fixture
def server_keys(db: None, now: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the server signing keys; RSA keys are the same in every test, since making one takes long."""
    made: dict[str, int] = {}

    def quickly(algorithm: str, **_: Any) -> SigningKey:
        kind = "RSA" if algorithm[:2] in ("PS", "RS") else algorithm
        made[kind] = made.get(kind, 0) + 1
        return key(algorithm, 100 + made[kind]) if kind == "RSA" else original(algorithm)

    original = signing_keys.generate_private_key
    monkeypatch.setattr(signing_keys, "generate_private_key", quickly)
    ensure_signing_keys(job("test"), now=now)


@pytest.fixture
def new_app(cast: Cast, now: datetime, standard_scopes: None, server_keys: None) -> Callable[..., Caller]:
    """Return a function that registers an app for people."""
    return lambda method="private_key_jwt", **options: make_app(cast.organization, now, method, **options)


@pytest.fixture
def app(new_app: Callable[..., Caller]) -> Caller:
    """An app that authenticates by private_key_jwt and gets ID tokens by ES256."""
    return new_app()


@pytest.fixture
def flow(app: Caller, cast: Cast) -> Flow:
    """The app, and the owner of its organization, who is signed in."""
    EmailAddress.objects.create(user=cast.owner, email=cast.owner.email, verified=True, primary=True)
    made = Flow(app)
    sign_in(made.browser, cast.owner)
    return made


@pytest.fixture
def resource_server(cast: Cast, now: datetime) -> Caller:
    """A resource server that may introspect."""
    return make_caller(cast.organization, now, "client_secret_basic")
