"""What this server says of itself: RFC 8414 metadata, from the policy in force and the endpoints that exist. Pure (house decision 13)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from protocol.constants import ACR_VALUES
from registry.registration_policy import RegistrationPolicy

CLAIMS: Final = (
    *("sub", "name", "email", "email_verified"),
    *("iss", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "at_hash", "org_id"),
)


def build_authorization_server_metadata(
    issuer: str, policy: RegistrationPolicy, endpoints: Mapping[str, str], scopes: Iterable[str]
) -> dict[str, Any]:
    """Return authorization server metadata (RFC 8414, 2). `endpoints` maps metadata names such as token_endpoint to absolute URLs.

    Nothing is named that does not work: endpoints that are absent are not mentioned.
    """
    methods = list(policy.token_endpoint_auth_methods)
    algorithms = list(policy.client_assertion_algorithms)
    metadata: dict[str, Any] = {
        "issuer": issuer,
        **endpoints,
        "scopes_supported": sorted(scopes),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query", "form_post"],
        "grant_types_supported": list(policy.grant_types),
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": True,
        "prompt_values_supported": ["none", "login", "consent"],
        "request_parameter_supported": True,
        "request_uri_parameter_supported": False,
        "request_object_signing_alg_values_supported": algorithms,
        "require_signed_request_object": policy.require_signed_request_object,
        "require_pushed_authorization_requests": policy.require_pushed_authorization_requests,
    }
    for endpoint in ("token", "revocation", "introspection"):
        offered = [method for method in methods if method != "none" or endpoint != "introspection"]
        metadata[f"{endpoint}_endpoint_auth_methods_supported"] = offered
        if "private_key_jwt" in methods:
            metadata[f"{endpoint}_endpoint_auth_signing_alg_values_supported"] = algorithms
    return metadata


def build_openid_provider_metadata(
    issuer: str, policy: RegistrationPolicy, endpoints: Mapping[str, str], scopes: Iterable[str]
) -> dict[str, Any]:
    """Return OpenID provider metadata (OpenID Connect Discovery 1.0, 3): the same and what concerns people."""
    return {
        **build_authorization_server_metadata(issuer, policy, endpoints, scopes),
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": list(policy.id_token_algorithms),
        "acr_values_supported": list(ACR_VALUES),
        "claims_supported": list(CLAIMS),
        "claims_parameter_supported": True,
        "claim_types_supported": ["normal"],
    }
