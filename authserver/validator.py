"""The toolkit's validator: the one class through which every protocol request passes (django-oauth-toolkit.md, 3)."""

from __future__ import annotations

from typing import Any

from django.utils import timezone
from oauth2_provider.oauth2_validators import OAuth2Validator

from authserver.client_authentication import authenticate_client, find_by_credentials, load_by_credentials, load_client
from authserver.endpoints import endpoint_url
from authserver.families import revoke
from authserver.tokens import check_grant, policy_for_tokens, token_lifetime
from protocol.errors import InvalidScope, InvalidTarget
from registry.entitlements import entitled_scopes, explain_refused_scopes
from registry.gate import Action
from registry.models import Client
from registry.usage import note_use


class Validator(OAuth2Validator):
    """Client authentication, scopes and storing of tokens by our rules; the rest is the toolkit's."""

    def _load_application(self, client_id: str, request: Any) -> Client | None:
        """Return the client of a request: the one place where the toolkit looks a client up; nobody is registered by its name alone."""
        if not isinstance(request.client, Client) or request.client.client_id != client_id:
            request.client = load_client(client_id)
        return request.client

    def client_authentication_required(self, request: Any, *args: Any, **kwargs: Any) -> bool:  # noqa: ARG002
        """Say that every client is authenticated by its registered method, which may be none."""
        return True

    def authenticate_client(self, request: Any, *args: Any, **kwargs: Any) -> bool:
        """Authenticate the client of an oauthlib request. Raises ProtocolError instead of answering False, to say why."""
        action, now, source = self._action_of(request), timezone.now(), request.headers.get("REMOTE_ADDR", "")
        token_endpoint = endpoint_url("token_endpoint")
        request.client = authenticate_client(
            request.headers.get("HTTP_AUTHORIZATION", ""),
            dict(request.decoded_body or ()),
            action=action,
            now=now,
            token_endpoint=token_endpoint,
            source=source,
            load=find_by_credentials(action, source=source, now=now, token_endpoint=token_endpoint) if action else load_by_credentials,
        )
        return True

    def _action_of(self, request: Any) -> Action | None:
        """Return what the client wants to do; giving up a token needs no permission."""
        if request.grant_type is None:
            return None
        return Action.REFRESH if request.grant_type == "refresh_token" else Action.TOKEN

    def validate_grant_type(self, client_id: str, grant_type: str, client: Client, request: Any, *args: Any, **kwargs: Any) -> bool:  # noqa: ARG002
        """Accept a grant that the client registered and, where it takes a trust mark, is entitled to. Raises UnauthorizedClient."""
        check_grant(client, grant_type, timezone.now())
        return True

    def authenticate_client_id(self, client_id: str, request: Any, *args: Any, **kwargs: Any) -> bool:  # noqa: ARG002
        """Never authenticate by identifier alone; `authenticate_client` knows the method none."""
        return False

    def _entitled(self, request: Any) -> frozenset[str]:
        """Return the scopes that the client is entitled to, read once per request."""
        kept = vars(request)  # past `getattr`, by which oauthlib shows the client's parameters as attributes
        if "entitled_scopes" not in kept:
            kept["entitled_scopes"] = entitled_scopes(request.client, timezone.now())
        return frozenset(kept["entitled_scopes"])

    def get_default_scopes(self, client_id: str, request: Any, *args: Any, **kwargs: Any) -> list[str]:  # noqa: ARG002
        """Return the scopes of a request that names none: the policy's default, as far as the client is entitled to it."""
        wanted = policy_for_tokens(request.client).default_scopes
        return [name for name in wanted if name in self._entitled(request)]

    def validate_scopes(self, client_id: str, scopes: list[str], client: Client, request: Any, *args: Any, **kwargs: Any) -> bool:  # noqa: ARG002
        """Accept scopes that the client registered and is entitled to now. Raises InvalidScope that names the others."""
        if not scopes:
            return True
        request.scopes = list(dict.fromkeys(scopes))  # named a thousand times, it is stored once
        entitled = self._entitled(request)
        refused = [scope for scope in scopes if scope not in entitled]
        if refused:
            raise InvalidScope(explain_refused_scopes(refused, client), members=("scope",))
        return True

    def get_token_lifetime(self, request: Any) -> int:
        """Return the lifetime of the access token about to be issued, in seconds."""
        return token_lifetime(request.client, policy_for_tokens(request.client), timezone.now())

    def _validate_resource_uris(self, request: Any, resources: list[str]) -> None:
        """Refuse resources that are no absolute URIs (RFC 8707, 2), those too that the toolkit's check breaks on."""
        refused = InvalidTarget("A resource is not an absolute URI.", members=("resource",))
        if not all(uri.isascii() and uri.isprintable() and " " not in uri for uri in resources):
            raise refused
        try:
            super()._validate_resource_uris(request, resources)
        except ValueError:
            raise refused from None

    def save_bearer_token(self, token: dict[str, Any], request: Any, *args: Any, **kwargs: Any) -> None:
        """Store a token of the client itself: one INSERT. No refresh token comes with it, so the toolkit's transaction is not needed."""
        self._save_bearer_token(token, request, *args, **kwargs)
        note_use(request.client, timezone.now())

    def validate_bearer_token(self, token: str, scopes: Any, request: Any) -> bool:
        """Refuse what cannot be one of our tokens before it reaches the database, then ask the toolkit."""
        return bool(token) and token.isascii() and super().validate_bearer_token(token, scopes, request)

    def revoke_token(self, token: str, token_type_hint: str | None, request: Any, *args: Any, **kwargs: Any) -> None:  # noqa: ARG002
        """Revoke a token of the calling client and what descends from the same code; the hint is not needed (RFC 7009, 2.1)."""
        revoke(token, request.client, now=timezone.now())
