"""Fixtures of the tests about registration by federation."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from registry.outbound import use_fetcher
from tests.authserver.authorization.conftest import server_keys, standard_scopes
from tests.federation.registration.support import ISSUER, RelyingParty, World

__all__ = ["server_keys", "standard_scopes"]


@pytest.fixture
def world(db: None, now: datetime, settings: Any, standard_scopes: None, server_keys: None) -> Iterator[World]:
    """This server on https below a federation."""
    settings.ISSUER = ISSUER
    world = World.build()
    world.forget()
    with use_fetcher(world.fetcher):
        yield world
    world.forget()


@pytest.fixture
def lighthouse(world: World) -> RelyingParty:
    """A relying party that this server has never seen."""
    return world.add()
