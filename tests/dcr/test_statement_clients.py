"""What clients have by software statements: an organization, entitlements while the statement lasts, and an end (house decisions 7, 8)."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core import mail
from django.db import transaction

from authserver.models import AccessToken
from dcr.models import AcceptedStatement, RegistrationAccessToken, SoftwareStatementIssuer, StatementOrganization
from dcr.registration_access_tokens import issue_registration_access_token
from dcr.software_statements import (
    accept_statement,
    disable_issuer,
    enable_issuer,
    end_statements,
    organization_of,
    require_same_organization,
    save_issuer,
    verify_statement,
)
from dcr.software_statements.organizations import link_organization, unlink_organization
from dcr.tasks import end_statements as end_statements_task
from protocol.errors import InvalidSoftwareStatement, TransitionRefused, UnapprovedSoftwareStatement
from registry.actors import job, person, software_publisher
from registry.credentials import create_secret
from registry.entitlements import entitled_scopes, grant_scopes
from registry.lifecycle import change_client, change_organization, update_client
from registry.models import AuditEvent, Client, Entitlement, Membership, Notice, Organization, Scope
from registry.scopes import update_scope
from tests.authserver.support import INTROSPECT, TOKEN
from tests.conftest import Cast, make_organization
from tests.dcr.statements import ISSUER, MACHINE, issuer_values, later, make_issuer, register, sign, verified
from tests.dcr.support import Machine
from tests.registry.threads import together

SYSTEM = job("test")
PUBLISHER = software_publisher(ISSUER)


@pytest.fixture
def issuer(cast: Cast, now: datetime) -> SoftwareStatementIssuer:
    """An issuer whose statements register alone."""
    return make_issuer(cast.organization, now, replaces_initial_access_token=True)


@pytest.fixture
def app(cast: Cast, issuer: SoftwareStatementIssuer, now: datetime) -> Client:
    """A client that registered by a statement alone, which lasts an hour."""
    client = register(cast.organization, verified(now), now)
    issue_registration_access_token(client, now=now, initial_access_token=None)
    return client


def scopes_by_statement(client: Client) -> dict[str, datetime | None]:
    """Return what a client is entitled to by its statement, and until when."""
    rows = Entitlement.objects.filter(client=client, because="statement")
    return dict(rows.values_list("value", "expires_at"))


# Whose the client is


def refused(statement: Any, now: datetime) -> str:
    with pytest.raises(UnapprovedSoftwareStatement) as caught:
        organization_of(statement, PUBLISHER, now=now)
    return str(caught.value)


@pytest.mark.spec("DCR-SS-06")
def test_an_issuer_may_speak_for_one_organization(issuer: SoftwareStatementIssuer, cast: Cast, now: datetime) -> None:
    assert organization_of(verified(now, org_id="whatever"), PUBLISHER, now=now) == cast.organization


@pytest.mark.spec("DCR-SS-06")
def test_a_claim_names_an_organization_that_is_known_and_never_by_its_name(cast: Cast, now: datetime) -> None:
    issuer = make_issuer(None, now, organizations="match", organization_claim="org_id")
    other = make_issuer(None, now, issuer="https://other.example", organizations="match", organization_claim="org_id")
    link_organization(other, "A-1", cast.organization, SYSTEM, now=now)
    for value in ("A-1", cast.organization.legal_name, cast.organization.slug, str(cast.organization.org_id)):
        refused(verified(now, org_id=value), now)
    link_organization(issuer, "A-1", cast.organization, SYSTEM, now=now)
    assert organization_of(verified(now, org_id="A-1"), PUBLISHER, now=now) == cast.organization
    for value in ("a-1", "A-1 ", "", "A-1\x7f", "x" * 256, ["A-1"], {"A-1": 1}, None, 5, ...):
        refused(verified(now, org_id=value), now)
    unlink_organization(StatementOrganization.objects.get(issuer=issuer), SYSTEM)
    refused(verified(now, org_id="A-1"), now)
    assert Organization.objects.filter(is_operator=False).count() == 1


@pytest.mark.spec("DCR-SS-06")
def test_an_unknown_organization_is_made_once_and_approved(cast: Cast, now: datetime) -> None:
    make_issuer(None, now, organizations="create", organization_claim="org_id", organization_name_claim="org_name")
    made = organization_of(verified(now, org_id="A-1", org_name="Tidewater Ferries"), PUBLISHER, now=now)
    assert (made.legal_name, made.state) == ("Tidewater Ferries", "approved")
    assert organization_of(verified(now, org_id="A-1", org_name="Renamed"), PUBLISHER, now=now) == made
    twin = organization_of(verified(now, org_id="A-2", org_name="Tidewater Ferries"), PUBLISHER, now=now)
    assert twin != made
    own = organization_of(verified(now, org_id="A-3", org_name=cast.organization.legal_name), PUBLISHER, now=now)
    assert own != cast.organization
    events = AuditEvent.objects.filter(organization=made).order_by("id")
    assert [event.event for event in events] == ["org.created", "org.approved", "statement_organization.linked"]
    assert {(event.actor_kind, event.actor_id) for event in events} == {("statement", ISSUER)}


@pytest.mark.parametrize(("name", "called"), [("\u202eevil", "A-1"), ("", "A-1"), (None, "A-1"), (["x"], "A-1"), ("x" * 300, "x" * 200)])
def test_a_name_that_nobody_may_have_gives_way_to_the_value(cast: Cast, now: datetime, name: Any, called: str) -> None:
    make_issuer(None, now, organizations="create", organization_claim="org_id", organization_name_claim="org_name")
    assert organization_of(verified(now, org_id="A-1", org_name=name), PUBLISHER, now=now).legal_name == called


@pytest.mark.django_db(transaction=True)
def test_two_registrations_of_one_new_organization_make_it_once(cast: Cast, now: datetime) -> None:
    make_issuer(None, now, organizations="create", organization_claim="org_id")
    statements = [verified(now, org_id="A-1") for _ in range(4)]

    def act(number: int) -> Organization:
        with transaction.atomic():
            return organization_of(statements[number], PUBLISHER, now=now)

    found = together(4, act)
    assert len({organization.pk for organization in found}) == 1, found
    assert StatementOrganization.objects.count() == 1
    assert Organization.objects.filter(legal_name="A-1").count() == 1


@pytest.mark.spec("DCR-SS-06", "DCR-IAT-08")
def test_a_token_and_a_statement_are_about_one_organization(cast: Cast, now: datetime) -> None:
    other = make_organization(cast.stranger, cast.reviewer, now, "Tidewater Ferries")
    issuer = make_issuer(None, now, organizations="match", organization_claim="org_id")
    link_organization(issuer, "A-1", cast.organization, SYSTEM, now=now)
    require_same_organization(verified(now, org_id="A-1"), cast.organization)
    for organization, value in ((other, "A-1"), (cast.organization, "A-2"), (cast.organization, ...)):
        with pytest.raises(UnapprovedSoftwareStatement):
            require_same_organization(verified(now, org_id=value), organization)
    SoftwareStatementIssuer.objects.update(organizations="create")
    with pytest.raises(UnapprovedSoftwareStatement):
        require_same_organization(verified(now, org_id="A-2"), cast.organization)
    assert StatementOrganization.objects.count() == 1
    save_issuer(issuer, issuer_values(cast.organization, organizations="fixed"), SYSTEM, now=now)
    require_same_organization(verified(now), other)


def test_only_an_operator_who_is_no_member_links_an_approved_organization_once(cast: Cast, now: datetime) -> None:
    issuer = make_issuer(None, now, organizations="match", organization_claim="org_id")
    operator, waiting = person(cast.operator, staff=True), make_organization(cast.stranger, cast.reviewer, now, "Tidewater", approve=False)
    cases: list[tuple[str, tuple[Any, ...]]] = [
        ("permission", (issuer, "A", cast.organization, person(cast.reviewer, staff=True))),
        ("permission", (issuer, "A", cast.organization, cast.as_owner)),
        ("organization", (issuer, "A", waiting, operator)),
        ("value", (issuer, "", cast.organization, operator)),
        ("value", (issuer, "x" * 256, cast.organization, operator)),
        ("value", (issuer, "a\nb", cast.organization, operator)),
        ("rule", (make_issuer(waiting_fixed(cast, now), now, issuer="fixed"), "A", cast.organization, operator)),
    ]
    for reason, arguments in cases:
        with pytest.raises(TransitionRefused) as caught:
            link_organization(*arguments, now=now)
        assert caught.value.reason == reason
    row = link_organization(issuer, "A", cast.organization, operator, now=now)
    with pytest.raises(TransitionRefused) as caught:
        link_organization(issuer, "A", cast.organization, operator, now=now)
    assert caught.value.reason == "duplicate"
    Membership.objects.create(organization=cast.organization, user=cast.operator, role="viewer")
    for act in (lambda: unlink_organization(row, operator), lambda: link_organization(issuer, "B", cast.organization, operator, now=now)):
        with pytest.raises(TransitionRefused) as caught:
            act()
        assert caught.value.reason == "permission"


def waiting_fixed(cast: Cast, now: datetime) -> Organization:
    return make_organization(cast.stranger, cast.reviewer, now, "Fixed Ferries")


# What it is entitled to


@pytest.mark.spec("DCR-SS-04", "DCR-SS-06", "DCR-SS-07", "DCR-SS-08")
def test_roles_entitle_to_registered_scopes_sensitive_ones_too_while_the_statement_lasts(
    issuer: SoftwareStatementIssuer, cast: Cast, now: datetime
) -> None:
    statement = verified(now)
    client = register(cast.organization, statement, now)
    assert scopes_by_statement(client) == {"bookings.read": later(now, 3600), "bookings.write": later(now, 3600)}
    assert entitled_scopes(client, later(now, 3599)) == {"bookings.read", "bookings.write"}
    assert entitled_scopes(client, later(now, 3600)) == {"bookings.read"}  # this one needs nobody's approval
    row = AcceptedStatement.objects.get()
    assert (row.statement, row.asserted, row.roles) == (statement.raw, ["client_name", "software_id"], ["data", "payment"])
    assert (row.accepted_at, row.expires_at, row.ended_at, row.issuer) == (now, later(now, 3600), None, issuer)
    assert row.replaced_initial_access_token
    evidence = Entitlement.objects.get(value="bookings.write").evidence
    assert evidence == f"data, payment by {ISSUER}"


@pytest.mark.spec("DCR-SS-04")
def test_a_role_gives_nothing_that_is_not_registered_or_not_its_own(issuer: SoftwareStatementIssuer, cast: Cast, now: datetime) -> None:
    assert set(scopes_by_statement(register(cast.organization, verified(now, roles=["data"]), now))) == {"bookings.read"}
    narrow = register(cast.organization, verified(now), now, scope="bookings.read")
    assert set(scopes_by_statement(narrow)) == {"bookings.read"}
    assert scopes_by_statement(register(cast.organization, verified(now, roles=["unknown"]), now)) == {}
    assert scopes_by_statement(register(cast.organization, verified(now, roles=...), now)) == {}


@pytest.mark.spec("DCR-SS-04")
def test_a_new_statement_replaces_what_the_one_before_gave_and_nothing_else(app: Client, cast: Cast, now: datetime) -> None:
    grant_scopes(app, ["bookings.write"], Entitlement.Because.STAFF)
    accept_statement(app, verified(now, roles=["data"], exp=int(now.timestamp()) + 7200), now=now)
    assert scopes_by_statement(app) == {"bookings.read": later(now, 7200)}
    assert AcceptedStatement.objects.get().roles == ["data"]
    accept_statement(app, verified(now, roles=["payment"], exp=...), now=now)
    assert scopes_by_statement(app) == {"bookings.write": None}
    accept_statement(app, verified(now, roles=["payment"], exp=int(now.timestamp()) + 60), now=now)
    assert scopes_by_statement(app) == {"bookings.write": later(now, 60)}
    accept_statement(app, verified(now, roles=[]), now=now)
    assert scopes_by_statement(app) == {}
    assert Entitlement.objects.filter(client=app, because="staff").count() == 1
    assert AcceptedStatement.objects.count() == 1


@pytest.mark.spec("DCR-SS-09")
def test_the_same_software_registers_again_beside_itself(issuer: SoftwareStatementIssuer, cast: Cast, now: datetime) -> None:
    statement = verified(now)
    first, second = (register(cast.organization, statement, now) for _ in range(2))
    assert first.client_id != second.client_id
    assert first.metadata == second.metadata
    assert AcceptedStatement.objects.count() == 2
    assert scopes_by_statement(first) == scopes_by_statement(second) != {}


def test_an_issuer_that_was_disabled_since_its_statement_was_verified_gives_nothing(
    issuer: SoftwareStatementIssuer, cast: Cast, now: datetime
) -> None:
    statement = verified(now)
    disable_issuer(issuer, SYSTEM, now=now, reason="Because.")
    with pytest.raises(UnapprovedSoftwareStatement), transaction.atomic():
        register(cast.organization, statement, now)
    assert not Client.objects.exists()
    assert not Entitlement.objects.filter(because="statement").exists()


# Used once


@pytest.mark.spec("DCR-SS-05")
@pytest.mark.threat("J16")
def test_a_statement_counts_once_where_its_issuer_says_so(cast: Cast, now: datetime) -> None:
    issuer = make_issuer(cast.organization, now, single_use=True)
    for end in (int(now.timestamp()) + 3600, ..., 2**40 - 1):
        raw = sign(now, jti="same", exp=end, iss=ISSUER)
        outcomes = []
        for _ in range(2):
            try:
                with transaction.atomic():
                    register(cast.organization, verify_statement(raw, now=now), now)
                outcomes.append("registered")
            except InvalidSoftwareStatement:
                outcomes.append("refused")
        assert outcomes == ["registered" if end == int(now.timestamp()) + 3600 else "refused", "refused"]
    assert Client.objects.count() == 1
    save_issuer(issuer, {"single_use": False}, SYSTEM, now=now)
    register(cast.organization, verify_statement(raw, now=now), now)


@pytest.mark.spec("DCR-SS-05")
def test_a_registration_that_fails_uses_nothing_up(cast: Cast, now: datetime) -> None:
    make_issuer(cast.organization, now, single_use=True)
    statement = verified(now)
    with transaction.atomic():
        register(cast.organization, statement, now)
        transaction.set_rollback(True)
    assert not Client.objects.exists()
    register(cast.organization, statement, now)


@pytest.mark.spec("DCR-SS-05")
@pytest.mark.threat("J16")
@pytest.mark.django_db(transaction=True)
def test_of_registrations_at_the_same_moment_one_uses_the_statement(cast: Cast, now: datetime) -> None:
    make_issuer(cast.organization, now, single_use=True)
    statement = verified(now)

    def act(_: int) -> Client:
        with transaction.atomic():
            organization = Organization.objects.select_for_update().get(pk=cast.organization.pk)
            return register(organization, statement, now)

    found = together(2, act)
    assert sorted(type(one).__name__ for one in found) == ["Client", "InvalidSoftwareStatement"], found
    assert Client.objects.count() == AcceptedStatement.objects.count() == 1


# How it ends


def ended_event(client: Client) -> AuditEvent:
    return AuditEvent.objects.get(event="statement.ended", object_id=str(client.reference))


def test_an_expired_statement_takes_its_scopes_along_and_nothing_else(app: Client, now: datetime) -> None:
    grant_scopes(app, ["bookings.write"], Entitlement.Because.STAFF)
    assert end_statements(SYSTEM, now=later(now, 3599)) == 0
    assert end_statements(SYSTEM, now=later(now, 3600)) == 1
    assert scopes_by_statement(app) == {}
    assert set(app.entitlements.values_list("value", "because")) == {("bookings.read", "policy"), ("bookings.write", "staff")}
    app.refresh_from_db()
    assert (app.state, app.credential_generation) == ("active", 1)
    assert AcceptedStatement.objects.get().ended_at == later(now, 3600)
    event = ended_event(app)
    assert event.reason == "The software statement of Directory expired. Its registration is as today's rules allow."
    assert event.difference["entitled_scopes"] == [["bookings.read", "bookings.write"], []]
    assert (event.actor_kind, event.organization) == ("job", app.organization)
    assert end_statements(SYSTEM, now=later(now, 3700)) == 0


def test_a_statement_without_an_end_does_not_end(issuer: SoftwareStatementIssuer, cast: Cast, now: datetime) -> None:
    register(cast.organization, verified(now, exp=...), now)
    assert end_statements(SYSTEM, now=now + timedelta(days=4000)) == 0


def test_a_fresh_statement_brings_back_what_ended(app: Client, now: datetime) -> None:
    after = later(now, 4000)
    end_statements(SYSTEM, now=after)
    accept_statement(app, verify_statement(sign(after), now=after), now=after)
    assert set(scopes_by_statement(app)) == {"bookings.read", "bookings.write"}
    assert AcceptedStatement.objects.get().ended_at is None
    assert end_statements(SYSTEM, now=after) == 0


def test_what_today_s_rules_say_is_found_when_a_statement_ends(app: Client, cast: Cast, now: datetime) -> None:
    update_scope(Scope.objects.get(name="bookings.write"), person(cast.operator, staff=True), is_retired=True)
    end_statements(SYSTEM, now=later(now, 3600))
    event = ended_event(app)
    assert "Today's rules would change its registration" in event.reason
    assert "bookings.write" in event.difference["recheck"][1]
    app.refresh_from_db()
    assert app.scopes == ["bookings.read", "bookings.write"]


def test_the_rules_that_a_client_was_registered_under_are_asked_again(app: Client, now: datetime) -> None:
    Client.objects.update(restrictions={"grant_types": ["authorization_code"]})
    end_statements(SYSTEM, now=later(now, 3600))
    assert "Today's rules would refuse its registration" in ended_event(app).reason


def test_a_living_token_loses_the_scopes_of_an_expired_statement(
    app: Client, post_form: Callable[..., Any], cast: Cast, now: datetime
) -> None:
    secret = create_secret(app, SYSTEM, now=now)
    basic = (app.client_id, secret.value)
    answer = post_form(TOKEN, {"grant_type": "client_credentials", "scope": "bookings.read bookings.write"}, basic=basic)
    token = answer.json()["access_token"]
    assert answer.json()["scope"] == "bookings.read bookings.write"
    Client.objects.filter(pk=app.pk).update(is_resource_server=True)

    def told() -> Any:
        return post_form(INTROSPECT, {"token": token}, basic=basic).json().get("scope")

    assert told() == "bookings.read bookings.write"
    Entitlement.objects.filter(because="statement").update(expires_at=later(now, -1))  # nobody needs to notice the end
    assert told() == "bookings.read"
    AcceptedStatement.objects.update(expires_at=later(now, -1))
    assert end_statements_task() == 1
    assert told() == "bookings.read"
    assert AccessToken.objects.get().expires > now
    again = post_form(TOKEN, {"grant_type": "client_credentials", "scope": "bookings.write"}, basic=basic)
    assert (again.status_code, again.json()["error"]) == (400, "invalid_scope")


def test_owners_hear_of_the_end_once(app: Client, cast: Cast, now: datetime, django_capture_on_commit_callbacks: Any) -> None:
    mail.outbox.clear()
    with django_capture_on_commit_callbacks(execute=True):
        end_statements(SYSTEM, now=later(now, 3600))
        end_statements(SYSTEM, now=later(now, 3600))
    (message,) = mail.outbox
    assert message.to == [cast.owner.email]
    assert message.subject == "[Credence] The software statement of an app ended: Vouched"
    assert "The software statement of Directory expired." in message.body
    assert "new software statement" in message.body


def test_the_end_of_what_is_closed_is_nobody_s_news(app: Client, now: datetime) -> None:
    change_client(app, "close", SYSTEM, now=now)
    before = Notice.objects.count()
    assert end_statements(SYSTEM, now=later(now, 3600)) == 1
    assert Notice.objects.count() == before
    assert scopes_by_statement(app) == {}


@pytest.mark.threat("O10")
def test_a_disabled_issuer_ends_access_of_those_who_have_nothing_else(
    app: Client, issuer: SoftwareStatementIssuer, post_form: Callable[..., Any], now: datetime, django_capture_on_commit_callbacks: Any
) -> None:
    secret = create_secret(app, SYSTEM, now=now)
    basic = (app.client_id, secret.value)
    post_form(TOKEN, {"grant_type": "client_credentials"}, basic=basic)
    mail.outbox.clear()
    with django_capture_on_commit_callbacks(execute=True):
        assert disable_issuer(issuer, SYSTEM, now=now, reason="It lost its key.") == 1
    app.refresh_from_db()
    assert (app.state, app.credential_generation) == ("suspended", 2)
    assert app.state_reason == "Directory vouches for software here no more."
    assert not AccessToken.objects.get().is_live
    assert post_form(TOKEN, {"grant_type": "client_credentials"}, basic=basic).status_code in (400, 401)
    assert scopes_by_statement(app) == {}
    assert ended_event(app).reason.startswith("Directory vouches for software here no more.")
    assert [message.subject for message in mail.outbox if "App stopped" not in message.subject] == []
    assert end_statements(SYSTEM, now=now) == 0


@pytest.mark.parametrize("basis", ["token", "manual", "no replacement"])
def test_a_client_with_another_basis_loses_the_scopes_and_stays(
    basis: str, app: Client, issuer: SoftwareStatementIssuer, cast: Cast, machine: Machine, now: datetime
) -> None:
    if basis == "token":
        answer = machine.register(MACHINE).json()
        with_token = RegistrationAccessToken.objects.get(client__client_id=answer["client_id"])
        RegistrationAccessToken.objects.filter(client=app).update(initial_access_token=with_token.initial_access_token)
    elif basis == "manual":
        Client.objects.filter(pk=app.pk).update(source="manual")
    else:
        AcceptedStatement.objects.update(replaced_initial_access_token=False)
    assert disable_issuer(issuer, SYSTEM, now=now, reason="Because.") == 1
    app.refresh_from_db()
    assert (app.state, app.credential_generation) == ("active", 1)
    assert scopes_by_statement(app) == {}
    assert ended_event(app).reason.startswith("Directory vouches for software here no more.")


def test_a_statement_that_expired_before_does_not_save_a_client_from_the_end_of_its_issuer(
    app: Client, issuer: SoftwareStatementIssuer, now: datetime
) -> None:
    end_statements(SYSTEM, now=later(now, 3600))
    assert disable_issuer(issuer, SYSTEM, now=later(now, 3700), reason="Because.") == 0
    app.refresh_from_db()
    assert (app.state, app.credential_generation) == ("suspended", 2)


def test_what_people_decide_afterwards_stays(app: Client, issuer: SoftwareStatementIssuer, cast: Cast, now: datetime) -> None:
    disable_issuer(issuer, SYSTEM, now=now, reason="Because.")
    change_client(app, "reinstate", cast.as_reviewer, now=now)
    assert end_statements(SYSTEM, now=now) == 0
    enable_issuer(issuer, SYSTEM)
    assert end_statements(SYSTEM, now=now) == 0
    app.refresh_from_db()
    assert app.state == "active"
    assert scopes_by_statement(app) == {}


@pytest.mark.parametrize(("before", "after"), [("pause", "suspended"), ("suspend", "suspended"), ("close", "closed")])
def test_a_paused_app_cannot_be_resumed_by_its_owner_after_its_issuer_is_gone(
    before: str, after: str, app: Client, issuer: SoftwareStatementIssuer, cast: Cast, now: datetime
) -> None:
    change_client(
        app, before, cast.as_owner if before == "pause" else cast.as_reviewer if before == "suspend" else SYSTEM, now=now, reason="R"
    )
    disable_issuer(issuer, SYSTEM, now=now, reason="Because.")
    app.refresh_from_db()
    assert (app.state, app.paused_by_owner) == (after, False)
    assert AcceptedStatement.objects.get().ended_at == now


def test_a_straggler_of_a_disabled_issuer_is_ended_by_the_next_tick(app: Client, issuer: SoftwareStatementIssuer, now: datetime) -> None:
    SoftwareStatementIssuer.objects.update(is_enabled=False)  # as if it were written while the issuer was being disabled
    assert end_statements(SYSTEM, now=now) == 1
    app.refresh_from_db()
    assert app.state == "suspended"


def test_many_end_in_chunks_with_few_questions(
    issuer: SoftwareStatementIssuer, cast: Cast, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(5):
        register(cast.organization, verified(now), now)
    monkeypatch.setattr("dcr.software_statements.ending.CHUNK", 2)
    assert end_statements(SYSTEM, now=later(now, 3600)) == 5
    assert AuditEvent.objects.filter(event="statement.ended").count() == 5
    assert not Entitlement.objects.filter(because="statement").exists()


@pytest.mark.django_db(transaction=True)
def test_two_sweeps_at_the_same_moment_end_each_statement_once(cast: Cast, now: datetime) -> None:
    make_issuer(cast.organization, now, replaces_initial_access_token=True)
    for _ in range(4):
        register(cast.organization, verified(now), now)
    found = together(2, lambda _: end_statements(SYSTEM, now=later(now, 3600)))
    assert sum(found) == 4, found
    assert AuditEvent.objects.filter(event="statement.ended").count() == 4


# Through the door


@pytest.mark.spec("DCR-SS-01", "DCR-SS-03", "DCR-SS-07", "DCR-IAT-08")
def test_a_statement_alone_registers_and_comes_back_exactly(
    client: Any, issuer: SoftwareStatementIssuer, cast: Cast, now: datetime
) -> None:
    machine, raw = Machine(client), sign(now)
    response = machine.register({**MACHINE, "software_statement": raw})
    told = response.json()
    assert response.status_code == 201, told
    assert (told["client_name"], told["software_statement"], told["software_id"]) == ("Vouched", raw, "4NRB1")
    made = Client.objects.get(client_id=told["client_id"])
    assert (made.organization, made.stage) == (cast.organization, "test")
    assert set(scopes_by_statement(made)) == {"bookings.read", "bookings.write"}
    assert machine.read(told).json()["software_statement"] == raw


@pytest.mark.spec("DCR-SS-01", "DCR-SS-02", "DCR-SS-04", "DCR-ERR-01", "DCR-ERR-02")
def test_the_errors_of_a_statement_have_their_codes_on_the_wire(
    client: Any, issuer: SoftwareStatementIssuer, cast: Cast, now: datetime
) -> None:
    machine = Machine(client)
    head, body, _ = sign(now).split(".")
    cases = (
        (f"{head}.{body}.{'A' * 86}", "invalid_software_statement"),
        (sign(now, iss="https://x.example"), "unapproved_software_statement"),
    )
    for raw, code in cases:
        response = machine.register({**MACHINE, "software_statement": raw})
        assert (response.status_code, response.json()["error"]) == (400, code)
        assert response.json()["invalid_members"] == ["software_statement"]
    assert not Client.objects.exists()


@pytest.mark.spec("DCR-SS-02", "DCR-IAT-08")
def test_a_statement_alone_does_not_register_where_its_issuer_does_not_say_so(
    client: Any, issuer: SoftwareStatementIssuer, machine: Machine, now: datetime
) -> None:
    save_issuer(issuer, {"replaces_initial_access_token": False}, SYSTEM, now=now)
    assert Machine(client).register({**MACHINE, "software_statement": sign(now)}).status_code == 401
    assert machine.register({**MACHINE, "software_statement": sign(now)}).status_code == 201


def test_the_example_of_the_documentation_works(client: Any, db: None, now: datetime, tmp_path: Path) -> None:
    text = (Path(__file__).resolve().parents[2] / "docs/software-statements.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, timeout=60)
    values = {
        "issuer": "https://directory.example", "name": "Directory", "jwks": json.loads((tmp_path / "issuer-keys.json").read_text()),
        "algorithms": ["ES256"], "claims": ["client_name", "software_id"], "organizations": "create", "organization_claim": "org_id",
        "organization_name_claim": "org_name", "roles_claim": "roles", "role_scopes": {"agency": ["openid"]},
        "replaces_initial_access_token": True,
    }  # fmt: skip
    save_issuer(None, values, SYSTEM, now=now)
    response = Machine(client).register((tmp_path / "registration.json").read_bytes())
    assert response.status_code == 201, response.content
    assert response.json()["client_name"] == "Lighthouse Bookings"
    assert Client.objects.get().organization.legal_name == "Lighthouse Travel"


def test_organizations_that_may_not_register_do_not_by_a_statement(
    client: Any, issuer: SoftwareStatementIssuer, cast: Cast, now: datetime
) -> None:  # fmt: skip
    change_organization(cast.organization, "suspend", cast.as_reviewer, now=now, reason="Because.")
    assert Machine(client).register({**MACHINE, "software_statement": sign(now)}).status_code == 403
    assert not Client.objects.exists()


def test_an_edit_by_the_way_keeps_entitlements_to_what_is_registered(app: Client, now: datetime) -> None:
    update_client(app, SYSTEM, {**app.metadata, "scope": "bookings.read"}, now=now)
    app.refresh_from_db()
    assert entitled_scopes(app, now) == {"bookings.read"}
