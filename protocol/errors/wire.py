"""The one place that turns an error into a body and headers."""

from __future__ import annotations

import re
from typing import Any

from protocol.errors.base import ProtocolError
from protocol.errors.internal import InternalError
from protocol.errors.oauth import InsufficientScope, InvalidClient, InvalidToken, MethodNotAllowed, TokenMissing

# RFC 6749, 5.2: error_description is limited to %x20-21 / %x23-5B / %x5D-7E.
_OUTSIDE_DESCRIPTION_CHARSET = re.compile(r"[^\x20-\x21\x23-\x5b\x5d-\x7e]")
_DESCRIPTION_LIMIT = 1000


def safe_description(text: str) -> str:
    """Return `text` within the characters and length that RFC 6749, 5.2 allows in error_description."""
    text = text.replace('"', "'").replace("\\", "/")
    return _OUTSIDE_DESCRIPTION_CHARSET.sub("?", text)[:_DESCRIPTION_LIMIT]


def wire_body(error: ProtocolError, *, request_id: str = "", documentation: str = "") -> dict[str, Any]:
    """Return the JSON members for `error`: OAuth members with the RFC 9457 members beside them.

    An `InternalError` that reached this point is a fault of ours and is answered as `server_error` with nothing of its text.
    """
    shown = ProtocolError() if isinstance(error, InternalError) else error
    description = safe_description(shown.description)
    body: dict[str, Any] = {
        **shown.extensions,
        "error": shown.code,
        "error_description": description,
        "type": f"{documentation}#{shown.code}" if documentation else "about:blank",
        "title": shown.code.replace("_", " ").capitalize(),
        "status": shown.status,
        "detail": description,
    }
    if documentation:
        body["error_uri"] = body["type"]
    if shown.members:
        body["invalid_members"] = list(shown.members)
    if request_id:
        body["instance"] = f"urn:request:{request_id}"
    return body


def problem_body(error: ProtocolError, *, request_id: str = "", documentation: str = "") -> dict[str, Any]:
    """Return `error` as problem details without OAuth members (RFC 9457, 3); `code` is what a program decides by."""
    shown = ProtocolError() if isinstance(error, InternalError) else error
    body: dict[str, Any] = {
        **shown.extensions,
        "type": f"{documentation}#{shown.code}" if documentation else "about:blank",
        "title": shown.code.replace("_", " ").capitalize(),
        "status": shown.status,
        "detail": shown.description,
        "code": shown.code,
    }
    return {**body, "instance": f"urn:request:{request_id}"} if request_id else body


def wire_headers(error: ProtocolError, *, realm: str) -> dict[str, str]:
    """Return the headers that go with `error`: challenge on 401 (RFC 6750, 3; RFC 6749, 5.2), Allow, Retry-After, no-store."""
    headers = {"Cache-Control": "no-store", "Pragma": "no-cache"}
    if isinstance(error, InvalidClient):
        headers["WWW-Authenticate"] = f'{error.scheme or "Basic"} realm="{realm}"'
    elif isinstance(error, TokenMissing):
        headers["WWW-Authenticate"] = f'Bearer realm="{realm}"'
    elif isinstance(error, InvalidToken | InsufficientScope):
        description = safe_description(error.description)
        headers["WWW-Authenticate"] = f'Bearer realm="{realm}", error="{error.code}", error_description="{description}"'
        if isinstance(error, InsufficientScope) and error.scope:
            headers["WWW-Authenticate"] += f', scope="{error.scope}"'
    if isinstance(error, MethodNotAllowed):
        headers["Allow"] = ", ".join(error.allow)
    if error.retry_after is not None:
        headers["Retry-After"] = str(error.retry_after)
    return headers
