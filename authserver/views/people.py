"""What the endpoints that browsers visit have in common: reading their parameters, and the page that says what is wrong."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from authserver.authorization.answers import log_refusal
from authserver.authorization.differences import nearest, show_difference
from authserver.authorization.parameters import RedirectUriUnproven, check_text
from authserver.views.base import FORM
from protocol.constants import TRUST_CHAIN_HEADER_LIMIT
from protocol.errors import InvalidRequest, MethodNotAllowed, PayloadTooLarge, ProtocolError, UnsupportedMediaType

# Parameters that RFC 8707 lets a request repeat; their values cannot hold a space.
REPEATABLE = frozenset(("resource",))


def browser_parameters(request: HttpRequest) -> dict[str, str]:
    """Return the parameters of a GET or POST; each may come once (RFC 6749, 3.1). Raises OAuthError."""
    if request.method not in ("GET", "POST"):
        raise MethodNotAllowed(("GET", "POST"))
    if request.method == "POST" and request.content_type != FORM:
        raise UnsupportedMediaType(f"Send the parameters as {FORM}.")
    if request.method == "POST" and len(request.body) > TRUST_CHAIN_HEADER_LIMIT - 8192:
        raise PayloadTooLarge
    source = request.GET if request.method == "GET" else request.POST
    repeated = [name[:60] for name, values in source.lists() if len(values) > 1 and name not in REPEATABLE]
    if repeated:
        raise InvalidRequest("A parameter comes more than once.", members=tuple(repeated[:5]))
    parameters = {name: " ".join(map(str, values)) for name, values in source.lists() if any(values)}
    check_text(parameters)
    return parameters


def error_page(request: HttpRequest, error: ProtocolError) -> HttpResponse:
    """Show a person, and a developer, what is wrong; nothing is sent anywhere (BCP-01; threats.md O05)."""
    log_refusal(request, error)
    context: dict[str, Any] = {"error": error}
    if isinstance(error, RedirectUriUnproven):
        context |= {"received": error.received, "registered": error.registered}
        if closest := nearest(error.received, error.registered):
            context |= {"closest": closest, "difference": show_difference(error.received, closest)}
    response = render(request, "authorize/error.html", context, status=error.status)
    response["Cache-Control"] = "no-store"
    if error.retry_after is not None:
        response["Retry-After"] = str(error.retry_after)
    if isinstance(error, MethodNotAllowed):
        response["Allow"] = ", ".join(error.allow)
    return response
