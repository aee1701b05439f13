"""Forms of staff that are sent twice: the second changes nothing, says so, and is not in the trail or the mail (portal.md 4.4)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.core import mail
from django.test import Client as Browser

from federation.models import OrganizationRule, RefusedEntity
from portal.notices import send_notice
from protocol.errors import TransitionRefused
from registry.models import AuditEvent, Client, Notice, User
from registry.notices import RESEND_EVERY, resend_notice
from tests.conftest import Cast, make_organization
from tests.portal.admin.conftest import HARBOUR, Federated, list_of, messages_in, page_of, save_rule, step_of, subpage_of

pytestmark = pytest.mark.threat("R11")


@pytest.fixture
def as_operator(cast: Cast, sign_in: Callable[[User], Browser]) -> Browser:
    """A browser of the operator."""
    return sign_in(cast.operator)


def events(name: str) -> int:
    """Return how often something is in the trail."""
    return AuditEvent.objects.filter(event=name).count()


@pytest.mark.django_db(transaction=True)
def test_a_notice_is_sent_again_once(as_operator: Browser, as_reviewer: Browser, app: Client) -> None:
    as_reviewer.post(step_of(app, "suspend"), {"reason": "Its key leaked."})
    notice = Notice.objects.get(event__event="client.suspended")
    assert notice.sent_at is not None
    mail.outbox.clear()
    first = as_operator.post(subpage_of(notice, "resend"), follow=True)
    mailed = len(mail.outbox)
    second = as_operator.post(subpage_of(notice, "resend"), follow=True)
    assert "being sent again" in messages_in(first)
    assert "less than a minute ago" in messages_in(second)
    assert len(mail.outbox) == mailed == 3
    assert events("notice.resent") == 1


def test_a_notice_can_be_sent_again_a_minute_later(cast: Cast, now: datetime, time_machine: Any) -> None:
    notice = Notice.objects.get(event__event="org.approved")
    send_notice(notice, now=now)
    for step in (timedelta(), RESEND_EVERY + timedelta(seconds=1)):
        time_machine.move_to(now + step, tick=False)
        resend_notice(notice, cast.as_operator, now=now + step)
    with pytest.raises(TransitionRefused) as refused:
        resend_notice(notice, cast.as_operator, now=now + step)
    assert (refused.value.reason, events("notice.resent")) == ("too_soon", 2)


def test_an_entity_is_dismissed_once_and_keeps_its_first_reason(as_reviewer: Browser, federated: Federated) -> None:
    for reason in ("Nobody knows them.", "Nobody knows them.", "Other words."):
        answer = as_reviewer.post(subpage_of(federated.request, "dismiss"), {"reason": reason}, follow=True)
    assert "stays outside already" in messages_in(answer)
    federated.request.refresh_from_db()
    assert (federated.request.state, federated.request.reason) == ("dismissed", "Nobody knows them.")
    assert events("registration_request.dismissed") == 1


def test_an_organization_rule_is_saved_once_when_it_is_added_and_when_it_is_changed(
    as_operator: Browser, cast: Cast, now: datetime
) -> None:
    other = make_organization(cast.stranger, cast.reviewer, now, "Tidewater Ferries")
    new, values = list_of(OrganizationRule, "add"), {"superior": HARBOUR, "organization": "lighthouse-travel"}
    for _ in range(2):
        answer = save_rule(as_operator, new, values, follow=True)
    assert "belongs to Lighthouse Travel already" in messages_in(answer)
    assert events("organization_rule.saved") == 1
    rule = OrganizationRule.objects.get()
    for _ in range(2):
        answer = save_rule(as_operator, page_of(rule), {"organization": other.slug}, follow=True)
    assert "belongs to Tidewater Ferries already" in messages_in(answer)
    assert events("organization_rule.saved") == 2


def test_an_entity_is_refused_once_unless_in_other_words(as_operator: Browser, cast: Cast) -> None:
    for reason in ("Because.", "Because.", "Its key was stolen."):
        values = {"entity_id": "https://bad.example", "reason": reason}
        answers = as_operator.post(list_of(RefusedEntity, "add"), values, follow=True)
        if reason == "Because.":
            said = messages_in(answers)
    assert "trusted no more already" in said
    assert (RefusedEntity.objects.get().reason, events("entity.refused")) == ("Its key was stolen.", 2)
