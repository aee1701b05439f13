"""The protocol keys of an entity, apart from its federation keys: `jwks`, `signed_jwks_uri`, `jwks_uri` (OpenID Federation 1.0, 5.2.1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from protocol.errors import InvalidJson, InvalidJwt, InvalidKeySet, InvalidUrl
from protocol.fetch import Fetcher, FetchPurpose, standard_request
from protocol.jose import KeySet, VerificationBudget, parse_jwk_set, verify_jwt
from protocol.jose.purposes import SIGNED_JWKS
from protocol.strict_json import parse_json_object
from protocol.urls import parse_https_url


def get_protocol_keys(
    metadata: Mapping[str, Any], entity_id: str, federation_keys: KeySet, fetcher: Fetcher, *, now: int, budget: VerificationBudget
) -> KeySet:
    """Return the keys of resolved metadata of one entity type: `jwks`, else `signed_jwks_uri`, else `jwks_uri` (FED-JWK-10).

    `federation_keys` are the subject's keys from its validated chain: they sign the set behind `signed_jwks_uri` (FED-JWK-02). `now` is
    in seconds. Raises InvalidKeySet, and FetchError when a set cannot be had.
    """
    if "jwks" in metadata:
        return parse_jwk_set(metadata["jwks"])
    if "signed_jwks_uri" in metadata:
        return _fetch_signed_keys(_https(metadata["signed_jwks_uri"]), entity_id, federation_keys, fetcher, now, budget)
    if "jwks_uri" in metadata:
        return _fetch_keys(_https(metadata["jwks_uri"]), fetcher)
    raise InvalidKeySet("none", "The metadata has neither jwks nor signed_jwks_uri nor jwks_uri.")


def _https(url: object) -> str:
    try:
        return parse_https_url(url if isinstance(url, str) else "").text
    except InvalidUrl as error:
        raise InvalidKeySet("url", f"The keys are not behind an https URL. {error.description}") from error


def _fetch_keys(url: str, fetcher: Fetcher) -> KeySet:
    response = fetcher.fetch(standard_request(FetchPurpose.JWKS, url))
    try:
        return parse_jwk_set(parse_json_object(response.body, max_bytes=len(response.body)))
    except InvalidJson as error:
        raise InvalidKeySet("json", error.description) from error


def _fetch_signed_keys(url: str, entity_id: str, federation_keys: KeySet, fetcher: Fetcher, now: int, budget: VerificationBudget) -> KeySet:
    """Fetch and verify a signed JWK Set (FED-JWK-03 to -06)."""
    response = fetcher.fetch(standard_request(FetchPurpose.SIGNED_JWKS, url))
    try:
        verified = verify_jwt(SIGNED_JWKS, response.body, federation_keys, now, issuer=entity_id, budget=budget)
    except InvalidJwt as error:
        raise InvalidKeySet("signature", f"The signed key set does not verify. {error.description}") from error
    if verified.claims["sub"] != entity_id:
        raise InvalidKeySet("subject", "The signed key set is about another entity.")
    return parse_jwk_set({"keys": verified.claims["keys"]})
