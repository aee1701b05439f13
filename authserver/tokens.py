"""Values of tokens and how long they live. The prefix lets a log filter find a token wherever it turns up (threats.md R05)."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Any

from protocol.errors import UnauthorizedClient
from registry.digests import random_credential
from registry.entitlements import lacks_grant
from registry.models import Client
from registry.policies import Policies, get_policies
from registry.registration_policy import RegistrationPolicy
from registry.snapshots import Snapshot


def generate_access_token(request: Any) -> str:  # noqa: ARG001 - the toolkit passes its request
    """Return a new access token of 256 random bits."""
    return random_credential("cat")


def generate_refresh_token(request: Any) -> str:  # noqa: ARG001
    """Return a new refresh token of 256 random bits."""
    return random_credential("crt")


def checksum_of(token: str) -> str:
    """Return what the toolkit's columns hold of a presented token, before they are keyed; any text will do."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


# Issuing a token needs of the policy only its lifetime and default scopes, and may learn of a change a few seconds late.
policies: Snapshot[Policies] = Snapshot(get_policies, seconds=5.0)


def policy_for_tokens(client: Client) -> RegistrationPolicy:
    """Return the policy for tokens of `client`, at most five seconds old."""
    return policies.get().of(client.organization_id)


def check_grant(client: Client, grant_type: str, now: datetime) -> None:
    """Refuse a grant that the client did not register, or that it needs a trust mark for and has none. Raises UnauthorizedClient."""
    if grant_type not in client.grant_types:
        raise UnauthorizedClient(f"This app did not register the grant {grant_type}.")
    if lacks_grant(client, grant_type, policy_for_tokens(client), now):
        raise UnauthorizedClient(f"This entity has no valid trust mark that entitles it to the grant {grant_type}.", detail="trust mark")


def token_lifetime(client: Client, policy: RegistrationPolicy, now: datetime) -> int:
    """Return the seconds an access token may live: what the policy says, but never beyond the client's trust (threats.md O11)."""
    lifetime = policy.access_token_lifetime_seconds
    if client.trust_expires_at is not None:
        lifetime = min(lifetime, int((client.trust_expires_at - now).total_seconds()))
    return max(lifetime, 0)
