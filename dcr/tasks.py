"""Periodic work of dynamic registration. Each task may run twice or be lost: the next one finds the same rows (house decision 16)."""

from __future__ import annotations

from celery import shared_task
from django.db import OperationalError
from django.utils import timezone

from dcr import software_statements
from dcr.open_registration import OPEN_REGISTRATION
from dcr.open_registration import close_unused_clients as close_unused
from registry.actors import job


@shared_task(autoretry_for=(OperationalError,), max_retries=2, default_retry_delay=5)
def end_statements() -> int:
    """End what clients have by software statements that expired or count no more; return how many statements."""
    return software_statements.end_statements(job("end of software statements"), now=timezone.now())


@shared_task(autoretry_for=(OperationalError,), max_retries=2, default_retry_delay=5)
def close_unused_clients() -> int:
    """Close clients of open registration that nobody used in their first day; return how many."""
    return close_unused(OPEN_REGISTRATION, now=timezone.now())
