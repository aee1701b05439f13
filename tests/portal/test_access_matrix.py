"""Who may open what: every URL of the site against every kind of person (threats.md R09).

The table says for each URL name what is expected. A URL without a row fails, so that no page is added without deciding who sees it.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import transaction
from django.test import Client as Browser
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from dcr.initial_access_tokens import TokenTerms, create_initial_access_token
from federation.models import EntityClaim
from portal.api.urls import urlpatterns as api_patterns
from registry.actors import person
from registry.app_drafts import start_draft
from registry.credentials import create_secret
from registry.lifecycle import register_client, request_go_live
from registry.members import invite
from registry.models import Client, Membership, Organization, User
from tests.conftest import Cast

pytestmark = pytest.mark.threat("R09")

VIEWER, DEVELOPER, OWNER = "viewer", "developer", "owner"
RANK = {VIEWER: 0, DEVELOPER: 1, OWNER: 2}

# Pages of an organization: for each method the least role that may use it.
ORGANIZATION_PAGES: dict[str, dict[str, str]] = {
    "organization": {"get": VIEWER},
    "organization_profile": {"get": VIEWER, "post": OWNER},
    "organization_step": {"post": OWNER},
    "organization_close": {"get": OWNER},
    "organization_activity": {"get": VIEWER},
    "organization_activity_export": {"get": VIEWER},
    "registration_tokens": {"get": VIEWER},
    "registration_token_new": {"get": OWNER, "post": OWNER},
    "registration_token": {"get": VIEWER},
    "registration_token_revoke": {"get": OWNER, "post": OWNER},
    "registration_token_adopt": {"post": OWNER},
    "organization_federation": {"get": VIEWER},
    "entity_claim": {"post": OWNER},
    "entity_prove_by_signature": {"post": OWNER},
    "entity_prove_by_file": {"post": OWNER},
    "entity_give_up": {"post": OWNER},
    "organization_members": {"get": VIEWER},
    "member_invite": {"post": OWNER},
    "member_role": {"post": OWNER},
    "member_remove": {"post": OWNER},
    "invitation_revoke": {"post": OWNER},
    "apps": {"get": VIEWER},
    "apps_export": {"get": VIEWER},
    "app_new": {"get": DEVELOPER, "post": DEVELOPER},
    "app_draft": {"get": DEVELOPER, "post": DEVELOPER},
    "app_draft_discard": {"post": DEVELOPER},
    "app_check": {"post": DEVELOPER},
    "app": {"get": VIEWER},
    "app_edit": {"get": DEVELOPER, "post": DEVELOPER},
    "app_step": {"post": OWNER},
    "app_delete": {"get": OWNER, "post": OWNER},
    "app_activity": {"get": VIEWER},
    "app_code": {"get": VIEWER},
    "app_test": {"get": DEVELOPER, "post": DEVELOPER},
    "app_test_callback": {"get": DEVELOPER},
    "app_test_exchange": {"post": DEVELOPER},
    "app_test_token": {"post": DEVELOPER},
    "app_test_address": {"post": DEVELOPER},
    "app_credentials": {"get": VIEWER},
    "app_secret_create": {"post": DEVELOPER},
    "app_secret_end": {"post": DEVELOPER},
    "app_registration_token_reset": {"post": OWNER},
    "app_keys_check": {"post": DEVELOPER},
    "app_trust": {"get": VIEWER},
    "app_trust_check": {"post": DEVELOPER},
    "app_go_live": {"get": VIEWER, "post": OWNER},
    "app_change": {"get": VIEWER, "post": OWNER},
    "app_change_comment": {"post": DEVELOPER},
}
SENT: dict[str, dict[str, str]] = {"member_role": {"role": "viewer"}, "app_check": {"client_name": "x"}}

# For everybody who is signed in; about themself only.
SIGNED_IN = {
    "organizations",
    "organization_new",
    "account_email",
    "account_change_password",
    "account_set_password",
    "account_reauthenticate",
    "mfa_index",
    "mfa_activate_totp",
    "mfa_deactivate_totp",
    "mfa_view_recovery_codes",
    "mfa_generate_recovery_codes",
    "mfa_download_recovery_codes",
    "mfa_list_webauthn",
    "mfa_add_webauthn",
    "mfa_remove_webauthn",
    "mfa_edit_webauthn",
    "mfa_reauthenticate",
    "mfa_reauthenticate_webauthn",
    "account",
    "account_language",
    "account_notices",
    "account_notices_read",
    "account_notice_preferences",
    "consent_take_back",
    "session_end",
    "sessions_end_others",
}
# For everybody: pages, sign-in, probes, and protocol endpoints, which authenticate apps and not people.
PUBLIC = {
    "home",
    "tools",
    "tool_keys",
    "tool_redirect_uris",
    "tool_jwt",
    "tool_entity",
    "tool_chain",
    "tool_dry_run",
    "tool_pem",
    "docs",
    "docs_errors",
    "docs_page",
    "reference",
    "healthz",
    "readyz",
    "metrics",
    "invitation",
    "token",
    "revoke",
    "introspect",
    "jwks",
    "openid-federation",
    "signed-jwks",
    "federation_registration",
    "register",
    "registration",
    "oauth-authorization-server",
    "account_login",
    "account_logout",
    "account_signup",
    "account_inactive",
    "account_email_verification_sent",
    "account_reset_password",
    "account_confirm_login_code",
    "account_confirm_email",
    "account_reset_password_from_key_done",
    "account_reset_password_from_key",
    "account_reset_password_done",
    "mfa_authenticate",
    "mfa_login_webauthn",
    "authorize",
    "interaction",
    "par",
    "userinfo",
    "logout",
    "openid-configuration",
}
# What is for apps has a matrix of its own in the tests of the API.
API = {str(pattern.name) for pattern in api_patterns}
# Staff pages have a matrix of their own in the tests of the admin; here they are closed to everybody else.
STAFF_NAMESPACE = "staff"
STAFF_ENTRANCE = {"staff:login"}


def names(patterns: list[Any], namespace: str = "") -> Iterator[str]:
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            yield from names(pattern.url_patterns, f"{pattern.namespace}:" if pattern.namespace else namespace)
        elif isinstance(pattern, URLPattern):
            yield f"{namespace}{pattern.name}"


ALL_NAMES = sorted(set(names(get_resolver().url_patterns)))


def test_every_url_has_a_row_and_every_row_a_url() -> None:
    listed = set(ORGANIZATION_PAGES) | SIGNED_IN | PUBLIC | API
    served = {name for name in ALL_NAMES if not name.startswith(f"{STAFF_NAMESPACE}:")}
    assert served - listed == set(), "a URL has no row: decide who may open it"
    assert listed - served == set(), "a row has no URL"


@dataclass
class Place:
    """An organization with one of everything a URL can name."""

    organization: Organization
    client: Client
    arguments: dict[str, Any]


def furnish(organization: Organization, owner: User, now: datetime) -> Place:
    actor = person(owner)
    document = {"client_name": "App", "grant_types": ["client_credentials"]}
    client = register_client(actor, organization, document, now=now)
    member = User.objects.create_user(f"extra-{organization.slug}@example.org")
    arguments = {
        "slug": organization.slug,
        "reference": client.reference,
        "draft": start_draft(actor, organization, "web", now=now).reference,
        "secret": create_secret(client, actor, now=now).row.pk,
        "claim": EntityClaim.objects.create(organization=organization, entity_id=f"https://{organization.slug}.example").pk,
        "change": None,
        "member": Membership.objects.create(organization=organization, user=member, role="viewer").pk,
        "token": create_initial_access_token(
            organization, actor, TokenTerms(label="Installer", expires_at=now + timedelta(days=1)), now=now
        ).row.reference,
        "invitation": invite(organization, actor, email=f"new@{organization.slug}.example", role="viewer", now=now).row.pk,
    }
    return Place(organization, client, arguments)


@pytest.fixture
def own(cast: Cast, now: datetime) -> Place:
    place = furnish(cast.organization, cast.owner, now)
    place.arguments["change"] = request_go_live(place.client, cast.as_owner, now=now).reference
    return place


@pytest.fixture
def other(cast: Cast, foreign: Organization, now: datetime) -> Place:
    place = furnish(foreign, cast.stranger, now)
    place.arguments["change"] = uuid.uuid4()
    return place


def address(name: str, arguments: dict[str, Any]) -> str:
    wanted = {
        "organization_step": {"step": "submit"},
        "app_step": {"step": "pause"},
        "app_draft": {"step": "basics"},
        "app_test_address": {"step": "add"},
    }.get(name, {})
    pattern = next(pattern for pattern in _patterns(get_resolver().url_patterns) if pattern.name == name)
    known = {**arguments, **wanted}
    url = reverse(name, kwargs={key: known[key] for key in pattern.pattern.converters})
    return f"{url}?field=client_name" if name == "app_check" else url


def _patterns(patterns: list[Any]) -> Iterator[URLPattern]:
    """Yield partner patterns with the converters of their whole path."""
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            yield from _patterns(pattern.url_patterns)
        else:
            yield pattern


def ask(browser: Browser, method: str, name: str, arguments: dict[str, Any]) -> Any:
    """Send one request whose effects are taken back."""
    with transaction.atomic():
        response = getattr(browser, method)(address(name, arguments), SENT.get(name, {}))
        transaction.set_rollback(True)
    return response


CASES = [(name, method) for name, methods in ORGANIZATION_PAGES.items() for method in methods]


@pytest.mark.parametrize(("name", "method"), CASES)
def test_a_page_of_an_organization_opens_for_its_members_by_role(
    cast: Cast, own: Place, other: Place, sign_in: Callable[..., Browser], name: str, method: str
) -> None:
    least = ORGANIZATION_PAGES[name][method]
    for role, rank in RANK.items():
        browser = sign_in(role)
        allowed = rank >= RANK[least]
        response = ask(browser, method, name, own.arguments)
        assert response.status_code in ((200, 302) if allowed else (403,)), role
        if not allowed:
            assert b"owner" in response.content or b"developer" in response.content, "a refusal names the role that is needed"
        # Another organization, and this one's path with the other one's things, do not exist for anybody here.
        assert ask(browser, method, name, other.arguments).status_code == 404, role
        for nested in ("reference", "secret", "member", "invitation", "change", "claim", "token", "draft"):
            if nested in _converters(name):
                mixed = {**own.arguments, nested: other.arguments[nested]}
                assert ask(browser, method, name, mixed).status_code in ((404,) if allowed else (403, 404)), (role, nested)
    for stranger in ("stranger", "reviewer", "operator", "auditor"):
        assert ask(sign_in(stranger), method, name, own.arguments).status_code == 404, stranger
    anonymous = ask(Browser(), method, name, own.arguments)
    assert anonymous.status_code == 302
    assert anonymous["Location"].startswith("/accounts/login/?next=")


def _converters(name: str) -> set[str]:
    return set(next(pattern for pattern in _patterns(get_resolver().url_patterns) if pattern.name == name).pattern.converters)


@pytest.mark.parametrize(("name", "method"), CASES)
def test_an_unknown_organization_and_a_foreign_one_look_the_same(cast: Cast, other: Place, owner: Browser, name: str, method: str) -> None:
    unknown = {**other.arguments, "slug": "no-such-organization"}
    foreign_page, unknown_page = ask(owner, method, name, other.arguments), ask(owner, method, name, unknown)
    assert foreign_page.status_code == unknown_page.status_code == 404
    assert _without_ids(foreign_page) == _without_ids(unknown_page)


def _without_ids(response: Any) -> str:
    html = response.content.decode().replace(response["X-Request-ID"], "")
    return "\n".join(line for line in html.splitlines() if "csrfmiddlewaretoken" not in line)


@pytest.mark.parametrize(("name", "method"), CASES)
def test_the_other_method_is_refused(cast: Cast, own: Place, owner: Browser, name: str, method: str) -> None:
    for wrong in {"get", "post"} - set(ORGANIZATION_PAGES[name]):
        assert ask(owner, wrong, name, own.arguments).status_code == 405


@pytest.mark.parametrize("name", sorted(SIGNED_IN))
def test_pages_about_oneself_ask_a_visitor_to_sign_in(db: None, name: str) -> None:
    arguments = {
        "mfa_remove_webauthn": {"pk": 1},
        "mfa_edit_webauthn": {"pk": 1},
        "consent_take_back": {"consent": 1},
        "session_end": {"session": 1},
    }.get(name, {})
    response = Browser().get(reverse(name, kwargs=arguments))
    assert response.status_code == 302
    assert response["Location"].startswith("/accounts/login/")


def test_staff_pages_are_closed_to_everybody_else(cast: Cast, sign_in: Callable[..., Browser]) -> None:
    arguments: dict[str, Any] = {
        "pk": 1,
        "organization": 1,
        "name": "approve",
        "app_label": "registry",
        "purpose": "protocol",
        "algorithm": "ES256",
        "digest": "0" * 64,
    }
    staff_names = [name for name in ALL_NAMES if name.startswith(f"{STAFF_NAMESPACE}:") and name not in STAFF_ENTRANCE]
    browsers = [Browser(), *(sign_in(who) for who in ("stranger", *RANK))]
    assert staff_names
    for pattern in _staff_patterns(get_resolver().url_patterns):
        if f"{STAFF_NAMESPACE}:{pattern.name}" in STAFF_ENTRANCE or pattern.name is None:
            continue
        url = reverse(f"{STAFF_NAMESPACE}:{pattern.name}", kwargs={key: arguments[key] for key in pattern.pattern.converters})
        for browser in browsers:
            for method in ("get", "post"):
                response = getattr(browser, method)(url)
                assert response.status_code in (302, 403, 404, 405), (url, method)
                assert response.status_code != 302 or "login" in response["Location"], (url, method)


def _staff_patterns(patterns: list[Any], inside: bool = False) -> Iterator[URLPattern]:
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            yield from _staff_patterns(pattern.url_patterns, inside or pattern.namespace == STAFF_NAMESPACE)
        elif inside:
            yield pattern
