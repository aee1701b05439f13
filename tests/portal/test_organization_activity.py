"""What happened in an organization: narrowed to a kind, and taken away as a file with the rows of the page."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from pytest_django.asserts import assertContains

from portal.views import organization_activity
from registry import audit
from registry.actors import person
from registry.lifecycle import change_organization
from registry.members import invite
from registry.models import AuditEvent, Client, Organization
from tests.conftest import Cast

MakeClient = Callable[..., Client]


@pytest.fixture
def url(cast: Cast) -> str:
    """The activity of the cast's organization."""
    return reverse("organization_activity", args=[cast.organization.slug])


@pytest.fixture
def export(cast: Cast) -> str:
    """The same as a file."""
    return reverse("organization_activity_export", args=[cast.organization.slug])


@pytest.fixture
def history(cast: Cast, make_client: MakeClient, now: datetime) -> Client:
    """An app, an invitation and a suspension, beside what made the organization."""
    client = make_client()
    invite(cast.organization, cast.as_owner, email="new@lighthouse.example", role="viewer", now=now)
    change_organization(cast.organization, "suspend", cast.as_reviewer, now=now, reason="A leak.")
    return client


def text_of(response: Any) -> str:
    return b"".join(response.streaming_content).decode()


def read_csv(response: Any) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text_of(response).removeprefix("\ufeff"))))


def read_lines(response: Any) -> list[dict[str, str]]:
    return [json.loads(line) for line in text_of(response).splitlines()]


@pytest.mark.parametrize(
    ("show", "nouns"),
    [
        ("", {"org", "client", "member"}),
        ("organization", {"org"}),
        ("apps", {"client"}),
        ("members", {"member"}),
        ("tokens", set()),
        ("nonsense\0", {"org", "client", "member"}),
    ],
)
def test_page_and_files_hold_the_kind_of_events_that_is_asked_for(
    viewer: Browser, history: Client, url: str, export: str, show: str, nouns: set[str]
) -> None:
    shown = viewer.get(url, {"show": show})
    lines = read_lines(viewer.get(export, {"show": show, "format": "jsonl"}))
    assert {line["event"].partition(".")[0] for line in lines} == nouns
    assert [(line["sentence"], line["actor"], line["detail"]) for line in lines] == [
        (str(entry.sentence), entry.actor, entry.detail) for entry in shown.context["events"]
    ]
    _header, *rows = read_csv(viewer.get(export, {"show": show}))
    assert [row[1:] for row in rows] == [[line[name] for name in ("event", "sentence", "actor", "detail")] for line in lines]


def test_every_event_with_words_for_partners_is_of_a_kind_that_can_be_asked_for() -> None:
    from portal.views.timeline import _SENTENCES

    nouns = {noun for _words, nouns in organization_activity._SHOWS.values() for noun in nouns}
    assert {event.partition(".")[0] for event in _SENTENCES} <= nouns


def test_a_kind_of_which_nothing_happened_says_so(viewer: Browser, history: Client, url: str) -> None:
    assertContains(viewer.get(url, {"show": "tokens"}), "Nothing of this kind happened yet.")


def test_the_page_links_the_files_with_its_filter(viewer: Browser, history: Client, url: str, export: str) -> None:
    response = viewer.get(url, {"show": "apps", "page": "1"})
    for kind in ("csv", "jsonl"):
        assertContains(response, f'href="{export}?show=apps&amp;format={kind}"')


def test_the_files_say_what_they_are_and_are_kept_nowhere(cast: Cast, viewer: Browser, export: str) -> None:
    for kind, media in (("csv", "text/csv; charset=utf-8"), ("jsonl", "application/jsonl")):
        response = viewer.get(export, {"format": kind})
        assert (response["Content-Type"], response["Cache-Control"]) == (media, "no-store")
        assert response["Content-Disposition"] == f'attachment; filename="{cast.organization.slug}-activity.{kind}"'


@pytest.mark.threat("R09")
def test_no_file_names_staff_their_address_their_notes_or_another_organization(
    cast: Cast, viewer: Browser, foreign: Organization, history: Client, export: str
) -> None:
    staff = person(cast.reviewer, staff=True, source_address="192.0.2.77")
    audit.record(staff, "client.suspended", history, organization=cast.organization, reason="We saw a leak.")
    audit.record(staff, "review.noted", cast.organization, organization=None, reason="Hidden note")
    audit.record(cast.as_owner, "client.updated", history, organization=foreign, reason="Hidden elsewhere")
    for kind in ("csv", "jsonl"):
        text = text_of(viewer.get(export, {"format": kind}))
        assert "We saw a leak." in text
        assert "Our staff" in text
        for hidden in ("192.0.2.77", cast.reviewer.email, "Hidden"):
            assert hidden not in text
    assert viewer.get(reverse("organization_activity_export", args=[foreign.slug])).status_code == 404


@pytest.mark.threat("R06")
@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t"])
def test_no_cell_is_a_formula_and_no_text_makes_a_line_of_its_own(
    cast: Cast, viewer: Browser, history: Client, export: str, start: str
) -> None:
    text = f'{start}HYPERLINK("https://evil.example")\u2028\n"event": "org.approved"'
    audit.record(cast.as_owner, "client.suspended", history, organization=cast.organization, reason=text)
    assert read_csv(viewer.get(export))[1][4] == f"'{text}"
    lines = read_lines(viewer.get(export, {"format": "jsonl"}))
    assert (lines[0]["detail"], len(lines)) == (text, AuditEvent.objects.filter(organization=cast.organization).count())


def test_a_long_history_is_read_in_parts_and_ends_at_the_limit(
    cast: Cast, viewer: Browser, history: Client, export: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(20):
        audit.record(cast.as_owner, "client.updated", history, organization=cast.organization, reason=f"Number {number}")
    monkeypatch.setattr(organization_activity, "_AT_ONCE", 3)
    whole = [row[4] for row in read_csv(viewer.get(export))[1:]]
    assert [row for row in whole if row.startswith("Number")] == [f"Number {number}" for number in reversed(range(20))]
    assert len(whole) == AuditEvent.objects.filter(organization=cast.organization).count()
    monkeypatch.setattr(organization_activity, "EXPORT_LIMIT", 7)
    assert [row[4] for row in read_csv(viewer.get(export))[1:]] == whole[:7]


def test_the_filter_costs_no_query_more(viewer: Browser, history: Client, url: str) -> None:
    counts = []
    for show in ("", "apps"):
        with CaptureQueriesContext(connection) as queries:
            viewer.get(url, {"show": show})
        counts.append(len(queries))
    assert counts[0] == counts[1]
