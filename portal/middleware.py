"""Request id, headers, and the one place where an error becomes an answer (house decision 18)."""

from __future__ import annotations

import ipaddress
import re
import uuid
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import structlog
from django.conf import settings
from django.core.exceptions import BadRequest, RequestDataTooBig, SuspiciousOperation, TooManyFieldsSent
from django.db import Error, InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse, UnreadablePostError
from django.urls import reverse
from django.utils import translation
from django.utils.cache import patch_vary_headers
from django.utils.module_loading import import_string

from portal.views import errors as error_pages
from protocol.errors import (
    InvalidRequest,
    NotFound,
    PayloadTooLarge,
    ProtocolError,
    ServiceUnavailable,
    problem_body,
    wire_body,
    wire_headers,
)

log = structlog.get_logger(__name__)
Handler = Callable[[HttpRequest], HttpResponseBase]

API_PATH: Final = "/api/"
PROTOCOL_PATHS: Final = ("/oauth/", "/register", "/federation/", "/.well-known/", API_PATH)
PEOPLE_PATHS: Final = ("/oauth/authorize", "/oauth/interaction/", "/oauth/logout")
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")


def is_protocol_path(path: str) -> bool:
    """Say whether machines are answered under `path`, in JSON, rather than people."""
    return path.startswith(PROTOCOL_PATHS) and not path.startswith(PEOPLE_PATHS)


def for_people(path: str) -> type[Any]:
    """Return the middleware class at `path`, passed by for machines: sessions, forms and pages are nothing to a protocol endpoint.

    So no cookie can ever authorize one, and a token request does not pay for them.
    """
    original = import_string(path)

    def call(self: Any, request: HttpRequest) -> HttpResponseBase:
        response: HttpResponseBase = self.get_response(request) if is_protocol_path(request.path) else original.__call__(self, request)
        return response

    def process_view(self: Any, request: HttpRequest, *args: Any) -> HttpResponseBase | None:
        response: HttpResponseBase | None = None if is_protocol_path(request.path) else original.process_view(self, request, *args)
        return response

    hooks = {"process_view": process_view} if hasattr(original, "process_view") else {}
    return type(original.__name__, (original,), {"__call__": call, **hooks})


SessionMiddleware = for_people("django.contrib.sessions.middleware.SessionMiddleware")
CsrfViewMiddleware = for_people("django.middleware.csrf.CsrfViewMiddleware")
AuthenticationMiddleware = for_people("django.contrib.auth.middleware.AuthenticationMiddleware")
MessageMiddleware = for_people("django.contrib.messages.middleware.MessageMiddleware")
CSPMiddleware = for_people("csp.middleware.CSPMiddleware")
HtmxMiddleware = for_people("django_htmx.middleware.HtmxMiddleware")
WhiteNoiseMiddleware = for_people("whitenoise.middleware.WhiteNoiseMiddleware")


class RequestIdMiddleware:
    """Gives every request an id, which is in the log, the audit trail, the answer's header and every error."""

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Bind the id, keeping one that a trusted proxy made."""
        offered = request.headers.get("X-Request-ID", "") if settings.TRUSTED_PROXY else ""
        request.request_id = offered if _REQUEST_ID.fullmatch(offered) else uuid.uuid4().hex  # type: ignore[attr-defined]
        with structlog.contextvars.bound_contextvars(request_id=request.request_id):  # type: ignore[attr-defined]
            response = self.get_response(request)
        response["X-Request-ID"] = request.request_id  # type: ignore[attr-defined]
        return response


class SourceAddressMiddleware:
    """Puts the visitor's address where everybody looks for it: behind a trusted proxy, REMOTE_ADDR is the proxy's (threats.md R15)."""

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Take the address that the nearest proxy saw, if it is one."""
        seen = request.headers.get("X-Forwarded-For", "").rpartition(",")[2].strip() if settings.TRUSTED_PROXY else ""
        with suppress(ValueError):
            request.META["REMOTE_ADDR"] = str(ipaddress.ip_address(seen))
        return self.get_response(request)


class SecurityHeadersMiddleware:
    """Headers on every answer (portal.md 5.13): signed-in pages are never kept, only passkeys and the clipboard are allowed."""

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Add what the answer does not say itself."""
        response = self.get_response(request)
        response.setdefault(
            "Permissions-Policy", "publickey-credentials-get=(self), publickey-credentials-create=(self), clipboard-write=(self)"
        )
        response.setdefault("X-Frame-Options", "DENY")
        if response.get("Content-Type", "").startswith("text/html") and _may_be_signed_in(request):
            response["Cache-Control"] = "no-store"
        return response


def _may_be_signed_in(request: HttpRequest) -> bool:
    """Say whether the request comes from somebody who is signed in, or from whom that cannot be told while the database is away."""
    try:
        return hasattr(request, "user") and request.user.is_authenticated
    except Error:
        return True


class LanguageMiddleware:
    """Answers people in the language that they chose, or else in the one that their browser asks for."""

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Activate the language for this request. Machines are answered in English."""
        if is_protocol_path(request.path):
            return self.get_response(request)
        with translation.override(_chosen_language(request) or translation.get_language_from_request(request)):
            response = self.get_response(request)
            response.headers.setdefault("Content-Language", translation.get_language() or settings.LANGUAGE_CODE)
        patch_vary_headers(response, ("Accept-Language",))
        return response


def _chosen_language(request: HttpRequest) -> str:
    """Return the language of the person, who is loaded for every page anyway; nothing for those who bring no session."""
    if settings.SESSION_COOKIE_NAME not in request.COOKIES:
        return ""
    try:
        language = str(getattr(request.user, "language", ""))
    except Error:  # whatever asks for the person next says that the database is away
        return ""
    return language if language in dict(settings.LANGUAGES) else ""


class ErrorMiddleware:
    """Turns raised errors into answers: OAuth JSON for machines, an error page with a request id for people."""

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Handle the request; errors arrive in process_exception, but for an unknown URL, which Django answers before any view."""
        response = self.get_response(request)
        if response.status_code == 404 and is_protocol_path(request.path) and response.get("Content-Type", "").startswith("text/html"):
            return json_answer(request, NotFound("There is nothing at this URL."))
        return response

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """Answer an exception, or leave it to Django's own error pages."""
        error = as_protocol_error(exception)
        if error is None and is_protocol_path(request.path):
            log.exception("unexpected_error", path=request.path)
            error = ProtocolError()
        if error is None:
            return None
        if error.detail or error.status >= 500:
            log.warning("request_refused", path=request.path, error=error.code, detail=error.detail, exc_info=error.status >= 500)
        if is_protocol_path(request.path):
            return json_answer(request, error)
        return error_pages.protocol_error(request, error)


def as_protocol_error(exception: Exception) -> ProtocolError | None:
    """Return the error to answer for an exception, or None when it is none that we know."""
    if isinstance(exception, ProtocolError):
        return exception
    if isinstance(exception, RequestDataTooBig):
        return PayloadTooLarge()
    if isinstance(exception, SuspiciousOperation | BadRequest | TooManyFieldsSent | UnreadablePostError | UnicodeError):
        return InvalidRequest(detail=repr(exception))
    if isinstance(exception, OperationalError | InterfaceError):
        return ServiceUnavailable(retry_after=error_pages.RETRY_AFTER, detail=repr(exception))
    return None


def json_answer(request: HttpRequest, error: ProtocolError) -> JsonResponse:
    """Return the OAuth JSON answer for an error, as problem details when the client asks for those (RFC 9457); in our API always."""
    in_api = request.path.startswith(API_PATH)
    build = problem_body if in_api else wire_body
    body = build(error, request_id=getattr(request, "request_id", ""), documentation=settings.ISSUER + reverse("docs_errors"))
    wants_problem = in_api or "application/problem+json" in request.headers.get("Accept", "")
    content_type = "application/problem+json" if wants_problem else "application/json"
    return JsonResponse(body, status=body["status"], headers=wire_headers(error, realm=settings.ISSUER), content_type=content_type)


def drf_error(exception: Exception, context: dict[str, Any]) -> HttpResponse | None:
    """Answer an exception raised in a Django REST framework view, the same way."""
    error = as_protocol_error(exception)
    return json_answer(context["request"]._request, error) if error else None  # noqa: SLF001 - DRF keeps Django's request there
