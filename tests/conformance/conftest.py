"""Fixtures of the conformance tests: an issuer on https, as certification wants it, and a person who signs in by password."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.core.cache import cache

from registry.models import User
from tests.authserver.authorization.conftest import new_app, no_network, server_keys, standard_scopes
from tests.conformance.steps import PASSWORD
from tests.conftest import Cast

__all__ = ["new_app", "no_network", "server_keys", "standard_scopes"]


@pytest.fixture(autouse=True)
def _on_https(settings: Any) -> None:
    """Let the server have an address that could be certified."""
    settings.ISSUER = "https://id.credence.example"


@pytest.fixture(autouse=True)
def _fresh_counts() -> Iterator[None]:
    """Forget the sign-ins that were counted for other tests."""
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def person(cast: Cast) -> User:
    """Somebody with a password, a name and a verified address."""
    cast.owner.set_password(PASSWORD)
    cast.owner.save()
    EmailAddress.objects.create(user=cast.owner, email=cast.owner.email, verified=True, primary=True)
    return cast.owner
