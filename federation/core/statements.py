"""Entity statements: read without trust, then verified into values that may be relied on (OpenID Federation 1.0, 3).

`UnverifiedStatement` is what somebody sent. `EntityConfiguration` and `SubordinateStatement` exist only after the signature and every
rule of 3.2 was checked; nothing else makes them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from federation.core import claims as rules
from federation.core.constraints import Constraints, parse_constraints
from protocol.constants import CLOCK_LEEWAY, ENTITY_STATEMENT_LIMIT
from protocol.errors import InvalidJwt, InvalidKeySet, InvalidUrl, SignatureInvalid, StatementExpired, StatementInvalid
from protocol.jose import (
    FEDERATION_ENTITY_KEYS,
    KeySet,
    PublicKey,
    UnverifiedJwt,
    VerificationBudget,
    parse_jwk_set_once,
    parse_unverified,
    verify_jwt,
)
from protocol.jose.purposes import ENTITY_STATEMENT, EXPLICIT_REGISTRATION_REQUEST
from protocol.urls import parse_entity_identifier

# The last second of the year 9999 is the latest that a datetime can hold; whoever says a later one means never.
LATEST_TIME: Final = 253_402_300_799
_SIGNATURE_REASONS: Final = frozenset(("signature", "unknown_kid", "key_mismatch", "ambiguous_key", "kid", "alg"))
_TIME_REASONS: Final = frozenset(("expired", "not_yet_valid", "issued_in_future"))


class UnverifiedStatement(NamedTuple):
    """A statement as it arrived. Nothing in it may be relied on; its issuer and subject are entity identifiers in form."""

    raw: str
    jwt: UnverifiedJwt
    unverified_issuer: str
    unverified_subject: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityStatement:
    """What every verified statement says. Times are in seconds; `keys` are the subject's federation entity keys."""

    jwt: UnverifiedJwt = field(repr=False)
    issuer: str
    subject: str
    issued_at: int
    expires_at: int
    keys: KeySet
    metadata: Mapping[str, Mapping[str, Any]]
    signed_by: PublicKey

    @property
    def raw(self) -> str:
        """Return the statement as it travels: a compact JWS."""
        return self.jwt.token

    def is_signed_by(self, keys: KeySet, budget: VerificationBudget) -> bool:
        """Say whether a key of `keys` made the signature: the one named by `kid`, which is checked once only if it is the same key.

        FED-TCV-04, -06, -07.
        """
        # The key that verified the statement has the kid of its header, and no other key of a set has the same.
        if any(key is self.signed_by for key in keys.keys):
            return True
        try:
            key = keys.for_verification(self.jwt.unverified_header["alg"], self.jwt.unverified_header["kid"])
        except InvalidJwt:
            return False
        if key.is_same_as(self.signed_by):
            return True
        try:
            verify_jwt(ENTITY_STATEMENT, self.jwt, KeySet((key,)), self.issued_at, issuer=self.issuer, budget=budget)
        except InvalidJwt:
            return False
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityConfiguration(EntityStatement):
    """A statement of an entity about itself (3.1.2)."""

    authority_hints: tuple[str, ...]
    trust_marks: tuple[rules.TrustMarkEntry, ...]
    trust_mark_issuers: Mapping[str, tuple[str, ...]]
    trust_mark_owners: Mapping[str, rules.TrustMarkOwner]

    @property
    def fetch_endpoint(self) -> str | None:
        """Return the endpoint that answers about subordinates (FED-TCR-03), if there is one."""
        endpoint = self.metadata.get("federation_entity", {}).get("federation_fetch_endpoint")
        return endpoint if isinstance(endpoint, str) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class SubordinateStatement(EntityStatement):
    """A statement of a superior about a subordinate (3.1.3)."""

    metadata_policy: Mapping[str, Any]
    metadata_policy_crit: tuple[str, ...]
    constraints: Constraints
    source_endpoint: str | None
    policy_content: str = field(repr=False, compare=False)


def parse_entity_statement(raw: str | bytes, *, max_length: int = ENTITY_STATEMENT_LIMIT) -> UnverifiedStatement:
    """Return the statement without any trust in it. Raises StatementInvalid for what is no entity statement in form (FED-ESV-01, -05)."""
    try:
        jwt = parse_unverified(raw, max_length=max_length)
    except InvalidJwt as error:
        raise StatementInvalid(error.reason, error.description) from error
    issuer, subject = (_identifier(jwt.unverified_claims.get(name), name) for name in ("iss", "sub"))
    return UnverifiedStatement(jwt.token, jwt, issuer, subject)


def _identifier(value: object, claim: str) -> str:
    if not isinstance(value, str):
        raise StatementInvalid("claim_type", f"The claim '{claim}' is not an entity identifier.", claim=claim)
    try:
        return parse_entity_identifier(value).text
    except InvalidUrl as error:
        raise StatementInvalid(
            "identifier", f"The claim '{claim}' is not an entity identifier.", claim=claim, detail=error.reason
        ) from error


def verify_entity_configuration(
    statement: UnverifiedStatement,
    entity_id: str,
    *,
    now: int,
    budget: VerificationBudget,
    pinned: KeySet | None = None,
    audience: str | None = None,
) -> EntityConfiguration:
    """Verify the configuration of `entity_id` by its own keys, and for a trust anchor by the `pinned` ones (FED-ESV-04, FED-TCV-03, -06).

    One that was made for the server `audience` is an explicit registration request (12.2.1; FED-EXP-04, -10); any other has no audience.
    `now` is in seconds. Raises StatementInvalid, SignatureInvalid or StatementExpired.
    """
    content = statement.jwt.unverified_claims
    if statement.unverified_subject != entity_id or statement.unverified_issuer != entity_id:
        raise StatementInvalid("subject", "The entity configuration is about another entity than was asked for.", claim="sub")
    if "metadata" not in content:
        raise StatementInvalid("claim_missing", "The claim 'metadata' is missing.", claim="metadata")
    common = _verify(statement, pinned, now, budget, audience)
    rules.check_absent(content, rules.SUBORDINATE_STATEMENT_ONLY)
    rules.read_identifiers(content, "trust_anchor_hints")
    configuration = EntityConfiguration(
        **common,
        authority_hints=rules.read_identifiers(content, "authority_hints"),
        trust_marks=rules.read_trust_marks(content),
        trust_mark_issuers=rules.read_trust_mark_issuers(content),
        trust_mark_owners=rules.read_trust_mark_owners(content),
    )
    if pinned and not configuration.is_signed_by(configuration.keys, budget):
        raise SignatureInvalid("own_keys", "The entity configuration is signed by a key that it does not publish.")
    return configuration


def verify_subordinate_statement(
    statement: UnverifiedStatement, subject: str, issuer: str, issuer_keys: KeySet, *, now: int, budget: VerificationBudget
) -> SubordinateStatement:
    """Verify what `issuer` says about `subject`, by the issuer's keys (FED-ESV-04, -10 to -12).

    `now` is in seconds. Raises StatementInvalid, SignatureInvalid or StatementExpired.
    """
    content = statement.jwt.unverified_claims
    if statement.unverified_subject != subject:
        raise StatementInvalid("subject", "The subordinate statement is about another entity than was asked for.", claim="sub")
    if statement.unverified_issuer != issuer:
        raise StatementInvalid("issuer", "The subordinate statement is from another issuer than was asked.", claim="iss")
    if issuer == subject:
        raise StatementInvalid("issuer", "An entity configuration stands where a subordinate statement must.", claim="iss")
    common = _verify(statement, issuer_keys, now, budget)
    rules.check_absent(content, rules.ENTITY_CONFIGURATION_ONLY)
    return SubordinateStatement(
        **common,
        metadata_policy=(policy := rules.read_metadata_policy(content)),
        metadata_policy_crit=(critical := rules.read_metadata_policy_crit(content)),
        policy_content=repr((dict(policy), critical)),
        constraints=parse_constraints(content.get("constraints", {}), present="constraints" in content),
        source_endpoint=rules.read_source_endpoint(content),
    )


def _verify(
    statement: UnverifiedStatement, signers: KeySet | None, now: int, budget: VerificationBudget, audience: str | None = None
) -> dict[str, Any]:
    """Check everything that both kinds share, the signature last, and return their common fields.

    `signers` are the keys that one of must have signed; without them it is one of those that the statement holds.
    """
    own_keys: KeySet | None = None

    def read_own_keys(_jwt: UnverifiedJwt) -> KeySet:
        """Return the keys in the statement; they are looked at after every check that costs less."""
        nonlocal own_keys
        own_keys = _keys_of(content)
        return own_keys

    content = statement.jwt.unverified_claims
    rules.check_critical_claims(content)
    metadata = rules.read_metadata(content)
    verifier = EXPLICIT_REGISTRATION_REQUEST if audience else ENTITY_STATEMENT
    issuer = statement.unverified_issuer
    try:
        verified = verify_jwt(verifier, statement.jwt, signers or read_own_keys, now, issuer=issuer, audience=audience, budget=budget)
    except InvalidJwt as error:
        raise _statement_error(error) from error
    return {
        "jwt": statement.jwt,
        "issuer": statement.unverified_issuer,
        "subject": statement.unverified_subject,
        "issued_at": int(content["iat"]),
        "expires_at": min(int(content["exp"]), LATEST_TIME),
        "keys": own_keys or _subject_keys(content, signers),
        "metadata": metadata,
        "signed_by": verified.key,
    }


def _statement_error(error: InvalidJwt) -> StatementInvalid:
    kind = (
        SignatureInvalid if error.reason in _SIGNATURE_REASONS else StatementExpired if error.reason in _TIME_REASONS else StatementInvalid
    )
    return kind(error.reason, error.description, claim=error.claim, detail=error.detail)


def _subject_keys(content: Mapping[str, Any], signers: KeySet | None) -> KeySet:
    """Return the keys in a statement; an anchor that publishes the pinned keys and no others publishes what was read already."""
    if signers and content["iss"] == content["sub"] and content["jwks"] == signers.public_jwks():
        return signers
    return _keys_of(content)


def _keys_of(content: Mapping[str, Any]) -> KeySet:
    try:
        return parse_jwk_set_once(content.get("jwks"), purpose=FEDERATION_ENTITY_KEYS)
    except InvalidKeySet as error:
        raise StatementInvalid(error.reason, f"jwks: {error.description}", claim="jwks") from error


def is_current(statement: EntityStatement, now: int) -> bool:
    """Say whether a verified statement may still be used at `now` (FED-TCV-02); leeway is for the clock of its issuer."""
    return statement.issued_at <= now + CLOCK_LEEWAY and now < statement.expires_at
