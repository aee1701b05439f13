"""The plan fapi2-security-profile-final-brazil-dcr-test-plan: a directory vouches for software, whose statement is all that registers it.

The docstring of a test, or the name of its case, is the module that it mirrors. Statements are as the directory of Brazil makes them.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey

from authserver.throttling import failures
from dcr.software_statements import save_issuer
from protocol.fetch import InMemoryFetcher, Page
from protocol.jose.base64url import decode_base64url, encode_base64url
from registry.actors import job
from registry.models import PolicyRecord, User
from registry.outbound import use_fetcher
from tests.authserver.authorization.support import CALLBACK, TOKEN
from tests.conformance.registration import (
    DUMMIES,
    client_of,
    configuration_request,
    machine,
    nothing_registered,
    public_keys,
    read,
    refused_registration,
    registered,
    unauthorized,
)
from tests.conformance.steps import redeemed, refused
from tests.conformance.test_fapi2 import Fapi
from tests.conformance.test_fapi2 import case as fapi_case
from tests.conftest import Cast
from tests.dcr.support import Machine

pytestmark = [pytest.mark.spec("DCR-CS-02")]
PS = "PS256"
DIRECTORY = "Open Banking Open Banking Brasil sandbox SSA issuer"
KEYSTORE = "https://keystore.directory.example/software/application.jwks"
OTHER_KEYS = "https://suite.conformance.example/test/a/credence/client1_jwks"
UNREGISTERED = "https://app.lighthouse.example/x7Kq9TbWzP"
SCOPE = "openid bookings.read profile"
GRANTS = ["authorization_code", "refresh_token", "client_credentials"]
TERRIBLE = "ivegotthisterriblepaininallthediodesdownmyleftside"


@cache
def rsa_key(name: str) -> RSAKey:
    """Return a key by name."""
    return RSAKey.generate_key(2048, {"kid": name}, auto_kid=False)


def spoil(statement: str) -> str:
    """Return a statement with another signature."""
    start, _, signature = statement.rpartition(".")
    return f"{start}.{encode_base64url(bytes(octet ^ 0x5A for octet in decode_base64url(signature)))}"


@dataclass
class Software:
    """What a directory vouches for, and what registers with its statements and without any token."""

    sender: Machine
    person: User
    now: datetime

    def claims(self) -> dict[str, Any]:
        """Return what the directory says of the software; most names begin in its own way."""
        return {
            "iss": DIRECTORY, "iat": int(time.time()), "jti": uuid.uuid4().hex[:20], "software_mode": "Live",
            "software_redirect_uris": [CALLBACK, CALLBACK + DUMMIES], "software_client_name": "Credence test",
            "software_client_id": "software", "software_client_uri": "https://app.lighthouse.example/", "software_id": "4NRB1-0XZABZI9E6",
            "software_jwks_uri": KEYSTORE, "software_jwks_inactive_uri": f"{KEYSTORE}/inactive", "software_statement_roles": [],
            "software_logo_uri": "https://app.lighthouse.example/logo.png", "software_roles": ["DADOS"], "org_id": "lighthouse",
            "software_policy_uri": "https://app.lighthouse.example/policy", "software_tos_uri": "https://app.lighthouse.example/tos",
        }  # fmt: skip

    def statement(self) -> str:
        """Return a new statement, as it comes from the directory: it has no end, and is for everybody."""
        return jwt.encode({"alg": PS, "kid": "directory"}, self.claims(), rsa_key("directory"), algorithms=[PS])

    def document(self, **changes: Any) -> dict[str, Any]:
        """Return what is registered, after `changes`; a member given as None is left out."""
        good = {
            "grant_types": GRANTS, "jwks_uri": KEYSTORE, "token_endpoint_auth_method": "private_key_jwt", "response_types": ["code"],
            "redirect_uris": [CALLBACK], "software_statement": self.statement(),
        }  # fmt: skip
        return {name: value for name, value in {**good, **changes}.items() if value is not None}

    def register(self, **changes: Any) -> dict[str, Any]:
        """Register, and check that there is everything the profile wants in the answer."""
        registration = registered(self.sender.register(self.document(**changes)))
        assert set(registration["scope"].split()) == set(SCOPE.split())
        return registration

    def party(self, registration: dict[str, Any]) -> Fapi:
        """Return what goes through flows as the client that was registered."""
        app = client_of(registration, rsa_key("software"), self.now, PS)
        return Fapi(app, person=self.person, redirect_uri=registration["redirect_uris"][0])

    def look(self, registration: dict[str, Any], redirect_uri: str = CALLBACK) -> None:
        """Look at the registration twice, which is as it was answered."""
        for _ in range(2):
            found = read(self.sender.read(registration))
            assert found["redirect_uris"] == [redirect_uri]
            for name in ("client_id", "registration_client_uri", "registration_access_token"):
                assert found[name] == registration[name]

    def replace(self, registration: dict[str, Any], **changes: Any) -> Any:
        """Change the registration, with a new statement unless `changes` say otherwise."""
        body = configuration_request(registration, **{"software_statement": self.statement(), **changes})
        return self.sender.replace(registration, {name: value for name, value in body.items() if value is not None})

    def finish(self, registration: dict[str, Any], redirect_uri: str = CALLBACK) -> None:
        """Do what ends every flow: look twice, and delete the client."""
        self.look(registration, redirect_uri)
        assert self.sender.delete(registration).status_code == 204


def case(module: str, *values: Any) -> Any:
    """Return a case that is named after the module that it mirrors."""
    return fapi_case(f"brazil{module}", *values)


@pytest.fixture
def software(cast: Cast, person: User, now: datetime, standard_scopes: None, server_keys: None) -> Iterator[Software]:
    """Software of the cast's organization, and what an operator says of the directory: its profile holds, its statements are enough."""
    PolicyRecord.objects.create(organization=None, values={"id_token_algorithms": [PS], "require_pushed_authorization_requests": True})
    values = {
        "issuer": DIRECTORY, "name": "Directory", "jwks": public_keys(rsa_key("directory"), PS), "algorithms": [PS], "max_age_seconds": 300,
        "claims": ["client_name", "client_uri", "logo_uri", "policy_uri", "tos_uri", "software_id"], "organization": cast.organization,
        "roles_claim": "software_roles", "role_scopes": {"DADOS": SCOPE.split()}, "replaces_initial_access_token": True,
        "is_mandatory_profile": True,
    }  # fmt: skip
    save_issuer(None, values, job("test"), now=now)
    keys = {KEYSTORE: "software", OTHER_KEYS: "other"}
    pages = {url: Page(json.dumps(public_keys(rsa_key(name), PS)).encode(), "application/json") for url, name in keys.items()}
    with use_fetcher(InMemoryFetcher(pages)):
        yield Software(machine(), person, now)


@pytest.mark.parametrize(
    "members",
    [
        case("dcr-happy-flow", {}),
        case("dcr-happy-flow-variant", {"grant_types": [*GRANTS[1:], GRANTS[0]], "scope": SCOPE}),
        case("dcr-happy-flow-variant-2", {"scope": " ".join(reversed(SCOPE.split()))}),
    ],
)
def test_software_that_a_directory_vouches_for_registers_and_signs_a_person_in(software: Software, members: dict[str, Any]) -> None:
    registration = software.register(**members)
    assert set(registration["grant_types"]) == set(GRANTS)
    assert (registration["client_name"], registration["software_id"]) == ("Credence test", "4NRB1-0XZABZI9E6")
    done = software.party(registration).run(scope=SCOPE)
    assert done.header["alg"] == PS
    assert set(done.tokens["scope"].split()) == set(SCOPE.split())
    software.finish(registration)


def test_a_deleted_client_is_gone(software: Software) -> None:
    """fapi2-security-profile-final-brazildcr-client-delete"""
    registration = software.register()
    party = software.party(registration)
    form = {"grant_type": "client_credentials", "scope": "bookings.read"}
    redeemed(party.post(TOKEN, **form))
    assert software.sender.delete(registration).status_code == 204
    unauthorized(software.sender.read(registration))
    unauthorized(software.sender.delete(registration))
    failures.forget()
    refused(party.post(TOKEN, **form), "invalid_client")


def test_a_wrong_registration_access_token_is_refused(software: Software) -> None:
    """fapi2-security-profile-final-brazildcr-invalid-registration-access-token"""
    registration = software.register()
    wrong = {**registration, "registration_access_token": TERRIBLE}
    unauthorized(software.sender.read(wrong))
    unauthorized(software.sender.delete(wrong))
    assert software.sender.delete(registration).status_code == 204


def test_a_statement_with_a_spoilt_signature_is_refused(software: Software) -> None:
    """fapi2-security-profile-final-brazil-dcr-invalid-software-statement-signature"""
    with nothing_registered():
        answer = software.sender.register(software.document(software_statement=spoil(software.statement())))
        refused_registration(answer, "invalid_software_statement")


@pytest.mark.spec("DCR-SS-04")
def test_nobody_registers_without_a_statement(software: Software) -> None:
    """fapi2-security-profile-final-brazil-dcr-no-software-statement"""
    said = software.claims()
    beside = {**said, **{name.removeprefix("software_"): value for name, value in said.items()}}
    with nothing_registered():
        refused_registration(software.sender.register({**software.document(software_statement=None), **beside}))


@pytest.mark.parametrize(
    ("members", "codes"),
    [
        case("-dcr-no-redirect-uri", {"redirect_uris": None}, ("invalid_redirect_uri", "invalid_client_metadata")),
        case("-dcr-invalid-redirect-uri", {"redirect_uris": [UNREGISTERED]}, ("invalid_redirect_uri", "invalid_client_metadata")),
        case("-dcr-invalid-jwks-uri", {"jwks_uri": OTHER_KEYS}, ("invalid_client_metadata",)),
        case("-dcr-invalid-jwks-by-value", {"jwks_uri": None, "jwks": "other"}, ("invalid_client_metadata",)),
    ],
)
def test_what_the_directory_does_not_vouch_for_is_not_registered(
    software: Software, members: dict[str, Any], codes: tuple[str, ...]
) -> None:
    with nothing_registered():
        refused_registration(software.sender.register(software.document(**with_keys(members))), *codes)


@pytest.mark.parametrize(
    ("members", "codes"),
    [
        case("dcr-update-client-config-bad-jwks-uri", {"jwks_uri": OTHER_KEYS}, ("invalid_client_metadata",)),
        case("dcr-update-client-config-invalid-jwks-by-value", {"jwks_uri": None, "jwks": "other"}, ("invalid_client_metadata",)),
        case(
            "dcr-update-client-config-invalid-redirect-uri",
            {"redirect_uris": [UNREGISTERED]},
            ("invalid_redirect_uri", "invalid_client_metadata"),
        ),
    ],
)
def test_a_registration_is_not_changed_to_what_the_directory_does_not_vouch_for(
    software: Software, members: dict[str, Any], codes: tuple[str, ...]
) -> None:
    registration = software.register()
    refused_registration(software.replace(registration, **with_keys(members)), *codes)
    software.finish(registration)


def with_keys(members: dict[str, Any]) -> dict[str, Any]:
    """Return members in which keys that are named are there."""
    return {**members, "jwks": public_keys(rsa_key(members["jwks"]), PS)} if "jwks" in members else members


def test_a_redirect_uri_is_changed_by_who_may_and_with_a_good_statement(software: Software) -> None:
    """fapi2-security-profile-final-brazildcr-update-client-config"""
    registration, changed = software.register(), CALLBACK + DUMMIES
    replaced = read(software.replace(registration, redirect_uris=[changed]))
    assert replaced["redirect_uris"] == [changed]
    members = software.party(replaced).run(scope=SCOPE).members
    assert (members["dummy1"], members["dummy2"]) == ("lorem", "ipsum")
    back = {"redirect_uris": [CALLBACK]}
    unauthorized(software.replace({**registration, "registration_access_token": TERRIBLE}, **back))
    refused_registration(software.replace(registration, software_statement=None, **back))
    refused_registration(software.replace(registration, software_statement=spoil(software.statement()), **back))
    software.finish(registration, changed)
