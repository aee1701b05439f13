"""How endpoints on Django REST framework speak JSON: strictly, and nothing else (threats.md J12, J13)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import IO, Any, Final

from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

from protocol.errors import InvalidJson, InvalidRequest, PayloadTooLarge, UnsupportedMediaType
from protocol.strict_json import parse_json_object

BODY_LIMIT: Final = 64 * 1024


class StrictJsonParser(BaseParser):
    """Reads a JSON object of at most BODY_LIMIT bytes, by the strict loader."""

    media_type = "application/json"

    def parse(self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None) -> dict[str, Any]:  # noqa: ARG002
        """Return the object in the body. Raises UnsupportedMediaType, PayloadTooLarge or InvalidRequest that says what is wrong."""
        request = (parser_context or {})["request"]
        check_charset(request.META.get("CREDENCE_CONTENT_TYPE", request.META.get("CONTENT_TYPE", "")))
        if int(request.META.get("CONTENT_LENGTH") or 0) > BODY_LIMIT:
            raise PayloadTooLarge(f"The body is larger than {BODY_LIMIT} bytes.")
        try:
            return parse_json_object(request.body, max_bytes=BODY_LIMIT)
        except InvalidJson as error:
            if error.reason == "too_large":
                raise PayloadTooLarge(f"The body is larger than {BODY_LIMIT} bytes.") from None
            raise InvalidRequest(error.description, detail=error.reason) from None


class AlwaysJson(DefaultContentNegotiation):
    """Answers JSON whatever the client would like."""

    def select_renderer(
        self,
        request: Request,  # noqa: ARG002
        renderers: Iterable[BaseRenderer],
        format_suffix: str | None = None,  # noqa: ARG002
    ) -> tuple[BaseRenderer, str]:
        """Return the one renderer."""
        return next(iter(renderers)), "application/json"


def check_charset(content_type: str) -> None:
    """Refuse a body in another encoding than UTF-8. Raises UnsupportedMediaType."""
    for parameter in content_type.split(";")[1:]:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset" and value.strip().strip('"').lower() not in ("utf-8", "utf8", "us-ascii"):
            raise UnsupportedMediaType("Send the body in UTF-8.")
