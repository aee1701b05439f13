"""Explicit registration: what may be posted, what comes of it, and what is answered (OpenID Federation 1.0, 12.2)."""

from __future__ import annotations

import json
import time
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

import pytest

from authserver.views.documents import configuration_snapshot, metadata_snapshot
from federation.core.issuing import build_jwks
from federation.models import EntityLookup, FederationRecord, TrustAnchorRecord
from federation.simulator import Fault
from federation.trust_anchors import distrust
from protocol.constants import TRUST_CHAIN_HEADER_LIMIT
from protocol.jose import FEDERATION_ENTITY_KEYS, KeySet, generate_private_key, issue_jwt, parse_jwk_set, parse_unverified, verify_jwt
from protocol.jose.purposes import EXPLICIT_REGISTRATION_RESPONSE
from registry.lifecycle import change_client, register_client
from registry.lifecycle.organizations import change_organization
from registry.models import AuditEvent, Client, ClientSecret, Organization
from registry.models import SigningKey as SigningKeyRecord
from registry.signing_keys import get_keys
from tests.authserver.support import TOKEN, basic
from tests.conftest import Cast, later
from tests.federation.registration.access import Access
from tests.federation.registration.support import (
    ACTOR,
    FORM,
    HARBOUR,
    ISSUER,
    LIGHTHOUSE,
    NORTHLIGHT,
    TIDEWATER,
    RelyingParty,
    World,
)
from tests.registry.support import website

ENDPOINT = "/federation/register"
CONFIGURATION, CHAIN = "application/entity-statement+jwt", "application/trust-chain+json"
SOUTHLIGHT = "https://southlight.example"
MACHINE = "https://machine.example"


def own_keys() -> KeySet:
    """Return the federation keys that this server publishes in its entity configuration."""
    return parse_jwk_set(get_keys(SigningKeyRecord.Purpose.FEDERATION).public_jwks, purpose=FEDERATION_ENTITY_KEYS)


def answered(response: Any, party: RelyingParty | str = LIGHTHOUSE) -> dict[str, Any]:
    """Return the claims of a good answer, verified as the entity does it."""
    assert response.status_code == 200, response.content
    audience = party if isinstance(party, str) else party.entity_id
    token = response.content.decode()
    verified = verify_jwt(EXPLICIT_REGISTRATION_RESPONSE, token, own_keys(), int(time.time()), issuer=ISSUER, audience=audience)
    return dict(verified.claims)


def registered(response: Any, party: RelyingParty | str = LIGHTHOUSE, entity_type: str = "openid_relying_party") -> dict[str, Any]:
    """Return the metadata of a good answer."""
    return dict(answered(response, party)["metadata"][entity_type])


def refused(response: Any) -> str:
    """Return status and code of a refusal, which has all members of RFC 9457 and of RFC 6749."""
    body = response.json()
    assert response["Content-Type"] == "application/json"
    assert response["Cache-Control"] == "no-store"
    assert body["status"] == response.status_code
    assert {"error", "error_description", "type", "title", "detail", "instance"} <= body.keys()
    return f"{response.status_code} {body['error']}"


def nothing_happened(world: World) -> bool:
    """Say whether nobody was registered and nothing was fetched."""
    looked_up = EntityLookup.objects.exclude(failure__has_key="unread")
    return not world.fetcher.requests and not FederationRecord.objects.exists() and not looked_up.exists()


def add_second_federation(world: World) -> None:
    """Let a second anchor stand beside the first, above the same intermediate, less preferred."""
    world.federation.add_authority(SOUTHLIGHT)
    world.federation.entities[HARBOUR].superiors.append(SOUTHLIGHT)
    world.federation.entities[SOUTHLIGHT].subordinates[HARBOUR] = {}


def chain_by(world: World, party: RelyingParty, *authorities: str) -> list[str]:
    """Return a chain of a relying party through these authorities, as it is now."""
    federation, path = world.federation, (party.entity_id, *authorities)
    steps = [federation.statement(upper, lower) for lower, upper in zip(path, authorities, strict=False)]
    return [federation.configuration(party.entity_id), *steps, federation.configuration(path[-1])]


def peer_chain(world: World, anchor: str = NORTHLIGHT, about: str = ISSUER) -> list[str]:
    """Return a chain about this server as an entity might send it; nothing in it is used but its two ends."""
    key, now = generate_private_key("ES256"), int(time.time())
    claims = {"iss": about, "sub": about, "iat": now, "exp": now + 600, "jwks": build_jwks([key]), "metadata": {}}
    return [issue_jwt(claims, key, typ="entity-statement+jwt"), world.federation.configuration(anchor)]


# The request: media type, size, shape


@pytest.mark.spec("FED-EXP-02", "FED-EXP-03", "FED-EXP-06", "FED-EXP-09")
def test_the_media_type_says_whether_a_configuration_or_a_chain_is_posted(world: World, lighthouse: RelyingParty) -> None:
    configuration, chain = lighthouse.explicit(), json.dumps([lighthouse.explicit(), *lighthouse.chain()[1:]])
    for body, media_type in (
        (chain, CONFIGURATION), (configuration, CHAIN), (configuration, "application/json"), (configuration, "application/jwt"),
        (chain, "application/json"), (configuration, "application/x-www-form-urlencoded"), (configuration, "text/plain"),
    ):  # fmt: skip
        response = lighthouse.register(body, media_type)
        by_type = {CONFIGURATION: "400 invalid_trust_chain", CHAIN: "400 invalid_request"}
        assert refused(response) == by_type.get(media_type, "415 invalid_request"), media_type
    assert nothing_happened(world)
    for body, media_type in ((configuration, f"{CONFIGURATION}; charset=utf-8"), (chain, "Application/Trust-Chain+JSON")):
        assert answered(lighthouse.register(body, media_type))


@pytest.mark.spec("FED-EXP-02")
def test_only_post_is_answered_and_nothing_stands_in_the_url(world: World, lighthouse: RelyingParty) -> None:
    for method in ("get", "head", "put", "patch", "delete", "options"):
        response = getattr(world.browser, method)(ENDPOINT)
        assert (response.status_code, response["Allow"]) == (405, "POST"), method
    response = world.browser.post(f"{ENDPOINT}?client_id={LIGHTHOUSE}", lighthouse.explicit(), content_type=CONFIGURATION)
    assert refused(response) == "400 invalid_request"
    assert nothing_happened(world)


def test_a_body_that_is_too_large_is_refused_before_it_is_read(world: World, lighthouse: RelyingParty) -> None:
    for media_type in (CONFIGURATION, CHAIN):
        assert refused(lighthouse.register("a" * (TRUST_CHAIN_HEADER_LIMIT + 1), media_type)) == "413 invalid_request"
        assert lighthouse.register("a" * TRUST_CHAIN_HEADER_LIMIT, media_type).status_code == 400
    assert nothing_happened(world)


def test_a_chain_as_body_is_an_array_of_statements(world: World, lighthouse: RelyingParty) -> None:
    own = lighthouse.explicit()
    for body in ("[]", "{}", '"x"', "null", "[1]", "[null]", f'["{own}", 1]', "[", own, '["a", "a"', "[[]]", "\ufeff[]"):
        assert refused(lighthouse.register(body, CHAIN)) == "400 invalid_request", body
    for body in ('["nonsense"]', f'["{own}", "nonsense"]', json.dumps(lighthouse.chain())):  # the last is made for nobody
        assert refused(lighthouse.register(body, CHAIN)) == "400 invalid_trust_chain", body
    assert nothing_happened(world)


# The request: its claims


@pytest.mark.spec("FED-EXP-04", "FED-EXP-10")
def test_every_rule_about_the_claims_of_the_request_is_enforced_before_anything_is_fetched(world: World, lighthouse: RelyingParty) -> None:
    now = int(time.time())
    broken: list[dict[str, Any]] = [
        *({name: None} for name in ("sub", "iss", "aud", "iat", "exp", "jwks", "authority_hints", "metadata")),
        {"aud": TIDEWATER}, {"aud": [ISSUER, TIDEWATER]}, {"aud": []}, {"aud": [ISSUER, ISSUER + "/"]}, {"aud": f"{ISSUER}/"},
        {"aud": f"{ISSUER}{ENDPOINT}"}, {"aud": {"id": ISSUER}},
        {"sub": TIDEWATER}, {"iss": TIDEWATER}, {"iss": "http://lighthouse.example", "sub": "http://lighthouse.example"},
        {"exp": now - 61}, {"iat": now + 120}, {"exp": "soon"}, {"iat": True},
        {"authority_hints": []}, {"authority_hints": HARBOUR}, {"authority_hints": ["harbour"]},
        {"metadata": []}, {"metadata": {"openid_relying_party": None}}, {"metadata": {"openid_relying_party": {"client_name": None}}},
        {"crit": ["unheard_of"], "unheard_of": 1}, {"crit": []}, {"crit": ["exp"]},
        {"trust_anchor": NORTHLIGHT}, {"metadata_policy": {}}, {"constraints": {}}, {"source_endpoint": f"{HARBOUR}/fetch"},
        {"jwks": {"keys": []}}, {"jwks": {}}, {"trust_marks": [{}]},
    ]  # fmt: skip
    for changes in broken:
        assert refused(lighthouse.register(lighthouse.explicit(**changes))) == "400 invalid_trust_chain", changes
    assert nothing_happened(world)
    assert answered(lighthouse.register(lighthouse.explicit(aud=[ISSUER], nbf=now, unheard_of=1)))


@pytest.mark.spec("FED-EXP-10", "FED-EXP-03")
def test_only_an_entity_statement_registers(world: World, lighthouse: RelyingParty) -> None:
    for typ in ("JWT", "jwt", "trust-mark+jwt", "explicit-registration-response+jwt", "oauth-authz-req+jwt", "resolve-response+jwt"):
        assert refused(lighthouse.register(lighthouse.explicit(typ=typ))) == "400 invalid_trust_chain", typ
    for headers in ({"jwk": {}}, {"x5c": []}, {"crit": ["b64"], "b64": False}, {"trust_chain": "x"}, {"trust_chain": []}):
        assert refused(lighthouse.register(lighthouse.explicit(headers=headers))) == "400 invalid_trust_chain", headers
    published = world.federation.configuration(LIGHTHOUSE)  # the one for everybody is made for no server
    assert refused(lighthouse.register(published)) == "400 invalid_trust_chain"
    assert nothing_happened(world)


@pytest.mark.spec("FED-EXP-04")
def test_an_entity_that_is_no_relying_party_and_no_oauth_client_is_not_registered(world: World, lighthouse: RelyingParty) -> None:
    for metadata in ({}, {"federation_entity": {"organization_name": "Lighthouse"}}, {"openid_provider": {"issuer": LIGHTHOUSE}}):
        response = lighthouse.register(lighthouse.explicit(metadata=metadata))
        assert refused(response) == "400 invalid_metadata", metadata
        assert response.json()["step"] == 10
    assert not Client.objects.filter(client_id=LIGHTHOUSE).exists()


# The request: its signature


@pytest.mark.spec("FED-EXP-05", "FED-EXP-10", "FED-FEP-09")
def test_a_request_that_its_own_keys_did_not_sign_is_a_client_that_failed_to_authenticate(world: World, lighthouse: RelyingParty) -> None:
    stranger, own = generate_private_key("ES256"), lighthouse.entity.keys[0]
    under_its_name = type(own)(own.kid, own.algorithm, stranger.private_key)
    for key in (stranger, under_its_name, lighthouse.key):
        response = lighthouse.register(lighthouse.explicit(key=key))
        assert refused(response) == "401 invalid_client"
        assert response["WWW-Authenticate"]
    good = lighthouse.explicit()
    head, payload, signature = good.split(".")
    other = lighthouse.explicit(metadata={}).split(".")[1]
    assert refused(lighthouse.register(f"{head}.{other}.{signature}")) == "401 invalid_client"
    assert payload != other
    assert nothing_happened(world)


@pytest.mark.spec("FED-EXP-05", "FED-EXP-11", "FED-KEY-05")
def test_a_request_by_keys_that_no_superior_vouches_for_is_a_client_that_failed_to_authenticate(
    world: World, lighthouse: RelyingParty
) -> None:
    stranger = generate_private_key("ES256")
    response = lighthouse.register(lighthouse.explicit(key=stranger, jwks=build_jwks([stranger])))
    assert refused(response) == "401 invalid_client"
    told = response.json()
    assert (told["step"], told["step_title"], told["entity"]) == (6, "Signature by the superior, and keys match", LIGHTHOUSE)
    assert told["who_can_fix_it"] == "the superior"
    assert not Client.objects.filter(client_id=LIGHTHOUSE).exists()
    both = build_jwks([stranger, *lighthouse.entity.keys])  # what the superior knows is there too, and did not sign
    assert refused(lighthouse.register(lighthouse.explicit(key=stranger, jwks=both))) == "401 invalid_client"
    assert answered(lighthouse.register())


@pytest.mark.spec("FED-FEP-09")
def test_keys_of_an_intermediate_that_its_superior_does_not_vouch_for_are_no_fault_of_the_request(
    world: World, lighthouse: RelyingParty
) -> None:
    federation = world.federation
    federation.entities[NORTHLIGHT].subordinates[HARBOUR] = {"jwks": build_jwks(federation.entities[HARBOUR].keys)}
    federation.roll_keys(HARBOUR, overlap=False)
    response = lighthouse.register()
    assert refused(response) == "400 invalid_trust_chain"
    assert HARBOUR in response.json()["error_description"]


@pytest.mark.threat("F14", "S01")
def test_what_somebody_sends_in_an_entitys_name_does_not_keep_the_entity_out(world: World, lighthouse: RelyingParty) -> None:
    key = generate_private_key("ES256")
    for hints in ([TIDEWATER], ["https://nowhere.example"], [HARBOUR]):
        forged = lighthouse.explicit(key=key, jwks=build_jwks([key]), authority_hints=hints)
        assert lighthouse.register(forged).status_code >= 400
    assert answered(lighthouse.register())
    for number in range(4):  # nor do other names below its host
        name = f"{LIGHTHOUSE}/{number}"
        forged = lighthouse.explicit(key=key, jwks=build_jwks([key]), iss=name, sub=name, authority_hints=[TIDEWATER])
        assert lighthouse.register(forged).status_code >= 400
    assert answered(lighthouse.register())


# Chains that come with the request


@pytest.mark.spec("FED-EXP-24", "FED-EXP-06", "FED-EXP-07")
def test_the_anchor_of_a_supplied_chain_is_the_one_that_is_used(world: World, lighthouse: RelyingParty) -> None:
    add_second_federation(world)
    world.accept(SOUTHLIGHT)
    preferred = answered(lighthouse.register())
    assert preferred["trust_anchor"] == NORTHLIGHT
    chain = chain_by(world, lighthouse, HARBOUR, SOUTHLIGHT)
    bodies = (
        (lighthouse.explicit(headers={"trust_chain": chain}), CONFIGURATION),
        (lighthouse.explicit(headers={"trust_chain": chain, "peer_trust_chain": peer_chain(world, SOUTHLIGHT)}), CONFIGURATION),
        (json.dumps([lighthouse.explicit(), *chain[1:]]), CHAIN),
        (json.dumps([lighthouse.explicit(), *chain[1:-1]]), CHAIN),  # the anchor's own configuration may be missing
    )
    for body, media_type in bodies:
        answer = answered(lighthouse.register(body, media_type))
        assert (answer["trust_anchor"], answer["authority_hints"]) == (SOUTHLIGHT, [HARBOUR])
        assert lighthouse.record.anchor == SOUTHLIGHT
        assert answered(lighthouse.register())["trust_anchor"] == NORTHLIGHT


@pytest.mark.spec("FED-EXP-24", "FED-EXP-07", "FED-EXP-14")
def test_chains_that_do_not_end_at_one_anchor_that_is_reached_are_refused(world: World, lighthouse: RelyingParty) -> None:
    add_second_federation(world)
    here, there = chain_by(world, lighthouse, HARBOUR, NORTHLIGHT), chain_by(world, lighthouse, HARBOUR, SOUTHLIGHT)
    unaccepted = (
        (lighthouse.explicit(headers={"trust_chain": there}), CONFIGURATION),
        (json.dumps([lighthouse.explicit(), *there[1:]]), CHAIN),
    )
    for body, media_type in unaccepted:
        assert refused(lighthouse.register(body, media_type)) == "404 invalid_trust_anchor"
    world.accept(SOUTHLIGHT)
    apart = (
        lighthouse.explicit(headers={"trust_chain": here, "peer_trust_chain": peer_chain(world, SOUTHLIGHT)}),
        lighthouse.explicit(headers={"trust_chain": there, "peer_trust_chain": peer_chain(world, NORTHLIGHT)}),
        lighthouse.explicit(headers={"trust_chain": here, "peer_trust_chain": peer_chain(world, about=TIDEWATER)}),
    )
    for body in apart:
        assert refused(lighthouse.register(body)) == "400 invalid_trust_chain"
    body = json.dumps([lighthouse.explicit(headers={"trust_chain": here}), *there[1:]])
    assert refused(lighthouse.register(body, CHAIN)) == "400 invalid_trust_chain"
    assert not Client.objects.filter(client_id=LIGHTHOUSE).exists()


@pytest.mark.spec("FED-EXP-07")
def test_a_peer_chain_goes_with_a_chain_in_the_header_only(world: World, lighthouse: RelyingParty) -> None:
    chain, peer = lighthouse.chain(), peer_chain(world)
    alone = lighthouse.explicit(headers={"peer_trust_chain": peer})
    assert refused(lighthouse.register(alone)) == "400 invalid_trust_chain"
    first = lighthouse.explicit(headers={"trust_chain": chain, "peer_trust_chain": peer})
    response = lighthouse.register(json.dumps([first, *chain[1:]]), CHAIN)
    assert refused(response) == "400 invalid_request"
    assert response.json()["invalid_members"] == ["peer_trust_chain"]
    assert nothing_happened(world)
    assert answered(lighthouse.register(first))["trust_anchor"] == NORTHLIGHT


@pytest.mark.spec("FED-EXP-11", "FED-EXP-12", "FED-EXP-13")
def test_what_is_registered_is_the_posted_configuration_and_not_the_published_or_supplied_one(
    world: World, lighthouse: RelyingParty
) -> None:
    lighthouse.metadata["client_name"] = "In the header"
    chain = lighthouse.chain()
    lighthouse.metadata["client_name"] = "Published"
    posted = {"openid_relying_party": {**lighthouse.metadata, "client_name": "Posted", "redirect_uris": [f"{LIGHTHOUSE}/posted"]}}
    bodies = (
        (lighthouse.explicit(metadata=posted), CONFIGURATION),
        (lighthouse.explicit(metadata=posted, headers={"trust_chain": chain}), CONFIGURATION),
        (json.dumps([lighthouse.explicit(metadata=posted), *chain[1:]]), CHAIN),
    )
    for body, media_type in bodies:
        metadata = registered(lighthouse.register(body, media_type))
        assert (metadata["client_name"], metadata["redirect_uris"]) == ("Posted", [f"{LIGHTHOUSE}/posted"])
        assert lighthouse.client.metadata["client_name"] == "Posted"
        lighthouse.client.delete()
    assert world.fetched(LIGHTHOUSE) == 0


@pytest.mark.spec("FED-EXP-11", "FED-EXP-12", "FED-EXP-13")
@pytest.mark.threat("T08")
def test_a_supplied_chain_of_yesterday_does_not_register_who_was_expelled_today(world: World, lighthouse: RelyingParty) -> None:
    chain = lighthouse.chain()
    world.federation.expel(HARBOUR, LIGHTHOUSE)
    bodies = (
        (lighthouse.explicit(headers={"trust_chain": chain}), CONFIGURATION),
        (json.dumps([lighthouse.explicit(), *chain[1:]]), CHAIN),
    )
    for body, media_type in bodies:
        assert refused(lighthouse.register(body, media_type)) == "404 not_found"
    assert not Client.objects.filter(client_id=LIGHTHOUSE).exists()


# The answer


@pytest.mark.spec("FED-EXP-22", "FED-EXP-23", "FED-EXP-24", "FED-EXP-25", "FED-EXP-27", "FED-EXP-32")
def test_the_answer_is_a_statement_for_the_entity_signed_by_a_published_key_of_this_server(
    world: World, lighthouse: RelyingParty, now: datetime
) -> None:
    with world.at(now):
        response = lighthouse.register()
        assert response.status_code == 200
        assert response["Content-Type"] == "application/explicit-registration-response+jwt"
        assert response["Cache-Control"] == "no-store"
        header = parse_unverified(response.content, max_length=100_000).unverified_header
        published = world.browser.get("/.well-known/openid-federation").content
        ours = parse_unverified(published, max_length=100_000)
        assert header == {"typ": "explicit-registration-response+jwt", "alg": "ES256", "kid": ours.unverified_header["kid"]}
        assert header["kid"] in [key["kid"] for key in ours.unverified_claims["jwks"]["keys"]]
        answer = answered(response)
    metadata = answer.pop("metadata")
    assert answer == {
        "iss": ISSUER, "sub": LIGHTHOUSE, "aud": LIGHTHOUSE, "iat": int(now.timestamp()), "exp": int(now.timestamp()) + 3600,
        "trust_anchor": NORTHLIGHT, "authority_hints": [HARBOUR],
    }  # fmt: skip
    assert list(metadata) == ["openid_relying_party"]


@pytest.mark.spec("FED-EXP-21", "FED-EXP-23", "FED-REG-03", "FED-REG-08")
def test_the_registration_ends_with_the_first_statement_of_its_chain(world: World, lighthouse: RelyingParty, now: datetime) -> None:
    seconds = int(now.timestamp())
    with world.at(now):
        for entity_id, lifetime in ((HARBOUR, 1800), (NORTHLIGHT, 900), (None, 300)):
            if entity_id:
                world.federation.entities[entity_id].lifetime = lifetime
                body = lighthouse.explicit()
            else:
                body = lighthouse.explicit(exp=seconds + lifetime)
            world.forget()
            assert answered(lighthouse.register(body))["exp"] == seconds + lifetime
            assert lighthouse.client.trust_expires_at == later(now, seconds=lifetime)
    record = lighthouse.record
    assert record.registration_ends == later(now, seconds=300)
    assert (record.anchor, record.entities) == (NORTHLIGHT, [LIGHTHOUSE, HARBOUR, NORTHLIGHT])
    assert record.statements[0] == body
    assert len(record.statements) == 4


@pytest.mark.spec("FED-EXP-26", "FED-EXP-19")
def test_the_answer_holds_all_that_is_registered_with_the_defaults_spelled_out(world: World, lighthouse: RelyingParty) -> None:
    bare = {"client_name": "Bare", "redirect_uris": [lighthouse.callback]}
    metadata = registered(lighthouse.register(lighthouse.explicit(metadata={"openid_relying_party": bare})))
    issued_at, secret = metadata.pop("client_id_issued_at"), metadata.pop("client_secret")
    assert abs(issued_at - time.time()) < 60
    assert len(secret) > 40
    assert metadata.pop("client_secret_expires_at") == int(lighthouse.client.trust_expires_at.timestamp())
    assert metadata == {**lighthouse.client.metadata, "client_id": LIGHTHOUSE}
    defaults = {"grant_types": ["authorization_code"], "response_types": ["code"], "token_endpoint_auth_method": "client_secret_basic"}
    assert {name: metadata.get(name) for name in defaults} == defaults
    for uninvited in ("registration_access_token", "registration_client_uri"):
        assert uninvited not in metadata


@pytest.mark.spec("FED-EXP-18", "FED-EXP-26")
def test_a_secret_comes_only_with_a_method_that_needs_one_and_lasts_as_long_as_the_registration(
    world: World, lighthouse: RelyingParty
) -> None:
    assert "client_secret" not in registered(lighthouse.register())
    assert not ClientSecret.objects.filter(client=lighthouse.client).exists()
    for method in ("client_secret_basic", "client_secret_post"):
        lighthouse.metadata["token_endpoint_auth_method"] = method
        answer = answered(lighthouse.register())
        metadata = answer["metadata"]["openid_relying_party"]
        assert metadata["token_endpoint_auth_method"] == method
        assert metadata["client_secret_expires_at"] >= answer["exp"]
        row = ClientSecret.objects.filter(client=lighthouse.client).latest("id")
        assert row.expires_at is not None
        assert row.expires_at.timestamp() >= answer["exp"]
    lighthouse.metadata["token_endpoint_auth_method"] = "private_key_jwt"
    assert "client_secret" not in registered(lighthouse.register())
    rows = ClientSecret.objects.filter(client=lighthouse.client)
    assert [row.expires_at is not None and row.expires_at.timestamp() <= time.time() for row in rows] == [True, True]


@pytest.mark.spec("FED-EXP-16", "FED-EXP-20", "FED-EXP-34")
@pytest.mark.threat("T12")
def test_what_the_federation_and_this_server_make_of_the_metadata_is_what_is_registered(world: World, lighthouse: RelyingParty) -> None:
    policy = {"openid_relying_party": {"client_name": {"value": "Said by Harbour"}, "grant_types": {"subset_of": ["authorization_code"]}}}
    world.federation.entities[HARBOUR].subordinates[LIGHTHOUSE] = {"metadata_policy": policy}
    wider = {**lighthouse.metadata, "grant_types": ["authorization_code", "implicit"], "request_uris": [f"{LIGHTHOUSE}/request"]}
    metadata = registered(lighthouse.register(lighthouse.explicit(metadata={"openid_relying_party": wider})))
    assert (metadata["client_name"], metadata["grant_types"]) == ("Said by Harbour", ["authorization_code"])
    assert "request_uris" not in metadata
    changed = {(change["by"], change["member"]) for change in lighthouse.record.changes}
    assert {("federation", "client_name"), ("federation", "grant_types"), ("server", "request_uris")} <= changed
    # and asking for more with the next registration changes nothing
    wider["grant_types"] = ["authorization_code", "client_credentials"]
    again = registered(lighthouse.register(lighthouse.explicit(metadata={"openid_relying_party": wider})))
    assert again["grant_types"] == ["authorization_code"]


# Registering again


@pytest.mark.spec("FED-EXP-15")
def test_registering_again_renews_and_replaces_the_registration(world: World, lighthouse: RelyingParty, now: datetime) -> None:
    lighthouse.metadata["token_endpoint_auth_method"] = "client_secret_basic"
    first = registered(lighthouse.register())
    client = lighthouse.client
    with world.at(later(now, minutes=30)):
        lighthouse.metadata["redirect_uris"] = [f"{LIGHTHOUSE}/new"]
        answer = answered(lighthouse.register())
        second = answer["metadata"]["openid_relying_party"]
        assert answer["exp"] == int(later(now, minutes=90).timestamp())
        assert second["client_id"] == first["client_id"] == LIGHTHOUSE
        assert second["client_id_issued_at"] == first["client_id_issued_at"]
        assert second["redirect_uris"] == [f"{LIGHTHOUSE}/new"]
        assert second["client_secret"] != first["client_secret"]
        assert authenticates(world, LIGHTHOUSE, second["client_secret"])
        assert not authenticates(world, LIGHTHOUSE, first["client_secret"])
    assert (lighthouse.client.pk, lighthouse.client.credential_generation) == (client.pk, client.credential_generation)
    events = AuditEvent.objects.filter(object_type="client").order_by("id").values_list("event", flat=True)
    assert list(events) == ["client.registered", "secret.created", "client.updated", "secret.created"]


def authenticates(world: World, client_id: str, secret: str) -> bool:
    """Say whether a secret is accepted at the token endpoint; what the client may do there is another question."""
    form = {"grant_type": "authorization_code", "code": "unknown", "redirect_uri": f"{LIGHTHOUSE}/new"}
    answer = world.browser.post(TOKEN, urlencode(form), content_type=FORM, headers=basic(client_id, secret))
    assert answer.json()["error"] in ("invalid_client", "invalid_grant"), answer.content
    return bool(answer.json()["error"] == "invalid_grant")


@pytest.mark.spec("FED-EXP-15", "FED-REG-03", "FED-REG-06")
def test_an_expired_registration_is_renewed_under_the_same_name(world: World, now: datetime) -> None:
    access = Access.build(world, now)
    machine = world.add_machine(MACHINE)
    with world.at(now):
        assert answered(machine.register(), MACHINE)
        token = access.token(machine)
        client = machine.client
    with world.at(later(now, seconds=3599)):
        assert access.ask_token(machine).status_code == 200
    with world.at(later(now, seconds=3600)):
        assert not access.is_live(token)
        for chain in (False, True):  # by its own endpoint only
            assert access.ask_token(machine, chain=chain).json()["error"] in ("invalid_client", "unauthorized_client")
        assert answered(machine.register(), MACHINE)
        assert access.token(machine)
    assert machine.client.pk == client.pk


@pytest.mark.spec("FED-REG-03")
def test_a_client_that_later_registers_automatically_is_no_longer_bound_by_the_end_of_the_answer(
    world: World, lighthouse: RelyingParty, now: datetime
) -> None:
    with world.at(now):
        assert answered(lighthouse.register())
    with world.at(later(now, hours=2)):
        assert lighthouse.authorize().status_code == 302
        assert lighthouse.client.source == Client.Source.FEDERATION_AUTOMATIC
        assert lighthouse.record.registration_ends is None


# Refusals


@pytest.mark.spec("FED-EXP-28", "FED-FEP-08", "FED-FEP-09")
def test_a_refusal_says_which_step_failed_where_and_who_can_mend_it(world: World, lighthouse: RelyingParty) -> None:
    harbour, northlight = world.federation.entities[HARBOUR], world.federation.entities[NORTHLIGHT]

    def tell(**changes: Any) -> tuple[Any, ...]:
        world.forget()
        response = lighthouse.register(lighthouse.explicit(**changes))
        body = response.json()
        return refused(response), body["step"], body["entity"], body["who_can_fix_it"]

    assert tell(authority_hints=[TIDEWATER])[:3] == ("404 not_found", 4, TIDEWATER)
    harbour.fault = Fault.SERVER_ERROR
    assert tell() == ("503 temporarily_unavailable", 4, HARBOUR, "whoever runs the host; if its name is right, try again later")
    harbour.fault = None
    harbour.statement_fault = Fault.EXPIRED
    assert tell()[:3] == ("400 invalid_trust_chain", 6, HARBOUR)
    harbour.statement_fault = None
    harbour.subordinates[LIGHTHOUSE] = {"metadata_policy": {"openid_relying_party": {"client_name": {"one_of": ["Other"]}}}}
    assert tell() == ("400 invalid_metadata", 10, LIGHTHOUSE, "the partner")
    harbour.subordinates[LIGHTHOUSE] = {"metadata_policy": {"openid_relying_party": {"scope": {"value": "a", "one_of": ["b"]}}}}
    assert tell() == ("400 invalid_metadata", 9, NORTHLIGHT, "the federation operator")
    harbour.subordinates[LIGHTHOUSE] = {}
    northlight.subordinates[HARBOUR] = {"constraints": {"naming_constraints": {"excluded": ["lighthouse.example"]}}}
    assert tell()[:2] == ("400 invalid_trust_chain", 8)
    northlight.subordinates[HARBOUR] = {}
    TrustAnchorRecord.objects.update(is_enabled=False)
    assert tell()[:2] == ("404 invalid_trust_anchor", 7)
    assert not Client.objects.filter(client_id=LIGHTHOUSE).exists()


@pytest.mark.spec("FED-EXP-20", "FED-EXP-28")
def test_metadata_that_our_own_rules_refuse_is_answered_by_the_codes_of_registration(world: World, lighthouse: RelyingParty) -> None:
    lighthouse.metadata["redirect_uris"] = ["http://lighthouse.example/callback"]
    response = lighthouse.register()
    assert refused(response) == "400 invalid_redirect_uri"
    lighthouse.metadata["redirect_uris"] = [lighthouse.callback]
    lighthouse.metadata["jwks"] = {"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}
    assert refused(lighthouse.register()) in ("400 invalid_client_metadata", "400 invalid_metadata")
    lighthouse.metadata["jwks"] = build_jwks([lighthouse.key])
    lighthouse.metadata["client_registration_types"] = ["automatic"]
    response = lighthouse.register()
    assert refused(response) == "400 invalid_metadata"
    assert response.json()["invalid_members"] == ["client_registration_types"]
    assert not Client.objects.filter(client_id=LIGHTHOUSE).exists()
    assert not Organization.objects.filter(legal_name__icontains="lighthouse").exists()


@pytest.mark.spec("FED-FEP-10")
def test_trust_is_proven_and_the_organization_or_a_rule_refuses(world: World, lighthouse: RelyingParty, cast: Cast, now: datetime) -> None:
    for rule in ("queue", "match"):
        TrustAnchorRecord.objects.update(organizations=rule)
        assert refused(lighthouse.register()) == "403 access_denied", rule
    TrustAnchorRecord.objects.update(organizations="create")
    assert answered(lighthouse.register())
    client = lighthouse.client
    change_organization(client.organization, "suspend", cast.as_reviewer, now=now, reason="Unpaid.")
    other = world.add(f"{LIGHTHOUSE}/other", name="Lighthouse app")
    assert answered(other.register(), other)  # its organization is another one: names say nothing
    change_organization(other.client.organization, "suspend", cast.as_reviewer, now=now, reason="Unpaid.")
    change_client(client, "close", ACTOR, now=now)
    assert refused(lighthouse.register()) == "403 access_denied"
    assert lighthouse.client.state == Client.State.CLOSED


@pytest.mark.spec("FED-REG-07")
def test_a_client_that_was_registered_in_another_way_is_not_taken_over(
    world: World, lighthouse: RelyingParty, cast: Cast, now: datetime
) -> None:
    by_hand = register_client(ACTOR, cast.organization, website(), now=now)
    Client.objects.filter(pk=by_hand.pk).update(client_id=LIGHTHOUSE)
    assert refused(lighthouse.register()) == "403 access_denied"
    assert lighthouse.client.source == Client.Source.MANUAL
    assert lighthouse.client.trust == Client.Trust.NONE
    assert not FederationRecord.objects.exists()


def test_the_longest_identifier_that_a_client_can_have_registers(world: World) -> None:
    party = world.add(f"{LIGHTHOUSE}/{'a' * (2048 - len(LIGHTHOUSE) - 1)}", redirect_uris=[f"{LIGHTHOUSE}/callback"])
    assert registered(party.register(), party)["client_id"] == party.entity_id
    assert party.record.entity_id == party.entity_id


@pytest.mark.threat("T03")
def test_an_identifier_that_differs_only_in_spelling_is_refused(world: World, lighthouse: RelyingParty) -> None:
    assert answered(lighthouse.register())
    twin = world.add(f"{LIGHTHOUSE}/")
    assert refused(twin.register()) == "403 access_denied"
    assert not Client.objects.filter(client_id=twin.entity_id).exists()


def test_an_entity_that_an_operator_trusts_no_more_cannot_register_anew(world: World, lighthouse: RelyingParty, now: datetime) -> None:
    assert answered(lighthouse.register())
    distrust(LIGHTHOUSE, ACTOR, now=now, reason="Its key was stolen.")
    assert refused(lighthouse.register()) == "404 invalid_trust_anchor"
    assert lighthouse.client.trust == Client.Trust.BROKEN


def test_a_client_that_staff_suspended_stays_suspended_when_it_registers_again(
    world: World, lighthouse: RelyingParty, cast: Cast, now: datetime
) -> None:
    assert answered(lighthouse.register())
    change_client(lighthouse.client, "suspend", cast.as_reviewer, now=now, reason="Abuse.")
    assert lighthouse.register().status_code == 200
    assert lighthouse.client.state == Client.State.SUSPENDED


# Machine clients


@pytest.mark.spec("FED-REG-02")
def test_an_oauth_client_registers_and_its_tokens_say_whose_they_are(world: World, now: datetime) -> None:
    access = Access.build(world, now)
    machine = world.add_machine(MACHINE)
    assert access.ask_token(machine).status_code == 401
    metadata = registered(machine.register(), MACHINE, "oauth_client")
    assert (metadata["client_id"], metadata["grant_types"]) == (MACHINE, ["client_credentials"])
    heard = access.introspect(access.token(machine))
    assert heard["active"]
    assert (heard["client_id"], heard["org_id"]) == (MACHINE, str(machine.client.organization.org_id))


@pytest.mark.spec("FED-EXP-26")
def test_the_secret_of_the_answer_gets_tokens(world: World, now: datetime) -> None:
    access = Access.build(world, now)
    machine = world.add_machine(MACHINE, token_endpoint_auth_method="client_secret_basic")
    del machine.metadata["jwks"]
    secret = registered(machine.register(), MACHINE, "oauth_client")["client_secret"]
    answer = world.browser.post(TOKEN, "grant_type=client_credentials", content_type=FORM, headers=basic(MACHINE, secret))
    assert answer.status_code == 200, answer.content
    assert access.is_live(answer.json()["access_token"])


def test_where_the_anchor_allows_it_a_machine_registers_by_its_first_token_request(world: World, now: datetime) -> None:
    access = Access.build(world, now)
    machine = world.add_machine(MACHINE)
    for allowed, status in ((False, 403), (True, 200)):
        TrustAnchorRecord.objects.update(registers_at_token_endpoint=allowed)
        answer = access.ask_token(machine, chain=True)
        assert answer.status_code == status, answer.content
        assert Client.objects.filter(client_id=MACHINE).exists() is allowed
    assert access.is_live(answer.json()["access_token"])
    assert machine.client.source == Client.Source.FEDERATION_AUTOMATIC
    assert not world.fetcher.requests
    assert access.token(machine)  # known from now on, without its chain


def test_nobody_is_discovered_at_the_token_endpoint(world: World, now: datetime) -> None:
    access = Access.build(world, now)
    machine, person_app = world.add_machine(MACHINE), world.add(TIDEWATER)
    chain, other = machine.chain(), person_app.chain()
    stranger = generate_private_key("ES256")
    hostile = (
        machine.assertion(),
        machine.assertion(headers={"trust_chain": other}),
        machine.assertion(headers={"trust_chain": chain[:2]}),
        machine.assertion(headers={"trust_chain": [chain[0]]}),
        machine.assertion(headers={"trust_chain": chain}, key=stranger),
        machine.assertion(headers={"trust_chain": chain}, key=machine.entity.keys[0]),  # a federation key is no protocol key
        machine.assertion(headers={"trust_chain": chain}, audience=f"{ISSUER}/oauth/token"),
    )
    for assertion in hostile:
        answer = world.post(TOKEN, {"grant_type": "client_credentials", **machine.authentication(assertion)})
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client"), parse_unverified(assertion, max_length=300_000)
    assert access.ask_token(person_app, chain=True).status_code == 401  # an app for people has its own door
    assert not world.fetcher.requests
    assert not FederationRecord.objects.exists()


# What this server says about it


@pytest.mark.spec("FED-EXP-01", "FED-OPM-03", "FED-OPM-04", "FED-OPM-05", "FED-AUT-01")
def test_our_configuration_offers_registration_exactly_while_an_anchor_is_accepted(world: World) -> None:
    for enabled in (True, False, True):
        TrustAnchorRecord.objects.update(is_enabled=enabled)
        for snapshot in (configuration_snapshot, metadata_snapshot):
            snapshot.forget()
        content = parse_unverified(world.browser.get("/.well-known/openid-federation").content, max_length=100_000).unverified_claims
        for entity_type in ("openid_provider", "oauth_authorization_server"):
            metadata = content["metadata"][entity_type]
            assert metadata["issuer"] == ISSUER
            assert ("registration_endpoint" in metadata) == (entity_type == "oauth_authorization_server")
            offered = {name: metadata.get(name) for name in ("client_registration_types_supported", "federation_registration_endpoint")}
            if entity_type == "openid_provider" or any(offered.values()):
                assert offered == {
                    "client_registration_types_supported": ["automatic", "explicit"] if enabled else None,
                    "federation_registration_endpoint": f"{ISSUER}{ENDPOINT}" if enabled else None,
                }
