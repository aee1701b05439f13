"""ID tokens, read by a library that is not ours, with the keys that we publish (OpenID Connect Core, 2)."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from registry.actors import job
from registry.models import PolicyRecord
from registry.signing_keys import get_keys, rotate_signing_key
from tests.authserver.authorization.support import Flow
from tests.authserver.support import Caller
from tests.conftest import Cast

ALGORITHMS = ("ES256", "RS256", "PS256", "Ed25519", "EdDSA")
HASHES = {"ES256": hashlib.sha256, "RS256": hashlib.sha256, "PS256": hashlib.sha256, "Ed25519": hashlib.sha512, "EdDSA": hashlib.sha512}


def read(flow: Flow, token: str, algorithm: str) -> Any:
    """Verify an ID token by the published keys."""
    keys = KeySet.import_key_set(flow.browser.get("/oauth/jwks").json())
    return jwt.decode(token, keys, algorithms=[algorithm])


@pytest.mark.filterwarnings("ignore:EdDSA is deprecated")
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_an_id_token_is_signed_with_the_registered_algorithm(
    new_app: Callable[..., Caller], flow: Flow, cast: Cast, settings: Any, algorithm: str
) -> None:
    flow = Flow(new_app(id_token_signed_response_alg=algorithm), flow.browser)
    assert algorithm in flow.browser.get("/.well-known/openid-configuration").json()["id_token_signing_alg_values_supported"]
    before = int(time.time())
    tokens = flow.tokens(scope="openid profile email")
    published = flow.browser.get("/oauth/jwks").json()["keys"]
    header = json.loads(base64.urlsafe_b64decode(tokens["id_token"].split(".")[0] + "=="))
    assert (header["alg"], header["typ"]) == (algorithm, "JWT")
    assert [key["kid"] for key in published].count(header["kid"]) == 1
    assert not any({"d", "p", "q", "k"} & key.keys() for key in published)
    claims = read(flow, tokens["id_token"], algorithm).claims
    digest = HASHES[algorithm](tokens["access_token"].encode()).digest()
    left = base64.urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode()
    assert claims["iss"] == settings.ISSUER
    assert claims["sub"] == str(cast.owner.sub)
    assert claims["aud"] == flow.app.client_id
    assert claims["nonce"] == "nonce-1"
    assert claims["at_hash"] == left
    assert claims["org_id"] == str(cast.organization.org_id)
    assert before - 7 <= claims["auth_time"] <= before - 4
    assert before <= claims["iat"] <= time.time()
    assert claims["iat"] < claims["exp"] <= claims["iat"] + 600
    assert all(isinstance(claims[name], int) for name in ("iat", "exp", "auth_time"))
    assert not {"email", "name", "email_verified"} & claims.keys()


def test_an_app_that_registered_no_algorithm_gets_rs256(new_app: Callable[..., Caller], flow: Flow) -> None:
    flow = Flow(new_app(id_token_signed_response_alg=None), flow.browser)
    assert read(flow, flow.tokens()["id_token"], "RS256").header["alg"] == "RS256"


def test_without_a_nonce_there_is_none_and_without_openid_there_is_no_id_token(flow: Flow) -> None:
    assert "nonce" not in read(flow, flow.tokens(nonce=None)["id_token"], "ES256").claims
    assert "id_token" not in flow.tokens(scope="bookings.read")


def test_a_refreshed_id_token_keeps_person_and_time_and_has_no_nonce(flow: Flow) -> None:
    tokens = flow.tokens(scope="openid offline_access")
    old, new = (
        read(flow, token, "ES256").claims for token in (tokens["id_token"], flow.refresh(tokens["refresh_token"]).json()["id_token"])
    )
    assert all(old[name] == new[name] for name in ("iss", "sub", "aud", "auth_time", "org_id"))
    assert "nonce" not in new
    assert new["at_hash"] != old["at_hash"]


def test_the_policy_decides_about_org_id(flow: Flow) -> None:
    PolicyRecord.objects.create(organization=None, values={"org_id_in_id_token": False})
    assert "org_id" not in read(flow, flow.tokens()["id_token"], "ES256").claims


def test_a_rotated_key_still_verifies_what_it_signed(flow: Flow, now: datetime) -> None:
    old = flow.tokens()["id_token"]
    upcoming = {key["kid"] for key in get_keys("protocol").public_jwks["keys"]}
    rotate_signing_key("protocol", "ES256", job("test"), now=now)
    new = flow.tokens()["id_token"]
    kids = [read(flow, token, "ES256").header["kid"] for token in (old, new)]
    assert kids[0] != kids[1]
    assert kids[1] in upcoming  # it was published before it signed
    assert "code" in flow.browser.get(flow.start(id_token_hint=old, prompt="none")["Location"])["Location"]
