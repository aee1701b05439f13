"""Public documents: server metadata (RFC 8414) and keys (RFC 7517). Both answer from memory while the database is away."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views import View

from authserver.endpoints import all_endpoints
from protocol.errors import MethodNotAllowed
from registry.models import Scope, SigningKey
from registry.policies import get_policy
from registry.server_metadata import build_authorization_server_metadata, build_openid_provider_metadata
from registry.signing_keys import get_keys
from registry.snapshots import Snapshot

SECONDS = 30.0


def _read_metadata() -> dict[str, dict[str, Any]]:
    names = list(Scope.objects.filter(is_retired=False).values_list("name", flat=True))
    policy, endpoints = get_policy(), all_endpoints()
    return {
        "oauth": build_authorization_server_metadata(settings.ISSUER, policy, endpoints, names),
        "openid": build_openid_provider_metadata(settings.ISSUER, policy, endpoints, names),
    }


metadata_snapshot: Snapshot[dict[str, dict[str, Any]]] = Snapshot(_read_metadata, seconds=SECONDS)


class PublicDocument(View):
    """A JSON document that anybody may read and keep for a few minutes."""

    content_type = "application/json"

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Answer GET and HEAD."""
        if request.method not in ("GET", "HEAD"):
            raise MethodNotAllowed(("GET", "HEAD"))
        response = JsonResponse(self.document(), content_type=self.content_type)
        response["Cache-Control"] = "public, max-age=300"
        response["Access-Control-Allow-Origin"] = "*"
        return response

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
        """Return the JWK Set. Ed25519 keys come without `alg`, since they sign under two names (RFC 9864) and verifiers compare it."""
        keys = get_keys(SigningKey.Purpose.PROTOCOL).public_jwks["keys"]
        return {"keys": [{name: value for name, value in key.items() if name != "alg" or key["kty"] != "OKP"} for key in keys]}
