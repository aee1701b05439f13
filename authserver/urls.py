"""Protocol endpoints, mounted one by one."""

from __future__ import annotations

from django.urls import path

from authserver.views.authorize import AuthorizeView, InteractionView
from authserver.views.documents import (
    AuthorizationServerMetadataView,
    EntityConfigurationView,
    JwksView,
    OpenidConfigurationView,
    SignedJwksView,
)
from authserver.views.introspection import IntrospectionView
from authserver.views.logout import LogoutView
from authserver.views.par import PushedAuthorizationRequestView
from authserver.views.revocation import RevocationView
from authserver.views.token import TokenView
from authserver.views.userinfo import UserinfoView

urlpatterns = [
    path("oauth/authorize", AuthorizeView.as_view(), name="authorize"),
    path("oauth/interaction/<uuid:reference>", InteractionView.as_view(), name="interaction"),
    path("oauth/par", PushedAuthorizationRequestView.as_view(), name="par"),
    path("oauth/userinfo", UserinfoView.as_view(), name="userinfo"),
    path("oauth/logout", LogoutView.as_view(), name="logout"),
    path(".well-known/openid-configuration", OpenidConfigurationView.as_view(), name="openid-configuration"),
    path("oauth/token", TokenView.as_view(), name="token"),
    path("oauth/revoke", RevocationView.as_view(), name="revoke"),
    path("oauth/introspect", IntrospectionView.as_view(), name="introspect"),
    path("oauth/jwks", JwksView.as_view(), name="jwks"),
    path("oauth/signed-jwks", SignedJwksView.as_view(), name="signed-jwks"),
    path(".well-known/openid-federation", EntityConfigurationView.as_view(), name="openid-federation"),
    path(".well-known/oauth-authorization-server", AuthorizationServerMetadataView.as_view(), name="oauth-authorization-server"),
]
