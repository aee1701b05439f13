"""Clients: registered, edited, suspended, paused, closed."""

from __future__ import annotations

from datetime import timedelta

import pytest

from protocol.errors import MetadataRefused, TransitionRefused
from registry.actors import job, person
from registry.client_keys import clients_sharing_keys
from registry.credentials import create_secret, live_secrets
from registry.gate import Action, client_may_act
from registry.lifecycle import change_client, change_organization, register_client, update_client
from registry.models import AuditEvent, Client, ClientKeyUse, Entitlement, PolicyRecord, Scope, SigningKey
from registry.resource_servers import create_resource_server, get_operator_organization
from tests.conftest import make_organization
from tests.registry.support import jwks, machine, public_jwk, secret_matches, website


def refusal(act):
    with pytest.raises(TransitionRefused) as caught:
        act()
    return caught.value.reason


def test_a_new_client_is_active_in_test_and_its_columns_mirror_its_metadata(cast, now):
    uris = ["https://app.example.org/a", "https://app.example.org/b"]
    document = website(redirect_uris=uris, post_logout_redirect_uris=uris[:1], token_endpoint_auth_method="none", jwks=jwks())
    client = register_client(cast.as_owner, cast.organization, document, now=now)
    assert (client.state, client.stage, client.source, client.trust) == ("active", "test", "manual", "none")
    assert (client.redirect_uris, client.post_logout_redirect_uris, client.name) == (" ".join(uris), uris[0], "Bookings")
    assert (client.client_type, client.authorization_grant_type) == ("public", "authorization-code")
    assert client.declared_metadata == document
    machine_client = register_client(cast.as_owner, cast.organization, machine(), now=now)
    assert (machine_client.client_type, machine_client.authorization_grant_type) == ("confidential", "client-credentials")


def test_the_trail_says_what_was_registered_and_by_whom(cast, now):
    client = register_client(cast.as_owner, cast.organization, machine(), now=now)
    event = AuditEvent.objects.first()
    assert (event.event, event.object_type, event.object_id) == ("client.registered", "client", str(client.reference))
    assert (event.actor_kind, event.actor_id, event.actor_label) == ("user", str(cast.owner.sub), "owner@lighthouse.example")
    assert event.organization == cast.organization
    assert event.difference["grant_types"] == [None, ["client_credentials"]]


@pytest.mark.threat("R12")
@pytest.mark.parametrize("name", ["viewer", "stranger", "reviewer", "operator", "auditor"])
def test_only_owners_and_developers_register_and_edit(cast, now, make_client, name):
    actor = person(getattr(cast, name), staff=name in ("reviewer", "operator", "auditor"))
    client, before = make_client(), AuditEvent.objects.count()
    assert refusal(lambda: register_client(actor, cast.organization, machine(), now=now)) == "permission"
    assert refusal(lambda: update_client(client, actor, machine(client_name="X"), now=now)) == "permission"
    assert AuditEvent.objects.count() == before
    assert Client.objects.count() == 1


@pytest.mark.threat("R12")
@pytest.mark.parametrize("special", [{"stage": "live"}, {"is_resource_server": True}])
@pytest.mark.parametrize("name", ["owner", "developer"])
def test_a_partner_cannot_register_an_app_as_live_or_as_resource_server(cast, now, name, special):
    assert refusal(lambda: register_client(person(getattr(cast, name)), cast.organization, machine(), now=now, **special)) == "permission"
    assert register_client(job("test"), cast.organization, machine(), now=now, **special).pk


@pytest.mark.threat("R02")
def test_a_refused_document_changes_nothing_and_writes_nothing(cast, now, make_client):
    client = make_client()
    before = (Client.objects.filter(pk=client.pk).values().get(), AuditEvent.objects.count())
    with pytest.raises(MetadataRefused) as caught:
        update_client(client, cast.as_owner, {"redirect_uris": ["http://evil.example/cb"], "scope": "bookings.write"}, now=now)
    assert [finding.code for finding in caught.value.findings if finding.level == "error"] == ["redirect_uri.http"]
    with pytest.raises(MetadataRefused):
        register_client(cast.as_owner, cast.organization, {"redirect_uris": []}, now=now)
    assert (Client.objects.filter(pk=client.pk).values().get(), AuditEvent.objects.count()) == before


def test_an_edit_of_a_test_app_applies_at_once_and_the_trail_says_the_difference(cast, now, make_client):
    client = make_client()
    update = update_client(client, cast.as_owner, machine(client_name="Renamed", scope="bookings.read"), now=now)
    assert update.change_request is None
    assert update.client.name == "Renamed"
    event = AuditEvent.objects.first()
    assert (event.event, event.difference) == ("client.updated", {"client_name": ["Back office", "Renamed"]})


def test_a_client_that_was_registered_elsewhere_is_not_edited_by_hand(cast, now):
    client = register_client(job("dcr"), cast.organization, machine(), now=now, source=Client.Source.DCR)
    assert refusal(lambda: update_client(client, cast.as_owner, machine(), now=now)) == "source"
    assert update_client(client, job("dcr"), machine(client_name="X"), now=now).client.name == "X"


@pytest.mark.threat("R13")
def test_a_closed_client_is_closed_for_good(cast, now, make_client):
    client = make_client()
    change_client(client, "close", cast.as_owner, now=now)
    assert refusal(lambda: update_client(client, job("test"), machine(), now=now)) == "state"
    for step in ("activate", "suspend", "pause", "reinstate", "resume", "close"):
        for actor in (cast.as_owner, cast.as_reviewer, job("test")):
            assert refusal(lambda step=step, actor=actor: change_client(client, step, actor, now=now, reason="x")) in (
                "state",
                "permission",
            )
    with pytest.raises(KeyError):
        change_client(client, "reopen", job("test"), now=now)


def test_an_organization_has_room_for_so_many_open_clients(cast, now, make_client):
    PolicyRecord.objects.create(organization=cast.organization, values={"clients_limit": 2})
    first, _ = make_client(), make_client()
    assert refusal(make_client) == "limit"
    change_client(first, "close", cast.as_owner, now=now)
    make_client()


@pytest.mark.threat("R13")
@pytest.mark.parametrize("step", ["suspend", "close"])
def test_a_suspended_or_closed_organization_gets_no_new_clients(cast, now, make_client, step):
    change_organization(cast.organization, step, cast.as_reviewer, now=now, reason="x")
    assert refusal(make_client) == "organization"


def test_an_owner_undoes_only_an_owners_pause_and_staff_only_staffs_suspension(cast, now, make_client):
    paused, suspended = make_client(), make_client()
    change_client(paused, "pause", cast.as_owner, now=now)
    change_client(suspended, "suspend", cast.as_reviewer, now=now, reason="Leaked key.")
    assert refusal(lambda: change_client(paused, "reinstate", cast.as_reviewer, now=now)) == "paused"
    assert refusal(lambda: change_client(suspended, "resume", cast.as_owner, now=now)) == "suspended"
    assert refusal(lambda: change_client(suspended, "pause", cast.as_owner, now=now)) == "state"
    assert change_client(paused, "resume", cast.as_owner, now=now).state == "active"
    assert change_client(suspended, "reinstate", cast.as_reviewer, now=now).state == "active"


@pytest.mark.parametrize("reason", ["", "   ", "\n"])
def test_a_suspension_needs_words_that_the_partner_will_read(cast, now, make_client, reason):
    assert refusal(lambda: change_client(make_client(), "suspend", cast.as_reviewer, now=now, reason=reason)) == "reason_missing"


@pytest.mark.threat("R13")
def test_access_ends_with_the_generation_and_reinstating_brings_back_secrets_but_no_tokens(cast, now, client_with_secret):
    client, secret = client_with_secret
    change_client(client, "suspend", cast.as_reviewer, now=now, reason="x")
    client = change_client(client, "reinstate", cast.as_reviewer, now=now)
    assert client.credential_generation == 2
    assert secret_matches(client, secret.value, now)
    change_organization(cast.organization, "suspend", cast.as_reviewer, now=now, reason="x")
    change_organization(cast.organization, "reinstate", cast.as_reviewer, now=now)
    client.refresh_from_db()
    assert (client.credential_generation, client.state) == (3, "active")


@pytest.mark.threat("R13")
def test_suspending_an_organization_ends_every_token_of_every_client_and_of_no_other(cast, now, make_client):
    mine = [make_client() for _ in range(3)]
    other = register_client(job("test"), make_organization(cast.stranger, cast.reviewer, now, name="Tidewater"), machine(), now=now)
    change_organization(cast.organization, "suspend", cast.as_reviewer, now=now, reason="x")
    for client in [*mine, other]:
        client.refresh_from_db()
    assert [client.credential_generation for client in [*mine, other]] == [2, 2, 2, 1]
    assert {client.state for client in mine} == {"active"}
    assert not client_may_act(mine[0], Action.TOKEN, now).allowed


@pytest.mark.threat("R12")
def test_an_owner_claims_what_staff_drafted_and_staff_never_holds_a_secret(cast, now):
    draft = register_client(cast.as_reviewer, cast.organization, machine(), now=now, offer_to_owner=True)
    assert (draft.state, draft.offered_to_owner) == ("draft", True)
    assert client_may_act(draft, Action.TOKEN, now).reason == "client_draft"
    assert refusal(lambda: change_client(draft, "activate", cast.as_reviewer, now=now)) == "permission"
    assert refusal(lambda: create_secret(draft, cast.as_reviewer, now=now)) == "permission"
    assert refusal(lambda: create_secret(draft, cast.as_owner, now=now)) == "state"
    claimed = change_client(draft, "activate", cast.as_owner, now=now)
    assert (claimed.state, claimed.offered_to_owner, claimed.credential_generation) == ("active", False, 1)
    assert refusal(lambda: create_secret(claimed, cast.as_reviewer, now=now)) == "permission"
    assert create_secret(claimed, cast.as_owner, now=now).value
    assert refusal(lambda: register_client(cast.as_owner, cast.organization, machine(), now=now, offer_to_owner=True)) == "permission"
    assert list(AuditEvent.objects.filter(object_type="client").order_by("id").values_list("event", "actor_kind")) == [
        ("client.drafted", "staff"), ("client.activated", "user"), ("secret.created", "user"),
    ]  # fmt: skip


@pytest.mark.spec("PKJ-08")
def test_a_secret_ends_when_the_method_changes_and_does_not_come_back_with_it(cast, now, client_with_secret):
    client, secret = client_with_secret
    signing = machine(token_endpoint_auth_method="private_key_jwt", jwks=jwks())
    client = update_client(client, cast.as_owner, signing, now=now).client
    assert not live_secrets(client, now).exists()
    later = now + timedelta(seconds=1)
    client = update_client(client, cast.as_owner, machine(), now=later).client
    assert not secret_matches(client, secret.value, later)
    assert create_secret(client, cast.as_owner, now=later).value


def test_scopes_that_need_no_approval_are_granted_with_the_metadata_and_end_with_it(cast, now, make_client):
    client = make_client(scope="bookings.read bookings.write")
    assert list(client.entitlements.values_list("value", "because")) == [("bookings.read", "policy")]
    update_client(client, cast.as_owner, machine(scope="bookings.write"), now=now)
    assert not client.entitlements.exists()
    Scope.objects.filter(name="bookings.write").update(is_sensitive=False)
    update_client(client, cast.as_owner, machine(scope="bookings.write", client_name="X"), now=now)
    assert list(client.entitlements.values_list("value", "because")) == [("bookings.write", Entitlement.Because.POLICY)]


@pytest.mark.spec("DCR-JWK-09")
def test_a_key_of_another_organization_is_noticed_but_not_one_of_our_own(cast, now, make_client):
    tidewater = make_organization(cast.stranger, cast.reviewer, now, name="Tidewater")
    mine = [make_client(jwks=jwks()), make_client(jwks=jwks("ES256", "RS256"))]
    theirs = register_client(job("test"), tidewater, machine(jwks=jwks("RS256")), now=now)
    assert set(clients_sharing_keys(theirs)) == {mine[1]}
    assert set(clients_sharing_keys(mine[1])) == {theirs}
    assert set(clients_sharing_keys(mine[0])) == set()
    update_client(theirs, job("test"), machine(jwks=jwks("EdDSA")), now=now)
    assert not clients_sharing_keys(mine[1]).exists()
    # The same key under another kid is still the same key.
    update_client(theirs, job("test"), machine(jwks={"keys": [public_jwk("RS256", kid="renamed")]}), now=now)
    assert clients_sharing_keys(mine[1]).get() == theirs
    update_client(theirs, job("test"), machine(), now=now)
    assert not ClientKeyUse.objects.filter(client=theirs).exists()


@pytest.mark.parametrize("name", ["Reporting API", "x" * 255])
def test_a_resource_server_is_a_live_client_of_the_operator(db, now, name):
    client, secret = create_resource_server(name, job("test"), now=now)
    assert (client.is_resource_server, client.stage, client.state) == (True, "live", "active")
    assert client.organization == get_operator_organization(job("test"), now=now)
    assert client.organization.is_operator
    assert client.organization.state == "approved"
    assert client_may_act(client, Action.INTROSPECT, now).allowed
    assert secret_matches(client, secret.value, now)
    assert not SigningKey.objects.exists()


def test_a_resource_server_with_a_bad_name_leaves_nothing(db, now):
    with pytest.raises(MetadataRefused):
        create_resource_server("x\u202ey", job("test"), now=now)
    assert not Client.objects.exists()
