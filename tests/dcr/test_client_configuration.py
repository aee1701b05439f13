"""/register/<client_id> (RFC 7592): reading, replacing and deleting a registration, and who may (DCR-MGT-*)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client as Browser
from django.utils import timezone

from dcr.models import RegistrationAccessToken
from dcr.registration_access_tokens import HARDENED_LIFE, OVERLAP, reset_registration_access_token
from portal.tasks import send_due_notices
from protocol.errors import TransitionRefused
from registry.actors import job, person
from registry.credentials import create_secret, live_secrets
from registry.lifecycle import approve_change, change_client, decide_change
from registry.models import AuditEvent, ChangeRequest, Client, ClientKeyUse, Entitlement, Organization
from tests.authserver.support import TOKEN, Caller, assertion_parameters, key, make_caller, outcome
from tests.conftest import Cast
from tests.dcr.support import (
    MACHINE,
    SERVERS_OWN,
    WEBSITE,
    Machine,
    as_update,
    client_of,
    make_profile,
    make_token,
    metadata_in,
    place_of,
    row_counts,
    signer,
)

pytestmark = pytest.mark.django_db
Holder = Callable[..., Machine]
BAD_TOKEN, IRQ, ICM, IRU = "401 invalid_token", "400 invalid_request", "400 invalid_client_metadata", "400 invalid_redirect_uri"
VERBS = ("GET", "PUT", "DELETE")


def rat_of(told: dict[str, Any]) -> RegistrationAccessToken:
    return RegistrationAccessToken.objects.get(client__client_id=told["client_id"])


def no_metadata(answer: Any) -> None:
    """Check that a refusal says nothing of a registration."""
    assert not {"client_id", "client_name", "redirect_uris", "grant_types", *SERVERS_OWN} & answer.json().keys()


# Reading


@pytest.mark.spec("DCR-MGT-01", "DCR-MGT-05", "DCR-MGT-21")
def test_a_client_reads_what_is_registered_without_its_secret(machine: Machine, settings: Any) -> None:
    told = machine.registered(WEBSITE, scope="bookings.read")
    rows = row_counts()
    answer = machine.read(told)
    assert (answer.status_code, answer["Content-Type"]) == (200, "application/json")
    seen = answer.json()
    assert seen == {name: value for name, value in told.items() if name not in ("client_secret", "client_secret_expires_at", "notes")}
    assert seen["registration_access_token"] == told["registration_access_token"]
    assert seen["registration_client_uri"].startswith(settings.ISSUER)
    assert row_counts() == rows  # least of all a new secret
    assert seen == machine.read(told).json()


@pytest.mark.spec("DCR-MGT-01", "DCR-IAT-03", "DCR-MGT-02")
def test_the_token_counts_in_the_header_only(machine: Machine) -> None:
    told = machine.registered()
    value, place = told["registration_access_token"], place_of(told)
    for verb in VERBS:
        for answer in (
            machine.send(verb, f"{place}?access_token={value}", as_update(told)),
            machine.send(verb, place, {**as_update(told), "access_token": value}),
            machine.send(verb, place, f"access_token={value}".encode(), content_type="application/x-www-form-urlencoded"),
        ):
            assert outcome(answer) == BAD_TOKEN
            assert "error=" not in answer["WWW-Authenticate"]
    assert machine.read(told).status_code == 200


@pytest.mark.spec("DCR-MGT-02")
@pytest.mark.threat("R04")
@pytest.mark.parametrize("verb", VERBS)
def test_a_token_that_is_none_gets_a_challenge_and_no_metadata(machine: Machine, verb: str) -> None:
    told = machine.registered()
    value = told["registration_access_token"]
    for header in (
        "Bearer ccr_unknown",
        f"Bearer {value}x",
        f"Bearer {value[:-1]}",
        f"Bearer {value.lower()}",
        "Bearer",
        f"Basic {value}",
        value,
        "Bearer é",
    ):
        answer = machine.send(verb, place_of(told), as_update(told), Authorization=header)
        assert outcome(answer) == BAD_TOKEN, header
        assert answer["WWW-Authenticate"].startswith("Bearer realm=")
        assert 'error="invalid_token"' in answer["WWW-Authenticate"]
        no_metadata(answer)
    answer = machine.send(verb, place_of(told), as_update(told))
    assert outcome(answer) == BAD_TOKEN
    assert "error=" not in answer["WWW-Authenticate"]
    assert client_of(told).state == "active"


# The matrix: state of the token, of the client, of the organization


def revoke(told: dict[str, Any], cast: Cast, now: datetime) -> None:
    RegistrationAccessToken.objects.update(revoked_at=now)


def expire(told: dict[str, Any], cast: Cast, now: datetime) -> None:
    RegistrationAccessToken.objects.update(expires_at=now - timedelta(seconds=1))


def reset(told: dict[str, Any], cast: Cast, now: datetime) -> None:
    reset_registration_access_token(client_of(told), cast.as_owner, now=now)


def client_is(state: str, **more: Any) -> Callable[..., None]:
    return lambda told, cast, now: Client.objects.filter(client_id=told["client_id"]).update(state=state, **more)


def organization_is(state: str) -> Callable[..., None]:
    return lambda told, cast, now: Organization.objects.filter(pk=cast.organization.pk).update(state=state)


STATES: dict[str, tuple[Callable[..., Any], bool, bool]] = {  # what happens, whether it works, whether the token stays
    "all is well": (lambda told, cast, now: None, True, True),
    "token revoked": (revoke, False, False),
    "token expired": (expire, False, True),
    "token reset": (reset, False, True),
    "client draft": (client_is("draft"), False, True),
    "client suspended": (client_is("suspended"), False, True),
    "client paused by its owner": (client_is("suspended", paused_by_owner=True), False, True),
    "client closed": (client_is("closed"), False, False),
    "client live": (client_is("active", stage="live"), True, True),
    "trust broken": (client_is("active", trust="broken"), False, True),
    "organization draft": (organization_is("draft"), True, True),
    "organization pending": (organization_is("pending"), True, True),
    "organization suspended": (organization_is("suspended"), False, True),
    "organization rejected": (organization_is("rejected"), False, True),
    "organization closed": (organization_is("closed"), False, True),
}


@pytest.mark.spec("DCR-MGT-02", "DCR-MGT-03", "DCR-MGT-16")
@pytest.mark.threat("R04", "O10", "R13")
@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("verb", VERBS)
def test_a_token_works_only_while_it_its_client_and_the_organization_may_act(
    machine: Machine, cast: Cast, now: datetime, verb: str, state: str
) -> None:
    happen, works, stays = STATES[state]
    told = machine.registered()
    happen(told, cast, now)
    before = Client.objects.values("state", "stage", "trust", "metadata").get()
    answer = machine.send(verb, place_of(told), as_update(told), token=told["registration_access_token"])
    assert answer.status_code == ({"DELETE": 204}.get(verb, 200) if works else 401), answer.content
    if not works:
        no_metadata(answer)
        assert Client.objects.values("state", "stage", "trust", "metadata").get() == before
    if verb != "DELETE" or not works:
        assert (RegistrationAccessToken.objects.get().revoked_at is None) == stays
    if works and verb == "PUT":  # a token never changes what people and federation decide
        assert Client.objects.values("state", "stage", "trust", "metadata").get() == before


@pytest.mark.threat("R04")
def test_a_suspended_client_finds_everything_when_it_is_reinstated(machine: Machine, cast: Cast, now: datetime) -> None:
    told = machine.registered()
    change_client(client_of(told), "suspend", cast.as_reviewer, now=now, reason="a doubt")
    assert [outcome(machine.send(verb, place_of(told), as_update(told), token=told["registration_access_token"])) for verb in VERBS] == [
        BAD_TOKEN
    ] * 3
    change_client(client_of(told), "reinstate", cast.as_reviewer, now=now)
    assert machine.read(told).status_code == 200


@pytest.mark.spec("DCR-MGT-03", "DCR-MGT-01")
@pytest.mark.threat("R04", "R09")
@pytest.mark.parametrize("verb", VERBS)
def test_a_token_that_is_presented_at_another_registration_is_revoked(machine: Machine, cast: Cast, verb: str) -> None:
    mine, other = machine.registered(), machine.registered(WEBSITE)
    answer = machine.send(verb, place_of(other), as_update(other), token=mine["registration_access_token"])
    assert outcome(answer) == BAD_TOKEN
    no_metadata(answer)
    assert outcome(machine.read(mine)) == BAD_TOKEN
    assert machine.read(other).status_code == 200
    assert rat_of(mine).revoked_at is not None
    event = AuditEvent.objects.get(event="registration_token.revoked")
    assert (event.object_id, event.organization) == (str(client_of(mine).reference), cast.organization)
    assert client_of(mine).state == client_of(other).state == "active"


@pytest.mark.spec("DCR-MGT-03", "DCR-HTTP-08")
def test_a_token_that_is_presented_where_nothing_is_is_revoked_too(machine: Machine) -> None:
    told = machine.registered()
    assert outcome(machine.send("GET", "/register/nothing", token=told["registration_access_token"])) == BAD_TOKEN
    assert outcome(machine.read(told)) == BAD_TOKEN


@pytest.mark.spec("DCR-MGT-19")
@pytest.mark.parametrize("verb", VERBS)
def test_clients_that_came_another_way_are_not_managed_here(machine: Machine, cast: Cast, now: datetime, verb: str) -> None:
    by_hand = make_caller(cast.organization, now, "client_secret_basic")
    Client.objects.create(
        organization=cast.organization, client_id="https://rp.example", source="federation_explicit", state="active", metadata={}
    )
    for client_id in (by_hand.client_id, "https://rp.example"):
        for token in (by_hand.secret, machine.token, machine.registered()["registration_access_token"], None):
            answer = machine.send(verb, f"/register/{client_id}", {"client_id": client_id, **MACHINE}, token=token)
            assert outcome(answer) == BAD_TOKEN
            no_metadata(answer)
    assert not RegistrationAccessToken.objects.filter(client__source__in=("manual", "federation_explicit")).exists()
    assert by_hand.client.state == "active"


@pytest.mark.spec("DCR-MGT-04")
@pytest.mark.threat("R04")
def test_a_profile_may_let_its_clients_read_only(holder: Holder) -> None:
    machine = holder(profile=make_profile(is_read_only=True))
    told = machine.registered()
    assert machine.read(told).status_code == 200
    before = row_counts()
    for answer in (machine.replace(told), machine.replace(told, {**MACHINE, "client_name": "Other"}), machine.delete(told)):
        assert outcome(answer) == "403 access_denied"
        no_metadata(answer)
    assert row_counts() == before
    assert (client_of(told).name, client_of(told).state) == ("Back office", "active")
    assert machine.read(told).status_code == 200


# Replacing


@pytest.mark.spec("DCR-MGT-06", "DCR-META-02", "DCR-RESP-07")
@pytest.mark.threat("R02")
def test_an_update_replaces_everything_and_what_is_left_out_goes_or_gets_its_default(machine: Machine) -> None:
    told = machine.registered(
        WEBSITE,
        client_uri="https://lighthouse.example/",
        scope="bookings.read",
        contacts=["a@lighthouse.example"],
        grant_types=["authorization_code", "refresh_token"],
        token_endpoint_auth_method="client_secret_post",
        id_token_signed_response_alg="ES256",
        software_id="x",
    )
    answer = machine.replace(told, {"redirect_uris": ["https://lighthouse.example/new"]})
    assert (answer.status_code, answer["Content-Type"]) == (200, "application/json")
    assert metadata_in(answer.json()) == {
        "redirect_uris": ["https://lighthouse.example/new"],
        "application_type": "web",
        "token_endpoint_auth_method": "client_secret_basic",
        "grant_types": ["authorization_code"],
        "response_types": ["code"],
        "subject_type": "public",
        "id_token_signed_response_alg": "RS256",
    }
    client = client_of(told)
    assert client.metadata == metadata_in(answer.json())
    assert (client.redirect_uris, client.name, client.scopes) == ("https://lighthouse.example/new", "", [])
    assert not Entitlement.objects.filter(client=client).exists()
    assert client.declared_metadata == {"redirect_uris": ["https://lighthouse.example/new"]}


@pytest.mark.spec("DCR-MGT-07")
@pytest.mark.parametrize("client_id", [..., None, "", "other", 5, [], True])
def test_an_update_names_its_client(machine: Machine, client_id: Any) -> None:
    told, other = machine.registered(), machine.registered()
    body = {**as_update(told), "client_id": other["client_id"] if client_id == "other" else client_id, "client_name": "New"}
    if client_id is ...:
        del body["client_id"]
    answer = machine.send("PUT", place_of(told), body, token=told["registration_access_token"])
    assert outcome(answer) == IRQ
    no_metadata(answer)
    assert client_of(told).name == client_of(other).name == "Back office"


@pytest.mark.spec("DCR-MGT-08")
@pytest.mark.parametrize("member", SERVERS_OWN)
def test_an_update_says_nothing_that_only_the_server_says(machine: Machine, member: str) -> None:
    told = machine.registered()
    for value in (told[member], None, "x", 0):
        answer = machine.replace(told, {**MACHINE, "client_name": "New", member: value})
        assert outcome(answer) == IRQ
        assert answer.json()["invalid_members"] == [member]
        no_metadata(answer)
    assert client_of(told).name == "Back office"


@pytest.mark.spec("DCR-MGT-09")
@pytest.mark.threat("R15")
def test_a_secret_in_an_update_is_the_present_one(machine: Machine, cast: Cast, now: datetime, post_form: Any) -> None:
    told, other = machine.registered(), machine.registered()
    second = create_secret(client_of(told), job("test"), now=now, end_others_at=now + timedelta(minutes=5))
    for secret in (told["client_secret"], second.value, None, ...):
        body = {**MACHINE, "client_secret": secret} if secret is not ... else MACHINE
        answer = machine.replace(told, body)
        assert answer.status_code == 200
        assert "client_secret" not in answer.json()
    for wrong in (
        "hunter2" * 8,
        other["client_secret"],
        told["client_secret"][:-1],
        "",
        5,
        [told["client_secret"]],
        True,
        told["registration_access_token"],
    ):
        answer = machine.replace(told, {**MACHINE, "client_secret": wrong, "client_name": "New"})
        assert outcome(answer) == IRQ, wrong
        assert answer.json()["invalid_members"] == ["client_secret"]
        if isinstance(wrong, str) and wrong:
            assert wrong not in answer.content.decode()
    with time_machine.travel(now + timedelta(minutes=6), tick=False):
        assert outcome(machine.replace(told, {**MACHINE, "client_secret": told["client_secret"]})) == IRQ
        assert machine.replace(told, {**MACHINE, "client_secret": second.value}).status_code == 200
    answer = post_form(TOKEN, {"grant_type": "client_credentials"}, basic=(told["client_id"], "hunter2" * 8))
    assert outcome(answer) == "401 invalid_client"


@pytest.mark.spec("DCR-MGT-10", "DCR-RESP-02")
def test_a_method_that_needs_a_secret_brings_one_and_leaving_it_ends_it(machine: Machine, post_form: Any) -> None:
    asked = {"grant_type": "client_credentials"}
    told = machine.registered(signer())
    by_secret = machine.replace(told, MACHINE).json()
    assert by_secret["client_secret_expires_at"] == 0
    basic = (told["client_id"], by_secret["client_secret"])
    assert outcome(post_form(TOKEN, asked, basic=basic)) == "200"
    assert ClientKeyUse.objects.count() == 0
    by_post = machine.replace(told, {**MACHINE, "token_endpoint_auth_method": "client_secret_post"}).json()
    assert "client_secret" not in by_post  # the one it has still works
    credentials = {"client_id": basic[0], "client_secret": basic[1]}
    assert outcome(post_form(TOKEN, {**asked, **credentials})) == "200"
    by_key = machine.replace(told, signer()).json()
    assert "client_secret" not in by_key
    assert not live_secrets(client_of(told), timezone.now()).exists()
    again = machine.replace(told, MACHINE).json()
    assert again["client_secret"] != by_secret["client_secret"]
    assert outcome(post_form(TOKEN, asked, basic=basic)) == "401 invalid_client"  # it does not come back to life with the method
    assert outcome(post_form(TOKEN, asked, basic=(basic[0], again["client_secret"]))) == "200"
    site = machine.registered(WEBSITE, token_endpoint_auth_method="none")
    assert "client_secret" not in site
    assert machine.replace(site, WEBSITE).json()["client_secret"]


@pytest.mark.spec("DCR-MGT-10", "DCR-MGT-05")
def test_an_update_of_a_client_whose_secrets_ended_brings_a_new_one_and_reading_does_not(machine: Machine, now: datetime) -> None:
    told = machine.registered()
    client_of(told).secrets.update(expires_at=now)
    assert "client_secret" not in machine.read(told).json()
    assert machine.replace(told, MACHINE).json()["client_secret"].startswith("ccs_")


@pytest.mark.spec("DCR-MGT-11", "DCR-MGT-12")
@pytest.mark.threat("R02")
def test_a_refused_update_changes_nothing(machine: Machine) -> None:
    told = machine.registered(WEBSITE)
    rows, before, version = row_counts(), Client.objects.values().get(), machine.read(told)["ETag"]
    refused = (
        ({**WEBSITE, "redirect_uris": ["https://lighthouse.example/#x"]}, IRU),
        ({"client_name": "x"}, IRU),
        ({**WEBSITE, "client_name": 5}, ICM),
        ({**WEBSITE, "grant_types": ["implicit"], "response_types": ["token"]}, ICM),
        ({**WEBSITE, "jwks": {"keys": []}, "jwks_uri": "https://x.example/"}, ICM),
        ({**WEBSITE, "software_statement": "not.a.jwt"}, "400 invalid_software_statement"),
    )
    for document, error in refused:
        answer = machine.replace(told, document)
        assert outcome(answer) == error
        no_metadata(answer)
    assert row_counts() == rows
    assert Client.objects.values().get() == before
    assert machine.read(told)["ETag"] == version


@pytest.mark.spec("DCR-MGT-12", "DCR-META-04")
def test_what_an_update_is_given_instead_is_in_the_answer(machine: Machine) -> None:
    told = machine.registered()
    answer = machine.replace(told, {**MACHINE, "scope": "unknown bookings.read"}).json()
    assert answer["scope"] == "bookings.read"
    assert [note["rule"] for note in answer["notes"]] == ["policy.scope.unknown"]


@pytest.mark.spec("DCR-MGT-17")
@pytest.mark.threat("R02")
def test_of_two_updates_that_read_the_same_version_one_fails(machine: Machine) -> None:
    response = machine.register()
    told, version = response.json(), response["ETag"]
    assert machine.read(told)["ETag"] == version
    changed = machine.replace(told, {**MACHINE, "client_name": "First"}, If_Match=version)
    assert changed.status_code == 200
    assert changed["ETag"] != version
    answer = machine.replace(told, {**MACHINE, "client_name": "Second"}, If_Match=version)
    assert (outcome(answer), client_of(told).name) == ("412 invalid_request", "First")
    for other in ('"x"', "", "W/" + changed["ETag"], changed["ETag"].strip('"'), '"a", "b"'):
        assert machine.replace(told, {**MACHINE, "client_name": "Third"}, If_Match=other).status_code == 412, other
    for right in (changed["ETag"], "*", f'"x", {changed["ETag"]}'):
        assert machine.replace(told, {**MACHINE, "client_name": "First"}, If_Match=right)["ETag"] == changed["ETag"]
    assert machine.read(told)["ETag"] == changed["ETag"]


@pytest.mark.spec("DCR-MGT-20")
@pytest.mark.threat("S09")
def test_every_change_is_in_the_trail_with_what_was_before(machine: Machine, cast: Cast) -> None:
    told = machine.registered(WEBSITE)
    machine.replace(told, {**WEBSITE, "client_name": "Other", "redirect_uris": ["https://lighthouse.example/new"]})
    event = AuditEvent.objects.get(event="client.updated")
    assert event.difference == {
        "client_name": ["Lighthouse", "Other"],
        "redirect_uris": [["https://lighthouse.example/callback"], ["https://lighthouse.example/new"]],
    }
    assert (event.actor_kind, event.organization, event.source_address) == ("rat", cast.organization, "127.0.0.1")
    assert event.request_id
    machine.replace(told, {**WEBSITE, "client_name": "Other", "redirect_uris": ["https://lighthouse.example/new"]})
    assert AuditEvent.objects.filter(event="client.updated").count() == 1


@pytest.mark.spec("DCR-MGT-20")
@pytest.mark.threat("R04")
@pytest.mark.parametrize(
    ("change", "is_news"),
    [
        ({"redirect_uris": ["https://lighthouse.example/new"]}, True),
        ({"jwks": {"keys": [key("ES256", 5).public_jwk()]}}, True),
        ({"token_endpoint_auth_method": "client_secret_post"}, True),
        ({"client_name": "Other"}, False),
        ({"contacts": ["a@lighthouse.example"]}, False),
    ],
)
def test_new_keys_or_addresses_are_told_to_the_owners_and_the_security_contact(
    machine: Machine,
    cast: Cast,
    mailoutbox: list[Any],
    change: dict[str, Any],
    is_news: bool,
) -> None:
    told = machine.registered(WEBSITE)
    send_due_notices()
    mailoutbox.clear()
    assert machine.replace(told, {**WEBSITE, **change}).status_code == 200
    send_due_notices()
    to = {address for mail in mailoutbox for address in mail.to}
    assert to == ({cast.owner.email, "security@lighthouse.example"} if is_news else set())


# Live clients


@pytest.mark.spec("DCR-MGT-18", "DCR-RESP-08")
@pytest.mark.threat("R11", "R12")
@pytest.mark.parametrize(
    "change",
    [
        {"redirect_uris": [*WEBSITE["redirect_uris"], "https://elsewhere.example/cb"]},
        {"scope": "bookings.read bookings.write"},
        {"grant_types": ["authorization_code", "refresh_token"]},
        {"token_endpoint_auth_method": "none"},
        {"application_type": "native"},
    ],
)
def test_a_live_client_asks_for_more_and_stays_as_it_is_until_somebody_approves(
    holder: Holder, cast: Cast, now: datetime, change: dict[str, Any]
) -> None:
    machine = holder(stage="live")
    document = {**WEBSITE, "scope": "bookings.read"}
    told = machine.registered(document)
    answer = machine.replace(told, {**document, **change, "client_name": "Other"})
    assert answer.status_code == 200
    assert metadata_in(answer.json()) == metadata_in(told) == client_of(told).metadata
    asked = answer.json()["change_request"]
    assert asked["state"] == "open"
    assert asked["reasons"]
    assert asked["metadata"]["client_name"] == "Other"
    assert machine.read(told).json()["change_request"] == asked
    assert client_of(told).state == "active"
    assert live_secrets(client_of(told), now).exists()
    request = ChangeRequest.objects.get(state="open")
    assert AuditEvent.objects.filter(event="change.requested", actor_kind="rat").count() == 1
    for user in (cast.owner, cast.developer):
        with pytest.raises(TransitionRefused):
            approve_change(request, person(user), digest=request.digest, now=now)
    approve_change(request, cast.as_reviewer, digest=request.digest, now=now)
    seen = machine.read(told).json()
    assert "change_request" not in seen
    assert metadata_in(seen) == asked["metadata"]
    assert {name: seen[name] for name in change} == change


@pytest.mark.spec("DCR-MGT-18")
@pytest.mark.threat("R11")
def test_what_was_reviewed_is_what_is_approved(holder: Holder, cast: Cast, now: datetime) -> None:
    machine = holder(stage="live")
    told = machine.registered(WEBSITE)
    first = {**WEBSITE, "redirect_uris": ["https://good.example/cb"]}
    machine.replace(told, first)
    reviewed = ChangeRequest.objects.get(state="open")
    machine.replace(told, {**WEBSITE, "redirect_uris": ["https://evil.example/cb"]})
    assert ChangeRequest.objects.get(pk=reviewed.pk).state == "superseded"
    with pytest.raises(TransitionRefused):
        approve_change(reviewed, cast.as_reviewer, digest=reviewed.digest, now=now)
    other = ChangeRequest.objects.get(state="open")
    with pytest.raises(TransitionRefused):
        approve_change(other, cast.as_reviewer, digest=reviewed.digest, now=now)
    assert metadata_in(machine.read(told).json()) == metadata_in(told)
    decide_change(other, "reject", cast.as_reviewer, now=now, reason="not yours")
    assert "change_request" not in machine.read(told).json()
    assert metadata_in(machine.read(told).json()) == metadata_in(told)


@pytest.mark.spec("DCR-MGT-18")
@pytest.mark.threat("R11")
def test_a_harmless_update_applies_at_once_and_ends_a_request_about_the_old_content(holder: Holder, cast: Cast, now: datetime) -> None:
    machine = holder(stage="live")
    told = machine.registered(WEBSITE)
    machine.replace(told, {**WEBSITE, "redirect_uris": ["https://elsewhere.example/cb"]})
    answer = machine.replace(told, {**WEBSITE, "client_name": "Other", "contacts": ["a@lighthouse.example"]})
    assert "change_request" not in answer.json()
    assert client_of(told).name == "Other"
    assert ChangeRequest.objects.get().state == "superseded"


@pytest.mark.spec("DCR-MGT-18")
@pytest.mark.threat("R02", "R12")
def test_a_change_that_waits_is_held_to_the_restrictions_of_the_registration(holder: Holder, cast: Cast, now: datetime) -> None:
    machine = holder(stage="live", restrictions={"redirect_hosts": ["lighthouse.example", "www.lighthouse.example"]})
    told = machine.registered(WEBSITE)
    assert outcome(machine.replace(told, {**WEBSITE, "redirect_uris": ["https://evil.example/cb"]})) == IRU
    assert not ChangeRequest.objects.exists()
    answer = machine.replace(told, {**WEBSITE, "redirect_uris": ["https://www.lighthouse.example/cb"]})
    request = ChangeRequest.objects.get(state="open")
    assert answer.json()["change_request"]["state"] == "open"
    approve_change(request, cast.as_reviewer, digest=request.digest, now=now)
    assert client_of(told).restrictions == {"redirect_hosts": ["lighthouse.example", "www.lighthouse.example"]}
    assert outcome(machine.replace(told, {**WEBSITE, "redirect_uris": ["https://evil.example/cb"]})) == IRU


# Deleting


@pytest.mark.spec("DCR-MGT-14", "DCR-MGT-15", "DCR-MGT-03")
@pytest.mark.threat("R04", "S02")
def test_a_deleted_registration_is_over_with_everything_it_had(machine: Machine, post_form: Any, cast: Cast, now: datetime) -> None:
    told = machine.registered()
    basic = (told["client_id"], told["client_secret"])
    token = post_form(TOKEN, {"grant_type": "client_credentials"}, basic=basic).json()["access_token"]
    server = make_caller(cast.organization, now, "client_secret_basic")
    answer = machine.delete(told)
    assert (answer.status_code, answer.content) == (204, b"")
    assert post_form("/oauth/introspect", {"token": token}, basic=(server.client_id, server.secret)).json() == {"active": False}
    assert outcome(post_form(TOKEN, {"grant_type": "client_credentials"}, basic=basic)) == "401 invalid_client"
    for verb in VERBS:
        assert outcome(machine.send(verb, place_of(told), as_update(told), token=told["registration_access_token"])) == BAD_TOKEN
    client = client_of(told)
    assert (client.state, rat_of(told).revoked_at is not None) == ("closed", True)
    event = AuditEvent.objects.get(event="client.closed")
    assert (event.actor_kind, event.object_id) == ("rat", str(client.reference))
    for step in ("activate", "reinstate", "resume"):
        with pytest.raises(TransitionRefused):
            change_client(client, step, cast.as_reviewer, now=now)
    assert ChangeRequest.objects.filter(state="open").count() == 0


def test_a_request_that_waits_ends_with_its_client(holder: Holder) -> None:
    machine = holder(stage="live")
    told = machine.registered(WEBSITE)
    machine.replace(told, {**WEBSITE, "redirect_uris": ["https://elsewhere.example/cb"]})
    assert machine.delete(told).status_code == 204
    assert ChangeRequest.objects.get().state == "superseded"


# Rotation


@pytest.mark.spec("DCR-MGT-13", "DCR-MGT-16")
@pytest.mark.threat("R04")
def test_a_token_is_not_replaced_and_does_not_end_unless_a_profile_says_so(machine: Machine, now: datetime) -> None:
    told = machine.registered()
    with time_machine.travel(now + timedelta(days=4000), tick=False):
        for answer in (machine.read(told), machine.replace(told), machine.read(told)):
            assert answer.json()["registration_access_token"] == told["registration_access_token"]


@pytest.mark.spec("DCR-MGT-13")
@pytest.mark.threat("R04")
def test_a_hardened_token_is_replaced_by_an_update_and_the_old_one_works_for_a_minute(holder: Holder, now: datetime) -> None:
    machine = holder(profile=make_profile(is_hardened=True))
    with time_machine.travel(now, tick=False):
        told = machine.registered()
        assert machine.read(told).json()["registration_access_token"] == told["registration_access_token"]
        fresh = machine.replace(told).json()
        assert fresh["registration_access_token"] != told["registration_access_token"]
        assert rat_of(told).expires_at == now + HARDENED_LIFE
    with time_machine.travel(now + OVERLAP - timedelta(seconds=1), tick=False):
        assert machine.read(told).status_code == 200  # the answer may have got lost
        assert machine.read(fresh).status_code == 200
    with time_machine.travel(now + OVERLAP, tick=False):
        assert outcome(machine.read(told)) == BAD_TOKEN
        assert machine.read(fresh).status_code == 200
        again = machine.replace(fresh).json()
        assert outcome(machine.read(told)) == BAD_TOKEN
    with time_machine.travel(now + OVERLAP + HARDENED_LIFE - timedelta(seconds=1), tick=False):
        assert machine.read(again).status_code == 200
    with time_machine.travel(now + OVERLAP + HARDENED_LIFE, tick=False):
        assert outcome(machine.read(again)) == BAD_TOKEN


@pytest.mark.spec("DCR-MGT-13")
@pytest.mark.threat("R04")
def test_who_lost_the_answer_tries_again_with_the_old_token(holder: Holder, now: datetime) -> None:
    machine = holder(profile=make_profile(is_hardened=True))
    with time_machine.travel(now, tick=False):
        told = machine.registered()
        machine.replace(told)  # this answer is lost
        second = machine.replace(told)
        assert second.status_code == 200
        assert machine.read(second.json()).status_code == 200
    with time_machine.travel(now + 2 * OVERLAP, tick=False):
        assert machine.read(second.json()).status_code == 200
        assert outcome(machine.read(told)) == BAD_TOKEN


@pytest.mark.spec("DCR-MGT-11")
def test_a_refused_update_replaces_no_token(holder: Holder) -> None:
    machine = holder(profile=make_profile(is_hardened=True))
    told = machine.registered()
    digest = rat_of(told).digest
    assert outcome(machine.replace(told, {**MACHINE, "client_name": 5})) == ICM
    assert rat_of(told).digest == digest
    assert machine.read(told).json()["registration_access_token"] == told["registration_access_token"]


@pytest.mark.spec("DCR-MGT-16")
@pytest.mark.threat("R04", "R09")
def test_an_owner_replaces_the_token_of_a_client_and_the_old_one_ends_at_once(holder: Holder, cast: Cast, now: datetime) -> None:
    machine = holder(profile=make_profile(is_hardened=True))
    told = machine.registered()
    fresh = machine.replace(told).json()
    for actor in (person(cast.developer), person(cast.viewer), person(cast.stranger), cast.as_reviewer):
        with pytest.raises(TransitionRefused):
            reset_registration_access_token(client_of(told), actor, now=now)
    made = reset_registration_access_token(client_of(told), cast.as_owner, now=now)
    assert made.value not in repr(made)
    for old in (told, fresh):
        assert outcome(machine.read(old)) == BAD_TOKEN
    assert machine.read({**told, "registration_access_token": made.value}).status_code == 200
    assert AuditEvent.objects.get(event="registration_token.reset").difference == {"tail": [None, made.value[-4:]]}
    revoked = machine.send("GET", "/register/other", token=made.value)
    assert outcome(revoked) == BAD_TOKEN
    again = reset_registration_access_token(client_of(told), cast.as_operator, now=now)
    assert machine.read({**told, "registration_access_token": again.value}).status_code == 200
    machine.delete({**told, "registration_access_token": again.value})
    with pytest.raises(TransitionRefused) as error:
        reset_registration_access_token(client_of(told), cast.as_owner, now=now)
    assert error.value.reason == "state"
    by_hand = make_caller(cast.organization, now, "client_secret_basic").client
    with pytest.raises(TransitionRefused) as error:
        reset_registration_access_token(by_hand, cast.as_owner, now=now)
    assert error.value.reason == "source"


@pytest.mark.spec("DCR-MGT-16")
def test_when_a_token_was_used_is_noted_at_most_once_an_hour(machine: Machine, now: datetime) -> None:
    told = machine.registered()
    with time_machine.travel(now + timedelta(hours=1), tick=False):
        machine.read(told)
    with time_machine.travel(now + timedelta(hours=1, minutes=59), tick=False):
        machine.read(told)
    assert rat_of(told).last_used_at == now + timedelta(hours=1)


@pytest.mark.spec("DCR-MGT-18")
def test_new_keys_of_a_test_client_count_at_once_and_the_old_ones_no_more(machine: Machine, post_form: Any, now: datetime) -> None:
    told = machine.registered(signer())
    old = Caller(client_of(told), "private_key_jwt", now, key=key())
    asked = {"grant_type": "client_credentials"}
    assert outcome(post_form(TOKEN, {**asked, **assertion_parameters(old.assertion())})) == "200"
    machine.replace(told, {**signer(), "jwks": {"keys": [key("ES256", 9).public_jwk()]}})
    assert outcome(post_form(TOKEN, {**asked, **assertion_parameters(old.assertion())})) == "401 invalid_client"
    assert outcome(post_form(TOKEN, {**asked, **assertion_parameters(old.assertion(signer=key("ES256", 9)))})) == "200"


def test_registrations_of_two_organizations_do_not_see_each_other(holder: Holder, cast: Cast, now: datetime) -> None:
    from tests.conftest import make_organization

    other = make_organization(cast.stranger, cast.reviewer, now, "Tidewater")
    mine, theirs = holder().registered(), Machine(Browser(), make_token(other, now)).registered()
    assert (mine["org_id"], theirs["org_id"]) == (str(cast.organization.org_id), str(other.org_id))
    assert client_of(theirs).organization == other
