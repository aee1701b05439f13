"""One session, more than one sign-in: an unfinished one proves nothing, and a finished one is not asked for twice."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret

from authserver.models import AuthorizationRequest
from registry.models import Client, User
from tests.authserver.authorization.support import Flow, sign_in
from tests.conftest import Cast

PASSWORD = "correct horse battery"


def with_second_step(user: User) -> User:
    """Give somebody a password and an authenticator app."""
    user.set_password(PASSWORD)
    user.save()
    EmailAddress.objects.get_or_create(user=user, email=user.email, defaults={"verified": True, "primary": True})
    TOTP.activate(user, generate_totp_secret())
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
