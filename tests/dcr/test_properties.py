"""What holds for any document: an update is accepted when a registration is, and no member reaches what is ours (threats.md R02, R03)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.apps import apps
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dcr.models import InitialAccessToken, RegistrationAccessToken
from protocol.fetch import InMemoryFetcher, Page
from registry.models import Client
from tests.authserver.support import outcome
from tests.dcr.support import MACHINE, SERVERS_OWN, WEBSITE, Machine, client_of, make_profile, metadata_in, place_of, row_counts, statements
from tests.registry.support import documents, json_values, jwks, website
from tests.registry.support import machine as machine_document

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("room")]
Holder = Callable[..., Machine]

# The first example pays for keys, and machines that run tests are busy.
PATIENT: dict[str, Any] = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow, HealthCheck.filter_too_much]}
RESTRICTIONS: dict[str, Any] = {
    "grant_types": ["authorization_code", "client_credentials"],
    "token_endpoint_auth_methods": ["client_secret_basic", "private_key_jwt"],
    "allowed_scopes": ["bookings.read"],
    "redirect_hosts": ["app.example.org", "127.0.0.1", "com.example.app:"],
}
# What a client says of itself in an update is checked before the document is.
_ABOUT_ITSELF = ("client_id", "client_secret", "registration_access_token", "registration_client_uri")
good = st.sampled_from(
    [
        website(),
        machine_document(),
        website(token_endpoint_auth_method="none"),
        machine_document(token_endpoint_auth_method="private_key_jwt", jwks=jwks()),
        website(grant_types=["authorization_code", "refresh_token"], scope="bookings.read bookings.write"),
        website(application_type="native", redirect_uris=["com.example.app:/cb", "http://127.0.0.1/cb"]),
        website(sector_identifier_uri="https://app.example.org/sector.json"),
    ]
)
bodies = (documents | st.builds(lambda one, other: {**one, **other}, good, documents)).map(
    lambda document: {name: value for name, value in document.items() if name not in _ABOUT_ITSELF}
)


@pytest.fixture
def answering(web: InMemoryFetcher) -> None:
    """Serve keys at one address and a list of redirect URIs at another."""
    web.put("https://app.example.org/jwks.json", Page(json.dumps(jwks()).encode(), "application/jwk-set+json"))
    uris = ["https://app.example.org/cb", "https://app.example.org"]
    web.put("https://app.example.org/sector.json", Page(json.dumps(uris).encode(), "application/json"))


def sent(document: dict[str, Any]) -> bytes:
    return json.dumps(document).encode()


def is_like(update: Any, registration: Any) -> bool:
    """Say whether an update and a registration of the same document came out alike."""
    if registration.status_code != 201:
        told, wanted = update.json(), registration.json()
        return outcome(update) == outcome(registration) and told["error_description"] == wanted["error_description"]
    return update.status_code == 200 and metadata_in(update.json()) == metadata_in(registration.json())


@pytest.mark.spec("DCR-MGT-11", "DCR-META-07", "DCR-MGT-06", "DCR-IAT-05")
@pytest.mark.threat("R02")
@pytest.mark.parametrize("kind", ["free", "restricted", "profile", "live"])
def test_an_update_is_accepted_when_a_registration_of_the_same_document_is_and_comes_out_alike(
    holder: Holder, answering: None, kind: str
) -> None:
    terms: dict[str, Any] = {"free": {}, "restricted": {"restrictions": RESTRICTIONS}, "live": {"stage": "live"}}.get(kind, {})
    if kind == "profile":
        values = {
            "redirect_uris_limit": 2,
            "loopback_http_in_test": False,
            "id_token_algorithms": ["ES256"],
            "default_scopes": ["bookings.read"],
        }
        terms = {"profile": make_profile(values=values), "restrictions": RESTRICTIONS}
    machine = holder(uses_limit=1000, **terms)

    @settings(max_examples=40, **PATIENT)
    @given(good, bodies)
    def check(first: dict[str, Any], second: dict[str, Any]) -> None:
        registered = machine.register(sent(first))
        if registered.status_code != 201:
            return
        told = registered.json()
        registration = machine.register(sent(second))
        update = machine.send(
            "PUT", place_of(told), sent({**second, "client_id": told["client_id"]}), token=told["registration_access_token"]
        )
        if kind == "live" and update.status_code == 200 and "change_request" in update.json():
            assert registration.status_code == 201
            assert update.json()["change_request"]["metadata"] == metadata_in(registration.json())
            assert metadata_in(update.json()) == metadata_in(told)
            return
        assert is_like(update, registration), (second, update.content, registration.content)

    check()


@pytest.mark.spec("DCR-RESP-07", "DCR-MGT-06")
@pytest.mark.parametrize("restrictions", [{}, RESTRICTIONS], ids=["free", "restricted"])
def test_what_was_answered_registers_the_same_when_it_is_sent_back(holder: Holder, answering: None, restrictions: dict[str, Any]) -> None:
    machine = holder(uses_limit=1000, restrictions=restrictions)

    @settings(max_examples=40, **PATIENT)
    @given(st.builds(lambda one, other: {**one, **other}, good, documents) | good)
    def check(document: dict[str, Any]) -> None:
        answer = machine.register(sent(document))
        if answer.status_code != 201:
            return
        told = answer.json()
        again = machine.replace(told)
        assert again.status_code == 200, again.content
        assert metadata_in(again.json()) == metadata_in(told) == client_of(told).metadata
        assert again["ETag"] == answer["ETag"] == machine.read(told)["ETag"]
        assert "client_secret" not in again.json()

    check()


@pytest.mark.spec("DCR-HTTP-03", "DCR-HTTP-04", "DCR-HTTP-07", "DCR-ERR-01", "DCR-ERR-02")
@pytest.mark.threat("J10")
def test_no_json_at_all_ends_in_an_error_of_ours(holder: Holder) -> None:
    machine = holder(uses_limit=1000)
    told = machine.registered()
    names = st.sampled_from(
        sorted({*WEBSITE, *MACHINE, "jwks", "contacts", "response_types", "software_statement", "client_name#de", "request_uris"})
    )

    @settings(max_examples=80, **PATIENT)
    @given(st.dictionaries(names, json_values, max_size=5) | json_values)
    def check(value: Any) -> None:
        for send in (
            lambda: machine.register(sent(value)),
            lambda: machine.send("PUT", place_of(told), sent(value), token=told["registration_access_token"]),
        ):
            before, answer = row_counts(), send()
            assert answer.status_code in (201, 400), answer.content
            if answer.status_code == 400:
                body = answer.json()
                assert body["error"] in ("invalid_redirect_uri", "invalid_client_metadata", "invalid_software_statement", "invalid_request")
                assert body["error_description"].isascii()
                assert "client_id" not in body
                assert row_counts()["registry_client"] == before["registry_client"]

    check()


# Mass assignment


def hostile_names() -> list[str]:
    """Return the name of every field of every model of ours, with what Django's lookups and querysets read from keywords."""
    fields = {
        name
        for model in apps.get_models()
        if model._meta.app_label in ("registry", "dcr", "authserver", "oauth2_provider")
        for field in model._meta.get_fields()
        for name in (field.name, getattr(field, "attname", field.name))
    }
    lookups = {
        *("_connector", "_negated", "pk", "id", "pk__in", "organization__state", "organization_id", "state__in", "client__pk", "defaults"),
        *("__class__", "__dict__", "__init__", "_state", "_meta", "objects", "force_insert", "using", "update_fields", "create_defaults"),
        *("approved", "skip_authorization", "is_superuser", "is_staff", "trust", "credential_generation", "restrictions", "now", "stage"),
        *("org_id", "registration_source", "hash_client_secret", "algorithm", "allowed_origins", "user_id", "source", "is_resource_server"),
    }
    return sorted((fields | lookups) - set(READ_BY_US))


READ_BY_US = (
    *(
        "redirect_uris",
        "post_logout_redirect_uris",
        "jwks",
        "jwks_uri",
        "scope",
        "contacts",
        "client_id",
        "client_secret",
        "software_statement",
    ),
    *("grant_types", "client_name", "response_types", "token_endpoint_auth_method"),
)


def everything_about(told: dict[str, Any]) -> dict[str, Any]:
    """Return what is stored of a client, but for what is its own."""
    row = Client.objects.values().get(client_id=told["client_id"])
    token = RegistrationAccessToken.objects.values().get(client_id=row["id"])
    own = (
        "id",
        "reference",
        "client_id",
        "created",
        "updated",
        "state_changed_at",
        "digest",
        "tail",
        "issued_at",
        "client",
        "last_used_at",
    )
    return {name: value for name, value in {**token, **row}.items() if name not in own}


@pytest.mark.spec("DCR-META-01", "DCR-META-05", "DCR-META-51")
@pytest.mark.threat("R03")
@pytest.mark.parametrize("value", [True, 1, "live", "approved", [1], {"pk": 1}, "AND"], ids=str)
def test_no_member_reaches_a_column_or_a_query(machine: Machine, value: Any) -> None:
    names = hostile_names()
    assert {"organization", "stage", "state", "trust", "skip_authorization", "restrictions", "is_resource_server"} <= set(names)
    hostile = dict.fromkeys(names, value)
    parts = [dict(list(hostile.items())[start : start + 200]) for start in range(0, len(hostile), 200)]
    machine.registered()
    with CaptureQueriesContext(connection) as plain:
        honest = machine.registered()
    before = row_counts()
    for part in parts:
        with CaptureQueriesContext(connection) as queries:
            told = machine.registered({**part, **MACHINE})
        assert [one.split()[0] for one in statements(queries)] == [one.split()[0] for one in statements(plain)]
        stored = everything_about(told)
        assert {**stored, "initial_access_token_id": 0} == {**everything_about(honest), "initial_access_token_id": 0}
        assert metadata_in(told) == metadata_in(honest)
    machine.read(told)
    with CaptureQueriesContext(connection) as plain:
        machine.replace(told, MACHINE)
    for part in parts:
        part = {name: one for name, one in part.items() if name not in SERVERS_OWN}  # noqa: PLW2901
        with CaptureQueriesContext(connection) as queries:
            answer = machine.replace(told, {**part, **MACHINE})
        assert answer.status_code == 200, answer.content
        assert statements_without_values(queries) == statements_without_values(plain)
        assert everything_about(told) == stored
    added = {name for name, count in row_counts().items() if count != before[name]}
    assert added <= {
        "registry_client",
        "registry_clientsecret",
        "registry_entitlement",
        "registry_auditevent",
        "dcr_registrationaccesstoken",
    }
    assert InitialAccessToken.objects.get().stage == "test"


def statements_without_values(queries: Any) -> list[str]:
    return [" ".join(one.split()[:3]) for one in statements(queries)]
