"""The staff pages about initial access tokens and registration profiles."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext

from dcr.initial_access_tokens import TokenTerms, create_initial_access_token
from dcr.models import InitialAccessToken, RegistrationAccessToken, RegistrationProfile
from dcr.profiles import save_profile
from protocol.errors import MetadataRefused, TransitionRefused
from registry.actors import job, person
from registry.models import AuditEvent, Client, Membership, Organization, PolicyRecord, User
from registry.registration_policy import NARROWABLE
from tests.conftest import Cast
from tests.dcr.support import Machine
from tests.portal.admin.conftest import list_of, messages_in, page_of, subpage_of

HOSTILE = "<script>alert(1)</script>\"'><img src=x>"
TOKEN = {"organization": "lighthouse-travel", "label": "Bank", "uses_limit": 3, "days": "30", "stage": "live"}


@pytest.fixture
def as_operator(cast: Cast, sign_in: Callable[[User], Browser]) -> Browser:
    """A browser of the operator."""
    return sign_in(cast.operator)


@pytest.fixture
def as_auditor(cast: Cast, sign_in: Callable[[User], Browser]) -> Browser:
    """A browser of the auditor."""
    return sign_in(cast.auditor)


@pytest.fixture
def profile(db: None) -> RegistrationProfile:
    """A profile of which tokens can be made."""
    return save_profile("partner-bank", {"redirect_uris_limit": 1}, job("test"), is_hardened=True)


@pytest.fixture
def make_token(cast: Cast, now: datetime) -> Callable[..., Any]:
    """Return a function that makes a token of the cast's owner."""

    def make(**terms: Any) -> Any:
        values = {"label": "Installer", "expires_at": now + timedelta(days=30), "uses_limit": 5, **terms}
        return create_initial_access_token(cast.organization, person(cast.owner), TokenTerms(**values), now=now)

    return make


def make(browser: Browser, once: str = "n" * 20, **changes: Any) -> Any:
    """Send the form of a new token."""
    return browser.post(list_of(InitialAccessToken, "add"), {**TOKEN, "once": once, **changes})


def errors_in(response: Any) -> dict[str, list[str]]:
    assert response.status_code == 200
    return {name: list(errors) for name, errors in response.context["form"].errors.items()}


# Initial access tokens


@pytest.mark.spec("DCR-IAT-04", "DCR-IAT-05")
def test_an_operator_makes_a_live_token_with_a_profile_and_its_value_is_shown_once(
    as_operator: Browser, cast: Cast, profile: RegistrationProfile
) -> None:
    response = make(as_operator, profile="partner-bank")
    value = response.context["value"]
    assert response.content.decode().count(value) >= 1
    row = InitialAccessToken.objects.get()
    assert (row.organization, row.stage, row.profile, row.made_by_staff, row.keeper) == (cast.organization, "live", profile, True, None)
    assert value not in as_operator.get(page_of(row)).content.decode()
    told = Machine(Browser(), value).register().json()
    assert told["stage"] == "live"
    assert RegistrationAccessToken.objects.get().is_hardened
    page = as_operator.get(page_of(row)).content.decode()
    for words in ("1 of 3", "partner-bank", "Redirect URIs at most", "Back office", "Initial access token made"):
        assert words in page


def test_sending_the_page_again_makes_no_other_token(as_operator: Browser) -> None:
    first, second = make(as_operator), make(as_operator)
    row = InitialAccessToken.objects.get()
    assert second.url == page_of(row)
    assert first.context["value"] not in as_operator.get(second.url).content.decode()


WRONG = [
    ({"organization": "nobody"}, "organization"),
    ({"organization": "\x00"}, "organization"),
    ({"stage": "production"}, "stage"),
    ({"profile": "none"}, "profile"),
    ({"profile": "\x00"}, "profile"),
    ({"label": "x" * 61}, "label"),
    ({"uses_limit": 0}, "uses_limit"),
    ({"redirect_hosts": "*"}, "redirect_hosts"),
    ({"source_networks": "everywhere"}, "source_networks"),
]


@pytest.mark.parametrize(("changes", "field"), WRONG, ids=str)
def test_terms_that_no_token_may_have_are_refused_at_their_field(as_operator: Browser, changes: dict[str, Any], field: str) -> None:
    assert list(errors_in(make(as_operator, **changes))) == [field]
    assert not InitialAccessToken.objects.exists()


def test_nobody_makes_or_ends_a_token_of_their_own_organization_as_staff(
    as_reviewer: Browser, as_operator: Browser, cast: Cast, make_token: Callable[..., Any]
) -> None:
    row = make_token().row
    for user in (cast.reviewer, cast.operator):
        Membership.objects.create(organization=cast.organization, user=user, role="owner")
    assert "organization" in errors_in(make(as_operator))
    assert "Only an owner" in messages_in(as_reviewer.post(subpage_of(row, "revoke"), follow=True))
    row.refresh_from_db()
    assert row.revoked_at is None


def test_a_reviewer_is_offered_no_token_and_makes_none(as_reviewer: Browser, cast: Cast, now: datetime) -> None:
    assert "Make a token" not in as_reviewer.get(list_of(InitialAccessToken)).content.decode()
    assert as_reviewer.get(list_of(InitialAccessToken, "add")).status_code == 403
    assert make(as_reviewer).status_code == 403
    terms = TokenTerms(label="Bank", expires_at=now + timedelta(days=1))
    with pytest.raises(TransitionRefused) as refused:
        create_initial_access_token(cast.organization, cast.as_reviewer, terms, now=now)
    assert refused.value.reason == "permission"
    assert not InitialAccessToken.objects.exists()


@pytest.mark.parametrize("state", ["suspended", "closed", "rejected"])
def test_a_stopped_organization_gets_no_token(as_operator: Browser, cast: Cast, state: str) -> None:
    Organization.objects.filter(pk=cast.organization.pk).update(state=state)
    assert errors_in(make(as_operator))["organization"] == [f"The organization is {state}."]


def test_a_reviewer_revokes_a_token_after_a_page_that_asks(as_reviewer: Browser, cast: Cast, make_token: Callable[..., Any]) -> None:
    row = make_token().row
    address = subpage_of(row, "revoke")
    assert "stay as they are" in as_reviewer.get(address).content.decode()
    row.refresh_from_db()
    assert row.revoked_at is None
    assert "The token is revoked." in messages_in(as_reviewer.post(address, follow=True))
    row.refresh_from_db()
    assert row.revoked_at is not None
    event = AuditEvent.objects.get(event="token.revoked")
    assert (event.actor_kind, event.organization) == ("staff", cast.organization)
    assert address not in as_reviewer.get(page_of(row)).content.decode()


def test_refused_attempts_of_a_token_are_read_by_staff(as_auditor: Browser, make_token: Callable[..., Any]) -> None:
    made = make_token()
    response = Machine(Browser(), made.value).register(grant_types=["password"])
    page = as_auditor.get(page_of(made.row)).content.decode()
    assert "invalid_client_metadata" in page
    assert response["X-Request-ID"] in page


FILTERS = {
    "standing=open": {"works", "refused"},
    "standing=unused": {"works", "revoked", "expired", "unkept", "refused"},
    "standing=unkept": {"unkept"},
    "standing=over": {"revoked", "expired", "used up"},
    "refused=yes": {"refused"},
    "org=lighthouse-travel": {"works", "revoked", "expired", "used up", "unkept", "refused"},
    "org=tidewater": set(),
    "q=used+up": {"used up"},
}


def test_the_list_filters_by_state_attempts_and_organization(
    as_auditor: Browser, cast: Cast, make_token: Callable[..., Any], now: datetime
) -> None:
    made = {name: make_token(label=name) for name in ("works", "revoked", "expired", "used up", "unkept", "refused")}
    rows = InitialAccessToken.objects
    rows.filter(label="revoked").update(revoked_at=now)
    rows.filter(label="expired").update(expires_at=now)
    rows.filter(label="used up").update(uses=5)
    rows.filter(label="unkept").update(kept_by=Membership.objects.get(user=cast.viewer))
    Machine(Browser(), made["refused"].value).register(grant_types=["password"])
    for query, expected in FILTERS.items():
        found = {row.label for row in as_auditor.get(f"{list_of(InitialAccessToken)}?{query}").context["cl"].result_list}
        assert found == expected, query
    body = as_auditor.get(list_of(InitialAccessToken)).content.decode()
    for words in ("Used up", "Nobody keeps it", "Revoked", "Expired", "0 of 5", "5 of 5"):
        assert words in body


def test_no_page_shows_a_digest_and_stored_markup_is_text(
    as_operator: Browser, cast: Cast, profile: RegistrationProfile, make_token: Callable[..., Any]
) -> None:
    made = make_token()
    Machine(Browser(), made.value).register(**{HOSTILE: 1, "client_name": HOSTILE, "scope": 5})
    InitialAccessToken.objects.update(label=HOSTILE, restrictions={"allowed_scopes": [HOSTILE]}, source_networks=[HOSTILE], profile=profile)
    RegistrationProfile.objects.update(description=HOSTILE, values={"redirect_hosts": [HOSTILE], "allowed_scopes": [HOSTILE]})
    addresses = (
        list_of(InitialAccessToken), page_of(made.row), subpage_of(made.row, "revoke"), list_of(InitialAccessToken, "add"),
        list_of(RegistrationProfile), page_of(profile),
    )  # fmt: skip
    for address in addresses:
        body = as_operator.get(address).content.decode()
        assert made.row.digest not in body
        assert "<script>alert" not in body, address
        assert "<img src=x" not in body, address


def count(browser: Browser, url: str) -> int:
    with CaptureQueriesContext(connection) as queries:
        assert browser.get(url).status_code == 200
    return len(queries)


def test_pages_take_the_same_number_of_queries_for_much_as_for_little(
    as_auditor: Browser, profile: RegistrationProfile, make_token: Callable[..., Any], as_operator: Browser
) -> None:
    made = make_token(uses_limit=20)
    Machine(Browser(), made.value).register()
    Machine(Browser(), made.value).register(grant_types=["password"])
    make(as_operator, profile=profile.name)
    addresses = [list_of(InitialAccessToken), page_of(made.row), list_of(RegistrationProfile), page_of(profile)]
    little = {address: count(as_auditor, address) for address in addresses}
    for number in range(5):
        make_token(label=f"Token {number}")
        make(as_operator, once=f"{number}" * 20, profile=profile.name)
        save_profile(f"profile-{number}", {}, job("test"))
        Machine(Browser(), made.value).register()
        Machine(Browser(), made.value).register(grant_types=["password"])
    assert {address: count(as_auditor, address) for address in addresses} == little


# Registration profiles


def filled_in(response: Any, **changes: Any) -> dict[str, Any]:
    """Return what a browser would send of the form on a page, with changes."""
    form = response.context["form"]
    values = {name: form[name].value() for name in form.fields}
    return {name: value for name, value in {**values, **changes}.items() if value is not None and value is not False}


def save(browser: Browser, address: str, **changes: Any) -> Any:
    """Fill in the form of a profile and send it."""
    return browser.post(address, filled_in(browser.get(address), **changes), follow=True)


@pytest.mark.spec("DCR-IAT-05")
def test_an_operator_makes_a_profile_of_what_differs_from_the_built_in_policy(as_operator: Browser, cast: Cast) -> None:
    response = save(
        as_operator,
        list_of(RegistrationProfile, "add"),
        name="partner-bank",
        description="For banks.",
        grant_types=["client_credentials"],
        redirect_hosts="a.example org.example.app:",
        redirect_uris_limit=2,
        loopback_http_in_test=False,
        is_read_only="on",
    )
    assert "from now on" in messages_in(response)
    row = RegistrationProfile.objects.get()
    assert row.values == {
        "grant_types": ["client_credentials"],
        "redirect_hosts": ["a.example", "org.example.app:"],
        "redirect_uris_limit": 2,
        "loopback_http_in_test": False,
    }
    assert (row.name, row.description, row.is_hardened, row.is_read_only) == ("partner-bank", "For banks.", False, True)
    event = AuditEvent.objects.get(event="registration_profile.added")
    assert event.difference["redirect_uris_limit"] == [None, 2]
    form = as_operator.get(page_of(row)).context["form"]
    assert "name" not in form.fields
    assert form["redirect_hosts"].value() == "a.example org.example.app:"


def test_the_form_offers_what_can_be_narrowed_and_nothing_else(as_operator: Browser) -> None:
    form = as_operator.get(list_of(RegistrationProfile, "add")).context["form"]
    assert set(form.fields) == {*NARROWABLE, "name", "description", "is_hardened", "is_read_only"}
    more = filled_in(as_operator.get(list_of(RegistrationProfile, "add")), name="x", clients_limit=9, values="{}")
    as_operator.post(list_of(RegistrationProfile, "add"), more)
    assert RegistrationProfile.objects.get().values == {}


def test_editing_a_profile_leaves_what_registered_before_and_the_page_says_so(
    as_operator: Browser, profile: RegistrationProfile, make_token: Callable[..., Any], as_reviewer: Browser
) -> None:
    value = make(as_operator, profile=profile.name, stage="test").context["value"]
    told = Machine(Browser(), value).register().json()
    before = Client.objects.get(client_id=told["client_id"]).restrictions
    assert "those registered before keep what they were registered with" in as_operator.get(page_of(profile)).content.decode()
    save(as_operator, page_of(profile), grant_types=["authorization_code"])
    assert Client.objects.get(client_id=told["client_id"]).restrictions == before
    assert Machine(Browser(), value).register().status_code == 400
    save(as_operator, page_of(profile))
    assert AuditEvent.objects.filter(event="registration_profile.changed").count() == 1


PROFILE_WRONG: list[tuple[dict[str, Any], str]] = [
    ({"name": ""}, "name"),
    ({"name": "Partner Bank"}, "name"),
    ({"name": "-x"}, "name"),
    ({"name": "x" * 61}, "name"),
    ({"name": "a\x00"}, "name"),
    ({"name": "partner-bank"}, "name"),
    ({"description": "x" * 201}, "description"),
    ({"description": "two\nlines"}, "description"),
    ({"redirect_hosts": "*"}, "redirect_hosts"),
    ({"redirect_hosts": "a\x00"}, "redirect_hosts"),
    ({"redirect_uris_limit": 0}, "redirect_uris_limit"),
    ({"grant_types": ["password"]}, "grant_types"),
    ({"allowed_scopes": ["no.such"]}, "allowed_scopes"),
]


@pytest.mark.parametrize(("changes", "field"), PROFILE_WRONG, ids=str)
def test_values_that_no_profile_may_have_are_refused_at_their_field(
    as_operator: Browser, profile: RegistrationProfile, changes: dict[str, Any], field: str
) -> None:
    assert list(errors_in(save(as_operator, list_of(RegistrationProfile, "add"), **{"name": "new", **changes}))) == [field]
    assert RegistrationProfile.objects.count() == 1


@pytest.mark.parametrize(
    ("name", "values", "field"),
    [
        ("x", {"clients_limit": 3}, "clients_limit"),
        ("x", {"no_such": 3}, "no_such"),
        ("x", {"redirect_uris_limit": "3"}, "redirect_uris_limit"),
        ("x", {"allowed_scopes": ["no.such"]}, "allowed_scopes"),
        ("x", {"default_scopes": [5]}, "default_scopes"),
        ("X" * 300, {}, "name"),
    ],
)
def test_the_service_itself_refuses_them_too(db: None, name: str, values: dict[str, Any], field: str) -> None:
    with pytest.raises(MetadataRefused) as refused:
        save_profile(name, values, job("test"))
    assert {finding.member for finding in refused.value.findings} == {field}


def test_only_operators_save_profiles(cast: Cast, now: datetime) -> None:
    for actor in (person(cast.owner), person(cast.operator), cast.as_reviewer, person(cast.auditor, staff=True)):
        with pytest.raises(TransitionRefused):
            save_profile("x", {}, actor)
    save_profile("x", {}, person(cast.operator, staff=True))


def test_a_profile_that_a_token_was_made_with_stays(as_operator: Browser, as_reviewer: Browser, profile: RegistrationProfile) -> None:
    make(as_operator, profile=profile.name)
    assert "so it stays" in messages_in(as_operator.post(subpage_of(profile, "remove"), follow=True))
    InitialAccessToken.objects.all().delete()
    as_operator.get(subpage_of(profile, "remove"))
    assert "removed" in messages_in(as_operator.post(subpage_of(profile, "remove"), follow=True))
    assert not RegistrationProfile.objects.exists()


def test_an_auditor_reads_and_is_offered_nothing(as_auditor: Browser, profile: RegistrationProfile, make_token: Callable[..., Any]) -> None:
    row = make_token().row
    for address, hidden in (
        (page_of(row), subpage_of(row, "revoke")),
        (page_of(profile), subpage_of(profile, "remove")),
        (list_of(InitialAccessToken), list_of(InitialAccessToken, "add")),
        (list_of(RegistrationProfile), list_of(RegistrationProfile, "add")),
    ):
        assert hidden not in as_auditor.get(address).content.decode()
        assert as_auditor.get(hidden).status_code == 403
        assert as_auditor.post(hidden, TOKEN).status_code == 403
    assert all(field.disabled for field in as_auditor.get(page_of(profile)).context["form"].fields.values())


def test_a_profile_does_not_loosen_the_policy(as_operator: Browser, cast: Cast, profile: RegistrationProfile) -> None:
    PolicyRecord.objects.create(organization=cast.organization, values={"grant_types": ["authorization_code"]})
    value = make(as_operator, profile=profile.name).context["value"]
    assert Machine(Browser(), value).register().status_code == 400
