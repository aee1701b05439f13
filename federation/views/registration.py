"""POST /federation/register: explicit registration (OpenID Federation 1.0, 12.2)."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.csrf import csrf_exempt

from federation.explicit import MEDIA_TYPES, issue_registration_response, read_registration, register_explicitly
from protocol.constants import EXPLICIT_REGISTRATION_RESPONSE_TYPE, TRUST_CHAIN_HEADER_LIMIT
from protocol.errors import InvalidRequest, MethodNotAllowed, PayloadTooLarge, UnsupportedMediaType


@method_decorator(csrf_exempt, name="dispatch")
class ExplicitRegistrationView(View):
    """Registers the entity whose configuration is posted. What is refused is raised as ProtocolError and answered in one place."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Check method, media type and size, then register."""
        if request.method != "POST":
            raise MethodNotAllowed(("POST",))
        if request.content_type not in MEDIA_TYPES:
            raise UnsupportedMediaType(f"Send {' or '.join(MEDIA_TYPES)}.")
        if request.GET:
            raise InvalidRequest("Send nothing in the URL.", members=tuple(sorted(request.GET))[:5])
        if len(request.body) > TRUST_CHAIN_HEADER_LIMIT:
            raise PayloadTooLarge(f"The body is larger than {TRUST_CHAIN_HEADER_LIMIT} bytes.")
        source, now = request.META.get("REMOTE_ADDR", ""), timezone.now()
        posted = read_registration(request.body, request.content_type, source=source, now=now)
        registered = register_explicitly(posted, source=source, now=now)
        response = HttpResponse(
            issue_registration_response(registered, now=now), content_type=f"application/{EXPLICIT_REGISTRATION_RESPONSE_TYPE}"
        )
        response["Cache-Control"] = "no-store"
        return response
