"""How the periodic jobs of this server go: one row each, written once per run, and what staff read and do about them (portal.md 4.5)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from django.db import transaction
from django.db.models import F

from protocol.errors import TransitionRefused
from protocol.redaction import cut_credentials_from
from registry import audit
from registry.actors import Actor
from registry.models import AuditEvent, JobRecord
from registry.transitions import OPERATOR, SYSTEM

# That a run began is written only of jobs that run this rarely: of the others the next tick says soon enough that one did not end.
START_IS_WRITTEN_FROM: Final = timedelta(minutes=10)
RUN_NOW_EVERY: Final = timedelta(minutes=1)
FAILURE_LIMIT: Final = 500
RESULT_LIMIT: Final = 2000
# A job is overdue when it misses two turns, and a minute more for the queue.
_TURNS_MISSED: Final = 2
_QUEUE_TIME: Final = timedelta(minutes=1)

State = Literal["ok", "failed", "running", "overdue", "never"]


@dataclass(frozen=True, slots=True)
class PeriodicJob:
    """One entry of the clock's schedule. `period` is None for one that goes by the calendar."""

    name: str
    task: str
    period: timedelta | None


@dataclass(frozen=True, slots=True)
class JobStanding:
    """A job, how its last run went, and when the next is due. `record` is None when it never ran."""

    job: PeriodicJob
    record: JobRecord | None
    state: State
    next_at: datetime | None

    @property
    def took(self) -> float | None:
        """Return how many seconds the last run took, None while there is none that ended."""
        over = _over_at(self.record) if self.record else None
        began = self.record.started_at if self.record else None
        return (over - began).total_seconds() if began and over and over >= began else None


def read_schedule(entries: Mapping[str, Mapping[str, Any]]) -> tuple[PeriodicJob, ...]:
    """Return the jobs of a schedule as Celery's beat has it, in its order. Pure."""
    return tuple(PeriodicJob(name, str(entry["task"]), _period(entry["schedule"])) for name, entry in entries.items())


def _period(schedule: object) -> timedelta | None:
    if isinstance(schedule, timedelta):
        return schedule
    return timedelta(seconds=schedule) if isinstance(schedule, int | float) else None


def _over_at(record: JobRecord) -> datetime | None:
    """Return when the last run that is over ended, well or not."""
    return max((moment for moment in (record.ended_at, record.failed_at) if moment), default=None)


def standing_of(job: PeriodicJob, record: JobRecord | None, now: datetime) -> JobStanding:
    """Return how a job stands at `now`. Pure."""
    if record is None or record.started_at is None:
        return JobStanding(job, record, "never", None)
    next_at = record.started_at + job.period if job.period else None
    over_at = _over_at(record)
    state: State = "failed" if over_at and record.failed_at == over_at else "ok"
    if job.period and now > record.started_at + job.period * _TURNS_MISSED + _QUEUE_TIME:
        state = "overdue"
    elif over_at is None or over_at < record.started_at:
        state = "running"
    return JobStanding(job, record, state, next_at)


def list_jobs(jobs: tuple[PeriodicJob, ...], now: datetime) -> list[JobStanding]:
    """Return how every job stands, in the order of the schedule. One query."""
    records = {record.name: record for record in JobRecord.objects.all()}
    return [standing_of(job, records.get(job.task), now) for job in jobs]


def note_start(job: PeriodicJob, now: datetime) -> None:
    """Write down that a run began, if the job is one that runs rarely. One or no statement, two for the first run ever."""
    if job.period is None or job.period >= START_IS_WRITTEN_FROM:
        _write(job.task, started_at=now)


def note_end(job: PeriodicJob, started_at: datetime, now: datetime, result: object) -> None:
    """Write down that a run ended well, with what it returned. One statement, two for the first run ever."""
    _write(job.task, started_at=started_at, ended_at=now, result=_kept(result), runs=F("runs") + 1)


def note_failure(job: PeriodicJob, started_at: datetime, now: datetime, error: BaseException) -> None:
    """Write down that a run failed, and why, without credentials. One statement, two for the first run ever."""
    words = cut_credentials_from(f"{type(error).__name__}: {error}".replace("\x00", ""))[:FAILURE_LIMIT]
    counted = {"runs": F("runs") + 1, "failures": F("failures") + 1}
    _write(job.task, started_at=started_at, result=None, failed_at=now, failure=words, **counted)


def _write(task: str, **values: Any) -> None:
    if not JobRecord.objects.filter(name=task).update(**values):
        JobRecord.objects.bulk_create([JobRecord(name=task)], ignore_conflicts=True)
        JobRecord.objects.filter(name=task).update(**values)


def _kept(result: object) -> object:
    """Return what is kept of a result: numbers and mappings of them; anything longer only as the beginning of its text."""
    if result is None or isinstance(result, bool | int | float):
        return result
    return result if isinstance(result, dict) and len(str(result)) <= RESULT_LIMIT else str(result)[:RESULT_LIMIT]


def run_now(job: PeriodicJob, actor: Actor, send: Callable[[str], object], *, now: datetime) -> None:
    """Send the message that runs a job at once; `send` takes the name of its task. The trail says who wanted it.

    Raises TransitionRefused with reason permission, or too_soon within a minute of the last time that somebody did it.
    """
    if not actor.has_role(None, OPERATOR, SYSTEM):
        raise TransitionRefused("permission", "Only an operator may run a job.")
    with transaction.atomic():
        JobRecord.objects.bulk_create([JobRecord(name=job.task)], ignore_conflicts=True)
        record = JobRecord.objects.select_for_update().get(name=job.task)
        about = AuditEvent.objects.filter(object_type="jobrecord", object_id=str(record.pk), event="job.requested")
        last = about.values_list("time", flat=True).first()
        if last is not None and last > now - RUN_NOW_EVERY:
            raise TransitionRefused("too_soon", "Somebody started this job less than a minute ago. Wait for its result.")
        audit.record(actor, "job.requested", record, organization=None)
        transaction.on_commit(lambda: send(job.task))
