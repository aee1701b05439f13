"""Resolving an entity: from its identifier to a trust chain and metadata (OpenID Federation 1.0, 10).

The walk goes up by authority hints, one level of superiors at a time, fetched side by side. It stops at the first level on which a chain
is valid, so that a shorter chain always wins. Everything is bounded (FED-TCR-09; threats.md T01): what does not fit is reported, not tried.
"""

from federation.core.resolver.addresses import configuration_url, statement_url
from federation.core.resolver.limits import ResolutionLimits
from federation.core.resolver.resolver import RELYING_PARTY_TYPES, Resolver

__all__ = ["RELYING_PARTY_TYPES", "ResolutionLimits", "Resolver", "configuration_url", "statement_url"]
