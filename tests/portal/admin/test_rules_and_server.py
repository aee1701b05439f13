"""The policy, scopes, signing keys and people in the staff pages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from datetime import datetime
from typing import Any

import pytest
from django.test import Client as Browser
from django.urls import reverse

from portal.admin.policy_forms import POLICY_WORDS
from registry.actors import COMMAND_LINE, person
from registry.models import AuditEvent, Membership, PolicyRecord, Scope, SigningKey, User
from registry.policies import get_policy
from registry.registration_policy import RegistrationPolicy
from registry.signing_keys import ensure_signing_keys
from tests.conftest import Cast
from tests.portal.admin.conftest import messages_in, page_of

POLICY = "staff:registry_policyrecord_all"


@pytest.fixture
def as_operator(cast: Cast, sign_in: Callable[[User], Browser]) -> Browser:
    """A browser of the operator."""
    return sign_in(cast.operator)


def filled_in(response: Any, **changes: Any) -> dict[str, Any]:
    """Return what a browser would send of the form on a page, with changes."""
    form = response.context["form"]
    values = {name: form[name].value() for name in form.fields}
    return {name: value for name, value in {**values, **changes}.items() if value is not None and value is not False}


def save_policy_by_form(browser: Browser, address: str, **changes: Any) -> Any:
    """Send the form of a policy, look at who would change, and save it."""
    report = browser.post(address, filled_in(browser.get(address), **changes), follow=True)
    return browser.post(report.redirect_chain[-1][0], follow=True)


def test_every_value_of_the_policy_has_a_field_with_words() -> None:
    assert list(POLICY_WORDS) == [field.name for field in fields(RegistrationPolicy)]


def test_an_operator_changes_the_policy_and_only_what_differs_is_kept(as_operator: Browser, cast: Cast) -> None:
    changes = {"clients_limit": 7, "live_token_endpoint_auth_methods": ["private_key_jwt"], "require_signed_request_object": True}
    assert "Saved." in messages_in(save_policy_by_form(as_operator, reverse(POLICY), **changes))
    record = PolicyRecord.objects.get()
    assert record.values == {
        "clients_limit": 7,
        "live_token_endpoint_auth_methods": ["private_key_jwt"],
        "require_signed_request_object": True,
    }
    event = AuditEvent.objects.get(event="policy.changed")
    assert event.difference["clients_limit"] == [None, 7]
    assert event.actor_label == cast.operator.email


def test_saving_the_policy_unchanged_writes_nothing(as_operator: Browser) -> None:
    as_operator.post(reverse(POLICY), filled_in(as_operator.get(reverse(POLICY))))
    assert not AuditEvent.objects.filter(event="policy.changed").exists()


def test_an_organization_gets_a_policy_of_its_own(as_operator: Browser, cast: Cast) -> None:
    address = reverse("staff:registry_policyrecord_organization", args=(cast.organization.pk,))
    save_policy_by_form(as_operator, reverse(POLICY), clients_limit=7)
    assert as_operator.get(address).context["form"]["clients_limit"].value() == 7
    save_policy_by_form(as_operator, address, redirect_uris_limit=2)
    assert get_policy(cast.organization).redirect_uris_limit == 2
    assert get_policy(cast.organization).clients_limit == 7
    assert get_policy().redirect_uris_limit == 20
    assert AuditEvent.objects.filter(event="policy.changed", organization=cast.organization).count() == 1


def test_values_that_the_policy_cannot_have_are_refused(as_operator: Browser) -> None:
    data = filled_in(as_operator.get(reverse(POLICY)))
    for wrong in ({"clients_limit": 0}, {"grant_types": ["password"]}, {"access_token_lifetime_seconds": "soon"}, {"grant_types": []}):
        response = as_operator.post(reverse(POLICY), {**data, **wrong})
        assert response.status_code == 200
        assert response.context["form"].errors
    assert not PolicyRecord.objects.exists()


def test_an_operator_does_not_change_the_policy_of_their_own_organization(as_operator: Browser, cast: Cast) -> None:
    Membership.objects.create(organization=cast.organization, user=cast.operator, role="owner")
    address = reverse("staff:registry_policyrecord_organization", args=(cast.organization.pk,))
    response = as_operator.post(address, filled_in(as_operator.get(address), clients_limit=500))
    assert "Only an operator" in response.content.decode()
    assert not PolicyRecord.objects.exists()


def test_an_operator_adds_describes_and_retires_a_scope(as_operator: Browser) -> None:
    add = reverse("staff:registry_scope_add")
    for _ in range(2):
        response = as_operator.post(add, {"name": "tickets.read", "title": "See your tickets"})
    assert "exists" in response.content.decode()
    scope = Scope.objects.get(name="tickets.read")
    as_operator.post(page_of(scope), {"name": "renamed", "title": "See tickets", "is_sensitive": "on"})
    as_operator.post(page_of(scope), {"title": "See tickets", "is_sensitive": "on", "is_retired": "on"})
    scope.refresh_from_db()
    assert (scope.name, scope.title, scope.is_sensitive, scope.is_retired) == ("tickets.read", "See tickets", True, True)
    events = AuditEvent.objects.filter(object_type="scope").values_list("event", flat=True).order_by("id")
    assert list(events) == ["scope.created", "scope.updated", "scope.retired"]


def test_a_scope_name_that_no_token_can_carry_is_refused(as_operator: Browser) -> None:
    response = as_operator.post(reverse("staff:registry_scope_add"), {"name": "two words", "title": "No"})
    assert "RFC 6749" in response.content.decode()


def test_a_form_sent_twice_rotates_a_key_once(as_operator: Browser, now: datetime) -> None:
    ensure_signing_keys(COMMAND_LINE, now=now)
    address = reverse("staff:registry_signingkey_rotate", args=("protocol", "ES256"))
    page = as_operator.get(address)
    following = page.context["following"]
    for _ in range(2):
        response = as_operator.post(address, {"current": page.context["current"].kid}, follow=True)
    assert "rotated meanwhile" in messages_in(response)
    assert SigningKey.objects.get(purpose="protocol", algorithm="ES256", state="current").kid == following.kid
    assert AuditEvent.objects.filter(event="signing_key.rotated").count() == 1


def test_only_an_administrator_changes_who_is_staff(
    cast: Cast, administrator: User, as_operator: Browser, sign_in: Callable[[User], Browser]
) -> None:
    address = reverse("staff:registry_user_role", args=(cast.stranger.pk,))
    assert as_operator.post(address, {"staff_role": "reviewer"}).status_code == 403
    browser = sign_in(administrator)
    for _ in range(2):
        browser.post(address, {"staff_role": "reviewer"})
    cast.stranger.refresh_from_db()
    assert cast.stranger.staff_role == "reviewer"
    event = AuditEvent.objects.get(event="user.staff_role_changed")
    assert (event.difference, event.actor_label) == ({"staff_role": ["", "reviewer"]}, administrator.email)


def test_nobody_changes_their_own_role(administrator: User, sign_in: Callable[[User], Browser]) -> None:
    response = sign_in(administrator).post(reverse("staff:registry_user_role", args=(administrator.pk,)), {"staff_role": "auditor"})
    assert "ask another administrator" in response.content.decode()


def test_a_person_has_staff_roles_as_staff_only(cast: Cast) -> None:
    assert person(cast.operator).roles(None) == frozenset()
    assert person(cast.operator, staff=True).roles(None) == {"operator"}
    assert person(cast.auditor, staff=True).roles(cast.organization) == frozenset()
    assert person(cast.owner, staff=True).roles(cast.organization) == frozenset()
