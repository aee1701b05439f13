"""What an invitation that works no more says: whom to ask for a new one, with a mail prepared, and nothing about members."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from pytest_django.asserts import assertContains, assertNotContains

from registry.actors import person
from registry.members import accept_invitation, invite, revoke_invitation
from registry.models import Invitation, Organization, User
from tests.conftest import Cast

pytestmark = pytest.mark.threat("R10")
END: dict[str, Callable[[Cast, Any, datetime], Any]] = {
    "expired": lambda cast, new, now: Invitation.objects.update(expires_at=now - timedelta(hours=1)),
    "withdrawn": lambda cast, new, now: revoke_invitation(new.row, cast.as_owner, now=now),
    "used": lambda cast, new, now: accept_invitation(
        new.value, User.objects.create_user(new.row.email), person(User.objects.get(email=new.row.email)), now=now
    ),
}


@pytest.fixture
def gone(cast: Cast, now: datetime, request: pytest.FixtureRequest) -> Any:
    """The answer to the link of an invitation that ended."""
    new = invite(cast.organization, cast.as_owner, email="kai@lighthouse.example", role="developer", now=now)
    END[getattr(request, "param", "expired")](cast, new, now)
    return Browser().get(reverse("invitation", args=[new.value]))


def prepared(response: Any) -> tuple[str, str, str]:
    """Return recipient, subject and body of the prepared mail."""
    found = re.search(r'href="(mailto:[^"]*)"', response.content.decode())
    assert found is not None
    address = unescape(found[1])
    assert re.fullmatch(r"[!-~]+", address)
    assert "+" not in address
    parts = urlsplit(address)
    given = parse_qs(parts.query, strict_parsing=True)
    assert set(given) == {"subject", "body"}
    return parts.path, given["subject"][0], given["body"][0]


@pytest.mark.parametrize("gone", END, indirect=True)
def test_it_says_whom_to_ask_and_prepares_the_mail(gone: Any) -> None:
    assertContains(gone, "Ask Lighthouse Travel for a new one.", status_code=404)
    recipient, subject, body = prepared(gone)
    assert (recipient, subject) == ("", "A new invitation to Lighthouse Travel")
    assert "join Lighthouse Travel as developer" in body
    assert "kai@lighthouse.example" in body
    assert body.startswith("Hello,\r\n\r\n")


def test_it_names_no_member_and_no_address_of_one(cast: Cast, gone: Any) -> None:
    for user in User.objects.filter(memberships__organization=cast.organization):
        assertNotContains(gone, user.email, status_code=404)
        if user.name:
            assertNotContains(gone, user.name, status_code=404)


def test_a_link_that_never_was_says_nothing_of_any_organization(cast: Cast) -> None:
    response = Browser().get(reverse("invitation", args=["inv_" + "x" * 43]))
    assertContains(response, "Ask an owner of the organization for a new one.", status_code=404)
    assertNotContains(response, "mailto:", status_code=404)


@pytest.mark.threat("R06")
@pytest.mark.parametrize(
    "name",
    ['"><script>alert(1)</script>', "A & B? #1 +x=%0d%0abcc:evil@evil.example", "Café\r\nBcc: evil@evil.example", "&bcc=evil@evil.example"],
)
def test_the_name_of_an_organization_stays_inside_the_text_of_the_mail(cast: Cast, now: datetime, name: str) -> None:
    new = invite(cast.organization, cast.as_owner, email="kai@lighthouse.example", role="developer", now=now)
    Invitation.objects.update(expires_at=now - timedelta(hours=1))
    Organization.objects.filter(pk=cast.organization.pk).update(legal_name=name)
    response = Browser().get(reverse("invitation", args=[new.value]))
    _recipient, subject, _body = prepared(response)
    assert subject == f"A new invitation to {name}"
    assertNotContains(response, "<script>alert", status_code=404)


def test_it_costs_two_queries(cast: Cast, now: datetime) -> None:
    new = invite(cast.organization, cast.as_owner, email="kai@lighthouse.example", role="developer", now=now)
    Invitation.objects.update(expires_at=now - timedelta(hours=1))
    with CaptureQueriesContext(connection) as queries:
        Browser().get(reverse("invitation", args=[new.value]))
    assert len([one for one in queries if "registry_invitation" in one["sql"]]) == 2
