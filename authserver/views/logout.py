"""Sign-out that an app starts (OpenID Connect RP-Initiated Logout 1.0)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.csrf import csrf_exempt, csrf_protect

from authserver.authorization.answers import form_target
from authserver.authorization.people import subject_of_hint
from authserver.authorization.requests import find_client
from authserver.views.authorize import error_page
from protocol.errors import InvalidRequest, MethodNotAllowed, OAuthError
from registry.models import Client


@dataclass(frozen=True, slots=True)
class LogoutRequest:
    """A checked request: where to go afterwards, if anywhere, and whose session the app means."""

    client: Client | None
    return_to: str
    subject: str | None


def read_logout_request(raw: dict[str, str]) -> LogoutRequest:
    """Check the parameters. A redirect needs a known client and a registered URI. Raises InvalidRequest."""
    client_id = raw.get("client_id", "")
    client = find_client(client_id) if client_id else None
    if client_id and client is None:
        raise InvalidRequest("No app with this client_id is registered here.", members=("client_id",))
    hint = raw.get("id_token_hint")
    if hint and client is None:
        raise InvalidRequest("Send client_id beside id_token_hint.", members=("client_id",))
    subject = subject_of_hint(hint, client, now=timezone.now()) if hint and client else None
    wanted = raw.get("post_logout_redirect_uri", "")
    if wanted and (client is None or wanted not in client.metadata.get("post_logout_redirect_uris", [])):
        raise InvalidRequest("post_logout_redirect_uri is not registered for this app.", members=("post_logout_redirect_uri",))
    query = f"{'&' if '?' in wanted else '?'}{urlencode({'state': raw['state']})}" if wanted and "state" in raw else ""
    return LogoutRequest(client, wanted + query, subject)


@method_decorator(csrf_exempt, name="dispatch")
class LogoutView(View):
    """Asks the person, unless the app proves by an ID token that it means the session at hand; then signs out."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Answer GET and POST alike; the confirmation is a POST of our own page."""
        if request.method not in ("GET", "POST"):
            raise MethodNotAllowed(("GET", "POST"))
        source = request.POST if request.method == "POST" else request.GET
        raw = {name: value for name, value in source.items() if isinstance(value, str) and value}
        try:
            asked = read_logout_request(raw)
        except OAuthError as error:
            return error_page(request, error)
        if request.method == "POST" and raw.get("confirm") == "yes":
            return confirmed(request)
        subject = str(getattr(request.user, "sub", "")) if request.user.is_authenticated else None
        if subject is None or asked.subject == subject:
            return signed_out(request, asked)
        response = render(request, "authorize/logout.html", {"asked": asked, "parameters": raw})
        if asked.return_to:
            response._csp_update = {"form-action": [form_target(asked.return_to)]}  # type: ignore[attr-defined]
        return response


@csrf_protect
def confirmed(request: HttpRequest) -> HttpResponse:
    """Sign out after the person confirmed it on our page."""
    raw = {name: value for name, value in request.POST.items() if isinstance(value, str) and value}
    return signed_out(request, read_logout_request(raw))


def signed_out(request: HttpRequest, asked: LogoutRequest) -> HttpResponse:
    """End the session and go where the app wants, if it is registered."""
    logout(request)
    if not asked.return_to:
        return HttpResponseRedirect("/")
    return HttpResponse(status=303, headers={"Location": asked.return_to})
