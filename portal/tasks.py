"""Periodic work of the site. Each task may run twice or be lost: the next one finds the same rows (house decision 16)."""

from __future__ import annotations

from celery import shared_task
from django.db import OperationalError
from django.utils import timezone

from portal import notices, reminders


@shared_task(autoretry_for=(OperationalError,), max_retries=2, default_retry_delay=5)
def send_due_notices() -> int:
    """Send the notices that could not be sent before; return how many went."""
    return notices.send_due_notices(timezone.now())


@shared_task(autoretry_for=(OperationalError,), max_retries=2, default_retry_delay=5)
def send_one_notice(number: int) -> bool:
    """Send the notice `number`; say whether it went. Should the message be lost, the task above finds the row."""
    return notices.send_notice_by_number(number, timezone.now())


@shared_task(autoretry_for=(OperationalError,), max_retries=2, default_retry_delay=5)
def remind() -> dict[str, int]:
    """Tell people what ends, what stands still and what waits; return how many of each."""
    return reminders.remind(timezone.now())


@shared_task(autoretry_for=(OperationalError,), max_retries=2, default_retry_delay=5)
def watch_trust() -> dict[str, int]:
    """Tell people of trust that has been in doubt for fifteen minutes, and of its end; return how many of each."""
    return reminders.watch_trust(timezone.now())


@shared_task(autoretry_for=(OperationalError,), max_retries=2, default_retry_delay=5)
def summarize_registrations() -> int:
    """Tell organizations which apps registered themselves on the days that are over; return how many were told."""
    return reminders.summarize(timezone.now())
