"""Documentation inside the product."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from protocol.errors import FederationError, OAuthError, ProtocolError


def error_catalogue(request: HttpRequest) -> HttpResponse:
    """List every error code that machines meet here, with an anchor for each."""
    return render(request, "docs/errors.html", {"entries": catalogue_entries()})


def catalogue_entries() -> list[tuple[str, list[type[ProtocolError]]]]:
    """Return the wire codes in order, each with the error classes that answer it."""
    found: dict[str, list[type[ProtocolError]]] = {}
    waiting: list[type[ProtocolError]] = [OAuthError, FederationError]
    while waiting:
        kind = waiting.pop(0)
        waiting.extend(kind.__subclasses__())
        if "code" in vars(kind) or "status" in vars(kind):
            found.setdefault(kind.code, []).append(kind)
    return sorted(found.items())
