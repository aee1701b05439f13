"""Who would change by another policy, before it is saved (portal.md 4.5)."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from protocol.errors import MetadataRefused, TransitionRefused
from registry.actors import federation_entity, job, person
from registry.client_checks import GRACE, settle_clients
from registry.lifecycle import TrustedMetadata, change_client, register_client, register_dynamic_client, register_trusted_client
from registry.models import AuditEvent, Client, ClientCheck, Entitlement, PolicyRecord, Scope
from registry.policy_preview import SAMPLE, go_on, is_change, preview, propose, save_proposal, start_report
from registry.policy_records import save_policy
from registry.resource_servers import create_resource_server
from tests.conftest import make_organization
from tests.registry.support import jwks, machine, website

ACTOR = job("test")
KEYS_ONLY = {"token_endpoint_auth_methods": ["private_key_jwt"], "live_token_endpoint_auth_methods": ["private_key_jwt"]}
NEVER = lambda: False  # noqa: E731


def report_of(values, now, organization=None):
    proposal = propose(organization, values)
    return go_on(start_report(proposal), proposal, now, is_over=NEVER)


def effects_of(client, report):
    found = next((one for one in report.sample if one.number == client.pk), None)
    return {(change.effect, change.code) for change in found.changes} if found else set()


def entity(organization, now, **members):
    document = machine(token_endpoint_auth_method="private_key_jwt", jwks=jwks(), client_name="Entity", **members)
    trusted = TrustedMetadata(document, document, now + timedelta(days=1))
    source, name = Client.Source.FEDERATION_AUTOMATIC, "https://rp.example.org"
    return register_trusted_client(federation_entity(name), organization, name, source, trusted, now=now)[0]


def test_the_same_policy_changes_nobody(cast, now, make_client):
    make_client()
    report = report_of({}, now)
    assert (report.total, report.covered, report.changed, report.is_done) == (1, 1, 0, True)
    assert not is_change(propose(None, {}))
    assert is_change(propose(None, {"clients_limit": 3}))


def test_an_app_that_would_break_a_rule_fails_from_the_end_of_the_grace_period_on(cast, now, make_client):
    client = make_client()
    with_keys = make_client(token_endpoint_auth_method="private_key_jwt", jwks=jwks())
    report = report_of(KEYS_ONLY, now)
    assert effects_of(client, report) == {("fails", "policy.token_endpoint_auth_method.not_allowed")}
    assert effects_of(with_keys, report) == set()
    assert report.sample[0].suspended_from == now + GRACE
    assert (report.clients["fails"], report.clients["suspended"], report.changed) == (1, 1, 1)


def test_an_app_that_breaks_todays_rules_already_is_no_news(cast, now, make_client):
    client = make_client()
    save_policy(None, KEYS_ONLY, ACTOR, now=now)
    report = report_of({**KEYS_ONLY, "redirect_uris_limit": 3}, now)
    assert effects_of(client, report) == set()
    assert report.changed == 0


def test_an_app_that_breaks_a_rule_that_would_go_is_mended(cast, now, make_client):
    client = make_client()
    save_policy(None, KEYS_ONLY, ACTOR, now=now)
    report = report_of({}, now)
    assert effects_of(client, report) == {("mended", "policy.token_endpoint_auth_method.not_allowed")}
    assert report.clients["suspended"] == 0


def test_values_that_would_be_left_out_or_replaced_are_told_and_suspend_nobody(cast, now, make_client):
    asks = make_client(scope="bookings.read bookings.write")
    signs_in = register_client(ACTOR, cast.organization, website(), now=now)
    report = report_of({"allowed_scopes": ["bookings.read"], "require_pushed_authorization_requests": True}, now)
    assert effects_of(asks, report) == {("changes", "policy.scope.not_allowed")}
    assert effects_of(signs_in, report) == {("changes", "policy.require_pushed_authorization_requests.forced")}
    assert [found.suspended_from for found in report.sample] == [None, None]


def test_a_grant_that_would_need_a_trust_mark_is_lost_by_those_without_one(cast, now):
    client = entity(cast.organization, now)
    values = {"federation_grant_types_by_mark": ["client_credentials"]}
    assert effects_of(client, report_of(values, now)) == {("loses", "policy.grant_needs_mark")}
    Entitlement.objects.create(client=client, kind="grant", value="client_credentials", because="mark", expires_at=now)
    assert effects_of(client, report_of(values, now)) == {("loses", "policy.grant_needs_mark")}
    Entitlement.objects.update(expires_at=now + timedelta(days=1))
    assert effects_of(client, report_of(values, now)) == set()


def test_idle_apps_are_found_by_a_shorter_time(cast, now):
    with transaction.atomic():
        client = register_dynamic_client(ACTOR, cast.organization, machine(), now=now, stage="test", restrictions={}).client
    later = now + timedelta(days=40)
    assert effects_of(client, report_of({"dynamic_client_idle_days": 30}, later)) == {("fails", "client.idle")}
    assert effects_of(client, report_of({"dynamic_client_idle_days": 60}, later)) == set()


def test_the_policy_of_an_organization_concerns_its_apps_only_and_stands_above_the_one_for_all(cast, now, make_client):
    mine = make_client()
    other = make_organization(cast.stranger, cast.reviewer, now, "Tidewater")
    theirs = register_client(ACTOR, other, machine(), now=now)
    report = report_of(KEYS_ONLY, now, cast.organization)
    assert (effects_of(mine, report) != set(), effects_of(theirs, report), report.total) == (True, set(), 1)
    loose = {name: ["client_secret_basic", "private_key_jwt"] for name in KEYS_ONLY}
    save_policy(cast.organization, loose, ACTOR, now=now)
    report = report_of(KEYS_ONLY, now)
    assert (effects_of(mine, report), effects_of(theirs, report) != set()) == (set(), True)


def test_what_is_stopped_closed_or_our_own_is_not_announced_to_be_suspended(cast, now, make_client):
    suspended, closed = make_client(), make_client()
    reviewer = person(cast.reviewer, staff=True)
    change_client(suspended, "suspend", reviewer, now=now, reason="Because.")
    change_client(closed, "close", reviewer, now=now, reason="Because.")
    own, _ = create_resource_server("Bookings API", ACTOR, now=now)
    report = report_of(KEYS_ONLY, now)
    assert effects_of(closed, report) == set()
    assert effects_of(suspended, report)
    assert {found.number: found.suspended_from for found in report.sample} == {suspended.pk: None, own.pk: None}


def test_equal_findings_are_counted_together_and_the_sample_is_bounded(cast, now, make_client):
    template = make_client()
    fields = [field.attname for field in Client._meta.concrete_fields if field.attname not in ("id", "reference", "client_id")]
    values = {name: getattr(template, name) for name in fields}
    Client.objects.bulk_create([Client(**values, client_id=f"copy-{number}") for number in range(SAMPLE + 20)])
    report = report_of(KEYS_ONLY, now)
    assert [(group.count, group.change.effect) for group in report.largest_groups] == [(SAMPLE + 21, "fails")]
    assert (report.changed, len(report.sample)) == (SAMPLE + 21, SAMPLE)


def test_a_report_that_was_interrupted_goes_on_where_it_stopped(cast, now, make_client):
    clients = [make_client() for _ in range(3)]
    proposal = propose(None, KEYS_ONLY)
    report = go_on(start_report(proposal), proposal, now, is_over=lambda: True)
    assert (report.covered, report.total, report.is_done) == (1, 3, False)
    report = go_on(report, proposal, now, is_over=NEVER)
    assert (report.covered, report.is_done, report.clients["fails"]) == (3, True, 3)
    assert [found.number for found in report.sample] == [client.pk for client in clients]


def test_a_dry_run_takes_the_same_queries_for_much_as_for_little_and_writes_nothing(cast, now, make_client):
    proposal = propose(None, {**KEYS_ONLY, "federation_grant_types_by_mark": ["client_credentials"]})

    def count():
        with CaptureQueriesContext(connection) as queries:
            list(preview(proposal, now))
        return len(queries)

    make_client()
    little = count()
    for _ in range(5):
        make_client(jwks=jwks())
    events = AuditEvent.objects.count()
    assert count() == little <= 2
    assert (AuditEvent.objects.count(), ClientCheck.objects.count(), PolicyRecord.objects.count()) == (events, 0, 0)


def test_the_dry_run_says_what_the_daily_check_finds_after_saving(cast, now, make_client):
    make_client()
    make_client(token_endpoint_auth_method="private_key_jwt", jwks=jwks())
    announced = {found.number for found in report_of(KEYS_ONLY, now).sample if found.suspended_from}
    save_policy(None, KEYS_ONLY, ACTOR, now=now)
    found = {settled.checked.client.pk for settled in settle_clients(now, ACTOR) if settled.outcome == "found"}
    assert announced == found
    assert set(ClientCheck.objects.values_list("enforce_at", flat=True)) == {now + GRACE}


def test_a_policy_is_saved_by_the_digest_of_what_was_shown(cast, now):
    operator = person(cast.operator, staff=True)
    seen = propose(None, KEYS_ONLY).digest
    save_proposal(propose(None, KEYS_ONLY), seen, operator, now=now)
    assert PolicyRecord.objects.get().values == KEYS_ONLY


@pytest.mark.parametrize("what", ["policy", "organization", "scope"])
def test_a_report_about_another_base_saves_nothing(cast, now, what):
    operator = person(cast.operator, staff=True)
    seen = propose(None, KEYS_ONLY).digest
    if what == "scope":
        Scope.objects.create(name="new", title="New")
    else:
        save_policy(cast.organization if what == "organization" else None, {"clients_limit": 3}, ACTOR, now=now)
    before = list(PolicyRecord.objects.values_list("values", flat=True))
    with pytest.raises(TransitionRefused) as refused:
        save_proposal(propose(None, KEYS_ONLY), seen, operator, now=now)
    assert refused.value.reason == "stale"
    assert list(PolicyRecord.objects.values_list("values", flat=True)) == before


def test_values_that_no_policy_has_are_refused_before_anything_is_looked_at(cast):
    with pytest.raises(MetadataRefused):
        propose(None, {"grant_types": ["password"]})
