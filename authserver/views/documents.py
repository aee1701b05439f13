"""Public documents: server metadata (RFC 8414) and keys (RFC 7517). Both answer from memory while the database is away."""

from __future__ import annotations

import json
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.views import View

from authserver.endpoints import all_endpoints
from federation.own_entity import OwnStatement, issue_own_configuration, issue_signed_jwks, registration_metadata
from protocol.constants import ENTITY_STATEMENT_TYPE, SIGNED_JWKS_TYPE
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


def protocol_jwks() -> dict[str, Any]:
    """Return this server's protocol keys. Ed25519 keys come without `alg`: they sign under two names (RFC 9864)."""
    keys = get_keys(SigningKey.Purpose.PROTOCOL).public_jwks["keys"]
    return {"keys": [{name: value for name, value in key.items() if name != "alg" or key["kty"] != "OKP"} for key in keys]}


class JwksView(PublicDocument):
    """This server's protocol keys."""

    content_type = "application/jwk-set+json"

    def document(self) -> dict[str, Any]:
        """Return the JWK Set."""
        return protocol_jwks()


def _sign_configuration() -> OwnStatement:
    told = metadata_snapshot.get()
    keys = {"signed_jwks_uri": settings.ISSUER + reverse("signed-jwks"), **registration_metadata()}
    metadata = {"openid_provider": {**told["openid"], **keys}, "oauth_authorization_server": {**told["oauth"], **keys}}
    return issue_own_configuration(metadata, now=timezone.now())


configuration_snapshot: Snapshot[OwnStatement] = Snapshot(_sign_configuration, seconds=SECONDS)
signed_jwks_snapshot: Snapshot[OwnStatement] = Snapshot(lambda: issue_signed_jwks(protocol_jwks(), now=timezone.now()), seconds=SECONDS)


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
