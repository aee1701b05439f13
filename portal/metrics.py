"""What whoever runs this server watches, in Prometheus text format 0.0.4.

A fixed number of queries, however much there is. Every label is a word of ours: nothing that partners type ever becomes one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from django.db.models import Count, F, Max, Min, Q, QuerySet

from dcr.models import InitialAccessToken
from federation.models import FederationRecord, RegistrationRequest
from registry.models import AuditEvent, AuditSeal, ChangeRequest, Client, ClientSecret, JobRecord, Notice, Organization

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
WINDOWS: Final = {"1d": timedelta(days=1), "7d": timedelta(days=7), "30d": timedelta(days=30)}
QUERIES: Final = 14


@dataclass(slots=True)
class Metric:
    """One metric: its name, what it says, and its samples by labels."""

    name: str
    help: str
    samples: list[tuple[dict[str, str], float]] = field(default_factory=list)
    kind: str = "gauge"

    def add(self, value: float, **labels: str) -> None:
        """Add a sample."""
        self.samples.append((labels, value))


def collect_metrics(now: datetime) -> list[Metric]:
    """Return every metric at `now`. QUERIES queries."""
    return [*_registered(), *_waiting(now), *_jobs(now), *_backlogs(now), _endings(now)]


def render_metrics(metrics: Iterable[Metric]) -> str:
    """Return the metrics as text, as a scraper reads it."""
    return "".join(line + "\n" for metric in metrics for line in _lines(metric))


def _lines(metric: Metric) -> Iterator[str]:
    yield f"# HELP {metric.name} {metric.help}"
    yield f"# TYPE {metric.name} {metric.kind}"
    for labels, value in metric.samples:
        words = ",".join(f'{name}="{_escaped(word)}"' for name, word in labels.items())
        yield f"{metric.name}{{{words}}} {_number(value)}" if words else f"{metric.name} {_number(value)}"


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else f"{value:.3f}"


def _escaped(word: str) -> str:
    return word.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _registered() -> Iterator[Metric]:
    clients = Metric("credence_clients", "Apps by how they were registered, state, stage and trust.")
    names = ("source", "state", "stage", "trust")
    for row in Client.objects.order_by().values(*names).annotate(number=Count("pk")):
        clients.add(row["number"], **{name: row[name] for name in names})
    yield clients
    organizations = Metric("credence_organizations", "Organizations by state.")
    counts = dict(Organization.objects.order_by().values_list("state").annotate(Count("pk")))
    for state in Organization.State.values:
        organizations.add(counts.get(state, 0), state=state)
    yield organizations


def _waiting(now: datetime) -> Iterator[Metric]:
    number = Metric("credence_queue_items", "What waits for a decision of staff, by kind.")
    age = Metric("credence_queue_oldest_age_seconds", "How long the oldest of them waits; 0 when nothing does.")
    queues: tuple[tuple[str, QuerySet[Any], str], ...] = (
        ("organization", Organization.objects.filter(state=Organization.State.PENDING), "submitted_at"),
        ("change_request", ChangeRequest.objects.filter(state=ChangeRequest.State.OPEN), "submitted_at"),
        ("registration_request", RegistrationRequest.objects.filter(state=RegistrationRequest.State.OPEN), "first_seen_at"),
    )
    for kind, rows, since in queues:
        _count_and_age(rows, since, now, number, age, kind=kind)
    yield from (number, age)


def _count_and_age(rows: QuerySet[Any], since: str, now: datetime, number: Metric, age: Metric, **labels: str) -> None:
    found = rows.aggregate(number=Count("pk"), oldest=Min(since))
    number.add(found["number"], **labels)
    age.add(max(0.0, (now - found["oldest"]).total_seconds()) if found["oldest"] else 0, **labels)


def _jobs(now: datetime) -> Iterator[Metric]:
    age = Metric("credence_job_last_success_age_seconds", "How long ago a periodic job last ended well, by its name.")
    runs = Metric("credence_job_runs_total", "Runs of a periodic job.", kind="counter")
    failures = Metric("credence_job_failures_total", "Runs of a periodic job that failed.", kind="counter")
    for row in JobRecord.objects.all():
        runs.add(row.runs, job=row.name)
        failures.add(row.failures, job=row.name)
        if row.ended_at is not None and row.ended_at != row.failed_at:  # a release before wrote both when a run failed
            age.add((now - row.ended_at).total_seconds(), job=row.name)
    yield from (age, runs, failures)


def _backlogs(now: datetime) -> Iterator[Metric]:
    notices = Metric("credence_notices_unsent", "Notices in the outbox that were not sent yet.")
    oldest = Metric("credence_notices_unsent_oldest_age_seconds", "How long the oldest of them is due; 0 when none is.")
    _count_and_age(Notice.objects.filter(sent_at=None), "event__time", now, notices, oldest)
    due = Metric("credence_notices_due", "Unsent notices that are due now.")
    due.add(Notice.objects.filter(sent_at=None, due_at__lte=now).count())
    checks = Metric("credence_trust_checks_overdue", "Apps from a federation whose trust chain should have been looked at a minute ago.")
    late = FederationRecord.objects.filter(next_check_at__lte=now - timedelta(minutes=1)).exclude(client__state=Client.State.CLOSED)
    checks.add(late.count())
    unsealed = Metric("credence_audit_events_unsealed", "Audit events behind the last seal.")
    last = AuditSeal.objects.aggregate(last=Max("last_id"))["last"] or 0
    unsealed.add(AuditEvent.objects.filter(pk__gt=last).count())
    yield from (notices, oldest, due, checks, unsealed)


def _endings(now: datetime) -> Metric:
    metric = Metric("credence_expiries_ahead", "What ends within a time, by kind, of apps that are not closed.")
    open_apps = ~Q(client__state=Client.State.CLOSED)
    tokens = InitialAccessToken.objects.filter(revoked_at=None, uses__lt=F("uses_limit"))
    kinds: tuple[tuple[str, QuerySet[Any], str], ...] = (
        ("client_secret", ClientSecret.objects.filter(open_apps), "expires_at"),
        ("initial_access_token", tokens, "expires_at"),
        ("trust_chain", Client.objects.exclude(state=Client.State.CLOSED), "trust_expires_at"),
    )
    for kind, rows, name in kinds:
        ahead = {f"within_{word}": Count("pk", filter=Q(**{f"{name}__lte": now + window})) for word, window in WINDOWS.items()}
        counts = rows.filter(**{f"{name}__gt": now}).aggregate(**ahead)
        for word in WINDOWS:
            metric.add(counts[f"within_{word}"], kind=kind, within=word)
    return metric
