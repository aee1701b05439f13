"""Which edits of a live app a reviewer must see first (portal.md 4.4). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from protocol.errors import InvalidUrl
from protocol.urls import parse_authority, split_uri

_STRENGTH: Final = {"none": 0, "client_secret_post": 1, "client_secret_basic": 1, "private_key_jwt": 2}


def reasons_for_review(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[str, ...]:
    """Return a sentence for every way in which `after` widens what `before` allows; empty when the edit may apply at once.

    Removing redirect URIs or scopes, names, contacts and keys are harmless.
    """
    reasons = []
    if new_hosts := _hosts(after, "redirect_uris") - _hosts(before, "redirect_uris"):
        reasons.append(f"Redirects to a new place: {', '.join(sorted(new_hosts))}.")
    if new_scopes := _words(after, "scope") - _words(before, "scope"):
        reasons.append(f"Asks for more scopes: {', '.join(sorted(new_scopes))}.")
    if new_grants := set(after.get("grant_types", ())) - set(before.get("grant_types", ())):
        reasons.append(f"Uses a new grant: {', '.join(sorted(new_grants))}.")
    if _strength(after) < _strength(before):
        reasons.append(f"Authenticates in a weaker way: {after.get('token_endpoint_auth_method')}.")
    if new_hosts := _hosts(after, "jwks_uri") - _hosts(before, "jwks_uri"):
        reasons.append(f"Takes its keys from a new place: {', '.join(sorted(new_hosts))}.")
    if after.get("application_type") != before.get("application_type"):
        reasons.append("Changes its application type.")
    return tuple(reasons)


def _words(metadata: Mapping[str, Any], member: str) -> set[str]:
    return set(str(metadata.get(member, "")).split())


def _strength(metadata: Mapping[str, Any]) -> int:
    return _STRENGTH.get(str(metadata.get("token_endpoint_auth_method")), 0)


def _hosts(metadata: Mapping[str, Any], member: str) -> set[str]:
    """Return scheme and host of each URI of a member, so that a new scheme counts as a new place."""
    value = metadata.get(member) or []
    return {_place(uri) for uri in ([value] if isinstance(value, str) else value)}


def _place(uri: str) -> str:
    try:
        parts = split_uri(uri)
        host = parse_authority(parts.authority).host if parts.authority else ""
    except InvalidUrl:
        return uri
    return f"{parts.scheme}://{host}"
