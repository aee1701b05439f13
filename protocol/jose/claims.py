"""Rules about claims, each testable alone: times, types, audience (RFC 7519, section 4; FED-JOS-09; J14, J15, O01).

`now` is an argument, in integer seconds. Every rule raises `InvalidJwt` with a stable reason, or answers with a bool.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType
from typing import Any, Final

from protocol.errors import InvalidJwt

NUMERIC_DATE_LIMIT: Final = 2**40
IDENTIFIER_CLAIMS: Final = ("iss", "sub", "jti")

# JSON types of claims that a verifier may require; every other required claim only has to be there.
_CLAIM_TYPES: Final[Mapping[str, type]] = MappingProxyType(
    dict.fromkeys(("client_id", "trust_mark_type", "trust_mark", "status", "trust_anchor", "challenge"), str)
    | dict.fromkeys(("jwks", "metadata"), dict)
    | dict.fromkeys(("keys", "authority_hints", "trust_chain"), list)
)
_TYPE_WORDS: Final[Mapping[type, str]] = {str: "a text that is not empty", dict: "an object", list: "an array"}


class AudienceRule(Enum):
    """What `aud` has to be, compared code point by code point.

    EXACTLY is a JSON string equal to the audience (O01), CONTAINS_ONLY also allows an array of that one value, CONTAINS allows
    more values beside it, UNCHECKED leaves `aud` to the caller.
    """

    EXACTLY = "exactly"
    CONTAINS_ONLY = "contains only"
    CONTAINS = "contains"
    UNCHECKED = "unchecked"


def numeric_date(claims: Mapping[str, Any], name: str) -> int | float | None:
    """Return the NumericDate `name` in seconds, or None when it is absent.

    It is a number, never a bool or a text, above 0 and below 2^40; otherwise `InvalidJwt` with reason `numeric_date` (J14).
    """
    if name not in claims:
        return None
    value = claims[name]
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    # Every comparison with NaN is false, so the range refuses it as well as the infinities.
    if not is_number or not 0 < value < NUMERIC_DATE_LIMIT:
        raise InvalidJwt("numeric_date", f"The claim '{name}' is not a time in seconds since 1970.", claim=name)
    return value  # type: ignore[no-any-return]


def validate_times(
    claims: Mapping[str, Any], *, now: int, leeway: int, lifetime: int | None = None, expired_accepted: bool = False
) -> None:
    """Check `exp`, `iat` and `nbf` where present; all arguments are in seconds (RFC 7519, 4.1.4 to 4.1.6; J14, J15).

    Valid while `now < exp + leeway`, `iat <= now + leeway` and `nbf <= now + leeway`. With `lifetime`, `exp` is at most that
    far from the earlier of `iat` and `nbf`, or from `now + leeway` when both are absent.
    Reasons: `numeric_date`, `issued_in_future`, `not_yet_valid`, `expired`, `lifetime`.
    """
    exp, iat, nbf = numeric_date(claims, "exp"), numeric_date(claims, "iat"), numeric_date(claims, "nbf")
    if iat is not None and iat > now + leeway:
        raise InvalidJwt("issued_in_future", "The JWT was issued in the future.", claim="iat")
    if nbf is not None and nbf > now + leeway:
        raise InvalidJwt("not_yet_valid", "The JWT is not valid yet.", claim="nbf")
    if exp is None:
        return
    if now >= exp + leeway and not expired_accepted:
        raise InvalidJwt("expired", "The JWT is expired.", claim="exp")
    if lifetime is None:
        return
    start = min((time for time in (iat, nbf) if time is not None), default=now + leeway)
    if exp - start > lifetime:
        raise InvalidJwt("lifetime", f"The JWT is valid for longer than {lifetime} seconds.", claim="exp")


def validate_types(claims: Mapping[str, Any], required: tuple[str, ...]) -> None:
    """Check that `required` claims are there, and that they and the registered claims have their JSON type (RFC 7519, 4.1).

    Reasons: `claim_missing`, `claim_type`; times are checked by `validate_times`.
    """
    for name in required:
        if name not in claims:
            raise InvalidJwt("claim_missing", f"The claim '{name}' is missing.", claim=name)
        expected = _CLAIM_TYPES.get(name)
        if expected is not None:
            _validate_type(claims[name], name, expected)
    for name in IDENTIFIER_CLAIMS:
        if name in claims:
            _validate_type(claims[name], name, str)
    if "aud" in claims and not _is_audience(claims["aud"]):
        raise InvalidJwt("claim_type", "The claim 'aud' is neither a text nor an array of texts.", claim="aud")


def validate_audience(claims: Mapping[str, Any], rule: AudienceRule, audience: str) -> None:
    """Check `aud` by `rule` against our identifier; raises `InvalidJwt` with reason `audience` (O01)."""
    checks = {
        AudienceRule.EXACTLY: audience_is_exactly,
        AudienceRule.CONTAINS_ONLY: audience_contains_only,
        AudienceRule.CONTAINS: audience_contains,
    }
    if not checks[rule](claims, audience):
        raise InvalidJwt("audience", f"The claim 'aud' must be {_AUDIENCE_WORDS[rule]} this server's identifier.", claim="aud")


_AUDIENCE_WORDS: Final = {
    AudienceRule.EXACTLY: "a single text, exactly",
    AudienceRule.CONTAINS_ONLY: "nothing but",
    AudienceRule.CONTAINS: "or contain",
}


def audience_is_exactly(claims: Mapping[str, Any], audience: str) -> bool:
    """Say whether `aud` is a JSON string equal to `audience`; an array never is (O01, PKJ-04)."""
    value = claims.get("aud")
    return isinstance(value, str) and value == audience


def audience_contains_only(claims: Mapping[str, Any], audience: str) -> bool:
    """Say whether `aud` is `audience` or an array of it alone (FED-AUT-09, FED-EXP-04)."""
    return audience_is_exactly(claims, audience) or claims.get("aud") == [audience]


def audience_contains(claims: Mapping[str, Any], audience: str) -> bool:
    """Say whether `aud` is `audience` or an array with it (JAR-06)."""
    value = claims.get("aud")
    return audience_is_exactly(claims, audience) or (isinstance(value, list) and audience in value)


def _validate_type(value: object, name: str, expected: type) -> None:
    if not isinstance(value, expected) or value == "":
        raise InvalidJwt("claim_type", f"The claim '{name}' is not {_TYPE_WORDS[expected]}.", claim=name)


def _is_audience(value: object) -> bool:
    return isinstance(value, str) or (isinstance(value, list) and all(isinstance(item, str) for item in value))
