"""POST /register (RFC 7591) and /register/<client_id> (RFC 7592). What is refused is raised as ProtocolError and answered in one place."""

from __future__ import annotations

import ipaddress
from typing import Any, NoReturn

from django.http import HttpRequest
from django.utils import timezone
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from dcr.answers import build_client_information
from dcr.client_configuration import delete_registration, read_registration, replace_registration, version_of
from dcr.documents import read_document
from dcr.models import RegistrationAccessToken
from dcr.registration import Registration, Submission, refusals_kept, register
from dcr.registration_access_tokens import authenticate
from dcr.throttling import note_request, note_token
from protocol.errors import InvalidToken, MethodNotAllowed, TokenMissing
from registry.json_endpoints import AlwaysJson


class Endpoint(APIView):
    """What both endpoints have in common: JSON in and out, a bearer token in the header, limits before anything is read."""

    content_negotiation_class = AlwaysJson
    renderer_classes = [JSONRenderer]
    metadata_class = None

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Count the request first."""
        note_request(_source_address(request))
        super().initial(request, *args, **kwargs)

    @property
    def allowed_methods(self) -> list[str]:
        """Return the methods there are; the framework writes them into Allow."""
        return [name for name in ("GET", "POST", "PUT", "DELETE") if hasattr(self, name.lower())]

    def http_method_not_allowed(self, request: HttpRequest, *args: Any, **kwargs: Any) -> NoReturn:  # noqa: ARG002
        """Say which methods there are."""
        raise MethodNotAllowed(tuple(self.allowed_methods))

    head = http_method_not_allowed
    options = http_method_not_allowed

    def answer(self, registration: Registration, *, status: int) -> Response:
        """Return the client information response."""
        headers = {"Cache-Control": "no-store", "Pragma": "no-cache", "ETag": version_of(registration.client)}
        return Response(build_client_information(registration), status=status, headers=headers)


class RegistrationView(Endpoint):
    """Registers a client."""

    def post(self, request: Request) -> Response:
        """Register what the body describes."""
        bearer, source_address, request_id, now = _bearer(request), _source_address(request), _request_id(request), timezone.now()
        with refusals_kept(bearer, source_address, request_id, now=now):
            submission = Submission(read_document(request._request), bearer, source_address, request_id)  # noqa: SLF001
            return self.answer(register(submission, now=now), status=201)


class ClientConfigurationView(Endpoint):
    """Lets a client manage its registration."""

    def get(self, request: Request, client_id: str) -> Response:
        """Return the registration."""
        token, presented = self._authenticate(request, client_id)
        return self.answer(read_registration(token, presented), status=200)

    def put(self, request: Request, client_id: str) -> Response:
        """Replace the registration."""
        token, presented = self._authenticate(request, client_id)
        submission = Submission(read_document(request._request), presented, _source_address(request), _request_id(request))  # noqa: SLF001
        replaced = replace_registration(token, submission, now=timezone.now(), if_match=request.headers.get("If-Match"))
        return self.answer(replaced, status=200)

    def delete(self, request: Request, client_id: str) -> Response:
        """Close the client."""
        token, _ = self._authenticate(request, client_id)
        delete_registration(token, now=timezone.now(), request_id=_request_id(request), source_address=_source_address(request))
        return Response(status=204, headers={"Cache-Control": "no-store", "Pragma": "no-cache"})

    def _authenticate(self, request: Request, client_id: str) -> tuple[RegistrationAccessToken, str]:
        presented = _bearer(request)
        if presented is None:
            raise TokenMissing
        token = authenticate(presented, client_id, now=timezone.now())
        note_token(str(token.pk))
        return token, presented


def _bearer(request: Request) -> str | None:
    """Return the bearer token of the header; None without any header. Raises InvalidToken for a header of another kind."""
    header = request.headers.get("Authorization")
    if header is None:
        return None
    scheme, _, value = header.partition(" ")
    if scheme.lower() != "bearer" or not value.strip():
        raise InvalidToken("Send the token as Bearer in the Authorization header.")
    return value.strip()


def _source_address(request: Request | HttpRequest) -> str:
    """Return the address the request came from, the empty string when the server knows none; zones mean something to one host only."""
    try:
        return str(ipaddress.ip_address(str(request.META.get("REMOTE_ADDR", "")).partition("%")[0]))
    except ValueError:
        return ""


def _request_id(request: Request) -> str:
    return str(getattr(request._request, "request_id", ""))  # noqa: SLF001 - DRF keeps Django's request there
