"""Answers to the app: to its redirect URI, with the issuer in every one (RFC 9207; BCP-01)."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlencode

import structlog
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from protocol.errors import OAuthError, ProtocolError, safe_description
from protocol.urls import split_uri

log = structlog.get_logger(__name__)


def answer(request: HttpRequest, redirect_uri: str, response_mode: str, state: str | None, members: Mapping[str, str]) -> HttpResponse:
    """Send `members` to a proven redirect URI, with state and iss (ISSP-01), by redirect or by a form that posts itself."""
    content = {**members, **({"state": state} if state is not None else {}), "iss": settings.ISSUER}
    if response_mode == "form_post":
        response = render(request, "authorize/form_post.html", {"redirect_uri": redirect_uri, "members": content})
        without_form_action(response)
    else:
        separator = "&" if "?" in redirect_uri else "?"
        # 303, so that no browser repeats a POST there (BCP-01). Django's own redirect would refuse private-use schemes.
        response = HttpResponse(status=303, headers={"Location": f"{redirect_uri}{separator}{urlencode(content)}"})
    response["Cache-Control"] = "no-store"
    response["Referrer-Policy"] = "no-referrer"
    return response


def answer_error(request: HttpRequest, redirect_uri: str, response_mode: str, state: str | None, error: OAuthError) -> HttpResponse:
    """Send an error to a proven redirect URI (RFC 6749, 4.1.2.1)."""
    log_refusal(request, error)
    return answer(
        request, redirect_uri, response_mode, state, {"error": error.code, "error_description": safe_description(error.description)}
    )


def log_refusal(request: HttpRequest, error: ProtocolError) -> None:
    """Log what was refused, with the detail that no answer shows; the request id is in both."""
    log.warning("request_refused", path=request.path, error=error.code, description=error.description, detail=error.detail)


def destination(redirect_uri: str) -> str:
    """Return where a redirect URI leads, as people are shown it: its origin, or its private-use scheme."""
    parts = split_uri(redirect_uri)
    return f"{parts.scheme}://{parts.authority}" if parts.scheme in ("https", "http") else f"{parts.scheme}:"


def without_form_action(response: HttpResponse) -> HttpResponse:
    """Return a page whose form may lead anywhere by redirects (docs/decisions/0014-no-form-action-on-the-way-back.md)."""
    response._csp_replace = {"form-action": None}  # type: ignore[attr-defined]
    return response
