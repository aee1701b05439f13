"""@oidfed (TypeScript) as a relying party of a federation that registers automatically and explicitly, over TLS: a lab.

No registry has it, so that nobody installs it for these tests; `oidfed/README.md` says what they need. Without it they skip.
"""

from __future__ import annotations

import hashlib
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import requests

from protocol.jose.base64url import encode_base64url
from tests.foreign.conftest import ROOT, free_port, issue_certificates
from tests.foreign.federations import CONTACT, LIFETIME, Lab, answer_of, run_lab
from tests.foreign.loopback import session_on_loopback
from tests.foreign.people import Person
from tests.foreign.processes import ForeignProcess

pytestmark = [pytest.mark.foreign, pytest.mark.enable_socket]
EMAIL = "traveller@oidfed.example"
HOST = "rp.oidfed.example"
INSTALLED = ROOT / "build" / "oidfed"
SCRIPT = Path(__file__).parent / "oidfed" / "relying_party.mjs"
PACKAGES = ("core", "leaf", "oidc")
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
SECRET = "client_secret_basic"


@dataclass(frozen=True)
class Implementation:
    """A running lab, and the process of @oidfed in it with the host and port that it listens on."""

    lab: Lab
    process: ForeignProcess
    host: str


@pytest.fixture(scope="module")
def implementation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Implementation]:
    """@oidfed, listening, and our server in the same federation; skips where there is no @oidfed."""
    missing = [name for name in PACKAGES if not (INSTALLED / "node_modules" / "@oidfed" / name / "package.json").is_file()]
    if missing or shutil.which("node") is None:
        pytest.skip("NOT RUN: node and @oidfed/{core,leaf,oidc} in build/oidfed are needed, see tests/foreign/oidfed/README.md")
    folder, host = tmp_path_factory.mktemp("oidfed"), f"{HOST}:{free_port()}"
    (folder / "leaf").mkdir()
    ca_file, certificate, key = issue_certificates(folder / "leaf", HOST)
    script = Path(shutil.copy(SCRIPT, INSTALLED))
    with run_lab(folder, EMAIL, host, ca_file) as lab:
        environment = {**lab.server.environment, "NODE_EXTRA_CA_CERTS": str(lab.ca_file)}
        process = ForeignProcess(["node", script.name], INSTALLED, environment)
        try:
            process.do("listen", port=int(host.rpartition(":")[2]), certificate=str(certificate), key=str(key))
            yield Implementation(lab, process, host)
        finally:
            process.end()


@pytest.fixture
def person(implementation: Implementation) -> Person:
    """Somebody at a browser without cookies."""
    return Person(implementation.lab.server, EMAIL)


@dataclass(frozen=True)
class RelyingParty:
    """One leaf of @oidfed's."""

    lab: Lab
    process: ForeignProcess
    entity_id: str

    @property
    def callback(self) -> str:
        return f"{self.entity_id}/callback"

    def do(self, command: str, **given: Any) -> dict[str, Any]:
        """Let it do something that has to succeed."""
        return self.process.do(command, entityId=self.entity_id, **given)

    def begin(self, delivery: str) -> tuple[str, str, Callable[[Person], requests.Response]]:
        """Sign a request; return its state and nonce, and what opens it in a person's browser."""
        parameters = {"redirect_uri": self.callback, "scope": "openid email", "state": uuid.uuid4().hex, "nonce": uuid.uuid4().hex}
        begun = self.do("begin", provider=self.lab.server.issuer, delivery=delivery, parameters=parameters)

        def open_it(person: Person) -> requests.Response:
            options: dict[str, Any] = {"allow_redirects": False, "timeout": 30}
            if delivery == "form_post":
                return person.session.post(begun["authorizationEndpoint"], begun["formParams"], **options)
            return person.session.get(begun["authorizationUrl"], **options)

        return parameters["state"], parameters["nonce"], open_it

    def redeem(self, code: str, *, client_id: str = "", secret: str | None = None, **parameters: str) -> dict[str, Any]:
        """Exchange a code, authenticated by the secret or else by an assertion that @oidfed signs; return the tokens."""
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": self.callback, **parameters}
        credentials = None
        if secret is None:
            assertion = self.do("authenticate", audience=self.lab.server.issuer)["assertion"]
            form |= {"client_id": client_id or self.entity_id, "client_assertion_type": ASSERTION_TYPE, "client_assertion": assertion}
        else:
            credentials = requests.auth.HTTPBasicAuth(requests.utils.quote(client_id, safe=""), secret)
        endpoint = f"{self.lab.server.issuer}/oauth/token"
        answer = session_on_loopback(self.lab.ca_file).post(endpoint, form, auth=credentials, timeout=30)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())


@pytest.fixture
def start(implementation: Implementation) -> Callable[..., RelyingParty]:
    """Return a function that lets a new leaf of @oidfed's join the federation; what it is given is of its metadata."""

    def join(**metadata: Any) -> RelyingParty:
        lab, process = implementation.lab, implementation.process
        party = RelyingParty(lab, process, f"https://{implementation.host}/{uuid.uuid4().hex[:8]}")
        declared = {
            "client_name": "Of @oidfed", "client_registration_types": ["automatic", "explicit"], "redirect_uris": [party.callback],
            "response_types": ["code"], "grant_types": ["authorization_code"], "scope": "openid email",
            "token_endpoint_auth_method": "private_key_jwt", "id_token_signed_response_alg": "ES256",
        }  # fmt: skip
        joined = party.do(
            "join", superior=lab.superior_id, anchor=lab.anchor_id, anchorKeys=lab.anchor_keys, metadata={**declared, **metadata}
        )
        lab.admit(party.entity_id, joined["jwks"])
        return party

    return join


@pytest.mark.spec("FED-AUT-05")
@pytest.mark.parametrize("delivery", ["query", "form_post", "par"])
def test_an_unknown_relying_party_registers_by_its_request_and_signs_a_person_in(
    start: Callable[..., RelyingParty], person: Person, delivery: str
) -> None:
    party = start()
    for round_number in range(2):
        state, nonce, open_it = party.begin(delivery)
        answer = answer_of(party.lab, person.go_on(open_it(person)), party.callback)
        assert answer["state"] == state
        # The second time it is known, and the person is signed in and not asked again.
        assert bool(person.asked) is (round_number == 0)
        claims = party.lab.read_id_token(party.redeem(answer["code"])["id_token"], party.entity_id)
        assert claims["nonce"] == nonce


@pytest.mark.spec("FED-EXP-22", "FED-EXP-23", "FED-EXP-24", "FED-EXP-25", "FED-EXP-27")
@pytest.mark.parametrize("method", ["private_key_jwt", SECRET])
def test_a_relying_party_registers_explicitly_believes_the_answer_and_signs_a_person_in(
    start: Callable[..., RelyingParty], person: Person, method: str
) -> None:
    party = start(token_endpoint_auth_method=method)
    registered = party.do("register", provider=party.lab.server.issuer)
    claims, metadata = registered["claims"], registered["registeredMetadata"]
    assert (claims["trust_anchor"], claims["authority_hints"]) == (party.lab.anchor_id, [party.lab.superior_id])
    assert time.time() < registered["expiresAt"] <= min(registered["trustChainExpiresAt"], time.time() + LIFETIME)
    assert metadata["contacts"] == [CONTACT]
    assert metadata["token_endpoint_auth_method"] == method
    assert ("clientSecret" in registered) is (method == SECRET)
    # From here on it is a client like others: what it sends needs no signature, but PKCE.
    client_id, nonce, verifier = registered["clientId"], uuid.uuid4().hex, uuid.uuid4().hex * 2
    request = {
        "client_id": client_id, "response_type": "code", "scope": "openid", "redirect_uri": party.callback, "nonce": nonce,
        "code_challenge": encode_base64url(hashlib.sha256(verifier.encode()).digest()), "code_challenge_method": "S256",
    }  # fmt: skip
    back = person.go(f"{party.lab.server.issuer}/oauth/authorize?{urlencode(request)}")
    code = answer_of(party.lab, back, party.callback)["code"]
    tokens = party.redeem(code, client_id=client_id, secret=registered.get("clientSecret"), code_verifier=verifier)
    assert party.lab.read_id_token(tokens["id_token"], client_id)["nonce"] == nonce


def test_it_may_register_explicitly_as_often_as_it_likes(start: Callable[..., RelyingParty]) -> None:
    party = start()
    first, second = (party.do("register", provider=party.lab.server.issuer) for _ in range(2))
    assert first["clientId"] == second["clientId"]


def test_who_registered_automatically_may_register_explicitly(start: Callable[..., RelyingParty], person: Person) -> None:
    party = start()
    answer_of(party.lab, person.go_on(party.begin("par")[2](person)), party.callback)
    assert party.do("register", provider=party.lab.server.issuer)["clientId"] == party.entity_id
