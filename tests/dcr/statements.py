"""An issuer of software statements, and what it or somebody else signs."""

from __future__ import annotations

import base64
import json
import uuid
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings

from dcr.models import SoftwareStatementIssuer
from dcr.software_statements import VerifiedStatement, accept_statement, merge_statement, save_issuer, verify_statement
from protocol.fetch import Page
from protocol.jose import SigningKey, issue_jwt
from registry.actors import job, software_publisher
from registry.lifecycle import register_dynamic_client
from registry.models import Client, Organization
from tests.registry.support import private_key

ISSUER, JWKS_URI = "https://directory.example", "https://directory.example/jwks.json"
ROLES = {"data": ["bookings.read"], "payment": ["bookings.write"]}
KEY, OTHER_KEY = private_key("ES256", 71), private_key("ES256", 72)
MACHINE = {"client_name": "Body", "grant_types": ["client_credentials"], "scope": "bookings.read bookings.write"}


def issuer_values(organization: Organization | None, **changes: Any) -> dict[str, Any]:
    """Return what an operator says of an issuer with a pinned key."""
    return {
        "issuer": ISSUER, "name": "Directory", "jwks": {"keys": [KEY.public_jwk()]}, "algorithms": ["ES256"],
        "claims": ["client_name", "logo_uri", "redirect_uris", "scope", "software_id"], "organization": organization,
        "roles_claim": "roles", "role_scopes": ROLES, **changes,
    }  # fmt: skip


def make_issuer(organization: Organization | None, now: datetime, **changes: Any) -> SoftwareStatementIssuer:
    """Return an issuer that went through the service."""
    return save_issuer(None, issuer_values(organization, **changes), job("test"), now=now)


def claims_of(now: datetime, **changes: Any) -> dict[str, Any]:
    """Return the claims of a good statement after `changes`; a claim given as `...` is left out."""
    seconds = int(now.timestamp())
    claims = {
        "iss": ISSUER, "iat": seconds - 10, "exp": seconds + 3600, "jti": uuid.uuid4().hex, "aud": settings.ISSUER,
        "software_id": "4NRB1", "client_name": "Vouched", "roles": ["data", "payment"], **changes,
    }  # fmt: skip
    return {name: value for name, value in claims.items() if value is not ...}


def sign(now: datetime, *, key: SigningKey = KEY, typ: str | None = "JWT", headers: dict[str, Any] | None = None, **changes: Any) -> str:
    """Return a good statement after `changes` of its claims."""
    return issue_jwt(claims_of(now, **changes), key, typ=typ, headers=headers)


def encode(value: Any) -> str:
    """Return the base64url of JSON, or of bytes as they are."""
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode(text: str) -> bytes:
    """Return the bytes of base64url."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def key_page(*keys: SigningKey) -> Page:
    """Return a key set as its server gives it."""
    return Page(json.dumps({"keys": [key.public_jwk() for key in keys]}).encode(), "application/jwk-set+json")


def verified(now: datetime, **changes: Any) -> VerifiedStatement:
    """Return a good statement, verified."""
    return verify_statement(sign(now, **changes), now=now)


def register(organization: Organization, statement: VerifiedStatement, now: datetime, **changes: Any) -> Client:
    """Return a client that registered with a statement, as the registration endpoint does it."""
    document = merge_statement({**MACHINE, **changes}, statement)
    actor = software_publisher(ISSUER)
    made = register_dynamic_client(actor, organization, document, now=now, stage="test", restrictions={})
    accept_statement(made.client, statement, now=now)
    return made.client


def later(moment: datetime, seconds: float) -> datetime:
    """Return a moment so many seconds after `moment`."""
    return moment + timedelta(seconds=seconds)
