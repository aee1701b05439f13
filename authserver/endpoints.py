"""Where the protocol endpoints are: absolute URLs from the issuer alone, never from the Host header (threats.md O12)."""

from __future__ import annotations

from typing import Final

from django.conf import settings
from django.urls import reverse

URL_NAMES: Final = {
    "authorization_endpoint": "authorize",
    "pushed_authorization_request_endpoint": "par",
    "token_endpoint": "token",
    "userinfo_endpoint": "userinfo",
    "end_session_endpoint": "logout",
    "revocation_endpoint": "revoke",
    "introspection_endpoint": "introspect",
    "registration_endpoint": "register",
    "jwks_uri": "jwks",
}


def endpoint_url(metadata_name: str) -> str:
    """Return the absolute URL of the endpoint that server metadata calls `metadata_name`."""
    return settings.ISSUER + reverse(URL_NAMES[metadata_name])


def all_endpoints() -> dict[str, str]:
    """Return every endpoint that exists, by its name in server metadata."""
    return {name: endpoint_url(name) for name in URL_NAMES}
