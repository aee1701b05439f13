"""From resolved metadata to the document that our own rules read: for automatic and explicit registration. Pure.

An entity publishes one set of metadata for every server of its federations. What this server does not offer and can leave out without
harm is left out, and each such change is told; what the entity relies on is refused (FED-AUT-26, -37 to -39; FED-EXP-20).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from federation.core.resolution import Resolution
from protocol.errors import InvalidMetadata
from registry.client_metadata.fields import GRANT_TYPES, RESPONSE_TYPES, TOKEN_ENDPOINT_AUTH_METHODS
from registry.client_metadata.values import is_email_address
from registry.registration_policy import Decision

RELYING_PARTY: Final = "openid_relying_party"
OAUTH_CLIENT: Final = "oauth_client"
KEY_MEMBERS: Final = ("jwks", "signed_jwks_uri", "jwks_uri")
# Members that a federation can take away, but whose default would then allow more than it meant to (threats.md T06).
_NO_DEFAULT_AFTER_POLICY: Final = (
    *("redirect_uris", "grant_types", "response_types", "scope", "token_endpoint_auth_method", "token_endpoint_auth_methods_supported"),
    *("token_endpoint_auth_signing_alg", "id_token_signed_response_alg", "request_object_signing_alg", *KEY_MEMBERS),
)
# Features that a server may lack without the entity noticing anything but that nobody calls.
_NEVER_CALLED: Final = (
    *("backchannel_logout_uri", "backchannel_logout_session_required", "frontchannel_logout_uri", "frontchannel_logout_session_required"),
    *("request_uris", "default_acr_values"),
)


class Way(Enum):
    """How an entity registers; the values are those of `client_registration_types`."""

    AUTOMATIC = "automatic"
    EXPLICIT = "explicit"


@dataclass(frozen=True, slots=True)
class ClientDocument:
    """What an entity registers with: `declared` by itself, `resolved` by its federation, `document` after what is left out here."""

    entity_type: str
    declared: Mapping[str, Any]
    resolved: Mapping[str, Any]
    document: dict[str, Any]
    decisions: tuple[Decision, ...]


def build_client_document(resolution: Resolution, way: Way, *, default_scopes: Sequence[str] = ()) -> ClientDocument:
    """Return what the entity of a resolution that succeeded registers with; `default_scopes` are for one that declares none.

    Raises InvalidMetadata that names the member at fault.
    """
    if resolution.chain is None or resolution.metadata is None:
        raise ValueError("the resolution did not establish trust")
    metadata = resolution.metadata.metadata
    entity_type = RELYING_PARTY if RELYING_PARTY in metadata else OAUTH_CLIENT
    declared, resolved = resolution.chain.subject.metadata.get(entity_type, {}), metadata[entity_type]
    return build_document(entity_type, declared, resolved, way, default_scopes=default_scopes)


def build_document(
    entity_type: str, declared: Mapping[str, Any], resolved: Mapping[str, Any], way: Way, *, default_scopes: Sequence[str] = ()
) -> ClientDocument:
    """Return the same for metadata that its federation's rules left of what was declared. Raises InvalidMetadata."""
    _check_registration_type(resolved, way)
    _check_nothing_emptied(declared, resolved)
    if resolved.get("sector_identifier_uri"):
        sentence = "This server has no pairwise subjects and does not look behind the sector_identifier_uri of an entity; leave it out."
        raise InvalidMetadata(sentence, members=("sector_identifier_uri",))
    document, decisions = dict(resolved), []
    decisions += _leave_out(document)
    decisions += _choose_authentication(document, way)
    decisions += _choose_keys(document)
    decisions += _keep_offered(document, "grant_types", GRANT_TYPES)
    decisions += _keep_offered(document, "response_types", RESPONSE_TYPES)
    decisions += _keep_addresses(document)
    decisions += _fill_in(document, entity_type, default_scopes)
    return ClientDocument(entity_type, declared, resolved, document, tuple(decisions))


def _check_registration_type(resolved: Mapping[str, Any], way: Way) -> None:
    """Refuse a way that the entity or its federation did not name; without the member every way is meant (FED-AUT-39)."""
    types = resolved.get("client_registration_types")
    if types is not None and (not isinstance(types, list) or way.value not in types):
        raise InvalidMetadata(f"client_registration_types does not name {way.value}.", members=("client_registration_types",))


def _check_nothing_emptied(declared: Mapping[str, Any], resolved: Mapping[str, Any]) -> None:
    for member in _NO_DEFAULT_AFTER_POLICY:
        if declared.get(member) and not resolved.get(member):
            sentence = f"The federation's policy left nothing of {member}, and a default would allow more than it does."
            raise InvalidMetadata(sentence, members=(member,))
        if resolved.get(member) in ([], "") and declared.get(member) != resolved[member]:
            raise InvalidMetadata(f"{member} is empty after the federation's policy.", members=(member,))


def _decision(member: str, before: Any, after: Any, rule: str, sentence: str) -> Decision:
    return Decision(member, "stripped" if after is None else "replaced", before, after, f"federation.{rule}", sentence)


def _leave_out(document: dict[str, Any]) -> list[Decision]:
    found = [name for name in _NEVER_CALLED if document.get(name)]
    return [_decision(name, document.pop(name), None, "not_offered", f"{name} is not used here; it was left out.") for name in found]


def _choose_authentication(document: dict[str, Any], way: Way) -> list[Decision]:
    """Settle on one method: the named one, or one that both sides support (FED-AUT-37); an automatic client signs (FED-AUT-03, -38)."""
    named, supported = document.get("token_endpoint_auth_method"), document.pop("token_endpoint_auth_methods_supported", None)
    offered = ("private_key_jwt",) if way is Way.AUTOMATIC else TOKEN_ENDPOINT_AUTH_METHODS
    common = [method for method in offered if isinstance(supported, list) and method in supported]
    if named in offered:
        return []
    if common:
        chosen = common[0]
    elif supported is not None or named is not None:
        words = f"An entity that registers {way.value}ly authenticates by {' or '.join(offered)}; its metadata names another method."
        raise InvalidMetadata(words, members=("token_endpoint_auth_method",))
    elif way is Way.AUTOMATIC:
        chosen = "private_key_jwt"
    else:
        return []
    document["token_endpoint_auth_method"] = chosen
    sentence = f"The entity authenticates by {chosen}, since it registers {way.value}ly and its metadata names no other method for here."
    return [_decision("token_endpoint_auth_method", named, chosen, "authentication", sentence)]


def _choose_keys(document: dict[str, Any]) -> list[Decision]:
    """Keep the keys of the first kind that is there (FED-JWK-10)."""
    present = [member for member in KEY_MEMBERS if member in document]
    return [
        _decision(member, document.pop(member), None, "keys", f"{present[0]} is used for the keys; {member} was left out.")
        for member in present[1:]
    ]


def _keep_offered(document: dict[str, Any], member: str, offered: Sequence[str]) -> list[Decision]:
    """Leave out values that this server does not offer, when one that it offers is left."""
    values = document.get(member)
    if not isinstance(values, list):
        return []
    kept = [value for value in values if value in offered]
    if not kept or kept == values:
        return []
    document[member] = kept
    return [_decision(member, values, kept, "not_offered", f"This server offers {', '.join(offered)}; the others were left out.")]


def _keep_addresses(document: dict[str, Any]) -> list[Decision]:
    """Leave out contacts that are no e-mail addresses, which a federation allows (5.2.2) and client registration does not."""
    contacts = document.get("contacts")
    if not isinstance(contacts, list):
        return []
    kept = [entry for entry in contacts if is_email_address(entry)]
    if kept == contacts:
        return []
    document["contacts"] = kept
    return [_decision("contacts", contacts, kept, "contacts", "Only e-mail addresses are kept as contacts.")]


def _fill_in(document: dict[str, Any], entity_type: str, default_scopes: Sequence[str]) -> list[Decision]:
    decisions = []
    if entity_type == OAUTH_CLIENT and "grant_types" not in document and "redirect_uris" not in document:
        document["grant_types"] = ["client_credentials"]
        sentence = "An oauth_client without redirect URIs and grant types gets client_credentials."
        decisions.append(_decision("grant_types", None, document["grant_types"], "default", sentence))
    if "scope" not in document and default_scopes and entity_type == RELYING_PARTY:
        document["scope"] = " ".join(default_scopes)
        sentence = "The entity declares no scope; these are the default for entities of a federation."
        decisions.append(_decision("scope", None, document["scope"], "scope.default", sentence))
    return decisions
