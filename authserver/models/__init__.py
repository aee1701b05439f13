"""The swapped token models of django-oauth-toolkit (house decision 1)."""

from authserver.models.tokens import AccessToken, Grant, IDToken, RefreshToken

__all__ = ["AccessToken", "Grant", "IDToken", "RefreshToken"]
