"""The page of periodic jobs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from portal.celery import app
from portal.job_records import scheduled_jobs
from registry.jobs import note_end, note_failure
from registry.models import AuditEvent
from tests.conftest import Cast
from tests.portal.admin.conftest import messages_in

JOBS = "staff:jobs"


@pytest.fixture
def as_operator(cast: Cast, sign_in: Callable[[Any], Browser]) -> Browser:
    """A browser of the operator."""
    return sign_in(cast.operator)


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The messages that were sent."""
    found: list[str] = []
    monkeypatch.setattr(app, "send_task", found.append)
    return found


def test_every_job_of_the_schedule_is_shown_with_how_it_went(as_operator: Browser, now: datetime) -> None:
    jobs = {job.name: job for job in scheduled_jobs()}
    note_end(jobs["refresh-due-trust"], now - timedelta(seconds=2), now, {"unchanged": 12})
    note_failure(jobs["seal-audit"], now, now, RuntimeError("<b>disk</b> is full"))
    note_end(jobs["delete-dead-tokens"], now - timedelta(hours=2), now - timedelta(hours=2), 4)
    page = as_operator.get(reverse(JOBS))
    text = page.content.decode()
    assert set(settings.CELERY_BEAT_SCHEDULE) == {standing.job.name for standing, *_ in page.context["jobs"]}
    states = {standing.job.name: standing.state for standing, *_ in page.context["jobs"]}
    assert (states["refresh-due-trust"], states["seal-audit"], states["delete-dead-tokens"]) == ("ok", "failed", "overdue")
    assert states["check-clients"] == "never"
    assert "RuntimeError: &lt;b&gt;disk&lt;/b&gt; is full" in text
    assert "unchanged" in text
    assert "took 2.00 s" in text


def test_an_operator_runs_a_job_once_a_minute(
    as_operator: Browser, sent: list[str], django_capture_on_commit_callbacks: Callable[..., Any]
) -> None:
    address = reverse("staff:job_run", args=("check-clients",))
    with django_capture_on_commit_callbacks(execute=True):
        assert "is told to run check-clients" in messages_in(as_operator.post(address, follow=True))
        assert "less than a minute ago" in messages_in(as_operator.post(address, follow=True))
    assert sent == ["registry.tasks.check_clients"]
    assert AuditEvent.objects.filter(event="job.requested").count() == 1


def test_a_job_that_is_not_in_the_schedule_is_not_run(as_operator: Browser, sent: list[str]) -> None:
    for name in ("nothing", "registry", "celery"):
        assert as_operator.post(reverse("staff:job_run", args=(name,))).status_code == 404
    assert sent == []


def test_those_who_only_read_are_offered_no_button(cast: Cast, sign_in: Callable[[Any], Browser]) -> None:
    assert "Run now" not in sign_in(cast.auditor).get(reverse(JOBS)).content.decode()


def test_the_page_takes_the_same_queries_for_jobs_that_ran_as_for_none(as_operator: Browser) -> None:
    def count() -> int:
        with CaptureQueriesContext(connection) as queries:
            as_operator.get(reverse(JOBS))
        return len(queries)

    little, now = count(), timezone.now()
    for job in scheduled_jobs():
        note_failure(job, now, now, ValueError("no"))
    assert count() == little


def test_the_index_names_the_jobs_that_failed_and_only_to_those_who_may_read_it(
    as_operator: Browser, cast: Cast, sign_in: Callable[[Any], Browser], now: datetime
) -> None:
    index = reverse("staff:index")
    note_failure(scheduled_jobs()[0], now, now, ValueError("the disk is full"))
    assert "the disk is full" in as_operator.get(index).content.decode()
    reviewer = sign_in(cast.reviewer).get(index).content.decode()
    assert "the disk is full" not in reviewer
    assert reverse(JOBS) not in reviewer


def test_the_index_takes_the_same_queries_for_much_as_for_little(
    as_operator: Browser, make_client: Callable[..., Any], now: datetime
) -> None:
    def count() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert as_operator.get(reverse("staff:index")).status_code == 200
        return len(queries)

    little = count()
    for job in scheduled_jobs():
        note_failure(job, now, now, ValueError("no"))
    for _ in range(5):
        make_client().secrets.create(digest="d", tail="t", expires_at=now + timedelta(days=3))
    assert count() == little
