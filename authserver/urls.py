"""Protocol endpoints, mounted one by one."""

from __future__ import annotations

from django.urls import path

from authserver.views.documents import AuthorizationServerMetadataView, JwksView
from authserver.views.introspection import IntrospectionView
from authserver.views.revocation import RevocationView
from authserver.views.token import TokenView

urlpatterns = [
    path("oauth/token", TokenView.as_view(), name="token"),
    path("oauth/revoke", RevocationView.as_view(), name="revoke"),
    path("oauth/introspect", IntrospectionView.as_view(), name="introspect"),
    path("oauth/jwks", JwksView.as_view(), name="jwks"),
    path(".well-known/oauth-authorization-server", AuthorizationServerMetadataView.as_view(), name="oauth-authorization-server"),
]
