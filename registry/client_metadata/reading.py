"""Reading a metadata document into registered metadata and findings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from registry.client_metadata import rules
from registry.client_metadata.fields import LOCALIZABLE, NOT_OFFERED, READERS
from registry.client_metadata.languages import read_localized
from registry.findings import Finding, Findings, errors_among


@dataclass(frozen=True, slots=True)
class MetadataReading:
    """What a document says: `metadata` with defaults filled in, and everything there is to say about it."""

    metadata: dict[str, Any]
    findings: tuple[Finding, ...]

    @property
    def errors(self) -> tuple[Finding, ...]:
        """Return the findings that refuse the document."""
        return errors_among(self.findings)


def read_client_metadata(document: Mapping[str, object], *, now: int, allow_loopback_http: bool = False) -> MetadataReading:
    """Read and check client metadata (RFC 7591, 2; OpenID Connect Dynamic Client Registration 1.0, 2).

    `document` is the parsed JSON object, whatever way it came. `now` is in seconds, for certificates in keys. `allow_loopback_http` lets
    a web client redirect to http on a loopback address (test stage). Unknown and server-owned members are left out (DCR-META-01, -05);
    null and the empty string count as absent (DCR-META-02). All findings are collected; nothing is raised.
    """
    findings = Findings()
    given = {name: value for name, value in document.items() if value is not None and value != ""}
    metadata: dict[str, Any] = {}
    for name, read in READERS.items():
        if name in given and (value := read(given[name], name, findings)) is not None:
            metadata[name] = value
    metadata.update(read_localized(document, findings))
    _refuse_what_is_not_offered(given, findings)

    metadata.setdefault("application_type", "web")
    metadata.setdefault("token_endpoint_auth_method", "client_secret_basic")
    metadata.setdefault("subject_type", "public")
    unread = {name for name in READERS if name in given and name not in metadata}
    rules.complete_grants(metadata, frozenset(given))
    if "authorization_code" in metadata["grant_types"]:
        metadata.setdefault("id_token_signed_response_alg", "RS256")
    if unread.isdisjoint(("grant_types", "response_types", "token_endpoint_auth_method")):
        rules.check_grants(metadata, findings)
    rules.check_redirect_uris(
        metadata, findings, allow_loopback_http=allow_loopback_http, needed=rules.redirects(metadata) and "grant_types" not in unread
    )
    rules.check_keys(metadata, findings, now=now)
    rules.check_web_addresses(metadata, findings)
    return MetadataReading(metadata, tuple(findings.items))


def known_members(document: Mapping[str, object]) -> dict[str, object]:
    """Return the members of `document` that this server understands, as given; the others are never stored (DCR-META-01, -05)."""
    return {
        name: value
        for name, value in document.items()
        if value is not None and value != "" and (name in READERS or name.partition("#")[0] in LOCALIZABLE)
    }


def _refuse_what_is_not_offered(given: Mapping[str, object], findings: Findings) -> None:
    for name, feature in NOT_OFFERED.items():
        if given.get(name) not in (None, False):
            findings.error("value.not_offered", name, f"This server does not offer {feature}.", f"Leave out {name}.")
