"""What the suite does in modules of registration: it sends what few clients send, and looks at every answer."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlsplit

from django.test import Client as Browser
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from dcr.throttling import requests
from registry.models import Client
from tests.authserver.authorization.support import Answer
from tests.authserver.support import Caller, assertion_claims
from tests.dcr.support import SERVERS_OWN, Machine

# The query that the suite adds to a redirect URI.
DUMMIES: Final = "?dummy1=lorem&dummy2=ipsum"


@dataclass
class SuiteClient(Caller):
    """A client of the suite, which signs with the key that it made; one without a name is not named in assertions either."""

    own_key: RSAKey | ECKey | None = None
    algorithm: str = "RS256"

    def assertion(self, **claims: Any) -> str:  # type: ignore[override]
        """Return an assertion, good but for `claims`."""
        named = {"kid": self.own_key.kid} if self.own_key and self.own_key.kid else {}
        assert self.own_key is not None
        return jwt.encode(
            {"alg": self.algorithm, **named},
            assertion_claims(self.client_id, self.now, **claims),
            self.own_key,
            algorithms=[self.algorithm],
        )


def public_keys(key: RSAKey | ECKey, algorithm: str) -> dict[str, Any]:
    """Return the key set of a client as the suite registers or serves it."""
    return {"keys": [key.as_dict(private=False, use="sig", alg=algorithm)]}


def client_of(registration: dict[str, Any], key: RSAKey | ECKey, now: datetime, algorithm: str = "RS256") -> SuiteClient:
    """Return the client that was registered, with its key."""
    client = Client.objects.select_related("organization").get(client_id=registration["client_id"])
    return SuiteClient(client, "private_key_jwt", now, own_key=key, algorithm=algorithm)


def machine(token: str | None = None) -> Machine:
    """Return what sends requests of registration, with an initial access token or without."""
    requests.forget()
    return Machine(Browser(SERVER_NAME="127.0.0.1"), token)


def registered(answer: Answer) -> dict[str, Any]:
    """Check the answer to a registration that has to succeed, and return it."""
    assert answer.status_code == 201, answer.content
    return managed(answer)


def read(answer: Answer) -> dict[str, Any]:
    """Check the answer to a look at a registration or to its update, and return it."""
    assert answer.status_code == 200, answer.content
    return managed(answer)


def managed(answer: Answer) -> dict[str, Any]:
    """Check what every such answer has to hold."""
    assert answer["Content-Type"].partition(";")[0] == "application/json"
    registration: dict[str, Any] = answer.json()
    assert "error" not in registration
    assert registration["client_id"]
    assert registration["registration_access_token"]
    assert urlsplit(registration["registration_client_uri"]).scheme == "https"
    # Without a secret nothing is said of its end.
    assert ("client_secret" in registration) <= ("client_secret_expires_at" in registration)
    return registration


def refused_registration(answer: Answer, *codes: str) -> None:
    """Check a refusal (RFC 7591, 3.2.2), of any code when none is named."""
    assert answer.status_code == 400, answer.content
    assert answer["Content-Type"].partition(";")[0] == "application/json"
    members = answer.json()
    assert members["error"] in (codes or (members["error"],)), members
    assert "client_id" not in members
    assert re.fullmatch(r"[ !#-\[\]-~]*", members.get("error_description", ""))


def unauthorized(answer: Answer) -> None:
    """Check the answer to a token that counts for nothing: it says nothing of any client."""
    assert answer.status_code == 401, answer.content
    assert "client_id" not in answer.json()


@contextmanager
def nothing_registered() -> Iterator[None]:
    """Check that there are as many clients afterwards as before."""
    before = Client.objects.count()
    yield
    assert Client.objects.count() == before


def configuration_request(registration: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Return what the suite sends to change a registration: the answer, without what only the server says, and `changes`."""
    return {name: value for name, value in {**registration, **changes}.items() if name not in SERVERS_OWN}
