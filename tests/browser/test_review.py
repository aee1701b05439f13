"""A reviewer's way through the queue: takes a request, talks to the partner, sends it back with words used often, and approves it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.browser.live import OWNER, PASSWORD, REVIEWER
from tests.browser.visitor import Visitor

pytestmark = [pytest.mark.browser, pytest.mark.enable_socket]


def ask_to_go_live(visitor: Visitor) -> str:
    """Ask for an app to go live, one that no other file signs in to; return the address of the request."""
    visitor.sign_in(OWNER)
    visitor.open("/org/lighthouse-travel/apps/")
    page = visitor.page
    page.get_by_role("link", name="Lighthouse on your watch").first.click()
    page.get_by_role("link", name="Go live").first.click()
    page.locator("[name=justification]").fill("People book trips with it.")
    visitor.press("Request go-live")
    expect(page.get_by_role("heading", name="Conversation with the reviewer")).to_be_visible()
    return page.url


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
def test_a_request_is_reviewed_on_one_page(visit: Callable[..., Visitor], scripts: bool) -> None:
    partner, staff = visit(scripts=scripts), visit(scripts=scripts)
    change = ask_to_go_live(partner)
    page = staff.page
    staff.sign_in(REVIEWER)
    staff.open("/staff/queue/?kind=go_live")
    page.get_by_role("button", name="Assign to me").first.click()
    expect(page.get_by_text("You review it from now on").or_(page.get_by_text("You review it now")).first).to_be_visible()
    staff.look("review-queue")
    page.get_by_role("link", name="Lighthouse on your watch").first.click()
    page.locator("#comment_text").fill("Which data does it show?")
    staff.press("Send to the partner")
    expect(page.get_by_text("Which data does it show?").first).to_be_visible()
    page.locator("#note_text").fill("We know them.")
    staff.press("Keep the note")
    expect(page.get_by_text("We know them.").first).to_be_visible()
    staff.look("review-request")

    partner.page.goto(change)
    partner.page.locator("[name=text]").fill("Bookings, of whoever signs in.")
    partner.press("Send to the reviewer")
    expect(partner.page.get_by_text("Which data does it show?").first).to_be_visible()
    assert "We know them." not in partner.page.content()
    partner.look("change-request")

    review = page.url
    page.get_by_role("link", name="Send back").first.click()
    page.locator("[name=canned]").select_option(label="Scope needs a justification")
    staff.press("Put in")
    expect(page.locator("[name=reason]")).to_have_value(
        "The app asks for a scope that gives access to sensitive data. Please say what it needs each such scope for, or ask for less."
    )
    staff.press("Preview the mail")
    expect(page.get_by_role("heading", name="The mail to the partner")).to_be_visible()
    expect(page.locator(".mail-preview")).to_contain_text("access to sensitive data")
    staff.look("review-step")
    page.goto(review)
    if page.locator("[name=override]").count():
        page.locator("[name=override]").fill("It is what they do.")
    staff.press("Approve" if not scripts else "Preview the mail")
    if not scripts:  # deciding takes the password, and goes on with what was filled in
        page.locator("[name=password]").fill(PASSWORD)
        staff.press("Continue")
        expect(page.get_by_text("Approved. It is in effect now.")).to_be_visible()
    else:
        expect(page.get_by_role("heading", name="The mail to the partner")).to_be_visible()
        staff.look("review-preview")
        page.goto(review)
        staff.page.get_by_role("link", name="Send back").first.click()
        page.locator("[name=reason]").fill("Say more.")
        staff.press("Send back")
    partner.page.goto(change)
    expect(partner.page.locator(".section-header .badge").first).to_have_text("Sent back" if scripts else "Approved")


def test_staff_lists_words_and_trail_are_pages_like_all_others(visit: Callable[..., Visitor]) -> None:
    staff = visit()
    staff.sign_in(REVIEWER)
    for path, name in (
        ("/staff/registry/organization/", "staff-organizations"),
        ("/staff/registry/client/?use=used", "staff-clients"),
        ("/staff/registry/cannedreason/", "staff-words"),
        ("/staff/registry/cannedreason/new/", "staff-words-new"),
    ):
        staff.open(path)
        staff.look(name)
