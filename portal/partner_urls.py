"""The pages of partners, mounted under /org/."""

from __future__ import annotations

from django.urls import path

from portal.views import app_pages, apps, changes, credentials, federation, members, organizations, overview, tokens, trust

_APP = "<slug:slug>/apps/<uuid:reference>/"

urlpatterns = [
    path("", organizations.organizations, name="organizations"),
    path("new/", organizations.organization_new, name="organization_new"),
    path("<slug:slug>/", overview.organization_overview, name="organization"),
    path("<slug:slug>/profile/", organizations.organization_profile, name="organization_profile"),
    path("<slug:slug>/do/<slug:step>/", organizations.organization_step, name="organization_step"),
    path("<slug:slug>/close/", organizations.organization_close, name="organization_close"),
    path("<slug:slug>/activity/", overview.organization_activity, name="organization_activity"),
    path("<slug:slug>/tokens/", tokens.registration_tokens, name="registration_tokens"),
    path("<slug:slug>/tokens/new/", tokens.registration_token_new, name="registration_token_new"),
    path("<slug:slug>/tokens/<uuid:token>/", tokens.registration_token, name="registration_token"),
    path("<slug:slug>/tokens/<uuid:token>/revoke/", tokens.registration_token_revoke, name="registration_token_revoke"),
    path("<slug:slug>/tokens/<uuid:token>/adopt/", tokens.registration_token_adopt, name="registration_token_adopt"),
    path("<slug:slug>/federation/", federation.organization_federation, name="organization_federation"),
    path("<slug:slug>/federation/claim/", federation.entity_claim, name="entity_claim"),
    path("<slug:slug>/federation/<int:claim>/signature/", federation.entity_prove_by_signature, name="entity_prove_by_signature"),
    path("<slug:slug>/federation/<int:claim>/file/", federation.entity_prove_by_file, name="entity_prove_by_file"),
    path("<slug:slug>/federation/<int:claim>/give-up/", federation.entity_give_up, name="entity_give_up"),
    path("<slug:slug>/members/", members.organization_members, name="organization_members"),
    path("<slug:slug>/members/invite/", members.member_invite, name="member_invite"),
    path("<slug:slug>/members/<int:member>/role/", members.member_role, name="member_role"),
    path("<slug:slug>/members/<int:member>/remove/", members.member_remove, name="member_remove"),
    path("<slug:slug>/invitations/<int:invitation>/revoke/", members.invitation_revoke, name="invitation_revoke"),
    path("<slug:slug>/apps/", apps.apps, name="apps"),
    path("<slug:slug>/apps/new/", apps.app_new, name="app_new"),
    path("<slug:slug>/apps/check/", apps.app_check, name="app_check"),
    path(_APP, app_pages.app, name="app"),
    path(f"{_APP}settings/", apps.app_edit, name="app_edit"),
    path(f"{_APP}do/<slug:step>/", app_pages.app_step, name="app_step"),
    path(f"{_APP}delete/", app_pages.app_delete, name="app_delete"),
    path(f"{_APP}activity/", app_pages.app_activity, name="app_activity"),
    path(f"{_APP}credentials/", credentials.app_credentials, name="app_credentials"),
    path(f"{_APP}credentials/new/", credentials.app_secret_create, name="app_secret_create"),
    path(f"{_APP}credentials/<int:secret>/end/", credentials.app_secret_end, name="app_secret_end"),
    path(f"{_APP}credentials/registration-token/", credentials.app_registration_token_reset, name="app_registration_token_reset"),
    path(f"{_APP}credentials/check/", credentials.app_keys_check, name="app_keys_check"),
    path(f"{_APP}trust/", trust.app_trust, name="app_trust"),
    path(f"{_APP}trust/check/", trust.app_trust_check, name="app_trust_check"),
    path(f"{_APP}go-live/", changes.app_go_live, name="app_go_live"),
    path(f"{_APP}changes/<uuid:change>/", changes.app_change, name="app_change"),
]
