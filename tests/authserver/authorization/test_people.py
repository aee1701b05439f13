"""What a person is asked before an app gets a code: to sign in, to sign in again, to consent (OpenID Connect Core, 3.1.2)."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import time_machine
from django.test import Client as Browser

from authserver.models import AuthorizationRequest, Consent, Grant
from protocol.jose import issue_jwt
from registry.actors import job
from registry.lifecycle import update_client
from registry.models import Client, Membership, Organization, PolicyRecord, Scope, User
from registry.signing_keys import get_keys
from tests.authserver.authorization.support import CALLBACK, Flow, make_app, page, said, sign_in
from tests.authserver.support import Caller, key
from tests.conftest import Cast, make_organization

Answer = Any
LOGIN, AGAIN = "/accounts/login/", "/accounts/reauthenticate/"


def sent_to(answer: Answer) -> str:
    """Return the path that a page leads to."""
    assert answer.status_code == 302, (answer.status_code, answer.headers.get("Location"))
    return urlsplit(answer["Location"]).path


def asks(answer: Answer) -> bool:
    """Say whether a page asks for consent."""
    return answer.status_code == 200 and b'name="answer"' in answer.content


@pytest.fixture
def agreed(flow: Flow) -> Flow:
    """The person consented to the scope openid before."""
    flow.code()
    return flow


@pytest.mark.spec("BCP-12")
def test_consent_is_asked_once_and_again_for_more(flow: Flow) -> None:
    assert asks(flow.ask())
    flow.code()
    assert "code" in said(flow.ask())
    assert asks(flow.ask(scope="openid profile"))
    flow.code(scope="openid profile")
    assert "code" in said(flow.ask(scope="openid profile"))
    assert "code" in said(flow.ask())
    assert Consent.objects.get().scopes == ["openid", "profile"]


def test_consent_names_the_organization_before_the_claimed_name_and_scopes_in_words(flow: Flow) -> None:
    text = flow.ask(scope="openid bookings.read").content.decode()
    assert text.index("Lighthouse Travel") < text.index("Travel planner")
    assert "See your bookings" in text
    for hidden in ("nonce-1", "state-1", flow.app.client_id, "code_challenge"):
        assert hidden not in text


def test_consent_taken_back_is_asked_for_again(agreed: Flow) -> None:
    Consent.objects.all().delete()
    assert asks(agreed.ask())


@pytest.mark.spec("ISSP-01")
@pytest.mark.threat("O02")
@pytest.mark.parametrize("mode", ["query", "form_post"])
def test_a_code_comes_with_state_and_issuer(agreed: Flow, settings: Any, mode: str) -> None:
    answer = agreed.ask(response_mode=mode)
    members = said(answer)
    assert set(members) == {"code", "state", "iss"}
    assert (members["iss"], members["state"]) == (settings.ISSUER, "state-1")
    assert agreed.browser.get("/.well-known/openid-configuration").json()["issuer"] == members["iss"]
    assert answer["Cache-Control"] == "no-store"
    assert answer.status_code == (200 if mode == "form_post" else 303)


@pytest.mark.spec("ISSP-01")
@pytest.mark.parametrize("mode", ["query", "form_post"])
def test_a_person_who_says_no_is_believed(flow: Flow, settings: Any, mode: str) -> None:
    started = flow.start(response_mode=mode)
    members = said(flow.browser.post(started["Location"], {"answer": "deny"}))
    assert (members["error"], members["iss"], members["state"]) == ("access_denied", settings.ISSUER, "state-1")
    assert not Consent.objects.exists()
    page(flow.browser.get(started["Location"]))
    page(flow.allow(started))
    assert not Grant.objects.exists()


def test_no_is_no_even_when_another_page_heard_yes(flow: Flow) -> None:
    first, second = flow.start(), flow.start()
    assert asks(flow.go_on(first))
    assert asks(flow.go_on(second))
    assert "code" in said(flow.allow(first))
    assert said(flow.browser.post(second["Location"], {"answer": "deny"}))["error"] == "access_denied"
    assert Grant.objects.count() == 1


@pytest.mark.parametrize("answer", ["", "deny", "ALLOW", "yes", "allow "])
def test_only_the_word_allow_allows(flow: Flow, answer: str) -> None:
    assert said(flow.browser.post(flow.start()["Location"], {"answer": answer}))["error"] == "access_denied"


@pytest.mark.threat("O13")
def test_fields_added_to_the_consent_form_change_nothing(flow: Flow) -> None:
    forged = {
        "client_id": "other", "redirect_uri": "https://evil.example/", "scope": "openid profile email offline_access", "state": "forged",
        "nonce": "forged", "code_challenge": "A" * 43, "code_challenge_method": "plain", "response_mode": "form_post", "user": "1",
        "max_age": "0",
    }  # fmt: skip
    started = flow.start(scope="openid")
    answer = flow.allow(started, **forged)
    assert answer["Location"].startswith(CALLBACK + "?")
    assert said(answer)["state"] == "state-1"
    grant = Grant.objects.get()
    assert (grant.scope, grant.nonce, grant.redirect_uri) == ("openid", "nonce-1", CALLBACK)
    assert Consent.objects.get().scopes == ["openid"]
    assert flow.exchange(said(answer)["code"]).status_code == 200


@pytest.mark.threat("O13", "R08")
def test_consent_needs_the_token_of_the_page(flow: Flow, cast: Cast) -> None:
    strict = Flow(flow.app, Browser(SERVER_NAME="127.0.0.1", enforce_csrf_checks=True))
    sign_in(strict.browser, cast.owner)
    started = strict.start()
    shown = strict.go_on(started)
    assert asks(shown)
    for forged in ({}, {"csrfmiddlewaretoken": "x" * 64}):
        assert strict.allow(started, **forged).status_code == 403
    assert not Grant.objects.exists()
    token = str(shown.context["csrf_token"])
    assert "code" in said(strict.allow(started, csrfmiddlewaretoken=token))


@pytest.mark.threat("O13")
def test_a_request_that_one_person_went_on_with_is_refused_to_another(flow: Flow, cast: Cast) -> None:
    started = flow.start()
    assert asks(flow.go_on(started))
    other = Flow(flow.app)
    sign_in(other.browser, cast.developer)
    page(other.browser.get(started["Location"]))
    page(other.allow(started))
    assert not Grant.objects.exists()
    assert "code" in said(flow.allow(started))


def test_a_request_ends_when_nobody_answers(flow: Flow) -> None:
    started = flow.start()
    with time_machine.travel(datetime.now(UTC) + timedelta(minutes=29), tick=True):
        assert asks(flow.go_on(started))
    with time_machine.travel(datetime.now(UTC) + timedelta(minutes=31), tick=True):
        page(flow.browser.get(started["Location"]))
        page(flow.allow(started))


def test_an_unknown_request_is_a_page(flow: Flow) -> None:
    page(flow.browser.get("/oauth/interaction/00000000-0000-4000-8000-000000000000"))


@pytest.mark.threat("O09")
def test_one_request_gives_one_code(flow: Flow) -> None:
    started = flow.start()
    assert "code" in said(flow.allow(started))
    page(flow.allow(started))
    page(flow.browser.get(started["Location"]))


# --- signing in


def test_who_is_not_signed_in_signs_in_and_comes_back_to_the_kept_request(flow: Flow) -> None:
    stranger = Flow(flow.app)
    started = stranger.start(login_hint="owner@lighthouse.example", scope="openid profile")
    answer = stranger.go_on(started)
    assert sent_to(answer) == LOGIN
    assert parse_qs(urlsplit(answer["Location"]).query) == {"next": [started["Location"]], "login": ["owner@lighthouse.example"]}


def test_prompt_none_never_shows_a_page(flow: Flow, cast: Cast) -> None:
    assert said(Flow(flow.app).ask(prompt="none"))["error"] == "login_required"
    assert said(flow.ask(prompt="none"))["error"] == "consent_required"
    flow.code()
    assert "code" in said(flow.ask(prompt="none"))
    assert said(flow.ask(prompt="none", scope="openid profile"))["error"] == "consent_required"
    assert said(flow.ask(prompt="none", max_age="1"))["error"] == "login_required"


@pytest.mark.spec("ISSP-01")
@pytest.mark.parametrize("mode", ["query", "form_post"])
def test_login_required_comes_with_state_and_issuer(flow: Flow, settings: Any, mode: str) -> None:
    members = said(Flow(flow.app).ask(prompt="none", response_mode=mode))
    assert (members["error"], members["iss"], members["state"]) == ("login_required", settings.ISSUER, "state-1")


def test_prompt_login_asks_again_until_somebody_signed_in_after_the_request(agreed: Flow, cast: Cast) -> None:
    started = agreed.start(prompt="login")
    assert sent_to(agreed.go_on(started)) == AGAIN
    assert sent_to(agreed.go_on(started)) == AGAIN
    sign_in(agreed.browser, cast.owner, ago=0)
    assert "code" in said(agreed.go_on(started))


def test_prompt_login_counts_in_fractions_of_a_second(agreed: Flow, cast: Cast) -> None:
    with time_machine.travel(int(time.time()) + 100.9, tick=False):
        sign_in(agreed.browser, cast.owner, ago=0.5)  # in the same second, and before the request
        assert sent_to(agreed.ask(prompt="login")) == AGAIN


def test_prompt_consent_asks_who_agreed_before(agreed: Flow) -> None:
    started = agreed.start(prompt="consent")
    assert asks(agreed.go_on(started))
    assert "code" in said(agreed.allow(started))


def test_prompt_login_and_consent_ask_for_both(agreed: Flow, cast: Cast) -> None:
    started = agreed.start(prompt="login consent")
    assert sent_to(agreed.go_on(started)) == AGAIN
    sign_in(agreed.browser, cast.owner, ago=0)
    assert asks(agreed.go_on(started))


@pytest.mark.parametrize(("max_age", "ago", "again"), [("60", 5, False), ("60", 61, True), ("1", 5, True), ("9999999999", 10_000, False)])
def test_max_age_asks_who_signed_in_longer_ago(agreed: Flow, cast: Cast, max_age: str, ago: int, again: bool) -> None:
    sign_in(agreed.browser, cast.owner, ago=ago)
    answer = agreed.ask(max_age=max_age)
    assert (sent_to(answer) == AGAIN) if again else ("code" in said(answer))


def test_max_age_zero_asks_once_and_not_for_ever(agreed: Flow, cast: Cast) -> None:
    started = agreed.start(max_age="0")
    assert sent_to(agreed.go_on(started)) == AGAIN
    sign_in(agreed.browser, cast.owner, ago=0)
    time.sleep(0.01)
    assert "code" in said(agreed.go_on(started))


def test_the_registered_default_max_age_counts_when_the_request_names_none(new_app: Callable[..., Caller], cast: Cast) -> None:
    flow = Flow(new_app(default_max_age=60))
    sign_in(flow.browser, cast.owner, ago=61)
    assert sent_to(flow.ask()) == AGAIN
    assert asks(flow.ask(max_age="100"))


def test_a_session_without_a_record_of_signing_in_counts_as_none(flow: Flow) -> None:
    session = flow.browser.session
    del session["account_authentication_methods"]
    session.save()
    assert sent_to(flow.ask()) == LOGIN


# --- hints and claims


def id_token(flow: Flow) -> str:
    """Return an ID token of the app about the person."""
    return str(flow.tokens()["id_token"])


def test_a_hint_about_who_is_signed_in_is_accepted_even_expired(flow: Flow, cast: Cast) -> None:
    hint = id_token(flow)
    assert "code" in said(flow.ask(id_token_hint=hint, prompt="none"))
    with time_machine.travel(datetime.now(UTC) + timedelta(hours=2), tick=True):
        sign_in(flow.browser, cast.owner)
        assert "code" in said(flow.ask(id_token_hint=hint, prompt="none"))


@pytest.mark.parametrize("prompt", [None, "none"])
def test_a_hint_about_somebody_else_is_answered_with_login_required(flow: Flow, cast: Cast, prompt: str | None) -> None:
    hint = id_token(flow)
    sign_in(flow.browser, cast.developer)
    assert said(flow.ask(id_token_hint=hint, prompt=prompt))["error"] == "login_required"


def test_a_hint_must_be_ours_for_this_app(flow: Flow, new_app: Callable[..., Caller], cast: Cast, settings: Any) -> None:
    other = Flow(new_app(), flow.browser)
    seconds = int(time.time())
    claims = {"iss": settings.ISSUER, "sub": str(cast.owner.sub), "aud": flow.app.client_id, "iat": seconds, "exp": seconds + 60}
    own = get_keys("protocol").current["ES256"]
    hints = {
        "of another app": id_token(other),
        "signed by the app": issue_jwt(claims, key(), typ="JWT"),
        "of another issuer": issue_jwt({**claims, "iss": "https://other.example"}, own, typ="JWT"),
        "of another type": issue_jwt(claims, own, typ="entity-statement+jwt"),
        "an access token": flow.tokens()["access_token"],
    }
    for name, hint in hints.items():
        assert said(flow.ask(id_token_hint=hint))["error"] == "invalid_request", name
        assert flow.push(id_token_hint=hint).json()["error"] == "invalid_request", name


@pytest.mark.parametrize("place", ["id_token", "userinfo"])
def test_claims_that_name_a_person_are_answered_about_that_one_only(flow: Flow, cast: Cast, place: str) -> None:
    flow.code()
    own, other = str(cast.owner.sub), str(cast.developer.sub)
    assert "code" in said(flow.ask(claims=json.dumps({place: {"sub": {"value": own}}})))
    assert said(flow.ask(claims=json.dumps({place: {"sub": {"value": other}}})))["error"] == "login_required"


@pytest.mark.parametrize("claims", ['{"id_token":{"sub":null,"acr":{"essential":true}},"x":1}', '{"userinfo":{"birthdate":null}}', "{}"])
def test_claims_that_are_asked_for_in_other_ways_break_nothing(flow: Flow, claims: str) -> None:
    assert flow.tokens(claims=claims)["id_token"]


# --- what changes between the request and the answer


@pytest.mark.threat("O05")
def test_a_redirect_uri_that_was_removed_meanwhile_gets_no_code(flow: Flow, now: datetime) -> None:
    started = flow.start()
    flow.go_on(started)
    metadata = {**flow.app.client.declared_metadata, "redirect_uris": ["https://app.lighthouse.example/new"]}
    update_client(flow.app.client, job("test"), metadata, now=now)
    assert "is not registered for this app" in page(flow.allow(started))
    assert not Grant.objects.exists()


@pytest.mark.spec("JAR-10", "PAR-14")
@pytest.mark.parametrize("rule", ["require_signed_request_object", "require_pushed_authorization_requests"])
def test_a_rule_that_came_meanwhile_stops_a_kept_request(flow: Flow, rule: str) -> None:
    started = flow.start()
    PolicyRecord.objects.create(organization=None, values={rule: True})
    page(flow.allow(started))


@pytest.mark.threat("O07")
def test_a_consent_that_is_taken_back_meanwhile_gives_no_code(flow: Flow, cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    flow.code()
    monkeypatch.setattr("authserver.authorization.people.has_consented", lambda *_: Consent.objects.all().delete() or True)
    assert said(flow.ask())["error"] == "access_denied"
    assert not Grant.objects.filter(used_at=None).exclude(pk=Grant.objects.earliest("pk").pk).exists()


@pytest.mark.parametrize(("changes", "seconds", "again"), [
    ({"max_age": "60"}, 90, False), ({"max_age": "60"}, 130, True), ({"max_age": "600"}, 500, False), ({"max_age": "600"}, 610, True),
    ({"prompt": "login"}, 1700, False), ({}, 1700, False),
])  # fmt: skip
def test_a_sign_in_after_the_request_does_not_stay_new(
    agreed: Flow, cast: Cast, changes: dict[str, str], seconds: int, again: bool
) -> None:
    started = agreed.start(**changes)
    sign_in(agreed.browser, cast.owner, ago=-0.01)
    with time_machine.travel(datetime.now(UTC) + timedelta(seconds=seconds), tick=True):
        answer = agreed.go_on(started)
    assert (sent_to(answer) == AGAIN) if again else ("code" in said(answer))


def test_an_error_answers_a_request_for_good(flow: Flow) -> None:
    started = flow.start(prompt="none")
    assert said(flow.go_on(started))["error"] == "consent_required"
    flow.code()
    page(flow.go_on(started))


@pytest.mark.spec("BCP-12")
@pytest.mark.threat("O13")
def test_an_app_that_any_program_can_imitate_is_consented_to_each_time(new_app: Callable[..., Caller], cast: Cast) -> None:
    uris = ["com.example.app:/cb", "http://127.0.0.1/cb", "https://app.lighthouse.example/cb"]
    flow = Flow(new_app("none", application_type="native", redirect_uris=uris))
    sign_in(flow.browser, cast.owner)
    for uri in (uris[0], "http://127.0.0.1:6666/cb"):
        flow.code(redirect_uri=uri)
        assert asks(flow.ask(redirect_uri=uri)), uri
        assert said(flow.ask(redirect_uri=uri, prompt="none"))["error"] == "consent_required", uri
    assert "code" in said(flow.ask(redirect_uri=uris[2], prompt="none"))


def test_every_scope_is_shown_even_one_without_words(flow: Flow) -> None:
    started = flow.start(scope="openid bookings.read")
    Scope.objects.filter(name="bookings.read").delete()
    answer = flow.go_on(started)
    assert asks(answer)
    assert b"<strong>bookings.read</strong>" in answer.content


@pytest.mark.spec("BCP-12")
@pytest.mark.threat("O05")
def test_only_members_are_sent_to_an_app_whose_organization_is_not_approved(flow: Flow, cast: Cast) -> None:
    Organization.objects.update(state=Organization.State.DRAFT)
    stranger, nobody = Flow(flow.app), Flow(flow.app)
    sign_in(stranger.browser, cast.stranger)
    page(nobody.start(response_type="token"))
    page(nobody.ask(prompt="none"))
    page(stranger.start(response_type="token"))
    page(stranger.ask(), 403)
    assert said(flow.start(response_type="token"))["error"] == "unsupported_response_type"
    assert flow.code()


# --- test stage and gate


@pytest.mark.threat("O13")
@pytest.mark.parametrize("changes", [{}, {"prompt": "none"}, {"prompt": "consent"}])
def test_a_stranger_never_meets_the_consent_page_of_a_test_app(flow: Flow, cast: Cast, changes: dict[str, str]) -> None:
    stranger = Flow(flow.app)
    sign_in(stranger.browser, cast.stranger)
    started = stranger.start(**changes)
    assert said(stranger.go_on(started))["error"] == "access_denied"
    page(stranger.allow(started))
    assert said(stranger.allow(stranger.start(**changes)))["error"] == "access_denied"
    assert not Grant.objects.exists()
    Membership.objects.create(organization=cast.organization, user=cast.stranger, role="viewer")
    assert asks(stranger.ask())


def test_a_live_app_asks_everybody(flow: Flow, cast: Cast) -> None:
    Client.objects.filter(pk=flow.app.client.pk).update(stage=Client.Stage.LIVE)
    stranger = Flow(flow.app)
    sign_in(stranger.browser, cast.stranger)
    assert asks(stranger.ask())


def test_a_member_of_another_organization_is_a_stranger(cast: Cast, now: datetime, server_keys: None, flow: Flow) -> None:
    elsewhere = make_organization(cast.stranger, cast.reviewer, now, "Tidewater Hotels")
    other = Flow(make_app(elsewhere, now), flow.browser)
    assert said(other.ask())["error"] == "access_denied"


@pytest.mark.threat("O10")
def test_an_app_that_may_not_act_gets_no_page_and_no_code(flow: Flow) -> None:
    started = flow.start()
    assert asks(flow.go_on(started))
    clients = Client.objects.filter(pk=flow.app.client.pk)
    clients.update(state=Client.State.SUSPENDED)
    for answer in (flow.allow(started), flow.start()):
        assert "suspended" in page(answer)
    clients.update(state=Client.State.ACTIVE)
    Organization.objects.update(state=Organization.State.SUSPENDED)
    assert "The organization is suspended." in page(flow.allow(started))
    assert not Grant.objects.exists()


def test_a_request_dies_with_the_generation_of_its_app(flow: Flow) -> None:
    started = flow.start()
    Client.objects.filter(pk=flow.app.client.pk).update(credential_generation=99)
    page(flow.allow(started))


def test_somebody_who_was_deactivated_is_not_signed_in(flow: Flow) -> None:
    User.objects.filter(email="owner@lighthouse.example").update(is_active=False)
    assert sent_to(flow.ask()) == LOGIN
    assert AuthorizationRequest.objects.get().user is None
