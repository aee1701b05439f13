"""Periodic work of the registry. Each task may run twice or be lost: the next one finds the same rows (house decision 16)."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Final

from celery import shared_task
from django.db import OperationalError
from django.utils import timezone

from registry import app_drafts, audit, client_checks, failed_requests, sessions, single_use
from registry.actors import job

# Below the time limit of a task, with the transaction and the mail of one app still to come.
LONGEST_RUN: Final = timedelta(seconds=30)


@shared_task(autoretry_for=(OperationalError,), max_retries=2, default_retry_delay=5)
def seal_audit() -> int:
    """Seal the audit events since the last seal; return the last sealed id, 0 when there was nothing."""
    last = 0
    while seal := audit.seal(timezone.now()):
        last = seal.last_id
    return last


@shared_task(autoretry_for=(OperationalError,), max_retries=2, default_retry_delay=5)
def purge_single_use_values() -> int:
    """Delete single-use values that can no longer be presented; return how many."""
    return single_use.purge_expired(timezone.now())


@shared_task(autoretry_for=(OperationalError,), max_retries=2, default_retry_delay=5)
def purge_failed_requests() -> int:
    """Delete refused requests older than two weeks; return how many."""
    return failed_requests.purge_old_failures(timezone.now())


@shared_task(autoretry_for=(OperationalError,), max_retries=2, default_retry_delay=5)
def purge_app_drafts() -> int:
    """Delete drafts of apps that nobody changed for 30 days; return how many."""
    return app_drafts.purge_drafts(timezone.now())


@shared_task(autoretry_for=(OperationalError,), max_retries=2, default_retry_delay=5)
def purge_sessions() -> int:
    """Delete sessions that are over, with what is noted of them; return how many."""
    return sessions.purge_expired(timezone.now())


@shared_task(autoretry_for=(OperationalError,), max_retries=2, default_retry_delay=5)
def check_clients(after: int = 0) -> dict[str, int]:
    """Write down which apps break today's rules, and suspend those whose grace period is over; return how many came to what.

    What does not fit is the work of another message, which goes on behind the last app. Should it be lost, tomorrow's begins anew.
    """
    now = timezone.now()
    counts: Counter[str] = Counter()
    for settled in client_checks.settle_clients(now, job("client check"), after=after):
        counts[settled.outcome] += 1
        if timezone.now() >= now + LONGEST_RUN:
            check_clients.delay(settled.checked.client.pk)
            break
    return dict(counts)
