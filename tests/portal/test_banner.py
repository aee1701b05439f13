"""What staff want everybody to read: shown while it is due, at no query per request, and as text."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from protocol.errors import MetadataRefused, TransitionRefused
from registry import banners
from registry.actors import person
from registry.banners import SNAPSHOT_SECONDS, due_banners, remove_banner, save_banner
from registry.models import AuditEvent, Banner
from tests.conftest import Cast

MARKUP = '<script>alert("banner")</script> & friends'


def signed_in(user: Any) -> Browser:
    browser = Browser(SERVER_NAME="127.0.0.1")
    browser.force_login(user, backend="portal.accounts.AuthenticationBackend")
    return browser


def write(cast: Cast, now: datetime, text: str = "We move tonight.", banner: Banner | None = None, **changes: Any) -> Banner:
    values = {"tone": "warning", "starts_at": now - timedelta(minutes=1), "ends_at": now + timedelta(hours=1), **changes}
    return save_banner(banner, person(cast.operator, staff=True), text=text, now=now, **values)


@pytest.fixture(autouse=True)
def _no_banner_is_left_behind() -> Iterator[None]:
    yield
    banners.due_snapshot.keep(())


@pytest.mark.threat("R06")
def test_a_due_banner_is_on_every_page_as_text(cast: Cast, now: datetime) -> None:
    write(cast, now, MARKUP)
    owner, staff = signed_in(cast.owner), signed_in(cast.operator)
    for browser, address in (
        (Browser(SERVER_NAME="127.0.0.1"), reverse("home")),
        (Browser(SERVER_NAME="127.0.0.1"), reverse("account_login")),
        (Browser(SERVER_NAME="127.0.0.1"), "/nothing/here/"),
        (owner, reverse("apps", args=[cast.organization.slug])),
        (staff, reverse("staff:index")),
    ):
        page = browser.get(address).content.decode()
        assert "&lt;script&gt;alert(&quot;banner&quot;)&lt;/script&gt; &amp; friends" in page, address
        assert MARKUP not in page


@pytest.mark.parametrize(("start", "end"), [(timedelta(minutes=5), timedelta(hours=1)), (timedelta(hours=-2), timedelta(0))])
def test_a_banner_that_is_not_due_is_not_shown(cast: Cast, now: datetime, start: timedelta, end: timedelta) -> None:
    Banner.objects.create(text="Not now", starts_at=now + start, ends_at=now + end)
    banners.due_snapshot.forget()
    assert "Not now" not in Browser(SERVER_NAME="127.0.0.1").get(reverse("home")).content.decode()


def test_a_banner_begins_and_ends_at_its_moments_without_being_read_again(cast: Cast, now: datetime) -> None:
    write(cast, now, starts_at=now + timedelta(minutes=5), ends_at=now + timedelta(minutes=10))
    assert [len(due_banners(now + timedelta(minutes=minutes))) for minutes in (0, 4)] == [0, 0]
    with CaptureQueriesContext(connection) as queries:
        assert [len(due_banners(now + timedelta(minutes=minutes))) for minutes in (5, 9, 10)] == [1, 1, 0]
    assert len(queries) == 0


def test_pages_take_as_many_queries_with_a_banner_as_without(cast: Cast, now: datetime) -> None:
    owner, address = signed_in(cast.owner), reverse("apps", args=[cast.organization.slug])

    def count() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert owner.get(address).status_code == 200
        return len(queries)

    without = count()
    write(cast, now)
    assert due_banners(now)
    assert count() == without


def test_other_processes_learn_of_a_banner_within_half_a_minute(cast: Cast, now: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    banners.due_snapshot.keep(())
    Banner.objects.create(text="From elsewhere", starts_at=now - timedelta(hours=1), ends_at=now + timedelta(hours=1))
    assert due_banners(now) == []
    clock = time.monotonic()
    monkeypatch.setattr("registry.snapshots.time.monotonic", lambda: clock + SNAPSHOT_SECONDS + 1)
    assert [banner.text for banner in due_banners(now)] == ["From elsewhere"]
    assert SNAPSHOT_SECONDS <= 30


def test_a_page_is_shown_while_the_database_is_away(now: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    def away() -> Any:
        raise OperationalError

    banners.due_snapshot.forget()
    monkeypatch.setattr(banners.due_snapshot, "_read", away)
    assert due_banners(now) == []


def test_only_an_operator_writes_banners_and_each_step_is_in_the_trail(cast: Cast, now: datetime) -> None:
    for actor in (person(cast.owner), person(cast.reviewer, staff=True), person(cast.auditor, staff=True)):
        with pytest.raises(TransitionRefused):
            save_banner(None, actor, text="No", tone="warning", starts_at=now, ends_at=now + timedelta(hours=1), now=now)
    operator = person(cast.operator, staff=True)
    banner = write(cast, now)
    write(cast, now, "We moved.", banner=banner)
    write(cast, now, "We moved.", banner=banner)
    with pytest.raises(TransitionRefused):
        remove_banner(banner, person(cast.reviewer, staff=True))
    assert remove_banner(banner, operator)
    assert not remove_banner(banner, operator)
    events = AuditEvent.objects.filter(object_type="banner").order_by("id")
    assert [event.event for event in events] == ["banner.written", "banner.changed", "banner.removed"]
    assert events[1].difference == {"text": ["We move tonight.", "We moved."]}


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"text": "  "}, "banner.text"),
        ({"text": "x" * 301}, "value.too_long"),
        ({"text": "bell\x07"}, "value.control"),
        ({"tone": "loud"}, "banner.tone"),
        ({"starts_at": timedelta(hours=2)}, "banner.times"),
        ({"starts_at": timedelta(hours=-3), "ends_at": timedelta(hours=-2)}, "banner.times"),
    ],
)  # fmt: skip
def test_a_banner_that_nobody_could_read_is_refused(cast: Cast, now: datetime, changes: dict[str, Any], code: str) -> None:
    moments = {name: now + value if isinstance(value, timedelta) else value for name, value in changes.items()}
    with pytest.raises(MetadataRefused) as refused:
        write(cast, now, **moments)
    assert code in {finding.code for finding in refused.value.findings}
    assert not Banner.objects.exists()


def test_an_operator_writes_changes_and_removes_a_banner_on_the_staff_page(cast: Cast, now: datetime) -> None:
    staff = signed_in(cast.operator)
    form = {"text": "Closed on Sunday.", "tone": "information", "starts_at": f"{now:%Y-%m-%dT%H:%M}", "ends_at": "2099-01-01T00:00"}
    assert staff.post(reverse("staff:registry_banner_add"), form).status_code == 302
    banner = Banner.objects.get()
    wrong = staff.post(reverse("staff:registry_banner_change", args=[banner.pk]), {**form, "ends_at": "2001-01-01T00:00"})
    assert b"A banner ends after it starts." in wrong.content
    assert b"Closed on Sunday." in wrong.content
    for bad in ("", "soon", "99999-01-01T00:00", "2026-01-01T00:00\x00"):
        assert staff.post(reverse("staff:registry_banner_add"), {**form, "ends_at": bad}).status_code == 200
    assert "Closed on Sunday." in Browser(SERVER_NAME="127.0.0.1").get(reverse("home")).content.decode()
    for _ in range(2):
        assert staff.post(reverse("staff:registry_banner_remove", args=[banner.pk])).status_code in (302, 404)
    assert not Banner.objects.exists()
