"""Deleting dead tokens, set-based and idempotent. Access ended long before, by generation (house decision 5)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from django.db import models, transaction
from django.db.models import Exists, F, OuterRef

from authserver.families import REFRESH_IDLE
from authserver.models import AccessToken, AuthorizationRequest, Grant, IDToken, RefreshToken
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
            for model in (Grant, RefreshToken, AccessToken, IDToken, AuthorizationRequest):  # in the order that ending a family locks
                deleted += _delete_rows(model.objects.filter(application=pk, credential_generation__lt=generation))
            Client.objects.filter(pk=pk, generation_cleaned__lt=generation).update(generation_cleaned=generation)
    return deleted


def delete_expired_tokens(now: datetime) -> int:
    """Delete requests that are over, and what ended a day ago: tokens, and codes whose family has none left; return how many rows.

    Used refresh tokens stay as long as unused ones would, so that using one twice is noticed (RFC 9700, 4.14.2).
    """
    limit = now - KEPT_AFTER_EXPIRY
    family_lives = RefreshToken.objects.filter(token_family=OuterRef("family"))
    return sum(
        _delete_in_batches(rows)
        for rows in (
            AuthorizationRequest.objects.filter(expires__lt=now),
            AccessToken.objects.filter(expires__lt=limit),
            RefreshToken.objects.filter(created__lt=limit - REFRESH_IDLE),
            Grant.objects.filter(~Exists(family_lives), expires__lt=limit),
        )
    )


def _delete_in_batches(rows: models.QuerySet) -> int:
    deleted = 0
    while keys := list(rows.order_by("pk").values_list("pk", flat=True)[:BATCH]):
        with transaction.atomic():
            deleted += _delete_rows(rows.model.objects.filter(pk__in=keys))
    return deleted


def _delete_rows(rows: models.QuerySet) -> int:
    """Delete rows by one statement, without loading them first as the ORM would."""
    return rows._raw_delete(rows.db)
