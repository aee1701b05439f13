"""Every URL of the site."""

from __future__ import annotations

from django.urls import include, path

from portal.admin import staff_site
from portal.views import account, errors, members, probes
from portal.views.docs import error_catalogue
from portal.views.home import home

urlpatterns = [
    path("", home, name="home"),
    path("docs/errors/", error_catalogue, name="docs_errors"),
    path("healthz", probes.healthz, name="healthz"),
    path("readyz", probes.readyz, name="readyz"),
    path("org/", include("portal.partner_urls")),
    path("invite/<str:token>/", members.invitation, name="invitation"),
    path("", include("authserver.urls")),
    path("", include("federation.urls")),
    path("", include("dcr.urls")),
    path("api/v1/", include("portal.api.urls")),
    path("account/", account.account, name="account"),
    path("account/consents/<int:consent>/take-back/", account.take_back, name="consent_take_back"),
    path("accounts/", include("portal.accounts_urls")),
    path("staff/", staff_site.urls),
]

handler400 = errors.bad_request
handler403 = errors.permission_denied
handler404 = errors.page_not_found
handler500 = errors.server_error
