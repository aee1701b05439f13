"""What every form-encoded protocol endpoint has in common."""

from __future__ import annotations

import json
from typing import Any, ClassVar

from django.http import HttpRequest, HttpResponse
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.debug import sensitive_post_parameters
from oauth2_provider.oauth2_backends import OAuthLibCore
from oauthlib.oauth2 import OAuth2Error

from authserver.errors import our_error
from authserver.refusals import named_client, note_refusal, read_refused_form
from protocol.errors import InvalidRequest, MethodNotAllowed, PayloadTooLarge, ProtocolError, UnsupportedMediaType

BODY_LIMIT = 64 * 1024
FORM = "application/x-www-form-urlencoded"


@method_decorator(csrf_exempt, name="dispatch")
@method_decorator(sensitive_post_parameters(), name="dispatch")
class FormEndpoint(View):
    """A POST endpoint that reads one form and answers JSON. What is refused is raised as ProtocolError and answered in one place."""

    # What a failed request is noted under, for the developers of the client.
    endpoint: ClassVar[str]
    # Parameters that RFC 8707 lets a request repeat; any other may come once (RFC 6749, 3.1).
    repeatable: ClassVar[frozenset[str]] = frozenset()

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Answer a request; one that is refused to a client is noted for its developers."""
        try:
            return self.answer(request)
        except ProtocolError as error:
            named = named_client(request.headers.get("Authorization", ""), read_refused_form(request))
            note_refusal(request, self.endpoint, error, named)
            raise

    def answer(self, request: HttpRequest) -> HttpResponse:
        """Check method, media type, size and repeated parameters, then handle the form."""
        if request.method != "POST":
            raise MethodNotAllowed(("POST",))
        if request.content_type != FORM:
            raise UnsupportedMediaType(f"Send the parameters as {FORM}.")
        self.check_body(request)
        response = self.handle(request)
        response["Cache-Control"] = "no-store"
        response["Pragma"] = "no-cache"
        return response

    def check_body(self, request: HttpRequest) -> None:
        """Refuse a body that is too large or not UTF-8, credentials in the query, and parameters that come twice."""
        body = request.body
        if len(body) > BODY_LIMIT:
            raise PayloadTooLarge(f"The body is larger than {BODY_LIMIT} bytes.")
        if request.GET:
            raise InvalidRequest("Send parameters in the body, not in the URL.", members=tuple(sorted(request.GET))[:5])
        try:
            body.decode("ascii")
        except UnicodeDecodeError:
            raise InvalidRequest("The body is not form-encoded: it holds bytes outside ASCII.") from None
        repeated = [name for name, values in request.POST.lists() if len(values) > 1 and name not in self.repeatable]
        if repeated:
            raise InvalidRequest("A parameter comes more than once.", members=tuple(name[:60] for name in repeated[:5]))

    def handle(self, request: HttpRequest) -> HttpResponse:
        """Answer the form."""
        raise NotImplementedError


def form_parameters(request: HttpRequest) -> list[tuple[str, str]]:
    """Return the parameters of a form; one without a value counts as left out (RFC 6749, 3.2)."""
    return [(name, value) for name, values in request.POST.lists() for value in values if isinstance(value, str) and value]


class Core(OAuthLibCore):
    """Hands a request to oauthlib: the parameters that have a value, and the headers that something reads."""

    def extract_body(self, request: HttpRequest) -> list[tuple[str, str]]:
        """Return the parameters; only what may be repeated can come twice."""
        return form_parameters(request)

    def extract_headers(self, request: HttpRequest) -> dict[str, str]:
        """Return few headers, since oauthlib copies and re-encodes every one of them for each request."""
        read: dict[str, str] = {name: request.META[name] for name in ("HTTP_AUTHORIZATION", "REMOTE_ADDR") if name in request.META}
        return {"Authorization": read["HTTP_AUTHORIZATION"], **read} if "HTTP_AUTHORIZATION" in read else read


class OAuthLibEndpoint(FormEndpoint):
    """A form endpoint that oauthlib answers."""

    operation: ClassVar[str]

    def handle(self, request: HttpRequest) -> HttpResponse:
        """Let oauthlib answer; its errors become ours."""
        try:
            _, headers, body, status = getattr(Core(), self.operation)(request)
        except OAuth2Error as error:
            raise our_error(error) from error
        if status >= 400:
            raise our_error(_parse_error(body))
        return HttpResponse(body or "", status=status, headers=headers)


def _parse_error(body: str) -> OAuth2Error:
    """Return the error that oauthlib has written into a body already."""
    written = json.loads(body)  # our own process wrote it
    error = OAuth2Error(description=written.get("error_description", ""))
    error.error = written.get("error")
    return error
