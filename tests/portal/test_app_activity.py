"""What an app's page says of requests that endpoints refused to it."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from html import unescape

import pytest
from django.test import Client as Browser
from django.urls import reverse

from portal.documentation.errors import ADVICE
from registry.failed_requests import KEPT, note_failure, notes
from registry.models import Client, FailedRequest, Organization
from tests.authserver.support import FORM, TOKEN, basic
from tests.conftest import Cast

Pages = Callable[..., str]
REGISTERED = "https://app.lighthouse.example/callback"


@pytest.fixture
def app(make_client: Callable[..., Client]) -> Client:
    """An app that people sign in to."""
    return make_client(grant_types=["authorization_code"], redirect_uris=[REGISTERED])


def fail(client: Client, now: datetime, count: int = 1, **changes: str) -> None:
    """Let `count` requests fail, a second apart."""
    given = {"endpoint": "token", "error": "invalid_client", "description": "Wrong.", "request_id": "0123456789abcdef", **changes}
    for number in range(count):
        notes.forget()
        note_failure(client.client_id, now=now - timedelta(seconds=count - number), **given)  # type: ignore[arg-type]


def read(browser: Browser, url: str) -> str:
    """Return a page as its reader sees it."""
    response = browser.get(url)
    assert response.status_code == 200
    return unescape(response.content.decode())


def test_a_refused_request_shows_up_at_once_with_what_to_do(app: Client, viewer: Browser, app_url: Pages, client: Browser) -> None:
    answer = client.post(TOKEN, "grant_type=client_credentials", content_type=FORM, headers=basic(app.client_id, "ccs_wrong"))
    text = read(viewer, app_url("app_activity", app))
    assert answer["X-Request-ID"] in text
    assert "Token endpoint" in text
    assert f'href="{reverse("docs_errors")}#invalid_client"' in text
    assert str(ADVICE["invalid_client"][1]) in text


def test_a_refused_redirect_uri_is_compared_with_the_nearest(app: Client, viewer: Browser, app_url: Pages, now: datetime) -> None:
    fail(app, now, endpoint="authorization", error="invalid_request", redirect_uri="https://app.lighthouse.example/Callback/")
    text = read(viewer, app_url("app_activity", app))
    assert "https://app.lighthouse.example/Callback/" in text
    assert re.findall(r"<del>(.*?)</del>", text) == ["C", "/"]
    assert re.findall(r"<ins>(.*?)</ins>", text) == ["c"]


def test_the_page_is_filtered(app: Client, viewer: Browser, app_url: Pages, now: datetime) -> None:
    fail(app, now)
    url = app_url("app_activity", app)
    everything, events, failures = (read(viewer, f"{url}?show={show}") for show in ("", "events", "failures"))
    assert ("App registered" in everything, "invalid_client" in everything) == (True, True)
    assert ("App registered" in events, "invalid_client" in events) == (True, False)
    assert ("App registered" in failures, "invalid_client" in failures) == (False, True)
    for odd in ("nothing", "%00", "events&show=[]", "x" * 3000):
        read(viewer, f"{url}?show={odd}")


def test_many_failures_have_pages_that_keep_the_filter(app: Client, viewer: Browser, app_url: Pages, now: datetime) -> None:
    fail(app, now, count=60)
    url = app_url("app_activity", app)
    assert read(viewer, url).count("<code>invalid_client</code>") == 5
    assert "?show=failures" in read(viewer, url)
    text = read(viewer, f"{url}?show=failures&page=2")
    assert text.count("<code>invalid_client</code>") == 25
    assert "26 to 50 of 60" in text
    assert "?show=failures&page=3" in text
    read(viewer, f"{url}?show=failures&page=999")


def test_old_failures_are_not_shown_even_before_they_are_deleted(app: Client, viewer: Browser, app_url: Pages, now: datetime) -> None:
    fail(app, now)
    FailedRequest.objects.update(time=now - KEPT - timedelta(minutes=1))
    assert "None in the last 14 days" in read(viewer, app_url("app_activity", app))


@pytest.mark.threat("R09")
def test_failures_of_other_apps_are_not_shown(
    app: Client, make_client: Callable[..., Client], viewer: Browser, app_url: Pages, now: datetime, foreign: Organization, cast: Cast
) -> None:
    fail(make_client(), now)
    assert "invalid_client" not in read(viewer, app_url("app_activity", app))
    Client.objects.filter(pk=app.pk).update(organization=foreign)
    assert viewer.get(app_url("app_activity", app)).status_code == 404


@pytest.mark.threat("R06")
def test_what_strangers_send_is_text(app: Client, viewer: Browser, app_url: Pages, now: datetime) -> None:
    fail(app, now, redirect_uri='https://x/"><img src=x onerror=alert(1)>', description="<script>alert(1)</script>")
    html = viewer.get(app_url("app_activity", app)).content.decode()
    assert "<img src=x" not in html
    assert "<script>alert" not in html
