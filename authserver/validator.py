"""The toolkit's validator: the one class through which every protocol request passes (django-oauth-toolkit.md, 3)."""

from __future__ import annotations

from typing import Any

from django.utils import timezone
from oauth2_provider.oauth2_validators import OAuth2Validator

from authserver.client_authentication import authenticate_client, load_client
from authserver.endpoints import endpoint_url
from authserver.tokens import token_lifetime
from protocol.errors import InvalidScope
from registry.entitlements import entitled_scopes
from registry.gate import Action
from registry.models import Client
from registry.policies import get_policy
from registry.usage import note_use


class Validator(OAuth2Validator):
    """Client authentication, scopes and storing of tokens by our rules; the rest is the toolkit's."""

    def _load_application(self, client_id: str, request: Any) -> Client | None:
        """Return the client of a request. The one place where the toolkit looks a client up; nothing is fetched here."""
        if not isinstance(request.client, Client) or request.client.client_id != client_id:
            request.client = load_client(client_id)
        return request.client

    def client_authentication_required(self, request: Any, *args: Any, **kwargs: Any) -> bool:  # noqa: ARG002
        """Say that every client is authenticated by its registered method, which may be none."""
        return True

    def authenticate_client(self, request: Any, *args: Any, **kwargs: Any) -> bool:  # noqa: ARG002
        """Authenticate the client of an oauthlib request. Raises ProtocolError instead of answering False, to say why."""
        request.client = authenticate_client(
            request.headers.get("HTTP_AUTHORIZATION", ""),
            dict(request.decoded_body or ()),
            action=self._action_of(request),
            now=timezone.now(),
            token_endpoint=endpoint_url("token_endpoint"),
            source=request.headers.get("REMOTE_ADDR", ""),
            load=lambda client_id: self._load_application(client_id, request),
        )
        return True

    def _action_of(self, request: Any) -> Action | None:
        """Return what the client wants to do; giving up a token needs no permission."""
        if request.grant_type is None:
            return None
        return Action.REFRESH if request.grant_type == "refresh_token" else Action.TOKEN

    def authenticate_client_id(self, client_id: str, request: Any, *args: Any, **kwargs: Any) -> bool:  # noqa: ARG002
        """Never authenticate by identifier alone; `authenticate_client` knows the method none."""
        return False

    def validate_scopes(self, client_id: str, scopes: list[str], client: Client, request: Any, *args: Any, **kwargs: Any) -> bool:  # noqa: ARG002
        """Accept scopes that the client registered and is entitled to now. Raises InvalidScope that names the others."""
        if not scopes:
            return True
        entitled = entitled_scopes(client, timezone.now())
        refused = [scope for scope in scopes if scope not in entitled]
        if refused:
            waiting = [scope for scope in refused if scope in client.scopes]
            why = "it waits for approval" if waiting == refused else "the app did not register it"
            raise InvalidScope(f"Not granted: {' '.join(scope[:60] for scope in refused[:10])}; {why}.", members=("scope",))
        return True

    def get_token_lifetime(self, request: Any) -> int:
        """Return the lifetime of the access token about to be issued, in seconds."""
        return token_lifetime(request.client, get_policy(request.client.organization), timezone.now())

    def save_bearer_token(self, token: dict[str, Any], request: Any, *args: Any, **kwargs: Any) -> None:
        """Store a token. One that comes alone is one INSERT; with a refresh token the toolkit's transaction is needed."""
        if "refresh_token" in token:
            super().save_bearer_token(token, request, *args, **kwargs)
        else:
            self._save_bearer_token(token, request, *args, **kwargs)
        note_use(request.client, timezone.now())

    def validate_bearer_token(self, token: str, scopes: Any, request: Any) -> bool:
        """Refuse what cannot be one of our tokens before it reaches the database, then ask the toolkit."""
        return bool(token) and token.isascii() and super().validate_bearer_token(token, scopes, request)
