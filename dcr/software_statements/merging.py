"""What is registered of a body and the statement it came with (RFC 7591, 3.1.1; DCR-SS-03, -04). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from dcr.software_statements.claims import base_member, scopes_of_roles
from dcr.software_statements.verification import VerifiedStatement
from protocol.errors import InvalidClientMetadata, InvalidRedirectUri

# Two ways to say the same: who sets one of them sets the other too.
_TWINS: Final = {"jwks": "jwks_uri", "jwks_uri": "jwks"}


def merge_statement(document: Mapping[str, object], statement: VerifiedStatement) -> dict[str, object]:
    """Return the metadata to register: the members of the statement, and of the body what the statement does not set.

    A body's member in another language goes with its base member, and its keys go with the statement's, so that nothing unsigned stands
    beside what is vouched for. In the ecosystem profile the body names its redirect URIs among the statement's and no keys of its own.
    Raises InvalidRedirectUri or InvalidClientMetadata.
    """
    given = {name: value for name, value in document.items() if name != "software_statement" and value is not None and value != ""}
    if statement.issuer.is_mandatory_profile:
        _check_profile(given, statement)
    taken = {base_member(name) for name in statement.asserted}
    taken |= {_TWINS[name] for name in taken if name in _TWINS}
    merged = {name: value for name, value in given.items() if base_member(name) not in taken} | dict(statement.asserted)
    return _complete_profile(merged, given, statement) if statement.issuer.is_mandatory_profile else merged


def _check_profile(given: Mapping[str, object], statement: VerifiedStatement) -> None:
    """Refuse what only the statement may say; the redirect URIs come first (DCR-META-06)."""
    own = statement.asserted.get("redirect_uris")
    uris = given.get("redirect_uris", [])
    if not isinstance(uris, list) or not all(uri in (own if isinstance(own, list) else []) for uri in uris):
        raise InvalidRedirectUri("redirect_uris must be among those of the software statement.", members=("redirect_uris",))
    if "jwks" in given:
        raise InvalidClientMetadata("Keys are not registered by value here: the software statement names the jwks_uri.", members=("jwks",))
    if "jwks_uri" in given and given["jwks_uri"] != statement.asserted.get("jwks_uri"):
        raise InvalidClientMetadata("jwks_uri must be that of the software statement.", members=("jwks_uri",))


def _complete_profile(merged: dict[str, Any], given: Mapping[str, object], statement: VerifiedStatement) -> dict[str, object]:
    """Take the redirect URIs that the body chose, and hold the scopes to the roles; who asks for none gets those of the roles."""
    merged.pop("redirect_uris", None)
    if "redirect_uris" in given:
        merged["redirect_uris"] = given["redirect_uris"]
    if not statement.issuer.roles_claim:
        return merged
    allowed = scopes_of_roles(statement.roles, statement.issuer.role_scopes)
    asked = merged.get("scope")
    if asked is None:
        return {**merged, "scope": " ".join(sorted(allowed))} if allowed else merged
    beyond = [scope for scope in asked.split() if scope not in allowed] if isinstance(asked, str) else []
    if beyond:
        names = " ".join(scope[:60] for scope in beyond[:10])
        raise InvalidClientMetadata(f"The roles in the software statement do not allow the scope {names}.", members=("scope",))
    return merged
