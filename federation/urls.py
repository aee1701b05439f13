"""Endpoints of the federation."""

from __future__ import annotations

from django.urls import path

from federation.views.registration import ExplicitRegistrationView

urlpatterns = [path("federation/register", ExplicitRegistrationView.as_view(), name="federation_registration")]
