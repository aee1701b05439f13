"""Going on with a form that was interrupted by the question for the password, at the form's own address.

allauth would run the form's view under the address of the question. There a form that is shown again is sent to the question, a reload
asks again, and the view learns a wrong address from the resolver.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from typing import Any, Final

from allauth.account.internal.flows.reauthentication import STATE_SESSION_KEY, did_recently_reauthenticate
from allauth.core.internal.httpkit import deserialize_request
from django.conf import settings
from django.db import Error
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect

View = Callable[..., HttpResponseBase]

# The redirect that goes on with the form comes at once; a visit of the same page later is another matter.
KEPT_SECONDS: Final = 60
_KEY: Final = "interrupted_form"


def leads_back(ask: View) -> View:
    """Return the view `ask`, which asks for the password; when content, it leads to the page whose form it interrupted."""

    @wraps(ask)
    def asked(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        waiting = request.session.get(STATE_SESSION_KEY, {})
        if request.method != "POST" or "request" not in waiting:
            return ask(request, *args, **kwargs)
        # Where nothing waits, allauth redirects to the page that the person came from.
        del request.session[STATE_SESSION_KEY]
        response = ask(request, *args, **kwargs)
        if isinstance(response, HttpResponseRedirect) and did_recently_reauthenticate(request):
            request.session[_KEY] = {"request": waiting["request"], "until": time.time() + KEPT_SECONDS}
        else:
            request.session[STATE_SESSION_KEY] = waiting
        return response

    return asked


class InterruptedFormMiddleware:
    """Turns the visit that follows the question for the password into the form that it interrupted, once.

    It stands behind the session and before everything that looks at the request, so that the form passes every check a second time.
    """

    def __init__(self, get_response: View) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Go on with the form if one waits for this address."""
        # Machines have no session here, and most visitors no cookie.
        if request.method == "GET" and settings.SESSION_COOKIE_NAME in request.COOKIES and hasattr(request, "session"):
            with suppress(Error):  # whatever asks for the session next says that the database is away
                _go_on(request)
        return self.get_response(request)


def _go_on(request: HttpRequest) -> None:
    waiting = request.session.get(_KEY)
    if waiting is None or deserialize_request(waiting["request"], HttpRequest()).get_full_path() != request.get_full_path():
        return
    del request.session[_KEY]
    if time.time() <= waiting["until"]:
        deserialize_request(waiting["request"], request)
