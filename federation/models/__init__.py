"""Models of the federation."""

from federation.models.membership import OwnTrustMark, Superior
from federation.models.trust_anchors import TrustAnchorRecord

__all__ = ["OwnTrustMark", "Superior", "TrustAnchorRecord"]
