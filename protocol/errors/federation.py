"""Errors of federation endpoints (OpenID Federation 1.0, 8.9)."""

from __future__ import annotations

from protocol.errors.base import ProtocolError


class FederationError(ProtocolError):
    """An error of a federation endpoint (OpenID Federation 1.0, 8.9)."""


class InvalidIssuer(FederationError):
    """The issuer is not the right one to ask (OpenID Federation 1.0, 8.9)."""

    code, status = "invalid_issuer", 404


class InvalidSubject(FederationError):
    """The subject is not the right one (OpenID Federation 1.0, 8.9)."""

    code, status = "invalid_subject", 404


class InvalidTrustAnchor(FederationError):
    """The trust anchor is unknown or cannot be used (OpenID Federation 1.0, 8.9)."""

    code, status = "invalid_trust_anchor", 404


class NotFound(FederationError):
    """The subject is not known (OpenID Federation 1.0, 8.9)."""

    code, status = "not_found", 404


class UnsupportedParameter(FederationError):
    """A parameter is not supported (OpenID Federation 1.0, 8.9)."""

    code, status = "unsupported_parameter", 400


class InvalidTrustChain(FederationError):
    """The trust chain cannot be validated (OpenID Federation 1.0, 8.9)."""

    code, status = "invalid_trust_chain", 400


class StatementInvalid(InvalidTrustChain):
    """A statement breaks a rule of OpenID Federation 1.0, 3.2; `reason` is a stable word, `claim` the claim at fault."""

    def __init__(self, reason: str, description: str, *, claim: str = "", detail: str = "") -> None:
        self.reason = reason
        self.claim = claim
        super().__init__(description, detail=detail)


class SignatureInvalid(StatementInvalid):
    """A statement of the chain does not verify."""


class StatementExpired(StatementInvalid):
    """A statement of the chain is expired or not yet valid."""


class ConstraintViolated(InvalidTrustChain):
    """A constraint of a superior is broken (OpenID Federation 1.0, 6.2)."""


class InvalidMetadata(FederationError):
    """Metadata or metadata policy is invalid or in conflict (OpenID Federation 1.0, 8.9)."""

    code, status = "invalid_metadata", 400


class PolicyConflict(InvalidMetadata):
    """Metadata policies do not merge (OpenID Federation 1.0, 6.1.4.1)."""


class PolicyViolation(InvalidMetadata):
    """Metadata breaks the resolved policy (OpenID Federation 1.0, 6.1.4.2)."""


class TemporarilyUnavailable(FederationError):
    """Federation data cannot be had for a moment (OpenID Federation 1.0, 8.9)."""

    code, status = "temporarily_unavailable", 503
