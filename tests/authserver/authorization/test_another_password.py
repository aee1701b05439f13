"""One session, more than one sign-in: an unfinished one proves nothing, and a finished one is not asked for twice."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.totp.internal.auth import TOTP, format_hotp_value, generate_totp_secret, hotp_value
from django.core.cache import cache

from authserver.models import AuthorizationRequest
from registry.models import Client, User
from tests.authserver.authorization.support import Flow, said, sign_in
from tests.conftest import Cast

PASSWORD, SECRET = "correct horse battery", generate_totp_secret()


@pytest.fixture(autouse=True)
def _fresh_counts() -> Iterator[None]:
    """Forget the attempts that were counted for other tests."""
    cache.clear()
    yield
    cache.clear()


def with_second_step(user: User) -> User:
    """Give somebody a password and an authenticator app."""
    user.set_password(PASSWORD)
    user.save()
    EmailAddress.objects.get_or_create(user=user, email=user.email, defaults={"verified": True, "primary": True})
    TOTP.activate(user, SECRET)
    return user


@pytest.mark.threat("R14")
def test_a_password_alone_is_no_new_sign_in_of_somebody_with_a_second_step(flow: Flow, cast: Cast) -> None:
    flow.code()
    with_second_step(cast.owner)
    sign_in(flow.browser, cast.owner, ago=3000, records=[{"method": "password"}, {"method": "mfa", "type": "totp"}])
    claims = json.dumps({"id_token": {"acr": {"essential": True, "value": "https://refeds.org/profile/mfa"}}})
    for changes in ({"prompt": "login"}, {"max_age": "0"}, {"prompt": "login", "claims": claims}):
        started = flow.start(**changes)
        answer = flow.browser.post("/accounts/login/", {"login": cast.owner.email, "password": PASSWORD})
        assert answer["Location"] == "/accounts/2fa/authenticate/"
        assert flow.go_on(started)["Location"].startswith("/accounts/login/"), changes


def second_step(flow: Flow) -> Any:
    """Give the code of the authenticator app."""
    code = format_hotp_value(hotp_value(SECRET, int(time.time()) // 30))
    return flow.browser.post("/accounts/2fa/authenticate/", {"code": code})


@pytest.mark.parametrize("changes", [{}, {"prompt": "login"}, {"max_age": "0"}])
def test_who_has_a_second_step_reaches_the_class_that_an_app_needs(flow: Flow, cast: Cast, changes: dict[str, str]) -> None:
    flow.code()
    with_second_step(cast.owner)
    claims = json.dumps({"id_token": {"acr": {"essential": True, "value": "https://refeds.org/profile/mfa"}}})
    started = flow.start(claims=claims, **changes)
    to_login = flow.go_on(started)["Location"]
    assert to_login.startswith("/accounts/login/")
    answer = flow.browser.post(to_login, {"login": cast.owner.email, "password": PASSWORD})
    assert answer["Location"].startswith("/accounts/2fa/authenticate/")
    assert flow.browser.get(answer["Location"]).status_code == 200  # allauth shows it to nobody who is signed in
    assert second_step(flow)["Location"] == started["Location"]
    assert "code" in said(flow.go_on(started))
    assert "code" in said(flow.ask())


def test_an_unfinished_sign_in_ends_the_one_before_and_can_be_begun_again(flow: Flow, cast: Cast) -> None:
    flow.code()
    with_second_step(cast.owner)
    for _ in range(2):
        answer = flow.browser.post("/accounts/login/", {"login": cast.owner.email, "password": PASSWORD})
        assert answer["Location"] == "/accounts/2fa/authenticate/"
    assert second_step(flow).status_code == 302
    assert "code" in said(flow.ask())


def test_who_signs_in_over_somebody_else_goes_on_with_a_request_that_was_shown_to_them(flow: Flow, cast: Cast) -> None:
    EmailAddress.objects.create(user=cast.developer, email=cast.developer.email, verified=True, primary=True)
    cast.developer.set_password(PASSWORD)
    cast.developer.save()
    sign_in(flow.browser, cast.owner, ago=3000)
    started = flow.start(claims=json.dumps({"id_token": {"acr": {"essential": True, "value": "phr"}}}))
    to_login = flow.go_on(started)["Location"]
    assert flow.browser.post(to_login, {"login": cast.developer.email, "password": PASSWORD})["Location"] == started["Location"]
    assert said(flow.go_on(started))["error"] == "unmet_authentication_requirements"


def test_who_signs_in_over_somebody_else_is_asked_once(flow: Flow, cast: Cast) -> None:
    EmailAddress.objects.create(user=cast.developer, email=cast.developer.email, verified=True, primary=True)
    cast.developer.set_password(PASSWORD)
    cast.developer.save()
    answer = flow.browser.post("/accounts/login/", {"login": cast.developer.email, "password": PASSWORD})
    assert answer.status_code == 302
    started = flow.start()
    assert b'name="answer"' in flow.go_on(started).content
    assert AuthorizationRequest.objects.get(user=cast.developer)


def test_who_signs_up_on_the_way_to_an_app_goes_on_without_signing_in_again(flow: Flow, mailoutbox: list[Any]) -> None:
    Client.objects.update(stage="live")
    visitor = Flow(flow.app)
    started = visitor.start()
    visitor.go_on(started)
    form = {"email": "new@elsewhere.example", "password1": PASSWORD, "password2": PASSWORD, "next": started["Location"]}
    assert visitor.browser.post("/accounts/signup/", form).status_code == 302
    (link,) = re.findall(r"http://[^/]*(/accounts/confirm-email/[^ \n]+)", mailoutbox[-1].body)
    visitor.browser.post(link)
    assert b'name="answer"' in visitor.go_on(started).content


def test_the_password_of_an_account_whose_second_step_is_open_is_no_new_sign_in(flow: Flow) -> None:
    other = with_second_step(User.objects.create_user("other@elsewhere.example"))
    started = flow.start(prompt="login")
    answer = flow.browser.post("/accounts/login/", {"login": other.email, "password": PASSWORD})
    assert answer["Location"] == "/accounts/2fa/authenticate/"
    assert flow.go_on(started).headers.get("Location", "").startswith("/accounts/")
