"""What an entity registers with: its own metadata after its federation's rules and then ours, and which rule changed what."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import pytest

from federation.checking import Outcome, check_client
from federation.core.issuing import build_jwks
from federation.models import EntityLookup, FederationRecord
from protocol.errors import TransitionRefused
from protocol.fetch import Page
from protocol.jose import generate_private_key, issue_jwt
from registry.actors import person
from registry.client_checks import check_clients
from registry.lifecycle import update_client
from registry.models import Client, ClientSecret, PolicyRecord
from tests.conftest import Cast
from tests.federation.registration.support import HARBOUR, LIGHTHOUSE, NORTHLIGHT, RelyingParty, World, claim

KEYS_AT = f"{LIGHTHOUSE}/keys"


def push(party: RelyingParty, **parameters: str) -> Any:
    """Push a signed request, which registers the entity."""
    return party.world.post("/oauth/par", {"request": party.request_object(), **parameters})


def registered(party: RelyingParty) -> dict[str, Any]:
    """Register the entity and return its registered metadata."""
    answer = push(party)
    assert answer.status_code == 201, answer.content
    return dict(party.client.metadata)


def refused(answer: Any, *words: str) -> str:
    """Check that a registration was refused, that the sentence has these words and nothing was kept; return the code."""
    told = answer.json()
    assert answer.status_code in (400, 403), answer.content
    assert all(word in told["error_description"] for word in words), told
    assert not FederationRecord.objects.exists()
    assert not Client.objects.filter(client_id__startswith="https:").exists()
    return str(told["error"])


def change_of(party: RelyingParty, member: str) -> list[dict[str, Any]]:
    """Return what was done to a member, in order."""
    return [change for change in party.record.changes if change["member"] == member]


def policy_of(world: World, superior: str, subordinate: str, **policy: Any) -> None:
    """Let a superior have a policy for relying parties."""
    world.federation.entities[superior].subordinates[subordinate]["metadata_policy"] = {"openid_relying_party": policy}


# Which rule changed what.


@pytest.mark.spec("FED-REG-08")
@pytest.mark.threat("T12")
def test_what_was_declared_resolved_and_registered_stands_side_by_side(world: World) -> None:
    party = world.add(scope="openid profile email address", contacts=["ops@lighthouse.example"], backchannel_logout_uri=f"{LIGHTHOUSE}/bye")
    policy_of(world, NORTHLIGHT, HARBOUR, scope={"subset_of": ["openid", "email", "address"]})
    policy_of(world, HARBOUR, LIGHTHOUSE, contacts={"add": ["desk@harbour.example"]}, client_uri={"default": f"{LIGHTHOUSE}/"})
    metadata, record = registered(party), party.record
    assert party.client.declared_metadata["scope"] == "openid profile email address"
    assert record.resolved_metadata["scope"].split() == ["openid", "email", "address"]
    assert metadata["scope"] == "openid email"
    assert metadata["contacts"] == ["ops@lighthouse.example", "desk@harbour.example"]
    by_federation, by_server = change_of(party, "scope")
    assert (by_federation["by"], by_federation["rule"], by_federation["set_by"]) == ("federation", "subset_of", [NORTHLIGHT])
    assert (by_federation["before"], by_federation["after"].split()) == ("openid profile email address", ["openid", "email", "address"])
    assert (by_server["by"], by_server["rule"], by_server["after"]) == ("server", "scope.unknown", "openid email")
    [added] = change_of(party, "contacts")
    assert (added["by"], added["rule"], added["set_by"]) == ("federation", "add", [HARBOUR])
    [by_default] = change_of(party, "client_uri")
    assert (by_default["before"], by_default["after"], by_default["rule"]) == (None, f"{LIGHTHOUSE}/", "default")
    [left_out] = change_of(party, "backchannel_logout_uri")
    assert (left_out["by"], left_out["action"], left_out["rule"]) == ("server", "stripped", "federation.not_offered")
    assert {change["member"] for change in record.changes} == {"scope", "contacts", "client_uri", "backchannel_logout_uri"}


def test_what_a_superior_says_outright_is_told_as_its_word(world: World, lighthouse: RelyingParty) -> None:
    world.federation.entities[HARBOUR].subordinates[LIGHTHOUSE]["metadata"] = {"openid_relying_party": {"client_name": "By Harbour"}}
    assert registered(lighthouse)["client_name"] == "By Harbour"
    [change] = change_of(lighthouse, "client_name")
    assert (change["before"], change["after"], change["rule"], change["by"]) == ("Lighthouse app", "By Harbour", "metadata", "federation")


def test_what_nobody_changed_is_not_among_the_changes(world: World) -> None:
    party = world.add(scope="openid")
    registered(party)
    assert party.record.changes == []


# Nothing that a policy took away comes back by a default (threats.md T06).

FULL: Mapping[str, Any] = {
    "scope": "openid email",
    "token_endpoint_auth_signing_alg": "ES256",
    "request_object_signing_alg": "ES256",
    "id_token_signed_response_alg": "ES256",
    "token_endpoint_auth_methods_supported": ["private_key_jwt"],
}


@pytest.mark.spec("FED-AUT-26", "FED-AUT-34")
@pytest.mark.threat("T06")
@pytest.mark.parametrize(
    ("member", "rule"),
    [
        *((member, {"value": None}) for member in FULL),
        *((member, {"value": None}) for member in ("redirect_uris", "grant_types", "response_types", "token_endpoint_auth_method", "jwks")),
        ("redirect_uris", {"subset_of": ["https://other.example/cb"]}),
        ("grant_types", {"subset_of": ["implicit"]}),
        ("response_types", {"subset_of": ["id_token"]}),
        ("scope", {"subset_of": ["payments"]}),
        ("token_endpoint_auth_methods_supported", {"subset_of": ["client_secret_basic"]}),
    ],
    ids=str,
)
def test_what_the_policy_empties_has_no_default_here(world: World, member: str, rule: dict[str, Any]) -> None:
    party = world.add(**FULL)
    policy_of(world, HARBOUR, LIGHTHOUSE, **{member: rule})
    assert refused(push(party), member) == "invalid_metadata"
    del world.federation.entities[HARBOUR].subordinates[LIGHTHOUSE]["metadata_policy"]
    world.forget()
    EntityLookup.objects.all().delete()
    assert push(party).status_code == 201


@pytest.mark.threat("T06")
@pytest.mark.parametrize(
    ("declared", "policy"),
    [
        ({"contacts": None}, {"contacts": {"essential": True}}),
        ({"scope": "openid"}, {"scope": {"superset_of": ["openid", "email"]}}),
        ({}, {"token_endpoint_auth_method": {"one_of": ["client_secret_basic"]}}),
        ({}, {"token_endpoint_auth_method": {"value": "client_secret_basic"}}),
        ({}, {"token_endpoint_auth_method": {"value": "none"}}),
        ({}, {"grant_types": {"value": "authorization_code"}}),
        ({}, {"redirect_uris": {"add": ["javascript:alert(1)"]}}),
        ({}, {"redirect_uris": {"value": ["https://*.example/cb"]}}),
        ({}, {"scope": {"regexp": ".*"}, "client_name": {"value": ""}}),
    ],
    ids=str,
)
def test_what_the_policy_forbids_or_spoils_is_not_registered(world: World, declared: dict[str, Any], policy: dict[str, Any]) -> None:
    party = world.add(**declared)
    policy_of(world, HARBOUR, LIGHTHOUSE, **policy)
    answer = push(party)
    if "regexp" in str(policy):  # an operator that is not critical is ignored, and an empty name is none
        assert answer.status_code == 201
        assert "client_name" not in party.client.metadata
    else:
        assert refused(answer) == "invalid_metadata"


@pytest.mark.threat("T06")
def test_two_superiors_that_contradict_each_other_register_nobody(world: World, lighthouse: RelyingParty) -> None:
    policy_of(world, NORTHLIGHT, HARBOUR, client_name={"value": "One"})
    policy_of(world, HARBOUR, LIGHTHOUSE, client_name={"value": "Other"})
    assert refused(push(lighthouse)) == "invalid_metadata"


# What this server leaves out, fills in and refuses.


@pytest.mark.parametrize(
    ("declared", "member", "after"),
    [
        ({"backchannel_logout_uri": f"{LIGHTHOUSE}/b", "backchannel_logout_session_required": True}, "backchannel_logout_uri", None),
        ({"frontchannel_logout_uri": f"{LIGHTHOUSE}/f"}, "frontchannel_logout_uri", None),
        ({"request_uris": [f"{LIGHTHOUSE}/r"]}, "request_uris", None),
        ({"default_acr_values": ["high"]}, "default_acr_values", None),
        ({"grant_types": ["authorization_code", "implicit"]}, "grant_types", ["authorization_code"]),
        ({"response_types": ["code", "id_token", "code id_token"]}, "response_types", ["code"]),
        ({"contacts": ["https://lighthouse.example/help", "ops@lighthouse.example"]}, "contacts", ["ops@lighthouse.example"]),
    ],
    ids=str,
)
@pytest.mark.spec("FED-AUT-26")
def test_what_is_not_offered_and_does_no_harm_is_left_out_and_told(world: World, declared: Any, member: str, after: Any) -> None:
    party = world.add(**declared)
    assert registered(party).get(member) == after
    [change] = change_of(party, member)
    assert (change["by"], change["before"], change["after"]) == ("server", declared[member], after)
    assert party.client.declared_metadata[member] == declared[member]


@pytest.mark.spec("FED-AUT-26", "FED-AUT-34")
@pytest.mark.parametrize(
    "declared",
    [
        {"grant_types": ["implicit"]},
        {"grant_types": ["authorization_code"], "response_types": ["id_token"]},
        {"grant_types": ["authorization_code"], "response_types": []},
        {"grant_types": ["refresh_token"]},
        {"redirect_uris": []},
        {"redirect_uris": None},
        {"redirect_uris": ["http://lighthouse.example/cb"]},
        {"redirect_uris": ["http://127.0.0.1/cb"]},
        {"redirect_uris": ["https://lighthouse.example/cb#f"]},
        {"redirect_uris": "https://lighthouse.example/callback"},
        {"redirect_uris": [f"https://lighthouse.example/cb{number}" for number in range(51)]},
        {"subject_type": "pairwise"},
        {"id_token_encrypted_response_alg": "RSA-OAEP"},
        {"userinfo_signed_response_alg": "ES256"},
        {"request_object_encryption_alg": "RSA-OAEP"},
        {"sector_identifier_uri": "https://lighthouse.example/sector"},
        {"id_token_signed_response_alg": "none"},
        {"request_object_signing_alg": "none"},
        {"token_endpoint_auth_signing_alg": "HS256"},
        {"request_object_signing_alg": "PS256"},
        {"jwks": {"keys": []}},
        {"jwks": {"keys": [{"kty": "oct", "k": "AAAA", "kid": "a"}]}},
        {"jwks": "https://lighthouse.example/keys"},
        {"jwks": None},
        {"client_uri": "javascript:alert(1)"},
        {"client_name": "Light\u202ehouse"},
    ],
    ids=lambda declared: str(declared)[:50],
)
def test_what_the_entity_relies_on_and_is_not_offered_is_refused(world: World, declared: dict[str, Any]) -> None:
    assert refused(push(world.add(**declared))) == "invalid_metadata"
    assert not ClientSecret.objects.exists()


@pytest.mark.spec("FED-MET-14")
def test_what_only_an_answer_says_is_nothing_that_an_entity_may_declare(world: World) -> None:
    answers_only = {"client_secret": "s" * 43, "client_id_issued_at": 1, "registration_access_token": "t" * 43, "client_id": "other"}
    party = world.add(**answers_only)
    assert not answers_only.keys() & registered(party).keys()
    assert party.client.client_id == LIGHTHOUSE
    assert not ClientSecret.objects.exists()
    form = {"grant_type": "client_credentials", "client_id": LIGHTHOUSE, "client_secret": "s" * 43}
    assert world.post("/oauth/token", form).json()["error"] == "invalid_client"


def test_an_entity_that_declares_no_scope_gets_the_default_ones(world: World, lighthouse: RelyingParty, cast: Cast, now: datetime) -> None:
    PolicyRecord.objects.create(organization=None, values={"federation_default_scopes": ["openid", "bookings.read"]})
    assert registered(lighthouse)["scope"] == "openid bookings.read"
    [change] = change_of(lighthouse, "scope")
    assert (change["by"], change["rule"], change["before"]) == ("server", "federation.scope.default", None)
    own = world.add("https://own.example", scope="openid email")
    assert registered(own)["scope"] == "openid email"
    PolicyRecord.objects.update(values={"federation_default_scopes": []})
    bare = world.add("https://bare.example")
    assert push(bare).json()["error"] == "invalid_scope"
    assert "scope" not in bare.client.metadata


def test_an_entity_that_is_both_registers_as_a_relying_party(world: World, lighthouse: RelyingParty) -> None:
    lighthouse.entity.metadata["oauth_client"] = {"client_name": "Machine", "grant_types": ["client_credentials"]}
    assert registered(lighthouse)["grant_types"] == ["authorization_code"]
    assert lighthouse.record.entity_type == "openid_relying_party"
    assert "metadata" not in {change["member"] for change in lighthouse.record.changes}


def test_an_oauth_client_without_grants_is_a_machine(world: World, cast: Cast) -> None:
    machine = world.add_machine("https://machine.example")
    del machine.metadata["grant_types"], machine.metadata["response_types"]
    assert (
        machine.push(response_type="code", scope="bookings.read").json()["error"] == "invalid_request"
    )  # no redirect URI to send anybody to
    assert machine.client.grant_types == ["client_credentials"]
    assert change_of(machine, "grant_types")[0]["rule"] == "federation.default"


# Keys of three kinds.


def page_of_keys(*keys: Any) -> Page:
    """Return a page with a key set."""
    import json

    return Page(json.dumps(build_jwks(list(keys))).encode(), "application/jwk-set+json")


def signed_page(party: RelyingParty, *keys: Any, signer: Any = None, typ: str = "jwk-set+jwt", **claims: Any) -> Page:
    """Return a page with a signed key set."""
    told = {"iss": party.entity_id, "sub": party.entity_id, **build_jwks(list(keys)), **claims}
    return Page(issue_jwt(told, signer or party.entity.keys[0], typ=typ).encode(), "application/jwk-set+jwt")


@pytest.mark.spec("FED-JWK-10", "FED-AUT-27")
@pytest.mark.parametrize("kinds", [("jwks", "signed_jwks_uri", "jwks_uri"), ("signed_jwks_uri", "jwks_uri"), ("jwks_uri",)], ids=str)
def test_keys_are_taken_by_value_then_signed_then_from_an_address(world: World, kinds: tuple[str, ...]) -> None:
    party = world.add()
    keys = {kind: party.key if kind == kinds[0] else generate_private_key("ES256") for kind in kinds}
    party.metadata.pop("jwks")
    for kind in kinds:
        party.metadata[kind] = build_jwks([keys[kind]]) if kind == "jwks" else f"{KEYS_AT}/{kind}"
    world.fetcher.put(f"{KEYS_AT}/jwks_uri", page_of_keys(keys.get("jwks_uri", party.key)))
    world.fetcher.put(f"{KEYS_AT}/signed_jwks_uri", signed_page(party, keys.get("signed_jwks_uri", party.key)))
    for kind in kinds[1:]:
        answer = world.post("/oauth/par", {"request": party.request_object(keys[kind])})
        assert refused(answer) == "invalid_request_object"
    metadata = registered(party)
    if kinds[0] == "jwks_uri":
        assert (metadata["jwks_uri"], "jwks" in metadata) == (f"{KEYS_AT}/jwks_uri", False)
    else:
        assert [key["kid"] for key in metadata["jwks"]["keys"]] == [party.key.kid]
        assert "jwks_uri" not in metadata
        assert world.fetcher.fetches.get(f"{KEYS_AT}/jwks_uri", 0) == 0
    assert "signed_jwks_uri" not in metadata
    assert {change["member"] for change in party.record.changes if change["rule"] == "federation.keys"} == set(kinds[1:])
    for kind in kinds[1:]:
        assert world.post("/oauth/par", {"request": party.request_object(keys[kind])}).status_code == 400


@pytest.mark.spec("FED-JWK-02", "FED-JWK-03", "FED-JWK-04", "FED-JWK-05", "FED-JWK-10")
@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda party: signed_page(party, party.key), ""),
        (lambda party: signed_page(party, party.key, signer=party.key), "invalid_metadata"),
        (lambda party: signed_page(party, party.key, signer=generate_private_key("ES256")), "invalid_metadata"),
        (lambda party: signed_page(party, party.key, typ="JWT"), "invalid_metadata"),
        (lambda party: signed_page(party, party.key, iss="https://other.example"), "invalid_metadata"),
        (lambda party: signed_page(party, party.key, exp=1_000_000_000), "invalid_metadata"),
        (lambda party: signed_page(party, party.key, keys=[]), "invalid_metadata"),
        (lambda party: page_of_keys(party.key), "temporarily_unavailable"),
        (lambda party: Page(b"", "text/plain", 404), "temporarily_unavailable"),
    ],
    ids=["good", "by the protocol key", "by a stranger", "typ", "iss", "expired", "no keys", "not signed", "not there"],
)
def test_signed_keys_are_verified_by_the_keys_of_the_chain(world: World, make: Callable[..., Page], code: str) -> None:
    party = world.add(signed_jwks_uri=KEYS_AT)
    del party.metadata["jwks"]
    world.fetcher.put(KEYS_AT, make(party))
    answer = push(party)
    assert answer.json().get("error", "") == code
    assert FederationRecord.objects.exists() is (code == "")


# Our own policy on top of the federation's.


@pytest.mark.parametrize(
    ("values", "declared", "members"),
    [
        ({"grant_types": ["client_credentials"]}, {}, ["grant_types"]),
        ({"redirect_uris_limit": 1}, {"redirect_uris": [f"{LIGHTHOUSE}/callback", f"{LIGHTHOUSE}/other"]}, ["redirect_uris"]),
        ({"live_token_endpoint_auth_methods": ["client_secret_basic"]}, {}, ["token_endpoint_auth_method"]),
        ({"client_assertion_algorithms": ["PS256"]}, {"request_object_signing_alg": "ES256"}, ["request_object_signing_alg"]),
        ({"id_token_algorithms": ["PS256"]}, {"id_token_signed_response_alg": "ES256"}, ["id_token_signed_response_alg"]),
    ],
    ids=str,
)
@pytest.mark.threat("T12")
def test_our_own_policy_refuses_what_the_federation_allows(world: World, values: Any, declared: Any, members: list[str]) -> None:
    PolicyRecord.objects.create(organization=None, values=values)
    party = world.add(**declared)
    assert refused(push(party), *members) == "invalid_metadata"
    PolicyRecord.objects.all().delete()
    assert push(party).status_code == 201


@pytest.mark.threat("T12")
def test_our_own_policy_strips_and_replaces_and_says_so(world: World, cast: Cast, now: datetime) -> None:
    party = world.add(scope="openid payments.write")
    values = {"id_token_algorithms": ["ES256"], "require_signed_request_object": True}
    PolicyRecord.objects.create(organization=cast.organization, values=values)
    claim(LIGHTHOUSE, cast.organization, now)
    metadata = registered(party)
    assert (metadata["scope"], metadata["id_token_signed_response_alg"], metadata["require_signed_request_object"]) == (
        "openid",
        "ES256",
        True,
    )
    told = {change["member"]: (change["by"], change["action"], change["rule"]) for change in party.record.changes}
    assert told == {
        "scope": ("server", "stripped", "scope.unknown"),
        "id_token_signed_response_alg": ("server", "replaced", "id_token_signed_response_alg.replaced"),
        "require_signed_request_object": ("server", "replaced", "require_signed_request_object.forced"),
    }
    assert registered(world.add("https://other.example"))["id_token_signed_response_alg"] == "RS256"


# Later (threats.md T12).


def test_a_stricter_policy_of_ours_leaves_registered_entities_their_time_of_grace(world: World, cast: Cast, now: datetime) -> None:
    party = world.add()
    before = registered(party)
    PolicyRecord.objects.create(organization=None, values={"grant_types": ["client_credentials"]})
    ends = party.client.trust_expires_at
    assert check_client(party.record, now=now) is Outcome.UNCHANGED
    client = party.client
    assert (client.trust, client.metadata) == (Client.Trust.VALID, before)
    assert client.trust_expires_at >= ends
    assert [checked.client.client_id for checked in check_clients(now) if checked.check] == [client.client_id]


def test_what_the_federation_changes_is_judged_by_the_rules_of_today(world: World, cast: Cast, now: datetime) -> None:
    party = world.add()
    registered(party)
    PolicyRecord.objects.create(organization=None, values={"grant_types": ["client_credentials"]})
    party.metadata["client_name"] = "Another name"
    assert check_client(party.record, now=now) is Outcome.BROKEN


@pytest.mark.threat("T12")
def test_what_an_entity_asks_for_later_passes_the_same_rules(world: World, now: datetime) -> None:
    party = world.add(scope="openid email")
    policy_of(world, HARBOUR, LIGHTHOUSE, scope={"subset_of": ["openid", "email"]})
    registered(party)
    party.metadata.update(scope="openid email profile", redirect_uris=[party.callback, f"{LIGHTHOUSE}/second"])
    assert check_client(party.record, now=now) is Outcome.UPDATED
    assert (party.client.metadata["scope"], len(party.client.metadata["redirect_uris"])) == ("openid email", 2)
    assert change_of(party, "scope")[0]["set_by"] == [HARBOUR]


@pytest.mark.threat("T06", "T12")
@pytest.mark.parametrize(
    "later",
    [
        {"redirect_uris": ["http://evil.example/cb"]},
        {"token_endpoint_auth_method": "client_secret_basic"},
        {"client_registration_types": ["explicit"]},
        {"jwks": {"keys": []}},
        {"grant_types": ["implicit"]},
    ],
    ids=str,
)
def test_what_is_refused_at_first_ends_the_trust_later(
    world: World, lighthouse: RelyingParty, now: datetime, later: dict[str, Any]
) -> None:
    before = registered(lighthouse)
    lighthouse.metadata.update(later)
    assert check_client(lighthouse.record, now=now) is Outcome.BROKEN
    assert (lighthouse.client.trust, lighthouse.client.metadata) == ("broken", before)
    assert lighthouse.record.failure["code"] == "invalid_metadata"


@pytest.mark.threat("T12")
def test_nobody_edits_what_the_federation_says(lighthouse: RelyingParty, cast: Cast, now: datetime) -> None:
    claim(LIGHTHOUSE, cast.organization, now)
    before = registered(lighthouse)
    with pytest.raises(TransitionRefused) as refusal:
        update_client(lighthouse.client, person(cast.owner), {**before, "client_name": "Other"}, now=now)
    assert refusal.value.reason == "source"
    assert lighthouse.client.metadata == before
