"""Foreign clients register, read, update and delete themselves and get tokens between, over real TLS against the production server process.

openid-client and oauth4webapi (Node), Authlib (Python), and the Nimbus OAuth 2.0 SDK (Java), which parses RFC 7591 and RFC 7592 strictly.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from authlib.oauth2.rfc7591 import ClientMetadataClaims
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata
from authlib.oidc.registration import ClientMetadataClaims as OpenIDClientMetadataClaims
from joserfc.jwk import ECKey

from protocol.jose import generate_private_key
from tests.foreign.conftest import ROOT
from tests.foreign.desk import MACHINE, Desk, run_desk
from tests.foreign.people import CALLBACK, Person
from tests.foreign.processes import ForeignProcess, beside_openid_client

pytestmark = [pytest.mark.foreign, pytest.mark.enable_socket]
EMAIL = "rosa@lighthouse.example"
NODE = Path(__file__).parent / "openid_client" / "registration.mjs"
NIMBUS = Path(__file__).parent / "nimbus"
JARS = ROOT / "build" / "nimbus"
WEBSITE: dict[str, Any] = {
    "client_name": "Lighthouse", "redirect_uris": [CALLBACK], "grant_types": ["authorization_code", "refresh_token"],
    "response_types": ["code"], "scope": "openid profile email offline_access", "id_token_signed_response_alg": "ES256",
    "client_uri": "https://app.lighthouse.example/", "policy_uri": "https://app.lighthouse.example/privacy",
    "contacts": ["tech@lighthouse.example"],
}  # fmt: skip
SIGNED = {"token_endpoint_auth_method": "private_key_jwt", "token_endpoint_auth_signing_alg": "ES256"}
BASIC = {"token_endpoint_auth_method": "client_secret_basic"}
SERVERS_OWN = ("registration_access_token", "registration_client_uri", "client_secret_expires_at", "client_id_issued_at")


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """Our server, which fetches from hosts on loopback."""
    with run_desk(tmp_path_factory.mktemp("desk"), EMAIL) as made:
        yield made


@pytest.fixture(scope="module")
def token(desk: Desk) -> str:
    """An initial access token that is good for every test."""
    return desk.initial_access_token("--uses", "100")


@pytest.fixture(scope="module")
def key() -> ECKey:
    """The key of the apps."""
    return ECKey.generate_key("P-256", auto_kid=True)


@pytest.fixture(scope="module")
def jwks(key: ECKey) -> dict[str, Any]:
    """The public part of it, as it is registered or served."""
    return {"keys": [key.as_dict(private=False, use="sig", alg="ES256")]}


@pytest.fixture
def person(desk: Desk) -> Person:
    """Somebody in front of the app, not signed in yet."""
    return Person(desk.server, EMAIL)


# openid-client and oauth4webapi


@pytest.fixture(scope="module")
def script() -> Path:
    """Our script where Node finds openid-client; skips when that cannot be had."""
    return beside_openid_client(NODE)


@pytest.fixture
def node(desk: Desk, script: Path) -> Iterator[ForeignProcess]:
    """openid-client in a process of its own."""
    environment = {**desk.server.environment, "NODE_EXTRA_CA_CERTS": str(desk.server.ca_file)}
    process = ForeignProcess(["node", script.name], script.parent, environment)
    yield process
    process.end()


@pytest.mark.spec("DCR-HTTP-14", "DCR-RESP-02", "DCR-RESP-04", "DCR-MGT-05", "DCR-MGT-06", "DCR-MGT-14")
@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post", "private_key_jwt"])
def test_openid_client_goes_through_the_whole_life_of_a_machine(
    desk: Desk, token: str, node: ForeignProcess, key: ECKey, jwks: dict[str, Any], method: str
) -> None:
    by_key = method == "private_key_jwt"
    document = {**MACHINE, "token_endpoint_auth_method": method, **({**SIGNED, "jwks": jwks} if by_key else {})}
    # What it does without being told is client_secret_post.
    told = None if method == "client_secret_post" else method
    registered = node.do("register", issuer=desk.issuer, token=token, metadata=document, method=told, jwk=key.as_dict(private=True))
    assert ("client_secret" in registered, "client_secret_expires_at" in registered) == (not by_key, not by_key)
    assert node.do("clientCredentials")["scope"] == "bookings.read"
    read = node.do("read")
    assert read["status"] == 200
    # The secret is known by its digest only, and what there was to say about the registration was said.
    once = ("client_secret", "client_secret_expires_at", "notes")
    assert read["document"] == {name: value for name, value in registered.items() if name not in once}
    replaced = node.do("replace", changes={"client_name": "Front office"})
    assert replaced["status"] == 200
    assert {**replaced["document"], "notes": []} == {**read["document"], "client_name": "Front office", "notes": []}
    assert node.do("clientCredentials")["token_type"] == "bearer"
    assert node.do("remove")["status"] == 204
    gone = node.ask("read")
    assert (gone["status"], gone["problem"]) == (401, "invalid_token")
    refused = node.ask("clientCredentials")
    assert (refused["status"], refused["problem"]) == (401, "invalid_client")


def test_a_machine_that_registers_no_method_is_not_authenticated_as_openid_client_does_it_by_itself(
    desk: Desk, token: str, node: ForeignProcess
) -> None:
    registered = node.do("register", issuer=desk.issuer, token=token, metadata=MACHINE)
    assert registered["token_endpoint_auth_method"] == "client_secret_basic"  # RFC 7591, 2; the library chooses client_secret_post
    refused = node.ask("clientCredentials")
    assert (refused["status"], refused["problem"]) == (401, "invalid_client")


@pytest.mark.parametrize("ground", ["initial access token", "software statement"])
def test_a_person_signs_in_to_an_app_that_openid_client_registered(
    desk: Desk, token: str, node: ForeignProcess, person: Person, ground: str
) -> None:
    document = {**WEBSITE, **BASIC}
    if ground == "software statement":
        document |= {"software_statement": desk.statement(client_name="Vouched for"), "client_name": "Says who"}
    given = {"token": token} if ground == "initial access token" else {}
    registered = node.do("register", issuer=desk.issuer, metadata=document, method="client_secret_basic", **given)
    name, statement = (registered.get(member) for member in ("client_name", "software_statement"))
    assert (name, statement) == (("Lighthouse", None) if given else ("Vouched for", document["software_statement"]))
    started = node.do("start", scope="openid email")
    found = node.do("finish", url=person.go(started["url"]))
    assert found["claims"]["aud"] == registered["client_id"]
    assert found["about"]["email"] == EMAIL


def test_a_public_app_that_openid_client_registered_gets_no_secret(desk: Desk, token: str, node: ForeignProcess, person: Person) -> None:
    document = {**WEBSITE, "token_endpoint_auth_method": "none"}
    registered = node.do("register", issuer=desk.issuer, token=token, metadata=document)
    assert not {"client_secret", "client_secret_expires_at"} & registered.keys()
    started = node.do("start", scope="openid")
    assert node.do("finish", url=person.go(started["url"]))["claims"]["aud"] == registered["client_id"]


@pytest.mark.spec("DCR-JWK-07")
def test_an_app_of_openid_client_serves_its_keys_and_cannot_move_them_to_where_nothing_is(
    desk: Desk, token: str, node: ForeignProcess, person: Person, key: ECKey, jwks: dict[str, Any]
) -> None:
    uri = desk.publish("/jwks.json", jwks)
    document = {**WEBSITE, **SIGNED, "jwks_uri": uri}
    signer = key.as_dict(private=True)
    registered = node.do("register", issuer=desk.issuer, token=token, metadata=document, method="private_key_jwt", jwk=signer)
    assert (registered["jwks_uri"], "jwks" in registered) == (uri, False)
    assert desk.documents.asked.count(uri) == 1
    started = node.do("start", scope="openid")
    assert node.do("finish", url=person.go(started["url"]))["claims"]["sub"]
    assert desk.documents.asked.count(uri) == 1  # what registration fetched is kept
    missing = desk.served.entity_id("app.lighthouse.example", "/nothing")
    refused = node.do("replace", changes={"jwks_uri": missing})
    assert (refused["status"], refused["document"]["error"]) == (400, "invalid_client_metadata")
    assert node.do("read")["document"]["jwks_uri"] == uri


def test_what_is_refused_is_told_to_openid_client_by_its_code(desk: Desk, token: str, node: ForeignProcess) -> None:
    given = {"issuer": desk.issuer, "token": token}
    refusals = {
        "invalid_redirect_uri": {**WEBSITE, "redirect_uris": [f"{CALLBACK}#fragment"]},
        "invalid_client_metadata": {**WEBSITE, "grant_types": ["implicit"]},
        "invalid_software_statement": {**WEBSITE, "software_statement": desk.statement(key=generate_private_key("ES256"))},
        "unapproved_software_statement": {**WEBSITE, "software_statement": desk.statement(iss="https://nobody.example")},
    }
    for code, document in refusals.items():
        answer = node.ask("register", **given, metadata=document)
        assert (answer["problem"], answer["status"]) == (code, 400), answer
    # Who brings nothing could have brought a statement, which is enough here.
    for nobody, refusal in ((None, ("invalid_software_statement", 400)), ("cci_nobodys", ("invalid_token", 401))):
        answer = node.ask("register", issuer=desk.issuer, token=nobody, metadata=WEBSITE)
        assert (answer["problem"], answer["status"]) == refusal, answer


def test_oauth4webapi_registers_a_machine_that_gets_a_token(desk: Desk, token: str, node: ForeignProcess) -> None:
    done = node.do("registerDirectly", issuer=desk.issuer, token=token, metadata={**MACHINE, **BASIC})
    assert done["registered"]["client_secret_expires_at"] == 0
    assert done["tokens"]["scope"] == "bookings.read"


# Authlib, which sends what it is told and checks what comes back


class Authlib:
    """A client of Authlib's sessions: one with the initial access token, then one with its own, and one that gets tokens."""

    def __init__(self, desk: Desk, token: str) -> None:
        self.metadata, self.ca_file = desk.metadata("oauth-authorization-server"), str(desk.server.ca_file)
        AuthorizationServerMetadata(self.metadata).validate_registration_endpoint()
        self.registered: dict[str, Any] = {}
        self.bearer = self.trusting(OAuth2Session(token={"access_token": token, "token_type": "bearer"}))

    def trusting(self, session: OAuth2Session) -> OAuth2Session:
        """Return a session that trusts the test authority only."""
        session.verify, session.trust_env = self.ca_file, False
        return session

    def register(self, document: dict[str, Any]) -> requests.Response:
        """Register, and from then on use the registration access token."""
        answer = self.bearer.post(self.metadata["registration_endpoint"], json=document, timeout=30)
        if answer.status_code == 201:
            self.registered = self.check(answer)
            self.bearer.token = {"access_token": self.registered["registration_access_token"], "token_type": "bearer"}
        return answer

    def manage(self, method: str, document: dict[str, Any] | None = None) -> requests.Response:
        """Send a request about the registration."""
        return self.bearer.request(method, self.registered["registration_client_uri"], json=document, timeout=30)

    def replacement(self, **changes: Any) -> dict[str, Any]:
        """Return the registration as it is sent back."""
        return {name: value for name, value in {**self.registered, **changes}.items() if name not in SERVERS_OWN}

    def check(self, answer: requests.Response) -> dict[str, Any]:
        """Let Authlib validate an answer against what the server says it supports; nothing may be missing or other than told."""
        told: dict[str, Any] = answer.json()
        for kind in (ClientMetadataClaims, OpenIDClientMetadataClaims):
            claims = kind(told, {}, kind.get_claims_options(self.metadata), self.metadata)
            claims.validate()
            assert claims.items() >= told.items()
        return told

    def fetch_token(self, issuer: str, key: ECKey | None = None) -> dict[str, Any]:
        """Return a token of the machine, by its key or its secret."""
        method = self.registered["token_endpoint_auth_method"]
        credential = key or self.registered.get("client_secret")
        session = OAuth2Session(self.registered["client_id"], credential, token_endpoint_auth_method=method, scope="bookings.read")
        if key:
            claims, headers = {"exp": int(time.time()) + 60}, {"kid": key.kid}
            session.register_client_auth_method(PrivateKeyJWT(issuer, claims=claims, headers=headers, alg="ES256"))
        return dict(self.trusting(session).fetch_token(self.metadata["token_endpoint"], grant_type="client_credentials"))


@pytest.fixture
def authlib(desk: Desk, token: str) -> Authlib:
    """Authlib with the initial access token."""
    return Authlib(desk, token)


@pytest.mark.spec("DCR-HTTP-06", "DCR-RESP-01", "DCR-RESP-07", "DCR-MGT-05", "DCR-MGT-14")
@pytest.mark.parametrize("keys", ["secret", "jwks", "jwks_uri"])
def test_authlib_goes_through_the_whole_life_of_a_machine(
    desk: Desk, authlib: Authlib, key: ECKey, jwks: dict[str, Any], keys: str
) -> None:
    own = {"secret": BASIC, "jwks": {**SIGNED, "jwks": jwks}, "jwks_uri": {**SIGNED, "jwks_uri": desk.publish("/authlib.json", jwks)}}
    signer = None if keys == "secret" else key
    made = authlib.register({**MACHINE, **own[keys]})
    assert (made.status_code, made.headers["Cache-Control"]) == (201, "no-store"), made.text
    assert authlib.fetch_token(desk.issuer, signer)["scope"] == "bookings.read"
    read = authlib.manage("GET")
    assert authlib.check(read).items() <= authlib.registered.items()
    replaced = authlib.manage("PUT", authlib.replacement(software_version="2"))
    assert replaced.status_code == 200, replaced.text
    assert authlib.check(replaced)["software_version"] == "2"
    assert authlib.fetch_token(desk.issuer, signer)["token_type"] == "Bearer"
    assert authlib.manage("DELETE").status_code == 204
    assert authlib.manage("GET").status_code == 401
    with pytest.raises(OAuthError, match="invalid_client"):
        authlib.fetch_token(desk.issuer, signer)


def test_what_authlib_reads_of_an_app_for_people_is_what_it_may_register(authlib: Authlib, jwks: dict[str, Any]) -> None:
    document = {**WEBSITE, **SIGNED, "jwks": jwks, "application_type": "web", "subject_type": "public", "default_max_age": 3600}
    assert authlib.register(document).status_code == 201
    assert document.items() <= authlib.registered.items()


def test_a_statement_without_a_token_is_enough_for_authlib_and_has_to_come_again(desk: Desk, authlib: Authlib) -> None:
    session = authlib.trusting(requests.Session())
    document = {**MACHINE, **BASIC, "software_statement": desk.statement(client_name="Vouched for")}
    made = session.post(authlib.metadata["registration_endpoint"], json=document, timeout=30)
    assert made.status_code == 201, made.text
    authlib.registered = authlib.check(made)
    assert authlib.registered["client_name"] == "Vouched for"
    authlib.bearer.token = {"access_token": authlib.registered["registration_access_token"], "token_type": "bearer"}
    without = authlib.replacement(software_statement=None, client_name="Not vouched for")
    refused = authlib.manage("PUT", without)
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_software_statement")
    replaced = authlib.manage("PUT", authlib.replacement(software_statement=desk.statement(client_name="Vouched again")))
    assert authlib.check(replaced)["client_name"] == "Vouched again"
    assert authlib.fetch_token(desk.issuer)["scope"] == "bookings.read"


# The Nimbus SDK


@pytest.fixture(scope="module")
def jars() -> Path:
    """The SDK from Maven Central; skips when it cannot be had."""
    if any(shutil.which(name) is None for name in ("java", "javac", "mvn")):
        pytest.skip("java 17 with its compiler and mvn are needed for the Nimbus SDK")
    if not list(JARS.glob("oauth2-oidc-sdk-*.jar")):
        command = ["mvn", "-q", "-B", "-f", str(NIMBUS / "pom.xml"), "dependency:copy-dependencies", f"-DoutputDirectory={JARS}"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        if done.returncode:
            pytest.skip(f"Maven could not fetch the Nimbus SDK: {done.stdout[-500:]}")
    return JARS


@pytest.fixture
def nimbus(desk: Desk, jars: Path) -> Iterator[ForeignProcess]:
    """The SDK in a process of its own."""
    command = ["java", "-cp", f"{jars}/*", str(NIMBUS / "Registration.java"), str(desk.server.ca_file), desk.issuer]
    process = ForeignProcess(command, jars, desk.server.environment)
    yield process
    process.end()


@pytest.mark.parametrize("ground", ["initial access token", "software statement"])
def test_nimbus_goes_through_the_whole_life_of_a_machine(desk: Desk, token: str, nimbus: ForeignProcess, ground: str) -> None:
    statement = desk.statement(client_name="Vouched for") if ground == "software statement" else None
    given = {"statement": statement} if statement else {"token": token}
    registered = nimbus.do("register", **given, metadata={**MACHINE, **BASIC, "response_types": []})
    assert registered["client_secret_expires_at"] == 0
    assert nimbus.do("token")["scope"] == "bookings.read"
    read = nimbus.do("read")
    assert read == {name: value for name, value in registered.items() if not name.startswith("client_secret")}
    replaced = nimbus.do("replace", changes={"software_version": "2"})
    assert (replaced["software_version"], replaced["client_id"]) == ("2", registered["client_id"])
    assert nimbus.do("token")["token_type"] == "Bearer"
    assert nimbus.do("remove")["status"] == 204
    gone = nimbus.ask("read")
    assert (gone["problem"], gone["status"]) == ("invalid_token", 401)
    assert nimbus.ask("token")["problem"] == "invalid_client"


def test_nimbus_registers_an_app_for_people_with_keys_behind_an_address(
    desk: Desk, token: str, nimbus: ForeignProcess, key: ECKey, jwks: dict[str, Any]
) -> None:
    document = {**WEBSITE, **SIGNED, "jwks_uri": desk.publish("/nimbus.json", jwks)}
    document |= {
        "grant_types": ["authorization_code", "client_credentials"],
        "scope": "openid bookings.read",
        "client_name#de": "Leuchtturm",
    }
    registered = nimbus.do("register", token=token, metadata=document)
    assert document.items() <= registered.items()
    assert nimbus.do("token", jwk=key.as_dict(private=True))["access_token"]
    replaced = nimbus.do("replace", changes={"client_name": "Beacon"})
    assert replaced == {**registered, "client_name": "Beacon"}


def test_what_is_refused_is_told_to_nimbus_by_its_code(desk: Desk, token: str, nimbus: ForeignProcess) -> None:
    answer = nimbus.ask("register", token=token, metadata={**WEBSITE, "grant_types": ["implicit"]})
    assert (answer["problem"], answer["status"]) == ("invalid_client_metadata", 400)
    answer = nimbus.ask("register", token="cci_nobodys", metadata=WEBSITE)
    assert (answer["problem"], answer["status"]) == ("invalid_token", 401)
