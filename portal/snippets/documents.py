"""Documents in JSON: what to register by DCR, and the skeleton of an entity configuration."""

from __future__ import annotations

import json
from typing import Any, Final

from django.conf import settings

from registry.models import Client

_PLACE_FOR_ENTITY: Final = "https://app.example.org"
# What federation says by its statements, or an app cannot choose.
_NOT_DECLARED: Final = frozenset(("client_registration_types", "organization_name"))


def registration_document(client: Client) -> dict[str, Any]:
    """Return a document that registers another app like `client`."""
    return dict(client.declared_metadata or client.metadata)


def entity_configuration(client: Client) -> str:
    """Return the claims of an entity configuration for `client` (OpenID Federation 1.0, 3), with places for what only its people know."""
    by_federation = client.trust != Client.Trust.NONE
    entity_id = client.client_id if by_federation else _PLACE_FOR_ENTITY
    kind = "openid_relying_party" if "authorization_code" in client.grant_types else "oauth_client"
    metadata = {name: value for name, value in client.metadata.items() if name not in _NOT_DECLARED}
    claims = {
        "iss": entity_id,
        "sub": entity_id,
        "iat": 0,
        "exp": 0,
        "jwks": {"keys": []},
        "authority_hints": ["https://federation.example.org"],
        "metadata": {kind: {**metadata, "client_registration_types": ["automatic"]}},
    }
    return json.dumps(claims, indent=2)


def discovery_address() -> str:
    """Return where every library finds what it needs."""
    return f"{settings.ISSUER}/.well-known/openid-configuration"
