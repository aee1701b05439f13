"""What the suite does and checks in every module: the whole flow, with each answer looked at."""

from __future__ import annotations

import base64
import hashlib
import math
import re
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

import time_machine
from django.conf import settings
from django.test import Client as Browser
from joserfc import jwt
from joserfc.jwk import KeySet

from authserver.throttling import failures
from registry.models import User
from tests.authserver.authorization.support import CALLBACK, VERIFIER, Answer, Flow, parameters, said
from tests.authserver.support import FORM

OPENID, OAUTH, JWKS = "/.well-known/openid-configuration", "/.well-known/oauth-authorization-server", "/oauth/jwks"
PASSWORD = "correct horse battery staple"
ERROR_MEMBERS: Final = {"error", "error_description", "error_uri", "state", "iss"}
CLAIM_TYPES: Final = {"sub": str, "name": str, "email": str, "email_verified": bool, "updated_at": int}
# Claims of an ID token that say nothing of the person; the suite warns of any other that was not asked for.
PLAIN_CLAIMS: Final = {"iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "azp", "at_hash", "jti", "nbf", "sid"}
HASHES: Final = {"RS256": hashlib.sha256, "PS256": hashlib.sha256, "ES256": hashlib.sha256}


class SignedIn(NamedTuple):
    """What came of a flow that succeeded."""

    members: dict[str, str]
    tokens: dict[str, Any]
    header: dict[str, Any]
    claims: dict[str, Any]
    userinfo: dict[str, Any]


@dataclass
class RelyingParty(Flow):
    """A client that goes through the flow as the suite does, with a person who signs in by password when asked."""

    person: User = field(kw_only=True)
    redirect_uri: str = CALLBACK

    def visitor(self) -> RelyingParty:
        """Return the same at a browser without cookies."""
        return replace(self, browser=Browser(SERVER_NAME="127.0.0.1"))

    def metadata(self, path: str = OPENID) -> dict[str, Any]:
        """Return what the server says of itself."""
        return dict(self.browser.get(path).json())

    def sent(self, **changes: Any) -> dict[str, Any]:
        """Return the parameters of a request after `changes`."""
        return parameters(self.app, **{"redirect_uri": self.redirect_uri, **changes})

    def begin(self, **changes: Any) -> Answer:
        """Send a request."""
        return self.start(**{"redirect_uri": self.redirect_uri, **changes})

    def run(self, *, silently: bool = False, **changes: Any) -> SignedIn:
        """Go through the whole flow."""
        return self.check(self.begin(**changes), silently=silently, **changes)

    def check(self, started: Answer, *, silently: bool = False, **changes: Any) -> SignedIn:
        """Go through the flow of a started request that was sent with `changes`."""
        sent = self.sent(**changes)
        members = self.answered(started, silently=silently)
        assert "error" not in members, members
        assert members.get("state") == sent.get("state")
        assert members["iss"] == settings.ISSUER
        assert_unguessable(members["code"])
        tokens = redeemed(self.redeem(members["code"]))
        header, claims = self.read(tokens, sent.get("nonce"))
        answer = self.userinfo(tokens["access_token"])
        return SignedIn(members, tokens, header, claims, read_userinfo(answer, claims["sub"]))

    def answered(self, started: Answer, *, silently: bool = False) -> dict[str, str]:
        """Return what the client is told, once the person signed in and agreed; `silently` says that nobody may be asked."""
        answer = self.go_on(started)
        assert not (silently and answer.status_code != 303), (answer.status_code, answer.headers.get("Location"))
        if answer.status_code == 302:
            self.browser.post(answer["Location"], {"login": self.person.email, "password": PASSWORD})
            answer = self.go_on(started)
        if answer.status_code == 200 and b'value="allow"' in answer.content:
            answer = self.allow(started)
        assert answer["Location"].startswith(self.redirect_uri)
        assert "#" not in answer["Location"]
        return said(answer)

    def redeem(self, code: str, **changes: Any) -> Answer:
        """Exchange a code; None leaves a parameter out."""
        return self.exchange(code, **{"redirect_uri": self.redirect_uri, **changes})

    def read(self, tokens: Mapping[str, Any], nonce: str | None) -> tuple[dict[str, Any], dict[str, Any]]:
        """Verify an ID token and return its header and claims (OpenID Connect Core, 3.1.3.7)."""
        algorithm = self.app.client.metadata.get("id_token_signed_response_alg", "RS256")
        verified = jwt.decode(tokens["id_token"], KeySet.import_key_set(self.browser.get(JWKS).json()), algorithms=[algorithm])
        claims, now = dict(verified.claims), time.time()
        assert verified.header["kid"]
        assert (claims["iss"], claims["aud"]) == (settings.ISSUER, self.app.client_id)
        assert claims["iat"] - 5 <= now < claims["exp"]
        assert claims["iat"] > now - 300
        assert now - 365 * 86400 < claims["auth_time"] <= now
        assert claims.get("nonce") == nonce
        assert claims.get("acr") != ""
        assert re.fullmatch(r"[!-~]{1,255}", claims["sub"])
        digest = HASHES[algorithm](tokens["access_token"].encode()).digest()
        assert claims["at_hash"] == base64.urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode()
        assert_types(claims)
        return dict(verified.header), claims

    @contextmanager
    def later(self, seconds: float) -> Iterator[None]:
        """Let time pass: for the server, and for the dates in this client's assertions."""
        moment, before = datetime.now(UTC) + timedelta(seconds=seconds), self.app.now
        with time_machine.travel(moment, tick=True):
            self.app.now = moment
            try:
                yield
            finally:
                self.app.now = before


def post(endpoint: str, form: Mapping[str, Any]) -> Answer:
    """Post a form as it is."""
    failures.forget()
    return Browser(SERVER_NAME="127.0.0.1").post(endpoint, urlencode(form), content_type=FORM)


def code_form(code: str, **more: Any) -> dict[str, Any]:
    """Return the form that exchanges a code, without credentials."""
    return {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK, "code_verifier": VERIFIER, **more}


def redeemed(answer: Answer) -> dict[str, Any]:
    """Return the tokens of an answer that has to hold some."""
    assert answer.status_code == 200, answer.content
    assert answer["Content-Type"] == "application/json"
    assert "no-store" in answer["Cache-Control"]
    tokens: dict[str, Any] = answer.json()
    assert tokens["token_type"].lower() == "bearer"
    assert isinstance(tokens["expires_in"], int)
    assert tokens["expires_in"] > 0
    for name in {"access_token", "refresh_token"} & tokens.keys():
        assert re.fullmatch(r"[!-~]+", tokens[name])
        assert_unguessable(tokens[name])
    return tokens


def read_userinfo(answer: Answer, subject: str) -> dict[str, Any]:
    """Return the claims of a userinfo answer about `subject`."""
    assert answer.status_code == 200, answer.content
    assert answer["Content-Type"] == "application/json"
    claims: dict[str, Any] = answer.json()
    assert claims["sub"] == subject
    assert_types(claims)
    return claims


def refused(answer: Answer, *codes: str) -> None:
    """Check an error of an endpoint that clients call: only a failed authentication may be 401 (RFC 6749, 5.2)."""
    assert answer["Content-Type"] == "application/json"
    members = answer.json()
    assert members["error"] in codes, members
    assert answer.status_code in ((400, 401) if members["error"] == "invalid_client" else (400,))
    assert re.fullmatch(r"[ !#-\[\]-~]*", members.get("error_description", ""))


def refused_to_app(members: Mapping[str, str], state: str | None, *codes: str) -> None:
    """Check an error that came to the client by the browser."""
    assert members["error"] in codes, members
    assert members.get("state") == state
    assert members["iss"] == settings.ISSUER
    assert members.keys() <= ERROR_MEMBERS
    assert re.fullmatch(r"[ !#-\[\]-~]*", members.get("error_description", ""))


def assert_types(claims: Mapping[str, Any]) -> None:
    """Check the types of standard claims (OpenID Connect Core, 5.1)."""
    assert all(isinstance(claims[name], kind) for name, kind in CLAIM_TYPES.items() if name in claims), claims


def assert_unguessable(value: str) -> None:
    """Check the length of a credential, and what its letters let expect of its entropy: 128 bits, of which some may be missed."""
    counts = Counter(value).values()
    entropy = -sum(count * math.log2(count / len(value)) for count in counts)
    assert len(value) * 8 >= 128, value
    assert entropy >= 96, value
