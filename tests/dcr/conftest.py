"""Fixtures of dynamic registration."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import pytest
from django.test import Client as Browser

from authserver.throttling import failures
from dcr.throttling import requests
from protocol.fetch import InMemoryFetcher
from registry.models import PolicyRecord
from registry.outbound import use_fetcher
from tests.conftest import Cast
from tests.dcr.support import Machine, make_token


@pytest.fixture(autouse=True)
def _as_if_nobody_registered_before() -> None:
    requests.forget()
    failures.forget()


@pytest.fixture(autouse=True)
def web() -> Iterator[InMemoryFetcher]:
    """The rest of the world: nothing is there until a test puts it there."""
    with use_fetcher(fetcher := InMemoryFetcher()):
        yield fetcher


@pytest.fixture
def machine(client: Any, cast: Cast, now: datetime) -> Machine:
    """A machine with an initial access token of the cast's organization."""
    return Machine(client, make_token(cast.organization, now))


@pytest.fixture
def holder(cast: Cast, now: datetime) -> Callable[..., Machine]:
    """Return a function that makes a machine with an initial access token on the given terms."""
    return lambda **terms: Machine(Browser(), make_token(terms.pop("organization", cast.organization), now, **terms))


@pytest.fixture
def room(cast: Cast) -> None:
    """Let an organization have as many clients as a test makes."""
    PolicyRecord.objects.create(organization=None, values={"clients_limit": 10_000})
