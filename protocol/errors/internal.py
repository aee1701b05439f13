"""Errors that a caller must turn into an answer of its own surface."""

from __future__ import annotations

from typing import Any

from protocol.errors.base import ProtocolError


class InternalError(ProtocolError):
    """Base of errors that a caller must turn into an answer of its own surface."""


class InvalidJson(InternalError):
    """Input is not the strict JSON that `strict_json` reads; `reason` is a stable word, `description` a sentence."""

    def __init__(self, reason: str, description: str) -> None:
        self.reason = reason
        super().__init__(description)


class InvalidUrl(InternalError):
    """A URL is not canonical or not allowed; `reason` is a stable word, `description` a sentence."""

    def __init__(self, reason: str, description: str) -> None:
        self.reason = reason
        super().__init__(description)


class InvalidJwt(InternalError):
    """A JWT is not what its verifier accepts; `reason` is a stable word, `claim` the claim or header parameter at fault."""

    def __init__(self, reason: str, description: str, *, claim: str = "", detail: str = "") -> None:
        self.reason = reason
        self.claim = claim
        super().__init__(description, detail=detail)


class InvalidKeySet(InternalError):
    """A JWK or JWK Set is refused; `reason` is a stable word, `position` the index of the key at fault."""

    def __init__(self, reason: str, description: str, *, position: int | None = None) -> None:
        self.reason = reason
        self.position = position
        super().__init__(description)


class FetchError(InternalError):
    """An outbound fetch failed.

    `reason` is a stable word; `permanent` says that trying again will not help; `http_status` is set when a status line arrived.
    The description never carries what the network said (DCR-ERR-04); that is in `detail`.
    """

    def __init__(
        self,
        reason: str,
        description: str,
        *,
        permanent: bool,
        http_status: int | None = None,
        retry_after: int | None = None,
        detail: str = "",
    ) -> None:
        self.reason = reason
        self.permanent = permanent
        self.http_status = http_status
        super().__init__(description, detail=detail, retry_after=retry_after)


class TrustMarkInvalid(InternalError):
    """A trust mark does not verify (OpenID Federation 1.0, 7)."""


class TransitionRefused(InternalError):
    """A lifecycle transition is not allowed from this state, by this actor or under this guard; `reason` is a stable word."""

    def __init__(self, reason: str, description: str) -> None:
        self.reason = reason
        super().__init__(description)


class MetadataRefused(InternalError):
    """Client metadata has error findings; `findings` are registry.findings.Finding values."""

    def __init__(self, findings: tuple[Any, ...]) -> None:
        self.findings = findings
        super().__init__("; ".join(finding.sentence for finding in findings))
