"""What tests of registration share: a machine that registers and manages itself."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import connection

from dcr.initial_access_tokens import TokenTerms, create_initial_access_token
from dcr.models import RegistrationProfile
from dcr.throttling import requests
from registry.actors import job
from registry.models import Client, Organization
from tests.authserver.support import key

MACHINE: dict[str, Any] = {"client_name": "Back office", "grant_types": ["client_credentials"], "scope": "bookings.read"}
WEBSITE: dict[str, Any] = {"client_name": "Lighthouse", "redirect_uris": ["https://lighthouse.example/callback"]}
SERVERS_OWN = ("registration_access_token", "registration_client_uri", "client_secret_expires_at", "client_id_issued_at")
# What the answer holds beside the registered metadata.
BESIDE = (*SERVERS_OWN, "client_id", "client_secret", "stage", "org_id", "notes", "change_request", "software_statement")


def make_token(organization: Organization, now: datetime, **terms: Any) -> str:
    """Return the value of an initial access token of `organization`, made by a command."""
    values = {"label": "test", "expires_at": now + timedelta(days=1), "uses_limit": 100, **terms}
    return create_initial_access_token(organization, job("test"), TokenTerms(**values), now=now).value


def make_profile(name: str = "strict", **members: Any) -> RegistrationProfile:
    """Return a registration profile."""
    return RegistrationProfile.objects.create(name=name, **members)


@dataclass
class Machine:
    """Sends what a registering machine sends. `client` is Django's test client."""

    client: Any
    token: str | None = None
    headers: dict[str, str] = field(default_factory=dict)

    def send(self, method: str, path: str, body: Any = None, *, token: str | None = None, **headers: str) -> Any:
        """Send JSON, or `body` as it is when it is bytes, as if nobody had sent anything before."""
        requests.forget()
        return self.send_again(method, path, body, token=token, **headers)

    def send_again(self, method: str, path: str, body: Any = None, *, token: str | None = None, **headers: str) -> Any:
        """Send it as one of many."""
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        bearer = {"Authorization": f"Bearer {token}"} if token else {}
        content_type = headers.pop("content_type", "application/json")
        more = {name.replace("_", "-"): value for name, value in headers.items()}
        sent = {**bearer, **self.headers, **more}  # the type is said of an empty body too
        return self.client.generic(method, path, data, content_type=content_type, headers=sent, CONTENT_TYPE=content_type)

    def register(self, document: Any = None, **changes: Any) -> Any:
        """Register with the initial access token. A member given as `...` is left out."""
        if isinstance(document, bytes):
            return self.send("POST", "/register", document, token=self.token)
        body = {**(MACHINE if document is None else document), **changes}
        return self.send("POST", "/register", {name: value for name, value in body.items() if value is not ...}, token=self.token)

    def registered(self, document: Any = None, **changes: Any) -> dict[str, Any]:
        """Register, and return what was answered."""
        response = self.register(document, **changes)
        assert response.status_code == 201, response.content
        return dict(response.json())

    def read(self, registration: dict[str, Any], **headers: str) -> Any:
        """Read a registration by its own token."""
        return self.send("GET", place_of(registration), token=registration["registration_access_token"], **headers)

    def replace(self, registration: dict[str, Any], document: dict[str, Any] | None = None, **headers: str) -> Any:
        """Replace a registration by a document, or by itself."""
        body = as_update(registration) if document is None else {"client_id": registration["client_id"], **document}
        return self.send("PUT", place_of(registration), body, token=registration["registration_access_token"], **headers)

    def delete(self, registration: dict[str, Any]) -> Any:
        """Delete a registration."""
        return self.send("DELETE", place_of(registration), token=registration["registration_access_token"])


def place_of(registration: dict[str, Any]) -> str:
    """Return the path of a registration."""
    return "/register/" + registration["registration_client_uri"].rpartition("/")[2]


def as_update(registration: dict[str, Any]) -> dict[str, Any]:
    """Return an answer as a client sends it back: without what only the server says (DCR-RESP-07)."""
    return {name: value for name, value in registration.items() if name not in SERVERS_OWN}


def metadata_in(registration: dict[str, Any]) -> dict[str, Any]:
    """Return the registered metadata in an answer."""
    return {name: value for name, value in registration.items() if name not in BESIDE}


def client_of(registration: dict[str, Any]) -> Client:
    """Return the row of what was registered."""
    return Client.objects.select_related("organization").get(client_id=registration["client_id"])


def row_counts() -> dict[str, int]:
    """Return how many rows each table has."""
    with connection.cursor() as cursor:
        tables = connection.introspection.table_names(cursor)
        assert "dcr_registrationaccesstoken" in tables
        counts = {}
        for table in tables:
            cursor.execute(f"SELECT COUNT(*) FROM {connection.ops.quote_name(table)}")  # noqa: S608 - the database named it
            counts[table] = cursor.fetchone()[0]
    return counts


def signer(**members: Any) -> dict[str, Any]:
    """Return a machine that authenticates by private_key_jwt."""
    keys = {"jwks": {"keys": [key().public_jwk()]}}
    return {**MACHINE, "token_endpoint_auth_method": "private_key_jwt", **keys, **members}


def statements(queries: Any) -> list[str]:
    """Return the statements that were sent, those of savepoints left out: a request in production has none around it."""
    return [one["sql"] for one in queries if "SAVEPOINT" not in one["sql"]]
