"""JWK Sets: `review_jwk_set` finds everything, `parse_jwk_set` raises the first error of it, so each rule exists once.

RFC 7517; RFC 7638 for thumbprints; DCR-JWK-01 to -06; FED-JOS-04, -05; FED-JWK-07; threats J07, J08 and J09.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from protocol.constants import KEYS_PER_SET_LIMIT
from protocol.errors import InvalidJwt, InvalidKeySet
from protocol.jose.algorithms import ALGORITHMS, VerifyingKey, algorithms_agree
from protocol.jose.base64url import encode_base64url
from protocol.jose.key_material import KeyMaterial, load_material
from protocol.jose.key_rules import KID_PATTERN, Level, find_private_member, review_attributes, review_certificate

# One sentence for an unknown kid, an unsuitable key and a wrong signature, so that nobody can probe for keys (J19).
NO_KEY_VERIFIES: Final = "The signature does not verify with a key of the issuer."
CERTIFICATE_NOTICE: Final = 30 * 24 * 3600
_KNOWN_KEY_TYPES: Final = ("RSA", "EC", "OKP")
_REQUIRED_MEMBERS: Final = {"RSA": ("e", "kty", "n"), "EC": ("crv", "kty", "x", "y"), "OKP": ("crv", "kty", "x")}
_OPTIONAL_MEMBERS: Final = ("kid", "use", "alg", "key_ops", "x5c")
_PLAIN_KEYS: Final = tuple({"kty", "kid", "use", "alg", *members} for members in (("crv", "x", "y"), ("n", "e"), ("crv", "x")))


@dataclass(frozen=True, slots=True)
class KeySetPurpose:
    """What a key set is for: `require_kid` wants a unique kid on every key, `signing_only` refuses keys that encrypt."""

    name: str
    require_kid: bool = False
    signing_only: bool = False
    allow_ed448: bool = False
    limit: int = KEYS_PER_SET_LIMIT


CLIENT_KEYS: Final = KeySetPurpose("client")
FEDERATION_ENTITY_KEYS: Final = KeySetPurpose("federation", require_kid=True, signing_only=True)


@dataclass(frozen=True, slots=True)
class KeyFinding:
    """One thing about a key set that is wrong (`error`) or could be better (`warning`); `position` counts keys from 0."""

    level: Level
    code: str
    position: int | None
    sentence: str


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A public key that passed every rule; `jwk` holds public members only."""

    kid: str | None
    kty: str
    crv: str | None
    bits: int
    use: str | None
    alg: str | None
    key_ops: tuple[str, ...] | None
    jwk: Mapping[str, Any] = field(hash=False, repr=False)
    verifying_key: VerifyingKey = field(compare=False, repr=False)

    @property
    def thumbprint(self) -> str:
        """Return the RFC 7638 thumbprint with SHA-256; made when it is asked for, because checking signatures never asks."""
        return thumbprint_of({name: self.jwk[name] for name in _REQUIRED_MEMBERS[self.kty]})

    def is_same_as(self, other: PublicKey) -> bool:
        """Say whether both have the same numbers, whatever else is said about them: what equal thumbprints mean."""
        return self is other or self.verifying_key == other.verifying_key

    def can_verify(self, algorithm: str) -> bool:
        """Say whether the type, curve, `use`, `alg` and `key_ops` of the key all allow it to verify `algorithm` (J01)."""
        found = ALGORITHMS.get(algorithm)
        return (
            found is not None
            and found.fits(self.kty, self.crv)
            and self.use in (None, "sig")
            and (self.alg is None or self.alg == algorithm or algorithms_agree(self.alg, algorithm))
            and (self.key_ops is None or "verify" in self.key_ops)
        )

    def signature_length(self) -> int:
        """Return how many bytes a JWS signature by this key has (RFC 7518, 3.3, 3.4; RFC 8032)."""
        return (self.bits + 7) // 8 * (1 if self.kty == "RSA" else 2)


@dataclass(frozen=True, slots=True)
class KeySet:
    """The usable keys of a set that passed every rule; the key objects are parsed once and kept."""

    keys: tuple[PublicKey, ...]

    def for_verification(self, algorithm: str, kid: str | None) -> PublicKey:
        """Return the one key to try: the one named `kid`, or without a kid the only one that fits (FED-ESV-11, J09).

        Raises `InvalidJwt` with reason `unknown_kid`, `key_mismatch` or `ambiguous_key`, all with the same description.
        """
        if kid is None:
            fitting = [key for key in self.keys if key.can_verify(algorithm)]
            if len(fitting) != 1:
                detail = f"no kid in the token and {len(fitting)} keys that fit {algorithm}"
                raise InvalidJwt("ambiguous_key", NO_KEY_VERIFIES, claim="kid", detail=detail)
            return fitting[0]
        for key in self.keys:
            if key.kid == kid:
                if not key.can_verify(algorithm):
                    raise InvalidJwt("key_mismatch", NO_KEY_VERIFIES, claim="kid", detail=f"the key does not fit {algorithm}")
                return key
        raise InvalidJwt("unknown_kid", NO_KEY_VERIFIES, claim="kid", detail="no key of the set has this kid")

    def can_verify(self, algorithm: str) -> bool:
        """Say whether at least one key can verify `algorithm` (DCR-JWK-05)."""
        return any(key.can_verify(algorithm) for key in self.keys)

    def public_jwks(self) -> dict[str, Any]:
        """Return the set as JSON with the members that were checked, and no others."""
        return {"keys": [dict(key.jwk) for key in self.keys]}


def parse_jwk_set(value: object, *, purpose: KeySetPurpose = CLIENT_KEYS, signing_algorithm: str | None = None) -> KeySet:
    """Return the usable keys of a JWK Set given as parsed JSON, or raise `InvalidKeySet` for the first error.

    With `signing_algorithm` at least one key must be able to verify it (DCR-JWK-05). DCR-JWK-01 to -06.
    """
    if signing_algorithm is None and (plain := _plain_key_set(value, purpose)) is not None:
        return plain
    examination = _Examination(purpose)
    examination.examine(value, signing_algorithm)
    for finding in examination.findings:
        if finding.level == "error":
            raise InvalidKeySet(finding.code, finding.sentence, position=finding.position)
    return KeySet(tuple(examination.keys))


def review_jwk_set(
    value: object, now: int, *, purpose: KeySetPurpose = CLIENT_KEYS, signing_algorithm: str | None = None
) -> list[KeyFinding]:
    """Return every error and warning about a JWK Set given as parsed JSON, errors first; `now` is in seconds.

    `parse_jwk_set` accepts exactly the sets for which this returns no error.
    """
    examination = _Examination(purpose)
    examination.examine(value, signing_algorithm)
    findings = examination.findings + list(examination.advice(now))
    return sorted(findings, key=lambda finding: finding.level)


def certificate_ends(value: object) -> list[tuple[str, int]]:
    """Return for each key of a JWK Set that carries its certificate what the key is called and the second at which the certificate ends.

    A key is called by its `kid`, or by its place in the set. What cannot be read has no certificates (DCR-JWK-06).
    """
    entries = value.get("keys") if isinstance(value, dict) else None
    if not isinstance(entries, list) or not any(isinstance(entry, dict) and "x5c" in entry for entry in entries):
        return []
    examination = _Examination(CLIENT_KEYS)
    examination.examine(value, None)
    return [(str(entries[position].get("kid") or position + 1), end) for position, end in examination.certificate_ends]


def thumbprint_of(members: Mapping[str, str]) -> str:
    """Return the RFC 7638 SHA-256 thumbprint of the required members of a public key, as base64url."""
    # RFC 7638, 3.3: sorted names and no white space; the values are base64url and names of curves, so that nothing needs an escape.
    canonical = ",".join(f'"{name}":"{members[name]}"' for name in sorted(members))
    return encode_base64url(hashlib.sha256(f"{{{canonical}}}".encode()).digest())


def _plain_key_set(value: object, purpose: KeySetPurpose) -> KeySet | None:
    """Return the set of one signing key with the usual members and no others, or None for whatever needs an examination.

    Nearly every entity has such a set, and no rule finds an error in it; a property test compares both ways.
    """
    entries = value.get("keys") if isinstance(value, dict) and len(value) == 1 else None
    entry = entries[0] if isinstance(entries, list) and len(entries) == 1 else None
    if not isinstance(entry, dict) or entry.keys() not in _PLAIN_KEYS or entry["use"] != "sig":
        return None
    kid, algorithm = entry["kid"], entry["alg"]
    if not (isinstance(kid, str) and KID_PATTERN.fullmatch(kid) and isinstance(algorithm, str) and algorithm in ALGORITHMS):
        return None
    if not ALGORITHMS[algorithm].fits(entry["kty"], entry.get("crv")):
        return None
    try:
        return KeySet((_public_key(entry, load_material(entry, allow_ed448=purpose.allow_ed448)),))
    except InvalidKeySet:
        return None


class _Examination:
    """One pass over a key set: collects findings, the keys that are sound, and when their certificates end."""

    def __init__(self, purpose: KeySetPurpose) -> None:
        self.purpose = purpose
        self.findings: list[KeyFinding] = []
        self.keys: list[PublicKey] = []
        self.positions: list[int] = []
        self.certificate_ends: list[tuple[int, int]] = []

    def examine(self, value: object, signing_algorithm: str | None) -> None:
        """Examine a whole set; an unreadable set or leaked key ends the examination early."""
        # Claims of a verified JWT come as a mapping proxy.
        entries = value.get("keys") if isinstance(value, dict | MappingProxyType) else None
        if not isinstance(value, dict | MappingProxyType) or not isinstance(entries, list):
            self._add_leak(value, None)
            return self._error("shape", None, "A JWK Set is a JSON object with an array 'keys'.")
        for position, entry in enumerate(entries):
            self._add_leak(entry, position)
        self._add_leak({name: member for name, member in value.items() if name != "keys"}, None)
        if len(entries) > self.purpose.limit:
            return self._error("too_many_keys", None, f"A set holds at most {self.purpose.limit} keys.")
        if self.findings:
            return None
        for position, entry in enumerate(entries):
            self._examine_key(entry, position)
        self._examine_names(entries)
        self._examine_uses()
        self._examine_usefulness(signing_algorithm)
        return None

    def advice(self, now: int) -> Iterator[KeyFinding]:
        """Yield warnings that depend on the time or on the set as a whole."""
        if len(self.keys) == 1:
            sentence = "The set holds one key only. With two, a key can be replaced without an interruption."
            yield KeyFinding("warning", "single_key", None, sentence)
        for position, end in self.certificate_ends:
            if end <= now:
                yield KeyFinding("warning", "certificate_expired", position, "The certificate in 'x5c' is expired.")
            elif end - now < CERTIFICATE_NOTICE:
                days = (end - now) // 86400
                yield KeyFinding("warning", "certificate_expires", position, f"The certificate in 'x5c' ends in {days} days.")

    def _error(self, code: str, position: int | None, sentence: str) -> None:
        self.findings.append(KeyFinding("error", code, position, sentence))

    def _add_leak(self, value: object, position: int | None) -> None:
        """Report private or symmetric key material: whoever published it has to treat the key as known to all (J07)."""
        member = find_private_member(value)
        if member is not None:
            what = "is symmetric ('kty' is 'oct')" if member == "kty" else f"holds the private member '{member}'"
            sentence = f"A key {what}. Treat it as leaked: make a new key and publish its public part only."
            self._error("private_key", position, sentence)

    def _examine_key(self, entry: object, position: int) -> None:
        """Examine one key; a key of unknown type is skipped with a warning (DCR-JWK-01)."""
        if not isinstance(entry, dict) or not isinstance(entry.get("kty"), str) or not entry["kty"]:
            return self._error("kty", position, "A key is a JSON object with a text 'kty'.")
        if entry["kty"] not in _KNOWN_KEY_TYPES:
            sentence = f"The key is skipped: only the types {', '.join(_KNOWN_KEY_TYPES)} are used."
            self.findings.append(KeyFinding("warning", "kty_unknown", position, sentence))
            return None
        problems = list(review_attributes(entry))
        material = None
        try:
            material = load_material(entry, allow_ed448=self.purpose.allow_ed448)
        except InvalidKeySet as error:
            self._error(error.reason, position, error.description)
        else:
            certificate_problems, end = review_certificate(entry, material)
            problems += certificate_problems
            if end is not None:
                self.certificate_ends.append((position, end))
        if self.purpose.signing_only and entry.get("use") == "enc":
            self._error("use", position, "Federation entity keys sign only, but 'use' is 'enc'.")
        self.findings += [KeyFinding(item.level, item.code, position, item.sentence) for item in problems]
        if material is not None and all(item.level != "error" for item in problems):
            self.keys.append(_public_key(entry, material))
            self.positions.append(position)
        return None

    def _examine_names(self, entries: list[Any]) -> None:
        """Every kid once; every key has one when there are several or the purpose demands it (DCR-JWK-03, FED-JOS-05)."""
        named = [(position, entry.get("kid")) for position, entry in enumerate(entries) if isinstance(entry, dict)]
        kids = [kid for _, kid in named if isinstance(kid, str)]
        several = sum(1 for entry in entries if isinstance(entry, dict) and entry.get("kty") in _KNOWN_KEY_TYPES) > 1
        for position, kid in named:
            if isinstance(kid, str) and kids.count(kid) > 1:
                self._error("kid_duplicate", position, "Another key of the set has the same 'kid'.")
            elif kid is None and (self.purpose.require_kid or several):
                self._error("kid_missing", position, "The key has no 'kid', which a set of several keys needs.")
            elif kid is None:
                sentence = "The key has no 'kid'. Tokens signed with it must not name one either."
                self.findings.append(KeyFinding("warning", "kid_missing", position, sentence))

    def _examine_uses(self) -> None:
        """A mixed set says `use` on each key (FED-JWK-07), and no key is there for both uses (DCR-JWK-04)."""
        mixed = {"sig", "enc"} <= {key.use for key in self.keys}
        first_of: dict[str, PublicKey] = {}
        for position, key in zip(self.positions, self.keys, strict=True):
            if mixed and key.use is None:
                self._error("use_missing", position, "A set with keys for signatures and for encryption says 'use' on each.")
            twin = first_of.setdefault(key.thumbprint, key)
            if twin is key:
                continue
            if twin.use != key.use and "enc" in (twin.use, key.use):
                self._error("key_reuse", position, "The same key is in the set for signatures and for encryption.")
            else:
                self.findings.append(KeyFinding("warning", "key_repeated", position, "The same key is in the set twice."))

    def _examine_usefulness(self, signing_algorithm: str | None) -> None:
        """At least one key is usable (DCR-JWK-01), and one fits the registered algorithm if there is one (DCR-JWK-05)."""
        if any(finding.level == "error" for finding in self.findings):
            return
        if not self.keys:
            self._error("no_usable_key", None, f"The set holds no key of the types {', '.join(_KNOWN_KEY_TYPES)}.")
        elif signing_algorithm is not None and not KeySet(tuple(self.keys)).can_verify(signing_algorithm):
            self._error("no_key_for_algorithm", None, f"No key of the set can verify signatures with {signing_algorithm}.")


def _public_key(jwk: Mapping[str, Any], material: KeyMaterial) -> PublicKey:
    """Return the key of a JWK whose members and material passed every rule."""
    operations = jwk.get("key_ops")
    members = dict(material.members) | {name: jwk[name] for name in _OPTIONAL_MEMBERS if name in jwk}
    return PublicKey(
        kid=jwk.get("kid"),
        kty=material.kty,
        crv=material.crv,
        bits=material.bits,
        use=jwk.get("use"),
        alg=jwk.get("alg"),
        key_ops=None if operations is None else tuple(operations),
        jwk=MappingProxyType(members),
        verifying_key=material.verifying_key,
    )
