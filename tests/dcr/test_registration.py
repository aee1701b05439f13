"""POST /register (RFC 7591): what is answered, which rule refuses what in which words, and that a refusal writes nothing."""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from django.test import Client as Browser

from dcr.models import InitialAccessToken, RegistrationAccessToken
from protocol.jose import generate_private_key
from registry.client_keys import clients_sharing_keys
from registry.lifecycle import change_client, register_client
from registry.models import AuditEvent, Client, ClientSecret, Entitlement, Scope
from tests.authserver.authorization.support import AUTHORIZE, CHALLENGE
from tests.authserver.support import INTROSPECT, TOKEN, Caller, assertion_parameters, key, make_caller, outcome
from tests.conftest import Cast, make_organization
from tests.dcr.support import (
    BESIDE,
    MACHINE,
    WEBSITE,
    Machine,
    client_of,
    metadata_in,
    row_counts,
    signer,
)

pytestmark = pytest.mark.django_db
IRU, ICM = "400 invalid_redirect_uri", "400 invalid_client_metadata"
NATIVE = {
    "client_name": "Pocket",
    "application_type": "native",
    "redirect_uris": ["com.example.app:/cb"],
    "token_endpoint_auth_method": "none",
}


# What is answered


@pytest.mark.spec("DCR-RESP-01", "DCR-RESP-02", "DCR-RESP-03", "DCR-RESP-04", "DCR-HTTP-06", "DCR-RESP-06")
def test_a_machine_registers_and_its_secret_works(machine: Machine, cast: Cast, post_form: Any, settings: Any) -> None:
    response = machine.register()
    assert response.status_code == 201
    assert response["Content-Type"] == "application/json"
    assert (response["Cache-Control"], response["Pragma"]) == ("no-store", "no-cache")
    told = response.json()
    assert told["client_secret_expires_at"] == 0
    assert abs(told["client_id_issued_at"] - time.time()) < 10
    assert isinstance(told["client_id_issued_at"], int)
    assert told["registration_client_uri"] == f"{settings.ISSUER}/register/{told['client_id']}"
    assert (told["stage"], told["org_id"]) == ("test", str(cast.organization.org_id))
    client = Client.objects.get(client_id=told["client_id"])
    assert (client.source, client.stage, client.state, client.organization) == ("dcr", "test", "active", cast.organization)
    basic = (told["client_id"], told["client_secret"])
    answer = post_form("/oauth/token", {"grant_type": "client_credentials", "scope": "bookings.read"}, basic=basic)
    assert answer.status_code == 200, answer.content
    assert answer.json()["scope"] == "bookings.read"


@pytest.mark.spec("DCR-RESP-01", "DCR-META-04", "DCR-META-13", "DCR-META-18", "DCR-META-21", "DCR-META-22", "DCR-META-36")
def test_every_default_is_in_the_answer(machine: Machine) -> None:
    told = machine.registered({"redirect_uris": ["https://lighthouse.example/cb"]})
    assert metadata_in(told) == {
        "redirect_uris": ["https://lighthouse.example/cb"],
        "application_type": "web",
        "token_endpoint_auth_method": "client_secret_basic",
        "grant_types": ["authorization_code"],
        "response_types": ["code"],
        "subject_type": "public",
        "id_token_signed_response_alg": "RS256",
    }
    assert metadata_in(machine.registered({"grant_types": ["client_credentials"]})) == {
        "application_type": "web",
        "token_endpoint_auth_method": "client_secret_basic",
        "grant_types": ["client_credentials"],
        "response_types": [],
        "subject_type": "public",
    }


EVERYTHING: dict[str, Any] = {
    "client_name": "Lighthouse",
    "client_name#de": "Leuchtturm",
    "client_uri": "https://lighthouse.example/",
    "logo_uri": "https://lighthouse.example/logo.png",
    "logo_uri#ja-Kana-JP": "https://lighthouse.example/ja.png",
    "tos_uri": "https://lighthouse.example/terms",
    "policy_uri": "https://lighthouse.example/privacy",
    "redirect_uris": ["https://lighthouse.example/cb", "https://lighthouse.example/cb?b=2&a=1"],
    "post_logout_redirect_uris": ["https://lighthouse.example/bye"],
    "application_type": "web",
    "token_endpoint_auth_method": "private_key_jwt",
    "token_endpoint_auth_signing_alg": "ES256",
    "grant_types": ["refresh_token", "client_credentials", "authorization_code"],
    "response_types": ["code"],
    "contacts": ["dev@lighthouse.example"],
    "scope": "openid bookings.read",
    "software_id": "4NRB1-0XZABZI9E6-5SM3R",
    "software_version": "2.1",
    "subject_type": "public",
    "id_token_signed_response_alg": "ES256",
    "request_object_signing_alg": "ES256",
    "require_signed_request_object": True,
    "require_pushed_authorization_requests": True,
    "request_uris": [],
    "default_max_age": 3600,
    "require_auth_time": True,
    "default_acr_values": [],
    "initiate_login_uri": "https://lighthouse.example/login",
}


@pytest.mark.spec("DCR-RESP-01", "DCR-RESP-07", "DCR-LANG-01", "DCR-LANG-05", "DCR-META-28", "DCR-META-32", "DCR-META-43")
def test_everything_that_was_registered_is_in_the_answer_as_it_was_given(machine: Machine) -> None:
    document = {**EVERYTHING, "jwks": {"keys": [key().public_jwk()]}}
    told = machine.registered(document)
    assert metadata_in(told) == document
    assert metadata_in(machine.read(told).json()) == document
    assert client_of(told).metadata == document


@pytest.mark.spec("DCR-RESP-01", "DCR-MGT-14")
def test_a_client_id_is_unguessable_and_never_given_again(machine: Machine) -> None:
    ids = {machine.registered()["client_id"] for _ in range(5)}
    assert len(ids) == 5
    told = machine.registered()
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", told["client_id"])  # 122 random bits
    assert machine.delete(told).status_code == 204
    assert Client.objects.filter(client_id=told["client_id"]).exists()
    assert machine.registered(client_id=told["client_id"])["client_id"] != told["client_id"]


METHODS: dict[str, dict[str, Any]] = {
    "client_secret_basic": MACHINE,
    "client_secret_post": {**MACHINE, "token_endpoint_auth_method": "client_secret_post"},
    "private_key_jwt": signer(),
    "none": {**WEBSITE, "token_endpoint_auth_method": "none"},
}


@pytest.mark.spec("DCR-RESP-02", "DCR-RESP-04", "DCR-META-18")
@pytest.mark.parametrize("method", METHODS)
def test_a_secret_comes_with_its_expiry_and_only_where_one_is_needed(machine: Machine, method: str) -> None:
    told = machine.registered(METHODS[method])
    assert told["token_endpoint_auth_method"] == method
    has_secret = method.startswith("client_secret")
    assert {"client_secret", "client_secret_expires_at"} & told.keys() == (
        {"client_secret", "client_secret_expires_at"} if has_secret else set()
    )
    assert ClientSecret.objects.count() == int(has_secret)
    assert {"registration_client_uri", "registration_access_token"} <= told.keys()


@pytest.mark.spec("DCR-RESP-05", "DCR-MGT-16")
@pytest.mark.threat("R15", "R04")
def test_credentials_have_256_random_bits_and_are_kept_as_digests(machine: Machine) -> None:
    told = machine.registered()
    for value, prefix in ((told["client_secret"], "ccs_"), (told["registration_access_token"], "ccr_")):
        assert re.fullmatch(prefix + r"[A-Za-z0-9_-]{43}", value)
        assert len(base64.urlsafe_b64decode(value[4:] + "=")) == 32
    for row in (ClientSecret.objects.get(), RegistrationAccessToken.objects.get()):
        assert len(row.digest) == 64
        stored = [str(getattr(row, field.attname)) for field in row._meta.concrete_fields]
        assert not [value for value in stored if told["client_secret"][:12] in value or told["registration_access_token"][:12] in value]
    token = RegistrationAccessToken.objects.get()
    assert (token.client.client_id, token.expires_at, token.revoked_at) == (told["client_id"], None, None)
    assert token.initial_access_token == InitialAccessToken.objects.get()


@pytest.mark.spec("DCR-RESP-06")
@pytest.mark.parametrize(
    "broken",
    [
        "dcr.registration.count_use",
        "dcr.registration.issue_registration_access_token",
        "registry.lifecycle.dynamic.record_step",
        "registry.lifecycle.dynamic.write_secret",
        "registry.lifecycle.dynamic.grant_scopes",
    ],
)
def test_a_registration_that_fails_in_its_midst_leaves_nothing(machine: Machine, monkeypatch: pytest.MonkeyPatch, broken: str) -> None:
    machine.registered()  # what is made at first use is there
    before = row_counts()

    def fail(*args: Any, **options: Any) -> Any:
        raise RuntimeError("in its midst")

    monkeypatch.setattr(broken, fail)
    machine.client.raise_request_exception = False
    answer = machine.register()
    assert answer.status_code == 500
    assert "client_id" not in answer.json()
    assert row_counts() == before


@pytest.mark.spec("DCR-RESP-06")
def test_one_registration_writes_one_row_of_each_and_a_trail_that_names_the_token(machine: Machine) -> None:
    machine.registered()
    before = row_counts()
    told = machine.registered()
    written = {name: count - before[name] for name, count in row_counts().items() if count != before[name]}
    rows = ("registry_client", "registry_clientsecret", "registry_entitlement", "registry_auditevent", "dcr_registrationaccesstoken")
    assert written == dict.fromkeys(rows, 1)
    event = AuditEvent.objects.get(event="client.registered", object_id=str(client_of(told).reference))
    token = InitialAccessToken.objects.get()
    assert (event.actor_kind, event.actor_id, event.source_address) == ("iat", str(token.reference), "127.0.0.1")
    assert event.difference["grant_types"] == [None, ["client_credentials"]]
    assert token.last_used_at is not None


@pytest.mark.spec("DCR-RESP-07")
@pytest.mark.parametrize("document", [MACHINE, WEBSITE, signer(), NATIVE, {**EVERYTHING, "jwks": {"keys": [key().public_jwk()]}}])
def test_an_answer_sent_back_changes_nothing(machine: Machine, document: dict[str, Any]) -> None:
    told = machine.registered(document)
    rows, before = row_counts(), Client.objects.values().get(client_id=told["client_id"])
    before.pop("updated")
    answer = machine.replace(told)
    assert answer.status_code == 200
    again = {**answer.json(), **{name: told[name] for name in ("client_secret", "client_secret_expires_at", "notes") if name in told}}
    assert again == {**told, **({"notes": again["notes"]} if "notes" in again else {})}
    assert row_counts() == rows
    after = Client.objects.values().get(client_id=told["client_id"])
    assert {name: after[name] for name in before if name != "declared_metadata"} == {
        name: value for name, value in before.items() if name != "declared_metadata"
    }


@pytest.mark.spec("DCR-RESP-08", "DCR-IAT-05")
def test_a_sensitive_scope_is_registered_but_not_granted_until_staff_approve(
    machine: Machine, post_form: Any, cast: Cast, now: datetime
) -> None:
    told = machine.registered(scope="bookings.read bookings.write")
    assert told["scope"] == "bookings.read bookings.write"
    basic = (told["client_id"], told["client_secret"])
    asked = {"grant_type": "client_credentials", "scope": "bookings.write"}
    assert outcome(post_form(TOKEN, asked, basic=basic)) == "400 invalid_scope"
    assert set(Entitlement.objects.values_list("value", flat=True)) == {"bookings.read"}
    assert machine.read(told).json()["stage"] == "test"


@pytest.mark.spec("DCR-RESP-08")
def test_a_registration_that_is_suspended_gets_no_token(machine: Machine, post_form: Any, cast: Cast, now: datetime) -> None:
    told = machine.registered()
    change_client(client_of(told), "suspend", cast.as_reviewer, now=now, reason="a doubt")
    answer = post_form(TOKEN, {"grant_type": "client_credentials"}, basic=(told["client_id"], told["client_secret"]))
    assert outcome(answer) in ("400 unauthorized_client", "401 invalid_client")


# What is ignored, replaced, told


@pytest.mark.spec("DCR-META-01", "DCR-META-49", "DCR-META-51", "DCR-META-52", "DCR-LANG-04")
def test_unknown_members_are_neither_refused_nor_kept(machine: Machine) -> None:
    unknown = {
        "unheard_of": {"deep": [1, None, "x"]},
        "redirect_uris#fr": ["javascript:alert(1)"],
        "jwks#de": 5,
        "": "x",
        "client_name#": "x",
        "client_registration_types": ["automatic"],
        "organization_name": "Evil",
        "response_modes": ["form_post"],
        "use_mtls_endpoint_aliases": True,
        "authorization_signed_response_alg": "none",
        "authorization_details_types": ["x"],
        "trust_chain": [],
        "metadata": {},
        "scope#en": "x",
    }
    unknown.pop("client_name#")
    told = machine.registered({**MACHINE, **unknown})
    assert not unknown.keys() & told.keys()
    client = client_of(told)
    assert metadata_in(told) == metadata_in(machine.registered())
    assert client.declared_metadata == MACHINE
    assert not unknown.keys() & (client.metadata.keys() | client.declared_metadata.keys())


@pytest.mark.spec("DCR-META-02")
@pytest.mark.parametrize("nothing", [None, ""])
def test_null_and_the_empty_text_count_as_left_out(machine: Machine, nothing: Any) -> None:
    members = set(EVERYTHING) | {"jwks", "jwks_uri", "sector_identifier_uri", "client_name#fr"}
    emptied = {**dict.fromkeys(members, nothing), "grant_types": ["client_credentials"]}
    told = machine.registered(emptied)
    assert metadata_in(told) == metadata_in(machine.registered({"grant_types": ["client_credentials"]}))
    full = machine.registered({**EVERYTHING, "jwks": {"keys": [key().public_jwk()]}})
    replaced = machine.replace(full, emptied)
    assert metadata_in(replaced.json()) == metadata_in(told)


@pytest.mark.spec("DCR-META-05")
@pytest.mark.threat("R03")
def test_what_only_the_server_says_is_ignored_when_a_client_says_it(machine: Machine) -> None:
    chosen = {
        "client_id": "mine",
        "client_secret": "hunter2",
        "client_id_issued_at": 1,
        "client_secret_expires_at": 1,
        "registration_access_token": "mine",
        "registration_client_uri": "https://evil.example/",
        "stage": "live",
        "org_id": "x",
        "notes": [],
        "change_request": {},
    }
    told = machine.registered({**MACHINE, **chosen})
    assert not [name for name in chosen if told.get(name) == chosen[name]]
    assert told["stage"] == "test"
    assert outcome(machine.send("GET", "/register/mine", token="mine")) == "401 invalid_token"


@pytest.mark.spec("DCR-META-03", "DCR-META-22")
def test_duplicates_go_and_the_order_stays(machine: Machine) -> None:
    uris = ["https://lighthouse.example/b", "https://lighthouse.example/a"]
    told = machine.registered(WEBSITE, redirect_uris=[*uris, uris[0]], contacts=["b@a.example", "a@a.example", "b@a.example"])
    assert told["redirect_uris"] == uris
    assert told["contacts"] == ["b@a.example", "a@a.example"]


@pytest.mark.spec("DCR-META-21", "DCR-META-23", "DCR-META-24")
def test_grants_and_response_types_complete_each_other_in_any_order(machine: Machine) -> None:
    for grants in (["authorization_code", "refresh_token"], ["refresh_token", "authorization_code"]):
        told = machine.registered(WEBSITE, grant_types=grants)
        assert (told["grant_types"], told["response_types"]) == (grants, ["code"])
    told = machine.registered(WEBSITE, response_types=["code"])
    assert told["grant_types"] == ["authorization_code"]
    told = machine.registered({"response_types": []})
    assert (told["grant_types"], told["response_types"]) == (["client_credentials"], [])
    assert "redirect_uris" not in told


@pytest.mark.spec("DCR-META-04", "DCR-META-28")
def test_scopes_that_are_not_granted_are_left_out_and_the_notes_say_so(machine: Machine) -> None:
    Scope.objects.create(name="old", title="Old", is_retired=True)
    told = machine.registered(scope="bookings.write unknown old bookings.read")
    assert told["scope"] == "bookings.write bookings.read"
    (note,) = told["notes"]
    assert (note["member"], note["rule"]) == ("scope", "policy.scope.unknown")
    assert "unknown" in note["description"]
    assert "scope" not in machine.registered(scope="unknown")
    assert "scope" not in machine.registered(scope=...)


@pytest.mark.spec("DCR-META-26", "DCR-META-07")
def test_what_is_odd_but_allowed_is_told(machine: Machine) -> None:
    told = machine.registered(WEBSITE, client_uri="https://elsewhere.example/", redirect_uris=["https://lighthouse.example/cb?x=1"])
    assert {note["rule"] for note in told["notes"]} == {"url.other_host", "redirect_uri.query"}


# What is refused


def at(*uris: Any, **members: Any) -> dict[str, Any]:
    return {**WEBSITE, "redirect_uris": list(uris), **members}


def own(*uris: Any, **members: Any) -> dict[str, Any]:
    return {**NATIVE, "redirect_uris": list(uris), **members}


def jwk(algorithm: str = "ES256", number: int = 7, **members: Any) -> dict[str, Any]:
    made = {**key(algorithm, number).public_jwk(), **members}
    return {name: value for name, value in made.items() if value is not ...}


def keyed(*keys: Any, **members: Any) -> dict[str, Any]:
    return {**signer(), "jwks": {"keys": list(keys)}, **members}


GOOD = "https://lighthouse.example/cb"
REFUSED: list[tuple[str, str, dict[str, Any]]] = [
    ("DCR-META-10", IRU, {"client_name": "x"}),
    ("DCR-META-10", IRU, at()),
    ("DCR-META-10", IRU, {"client_name": "x", "redirect_uris": None}),
    ("DCR-META-10", IRU, {"grant_types": ["authorization_code", "client_credentials"]}),
    ("DCR-META-03", IRU, {**WEBSITE, "redirect_uris": GOOD}),
    ("DCR-META-03", IRU, {**WEBSITE, "redirect_uris": {"0": GOOD}}),
    ("DCR-META-03", IRU, at(GOOD, 5)),
    ("DCR-META-03", IRU, at(GOOD, None)),
    ("DCR-META-03", IRU, at("")),
    *(
        ("DCR-META-11", IRU, at(uri))
        for uri in (GOOD + "#x", GOOD + "#", "/cb", "lighthouse.example/cb", "https:", "https:/x", "//x/cb", "https://[::1", "::")
    ),
    *(
        ("DCR-META-12", IRU, at(uri))
        for uri in (
            *("https://user:pw@lighthouse.example/cb", "https://user@lighthouse.example/cb", "https://lighthouse.example/c b", " " + GOOD),
            *("https://rp.example/cb https://evil.example/cb", GOOD + "\t", GOOD + "\n", "https://lighthouse.example\\@evil.example/"),
            *(
                "https://größe.example/cb",
                "https://lighthouse.example/größe",
                "https://*.lighthouse.example/cb",
                "https://lighthouse.example/*",
            ),
            *("https://lighthouse.example/a/../cb", "https://lighthouse.example/%2e%2e/cb", "https://lighthouse.example/./cb"),
            *(
                "https:///cb",
                "https://:443/cb",
                "https://lighthouse.example:0/",
                "https://lighthouse.example:99999/",
                "https://lighthouse.example:x/",
            ),
            "https://lighthouse.example/" + "x" * 2022,
        )
    ),
    *(("DCR-META-13", ICM, {**WEBSITE, "application_type": value}) for value in ("desktop", "Web", 5, ["web"], True)),
    *(("DCR-META-14", IRU, at(uri)) for uri in ("http://lighthouse.example/cb", "http://localhost/cb", "com.example.app:/cb")),
    *(
        ("DCR-META-15", IRU, own(uri))
        for uri in (
            "app:/cb",
            "http://lighthouse.example/cb",
            "https://127.0.0.1/cb",
            "https://localhost/cb",
            "https://[::1]/cb",
            "http://localhost/cb",
        )
    ),
    *(
        ("DCR-META-16", IRU, one)
        for uri in (
            *(
                "javascript:alert(1)",
                "JavaScript:alert(1)",
                "data:text/html,x",
                "vbscript:x",
                "file:///etc/passwd",
                "blob:https://x/y",
                "about:blank",
            ),
            *("ws://x/", "wss://x/", "ftp://x/", "mailto:a@b.example", "intent://x#Intent;end", "view-source:https://x/"),
        )
        for one in (at(uri), own(uri))
    ),
    *(
        ("DCR-META-18", ICM, {**WEBSITE, "token_endpoint_auth_method": value})
        for value in ("client_secret_jwt", "tls_client_auth", "self_signed_tls_client_auth", "NONE", "x", 5, [])
    ),
    ("DCR-META-19", ICM, {**MACHINE, "token_endpoint_auth_method": "none"}),
    ("DCR-META-20", ICM, {**MACHINE, "token_endpoint_auth_signing_alg": "ES256"}),
    *(("DCR-META-20", ICM, signer(token_endpoint_auth_signing_alg=value)) for value in ("none", "HS256", "ES257", "", 5) if value != ""),
    ("DCR-META-20", ICM, signer(token_endpoint_auth_signing_alg="PS256")),  # no key can
    *(
        ("DCR-META-21", ICM, {**WEBSITE, "grant_types": value})
        for value in (
            ["password"],
            ["implicit"],
            ["authorization_code", "implicit"],
            ["urn:x"],
            "authorization_code",
            [],
            {},
            [""],
            [5],
            [None],
        )
    ),
    *(
        ("DCR-META-22", ICM, {**WEBSITE, "response_types": value})
        for value in (["token"], ["id_token"], ["code id_token"], ["id_token code"], ["none"], "code", ["code", 5])
    ),
    ("DCR-META-23", ICM, {**MACHINE, "response_types": ["code"]}),
    ("DCR-META-23", ICM, {**WEBSITE, "grant_types": ["authorization_code"], "response_types": []}),
    ("DCR-META-23", ICM, {**WEBSITE, "grant_types": ["authorization_code"], "response_types": ["token"]}),
    ("DCR-META-24", ICM, {**MACHINE, "grant_types": ["client_credentials", "refresh_token"]}),
    ("DCR-META-24", ICM, {**MACHINE, "grant_types": ["refresh_token"]}),
    *(
        ("DCR-META-25", ICM, {**MACHINE, "client_name": value})
        for value in (5, [], {}, True, "   ", "x" * 256, "a\x07b", "a\u202eb", "a\u200bb", "a\nb", ["x"])
    ),
    *(
        ("DCR-META-26", ICM, {**MACHINE, member: value})
        for member in ("client_uri", "logo_uri", "tos_uri", "policy_uri")
        for value in ("http://lighthouse.example/", "javascript:alert(1)", "data:image/png,x", 5, "https://", "https://u:p@x.example/", " ")
    ),
    *(
        ("DCR-META-27", ICM, {**MACHINE, "contacts": value})
        for value in ("a@b.example", ["mailto:a@b.example"], ["x"], [5], ["a@b.example\r\nBcc: x@y.example"])
    ),
    *(("DCR-META-28", ICM, {**MACHINE, "scope": value}) for value in (["bookings.read"], 5, 'a"b', "größe", "a\tb", "a\\b")),
    *(
        ("DCR-META-29", ICM, {**MACHINE, "token_endpoint_auth_method": "private_key_jwt", "jwks_uri": value})
        for value in (
            "http://lighthouse.example/jwks",
            "https://u:p@lighthouse.example/jwks",
            "https://lighthouse.example/jwks#x",
            5,
            ["https://x.example/"],
        )
    ),
    ("DCR-META-29", ICM, signer(jwks_uri="https://lighthouse.example/jwks")),
    *(("DCR-META-30", ICM, signer(jwks=value)) for value in ({}, {"keys": []}, {"keys": {}}, [], "x", 5, {"keys": [5]}, {"keys": [{}]})),
    ("DCR-META-31", ICM, {**MACHINE, "token_endpoint_auth_method": "private_key_jwt"}),
    ("DCR-META-31", ICM, {**WEBSITE, "request_object_signing_alg": "ES256"}),
    ("DCR-META-31", ICM, {**WEBSITE, "require_signed_request_object": True}),
    *(
        ("DCR-META-32", ICM, {**MACHINE, member: value})
        for member in ("software_id", "software_version")
        for value in (5, "x" * 256, "a\0b"[:1] + "\x01")
    ),
    *(("DCR-META-34", ICM, {**WEBSITE, "subject_type": value}) for value in ("pairwise", "x", 5)),
    *(("DCR-META-35", ICM, {**WEBSITE, "sector_identifier_uri": value}) for value in ("http://lighthouse.example/sector", 5, "x")),
    *(("DCR-META-36", ICM, {**WEBSITE, "id_token_signed_response_alg": value}) for value in ("none", "HS256", "RS512", 5)),
    *(
        ("DCR-META-37", ICM, {**WEBSITE, f"{what}_{part}": value})
        for what in (
            "id_token_encrypted_response",
            "userinfo_encrypted_response",
            "request_object_encryption",
            "authorization_encrypted_response",
        )
        for part, value in (("alg", "RSA-OAEP"), ("enc", "A128GCM"))
    ),
    ("DCR-META-37", ICM, {**WEBSITE, "introspection_encrypted_response_alg": "RSA-OAEP"}),
    ("DCR-META-38", ICM, {**WEBSITE, "userinfo_signed_response_alg": "ES256"}),
    *(
        ("DCR-META-39", ICM, {**WEBSITE, "jwks": {"keys": [key().public_jwk()]}, "request_object_signing_alg": value})
        for value in ("none", "HS256", 5, "PS256")
    ),
    *(("DCR-META-40", ICM, {**WEBSITE, "require_signed_request_object": value}) for value in ("true", 1, [])),
    *(("DCR-META-41", ICM, {**WEBSITE, "require_pushed_authorization_requests": value}) for value in ("true", 1, {})),
    *(("DCR-META-42", ICM, {**WEBSITE, "request_uris": value}) for value in (["https://lighthouse.example/request"], "x", [5])),
    *(("DCR-META-43", ICM, {**WEBSITE, "default_max_age": value}) for value in (-1, 1.5, "60", True, 2**60)),
    *(("DCR-META-43", ICM, {**WEBSITE, "require_auth_time": value}) for value in ("true", 1)),
    ("DCR-META-43", ICM, {**WEBSITE, "default_acr_values": ["urn:x"]}),
    *(
        ("DCR-META-44", ICM, {**WEBSITE, "initiate_login_uri": value})
        for value in ("http://lighthouse.example/login", "x", 5, "com.example.app:/x")
    ),
    *(
        ("DCR-META-45", ICM, {**WEBSITE, "post_logout_redirect_uris": value})
        for value in (
            "https://x.example/",
            ["http://lighthouse.example/"],
            ["https://lighthouse.example/#x"],
            ["javascript:alert(1)"],
            [5],
            ["https://*.x.example/"],
        )
    ),
    *(
        ("DCR-META-46", ICM, {**WEBSITE, member: value})
        for member, value in (
            *(("backchannel_logout_uri", "https://lighthouse.example/out"), ("frontchannel_logout_uri", "https://lighthouse.example/out")),
            *(("backchannel_logout_session_required", True), ("frontchannel_logout_session_required", "x")),
        )
    ),
    ("DCR-META-47", ICM, {**MACHINE, "token_endpoint_auth_method": "tls_client_auth", "tls_client_auth_subject_dn": "CN=x"}),
    *(
        ("DCR-META-48", ICM, {**MACHINE, member: True})
        for member in ("tls_client_certificate_bound_access_tokens", "dpop_bound_access_tokens")
    ),
    *(
        ("DCR-LANG-01", ICM, {**MACHINE, name: value})
        for name, value in (("client_name#de", 5), ("logo_uri#de", "http://x.example/"), ("client_name#de", "a\u202eb"))
    ),
    *(
        ("DCR-LANG-02", ICM, {**MACHINE, name: "x"})
        for name in ("client_name#", "client_name#d_e", "client_name#de#fr", "client_name#" + "x" * 40)
    ),
    ("DCR-LANG-02", ICM, {**MACHINE, "client_name#de": "x", "client_name#DE": "x"}),
    ("DCR-LANG-02", ICM, {**MACHINE, **{f"client_name#de-x-{number}": "x" for number in range(21)}}),
    ("DCR-JWK-01", ICM, keyed({"kty": "unheard-of", "kid": "1"})),
    ("DCR-JWK-01", ICM, keyed("x")),
    ("DCR-JWK-02", ICM, keyed(jwk(), {"kty": "oct", "k": "AAAA", "kid": "2"})),
    *(("DCR-JWK-02", ICM, keyed(jwk(**{member: "AAAA"}))) for member in ("d", "p", "q", "dp", "dq", "qi", "k")),
    ("DCR-JWK-02", ICM, keyed(jwk(oth=[]))),
    ("DCR-JWK-03", ICM, keyed(jwk(kid="a"), jwk(number=8, kid="a"))),
    ("DCR-JWK-03", ICM, keyed(jwk(kid=...), jwk(number=8, kid=...))),
    ("DCR-JWK-04", ICM, keyed(jwk(crv="P-192"))),
    ("DCR-JWK-04", ICM, keyed(jwk(crv="secp256k1"))),
    ("DCR-JWK-04", ICM, keyed(jwk(x="A" * 43))),  # not on the curve
    ("DCR-JWK-04", ICM, keyed(jwk(x=jwk()["x"] + "="))),
    ("DCR-JWK-04", ICM, keyed({"kty": "RSA", "n": "A" * 171, "e": "AQAB", "kid": "1"})),
    ("DCR-JWK-05", ICM, keyed(jwk(use="enc"))),
    ("DCR-JWK-05", ICM, keyed(jwk(use="sig", key_ops=["encrypt"]))),
    ("DCR-JWK-05", ICM, keyed(jwk(alg="ES384"))),
    ("DCR-JWK-05", ICM, keyed(jwk(), token_endpoint_auth_signing_alg="EdDSA")),
    ("DCR-JWK-06", ICM, keyed(jwk(x5c=["AAAA"]))),
]


@pytest.mark.spec(
    *(
        "DCR-META-03",
        "DCR-META-10",
        "DCR-META-11",
        "DCR-META-12",
        "DCR-META-13",
        "DCR-META-14",
        "DCR-META-15",
        "DCR-META-16",
        "DCR-META-18",
    ),
    *(
        "DCR-META-19",
        "DCR-META-20",
        "DCR-META-21",
        "DCR-META-22",
        "DCR-META-23",
        "DCR-META-24",
        "DCR-META-25",
        "DCR-META-26",
        "DCR-META-27",
    ),
    *(
        "DCR-META-28",
        "DCR-META-29",
        "DCR-META-30",
        "DCR-META-31",
        "DCR-META-32",
        "DCR-META-34",
        "DCR-META-35",
        "DCR-META-36",
        "DCR-META-37",
    ),
    *(
        "DCR-META-38",
        "DCR-META-39",
        "DCR-META-40",
        "DCR-META-41",
        "DCR-META-42",
        "DCR-META-43",
        "DCR-META-44",
        "DCR-META-45",
        "DCR-META-46",
    ),
    *("DCR-META-47", "DCR-META-48", "DCR-LANG-01", "DCR-LANG-02", "DCR-JWK-01", "DCR-JWK-02", "DCR-JWK-03", "DCR-JWK-04", "DCR-JWK-05"),
    *("DCR-JWK-06", "DCR-ERR-01", "DCR-ERR-02", "DCR-ERR-03", "DCR-HTTP-07", "DCR-MGT-11", "DCR-MGT-12"),
)
@pytest.mark.threat("R02", "F08")
@pytest.mark.parametrize("line", sorted({line for line, _, _ in REFUSED}))
def test_what_the_line_refuses_is_refused_on_registering_and_on_updating_and_writes_nothing(machine: Machine, line: str, web: Any) -> None:
    told = machine.registered({**EVERYTHING, "jwks": {"keys": [key().public_jwk()]}})
    before = row_counts()
    for wanted, document in ((error, body) for name, error, body in REFUSED if name == line):
        answer = machine.register(document)
        assert outcome(answer) == wanted, (document, answer.content)
        body = answer.json()
        assert answer["Content-Type"] == "application/json"
        assert not set(BESIDE) & body.keys()
        assert body["invalid_members"], document
        for member in body["invalid_members"]:
            assert re.fullmatch(r"[a-z0-9_]+(#.{0,40})?", member), member
            assert member in body["error_description"]
        update = machine.replace(told, document)
        assert {**update.json(), "instance": ""} == {**body, "instance": ""}, document
        after = row_counts()
        del after["dcr_refusedregistration"]  # what is refused for its form is not kept there
        assert after == {name: count for name, count in before.items() if name != "dcr_refusedregistration"}, document
    assert web.total == 0
    assert machine.read(told).json() == {name: value for name, value in told.items() if name not in ("client_secret_expires_at", "notes")}


ACCEPTED: list[tuple[str, dict[str, Any]]] = [
    ("DCR-META-10", {"grant_types": ["client_credentials"], "redirect_uris": []}),
    ("DCR-META-14", at("http://127.0.0.1:8080/cb")),  # in test only
    ("DCR-META-15", own("http://127.0.0.1/cb", "http://[::1]:99/cb", "https://app.lighthouse.example/cb", "com.example.app:/cb")),
    ("DCR-META-19", {**WEBSITE, "token_endpoint_auth_method": "none"}),
    ("DCR-META-20", signer(token_endpoint_auth_signing_alg="ES256")),
    ("DCR-META-47", {**MACHINE, "tls_client_auth_subject_dn": "CN=x"}),
    ("DCR-META-46", {**MACHINE, "backchannel_logout_session_required": False}),
    ("DCR-JWK-01", keyed({"kty": "unheard-of", "kid": "1"}, jwk())),
    ("DCR-JWK-03", keyed(jwk(kid="a"), jwk(number=8, kid="b"))),
    ("DCR-JWK-06", keyed(jwk(x5u="https://lighthouse.example/x5u"))),
    ("DCR-META-37", {**MACHINE, "id_token_encrypted_response_alg": None}),
]


@pytest.mark.spec("DCR-META-10", "DCR-META-14", "DCR-META-15", "DCR-META-19", "DCR-META-47", "DCR-JWK-01", "DCR-JWK-03", "DCR-JWK-06")
def test_what_a_line_allows_is_registered(machine: Machine, web: Any) -> None:
    for line, document in ACCEPTED:
        answer = machine.register(document)
        assert answer.status_code == 201, (line, answer.content)
        assert not [name for name in answer.json() if name.startswith("tls_client_auth_")]
    assert web.total == 0  # least of all an x5u


@pytest.mark.spec("DCR-META-14", "DCR-META-15")
def test_a_live_website_has_no_loopback_address(holder: Callable[..., Machine]) -> None:
    assert outcome(holder(stage="live").register(at("http://127.0.0.1:8080/cb"))) == IRU
    assert holder(stage="live").register(own("http://127.0.0.1/cb")).status_code == 201


@pytest.mark.spec("DCR-META-06", "DCR-ERR-03")
def test_all_faults_are_told_at_once_and_the_graver_code_wins(machine: Machine) -> None:
    faulty = {"client_name": 5, "contacts": "x", "logo_uri": "x", "jwks": {}, "redirect_uris": ["x"]}
    answer = machine.register(faulty)
    assert outcome(answer) == IRU
    body = answer.json()
    assert set(body["invalid_members"]) == set(faulty)
    assert all(f"{member}" in body["error_description"] for member in faulty)
    answer = machine.register({**faulty, "redirect_uris": WEBSITE["redirect_uris"]})
    assert outcome(answer) == ICM
    assert outcome(machine.register({**faulty, "software_statement": "x"})) == "400 invalid_software_statement"


@pytest.mark.spec("DCR-ERR-01")
def test_an_error_says_the_same_in_the_members_of_rfc_9457(machine: Machine) -> None:
    answer = machine.send("POST", "/register", {"client_name": 5}, token=machine.token, Accept="application/problem+json")
    body = answer.json()
    assert answer["Content-Type"] == "application/problem+json"
    assert (body["status"], body["detail"]) == (400, body["error_description"])
    assert body["instance"] == f"urn:request:{answer['X-Request-ID']}"


@pytest.mark.spec("DCR-JWK-02")
def test_who_sends_a_private_key_is_told_that_it_is_burnt(machine: Machine) -> None:
    private = generate_private_key("ES256")
    answer = machine.register(keyed({**private.public_jwk(), "d": "A" * 43}))
    assert outcome(answer) == ICM
    assert re.search(r"private|secret", answer.json()["error_description"])
    assert re.search(r"burnt|replace|new key|no longer|another|revoke|discard", answer.json()["error_description"])


# What is registered is what counts later


@pytest.mark.spec("DCR-META-20", "DCR-META-18")
def test_an_assertion_is_signed_by_the_registered_algorithm_and_no_other_method_works(
    machine: Machine, post_form: Any, now: datetime
) -> None:
    keys = {"jwks": {"keys": [key().public_jwk(), key("PS256", 1).public_jwk()]}}
    told = machine.registered({**signer(), **keys, "token_endpoint_auth_signing_alg": "ES256"})
    caller = Caller(client_of(told), "private_key_jwt", now, key=key())
    asked = {"grant_type": "client_credentials"}
    assert outcome(post_form(TOKEN, {**asked, **assertion_parameters(caller.assertion())})) == "200"
    other = caller.assertion(signer=key("PS256", 1))
    assert outcome(post_form(TOKEN, {**asked, **assertion_parameters(other)})) == "401 invalid_client"
    by_post = machine.registered(token_endpoint_auth_method="client_secret_post")
    assert outcome(post_form(TOKEN, asked, basic=(by_post["client_id"], by_post["client_secret"]))) == "401 invalid_client"


@pytest.mark.spec("DCR-META-17", "DCR-META-11")
@pytest.mark.threat("F08")
def test_at_authorize_a_redirect_uri_counts_as_registered_but_for_a_loopback_port(machine: Machine, client: Browser) -> None:
    told = machine.registered(own("http://127.0.0.1/cb", "https://app.lighthouse.example/cb?x=1"))
    asked = {
        "client_id": told["client_id"],
        "response_type": "code",
        "scope": "openid",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    }
    right = ("http://127.0.0.1/cb", "http://127.0.0.1:51004/cb", "https://app.lighthouse.example/cb?x=1")
    wrong = (
        *("http://127.0.0.1:51004/cb2", "http://localhost:51004/cb", "http://[::1]/cb", "http://127.0.0.1/cb?x=1", "https://127.0.0.1/cb"),
        *("https://app.lighthouse.example/cb", "https://app.lighthouse.example:444/cb?x=1", "https://app.lighthouse.example/cb?x=1&y=2"),
    )
    for uri in (*right, *wrong):
        answer = client.get(AUTHORIZE, {**asked, "redirect_uri": uri})
        assert (answer.status_code == 400) == (uri in wrong), (uri, answer.status_code)


@pytest.mark.spec("DCR-JWK-09")
def test_a_key_of_a_client_of_another_organization_is_seen(
    machine: Machine, cast: Cast, now: datetime, holder: Callable[..., Machine]
) -> None:
    first = client_of(machine.registered(signer()))
    other = make_organization(cast.stranger, cast.reviewer, now, "Tidewater")
    second = client_of(holder(organization=other).registered(signer(client_name="Copy")))
    assert list(clients_sharing_keys(second)) == [first]
    assert list(clients_sharing_keys(first)) == [second]


@pytest.mark.spec("DCR-META-07")
def test_a_form_makes_the_same_of_a_document_as_a_registration(machine: Machine, cast: Cast, now: datetime) -> None:
    for document in (
        MACHINE,
        WEBSITE,
        signer(),
        {**EVERYTHING, "jwks": {"keys": [key().public_jwk()]}},
        {**MACHINE, "scope": "x bookings.read"},
    ):
        by_hand = register_client(cast.as_owner, cast.organization, document, now=now)
        assert metadata_in(machine.registered(document)) == by_hand.metadata
        assert client_of(machine.registered(document)).declared_metadata == by_hand.declared_metadata


@pytest.mark.spec("DCR-IAT-01", "DCR-HTTP-10")
@pytest.mark.threat("R01", "R12")
def test_an_open_registration_stays_in_test_and_has_few_redirect_uris(client: Browser, settings: Any, now: datetime) -> None:
    settings.OPEN_REGISTRATION = True
    stranger = Machine(client)
    told = stranger.registered(WEBSITE)
    row = client_of(told)
    assert (told["stage"], row.organization.state, row.created_by) == ("test", "draft", None)
    six = [f"https://lighthouse.example/{number}" for number in range(6)]
    assert outcome(stranger.register(at(*six))) == IRU
    assert outcome(stranger.replace(told, at(*six))) == IRU
    assert stranger.replace(told, at(*six[:5])).status_code == 200
    assert client_of(stranger.registered(WEBSITE)).organization == row.organization
    assert outcome(Machine(client, "cci_unknown").register(WEBSITE)) == "401 invalid_token"  # a bad token is not no token


@pytest.mark.threat("O10")
def test_what_introspection_says_of_a_registered_client(machine: Machine, cast: Cast, now: datetime, post_form: Any) -> None:
    told = machine.registered()
    asked = {"grant_type": "client_credentials", "scope": "bookings.read"}
    token = post_form(TOKEN, asked, basic=(told["client_id"], told["client_secret"])).json()["access_token"]
    server = make_caller(cast.organization, now, "client_secret_basic")
    seen = post_form(INTROSPECT, {"token": token}, basic=(server.client_id, server.secret)).json()
    assert (seen["client_id"], seen["stage"], seen["org_id"]) == (told["client_id"], "test", told["org_id"])
