"""Markup in software statements, automatic registrations and trust marks is text wherever it is shown (threats.md R06, R07)."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from django.test import Client as Browser
from django.urls import reverse

from authserver.throttling import sign_ins
from dcr.models import RefusedRegistration
from dcr.throttling import requests
from federation.core.issuing import issue_trust_mark
from federation.models import FederationRecord, RegistrationRequest, TrustMarkRule
from registry.models import Client, Membership, Organization
from tests.authserver.authorization.conftest import server_keys, standard_scopes
from tests.authserver.authorization.support import sign_in as sign_in_at
from tests.conftest import Cast
from tests.dcr.statements import make_issuer, sign
from tests.dcr.support import MACHINE, make_token
from tests.federation.registration.conftest import world
from tests.federation.registration.support import HARBOUR, LIGHTHOUSE, NORTHLIGHT, RelyingParty, World
from tests.portal.test_stored_markup_ways import TEXTS, UNSEEN, Words, assert_is_text, pages_of, shown, staff_pages

__all__ = ["server_keys", "standard_scopes", "world"]
pytestmark = pytest.mark.threat("R06", "R07")

CLAIMS = ("client_name", "software_id", "software_version", "client_uri", "logo_uri", "redirect_uris", "scope")
MARK = "https://northlight.example/marks/certified"


@pytest.fixture
def staff(sign_in: Callable[..., Browser]) -> Browser:
    """A browser of somebody who may read everything."""
    return sign_in("auditor")


@pytest.fixture
def state(cast: Cast, now: datetime) -> Callable[..., Any]:
    """Return a function that registers with an initial access token and a statement of these claims."""
    make_issuer(cast.organization, now, claims=list(CLAIMS))
    token = make_token(cast.organization, now, uses_limit=1000)

    def post(**claims: Any) -> Any:
        requests.forget()
        body = json.dumps({**MACHINE, "software_statement": sign(now, roles=..., **claims)})
        return Browser().post("/register", body, content_type="application/json", headers={"Authorization": f"Bearer {token}"})

    return post


def test_markup_in_a_software_statement_is_text_on_every_page(
    cast: Cast, owner: Browser, staff: Browser, state: Callable[..., Any]
) -> None:
    for payload in TEXTS[::2]:
        answer = state(client_name=payload, software_id=payload, software_version=payload)
        assert answer.status_code == 201, answer.content
        assert (answer["Content-Type"], answer.json()["client_name"]) == ("application/json", payload)
        client = Client.objects.select_related("organization").get(client_id=answer.json()["client_id"])
        assert payload in dict(shown(owner, pages_of(client)))[reverse("app", args=[cast.organization.slug, client.reference])]
        assert any(payload in text for _, text in shown(staff, staff_pages(client)))
        Client.objects.filter(pk=client.pk).update(state=Client.State.CLOSED)  # so that there is room for the next


def test_markup_that_a_software_statement_is_refused_for_is_text_in_the_answer_and_on_every_page(
    cast: Cast, owner: Browser, staff: Browser, state: Callable[..., Any]
) -> None:
    for payload in TEXTS:
        for claims in ({"client_uri": payload}, {"logo_uri": payload}, {"redirect_uris": [payload]}, {"iss": payload}, {payload: payload}):
            answer = state(**claims)
            assert (answer.status_code in (201, 400), answer["Content-Type"]) == (True, "application/json"), claims
            Client.objects.exclude(state="closed").update(state=Client.State.CLOSED)
    token = RefusedRegistration.objects.values_list("token__reference", flat=True).first()
    assert list(shown(owner, [reverse("registration_token", args=[cast.organization.slug, token])]))
    assert list(shown(staff, staff_pages()))


@pytest.mark.parametrize("name", UNSEEN, ids=ascii)
def test_a_software_statement_cannot_bring_a_name_with_what_nobody_sees(cast: Cast, state: Callable[..., Any], name: str) -> None:
    answer = state(client_name=name)
    assert (answer.status_code, Client.objects.exists()) == (400, False)
    assert name not in answer.content.decode()


def register_by_request(party: RelyingParty, browser: Browser) -> Any:
    """Send a signed request of an entity that is no client yet, and return the page that follows."""
    sign_ins.forget()
    answer = party.authorize(browser=browser)
    return browser.get(answer["Location"]) if answer.status_code == 302 else answer


@pytest.mark.threat("O13")
def test_consent_to_an_entity_names_its_host_first_and_its_words_as_text(cast: Cast, world: World) -> None:
    browser = Browser(SERVER_NAME="127.0.0.1")
    sign_in_at(browser, cast.stranger)
    for number, payload in enumerate(TEXTS):
        party = world.add(f"https://party{number}.example", name=payload, organization_name=payload)
        page = register_by_request(party, browser)
        html = page.content.decode()
        assert (page.status_code, 'name="answer"' in html) == (200, True), payload
        assert_is_text(html, payload)
        words = " ".join(Words(html).text.split())
        assert f"party{number}.example asks for access" in words
        assert words.index(f"party{number}.example") < words.index(" ".join(payload.split()))
        left = browser.get("/oauth/logout", {"client_id": party.entity_id}).content.decode()
        assert f"An app of party{number}.example asks to sign you out" in " ".join(Words(left).text.split())
        assert_is_text(left, payload)


@pytest.mark.spec("FED-SEC-13")
def test_consent_to_an_entity_shows_what_its_federation_left_and_no_picture_from_elsewhere(cast: Cast, world: World) -> None:
    browser = Browser(SERVER_NAME="127.0.0.1")
    sign_in_at(browser, cast.stranger)
    party = world.add(name="Declared name", logo_uri=f"{LIGHTHOUSE}/logo.png", client_uri=f"{LIGHTHOUSE}/about")
    policy = {"openid_relying_party": {"client_name": {"value": "Resolved name"}}}
    world.federation.entities[HARBOUR].subordinates[LIGHTHOUSE]["metadata_policy"] = policy
    page = register_by_request(party, browser)
    html = page.content.decode()
    assert 'name="answer"' in html
    assert "Resolved name" in html
    assert "Declared name" not in html
    assert "logo.png" not in html
    assert "img-src 'self' data:" in page["Content-Security-Policy"]


def test_markup_in_an_automatic_registration_is_text_on_every_page(
    cast: Cast, world: World, staff: Browser, sign_in: Callable[..., Browser]
) -> None:
    browser = sign_in("stranger")
    for number, payload in enumerate(TEXTS[::4]):
        party = world.add(f"https://party{number}.example", name=payload, organization_name=payload, contacts=["a@b.example"], note=payload)
        register_by_request(party, Browser(SERVER_NAME="127.0.0.1"))
        organization = Organization.objects.get(pk=party.client.organization_id)
        Membership.objects.create(organization=organization, user=cast.stranger, role="owner")
        client = Client.objects.select_related("organization").get(pk=party.client.pk)
        assert payload in dict(shown(browser, pages_of(client)))[reverse("app", args=[organization.slug, client.reference])]
        assert any(payload in text for _, text in shown(staff, staff_pages(client)))


def test_markup_in_an_automatic_registration_that_waits_or_fails_is_text_for_the_visitor_and_for_staff(
    world: World, staff: Browser
) -> None:
    world.accept("https://northlight.example", "queue")
    for number, payload in enumerate(TEXTS[::2]):
        waiting = world.add(f"https://waiting{number}.example", name=payload, organization_name=payload)
        failing = world.add(f"https://failing{number}.example", redirect_uris=[payload], client_uri=payload, name=payload)
        for party in (waiting, failing):
            page = register_by_request(party, world.browser)
            assert page.status_code >= 400
            assert_is_text(page.content.decode(), payload)
        row = RegistrationRequest.objects.get(entity_id=waiting.entity_id)
        one = reverse("admin:federation_registrationrequest_change", args=[row.pk])
        assert payload in dict(shown(staff, [one, *staff_pages()]))[one]


def test_markup_in_the_fields_of_a_trust_mark_is_text_on_every_page(
    cast: Cast, world: World, staff: Browser, sign_in: Callable[..., Browser]
) -> None:
    world.federation.entities[NORTHLIGHT].claims["trust_mark_issuers"] = {MARK: [HARBOUR]}
    TrustMarkRule.objects.create(trust_mark_type=MARK, scopes=["bookings.read"])
    browser = sign_in("stranger")
    harbour = world.federation.entities[HARBOUR]
    for number, payload in enumerate(TEXTS[::2]):
        party = world.add(f"https://party{number}.example")
        fields = {"id": payload, "logo_uri": payload, "ref": payload, payload: payload}
        world.federation.grant_mark(HARBOUR, party.entity_id, MARK, **fields)
        for kind, issuer in ((MARK, payload), (payload, HARBOUR), (payload, payload)):
            mark = issue_trust_mark(issuer, party.entity_id, kind, harbour.keys[0], now=int(time.time()), **fields)
            party.entity.marks.append({"trust_mark_type": kind, "trust_mark": mark})
        assert party.register().status_code == 200
        assert payload in {mark["issuer"] for mark in FederationRecord.objects.get(entity_id=party.entity_id).trust_marks}
        organization = Organization.objects.get(pk=party.client.organization_id)
        Membership.objects.create(organization=organization, user=cast.stranger, role="owner")
        client = Client.objects.select_related("organization").get(pk=party.client.pk)
        assert payload in dict(shown(browser, pages_of(client)))[reverse("app_trust", args=[organization.slug, client.reference])]
        assert any(payload in text for _, text in shown(staff, staff_pages(client)))
        tool = browser.post(reverse("tool_entity"), {"entity_id": party.entity_id})
        assert_is_text(tool.content.decode(), payload)
