"""Models of the federation."""

from federation.models.membership import OwnTrustMark, Superior
from federation.models.organizations import EntityClaim, OrganizationRule
from federation.models.registrations import EntityLookup, FederationRecord, RegistrationRequest
from federation.models.trust_anchors import RefusedEntity, TrustAnchorRecord
from federation.models.trust_mark_rules import TrustMarkRule

__all__ = [
    "EntityClaim",
    "EntityLookup",
    "FederationRecord",
    "OrganizationRule",
    "OwnTrustMark",
    "RefusedEntity",
    "RegistrationRequest",
    "Superior",
    "TrustAnchorRecord",
    "TrustMarkRule",
]
