"""Sending a form to one of our own endpoints without leaving the process: through every middleware, to the real view.

The request is made from nothing but what is given here, so neither the session, the cookies nor the CSRF state of the person who tries
goes along; only the address they come from does, since failures are counted for it (threats.md R15).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from django.conf import settings
from django.core.handlers.base import BaseHandler
from django.core.handlers.wsgi import WSGIRequest
from django.urls import reverse
from django.utils import translation

from protocol.errors import InvalidJson
from protocol.strict_json import parse_json_object

FORM: Final = "application/x-www-form-urlencoded"
ANSWER_LIMIT: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Answer:
    """What an endpoint answered. `members` are those of its JSON body, with the credentials that `portal.trying.answers` shortens."""

    status: int
    headers: dict[str, str]
    members: dict[str, Any]

    def __repr__(self) -> str:
        return f"Answer({self.status})"


@cache
def _handler() -> BaseHandler:
    handler = BaseHandler()
    handler.load_middleware()
    return handler


def send_form(url_name: str, parameters: Mapping[str, str], *, authorization: str = "", source: str = "") -> Answer:
    """Post `parameters` to the endpoint `url_name` of this server as if they came from the address `source`, and return the answer."""
    body, issuer = urlencode(parameters).encode("ascii"), urlsplit(settings.ISSUER)
    environ: dict[str, Any] = {
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "",
        "PATH_INFO": reverse(url_name),
        "QUERY_STRING": "",
        "CONTENT_TYPE": FORM,
        "CONTENT_LENGTH": str(len(body)),
        "SERVER_NAME": issuer.hostname or "",
        "SERVER_PORT": str(issuer.port or (443 if issuer.scheme == "https" else 80)),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": issuer.netloc,
        "REMOTE_ADDR": source,
        "wsgi.input": BytesIO(body),
        "wsgi.url_scheme": issuer.scheme,
    }
    if authorization:
        environ["HTTP_AUTHORIZATION"] = authorization
    # A middleware that chooses a language chooses it for the thread, which goes on with the page afterwards.
    with translation.override(translation.get_language()):
        response = _handler().get_response(WSGIRequest(environ))
    return Answer(response.status_code, dict(response.headers), _members(getattr(response, "content", b"")))


def _members(body: bytes) -> dict[str, Any]:
    try:
        return parse_json_object(body, max_bytes=ANSWER_LIMIT)
    except InvalidJson:
        return {}
