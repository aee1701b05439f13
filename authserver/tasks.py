"""Periodic work of the authorization server."""

from __future__ import annotations

from celery import shared_task
from django.db import OperationalError
from django.utils import timezone

from authserver.cleaning import delete_expired_tokens, delete_tokens_of_ended_generations
from authserver.documents import own_configuration
from federation.own_trust import is_member, log_own_problems


@shared_task(autoretry_for=(OperationalError,), max_retries=2, default_retry_delay=5)
def delete_dead_tokens() -> int:
    """Delete tokens that are over; return how many rows went. Running it twice does nothing more."""
    return delete_tokens_of_ended_generations() + delete_expired_tokens(timezone.now())


@shared_task(autoretry_for=(OperationalError,), max_retries=2, default_retry_delay=5)
def check_own_trust() -> int:
    """Look at what the federations make of this server and log what clients would find wrong; return how many problems there are."""
    return log_own_problems(own_configuration()) if is_member() else 0
