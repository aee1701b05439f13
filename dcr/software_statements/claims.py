"""What the claims of a software statement mean. Pure: the claims are verified before, the rules of the issuer are arguments."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from protocol.errors import InvalidSoftwareStatement
from registry.client_metadata import known_members

# What the ecosystem profile always takes from the statement, whatever else its issuer may set (DCR-SS-04).
PROFILE_MEMBERS: Final = ("redirect_uris", "jwks_uri")
# Ecosystems put this before the name of a member; software_id and software_version are members of that name themselves.
PROFILE_PREFIX: Final = "software_"
ROLES_LIMIT: Final = 50
# A NumericDate may lie beyond the last year that a database keeps.
LATEST: Final = datetime(9999, 1, 1, tzinfo=UTC)


def base_member(name: str) -> str:
    """Return the member that a language-tagged one belongs to: `client_name` of `client_name#de` (RFC 7591, 2.2)."""
    return name.partition("#")[0]


def read_asserted(claims: Mapping[str, Any], allowed: Iterable[str], *, is_mandatory_profile: bool) -> dict[str, Any]:
    """Return the metadata members that a statement sets: those of `allowed` that this server knows, with their other languages.

    In the ecosystem profile redirect_uris and jwks_uri are always among them, and `software_logo_uri` is read as `logo_uri` where the
    statement has no claim of the plain name. Whatever else the statement says is ignored.
    """
    wanted = {*allowed, *(PROFILE_MEMBERS if is_mandatory_profile else ())}
    found = {name: value for name, value in claims.items() if base_member(name) in wanted}
    if is_mandatory_profile:
        prefixed = ((name.removeprefix(PROFILE_PREFIX), value) for name, value in claims.items() if name.startswith(PROFILE_PREFIX))
        found = {name: value for name, value in prefixed if base_member(name) in wanted} | found
    return known_members(found)


def read_roles(claims: Mapping[str, Any], claim: str) -> tuple[str, ...]:
    """Return the roles in `claim`: an array of texts, or one text with spaces between them. None when the issuer gives no roles.

    Raises InvalidSoftwareStatement for anything else.
    """
    if not claim or claim not in claims:
        return ()
    value = claims[claim]
    roles = value.split() if isinstance(value, str) else value
    if not isinstance(roles, list) or len(roles) > ROLES_LIMIT or not all(isinstance(role, str) and role for role in roles):
        raise InvalidSoftwareStatement(
            f"The claim '{claim}' of the software statement is not an array of at most {ROLES_LIMIT} texts.",
            members=("software_statement",),
        )
    return tuple(dict.fromkeys(roles))


def read_end(claims: Mapping[str, Any]) -> datetime | None:
    """Return when a verified statement expires, None when it does not say."""
    if "exp" not in claims:
        return None
    return datetime.fromtimestamp(min(claims["exp"], int(LATEST.timestamp())), UTC)


def scopes_of_roles(roles: Iterable[str], role_scopes: Mapping[str, Iterable[str]]) -> frozenset[str]:
    """Return every scope that one of `roles` gives."""
    return frozenset(scope for role in roles for scope in role_scopes.get(role, ()))
