"""What this server publishes about itself, made from one source and kept for a while, also while the database is away."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.urls import reverse
from django.utils import timezone

from authserver.endpoints import all_endpoints
from federation.own_entity import OwnStatement, issue_own_configuration, issue_signed_jwks, registration_metadata
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


def protocol_jwks() -> dict[str, Any]:
    """Return this server's protocol keys. Ed25519 keys come without `alg`: they sign under two names (RFC 9864)."""
    keys = get_keys(SigningKey.Purpose.PROTOCOL).public_jwks["keys"]
    return {"keys": [{name: value for name, value in key.items() if name != "alg" or key["kty"] != "OKP"} for key in keys]}


def _sign_configuration() -> OwnStatement:
    told = metadata_snapshot.get()
    keys = {"signed_jwks_uri": settings.ISSUER + reverse("signed-jwks"), **registration_metadata()}
    # There it would promise that anybody may register the way of OpenID Connect, implicit flow included.
    openid = {name: value for name, value in told["openid"].items() if name != "registration_endpoint"}
    metadata = {"openid_provider": {**openid, **keys}, "oauth_authorization_server": {**told["oauth"], **keys}}
    return issue_own_configuration(metadata, now=timezone.now())


def own_configuration() -> str:
    """Return this server's entity configuration as it would be signed now. Raises NotFound where this server is no entity."""
    metadata_snapshot.forget()
    return _sign_configuration().token


configuration_snapshot: Snapshot[OwnStatement] = Snapshot(_sign_configuration, seconds=SECONDS)
signed_jwks_snapshot: Snapshot[OwnStatement] = Snapshot(lambda: issue_signed_jwks(protocol_jwks(), now=timezone.now()), seconds=SECONDS)
