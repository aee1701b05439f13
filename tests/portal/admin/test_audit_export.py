"""Taking data away: the trail as JSON lines and CSV, every list as CSV, and the trail's own page."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client as Browser
from django.urls import reverse

from registry import audit_search
from registry.actors import person
from registry.lifecycle import register_client
from registry.models import AuditEvent, Client, Organization, User
from tests.conftest import Cast
from tests.portal.admin.conftest import list_of

TRAIL = "staff:registry_auditevent_changelist"
EXPORT = "staff:registry_auditevent_export"


@pytest.fixture
def as_auditor(cast: Cast, sign_in: Callable[[User], Browser]) -> Browser:
    """A browser of the auditor."""
    return sign_in(cast.auditor)


def rows_of(response: Any) -> list[dict[str, str]]:
    text = b"".join(response.streaming_content).decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_the_trail_is_exported_as_csv_whole_and_filtered(as_auditor: Browser, app: Client, cast: Cast, monkeypatch: Any) -> None:
    monkeypatch.setattr(audit_search, "EXPORTED_AT_ONCE", 2)
    everything = list(AuditEvent.objects.order_by("id").values_list("id", "event"))
    response = as_auditor.get(reverse(EXPORT), {"format": "csv"})
    assert response["Content-Type"].startswith("text/csv")
    assert "no-store" in response["Cache-Control"]
    assert [(int(row["id"]), row["event"]) for row in rows_of(response)] == everything
    (row,) = rows_of(as_auditor.get(reverse(EXPORT), {"format": "csv", "event": "client.registered"}))
    assert (row["object_label"], row["org_id"]) == ("Back office", str(cast.organization.org_id))


@pytest.mark.threat("R07")
def test_no_cell_of_an_export_is_a_formula(as_auditor: Browser, cast: Cast, now: datetime) -> None:
    document = {"client_name": '=HYPERLINK("https://phish.example","x")', "grant_types": ["client_credentials"]}
    register_client(person(cast.owner), cast.organization, document, now=now)
    for address, column in ((reverse(EXPORT) + "?format=csv", "object_label"), (list_of(Client, "csv"), "App")):
        cells = [row[column] for row in rows_of(as_auditor.get(address))]
        assert any("HYPERLINK" in cell for cell in cells)
        assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@"))]


def test_every_export_is_an_event_that_says_what_was_taken(as_auditor: Browser, app: Client, cast: Cast) -> None:
    as_auditor.get(reverse(EXPORT), {"format": "csv", "event": "client."}).getvalue()
    as_auditor.get(list_of(Client, "csv"), {"state__exact": "active"}).getvalue()
    trail, apps = AuditEvent.objects.filter(event__in=("trail.exported", "list.exported")).order_by("id")
    assert trail.difference == {"form": [None, "csv"], "event": [None, "client."]}
    assert apps.difference == {"list": [None, "client"], "state__exact": [None, "active"]}
    assert {event.actor_id for event in (trail, apps)} == {str(cast.auditor.sub)}


def test_a_list_as_csv_has_the_rows_of_its_filter_and_plain_values(
    as_auditor: Browser, app: Client, pending: Organization, now: datetime
) -> None:
    Client.objects.filter(pk=app.pk).update(last_used_at=now)
    (row,) = rows_of(as_auditor.get(list_of(Client, "csv"), {"q": "Back office"}))
    assert (row["App"], row["State"], row["Stage"]) == ("Back office", "active", "test")
    assert row["Last used"] == now.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert app.client_id in row.values()
    (row,) = rows_of(as_auditor.get(list_of(Organization, "csv"), {"state__exact": "pending"}))
    assert "Tidewater Ferries" in row.values()
    assert as_auditor.get(list_of(Client, "csv"), {"state__exact": "\0", "nonsense": "1"}).status_code == 302


@pytest.mark.parametrize(
    "question",
    [
        {"source_address": "not an address"}, {"since": "yesterday"}, {"actor_kind": "nobody"}, {"object_type": "nothing"},
        {"event": "a\0b"}, {"request_id": "x" * 200}, {"object": "\0"},
    ],
)  # fmt: skip
def test_what_cannot_be_asked_is_said_next_to_its_field_and_stays(as_auditor: Browser, app: Client, question: dict[str, str]) -> None:
    (name,) = question
    for address in (TRAIL, EXPORT):
        response = as_auditor.get(reverse(address), question)
        assert response.status_code == 200
        assert response.context["form"].errors[name]
        assert str(response.context["form"][name].value()) == question[name]
    assert not AuditEvent.objects.filter(event="trail.exported").exists()


@pytest.mark.parametrize("before", ["x", "-1", "9" * 24, "9" * 400, "\0", "٣"])
def test_a_page_number_that_is_none_is_no_error(as_auditor: Browser, app: Client, before: str) -> None:
    assert as_auditor.get(reverse(TRAIL), {"before": before}).status_code == 200
    assert as_auditor.get(reverse("staff:registry_auditevent_verify"), {"after": before}).status_code == 200


def test_the_time_is_narrowed_from_months_to_days(as_auditor: Browser, app: Client, now: datetime) -> None:
    months = as_auditor.get(reverse(TRAIL)).context["days"]
    assert [words for words, _ in months] == [f"{now:%b %Y}"]
    month = as_auditor.get(reverse(TRAIL) + months[0][1])
    assert month.context["events"]
    assert len(month.context["days"]) >= 28
    day = next(url for words, url in month.context["days"] if words == f"{now:%-d %b}")
    found = as_auditor.get(reverse(TRAIL) + day)
    assert {event.time.date() for event in found.context["events"]} == {now.date()}
    assert not found.context["days"]


def test_the_page_needs_the_same_queries_at_any_size(
    as_auditor: Browser, app: Client, cast: Cast, now: datetime, django_assert_num_queries: Any
) -> None:
    with django_assert_num_queries(6):
        as_auditor.get(reverse(TRAIL))
    rows = [
        AuditEvent(time=now - timedelta(hours=number), event="client.updated", actor_kind="user", object_type="client", object_id="x",
                   organization=cast.organization)
        for number in range(300)
    ]  # fmt: skip
    AuditEvent.objects.bulk_create(rows)
    with django_assert_num_queries(6):
        page = as_auditor.get(reverse(TRAIL))
    assert len(page.context["events"]) == audit_search.PAGE
    older = as_auditor.get(reverse(TRAIL) + page.context["older"])
    assert older.context["events"][0].id == page.context["events"][-1].id - 1


def test_more_than_can_be_counted_is_said_so(as_auditor: Browser, app: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_search, "COUNTED", 2)
    monkeypatch.setattr("portal.admin.trail.COUNTED", 2)
    assert "More than 2 events" in as_auditor.get(reverse(TRAIL)).content.decode()


def test_organizations_and_apps_are_found_by_what_is_wrong_with_them(
    as_auditor: Browser, app: Client, pending: Organization, cast: Cast, now: datetime
) -> None:
    def shown(model: Any, **question: str) -> set[str]:
        return {str(row) for row in as_auditor.get(list_of(model), question).context["cl"].queryset}

    assert shown(Organization, mfa="gaps") == {"Lighthouse Travel", "Tidewater Ferries"}
    assert shown(Organization, orphaned="yes") == set()
    User.objects.filter(pk=cast.stranger.pk).update(is_active=False)
    assert shown(Organization, orphaned="yes") == {"Tidewater Ferries"}
    assert shown(Client, health="no_secret") == {"Back office"}
    assert shown(Client, health="trust") == shown(Client, health="keys") == shown(Client, health="rules") == set()
    assert shown(Client, use="idle") == set()
    Client.objects.update(created=now - timedelta(days=91))
    assert shown(Client, use="idle") == {"Back office"}
    assert shown(Client, use="nonsense") == {"Back office"}


def test_a_secret_that_ends_soon_is_found(as_auditor: Browser, app: Client, cast: Cast, now: datetime) -> None:
    from registry.credentials import create_secret

    create_secret(app, person(cast.owner), now=now, expires_at=now + timedelta(days=5))
    found = as_auditor.get(list_of(Client), {"health": "expiring"}).context["cl"].queryset
    assert list(found) == [app]
    create_secret(app, person(cast.owner), now=now)
    assert not as_auditor.get(list_of(Client), {"health": "expiring"}).context["cl"].queryset.exists()
