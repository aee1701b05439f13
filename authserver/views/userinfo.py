"""The userinfo endpoint (OpenID Connect Core, 5.3)."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.csrf import csrf_exempt

from authserver.id_tokens import userinfo
from authserver.introspection import live_access_token
from protocol.errors import InvalidToken, MethodNotAllowed
from registry.gate import Action


@method_decorator(csrf_exempt, name="dispatch")
class UserinfoView(View):
    """Says about the person what the token's scopes allow now."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Answer GET and POST with a bearer token in the header."""
        if request.method not in ("GET", "POST"):
            raise MethodNotAllowed(("GET", "POST"))
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        now = timezone.now()
        row = live_access_token(token.strip(), Action.USERINFO, now=now) if scheme.lower() == "bearer" else None
        if row is None or row.user is None:
            raise InvalidToken
        response = JsonResponse(userinfo(row, row.user, now=now))
        response["Cache-Control"] = "no-store"
        return response
