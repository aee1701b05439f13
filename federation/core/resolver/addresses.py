"""Where entities answer (OpenID Federation 1.0, 8.1.1, 9)."""

from __future__ import annotations

from urllib.parse import quote

from protocol.constants import WELL_KNOWN_FEDERATION


def configuration_url(entity_id: str) -> str:
    """Return where an entity publishes its configuration: one slash at the end is dropped first (FED-EID-07, FED-ECP-04)."""
    return entity_id.removesuffix("/") + WELL_KNOWN_FEDERATION


def statement_url(fetch_endpoint: str, subject: str) -> str:
    """Return the URL that asks a fetch endpoint about `subject` (8.1.1)."""
    return f"{fetch_endpoint}{'&' if '?' in fetch_endpoint else '?'}sub={quote(subject, safe='')}"
