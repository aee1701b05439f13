"""Signing out by an app (OpenID Connect RP-Initiated Logout 1.0)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
import time_machine
from django.test import Client as Browser

from registry.actors import job
from registry.models import Client, Organization, SigningKey
from registry.signing_keys import forget_snapshots, rotate_signing_key
from tests.authserver.authorization.support import CALLBACK, GOODBYE, LOGOUT, Flow, page, said, sign_in
from tests.authserver.support import FORM, Caller
from tests.conftest import Cast


def is_signed_in(browser: Browser) -> bool:
    """Say whether the browser has a session of somebody."""
    return "_auth_user_id" in browser.session


def bye(flow: Flow, **changes: str | None) -> dict[str, str]:
    """Return the parameters of a good request."""
    good = {"client_id": flow.app.client_id, "post_logout_redirect_uri": GOODBYE, "state": "a&b=c"}
    return {name: value for name, value in {**good, **changes}.items() if value is not None}


def post(browser: Browser, form: dict[str, str]) -> Any:
    """Send a form."""
    return browser.post(LOGOUT, urlencode(form), content_type=FORM)


@pytest.mark.parametrize("method", ["get", "post"])
def test_an_app_that_proves_whom_it_means_signs_them_out_at_once(flow: Flow, method: str) -> None:
    query = bye(flow, id_token_hint=flow.tokens()["id_token"])
    with time_machine.travel(datetime.now(UTC) + timedelta(hours=1), tick=True):
        answer = flow.browser.get(LOGOUT, query) if method == "get" else post(flow.browser, query)
    assert answer.status_code == 303
    assert answer["Location"] == GOODBYE + "?state=a%26b%3Dc"
    assert not is_signed_in(flow.browser)


@pytest.mark.threat("R08")
def test_without_a_proof_the_person_is_asked(flow: Flow, cast: Cast) -> None:
    strict = Browser(SERVER_NAME="127.0.0.1", enforce_csrf_checks=True)
    sign_in(strict, cast.owner)
    asked = strict.get(LOGOUT, bye(flow))
    assert asked.status_code == 200
    assert is_signed_in(strict)
    for forged in ({}, {"csrfmiddlewaretoken": "x" * 64}):
        assert post(strict, {**bye(flow), "confirm": "yes", **forged}).status_code == 403
        assert is_signed_in(strict)
    assert post(strict, bye(flow)).status_code == 200  # an app may post too; that asks as well
    assert is_signed_in(strict)
    answer = post(strict, {**bye(flow), "confirm": "yes", "csrfmiddlewaretoken": str(asked.context["csrf_token"])})
    assert answer["Location"] == GOODBYE + "?state=a%26b%3Dc"
    assert not is_signed_in(strict)


def test_a_hint_about_somebody_else_asks(flow: Flow, cast: Cast) -> None:
    query = bye(flow, id_token_hint=flow.tokens()["id_token"])
    sign_in(flow.browser, cast.developer)
    assert flow.browser.get(LOGOUT, query).status_code == 200
    assert is_signed_in(flow.browser)


@pytest.mark.threat("O05")
def test_nobody_is_sent_to_an_address_that_is_not_registered(flow: Flow, new_app: Callable[..., Caller]) -> None:
    hint = flow.tokens()["id_token"]
    without = new_app(post_logout_redirect_uris=None)
    for changes in (
        {"post_logout_redirect_uri": GOODBYE + "/"},
        {"post_logout_redirect_uri": "https://evil.example/"},
        {"post_logout_redirect_uri": "javascript:alert(1)"},
        {"post_logout_redirect_uri": CALLBACK},
        {"post_logout_redirect_uri": GOODBYE.upper()},
        {"client_id": None, "id_token_hint": None},
        {"client_id": "unknown"},
        {"client_id": without.client_id, "id_token_hint": None},
        {"client_id": without.client_id},
    ):
        page(flow.browser.get(LOGOUT, bye(flow, **{"id_token_hint": hint, **changes})))
        assert is_signed_in(flow.browser)


def test_a_hint_that_proves_nothing_asks(flow: Flow, new_app: Callable[..., Caller], now: datetime) -> None:
    hint = flow.tokens()["id_token"]
    others = Flow(new_app(), flow.browser).tokens()["id_token"]
    for nothing in ("garbage", flow.tokens()["access_token"], hint[:-4] + "AAAA", others):
        assert b"Sign out?" in flow.browser.get(LOGOUT, bye(flow, id_token_hint=nothing)).content, nothing
    SigningKey.objects.filter(algorithm="ES256").delete()
    forget_snapshots()
    assert b"Sign out?" in flow.browser.get(LOGOUT, bye(flow, id_token_hint=hint)).content  # its key is long gone
    assert is_signed_in(flow.browser)


def test_a_hint_alone_says_which_app_asks(flow: Flow) -> None:
    answer = flow.browser.get(LOGOUT, bye(flow, client_id=None, id_token_hint=flow.tokens()["id_token"]))
    assert answer["Location"] == GOODBYE + "?state=a%26b%3Dc"
    assert not is_signed_in(flow.browser)


@pytest.mark.threat("S11")
def test_a_hint_works_however_many_keys_there_are(flow: Flow, now: datetime) -> None:
    for _ in range(13):
        rotate_signing_key("protocol", "ES256", job("test"), now=now)
    hint = flow.tokens()["id_token"]
    assert "code" in said(flow.ask(id_token_hint=hint, prompt="none"))
    assert flow.browser.get(LOGOUT, bye(flow, id_token_hint=hint)).status_code == 303


def test_a_post_from_another_site_becomes_a_get_which_brings_the_cookie(flow: Flow) -> None:
    hint = flow.tokens()["id_token"]
    answer = post(Browser(SERVER_NAME="127.0.0.1"), bye(flow, id_token_hint=hint))  # SameSite=Lax keeps the cookie back
    assert answer.status_code == 303
    assert answer["Location"].startswith(LOGOUT + "?")
    assert flow.browser.get(answer["Location"])["Location"] == GOODBYE + "?state=a%26b%3Dc"
    assert not is_signed_in(flow.browser)


@pytest.mark.threat("O05")
@pytest.mark.spec("BCP-12")
def test_nobody_is_sent_to_an_app_that_may_not_act_or_is_not_vetted(flow: Flow, cast: Cast) -> None:
    clients = Client.objects.filter(pk=flow.app.client.pk)
    for state in ("suspended", "closed"):
        clients.update(state=state)
        assert Browser(SERVER_NAME="127.0.0.1").get(LOGOUT, bye(flow))["Location"] == "/"
    clients.update(state="active")
    Organization.objects.update(state="draft")
    assert Browser(SERVER_NAME="127.0.0.1").get(LOGOUT, bye(flow))["Location"] == "/"
    sign_in(flow.browser, cast.owner)
    assert flow.browser.get(LOGOUT, bye(flow, id_token_hint=flow.tokens()["id_token"]))["Location"].startswith(GOODBYE)


def test_without_an_address_the_person_stays_here(flow: Flow) -> None:
    answer = flow.browser.get(LOGOUT, {"client_id": flow.app.client_id, "id_token_hint": flow.tokens()["id_token"]})
    assert (answer.status_code, answer["Location"]) == (302, "/")
    assert Browser(SERVER_NAME="127.0.0.1").get(LOGOUT)["Location"] == "/"


def test_who_is_not_signed_in_goes_back_at_once(flow: Flow) -> None:
    answer = Browser(SERVER_NAME="127.0.0.1").get(LOGOUT, bye(flow))
    assert answer["Location"].startswith(GOODBYE)


def test_other_methods_and_hostile_values_are_answered(flow: Flow) -> None:
    for method in ("put", "delete", "patch", "head", "options"):
        assert getattr(flow.browser, method)(LOGOUT).status_code == 405
    for value in ("\0", "x" * 5000, "a.b.c", "ü", "%"):
        for name in ("client_id", "id_token_hint", "post_logout_redirect_uri", "state"):
            assert flow.browser.get(LOGOUT, bye(flow, **{name: value})).status_code < 500, (name, value)


@pytest.mark.threat("O13")
def test_the_page_stays_out_of_frames(flow: Flow) -> None:
    answer = flow.browser.get(LOGOUT, bye(flow))
    assert answer["X-Frame-Options"] == "DENY"
    assert "frame-ancestors 'none'" in answer["Content-Security-Policy"]
