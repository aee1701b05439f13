"""Apps with a token for the API, and how they send requests."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.test import Client as Http

from registry.actors import job
from registry.credentials import create_secret
from registry.entitlements import grant_scopes
from registry.lifecycle import register_client
from registry.models import Client, Entitlement, Organization
from tests.authserver.support import FORM, TOKEN, basic

API = "/api/v1"


def issue_token(client: Client, secret: str, scope: str) -> str:
    """Return an access token from the token endpoint."""
    answer = ask_for_token(client, secret, scope)
    assert answer.status_code == 200, answer.content
    return str(answer.json()["access_token"])


def ask_for_token(client: Client, secret: str, scope: str) -> Any:
    """Return the answer of the token endpoint."""
    return Http().post(
        TOKEN,
        urlencode({"grant_type": "client_credentials", "scope": scope}),
        content_type=FORM,
        headers=basic(client.client_id, secret),
    )


@dataclass
class Machine:
    """An app that calls the API with the token it has."""

    client: Client
    secret: str
    token: str

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    def send(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None, **query: Any) -> Any:
        """Send a request; a body that is no text is sent as JSON."""
        data = body if isinstance(body, str | bytes) else "" if body is None else json.dumps(body)
        return Http().generic(
            method, f"{API}{path}", data, content_type="application/json", headers={**self.headers, **(headers or {})}, query_params=query
        )

    def get(self, path: str, **query: Any) -> Any:
        """Return what is at a path, which must be there."""
        answer = self.send("GET", path, **query)
        assert answer.status_code == 200, answer.content
        return answer.json()

    def post(self, path: str, body: Any) -> Any:
        """Post to a path."""
        return self.send("POST", path, body)


def make_machine(organization: Organization, scope: str, now: datetime, *, name: str = "Robot") -> Machine:
    """Return an app of `organization` that staff entitled to `scope`, with a token."""
    document = {"client_name": name, "grant_types": ["client_credentials"], "scope": scope}
    client = register_client(job("test"), organization, document, now=now)
    grant_scopes(client, scope.split(), Entitlement.Because.STAFF)
    secret = create_secret(client, job("test"), now=now).value
    return Machine(client, secret, issue_token(client, secret, scope))
