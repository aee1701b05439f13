"""The staff pages about federations: trust anchors, refused entities, rules, and entities that wait for an organization."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client as Browser
from django.urls import reverse

from authserver.models import AccessToken
from federation.models import EntityClaim, FederationRecord, OrganizationRule, RefusedEntity, RegistrationRequest, TrustAnchorRecord
from federation.models import TrustMarkRule as MarkRule
from portal.admin.federation.pages import APPS_SHOWN
from protocol.jose import generate_private_key
from registry.lifecycle import change_organization
from registry.models import AuditEvent, Client, Membership, Organization, Scope, User
from tests.conftest import Cast, make_organization
from tests.portal.admin.conftest import ANCHOR, HARBOUR, Federated, list_of, messages_in, page_of, save_rule, subpage_of

MARK = "https://marks.example/certified"
HOSTILE = (
    *("", " ", "http://anchor.example", "https://anchor.example/?x=1", "https://user@anchor.example", "javascript:alert(1)", "anchor"),
    *("https://anchor.example/" + "a" * 3000, "https://10.0.0.1", "https://anchor.example/\x00", "\u202ehttps://x.example"),
)


@pytest.fixture
def as_operator(cast: Cast, sign_in: Callable[[User], Browser]) -> Browser:
    """A browser of the operator."""
    return sign_in(cast.operator)


@pytest.fixture
def as_auditor(cast: Cast, sign_in: Callable[[User], Browser]) -> Browser:
    """A browser of the auditor."""
    return sign_in(cast.auditor)


def keys(*, private: bool = False, **members: Any) -> str:
    key = generate_private_key("ES256")
    return json.dumps({"keys": [{**key.public_jwk(), **({"d": "leaked-part"} if private else {}), **members}]})


def errors_in(response: Any) -> dict[str, list[str]]:
    assert response.status_code == 200
    return {name: list(errors) for name, errors in response.context["form"].errors.items()}


def staff_events() -> list[str]:
    """Return what staff did on these pages, oldest first."""
    own = ("trust_anchor", "entity", "organization_rule", "registration_request", "trust_mark_rule")
    found = AuditEvent.objects.filter(actor_kind="staff").order_by("id").values_list("event", flat=True)
    return [event for event in found if event.partition(".")[0] in own]


# Trust anchors


def test_an_operator_accepts_a_trust_anchor_by_its_keys(as_operator: Browser, cast: Cast) -> None:
    response = as_operator.post(
        list_of(TrustAnchorRecord, "add"), {"entity_id": "https://new.example", "jwks": keys(), "organizations": "match"}, follow=True
    )
    anchor = TrustAnchorRecord.objects.get()
    assert (anchor.entity_id, anchor.organizations, anchor.is_enabled) == ("https://new.example", "match", True)
    assert anchor.jwks["keys"][0]["kid"] in response.content.decode()
    event = AuditEvent.objects.get(event="trust_anchor.added")
    assert (event.actor_label, event.actor_kind) == (cast.operator.email, "staff")


@pytest.mark.parametrize("entity_id", HOSTILE)
def test_what_is_no_entity_identifier_is_refused_at_its_field(as_operator: Browser, federated: Federated, entity_id: str) -> None:
    more = {"jwks": keys(), "organizations": "queue", "reason": "Because.", "organization": "lighthouse-travel"}
    for model, field in ((TrustAnchorRecord, "entity_id"), (RefusedEntity, "entity_id"), (OrganizationRule, "superior")):
        assert field in errors_in(as_operator.post(list_of(model, "add"), {**more, field: entity_id}))
    assert "entity_id" in errors_in(as_operator.get(list_of(RefusedEntity, "add"), {"entity_id": entity_id}))
    if entity_id.strip():
        data = {"trust_mark_type": MARK, "issuers": entity_id}
        assert "issuers" in errors_in(as_operator.post(list_of(MarkRule, "add"), data))
        assert "anchor" in errors_in(as_operator.post(list_of(MarkRule, "add"), {"trust_mark_type": MARK, "anchor": entity_id}))
    assert staff_events() == []


@pytest.mark.parametrize(
    "pasted", ["", "no json", "[]", "{}", '{"keys": []}', '{"keys": [{}]}', '{"keys": 1}', keys(kid=""), keys(use="enc")]
)
def test_keys_that_cannot_be_pinned_are_refused_at_their_field(as_operator: Browser, federated: Federated, pasted: str) -> None:
    data = {"entity_id": "https://new.example", "jwks": pasted, "organizations": "queue"}
    assert list(errors_in(as_operator.post(list_of(TrustAnchorRecord, "add"), data))) == ["jwks"]
    if pasted:
        data = {"jwks": pasted, "organizations": "queue", "position": 0}
        assert list(errors_in(as_operator.post(page_of(federated.anchor), data))) == ["jwks"]
    assert staff_events() == []


def test_the_lists_are_narrowed_by_our_words_for_the_values_of_a_column(as_operator: Browser, federated: Federated) -> None:
    gone = TrustAnchorRecord.objects.create(entity_id="https://gone.example", jwks={"keys": []}, is_enabled=False, organizations="match")
    for question, expected in (({"is_enabled__exact": "0"}, {gone, federated.former}), ({"organizations__exact": "match"}, {gone})):
        page = as_operator.get(list_of(TrustAnchorRecord), question)
        assert set(page.context["cl"].result_list) == expected
    everything = as_operator.get(list_of(TrustAnchorRecord), {"is_enabled__exact": "2"})
    assert set(everything.context["cl"].result_list) == set(TrustAnchorRecord.objects.all())
    for words in ("Trusted no more", "Match a known one", "3 results"):
        assert words in everything.content.decode()


def test_the_lists_are_headed_in_the_language_of_who_reads(as_operator: Browser, cast: Cast, federated: Federated) -> None:
    User.objects.filter(pk=cast.operator.pk).update(language="de")
    RefusedEntity.objects.create(entity_id="https://gone.example", reason="Because.")
    body = as_operator.get(list_of(RefusedEntity)).content.decode()
    assert "Entity Identifier" in body
    assert "Grund" in body
    assert "1 Ergebnis" in body
    assert "refused entity" not in body.lower()


def test_a_private_key_is_refused_and_not_shown_again(as_operator: Browser, federated: Federated) -> None:
    data = {"entity_id": "https://new.example", "jwks": keys(private=True), "organizations": "queue", "position": 0}
    for address in (list_of(TrustAnchorRecord, "add"), page_of(federated.anchor)):
        response = as_operator.post(address, data)
        assert "Treat this key as leaked" in errors_in(response)["jwks"][0]
        assert "leaked-part" not in response.content.decode()


def test_an_anchor_that_is_known_or_refused_is_not_added(as_operator: Browser, federated: Federated) -> None:
    RefusedEntity.objects.create(entity_id="https://refused.example", reason="Because.")
    before = federated.anchor.jwks
    for entity_id, words in ((ANCHOR, "known here already"), (federated.former.entity_id, "known"), ("https://refused.example", "refused")):
        data = {"entity_id": entity_id, "jwks": keys(), "organizations": "create"}
        assert words in errors_in(as_operator.post(list_of(TrustAnchorRecord, "add"), data))["entity_id"][0]
    federated.anchor.refresh_from_db()
    assert federated.anchor.jwks == before


def test_saving_an_anchor_keeps_what_is_not_given_and_writes_nothing_when_nothing_changes(
    as_operator: Browser, federated: Federated
) -> None:
    before = federated.anchor.jwks
    as_operator.post(page_of(federated.anchor), {"organizations": "queue", "position": 0, "jwks": ""})
    assert staff_events() == []
    as_operator.post(page_of(federated.anchor), {"organizations": "create", "position": 4, "registers_at_token_endpoint": "on"})
    federated.anchor.refresh_from_db()
    anchor = federated.anchor
    assert (anchor.organizations, anchor.position, anchor.registers_at_token_endpoint, anchor.jwks) == ("create", 4, True, before)
    event = AuditEvent.objects.get(event="trust_anchor.changed")
    assert event.difference == {"organizations": ["queue", "create"], "position": [0, 4], "registers_at_token_endpoint": [False, True]}
    assert FederationRecord.objects.get().next_check_at > event.time + timedelta(hours=1)


def test_other_keys_are_pinned_and_every_app_below_is_due(as_operator: Browser, federated: Federated) -> None:
    pasted = keys()
    as_operator.post(page_of(federated.anchor), {"organizations": "queue", "position": 0, "jwks": pasted})
    federated.anchor.refresh_from_db()
    assert [key["kid"] for key in federated.anchor.jwks["keys"]] == [key["kid"] for key in json.loads(pasted)["keys"]]
    event = AuditEvent.objects.get(event="trust_anchor.changed")
    assert set(event.difference) == {"kids", "thumbprints"}
    assert FederationRecord.objects.get().next_check_at <= event.time


def test_changing_a_disabled_anchor_does_not_enable_it(as_operator: Browser, federated: Federated) -> None:
    as_operator.post(page_of(federated.former), {"organizations": "create", "position": 1, "jwks": keys()})
    federated.former.refresh_from_db()
    assert (federated.former.is_enabled, federated.former.organizations) == (False, "create")


@pytest.mark.parametrize(
    "wrong", [{"position": -1}, {"position": "x"}, {"position": 10**12}, {"organizations": "all"}, {"organizations": ""}]
)
def test_values_that_an_anchor_cannot_have_are_refused(as_operator: Browser, federated: Federated, wrong: dict[str, Any]) -> None:
    data = {"organizations": "queue", "position": 0, **wrong}
    assert list(errors_in(as_operator.post(page_of(federated.anchor), data))) == list(wrong)


def test_the_confirm_page_lists_which_apps_of_which_organizations_end(
    as_operator: Browser, federated: Federated, register_below: Callable[..., Client], cast: Cast, now: datetime
) -> None:
    other = make_organization(cast.stranger, cast.reviewer, now, "Ærø Ferries")
    register_below("https://other.example", other)
    register_below("https://elsewhere.example", other, entities=["https://elsewhere.example", "https://southlight.example"])
    Client.objects.filter(client_id="https://other.example").update(trust=Client.Trust.BROKEN)
    AccessToken.objects.create(
        application=federated.client, token="t", token_checksum="1", expires=now + timedelta(minutes=5), scope=""
    )  # fmt: skip
    for address in (subpage_of(federated.anchor, "distrust"), list_of(RefusedEntity, "add") + f"?entity_id={HARBOUR}"):
        response = as_operator.get(address)
        carried = response.context["carried"]
        assert [app.client_id for app in carried.shown] == ["https://ferries.example", "https://other.example"]
        assert (carried.organizations, len(carried.ending), response.context["tokens_count"]) == (2, 1, 1)
        assert "1 app loses its trust" in response.content.decode()
        assert "Ærø Ferries" in response.content.decode()
    federated.client.refresh_from_db()
    assert federated.client.trust == "valid"


def test_an_anchor_is_trusted_no_more_and_trusted_again(as_operator: Browser, federated: Federated) -> None:
    address = subpage_of(federated.anchor, "distrust")
    assert list(errors_in(as_operator.post(address, {"reason": " "}))) == ["reason"]
    response = as_operator.post(address, {"reason": "Its key leaked."}, follow=True)
    assert "1 app lost its trust" in messages_in(response)
    federated.client.refresh_from_db()
    assert (federated.client.trust, federated.client.credential_generation) == ("broken", 2)
    response = as_operator.post(address, {"reason": "Twice."}, follow=True)
    assert "already" in messages_in(response)
    again = subpage_of(federated.anchor, "trust_again")
    as_operator.get(again)
    for _ in range(2):
        response = as_operator.post(again, follow=True)
    assert "already" in messages_in(response)
    federated.anchor.refresh_from_db()
    assert federated.anchor.is_enabled
    assert staff_events() == ["trust_anchor.disabled", "trust_anchor.enabled"]
    events = [entry.sentence for entry in as_operator.get(page_of(federated.anchor)).context["events"]]
    assert events == [f"Trust anchor trusted again: {ANCHOR}", f"Trust anchor trusted no more: {ANCHOR}"]


def test_others_read_an_anchor_and_are_offered_nothing(as_auditor: Browser, federated: Federated) -> None:
    response = as_auditor.get(page_of(federated.anchor))
    body = response.content.decode()
    assert "distrust" not in body
    assert all(field.disabled for field in response.context["form"].fields.values())
    assert "https://ferries.example" in body


def test_changing_trust_asks_for_the_password_again(cast: Cast, federated: Federated, sign_in: Callable[[User], Browser]) -> None:
    cast.operator.set_password("correct horse battery")
    cast.operator.save()
    browser = sign_in(cast.operator)
    for address in (page_of(federated.anchor), subpage_of(federated.anchor, "distrust"), list_of(RefusedEntity, "add")):
        assert browser.get(address).status_code == 200
        response = browser.post(address, {"reason": "Because.", "entity_id": HARBOUR})
        assert response.url.startswith(reverse("account_reauthenticate"))
    assert staff_events() == []


# Refused entities


def test_an_entity_is_looked_at_then_refused_then_taken_back(as_operator: Browser, federated: Federated) -> None:
    add = list_of(RefusedEntity, "add")
    assert "carried" not in as_operator.get(add).context
    page = as_operator.get(add, {"entity_id": HARBOUR})
    assert page.context["form"]["entity_id"].value() == HARBOUR
    assert list(errors_in(as_operator.post(add, {"entity_id": HARBOUR, "reason": ""}))) == ["reason"]
    response = as_operator.post(add, {"entity_id": HARBOUR, "reason": "Taken over."}, follow=True)
    assert "1 app lost its trust" in messages_in(response)
    row = RefusedEntity.objects.get()
    assert (row.entity_id, row.reason) == (HARBOUR, "Taken over.")
    federated.client.refresh_from_db()
    assert federated.client.trust == "broken"
    as_operator.post(subpage_of(row, "take_back"))
    assert not RefusedEntity.objects.exists()
    assert staff_events() == ["entity.refused", "entity.accepted_again"]
    assert as_operator.post(subpage_of(row, "take_back")).status_code == 404


def test_refusing_a_trust_anchor_says_so_and_disables_it(as_operator: Browser, federated: Federated) -> None:
    add = list_of(RefusedEntity, "add")
    assert "This is a trust anchor" in as_operator.get(add, {"entity_id": ANCHOR}).content.decode()
    as_operator.post(add, {"entity_id": ANCHOR, "reason": "Because."})
    federated.anchor.refresh_from_db()
    assert not federated.anchor.is_enabled


# Organization rules


@pytest.mark.parametrize("typed", ["lighthouse-travel", "Lighthouse Travel", "lighthouse travel", "org_id"])
def test_a_rule_takes_an_organization_by_short_name_name_or_identifier(as_operator: Browser, cast: Cast, typed: str) -> None:
    typed = str(cast.organization.org_id) if typed == "org_id" else typed
    save_rule(as_operator, list_of(OrganizationRule, "add"), {"superior": HARBOUR, "organization": typed})
    assert OrganizationRule.objects.get().organization == cast.organization


def test_an_organization_that_is_unknown_or_named_like_another_is_refused(as_operator: Browser, cast: Cast, now: datetime) -> None:
    make_organization(cast.stranger, cast.reviewer, now)
    for typed, words in (("nobody", "No organization"), ("Lighthouse Travel", "More than one"), ("", "required"), ("\x00", "Null")):
        response = save_rule(as_operator, list_of(OrganizationRule, "add"), {"superior": HARBOUR, "organization": typed})
        assert words in errors_in(response)["organization"][0]


def test_the_form_proposes_approved_organizations(as_operator: Browser, cast: Cast, pending: Organization) -> None:
    body = as_operator.get(list_of(OrganizationRule, "add")).content.decode()
    assert '<option value="lighthouse-travel">Lighthouse Travel</option>' in body
    assert pending.legal_name not in body


def test_a_rule_is_not_added_twice_but_changed_and_removed(as_operator: Browser, cast: Cast, now: datetime) -> None:
    other = make_organization(cast.stranger, cast.reviewer, now, "Tidewater Ferries")
    add = list_of(OrganizationRule, "add")
    save_rule(as_operator, add, {"superior": HARBOUR, "organization": "lighthouse-travel"})
    response = save_rule(as_operator, add, {"superior": HARBOUR, "organization": other.slug})
    assert "There is a rule" in errors_in(response)["superior"][0]
    rule = OrganizationRule.objects.get()
    save_rule(as_operator, page_of(rule), {"superior": "https://ignored.example", "organization": other.slug})
    rule = OrganizationRule.objects.get()
    assert (rule.superior, rule.organization) == (HARBOUR, other)
    event = AuditEvent.objects.filter(event="organization_rule.saved").first()
    assert event is not None
    assert event.difference == {"organization": ["Lighthouse Travel", "Tidewater Ferries"]}
    as_operator.post(subpage_of(rule, "remove"))
    assert not OrganizationRule.objects.exists()


def test_nobody_makes_a_rule_for_their_own_organization(as_operator: Browser, cast: Cast) -> None:
    Membership.objects.create(organization=cast.organization, user=cast.operator, role="owner")
    response = save_rule(as_operator, list_of(OrganizationRule, "add"), {"superior": HARBOUR, "organization": "lighthouse-travel"})
    assert "organization of their own" in errors_in(response)["organization"][0]


# Entities that wait for an organization


def test_what_waits_comes_first_and_the_index_leads_there(as_reviewer: Browser, federated: Federated, now: datetime) -> None:
    for state in ("assigned", "dismissed"):
        RegistrationRequest.objects.create(entity_id=f"https://{state}.example", state=state, last_seen_at=now + timedelta(days=1))
    response = as_reviewer.get(list_of(RegistrationRequest))
    assert response.context["cl"].result_list[0] == federated.request
    assert "1 entity of a federation waits" in as_reviewer.get(reverse("staff:index")).content.decode()
    found = as_reviewer.get(list_of(RegistrationRequest), {"q": "Insurance", "state__exact": "open"})
    assert list(found.context["cl"].result_list) == [federated.request]


def test_the_page_shows_chain_and_resolved_metadata(as_reviewer: Browser, federated: Federated) -> None:
    body = as_reviewer.get(page_of(federated.request)).content.decode()
    for words in ("Tidewater Insurance", HARBOUR, "the trust anchor", "https://tidewater.example/callback", "openid_relying_party"):
        assert words in body


@pytest.mark.parametrize("role", ["reviewer", "operator"])
def test_an_entity_is_assigned_once(role: str, cast: Cast, federated: Federated, sign_in: Callable[[User], Browser]) -> None:
    browser = sign_in(getattr(cast, role))
    address = subpage_of(federated.request, "assign")
    browser.post(address, {"organization": "lighthouse-travel"})
    federated.request.refresh_from_db()
    assert (federated.request.state, federated.request.organization) == ("assigned", cast.organization)
    claim = EntityClaim.objects.get()
    assert (claim.entity_id, claim.proof, claim.claimed_by) == ("https://tidewater.example", "staff", getattr(cast, role))
    for name, data in (("assign", {"organization": "lighthouse-travel"}), ("dismiss", {"reason": "Late."})):
        response = browser.post(subpage_of(federated.request, name), data, follow=True)
        assert "has its organization already" in response.content.decode()
    assert browser.get(page_of(federated.request)).context["forms"] == ()
    assert staff_events() == ["registration_request.assigned"]


def test_what_cannot_be_assigned_is_said_at_the_field(
    as_reviewer: Browser, federated: Federated, pending: Organization, cast: Cast
) -> None:  # fmt: skip
    Membership.objects.create(organization=cast.organization, user=cast.reviewer, role="viewer")
    cases = (("nobody", "No organization"), (pending.slug, "approved first"), ("lighthouse-travel", "a colleague must decide"))
    for typed, words in cases:
        response = as_reviewer.post(subpage_of(federated.request, "assign"), {"organization": typed})
        assert words in response.context["errors"].errors["organization"][0]
    assert not EntityClaim.objects.exists()


def test_an_entity_is_dismissed_with_a_reason_and_can_still_be_assigned(as_reviewer: Browser, federated: Federated) -> None:
    address = subpage_of(federated.request, "dismiss")
    response = as_reviewer.post(address, {"reason": ""})
    assert "reason" in response.context["errors"].errors
    as_reviewer.post(address, {"reason": "Nobody knows them."})
    response = as_reviewer.get(page_of(federated.request))
    assert "Nobody knows them." in response.content.decode()
    assert [one["url"] for one in response.context["forms"]] == [subpage_of(federated.request, "assign")]
    as_reviewer.post(subpage_of(federated.request, "assign"), {"organization": "lighthouse-travel"})
    assert staff_events() == ["registration_request.dismissed", "registration_request.assigned"]


def test_an_auditor_reads_requests_and_decides_nothing(as_auditor: Browser, federated: Federated) -> None:
    assert as_auditor.get(page_of(federated.request)).context["forms"] == ()


def test_metadata_of_any_shape_and_markup_in_it_are_shown_as_text(as_reviewer: Browser, federated: Federated) -> None:
    script = "<script>alert(1)</script>"
    shapes = {"openid_relying_party": {"client_name": script, "contacts": [script, None, 3], "jwks": {"keys": [script]}}, "odd": [script]}
    RegistrationRequest.objects.update(name=script, resolved_metadata=shapes, entities=[script])
    for address in (page_of(federated.request), list_of(RegistrationRequest)):
        body = as_reviewer.get(address).content.decode()
        assert script not in body
        assert "&lt;script&gt;alert(1)" in body


# Trust mark rules


def rule_data(**changes: Any) -> dict[str, Any]:
    return {"trust_mark_type": MARK, "scopes": ["bookings.write"], "grant_types": ["client_credentials"], "is_enabled": "on", **changes}


def test_an_operator_adds_a_rule_and_every_app_is_due(as_operator: Browser, federated: Federated, now: datetime) -> None:
    given_up = FederationRecord.objects.get()
    data = rule_data(anchor=ANCHOR, issuers="https://one.example\n\n https://two.example\nhttps://one.example")
    response = save_rule(as_operator, list_of(MarkRule, "add"), data, follow=True)
    assert "refresh_trust" in messages_in(response)
    rule = MarkRule.objects.get()
    assert (rule.trust_mark_type, rule.anchor, rule.issuers) == (MARK, ANCHOR, ["https://one.example", "https://two.example"])
    assert (rule.scopes, rule.grant_types, rule.is_enabled) == (["bookings.write"], ["client_credentials"], True)
    record = FederationRecord.objects.get()
    assert record.next_check_at < given_up.next_check_at
    FederationRecord.objects.update(next_check_at=None)
    save_rule(as_operator, page_of(rule), rule_data())
    assert FederationRecord.objects.get().next_check_at is None
    assert staff_events() == ["trust_mark_rule.added", "trust_mark_rule.changed"]


def test_saving_a_rule_unchanged_writes_nothing(as_operator: Browser, federated: Federated) -> None:
    rule = MarkRule.objects.create(trust_mark_type=MARK, anchor="https://gone.example", issuers=["https://one.example"], scopes=["gone"])
    form = as_operator.get(page_of(rule)).context["form"]
    data = {name: form[name].value() for name in form.fields}
    assert data["issuers"] == "https://one.example"
    response = save_rule(as_operator, page_of(rule), {name: value for name, value in data.items() if value})
    assert "no scope gone" in errors_in(response)["scopes"][0]
    rule.scopes = []
    rule.save()
    save_rule(as_operator, page_of(rule), {**data, "scopes": []})
    assert staff_events() == []


@pytest.mark.parametrize("wrong", [
    {"trust_mark_type": ""}, {"trust_mark_type": "a" * 3000}, {"trust_mark_type": "two\x00"}, {"trust_mark_type": "bell\x07"},
    {"scopes": ["nothing"]}, {"scopes": ["retired"]}, {"grant_types": ["password"]}, {"issuers": "x" * 50_000},
])  # fmt: skip
def test_values_that_a_rule_cannot_have_are_refused_at_their_field(as_operator: Browser, cast: Cast, wrong: dict[str, Any]) -> None:
    Scope.objects.create(name="retired", title="No more", is_retired=True)
    assert list(errors_in(save_rule(as_operator, list_of(MarkRule, "add"), rule_data(**wrong)))) == list(wrong)
    assert not MarkRule.objects.exists()


def test_there_is_one_rule_for_a_type_and_an_anchor(as_operator: Browser, federated: Federated) -> None:
    for data in (rule_data(), rule_data(anchor=ANCHOR)):
        assert save_rule(as_operator, list_of(MarkRule, "add"), data).status_code == 302
    assert "There is a rule" in errors_in(save_rule(as_operator, list_of(MarkRule, "add"), rule_data()))["trust_mark_type"][0]
    other = MarkRule.objects.get(anchor=ANCHOR)
    assert "There is a rule" in errors_in(as_operator.post(page_of(other), rule_data()))["trust_mark_type"][0]


def test_a_retired_scope_stays_where_a_rule_has_it(as_operator: Browser, cast: Cast) -> None:
    Scope.objects.create(name="retired", title="No more", is_retired=True)
    rule = MarkRule.objects.create(trust_mark_type=MARK, scopes=["retired"])
    save_rule(as_operator, page_of(rule), rule_data(scopes=["retired", "bookings.read"]))
    rule.refresh_from_db()
    assert set(rule.scopes) == {"bookings.read", "retired"}


def test_a_rule_is_removed(as_operator: Browser, federated: Federated, now: datetime) -> None:
    rule = MarkRule.objects.create(trust_mark_type=MARK)
    as_operator.get(subpage_of(rule, "remove"))
    as_operator.post(subpage_of(rule, "remove"))
    assert not MarkRule.objects.exists()
    assert FederationRecord.objects.get().next_check_at <= AuditEvent.objects.get(event="trust_mark_rule.deleted").time


# The page of an app


def test_an_apps_page_shows_its_federation(as_reviewer: Browser, federated: Federated, now: datetime) -> None:
    record = FederationRecord.objects.get()
    record.failure = {"step": 5, "title": "Fetch subordinate statement", "entity": HARBOUR, "sentence": "Not a member any more.",
                      "fixer": "the federation operator"}  # fmt: skip
    record.changes = [
        {
            "by": "federation",
            "member": "client_name",
            "before": "Declared ferries",
            "after": "Ferries",
            "rule": "value",
            "set_by": [HARBOUR],
        },
        {"by": "server", "member": "scope", "before": "a", "after": "b", "action": "replaced", "rule": "r", "sentence": "We left it out."},
    ]
    counts = {"trust_mark_type": MARK, "issuer": "https://one.example", "counts": True, "is_unsure": False, "expires_at": 2_000_000_000}
    record.trust_marks = [
        {**counts, "sentence": "The trust mark is valid."},
        {**counts, "counts": False, "expires_at": None, "sentence": "Revoked by its issuer."},
    ]
    record.save()
    response = as_reviewer.get(page_of(federated.client))
    body = response.content.decode()
    for words in (HARBOUR, ANCHOR, "Not a member any more.", "the federation operator", "Declared ferries", "We left it out.", MARK):
        assert words in body
    rows = {row.member: row for row in response.context["ruled"]}
    assert rows["client_name"].because == f"value of {HARBOUR}."
    assert (rows["client_name"].declared, rows["client_name"].server) == ("Declared ferries", "Ferries")
    assert [mark.word for mark in response.context["marks"]] == ["Counts", "Counts not"]


def test_an_app_without_federation_shows_none(as_reviewer: Browser, app: Client) -> None:
    assert "federation" not in as_reviewer.get(page_of(app)).context


# However many there are


def test_pages_need_the_same_queries_however_many_rows_there_are(
    as_operator: Browser,
    federated: Federated,
    register_below: Callable[..., Client],
    cast: Cast,
    now: datetime,
    django_assert_num_queries: Any,
) -> None:
    rule = OrganizationRule.objects.create(superior=HARBOUR, organization=cast.organization)
    refused, mark = RefusedEntity.objects.create(entity_id=HARBOUR, reason="x"), MarkRule.objects.create(trust_mark_type=MARK)
    pages = {
        page_of(federated.anchor): 9, subpage_of(federated.anchor, "distrust"): 7, page_of(refused): 5, page_of(rule): 5, page_of(mark): 6,
        page_of(federated.request): 5, page_of(federated.client): 15, list_of(TrustAnchorRecord): 4, list_of(RefusedEntity): 4,
        list_of(OrganizationRule): 4, list_of(RegistrationRequest): 4, list_of(MarkRule): 4,
        list_of(RefusedEntity, "add") + f"?entity_id={HARBOUR}": 5,
    }  # fmt: skip
    _count_queries(as_operator, pages, django_assert_num_queries)
    for number in range(12):
        entity_id = f"https://e{number}.example"
        organization = make_organization(cast.stranger, cast.reviewer, now, f"Partner {number}")
        register_below(entity_id, organization)
        RefusedEntity.objects.create(entity_id=entity_id, reason="x")
        TrustAnchorRecord.objects.create(entity_id=entity_id, jwks=federated.anchor.jwks)
        OrganizationRule.objects.create(superior=entity_id, organization=organization, created_by=cast.operator)
        RegistrationRequest.objects.create(entity_id=entity_id, organization=organization, decided_by=cast.operator)
        MarkRule.objects.create(trust_mark_type=entity_id)
    _count_queries(as_operator, pages, django_assert_num_queries)


def _count_queries(browser: Browser, pages: dict[str, int], django_assert_num_queries: Any) -> None:
    for address, number in pages.items():
        with django_assert_num_queries(number):
            assert browser.get(address).status_code == 200


def test_a_page_lists_some_of_many_apps_and_says_how_many_more(as_operator: Browser, federated: Federated) -> None:
    client = Client.objects.defer(None).get(pk=federated.client.pk)
    for number in range(APPS_SHOWN):
        client.pk, client.client_id, client._state.adding = None, f"https://n{number}.example", True
        client.reference = uuid.uuid4()
        client.save(force_insert=True)
        FederationRecord.objects.create(
            client=client, entity_id=client.client_id, twin_digest=str(number), entities=[client.client_id, ANCHOR]
        )
    response = as_operator.get(page_of(federated.anchor))
    assert (len(response.context["carried"].shown), response.context["carried"].more) == (APPS_SHOWN, 1)
    assert "1 more app is not shown" in response.content.decode()


def test_an_organization_that_was_suspended_is_not_given_entities(
    as_reviewer: Browser, federated: Federated, cast: Cast, now: datetime
) -> None:
    change_organization(cast.organization, "suspend", cast.as_reviewer, now=now, reason="Because.")
    response = as_reviewer.post(subpage_of(federated.request, "assign"), {"organization": "lighthouse-travel"})
    assert "approved first" in response.context["errors"].errors["organization"][0]
