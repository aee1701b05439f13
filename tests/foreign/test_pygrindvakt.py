"""PyPI's pygrindvakt (grindvakt, in Rust) as a relying party of a federation that registers by its first signed request, over TLS."""

from __future__ import annotations

import importlib
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from federation.core.resolver import configuration_url, statement_url
from tests.foreign.conftest import ROOT
from tests.foreign.federations import Lab, answer_of, run_lab
from tests.foreign.loopback import session_on_loopback
from tests.foreign.people import ErrorPage, Person

pytestmark = [pytest.mark.foreign, pytest.mark.enable_socket]
EMAIL = "traveller@grindvakt.example"
HOST = "rp.grindvakt.example"
SCOPE = "openid email"
REQUIREMENT = "pygrindvakt==0.2.0"
INSTALLED = ROOT / "build" / REQUIREMENT


@pytest.fixture(scope="module")
def grindvakt() -> Any:
    """The package from PyPI, in a folder of its own; skips when that cannot be had."""
    if not (INSTALLED / "pygrindvakt").is_dir():
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--only-binary", ":all:", "--target", str(INSTALLED)]
        done = subprocess.run([*command, REQUIREMENT], capture_output=True, text=True, timeout=300, check=False)
        if done.returncode:
            pytest.skip(f"pip could not install {REQUIREMENT}: {done.stderr[-500:]}")
    sys.path.append(str(INSTALLED))
    try:
        for name in ("federation", "jwt", "keys", "metadata", "rp"):
            importlib.import_module(f"pygrindvakt.{name}")
        return importlib.import_module("pygrindvakt")
    finally:
        sys.path.remove(str(INSTALLED))


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """The federation, and our server in it."""
    with run_lab(tmp_path_factory.mktemp("grindvakt"), EMAIL, HOST) as running:
        yield running


@pytest.fixture
def person(lab: Lab) -> Person:
    """Somebody at a browser without cookies."""
    return Person(lab.server, EMAIL)


class Transport:
    """What pygrindvakt sends its requests with, by its own protocol for that."""

    def __init__(self, ca_file: Path) -> None:
        self.session = session_on_loopback(ca_file)

    def get(self, url: str, headers: list[tuple[str, str]] | None = None) -> tuple[int, bytes, str | None, list[tuple[str, str]]]:
        """Send a GET request."""
        return self._read(self.session.get(url, headers=dict(headers or []), allow_redirects=False, timeout=30))

    def post_form(
        self, url: str, form: list[tuple[str, str]], headers: list[tuple[str, str]]
    ) -> tuple[int, bytes, str | None, list[tuple[str, str]]]:
        """Send a form."""
        return self._read(self.session.post(url, form, headers=dict(headers), allow_redirects=False, timeout=30))

    def _read(self, answer: Any) -> tuple[int, bytes, str | None, list[tuple[str, str]]]:
        return answer.status_code, answer.content, answer.headers.get("Content-Type"), list(answer.headers.items())


@dataclass
class RelyingParty:
    """A leaf with keys of its own, whose every signature and verification is pygrindvakt's."""

    lab: Lab
    grindvakt: Any
    transport: Transport
    entity_id: str
    key: Any
    provider: Any

    @property
    def callback(self) -> str:
        return f"{self.entity_id}/callback"

    def begin(self, key: Any = None) -> tuple[str, str, str, str]:
        """Return the address of a signed request with its state, nonce and PKCE verifier; `key` signs in place of its own."""
        begun: tuple[str, str, str, str] = self.grindvakt.rp.begin(self.provider, self._client(), request_object_key=key or self.key)
        return begun

    def redeem(self, code: str, verifier: str, nonce: str) -> tuple[Any, dict[str, Any]]:
        """Exchange a code by private_key_jwt; return the tokens and the verified claims of the ID token."""
        rp = self.grindvakt.rp
        tokens = rp.exchange_code(self.transport, self.provider, self._client(), code, code_verifier=verifier)
        keys = rp.fetch_jwks(self.transport, self.provider.jwks_uri, self.provider.issuer)
        return tokens, rp.verify_id_token(keys, tokens.id_token, self.provider.issuer, self.entity_id, nonce, ["ES256"])

    def _client(self) -> Any:
        return self.grindvakt.rp.RpClient(self.entity_id, self.callback, scope=SCOPE, auth_method="private_key_jwt", signing_key=self.key)


def make_key(grindvakt: Any) -> Any:
    """Return a new signing key of pygrindvakt's."""
    made = grindvakt.keys.generate_ec_jwk("P-256")
    return grindvakt.keys.signing_key_from_jwk(made, kid=grindvakt.keys.jwk_thumbprint(made))


def look_at_provider(grindvakt: Any, transport: Transport, lab: Lab) -> Any:
    """Verify what the anchor says of our server and what the server says of itself, from the anchor's pinned keys; return its metadata."""
    federation = grindvakt.federation
    _, statement, _, _ = transport.get(statement_url(f"{lab.anchor_id}/fetch", lab.server.issuer))
    vouched = federation.verify_typed(statement.decode(), lab.anchor_keys, federation.ENTITY_STATEMENT_TYP)
    configuration = federation.fetch_entity_configuration(transport, lab.server.issuer)
    own = federation.verify_typed(configuration, vouched.jwks(), federation.ENTITY_STATEMENT_TYP)
    assert (own.iss(), own.sub(), own.authority_hints()) == (lab.server.issuer, lab.server.issuer, [lab.anchor_id])
    metadata = own.metadata("openid_provider")
    assert "automatic" in metadata["client_registration_types_supported"]
    return grindvakt.rp.ProviderInfo.from_metadata(grindvakt.metadata.ProviderMetadata.from_dict(metadata))


@pytest.fixture
def start(grindvakt: Any, lab: Lab) -> Callable[[], RelyingParty]:
    """Return a function that lets a new leaf join the federation."""

    def join() -> RelyingParty:
        entity_id = lab.served.entity_id(HOST, f"/{uuid.uuid4().hex[:8]}")
        federation_key, key, transport = make_key(grindvakt), make_key(grindvakt), Transport(lab.ca_file)
        party = RelyingParty(lab, grindvakt, transport, entity_id, key, look_at_provider(grindvakt, transport, lab))
        metadata = {
            "client_name": "pygrindvakt", "client_registration_types": ["automatic"], "redirect_uris": [party.callback],
            "response_types": ["code"], "grant_types": ["authorization_code"], "scope": SCOPE, "jwks": key.to_public_jwks(),
            "token_endpoint_auth_method": "private_key_jwt", "id_token_signed_response_alg": "ES256",
        }  # fmt: skip
        lab.federation.published[configuration_url(entity_id)] = grindvakt.federation.build_entity_configuration(
            federation_key, entity_id, federation_key.to_public_jwks(), [lab.superior_id], {"openid_relying_party": metadata}
        )
        lab.admit(entity_id, federation_key.to_public_jwks())
        return party

    return join


@pytest.mark.spec("FED-AUT-05")
def test_an_unknown_relying_party_registers_by_its_request_and_signs_a_person_in(
    start: Callable[[], RelyingParty], person: Person, grindvakt: Any
) -> None:
    party = start()
    for round_number in range(2):
        address, state, nonce, verifier = party.begin()
        answer = answer_of(party.lab, person.go(address), party.callback)
        assert answer["state"] == state
        # The second time it is known, and the person is signed in and not asked again.
        assert bool(person.asked) is (round_number == 0)
        tokens, claims = party.redeem(answer["code"], verifier, nonce)
        endpoint = party.provider.userinfo_endpoint
        about = grindvakt.rp.fetch_userinfo(party.transport, endpoint, tokens.access_token, claims["sub"], party.provider.issuer)
        assert about["email"] == EMAIL


def test_a_request_signed_with_keys_that_it_does_not_publish_registers_nobody(
    start: Callable[[], RelyingParty], person: Person, grindvakt: Any
) -> None:
    party = start()
    with pytest.raises(ErrorPage) as shown:
        person.go(party.begin(make_key(grindvakt))[0])
    assert shown.value.page.status_code == 400
    assert person.asked == []


def test_a_relying_party_whose_superior_does_not_know_it_registers_nobody(start: Callable[[], RelyingParty], person: Person) -> None:
    party = start()
    party.lab.federation.expel(party.lab.superior_id, party.entity_id)
    with pytest.raises(ErrorPage) as shown:
        person.go(party.begin()[0])
    assert shown.value.page.status_code == 400
    assert person.asked == []
