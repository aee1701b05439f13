"""Every URL of the site."""

from __future__ import annotations

from django.urls import include, path

from portal.views import errors
from portal.views.docs import error_catalogue
from portal.views.home import home

urlpatterns = [
    path("", home, name="home"),
    path("docs/errors/", error_catalogue, name="docs_errors"),
    path("", include("authserver.urls")),
    path("accounts/", include("portal.accounts_urls")),
]

handler400 = errors.bad_request
handler403 = errors.permission_denied
handler404 = errors.page_not_found
handler500 = errors.server_error
