"""Pushed requests (RFC 9126): authenticated, short-lived, used up when the code is issued and not before."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
import time_machine
from django.test import Client as Browser
from django.utils import timezone

from authserver.authorization import requests as pushing
from authserver.models import AuthorizationRequest, Grant
from authserver.throttling import sign_ins
from registry.models import Client, Organization, PolicyRecord
from tests.authserver.authorization.support import CALLBACK, PAR, Flow, page, parameters, request_object, said, sign_in
from tests.authserver.authorization.test_request_checks import REFUSED
from tests.authserver.support import FORM, Caller, outcome
from tests.conftest import Cast

PREFIX = "urn:ietf:params:oauth:request_uri:"


def is_shown(answer: Any) -> bool:
    """Say whether the page behind the request is there."""
    return answer.status_code == 200 and b'name="answer"' in answer.content


@pytest.mark.spec("PAR-06", "PAR-07", "PAR-08")
def test_a_pushed_request_gets_a_name_that_nobody_guesses(flow: Flow) -> None:
    answers = [flow.push() for _ in range(5)]
    for answer in answers:
        assert answer.status_code == 201
        assert "no-store" in answer["Cache-Control"]
        assert answer["Content-Type"] == "application/json"
        assert set(answer.json()) == {"request_uri", "expires_in"}
        assert answer.json()["expires_in"] == 90
        name = answer.json()["request_uri"]
        assert re.fullmatch(re.escape(PREFIX) + r"par_[A-Za-z0-9_-]{43,}", name)
        assert not AuthorizationRequest.objects.filter(digest__contains=name[-20:]).exists()
    assert len({answer.json()["request_uri"] for answer in answers}) == 5


@pytest.mark.spec("PAR-01")
def test_the_endpoint_takes_one_form_by_post(flow: Flow) -> None:
    form = urlencode({**parameters(flow.app), **flow.app.credentials()[0]})
    for method in ("get", "put", "delete", "patch", "options", "head"):
        assert getattr(flow.browser, method)(PAR).status_code == 405, method
    for content_type in ("application/json", "multipart/form-data; boundary=x", "text/plain"):
        assert outcome(flow.browser.post(PAR, form, content_type=content_type)) == "415 invalid_request"
    assert outcome(flow.browser.post(PAR, "x=" + "y" * 70_000, content_type=FORM)) == "413 invalid_request"
    assert outcome(flow.browser.post(f"{PAR}?scope=openid", form, content_type=FORM)) == "400 invalid_request"
    assert outcome(flow.browser.post(PAR, form + "&scope=openid", content_type=FORM)) == "400 invalid_request"
    assert flow.browser.post(PAR, form, content_type=FORM).status_code == 201


@pytest.mark.spec("PAR-02")
@pytest.mark.parametrize("method", ["private_key_jwt", "client_secret_basic", "client_secret_post", "none"])
def test_an_app_authenticates_as_at_the_token_endpoint(new_app: Callable[..., Caller], cast: Cast, method: str) -> None:
    app = new_app(method)
    flow = Flow(app)
    sign_in(flow.browser, cast.owner)
    assert flow.exchange(flow.finish(flow.visit(flow.pushed()))).status_code == 200
    bare = Browser(SERVER_NAME="127.0.0.1").post(PAR, urlencode(parameters(app)), content_type=FORM)
    assert outcome(bare) == ("201" if method == "none" else "401 invalid_client")
    nobody = Browser(SERVER_NAME="127.0.0.1").post(PAR, urlencode(parameters(app, client_id=None)), content_type=FORM)
    assert outcome(nobody) == "401 invalid_client"


@pytest.mark.spec("PAR-02", "PAR-03")
@pytest.mark.threat("O01")
def test_only_the_issuer_as_a_text_is_the_audience(flow: Flow, settings: Any) -> None:
    from tests.authserver.support import assertion_parameters

    issuer = settings.ISSUER
    for audience, good in (
        (issuer, True),
        ([issuer], False),
        (issuer + "/", False),
        (issuer + "/oauth/par", False),
        (issuer + "/oauth/token", False),
        ([issuer, issuer + "/oauth/par"], False),
        ("https://other.example", False),
    ):
        body = urlencode({**parameters(flow.app), **assertion_parameters(flow.app.assertion(aud=audience))})
        assert outcome(flow.browser.post(PAR, body, content_type=FORM)) == ("201" if good else "401 invalid_client"), audience


@pytest.mark.spec("PAR-02")
def test_an_assertion_counts_once_at_both_endpoints(flow: Flow) -> None:
    credentials = flow.app.credentials()[0]
    assert outcome(flow.browser.post(PAR, urlencode({**parameters(flow.app), **credentials}), content_type=FORM)) == "201"
    assert outcome(flow.browser.post(PAR, urlencode({**parameters(flow.app), **credentials}), content_type=FORM)) == "401 invalid_client"
    form = urlencode({"grant_type": "authorization_code", "code": "x", **credentials})
    assert outcome(flow.browser.post("/oauth/token", form, content_type=FORM)) == "401 invalid_client"


@pytest.mark.spec("PAR-04")
def test_a_request_uri_cannot_be_pushed(flow: Flow) -> None:
    for value in ("https://app.lighthouse.example/r", flow.pushed(), "x"):
        assert outcome(flow.push(request_uri=value)) == "400 invalid_request"
        form = urlencode({**parameters(flow.app), **flow.app.credentials()[0]})
        query = urlencode({"request_uri": value})
        assert outcome(flow.browser.post(f"{PAR}?{query}", form, content_type=FORM)) == "400 invalid_request"


@pytest.mark.spec("PAR-05", "PAR-12")
def test_every_check_of_the_authorization_endpoint_is_made_when_pushing(flow: Flow) -> None:
    unproven = {
        "other address": ({"redirect_uri": CALLBACK + "/"}, "invalid_request"),
        "no address": ({"redirect_uri": None}, "invalid_request"),
    }
    for case, (changes, code) in {**REFUSED, **unproven}.items():
        answer = flow.push(**changes)
        assert outcome(answer) == f"400 {code}", (case, answer.content)
        assert "Location" not in answer
        assert "no-store" in answer.headers.get("Cache-Control", "no-store")
    assert not AuthorizationRequest.objects.exists()


@pytest.mark.spec("PAR-05")
def test_hostile_values_are_refused_when_pushing(flow: Flow) -> None:
    for name in ("state", "nonce", "login_hint", "acr_values", "claims", "scope", "id_token_hint", "x"):
        for value in ("%00", "a%00b", "%ff", "%ed%a0%80", "%F0%9F%98%80", "x" * 20_000, "%", "%5B" * 3000):
            rest = urlencode({**{key: text for key, text in parameters(flow.app).items() if key != name}, **flow.app.credentials()[0]})
            answer = flow.browser.post(PAR, f"{rest}&{name}={value}", content_type=FORM)
            assert answer.status_code in (201, 400), (name, value[:20], answer.content)
            if "%00" in value:
                assert answer.status_code == 400, name


@pytest.mark.spec("PAR-05")
@pytest.mark.threat("O10")
def test_an_app_that_may_not_act_cannot_push(flow: Flow) -> None:
    Organization.objects.update(state=Organization.State.SUSPENDED)
    assert outcome(flow.push()) == "400 unauthorized_client"


@pytest.mark.spec("PAR-07", "PAR-10")
@pytest.mark.threat("O09")
def test_a_pushed_request_belongs_to_the_app_that_pushed_it(flow: Flow, new_app: Callable[..., Caller]) -> None:
    name, other = flow.pushed(), new_app()
    assert "invalid_request_uri" in page(flow.visit(name, client_id=other.client_id))
    assert "invalid_request_uri" in page(flow.visit(name, client_id=None))
    assert "invalid_request_uri" in page(flow.visit(name, client_id="unknown"))
    assert is_shown(flow.go_on(flow.visit(name)))


@pytest.mark.spec("PAR-09")
def test_only_client_id_and_request_uri_count_afterwards(flow: Flow) -> None:
    outside = {
        "redirect_uri": "https://evil.example/", "scope": "openid profile", "state": "outside", "nonce": "outside", "prompt": "none",
        "code_challenge": "A" * 43, "response_type": "token", "response_mode": "form_post", "max_age": "0",
    }  # fmt: skip
    started = flow.visit(flow.pushed(state="inside"), **outside)
    answer = flow.allow(started)
    assert answer["Location"].startswith(CALLBACK + "?")
    assert said(answer)["state"] == "inside"
    assert (Grant.objects.get().scope, Grant.objects.get().nonce) == ("openid", "nonce-1")


@pytest.mark.spec("PAR-10")
@pytest.mark.threat("O05")
def test_an_unknown_request_is_a_page(flow: Flow) -> None:
    for name in (PREFIX, PREFIX + "par_x", PREFIX + "x" * 5000, PREFIX + "%00", PREFIX + "\0", PREFIX + "ü"):
        text = page(flow.visit(name, redirect_uri=CALLBACK, state="x"))
        assert "invalid_request" in text
    row = AuthorizationRequest.objects.create(
        application=flow.app.client, origin="parameters", parameters={}, expires=timezone.now() + timedelta(hours=1)
    )
    page(flow.visit(PREFIX + str(row.reference)))
    page(flow.visit(PREFIX))  # rows that were not pushed have no digest; none may be found by it


@pytest.mark.spec("PAR-16")
def test_who_pushes_for_a_public_app_is_counted_and_not_the_app(new_app: Callable[..., Caller], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("authserver.authorization.requests.PUSHED_AT_ONCE", 1)
    monkeypatch.setattr("authserver.throttling.SIGN_INS_PER_SOURCE", 2)
    sign_ins.forget()
    flow = Flow(new_app("none"))
    assert [flow.push().status_code for _ in range(3)] == [201, 201, 429]
    sign_ins.forget()


@pytest.mark.spec("PAR-08", "PAR-10")
def test_a_pushed_request_is_good_for_ninety_seconds(flow: Flow) -> None:
    early, late, visited = flow.pushed(), flow.pushed(), flow.pushed()
    started = flow.visit(visited)
    with time_machine.travel(datetime.now(UTC) + timedelta(seconds=85), tick=True):
        assert flow.visit(early).status_code == 302
    with time_machine.travel(datetime.now(UTC) + timedelta(seconds=91), tick=True):
        assert "invalid_request_uri" in page(flow.visit(late))
        assert "invalid_request_uri" in page(flow.visit(visited))
        assert is_shown(flow.go_on(started))  # who came in time may take longer to sign in and read


@pytest.mark.spec("PAR-11")
def test_who_came_in_time_has_as_long_to_answer_as_anybody(flow: Flow) -> None:
    started = flow.visit(flow.pushed())
    with time_machine.travel(datetime.now(UTC) + timedelta(minutes=29), tick=True):
        assert "code" in said(flow.allow(started))
    started = flow.visit(flow.pushed())
    with time_machine.travel(datetime.now(UTC) + timedelta(minutes=31), tick=True):
        page(flow.allow(started))


@pytest.mark.spec("PAR-10", "PAR-11")
@pytest.mark.threat("O09")
def test_looking_twice_works_and_answering_twice_does_not(flow: Flow) -> None:
    name = flow.pushed()
    first, second = flow.visit(name), flow.visit(name)
    assert is_shown(flow.go_on(first))
    assert is_shown(flow.go_on(second))
    assert is_shown(flow.go_on(first))
    assert "code" in said(flow.allow(second))
    assert "invalid_request_uri" in page(flow.visit(name))
    page(flow.allow(first))
    assert Grant.objects.count() == 1


@pytest.mark.spec("PAR-11")
def test_signing_in_between_keeps_the_request(flow: Flow, cast: Cast) -> None:
    name = flow.pushed()
    visitor = Flow(flow.app)
    started = visitor.visit(name)
    assert visitor.go_on(started)["Location"].startswith("/accounts/login/")
    sign_in(visitor.browser, cast.owner)
    assert is_shown(visitor.go_on(visitor.visit(name)))
    assert "code" in said(visitor.allow(started))


@pytest.mark.spec("PAR-11")
def test_a_prompt_that_was_pushed_counts(flow: Flow, cast: Cast) -> None:
    flow.code()
    started = flow.visit(flow.pushed(prompt="login"))
    assert flow.go_on(started)["Location"].startswith("/accounts/reauthenticate/")
    sign_in(flow.browser, cast.owner, ago=0)
    assert "code" in said(flow.go_on(started))
    assert said(Flow(flow.app).go_on(flow.visit(flow.pushed(prompt="none"))))["error"] == "login_required"


@pytest.mark.spec("PAR-13")
def test_a_signed_request_may_be_pushed(flow: Flow, new_app: Callable[..., Caller]) -> None:
    outside = dict.fromkeys(parameters(flow.app))
    answer = flow.push(**{**outside, "request": request_object(flow.app, state="inside")})
    assert answer.status_code == 201, answer.content
    assert said(flow.allow(flow.visit(answer.json()["request_uri"])))["state"] == "inside"
    ignored = flow.push(request=request_object(flow.app, state="inside"), state="outside", redirect_uri="https://evil.example/")
    assert said(flow.go_on(flow.visit(ignored.json()["request_uri"])))["state"] == "inside"
    other = new_app()
    for token, code in (
        (request_object(other), "invalid_request"),
        (request_object(flow.app, client_id=other.client_id), "invalid_request"),
        (request_object(flow.app, aud="https://other.example"), "invalid_request_object"),
        (request_object(flow.app, redirect_uri="https://evil.example/"), "invalid_request"),
        (request_object(flow.app, scope="nothing"), "invalid_scope"),
        (request_object(flow.app, exp=1, iat=1), "invalid_request_object"),
        ("garbage", "invalid_request_object"),
        (flow.app.assertion(), "invalid_request"),
    ):
        assert outcome(flow.push(**{**outside, "request": token})) == f"400 {code}", code
    assert outcome(flow.push(**{**outside, "client_id": other.client_id, "request": request_object(flow.app)})) == "400 invalid_request"


@pytest.mark.spec("PAR-14")
def test_an_app_that_must_push_cannot_ask_otherwise(new_app: Callable[..., Caller], cast: Cast) -> None:
    app = new_app(require_pushed_authorization_requests=True)
    flow = Flow(app)
    sign_in(flow.browser, cast.owner)
    assert said(flow.start())["error"] == "invalid_request"
    assert said(flow.start(request=request_object(app)))["error"] == "invalid_request"
    assert "code" in said(flow.allow(flow.visit(flow.pushed())))


@pytest.mark.spec("PAR-14")
def test_a_server_that_wants_pushes_gets_them_and_says_so(flow: Flow) -> None:
    from authserver.documents import metadata_snapshot

    url = "/.well-known/oauth-authorization-server"
    assert flow.browser.get(url).json()["require_pushed_authorization_requests"] is False
    assert flow.browser.get(url).json()["pushed_authorization_request_endpoint"].endswith(PAR)
    PolicyRecord.objects.create(organization=None, values={"require_pushed_authorization_requests": True})
    metadata_snapshot.forget()
    assert flow.browser.get(url).json()["require_pushed_authorization_requests"] is True
    assert said(flow.start())["error"] == "invalid_request"
    assert is_shown(flow.go_on(flow.visit(flow.pushed())))


@pytest.mark.spec("PAR-16", "PAR-01")
def test_an_app_cannot_push_without_end(flow: Flow, new_app: Callable[..., Caller], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pushing, "PUSHED_AT_ONCE", 3)
    names = [flow.pushed() for _ in range(3)]
    refused = flow.push()
    assert outcome(refused) == "429 temporarily_unavailable"
    assert refused["Retry-After"] == "90"
    assert Flow(new_app()).push().status_code == 201
    flow.code()  # others ways stay open
    flow.finish(flow.visit(names[0]))
    assert flow.push().status_code == 201  # an answered one counts no more
    with time_machine.travel(time.time() + 91, tick=True):
        assert flow.push().status_code == 201


@pytest.mark.spec("PAR-16")
def test_the_name_of_an_app_may_be_a_long_url(flow: Flow) -> None:
    long = "https://" + "a" * 2000 + ".example/"
    Client.objects.filter(pk=flow.app.client.pk).update(client_id=long)
    flow.app.client.refresh_from_db()
    assert is_shown(flow.go_on(flow.visit(flow.pushed())))


@pytest.mark.threat("O10")
def test_a_pushed_request_dies_with_the_generation_of_its_app(flow: Flow) -> None:
    name = flow.pushed()
    Client.objects.filter(pk=flow.app.client.pk).update(credential_generation=99)
    page(flow.visit(name))


def test_scopes_lost_after_pushing_are_not_granted(flow: Flow) -> None:
    from registry.models import Entitlement

    name = flow.pushed(scope="openid bookings.read")
    code = flow.finish(flow.visit(name))
    Entitlement.objects.filter(client=flow.app.client, value="bookings.read").delete()
    assert flow.exchange(code).json()["scope"] == "openid"
