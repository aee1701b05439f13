"""The sandbox of `make run`: a federation in a file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client as Browser

from federation.resolving import statement_cache
from portal.demo.data import load_demo_data, make_sandbox
from portal.demo.federation import LIGHTHOUSE, TIDEWATER
from portal.demo.sandbox import SandboxFetcher, load_sandbox, sandbox_path
from protocol.fetch import FetchPurpose, InMemoryFetcher, Page, standard_request
from registry.actors import job
from registry.models import Client, User
from registry.outbound import use_fetcher
from registry.signing_keys import ensure_signing_keys
from tests.authserver.authorization.conftest import server_keys, standard_scopes
from tests.authserver.authorization.support import sign_in

__all__ = ["server_keys", "standard_scopes"]


@pytest.fixture
def real() -> InMemoryFetcher:
    """What stands for the real network."""
    return InMemoryFetcher({"https://elsewhere.example/keys": Page(b'{"keys":[]}', "application/json")})


@pytest.fixture
def sandbox(db: None, now: Any, settings: Any, tmp_path: Path, real: InMemoryFetcher, server_keys: None) -> Iterator[None]:
    """A server on loopback with demo data."""
    settings.DATA_DIR = tmp_path
    ensure_signing_keys(job("test"), now=now)
    load_demo_data()
    make_sandbox()
    statement_cache.clear()
    with use_fetcher(SandboxFetcher(real)):
        yield
    statement_cache.clear()


def said(*arguments: str, command: str = "sandbox") -> str:
    out = StringIO()
    call_command(command, *arguments, stdout=out, stderr=StringIO())
    return out.getvalue()


def test_a_first_sign_in_registers_lighthouse_for_its_organization(sandbox: None) -> None:
    assert not Client.objects.filter(client_id=LIGHTHOUSE).exists()
    link = said("link").strip()
    assert Browser(SERVER_NAME="127.0.0.1").get(link[link.index("/oauth") :]).status_code == 302
    assert Client.objects.get(client_id=LIGHTHOUSE).organization.legal_name == "Lighthouse Travel"


def test_the_address_that_the_browser_was_sent_to_is_exchanged_for_an_id_token(sandbox: None) -> None:
    olga = User.objects.get(email="olga@lighthouse.example")
    browser = Browser(SERVER_NAME="127.0.0.1")
    sign_in(browser, olga)
    link = said("link").strip()
    started = browser.get(link[link.index("/oauth") :])
    sent_to = browser.post(started["Location"], {"answer": "allow"})["Location"]
    answer = json.loads(said("exchange", sent_to))
    assert (answer["scope"], answer["id_token"]["sub"]) == ("openid profile", str(olga.sub))


def test_tidewater_gets_tokens_until_harbour_expels_it_and_again_when_it_is_back(sandbox: None) -> None:
    assert json.loads(said("token"))["scope"] == "bookings.read"
    said("expel", "tidewater")
    assert "suspect" in said(TIDEWATER, command="refresh_trust")
    with pytest.raises(CommandError, match="not_found"):
        said("token")
    assert "tidewater" in said()
    said("readmit", "tidewater")
    assert "revived" in said(TIDEWATER, command="refresh_trust")
    assert json.loads(said("token"))["access_token"]


def test_only_the_hosts_of_the_sandbox_are_answered_from_it(sandbox: None, real: InMemoryFetcher) -> None:
    fetcher = SandboxFetcher(real)
    fetcher.fetch(standard_request(FetchPurpose.ENTITY_CONFIGURATION, f"{LIGHTHOUSE}/.well-known/openid-federation"))
    assert real.total == 0
    fetcher.fetch_many([standard_request(FetchPurpose.JWKS, "https://elsewhere.example/keys")])
    assert real.total == 1


def test_the_file_is_private_and_a_server_without_one_says_so(sandbox: None, settings: Any, tmp_path: Path) -> None:
    assert sandbox_path().stat().st_mode & 0o077 == 0
    settings.DATA_DIR = tmp_path / "other"
    assert load_sandbox() is None
    with pytest.raises(CommandError, match="make run"):
        said()


@pytest.mark.parametrize("arguments", [("expel", "nobody"), ("exchange", "https://app.lighthouse.example/callback"), ("exchange",)])
def test_a_mistake_is_named(sandbox: None, arguments: tuple[str, ...]) -> None:
    with pytest.raises(CommandError):
        said(*arguments)
