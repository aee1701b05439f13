"""The introspection endpoint (RFC 7662)."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone

from authserver.client_authentication import authenticate_client
from authserver.endpoints import endpoint_url
from authserver.introspection import introspect
from authserver.views.base import FormEndpoint
from protocol.errors import InvalidRequest, UnauthorizedClient
from registry.gate import Action


class IntrospectionView(FormEndpoint):
    """Tells a resource server about a token. Only clients with the resource-server right get an answer."""

    def handle(self, request: HttpRequest) -> HttpResponse:
        """Authenticate the resource server and describe the token."""
        now = timezone.now()
        caller = authenticate_client(
            request.headers.get("Authorization", ""),
            request.POST.dict(),
            action=Action.INTROSPECT,
            now=now,
            token_endpoint=endpoint_url("token_endpoint"),
            source=request.META.get("REMOTE_ADDR", ""),
        )
        if not caller.is_resource_server:
            raise UnauthorizedClient("This client is not a resource server; ask the operator for the introspection right.")
        token = request.POST.get("token")
        if not token:
            raise InvalidRequest("The parameter token is missing.", members=("token",))
        return JsonResponse(introspect(token, now=now))
