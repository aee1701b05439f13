"""How many queries each answer takes, however much there is (portal.md 5.15)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from dcr.initial_access_tokens import TokenTerms, create_initial_access_token, note_refusal
from dcr.models import InitialAccessToken
from protocol.errors import InvalidRequest
from registry.actors import client_actor, job, person
from registry.credentials import create_secret
from registry.lifecycle import create_organization, register_client, request_go_live
from registry.models import Client, Organization
from tests.conftest import Cast
from tests.portal.api.support import Machine

ORGANIZATION = "/organizations/lighthouse-travel"
# Two are for the token: its row with app and organization, and what the app is entitled to.
LISTS = {
    "/organizations": 5,
    ORGANIZATION: 5,
    f"{ORGANIZATION}/clients": 6,
    f"{ORGANIZATION}/change-requests": 6,
    f"{ORGANIZATION}/audit": 6,
    f"{ORGANIZATION}/initial-access-tokens": 6,
    f"{ORGANIZATION}/initial-access-tokens/{{token}}": 5,
    f"{ORGANIZATION}/initial-access-tokens/{{token}}/refused": 7,
    "/clients/{client}": 3,
    "/clients/{client}/secrets": 5,
    "/change-requests": 4,
    "/change-requests/{change}": 3,
    "/audit": 4,
}


def count(machine: Machine, path: str) -> int:
    machine.get(path, **({"limit": 100} if path.rpartition("/")[2] in ("audit", "clients", "organizations") else {}))
    with CaptureQueriesContext(connection) as queries:
        machine.get(path)
    return len(queries)


def make_token(cast: Cast, own: Machine, now: datetime) -> InitialAccessToken:
    """Return a token that an app made; another one is kept by a person."""
    terms = TokenTerms(label="Fleet", expires_at=now + timedelta(days=1))
    create_initial_access_token(cast.organization, cast.as_owner, terms, now=now)
    return create_initial_access_token(cast.organization, client_actor(own.client), terms, now=now).row


def grow(cast: Cast, own: Machine, admin: Machine, client: Client, now: datetime) -> None:
    """Add several of everything."""
    for number in range(6):
        document = {"client_name": f"App {number}", "grant_types": ["client_credentials"]}
        more = register_client(job("test"), cast.organization, document, now=now)
        request_go_live(more, cast.as_owner, now=now)
        made = create_organization(person(cast.owner), f"Another {number}", now=now, contacts={"technical": f"t{number}@a.example"})
        register_client(job("test"), made, document, now=now)
        create_secret(client, job("test"), now=now, end_others_at=now)
        token = make_token(cast, own, now)
        note_refusal(token, InvalidRequest("No."), "127.0.0.1", "r1", now=now)
        assert admin.post(f"{ORGANIZATION}/clients", {"metadata": document}).status_code == 201


@pytest.mark.parametrize("path", LISTS)
def test_an_answer_takes_the_same_number_of_queries_for_much_as_for_little(
    cast: Cast, own: Machine, admin: Machine, now: datetime, path: str
) -> None:
    client = register_client(job("test"), cast.organization, {"client_name": "A", "grant_types": ["client_credentials"]}, now=now)
    change = request_go_live(client, cast.as_owner, now=now)
    assert (
        admin.post(f"{ORGANIZATION}/clients", {"metadata": {"client_name": "B", "grant_types": ["client_credentials"]}}).status_code == 201
    )
    machine: Any = admin if path in ("/change-requests", "/audit") else own
    url = path.format(client=client.reference, change=change.reference, token=make_token(cast, own, now).reference)
    little = count(machine, url)
    grow(cast, own, admin, client, now)
    assert count(machine, url) == little
    assert little <= LISTS[path]
    assert Organization.objects.count() > 6
