"""The swapped token models of django-oauth-toolkit (house decision 1), authorization requests and consents."""

from authserver.models.authorization import AuthorizationRequest, Consent
from authserver.models.tokens import AccessToken, Grant, IDToken, RefreshToken

__all__ = ["AccessToken", "AuthorizationRequest", "Consent", "Grant", "IDToken", "RefreshToken"]
