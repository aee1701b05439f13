"""Reading the trail at any size."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from registry import audit, audit_search
from registry.actors import person
from registry.audit_search import AuditQuestion, count_events, export_events, find_events, page_of_events
from registry.models import AuditEvent, AuditSeal
from tests.conftest import Cast


@pytest.fixture
def trail(cast: Cast, now: datetime) -> list[AuditEvent]:
    """Forty events, an hour apart."""
    rows = [
        AuditEvent(
            time=now - timedelta(hours=40 - number), event="client.updated" if number % 2 else "secret.ended", actor_kind="user",
            actor_id=str(cast.owner.sub), object_type="client", object_id=f"object-{number % 4}", organization=cast.organization,
            result="error" if number == 3 else "ok", request_id=f"request-{number}", source_address="192.0.2.7",
        )
        for number in range(40)
    ]  # fmt: skip
    AuditEvent.objects.bulk_create(rows)
    return list(AuditEvent.objects.order_by("id"))


def test_pages_go_on_by_number_and_show_every_event_once(trail: list[AuditEvent]) -> None:
    seen, before = [], None
    while True:
        page = page_of_events(AuditQuestion(), before=before, limit=7)
        seen += [event.id for event in page.events]
        if page.before is None:
            break
        before = page.before
    assert seen == [event.id for event in reversed(trail)]


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        (AuditQuestion(event="client."), 20),
        (AuditQuestion(event="client.updated"), 20),
        (AuditQuestion(object="object-1", object_type="client"), 10),
        (AuditQuestion(object="object-1"), 10),
        (AuditQuestion(result="error"), 1),
        (AuditQuestion(request_id="request-9"), 1),
        (AuditQuestion(source_address="192.0.2.7"), 40),
        (AuditQuestion(actor="OWNER@lighthouse.example", object="object-2"), 10),
        (AuditQuestion(actor="nobody@lighthouse.example"), 0),
        (AuditQuestion(organization="lighthouse", result="error"), 1),
        (AuditQuestion(organization="nothing like it"), 0),
    ],
)
def test_every_filter_narrows(trail: list[AuditEvent], question: AuditQuestion, expected: int) -> None:
    own = [event for event in find_events(question) if event.object_id.startswith("object-")]
    assert len(own) == expected
    assert page_of_events(question, limit=500).events == list(find_events(question))


def test_a_time_range_has_its_first_and_not_its_last_moment(trail: list[AuditEvent], now: datetime) -> None:
    question = AuditQuestion(since=now - timedelta(hours=10), until=now - timedelta(hours=5))
    found = page_of_events(question).events
    assert [now - event.time for event in found] == [timedelta(hours=hours) for hours in (6, 7, 8, 9, 10)]
    assert page_of_events(AuditQuestion(since=now + timedelta(days=1))).events == []


def test_what_no_index_answers_is_looked_for_a_stretch_at_a_time(trail: list[AuditEvent], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_search, "STRETCH", 10)
    question, pages, before, found = AuditQuestion(result="error"), 0, None, []
    while True:
        page = page_of_events(question, before=before)
        pages, found = pages + 1, [*found, *page.events]
        if page.before is None:
            break
        assert page.searched_to == page.before
        before = page.before
    assert [event.object_id for event in found] == ["object-3"]
    assert pages > 3
    assert count_events(question) is None


@pytest.mark.skipif(connection.vendor != "sqlite", reason="reads the plan as SQLite writes it")
@pytest.mark.parametrize(
    "question",
    [
        AuditQuestion(actor="owner@lighthouse.example"), AuditQuestion(request_id="request-3"), AuditQuestion(source_address="192.0.2.7"),
        AuditQuestion(object="object-1"), AuditQuestion(event="client.updated"), AuditQuestion(organization="Lighthouse"),
    ],
)  # fmt: skip
def test_a_filter_that_names_something_is_answered_from_an_index(trail: list[AuditEvent], question: AuditQuestion) -> None:
    with CaptureQueriesContext(connection) as queries:
        page_of_events(question)
    with connection.cursor() as cursor:
        cursor.execute("EXPLAIN QUERY PLAN " + queries.captured_queries[-1]["sql"].replace("%", "%%"))
        plan = " ".join(str(row) for row in cursor.fetchall())
    assert "SEARCH registry_auditevent USING INDEX" in plan


def test_an_export_is_in_the_trail_and_not_in_itself(trail: list[AuditEvent], cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_search, "EXPORTED_AT_ONCE", 7)
    found = list(export_events(AuditQuestion(), person(cast.auditor, staff=True), form="csv"))
    assert found == trail
    event = AuditEvent.objects.latest("id")
    assert (event.event, event.actor_label, event.difference) == ("trail.exported", cast.auditor.email, {"form": [None, "csv"]})


def test_a_long_trail_is_verified_in_parts_that_find_what_the_whole_finds(
    trail: list[AuditEvent], now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "SEAL_SIZE", 10)
    while audit.seal(now):
        pass
    seals, after = 0, 0
    while True:
        part = audit.verify_for_a_while(after=after, seconds=-1)
        assert (part.seals, part.faults) == (1, ())
        seals, after = seals + 1, part.checked_to
        if not part.goes_on:
            break
    assert seals == AuditSeal.objects.count() > 3
    assert audit.verify_for_a_while(after=5).checked_from == 1
    monkeypatch.setattr(audit, "_signature", lambda digest: "another key")
    assert [*audit.verify_for_a_while(seconds=60).faults] == list(audit.verify())
    assert len(audit.verify_for_a_while(after=10, seconds=-1).faults) == 1
