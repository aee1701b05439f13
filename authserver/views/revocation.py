"""The revocation endpoint (RFC 7009)."""

from __future__ import annotations

from authserver.views.base import OAuthLibEndpoint


class RevocationView(OAuthLibEndpoint):
    """Revokes a token of the calling client; an unknown or foreign token is answered like a revoked one (RFC 7009, 2.2)."""

    endpoint = "revocation"
    operation = "create_revocation_response"
