"""Answers to the app: to its redirect URI, with the issuer in every one (RFC 9207; BCP-01)."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlencode

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from protocol.errors import InvalidUrl, OAuthError, safe_description
from protocol.urls import split_uri


def answer(request: HttpRequest, redirect_uri: str, response_mode: str, state: str | None, members: Mapping[str, str]) -> HttpResponse:
    """Send `members` to a proven redirect URI, with state and iss (ISSP-01), by redirect or by a form that posts itself."""
    content = {**members, **({"state": state} if state is not None else {}), "iss": settings.ISSUER}
    if response_mode == "form_post":
        response = render(request, "authorize/form_post.html", {"redirect_uri": redirect_uri, "members": content})
        response._csp_update = {"form-action": [form_target(redirect_uri)]}  # type: ignore[attr-defined]
    else:
        separator = "&" if "?" in redirect_uri else "?"
        # 303, so that no browser repeats a POST there (BCP-01). Django's own redirect would refuse private-use schemes.
        response = HttpResponse(status=303, headers={"Location": f"{redirect_uri}{separator}{urlencode(content)}"})
    response["Cache-Control"] = "no-store"
    response["Referrer-Policy"] = "no-referrer"
    return response


def answer_error(request: HttpRequest, redirect_uri: str, response_mode: str, state: str | None, error: OAuthError) -> HttpResponse:
    """Send an error to a proven redirect URI (RFC 6749, 4.1.2.1)."""
    return answer(
        request, redirect_uri, response_mode, state, {"error": error.code, "error_description": safe_description(error.description)}
    )


def form_target(redirect_uri: str) -> str:
    """Return what form-action must allow so that a form may lead to `redirect_uri`: its origin, or its private-use scheme."""
    try:
        parts = split_uri(redirect_uri)
    except InvalidUrl:
        return "'self'"
    return f"{parts.scheme}://{parts.authority}" if parts.scheme in ("https", "http") else f"{parts.scheme}:"
