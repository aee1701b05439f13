"""Sign-out that an app starts (OpenID Connect RP-Initiated Logout 1.0)."""

from __future__ import annotations

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
from authserver.authorization.people import proven_name
from authserver.authorization.sign_out import LogoutRequest, read_logout_request
from authserver.views.authorize import person_of
from authserver.views.people import browser_parameters, error_page
from protocol.errors import OAuthError


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
        context = {"asker": proven_name(asked.client) if asked.client else "", "parameters": raw}
        return without_form_action(render(request, "authorize/logout.html", context))


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
