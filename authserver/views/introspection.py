"""The introspection endpoint (RFC 7662)."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone

from authserver.client_authentication import authenticate_client
from authserver.endpoints import endpoint_url
from authserver.introspection import introspect
from authserver.views.base import FormEndpoint, form_parameters
from protocol.errors import InvalidRequest, UnauthorizedClient
from registry.gate import Action


class IntrospectionView(FormEndpoint):
    """Tells a resource server about a token. Only clients with the resource-server right get an answer."""

    endpoint = "introspection"

    def handle(self, request: HttpRequest) -> HttpResponse:
        """Authenticate the resource server and describe the token."""
        now = timezone.now()
        parameters = dict(form_parameters(request))
        caller = authenticate_client(
            request.headers.get("Authorization", ""),
            parameters,
            action=Action.INTROSPECT,
            now=now,
            token_endpoint=endpoint_url("token_endpoint"),
            source=request.META.get("REMOTE_ADDR", ""),
        )
        if not caller.is_resource_server or caller.token_endpoint_auth_method == "none":
            raise UnauthorizedClient("This client is not a resource server; ask the operator for the introspection right.")
        if "token" not in parameters:
            raise InvalidRequest("The parameter token is missing.", members=("token",))
        return JsonResponse(introspect(parameters["token"], now=now))
