"""URLs of the API."""

from __future__ import annotations

from django.urls import path

from portal.api.views.audit import AuditView, OrganizationAuditView
from portal.api.views.change_requests import ChangeDecisionsView, ChangeRequestsView, ChangeRequestView, OrganizationChangeRequestsView
from portal.api.views.clients import ClientsView, ClientTransitionsView, ClientView, GoLiveView
from portal.api.views.document import OpenApiView
from portal.api.views.initial_access_tokens import InitialAccessTokensView, InitialAccessTokenView, RefusedRegistrationsView
from portal.api.views.organizations import OrganizationsView, OrganizationTransitionsView, OrganizationView
from portal.api.views.secrets import SecretsView, SecretView

urlpatterns = [
    path("openapi.json", OpenApiView.as_view(), name="api_document"),
    path("organizations", OrganizationsView.as_view(), name="api_organizations"),
    path("organizations/<slug:slug>", OrganizationView.as_view(), name="api_organization"),
    path("organizations/<slug:slug>/transitions", OrganizationTransitionsView.as_view(), name="api_organization_transitions"),
    path("organizations/<slug:slug>/clients", ClientsView.as_view(), name="api_clients"),
    path("organizations/<slug:slug>/change-requests", OrganizationChangeRequestsView.as_view(), name="api_organization_change_requests"),
    path("organizations/<slug:slug>/audit", OrganizationAuditView.as_view(), name="api_organization_audit"),
    path("organizations/<slug:slug>/initial-access-tokens", InitialAccessTokensView.as_view(), name="api_initial_access_tokens"),
    path("organizations/<slug:slug>/initial-access-tokens/<uuid:token>", InitialAccessTokenView.as_view(), name="api_initial_access_token"),
    path(
        "organizations/<slug:slug>/initial-access-tokens/<uuid:token>/refused",
        RefusedRegistrationsView.as_view(),
        name="api_refused_registrations",
    ),
    path("clients/<uuid:reference>", ClientView.as_view(), name="api_client"),
    path("clients/<uuid:reference>/transitions", ClientTransitionsView.as_view(), name="api_client_transitions"),
    path("clients/<uuid:reference>/go-live", GoLiveView.as_view(), name="api_go_live"),
    path("clients/<uuid:reference>/secrets", SecretsView.as_view(), name="api_secrets"),
    path("clients/<uuid:reference>/secrets/<int:secret>", SecretView.as_view(), name="api_secret"),
    path("change-requests", ChangeRequestsView.as_view(), name="api_change_requests"),
    path("change-requests/<uuid:reference>", ChangeRequestView.as_view(), name="api_change_request"),
    path("change-requests/<uuid:reference>/decisions", ChangeDecisionsView.as_view(), name="api_change_decisions"),
    path("audit", AuditView.as_view(), name="api_audit"),
]
