"""Deleting dead tokens, set-based and idempotent. Access ended long before, by generation (house decision 5)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from django.db import models, transaction
from django.db.models import F

from authserver.models import AccessToken, Grant, IDToken, RefreshToken
from registry.models import Client

KEPT_AFTER_EXPIRY: Final = timedelta(days=1)
BATCH: Final = 5000


def delete_tokens_of_ended_generations() -> int:
    """Delete every token and code of a generation that is over; return how many rows went.

    A client's tokens only refer to tokens of the same generation, so that rows can go without looking at what refers to them; the
    constraints are checked when the transaction ends.
    """
    deleted = 0
    for pk, generation in Client.objects.filter(generation_cleaned__lt=F("credential_generation")).values_list(
        "pk", "credential_generation"
    ):
        with transaction.atomic():
            for model in (AccessToken, RefreshToken, Grant, IDToken):
                deleted += _delete_rows(model.objects.filter(application=pk, credential_generation__lt=generation))
            Client.objects.filter(pk=pk, generation_cleaned__lt=generation).update(generation_cleaned=generation)
    return deleted


def delete_expired_tokens(now: datetime) -> int:
    """Delete codes and access tokens that expired a day ago and that no refresh token needs; return how many rows went."""
    limit = now - KEPT_AFTER_EXPIRY
    access_tokens = AccessToken.objects.filter(expires__lt=limit, refresh_token__isnull=True)
    return _delete_in_batches(access_tokens) + _delete_in_batches(Grant.objects.filter(expires__lt=limit))


def _delete_in_batches(rows: models.QuerySet) -> int:
    deleted = 0
    while keys := list(rows.order_by("pk").values_list("pk", flat=True)[:BATCH]):
        with transaction.atomic():
            deleted += _delete_rows(rows.model.objects.filter(pk__in=keys))
    return deleted


def _delete_rows(rows: models.QuerySet) -> int:
    """Delete rows by one statement, without loading them first as the ORM would."""
    return rows._raw_delete(rows.db)
