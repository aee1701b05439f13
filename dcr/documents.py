"""Reading the body of a registration: size, media type and strict JSON before anything else (DCR-HTTP-02 to -05)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from django.http import HttpRequest

from protocol.constants import REGISTRATION_BODY_LIMIT
from protocol.errors import InvalidClientMetadata, InvalidJson, InvalidRedirectUri, PayloadTooLarge, UnsupportedMediaType
from protocol.strict_json import canonical_json, parse_json_object, quotable
from registry.json_endpoints import check_charset

DEPTH_LIMIT: Final = 16
MEMBERS_LIMIT: Final = 256
STRING_LIMIT: Final = 2048
KEYS_LIMIT: Final = 32 * 1024
# A statement is a signed document, and keys bring certificates.
_LONG: Final = ("software_statement", "jwks")


def read_document(request: HttpRequest) -> dict[str, Any]:
    """Return the JSON object in the body of `request`.

    Raises UnsupportedMediaType, PayloadTooLarge before the body is parsed, or InvalidClientMetadata that says what is wrong with it.
    """
    _check_media_type(request)
    if int(request.META.get("CONTENT_LENGTH") or 0) > REGISTRATION_BODY_LIMIT or len(request.body) > REGISTRATION_BODY_LIMIT:
        raise PayloadTooLarge(f"The body is larger than {REGISTRATION_BODY_LIMIT} bytes.")
    try:
        document = parse_json_object(request.body, max_bytes=REGISTRATION_BODY_LIMIT, max_depth=DEPTH_LIMIT)
    except InvalidJson as error:
        raise InvalidClientMetadata(error.description, detail=error.reason) from error
    check_sizes(document)
    return document


def _check_media_type(request: HttpRequest) -> None:
    content_type = request.META.get("CREDENCE_CONTENT_TYPE", request.META.get("CONTENT_TYPE", ""))
    if content_type.partition(";")[0].strip().lower() != "application/json":
        raise UnsupportedMediaType("Send the metadata as application/json.")
    check_charset(content_type)


def check_sizes(document: Mapping[str, Any]) -> None:
    """Refuse more members or longer texts than any registration needs. Raises InvalidClientMetadata."""
    if len(document) > MEMBERS_LIMIT:
        raise InvalidClientMetadata(f"A registration has at most {MEMBERS_LIMIT} members.")
    for name, value in document.items():
        if len(name) > STRING_LIMIT or (name not in _LONG and any(len(text) > STRING_LIMIT for text in _texts(value))):
            kind = InvalidRedirectUri if name == "redirect_uris" else InvalidClientMetadata
            raise kind(f"The member {quotable(name)} holds a text longer than {STRING_LIMIT} characters.", members=(name[:60],))
    if isinstance(document.get("jwks"), dict) and len(canonical_json(document["jwks"])) > KEYS_LIMIT:
        raise InvalidClientMetadata(f"The key set is larger than {KEYS_LIMIT} bytes.", members=("jwks",))


def _texts(value: Any) -> Iterator[str]:
    """Return every text in a JSON value; its depth is limited already."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield name
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
