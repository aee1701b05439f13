"""A form that the question for the password interrupted goes on at its own address, once, and nowhere else."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

import pytest
from django.test import Client as Browser
from django.urls import reverse

from portal.interrupted import KEPT_SECONDS
from registry.models import Client, User
from registry.models.users import StaffRole
from tests.conftest import Cast
from tests.portal.admin.conftest import step_of, subpage_of

PASSWORD = "correct horse battery"
QUESTION = reverse("account_reauthenticate")


@pytest.fixture
def browser(cast: Cast) -> Browser:
    """A browser of an administrator who has a password, and whose forms need their token."""
    user = User.objects.create_superuser("root@credence.example", PASSWORD, name="Root")
    browser = Browser(SERVER_NAME="127.0.0.1", enforce_csrf_checks=True)
    browser.force_login(user, backend="portal.accounts.AuthenticationBackend")
    return browser


def token_of(browser: Browser) -> str:
    """Return an anti-forgery token for the browser."""
    html = browser.get(reverse("account")).content.decode()
    return re.findall(r'name="csrfmiddlewaretoken" value="(\w+)"', html)[0]


def send(browser: Browser, address: str, **values: Any) -> Any:
    """Send a form as a browser does."""
    return browser.post(address, {"csrfmiddlewaretoken": token_of(browser), **values})


def interrupt(browser: Browser, address: str, **values: Any) -> str:
    """Send a form that asks for the password; return where the question is."""
    response = send(browser, address, **values)
    assert response.status_code == 302
    assert response.url.startswith(QUESTION)
    return response.url


def answer(browser: Browser, question: str, password: str = PASSWORD) -> Any:
    """Answer the question for the password, and return what it leads to, not followed."""
    fields = dict(re.findall(r'name="(next)" value="([^"]+)"', browser.get(question).content.decode()))
    return send(browser, QUESTION, password=password, **fields)


@pytest.mark.parametrize("query", ["", "?page=2"])
def test_a_form_that_is_refused_is_shown_again_at_its_own_address(browser: Browser, app: Client, query: str) -> None:
    address = step_of(app, "close") + query
    led = answer(browser, interrupt(browser, address, typed_name="Front office"))
    assert (led.status_code, led.url) == (302, address)
    page = browser.get(led.url)
    assert (page.status_code, page.request["PATH_INFO"]) == (200, step_of(app, "close"))
    assert "This is not the name" in page.content.decode()
    assert 'value="Front office"' in page.content.decode()
    # What is corrected there is sent there, without another question.
    assert send(browser, address, typed_name="Back office").status_code == 302
    app.refresh_from_db()
    assert app.state == "closed"


def test_a_form_that_is_right_goes_through_once(browser: Browser, app: Client) -> None:
    led = answer(browser, interrupt(browser, step_of(app, "close"), typed_name="Back office"))
    done = browser.get(led.url)
    assert done.status_code == 302
    app.refresh_from_db()
    assert app.state == "closed"
    Client.objects.filter(pk=app.pk).update(state="active")
    assert browser.get(led.url).status_code == 200
    app.refresh_from_db()
    assert app.state == "active"


def test_a_wrong_password_changes_nothing_and_loses_nothing(browser: Browser, cast: Cast) -> None:
    address = subpage_of(cast.stranger, "role")
    question = interrupt(browser, address, staff_role=StaffRole.AUDITOR)
    assert answer(browser, question, password="wrong").status_code == 200
    assert browser.get(address)["Location"].startswith(QUESTION)
    cast.stranger.refresh_from_db()
    assert cast.stranger.staff_role == ""
    browser.get(answer(browser, question).url)
    cast.stranger.refresh_from_db()
    assert cast.stranger.staff_role == StaffRole.AUDITOR


def test_a_later_visit_of_the_page_sends_nothing(browser: Browser, cast: Cast, time_machine: Any, now: datetime) -> None:
    time_machine.move_to(now, tick=False)
    address = subpage_of(cast.stranger, "role")
    led = answer(browser, interrupt(browser, address, staff_role=StaffRole.AUDITOR))
    time_machine.shift(KEPT_SECONDS + 1)
    for _ in range(2):
        assert browser.get(led.url).status_code == 200
    cast.stranger.refresh_from_db()
    assert cast.stranger.staff_role == ""


@pytest.mark.threat("R09")
def test_another_page_or_person_gets_nothing_of_it(browser: Browser, cast: Cast) -> None:
    question = interrupt(browser, subpage_of(cast.stranger, "role"), staff_role=StaffRole.AUDITOR)
    led = answer(browser, question)
    assert browser.get(subpage_of(cast.viewer, "role")).status_code == 200
    assert browser.get(f"{led.url}?x=1").status_code == 200
    other = Browser(SERVER_NAME="127.0.0.1")
    other.force_login(cast.operator, backend="portal.accounts.AuthenticationBackend")
    assert other.get(led.url).status_code in (302, 403)
    browser.logout()
    browser.get(led.url)
    for user in (cast.stranger, cast.viewer):
        user.refresh_from_db()
        assert user.staff_role == ""


def test_the_anti_forgery_token_is_checked_again(browser: Browser, cast: Cast) -> None:
    led = answer(browser, interrupt(browser, subpage_of(cast.stranger, "role"), staff_role=StaffRole.AUDITOR))
    del browser.cookies["csrf"]
    session = browser.session
    waiting = session["interrupted_form"]
    waiting["request"] = re.sub(r"csrfmiddlewaretoken=\w+", "csrfmiddlewaretoken=x", waiting["request"])
    session["interrupted_form"] = waiting
    session.save()
    assert browser.get(led.url).status_code == 403
    cast.stranger.refresh_from_db()
    assert cast.stranger.staff_role == ""
