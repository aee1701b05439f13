"""Account pages: those that a sign-in passes through first, without `form-action`, then allauth's own list."""

from __future__ import annotations

from allauth.account import views as account
from allauth.mfa.base import views as mfa
from allauth.mfa.webauthn import views as webauthn
from django.urls import include, path

from portal.accounts import without_form_action
from portal.interrupted import leads_back

urlpatterns = [
    path("login/", without_form_action(account.login), name="account_login"),
    path("signup/", without_form_action(account.signup), name="account_signup"),
    path("reauthenticate/", without_form_action(leads_back(account.reauthenticate)), name="account_reauthenticate"),
    path("confirm-email/<key>/", without_form_action(account.confirm_email), name="account_confirm_email"),
    path("2fa/authenticate/", without_form_action(mfa.authenticate), name="mfa_authenticate"),
    path("2fa/reauthenticate/", without_form_action(leads_back(mfa.reauthenticate)), name="mfa_reauthenticate"),
    path("2fa/webauthn/login/", without_form_action(webauthn.login_webauthn), name="mfa_login_webauthn"),
    path(
        "2fa/webauthn/reauthenticate/",
        without_form_action(leads_back(webauthn.reauthenticate_webauthn)),
        name="mfa_reauthenticate_webauthn",
    ),
    path("", include("allauth.urls")),
]
