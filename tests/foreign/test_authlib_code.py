"""Authlib as a relying party for people: code and PKCE by private_key_jwt, and a resource server that introspects."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from authlib.common.security import generate_token
from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from authlib.oidc.core import CodeIDToken, UserInfo
from authlib.oidc.discovery import OpenIDProviderMetadata
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet

from tests.foreign.conftest import TlsServer
from tests.foreign.people import CALLBACK, DOCUMENT, SCOPE, Person, set_up_apps

pytestmark = [pytest.mark.foreign, pytest.mark.enable_socket]
EMAIL = "authlib@lighthouse.example"


@pytest.fixture(scope="module")
def key() -> ECKey:
    """The key of the app."""
    return ECKey.generate_key("P-256", auto_kid=True)


@pytest.fixture(scope="module")
def partner(tls_server: TlsServer, key: ECKey) -> dict[str, Any]:
    """One app per algorithm of its ID tokens."""
    keys = {"jwks": {"keys": [key.as_dict(private=False, use="sig")]}}
    documents = {
        algorithm: {**DOCUMENT, **keys, "client_name": f"Reads {algorithm}", "id_token_signed_response_alg": algorithm}
        for algorithm in ("RS256", "ES256", "PS256")
    }
    return set_up_apps(tls_server, documents, email=EMAIL, name="Ada Authlib")


@pytest.fixture(scope="module")
def metadata(tls_server: TlsServer) -> OpenIDProviderMetadata:
    """The server's OpenID metadata, every member checked by Authlib."""
    found = OpenIDProviderMetadata(get(tls_server, f"{tls_server.issuer}/.well-known/openid-configuration"))
    found.validate()
    return found


def get(tls_server: TlsServer, address: str, **headers: str) -> dict[str, Any]:
    """Return a JSON document of the server."""
    answer = requests.get(address, headers=headers, verify=str(tls_server.ca_file), timeout=30)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


class FreshAssertion(PrivateKeyJWT):
    """Authlib's assertion, new each time: given claims of its own, it would repeat its jti, and live an hour where ours may live 300 s."""

    def sign(self, auth: Any, token_endpoint: str) -> Any:
        self.claims = {"exp": int(time.time()) + 60}
        return super().sign(auth, token_endpoint)


def app(tls_server: TlsServer, metadata: OpenIDProviderMetadata, client_id: str, key: ECKey) -> OAuth2Session:
    """Return Authlib's session as the app."""
    made = OAuth2Session(
        client_id,
        key,
        token_endpoint_auth_method="private_key_jwt",
        revocation_endpoint_auth_method="private_key_jwt",
        scope=SCOPE,
        redirect_uri=CALLBACK,
        code_challenge_method="S256",
        token_endpoint=metadata["token_endpoint"],
    )
    made.verify, made.trust_env = str(tls_server.ca_file), False
    made.register_client_auth_method(FreshAssertion(tls_server.issuer, headers={"kid": key.kid}, alg="ES256"))
    return made


def sign_in(session: OAuth2Session, metadata: OpenIDProviderMetadata, person: Person, **parameters: str) -> dict[str, Any]:
    """Run the code flow and return the tokens."""
    verifier = generate_token(64)
    address, state = session.create_authorization_url(metadata["authorization_endpoint"], code_verifier=verifier, **parameters)
    back = person.go(address)
    return dict(session.fetch_token(metadata["token_endpoint"], authorization_response=back, state=state, code_verifier=verifier))


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "PS256"])
def test_the_id_token_is_what_the_app_registered_and_verifies_with_our_keys(
    tls_server: TlsServer, metadata: OpenIDProviderMetadata, partner: dict[str, Any], key: ECKey, algorithm: str
) -> None:
    client_id, nonce = partner["clients"][algorithm], generate_token(32)
    tokens = sign_in(app(tls_server, metadata, client_id, key), metadata, Person(tls_server, EMAIL), nonce=nonce)
    keys = KeySet.import_key_set(get(tls_server, metadata["jwks_uri"]))
    token = jwt.decode(tokens["id_token"], keys, algorithms=[algorithm])
    options = {"iss": {"value": tls_server.issuer}, "aud": {"value": client_id}}
    claims = CodeIDToken(
        token.claims, token.header, options, {"nonce": nonce, "client_id": client_id, "access_token": tokens["access_token"]}
    )
    claims.validate(leeway=5)
    assert (claims["sub"], token.header["alg"]) == (partner["sub"], algorithm)
    about = UserInfo(get(tls_server, metadata["userinfo_endpoint"], Authorization=f"Bearer {tokens['access_token']}"))
    assert (about.sub, about.email, about.name) == (partner["sub"], EMAIL, "Ada Authlib")


def test_a_resource_server_sees_whose_token_it_is_until_it_is_revoked(
    tls_server: TlsServer, metadata: OpenIDProviderMetadata, partner: dict[str, Any], key: ECKey
) -> None:
    lines = tls_server.manage("create_resource_server", "Mailbox API").splitlines()
    resource_server = dict(line.split("=", 1) for line in lines if "=" in line)
    asking = OAuth2Session(resource_server["client_id"], resource_server["client_secret"], token_endpoint_auth_method="client_secret_basic")
    asking.verify, asking.trust_env = str(tls_server.ca_file), False
    session = app(tls_server, metadata, partner["clients"]["ES256"], key)
    tokens = sign_in(session, metadata, Person(tls_server, EMAIL))
    seen = asking.introspect_token(metadata["introspection_endpoint"], token=tokens["access_token"]).json()
    assert (seen["active"], seen["sub"], seen["org_id"]) == (True, partner["sub"], partner["org_id"])
    assert (seen["client_id"], set(seen["scope"].split()), seen["stage"]) == (partner["clients"]["ES256"], set(SCOPE.split()), "test")
    assert session.revoke_token(metadata["revocation_endpoint"], token=tokens["refresh_token"]).status_code == 200
    assert asking.introspect_token(metadata["introspection_endpoint"], token=tokens["access_token"]).json() == {"active": False}


def test_a_refreshed_token_works_and_the_one_before_does_not(
    tls_server: TlsServer, metadata: OpenIDProviderMetadata, partner: dict[str, Any], key: ECKey
) -> None:
    session = app(tls_server, metadata, partner["clients"]["ES256"], key)
    first = sign_in(session, metadata, Person(tls_server, EMAIL))
    second = session.refresh_token(metadata["token_endpoint"], refresh_token=first["refresh_token"])
    assert get(tls_server, metadata["userinfo_endpoint"], Authorization=f"Bearer {second['access_token']}")["email"] == EMAIL
    with pytest.raises(OAuthError, match="invalid_grant"):
        session.refresh_token(metadata["token_endpoint"], refresh_token=first["refresh_token"])


def test_a_code_without_its_verifier_is_refused(
    tls_server: TlsServer, metadata: OpenIDProviderMetadata, partner: dict[str, Any], key: ECKey
) -> None:
    session = app(tls_server, metadata, partner["clients"]["ES256"], key)
    address, _ = session.create_authorization_url(metadata["authorization_endpoint"], code_verifier=generate_token(64))
    code = parse_qs(urlsplit(Person(tls_server, EMAIL).go(address)).query)["code"][0]
    with pytest.raises(OAuthError, match="invalid_grant"):
        session.fetch_token(metadata["token_endpoint"], code=code, code_verifier=generate_token(64))
