"""The language of pages: what a person chose, else what the browser asks for, without a query more."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import OperationalError, connection
from django.http import HttpResponse
from django.test import Client as Browser
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import translation

from portal.middleware import LanguageMiddleware
from protocol.errors import TransitionRefused
from registry.languages import choose_language
from registry.models import User
from tests.conftest import Cast

GERMAN = {"Accept-Language": "de-AT,de;q=0.9,en;q=0.5"}


@pytest.fixture
def browser(cast: Cast) -> Browser:
    found = Browser(SERVER_NAME="127.0.0.1")
    found.force_login(cast.owner, backend="portal.accounts.AuthenticationBackend")
    return found


def language_of(page: Any) -> str:
    """Return what the page says its language is."""
    text = page.content.decode()
    return text.partition('<html lang="')[2].partition('"')[0]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("asked", "answered"), [("de", "de"), ("de-CH", "de"), ("fr", "en"), ("", "en"), ("\x00;q=x", "en"), ("x" * 5000, "en")]
)
def test_a_visitor_reads_what_the_browser_asks_for(asked: str, answered: str) -> None:
    page = Browser(SERVER_NAME="127.0.0.1").get(reverse("home"), headers={"Accept-Language": asked})
    assert language_of(page) == page["Content-Language"] == answered
    assert "Accept-Language" in page["Vary"]
    assert translation.get_language() == "en"


def test_a_person_reads_the_language_they_chose_whatever_the_browser_asks_for(browser: Browser, cast: Cast) -> None:
    account = reverse("account")
    assert language_of(browser.get(account, headers=GERMAN)) == "de"
    assert browser.post(reverse("account_language"), {"language": "en"}).status_code == 302
    assert language_of(browser.get(account, headers=GERMAN)) == "en"
    browser.post(reverse("account_language"), {"language": "de"})
    page = browser.get(account)
    assert language_of(page) == "de"
    assert '<option value="de" lang="de" selected>Deutsch</option>' in page.content.decode()
    browser.post(reverse("account_language"), {"language": ""})
    assert language_of(browser.get(account)) == "en"


@pytest.mark.parametrize("sent", [{"language": "tlh"}, {"language": "x" * 4000}, {"language": "de\x00"}])
def test_a_language_that_is_not_there_is_refused_in_words(browser: Browser, cast: Cast, sent: dict[str, str]) -> None:
    page = browser.post(reverse("account_language"), sent, follow=True)
    assert b"does not have that language" in page.content
    cast.owner.refresh_from_db()
    assert cast.owner.language == ""


def test_the_service_refuses_what_is_not_there(cast: Cast) -> None:
    with pytest.raises(TransitionRefused):
        choose_language(cast.owner, "fr")
    assert choose_language(cast.owner, "de").language == "de"


def test_a_language_that_was_taken_away_falls_back_to_the_browsers(browser: Browser, cast: Cast) -> None:
    User.objects.filter(pk=cast.owner.pk).update(language="fr")
    assert language_of(browser.get(reverse("account"), headers=GERMAN)) == "de"


def test_a_chosen_language_costs_no_query(browser: Browser, cast: Cast) -> None:
    def count() -> int:
        with CaptureQueriesContext(connection) as queries:
            browser.get(reverse("organizations"))
        return len(queries)

    without = count()
    choose_language(cast.owner, "de")
    assert count() == without


def test_machines_are_answered_in_english(cast: Cast, client: Any) -> None:
    answer = client.post(reverse("token"), {"grant_type": "password"}, headers=GERMAN)
    assert "Content-Language" not in answer
    assert answer.json()["error_description"].isascii()


def test_a_person_who_cannot_be_loaded_leaves_the_question_to_the_page(rf: RequestFactory, settings: Any) -> None:
    class Away:
        @property
        def language(self) -> str:
            raise OperationalError

    request = rf.get("/account/", headers=GERMAN)
    request.COOKIES[settings.SESSION_COOKIE_NAME] = "x"
    request.user = Away()
    assert LanguageMiddleware(lambda _: HttpResponse())(request)["Content-Language"] == "de"
