"""The pushed authorization request endpoint (RFC 9126)."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone

from authserver import client_authentication
from authserver.authorization.requests import push_request
from authserver.client_authentication import authenticate_client
from authserver.endpoints import endpoint_url
from authserver.throttling import note_sign_in
from authserver.views.base import FormEndpoint
from authserver.views.people import REPEATABLE, browser_parameters
from registry.gate import Action
from registry.models import Client

CLIENT_AUTHENTICATION = frozenset(("client_assertion", "client_assertion_type", "client_secret"))


class PushedAuthorizationRequestView(FormEndpoint):
    """Keeps the request of an authenticated client and names it."""

    repeatable = REPEATABLE

    def handle(self, request: HttpRequest) -> HttpResponse:
        """Authenticate the client and keep its request."""
        now, raw = timezone.now(), browser_parameters(request)
        client = authenticate_client(
            request.headers.get("Authorization", ""),
            raw,
            action=Action.PUSH_AUTHORIZATION,
            now=now,
            token_endpoint=endpoint_url("token_endpoint"),
            source=request.META.get("REMOTE_ADDR", ""),
            load=client_authentication.find_client,
        )
        if client.client_type == Client.CLIENT_PUBLIC:
            note_sign_in(request.META.get("REMOTE_ADDR", ""))
        parameters = {name: value for name, value in raw.items() if name not in CLIENT_AUTHENTICATION}
        request_uri, expires_in = push_request(parameters, client, now=now)
        return JsonResponse({"request_uri": request_uri, "expires_in": expires_in}, status=201)
