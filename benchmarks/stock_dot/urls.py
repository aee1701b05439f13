"""The stock endpoints."""

from django.urls import include, path
from oauth2_provider import views

toolkit = [
    path("register/", views.DynamicClientRegistrationView.as_view(), name="dcr-register"),
    path("register/<str:client_id>/", views.DynamicClientRegistrationManagementView.as_view(), name="dcr-register-management"),
]
urlpatterns = [
    path("oauth/token", views.TokenView.as_view(), name="token"),
    path("", include((toolkit, "oauth2_provider"))),
]
