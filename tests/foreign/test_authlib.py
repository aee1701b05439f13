"""Authlib as client and as resource server, over real TLS against the production server process."""

from __future__ import annotations

import time
import uuid
from typing import Any
from urllib.parse import parse_qs

import pytest
import requests
from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata
from joserfc.jwk import ECKey, KeySet, OKPKey, RSAKey

from tests.foreign.conftest import TlsServer

pytestmark = [
    pytest.mark.foreign,
    pytest.mark.enable_socket,
    pytest.mark.filterwarnings("ignore:EdDSA is deprecated via RFC 9864"),  # clients still use the older name
]
LIFETIME = 60
KEYS = {
    "ES256": lambda: ECKey.generate_key("P-256", auto_kid=True),
    "RS256": lambda: RSAKey.generate_key(2048, auto_kid=True),
    "PS256": lambda: RSAKey.generate_key(2048, auto_kid=True),
    "EdDSA": lambda: OKPKey.generate_key("Ed25519", auto_kid=True),
    "Ed25519": lambda: OKPKey.generate_key("Ed25519", auto_kid=True),
}
DOCUMENT = {"grant_types": ["client_credentials"], "scope": "bookings.read"}


@pytest.fixture(scope="module")
def keys() -> dict[str, Any]:
    """A key for each algorithm."""
    return {algorithm: make() for algorithm, make in KEYS.items()}


@pytest.fixture(scope="module")
def partner(tls_server: TlsServer, keys: dict[str, Any]) -> dict[str, Any]:
    """The partner's clients: one per algorithm, and one with a secret."""
    documents = {
        algorithm: {
            **DOCUMENT,
            "client_name": f"With {algorithm}",
            "token_endpoint_auth_method": "private_key_jwt",
            "token_endpoint_auth_signing_alg": algorithm,
            "jwks": {"keys": [key.as_dict(private=False, use="sig")]},
        }
        for algorithm, key in keys.items()
    }
    documents["secret"] = {**DOCUMENT, "client_name": "With a secret", "token_endpoint_auth_method": "client_secret_basic"}
    return tls_server.register(documents)


@pytest.fixture(scope="module")
def metadata(tls_server: TlsServer) -> AuthorizationServerMetadata:
    """The server's metadata, checked by Authlib."""
    document = requests.get(f"{tls_server.issuer}/.well-known/oauth-authorization-server", verify=str(tls_server.ca_file), timeout=10)
    found = AuthorizationServerMetadata(document.json())
    assert found["issuer"] == tls_server.issuer
    for name in ("issuer", "token_endpoint", "jwks_uri", "revocation_endpoint", "introspection_endpoint", "scopes_supported"):
        getattr(found, f"validate_{name}")()
    return found


@pytest.fixture(scope="module")
def resource_server(tls_server: TlsServer) -> dict[str, str]:
    """A resource server from the management command."""
    lines = tls_server.manage("create_resource_server", "Bookings API").splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line)


def session(tls_server: TlsServer, client_id: str, credential: Any, method: str, **options: Any) -> OAuth2Session:
    """Return Authlib's session, which trusts the test authority only."""
    made = OAuth2Session(client_id, credential, token_endpoint_auth_method=method, scope="bookings.read", **options)
    made.verify = str(tls_server.ca_file)
    made.trust_env = False
    return made


def with_key(tls_server: TlsServer, client_id: str, key: Any, algorithm: str, **claims: Any) -> OAuth2Session:
    """Return a session by private_key_jwt; Authlib's assertions are valid for an hour unless they say otherwise, ours may be for 300 s."""
    made = session(tls_server, client_id, key, "private_key_jwt")
    claims = {"exp": int(time.time()) + LIFETIME, **claims}
    made.register_client_auth_method(PrivateKeyJWT(tls_server.issuer, claims=claims, headers={"kid": key.kid}, alg=algorithm))
    return made


def introspect(tls_server: TlsServer, metadata: AuthorizationServerMetadata, resource_server: dict[str, str], token: str) -> dict[str, Any]:
    """Ask about a token as the resource server."""
    asking = session(tls_server, resource_server["client_id"], resource_server["client_secret"], "client_secret_basic")
    answer = asking.introspect_token(metadata["introspection_endpoint"], token=token)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


@pytest.mark.spec("PKJ-01", "PKJ-03", "PKJ-04", "PKJ-07")
@pytest.mark.parametrize("algorithm", KEYS)
def test_a_token_comes_of_a_signed_assertion_and_says_whose_it_is(
    tls_server: TlsServer, metadata: Any, partner: dict[str, Any], keys: dict[str, Any], resource_server: dict[str, str], algorithm: str
) -> None:
    assert algorithm in metadata["token_endpoint_auth_signing_alg_values_supported"]
    client_id = partner["clients"][algorithm]["client_id"]
    token = with_key(tls_server, client_id, keys[algorithm], algorithm).fetch_token(
        metadata["token_endpoint"], grant_type="client_credentials"
    )
    assert (token["token_type"], token["scope"]) == ("Bearer", "bookings.read")
    seen = introspect(tls_server, metadata, resource_server, token["access_token"])
    assert seen["active"]
    assert (seen["client_id"], seen["org_id"], seen["scope"]) == (client_id, partner["org_id"], "bookings.read")


def test_a_token_comes_of_a_secret_and_ends_when_it_is_revoked(
    tls_server: TlsServer, metadata: Any, partner: dict[str, Any], resource_server: dict[str, str]
) -> None:
    credentials = partner["clients"]["secret"]
    client = session(tls_server, credentials["client_id"], credentials["client_secret"], "client_secret_basic")
    token = client.fetch_token(metadata["token_endpoint"], grant_type="client_credentials")["access_token"]
    assert introspect(tls_server, metadata, resource_server, token)["org_id"] == partner["org_id"]
    assert client.revoke_token(metadata["revocation_endpoint"], token=token).status_code == 200
    assert introspect(tls_server, metadata, resource_server, token) == {"active": False}


@pytest.mark.spec("PKJ-06")
@pytest.mark.threat("J16")
def test_an_assertion_used_twice_is_refused(tls_server: TlsServer, metadata: Any, partner: dict[str, Any], keys: dict[str, Any]) -> None:
    client = with_key(tls_server, partner["clients"]["ES256"]["client_id"], keys["ES256"], "ES256", jti=uuid.uuid4().hex)
    sent: list[dict[str, list[str]]] = []
    client.register_compliance_hook("access_token_response", lambda answer: sent.append(parse_qs(answer.request.body)) or answer)
    client.fetch_token(metadata["token_endpoint"], grant_type="client_credentials")
    again = requests.post(metadata["token_endpoint"], data=sent[0], verify=str(tls_server.ca_file), timeout=10)
    assert (again.status_code, again.json()["error"]) == (401, "invalid_client")
    assert "jti" in again.json()["error_description"]


@pytest.mark.spec("PKJ-04")
@pytest.mark.threat("O01")
def test_an_assertion_for_another_audience_or_by_another_key_is_refused(
    tls_server: TlsServer, metadata: Any, partner: dict[str, Any], keys: dict[str, Any]
) -> None:
    client_id = partner["clients"]["ES256"]["client_id"]
    stranger = ECKey.generate_key("P-256", auto_kid=True)
    for client in (
        with_key(tls_server, client_id, keys["ES256"], "ES256", aud=metadata["token_endpoint"]),
        with_key(tls_server, client_id, stranger, "ES256"),
    ):
        with pytest.raises(OAuthError, match="invalid_client"):
            client.fetch_token(metadata["token_endpoint"], grant_type="client_credentials")


def test_the_published_keys_are_read_by_another_library(tls_server: TlsServer, metadata: Any) -> None:
    document = requests.get(metadata["jwks_uri"], verify=str(tls_server.ca_file), timeout=10).json()
    assert len(KeySet.import_key_set(document).keys) == len(document["keys"])


def test_a_certificate_that_nobody_vouches_for_is_refused(tls_server: TlsServer) -> None:
    with pytest.raises(requests.exceptions.SSLError):
        requests.get(f"{tls_server.issuer}/oauth/jwks", timeout=10)
