"""Who may open what: every staff URL times every role, from one table. A URL without a row fails."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.contrib import admin
from django.test import Client as Browser
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from dcr.initial_access_tokens import TokenTerms, create_initial_access_token
from dcr.models import RegistrationProfile, SoftwareStatementIssuer, StatementOrganization
from federation.models import OrganizationRule, RefusedEntity, TrustMarkRule
from portal import policy_previews
from portal.admin import staff_site
from protocol.fetch import InMemoryFetcher, Page
from protocol.jose import generate_private_key
from registry.actors import COMMAND_LINE, person
from registry.credentials import create_secret
from registry.lifecycle import register_client
from registry.members import invite
from registry.models import (
    AuditEvent,
    Banner,
    CannedReason,
    Client,
    Membership,
    Notice,
    Organization,
    PolicyRecord,
    Scope,
    SigningKey,
    User,
)
from registry.models.users import StaffRole
from registry.outbound import use_fetcher
from registry.policy_preview import propose
from registry.resource_servers import get_operator_organization
from registry.signing_keys import rotate_signing_key
from tests.conftest import Cast
from tests.portal.admin.conftest import Federated

ROLES = ("reviewer", "operator", "auditor", "administrator", "partner", "anonymous")
EVERYBODY, READERS, REVIEW, OPERATE = "roaA", "oaA", "rA", "oA"


@dataclass(frozen=True)
class Expected:
    """Who may GET and who may POST (r reviewer, o operator, a auditor, A administrator); what a POST sends and writes.

    `event` is the audit event of the POST; None means that a POST is not answered at all.
    """

    get: str
    post: str = ""
    event: str | None = None
    data: dict[str, Any] | None = None


KEYS = json.dumps({"keys": [generate_private_key("ES256").public_jwk()]})
STEP = Expected(REVIEW, REVIEW, "client.suspended", {"reason": "Because."})
BANNER = {"text": "We move tonight.", "tone": "warning", "starts_at": "2026-01-01T00:00", "ends_at": "2099-01-01T00:00"}
EXPECTED: dict[str, Expected] = {
    "index": Expected(EVERYBODY),
    "login": Expected(EVERYBODY),
    "queue": Expected(EVERYBODY),
    "failed_registrations": Expected(EVERYBODY),
    "charts": Expected(EVERYBODY),
    "jobs": Expected(READERS),
    "job_run": Expected(OPERATE, OPERATE, "job.requested"),
    "app_list": Expected(EVERYBODY),
    "registry_organization_changelist": Expected(EVERYBODY),
    "registry_organization_change": Expected(EVERYBODY),
    "registry_organization_step": Expected(REVIEW, REVIEW, "org.suspended", {"reason": "Because."}),
    "registry_organization_note": Expected("roA", "roA", "review.noted", {"once": "n" * 20, "text": "They answer their phone."}),
    "registry_organization_homepage": Expected("roA", "roA", "review.homepage_checked"),
    "registry_organization_draft": Expected(
        REVIEW,
        REVIEW,
        "client.drafted",
        {"once": "n" * 20, "client_name": "Draft", "kind": "machine", "token_endpoint_auth_method": "client_secret_basic"},
    ),
    "registry_client_changelist": Expected(EVERYBODY),
    "registry_client_change": Expected(EVERYBODY),
    "registry_client_step": STEP,
    "registry_client_switch": Expected("roA", "roA", "client.switched", {"value": "on"}),
    "registry_changerequest_changelist": Expected(EVERYBODY),
    "registry_changerequest_change": Expected(EVERYBODY),
    "registry_changerequest_step": Expected(REVIEW, REVIEW, "change.sent_back", {"reason": "Because."}),
    "registry_changerequest_note": Expected("roA", "roA", "review.noted", {"once": "n" * 20, "text": "Their bank vouches."}),
    "registry_changerequest_comment": Expected(REVIEW, REVIEW, "change.answered", {"once": "n" * 20, "text": "Which data is it?"}),
    "registry_membership_changelist": Expected(EVERYBODY),
    "registry_membership_change": Expected(EVERYBODY),
    "registry_membership_revoke": Expected(REVIEW, REVIEW, "member.removed", {"reason": "Because."}),
    "registry_invitation_changelist": Expected(EVERYBODY),
    "registry_invitation_change": Expected(EVERYBODY),
    "registry_invitation_revoke": Expected(REVIEW, REVIEW, "member.invitation_revoked", {"reason": "Because."}),
    "registry_cannedreason_changelist": Expected(EVERYBODY),
    "registry_cannedreason_add": Expected(
        "roA", "roA", "canned_reason.added", {"name": "Too vague", "step": "reject", "text": "Say what it is for.", "is_active": "on"}
    ),
    "registry_cannedreason_change": Expected(
        EVERYBODY, "roA", "canned_reason.changed", {"name": "Not a partner", "step": "reject", "text": "Other words.", "is_active": "on"}
    ),
    "registry_policyrecord_changelist": Expected(EVERYBODY),
    "registry_policyrecord_change": Expected(EVERYBODY),
    "registry_policyrecord_all": Expected(EVERYBODY),
    "registry_policyrecord_organization": Expected(EVERYBODY),
    "registry_policyrecord_preview": Expected(EVERYBODY, OPERATE, "policy.changed"),
    "registry_policyrecord_preview_csv": Expected(EVERYBODY),
    "federation_trustanchorrecord_changelist": Expected(EVERYBODY),
    "federation_trustanchorrecord_add": Expected(
        OPERATE, OPERATE, "trust_anchor.added", {"entity_id": "https://new.example", "jwks": KEYS, "organizations": "match"}
    ),
    "federation_trustanchorrecord_change": Expected(
        EVERYBODY, OPERATE, "trust_anchor.changed", {"organizations": "match", "position": 3, "jwks": KEYS}
    ),
    "federation_trustanchorrecord_fetch": Expected(OPERATE, OPERATE, "trust_anchor.fetched"),
    "federation_trustanchorrecord_distrust": Expected(OPERATE, OPERATE, "trust_anchor.disabled", {"reason": "Because."}),
    "federation_trustanchorrecord_trust_again": Expected(OPERATE, OPERATE, "trust_anchor.enabled"),
    "federation_refusedentity_changelist": Expected(EVERYBODY),
    "federation_refusedentity_add": Expected(
        OPERATE, OPERATE, "entity.refused", {"entity_id": "https://bad.example", "reason": "Because."}
    ),
    "federation_refusedentity_change": Expected(EVERYBODY),
    "federation_refusedentity_take_back": Expected(OPERATE, OPERATE, "entity.accepted_again"),
    "federation_organizationrule_changelist": Expected(EVERYBODY),
    "federation_organizationrule_add": Expected(
        OPERATE, OPERATE, "organization_rule.saved", {"superior": "https://sector.example", "organization": "lighthouse-travel"}
    ),
    "federation_organizationrule_change": Expected(EVERYBODY, OPERATE, "organization_rule.saved", {"organization": "lighthouse-travel"}),
    "federation_organizationrule_remove": Expected(OPERATE, OPERATE, "organization_rule.deleted"),
    "federation_registrationrequest_changelist": Expected(EVERYBODY),
    "federation_registrationrequest_change": Expected(EVERYBODY),
    "federation_registrationrequest_assign": Expected("roA", "roA", "registration_request.assigned", {"organization": "lighthouse-travel"}),
    "federation_registrationrequest_dismiss": Expected("roA", "roA", "registration_request.dismissed", {"reason": "Because."}),
    "federation_trustmarkrule_changelist": Expected(EVERYBODY),
    "federation_trustmarkrule_add": Expected(
        OPERATE, OPERATE, "trust_mark_rule.added", {"trust_mark_type": "https://marks.example/new", "scopes": ["bookings.read"]}
    ),
    "federation_trustmarkrule_change": Expected(
        EVERYBODY, OPERATE, "trust_mark_rule.changed", {"trust_mark_type": "https://marks.example/other", "is_enabled": "on"}
    ),
    "federation_trustmarkrule_remove": Expected(OPERATE, OPERATE, "trust_mark_rule.deleted"),
    "dcr_initialaccesstoken_changelist": Expected(EVERYBODY),
    "dcr_initialaccesstoken_change": Expected(EVERYBODY),
    "dcr_initialaccesstoken_add": Expected(
        OPERATE,
        OPERATE,
        "token.created",
        {"once": "n" * 20, "organization": "lighthouse-travel", "label": "Bank", "uses_limit": 3, "days": "30", "stage": "live"},
    ),
    "dcr_initialaccesstoken_revoke": Expected("roA", "roA", "token.revoked"),
    "dcr_registrationprofile_changelist": Expected(EVERYBODY),
    "dcr_registrationprofile_add": Expected(
        OPERATE, OPERATE, "registration_profile.added", {"policy": {"redirect_uris_limit": 3}, "name": "partner-bank"}
    ),
    "dcr_registrationprofile_change": Expected(EVERYBODY, OPERATE, "registration_profile.changed", {"policy": {"redirect_uris_limit": 4}}),
    "dcr_registrationprofile_remove": Expected(OPERATE, OPERATE, "registration_profile.deleted"),
    "dcr_softwarestatementissuer_changelist": Expected(EVERYBODY),
    "dcr_softwarestatementissuer_add": Expected(
        OPERATE,
        OPERATE,
        "statement_issuer.added",
        {
            "issuer": "https://new.example",
            "name": "New",
            "jwks": KEYS,
            "algorithms": ["ES256"],
            "organizations": "match",
            "organization_claim": "org_id",
            "stage": "test",
        },
    ),
    "dcr_softwarestatementissuer_change": Expected(
        EVERYBODY,
        OPERATE,
        "statement_issuer.changed",
        {"name": "Other", "algorithms": ["ES256"], "organizations": "match", "organization_claim": "org_id", "stage": "live"},
    ),
    "dcr_softwarestatementissuer_disable": Expected(OPERATE, OPERATE, "statement_issuer.disabled", {"reason": "Because."}),
    "dcr_softwarestatementissuer_enable": Expected(OPERATE, OPERATE, "statement_issuer.enabled"),
    "dcr_statementorganization_changelist": Expected(EVERYBODY),
    "dcr_statementorganization_change": Expected(EVERYBODY),
    "dcr_statementorganization_add": Expected(
        OPERATE, OPERATE, "statement_organization.linked", {"value": "A-2", "organization": "lighthouse-travel"}
    ),
    "dcr_statementorganization_remove": Expected(OPERATE, OPERATE, "statement_organization.unlinked"),
    "registry_scope_changelist": Expected(EVERYBODY),
    "registry_scope_add": Expected(OPERATE, OPERATE, "scope.created", {"name": "new.scope", "title": "New"}),
    "registry_scope_change": Expected(EVERYBODY, OPERATE, "scope.updated", {"title": "Other words"}),
    "registry_banner_changelist": Expected(EVERYBODY),
    "registry_banner_add": Expected(OPERATE, OPERATE, "banner.written", BANNER),
    "registry_banner_change": Expected(EVERYBODY, OPERATE, "banner.changed", BANNER),
    "registry_banner_remove": Expected(OPERATE, OPERATE, "banner.removed"),
    "registry_signingkey_changelist": Expected(READERS),
    "registry_signingkey_change": Expected(READERS),
    "registry_signingkey_rotate": Expected(OPERATE, OPERATE, "signing_key.rotated", {"current": "the current one"}),
    "registry_notice_changelist": Expected(READERS),
    "registry_notice_change": Expected(READERS),
    "registry_notice_resend": Expected(OPERATE, OPERATE, "notice.resent"),
    "registry_user_changelist": Expected(READERS),
    "registry_user_change": Expected(READERS),
    "registry_user_role": Expected("A", "A", "user.staff_role_changed", {"staff_role": "auditor"}),
    "registry_auditevent_changelist": Expected(READERS),
    "registry_auditevent_change": Expected(READERS),
    "registry_auditevent_export": Expected(READERS),
    "registry_auditevent_verify": Expected(READERS),
}
# Every list is there as CSV, for those who may read it; the trail has an export of its own.
WITHOUT_CSV = ("registry_auditevent_changelist",)
EXPECTED |= {
    name.replace("_changelist", "_csv"): Expected(row.get)
    for name, row in list(EXPECTED.items())
    if name.endswith("_changelist") and name not in WITHOUT_CSV
}
# Lists answer a POST as they answer a GET: Django's list has a form, which has no actions here.
REDIRECTS = (
    *("registry_organization_note", "registry_organization_homepage", "registry_changerequest_note", "registry_changerequest_comment"),
    *("login", "app_list", "registry_policyrecord_change", "federation_trustanchorrecord_fetch"),
)


def url_names() -> Iterator[str | None]:
    """Yield the name of every URL of the staff site."""
    waiting: list[URLPattern | URLResolver] = list(staff_site.get_urls())
    while waiting:
        entry = waiting.pop()
        if isinstance(entry, URLResolver):
            waiting.extend(entry.url_patterns)
        else:
            yield entry.name


@pytest.fixture
def world(cast: Cast, app: Client, go_live: Any, administrator: User, federated: Federated, now: datetime) -> dict[str, str]:
    """One row of everything, and the address of every URL."""
    rotate_signing_key("protocol", "ES256", COMMAND_LINE, now=now)
    invitation = invite(cast.organization, person(cast.owner), email="new@lighthouse.example", role="viewer", now=now).row
    record = PolicyRecord.objects.create(values={})
    organization, kid = cast.organization, SigningKey.objects.filter(state="current", algorithm="ES256").get()
    banner = Banner.objects.create(text="Maintenance", starts_at=now, ends_at=now + timedelta(hours=1))
    notice = Notice.objects.filter(event__event="org.approved").get()
    numbers = {
        "organization": organization.pk,
        "client": app.pk,
        "changerequest": go_live.pk,
        "membership": Membership.objects.first().pk,
        "invitation": invitation.pk,
        "policyrecord": record.pk,
        "scope": Scope.objects.get(name="bookings.read").pk,
        "signingkey": kid.pk,
        "cannedreason": CannedReason.objects.get(name="Not a partner").pk,
        "banner": banner.pk,
        "notice": notice.pk,
        "user": cast.stranger.pk,
        "auditevent": AuditEvent.objects.first().pk,
    }
    special: dict[str, tuple[Any, ...]] = {
        "app_list": ("registry",),
        "job_run": ("check-clients",),
        "registry_organization_step": (organization.pk, "suspend"),
        "registry_organization_draft": (organization.pk,),
        "registry_organization_note": (organization.pk,),
        "registry_organization_homepage": (organization.pk,),
        "registry_changerequest_note": (go_live.pk,),
        "registry_changerequest_comment": (go_live.pk,),
        "registry_membership_revoke": (Membership.objects.get(user=cast.viewer).pk,),
        "registry_invitation_revoke": (invitation.pk,),
        "registry_client_step": (app.pk, "suspend"),
        "registry_client_switch": (app.pk, "accepts_token_endpoint_audience"),
        "registry_changerequest_step": (go_live.pk, "send_back"),
        "registry_policyrecord_organization": (organization.pk,),
        "registry_policyrecord_preview": (proposed_policy(now),),
        "registry_policyrecord_preview_csv": (proposed_policy(now),),
        "registry_signingkey_rotate": ("protocol", "ES256"),
        "registry_user_role": (cast.stranger.pk,),
        "registry_notice_resend": (notice.pk,),
    }
    special["registry_banner_remove"] = (banner.pk,)
    for model, number in numbers.items():
        special[f"registry_{model}_change"] = (number,)
    other = get_operator_organization(COMMAND_LINE, now=now)
    rows = {
        "trustanchorrecord": federated.anchor,
        "refusedentity": RefusedEntity.objects.create(entity_id="https://refused.example", reason="Because."),
        "organizationrule": OrganizationRule.objects.create(superior="https://harbour.example", organization=other),
        "registrationrequest": federated.request,
        "trustmarkrule": TrustMarkRule.objects.create(trust_mark_type="https://marks.example/certified", scopes=["bookings.read"]),
    }
    matching = {"jwks": json.loads(KEYS), "algorithms": ["ES256"], "organizations": "match", "organization_claim": "org_id"}
    issuer = SoftwareStatementIssuer.objects.create(issuer="https://directory.example", name="Directory", **matching)
    disabled = SoftwareStatementIssuer.objects.create(issuer="https://former.example", name="Former", is_enabled=False, **matching)
    rows["softwarestatementissuer"] = issuer
    terms = TokenTerms(label="Installer", expires_at=now + timedelta(days=1))
    rows["initialaccesstoken"] = create_initial_access_token(organization, person(cast.owner), terms, now=now).row
    rows["registrationprofile"] = RegistrationProfile.objects.create(name="bank")
    rows["statementorganization"] = StatementOrganization.objects.create(issuer=issuer, value="A-1", organization=organization)
    special["dcr_softwarestatementissuer_enable"] = (disabled.pk,)
    for name in EXPECTED:
        room, model, what = name.split("_", 2) if name.startswith(("federation_", "dcr_")) and name not in special else ("", "", "")
        if room and what not in ("changelist", "add", "csv"):
            special[name] = (federated.former.pk if what == "trust_again" else rows[model].pk,)
    return {name: reverse(f"staff:{name}", args=special.get(name, ())) for name in EXPECTED} | {"kid": kid.kid}


@pytest.fixture(autouse=True)
def homepages() -> Iterator[None]:
    """The web as far as these tests ask for it."""
    pages = {"https://lighthouse.example": Page(b"<!DOCTYPE html>", "text/html")}
    with use_fetcher(InMemoryFetcher(pages)):
        yield


@pytest.fixture
def browsers(cast: Cast, administrator: User, sign_in: Callable[[User], Browser]) -> dict[str, Browser]:
    """A browser for every role."""
    people = {"reviewer": cast.reviewer, "operator": cast.operator, "auditor": cast.auditor, "administrator": administrator}
    found = {role: sign_in(user) for role, user in {**people, "partner": cast.owner}.items()}
    return {**found, "anonymous": Browser(SERVER_NAME="127.0.0.1")}


def proposed_policy(now: datetime) -> str:
    """Begin the dry run of a policy; return its digest."""
    proposal = propose(None, {"clients_limit": 30})
    policy_previews.begin(proposal, now)
    return proposal.digest


def letter(role: str) -> str:
    """Return the letter of a role in the table."""
    return {"administrator": "A"}.get(role, role[0]) if role not in ("partner", "anonymous") else "-"


def payload(name: str, browser: Browser, world: dict[str, str]) -> dict[str, Any]:
    """Return what a POST sends: the row's data, or the form of the page with one value changed."""
    data = dict(EXPECTED[name].data or {})
    if "policy" in data:
        form = browser.get(world[name]).context["form"]
        values = {field: form[field].value() for field in form.fields} | data.pop("policy") | data
        return {key: value for key, value in values.items() if value is not None and value is not False}
    if name.startswith(("federation_organizationrule_", "federation_trustmarkrule_")) and not name.endswith("_remove"):
        shown = browser.post(world[name], data).context
        data["seen"] = (shown.get("report") or shown["decides"]).digest
    if name == "dcr_statementorganization_add":
        data["issuer"] = SoftwareStatementIssuer.objects.get(name="Directory").pk
    if "current" in data:
        data["current"] = world["kid"]
    return data


def test_every_staff_url_has_an_expectation() -> None:
    names = set(url_names())
    assert names - {None} == set(EXPECTED), "a new staff URL needs a row in EXPECTED"


@pytest.mark.parametrize("role", ROLES)
def test_pages_open_for_the_roles_of_the_table_only(role: str, browsers: dict[str, Browser], world: dict[str, str]) -> None:
    found = {}
    for name, expected in EXPECTED.items():
        status = browsers[role].get(world[name]).status_code
        allowed = letter(role) in expected.get
        if role == "anonymous":
            assert status == 302, name
            continue
        wanted = (302 if name in REDIRECTS else 200) if allowed else 403
        if status != wanted:
            found[name] = (status, wanted)
    assert not found


def test_anonymous_people_are_sent_to_the_sites_own_sign_in(browsers: dict[str, Browser], world: dict[str, str]) -> None:
    for name in EXPECTED:
        response = browsers["anonymous"].get(world[name])
        assert response.url.startswith(reverse("account_login") + "?next=/staff/"), name
    response = browsers["anonymous"].post(world["registry_client_step"], {"reason": "Because."})
    assert response.url.startswith(reverse("account_login"))


@pytest.mark.parametrize("name", [name for name, expected in EXPECTED.items() if expected.event])
def test_every_post_that_changes_something_writes_one_event_for_those_who_may_and_none_for_others(
    name: str, browsers: dict[str, Browser], world: dict[str, str]
) -> None:
    expected = EXPECTED[name]
    allowed = [role for role in ROLES if letter(role) in expected.post]
    data = payload(name, browsers[allowed[0]], world)
    before = AuditEvent.objects.count()
    for role in ROLES:
        if role not in allowed:
            assert browsers[role].post(world[name], data).status_code in (302, 403), role
    assert AuditEvent.objects.count() == before
    browsers[allowed[0]].post(world[name], data)
    new = list(AuditEvent.objects.order_by("id").values_list("event", "actor_kind")[before:])
    assert (expected.event, "staff") in new
    if name.startswith(("federation_", "dcr_")):
        assert [event for event, kind in new if kind == "staff"] == [expected.event]


@pytest.mark.parametrize("name", [name for name, expected in EXPECTED.items() if not expected.event])
def test_a_post_to_a_page_that_only_shows_changes_nothing(name: str, browsers: dict[str, Browser], world: dict[str, str]) -> None:
    before = AuditEvent.objects.count()
    data = {"action": "delete_selected", "_selected_action": "1", "state": "closed", "_save": "Save", "post": "yes"}
    for role in ROLES:
        assert browsers[role].post(world[name], data).status_code in (200, 302, 403, 405)
    assert AuditEvent.objects.count() == before
    assert not Client.objects.exclude(state="active").exists()
    assert Organization.objects.filter(state="approved").exists()


def test_nothing_can_be_added_or_deleted_but_by_the_services(world: dict[str, str]) -> None:
    for model_admin in staff_site._registry.values():
        assert model_admin.actions is None
        for what in ("delete", "history"):
            assert f"{model_admin.opts.app_label}_{model_admin.opts.model_name}_{what}" not in {str(name) for name in url_names()}


@pytest.mark.parametrize("role", [*StaffRole.values, "administrator"])
def test_no_staff_page_shows_a_secret(
    role: str, browsers: dict[str, Browser], world: dict[str, str], app: Client, cast: Cast, now: datetime
) -> None:
    if not role:
        return
    secret = create_secret(app, person(cast.owner), now=now, label="production")
    key = SigningKey.objects.get(kid=world["kid"])
    cast.stranger.set_password("correct horse battery")
    cast.stranger.save()
    invitation = invite(cast.organization, person(cast.owner), email="other@lighthouse.example", role="viewer", now=now)
    hidden = [
        secret.value,
        secret.row.digest,
        f"…{secret.row.tail}",
        key.private_key_encrypted,
        cast.stranger.password,
        invitation.value,
        invitation.row.digest,
    ]
    for name in EXPECTED:
        response = browsers[role].get(world[name])
        body = b"".join(response.streaming_content).decode() if response.streaming else response.content.decode()
        if name == "registry_auditevent_export":
            body = body.replace(f"…{secret.row.tail}", "")
        assert not [value for value in hidden if value in body], name


def test_pages_have_no_inline_script_or_style_and_the_strict_policy(browsers: dict[str, Browser], world: dict[str, str]) -> None:
    for name in EXPECTED:
        response = browsers["administrator"].get(world[name])
        if response.streaming or response.status_code != 200:
            continue
        body = response.content.decode()
        assert " style=" not in body, name
        assert "<style" not in body, name
        assert "<script>" not in body, name
        assert " onclick=" not in body, name
        assert "script-src 'self'" in response["Content-Security-Policy"], name
        assert response["Cache-Control"] == "no-store", name


def test_djangos_default_admin_site_is_not_mounted() -> None:
    assert staff_site is not admin.site
    assert set(get_resolver().app_dict["admin"]) == {"staff"}


def test_the_registered_models_are_of_the_rooms_below_the_portal() -> None:
    assert {model._meta.app_label for model in staff_site._registry} == {"registry", "federation", "dcr"}


def test_a_person_who_is_no_longer_staff_is_out_at_once(cast: Cast, browsers: dict[str, Browser], world: dict[str, str]) -> None:
    User.objects.filter(pk=cast.reviewer.pk).update(staff_role="")
    assert browsers["reviewer"].get(world["queue"]).status_code == 403


def test_rows_that_do_not_exist_are_not_found(browsers: dict[str, Browser]) -> None:
    for name in ("organization", "client", "changerequest", "scope", "user"):
        assert browsers["administrator"].get(reverse(f"staff:registry_{name}_change", args=(99999,))).status_code == 404
    for name in ("trustanchorrecord", "refusedentity", "organizationrule", "registrationrequest", "trustmarkrule"):
        assert browsers["administrator"].get(reverse(f"staff:federation_{name}_change", args=(99999,))).status_code == 404
    assert browsers["administrator"].get("/staff/nothing/here/").status_code == 404


def test_a_long_name_and_markup_in_what_partners_write_are_shown_as_text(browsers: dict[str, Browser], cast: Cast, now: datetime) -> None:
    document = {
        "client_name": "<img src=x onerror=alert(1)> " + "W" * 60,
        "grant_types": ["client_credentials"],
        "token_endpoint_auth_method": "private_key_jwt",
        "jwks": {"keys": [generate_private_key("ES256").public_jwk()]},
    }
    client = register_client(person(cast.owner), cast.organization, document, now=now)
    for name in ("client_change", "client_changelist", "organization_change"):
        numbers = {"client_change": (client.pk,), "organization_change": (cast.organization.pk,)}
        body = browsers["reviewer"].get(reverse(f"staff:registry_{name}", args=numbers.get(name, ()))).content.decode()
        assert "<img src=x" not in body
