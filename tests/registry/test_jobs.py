"""How periodic jobs are written down, and when they are overdue."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from portal import job_records
from protocol.errors import TransitionRefused
from registry.actors import person
from registry.jobs import (
    FAILURE_LIMIT,
    RESULT_LIMIT,
    PeriodicJob,
    list_jobs,
    note_end,
    note_failure,
    note_start,
    read_schedule,
    run_now,
    standing_of,
)
from registry.models import AuditEvent, JobRecord
from registry.tasks import purge_single_use_values, seal_audit

TICK = PeriodicJob("refresh", "federation.tasks.refresh_due_trust", timedelta(seconds=15))
DAILY = PeriodicJob("check", "registry.tasks.check_clients", timedelta(days=1))


def seconds(moment, count):
    return moment + timedelta(seconds=count)


def test_the_schedule_is_read_with_its_periods_and_one_by_the_calendar_has_none():
    entries = {
        "a": {"task": "x.a", "schedule": 15.0},
        "b": {"task": "x.b", "schedule": timedelta(hours=1)},
        "c": {"task": "x.c", "schedule": object()},
    }
    assert read_schedule(entries) == (
        PeriodicJob("a", "x.a", timedelta(seconds=15)),
        PeriodicJob("b", "x.b", timedelta(hours=1)),
        PeriodicJob("c", "x.c", None),
    )


def test_a_run_that_ends_is_counted_with_its_result(db, now):
    for number in range(3):
        note_end(TICK, seconds(now, number), seconds(now, number + 0.5), {"unchanged": number})
    record = JobRecord.objects.get()
    assert (record.name, record.runs, record.failures, record.result) == (TICK.task, 3, 0, {"unchanged": 2})
    standing = standing_of(TICK, record, seconds(now, 5))
    assert (standing.state, standing.took, standing.next_at) == ("ok", 0.5, seconds(now, 17))


def test_a_run_of_a_frequent_job_costs_one_statement(db, now):
    note_end(TICK, now, now, 0)
    with CaptureQueriesContext(connection) as queries:
        note_start(TICK, now)
        note_end(TICK, now, now, 0)
    assert len(queries) == 1


def test_a_job_that_runs_rarely_is_seen_while_it_runs(db, now):
    note_start(DAILY, now)
    assert [standing.state for standing in list_jobs((DAILY,), seconds(now, 30))] == ["running"]
    note_end(DAILY, now, seconds(now, 40), {})
    assert [standing.state for standing in list_jobs((DAILY,), seconds(now, 60))] == ["ok"]


def test_a_failure_is_counted_and_kept_without_credentials_until_the_next_one(db, now):
    note_failure(TICK, now, seconds(now, 1), RuntimeError("refused iat_abcdefghijklmnopqrstuvwxyz \x00" + "x" * 9000))
    record = JobRecord.objects.get()
    assert (record.runs, record.failures, record.failed_at) == (1, 1, seconds(now, 1))
    assert record.failure.startswith("RuntimeError: refused [cut]")
    assert len(record.failure) <= FAILURE_LIMIT
    assert standing_of(TICK, record, seconds(now, 2)).state == "failed"
    note_end(TICK, seconds(now, 15), seconds(now, 16), 1)
    record.refresh_from_db()
    assert standing_of(TICK, record, seconds(now, 17)).state == "ok"
    assert (record.failures, record.failed_at) == (1, seconds(now, 1))


def test_a_job_that_missed_two_turns_is_overdue_and_one_that_never_ran_says_so(db, now):
    assert [standing.state for standing in list_jobs((TICK,), now)] == ["never"]
    note_end(TICK, now, now, 0)
    assert standing_of(TICK, JobRecord.objects.get(), seconds(now, 89)).state == "ok"
    assert standing_of(TICK, JobRecord.objects.get(), seconds(now, 91)).state == "overdue"


def test_a_result_that_is_long_or_no_number_is_kept_as_the_beginning_of_its_text(db, now):
    for result in ("x" * 9000, {"x": "y" * 9000}, object(), [1, 2]):
        note_end(TICK, now, now, result)
        kept = JobRecord.objects.get().result
        assert isinstance(kept, str)
        assert len(kept) <= RESULT_LIMIT


def test_listing_jobs_takes_one_query(db, now):
    with CaptureQueriesContext(connection) as queries:
        list_jobs((TICK, DAILY), now)
    assert len(queries) == 1


def test_an_operator_runs_a_job_at_most_once_a_minute_and_the_trail_says_who(cast, now, django_capture_on_commit_callbacks):
    sent = []
    actor = person(cast.operator, staff=True)
    with django_capture_on_commit_callbacks(execute=True):
        run_now(DAILY, actor, sent.append, now=now)
    with django_capture_on_commit_callbacks(execute=True), pytest.raises(TransitionRefused) as refused:
        run_now(DAILY, actor, sent.append, now=now + timedelta(seconds=30))
    assert refused.value.reason == "too_soon"
    with django_capture_on_commit_callbacks(execute=True):
        run_now(TICK, actor, sent.append, now=now + timedelta(seconds=30))
        run_now(DAILY, actor, sent.append, now=now + timedelta(seconds=70))
    assert sent == [DAILY.task, TICK.task, DAILY.task]
    assert set(AuditEvent.objects.filter(event="job.requested").values_list("actor_label", "object_label")) == {
        (cast.operator.email, DAILY.task),
        (cast.operator.email, TICK.task),
    }


@pytest.mark.parametrize("who", ["reviewer", "auditor", "owner"])
def test_nobody_but_an_operator_runs_a_job(cast, now, who):
    with pytest.raises(TransitionRefused) as refused:
        run_now(DAILY, person(getattr(cast, who), staff=True), print, now=now)
    assert refused.value.reason == "permission"
    assert not JobRecord.objects.exists()


def test_celery_tells_of_the_runs_of_every_scheduled_job_and_of_no_other_task(db, now):
    assert purge_single_use_values.apply().get() == 0
    record = JobRecord.objects.get()
    assert (record.name, record.runs, record.result) == ("registry.tasks.purge_single_use_values", 1, 0)
    assert {job.task for job in job_records.scheduled_jobs()} >= {"registry.tasks.seal_audit", "federation.tasks.refresh_due_trust"}
    assert job_records.job_of("somewhere.else") is None


def test_celery_tells_of_a_run_that_failed(db, monkeypatch):
    def broken(*_):
        raise ValueError("no such row")

    monkeypatch.setattr("registry.audit.seal", broken)
    before = timezone.now() - timedelta(hours=1)
    JobRecord.objects.create(name=seal_audit.name, started_at=before, ended_at=before)
    assert seal_audit.apply().failed()
    record = JobRecord.objects.get()
    assert (record.failures, record.failure, record.ended_at) == (1, "ValueError: no such row", before)
    assert record.failed_at is not None
    (standing,) = (one for one in list_jobs(job_records.scheduled_jobs(), timezone.now()) if one.record)
    assert (standing.state, standing.took is not None) == ("failed", True)
