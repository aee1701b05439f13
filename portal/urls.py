"""Every URL of the site."""

from __future__ import annotations

from django.urls import include, path

from portal.admin import staff_site
from portal.views import account, docs, errors, inbox, members, probes, reference
from portal.views.home import home

urlpatterns = [
    path("", home, name="home"),
    path("docs/", docs.docs, name="docs"),
    path("docs/errors/", docs.docs_page, {"name": "errors"}, name="docs_errors"),
    path("docs/<slug:name>/", docs.docs_page, name="docs_page"),
    path("reference/", reference.reference, name="reference"),
    path("tools/", include("portal.tools_urls")),
    path("healthz", probes.healthz, name="healthz"),
    path("readyz", probes.readyz, name="readyz"),
    path("metrics", probes.metrics, name="metrics"),
    path("org/", include("portal.partner_urls")),
    path("invite/<str:token>/", members.invitation, name="invitation"),
    path("", include("authserver.urls")),
    path("", include("federation.urls")),
    path("", include("dcr.urls")),
    path("api/v1/", include("portal.api.urls")),
    path("account/", account.account, name="account"),
    path("account/language/", account.choose_language, name="account_language"),
    path("account/notices/", inbox.notices, name="account_notices"),
    path("account/notices/read/", inbox.notices_read, name="account_notices_read"),
    path("account/notices/mails/", inbox.notice_preferences, name="account_notice_preferences"),
    path("account/consents/<int:consent>/take-back/", account.take_back, name="consent_take_back"),
    path("account/sessions/end-others/", account.end_others, name="sessions_end_others"),
    path("account/sessions/<int:session>/end/", account.end_one, name="session_end"),
    path("accounts/", include("portal.accounts_urls")),
    path("staff/", staff_site.urls),
]

handler400 = errors.bad_request
handler403 = errors.permission_denied
handler404 = errors.page_not_found
handler429 = errors.too_many_requests  # not a handler of Django; allauth looks for it
handler500 = errors.server_error
