"""The review queue: what waits, for how long, and for whom."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.test import Client as Browser
from django.urls import reverse

from portal.admin import queue
from registry.actors import person
from registry.lifecycle import decide_change, request_go_live
from registry.lifecycle.organizations import change_organization
from registry.models import AuditEvent, ChangeRequest, Client, Membership, Organization
from tests.conftest import Cast
from tests.portal.admin.conftest import Federated, step_of

QUEUE = "staff:queue"


def names(browser: Browser, **question: str) -> list[str]:
    return [item.name for item in browser.get(reverse(QUEUE), question).context["items"]]


def test_entities_wait_among_organizations_and_requests_by_their_age(
    as_reviewer: Browser, pending: Organization, go_live: ChangeRequest, federated: Federated, now: datetime
) -> None:
    Organization.objects.filter(pk=pending.pk).update(submitted_at=now - timedelta(days=1))
    ChangeRequest.objects.filter(pk=go_live.pk).update(submitted_at=now - timedelta(days=3))
    type(federated.request).objects.update(first_seen_at=now - timedelta(days=2))
    assert names(as_reviewer) == ["Back office", "Tidewater Insurance", "Tidewater Ferries"]


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ({"kind": "organization"}, ["Tidewater Ferries"]),
        ({"kind": "go_live"}, ["Back office"]),
        ({"kind": "change"}, []),
        ({"kind": "entity"}, ["Tidewater Insurance"]),
        ({"show": "mine"}, ["Back office"]),
        ({"show": "unassigned", "kind": "organization"}, ["Tidewater Ferries"]),
        ({"show": "mine", "kind": "entity"}, []),
        ({"show": "partner"}, []),
        ({"kind": "nonsense\0", "show": "\0", "page": "x"}, ["Back office", "Tidewater Ferries", "Tidewater Insurance"]),
        ({"page": "9" * 40}, ["Back office", "Tidewater Ferries", "Tidewater Insurance"]),
    ],
)
def test_the_queue_is_narrowed_by_kind_and_by_who_has_to_act(
    as_reviewer: Browser, pending: Organization, go_live: ChangeRequest, federated: Federated, question: dict[str, str], expected: list[str]
) -> None:
    as_reviewer.post(step_of(go_live, "assign"))
    assert sorted(names(as_reviewer, **question)) == sorted(expected)


def test_what_was_sent_back_waits_for_the_partner_until_they_ask_again(
    as_reviewer: Browser, pending: Organization, go_live: ChangeRequest, cast: Cast, now: datetime
) -> None:
    decide_change(go_live, "send_back", cast.as_reviewer, now=now, reason="Say more.")
    change_organization(pending, "request_changes", cast.as_reviewer, now=now, reason="Say more.")
    assert names(as_reviewer) == []
    assert sorted(names(as_reviewer, show="partner")) == ["Back office", "Tidewater Ferries"]
    page = as_reviewer.get(reverse(QUEUE), {"show": "partner"})
    assert not any(item.is_overdue or item.step_url for item in page.context["items"])
    request_go_live(go_live.client, person(cast.owner), now=now)
    assert names(as_reviewer, show="partner") == ["Tidewater Ferries"]
    assert names(as_reviewer) == ["Back office"]


def test_age_is_said_in_working_days_and_marked_after_two(
    as_reviewer: Browser, pending: Organization, go_live: ChangeRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    wednesday = datetime(2026, 11, 25, 12, tzinfo=UTC)
    Organization.objects.filter(pk=pending.pk).update(submitted_at=wednesday - timedelta(days=5))  # a Friday
    ChangeRequest.objects.filter(pk=go_live.pk).update(submitted_at=wednesday - timedelta(days=1))
    monkeypatch.setattr(queue, "timezone", SimpleNamespace(now=lambda: wednesday))
    page = as_reviewer.get(reverse(QUEUE))
    assert [(item.name, item.days, item.is_overdue) for item in page.context["items"]] == [
        ("Tidewater Ferries", 3, True),
        ("Back office", 1, False),
    ]
    assert page.content.decode().count("Overdue") == 1
    assert "3 working days" in page.content.decode()


def test_a_reviewer_takes_from_the_list_and_stays_there(as_reviewer: Browser, pending: Organization, cast: Cast) -> None:
    (item,) = as_reviewer.get(reverse(QUEUE)).context["items"]
    data = {"back": "queue", "show": "unassigned", "kind": "organization", "page": "1"}
    response = as_reviewer.post(item.step_url, data)
    assert response.url == f"{reverse(QUEUE)}?show=unassigned&kind=organization&page=1"
    pending.refresh_from_db()
    assert pending.reviewer == cast.reviewer
    (item,) = as_reviewer.get(reverse(QUEUE)).context["items"]
    assert item.step_url == ""
    as_reviewer.post(step_of(pending, "assign"), data)
    assert AuditEvent.objects.filter(event="org.assigned", object_id=str(pending.org_id)).count() >= 1


def test_nobody_is_offered_what_is_their_own_or_not_theirs_to_decide(
    as_reviewer: Browser, pending: Organization, cast: Cast, sign_in: Any
) -> None:
    for colleague in (cast.auditor, cast.operator):
        assert [item.step_url for item in sign_in(colleague).get(reverse(QUEUE)).context["items"]] == [""]
    Membership.objects.create(organization=pending, user=cast.reviewer, role="viewer")
    (item,) = as_reviewer.get(reverse(QUEUE)).context["items"]
    assert (item.is_own, item.step_url) == (True, "")


def test_a_long_queue_has_pages_and_costs_no_more_queries(
    as_reviewer: Browser, pending: Organization, go_live: ChangeRequest, app: Client, now: datetime, django_assert_num_queries: Any
) -> None:
    with django_assert_num_queries(7):
        as_reviewer.get(reverse(QUEUE))
    rows = [
        Organization(slug=f"many-{number}", legal_name=f"Many {number:03d}", state="pending", submitted_at=now + timedelta(seconds=number))
        for number in range(60)
    ]
    Organization.objects.bulk_create(rows)
    with django_assert_num_queries(7):
        page = as_reviewer.get(reverse(QUEUE))
    assert (len(page.context["items"]), page.context["page"].paginator.num_pages) == (25, 3)
    last = as_reviewer.get(reverse(QUEUE), {"page": "3", "kind": "organization"})
    assert last.context["items"][-1].name == "Many 059"
    assert "kind=organization" in last.content.decode()
