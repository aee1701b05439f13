"""Grants of the token endpoint beyond client credentials, in the shape that oauthlib calls."""

from authserver.grants.code import AuthorizationCodeGrant
from authserver.grants.refresh import RefreshTokenGrant

__all__ = ["AuthorizationCodeGrant", "RefreshTokenGrant"]
