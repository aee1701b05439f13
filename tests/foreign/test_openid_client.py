"""npm's openid-client as a relying party, over real TLS against the production server process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from joserfc.jwk import ECKey

from tests.foreign.conftest import TlsServer
from tests.foreign.people import CALLBACK, DOCUMENT, GOODBYE, SCOPE, Person, set_up_apps
from tests.foreign.processes import ForeignProcess, beside_openid_client

pytestmark = [pytest.mark.foreign, pytest.mark.enable_socket]
EMAIL = "node@lighthouse.example"
SCRIPT = Path(__file__).parent / "openid_client" / "journey.mjs"
METADATA = {"id_token_signed_response_alg": "ES256", "token_endpoint_auth_method": "private_key_jwt"}

WAYS = [
    ("any", "plain"),
    ("any", "signed"),
    ("any", "pushed"),
    ("pushing", "pushed"),
    ("signing", "signed"),
    ("signing", "pushedAndSigned"),
]


@pytest.fixture(scope="module")
def script() -> Path:
    """Our script beside openid-client from the npm registry, where Node finds it; skips when that cannot be had."""
    return beside_openid_client(SCRIPT)


@pytest.fixture(scope="module")
def key() -> ECKey:
    """The key of the app."""
    return ECKey.generate_key("P-256", auto_kid=True)


@pytest.fixture(scope="module")
def partner(tls_server: TlsServer, key: ECKey) -> dict[str, Any]:
    """An app that may do everything, one that must push and one that must sign its requests."""
    keys = {"jwks": {"keys": [key.as_dict(private=False, use="sig")]}}
    documents = {
        "any": {**DOCUMENT, **keys, "client_name": "openid-client"},
        "pushing": {**DOCUMENT, **keys, "client_name": "Pushes", "require_pushed_authorization_requests": True},
        "signing": {**DOCUMENT, **keys, "client_name": "Signs", "require_signed_request_object": True},
    }
    return set_up_apps(tls_server, documents, email=EMAIL, name="Nora Node")


class RelyingParty(ForeignProcess):
    """openid-client in a process of its own."""

    def sign_in(self, person: Person, way: str, **parameters: str) -> dict[str, Any]:
        """Run the code flow with `person` and return tokens and claims."""
        parameters = {"redirect_uri": CALLBACK, "scope": SCOPE, **parameters}
        started = self.do("start", way=way, parameters=parameters)
        maximum = {"maxAge": int(parameters["max_age"])} if "max_age" in parameters else {}
        return self.do("finish", url=person.go(started["url"]), **maximum)


@pytest.fixture
def relying_party(tls_server: TlsServer, script: Path, partner: dict[str, Any], key: ECKey) -> Iterator[Callable[..., RelyingParty]]:
    """Return a function that starts openid-client as one of the apps; its processes are gone afterwards."""
    started: list[RelyingParty] = []

    def start(name: str = "any") -> RelyingParty:
        environment = {**tls_server.environment, "NODE_EXTRA_CA_CERTS": str(tls_server.ca_file)}
        party = RelyingParty(["node", script.name], script.parent, environment)
        started.append(party)
        given = {"issuer": tls_server.issuer, "clientId": partner["clients"][name], "jwk": key.as_dict(private=True), "metadata": METADATA}
        metadata = party.do("discover", **given)
        assert metadata["issuer"] == tls_server.issuer
        return party

    yield start
    for party in started:
        party.end()


@pytest.fixture
def person(tls_server: TlsServer) -> Person:
    """The person in front of the app, not signed in yet."""
    return Person(tls_server, EMAIL)


@pytest.mark.spec("ISSP-01")
@pytest.mark.parametrize(("name", "way"), WAYS)
def test_a_person_signs_in_and_the_app_learns_who_it_is(
    relying_party: Callable[..., RelyingParty], person: Person, partner: dict[str, Any], name: str, way: str
) -> None:
    party = relying_party(name)
    found = party.sign_in(person, way)
    assert person.asked[0] == "/accounts/login/"
    assert found["claims"]["sub"] == partner["sub"]
    assert found["claims"]["aud"] == partner["clients"][name]
    assert found["tokens"]["token_type"] == "bearer"
    about = party.do("userinfo")
    assert (about["sub"], about["email"], about["name"]) == (partner["sub"], EMAIL, "Nora Node")


@pytest.mark.parametrize("name", ["pushing", "signing"])
def test_a_plain_request_of_an_app_that_must_do_better_is_refused(
    relying_party: Callable[..., RelyingParty], person: Person, name: str
) -> None:
    party = relying_party(name)
    started = party.do("start", way="plain", parameters={"redirect_uri": CALLBACK, "scope": SCOPE})
    assert party.ask("finish", url=person.go(started["url"]))["problem"] == "invalid_request"
    assert person.asked == []


def test_a_refresh_token_is_replaced_and_its_reuse_ends_everything(relying_party: Callable[..., RelyingParty], person: Person) -> None:
    party = relying_party()
    first = party.sign_in(person, "plain")["tokens"]["refresh_token"]
    refreshed = party.do("refresh")["tokens"]
    assert refreshed["refresh_token"] != first
    assert party.do("userinfo")["email"] == EMAIL
    assert party.ask("refresh", token=first)["problem"] == "invalid_grant"
    assert party.ask("refresh")["problem"] == "invalid_grant"


def test_a_code_used_twice_ends_what_came_of_it(relying_party: Callable[..., RelyingParty], person: Person) -> None:
    party = relying_party()
    party.sign_in(person, "plain")
    assert party.ask("finishAgain")["problem"] == "invalid_grant"
    assert "problem" in party.ask("userinfo")


def test_a_revoked_refresh_token_and_its_access_token_are_over(relying_party: Callable[..., RelyingParty], person: Person) -> None:
    party = relying_party()
    tokens = party.sign_in(person, "pushed")["tokens"]
    party.do("revoke", token=tokens["refresh_token"])
    assert "problem" in party.ask("userinfo")
    assert party.ask("refresh")["problem"] == "invalid_grant"


@pytest.mark.parametrize(("parameters", "again"), [({"prompt": "login"}, True), ({"max_age": "3600"}, False)])
def test_the_time_of_signing_in_is_what_the_app_asked_for(
    relying_party: Callable[..., RelyingParty], person: Person, parameters: dict[str, str], again: bool
) -> None:
    party = relying_party()
    first = party.sign_in(person, "plain", max_age="3600")["claims"]["auth_time"]
    second = party.sign_in(person, "plain", **{"max_age": "3600", **parameters})["claims"]["auth_time"]
    assert ("/accounts/reauthenticate/" in person.asked) is again
    assert second >= first if again else second == first


def test_an_error_comes_back_with_the_issuer_that_the_library_checks(relying_party: Callable[..., RelyingParty], person: Person) -> None:
    party = relying_party()
    started = party.do("start", way="plain", parameters={"redirect_uri": CALLBACK, "scope": SCOPE, "prompt": "none"})
    callback = person.go(started["url"])
    assert party.ask("finish", url=callback)["problem"] == "login_required"
    foreign = callback.replace("iss=https%3A%2F%2F127.0.0.1", "iss=https%3A%2F%2F127.0.0.2")
    assert party.ask("finish", url=foreign)["problem"] != "login_required"


def test_signing_out_ends_the_session_and_leads_back(relying_party: Callable[..., RelyingParty], person: Person) -> None:
    party = relying_party()
    tokens = party.sign_in(person, "plain")["tokens"]
    address = party.do("logout", idToken=tokens["id_token"], returnTo=GOODBYE)["url"]
    back = urlsplit(person.go(address))
    assert f"{back.scheme}://{back.netloc}{back.path}" == GOODBYE
    assert parse_qs(back.query) == {"state": ["bye"]}
    started = party.do("start", way="plain", parameters={"redirect_uri": CALLBACK, "scope": SCOPE, "prompt": "none"})
    assert party.ask("finish", url=person.go(started["url"]))["problem"] == "login_required"
