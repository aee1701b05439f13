"""Public documents: server metadata (RFC 8414) and keys (RFC 7517). Both answer from memory while the database is away."""

from __future__ import annotations

import json
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views import View

from authserver.documents import configuration_snapshot, metadata_snapshot, protocol_jwks, signed_jwks_snapshot
from protocol.constants import ENTITY_STATEMENT_TYPE, SIGNED_JWKS_TYPE
from protocol.errors import MethodNotAllowed


class PublicDocument(View):
    """A document that anybody may read and keep for a while."""

    content_type = "application/json"

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Answer GET and HEAD."""
        if request.method not in ("GET", "HEAD"):
            raise MethodNotAllowed(("GET", "HEAD"))
        response = HttpResponse(self.body(), content_type=self.content_type)
        response["Cache-Control"] = "public, max-age=300"
        response["Access-Control-Allow-Origin"] = "*"
        return response

    def body(self) -> str:
        """Return what is answered."""
        return json.dumps(self.document())

    def document(self) -> dict[str, Any]:
        """Return the document."""
        raise NotImplementedError


class AuthorizationServerMetadataView(PublicDocument):
    """/.well-known/oauth-authorization-server"""

    def document(self) -> dict[str, Any]:
        """Return authorization server metadata."""
        return metadata_snapshot.get()["oauth"]


class OpenidConfigurationView(PublicDocument):
    """/.well-known/openid-configuration"""

    def document(self) -> dict[str, Any]:
        """Return OpenID provider metadata, made from the same source."""
        return metadata_snapshot.get()["openid"]


class JwksView(PublicDocument):
    """This server's protocol keys."""

    content_type = "application/jwk-set+json"

    def document(self) -> dict[str, Any]:
        """Return the JWK Set."""
        return protocol_jwks()


class EntityConfigurationView(PublicDocument):
    """/.well-known/openid-federation: this server as an entity (OpenID Federation 1.0, 9)."""

    content_type = f"application/{ENTITY_STATEMENT_TYPE}"

    def body(self) -> str:
        """Return the compact JWT."""
        return configuration_snapshot.get().current(timezone.now())


class SignedJwksView(PublicDocument):
    """This server's protocol keys, signed by its federation key (OpenID Federation 1.0, 5.2.1)."""

    content_type = f"application/{SIGNED_JWKS_TYPE}"

    def body(self) -> str:
        """Return the compact JWT."""
        return signed_jwks_snapshot.get().current(timezone.now())
