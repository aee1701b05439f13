"""Codes and refresh tokens: bound, short-lived, used once; a second use ends everything that came of them (BCP-06, -09; O06, O07)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from authserver.authorization.codes import CODE_LIFETIME
from authserver.families import REFRESH_IDLE
from authserver.models import AccessToken, Grant, RefreshToken
from registry.actors import person
from registry.lifecycle import change_client, change_organization
from registry.models import Client, Entitlement, Organization, PolicyRecord, User
from tests.authserver.authorization.support import CALLBACK, TOKEN, VERIFIER, Flow, introspected, is_active, said, sign_in
from tests.authserver.support import Caller, make_caller, outcome
from tests.conftest import Cast

OFFLINE = "openid offline_access bookings.read"


def is_dead(flow: Flow, resource_server: Caller, tokens: dict[str, Any]) -> bool:
    """Say whether nothing that was issued works any more: userinfo, introspection, refresh."""
    return (
        outcome(flow.userinfo(tokens["access_token"])) == "401 invalid_token"
        and not is_active(resource_server, tokens["access_token"])
        and outcome(flow.refresh(tokens["refresh_token"])) == "400 invalid_grant"
    )


def is_alive(flow: Flow, resource_server: Caller, tokens: dict[str, Any]) -> bool:
    """Say whether the access token works."""
    return flow.userinfo(tokens["access_token"]).status_code == 200 and is_active(resource_server, tokens["access_token"])


@pytest.mark.spec("BCP-09")
@pytest.mark.threat("O06", "O08")
def test_a_code_is_bound_to_app_address_and_verifier(flow: Flow, new_app: Callable[..., Caller]) -> None:
    code = flow.code()
    for changes in (
        {"redirect_uri": CALLBACK + "/"},
        {"redirect_uri": "https://evil.example/"},
        {"code_verifier": VERIFIER[:-1] + "x"},
        {"code_verifier": "A" * 43},
    ):
        assert outcome(flow.exchange(code, **changes)) == "400 invalid_grant", changes
    assert outcome(Flow(new_app()).exchange(code)) == "400 invalid_grant"
    for missing in ("code", "redirect_uri"):
        assert outcome(flow.exchange(code, **{missing: None})) == "400 invalid_request", missing
    for verifier in (None, "short", "x" * 129, "ü" * 43, VERIFIER + "\0", "a b" * 20):
        assert flow.exchange(code, code_verifier=verifier).json()["error"] in ("invalid_grant", "invalid_request"), verifier
    assert outcome(flow.exchange(code, code_verifier=None)) == "400 invalid_grant"  # as the OpenID conformance suite has it
    assert flow.exchange(code).status_code == 200


@pytest.mark.spec("BCP-02")
@pytest.mark.threat("O08")
def test_a_challenge_is_a_hash_and_never_the_verifier_itself(flow: Flow) -> None:
    plain = "A" * 43
    code = flow.code(code_challenge=plain)
    assert outcome(flow.exchange(code, code_verifier=plain)) == "400 invalid_grant"


@pytest.mark.spec("BCP-09")
@pytest.mark.threat("O06")
def test_a_code_lives_a_minute(flow: Flow) -> None:
    assert timedelta(seconds=60) >= CODE_LIFETIME
    code, late = flow.code(), flow.code()
    with time_machine.travel(datetime.now(UTC) + timedelta(seconds=55), tick=True):
        assert flow.exchange(code).status_code == 200
    with time_machine.travel(datetime.now(UTC) + timedelta(seconds=61), tick=True):
        assert outcome(flow.exchange(late)) == "400 invalid_grant"


@pytest.mark.spec("BCP-09")
@pytest.mark.threat("O06")
@pytest.mark.parametrize("changes", [{}, {"code_verifier": "A" * 43}, {"redirect_uri": "https://evil.example/"}])
def test_a_code_used_twice_ends_what_came_of_it(flow: Flow, resource_server: Caller, changes: dict[str, str]) -> None:
    code = flow.code(scope=OFFLINE)
    tokens = flow.exchange(code).json()
    newer = flow.refresh(tokens["refresh_token"]).json()
    assert is_alive(flow, resource_server, tokens)
    assert is_alive(flow, resource_server, newer)
    other = flow.tokens(scope=OFFLINE)
    assert outcome(flow.exchange(code, **changes)) == "400 invalid_grant"
    assert is_dead(flow, resource_server, tokens)
    assert is_dead(flow, resource_server, newer)
    assert is_alive(flow, resource_server, other)
    assert flow.refresh(other["refresh_token"]).status_code == 200


@pytest.mark.threat("O06")
def test_another_app_with_a_used_code_ends_nothing(flow: Flow, resource_server: Caller, new_app: Callable[..., Caller]) -> None:
    code = flow.code(scope=OFFLINE)
    tokens = flow.exchange(code).json()
    assert outcome(Flow(new_app()).exchange(code)) == "400 invalid_grant"
    assert is_alive(flow, resource_server, tokens)


@pytest.mark.spec("BCP-06", "BCP-14")
@pytest.mark.threat("O07")
def test_a_refresh_token_is_used_once_and_a_second_use_ends_the_family(flow: Flow, resource_server: Caller) -> None:
    first = flow.tokens(scope=OFFLINE)
    second = flow.refresh(first["refresh_token"]).json()
    third = flow.refresh(second["refresh_token"]).json()
    assert len({answer["refresh_token"] for answer in (first, second, third)}) == 3
    assert all(is_alive(flow, resource_server, answer) for answer in (first, second, third))
    assert outcome(flow.refresh(first["refresh_token"])) == "400 invalid_grant"
    assert all(is_dead(flow, resource_server, answer) for answer in (first, second, third))


@pytest.mark.spec("BCP-06")
def test_the_first_use_of_a_dead_family_is_refused_too(flow: Flow) -> None:
    tokens = flow.tokens(scope=OFFLINE)
    Grant.objects.update(ended_at=datetime.now(UTC))
    assert outcome(flow.refresh(tokens["refresh_token"])) == "400 invalid_grant"


@pytest.mark.threat("O07")
def test_a_refresh_token_belongs_to_its_app(flow: Flow, resource_server: Caller, new_app: Callable[..., Caller]) -> None:
    tokens = flow.tokens(scope=OFFLINE)
    other = Flow(new_app())
    assert outcome(other.refresh(tokens["refresh_token"])) == "400 invalid_grant"
    assert other.revoke(tokens["refresh_token"]).status_code == 200
    assert is_alive(flow, resource_server, tokens)
    assert flow.refresh(tokens["refresh_token"]).status_code == 200


def test_asking_for_less_does_not_make_the_refresh_token_less(flow: Flow, resource_server: Caller) -> None:
    tokens = flow.tokens(scope=OFFLINE)
    less = flow.refresh(tokens["refresh_token"], scope="bookings.read").json()
    assert less["scope"] == "bookings.read"
    assert introspected(resource_server, less["access_token"])["scope"] == "bookings.read"
    assert "id_token" not in less
    full = flow.refresh(less["refresh_token"]).json()
    assert full["scope"] == OFFLINE
    assert "id_token" in full
    assert outcome(flow.refresh(full["refresh_token"], scope="openid profile")) == "400 invalid_scope"
    assert flow.refresh(full["refresh_token"]).status_code == 200


@pytest.mark.spec("BCP-06")
def test_a_refresh_token_ends_when_nobody_uses_it(flow: Flow) -> None:
    tokens = flow.tokens(scope=OFFLINE)
    moment = datetime.now(UTC)
    for idle, good in ((-1, True), (-1, True), (1, False)):
        moment += REFRESH_IDLE + timedelta(minutes=idle)
        with time_machine.travel(moment, tick=True):
            flow.app.now = moment  # what its assertions are dated
            answer = flow.refresh(tokens["refresh_token"])
        assert outcome(answer) == ("200" if good else "400 invalid_grant")
        tokens = answer.json()


@pytest.mark.spec("BCP-06")
@pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
def test_giving_up_one_token_ends_its_family_and_no_other(flow: Flow, resource_server: Caller, kind: str) -> None:
    tokens, other = flow.tokens(scope=OFFLINE), flow.tokens(scope=OFFLINE)
    newer = flow.refresh(tokens["refresh_token"]).json()
    assert flow.revoke(newer[kind]).status_code == 200
    assert is_dead(flow, resource_server, tokens)
    assert is_dead(flow, resource_server, newer)
    assert is_alive(flow, resource_server, other)
    assert flow.revoke(newer[kind]).status_code == 200


@pytest.mark.spec("BCP-06")
@pytest.mark.threat("O10")
@pytest.mark.parametrize("what", ["client", "organization"])
def test_suspending_ends_everything_for_good(flow: Flow, cast: Cast, resource_server: Caller, now: datetime, what: str) -> None:
    tokens, code = flow.tokens(scope=OFFLINE), flow.code()
    pushed = flow.pushed()
    staff = person(cast.reviewer, staff=True)
    clients, organizations = Client.objects.filter(pk=flow.app.client.pk), Organization.objects.filter(pk=cast.organization.pk)
    asking = resource_server
    if what == "client":
        change_client(flow.app.client, "suspend", staff, now=now, reason="found abuse")
        assert not is_active(asking, tokens["access_token"])
    else:
        change_organization(cast.organization, "suspend", staff, now=now, reason="found abuse")
    assert outcome(flow.userinfo(tokens["access_token"])) == "401 invalid_token"
    assert outcome(flow.refresh(tokens["refresh_token"])) == "400 unauthorized_client"
    assert outcome(flow.exchange(code)) == "400 unauthorized_client"
    assert outcome(flow.push()) == "400 unauthorized_client"
    clients.update(state=Client.State.ACTIVE)
    organizations.update(state=Organization.State.APPROVED)
    assert is_dead(flow, asking, tokens)
    assert outcome(flow.exchange(code)) == "400 invalid_grant"
    assert flow.visit(pushed).status_code == 400


def test_a_scope_taken_away_is_gone_from_the_next_answer_on(flow: Flow, resource_server: Caller) -> None:
    tokens = flow.tokens(scope=OFFLINE)
    Entitlement.objects.filter(client=flow.app.client, value="bookings.read").delete()
    assert introspected(resource_server, tokens["access_token"])["scope"] == "openid offline_access"
    newer = flow.refresh(tokens["refresh_token"]).json()
    assert newer["scope"] == "openid offline_access"
    Entitlement.objects.filter(client=flow.app.client, value="openid").delete()
    assert outcome(flow.userinfo(newer["access_token"])) == "403 insufficient_scope"
    assert "id_token" not in flow.refresh(newer["refresh_token"]).json()


def test_refresh_tokens_need_offline_access_and_a_registration(flow: Flow, new_app: Callable[..., Caller]) -> None:
    assert "refresh_token" not in flow.tokens(scope="openid")
    assert "refresh_token" in flow.tokens(scope="openid offline_access")
    assert "refresh_token" in flow.tokens(scope="bookings.read")  # no OpenID Connect request
    without = Flow(new_app(grant_types=["authorization_code"]), flow.browser)
    tokens = without.tokens(scope="openid bookings.read")
    assert "refresh_token" not in tokens
    assert outcome(without.refresh("crt_x")) == "400 unauthorized_client"


def test_introspection_says_who_the_person_is_and_whose_the_app(flow: Flow, cast: Cast, resource_server: Caller) -> None:
    told = introspected(resource_server, flow.tokens()["access_token"])
    assert told["sub"] == str(cast.owner.sub)
    assert told["org_id"] == str(cast.organization.org_id)
    assert (told["client_id"], told["stage"], told["scope"]) == (flow.app.client_id, "test", "openid")
    assert "email" not in told


@pytest.mark.spec("BCP-10")
def test_a_person_and_an_app_are_never_taken_for_each_other(flow: Flow, cast: Cast, resource_server: Caller, now: datetime) -> None:
    machine = make_caller(cast.organization, now, "client_secret_basic")
    own = Flow(machine).post(TOKEN, grant_type="client_credentials").json()["access_token"]
    assert introspected(resource_server, own)["sub"] == machine.client_id
    assert outcome(flow.userinfo(own)) == "401 invalid_token"
    subjects = {str(user.sub) for user in User.objects.all()}
    assert not subjects & set(Client.objects.values_list("client_id", flat=True))


def test_somebody_who_was_deactivated_has_no_live_token(flow: Flow, resource_server: Caller, cast: Cast) -> None:
    tokens, code = flow.tokens(scope=OFFLINE), flow.code()
    User.objects.filter(pk=cast.owner.pk).update(is_active=False)
    assert is_dead(flow, resource_server, tokens)
    assert outcome(flow.exchange(code)) == "400 invalid_grant"


@pytest.mark.spec("BCP-14", "BCP-05")
def test_access_tokens_are_short_lived_and_long_enough_to_guess(flow: Flow, resource_server: Caller) -> None:
    tokens = flow.tokens(scope=OFFLINE)
    assert tokens["token_type"] == "Bearer"
    assert 0 < tokens["expires_in"] <= 600
    for name in ("access_token", "refresh_token"):
        assert len(tokens[name]) >= 43
    with time_machine.travel(datetime.now(UTC) + timedelta(seconds=tokens["expires_in"] + 1), tick=True):
        assert not is_active(resource_server, tokens["access_token"])
        assert outcome(flow.userinfo(tokens["access_token"])) == "401 invalid_token"
    assert flow.exchange(flow.code())["Cache-Control"] == "no-store"


@pytest.mark.threat("O11")
def test_no_token_outlives_the_trust_of_its_app(flow: Flow, now: datetime) -> None:
    Client.objects.filter(pk=flow.app.client.pk).update(trust="valid", trust_expires_at=now + timedelta(seconds=90))
    tokens = flow.tokens(scope=OFFLINE)
    assert tokens["expires_in"] <= 90
    with time_machine.travel(datetime.now(UTC) + timedelta(seconds=95), tick=True):
        assert outcome(flow.refresh(tokens["refresh_token"])) == "400 unauthorized_client"


@pytest.mark.spec("BCP-04", "BCP-03")
@pytest.mark.parametrize("grant_type", ["password", "implicit", "urn:ietf:params:oauth:grant-type:device_code", "x", "AUTHORIZATION_CODE"])
def test_no_other_grant_exists(flow: Flow, grant_type: str) -> None:
    answer = flow.post(TOKEN, grant_type=grant_type, username="owner@lighthouse.example", password="x", code=flow.code())
    assert outcome(answer) == "400 unsupported_grant_type"


@pytest.mark.spec("BCP-02", "BCP-06")
def test_an_app_without_a_secret_gets_tokens_by_its_verifier(new_app: Callable[..., Caller], cast: Cast, resource_server: Caller) -> None:
    flow = Flow(new_app("none", application_type="native", redirect_uris=["http://127.0.0.1/cb"], post_logout_redirect_uris=None))
    sign_in(flow.browser, cast.owner)
    uri = "http://127.0.0.1:43210/cb"
    code = flow.code(redirect_uri=uri, scope=OFFLINE)
    assert outcome(flow.exchange(code, redirect_uri="http://127.0.0.1:43211/cb")) == "400 invalid_grant"
    assert outcome(flow.exchange(code, redirect_uri=uri, code_verifier="x" * 43)) == "400 invalid_grant"
    tokens = flow.exchange(code, redirect_uri=uri).json()
    newer = flow.refresh(tokens["refresh_token"]).json()
    assert outcome(flow.refresh(tokens["refresh_token"])) == "400 invalid_grant"
    assert is_dead(flow, resource_server, newer)


@pytest.mark.spec("BCP-07")
def test_an_app_with_credentials_cannot_do_without(flow: Flow) -> None:
    from tests.authserver.support import FORM

    body = (
        f"grant_type=authorization_code&code={flow.code()}&redirect_uri={CALLBACK}&code_verifier={VERIFIER}&client_id={flow.app.client_id}"
    )
    assert outcome(flow.browser.post(TOKEN, body, content_type=FORM)) == "401 invalid_client"


@pytest.mark.spec("BCP-08")
def test_no_token_travels_in_a_url(flow: Flow) -> None:
    token = flow.tokens()["access_token"]
    assert outcome(flow.browser.get("/oauth/userinfo", {"access_token": token})) == "401 invalid_token"
    answer = said(flow.ask())
    assert not {"access_token", "id_token", "token"} & answer.keys()


def test_userinfo_says_what_the_scopes_allow(flow: Flow, cast: Cast) -> None:
    told = flow.userinfo(flow.tokens()["access_token"])
    assert told.json() == {"sub": str(cast.owner.sub)}
    assert told["Cache-Control"] == "no-store"
    told = flow.userinfo(flow.tokens(scope="openid profile email")["access_token"]).json()
    assert told == {"sub": str(cast.owner.sub), "name": "Owner", "email": cast.owner.email, "email_verified": True}
    assert outcome(flow.userinfo(flow.tokens(scope="bookings.read")["access_token"])) == "403 insufficient_scope"
    for token in ("", "cat_x", "ü", "x" * 5000, flow.tokens(scope=OFFLINE)["refresh_token"]):
        answer = flow.userinfo(token)
        assert outcome(answer) == "401 invalid_token"
        assert answer["WWW-Authenticate"].startswith("Bearer")
    assert flow.browser.post("/oauth/userinfo", headers={"Authorization": f"bearer {flow.tokens()['access_token']}"}).status_code == 200


def test_a_scope_named_a_thousand_times_at_refresh_is_stored_once(flow: Flow) -> None:
    tokens = flow.tokens(scope=OFFLINE)
    assert flow.refresh(tokens["refresh_token"], scope="openid " * 1000).json()["scope"] == "openid"


def test_ending_a_family_never_prolongs_what_has_expired(flow: Flow) -> None:
    tokens = flow.tokens(scope=OFFLINE)
    past = timezone.now() - timedelta(minutes=5)
    AccessToken.objects.update(expires=past)
    flow.revoke(tokens["refresh_token"])
    assert AccessToken.objects.get().expires == past


def test_nothing_that_could_be_used_is_stored(flow: Flow) -> None:
    code = flow.code(scope=OFFLINE)
    tokens = flow.exchange(code).json()
    stored = [*Grant.objects.values_list(), *AccessToken.objects.values_list(), *RefreshToken.objects.values_list()]
    text = "".join(map(str, stored))
    for secret in (code, tokens["access_token"], tokens["refresh_token"], VERIFIER):
        assert secret not in text


def test_a_policy_that_changes_between_changes_the_answer(flow: Flow) -> None:
    PolicyRecord.objects.create(organization=None, values={"access_token_lifetime_seconds": 60})
    assert flow.tokens()["expires_in"] == 60
