"""Signing a client assertion (RFC 7523) by hand, for apps with a key pair."""

from __future__ import annotations

from typing import Final

from portal.snippets.facts import AppFacts, facts_of
from portal.snippets.quoting import Code, for_python
from registry.models import Client

_ASSERTION: Final = Code("""\
# pip install "pyjwt[crypto]"
import pathlib
import time
import uuid

import jwt

now = int(time.time())
claims = {
    "iss": @{client_id},
    "sub": @{client_id},
    "aud": @{issuer},
    "iat": now,
    "exp": now + 240,  # at most five minutes
    "jti": str(uuid.uuid4()),  # new each time
}
private_key = pathlib.Path("private-key.pem").read_text()
print(jwt.encode(claims, private_key, algorithm=@{algorithm}, headers={"kid": @{key_id}}))
""")


def assertion_snippet(client: Client) -> str:
    """Return Python that prints a client assertion of `client`."""
    return assertion_code(facts_of(client, waiting_scopes=()))


def assertion_code(facts: AppFacts) -> str:
    """Return the same from facts."""
    return _ASSERTION.substitute(facts.quoted(for_python))
