"""Signing in on the way to an app: guessing stops early and tells nothing, and a session is new afterwards (threats.md R14)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.core.cache import cache
from django.test import Client as Browser

from tests.authserver.authorization.support import Flow, said
from tests.conftest import Cast

PASSWORD = "correct horse battery staple"
LOGIN = "/accounts/login/"


@pytest.fixture(autouse=True)
def _fresh_counts() -> Iterator[None]:
    """Forget what was counted for other tests."""
    cache.clear()
    yield
    cache.clear()


@pytest.mark.threat("R14")
def test_a_person_signs_in_by_password_and_gets_a_new_session(flow: Flow, cast: Cast) -> None:
    cast.owner.set_password(PASSWORD)
    cast.owner.save()
    visitor = Flow(flow.app)
    started = visitor.start(prompt="login")
    to_login = visitor.go_on(started)
    session = visitor.browser.session
    session["planted"] = "x"
    session.save()
    visitor.browser.cookies["session"] = planted = str(session.session_key)
    answer = visitor.browser.post(to_login["Location"], {"login": cast.owner.email, "password": PASSWORD})
    assert answer["Location"] == started["Location"]
    assert visitor.browser.cookies["session"].value != planted
    assert "code" in said(visitor.allow(started))  # signed in after the request, so that prompt=login is content


@pytest.mark.threat("R14")
def test_guessing_stops_early_and_does_not_tell_who_exists(flow: Flow, cast: Cast) -> None:
    cast.owner.set_password(PASSWORD)
    cast.owner.save()

    def guess(email: str, password: str) -> tuple[int, bool, bytes]:
        answer = Browser(SERVER_NAME="127.0.0.1").post(LOGIN, {"login": email, "password": password})
        error = answer.context["form"].non_field_errors() if answer.context and "form" in answer.context else ""
        return answer.status_code, "Location" in answer, str(error).encode()

    assert guess(cast.owner.email, "wrong") == guess("nobody@lighthouse.example", "wrong")
    for _ in range(12):
        guess(cast.owner.email, "wrong")
    assert guess(cast.owner.email, PASSWORD)[1] is False  # right, and too late
