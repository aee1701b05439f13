"""What stands behind the addresses in client metadata, fetched when it is registered (DCR-JWK-07, DCR-META-35, DCR-ERR-04)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog

from protocol.errors import FetchError, InvalidJson
from protocol.fetch import Fetcher, FetchPurpose, FetchResponse, standard_request
from protocol.strict_json import parse_json_object, parse_strict_json
from registry.client_metadata.rules import check_keys
from registry.findings import Finding, Findings
from registry.outbound import get_fetcher

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class RemoteDocuments:
    """What was found: everything there is to say about it, and the keys with the answer that brought them, if there are any."""

    findings: tuple[Finding, ...] = ()
    jwks: dict[str, Any] | None = None
    jwks_answer: FetchResponse | None = None


def has_addresses(document: Mapping[str, object]) -> bool:
    """Say whether registering `document` means fetching something."""
    return bool(document.get("jwks_uri") or document.get("sector_identifier_uri"))


def fetch_remote_documents(metadata: Mapping[str, Any], *, now: datetime) -> RemoteDocuments:
    """Fetch what the addresses in `metadata` (as read by `read_client_metadata`) lead to, and say what is wrong with it. No query.

    A finding never says how a fetch failed: that would let a stranger map networks through this server; the log has it.
    """
    findings = Findings()
    jwks, answer = _fetch_keys(metadata, findings, int(now.timestamp())) if "jwks_uri" in metadata else (None, None)
    if "sector_identifier_uri" in metadata:
        _check_sector(metadata, findings)
    return RemoteDocuments(tuple(findings.items), jwks, answer)


@dataclass(frozen=True, slots=True)
class KeyDocument:
    """What stands behind the address of a key set: the keys as parsed JSON and the answer that brought them, or why there are none."""

    jwks: dict[str, Any] | None
    answer: FetchResponse | None
    findings: tuple[Finding, ...] = ()


def fetch_key_document(uri: str, fetcher: Fetcher) -> KeyDocument:
    """Fetch a key set for the person who asks about its address, unlogged; they read no more of a network than `FetchError` says (F09)."""
    try:
        answer = fetcher.fetch(standard_request(FetchPurpose.JWKS, uri))
    except FetchError as error:
        hint = "Serve a JWK Set there, on a public host over https and without redirects. A failure is remembered for a minute or longer."
        return KeyDocument(None, None, (Finding("remote.unusable", "error", "jwks_uri", error.description, hint),))
    try:
        return KeyDocument(parse_json_object(answer.body, max_bytes=len(answer.body)), answer)
    except InvalidJson as error:
        return KeyDocument(
            None, answer, (Finding(f"jwks.{error.reason}", "error", "jwks_uri", error.description, "Serve a JWK Set there."),)
        )


def _fetch_keys(metadata: Mapping[str, Any], findings: Findings, now: int) -> tuple[dict[str, Any] | None, FetchResponse | None]:
    uri = metadata["jwks_uri"]
    try:
        answer = get_fetcher().fetch(standard_request(FetchPurpose.JWKS, uri))
        jwks = parse_json_object(answer.body, max_bytes=len(answer.body))
    except (FetchError, InvalidJson) as error:
        _note_failure("jwks_uri", uri, error, findings, "Serve a JWK Set there, over https and without redirects.")
        return None, None
    found = Findings()
    check_keys({name: value for name, value in metadata.items() if name != "jwks_uri"} | {"jwks": jwks}, found, now=now)
    for finding in found.items:
        findings.items.append(Finding(finding.code, finding.level, "jwks_uri", finding.sentence, finding.hint))
    return jwks, answer


def _check_sector(metadata: Mapping[str, Any], findings: Findings) -> None:
    """Check that the document names every redirect URI (OpenID Connect Dynamic Client Registration 1.0, 5)."""
    uri = metadata["sector_identifier_uri"]
    try:
        answer = get_fetcher().fetch(standard_request(FetchPurpose.SECTOR_IDENTIFIER, uri))
        named = parse_strict_json(answer.body, max_bytes=len(answer.body))
    except (FetchError, InvalidJson) as error:
        _note_failure("sector_identifier_uri", uri, error, findings, "Serve a JSON array of redirect URIs there, over https.")
        return
    if not isinstance(named, list):
        findings.error("sector.type", "sector_identifier_uri", "The document at sector_identifier_uri is not a JSON array.")
    elif missing := [one for one in metadata.get("redirect_uris", []) if one not in named]:
        sentence = f"The document at sector_identifier_uri does not name {len(missing)} of the redirect URIs."
        findings.error("sector.missing", "sector_identifier_uri", sentence, "Add every redirect URI to it, exactly as registered.")


def _note_failure(member: str, uri: str, error: FetchError | InvalidJson, findings: Findings, hint: str) -> None:
    log.info("remote_document_refused", member=member, uri=uri, reason=error.reason, detail=error.detail)
    findings.error("remote.unusable", member, f"The document at {member} cannot be fetched or read.", hint)
