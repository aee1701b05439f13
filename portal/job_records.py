"""Celery's signals, written down by registry.jobs: how every run of a periodic job went; `PortalConfig.ready` imports it."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from typing import Any, Final

from celery.signals import task_failure, task_postrun, task_prerun
from django.conf import settings
from django.utils import timezone

from registry.jobs import PeriodicJob, note_end, note_failure, note_start, read_schedule

# Of the runs under way in this process, by the id of their message.
_started: Final[dict[str, datetime]] = {}


@cache
def scheduled_jobs() -> tuple[PeriodicJob, ...]:
    """Return the jobs of the clock's schedule."""
    return read_schedule(settings.CELERY_BEAT_SCHEDULE)


def job_of(task: str) -> PeriodicJob | None:
    """Return the periodic job that runs `task`, None for any other task."""
    return next((job for job in scheduled_jobs() if job.task == task), None)


@task_prerun.connect
def begin(task_id: str, task: Any, **_: object) -> None:
    """Note when a run begins."""
    if job := job_of(task.name):
        _started[task_id] = now = timezone.now()
        note_start(job, now)


@task_postrun.connect
def end(task_id: str, task: Any, retval: object = None, state: str = "", **_: object) -> None:
    """Note that a run ended well; a failure was noted before, and what is tried again is not over."""
    started_at = _started.pop(task_id, None)
    if started_at and state == "SUCCESS" and (job := job_of(task.name)):
        note_end(job, started_at, timezone.now(), retval)


@task_failure.connect
def fail(task_id: str, exception: BaseException, sender: Any, **_: object) -> None:
    """Note that a run failed. A process that was killed at the time limit is reported by its parent, which saw no beginning."""
    if job := job_of(sender.name):
        now = timezone.now()
        note_failure(job, _started.get(task_id, now), now, exception)
