"""Trying an app out in a browser: code and PKCE from the form to the decoded ID token."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.browser.live import DEVELOPER
from tests.browser.visitor import Visitor

pytestmark = [pytest.mark.browser, pytest.mark.enable_socket]


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
def test_a_developer_runs_code_and_pkce_from_end_to_end(visit: Callable[..., Visitor], scripts: bool) -> None:
    visitor = visit(scripts=scripts)
    page, secret = visitor.page, visitor.site.clients["web"]["client_secret"]
    visitor.sign_in(DEVELOPER)
    visitor.open("/org/lighthouse-travel/apps/")
    page.get_by_role("link", name="Lighthouse bookings").click()
    page.get_by_role("navigation", name="App").get_by_role("link", name="Test").click()
    visitor.press("Add the test callback to this app's redirect URIs")
    page.get_by_label("Prompt").select_option("consent")
    visitor.look("app-test")
    visitor.press("Build the request")
    expect(page.get_by_role("heading", name="The authorization request")).to_be_visible()
    visitor.look("app-test-request")
    page.get_by_role("link", name="Start the test").click()
    visitor.expect_consent()
    visitor.press("Allow")
    expect(page.get_by_role("heading", name="What came back")).to_be_visible()
    visitor.look("app-test-callback")
    page.get_by_label("Secret").fill(secret)
    visitor.press("Exchange the code")
    expect(page.get_by_role("heading", name="The ID token, decoded")).to_be_visible()
    expect(page.get_by_text("The tokens of this try have ended already")).to_be_visible()
    assert secret not in page.content()
    visitor.look("app-test-answer")
    page.get_by_role("link", name="Start another test").click()
    visitor.press("Take the test callback away")
    expect(page.get_by_role("button", name="Build the request")).to_have_count(0)


def test_the_code_page_and_a_failed_request_read_well(visitor: Visitor) -> None:
    page = visitor.page
    visitor.start("web", redirect_uri=f"{visitor.app.origin}/Callback/")
    expect(page.get_by_role("heading", name="This sign-in cannot go on")).to_be_visible()
    visitor.sign_in(DEVELOPER)
    visitor.open("/org/lighthouse-travel/apps/")
    page.get_by_role("link", name="Lighthouse bookings").click()
    tabs = page.get_by_role("navigation", name="App")
    tabs.get_by_role("link", name="Code").click()
    expect(page.get_by_role("button", name="Copy Exchange the code")).to_be_visible()
    visitor.look("app-code")
    tabs.get_by_role("link", name="Activity").click()
    page.get_by_label("Show").select_option("failures")
    visitor.press("Filter")
    row = page.get_by_role("row").filter(has_text="/Callback/").first
    expect(row).to_contain_text("Authorization endpoint")
    visitor.look("app-failures")
