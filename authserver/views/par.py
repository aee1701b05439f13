"""The pushed authorization request endpoint (RFC 9126)."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone

from authserver.authorization.requests import CLIENT_AUTHENTICATION, client_of_signed_push, push_request
from authserver.client_authentication import authenticate_client, find_by_credentials
from authserver.endpoints import endpoint_url
from authserver.throttling import note_sign_in
from authserver.views.base import FormEndpoint
from authserver.views.people import REPEATABLE, browser_parameters
from registry.gate import Action
from registry.models import Client


class PushedAuthorizationRequestView(FormEndpoint):
    """Keeps the request of an authenticated client and names it."""

    endpoint = "par"
    repeatable = REPEATABLE

    def handle(self, request: HttpRequest) -> HttpResponse:
        """Authenticate the client and keep its request."""
        now, raw = timezone.now(), browser_parameters(request)
        authorization, source = request.headers.get("Authorization", ""), request.META.get("REMOTE_ADDR", "")
        client = None if authorization else client_of_signed_push(raw, now=now, source=source)
        client = client or authenticate_client(
            authorization,
            raw,
            action=Action.PUSH_AUTHORIZATION,
            now=now,
            token_endpoint=endpoint_url("token_endpoint"),
            source=source,
            load=find_by_credentials(Action.PUSH_AUTHORIZATION, source=source, now=now),
        )
        if client.client_type == Client.CLIENT_PUBLIC:
            note_sign_in(source)
        parameters = {name: value for name, value in raw.items() if name not in CLIENT_AUTHENTICATION}
        request_uri, expires_in = push_request(parameters, client, now=now)
        return JsonResponse({"request_uri": request_uri, "expires_in": expires_in}, status=201)
