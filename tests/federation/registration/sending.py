"""Sending what an entity signed, and what became of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from authserver.models import AuthorizationRequest
from federation.models import FederationRecord, RegistrationRequest
from federation.simulator import Fault
from registry.models import Client, Organization
from tests.federation.registration.support import RelyingParty, World

WAYS = ("GET", "POST", "PAR")
TOKEN = "/oauth/token"
every_way = pytest.mark.parametrize("way", WAYS)


def send(party: RelyingParty, way: str, request: str, **outside: str) -> Any:
    """Send a request object by one of the WAYS."""
    if way == "PAR":
        return party.world.post("/oauth/par", {"client_id": party.entity_id, "request": request, **outside})
    return party.authorize(request, method=way.lower(), **outside)


def accepted(answer: Any) -> bool:
    """Say whether a request was kept: pushed, or on its way to the page behind it."""
    return answer.status_code == 201 or (answer.status_code == 302 and answer["Location"].startswith("/oauth/interaction/"))


def refusal(answer: Any) -> str:
    """Return the code that a request was refused with, by JSON or on a page, which leads nowhere and names the request."""
    assert "Location" not in answer, answer["Location"]
    assert 400 <= answer.status_code < 500, (answer.status_code, answer.content[:500])
    if answer["Content-Type"].startswith("application/json"):
        return str(answer.json()["error"])
    text = answer.content.decode()
    assert answer["Content-Type"].startswith("text/html")
    assert "http-equiv" not in text.lower()
    assert answer["X-Request-ID"] in text
    found = re.search(r'<p class="muted"><(?:span|a) class="mono"[^>]*>([a-z_]+)</(?:span|a)></p>', text)
    assert found, text[:2000]
    return found[1]


def assert_nothing_written() -> None:
    """Check that no refused request left a trace of the entity."""
    assert not Client.objects.filter(client_id__startswith="https:").exists()
    assert not FederationRecord.objects.exists()
    assert not RegistrationRequest.objects.exists()
    assert not Organization.objects.filter(entity_claims__isnull=False).exists()
    assert not AuthorizationRequest.objects.exists()


def said(answer: Any) -> dict[str, str]:
    """Return what the app was told by redirect."""
    assert answer.status_code == 303, (answer.status_code, answer.content[:1000])
    return dict(parse_qsl(urlsplit(answer["Location"]).query, keep_blank_values=True))


@contextmanager
def offline(world: World) -> Iterator[None]:
    """Let nobody answer."""
    faults = {name: entity.fault for name, entity in world.federation.entities.items()}
    for entity in world.federation.entities.values():
        entity.fault = Fault.SERVER_ERROR
    try:
        yield
    finally:
        for name, fault in faults.items():
            world.federation.entities[name].fault = fault


def pushed(party: RelyingParty, **changes: Any) -> dict[str, str]:
    """Return the parameters of a request to push, as plain as the conformance suite's."""
    good = {"client_id": party.entity_id, "response_type": "code", "scope": "openid", "redirect_uri": party.callback}
    return {name: value for name, value in {**good, **changes}.items() if value is not None}


def with_another_signature(statement: str) -> str:
    """Return a statement with one bit of its signature turned."""
    header, payload, signature = statement.split(".")
    return ".".join([header, payload, ("B" if signature[0] == "A" else "A") + signature[1:]])
