"""What snippets are filled with: the values of one app and of this server."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from django.conf import settings

from authserver.endpoints import endpoint_url
from portal.trying.started import callback_of
from registry.models import Client

_PLACE_FOR_REDIRECT_URI = "https://app.example.org/callback"


@dataclass(frozen=True, slots=True)
class AppFacts:
    """The values of one app, as they are registered; the languages quote them."""

    client_id: str
    method: str
    scope: str
    redirect_uri: str
    key_id: str
    algorithm: str
    acts_alone: bool
    signs_in: bool
    refreshes: bool
    issuer: str
    token_endpoint: str
    authorization_endpoint: str

    def quoted(self, quote: Callable[[str], str]) -> dict[str, str]:
        """Return every text as a literal of the language that `quote` writes."""
        names = ("client_id", "scope", "redirect_uri", "key_id", "algorithm", "issuer", "token_endpoint", "authorization_endpoint")
        return {name: quote(getattr(self, name)) for name in names}


def facts_of(client: Client, *, waiting_scopes: Collection[str]) -> AppFacts:
    """Return the values of an app; scopes that wait for approval are left out, since a request with one is refused."""
    key = _signing_key(client)
    test_callback = callback_of(client)
    redirect_uris = [uri for uri in client.registered_redirect_uris if uri != test_callback]
    return AppFacts(
        client_id=client.client_id,
        method=client.token_endpoint_auth_method,
        scope=" ".join(name for name in client.scopes if name not in waiting_scopes),
        redirect_uri=redirect_uris[0] if redirect_uris else _PLACE_FOR_REDIRECT_URI,
        key_id=str(key.get("kid", "your-key-id")),
        algorithm=str(client.metadata.get("token_endpoint_auth_signing_alg") or key.get("alg") or "ES256"),
        acts_alone="client_credentials" in client.grant_types,
        signs_in="authorization_code" in client.grant_types,
        refreshes="refresh_token" in client.grant_types,
        issuer=settings.ISSUER,
        token_endpoint=endpoint_url("token_endpoint"),
        authorization_endpoint=endpoint_url("authorization_endpoint"),
    )


def _signing_key(client: Client) -> dict[str, Any]:
    """Return the first registered key that may sign, or nothing for keys behind an address."""
    keys = client.metadata.get("jwks", {}).get("keys", []) if isinstance(client.metadata.get("jwks"), dict) else []
    return next((key for key in keys if isinstance(key, dict) and key.get("use", "sig") == "sig"), {})
