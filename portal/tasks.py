"""Periodic work of the site."""

from __future__ import annotations

from celery import shared_task
from django.db import OperationalError
from django.utils import timezone

from portal import notices


@shared_task(autoretry_for=(OperationalError,), max_retries=2, default_retry_delay=5)
def send_due_notices() -> int:
    """Send the notices that could not be sent before; return how many went."""
    return notices.send_due_notices(timezone.now())
