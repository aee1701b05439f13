"""Models of the federation."""

from federation.models.trust_anchors import TrustAnchorRecord

__all__ = ["TrustAnchorRecord"]
