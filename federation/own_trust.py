"""What the federations make of this server: whether a chain leads to it, and whether it can honour what they left of its metadata."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import structlog

from federation.core.statements import EntityConfiguration, parse_entity_statement, verify_entity_configuration
from federation.models import Superior, TrustAnchorRecord
from federation.own_entity import own_entity_id
from federation.resolving import get_resolver
from protocol.jose import VerificationBudget

log = structlog.get_logger(__name__)

OWN_TYPES: Final = ("openid_provider", "oauth_authorization_server")
_REQUIRED: Final = {
    "openid_provider": (
        *("issuer", "authorization_endpoint", "token_endpoint", "jwks_uri", "response_types_supported", "subject_types_supported"),
        *("id_token_signing_alg_values_supported", "client_registration_types_supported"),
    ),
    "oauth_authorization_server": ("issuer", "token_endpoint", "jwks_uri", "response_types_supported"),
}
# Members whose change nobody but a reader notices.
_INFORMATIVE: Final = frozenset(("service_documentation", "op_policy_uri", "op_tos_uri", "logo_uri", "contacts", "organization_name"))


@dataclass(frozen=True, slots=True)
class OwnTrust:
    """What one accepted trust anchor's federation makes of this server; no problems mean that clients can rely on it."""

    anchor: str
    entities: tuple[str, ...]
    problems: tuple[str, ...]


def review_own_trust(configuration: str) -> tuple[OwnTrust, ...]:
    """Resolve this server from its own `configuration`, a compact JWT, up to each accepted trust anchor, past all caches.

    (OpenID Federation 1.0, 6.1.4.2; FED-OPM-09, FED-EXP-30). Fetches. Raises NotFound where this server is no entity, StatementInvalid
    when the configuration is none.
    """
    entity_id, everyone = own_entity_id(), get_resolver()
    own = verify_entity_configuration(
        parse_entity_statement(configuration), entity_id, now=int(everyone.clock()), budget=VerificationBudget()
    )
    return tuple(_review(own, anchor) for anchor in everyone.anchors)


def is_member() -> bool:
    """Say whether this server names a superior and accepts a trust anchor, so that its clients could look for a chain. Two queries."""
    return Superior.objects.exists() and TrustAnchorRecord.objects.filter(is_enabled=True).exists()


def log_own_problems(configuration: str) -> int:
    """Log what clients would find wrong with this server; return how many problems there are. Raises as `review_own_trust` does."""
    problems = [(own.anchor, problem) for own in review_own_trust(configuration) for problem in own.problems]
    for anchor, problem in problems:
        log.error("own_trust_problem", trust_anchor=anchor, problem=problem)
    return len(problems)


def _review(own: EntityConfiguration, anchor: str) -> OwnTrust:
    resolution = get_resolver(anchor).resolve(own.subject, entity_types=OWN_TYPES, past_caches=True, posted=own)
    if resolution.chain is None or resolution.metadata is None:
        failure = resolution.failure
        return OwnTrust(anchor, (), (f"{failure.title}: {failure.sentence}" if failure else "No trust chain was found.",))
    found = [
        problem
        for entity_type in OWN_TYPES
        if entity_type in resolution.metadata.metadata
        for problem in problems_with(entity_type, own.metadata[entity_type], resolution.metadata.metadata[entity_type])
    ]
    missing = [f"{name}: the federation's rules took it away." for name in OWN_TYPES if name not in resolution.metadata.metadata]
    return OwnTrust(anchor, resolution.chain.entities, (*missing, *found))


def problems_with(entity_type: str, declared: Mapping[str, Any], resolved: Mapping[str, Any]) -> Iterator[str]:
    """Yield a sentence for each member that this server could not honour as its superiors resolved it. Pure."""
    for member in _REQUIRED[entity_type]:
        if not resolved.get(member):
            yield f"{entity_type}.{member}: nothing is left of it, and it is required."
    for member, value in resolved.items():
        before = declared.get(member)
        if value == before or member in _INFORMATIVE or not value:
            continue
        if isinstance(value, list) and isinstance(before, list):
            if beyond := [entry for entry in value if entry not in before]:
                yield f"{entity_type}.{member}: it promises {', '.join(map(str, beyond))[:200]}, which this server does not offer."
        elif before is not None or member.startswith("require_"):
            yield f"{entity_type}.{member}: it says {str(value)[:200]}, and this server says {str(before)[:200]}."
