"""One verifier per purpose, and the one function that turns a token into a `VerifiedJwt`.

The order is cheap before dear (J18): length, shape, header, claims, issuer, audience, times, key, and the signature last,
which is checked at most once per token (J09).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from protocol.constants import CLOCK_LEEWAY, SIGNING_ALGORITHMS
from protocol.errors import InvalidJwt
from protocol.jose.algorithms import ALGORITHMS
from protocol.jose.claims import AudienceRule, validate_audience, validate_times, validate_types
from protocol.jose.compact import UnverifiedJwt, parse_unverified
from protocol.jose.key_rules import KID_LIMIT, KID_PATTERN
from protocol.jose.keys import NO_KEY_VERIFIES, KeySet, PublicKey
from protocol.strict_json import quotable

BASIC_HEADERS: Final = frozenset({"alg", "kid", "typ"})
CHAIN_HEADERS: Final = frozenset({"trust_chain", "peer_trust_chain"})
VERIFICATIONS_PER_REQUEST: Final = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Verifier:
    """Everything that a JWT of one purpose has to be (J05); `lifetime` and `leeway` are in seconds, `max_length` in characters.

    `types` are the exact `typ` values; `untyped_allowed` also takes an absent `typ` and the generic "JWT".
    `same` and `different` are pairs of claims whose values must, or must not, be equal.
    """

    purpose: str
    types: tuple[str, ...]
    max_length: int
    untyped_allowed: bool = False
    algorithms: tuple[str, ...] = SIGNING_ALGORITHMS
    headers: frozenset[str] = BASIC_HEADERS
    require_kid: bool = True
    required: tuple[str, ...] = ()
    forbidden: tuple[str, ...] = ()
    same: tuple[tuple[str, str], ...] = ()
    different: tuple[tuple[str, str], ...] = ()
    audience_rule: AudienceRule = AudienceRule.UNCHECKED
    audience_optional: bool = False
    lifetime: int | None = None
    leeway: int = CLOCK_LEEWAY
    expired_accepted: bool = False

    def __post_init__(self) -> None:
        """Refuse a verifier that could not be safe: HMAC, `none` and header parameters that carry keys cannot be expressed."""
        if not self.algorithms or not set(self.algorithms) <= set(ALGORITHMS):
            raise ValueError("a verifier accepts asymmetric algorithms of the table only")
        if not self.headers <= BASIC_HEADERS | CHAIN_HEADERS:
            raise ValueError("a verifier accepts no other header parameters than alg, kid, typ and the two trust chains")
        if not self.types and not self.untyped_allowed:
            raise ValueError("a verifier accepts at least one typ")


@dataclass(frozen=True, slots=True)
class VerifiedJwt:
    """A JWT whose signature, header, claims and times were checked."""

    purpose: str
    header: Mapping[str, Any]
    claims: Mapping[str, Any]
    key: PublicKey
    token: str = field(repr=False)

    @property
    def digest(self) -> str:
        """Return SHA-256 of the compact token, in hex: a name of these exact bytes, for caches.

        It is no replay key: an ECDSA signature has more than one spelling.
        """
        return hashlib.sha256(self.token.encode()).hexdigest()


@dataclass(slots=True)
class VerificationBudget:
    """How many signatures one request may make us check (J18); `spent` counts those that were checked."""

    limit: int = VERIFICATIONS_PER_REQUEST
    spent: int = field(default=0, init=False)

    def spend(self) -> None:
        """Count one check, or raise `InvalidJwt` with reason `verification_budget`."""
        if self.spent >= self.limit:
            raise InvalidJwt("verification_budget", "The request holds more signatures than are checked for one request.")
        self.spent += 1


KeySource = KeySet | Callable[[UnverifiedJwt], KeySet]


def verify_jwt(
    verifier: Verifier,
    token: str | bytes | UnverifiedJwt,
    keys: KeySource,
    now: int,
    *,
    issuer: str | None = None,
    audience: str | None = None,
    budget: VerificationBudget | None = None,
) -> VerifiedJwt:
    """Return the verified JWT, or raise `InvalidJwt` with a stable reason (RFC 7515, 5.2; RFC 7519, 7.2; FED-JOS-03).

    `token` may be what `parse_unverified` returned, so that nothing is parsed twice. `keys` may be a function that is called
    after every cheap check has passed. `issuer` is the only `iss` accepted; `audience` is our identifier and is given exactly
    when the verifier has an audience rule (ValueError otherwise). `now` is in integer seconds. The signature is checked at
    most once.
    """
    jwt = validate_unverified(verifier, token, now, issuer=issuer, audience=audience)
    header, claims = jwt.unverified_header, jwt.unverified_claims
    key_set = keys if isinstance(keys, KeySet) else keys(jwt)
    key = key_set.for_verification(header["alg"], header.get("kid"))
    _verify_signature(jwt, key, budget or VerificationBudget())
    return VerifiedJwt(verifier.purpose, header, claims, key, jwt.token)


def validate_unverified(
    verifier: Verifier, token: str | bytes | UnverifiedJwt, now: int, *, issuer: str | None = None, audience: str | None = None
) -> UnverifiedJwt:
    """Check everything about a JWT but its signature, as `verify_jwt` does, before keys are looked for far away. Raises `InvalidJwt`."""
    if (audience is None) != (verifier.audience_rule is AudienceRule.UNCHECKED):
        raise ValueError(f"verifier {verifier.purpose}: audience is given exactly when there is an audience rule")
    jwt = _parse(verifier, token)
    header, claims = jwt.unverified_header, jwt.unverified_claims
    _validate_header(verifier, header)
    _validate_claims(verifier, claims)
    if issuer is not None and claims.get("iss") != issuer:
        raise InvalidJwt("issuer", "The claim 'iss' is not the issuer that is expected here.", claim="iss")
    if audience is not None and not (verifier.audience_optional and "aud" not in claims):
        validate_audience(claims, verifier.audience_rule, audience)
    validate_times(claims, now=now, leeway=verifier.leeway, lifetime=verifier.lifetime, expired_accepted=verifier.expired_accepted)
    return jwt


def check_signature(jwt: UnverifiedJwt, keys: KeySet) -> PublicKey:
    """Return the key of `keys` that signed `jwt`, for showing it to a person: claims, times and purpose are not looked at.

    Nothing may be decided by this; `verify_jwt` is for that. Raises `InvalidJwt` with reason crit, alg, kid, unknown_kid, key_mismatch,
    ambiguous_key or signature.
    """
    header = jwt.unverified_header
    if "crit" in header:
        raise InvalidJwt("crit", "The header parameter 'crit' is not accepted.", claim="crit")
    algorithm, kid = header.get("alg"), header.get("kid")
    if not isinstance(algorithm, str) or algorithm not in SIGNING_ALGORITHMS:
        raise InvalidJwt("alg", f"The header parameter 'alg' is none of {', '.join(SIGNING_ALGORITHMS)}.", claim="alg")
    if "kid" in header and not isinstance(kid, str):
        raise InvalidJwt("kid", "The header parameter 'kid' is not a text.", claim="kid")
    key = keys.for_verification(algorithm, kid)
    _verify_signature(jwt, key, VerificationBudget(1))
    return key


def _parse(verifier: Verifier, token: str | bytes | UnverifiedJwt) -> UnverifiedJwt:
    """Return the parsed token; one that was parsed before is held to this verifier's length too."""
    if not isinstance(token, UnverifiedJwt):
        return parse_unverified(token, max_length=verifier.max_length)
    if len(token.token) > verifier.max_length:
        raise InvalidJwt("too_long", f"The JWT is longer than {verifier.max_length} characters.")
    return token


def _validate_header(verifier: Verifier, header: Mapping[str, Any]) -> None:
    """Check the JOSE header: no `crit`, nothing outside of the allow-list, exact `typ`, `alg` of the list (J02, J03, J04)."""
    if "crit" in header:
        raise InvalidJwt("crit", "The header parameter 'crit' is not accepted.", claim="crit")
    if not header.keys() <= verifier.headers:
        name = next(name for name in header if name not in verifier.headers)
        raise InvalidJwt("header_forbidden", f"A header parameter {quotable(name)} is not accepted here.", claim=name)
    _validate_typ(verifier, header)
    algorithm = header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in verifier.algorithms:
        accepted = ", ".join(verifier.algorithms)
        raise InvalidJwt("alg", f"The header parameter 'alg' is none of {accepted}.", claim="alg")
    if verifier.require_kid and "kid" not in header:
        raise InvalidJwt("kid", "The header parameter 'kid' is missing.", claim="kid")
    if "kid" in header and not (isinstance(header["kid"], str) and KID_PATTERN.fullmatch(header["kid"])):
        sentence = f"The header parameter 'kid' is not a text of 1 to {KID_LIMIT} printable ASCII characters."
        raise InvalidJwt("kid", sentence, claim="kid")
    _validate_chain_headers(header)


def _validate_typ(verifier: Verifier, header: Mapping[str, Any]) -> None:
    """Check `typ`, compared exactly: it keeps a JWT of one kind from being used as another (J05)."""
    if "typ" in header and header["typ"] in verifier.types:
        return
    if verifier.untyped_allowed and header.get("typ", "JWT") == "JWT":
        return
    accepted = " or ".join(verifier.types + (("JWT",) if verifier.untyped_allowed else ()))
    raise InvalidJwt("typ", f"The header parameter 'typ' must be {accepted}.", claim="typ")


def _validate_chain_headers(header: Mapping[str, Any]) -> None:
    """Check that trust chain headers are arrays of texts, and that the peer's comes with our own (FED-TCH-06, FED-AUT-20)."""
    if CHAIN_HEADERS.isdisjoint(header):
        return
    for name in CHAIN_HEADERS & header.keys():
        chain = header[name]
        if not isinstance(chain, list) or not chain or not all(isinstance(item, str) and item for item in chain):
            raise InvalidJwt("trust_chain", f"The header parameter '{name}' is not an array of statements.", claim=name)
    if "peer_trust_chain" in header and "trust_chain" not in header:
        sentence = "The header parameter 'peer_trust_chain' is only used beside 'trust_chain'."
        raise InvalidJwt("trust_chain", sentence, claim="peer_trust_chain")


def _validate_claims(verifier: Verifier, claims: Mapping[str, Any]) -> None:
    """Check which claims are there, their types, and the pairs that have to be equal or different (J05)."""
    for name in verifier.forbidden:
        if name in claims:
            raise InvalidJwt("claim_forbidden", f"The claim '{name}' has no place in this kind of JWT.", claim=name)
    validate_types(claims, verifier.required)
    for one, other in verifier.same:
        if claims.get(one) != claims.get(other):
            raise InvalidJwt("claim_mismatch", f"The claims '{one}' and '{other}' are not equal.", claim=other)
    for one, other in verifier.different:
        if claims.get(one) == claims.get(other):
            raise InvalidJwt("claim_mismatch", f"The claims '{one}' and '{other}' are equal.", claim=other)


def _verify_signature(jwt: UnverifiedJwt, key: PublicKey, budget: VerificationBudget) -> None:
    """Check the one signature by the one key; a signature of the wrong length costs no check (J18)."""
    if len(jwt.signature) != key.signature_length():
        raise InvalidJwt("signature", NO_KEY_VERIFIES, detail="the signature has the wrong length for the key")
    budget.spend()
    algorithm = ALGORITHMS[jwt.unverified_header["alg"]]
    if not algorithm.verifies(key.verifying_key, jwt.signing_input, jwt.signature):
        raise InvalidJwt("signature", NO_KEY_VERIFIES, detail="the signature is wrong")
