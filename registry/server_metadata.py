"""What this server says of itself: RFC 8414 metadata, from the policy in force and the endpoints that exist. Pure (house decision 13)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from registry.registration_policy import RegistrationPolicy

# Grants that the token endpoint serves today; what the policy allows beyond them may be registered but is not advertised.
SERVED_GRANT_TYPES: Final = ("client_credentials",)


def build_authorization_server_metadata(
    issuer: str, policy: RegistrationPolicy, endpoints: Mapping[str, str], scopes: Iterable[str]
) -> dict[str, Any]:
    """Return authorization server metadata (RFC 8414, 2). `endpoints` maps metadata names such as token_endpoint to absolute URLs.

    Nothing is named that does not work: endpoints that are absent are not mentioned, and grants are those both served and allowed.
    """
    methods = [method for method in policy.token_endpoint_auth_methods if method != "none"]
    algorithms = list(policy.client_assertion_algorithms)
    metadata: dict[str, Any] = {
        "issuer": issuer,
        **endpoints,
        "scopes_supported": sorted(scopes),
        "response_types_supported": ["code"] if "authorization_endpoint" in endpoints else [],
        "grant_types_supported": [grant for grant in SERVED_GRANT_TYPES if grant in policy.grant_types],
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,
    }
    for endpoint in ("token", "revocation", "introspection"):
        metadata[f"{endpoint}_endpoint_auth_methods_supported"] = methods
        if "private_key_jwt" in methods:
            metadata[f"{endpoint}_endpoint_auth_signing_alg_values_supported"] = algorithms
    return metadata
