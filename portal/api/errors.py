"""The one place where what services, parsers and serializers refuse becomes an error of the API."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from django.http import Http404, HttpResponse
from rest_framework import exceptions

from portal.middleware import as_protocol_error, json_answer
from protocol.errors import (
    AccessDenied,
    Conflict,
    InvalidRequest,
    MetadataRefused,
    MethodNotAllowed,
    NotFound,
    ProtocolError,
    TransitionRefused,
    UnsupportedMediaType,
)
from registry.findings import Finding, errors_among

# Refusals about who asks; every other is about what it asks for now.
_ABOUT_THE_CALLER: Final = ("permission", "own")
# Refusals about one member of the body.
_FIELD_OF_REASON: Final = {"reason_missing": "reason", "override_missing": "override"}


def answer_error(exception: Exception, context: dict[str, Any]) -> HttpResponse | None:
    """Answer an exception raised in a view of the API, or leave it to the middleware."""
    error = as_api_error(exception, context["view"].allowed_methods)
    return json_answer(context["request"]._request, error) if error else None  # noqa: SLF001 - DRF keeps Django's request there


def as_api_error(exception: Exception, allowed_methods: list[str]) -> ProtocolError | None:
    """Return the error to answer for an exception, or None when it is none that we know."""
    error: ProtocolError | None
    match exception:
        case TransitionRefused():
            error = _refusal(exception)
        case MetadataRefused():
            error = _bad_values(_as_item(finding) for finding in errors_among(exception.findings))
        case exceptions.ValidationError():
            error = _bad_values(_items(exception.get_full_details(), ""))
        case Http404():
            error = NotFound("There is nothing at this URL, or nothing that you may see.")
        case exceptions.MethodNotAllowed():
            error = MethodNotAllowed(tuple(allowed_methods))
        case exceptions.UnsupportedMediaType():
            error = UnsupportedMediaType("Send the body as application/json.")
        case _:
            error = as_protocol_error(exception)
    return error


def _refusal(refused: TransitionRefused) -> ProtocolError:
    """Return the error for what a service refuses; its `reason` is a stable word."""
    if field := _FIELD_OF_REASON.get(refused.reason):
        return _bad_values([_item(field, refused.reason, refused.description)])
    kind = AccessDenied if refused.reason in _ABOUT_THE_CALLER else Conflict
    error = kind(refused.description)
    error.extensions["reason"] = refused.reason
    return error


def _bad_values(items: Iterable[dict[str, str]]) -> InvalidRequest:
    errors = list(items)
    error = InvalidRequest(" ".join(f"{item['field']}: {item['sentence']}" for item in errors)[:2000])
    error.extensions["errors"] = errors
    return error


def _as_item(finding: Finding) -> dict[str, str]:
    return _item(finding.field, finding.code, finding.sentence, finding.hint)


def _item(field: str, code: str, sentence: str, hint: str = "") -> dict[str, str]:
    return {"field": field, "code": code, "sentence": sentence, "hint": hint}


def _items(details: Any, path: str) -> Iterator[dict[str, str]]:
    """Yield an item for every message in the details of a serializer's error, with the path of its field."""
    if isinstance(details, list):
        for entry in details:
            yield from _items(entry, path)
    elif "message" in details and isinstance(details["message"], str):
        yield _item(path, f"value.{details['code']}", str(details["message"]))
    else:
        for name, inner in details.items():
            yield from _items(inner, _inside(path, name))


def _inside(path: str, name: str | int) -> str:
    if isinstance(name, int):
        return f"{path}[{name}]"
    name = str(name)[:60]
    return f"{path}.{name}" if path else name
