"""What people read while the database is away."""

from __future__ import annotations

import pytest
from django.test import Client as Browser
from django.urls import reverse

from registry import banners
from tests.authserver.test_documents import database_away
from tests.conftest import Cast


@pytest.mark.threat("X02")
@pytest.mark.parametrize("name", ["home", "organizations", "account", "docs", "organization", "staff:index"])
def test_somebody_with_a_session_reads_that_it_is_away_for_a_moment(cast: Cast, owner: Browser, name: str) -> None:
    address = reverse(name, args=[cast.organization.slug] if name == "organization" else [])
    banners.due_snapshot.forget()
    with database_away():
        page = owner.get(address, raise_request_exception=False)
    assert (page.status_code, page["Retry-After"], page["Cache-Control"]) == (503, "5", "no-store")
    text = page.content.decode()
    assert "<h1>This is away for a moment</h1>" in text
    assert page["X-Request-ID"] in text
    assert "connection" not in text
    assert "Content-Security-Policy" in page


@pytest.mark.threat("X02")
def test_a_form_sent_meanwhile_is_answered_the_same_and_works_afterwards(cast: Cast, owner: Browser) -> None:
    with database_away():
        assert owner.post(reverse("account"), {"name": "Olga"}).status_code == 503
    assert owner.post(reverse("account"), {"name": "Olga"}).status_code == 302


@pytest.mark.threat("X02")
def test_what_needs_no_database_is_still_served_to_visitors(client: Browser, db: None) -> None:
    with database_away():
        assert client.get(reverse("home")).status_code == 200
        assert client.get(reverse("readyz")).status_code == 503
        assert client.get(reverse("healthz")).status_code == 200


@pytest.mark.threat("X02")
@pytest.mark.parametrize("path", ["/nothing/here/", "/org/nobody/nothing/", "/staff/nothing/"])
def test_an_address_that_does_not_exist_is_no_error_of_ours_meanwhile(cast: Cast, owner: Browser, path: str) -> None:
    with database_away():
        page = owner.get(path, raise_request_exception=False)
    assert (page.status_code, page["Retry-After"]) == (503, "5")
    assert "<h1>This is away for a moment</h1>" in page.content.decode()
    assert owner.get("/nothing/here/").status_code == 404
