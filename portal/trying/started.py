"""The sign-ins that a person started from the test page: what is needed to finish them, kept in the session and used once."""

from __future__ import annotations

import base64
import hashlib
import secrets
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any, Final

from django.conf import settings
from django.contrib.sessions.backends.base import SessionBase
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from authserver.authorization.requests import ANSWER_LIFETIME
from registry.models import Client
from registry.single_use import use_once

SESSION_KEY: Final = "started_app_tests"
KEPT: Final = ANSWER_LIFETIME + timedelta(minutes=5)
KEPT_AT_ONCE: Final = 5

# What each parameter is for, in the order they are shown.
EXPLANATIONS: Final = {
    "client_id": _("Which app asks. Public."),
    "response_type": _("What comes back: code, the only one that this server serves."),
    "redirect_uri": _("Where the person comes back to. It must be registered, equal in every character."),
    "scope": _("What the app asks to be allowed. With openid there is an ID token, with offline_access a refresh token."),
    "state": _("A random value that comes back unchanged, so that the app knows the answer belongs to its own request."),
    "nonce": _("A random value that comes back inside the ID token, so that no old one can be passed off as new."),
    "code_challenge": _("PKCE: the SHA-256 of a random verifier. Only who has the verifier can use the code."),
    "code_challenge_method": _("How the challenge was made: S256, the only one that this server takes."),
    "prompt": _("What the person has to do in any case: sign in again, consent again, or nothing at all."),
    "max_age": _("How many seconds ago the person may have signed in at most."),
    "login_hint": _("The e-mail address that is filled in at the sign-in page."),
}


@dataclass(frozen=True, slots=True)
class StartedTest:
    """A sign-in that is under way: what was sent, and the verifier that never was."""

    reference: str
    state: str
    nonce: str
    verifier: str
    redirect_uri: str
    started_at: int

    def __repr__(self) -> str:
        return f"StartedTest({self.reference!r})"


@dataclass(frozen=True, slots=True)
class ExplainedParameter:
    """One parameter of a request, as the page shows it."""

    name: str
    value: str
    explanation: Any


def callback_of(client: Client) -> str:
    """Return the address of the test page that a person of this app comes back to."""
    return settings.ISSUER + reverse("app_test_callback", args=[client.organization.slug, client.reference])


def start_test(session: SessionBase, client: Client, chosen: Mapping[str, str]) -> list[ExplainedParameter]:
    """Return the parameters of a new authorization request of `client`, with those that the person has `chosen`.

    What finishes it stays in the session, for the newest KEPT_AT_ONCE tests.
    """
    now = int(time.time())
    test = StartedTest(
        reference=str(client.reference),
        state=secrets.token_urlsafe(24),
        nonce=secrets.token_urlsafe(24),
        verifier=secrets.token_urlsafe(48),
        redirect_uri=callback_of(client),
        started_at=now,
    )
    waiting = [*_waiting(session), asdict(test)]
    session[SESSION_KEY] = waiting[-KEPT_AT_ONCE:]
    parameters = {
        "client_id": client.client_id,
        "response_type": "code",
        "redirect_uri": test.redirect_uri,
        "state": test.state,
        "nonce": test.nonce,
        "code_challenge": challenge_of(test.verifier),
        "code_challenge_method": "S256",
        **chosen,
    }
    return [ExplainedParameter(name, parameters[name], words) for name, words in EXPLANATIONS.items() if parameters.get(name)]


def challenge_of(verifier: str) -> str:
    """Return the S256 challenge of a PKCE verifier (RFC 7636, 4.2)."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def find_test(session: SessionBase, client: Client, state: str) -> StartedTest | None:
    """Return the test of `client` that this browser started with `state`, if it is under way."""
    matching = [entry for entry in _waiting(session) if entry["state"] == state and entry["reference"] == str(client.reference)]
    return StartedTest(**matching[0]) if matching else None


def take_test(session: SessionBase, client: Client, state: str) -> StartedTest | None:
    """Return the same and use it up; of two posts at the same moment one gets it."""
    test = find_test(session, client, state)
    if test is None:
        return None
    session[SESSION_KEY] = [entry for entry in _waiting(session) if entry["state"] != state]
    fresh = use_once("app test", test.reference, test.state, expires_at=timezone.now() + KEPT)
    return test if fresh else None


def _waiting(session: SessionBase) -> list[dict[str, Any]]:
    oldest = int(time.time()) - KEPT.total_seconds()
    return [entry for entry in session.get(SESSION_KEY, []) if entry["started_at"] > oldest]
