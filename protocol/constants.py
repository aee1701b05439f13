"""Names and limits that the specifications fix, in their own words."""

from __future__ import annotations

from typing import Final

# JWS algorithms this server understands. RFC 9864 prefers the name Ed25519; EdDSA is the older name for the same thing here.
SIGNING_ALGORITHMS: Final = ("ES256", "ES384", "ES512", "PS256", "PS384", "PS512", "RS256", "RS384", "RS512", "Ed25519", "EdDSA")
CLIENT_ASSERTION_ALGORITHMS: Final = ("ES256", "PS256", "RS256", "Ed25519", "EdDSA")

CLIENT_ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
REQUEST_URI_PREFIX: Final = "urn:ietf:params:oauth:request_uri:"

WELL_KNOWN_FEDERATION: Final = "/.well-known/openid-federation"
# Ours: where a file proves that somebody runs an entity.
ENTITY_CLAIM_PATH: Final = "/.well-known/credence-entity-claim"

# Media types, RFC 7515 `typ` values are these without "application/".
ENTITY_STATEMENT_TYPE: Final = "entity-statement+jwt"
TRUST_MARK_TYPE: Final = "trust-mark+jwt"
TRUST_MARK_DELEGATION_TYPE: Final = "trust-mark-delegation+jwt"
RESOLVE_RESPONSE_TYPE: Final = "resolve-response+jwt"
EXPLICIT_REGISTRATION_RESPONSE_TYPE: Final = "explicit-registration-response+jwt"
SIGNED_JWKS_TYPE: Final = "jwk-set+jwt"
REQUEST_OBJECT_TYPE: Final = "oauth-authz-req+jwt"

# Largest compact JWTs that are looked at, in characters (threats.md J10).
CLIENT_ASSERTION_LIMIT: Final = 16 * 1024
ENTITY_STATEMENT_LIMIT: Final = 64 * 1024
REQUEST_OBJECT_LIMIT: Final = 64 * 1024
TRUST_CHAIN_HEADER_LIMIT: Final = 256 * 1024
JWKS_LIMIT: Final = 64 * 1024
REGISTRATION_BODY_LIMIT: Final = 64 * 1024

KEYS_PER_SET_LIMIT: Final = 20
CLIENT_ID_LIMIT: Final = 2048
URL_LIMIT: Final = 2048

# Tolerance for other people's clocks, in seconds (threats.md J15).
CLOCK_LEEWAY: Final = 60
CLIENT_ASSERTION_LIFETIME: Final = 300

# Authentication context classes: OpenID Connect EAP ACR Values 1.0, and the REFEDS Multi-Factor Authentication Profile; the stronger first.
PHISHING_RESISTANT: Final = "phr"
MULTI_FACTOR: Final = "https://refeds.org/profile/mfa"
ACR_VALUES: Final = (PHISHING_RESISTANT, MULTI_FACTOR)
