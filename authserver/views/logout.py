"""Sign-out that an app starts (OpenID Connect RP-Initiated Logout 1.0)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.csrf import csrf_exempt, csrf_protect

from authserver.authorization.answers import without_form_action
from authserver.authorization.people import audience_of_hint, may_be_sent_to, subject_of_hint
from authserver.client_authentication import load_client
from authserver.views.authorize import person_of
from authserver.views.people import browser_parameters, error_page
from protocol.errors import InvalidRequest, OAuthError
from registry.gate import Action, client_may_act
from registry.models import Client, User


@dataclass(frozen=True, slots=True)
class LogoutRequest:
    """A checked request: where to go afterwards, if anywhere, and whose session the app means, if it proved that."""

    client: Client | None
    return_to: str
    subject: str | None


def read_logout_request(raw: Mapping[str, str], user: User | None, *, now: datetime) -> LogoutRequest:
    """Check the parameters. A redirect needs a known client that may act, and a registered URI. Raises InvalidRequest.

    A hint that cannot be verified, for example because its key is long gone, proves nothing; then the person is asked.
    """
    hint = raw.get("id_token_hint", "")
    client_id = raw.get("client_id", "") or (audience_of_hint(hint) if hint else "")
    client = load_client(client_id) if client_id else None
    if client is None and raw.get("client_id"):
        raise InvalidRequest("No app with this client_id is registered here.", members=("client_id",))
    wanted = raw.get("post_logout_redirect_uri", "")
    if wanted and (client is None or wanted not in client.metadata.get("post_logout_redirect_uris", [])):
        raise InvalidRequest("post_logout_redirect_uri is not registered for this app.", members=("post_logout_redirect_uri",))
    if client is None:
        return LogoutRequest(None, "", None)
    if not client_may_act(client, Action.AUTHORIZE, now).allowed or not may_be_sent_to(client, user):
        wanted = ""
    query = f"{'&' if '?' in wanted else '?'}{urlencode({'state': raw['state']})}" if wanted and "state" in raw else ""
    return LogoutRequest(client, wanted + query, _proven_subject(hint, client, now))


def _proven_subject(hint: str, client: Client, now: datetime) -> str | None:
    try:
        return subject_of_hint(hint, client, now=now) if hint else None
    except InvalidRequest:
        return None


@method_decorator(csrf_exempt, name="dispatch")
class LogoutView(View):
    """Asks the person, unless the app proves by an ID token that it means the session at hand; then signs out."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Answer GET and POST alike; the confirmation is a POST of our own page."""
        user = person_of(request)
        try:
            raw = browser_parameters(request)
            asked = read_logout_request(raw, user, now=timezone.now())
        except OAuthError as error:
            return error_page(request, error)
        if request.method == "POST" and raw.get("confirm") == "yes":
            return _confirmed(request, asked)
        if request.method == "POST" and user is None:
            # No browser sends our cookie with the POST of another site; with the GET that follows it does.
            return HttpResponse(status=303, headers={"Location": f"{reverse('logout')}?{urlencode(raw)}"})
        if user is None or asked.subject == str(user.sub):
            return _sign_out(request, asked)
        return without_form_action(render(request, "authorize/logout.html", {"asked": asked, "parameters": raw}))


@csrf_protect
def _confirmed(request: HttpRequest, asked: LogoutRequest) -> HttpResponse:
    """Sign out after the person confirmed it on our page."""
    return _sign_out(request, asked)


def _sign_out(request: HttpRequest, asked: LogoutRequest) -> HttpResponse:
    """End the session and go where the app wants, if it is registered."""
    logout(request)
    if not asked.return_to:
        return HttpResponseRedirect(reverse("home"))
    return HttpResponse(status=303, headers={"Location": asked.return_to})
