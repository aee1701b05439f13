"""Asking the token endpoint as an app, with a credential that a person gives for this one try, and ending what comes of it."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote

from django.conf import settings
from django.urls import reverse
from django.utils.translation import gettext as _

from authserver.authorization.people import subject_of_hint
from authserver.families import end_family_of_code, revoke
from authserver.introspection import introspect
from portal.trying.answers import Check, Try, describe_error, show_answer, show_request
from portal.trying.dispatch import Answer, send_form
from portal.trying.started import StartedTest
from protocol.constants import CLIENT_ASSERTION_TYPE
from protocol.errors import InvalidJwt, InvalidRequest
from protocol.jose import UnverifiedJwt, parse_unverified
from protocol.jose.purposes import ID_TOKEN
from registry.models import Client

# What a try tells of its access token, as a resource server would learn it.
_FACTS: Final = ("org_id", "stage", "scope", "sub", "aud", "exp")


@dataclass(frozen=True, slots=True)
class GivenCredential:
    """What a person gave for one try: a secret or a client assertion, or neither for a public app. It is kept nowhere."""

    secret: str = field(default="", repr=False)
    assertion: str = field(default="", repr=False)


def exchange_code(client: Client, test: StartedTest, code: str, credential: GivenCredential, *, source: str, now: datetime) -> Try:
    """Exchange `code` as `client` at the token endpoint; whatever comes of it, the code and its tokens have ended on return."""
    parameters = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": test.redirect_uri,
        "code_verifier": test.verifier,
    }
    try:
        return _ask(client, parameters, credential, source=source, now=now, nonce=test.nonce)
    finally:
        end_family_of_code(code, client, now=now)


def ask_for_own_token(client: Client, scope: str, credential: GivenCredential, *, source: str, now: datetime) -> Try:
    """Ask for a token of `client` itself by client credentials; the token has ended on return."""
    parameters = {"grant_type": "client_credentials", **({"scope": scope} if scope else {})}
    return _ask(client, parameters, credential, source=source, now=now)


def _ask(client: Client, parameters: Mapping[str, str], credential: GivenCredential, *, source: str, now: datetime, nonce: str = "") -> Try:
    sent, authorization = _authenticated(client, parameters, credential)
    answer = send_form("token", sent, authorization=authorization, source=source)
    token = str(answer.members.get("access_token", ""))
    try:
        facts = _facts(token, now) if token else {}
    finally:
        if token:
            revoke(token, client, now=now)
    return Try(
        request=_shown_request(sent, authorization),
        answer=show_answer(answer),
        facts=facts,
        **describe_error(answer),
        **_id_token(answer, client, nonce, now),
    )


def _authenticated(client: Client, parameters: Mapping[str, str], credential: GivenCredential) -> tuple[dict[str, str], str]:
    """Return the parameters and the Authorization header of a request that `client` authenticates by its registered method.

    The client_id always goes along, so that a credential of another app is refused.
    """
    method, sent = client.token_endpoint_auth_method, {**parameters, "client_id": client.client_id}
    if method == "client_secret_basic":
        pair = f"{quote(client.client_id, safe='')}:{quote(credential.secret, safe='')}"
        return sent, "Basic " + base64.b64encode(pair.encode()).decode()
    if method == "client_secret_post":
        sent["client_secret"] = credential.secret
    if method == "private_key_jwt":
        sent |= {"client_assertion_type": CLIENT_ASSERTION_TYPE, "client_assertion": credential.assertion}
    return sent, ""


def _shown_request(sent: Mapping[str, str], authorization: str) -> str:
    """Return the request with words in place of the credential."""
    words = {"client_secret": _("[your secret]"), "client_assertion": _("[your signed assertion]")}
    return show_request(reverse("token"), sent, credential=words, header=_("Basic [client ID and your secret]") if authorization else "")


def _facts(token: str, now: datetime) -> dict[str, Any]:
    """Return what a resource server learns about the token while it lives."""
    learned = introspect(token, now=now)
    facts: dict[str, Any] = {name: learned[name] for name in _FACTS if name in learned}
    return facts | {"exp": datetime.fromtimestamp(learned["exp"], UTC)} if "exp" in learned else facts


def _id_token(answer: Answer, client: Client, nonce: str, now: datetime) -> dict[str, Any]:
    """Return the ID token of an answer decoded, with what an app checks in it; the token itself is not shown."""
    token = str(answer.members.get("id_token", ""))
    if not token:
        return {}
    try:
        jwt = parse_unverified(token, max_length=ID_TOKEN.max_length)
    except InvalidJwt:
        return {}
    return {
        "header": json.dumps(jwt.unverified_header, indent=2, default=dict),
        "claims": json.dumps(jwt.unverified_claims, indent=2, ensure_ascii=False, default=dict),
        "checks": (Check(_("Its signature verifies with a key of ours."), _verifies(token, client, now)), *_checks(jwt, client, nonce)),
    }


def _verifies(token: str, client: Client, now: datetime) -> bool:
    try:
        return bool(subject_of_hint(token, client, now=now))
    except InvalidRequest:
        return False


def _checks(jwt: UnverifiedJwt, client: Client, nonce: str) -> tuple[Check, ...]:
    claims = jwt.unverified_claims
    return (
        Check(_("iss is our issuer, %(issuer)s.") % {"issuer": settings.ISSUER}, claims.get("iss") == settings.ISSUER),
        Check(_("aud is your client ID."), claims.get("aud") in (client.client_id, [client.client_id])),
        Check(_("nonce is the one that was sent."), bool(nonce) and claims.get("nonce") == nonce),
    )
