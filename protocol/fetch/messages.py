"""What goes into a fetch and what comes out of it; the interface that the rest of the project sees."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final, Literal, Protocol

from protocol.constants import ENTITY_STATEMENT_LIMIT, ENTITY_STATEMENT_TYPE, JWKS_LIMIT, SIGNED_JWKS_TYPE
from protocol.errors import FetchError


class FetchPurpose(Enum):
    """Everything this server ever fetches. Logos, policy pages and request objects are not in it (threats F02, F03)."""

    ENTITY_CONFIGURATION = "entity_configuration"
    SUBORDINATE_STATEMENT = "subordinate_statement"
    JWKS = "jwks"
    SIGNED_JWKS = "signed_jwks"
    SECTOR_IDENTIFIER = "sector_identifier"
    TRUST_MARK_STATUS = "trust_mark_status"
    ENTITY_CLAIM = "entity_claim"
    HOMEPAGE = "homepage"  # whether it answers, for a reviewer; nothing of it is used


# Media types in order of preference and the largest body in bytes (threats F12; OpenID Federation 1.0, 15; RFC 7517, 8.5).
_STANDARD: Final[dict[FetchPurpose, tuple[tuple[str, ...], int]]] = {
    FetchPurpose.ENTITY_CONFIGURATION: ((f"application/{ENTITY_STATEMENT_TYPE}",), ENTITY_STATEMENT_LIMIT),
    FetchPurpose.SUBORDINATE_STATEMENT: ((f"application/{ENTITY_STATEMENT_TYPE}",), ENTITY_STATEMENT_LIMIT),
    FetchPurpose.JWKS: (("application/jwk-set+json", "application/json"), JWKS_LIMIT),
    FetchPurpose.SIGNED_JWKS: ((f"application/{SIGNED_JWKS_TYPE}",), JWKS_LIMIT),
    FetchPurpose.SECTOR_IDENTIFIER: (("application/json",), 64 * 1024),
    FetchPurpose.TRUST_MARK_STATUS: (("application/trust-mark-status-response+jwt",), 64 * 1024),
    FetchPurpose.ENTITY_CLAIM: (("text/plain",), 1024),
    FetchPurpose.HOMEPAGE: (("text/html", "application/xhtml+xml"), 256 * 1024),
}


@dataclass(frozen=True, slots=True)
class FetchRequest:
    """One document to fetch.

    `accept` lists exact media types, `max_bytes` caps the body. `deadline_seconds` can only shorten the configured
    deadline, for a caller with a budget of its own. `past_caches` skips remembered failures, for a second look (threats
    3.2). `form` is a POST body in `application/x-www-form-urlencoded` (trust mark status, OpenID Federation 1.0, 8.4.1).
    """

    url: str
    purpose: FetchPurpose
    accept: tuple[str, ...]
    max_bytes: int
    method: Literal["GET", "POST"] = "GET"
    form: bytes = b""
    deadline_seconds: float | None = None
    past_caches: bool = False

    def __post_init__(self) -> None:
        if not self.accept or self.max_bytes < 1 or (self.method == "GET" and self.form):
            raise ValueError("A fetch needs media types and a size cap, and only POST has a body.")

    @property
    def document_key(self) -> bytes:
        """A digest of what is asked for, equal for requests that one answer serves; failures are remembered under it."""
        parts = (self.method, self.url, ",".join(self.accept), str(self.max_bytes), self.form.hex())
        return hashlib.sha256("\n".join(parts).encode("utf-8", "surrogatepass")).digest()


@dataclass(frozen=True, slots=True)
class FetchResponse:
    """A complete 200 answer of an allowed media type. Header names are in lower case; `fetched_at` is in Unix seconds."""

    url: str
    status: int
    media_type: str
    headers: Mapping[str, str]
    body: bytes
    fetched_at: int


class Fetcher(Protocol):
    """What the project asks for documents; tests, simulator and demo bring their own (house decision 11)."""

    def fetch(self, request: FetchRequest) -> FetchResponse:
        """Return the complete answer, or raise `FetchError`; nothing else is raised."""
        ...

    def fetch_many(self, requests: Sequence[FetchRequest]) -> list[FetchResponse | FetchError]:
        """Return one result for each request, in order; errors are returned, not raised."""
        ...


def standard_request(
    purpose: FetchPurpose,
    url: str,
    *,
    form: bytes | None = None,
    deadline_seconds: float | None = None,
    past_caches: bool = False,
) -> FetchRequest:
    """Return the request with the media types and the size cap of its purpose; a `form` makes it a POST."""
    accept, max_bytes = _STANDARD[purpose]
    method: Literal["GET", "POST"] = "GET" if form is None else "POST"
    return FetchRequest(url, purpose, accept, max_bytes, method, form or b"", deadline_seconds, past_caches)
