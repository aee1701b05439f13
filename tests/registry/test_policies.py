"""The policy in force, from its records; and that an update is judged exactly as a registration (R02)."""

from __future__ import annotations

import pytest
from django.db import IntegrityError, transaction
from hypothesis import given, settings

from protocol.errors import MetadataRefused
from registry.actors import job
from registry.client_metadata import known_members
from registry.lifecycle import register_client, update_client
from registry.models import AuditEvent, Client, PolicyRecord, Scope
from registry.policies import get_policy, get_scope_rules
from registry.registration_policy import RegistrationPolicy
from tests.conftest import make_organization
from tests.registry.support import REDIRECT, documents, jwks, machine, website


def test_the_organization_goes_before_all_and_all_before_the_built_in_values(cast, now, django_assert_num_queries):
    other = make_organization(cast.stranger, cast.reviewer, now, name="Tidewater")
    with django_assert_num_queries(1):
        assert get_policy(cast.organization) == RegistrationPolicy()
    # The record of the organization is older than the one for all: the order of writing must not matter.
    PolicyRecord.objects.create(organization=cast.organization, values={"clients_limit": 7})
    PolicyRecord.objects.create(values={"clients_limit": 5, "redirect_uris_limit": 2})
    assert (get_policy(cast.organization).clients_limit, get_policy(cast.organization).redirect_uris_limit) == (7, 2)
    assert (get_policy(other).clients_limit, get_policy().clients_limit) == (5, 5)


def test_there_is_one_record_for_all_and_one_per_organization(cast):
    for organization in (None, cast.organization):
        PolicyRecord.objects.create(organization=organization)
        with pytest.raises(IntegrityError), transaction.atomic():
            PolicyRecord.objects.create(organization=organization)


def test_the_scope_rules_hold_every_scope(cast, django_assert_num_queries):
    Scope.objects.create(name="old", is_retired=True)
    Scope.objects.exclude(name__in=("bookings.read", "bookings.write", "old")).delete()
    with django_assert_num_queries(1):
        rules = get_scope_rules()
    assert {name: (rule.is_sensitive, rule.is_retired) for name, rule in rules.items()} == {
        "bookings.read": (False, False),
        "bookings.write": (True, False),
        "old": (False, True),
    }


def _verdict(act):
    """Return what registering or updating says, and leave no trace."""
    try:
        with transaction.atomic():
            client = act()
            outcome = ("accepted", client.metadata, [entitlement.value for entitlement in client.entitlements.all()])
            transaction.set_rollback(True)
    except MetadataRefused as refused:
        return "refused", refused.findings
    return outcome


@pytest.mark.spec("DCR-META-07")
@pytest.mark.threat("R02")
@settings(max_examples=40)
@given(first=documents, second=documents)
def test_an_update_to_a_document_is_judged_as_its_registration(cast, now, first, second):
    PolicyRecord.objects.update_or_create(
        organization=None,
        defaults={"values": {"redirect_uris_limit": 2, "default_scopes": ["bookings.read"], "id_token_algorithms": ["RS256", "ES256"]}},
    )
    try:
        client = register_client(job("test"), cast.organization, first, now=now)
    except MetadataRefused:
        client = register_client(job("test"), cast.organization, machine(scope="bookings.write"), now=now)
    registered = _verdict(lambda: register_client(job("test"), cast.organization, second, now=now))
    updated = _verdict(lambda: update_client(client, job("test"), second, now=now).client)
    assert updated == registered
    client.delete()


@pytest.mark.threat("R02")
def test_a_member_left_out_of_an_update_goes_back_to_its_default(make_client, now):
    client = make_client(**website(scope="bookings.read", contacts=["a@example.org"]), grant_types=["authorization_code"])
    updated = update_client(client, job("test"), {"redirect_uris": [REDIRECT]}, now=now).client
    assert updated.metadata == register_client(job("test"), client.organization, {"redirect_uris": [REDIRECT]}, now=now).metadata
    assert (updated.name, updated.scopes, updated.entitlements.count()) == ("", [], 0)


@pytest.mark.spec("DCR-META-04")
def test_what_was_registered_is_an_update_that_changes_nothing(make_client, now):
    client = make_client(scope="bookings.read nonsense", jwks=jwks(), contacts=["a@example.org"])
    events, before = AuditEvent.objects.count(), (client.metadata, client.credential_generation)
    updated = update_client(client, job("test"), client.metadata, now=now)
    assert (updated.client.metadata, updated.client.credential_generation) == before
    assert AuditEvent.objects.count() == events


@pytest.mark.spec("DCR-META-01", "DCR-META-05", "DCR-META-07")
@pytest.mark.threat("R03", "R05")
def test_members_this_server_does_not_know_reach_no_column(cast, now):
    server_owned = {
        field.attname: "1" for field in Client._meta.concrete_fields if field.attname not in ("redirect_uris", "post_logout_redirect_uris")
    }
    hostile = {
        "client_secret": "chosen-by-me",
        "software_statement": "eyJ",
        "registration_access_token": "t",
        "_connector": "OR",
        "pk__in": [1],
    }
    plain = register_client(job("test"), cast.organization, machine(), now=now)
    client = register_client(job("test"), cast.organization, {**server_owned, **hostile, **machine()}, now=now)
    update_client(client, job("test"), {**server_owned, **hostile, **machine()}, now=now)
    client.refresh_from_db()
    differs = {"id", "client_id", "reference", "created", "updated"}
    for field in Client._meta.concrete_fields:
        if field.attname not in differs:
            assert getattr(client, field.attname) == getattr(plain, field.attname), field.attname
    assert client.declared_metadata == known_members(machine()) == machine()


@pytest.mark.threat("R03")
def test_unknown_members_cost_no_query(cast, now, django_assert_num_queries):
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(connection) as plain:
        register_client(job("test"), cast.organization, machine(), now=now)
    with CaptureQueriesContext(connection) as hostile:
        document = {**machine(), **{f"{field.name}__in": [1] for field in Client._meta.get_fields()}, "_connector": "OR", "_negated": True}
        register_client(job("test"), cast.organization, document, now=now)
    assert len(hostile) == len(plain)


def test_the_same_metadata_twice_makes_two_clients(make_client):
    one, other = make_client(), make_client()
    assert one.client_id != other.client_id
    assert one.metadata == other.metadata
    assert one.client_id.isascii()
