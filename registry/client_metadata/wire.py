"""From findings to the one error of RFC 7591, 3.2.2."""

from __future__ import annotations

from collections.abc import Iterable

from protocol.errors import InvalidClientMetadata, InvalidRedirectUri, OAuthError
from registry.findings import Finding, errors_among


def error_for_findings(findings: Iterable[Finding]) -> OAuthError:
    """Return the error for the findings that refuse: invalid_redirect_uri goes before invalid_client_metadata (DCR-META-06).

    The description holds each sentence with its hint; `members` names the members at fault, in order. Raises ValueError if none refuses.
    """
    errors = errors_among(findings)
    if not errors:
        raise ValueError("no finding refuses")
    description = " ".join(f"{error.field}: {error.sentence} {error.hint}".strip() for error in errors)
    members = tuple(dict.fromkeys(error.member for error in errors))
    kind = InvalidRedirectUri if any(error.member == "redirect_uris" for error in errors) else InvalidClientMetadata
    return kind(description, members=members)
