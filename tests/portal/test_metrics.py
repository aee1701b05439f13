"""What is measured, who may read it, and that partners cannot put words into it."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from portal.metrics import QUERIES, collect_metrics, render_metrics
from registry.credentials import create_secret
from registry.lifecycle import request_go_live
from registry.models import Client, JobRecord
from tests.conftest import Cast
from tests.portal.test_settings import load

__all__ = ["load"]

TOKEN = "m3trics-Token_0123456789-abcdefghijklmnop"
SAMPLE = re.compile(r'[a-z_]+(\{[a-z]+="[a-z0-9_.]*"(,[a-z]+="[a-z0-9_.]*")*\})? -?\d+(\.\d+)?')


def read(**extra: Any) -> Any:
    return Browser(SERVER_NAME="127.0.0.1").get(reverse("metrics"), **extra)


def sample(text: str, name: str) -> float:
    return float(next(line.rpartition(" ")[2] for line in text.splitlines() if line.startswith(name)))


@pytest.mark.threat("S15")
def test_counts_ages_and_backlogs_are_told(cast: Cast, make_client: Callable[..., Client], now: datetime, settings: Any) -> None:
    app = make_client(client_name='"} evil{a="b', scope="bookings.read bookings.write")
    create_secret(app, cast.as_owner, now=now, expires_at=now + timedelta(days=3))
    request_go_live(app, cast.as_owner, now=now - timedelta(hours=5))
    JobRecord.objects.create(name="registry.tasks.seal_audit", started_at=now, ended_at=now - timedelta(seconds=90), runs=7, failures=1)
    JobRecord.objects.create(name="broken", started_at=now, failed_at=now, runs=2, failures=2)
    ended_at = now - timedelta(seconds=240)
    JobRecord.objects.create(name="broken.lately", started_at=now, ended_at=ended_at, failed_at=now, runs=2, failures=1)
    text = render_metrics(collect_metrics(now))
    assert sample(text, 'credence_clients{source="manual",state="active",stage="test",trust="none"}') == 1
    assert sample(text, 'credence_organizations{state="approved"}') >= 1
    assert sample(text, 'credence_queue_items{kind="change_request"}') == 1
    assert sample(text, 'credence_queue_oldest_age_seconds{kind="change_request"}') == 5 * 3600
    assert sample(text, 'credence_queue_oldest_age_seconds{kind="organization"}') == 0
    assert sample(text, 'credence_job_last_success_age_seconds{job="registry.tasks.seal_audit"}') == 90
    assert 'last_success_age_seconds{job="broken"}' not in text
    assert sample(text, 'credence_job_last_success_age_seconds{job="broken.lately"}') == 240
    assert sample(text, 'credence_job_failures_total{job="broken"}') == 2
    assert sample(text, 'credence_expiries_ahead{kind="client_secret",within="1d"}') == 0
    assert sample(text, 'credence_expiries_ahead{kind="client_secret",within="7d"}') == 1
    assert sample(text, "credence_audit_events_unsealed") > 0
    assert sample(text, "credence_notices_unsent ") > 0
    assert "evil" not in text
    assert cast.organization.slug not in text
    assert app.client_id not in text


def test_every_line_is_prometheus_text_and_every_metric_has_help_and_type(cast: Cast, now: datetime) -> None:
    lines = render_metrics(collect_metrics(now)).splitlines()
    names = {line.split()[2] for line in lines if line.startswith("# HELP ")}
    assert names == {line.split()[2] for line in lines if line.startswith("# TYPE ")}
    for line in lines:
        assert line.startswith("# ") or SAMPLE.fullmatch(line), line
        assert line.startswith("# ") or re.split(r"[ {]", line)[0] in names


def test_it_takes_the_same_number_of_queries_however_much_there_is(cast: Cast, make_client: Callable[..., Client], now: datetime) -> None:
    def count() -> int:
        with CaptureQueriesContext(connection) as queries:
            collect_metrics(now)
        return len(queries)

    little = count()
    for number in range(5):
        create_secret(make_client(client_name=f"App {number}"), cast.as_owner, now=now)
        JobRecord.objects.create(name=f"job{number}", started_at=now)
    assert count() == little == QUERIES


@pytest.mark.django_db
@pytest.mark.threat("S14", "S15")
def test_without_a_token_only_ones_own_machine_reads_it(settings: Any) -> None:
    assert read().status_code == 200
    assert read()["Content-Type"].startswith("text/plain; version=0.0.4")
    for extra in ({"REMOTE_ADDR": "192.0.2.7"}, {"REMOTE_ADDR": ""}, {"HTTP_X_FORWARDED_FOR": "192.0.2.7"}, {"HTTP_FORWARDED": "for=x"}):
        assert read(**extra).status_code == 404, extra
    settings.TRUSTED_PROXY = True
    assert read(HTTP_X_FORWARDED_FOR="127.0.0.1").status_code == 404
    settings.TRUSTED_PROXY, settings.ISSUER_IS_LOOPBACK = False, False
    assert read().status_code == 404


@pytest.mark.django_db
@pytest.mark.threat("S15")
def test_with_a_token_nobody_reads_it_without(settings: Any) -> None:
    settings.METRICS_TOKEN = TOKEN
    for sent in ("", TOKEN, f"Basic {TOKEN}", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", "Bearer ", "Bearer \xff"):
        answer = read(HTTP_AUTHORIZATION=sent)
        assert (answer.status_code, answer.content) == (401, b""), sent
        assert answer["WWW-Authenticate"].startswith("Bearer ")
    assert read(HTTP_AUTHORIZATION=f"Bearer {TOKEN}", REMOTE_ADDR="192.0.2.7").status_code == 200
    settings.ISSUER_IS_LOOPBACK = False
    assert read(HTTP_AUTHORIZATION=f"bearer {TOKEN}").status_code == 200


@pytest.mark.parametrize("wrong", ["", "short", "a" * 40, "with a space but long enough 123456", "ümlaut-0123456789-abcdefghijklmnopqrst"])
def test_a_bad_token_stops_the_start_and_is_not_printed(load: Callable[..., dict[str, Any]], wrong: str) -> None:
    refused = load(CREDENCE_METRICS_TOKEN=wrong).get("refused", "")
    assert refused.startswith("CREDENCE_METRICS_TOKEN")
    assert not wrong or wrong not in refused


def test_a_good_token_is_taken_and_a_documented_setting_is_known(load: Callable[..., dict[str, Any]]) -> None:
    assert load(CREDENCE_METRICS_TOKEN=TOKEN)["METRICS_TOKEN"] == TOKEN
    assert load(CREDENCE_TRUST_CHECK_SECONDS="120")["TRUST_CHECK_SECONDS"] == 120


@pytest.mark.django_db
@pytest.mark.parametrize(("age", "word"), [(None, "never ran"), (10, "ok"), (600, "late")])
def test_the_readiness_probe_tells_of_a_late_scheduler_and_stays_ready(now: datetime, age: int | None, word: str) -> None:
    if age is not None:
        JobRecord.objects.create(name="tick", started_at=now - timedelta(seconds=age))
    answer = Browser().get(reverse("readyz"))
    assert (answer.status_code, answer.json()["status"]) == (200, "ready")
    assert answer.json()["checks"]["scheduler"] == word
