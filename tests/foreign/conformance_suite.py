"""What the OpenID conformance suite serves, sends and checks in its federation plan of a provider: relying party and trust anchor in one.

As the suite was on 20 August 2026, read from its source. Names, times and shapes are its own, also where they are strange.
"""

from __future__ import annotations

import json
import re
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit

from joserfc import jws, jwt
from joserfc.jwk import KeySet

from federation.core.resolver import configuration_url, statement_url
from federation.simulator import SimulatedEntity, SimulatedFederation
from federation.simulator.tls import FederationServer
from protocol.constants import CLIENT_ASSERTION_TYPE
from protocol.fetch import FetchRequest, Page
from protocol.jose import SigningKey, generate_private_key, issue_jwt
from protocol.jose.base64url import decode_base64url, encode_base64url
from tests.conformance.steps import ERROR_MEMBERS, assert_types, assert_unguessable
from tests.foreign.conftest import TlsServer
from tests.foreign.loopback import session_on_loopback

HOST: Final = "suite.conformance.example"
FORM: Final = {"Accept": "application/json"}
ALGORITHM: Final = "RS256"
STATEMENT_SECONDS: Final = 300
REQUEST_SECONDS: Final = 300
ASSERTION_SECONDS: Final = 60
STRAY: Final = {"request_uri_parameter_supported": False}
# Of the standards that the suite knows, what a provider like ours may say of itself; it warns of anything else.
KNOWN_MEMBERS: Final = frozenset((
    *("issuer", "authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri", "signed_jwks_uri", "jwks", "scopes_supported"),
    *("response_types_supported", "response_modes_supported", "grant_types_supported", "acr_values_supported", "subject_types_supported"),
    *("id_token_signing_alg_values_supported", "userinfo_signing_alg_values_supported", "request_object_signing_alg_values_supported"),
    *("token_endpoint_auth_methods_supported", "token_endpoint_auth_signing_alg_values_supported", "display_values_supported"),
    *("claim_types_supported", "claims_supported", "service_documentation", "claims_locales_supported", "ui_locales_supported"),
    *("claims_parameter_supported", "request_parameter_supported", "request_uri_parameter_supported", "require_request_uri_registration"),
    *("op_policy_uri", "op_tos_uri", "revocation_endpoint", "revocation_endpoint_auth_methods_supported"),
    *("revocation_endpoint_auth_signing_alg_values_supported", "introspection_endpoint", "introspection_endpoint_auth_methods_supported"),
    *("introspection_endpoint_auth_signing_alg_values_supported", "code_challenge_methods_supported", "prompt_values_supported"),
    *("pushed_authorization_request_endpoint", "require_pushed_authorization_requests", "require_signed_request_object"),
    *("authorization_response_iss_parameter_supported", "end_session_endpoint", "client_registration_types_supported"),
    *("federation_registration_endpoint", "organization_name", "organization_uri", "contacts", "display_name", "logo_uri"),
))  # fmt: skip


class Suite(SimulatedFederation):
    """The entities of the suite on one host: an anchor, and a relying party for each alias of a test plan."""

    def __init__(self) -> None:
        super().__init__(lambda: self.configured_at)
        self.configured_at = int(time.time())
        self.asked: list[str] = []
        self.port, self.anchor_id = 0, ""
        # Three keys from the tester's configuration, and one that is nobody's.
        self.federation_key, self.client_key, self.anchor_key, foreign = (generate_private_key(ALGORITHM, rsa_bits=2048) for _ in range(4))
        self.foreign_key = SigningKey("mtzTAZxDRQ0eGoyXfe5444t7R37J-vBNsvAHLapvq5_w", ALGORITHM, foreign.private_key)

    def open(self, server: FederationServer) -> None:
        """Add the anchor, as the server serves it from now on."""
        self.port, self.anchor_id = server.port, server.entity_id(HOST, "/test/a/credence/trust-anchor")
        anchor = self.add_authority(self.anchor_id)
        anchor.keys, anchor.lifetime = [self.anchor_key], STATEMENT_SECONDS
        endpoints = {f"federation_{name}_endpoint": f"{self.anchor_id}/{name}" for name in ("fetch", "list", "resolve")}
        anchor.metadata["federation_entity"] = endpoints

    def configure(self, alias: str, *, with_source: bool = False, seconds_ago: int = 0) -> SimulatedEntity:
        """Begin a module: from now on statements have the times of this moment. With `with_source` the anchor names its source."""
        self.configured_at = int(time.time()) - seconds_ago
        base = f"https://{HOST}:{self.port}/test/a/{alias}"
        entity = self.entities.get(base) or self.add_relying_party(base, [self.anchor_id])
        entity.keys, entity.lifetime, entity.claims = [self.federation_key], STATEMENT_SECONDS, dict(STRAY)
        declared = {"client_registration_types": ["automatic"], "response_types": ["code"], "redirect_uris": [f"{base}/callback"]}
        entity.metadata = {"federation_entity": {}, "openid_relying_party": {**declared, "jwks_uri": f"{base}/jwks"}}
        source = {"source_endpoint": f"{self.anchor_id}/fetch"} if with_source else {}
        # The anchor copies what the entity says of itself.
        self.entities[self.anchor_id].subordinates[base] = {"metadata": entity.metadata, **STRAY, **source}
        return entity

    def answer(self, request: FetchRequest) -> Any:
        """Return what is served; the keys of every relying party are the same."""
        self.asked.append(request.url)
        base = request.url.removesuffix("/jwks")
        if base != request.url and base in self.entities:
            return Page(json.dumps({"keys": [self.client_key.public_jwk()]}).encode(), "application/json")
        return super().answer(request)

    def asked_about(self, base: str) -> set[str]:
        """Return which URLs below a relying party were asked for, or about it at the anchor."""
        about = statement_url(f"{self.anchor_id}/fetch", base)
        return {url for url in self.asked if url == about or (url.startswith(f"{base}/") and not url.startswith(f"{self.anchor_id}/"))}


@dataclass
class RelyingParty:
    """A module of the suite: it looked at the provider, and sends requests as the entity of its alias."""

    suite: Suite
    server: TlsServer
    entity_id: str
    metadata: Mapping[str, Any]
    provider_keys: KeySet

    @property
    def callback(self) -> str:
        return f"{self.entity_id}/callback"

    @property
    def expected_fetches(self) -> set[str]:
        """Return what may be asked about the entity; anything else fails the module."""
        return {configuration_url(self.entity_id), f"{self.entity_id}/jwks", statement_url(f"{self.suite.anchor_id}/fetch", self.entity_id)}

    def chain(self) -> list[str]:
        """Return the trust chain, the entity's own statement first."""
        suite, anchor = self.suite, self.suite.anchor_id
        return [suite.configuration(self.entity_id), suite.statement(anchor, self.entity_id), suite.configuration(anchor)]

    def by_value(
        self, *, typ: str | None = "JWT", key: SigningKey | None = None, chain: bool = False, spoilt: bool = False, **changes: Any
    ) -> dict[str, str]:
        """Return the four parameters of a request by value, beside the object what is in it; None drops a claim."""
        good = {
            "client_id": self.entity_id, "scope": "openid", "response_type": "code", "redirect_uri": self.callback, "iss": self.entity_id,
            "aud": self.server.issuer, "jti": str(uuid.uuid4()), "exp": int(time.time()) + REQUEST_SECONDS,
        }  # fmt: skip
        claims = {name: value for name, value in {**good, **changes}.items() if value is not None}
        headers = {"trust_chain": self.chain()} if chain else {}
        request = issue_jwt(claims, key or self.suite.client_key, typ=typ, headers=headers)
        if spoilt:
            start, _, signature = request.rpartition(".")
            request = f"{start}.{encode_base64url(bytes(octet ^ 0x5A for octet in decode_base64url(signature)))}"
        return {**{name: claims[name] for name in ("client_id", "scope", "response_type")}, "request": request}

    def address(self, parameters: Mapping[str, str]) -> str:
        """Return the address that a browser opens."""
        return f"{self.metadata['authorization_endpoint']}?{urlencode(parameters)}"

    def authentication(self, audience: str) -> dict[str, str]:
        """Return what authenticates the relying party."""
        now = int(time.time())
        claims = {
            "iss": self.entity_id, "sub": self.entity_id, "aud": audience, "jti": uuid.uuid4().hex[:20], "nbf": now, "iat": now,
            "exp": now + ASSERTION_SECONDS,
        }  # fmt: skip
        return {"client_assertion": issue_jwt(claims, self.suite.client_key, typ=None), "client_assertion_type": CLIENT_ASSERTION_TYPE}

    def push(self, request: str) -> dict[str, str]:
        """Push a request object, as it is and without client_id; return the two parameters that name it."""
        form = {"request": request, **self.authentication(self.server.issuer)}
        answer = session_on_loopback(self.server.ca_file).post(
            self.metadata["pushed_authorization_request_endpoint"], data=form, headers=FORM, timeout=30
        )
        assert answer.status_code == 201, answer.text
        assert answer.headers["Content-Type"].partition(";")[0] == "application/json"
        members = answer.json()
        assert "error" not in members, members
        assert urlsplit(members["request_uri"]).scheme
        assert_unguessable(members["request_uri"])
        assert 5 <= members["expires_in"] < 31_536_000
        return {"request_uri": members["request_uri"], "client_id": self.entity_id}

    def code_of(self, back: str) -> str:
        """Return the code of an answer that has to have one."""
        members = self.read_answer(back)
        assert "error" not in members, members
        return members["code"]

    def read_answer(self, back: str) -> dict[str, str]:
        """Return the members of an answer that came by the browser."""
        parts = urlsplit(back)
        assert (parts._replace(query="").geturl(), parts.fragment) == (self.callback, "")
        members = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=True))
        assert members["iss"] == self.server.issuer
        assert not members.get("state")
        return members

    def refused(self, back: str) -> None:
        """Check an answer that has to be an error."""
        members = self.read_answer(back)
        assert members["error"] in ("invalid_request_object", "invalid_request", "invalid_client"), members
        assert members.keys() <= ERROR_MEMBERS
        assert re.fullmatch(r"[ !#-\[\]-~]*", members.get("error_description", ""))

    def redeem(self, code: str) -> dict[str, Any]:
        """Exchange a code; return the claims of the ID token."""
        endpoint = self.metadata["token_endpoint"]
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": self.callback, "client_id": self.entity_id}
        answer = session_on_loopback(self.server.ca_file).post(
            endpoint, data={**form, **self.authentication(endpoint)}, headers=FORM, timeout=30
        )
        tokens = answer.json()
        assert "error" not in tokens, tokens
        return self.read_id_token(tokens["id_token"])

    def read_id_token(self, token: str) -> dict[str, Any]:
        """Verify an ID token and return its claims."""
        verified, now = jwt.decode(token, self.provider_keys, algorithms=[ALGORITHM]), time.time()
        claims = dict(verified.claims)
        assert (claims["iss"], claims["aud"]) == (self.server.issuer, self.entity_id)
        assert now - 300 < claims["exp"] < now + 50 * 365 * 86400
        assert abs(claims["iat"] - now) < 300
        assert now - 365 * 86400 < claims["auth_time"] <= now
        assert claims.get("acr") != ""
        assert "nonce" not in claims
        assert re.fullmatch(r"[!-~]{1,255}", claims["sub"])
        assert_types(claims)
        return claims


def look_at_provider(server: TlsServer) -> tuple[dict[str, Any], KeySet]:
    """Check what the provider publishes, as every module does first; return its OpenID metadata and its protocol keys."""
    session = session_on_loopback(server.ca_file)
    url = configuration_url(server.issuer)
    answer = session.get(url, headers={"Accept": "application/entity-statement+jwt"}, allow_redirects=False, timeout=30)
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"].partition(";")[0] == "application/entity-statement+jwt"
    claims = check_configuration(answer.text, server.issuer)
    metadata = claims["metadata"]["openid_provider"]
    check_metadata(metadata)
    fetched = session.get(metadata["jwks_uri"], timeout=30)
    assert fetched.status_code == 200, fetched.text
    check_keys(fetched.json())
    return metadata, KeySet.import_key_set(fetched.json())


def check_configuration(token: str, issuer: str) -> dict[str, Any]:
    """Check an entity configuration: its signature, claims, keys and the kinds of its metadata; return its claims."""
    parsed, now = jws.extract_compact(token.encode()), time.time()
    header, claims = parsed.headers(), dict(json.loads(parsed.payload))
    assert (claims["iss"], claims["sub"]) == (issuer, issuer)
    assert now - 5 * 365 * 86400 < claims["iat"] <= now + 300
    assert now < claims["exp"] < now + 5 * 365 * 86400
    check_keys(claims["jwks"])
    (signer,) = (key for key in claims["jwks"]["keys"] if key["kid"] == header["kid"])
    assert signer.get("use", "sig") == "sig"
    assert signer.get("alg", header["alg"]) == header["alg"]
    jwt.decode(token, KeySet.import_key_set(claims["jwks"]), algorithms=[header["alg"]])
    assert claims["metadata"].keys() <= {"federation_entity", "openid_provider", "oauth_authorization_server"}
    assert all(isinstance(members, dict) for members in claims["metadata"].values())
    endpoints = {name: url for name, url in claims["metadata"]["federation_entity"].items() if name.endswith("_endpoint")}
    assert all(is_plain_https(url) for url in endpoints.values()), endpoints
    return claims


def check_keys(jwks: Mapping[str, Any]) -> None:
    """Check that keys are public, strong enough, and each has a name of its own."""
    names = [key["kid"] for key in jwks["keys"]]
    assert len(set(names)) == len(names) > 0
    for key in jwks["keys"]:
        assert key["kty"] in ("RSA", "EC", "OKP"), key
        assert not {"d", "p", "q", "dp", "dq", "qi", "oth", "k"} & key.keys()
        numbers = [key[name] for name in ("n", "e", "x", "y") if name in key]
        assert all(re.fullmatch(r"[A-Za-z0-9_-]+", number) for number in numbers), key
        if key["kty"] != "OKP":
            strength = decode_base64url(key["n"] if key["kty"] == "RSA" else key["x"])
            assert len(strength) * 8 >= (2048 if key["kty"] == "RSA" else 256), key


def check_metadata(metadata: Mapping[str, Any]) -> None:
    """Check OpenID provider metadata as of a provider that registers nobody dynamically, and what federation adds to it."""
    assert metadata.keys() <= KNOWN_MEMBERS, metadata.keys() - KNOWN_MEMBERS
    assert "registration_endpoint" not in metadata  # a provider with one would have to offer the implicit flow
    assert {"authorization_endpoint", "token_endpoint", "userinfo_endpoint", "pushed_authorization_request_endpoint"} <= metadata.keys()
    addresses = {name: value for name, value in metadata.items() if name.endswith(("_endpoint", "jwks_uri"))}
    assert all(is_plain_https(url) for url in addresses.values()), addresses
    lists = {name: value for name, value in metadata.items() if name.endswith("_supported") and not isinstance(value, bool)}
    for name, values in lists.items():
        assert isinstance(values, list), name
        assert values, name
        assert all(isinstance(value, str) for value in values), name
    assert "code" in metadata["response_types_supported"]
    assert "authorization_code" in metadata["grant_types_supported"]
    assert {"public", "pairwise"} & set(metadata["subject_types_supported"])
    assert ALGORITHM in metadata["id_token_signing_alg_values_supported"]
    assert ALGORITHM in metadata["request_object_signing_alg_values_supported"]
    assert "openid" in metadata["scopes_supported"]
    assert all(re.fullmatch(r"[\x21\x23-\x5b\x5d-\x7e]+", scope) for scope in metadata["scopes_supported"])
    assert "sub" in metadata["claims_supported"]
    assert metadata["request_parameter_supported"] is True
    assert metadata["request_uri_parameter_supported"] is False
    assert "automatic" in metadata["client_registration_types_supported"]
    assert set(metadata["client_registration_types_supported"]) <= {"automatic", "explicit"}
    assert "explicit" not in metadata["client_registration_types_supported"] or metadata["federation_registration_endpoint"]


def is_plain_https(url: str) -> bool:
    """Say whether a URL is an absolute https address without fragment."""
    parts = urlsplit(url)
    return parts.scheme == "https" and bool(parts.hostname) and "#" not in url
