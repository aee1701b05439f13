"""Deciding takes the password again when it was not given lately, and loses nothing that was typed (threats.md R14)."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client as Browser

from registry.models import ChangeRequest, Client, Organization, User
from tests.conftest import Cast
from tests.portal.admin.conftest import page_of, step_of
from tests.portal.admin.test_interrupted_forms import PASSWORD, QUESTION, answer

pytestmark = pytest.mark.threat("R14")


@pytest.fixture
def reviewer(cast: Cast, sign_in: Callable[[User], Browser]) -> Browser:
    """A browser of a reviewer who has a password and was not asked for it lately."""
    cast.reviewer.set_password(PASSWORD)
    cast.reviewer.save()
    return sign_in(cast.reviewer)


def test_an_approval_is_made_after_the_password_with_what_was_read(reviewer: Browser, go_live: ChangeRequest) -> None:
    sent = reviewer.post(step_of(go_live, "approve"), {"digest": go_live.digest, "reason": "Well done.", "override": "They told us why."})
    assert sent.url.startswith(QUESTION)
    go_live.refresh_from_db()
    assert go_live.state == "open"
    led = answer(reviewer, sent.url)
    assert led.url == step_of(go_live, "approve")
    assert reviewer.get(led.url).url == page_of(go_live)
    go_live.refresh_from_db()
    assert (go_live.state, go_live.reason) == ("approved", "Well done.")


def test_a_wrong_password_decides_nothing(reviewer: Browser, go_live: ChangeRequest) -> None:
    sent = reviewer.post(step_of(go_live, "approve"), {"digest": go_live.digest})
    assert answer(reviewer, sent.url, password="wrong").status_code == 200
    assert reviewer.get(step_of(go_live, "approve")).url == page_of(go_live)
    go_live.refresh_from_db()
    assert go_live.state == "open"


def test_each_weighty_step_asks_once_and_then_not_for_a_while(
    reviewer: Browser, app: Client, cast: Cast, go_live: ChangeRequest, pending: Organization
) -> None:
    weighty = [
        (go_live, "approve"),
        (go_live, "reject"),
        (pending, "approve"),
        (pending, "reject"),
        (app, "suspend"),
        (cast.organization, "suspend"),
    ]
    for row, step in weighty:
        assert reviewer.post(step_of(row, step), {"reason": "Because."}).url.startswith(QUESTION), (row, step)
        row.refresh_from_db()
    assert (go_live.state, pending.state, app.state, cast.organization.state) == ("open", "pending", "active", "approved")
    reviewer.get(answer(reviewer, reviewer.post(step_of(app, "suspend"), {"reason": "Because."}).url).url)
    reviewer.post(step_of(go_live, "reject"), {"reason": "Not now."})
    app.refresh_from_db()
    go_live.refresh_from_db()
    assert (app.state, go_live.state) == ("suspended", "rejected")


def test_reading_taking_on_putting_in_words_and_previews_ask_for_nothing(reviewer: Browser, go_live: ChangeRequest, app: Client) -> None:
    assert reviewer.get(page_of(go_live)).status_code == 200
    assert reviewer.get(step_of(app, "suspend")).status_code == 200
    assert reviewer.post(step_of(go_live, "reject"), {"reason": "No.", "do": "preview"}).status_code == 200
    assert reviewer.post(step_of(app, "suspend"), {"reason": "No.", "do": "insert"}).status_code == 200
    assert reviewer.post(step_of(go_live, "assign")).url == page_of(go_live)
