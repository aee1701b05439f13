"""Endpoints of dynamic client registration."""

from __future__ import annotations

from django.urls import path

from dcr.views.registration import ClientConfigurationView, RegistrationView

urlpatterns = [
    path("register", RegistrationView.as_view(), name="register"),
    path("register/<path:client_id>", ClientConfigurationView.as_view(), name="registration"),
]
