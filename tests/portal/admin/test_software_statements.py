"""The staff pages about software statements: who issues them, what ends without one, which organizations they mean."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from django.test import Client as Browser
from django.urls import reverse

from dcr.models import SoftwareStatementIssuer, StatementOrganization
from portal.admin.software_statements import IssuerForm
from protocol.constants import SIGNING_ALGORITHMS
from registry.client_metadata.fields import READERS
from registry.models import AuditEvent, Client, Membership, Organization, User
from tests.conftest import Cast
from tests.dcr.statements import ISSUER, KEY, OTHER_KEY, make_issuer, register, verified
from tests.portal.admin.conftest import list_of, messages_in, page_of, subpage_of

PINNED = json.dumps({"keys": [KEY.public_jwk()]})


@pytest.fixture
def as_operator(cast: Cast, sign_in: Callable[[User], Browser]) -> Browser:
    """A browser of the operator."""
    return sign_in(cast.operator)


@pytest.fixture
def issuer(cast: Cast, now: datetime) -> SoftwareStatementIssuer:
    """An issuer whose statements register alone."""
    return make_issuer(cast.organization, now, replaces_initial_access_token=True, software_ids=["4NRB1"])


@pytest.fixture
def naming(cast: Cast, now: datetime) -> SoftwareStatementIssuer:
    """An issuer whose statements name organizations."""
    return make_issuer(None, now, issuer="https://naming.example", name="Naming", organizations="match", organization_claim="org_id")


def form_data(**changes: Any) -> dict[str, Any]:
    """Return what an operator fills in after `changes`."""
    return {
        "issuer": ISSUER, "name": "Directory", "jwks": PINNED, "algorithms": ["ES256"], "claims": ["client_name", "redirect_uris"],
        "organizations": "fixed", "organization": "lighthouse-travel", "roles_claim": "roles", "stage": "live",
        "role_scopes": "data: bookings.read\n\n payment : bookings.write  bookings.read\n", "software_ids": "A\nB\n\nA ",
        "max_age_seconds": "300",
        "single_use": "on", **changes,
    }  # fmt: skip


def sent_back(browser: Browser, row: SoftwareStatementIssuer) -> dict[str, Any]:
    """Return what a form sends that nobody changed."""
    form = browser.get(page_of(row)).context["form"]
    values = {name: form[name].value() for name in form.fields}
    return {name: value for name, value in values.items() if value is not None and value is not False}


def errors_in(response: Any) -> dict[str, list[str]]:
    assert response.status_code == 200
    return {name: list(errors) for name, errors in response.context["form"].errors.items()}


def staff_events() -> list[str]:
    found = AuditEvent.objects.filter(actor_kind="staff", event__startswith="statement").order_by("id")
    return list(found.values_list("event", flat=True))


def test_an_operator_adds_an_issuer(as_operator: Browser, cast: Cast) -> None:
    response = as_operator.post(list_of(SoftwareStatementIssuer, "add"), form_data(), follow=True)
    assert "Saved" in messages_in(response)
    row = SoftwareStatementIssuer.objects.get()
    assert (row.issuer, row.jwks, row.organization, row.stage) == (ISSUER, {"keys": [KEY.public_jwk()]}, cast.organization, "live")
    assert (row.algorithms, row.claims) == (["ES256"], ["client_name", "redirect_uris"])
    assert row.role_scopes == {"data": ["bookings.read"], "payment": ["bookings.write", "bookings.read"]}
    assert (row.software_ids, row.max_age_seconds, row.single_use) == (["A", "B"], 300, True)
    assert not row.replaces_initial_access_token
    assert not row.is_mandatory_profile
    assert KEY.kid in response.content.decode()
    assert staff_events() == ["statement_issuer.added"]
    as_operator.post(page_of(row), sent_back(as_operator, row))
    assert staff_events() == ["statement_issuer.added"]


def test_the_form_offers_what_there_is() -> None:
    form = IssuerForm(subject=None)
    assert [name for name, _ in form.fields["claims"].choices] == list(READERS)  # type: ignore[attr-defined]
    assert [name for name, _ in form.fields["algorithms"].choices] == list(SIGNING_ALGORITHMS)  # type: ignore[attr-defined]


def test_pinned_keys_stay_until_others_or_an_address_are_given(as_operator: Browser, issuer: SoftwareStatementIssuer) -> None:
    data = sent_back(as_operator, issuer)
    assert not data.get("jwks")
    as_operator.post(page_of(issuer), {**data, "jwks": json.dumps(OTHER_KEY.public_jwk())})
    issuer.refresh_from_db()
    assert issuer.jwks == {"keys": [OTHER_KEY.public_jwk()]}
    as_operator.post(page_of(issuer), {**data, "jwks_uri": "https://directory.example/jwks"})
    issuer.refresh_from_db()
    assert (issuer.jwks, issuer.jwks_uri) == (None, "https://directory.example/jwks")
    assert "exactly one" in errors_in(as_operator.post(page_of(issuer), {**data, "jwks_uri": ""}))["jwks"][0]
    assert issuer.issuer == ISSUER


@pytest.mark.parametrize(("wrong", "field"), [
    ({"issuer": ""}, "issuer"), ({"issuer": "http://x.example"}, "issuer"), ({"name": ""}, "name"), ({"jwks": ""}, "jwks"),
    ({"jwks": "x"}, "jwks"), ({"jwks": "{}"}, "jwks"), ({"jwks_uri": "https://x.example/jwks"}, "jwks"),
    ({"jwks": "", "jwks_uri": "x"}, "jwks_uri"),
    ({"algorithms": []}, "algorithms"), ({"algorithms": ["HS256"]}, "algorithms"), ({"algorithms": ["RS256"]}, "algorithms"),
    ({"claims": ["client_secret"]}, "claims"), ({"max_age_seconds": "0"}, "max_age_seconds"), ({"organization": ""}, "organization"),
    ({"organization": "nobody"}, "organization"), ({"role_scopes": "data bookings.read"}, "role_scopes"),
    ({"role_scopes": "data: unknown"}, "role_scopes"), ({"role_scopes": "data: bookings.read\ndata: bookings.write"}, "role_scopes"),
    ({"roles_claim": ""}, "roles_claim"), ({"stage": "x"}, "stage"), ({"software_ids": "x" * 300}, "software_ids"),
    ({"is_mandatory_profile": "on", "claims": ["jwks"]}, "claims"),
])  # fmt: skip
def test_what_an_issuer_cannot_be_is_said_at_its_field(as_operator: Browser, cast: Cast, wrong: dict[str, Any], field: str) -> None:
    assert list(errors_in(as_operator.post(list_of(SoftwareStatementIssuer, "add"), form_data(**wrong)))) == [field]
    assert not SoftwareStatementIssuer.objects.exists()


def test_a_private_key_is_refused_and_not_shown_again(as_operator: Browser, cast: Cast) -> None:
    leaked = json.dumps({"keys": [{**KEY.public_jwk(), "d": "leaked-part"}]})
    response = as_operator.post(list_of(SoftwareStatementIssuer, "add"), form_data(jwks=leaked))
    assert "Treat this key as leaked" in errors_in(response)["jwks"][0]
    assert "leaked-part" not in response.content.decode()


def test_nobody_adds_an_issuer_for_their_own_organization(as_operator: Browser, cast: Cast) -> None:
    Membership.objects.create(organization=cast.organization, user=cast.operator, role="owner")
    response = as_operator.post(list_of(SoftwareStatementIssuer, "add"), form_data())
    assert "organization of their own" in errors_in(response)["organization"][0]


def test_what_ends_is_shown_before_an_issuer_is_disabled(
    as_operator: Browser, issuer: SoftwareStatementIssuer, cast: Cast, now: datetime
) -> None:
    app = register(cast.organization, verified(now), now)
    register(cast.organization, verified(now, roles=["data"]), now)
    address = subpage_of(issuer, "disable")
    page = as_operator.get(address)
    body = page.content.decode()
    assert (page.context["dependants"].clients, page.context["dependants"].alone) == (2, 2)
    assert page.context["dependants"].scopes == [("bookings.read", 2), ("bookings.write", 1)]
    assert "2 apps have a software statement of this issuer that counts" in body
    assert "2 apps that registered by nothing else are suspended" in body
    assert list(errors_in(as_operator.post(address, {"reason": " "}))) == ["reason"]
    assert SoftwareStatementIssuer.objects.get().is_enabled
    response = as_operator.post(address, {"reason": "It lost its key."}, follow=True)
    assert "ended: 2" in messages_in(response)
    assert "Its statements are not approved" in response.content.decode()
    app.refresh_from_db()
    assert app.state == "suspended"
    assert Client.objects.filter(state="active").count() == 0
    assert "already" in messages_in(as_operator.post(address, {"reason": "Twice."}, follow=True))
    again = subpage_of(issuer, "enable")
    assert "What ended stays ended" in as_operator.get(again).content.decode()
    assert "Its next statements count" in messages_in(as_operator.post(again, follow=True))
    assert "already" in messages_in(as_operator.post(again, follow=True))
    assert staff_events() == ["statement_issuer.disabled", "statement.ended", "statement.ended", "statement_issuer.enabled"]
    sentences = [entry.sentence for entry in as_operator.get(page_of(issuer)).context["events"]]
    assert sentences[0] == "Issuer of software statements enabled: Directory"


def test_an_issuer_that_nothing_depends_on_is_disabled_without_alarm(as_operator: Browser, issuer: SoftwareStatementIssuer) -> None:
    assert "Nothing ends now" in as_operator.get(subpage_of(issuer, "disable")).content.decode()


@pytest.mark.parametrize("role", ["auditor", "reviewer"])
def test_others_read_and_are_offered_nothing(
    role: str, cast: Cast, issuer: SoftwareStatementIssuer, naming: SoftwareStatementIssuer, sign_in: Callable[[User], Browser]
) -> None:
    link = StatementOrganization.objects.create(issuer=naming, value="A-1", organization=cast.organization)
    browser = sign_in(getattr(cast, role))
    response = browser.get(page_of(issuer))
    assert all(field.disabled for field in response.context["form"].fields.values())
    for body in (response.content.decode(), browser.get(page_of(naming)).content.decode(), browser.get(page_of(link)).content.decode()):
        assert "/disable/" not in body
        assert "/remove/" not in body
        assert 'type="submit" class="button primary"' not in body
    posts = ((page_of(issuer), form_data()), (subpage_of(issuer, "disable"), {"reason": "R"}), (subpage_of(link, "remove"), {}))
    for address, data in posts:
        assert browser.post(address, data).status_code == 403
    assert browser.get(list_of(SoftwareStatementIssuer, "add")).status_code == 403
    assert "Add an issuer" not in browser.get(list_of(SoftwareStatementIssuer)).content.decode()
    assert staff_events() == []


def test_changing_who_counts_asks_for_the_password_again(
    cast: Cast, issuer: SoftwareStatementIssuer, sign_in: Callable[[User], Browser]
) -> None:
    cast.operator.set_password("correct horse battery")
    cast.operator.save()
    browser = sign_in(cast.operator)
    for address in (page_of(issuer), subpage_of(issuer, "disable"), list_of(SoftwareStatementIssuer, "add")):
        assert browser.get(address).status_code == 200
        assert browser.post(address, form_data(reason="R")).url.startswith(reverse("account_reauthenticate"))
    assert staff_events() == []


def test_an_organization_is_linked_by_a_value_and_unlinked(
    as_operator: Browser, naming: SoftwareStatementIssuer, issuer: SoftwareStatementIssuer, cast: Cast, pending: Organization
) -> None:
    add = list_of(StatementOrganization, "add")
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"issuer": issuer.pk}, "issuer"), ({"issuer": 999}, "issuer"), ({"value": ""}, "value"), ({"value": "x" * 256}, "value"),
        ({"value": "a\x07"}, "value"), ({"organization": "nobody"}, "organization"), ({"organization": pending.slug}, "organization"),
    ]  # fmt: skip
    good = {"issuer": naming.pk, "value": " A-1 ", "organization": "lighthouse-travel"}
    for changes, field in wrong:
        assert list(errors_in(as_operator.post(add, {**good, **changes}))) == [field]
    as_operator.post(add, good)
    link = StatementOrganization.objects.get()
    assert (link.issuer, link.value, link.organization) == (naming, " A-1 ", cast.organization)
    assert "names Lighthouse Travel already" in errors_in(as_operator.post(add, good))["value"][0]
    body = as_operator.get(page_of(naming)).content.decode()
    assert "Lighthouse Travel" in body
    assert as_operator.post(page_of(link), good).status_code == 405
    as_operator.post(subpage_of(link, "remove"))
    assert not StatementOrganization.objects.exists()
    assert staff_events() == ["statement_organization.linked", "statement_organization.unlinked"]


def test_markup_in_what_an_issuer_says_is_shown_as_text(
    as_operator: Browser, naming: SoftwareStatementIssuer, cast: Cast, now: datetime
) -> None:  # fmt: skip
    script = "<script>alert(1)</script>"
    link = StatementOrganization.objects.create(issuer=naming, value=script, organization=cast.organization)
    SoftwareStatementIssuer.objects.update(name=script, issuer=script, role_scopes={script: []}, software_ids=[script])
    pages = (
        page_of(naming),
        page_of(link),
        list_of(SoftwareStatementIssuer),
        list_of(StatementOrganization),
        subpage_of(naming, "disable"),
    )
    for address in pages:
        body = as_operator.get(address).content.decode()
        assert script not in body
        assert "&lt;script&gt;" in body


def test_the_lists_are_in_the_menu_of_the_rules(as_operator: Browser, issuer: SoftwareStatementIssuer) -> None:
    body = as_operator.get(reverse("staff:index")).content.decode()
    assert "Software statements" in body
    assert "Organizations in statements" in body
    assert "Directory" in as_operator.get(list_of(SoftwareStatementIssuer), {"q": "directory.example"}).content.decode()
