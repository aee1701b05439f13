"""Periodic work of the registry. Each task may run twice or be lost: the next one finds the same rows (house decision 16)."""

from __future__ import annotations

from celery import shared_task
from django.db import OperationalError
from django.utils import timezone

from registry import audit, single_use


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
