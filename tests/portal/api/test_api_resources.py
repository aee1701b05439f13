"""What the API does: organizations, apps, secrets, change requests and the trail, through the services of the registry."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from django.test import Client as Http

from registry.actors import job, person
from registry.lifecycle import change_organization, register_client, request_go_live
from registry.models import AuditEvent, ChangeRequest, Client, ClientSecret, Entitlement, Membership, Organization
from tests.conftest import Cast
from tests.portal.api.support import API, Machine, issue_token

MACHINE = {"client_name": "Back office", "grant_types": ["client_credentials"], "scope": "bookings.read"}
WEBSITE = {"client_name": "Bookings", "redirect_uris": ["https://app.lighthouse.example/cb"], "scope": "openid bookings.read"}


def last_event() -> AuditEvent:
    event = AuditEvent.objects.first()
    assert event is not None
    return event


def assert_done_by(machine: Machine, event: str, answer: Any) -> None:
    """Check that the newest event of the trail is this one, by that app, under the id of the request."""
    row = last_event()
    assert (row.event, row.actor_kind, row.actor_id) == (event, "client", machine.client.client_id)
    assert row.actor_label == machine.client.name
    assert row.source_address == "127.0.0.1"
    assert row.request_id == answer["X-Request-ID"]


def test_an_app_reads_its_own_organization(cast: Cast, foreign: Organization, own: Machine) -> None:
    listed = own.get("/organizations")
    assert [row["slug"] for row in listed["items"]] == ["lighthouse-travel"]
    assert (listed["total"], listed["next"]) == (1, None)
    found = own.get("/organizations/lighthouse-travel")
    assert found["org_id"] == str(cast.organization.org_id)
    assert found["contacts"] == {"technical": "tech@lighthouse.example", "security": "security@lighthouse.example"}
    assert found["state"] == "approved"
    assert {**listed["items"][0], "submission_digest": found["submission_digest"]} == found


def test_the_operator_lists_organizations_page_by_page_and_by_state(cast: Cast, foreign: Organization, admin: Machine) -> None:
    first = admin.get("/organizations", limit=2)
    assert [row["legal_name"] for row in first["items"]] == ["Credence operator", "Lighthouse Travel"]
    assert first["total"] == 3
    path, _, query = first["next"].removeprefix(f"http://127.0.0.1:8000{API}").partition("?")
    second = Http().get(f"{API}{path}?{query}", headers=admin.headers).json()
    assert [row["legal_name"] for row in second["items"]] == ["Tidewater Insurance"]
    assert second["next"] is None
    assert [row["slug"] for row in admin.get("/organizations", state="draft")["items"]] == ["tidewater-insurance"]


def test_the_operator_creates_an_organization(admin: Machine) -> None:
    body = {
        "legal_name": "Harbour Ferries",
        "country": "NO",
        "contacts": {"technical": "it@harbour.example"},
        "email_domains": ["harbour.example"],
    }
    answer = admin.post("/organizations", body)
    assert answer.status_code == 201
    made = answer.json()
    assert (made["slug"], made["state"], made["contacts"]) == ("harbour-ferries", "draft", {"technical": "it@harbour.example"})
    assert_done_by(admin, "org.created", answer)
    assert not Membership.objects.filter(organization__slug="harbour-ferries").exists()


def test_an_app_changes_details_of_its_organization_but_not_who_it_is(cast: Cast, own: Machine) -> None:
    answer = own.send(
        "PATCH", "/organizations/lighthouse-travel", {"website": "https://new.lighthouse.example", "contacts": {"security": ""}}
    )
    assert answer.status_code == 200
    assert answer.json()["website"] == "https://new.lighthouse.example"
    assert answer.json()["contacts"] == {"technical": "tech@lighthouse.example"}
    assert_done_by(own, "org.updated", answer)
    refused = own.send("PATCH", "/organizations/lighthouse-travel", {"legal_name": "Lighthouse Bank"})
    assert (refused.status_code, refused.json()["reason"]) == (409, "identity")


def test_the_operator_changes_who_an_organization_is(cast: Cast, admin: Machine) -> None:
    answer = admin.send("PATCH", "/organizations/lighthouse-travel", {"legal_name": "Lighthouse Travel Group"})
    assert answer.json()["legal_name"] == "Lighthouse Travel Group"


def test_wrong_details_are_refused_in_the_words_of_the_form(cast: Cast, own: Machine) -> None:
    answer = own.send("PATCH", "/organizations/lighthouse-travel", {"website": "http://x.example", "contacts": {"billing": "nobody"}})
    assert answer.status_code == 400
    assert answer.json()["errors"] == [
        {
            "field": "website",
            "code": "url.scheme",
            "sentence": "The website must be an https URL.",
            "hint": "Write it as https://www.example.org.",
        },
        {
            "field": "contact_billing",
            "code": "contacts.email",
            "sentence": "A contact must be a plain e-mail address.",
            "hint": "Write it without mailto:.",
        },
    ]


def test_the_operator_reviews_what_it_read_and_nothing_else(cast: Cast, foreign: Organization, admin: Machine, now: datetime) -> None:
    path, steps = "/organizations/tidewater-insurance", "/organizations/tidewater-insurance/transitions"
    owner = person(cast.stranger)
    contacts = {"technical": "t@tidewater.example", "security": "s@tidewater.example"}
    assert admin.send("PATCH", path, {"website": "https://www.tidewater.example", "contacts": contacts}).status_code == 200
    refused = admin.post(steps, {"step": "submit"})
    assert (refused.status_code, refused.json()["reason"]) == (403, "permission")
    change_organization(foreign, "submit", owner, now=now)
    read = admin.get(path)["submission_digest"]
    assert admin.send("PATCH", path, {"website": "https://other.tidewater.example"}).status_code == 200
    refused = admin.post(steps, {"step": "approve", "digest": read})
    assert (refused.status_code, refused.json()["reason"]) == (409, "changed")
    missing = admin.post(steps, {"step": "reject"})
    assert missing.status_code == 400
    assert [(item["field"], item["code"]) for item in missing.json()["errors"]] == [("reason", "reason_missing")]
    approval = {"step": "approve", "digest": admin.get(path)["submission_digest"], "override": "They run both domains."}
    answer = admin.post(steps, approval)
    assert answer.json()["state"] == "approved"
    assert_done_by(admin, "review.overridden", answer)
    again = admin.post(steps, {"step": "approve"})
    assert (again.status_code, again.json()["reason"]) == (409, "state")


def test_nobody_reviews_their_own_organization(admin: Machine) -> None:
    for step in ("suspend", "approve", "assign", "reject"):
        refused = admin.post(f"/organizations/{admin.client.organization.slug}/transitions", {"step": step, "reason": "Me."})
        assert (refused.status_code, refused.json()["reason"]) == (403, "permission")


def test_what_a_person_reviews_a_machine_does_not_decide(cast: Cast, foreign: Organization, admin: Machine, now: datetime) -> None:
    Organization.objects.filter(pk=foreign.pk).update(state="pending", reviewer=cast.reviewer)
    refused = admin.post(f"/organizations/{foreign.slug}/transitions", {"step": "approve"})
    assert (refused.status_code, refused.json()["reason"]) == (409, "assigned")
    assert admin.post(f"/organizations/{foreign.slug}/transitions", {"step": "assign"}).status_code == 200
    assert admin.post(f"/organizations/{foreign.slug}/transitions", {"step": "approve"}).status_code == 200
    assert AuditEvent.objects.filter(event="org.approved", object_label="Tidewater Insurance").count() == 1


def test_suspending_an_organization_ends_the_tokens_of_its_apps(cast: Cast, own: Machine, admin: Machine) -> None:
    answer = admin.post("/organizations/lighthouse-travel/transitions", {"step": "suspend", "reason": "Unpaid."})
    assert answer.status_code == 200
    assert own.send("GET", "/organizations").status_code == 401


def test_an_app_registers_another_and_makes_a_secret_that_works(cast: Cast, own: Machine) -> None:
    answer = own.post("/organizations/lighthouse-travel/clients", {"metadata": MACHINE})
    assert answer.status_code == 201
    made = answer.json()
    assert (made["source"], made["stage"], made["state"], made["is_resource_server"]) == ("manual", "test", "active", False)
    assert made["metadata"]["token_endpoint_auth_method"] == "client_secret_basic"
    assert made["organization"] == "lighthouse-travel"
    assert_done_by(own, "client.registered", answer)
    assert answer["ETag"] == own.send("GET", f"/clients/{made['reference']}")["ETag"]
    secret = own.post(f"/clients/{made['reference']}/secrets", {"label": "first", "expires_in": 3600})
    assert secret.status_code == 201
    assert_done_by(own, "secret.created", secret)
    value = secret.json()["value"]
    assert secret.json()["secret"]["tail"] == value[-4:]
    client = Client.objects.get(reference=made["reference"])
    assert client.created_by is None
    assert issue_token(client, value, "bookings.read")


def test_the_value_of_a_secret_stands_in_one_answer_only(own: Machine, admin: Machine) -> None:
    path = f"/clients/{own.client.reference}/secrets"
    made = own.post(path, {}).json()
    places = [
        path,
        f"/clients/{own.client.reference}",
        "/organizations/lighthouse-travel/audit",
        "/organizations/lighthouse-travel/clients",
    ]
    for place in places:
        for machine in (own, admin):
            assert made["value"] not in machine.send("GET", place).content.decode()
            assert own.secret not in machine.send("GET", place).content.decode()
    assert made["value"] not in admin.send("GET", "/audit").content.decode()


def test_a_secret_is_ended_once_and_stays_so(own: Machine) -> None:
    path = f"/clients/{own.client.reference}/secrets"
    made = own.post(path, {"end_others_in": 0}).json()["secret"]
    assert own.get(path)["items"][0]["id"] == made["id"]
    answer = own.send("DELETE", f"{path}/{made['id']}")
    assert (answer.status_code, answer.content) == (204, b"")
    assert_done_by(own, "secret.ended", answer)
    assert own.send("DELETE", f"{path}/{made['id']}").status_code == 204
    assert AuditEvent.objects.filter(event="secret.ended").count() == 1
    assert own.send("DELETE", f"{path}/9223372036854775808123").status_code == 404


def test_an_app_has_two_live_secrets(own: Machine) -> None:
    path = f"/clients/{own.client.reference}/secrets"
    assert own.post(path, {}).status_code == 201
    refused = own.post(path, {})
    assert (refused.status_code, refused.json()["reason"]) == (409, "limit")
    assert own.post(path, {"end_others_in": 0}).status_code == 201
    assert ClientSecret.objects.filter(client=own.client).count() == 3


def test_a_machine_makes_nothing_live_and_no_resource_server(own: Machine) -> None:
    for extra in ({"stage": "live"}, {"is_resource_server": True}, {"source": "dcr"}, {"state": "draft"}):
        answer = own.post("/organizations/lighthouse-travel/clients", {"metadata": MACHINE, **extra})
        assert answer.status_code == 400
        inside = own.post("/organizations/lighthouse-travel/clients", {"metadata": {**MACHINE, **extra}})
        assert inside.status_code == 400
        assert [item["field"] for item in inside.json()["errors"]] == [f"metadata.{next(iter(extra))}"]
    assert Client.objects.count() == 1


def test_what_is_wrong_with_metadata_is_said_in_the_words_of_the_form(own: Machine) -> None:
    document = {
        "client_name": "Bookings",
        "redirect_uris": ["https://a.example/*", "javascript:alert(1)"],
        "client_uri": "http://a.example",
    }
    answer = own.post("/organizations/lighthouse-travel/clients", {"metadata": document})
    assert answer.status_code == 400
    assert [(item["field"], item["code"].partition(".")[0]) for item in answer.json()["errors"]] == [
        ("client_uri", "url"),
        ("redirect_uris[0]", "redirect_uri"),
        ("redirect_uris[1]", "redirect_uri"),
    ]
    assert all(item["sentence"].endswith(".") for item in answer.json()["errors"])


def test_metadata_with_a_language_and_with_what_is_not_offered(own: Machine) -> None:
    localized = own.post("/organizations/lighthouse-travel/clients", {"metadata": {**MACHINE, "client_name#nb": "Kontor"}})
    assert localized.json()["metadata"]["client_name#nb"] == "Kontor"
    refused = own.post(
        "/organizations/lighthouse-travel/clients", {"metadata": {**MACHINE, "frontchannel_logout_uri": "https://a.example"}}
    )
    assert [item["code"] for item in refused.json()["errors"]] == ["value.not_offered"]


def test_an_app_of_another_organization_is_a_draft_that_an_owner_claims(cast: Cast, own: Machine, admin: Machine) -> None:
    answer = admin.post("/organizations/lighthouse-travel/clients", {"metadata": MACHINE})
    assert answer.status_code == 201
    made = answer.json()
    assert (made["state"], made["offered_to_owner"]) == ("draft", True)
    assert_done_by(admin, "client.drafted", answer)
    assert admin.post(f"/clients/{made['reference']}/secrets", {}).status_code == 403
    claimed = own.post(f"/clients/{made['reference']}/transitions", {"step": "activate"})
    assert claimed.json()["state"] == "active"


def test_apps_are_listed_however_they_came_and_by_filter(cast: Cast, foreign: Organization, own: Machine, now: datetime) -> None:
    register_client(job("test"), cast.organization, {**MACHINE, "client_name": "A"}, now=now, source=Client.Source.DCR)
    register_client(job("test"), cast.organization, {**MACHINE, "client_name": "B"}, now=now, stage=Client.Stage.LIVE)
    path = "/organizations/lighthouse-travel/clients"
    assert [row["name"] for row in own.get(path)["items"]] == ["A", "B", "Robot"]
    assert [row["name"] for row in own.get(path, source="dcr")["items"]] == ["A"]
    assert [row["name"] for row in own.get(path, stage="live")["items"]] == ["B"]
    assert [row["name"] for row in own.get(path, state="closed")["items"]] == []


def test_metadata_is_replaced_as_a_whole(cast: Cast, own: Machine) -> None:
    made = own.post("/organizations/lighthouse-travel/clients", {"metadata": {**MACHINE, "contacts": ["a@lighthouse.example"]}}).json()
    answer = own.send("PUT", f"/clients/{made['reference']}", {"metadata": {**MACHINE, "client_name": "Office"}})
    assert answer.status_code == 200
    assert answer.json()["change_request"] is None
    assert answer.json()["client"]["metadata"]["client_name"] == "Office"
    assert "contacts" not in answer.json()["client"]["metadata"]
    assert_done_by(own, "client.updated", answer)


def test_an_edit_of_what_was_changed_meanwhile_is_refused(own: Machine) -> None:
    path = f"/clients/{own.client.reference}"
    read = own.send("GET", path)["ETag"]
    document = {"metadata": {**MACHINE, "scope": "registry", "client_name": "One"}}
    assert own.send("PUT", path, document, headers={"If-Match": read}).status_code == 200
    refused = own.send("PUT", path, document, headers={"If-Match": read})
    assert (refused.status_code, refused["Content-Type"]) == (412, "application/problem+json")
    for any_of in ("*", f'"x", {own.send("GET", path)["ETag"]}'):
        assert own.send("PUT", path, document, headers={"If-Match": any_of}).status_code == 200
    assert own.send("PUT", path, document, headers={"If-Match": "rubbish"}).status_code == 412


@pytest.mark.parametrize("source", [source for source in Client.Source.values if source != Client.Source.MANUAL])
def test_only_apps_registered_by_hand_are_edited(cast: Cast, own: Machine, now: datetime, source: str) -> None:
    client = register_client(job("test"), cast.organization, MACHINE, now=now, source=source)
    refused = own.send("PUT", f"/clients/{client.reference}", {"metadata": {**MACHINE, "client_name": "Mine"}})
    assert (refused.status_code, refused.json()["reason"]) == (409, "source")
    client.refresh_from_db()
    assert client.name == "Back office"


@pytest.fixture
def live(cast: Cast, now: datetime) -> Client:
    """A live app of the cast's organization."""
    return register_client(job("test"), cast.organization, WEBSITE, now=now, stage=Client.Stage.LIVE)


def test_a_sensitive_edit_of_a_live_app_waits_for_a_person(live: Client, own: Machine, admin: Machine) -> None:
    document = {**WEBSITE, "redirect_uris": ["https://evil.example/cb"]}
    answer = own.send("PUT", f"/clients/{live.reference}", {"metadata": document, "justification": "We moved."})
    assert answer.status_code == 202
    body = answer.json()
    assert body["reasons"] == ["Redirects to a new place: https://evil.example."]
    assert body["client"]["metadata"]["redirect_uris"] == WEBSITE["redirect_uris"]
    change = body["change_request"]
    assert (change["state"], change["justification"], change["reasons"]) == ("open", "We moved.", body["reasons"])
    assert_done_by(own, "change.requested", answer)
    live.refresh_from_db()
    assert live.metadata["redirect_uris"] == WEBSITE["redirect_uris"]
    for step in ("approve", "reject", "send_back", "assign"):
        decision = {"step": step, "reason": "Fine.", "digest": change["digest"]}
        refused = own.post(f"/change-requests/{change['reference']}/decisions", decision)
        assert (refused.status_code, refused.json()["reason"]) == (403, "permission")
    approval = {"step": "approve", "digest": change["digest"], "override": "They showed us who runs this host."}
    done = admin.post(f"/change-requests/{change['reference']}/decisions", approval)
    assert (done.status_code, done.json()["state"]) == (200, "approved")
    assert_done_by(admin, "review.overridden", done)
    live.refresh_from_db()
    assert live.metadata["redirect_uris"] == ["https://evil.example/cb"]


def test_an_app_asks_to_go_live_and_the_operators_app_decides(cast: Cast, own: Machine, admin: Machine) -> None:
    made = own.post("/organizations/lighthouse-travel/clients", {"metadata": {**MACHINE, "scope": "bookings.write"}}).json()
    answer = own.post(f"/clients/{made['reference']}/go-live", {"justification": "Ready."})
    assert answer.status_code == 201
    asked = answer.json()
    assert (asked["kind"], asked["client"], asked["is_assigned"]) == ("go_live", made["reference"], False)
    assert_done_by(own, "change.requested", answer)
    path = f"/change-requests/{asked['reference']}"
    assert own.get(path) == admin.get(path) == asked
    assert [row["reference"] for row in own.get("/organizations/lighthouse-travel/change-requests", state="open")["items"]] == [
        asked["reference"]
    ]
    assert [row["reference"] for row in admin.get("/change-requests", kind="go_live")["items"]] == [asked["reference"]]
    assert admin.get("/change-requests", kind="change")["items"] == []
    without = admin.post(f"{path}/decisions", {"step": "approve"})
    assert (without.status_code, without.json()["errors"][0]["field"]) == (400, "digest")
    stale = admin.post(f"{path}/decisions", {"step": "approve", "digest": "0" * 64})
    assert (stale.status_code, stale.json()["reason"]) == (409, "changed")
    assert admin.post(f"{path}/decisions", {"step": "send_back"}).status_code == 400
    approval = {"step": "approve", "digest": asked["digest"], "override": "Resellers need it."}
    assert admin.post(f"{path}/decisions", approval).status_code == 200
    client = Client.objects.get(reference=made["reference"])
    assert client.stage == "live"
    assert Entitlement.objects.filter(client=client, value="bookings.write", because="staff").exists()


def test_a_request_is_withdrawn_by_its_own_side_only(cast: Cast, own: Machine, admin: Machine, now: datetime) -> None:
    client = register_client(cast.as_owner, cast.organization, MACHINE, now=now)
    change = request_go_live(client, cast.as_owner, now=now)
    assert admin.post(f"/change-requests/{change.reference}/decisions", {"step": "withdraw"}).status_code == 403
    answer = own.post(f"/change-requests/{change.reference}/decisions", {"step": "withdraw"})
    assert answer.json()["state"] == "withdrawn"
    assert_done_by(own, "change.withdrawn", answer)


def test_a_request_that_a_person_reviews_is_theirs_until_it_is_assigned_anew(cast: Cast, admin: Machine, now: datetime) -> None:
    client = register_client(cast.as_owner, cast.organization, MACHINE, now=now)
    change = request_go_live(client, cast.as_owner, now=now)
    ChangeRequest.objects.filter(pk=change.pk).update(reviewer=cast.reviewer)
    path = f"/change-requests/{change.reference}"
    assert admin.get(path)["is_assigned"] is True
    refused = admin.post(f"{path}/decisions", {"step": "reject", "reason": "No."})
    assert (refused.status_code, refused.json()["reason"]) == (409, "assigned")
    assert admin.post(f"{path}/decisions", {"step": "assign"}).json()["is_assigned"] is False
    assert admin.post(f"{path}/decisions", {"step": "reject", "reason": "No."}).json()["state"] == "rejected"


def test_the_operators_app_cannot_approve_for_its_own_organization(admin: Machine) -> None:
    made = admin.post(
        f"/organizations/{admin.client.organization.slug}/clients", {"metadata": {**MACHINE, "scope": "registry.admin"}}
    ).json()
    change = admin.post(f"/clients/{made['reference']}/go-live", {}).json()
    refused = admin.post(f"/change-requests/{change['reference']}/decisions", {"step": "approve", "digest": change["digest"]})
    assert (refused.status_code, refused.json()["reason"]) == (403, "permission")


def test_an_owner_pauses_and_staff_suspend(cast: Cast, own: Machine, admin: Machine) -> None:
    made = own.post("/organizations/lighthouse-travel/clients", {"metadata": MACHINE}).json()
    path = f"/clients/{made['reference']}/transitions"
    assert own.post(path, {"step": "pause"}).json()["paused_by_owner"] is True
    assert admin.post(path, {"step": "reinstate"}).json()["reason"] == "paused"
    assert admin.post(path, {"step": "suspend", "reason": "Odd traffic."}).json()["state_reason"] == "Odd traffic."
    refused = own.post(path, {"step": "resume"})
    assert (refused.status_code, refused.json()["reason"]) == (409, "suspended")
    assert own.post(path, {"step": "suspend", "reason": "x"}).status_code == 403
    assert admin.post(path, {"step": "reinstate"}).json()["state"] == "active"
    assert own.post(path, {"step": "close"}).json()["state"] == "closed"


def test_an_app_that_pauses_itself_is_out(own: Machine) -> None:
    assert own.post(f"/clients/{own.client.reference}/transitions", {"step": "pause"}).status_code == 200
    assert own.send("GET", "/organizations").status_code == 401


def test_a_partner_reads_its_trail_without_who_of_staff_it_was(cast: Cast, foreign: Organization, own: Machine, admin: Machine) -> None:
    admin.post("/organizations/lighthouse-travel/clients", {"metadata": MACHINE})
    own.send("PATCH", "/organizations/lighthouse-travel", {"website": "https://new.lighthouse.example"})
    events = own.get("/organizations/lighthouse-travel/audit", limit=100)["items"]
    assert {event["organization"] for event in events} == {"lighthouse-travel"}
    assert events[0]["event"] == "org.updated"
    assert events[0]["actor"] == {"kind": "client", "id": own.client.client_id, "label": "Robot"}
    assert events[0]["difference"] == {"website": ["https://lighthouse.example", "https://new.lighthouse.example"]}
    assert events[0]["source_address"] == "127.0.0.1"
    drafted = events[1]
    assert (drafted["event"], drafted["actor"]) == ("client.drafted", {"kind": "staff", "id": "", "label": ""})
    assert (drafted["source_address"], drafted["request_id"], drafted["difference"]) == (None, "", {})
    assert "client_name" in drafted["changed"]
    text = str(events)
    for hidden in (cast.reviewer.email, str(cast.reviewer.sub), admin.client.client_id, "Desk", "tidewater"):
        assert hidden not in text
    assigned = next(event for event in events if event["event"] == "org.approved")
    assert assigned["difference"] == {"state": ["pending", "approved"]}


def test_the_operator_reads_everything_that_happened(cast: Cast, foreign: Organization, own: Machine, admin: Machine) -> None:
    events = admin.get("/audit", limit=100)["items"]
    assert {event["organization"] for event in events} >= {"lighthouse-travel", "tidewater-insurance", None} - {None}
    approved = next(event for event in events if event["event"] == "org.approved" and event["organization"] == "lighthouse-travel")
    assert approved["actor"] == {"kind": "staff", "id": str(cast.reviewer.sub), "label": cast.reviewer.email}


def test_the_trail_goes_on_where_a_page_ended_and_is_followed_from_an_event(cast: Cast, own: Machine) -> None:
    path = "/organizations/lighthouse-travel/audit"
    everything = own.get(path, limit=100)["items"]
    assert [event["id"] for event in everything] == sorted((event["id"] for event in everything), reverse=True)
    seen, page = [], own.get(path, limit=2)
    seen += page["items"]
    while page["next"]:
        page = Http().get(page["next"].removeprefix("http://127.0.0.1:8000"), headers=own.headers).json()
        seen += page["items"]
    assert seen == everything
    since = everything[2]["id"]
    assert own.get(path, since_id=since)["items"] == everything[:2]
    assert [event["event"] for event in own.get(path, event="org.approved")["items"]] == ["org.approved"]
    assert own.get(path, event="org.APPROVED")["items"] == []


def test_the_pages_of_the_portal_name_an_app_and_our_staff(cast: Cast, own: Machine, admin: Machine) -> None:
    own.send("PATCH", "/organizations/lighthouse-travel", {"website": "https://new.lighthouse.example"})
    admin.send("PATCH", "/organizations/lighthouse-travel", {"website": "https://newer.lighthouse.example"})
    browser = Http()
    browser.force_login(cast.owner)
    html = browser.get("/org/lighthouse-travel/activity/").content.decode()
    assert "Robot · 127.0.0.1" in html
    assert "Our staff" in html
    assert "Desk" not in html
