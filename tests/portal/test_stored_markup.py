"""Markup that people store as names, reasons and addresses is text on every page (threats.md R06)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db.models import QuerySet
from django.test import Client as Browser
from django.urls import reverse

from dcr.initial_access_tokens import TokenTerms, create_initial_access_token
from dcr.models import (
    AcceptedStatement,
    InitialAccessToken,
    RefusedRegistration,
    RegistrationProfile,
    SoftwareStatementIssuer,
)
from dcr.registration_access_tokens import issue_registration_access_token
from federation.models import EntityClaim, FederationRecord, TrustAnchorRecord
from registry.actors import person
from registry.app_drafts import start_draft
from registry.credentials import create_secret
from registry.lifecycle import request_go_live
from registry.members import invite
from registry.models import (
    AppDraft,
    ChangeRequest,
    Client,
    ClientKeySet,
    ClientSecret,
    Contact,
    FailedRequest,
    Invitation,
    Organization,
    Scope,
    User,
)
from tests.conftest import Cast

pytestmark = pytest.mark.threat("R06")

PAYLOADS = (Path(__file__).parent / "markup_corpus.txt").read_text().splitlines()
LENGTH = 199
SAFE_ADDRESSES = ("/", "#", "?", "http://127.0.0.1", "data-", f"mailto:{settings.DEFAULT_FROM_EMAIL}")


class Structure(HTMLParser):
    """The elements of a page with the names of their attributes, and where it leads."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, tuple[str, ...]]] = []
        self.addresses: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect one element."""
        self.elements.append((tag, tuple(name for name, _ in attrs)))
        self.addresses += [value or "" for name, value in attrs if name in ("href", "src", "action", "hx-post", "hx-get", "formaction")]


@pytest.fixture
def furnished(cast: Cast, make_client: Callable[..., Client], now: datetime) -> tuple[Client, ChangeRequest]:
    """One of everything that carries text of people."""
    client = make_client(contacts=["tech@lighthouse.example"], client_uri="https://lighthouse.example")
    create_secret(client, cast.as_owner, now=now, label="x", expires_at=now + timedelta(days=3))
    change = request_go_live(client, cast.as_owner, now=now, justification="x")
    start_draft(person(cast.owner), cast.organization, "web", now=now)
    invite(cast.organization, cast.as_owner, email="x@lighthouse.example", role="viewer", now=now)
    FailedRequest.objects.create(client=client, time=now, endpoint="x", error="x", redirect_uri="x")
    ClientKeySet.objects.create(client=client, jwks_uri="x", attempted_at=now, failure="x")
    FederationRecord.objects.create(client=client, entity_id="x", twin_digest="x", anchor="x", superior="x")
    EntityClaim.objects.create(organization=cast.organization, entity_id="x", challenge="x", challenged_at=now)
    TrustAnchorRecord.objects.create(entity_id="x", jwks={"keys": []})
    terms = TokenTerms(label="x", expires_at=now + timedelta(days=1))
    token = create_initial_access_token(cast.organization, cast.as_owner, terms, now=now).row
    RefusedRegistration.objects.create(token=token, refused_at=now, error="x", description="x")
    Client.objects.filter(pk=client.pk).update(source=Client.Source.DCR)
    client.refresh_from_db()
    issue_registration_access_token(client, now=now, initial_access_token=token)
    issuer = SoftwareStatementIssuer.objects.create(issuer="x", name="x")
    AcceptedStatement.objects.create(client=client, issuer=issuer, statement="x", accepted_at=now)
    InitialAccessToken.objects.update(profile=RegistrationProfile.objects.create(name="x"))
    return client, change


def store(text: str, cast: Cast, client: Client, change: ChangeRequest) -> None:
    """Write `text` wherever people's words are stored, past every check."""
    metadata = {
        **client.metadata,
        "client_name": text,
        "contacts": [text],
        "client_uri": text,
        "logo_uri": text,
        "jwks_uri": text,
        "software_id": text,
    }
    fill(Organization.objects.all(), text, "legal_name", "state_reason", "registration_number", "website", email_domains=[text])
    declared = {**metadata, text: text}
    fill(Client.objects.all(), text, "name", "state_reason", metadata=metadata, declared_metadata=declared, trust="broken")
    fill(EntityClaim.objects.all(), text, "entity_id", "challenge", "failure")
    fill(TrustAnchorRecord.objects.all(), text, "entity_id")
    fill(FederationRecord.objects.all(), text, "entity_id", "entity_type", "anchor", "superior", **record_of(text, declared))
    fill(ChangeRequest.objects.all(), text, "justification", "reason", metadata={**metadata, "tos_uri": text}, state="sent_back")
    fill(ClientSecret.objects.all(), text, "label")
    AppDraft.objects.update(answers={"kind": "web", "client_name": text})
    fill(ClientKeySet.objects.all(), text, "jwks_uri", "failure")
    fill(FailedRequest.objects.all(), text, "endpoint", "error", "description", "request_id", "redirect_uri")
    fill(Contact.objects.all(), text, "email")
    fill(Invitation.objects.all(), text, "email")
    fill(User.objects.filter(pk=cast.viewer.pk), text, "name")
    restrictions = {"redirect_hosts": [text], "allowed_scopes": [text]}
    fill(InitialAccessToken.objects.all(), text, "label", restrictions=restrictions, source_networks=[text])
    fill(RegistrationProfile.objects.all(), text, "name", "description")
    fill(RefusedRegistration.objects.all(), text, "error", "description", "request_id", members=[text])
    fill(SoftwareStatementIssuer.objects.all(), text, "name")
    AcceptedStatement.objects.update(asserted=["client_name"])
    fill(Scope.objects.filter(name="bookings.write"), text, "title", "description")


def record_of(text: str, declared: dict[str, Any]) -> dict[str, Any]:
    """Return what a federation record keeps of what others said, with `text` everywhere."""
    federation = {"by": "federation", "member": "client_name", "before": text, "after": text, "rule": text, "set_by": [text]}
    server = {"by": "server", "member": "scope", "before": text, "after": text, "rule": text, "sentence": text}
    told = dict.fromkeys(("title", "entity", "sentence", "fixer", "code"), text)
    mark = {"trust_mark_type": text, "issuer": text, "counts": False, "is_unsure": False, "expires_at": None, "sentence": text}
    return {
        "entities": [text, f"{text}2", text],
        "statements": [text],
        "resolved_metadata": {**declared, "scope": text},
        "changes": [federation, server],
        "trust_marks": [mark],
        "failure": {**told, "step": 5},
    }


def fill(rows: QuerySet[Any], text: str, *names: str, **others: Any) -> None:
    """Write `text` into the columns `names`, as much of it as each holds."""
    rows.update(**{name: text[: rows.model._meta.get_field(name).max_length] for name in names}, **others)


def pages(cast: Cast, client: Client, change: ChangeRequest) -> Iterator[str]:
    slug, place = cast.organization.slug, [cast.organization.slug, client.reference]
    yield reverse("organizations")
    for name in (
        "organization",
        "organization_profile",
        "organization_close",
        "organization_activity",
        "organization_members",
        "organization_federation",
        "registration_tokens",
        "registration_token_new",
        "apps",
        "app_new",
    ):
        yield reverse(name, args=[slug])
    for name in ("app", "app_edit", "app_delete", "app_activity", "app_code", "app_test", "app_credentials", "app_trust", "app_go_live"):
        yield reverse(name, args=place)
    yield reverse("app_change", args=[*place, change.reference])
    token = InitialAccessToken.objects.get()
    for name in ("registration_token", "registration_token_revoke"):
        yield reverse(name, args=[slug, token.reference])


def check(html: str, expected: list[Any], what: str) -> None:
    found = Structure(html)
    assert found.elements == expected, what
    assert all(address.startswith(SAFE_ADDRESSES) for address in found.addresses), what


def test_stored_markup_adds_no_element_and_no_attribute_to_any_page(
    cast: Cast, owner: Browser, furnished: tuple[Client, ChangeRequest]
) -> None:
    Organization.objects.update(state="suspended")
    # As long as the texts below, so that what pages say about length is the same.
    store("p" * LENGTH, cast, *furnished)
    expected = {url: Structure(owner.get(url).content.decode()).elements for url in pages(cast, *furnished)}
    for start in range(0, len(PAYLOADS), 3):
        text = "  ".join(PAYLOADS[start : start + 3])[:LENGTH].ljust(LENGTH, ".")
        store(text, cast, *furnished)
        for url, elements in expected.items():
            check(owner.get(url).content.decode(), elements, f"{url} with payloads from {start}")
    for payload in PAYLOADS:
        store(payload, cast, *furnished)
        for url in list(expected)[:2]:
            check(owner.get(url).content.decode(), expected[url], f"{url} with {payload}")


def check_form(response: Any) -> None:
    assert response.status_code == 200
    found = Structure(response.content.decode())
    tags = [tag for tag, _ in found.elements]
    assert set(tags).isdisjoint(("iframe", "object", "embed", "base", "style", "video", "math"))
    assert tags.count("img") == 1  # the mark of the product
    assert tags.count("script") == 2
    assert not [name for _, names in found.elements for name in names if name.startswith("on")]


APP_FIELDS = ("client_name", "redirect_uris", "jwks", "jwks_uri", "contacts", "client_uri", "policy_uri", "tos_uri", "logo_uri", "scope")


STEPS = ("kind", "basics", "redirects", "authentication", "scopes", "review")


@pytest.mark.parametrize("kind", ["web", "a payload"])
def test_markup_in_the_fields_of_an_app_comes_back_as_text(cast: Cast, developer: Browser, kind: str, now: datetime) -> None:
    draft = start_draft(person(cast.developer), cast.organization, "web", now=now)
    checks = f"{reverse('app_check', args=[cast.organization.slug])}?draft={draft.reference}"
    for payload in PAYLOADS:
        data = {**dict.fromkeys(APP_FIELDS, payload), "kind": kind if kind == "web" else payload}
        for step in STEPS:
            check_form(developer.post(reverse("app_draft", args=[cast.organization.slug, draft.reference, step]), data, follow=True))
        for field in ("redirect_uris", "contacts", "kind"):
            fragment = Structure(developer.post(f"{checks}&field={field}", {**data, "scope": ""}).content.decode())
            assert all(address.startswith(SAFE_ADDRESSES) for address in fragment.addresses)
            assert {tag for tag, _ in fragment.elements} <= {"ul", "li", "div", "span", "strong", "svg", "use", "code", "a"}


def test_markup_in_the_fields_of_an_organization_comes_back_as_text(cast: Cast, owner: Browser) -> None:
    url = reverse("organization_new")
    fields = ("legal_name", "registration_number", "country", "website", "email_domains", "contact_technical", "contact_security")
    for payload in PAYLOADS:
        check_form(owner.post(url, dict.fromkeys(fields, payload)))


def test_no_page_has_anything_inline(cast: Cast, owner: Browser, furnished: tuple[Client, ChangeRequest]) -> None:
    for url in pages(cast, *furnished):
        response = owner.get(url)
        policy = response["Content-Security-Policy"]
        assert "'unsafe-inline'" not in policy
        assert "script-src 'self'" in policy
        for tag, names in Structure(response.content.decode()).elements:
            assert "style" not in names, (url, tag)
            assert tag != "style", url
            assert tag != "script" or "src" in names, url
