"""The userinfo endpoint (OpenID Connect Core, 5.3)."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.csrf import csrf_exempt

from authserver.id_tokens import allowed_claims, claims_about, claims_of_scopes
from authserver.introspection import live_access_token
from authserver.models import Grant
from protocol.errors import InsufficientScope, InvalidToken, MethodNotAllowed
from registry.entitlements import entitled_scopes
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
        entitled = entitled_scopes(row.application, now)
        scopes = entitled.intersection(row.scope.split())
        if "openid" not in scopes:
            raise InsufficientScope("This token does not carry the scope openid.")
        head = Grant.objects.filter(family=row.family).first() if row.family else None
        names = claims_of_scopes(scopes) | (allowed_claims(head, "userinfo", entitled) if head is not None else set())
        response = JsonResponse({"sub": str(row.user.sub), **claims_about(row.user, names)})
        response["Cache-Control"] = "no-store"
        return response
