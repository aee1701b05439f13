"""Keys, forging and a small federation for the tests of the trust engine; what is broken is put together by hand, not by our issuer."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from itertools import pairwise
from typing import Any

from federation.core.resolution import Resolution, StepNumber, StepStatus
from federation.core.resolver import ResolutionLimits, Resolver
from federation.core.statement_cache import MemoryStatementCache, StatementCache
from federation.core.statements import (
    EntityConfiguration,
    SubordinateStatement,
    parse_entity_statement,
    verify_entity_configuration,
    verify_subordinate_statement,
)
from federation.simulator import SimulatedFederation
from protocol.errors import FederationError
from protocol.fetch import Fetcher
from protocol.jose import KeySet, SigningKey, VerificationBudget, generate_private_key, parse_jwk_set
from protocol.jose.algorithms import ALGORITHMS

NOW = 1_800_000_000
LIFETIME = 3600
ANCHOR, INTERMEDIATE, LEAF = "https://anchor.example", "https://intermediate.example", "https://leaf.example"
OTHER = "https://other.example"


class Clock:
    """A clock that stands still until it is moved; seconds."""

    def __init__(self, now: float = NOW) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@cache
def signing_key(name: str, algorithm: str = "ES256") -> SigningKey:
    """Return the key of this name, the same one each time."""
    return generate_private_key(algorithm, rsa_bits=2048)


def jwks(*names: str) -> dict[str, Any]:
    return {"keys": [signing_key(name).public_jwk() for name in names]}


def key_set(*names: str) -> KeySet:
    return parse_jwk_set(jwks(*names))


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def as_bytes(value: object) -> bytes:
    return value if isinstance(value, bytes) else json.dumps(value).encode()


def forge(header: object, claims: object, key: SigningKey) -> str:
    """Return a compact JWS over any header and payload (JSON values or raw bytes), signed by `key`."""
    signing_input = f"{base64url(as_bytes(header))}.{base64url(as_bytes(claims))}"
    return f"{signing_input}.{base64url(ALGORITHMS[key.algorithm].sign(key.private_key, signing_input.encode()))}"


def changed(claims: Mapping[str, Any], changes: Mapping[str, Any], drop: Iterable[str] = ()) -> dict[str, Any]:
    return {name: value for name, value in {**claims, **changes}.items() if name not in drop}


def configuration_claims(entity_id: str = LEAF, **changes: Any) -> dict[str, Any]:
    """Return the claims of a good entity configuration, with changes."""
    good = {
        "iss": entity_id,
        "sub": entity_id,
        "iat": NOW,
        "exp": NOW + LIFETIME,
        "jwks": jwks(entity_id),
        "metadata": {"openid_relying_party": {"client_name": "Lighthouse", "redirect_uris": [f"{entity_id}/callback"]}},
        "authority_hints": [ANCHOR],
    }
    return {**good, **changes}


def statement_claims(issuer: str = ANCHOR, subject: str = LEAF, **changes: Any) -> dict[str, Any]:
    """Return the claims of a good subordinate statement, with changes."""
    return {"iss": issuer, "sub": subject, "iat": NOW, "exp": NOW + LIFETIME, "jwks": jwks(subject), **changes}


def sign(claims: Mapping[str, Any], key: SigningKey | None = None, *, typ: str | None = "entity-statement+jwt", **headers: Any) -> str:
    """Return claims signed by the issuer's key, or by another; `headers` replace or add header parameters, None drops one."""
    key = key or signing_key(claims["iss"])
    header = {"alg": key.algorithm, "kid": key.kid, "typ": typ, **headers}
    return forge({name: value for name, value in header.items() if value is not None}, dict(claims), key)


def verify_configuration(raw: str, entity_id: str = LEAF, *, now: int = NOW, pinned: KeySet | None = None) -> EntityConfiguration:
    return verify_entity_configuration(parse_entity_statement(raw), entity_id, now=now, budget=VerificationBudget(), pinned=pinned)


def verify_statement(raw: str, subject: str = LEAF, issuer: str = ANCHOR, *, now: int = NOW) -> SubordinateStatement:
    return verify_subordinate_statement(parse_entity_statement(raw), subject, issuer, key_set(issuer), now=now, budget=VerificationBudget())


def small_federation(clock: Callable[[], float] | None = None, **leaf: Any) -> SimulatedFederation:
    """Return a federation of an anchor, an intermediate and a leaf."""
    federation = SimulatedFederation(clock or Clock())
    federation.add_authority(ANCHOR)
    federation.add_authority(INTERMEDIATE, [ANCHOR])
    federation.add_relying_party(LEAF, [INTERMEDIATE], **leaf)
    return federation


def resolver_for(
    federation: SimulatedFederation,
    anchors: Iterable[str] = (ANCHOR,),
    *,
    fetcher: Fetcher | None = None,
    cache: StatementCache | None = None,
    limits: ResolutionLimits | None = None,
    monotonic: Callable[[], float] = lambda: 0.0,
) -> Resolver:
    """Return a resolver with the anchors' present keys pinned and an empty cache."""
    return Resolver(
        fetcher or federation.fetcher(),
        [federation.anchor(entity_id) for entity_id in anchors],
        MemoryStatementCache() if cache is None else cache,
        limits=limits,
        clock=federation.clock,
        monotonic=monotonic,
    )


def chain_of(federation: SimulatedFederation, *path: str) -> list[str]:
    """Return the raw chain of a path, subject first, as its entities sign it now."""
    statements = [federation.statement(superior, subject) for subject, superior in pairwise(path)]
    return [federation.configuration(path[0]), *statements, federation.configuration(path[-1])]


def two_federations(**leaf: Any) -> SimulatedFederation:
    """Return a leaf that is below `ANCHOR` through an intermediate and directly below `OTHER`."""
    federation = SimulatedFederation(Clock())
    federation.add_authority(ANCHOR)
    federation.add_authority(OTHER)
    federation.add_authority(INTERMEDIATE, [ANCHOR])
    federation.add_relying_party(LEAF, [INTERMEDIATE, OTHER], **leaf)
    return federation


def check_report(resolution: Resolution) -> None:
    """Check what holds for every report: all steps in order, one failure and nothing reached behind it, no long sentence."""
    steps = resolution.steps
    assert [step.number for step in steps] == list(StepNumber)
    failed = [step for step in steps if step.status is StepStatus.FAILED]
    assert resolution.ok is (resolution.chain is not None) is (resolution.metadata is not None) is (resolution.failure is None)
    assert len(failed) == (0 if resolution.ok else 1)
    if failed:
        assert failed[0].failure is resolution.failure
        assert all(step.status is StepStatus.NOT_REACHED for step in steps if step.number > failed[0].number)
        assert all(step.status is not StepStatus.FAILED for step in steps if step.number < failed[0].number)
        assert isinstance(failed[0].failure and failed[0].failure.error, FederationError)
    assert all(len(step.sentence) < 20_000 for step in steps)
    assert all(candidate.chain or candidate.failure for candidate in resolution.candidates)
