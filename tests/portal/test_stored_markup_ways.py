"""Markup that machines send, by dynamic registration and by federation, is text on every page that shows it (threats.md R06, R07)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import datetime
from html.parser import HTMLParser
from typing import Any

import pytest
from django.test import Client as Browser
from django.urls import reverse

from dcr.models import InitialAccessToken
from dcr.throttling import requests
from federation.models import RegistrationRequest
from registry.models import Client, Membership, Organization
from tests.authserver.authorization.conftest import server_keys, standard_scopes
from tests.conftest import Cast
from tests.dcr.support import MACHINE, make_token
from tests.federation.registration.conftest import world
from tests.federation.registration.support import World
from tests.portal.test_stored_markup import PAYLOADS, Structure

__all__ = ["server_keys", "standard_scopes", "world"]
pytestmark = pytest.mark.threat("R06", "R07")

# Three at a time, as long as a name may be.
TEXTS = ["  ".join(PAYLOADS[start : start + 3]) for start in range(0, len(PAYLOADS), 3)]
STAFF_LISTS = ("client", "initialaccesstoken", "organization", "auditevent", "notice")
# What no page of ours has, and payloads do.
FOREIGN = frozenset(("iframe", "object", "embed", "base", "style", "video", "source", "math", "template", "marquee", "noscript", "x"))
RUNNING = ("javascript:", "data:", "//", "https://evil", "evil")
TURNED = "Travel \u202egnp.exe"
UNSEEN = ("Light\u200bhouse", "Light\u2066house", "Light\u00adhouse", TURNED)


class Words(HTMLParser):
    """The text of a page, as a reader sees it."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text = ""
        self.feed(html)

    def handle_data(self, data: str) -> None:
        """Collect text."""
        self.text += data


def assert_is_text(html: str, what: str) -> None:
    """Fail when anything on the page is an element or an attribute that somebody else brought."""
    found = Structure(html)
    assert FOREIGN.isdisjoint(tag for tag, _ in found.elements), what
    assert not [names for tag, names in found.elements if tag == "script" and "src" not in names and "type" not in names], what
    assert not [name for _, names in found.elements for name in names if name.startswith("on") or name == "style"], what
    assert not [address for address in found.addresses if address.lower().lstrip().startswith(RUNNING)], what


def shown(browser: Browser, urls: list[str]) -> Iterator[tuple[str, str]]:
    """Yield each page and its text, after a look at what it is made of."""
    for url in urls:
        answer = browser.get(url)
        assert answer.status_code == 200, url
        html = answer.content.decode()
        if answer["Content-Type"].startswith("text/html"):
            assert_is_text(html, url)
            html = Words(html).text
        yield url, html


def pages_of(client: Client) -> list[str]:
    """Return the pages that partners have about an app and its organization."""
    slug, place = client.organization.slug, [client.organization.slug, client.reference]
    about = [reverse(name, args=place) for name in ("app", "app_activity", "app_code", "app_credentials", "app_trust")]
    return [reverse("organization", args=[slug]), reverse("apps", args=[slug]), reverse("organization_activity", args=[slug]), *about]


def staff_pages(client: Client | None = None) -> list[str]:
    """Return the staff pages that show what machines sent, with that of an app."""
    lists = [reverse(f"admin:{'dcr' if name == 'initialaccesstoken' else 'registry'}_{name}_changelist") for name in STAFF_LISTS]
    one = [reverse("admin:registry_client_change", args=[client.pk])] if client else []
    return [reverse("admin:failed_registrations"), reverse("admin:queue"), *lists, *one]


@pytest.fixture
def register(cast: Cast, now: datetime) -> Callable[..., Any]:
    """Return a function that registers as a machine does."""
    token = make_token(cast.organization, now, uses_limit=1000)

    def post(**members: Any) -> Any:
        requests.forget()
        body = json.dumps({**MACHINE, **members})
        return Browser().post("/register", body, content_type="application/json", headers={"Authorization": f"Bearer {token}"})

    return post


@pytest.fixture
def staff(sign_in: Callable[..., Browser]) -> Browser:
    """A browser of somebody who may read everything."""
    return sign_in("auditor")


def test_markup_in_a_registration_by_software_is_text_on_every_page(
    cast: Cast, owner: Browser, staff: Browser, register: Callable[..., Any]
) -> None:
    for payload in TEXTS:
        answer = register(client_name=payload, software_id=payload, software_version=payload, **{"client_name#de": payload})
        assert answer.status_code == 201, payload
        client = Client.objects.select_related("organization").get(client_id=answer.json()["client_id"])
        seen = dict(shown(owner, pages_of(client)))
        assert payload in seen[reverse("app", args=[cast.organization.slug, client.reference])]
        assert any(payload in text for _, text in shown(staff, staff_pages(client)))
        Client.objects.filter(pk=client.pk).update(state=Client.State.CLOSED)  # so that there is room for the next


REFUSED_FIELDS = ("client_uri", "logo_uri", "policy_uri", "tos_uri", "jwks_uri", "token_endpoint_auth_method")


def test_markup_that_a_registration_is_refused_for_is_text_on_every_page(
    cast: Cast, owner: Browser, staff: Browser, register: Callable[..., Any]
) -> None:
    for payload in TEXTS:
        documents = [
            *({field: payload} for field in REFUSED_FIELDS),
            *({field: [payload]} for field in ("contacts", "redirect_uris", "grant_types")),
        ]
        for document in documents:
            assert register(**document).status_code == 400, (payload, document)
        pages = [reverse("registration_token", args=[cast.organization.slug, InitialAccessToken.objects.get().reference])]
        assert "contains" in "".join(text for _, text in shown(owner, pages))
        assert list(shown(staff, staff_pages()))


@pytest.mark.parametrize("name", UNSEEN, ids=ascii)
def test_a_name_with_what_nobody_sees_is_not_registered_by_software(cast: Cast, register: Callable[..., Any], name: str) -> None:
    answer = register(client_name=name)
    assert answer.status_code == 400
    assert answer.json()["invalid_members"] == ["client_name"]
    assert not Client.objects.exists()


@pytest.mark.parametrize("rule", ["create", "queue"])
def test_markup_in_the_metadata_of_an_entity_is_text_on_every_page(
    cast: Cast, world: World, staff: Browser, sign_in: Callable[..., Browser], rule: str
) -> None:
    world.accept("https://northlight.example", rule)
    browser = sign_in("stranger")
    for number, payload in enumerate(TEXTS):
        party = world.add(f"https://party{number}.example", name=payload, organization_name=payload, contacts=["a@b.example"], note=payload)
        answer = party.register()
        if rule == "queue":
            assert answer.status_code == 403
            row = RegistrationRequest.objects.get(entity_id=party.entity_id)
            pages = [reverse("admin:federation_registrationrequest_changelist"), reverse("admin:queue")]
            one = reverse("admin:federation_registrationrequest_change", args=[row.pk])
            assert payload in dict(shown(staff, [*pages, one]))[one]
            continue
        assert answer.status_code == 200, (payload, answer.content)
        organization = Organization.objects.get(pk=party.client.organization_id)
        Membership.objects.create(organization=organization, user=cast.stranger, role="owner")
        client = Client.objects.select_related("organization").get(pk=party.client.pk)
        assert payload in dict(shown(browser, pages_of(client)))[reverse("app", args=[organization.slug, client.reference])]
        assert any(payload in text for _, text in shown(staff, staff_pages(client)))


@pytest.mark.parametrize("name", UNSEEN, ids=ascii)
def test_an_entity_cannot_name_its_organization_or_app_by_what_nobody_sees(cast: Cast, world: World, name: str) -> None:
    party = world.add(organization_name=name)
    assert party.register().status_code == 200
    assert party.client.organization.legal_name == "lighthouse.example"  # the host, which it proved
    other = world.add("https://tidewater.example", name=name)
    assert other.register().status_code == 400
    assert not Client.objects.filter(client_id=other.entity_id).exists()
