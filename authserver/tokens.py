"""Values of tokens and how long they live. The prefix lets a log filter find a token wherever it turns up (threats.md R05)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from registry.digests import random_credential
from registry.models import Client
from registry.registration_policy import RegistrationPolicy


def generate_access_token(request: Any) -> str:  # noqa: ARG001 - the toolkit passes its request
    """Return a new access token of 256 random bits."""
    return random_credential("cat")


def generate_refresh_token(request: Any) -> str:  # noqa: ARG001
    """Return a new refresh token of 256 random bits."""
    return random_credential("crt")


def token_lifetime(client: Client, policy: RegistrationPolicy, now: datetime) -> int:
    """Return the seconds an access token may live: what the policy says, but never beyond the client's trust (threats.md O11)."""
    lifetime = policy.access_token_lifetime_seconds
    if client.trust_expires_at is not None:
        lifetime = min(lifetime, int((client.trust_expires_at - now).total_seconds()))
    return max(lifetime, 0)
