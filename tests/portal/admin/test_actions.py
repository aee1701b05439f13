"""What staff do to organizations and apps besides reviewing them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client as Browser
from django.urls import reverse

from authserver.models import AccessToken
from registry.actors import person
from registry.lifecycle import change_client
from registry.models import AuditEvent, Client, Organization, User
from tests.conftest import Cast
from tests.portal.admin.conftest import messages_in, page_of, step_of


def test_suspending_an_organization_ends_its_tokens_and_reinstating_brings_none_back(as_reviewer: Browser, cast: Cast, app: Client) -> None:
    as_reviewer.post(step_of(cast.organization, "suspend"), {"reason": "Stolen laptop."})
    cast.organization.refresh_from_db()
    app.refresh_from_db()
    assert (cast.organization.state, app.state, app.credential_generation) == ("suspended", "active", 2)
    as_reviewer.post(step_of(cast.organization, "reinstate"), {"reason": "Found again."})
    cast.organization.refresh_from_db()
    app.refresh_from_db()
    assert (cast.organization.state, app.credential_generation) == ("approved", 2)


def test_the_confirm_page_of_a_suspension_lists_the_apps_and_counts_the_tokens(
    as_reviewer: Browser, cast: Cast, app: Client, now: datetime
) -> None:
    for minutes in (5, -5):
        AccessToken.objects.create(
            application=app, token=f"t{minutes}", token_checksum=f"{minutes}", expires=now + timedelta(minutes=minutes), scope=""
        )
    response = as_reviewer.get(step_of(cast.organization, "suspend"))
    assert response.context["tokens_count"] == 1
    assert [row.name for row in response.context["apps"]] == ["Back office"]
    cast.organization.refresh_from_db()
    assert cast.organization.state == "approved"


def test_suspending_needs_a_reason(as_reviewer: Browser, cast: Cast, app: Client) -> None:
    for row in (cast.organization, app):
        response = as_reviewer.post(step_of(row, "suspend"))
        assert "This field is required" in response.content.decode()


def test_an_app_is_suspended_and_reinstated(as_reviewer: Browser, app: Client) -> None:
    as_reviewer.post(step_of(app, "suspend"), {"reason": "Its key leaked."})
    app.refresh_from_db()
    assert (app.state, app.state_reason, app.credential_generation) == ("suspended", "Its key leaked.", 2)
    as_reviewer.post(step_of(app, "reinstate"))
    app.refresh_from_db()
    assert app.state == "active"


def test_what_the_service_refuses_is_said_on_the_page(as_reviewer: Browser, app: Client, cast: Cast, now: datetime) -> None:
    change_client(app, "pause", person(cast.owner), now=now)
    response = as_reviewer.post(step_of(app, "reinstate"), follow=True)
    assert response.status_code == 200
    assert "only an owner can resume it" in messages_in(response)


def test_closing_needs_the_typed_name_and_is_final(as_reviewer: Browser, app: Client, cast: Cast) -> None:
    response = as_reviewer.post(step_of(app, "close"), {"typed_name": "Front office"})
    assert "This is not the name" in response.content.decode()
    as_reviewer.post(step_of(app, "close"), {"typed_name": "Back office"})
    app.refresh_from_db()
    assert app.state == "closed"
    as_reviewer.post(step_of(cast.organization, "close"), {"typed_name": cast.organization.legal_name})
    cast.organization.refresh_from_db()
    assert cast.organization.state == "closed"
    response = as_reviewer.get(page_of(app))
    assert response.context["offered"] == []


def test_closing_asks_for_the_password_again(cast: Cast, app: Client, sign_in: Callable[[User], Browser]) -> None:
    cast.reviewer.set_password("correct horse battery")
    cast.reviewer.save()
    browser = sign_in(cast.reviewer)
    response = browser.get(step_of(app, "close"))
    assert response.status_code == 302
    assert response.url.startswith(reverse("account_reauthenticate"))
    assert browser.get(step_of(app, "suspend")).status_code == 200


def test_two_posts_suspend_once(as_reviewer: Browser, app: Client) -> None:
    for _ in range(2):
        response = as_reviewer.post(step_of(app, "suspend"), {"reason": "Twice."}, follow=True)
    assert "suspended already" in messages_in(response)
    assert AuditEvent.objects.filter(event="client.suspended").count() == 1


def test_a_step_that_does_not_exist_is_not_found(as_reviewer: Browser, app: Client, cast: Cast) -> None:
    for row, step in ((app, "activate"), (app, "make-secret"), (cast.organization, "submit")):
        assert as_reviewer.post(step_of(row, step)).status_code == 404


def test_the_page_of_an_app_says_whether_it_can_get_tokens(as_reviewer: Browser, app: Client) -> None:
    response = as_reviewer.get(page_of(app))
    assert "It has no secret yet." in response.content.decode()
    assert response.context["waiting_scopes"] == ["bookings.write"]


def test_staff_draft_an_app_that_an_owner_claims(as_reviewer: Browser, cast: Cast, now: datetime) -> None:
    address = reverse("staff:registry_organization_draft", args=(cast.organization.pk,))
    form = as_reviewer.get(address).context["form"]
    data = {
        "once": form["once"].value(),
        "client_name": "Drafted",
        "kind": "machine",
        "token_endpoint_auth_method": "client_secret_basic",
        "scope": ["bookings.read"],
    }
    for _ in range(2):
        response = as_reviewer.post(address, data, follow=True)
    draft = Client.objects.get(name="Drafted")
    assert response.request["PATH_INFO"] == page_of(draft)
    assert (draft.state, draft.offered_to_owner, draft.organization) == ("draft", True, cast.organization)
    assert not draft.secrets.exists()
    assert AuditEvent.objects.filter(event="client.drafted").count() == 1
    assert change_client(draft, "activate", person(cast.owner), now=now).state == "active"


def test_a_draft_that_the_rules_refuse_shows_why(as_reviewer: Browser, cast: Cast) -> None:
    address = reverse("staff:registry_organization_draft", args=(cast.organization.pk,))
    data = {"once": "x" * 20, "client_name": "Drafted", "kind": "web", "token_endpoint_auth_method": "client_secret_basic"}
    response = as_reviewer.post(address, data)
    assert response.status_code == 200
    assert "needs a redirect URI" in response.content.decode()
    assert not Client.objects.exists()


def test_a_private_key_pasted_into_a_draft_is_not_shown_again(as_reviewer: Browser, cast: Cast) -> None:
    address = reverse("staff:registry_organization_draft", args=(cast.organization.pk,))
    private = '{"keys": [{"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA", "d": "leaked-part"}]}'
    data = {"once": "x" * 20, "client_name": "Drafted", "kind": "machine", "token_endpoint_auth_method": "private_key_jwt", "jwks": private}
    response = as_reviewer.post(address, data)
    assert response.status_code == 200
    assert "leaked-part" not in response.content.decode()


def test_switches_are_set_once_by_those_who_may(as_reviewer: Browser, cast: Cast, app: Client, sign_in: Callable[[User], Browser]) -> None:
    legacy = reverse("staff:registry_client_switch", args=(app.pk, "accepts_token_endpoint_audience"))
    server = reverse("staff:registry_client_switch", args=(app.pk, "is_resource_server"))
    for _ in range(2):
        as_reviewer.post(legacy, {"value": "on"})
    response = as_reviewer.post(server, {"value": "on"}, follow=True)
    assert "Only operator may do this" in messages_in(response)
    app.refresh_from_db()
    assert (app.accepts_token_endpoint_audience, app.is_resource_server) == (True, False)
    sign_in(cast.operator).post(server, {"value": "on"})
    app.refresh_from_db()
    assert app.is_resource_server
    assert AuditEvent.objects.filter(event="client.switched").count() == 2


@pytest.mark.parametrize("text", ["Back", "912 345 678", "owner@lighthouse.example", "Lighthouse"])
def test_apps_are_found_by_name_number_address_and_organization(as_reviewer: Browser, app: Client, cast: Cast, text: str) -> None:
    Organization.objects.filter(pk=cast.organization.pk).update(registration_number="912 345 678")
    response = as_reviewer.get(reverse("staff:registry_client_changelist"), {"q": text})
    assert [row.pk for row in response.context["cl"].result_list] == [app.pk]


def test_apps_are_found_by_client_id_and_filtered_by_organization(as_reviewer: Browser, app: Client) -> None:
    address = reverse("staff:registry_client_changelist")
    for question in ({"q": app.client_id}, {"org": "lighthouse"}, {"org": "lighthouse", "state__exact": "active", "stage__exact": "test"}):
        assert len(as_reviewer.get(address, question).context["cl"].result_list) == 1
    assert len(as_reviewer.get(address, {"org": "tidewater"}).context["cl"].result_list) == 0


def test_the_list_of_apps_needs_the_same_queries_however_many_there_are(
    as_reviewer: Browser, make_client: Callable[..., Client], django_assert_num_queries: Any
) -> None:
    address = reverse("staff:registry_client_changelist")
    make_client()
    with django_assert_num_queries(4):
        as_reviewer.get(address)
    for number in range(10):
        make_client(client_name=f"App {number}")
    with django_assert_num_queries(4):
        as_reviewer.get(address)
