"""The oauthlib server: only the endpoints and grants that this server offers. No implicit, hybrid or password grant exists here."""

from __future__ import annotations

from typing import Any

from oauthlib.oauth2.rfc6749.endpoints import ResourceEndpoint, RevocationEndpoint, TokenEndpoint
from oauthlib.oauth2.rfc6749.grant_types import ClientCredentialsGrant
from oauthlib.oauth2.rfc6749.tokens import BearerToken

from authserver.grants import AuthorizationCodeGrant, RefreshTokenGrant


class Server(TokenEndpoint, ResourceEndpoint, RevocationEndpoint):
    """Token, resource and revocation endpoints with the three grants that are offered."""

    def __init__(self, request_validator: Any, token_generator: Any = None, refresh_token_generator: Any = None, **kwargs: Any) -> None:
        self.bearer = BearerToken(request_validator, token_generator, request_validator.get_token_lifetime, refresh_token_generator)
        TokenEndpoint.__init__(
            self,
            default_grant_type="client_credentials",
            grant_types={
                "authorization_code": AuthorizationCodeGrant(request_validator),
                "refresh_token": RefreshTokenGrant(request_validator),
                "client_credentials": ClientCredentialsGrant(request_validator),
            },
            default_token_type=self.bearer,
        )
        ResourceEndpoint.__init__(self, default_token="Bearer", token_types={"Bearer": self.bearer})
        RevocationEndpoint.__init__(self, request_validator)
