"""Error pages for people: what happened, what to do next, and the request id to quote."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.db import InterfaceError, OperationalError
from django.http import HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string

from portal.context import Portal
from protocol.errors import ServiceUnavailable

if TYPE_CHECKING:
    from django.http import HttpRequest

    from protocol.errors import ProtocolError

# When whoever meets a database that is away may try again, in seconds.
RETRY_AFTER: Final = 5


def _page(request: HttpRequest, template: str, status: int, **context: str) -> HttpResponse:
    """Return an error page; without the database nobody knows whose page it is, and Django takes no error from here."""
    try:
        return render(request, template, context, status=status)
    except (OperationalError, InterfaceError):
        return protocol_error(request, ServiceUnavailable(retry_after=RETRY_AFTER))


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:  # noqa: ARG001
    """Answer 400. What was wrong with the request stays in the log."""
    return _page(request, "errors/400.html", 400)


def permission_denied(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Answer 403 with the sentence the view gave, which names the role that would be needed."""
    return _page(request, "errors/403.html", 403, sentence=str(exception or ""))


def page_not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:  # noqa: ARG001
    """Answer 404, the same for what does not exist and what belongs to another organization."""
    return _page(request, "errors/404.html", 404)


def too_many_requests(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:  # noqa: ARG001
    """Answer 429; allauth calls this as `handler429`."""
    return _page(request, "errors/429.html", 429)


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer 500 without database, session or context processors, any of which may be what failed."""
    return HttpResponse(render_to_string("errors/500.html", {"portal": Portal(request)}), status=500)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:  # noqa: ARG001
    """Answer a form whose anti-forgery token is missing or old."""
    return _page(request, "errors/csrf_failure.html", 403)


def protocol_error(request: HttpRequest, error: ProtocolError) -> HttpResponse:
    """Answer an error raised on a page with its public sentence."""
    context = {"error": error, "portal": Portal(request)}
    # When something of ours is away, it may be what would tell whose page this is.
    known = None if isinstance(error, ServiceUnavailable) else request
    response = HttpResponse(render_to_string("errors/protocol_error.html", context, known), status=error.status)
    if error.retry_after is not None:
        response["Retry-After"] = str(error.retry_after)
    return response
