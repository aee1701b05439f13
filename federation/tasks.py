"""Periodic work of the federation. A message is only a wake-up: which clients are due is in their rows (house decision 16)."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from celery import shared_task
from django.db import OperationalError
from django.utils import timezone

from federation import lookups
from federation.sweep import Sweep

# Below the time limit of a task with the longest chunk still to come.
LONGEST_RUN: Final = timedelta(seconds=30)


@shared_task(autoretry_for=(OperationalError,), max_retries=2, default_retry_delay=5)
def refresh_due_trust() -> dict[str, int]:
    """Look at the trust of the clients that are due; return how many came to what."""
    outcomes = Sweep(timezone.now).run(until=timezone.now() + LONGEST_RUN)
    return {outcome.value: count for outcome, count in outcomes.items()}


@shared_task(autoretry_for=(OperationalError,), max_retries=2, default_retry_delay=5)
def purge_entity_lookups() -> int:
    """Delete what is remembered of strangers and too old to matter; return how many rows went."""
    return lookups.purge_lookups(timezone.now())
