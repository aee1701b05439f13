"""What is kept of refused requests: little, bounded, and not for long."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.conf import settings
from django.utils import timezone

from registry.failed_requests import (
    DESCRIPTION_LIMIT,
    KEPT,
    PER_CLIENT,
    PER_SOURCE,
    REDIRECT_URI_LIMIT,
    ROWS_PER_CLIENT,
    failures_of_client,
    note_failure,
    notes,
    purge_old_failures,
)
from registry.models import Client, FailedRequest
from registry.tasks import purge_failed_requests

UNKNOWN = "5f3c7a52-0000-4000-8000-000000000000"


def note(client_id: str, now: datetime, **changes: Any) -> bool:
    """Note one failure after `changes`."""
    given = {"endpoint": "token", "error": "invalid_client", "description": "No.", "request_id": "0123456789abcdef", **changes}
    return note_failure(client_id, now=now, **given)


def test_a_failure_is_kept_with_all_it_says(make_client: Callable[..., Client], now: datetime) -> None:
    client = make_client()
    assert note(client.client_id, now, redirect_uri="https://x.example/cb")
    row = FailedRequest.objects.get()
    assert (row.client, row.time, row.endpoint, row.error) == (client, now, "token", "invalid_client")
    assert (row.description, row.request_id, row.redirect_uri) == ("No.", "0123456789abcdef", "https://x.example/cb")


@pytest.mark.parametrize("client_id", [UNKNOWN, "", "\0", "é", "x" * 3000, "a b\n"])
def test_nothing_is_kept_of_a_client_that_nobody_has(db: None, now: datetime, client_id: str) -> None:
    note(client_id, now)
    assert not FailedRequest.objects.exists()


@pytest.mark.threat("R05")
def test_credentials_and_invisible_characters_are_cut(make_client: Callable[..., Client], now: datetime) -> None:
    token = "cat_" + "x" * 43
    note(make_client().client_id, now, description=f"{token}\nnext\u202eline", redirect_uri=f"https://x.example/?access_token={token}")
    row = FailedRequest.objects.get()
    assert token not in row.description + row.redirect_uri
    assert row.description == "[cut] next line"


def test_long_texts_are_cut_to_what_the_columns_hold(make_client: Callable[..., Client], now: datetime) -> None:
    long = "x" * 5000
    note(make_client().client_id, now, endpoint=long, error=long, description=long, request_id=long, redirect_uri=long)
    row = FailedRequest.objects.get()
    lengths = [len(text) for text in (row.endpoint, row.error, row.description, row.request_id, row.redirect_uri)]
    assert lengths == [40, 60, DESCRIPTION_LIMIT, 64, REDIRECT_URI_LIMIT]


@pytest.mark.threat("S11")
def test_a_flood_leaves_few_rows_a_minute(make_client: Callable[..., Client], now: datetime) -> None:
    one, other = make_client(), make_client()
    assert [note(one.client_id, now) for _ in range(PER_CLIENT + 5)] == [True] * PER_CLIENT + [False] * 5
    assert note(other.client_id, now)
    assert FailedRequest.objects.filter(client=one).count() == PER_CLIENT


@pytest.mark.threat("S11")
def test_one_source_uses_up_its_share_and_not_that_of_others(make_client: Callable[..., Client], now: datetime) -> None:
    client = make_client()
    for number in range(PER_SOURCE):
        note(f"unknown-{number}", now, source="192.0.2.1")
    assert not note(client.client_id, now, source="192.0.2.1")
    assert note(client.client_id, now, source="192.0.2.2")


@pytest.mark.threat("S11")
def test_a_client_keeps_its_newest_rows_only(make_client: Callable[..., Client], now: datetime) -> None:
    client, other = make_client(), make_client()
    note(other.client_id, now)
    for number in range(ROWS_PER_CLIENT + 7):
        notes.forget()
        note(client.client_id, now, error=f"error_{number}")
    errors = list(FailedRequest.objects.filter(client=client).order_by("id").values_list("error", flat=True))
    assert errors == [f"error_{number}" for number in range(7, ROWS_PER_CLIENT + 7)]
    assert FailedRequest.objects.filter(client=other).count() == 1


def test_rows_are_shown_and_kept_for_fourteen_days(make_client: Callable[..., Client], now: datetime) -> None:
    client = make_client()
    note(client.client_id, now - KEPT, error="old")
    note(client.client_id, now - KEPT + timedelta(seconds=1), error="almost")
    note(client.client_id, now, error="new")
    assert [row.error for row in failures_of_client(client, now)] == ["new", "almost"]
    assert purge_old_failures(now) == 1
    assert purge_old_failures(now) == 0
    assert FailedRequest.objects.count() == 2


def test_a_task_deletes_old_rows_every_hour(make_client: Callable[..., Client]) -> None:
    note(make_client().client_id, timezone.now() - KEPT - timedelta(minutes=1))
    assert purge_failed_requests() == 1
    assert settings.CELERY_BEAT_SCHEDULE["purge-failed-requests"] == {"task": purge_failed_requests.name, "schedule": 3600.0}
