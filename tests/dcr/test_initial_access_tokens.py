"""Initial access tokens: who makes one, what it allows, when it ends, and that it is of use nowhere else (DCR-IAT-*)."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from io import StringIO
from typing import Any

import pytest
import time_machine
from django.core.management import CommandError, call_command
from django.test import Client as Browser

from dcr.initial_access_tokens import (
    REFUSALS_KEPT,
    TokenTerms,
    adopt_initial_access_token,
    create_initial_access_token,
    revoke_initial_access_token,
)
from dcr.models import InitialAccessToken, RefusedRegistration
from protocol.errors import MetadataRefused, TransitionRefused
from registry.actors import job, person
from registry.lifecycle import change_client, change_organization
from registry.models import AuditEvent, Client, Membership, Organization, Scope
from tests.authserver.support import INTROSPECT, TOKEN, Caller, make_caller, outcome
from tests.conftest import Cast, make_organization
from tests.dcr.support import MACHINE, WEBSITE, Machine, as_update, client_of, make_profile, make_token, metadata_in, place_of, row_counts

pytestmark = pytest.mark.django_db
Holder = Callable[..., Machine]
BAD_TOKEN = "401 invalid_token"


def terms(now: datetime, **changes: Any) -> TokenTerms:
    """Return good terms after `changes`."""
    return TokenTerms(**{"label": "nightly build", "expires_at": now + timedelta(days=1), **changes})


def reason(error: Any) -> str:
    return str(error.value.reason)


# Who makes one


@pytest.mark.spec("DCR-IAT-04")
@pytest.mark.threat("R09", "R12")
def test_an_owner_makes_tokens_for_test_apps_and_nobody_else_of_the_organization_does(cast: Cast, now: datetime) -> None:
    made = create_initial_access_token(cast.organization, cast.as_owner, terms(now), now=now)
    assert (made.row.stage, made.row.keeper, made.row.made_by_staff) == ("test", cast.owner, False)
    event = AuditEvent.objects.get(event="token.created")
    assert (event.actor_label, event.organization) == (cast.owner.email, cast.organization)
    for user in (cast.developer, cast.viewer, cast.stranger):
        with pytest.raises(TransitionRefused) as error:
            create_initial_access_token(cast.organization, person(user), terms(now), now=now)
        assert reason(error) == "permission"
    for more in ({"stage": "live"}, {"profile": make_profile()}):
        with pytest.raises(TransitionRefused) as error:
            create_initial_access_token(cast.organization, cast.as_owner, terms(now, **more), now=now)
        assert reason(error) == "permission"
    assert InitialAccessToken.objects.count() == 1


@pytest.mark.spec("DCR-IAT-04", "DCR-IAT-05")
def test_staff_make_tokens_for_live_apps_and_with_profiles_but_only_operators_do(cast: Cast, now: datetime) -> None:
    made = create_initial_access_token(cast.organization, cast.as_operator, terms(now, stage="live", profile=make_profile()), now=now)
    assert (made.row.made_by_staff, made.row.keeper, made.row.stage) == (True, None, "live")
    for user in (cast.reviewer, cast.auditor):
        with pytest.raises(TransitionRefused):
            create_initial_access_token(cast.organization, person(user, staff=True), terms(now), now=now)
    told = Machine(Browser(), made.value).registered()
    assert (told["stage"], client_of(told).stage) == ("live", "live")


@pytest.mark.parametrize("state", ["suspended", "rejected", "closed"])
def test_an_organization_that_is_over_gets_no_token(cast: Cast, now: datetime, state: str) -> None:
    Organization.objects.filter(pk=cast.organization.pk).update(state=state)
    with pytest.raises(TransitionRefused) as error:
        create_initial_access_token(cast.organization, cast.as_owner, terms(now), now=now)
    assert reason(error) == "organization"


@pytest.mark.spec("DCR-IAT-04")
@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"label": " "}, "label"),
        ({"label": "x" * 61}, "label"),
        ({"uses_limit": 0}, "uses_limit"),
        ({"uses_limit": 1001}, "uses_limit"),
        ({"life": timedelta(seconds=59)}, "expires_at"),
        ({"life": timedelta(days=-1)}, "expires_at"),
        ({"life": timedelta(days=367)}, "expires_at"),
        ({"stage": "production"}, "stage"),
        ({"restrictions": {"clients_limit": ["5"]}}, "restrictions"),
        ({"restrictions": {"default_scopes": ["bookings.read"]}}, "restrictions"),
        ({"restrictions": {"grant_types": ["password"]}}, "grant_types"),
        ({"restrictions": {"token_endpoint_auth_methods": ["x"]}}, "token_endpoint_auth_methods"),
        ({"restrictions": {"redirect_hosts": ["https://lighthouse.example/"]}}, "redirect_hosts"),
        ({"restrictions": {"allowed_scopes": ["unknown"]}}, "allowed_scopes"),
        ({"restrictions": {"allowed_scopes": [5]}}, "allowed_scopes"),
        ({"source_networks": ("somewhere",)}, "source_networks"),
        ({"source_networks": ("192.0.2.1/24",)}, "source_networks"),
    ],
)
def test_terms_that_make_no_sense_are_refused(cast: Cast, now: datetime, changes: dict[str, Any], field: str) -> None:
    life = changes.pop("life", timedelta(days=1))
    with pytest.raises(MetadataRefused) as error:
        create_initial_access_token(cast.organization, job("test"), terms(now, expires_at=now + life, **changes), now=now)
    assert {finding.member for finding in error.value.findings} == {field}
    assert not InitialAccessToken.objects.exists()


@pytest.mark.spec("DCR-IAT-04")
def test_a_token_is_kept_as_digest_only(cast: Cast, now: datetime) -> None:
    made = create_initial_access_token(cast.organization, job("test"), terms(now), now=now)
    assert re.fullmatch(r"cci_[A-Za-z0-9_-]{43}", made.value)
    assert len(base64.urlsafe_b64decode(made.value[4:] + "=")) == 32
    row = InitialAccessToken.objects.get()
    stored = [str(getattr(row, field.attname)) for field in row._meta.concrete_fields]
    assert not [value for value in stored if made.value[:12] in value]
    assert (len(row.digest), row.tail) == (64, made.value[-4:])
    assert made.value not in repr(made)
    assert make_token(cast.organization, now) != make_token(cast.organization, now)


# The command


def test_a_command_makes_tokens(cast: Cast) -> None:
    make_profile("strict", values={"grant_types": ["client_credentials"]})
    out, err = StringIO(), StringIO()
    options = ["--uses=3", "--expires-in=600", "--scope=bookings.read", "--grant=client_credentials", "--method=client_secret_basic"]
    options += ["--redirect-host=lighthouse.example", "--source=127.0.0.0/8", "--profile=strict", "--stage=live", "--label=ci"]
    call_command("create_initial_access_token", "--organization", cast.organization.slug, *options, stdout=out, stderr=err)
    value = out.getvalue().strip()
    row = InitialAccessToken.objects.get()
    assert (row.uses_limit, row.stage, row.label, row.source_networks, row.profile.name) == (3, "live", "ci", ["127.0.0.0/8"], "strict")  # type: ignore[union-attr]
    assert row.restrictions == {
        "grant_types": ["client_credentials"],
        "token_endpoint_auth_methods": ["client_secret_basic"],
        "allowed_scopes": ["bookings.read"],
        "redirect_hosts": ["lighthouse.example"],
    }
    assert value not in err.getvalue()
    assert Machine(Browser(), value).register().status_code == 201


def test_the_command_says_what_is_wrong(cast: Cast) -> None:
    slug = cast.organization.slug
    wrong = {
        ("--organization", "nobody"): "no organization nobody",
        ("--organization", slug, "--profile", "x"): "no registration profile x",
        ("--organization", slug, "--uses", "0"): "between 1 and",
        ("--organization", slug, "--expires-in", "1"): "a minute",
        ("--organization", slug, "--scope", "x"): "no scope x",
        ("--organization", slug, "--source", "x"): "no network",
    }
    for arguments, words in wrong.items():
        with pytest.raises(CommandError, match=words):
            call_command("create_initial_access_token", *arguments, stdout=StringIO(), stderr=StringIO())
    Organization.objects.filter(slug=slug).update(state="suspended")
    with pytest.raises(CommandError, match="suspended"):
        call_command("create_initial_access_token", "--organization", slug, stdout=StringIO(), stderr=StringIO())
    assert not InitialAccessToken.objects.exists()


# What the endpoint says of one


@pytest.mark.spec("DCR-IAT-01", "DCR-IAT-02")
@pytest.mark.threat("R01")
def test_without_a_token_nobody_registers_and_the_challenge_names_no_error(machine: Machine, settings: Any) -> None:
    before = row_counts()
    answer = machine.send("POST", "/register", MACHINE)
    assert outcome(answer) == BAD_TOKEN
    assert answer["WWW-Authenticate"] == f'Bearer realm="{settings.ISSUER}"'
    assert row_counts() == before


@pytest.mark.spec("DCR-IAT-02")
@pytest.mark.parametrize(
    "header",
    [
        *("Bearer cci_unknown", "Bearer", "Bearer ", "bearer x y", "Basic Y2xpZW50OnNlY3JldA==", "DPoP x", "x", "Bearer é", "Bearer \x7f"),
        *("Bearer " + "x" * 8000, "Token x", "Bearer,x"),
    ],
)
def test_a_token_that_is_none_is_refused_with_the_error(machine: Machine, header: str) -> None:
    before = row_counts()
    answer = machine.send("POST", "/register", MACHINE, Authorization=header)
    assert outcome(answer) == BAD_TOKEN
    assert answer["WWW-Authenticate"].startswith("Bearer realm=")
    assert 'error="invalid_token"' in answer["WWW-Authenticate"]
    assert row_counts() == before


def test_the_scheme_has_no_case(machine: Machine) -> None:
    for scheme in ("bearer", "BEARER", "BeArEr"):
        assert machine.send("POST", "/register", MACHINE, Authorization=f"{scheme} {machine.token}").status_code == 201


@pytest.mark.spec("DCR-IAT-03")
def test_a_token_in_the_address_or_in_the_body_does_not_count(machine: Machine) -> None:
    for name in ("access_token", "token", "initial_access_token", "bearer"):
        assert outcome(machine.send("POST", f"/register?{name}={machine.token}", MACHINE)) == BAD_TOKEN
        assert outcome(machine.send("POST", "/register", {**MACHINE, name: machine.token})) == BAD_TOKEN
    assert not Client.objects.exists()


@pytest.mark.spec("DCR-IAT-02", "DCR-IAT-04")
@pytest.mark.parametrize("ending", ["revoked", "expired", "used up"])
def test_a_token_that_ended_registers_nothing_and_says_why(cast: Cast, now: datetime, holder: Holder, ending: str) -> None:
    machine = holder(uses_limit=1 if ending == "used up" else 5)
    told = machine.registered()
    row = InitialAccessToken.objects.get()
    if ending == "revoked":
        revoke_initial_access_token(row, cast.as_owner, now=now)
    with time_machine.travel(row.expires_at if ending == "expired" else now, tick=False):
        before = row_counts()
        answer = machine.register()
        read = machine.read(told)
    assert outcome(answer) == BAD_TOKEN
    assert ending in answer.json()["error_description"]
    assert 'error="invalid_token"' in answer["WWW-Authenticate"]
    assert {name: count - before[name] for name, count in row_counts().items() if count != before[name]} == {"dcr_refusedregistration": 1}
    assert read.status_code == 200  # what it registered stays


@pytest.mark.spec("DCR-IAT-04")
def test_a_token_works_until_the_second_it_ends(holder: Holder, now: datetime) -> None:
    machine = holder(expires_at=now + timedelta(hours=1))
    with time_machine.travel(now + timedelta(minutes=59, seconds=59), tick=False):
        assert machine.register().status_code == 201
    with time_machine.travel(now + timedelta(hours=1), tick=False):
        assert outcome(machine.register()) == BAD_TOKEN


@pytest.mark.spec("DCR-IAT-04", "DCR-ERR-02")
def test_only_a_success_is_counted(holder: Holder, cast: Cast, now: datetime) -> None:
    machine = holder(uses_limit=2)
    for document in (b"{", {"redirect_uris": ["x"]}, {**MACHINE, "grant_types": "x"}, {**MACHINE, "software_statement": "x"}):
        assert machine.send("POST", "/register", document, token=machine.token).status_code == 400
    assert InitialAccessToken.objects.get().uses == 0
    assert [machine.register().status_code for _ in range(4)] == [201, 201, 401, 401]
    assert InitialAccessToken.objects.get().uses == 2
    assert Client.objects.count() == 2


# Refused attempts


@pytest.mark.spec("DCR-IAT-04")
def test_refused_attempts_are_kept_for_the_owners(holder: Holder) -> None:
    machine = holder(uses_limit=1)
    machine.register(redirect_uris=["http://evil.example/"], client_name=5)
    machine.registered()
    machine.register()
    first, second = RefusedRegistration.objects.order_by("id")
    assert (first.error, second.error) == ("invalid_redirect_uri", "invalid_token")
    assert first.members == ["client_name", "redirect_uris"]
    assert first.source_address == "127.0.0.1"
    assert first.request_id
    assert "used up" in second.description
    assert machine.token not in first.description + second.description  # type: ignore[operator]


@pytest.mark.threat("R01")
def test_no_more_than_fifty_refused_attempts_are_kept_for_a_token(holder: Holder) -> None:
    machine, other = holder(), holder()
    other.register(client_name=5)
    for number in range(REFUSALS_KEPT + 5):
        machine.register(client_name=5, software_id=number)
    kept = RefusedRegistration.objects.exclude(token=InitialAccessToken.objects.order_by("id")[1])
    assert kept.count() == REFUSALS_KEPT == 50
    assert RefusedRegistration.objects.count() == REFUSALS_KEPT + 1
    assert Machine(Browser(), "cci_unknown").register().status_code == 401
    assert RefusedRegistration.objects.count() == REFUSALS_KEPT + 1


# Restrictions, on registering and later


RESTRICTED: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any], str]] = {
    "grant types": ({"grant_types": ["client_credentials"]}, MACHINE, WEBSITE, "400 invalid_client_metadata"),
    "grant types, which are code when nothing is said": (
        {"grant_types": ["client_credentials"]},
        MACHINE,
        {"client_name": "x", "redirect_uris": ["https://lighthouse.example/"]},
        "400 invalid_client_metadata",
    ),
    "methods": (
        {"token_endpoint_auth_methods": ["client_secret_post"]},
        {**MACHINE, "token_endpoint_auth_method": "client_secret_post"},
        {**MACHINE, "token_endpoint_auth_method": "client_secret_basic"},
        "400 invalid_client_metadata",
    ),
    "methods, which are client_secret_basic when nothing is said": (
        {"token_endpoint_auth_methods": ["client_secret_post"]},
        {**MACHINE, "token_endpoint_auth_method": "client_secret_post"},
        MACHINE,
        "400 invalid_client_metadata",
    ),
    "redirect hosts": (
        {"redirect_hosts": ["lighthouse.example"]},
        WEBSITE,
        {**WEBSITE, "redirect_uris": ["https://lighthouse.example/", "https://lighthouse.example.evil.example/"]},
        "400 invalid_redirect_uri",
    ),
    "redirect hosts, of which a part is another": (
        {"redirect_hosts": ["lighthouse.example"]},
        WEBSITE,
        {**WEBSITE, "redirect_uris": ["https://www.lighthouse.example/"]},
        "400 invalid_redirect_uri",
    ),
    "redirect hosts after signing out": (
        {"redirect_hosts": ["lighthouse.example"]},
        WEBSITE,
        {**WEBSITE, "post_logout_redirect_uris": ["https://evil.example/"]},
        "400 invalid_client_metadata",
    ),
    "redirect schemes": (
        {"redirect_hosts": ["com.example.app:"]},
        {"client_name": "x", "application_type": "native", "redirect_uris": ["com.example.app:/cb"]},
        {"client_name": "x", "application_type": "native", "redirect_uris": ["com.example.app2:/cb"]},
        "400 invalid_redirect_uri",
    ),
}


@pytest.mark.spec("DCR-IAT-04", "DCR-IAT-05", "DCR-MGT-11")
@pytest.mark.threat("R02")
@pytest.mark.parametrize("name", RESTRICTED)
def test_a_restriction_holds_on_registering_and_on_every_update(holder: Holder, name: str) -> None:
    restrictions, good, bad, error = RESTRICTED[name]
    machine = holder(restrictions=restrictions)
    assert outcome(machine.register(bad)) == error
    told = machine.registered(good)
    assert outcome(machine.replace(told, bad)) == error
    assert metadata_in(machine.read(told).json()) == metadata_in(told)
    assert machine.replace(told, good).status_code == 200
    assert holder().register(bad).status_code == 201  # it is the restriction that refuses


@pytest.mark.spec("DCR-IAT-04", "DCR-IAT-05", "DCR-META-28")
@pytest.mark.threat("R02")
def test_scopes_beyond_those_of_the_token_are_left_out_now_and_later(holder: Holder, post_form: Any) -> None:
    Scope.objects.create(name="bookings.list", title="List your bookings")
    machine = holder(restrictions={"allowed_scopes": ["bookings.read"]})
    told = machine.registered(scope="bookings.list bookings.read unknown")
    assert told["scope"] == "bookings.read"
    assert {note["rule"] for note in told["notes"]} == {"policy.scope.not_allowed", "policy.scope.unknown"}
    again = machine.replace(told, {**MACHINE, "scope": "bookings.list bookings.write"})
    assert again.status_code == 200
    assert "scope" not in again.json()
    again = machine.replace(told, {**MACHINE, "scope": "bookings.read bookings.list"}).json()
    assert again["scope"] == "bookings.read"
    basic = (told["client_id"], told["client_secret"])
    answer = post_form("/oauth/token", {"grant_type": "client_credentials", "scope": "bookings.list"}, basic=basic)
    assert outcome(answer) == "400 invalid_scope"


@pytest.mark.spec("DCR-IAT-05")
@pytest.mark.threat("R02")
def test_a_restriction_stays_with_the_client_when_its_token_is_gone(holder: Holder, cast: Cast, now: datetime) -> None:
    machine = holder(restrictions={"grant_types": ["client_credentials"]}, uses_limit=1)
    told = machine.registered()
    revoke_initial_access_token(InitialAccessToken.objects.get(), cast.as_owner, now=now)
    assert outcome(machine.replace(told, WEBSITE)) == "400 invalid_client_metadata"
    InitialAccessToken.objects.all().delete()
    assert outcome(machine.replace(told, WEBSITE)) == "400 invalid_client_metadata"
    assert machine.replace(told).status_code == 200


@pytest.mark.spec("DCR-IAT-05")
@pytest.mark.threat("R02")
def test_clients_keep_to_the_profile_that_they_registered_with(holder: Holder, cast: Cast, now: datetime) -> None:
    values = {"grant_types": ["client_credentials"], "id_token_algorithms": ["ES256"], "redirect_uris_limit": 1}
    profile = make_profile(values=values)
    restrictions = {"allowed_scopes": ["bookings.read"], "grant_types": ["client_credentials", "authorization_code"]}
    machine = holder(profile=profile, restrictions=restrictions)
    assert outcome(machine.register(WEBSITE)) == "400 invalid_client_metadata"
    told = machine.registered()
    assert client_of(told).restrictions == {
        "grant_types": ["client_credentials"],
        "id_token_algorithms": ["ES256"],
        "redirect_uris_limit": 1,
        "allowed_scopes": ["bookings.read"],
    }
    profile.values = {}
    profile.save()
    assert outcome(machine.replace(told, WEBSITE)) == "400 invalid_client_metadata"


@pytest.mark.spec("DCR-IAT-05", "DCR-META-04", "DCR-META-36")
def test_a_profile_gives_defaults_and_forces_switches_and_the_answer_says_so(holder: Holder) -> None:
    values = {"default_scopes": ["bookings.read"], "require_pushed_authorization_requests": True, "id_token_algorithms": ["ES256"]}
    machine = holder(profile=make_profile(values=values))
    told = machine.registered(WEBSITE)
    for answer in (told, machine.read(told).json(), machine.replace(told, {**WEBSITE, "scope": ""}).json()):
        assert answer["scope"] == "bookings.read"
        assert answer["require_pushed_authorization_requests"] is True
        assert answer["id_token_signed_response_alg"] == "ES256"
    assert {note["member"] for note in told["notes"]} >= {"scope", "require_pushed_authorization_requests", "id_token_signed_response_alg"}
    assert outcome(machine.replace(told, {**WEBSITE, "id_token_signed_response_alg": "PS256"})) == "400 invalid_client_metadata"


@pytest.mark.threat("R02")
def test_a_profile_never_allows_what_the_policy_of_the_organization_refuses(holder: Holder, cast: Cast) -> None:
    from registry.models import PolicyRecord

    PolicyRecord.objects.create(organization=cast.organization, values={"grant_types": ["client_credentials"], "redirect_uris_limit": 1})
    machine = holder(profile=make_profile(values={"grant_types": ["authorization_code"], "redirect_uris_limit": 50}))
    assert outcome(machine.register(WEBSITE)) == "400 invalid_client_metadata"
    assert outcome(machine.register()) == "400 invalid_client_metadata"  # nothing is left that both allow


# Where from


@pytest.mark.spec("DCR-IAT-02", "DCR-IAT-04")
@pytest.mark.parametrize(
    ("networks", "address", "allowed"),
    [
        (("192.0.2.0/24",), "192.0.2.255", True),
        (("192.0.2.0/24",), "192.0.3.1", False),
        (("192.0.2.7/32",), "192.0.2.7", True),
        (("192.0.2.0/24",), "::ffff:192.0.2.7", True),
        (("192.0.2.0/24",), "::ffff:192.0.3.7", False),
        (("192.0.2.0/24",), "::192.0.2.7", False),
        (("192.0.2.0/24",), "2001:db8::1", False),
        (("2001:db8:1::/48",), "2001:db8:1:ffff::9", True),
        (("2001:db8:1::/48",), "2001:db8:2::9", False),
        (("2001:db8:1::/48",), "192.0.2.7", False),
        (("198.51.100.0/24", "2001:db8::/32"), "2001:db8::1", True),
        (("192.0.2.0/24",), "", False),
        (("192.0.2.0/24",), "unknown", False),
        ((), "203.0.113.9", True),
    ],
)
def test_a_token_registers_from_its_networks_only(holder: Holder, networks: tuple[str, ...], address: str, allowed: bool) -> None:
    machine = holder(source_networks=networks)
    machine.client = Browser(REMOTE_ADDR=address)
    answer = machine.register()
    assert outcome(answer) == ("201" if allowed else BAD_TOKEN)
    if not allowed:
        assert "address" in answer.json()["error_description"]
        assert InitialAccessToken.objects.get().uses == 0


# The keeper


@pytest.mark.spec("DCR-IAT-02")
@pytest.mark.threat("R13")
def test_a_token_ends_with_the_membership_of_its_keeper_and_an_owner_may_adopt_it(cast: Cast, now: datetime) -> None:
    made = create_initial_access_token(cast.organization, cast.as_owner, terms(now, uses_limit=50), now=now)
    machine = Machine(Browser(), made.value)
    machine.registered()
    membership = Membership.objects.get(organization=cast.organization, user=cast.owner)
    membership.role = Membership.Role.DEVELOPER
    membership.save()
    assert outcome(machine.register()) == BAD_TOKEN
    membership.role = Membership.Role.OWNER
    membership.save()
    assert machine.register().status_code == 201
    membership.delete()
    assert "no owner" in machine.register().json()["error_description"]
    # who comes back is not who left
    Membership.objects.create(organization=cast.organization, user=cast.owner, role="owner", created_at=now + timedelta(seconds=1))
    assert outcome(machine.register()) == BAD_TOKEN
    Membership.objects.create(organization=cast.organization, user=cast.stranger, role="owner", created_at=now)
    with pytest.raises(TransitionRefused):
        adopt_initial_access_token(made.row, person(cast.developer))
    adopt_initial_access_token(made.row, person(cast.stranger))
    assert machine.register().status_code == 201
    assert AuditEvent.objects.get(event="token.adopted").difference["keeper"] == [None, cast.stranger.email]
    Membership.objects.filter(user=cast.stranger).delete()
    assert outcome(machine.register()) == BAD_TOKEN


def test_a_revoked_token_and_one_of_our_staff_cannot_be_adopted(cast: Cast, now: datetime) -> None:
    made = create_initial_access_token(cast.organization, cast.as_owner, terms(now), now=now)
    revoke_initial_access_token(made.row, cast.as_owner, now=now)
    with pytest.raises(TransitionRefused) as error:
        adopt_initial_access_token(made.row, cast.as_owner)
    assert reason(error) == "state"
    by_staff = create_initial_access_token(cast.organization, cast.as_operator, terms(now), now=now)
    with pytest.raises(TransitionRefused) as error:
        adopt_initial_access_token(by_staff.row, cast.as_owner)
    assert reason(error) == "permission"


@pytest.mark.threat("R09")
def test_only_owners_and_staff_who_act_revoke_a_token_and_it_is_in_the_trail_once(cast: Cast, now: datetime) -> None:
    made = create_initial_access_token(cast.organization, cast.as_owner, terms(now), now=now)
    for actor in (person(cast.developer), person(cast.stranger), person(cast.auditor, staff=True)):
        with pytest.raises(TransitionRefused):
            revoke_initial_access_token(made.row, actor, now=now)
    assert InitialAccessToken.objects.get().revoked_at is None
    revoke_initial_access_token(made.row, cast.as_owner, now=now)
    for staff in (cast.as_reviewer, cast.as_operator):
        revoke_initial_access_token(made.row, staff, now=now + timedelta(hours=1))
    assert InitialAccessToken.objects.get().revoked_at == now
    assert AuditEvent.objects.filter(event="token.revoked").count() == 1


# The organization


@pytest.mark.spec("DCR-IAT-02")
@pytest.mark.threat("O10", "R13")
def test_the_tokens_of_a_suspended_organization_rest_and_come_back_with_it(cast: Cast, now: datetime, machine: Machine) -> None:
    told = machine.registered()
    change_organization(cast.organization, "suspend", cast.as_reviewer, now=now, reason="unpaid")
    answer = machine.register()
    assert outcome(answer) == BAD_TOKEN
    assert "suspended" in answer.json()["error_description"]
    assert outcome(machine.read(told)) == BAD_TOKEN
    change_organization(cast.organization, "reinstate", cast.as_reviewer, now=now)
    assert machine.register().status_code == 201
    assert machine.read(told).status_code == 200


@pytest.mark.threat("R12")
def test_a_token_for_live_apps_waits_until_its_organization_is_approved(cast: Cast, now: datetime, holder: Holder) -> None:
    draft = make_organization(cast.stranger, cast.reviewer, now, "Tidewater", approve=False)
    assert holder(organization=draft).register().status_code == 201
    live = holder(organization=draft, stage="live")
    assert outcome(live.register()) == BAD_TOKEN
    assert "not approved" in live.register().json()["error_description"]
    Organization.objects.filter(pk=draft.pk).update(state="approved")
    assert live.registered()["stage"] == "live"


@pytest.mark.spec("DCR-ERR-01", "DCR-ERR-02")
@pytest.mark.threat("R01")
def test_an_organization_registers_no_more_clients_than_its_limit(cast: Cast, machine: Machine, now: datetime) -> None:
    from registry.models import PolicyRecord

    PolicyRecord.objects.create(organization=cast.organization, values={"clients_limit": 2})
    first, _ = machine.registered(), machine.registered()
    answer = machine.register()
    assert outcome(answer) == "403 access_denied"
    assert "2 apps" in answer.json()["error_description"]
    assert InitialAccessToken.objects.get().uses == 2
    change_client(client_of(first), "close", cast.as_owner, now=now)
    assert machine.register().status_code == 201


# Nowhere else


@pytest.fixture
def resource_server(cast: Cast, now: datetime) -> Caller:
    """A resource server that may introspect."""
    return make_caller(cast.organization, now, "client_secret_basic")


@pytest.mark.spec("DCR-IAT-06", "DCR-MGT-16")
@pytest.mark.threat("R04")
@pytest.mark.parametrize("kind", ["initial access token", "registration access token"])
def test_a_token_of_registration_is_of_no_use_anywhere_else(machine: Machine, resource_server: Caller, post_form: Any, kind: str) -> None:
    told = machine.registered()
    value = machine.token if kind.startswith("initial") else told["registration_access_token"]
    basic = (resource_server.client_id, resource_server.secret)
    for hint in ({}, {"token_type_hint": "access_token"}, {"token_type_hint": "refresh_token"}):
        assert post_form(INTROSPECT, {"token": value, **hint}, basic=basic).json() == {"active": False}
    bearer = {"Authorization": f"Bearer {value}"}
    browser = Browser()
    for method in ("get", "post"):
        assert outcome(getattr(browser, method)("/oauth/userinfo", headers=bearer)) == BAD_TOKEN
    assert browser.get("/org/", headers=bearer).status_code == 302
    assert browser.get("/staff/", headers=bearer).status_code == 302
    for path in ("/api/v1/clients", "/api/v1/organization", "/api/"):
        assert browser.get(path, headers=bearer).status_code in (401, 404), path
    for parameters in (
        {"grant_type": "client_credentials"},
        {"grant_type": "refresh_token", "refresh_token": value},
        {"grant_type": "authorization_code", "code": value, "redirect_uri": "https://lighthouse.example/callback"},
    ):
        assert outcome(browser.post(TOKEN, parameters, headers=bearer)).startswith(("400", "401", "415"))
        client_id = {"client_id": told["client_id"], "client_secret": value}
        assert outcome(post_form(TOKEN, {**parameters, **client_id})) == "401 invalid_client"
    assert post_form("/oauth/revoke", {"token": value}, basic=basic).status_code == 200
    assert machine.read(told).status_code == 200
    assert machine.register().status_code == 201
    if kind.startswith("initial"):  # nor for what the other one does
        for method in ("GET", "PUT", "DELETE"):
            assert outcome(machine.send(method, place_of(told), as_update(told), token=value)) == BAD_TOKEN
        assert machine.read(told).status_code == 200
    else:
        assert outcome(Machine(Browser(), value).register()) == BAD_TOKEN


@pytest.mark.spec("DCR-IAT-06")
def test_an_access_token_or_a_client_secret_registers_nothing(machine: Machine, post_form: Any) -> None:
    told = machine.registered()
    basic = (told["client_id"], told["client_secret"])
    access_token = post_form(TOKEN, {"grant_type": "client_credentials"}, basic=basic).json()["access_token"]
    for value in (access_token, told["client_secret"]):
        assert outcome(Machine(Browser(), value).register()) == BAD_TOKEN
        for method in ("GET", "PUT", "DELETE"):
            assert outcome(machine.send(method, place_of(told), as_update(told), token=value)) == BAD_TOKEN
    credentials = base64.b64encode(":".join(basic).encode()).decode()
    assert outcome(machine.send("GET", place_of(told), Authorization=f"Basic {credentials}")) == BAD_TOKEN


@pytest.mark.threat("R01")
def test_the_owners_hear_of_the_first_registration_of_a_token_only(machine: Machine, now: datetime, mailoutbox: list[Any]) -> None:
    from portal.tasks import send_due_notices

    for _ in range(3):
        machine.registered()
    send_due_notices()
    about = [mail for mail in mailoutbox if "Back office" in mail.subject]
    assert len(about) == 1
    assert AuditEvent.objects.filter(event="client.registered").count() == 3


@pytest.mark.threat("R05")
def test_of_a_refusal_nothing_is_kept_that_looks_like_a_credential(machine: Machine) -> None:
    secret = "ccs_" + "a" * 43
    assert machine.register(grant_types=[secret]).status_code == 400
    kept = RefusedRegistration.objects.get()
    assert secret not in kept.description
    assert "[cut]" in kept.description
