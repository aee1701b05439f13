"""The federation plan of the OpenID conformance suite, mirrored: automatic registration, and everything over TLS."""

from __future__ import annotations

import html
import re
import sqlite3
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path

import pytest

from federation.simulator.tls import FederationServer, serve
from tests.conformance.modules import FEDERATION_PREFIX as PREFIX
from tests.foreign.conformance_suite import HOST, STATEMENT_SECONDS, RelyingParty, Suite, look_at_provider
from tests.foreign.conftest import TlsServer, run_server
from tests.foreign.federations import prepare_entity
from tests.foreign.loopback import session_on_loopback
from tests.foreign.people import ErrorPage, Person, set_up_apps

pytestmark = [pytest.mark.foreign, pytest.mark.enable_socket]
EMAIL = "traveller@conformance.example"
# Whatever a registration writes.
TABLES = (
    *("registry_client", "registry_organization", "registry_clientkeyset", "federation_federationrecord", "federation_entityclaim"),
    *("federation_registrationrequest", "authserver_authorizationrequest"),
)

Start = Callable[..., RelyingParty]


@pytest.fixture(scope="module")
def served() -> Iterator[FederationServer]:
    """The suite's entities over TLS."""
    suite = Suite()
    with serve(suite) as server:
        suite.open(server)
        yield server


@pytest.fixture(scope="module")
def provider(served: FederationServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsServer]:
    """A production server that accepts the suite's anchor, and a person who is no partner's."""
    folder, suite = tmp_path_factory.mktemp("provider"), served.federation
    assert isinstance(suite, Suite)
    hosts = [f"{HOST}:{served.port}"]
    server = prepare_entity(folder, served.authority.bundle, hosts, suite.anchor_id, [suite.anchor_key])
    set_up_apps(server, {}, email=EMAIL, name="Tilda Traveller")
    with run_server(server, folder / "gunicorn.log", "tests.foreign.application:application"):
        yield server


@pytest.fixture
def start(served: FederationServer, provider: TlsServer) -> Iterator[Start]:
    """Return a function that begins a module of the suite; afterwards nothing but what the suite serves was asked for."""
    suite, started = served.federation, dict[str, RelyingParty]()
    assert isinstance(suite, Suite)

    def begin(alias: str | None = None, *, with_source: bool = False, seconds_ago: int = 0) -> RelyingParty:
        entity = suite.configure(alias or uuid.uuid4().hex[:10], with_source=with_source, seconds_ago=seconds_ago)
        party = RelyingParty(suite, provider, entity.entity_id, *look_at_provider(provider))
        return started.setdefault(entity.entity_id, party)

    yield begin
    for party in started.values():
        assert suite.asked_about(party.entity_id) <= party.expected_fetches
    assert not [url for url in suite.asked if "/.well-known/openid-federation/" in url]


@pytest.fixture
def person(provider: TlsServer) -> Person:
    """Somebody at a browser without cookies."""
    return Person(provider, EMAIL)


def rows(provider: TlsServer) -> dict[str, int]:
    """Return how much is registered."""
    database = Path(provider.environment["CREDENCE_DATA_DIR"]) / "credence.sqlite3"
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        return {name: connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in TABLES}  # noqa: S608


def send(party: RelyingParty, person: Person, way: str, *, chain: bool) -> str:
    """Send a good request; return where the person ended."""
    parameters = party.by_value(chain=chain)
    if way == "par":
        return person.go(party.address(party.push(parameters["request"])))
    if way == "get":
        assert len(party.address(parameters)) > (8000 if chain else 0)  # longer than many servers take
        return person.go(party.address(parameters))
    # From a form on another site: a browser sends no cookies of ours with it.
    other_site = session_on_loopback(party.server.ca_file)
    headers = {"Origin": f"https://{HOST}", "Sec-Fetch-Site": "cross-site"}
    return person.go_on(
        other_site.post(party.metadata["authorization_endpoint"], parameters, headers=headers, allow_redirects=False, timeout=30)
    )


WAYS = [
    pytest.param("get", False, id=f"{PREFIX}with-jar-and-get"),
    pytest.param("post", False, id=f"{PREFIX}with-jar-and-post"),
    pytest.param("par", False, id=f"{PREFIX}with-par"),
    pytest.param("get", True, id=f"{PREFIX}with-jar-and-get-and-trust-chain"),
    pytest.param("post", True, id=f"{PREFIX}with-jar-and-post-and-trust-chain"),
    pytest.param("par", True, id=f"{PREFIX}with-par-and-trust-chain"),
]


@pytest.mark.parametrize(("way", "chain"), WAYS)
def test_an_unknown_relying_party_registers_and_signs_a_person_in(start: Start, person: Person, way: str, chain: bool) -> None:
    party = start(with_source=chain)
    claims = party.redeem(party.code_of(send(party, person, way, chain=chain)))
    fetched = party.suite.asked_about(party.entity_id)
    # A chain in the request object spares us the statements; in the push, it is the client assertion that comes first, without one.
    assert fetched == ({f"{party.entity_id}/jwks"} if chain and way != "par" else party.expected_fetches)
    assert person.asked == ["/accounts/login/", person.asked[-1]]
    assert person.asked[-1].startswith("/oauth/interaction/")
    # A second look by the same person, at the same relying party: known, and not asked again.
    assert party.redeem(party.code_of(send(party, person, way, chain=chain)))["sub"] == claims["sub"]
    assert person.asked == []


def refuse(party: RelyingParty, person: Person, parameters: Mapping[str, str], sentence: str) -> None:
    """Send a request that must lead to a page that says `sentence`, or to an error at the relying party."""
    try:
        back = person.go(party.address(parameters))
    except ErrorPage as shown:
        page = shown.page
    else:
        party.refused(back)
        return
    assert page.headers["Content-Type"].startswith("text/html")
    assert 400 <= page.status_code < 500
    lead = html.unescape(re.findall(r'<p class="lead">(.*?)</p>', page.text, re.DOTALL)[0])
    assert lead == sentence


Change = Callable[[RelyingParty], Mapping[str, str]]
TWO_CLIENTS = "request: its client_id is not the client_id that stands beside it."
TWO_NAMES = "request: The claims 'iss' and 'client_id' are not equal."
UNSIGNED = "request: The signature does not verify with a key of the issuer."
NEGATIVE: dict[str, tuple[Change, str]] = {
    "invalid-client-id-in-request-object": (lambda party: party.by_value(client_id=f"{party.entity_id}/INVALID"), TWO_NAMES),
    "invalid-client-id-in-query-parameters": (lambda party: {**party.by_value(), "client_id": f"{party.entity_id}INVALID"}, TWO_CLIENTS),
    "invalid-signature-on-request-object": (lambda party: party.by_value(typ=None, spoilt=True), UNSIGNED),
    "invalid-signature-with-other-keys-on-request-object": (
        lambda party: party.by_value(typ=None, key=party.suite.foreign_key),
        UNSIGNED,
    ),
    "invalid-request-object-exp": (lambda party: party.by_value(exp=int(time.time()) - 300), "request: The JWT is expired."),
    "invalid-request-object-iss": (lambda party: party.by_value(iss=f"{party.entity_id}/1"), TWO_NAMES),
    "invalid-request-object-aud": (
        lambda party: party.by_value(aud=f"{party.server.issuer}/1"),
        "request: The claim 'aud' must be nothing but this server's identifier.",
    ),
    "invalid-request-object-sub": (
        lambda party: party.by_value(sub=party.entity_id),
        "request: The claim 'sub' has no place in this kind of JWT.",
    ),
    "invalid-missing-request-object-jti": (lambda party: party.by_value(jti=None), "request: The claim 'jti' is missing."),
    "invalid-missing-request-object-exp": (lambda party: party.by_value(exp=None), "request: The claim 'exp' is missing."),
    "invalid-missing-request-object-iss": (lambda party: party.by_value(iss=None), "request: The claim 'iss' is missing."),
    "invalid-missing-request-object-aud": (lambda party: party.by_value(aud=None), "request: The claim 'aud' is missing."),
}


@pytest.mark.parametrize(("change", "sentence"), [pytest.param(*entry, id=f"{PREFIX}{name}") for name, entry in NEGATIVE.items()])
def test_a_wrong_request_registers_nobody_and_signs_nobody_in(start: Start, person: Person, change: Change, sentence: str) -> None:
    party = start()
    before = rows(party.server)
    refuse(party, person, change(party), sentence)
    assert rows(party.server) == before
    # The suite runs these modules after others: then the relying party is known, and the person is signed in.
    party.code_of(send(party, person, "get", chain=False))
    before = rows(party.server)
    assert before["registry_client"] > 0
    refuse(party, person, change(party), sentence)
    assert rows(party.server) == before


def test_an_identifier_of_a_request_is_used_once(start: Start, person: Person) -> None:
    """openid-federation-automatic-client-registration-invalid-duplicate-request-object-jti"""
    party, jti = start(), str(uuid.uuid4())
    party.code_of(person.go(party.address(party.by_value(jti=jti))))
    before = rows(party.server)
    refuse(party, person, party.by_value(jti=jti, exp=int(time.time()) + 299), "request: its jti was used before.")
    assert rows(party.server) == before


def test_statements_of_the_module_before_may_end_between_consent_and_token(start: Start, person: Person) -> None:
    """openid-federation-automatic-client-registration-with-jar-and-get some minutes after another module."""
    ends = time.time() + 12
    party = start("credence", seconds_ago=STATEMENT_SECONDS - 12)
    first = party.redeem(party.code_of(send(party, person, "get", chain=False)))
    party = start("credence")
    code = party.code_of(send(party, person, "get", chain=False))
    time.sleep(max(0, ends + 1 - time.time()))
    assert party.redeem(code)["sub"] == first["sub"]
