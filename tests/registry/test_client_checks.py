"""Existing apps under today's rules: reported, told to the owners, suspended after the grace period (DCR-MGT-22)."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import transaction

from registry import tasks
from registry.actors import COMMAND_LINE, federation_entity, job
from registry.attention import find_attention
from registry.client_checks import check_clients, settle_clients
from registry.lifecycle import TrustedMetadata, change_client, register_client, register_dynamic_client, register_trusted_client
from registry.models import AuditEvent, Client, ClientCheck, ClientKeySet, Notice, Organization, Scope
from registry.policy_records import save_policy
from registry.registration_policy import RegistrationPolicy
from registry.resource_servers import create_resource_server
from tests.authserver.support import INTROSPECT, TOKEN
from tests.conftest import make_organization
from tests.protocol.jose.key_support import certificate, jwk_of
from tests.protocol.jose.support import NOW
from tests.registry.support import jwks, machine, public_jwk

pytestmark = pytest.mark.spec("DCR-MGT-22")
ACTOR = job("test")
ENTITY = "https://rp.example.org"
KEYS_ONLY = {"token_endpoint_auth_methods": ["private_key_jwt"], "live_token_endpoint_auth_methods": ["private_key_jwt"]}
NO_MACHINES = {"grant_types": ["authorization_code", "refresh_token"]}


def days(moment, count):
    return moment + timedelta(days=count)


def dynamic_client(organization, now, **members):
    with transaction.atomic():
        made = register_dynamic_client(ACTOR, organization, machine(**members), now=now, stage="test", restrictions={})
    return made.client


def federation_client(organization, now):
    document = machine(token_endpoint_auth_method="private_key_jwt", jwks=jwks(), client_name="Entity")
    trusted = TrustedMetadata(document, document, days(now, 1))
    source = Client.Source.FEDERATION_AUTOMATIC
    return register_trusted_client(federation_entity(ENTITY), organization, ENTITY, source, trusted, now=now)[0]


@pytest.fixture
def every_source(cast, now, make_client):
    """One app of each source."""
    return [make_client(), dynamic_client(cast.organization, now), federation_client(cast.organization, now)]


def set_policy(values, now, organization=None):
    save_policy(organization, values, ACTOR, now=now)


def broken(now, **options):
    failing = [found for found in check_clients(now, **options) if found.check]
    return {found.client.client_id: [one.code for one in found.check.broken_rules] for found in failing}


def settle(now, **options):
    return [(found.checked.client.client_id, found.outcome) for found in settle_clients(now, ACTOR, **options)]


def events(*names):
    return list(AuditEvent.objects.filter(event__in=names).order_by("id"))


def run(*arguments):
    """Return exit status and output of the command."""
    output = StringIO()
    try:
        call_command("check_clients", *arguments, stdout=output)
    except SystemExit as ended:
        return ended.code, output.getvalue()
    return 0, output.getvalue()


def test_what_was_registered_under_todays_rules_breaks_none_of_them(every_source, now):
    assert all(found.check is None and found.warnings == () for found in check_clients(now))
    status, output = run()
    assert status == 0
    assert output.startswith("3 apps examined: 0 break today's rules, 0 have warnings, in 0 organizations.\n")


def test_apps_of_every_source_are_examined_and_drafts_and_closed_ones_are_not(cast, every_source, make_client, now):
    change_client(make_client(), "close", cast.as_owner, now=now)
    register_client(cast.as_reviewer, cast.organization, machine(), now=now, offer_to_owner=True)
    suspended = change_client(make_client(), "suspend", cast.as_reviewer, now=now, reason="Abuse.")
    set_policy(NO_MACHINES, now)
    assert broken(now) == {client.client_id: ["policy.grant_types.not_allowed"] for client in [*every_source, suspended]}


def test_the_rules_of_the_stage_of_the_organization_and_of_the_registration_count(cast, every_source, now):
    _, dynamic, entity = every_source
    set_policy({"live_token_endpoint_auth_methods": ["client_secret_basic"]}, now)
    assert broken(now) == {entity.client_id: ["policy.token_endpoint_auth_method.not_allowed"]}
    set_policy({}, now)
    other = make_organization(cast.stranger, cast.reviewer, now, "Driftwood Labs")
    theirs = register_client(ACTOR, other, machine(), now=now)
    set_policy(KEYS_ONLY, now, other)
    assert broken(now).keys() == {theirs.client_id}
    assert broken(now, organization=cast.organization) == {}
    Client.objects.filter(pk=dynamic.pk).update(restrictions={"grant_types": ["authorization_code"]})
    assert broken(now, organization=cast.organization).keys() == {dynamic.client_id}


def test_the_report_names_who_breaks_and_why_by_organization(cast, every_source, now):
    other = make_organization(cast.stranger, cast.reviewer, now, "Driftwood Labs")
    theirs = register_client(ACTOR, other, machine(client_name="Theirs"), now=now)
    Organization.objects.filter(pk=other.pk).update(legal_name="Driftwood \x1b[2J Labs")
    set_policy(KEYS_ONLY, now)
    status, output = run("--grace-days", "7")
    assert status == 1
    first, second = output.index("Driftwood"), output.index("Lighthouse Travel (lighthouse-travel)\n")
    assert first < output.index(f"Theirs  {theirs.client_id}  By hand, test, active") < second
    for client, source in zip(every_source[:2], ("By hand", "Dynamic registration"), strict=True):
        assert output.index(f"Back office  {client.client_id}  {source}, test, active  to be suspended on ") > second
    assert every_source[2].client_id not in output
    assert "token_endpoint_auth_method client_secret_basic is not allowed here in stage test. Allowed: private_key_jwt." in output
    assert "4 apps examined: 3 break today's rules, 0 have warnings, in 2 organizations." in output
    assert "Nothing was changed." in output
    assert "\x1b" not in output
    status, output = run("--organization", other.slug)
    assert (status, "Lighthouse" in output) == (1, False)


def test_the_report_as_json_says_the_same(cast, every_source, now):
    set_policy(KEYS_ONLY, now)
    status, output = run("--json")
    report = json.loads(output)
    [organization] = report["organizations"]
    assert (status, organization["slug"], report["applied"]) == (1, cast.organization.slug, None)
    assert [(app["client_id"], app["source"]) for app in organization["apps"]] == [
        (every_source[0].client_id, "manual"), (every_source[1].client_id, "dcr"),
    ]  # fmt: skip
    assert organization["apps"][0]["breaks"][0]["code"] == "policy.token_endpoint_auth_method.not_allowed"
    assert organization["apps"][0]["enforce_at"] == organization["apps"][0]["breaks"][0]["enforce_at"]
    assert report["totals"] == {"apps": 3, "breaking": 2, "warned": 0}


@pytest.mark.parametrize("arguments", [["--grace-days", "0"], ["--grace-days", "366"], ["--organization", "nobody"]])
def test_options_that_make_no_sense_are_refused(cast, arguments):
    with pytest.raises(CommandError, match=arguments[0]):
        call_command("check_clients", *arguments)


def test_nothing_is_written_without_apply(every_source, now):
    set_policy(KEYS_ONLY, now)
    counts = [model.objects.count() for model in (AuditEvent, Notice, ClientCheck)]
    rows = list(Client.objects.order_by("pk").values())
    assert run()[0] == run("--json", "--grace-days", "1")[0] == 1
    assert [model.objects.count() for model in (AuditEvent, Notice, ClientCheck)] == counts
    assert list(Client.objects.order_by("pk").values()) == rows


def test_values_that_the_policy_would_change_are_warnings(make_client, now):
    client = make_client()
    Scope.objects.filter(name="bookings.read").update(is_retired=True)
    [found] = check_clients(now)
    assert found.check is None
    assert [(one.code, one.field) for one in found.warnings] == [("policy.scope.unknown", "scope")]
    status, output = run("--apply")
    assert status == 0
    assert "warning  scope: This server has no scope bookings.read; it was left out." in output
    assert ClientCheck.objects.count() == 0
    assert Client.objects.get(pk=client.pk).metadata["scope"] == "bookings.read"


def test_applying_writes_down_what_breaks_and_tells_the_owners_once(every_source, now):
    set_policy({**KEYS_ONLY, **NO_MACHINES}, now)
    before = Notice.objects.count()
    assert settle(now) == [(client.client_id, "found") for client in every_source]
    check = ClientCheck.objects.get(client=every_source[0])
    assert (check.found_at, check.enforce_at, check.enforced_at) == (now, days(now, 30), None)
    assert [one.code for one in check.broken_rules] == [
        "policy.token_endpoint_auth_method.not_allowed", "policy.grant_types.not_allowed",
    ]  # fmt: skip
    found = events("client.check_failed")
    assert [event.object_id for event in found] == [str(client.reference) for client in every_source]
    assert found[0].reason.startswith("token_endpoint_auth_method client_secret_basic is not allowed here in stage test.")
    assert found[0].reason.endswith(f"The app is suspended on {days(now, 30).date()} unless this is mended before.")
    assert {event.pk for event in found} == set(Notice.objects.order_by("-pk")[:3].values_list("event_id", flat=True))
    assert Notice.objects.count() == before + 3
    assert set(Client.objects.values_list("state", "credential_generation")) == {("active", 1)}


def test_the_command_sets_another_grace_for_new_findings(make_client, now):
    make_client()
    set_policy(KEYS_ONLY, now)
    status, output = run("--apply", "--grace-days", "7")
    check = ClientCheck.objects.get()
    assert check.enforce_at - check.found_at == timedelta(days=7)
    assert status == 1
    assert f"to be suspended on {check.enforce_at:%Y-%m-%d}" in output
    assert "Applied: 1 newly found, 0 fine again, 0 suspended." in output
    assert events("client.check_failed")[0].actor_label == COMMAND_LINE.label


def test_a_second_run_changes_nothing_and_moves_no_date(every_source, now):
    set_policy(KEYS_ONLY, now)
    settle(now)
    rows, count = list(ClientCheck.objects.values()), AuditEvent.objects.count()
    for grace in (1, 30, 365):
        outcomes = [outcome for _, outcome in settle(days(now, 3), grace=timedelta(days=grace))]
        assert outcomes == ["failing", "failing", "fine"]
    assert (list(ClientCheck.objects.values()), AuditEvent.objects.count()) == (rows, count)


def test_a_rule_that_is_broken_later_has_a_day_of_its_own(make_client, now):
    client = make_client()
    set_policy(KEYS_ONLY, now)
    settle(now)
    set_policy({**KEYS_ONLY, **NO_MACHINES}, now)
    assert settle(days(now, 20)) == [(client.client_id, "found")]
    check = ClientCheck.objects.get()
    assert (check.found_at, check.enforce_at) == (now, days(now, 30))
    assert "client_secret_basic" not in events("client.check_failed")[1].reason
    set_policy(NO_MACHINES, now)
    assert settle(days(now, 30)) == [(client.client_id, "failing")]
    check.refresh_from_db()
    assert (check.found_at, check.enforce_at) == (now, days(now, 50))
    assert settle(days(now, 49)) == [(client.client_id, "failing")]
    assert settle(days(now, 50)) == [(client.client_id, "suspended")]


def test_what_is_mended_is_forgotten(make_client, now):
    client = make_client()
    set_policy(KEYS_ONLY, now)
    settle(now)
    set_policy({}, now)
    assert settle(days(now, 40)) == [(client.client_id, "passed")]
    assert ClientCheck.objects.count() == 0
    [event] = events("client.check_passed")
    assert event.difference == {"rules": [["policy.token_endpoint_auth_method.not_allowed"], None]}
    assert not Notice.objects.filter(event=event).exists()
    assert settle(days(now, 41)) == [(client.client_id, "fine")]
    set_policy(KEYS_ONLY, now)
    settle(days(now, 42))
    assert ClientCheck.objects.get().enforce_at == days(now, 72)


def test_when_the_grace_is_over_the_app_is_suspended_and_its_tokens_end(cast, client_with_secret, post_form, now):
    client, secret = client_with_secret
    server, servers_secret = create_resource_server("Bookings API", ACTOR, now=now)
    basic = (client.client_id, secret.value)
    token = post_form(TOKEN, {"grant_type": "client_credentials"}, basic=basic).json()["access_token"]

    def is_active():
        return post_form(INTROSPECT, {"token": token}, basic=(server.client_id, servers_secret.value)).json()["active"]

    set_policy(KEYS_ONLY, now, cast.organization)
    settle(now)
    settle(days(now, 30) - timedelta(seconds=1))
    assert is_active()
    assert settle(days(now, 30)) == [(client.client_id, "suspended"), (server.client_id, "fine")]
    assert not is_active()
    assert post_form(TOKEN, {"grant_type": "client_credentials"}, basic=basic).status_code == 400
    client.refresh_from_db()
    assert (client.state, client.credential_generation) == ("suspended", 2)
    assert client.state_reason.startswith("It breaks rules of this server. token_endpoint_auth_method client_secret_basic is not allowed")
    [event] = events("client.suspended")
    assert (event.reason, event.actor_kind) == (client.state_reason, "job")
    assert Notice.objects.filter(event=event).exists()
    assert ClientCheck.objects.get().enforced_at == days(now, 30)
    assert settle(days(now, 31))[0] == (client.client_id, "failing")
    assert len(events("client.suspended")) == 1


def test_whom_people_reinstate_is_not_suspended_again_for_the_same_rule(cast, make_client, now):
    client = make_client()
    set_policy(KEYS_ONLY, now)
    settle(now)
    settle(days(now, 30))
    change_client(client, "reinstate", cast.as_reviewer, now=now)
    assert settle(days(now, 31)) == [(client.client_id, "failing")]
    set_policy({**KEYS_ONLY, **NO_MACHINES}, now)
    assert settle(days(now, 32)) == [(client.client_id, "found")]
    assert ClientCheck.objects.get().enforce_at == days(now, 62)
    assert settle(days(now, 62)) == [(client.client_id, "suspended")]


def test_what_people_stopped_stays_as_they_left_it_and_follows_when_it_runs_again(cast, make_client, now):
    paused, suspended = make_client(), make_client()
    change_client(paused, "pause", cast.as_owner, now=now)
    change_client(suspended, "suspend", cast.as_reviewer, now=now, reason="Abuse.")
    set_policy(KEYS_ONLY, now)
    settle(now)
    assert [outcome for _, outcome in settle(days(now, 31))] == ["failing", "failing"]
    paused.refresh_from_db()
    suspended.refresh_from_db()
    assert (paused.paused_by_owner, suspended.state_reason) == (True, "Abuse.")
    change_client(paused, "resume", cast.as_owner, now=now)
    assert [outcome for _, outcome in settle(days(now, 32))] == ["suspended", "failing"]


def test_apps_of_this_servers_own_organization_are_reported_and_never_suspended(now, cast):
    server, _ = create_resource_server("Bookings API", ACTOR, now=now)
    set_policy(KEYS_ONLY, now)
    assert settle(now) == [(server.client_id, "found")]
    assert settle(days(now, 31)) == [(server.client_id, "failing")]
    assert "never suspended for it" in run()[1]
    server.refresh_from_db()
    assert server.state == "active"


def test_a_closed_app_is_forgotten(cast, make_client, now):
    client = make_client()
    set_policy(KEYS_ONLY, now)
    settle(now)
    change_client(client, "close", cast.as_owner, now=now)
    assert find_attention([cast.organization], now) == []
    assert settle(now) == []
    assert ClientCheck.objects.count() == 0


def test_registered_keys_that_todays_rules_refuse_break(every_source, make_client, now):
    Client.objects.filter(pk=every_source[2].pk).update(metadata=machine(
        token_endpoint_auth_method="private_key_jwt", response_types=[], jwks={"keys": [public_jwk(use="enc", alg=None)]},
    ))  # fmt: skip
    assert broken(now) == {ENTITY: ["jwks.algorithm"]}
    leaked = {**public_jwk(), "d": "AAAA"}
    Client.objects.filter(pk=every_source[0].pk).update(metadata=machine(response_types=[], jwks={"keys": [leaked]}))
    assert broken(now)[every_source[0].client_id] == ["jwks.private_key"]


@pytest.mark.parametrize(("ends", "code"), [(-1, "jwks.certificate_expired"), (5, "jwks.certificate_expires"), (400, None)])
def test_certificates_that_end_are_warnings(make_client, ends, code):
    moment = datetime.fromtimestamp(NOW, UTC)
    keys = {"keys": [jwk_of(x5c=[certificate(0, ends)])]}
    make_client(token_endpoint_auth_method="private_key_jwt", jwks=keys)
    [found] = check_clients(moment)
    assert found.check is None
    assert [one.code for one in found.warnings] == ([code] if code else [])


@pytest.mark.parametrize(
    ("fresh_for", "failure", "warned"),
    [(-24, "No answer.", True), (-23, "No answer.", False), (-48, "", False), (None, "No answer.", True)],
)
def test_keys_that_cannot_be_fetched_for_a_day_are_a_warning(make_client, now, fresh_for, failure, warned):
    uri = "https://app.example.org/jwks.json"
    client = make_client(token_endpoint_auth_method="private_key_jwt", jwks_uri=uri)
    fresh_until = None if fresh_for is None else now + timedelta(hours=fresh_for)
    ClientKeySet.objects.create(client=client, jwks_uri=uri, attempted_at=now, failure=failure, fresh_until=fresh_until)
    [found] = check_clients(now)
    assert found.check is None
    assert [one.sentence for one in found.warnings] == (["Its keys cannot be fetched: No answer."] if warned else [])
    ClientKeySet.objects.update(jwks_uri="https://app.example.org/former.json")
    assert next(iter(check_clients(now))).warnings == ()


def make_idle(client, now, count, *, used=None):
    moments = {"created": days(now, -count), "state_changed_at": days(now, -count)}
    Client.objects.filter(pk=client.pk).update(**moments, last_used_at=used)


def test_only_dynamic_clients_without_a_token_for_too_long_are_idle(cast, every_source, now):
    fresh = dynamic_client(cast.organization, now)
    used = dynamic_client(cast.organization, now)
    for client in every_source:
        make_idle(client, now, 90)
    make_idle(used, now, 400, used=days(now, -89))
    make_idle(fresh, now, 89)
    assert RegistrationPolicy().dynamic_client_idle_days == 0
    assert broken(now) == {}
    set_policy({"dynamic_client_idle_days": 90}, now)
    assert broken(now) == {every_source[1].client_id: ["client.idle"]}
    assert broken(days(now, 1)).keys() == {client.client_id for client in (every_source[1], fresh, used)}


def test_an_idle_client_is_warned_and_then_suspended_unless_it_is_used(cast, now):
    idle, saved = (dynamic_client(cast.organization, now) for _ in range(2))
    Client.objects.update(created=now)
    set_policy({"dynamic_client_idle_days": 90}, now)
    assert settle(days(now, 89)) == [(idle.client_id, "fine"), (saved.client_id, "fine")]
    assert settle(days(now, 90)) == [(idle.client_id, "found"), (saved.client_id, "found")]
    Client.objects.filter(pk=saved.pk).update(last_used_at=days(now, 100))
    assert settle(days(now, 120)) == [(idle.client_id, "suspended"), (saved.client_id, "passed")]
    assert "This app got no token for 90 days." in Client.objects.get(pk=idle.pk).state_reason
    assert settle(days(now, 121))[0] == (idle.client_id, "failing")
    change_client(idle, "reinstate", cast.as_reviewer, now=days(now, 122))
    assert settle(days(now, 123))[0] == (idle.client_id, "passed")
    assert settle(days(now, 212))[0] == (idle.client_id, "found")


def test_a_client_that_people_stopped_is_not_called_idle(cast, now):
    client = dynamic_client(cast.organization, now)
    set_policy({"dynamic_client_idle_days": 90}, now)
    change_client(client, "suspend", cast.as_reviewer, now=now, reason="Abuse.")
    assert settle(days(now, 400)) == [(client.client_id, "fine")]


def test_the_task_records_and_enforces_with_thirty_days_of_grace(make_client, now):
    client = make_client()
    set_policy(KEYS_ONLY, now)
    assert tasks.check_clients() == {"found": 1}
    check = ClientCheck.objects.get()
    assert check.enforce_at - check.found_at == timedelta(days=30)
    check.findings[0]["enforce_at"] = now.isoformat()
    check.save()
    assert tasks.check_clients() == {"suspended": 1}
    assert tasks.check_clients() == {"failing": 1}
    client.refresh_from_db()
    assert client.state == "suspended"


def test_the_task_goes_on_in_another_message_when_its_time_is_over(every_source, now, monkeypatch):
    set_policy(NO_MACHINES, now)
    monkeypatch.setattr(tasks, "LONGEST_RUN", timedelta(0))
    went_on = []
    monkeypatch.setattr(tasks.check_clients, "delay", went_on.append)
    assert tasks.check_clients() == {"found": 1}
    assert went_on == [every_source[0].pk]
    assert tasks.check_clients(went_on[0]) == {"found": 1}
    assert tasks.check_clients(went_on[1]) == {"found": 1}
    assert tasks.check_clients(went_on[2]) == {}
    assert went_on == [client.pk for client in every_source]
    assert ClientCheck.objects.count() == 3


def test_the_task_runs_every_day(settings):
    assert {"task": "registry.tasks.check_clients", "schedule": 86400.0} in settings.CELERY_BEAT_SCHEDULE.values()


@pytest.mark.parametrize("count", [1, 600])
def test_examining_takes_two_queries_and_one_for_each_chunk(make_client, now, django_assert_num_queries, count):
    client = make_client()
    values = {name: getattr(client, name) for name in ("organization", "state", "stage", "metadata", "name")}
    Client.objects.bulk_create([Client(client_id=f"copy {number}", **values) for number in range(count - 1)])
    set_policy(KEYS_ONLY, now)
    chunks = -(-count // 500)
    with django_assert_num_queries(2 + chunks):
        assert sum(1 for found in check_clients(now) if found.check) == count
    settle(now)
    assert ClientCheck.objects.count() == count
    with django_assert_num_queries(3 + chunks):  # one forgets what is closed
        assert {outcome for _, outcome in settle(now)} == {"failing"}


def test_an_open_check_needs_attention_until_it_is_enforced(cast, make_client, now):
    client = make_client()
    set_policy(KEYS_ONLY, now)
    settle(now)
    [item] = find_attention([cast.organization], now)
    assert (item.code, item.client, item.moment) == ("rule_broken", client, days(now, 30))
    assert "token_endpoint_auth_method client_secret_basic is not allowed" in item.sentence
    settle(days(now, 30))
    assert [item.code for item in find_attention([cast.organization], now)] == ["client_suspended"]


def test_the_day_of_enforcement_is_on_the_page_of_the_app(cast, client, make_client, now):
    app = make_client()
    set_policy(KEYS_ONLY, now)
    settle(now)
    client.force_login(cast.owner)
    address = f"/org/{cast.organization.slug}/apps/{app.reference}/"
    words, day = "This app breaks rules of this server", f"{days(now, 30):%Y-%m-%dT%H:%M:%SZ}"
    page = client.get(address).content.decode()
    assert words in page
    assert day in page
    assert "token_endpoint_auth_method client_secret_basic is not allowed" in page
    ClientCheck.objects.all().delete()
    assert words not in client.get(address).content.decode()
