"""Client metadata on the wire: the members of RFC 7591 that this server understands, read by `registry.client_metadata` alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from rest_framework import serializers

from registry.client_metadata import values
from registry.client_metadata.fields import LOCALIZABLE, NOT_OFFERED, READERS, RESPONSE_TYPES, OneOf, SomeOf, read_response_types

Schema = dict[str, Any]

_TEXT: Final[Schema] = {"type": "string"}
_TEXTS: Final[Schema] = {"type": "array", "items": _TEXT}
_BY_READER: Final[dict[Any, Schema]] = {
    values.read_boolean: {"type": "boolean"},
    values.read_seconds: {"type": "integer", "minimum": 0, "maximum": values.SAFE_INTEGER},
    values.read_contacts: {"type": "array", "items": {"type": "string", "format": "email"}},
    values.read_https_url: {"type": "string", "format": "uri"},
    read_response_types: {"type": "array", "items": {"type": "string", "enum": list(RESPONSE_TYPES)}},
}
_BY_NAME: Final[dict[str, Schema]] = {
    "redirect_uris": _TEXTS,
    "post_logout_redirect_uris": _TEXTS,
    "request_uris": {"type": "array", "items": _TEXT, "maxItems": 0},
    "jwks": {"type": "object", "properties": {"keys": {"type": "array", "items": {"type": "object"}}}, "required": ["keys"]},
}


class ClientMetadataSerializer(serializers.Serializer):
    """Registered metadata, defaults filled in."""

    def to_representation(self, instance: Any) -> dict[str, Any]:
        """Return the metadata as it is stored."""
        return dict(instance)


class ClientMetadataDocument(serializers.Serializer):
    """Metadata to register, as of RFC 7591 and OpenID Connect Dynamic Client Registration. What is wrong with a value, the rules say."""

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        """Return the document. Raises ValidationError that names members which this server does not know."""
        if not isinstance(data, Mapping):
            raise serializers.ValidationError("This must be a JSON object.", code="type")
        if unknown := [name for name in data if not _is_known(name)]:
            refused = serializers.ErrorDetail("This is not a member of client metadata that can be set here.", code="unknown")
            raise serializers.ValidationError({name: [refused] for name in unknown[:10]})
        return dict(data)


def _is_known(name: str) -> bool:
    return name in READERS or name in NOT_OFFERED or ("#" in name and name.partition("#")[0] in LOCALIZABLE)


def metadata_schema(*, closed: bool) -> Schema:
    """Return the JSON schema of client metadata; a `closed` one has no other members."""
    localized = "^(" + "|".join(LOCALIZABLE) + ")#[A-Za-z0-9-]+$"
    schema: Schema = {
        "type": "object",
        "properties": {name: _schema_of(name, reader) for name, reader in READERS.items()},
        "patternProperties": {localized: _TEXT},
    }
    return {**schema, "additionalProperties": False} if closed else schema


def _schema_of(name: str, reader: Any) -> Schema:
    if name in _BY_NAME:
        return _BY_NAME[name]
    if isinstance(reader, OneOf):
        return {"type": "string", "enum": list(reader.choices)}
    if isinstance(reader, SomeOf):
        return {"type": "array", "items": {"type": "string", "enum": list(reader.choices)}} if reader.choices else {**_TEXTS, "maxItems": 0}
    return _BY_READER.get(reader, _TEXT)
