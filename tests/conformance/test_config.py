"""The plan oidcc-config-certification-test-plan: what the server says of itself before anybody asks for anything."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.test import Client as Browser

from tests.conformance.steps import JWKS, OPENID

RESPONSE_TYPES = {"code", "code id_token", "id_token", "token id_token", "code id_token token", "code token"}


@pytest.fixture
def browser(server_keys: None, standard_scopes: None) -> Browser:
    """Anybody, at a server that has its keys."""
    return Browser(SERVER_NAME="127.0.0.1")


def check_address(url: Any) -> None:
    """Check an address that the server names."""
    parts = urlsplit(url)
    assert (parts.scheme, bool(parts.netloc), parts.fragment) == ("https", True, ""), url


def check_keys(keys: list[dict[str, Any]]) -> None:
    """Check published keys: each has a name of its own, none is private, RSA keys are long enough."""
    assert keys
    assert len({key["kid"] for key in keys}) == len(keys)
    for key in keys:
        assert key["kty"] in ("RSA", "EC", "OKP")
        assert not {"d", "p", "q", "dp", "dq", "qi", "oth", "k"} & key.keys()
        assert key["kty"] != "RSA" or len(key["n"]) * 6 >= 2048


def check_document(document: dict[str, Any], issuer: str) -> None:
    """Check what both documents have in common (RFC 8414, 2)."""
    assert document["issuer"] == issuer
    check_address(document["issuer"])
    assert not urlsplit(document["issuer"]).query
    for name, value in document.items():
        if name.endswith(("_endpoint", "_uri")):
            check_address(value)
        elif name.endswith(("_values_supported", "_methods_supported", "_types_supported", "scopes_supported", "_modes_supported")):
            assert value, name
            assert all(isinstance(entry, str) for entry in value), name
        elif name.startswith("require_") or name.endswith("_parameter_supported"):
            assert isinstance(value, bool), name
    assert {"authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri"} <= document.keys()
    assert all(re.fullmatch(r"[!#-\[\]-~]+", scope) for scope in document["scopes_supported"])
    assert isinstance(document["code_challenge_methods_supported"], list)


def test_the_discovery_document_says_what_it_has_to(browser: Browser, settings: Any) -> None:
    """oidcc-discovery-endpoint-verification"""
    answer = browser.get(OPENID)
    assert answer.status_code == 200
    assert answer["Content-Type"] == "application/json"
    document = answer.json()
    check_document(document, settings.ISSUER)
    assert set(document["response_types_supported"]) & RESPONSE_TYPES
    assert set(document["subject_types_supported"]) <= {"public", "pairwise"}
    assert "RS256" in document["id_token_signing_alg_values_supported"]
    assert "RS256" in document["request_object_signing_alg_values_supported"]
    assert document["grant_types_supported"]
    assert "openid" in document["scopes_supported"]
    assert document["claims_parameter_supported"] is True
    assert "sub" in document["claims_supported"]
    assert urlsplit(document["jwks_uri"]).path == JWKS
    check_keys(browser.get(JWKS).json()["keys"])
