"""JOSE for the whole project, and the only package that imports PyJWT: keys, signing, one verifier per purpose.

`parse_jwk_set` and `review_jwk_set` read keys, `issue_jwt` signs, `parse_unverified` reads without trust, and `verify_jwt`
with a verifier from `purposes` is the one way from a token to claims that may be relied on (decision 12).
"""

from protocol.jose.claims import (
    AudienceRule,
    audience_contains,
    audience_contains_only,
    audience_is_exactly,
    numeric_date,
    validate_times,
)
from protocol.jose.compact import UnverifiedJwt, forget_headers, parse_unverified
from protocol.jose.keys import (
    CLIENT_KEYS,
    FEDERATION_ENTITY_KEYS,
    KeyFinding,
    KeySet,
    KeySetPurpose,
    PublicKey,
    certificate_ends,
    parse_jwk_set,
    review_jwk_set,
)
from protocol.jose.memory import forget_key_sets, parse_jwk_set_once
from protocol.jose.pem import PemKeys, parse_public_pem
from protocol.jose.signing import SigningKey, generate_private_key, issue_jwt, parse_private_jwk, parse_private_key_pem
from protocol.jose.verifier import VerificationBudget, VerifiedJwt, Verifier, check_signature, validate_unverified, verify_jwt

__all__ = [
    "CLIENT_KEYS",
    "FEDERATION_ENTITY_KEYS",
    "AudienceRule",
    "KeyFinding",
    "KeySet",
    "KeySetPurpose",
    "PemKeys",
    "PublicKey",
    "SigningKey",
    "UnverifiedJwt",
    "VerificationBudget",
    "VerifiedJwt",
    "Verifier",
    "audience_contains",
    "audience_contains_only",
    "audience_is_exactly",
    "certificate_ends",
    "check_signature",
    "forget_headers",
    "forget_key_sets",
    "generate_private_key",
    "issue_jwt",
    "numeric_date",
    "parse_jwk_set",
    "parse_jwk_set_once",
    "parse_private_jwk",
    "parse_private_key_pem",
    "parse_public_pem",
    "parse_unverified",
    "review_jwk_set",
    "validate_times",
    "validate_unverified",
    "verify_jwt",
]
