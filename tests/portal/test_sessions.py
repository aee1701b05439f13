"""Where one is signed in: what the account page says of it, and ending what is not this browser."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from allauth.account.authentication import AUTHENTICATION_METHODS_SESSION_KEY
from allauth.account.models import EmailAddress
from django.conf import settings
from django.contrib.sessions.backends.base import UpdateError
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.db import Error, connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from portal import sessions as portal_sessions
from registry import sessions
from registry.models import AuditEvent, User, UserSession
from registry.tasks import purge_sessions
from tests.conftest import Cast, later

PASSWORD = "correct horse battery"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
SAFARI = "Mozilla/5.0 (Macintosh) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Safari/605.1.15"
ACCOUNT = reverse("account")
QUESTION = reverse("account_reauthenticate")
END_OTHERS = reverse("sessions_end_others")
Arrive = Callable[..., Browser]


@pytest.fixture(autouse=True)
def _forget_others() -> None:
    """Let no test profit from what was noted in another, nor be held back by how often the others signed in."""
    portal_sessions.noted.forget()
    cache.clear()


@pytest.fixture
def arrive(cast: Cast) -> Arrive:
    """Return a function that signs somebody of the cast in by password, in a browser of their own."""

    def sign_in(
        who: str = "owner", *, agent: str = FIREFOX, address: str = "192.0.2.1", proven_again: bool = True, **options: Any
    ) -> Browser:
        user: User = getattr(cast, who)
        if not user.has_usable_password():
            user.set_password(PASSWORD)
            user.save()
            EmailAddress.objects.create(user=user, email=user.email, verified=True, primary=True)
        browser = Browser(headers={"User-Agent": agent}, REMOTE_ADDR=address, **options)
        assert send(browser, reverse("account_login"), login=user.email, password=PASSWORD).status_code == 302
        if proven_again:
            assert send(browser, QUESTION, password=PASSWORD).status_code == 302
        return browser

    return sign_in


def send(browser: Browser, url: str, **values: str) -> Any:
    """Send the form of the page at `url` as a browser does."""
    hidden = re.findall(r'name="(csrfmiddlewaretoken|next)" value="([^"]+)"', browser.get(url).content.decode())
    return browser.post(url, {**dict(hidden), **values})


def key_of(browser: Browser) -> str:
    key = browser.session.session_key
    assert key is not None
    return key


def noted(browser: Browser) -> UserSession:
    return UserSession.objects.get(session_id=key_of(browser))


def end_url(browser: Browser) -> str:
    return reverse("session_end", args=[noted(browser).pk])


def is_signed_in(browser: Browser) -> bool:
    return browser.get(ACCOUNT).status_code == 200


def rows_on(browser: Browser) -> list[str]:
    """Return the rows of the table of sessions as text."""
    html = browser.get(ACCOUNT).content.decode()
    table = html[html.index('id="sessions-heading"') :]
    body = table[table.index("<tbody>") : table.index("</tbody>")]
    return [re.sub(r"<[^>]+>|\s+", " ", row) for row in body.split("</tr>")[:-1]]


# What is listed


def test_each_browser_is_listed_with_its_family_and_address_and_this_one_is_marked(arrive: Arrive) -> None:
    arrive(agent=SAFARI, address="2001:db8::7")
    rows = rows_on(arrive())
    assert len(rows) == 2
    this, other = sorted(rows, key=lambda row: "This browser" not in row)
    assert "Firefox" in this
    assert "192.0.2.1" in this
    assert "End now" not in this
    assert "Safari" in other
    assert "2001:db8::7" in other
    assert "This browser" not in other
    assert "End now" in other


@pytest.mark.parametrize("agent", ["", "curl/8"])
def test_a_program_without_a_known_name_is_an_unknown_browser(arrive: Arrive, agent: str) -> None:
    assert "Unknown browser" in rows_on(arrive(agent=agent))[0]


def test_nothing_of_the_user_agent_is_kept_but_the_family(arrive: Arrive) -> None:
    row = noted(arrive())
    assert "Gecko" not in str({field.name: getattr(row, field.attname) for field in UserSession._meta.concrete_fields})


def test_the_key_of_a_session_is_on_no_page_and_not_in_the_trail(arrive: Arrive) -> None:
    other, browser = arrive(), arrive()
    page = browser.get(ACCOUNT).content.decode()
    assert key_of(other) not in page
    assert key_of(browser) not in page
    ended = key_of(other)
    browser.post(end_url(other))
    event = AuditEvent.objects.get(event="session.ended")
    assert ended not in f"{event.object_id} {event.object_label} {event.difference}"


def test_one_sees_only_where_one_is_signed_in_oneself(arrive: Arrive) -> None:
    arrive("developer", address="198.51.100.9")
    rows = rows_on(arrive())
    assert len(rows) == 1
    assert "198.51.100.9" not in rows[0]


def test_with_one_browser_there_is_nothing_to_end(arrive: Arrive) -> None:
    assert END_OTHERS not in arrive().get(ACCOUNT).content.decode()


def test_what_has_expired_is_not_listed(arrive: Arrive, now: datetime) -> None:
    other, browser = arrive(), arrive()
    Session.objects.filter(pk=key_of(other)).update(expire_date=later(now, seconds=-1))
    assert len(rows_on(browser)) == 1


def test_what_is_beyond_the_limit_is_told_of(arrive: Arrive, monkeypatch: pytest.MonkeyPatch) -> None:
    arrive()
    browser = arrive()
    assert "there are more" not in browser.get(ACCOUNT).content.decode()
    monkeypatch.setattr(sessions, "LISTED", 1)
    assert "there are more" in browser.get(ACCOUNT).content.decode()
    rows = rows_on(browser)
    assert len(rows) == 1
    assert "This browser" in rows[0], "the last used comes first"


def test_the_page_names_the_limit_that_counts(arrive: Arrive) -> None:
    assert sessions.LISTED == 25, "the caption says 25"


# How they are noted


def test_a_session_from_before_the_upgrade_is_listed_from_its_next_request_with_when_it_began(arrive: Arrive) -> None:
    browser = arrive()
    session = browser.session
    began = datetime(2026, 11, 24, 6, 30, tzinfo=UTC)
    session[AUTHENTICATION_METHODS_SESSION_KEY][0]["at"] = began.timestamp()
    session.save()
    UserSession.objects.all().delete()
    portal_sessions.noted.forget()
    rows = rows_on(browser)
    assert len(rows) == 1
    assert "24 Nov 2026 06:30 UTC" in rows[0]


def test_using_a_session_notes_when_and_from_where_and_does_not_prolong_it(arrive: Arrive, now: datetime) -> None:
    browser = arrive()
    long_ago = later(now, hours=-3)
    UserSession.objects.update(last_seen_at=long_ago, began_at=long_ago)
    Session.objects.update(expire_date=later(now, hours=9))
    portal_sessions.noted.forget()
    browser.get(reverse("organizations"), REMOTE_ADDR="192.0.2.77", headers={"User-Agent": SAFARI})
    row = noted(browser)
    assert (row.began_at, row.source_address, row.user_agent_family) == (long_ago, "192.0.2.77", "Safari")
    assert row.last_seen_at >= now
    assert Session.objects.get(pk=key_of(browser)).expire_date == later(now, hours=9)


def test_within_a_minute_nothing_is_written_again(arrive: Arrive) -> None:
    browser = arrive()
    with CaptureQueriesContext(connection) as queries:
        assert is_signed_in(browser)
    assert [query["sql"] for query in queries if not query["sql"].startswith("SELECT")] == []


def test_a_visitor_is_not_noted(cast: Cast) -> None:
    browser = Browser()
    session = SessionStore()
    session["visited"] = True
    session.save()
    browser.cookies[settings.SESSION_COOKIE_NAME] = session.session_key
    assert browser.get(reverse("home")).status_code == 200
    assert not UserSession.objects.exists()


def test_a_page_is_answered_though_its_session_cannot_be_noted(arrive: Arrive, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise Error

    browser = arrive()
    portal_sessions.noted.forget()
    monkeypatch.setattr(portal_sessions, "note_session", fail)
    assert is_signed_in(browser)


def test_signing_out_forgets_the_session(arrive: Arrive) -> None:
    browser = arrive()
    browser.post(reverse("account_logout"))
    assert not UserSession.objects.exists()


def test_a_new_password_leaves_this_browser_alone_and_when_it_began_stays(arrive: Arrive) -> None:
    other, browser = arrive(), arrive()
    began = noted(browser).began_at
    new = "another horse battery"
    passwords = {"oldpassword": PASSWORD, "password1": new, "password2": new}
    assert browser.post(reverse("account_change_password"), passwords).status_code == 302
    rows = rows_on(browser)
    assert len(rows) == 1, "the other one is signed out by the new password, so it is listed no more"
    assert "This browser" in rows[0]
    assert abs(noted(browser).began_at - began) < timedelta(seconds=1)
    assert not is_signed_in(other)


# Ending


@pytest.mark.threat("R09")
def test_ending_one_signs_it_out_with_its_next_request_and_no_other(arrive: Arrive) -> None:
    lost, kept, browser = arrive(agent=SAFARI), arrive(), arrive()
    key = key_of(lost)
    answer = browser.post(end_url(lost), follow=True)
    assert "That browser is signed out." in answer.content.decode()
    assert not Session.objects.filter(pk=key).exists()
    assert not is_signed_in(lost)
    assert is_signed_in(kept)
    assert is_signed_in(browser)
    assert len(rows_on(browser)) == 2


def test_a_request_under_way_does_not_bring_an_ended_session_back(arrive: Arrive) -> None:
    lost, browser = arrive(), arrive()
    under_way = lost.session
    under_way["changed"] = True
    browser.post(end_url(lost))
    with pytest.raises(UpdateError):
        under_way.save()
    assert not Session.objects.filter(pk=under_way.session_key).exists()


def test_ending_all_others_leaves_this_one(arrive: Arrive) -> None:
    others, stranger, browser = [arrive(), arrive(agent=SAFARI)], arrive("developer"), arrive()
    assert "2 other browsers are signed out." in browser.post(END_OTHERS, follow=True).content.decode()
    assert [is_signed_in(other) for other in others] == [False, False]
    assert is_signed_in(browser)
    assert is_signed_in(stranger)


def test_ending_is_in_the_trail_once_each_with_who_did_it_and_without_an_organization(arrive: Arrive, cast: Cast) -> None:
    lost, browser = arrive(agent=SAFARI, address="198.51.100.9"), arrive()
    arrive(agent=SAFARI, address="198.51.100.10")
    browser.post(end_url(lost))
    browser.post(END_OTHERS)
    events = AuditEvent.objects.filter(event="session.ended").order_by("id")
    assert [event.object_label for event in events] == ["Safari 198.51.100.9", "Safari 198.51.100.10"]
    assert {(event.actor_id, event.source_address, event.user_agent_family) for event in events} == {
        (str(cast.owner.sub), "192.0.2.1", "Firefox")
    }
    assert {event.organization_id for event in events} == {None}


@pytest.mark.threat("R09")
def test_nobody_ends_a_session_of_somebody_else(arrive: Arrive) -> None:
    theirs, browser = arrive("developer"), arrive()
    assert browser.post(end_url(theirs)).status_code == 404
    browser.post(END_OTHERS)
    assert is_signed_in(theirs)
    assert not AuditEvent.objects.filter(event="session.ended").exists()


def test_this_browser_is_ended_by_signing_out_only(arrive: Arrive) -> None:
    browser = arrive()
    assert browser.post(end_url(browser)).status_code == 404
    assert is_signed_in(browser)


def test_what_is_over_meanwhile_is_not_there_any_more(arrive: Arrive) -> None:
    lost, browser = arrive(), arrive()
    url = end_url(lost)
    lost.post(reverse("account_logout"))
    assert browser.post(url).status_code == 404


@pytest.mark.parametrize("which", ["one", "all others"])
def test_ending_takes_a_form_of_ours(arrive: Arrive, which: str) -> None:
    lost, browser = arrive(), arrive(enforce_csrf_checks=True)
    url = end_url(lost) if which == "one" else END_OTHERS
    assert browser.get(url).status_code == 405
    assert browser.post(url).status_code == 403
    assert is_signed_in(lost)


@pytest.mark.parametrize("which", ["one", "all others"])
@pytest.mark.parametrize("lately", ["never", "long ago"])
def test_who_did_not_give_the_password_lately_is_asked_and_then_it_is_done(arrive: Arrive, which: str, lately: str) -> None:
    lost, browser = arrive(), arrive(proven_again=lately == "long ago")
    session = browser.session
    for record in session[AUTHENTICATION_METHODS_SESSION_KEY]:
        record["at"] -= settings.ACCOUNT_REAUTHENTICATION_TIMEOUT + 1
    session.save()
    asked = browser.post(end_url(lost) if which == "one" else END_OTHERS)
    assert asked.url.startswith(QUESTION)
    assert is_signed_in(lost)
    led = send(browser, asked.url, password=PASSWORD)
    assert browser.get(led.url, follow=True).request["PATH_INFO"] == ACCOUNT
    assert not is_signed_in(lost)
    assert is_signed_in(browser)


# Clearing up


def test_the_job_deletes_what_has_expired_of_people_and_visitors_and_nothing_else(arrive: Arrive, now: datetime) -> None:
    over, browser = arrive(), arrive()
    visitor = SessionStore()
    visitor["visited"] = True
    visitor.save()
    Session.objects.filter(pk__in=[key_of(over), visitor.session_key]).update(expire_date=later(now, seconds=-1))
    assert purge_sessions() == 2
    assert [row.session_id for row in UserSession.objects.all()] == [key_of(browser)]
    assert is_signed_in(browser)
    assert purge_sessions() == 0


def test_one_run_of_the_job_is_bounded_and_the_next_goes_on(cast: Cast, now: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "_PURGED_AT_ONCE", 2)
    monkeypatch.setattr(sessions, "_PURGES_PER_RUN", 2)
    Session.objects.all().delete()
    Session.objects.bulk_create(Session(session_key=f"old{number}", session_data="", expire_date=now) for number in range(5))
    assert [purge_sessions(), purge_sessions(), purge_sessions()] == [4, 1, 0]


def test_the_clock_runs_the_job_every_hour() -> None:
    assert settings.CELERY_BEAT_SCHEDULE["purge-sessions"] == {"task": purge_sessions.name, "schedule": 3600.0}
