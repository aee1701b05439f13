"""The page about oneself: name, apps that were let in, taking that back, and where one is signed in."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.browser.live import DEVELOPER, PASSWORD
from tests.browser.visitor import Visitor

pytestmark = [pytest.mark.browser, pytest.mark.enable_socket]


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
def test_a_person_takes_back_what_they_let_an_app_have(visit: Callable[..., Visitor], scripts: bool) -> None:
    visitor = visit(scripts=scripts)
    page = visitor.page
    request = visitor.start(prompt="consent", scope="openid profile email offline_access bookings.read")
    visitor.fill_sign_in(DEVELOPER)
    visitor.expect_consent()
    visitor.press("Allow")
    visitor.expect_back(request)
    visitor.open("/account/")
    row = page.get_by_role("row", name="Lighthouse on your phone")
    expect(row).to_contain_text("Lighthouse Travel")
    expect(row).to_contain_text("See your bookings")
    visitor.look("account")
    row.get_by_role("button", name="Take back").click()
    expect(page.get_by_text("Lighthouse on your phone has no access any more.")).to_be_visible()
    expect(page.get_by_text("App “Lighthouse on your phone”")).to_have_count(0)
    visitor.start()
    visitor.expect_consent()


def test_a_person_changes_their_name(visitor: Visitor) -> None:
    visitor.sign_in(DEVELOPER)
    visitor.open("/account/")
    name = visitor.page.get_by_role("textbox", name="Name")
    name.fill("Devon D. Developer")
    visitor.press("Save name")
    expect(visitor.page.get_by_text("Your name is saved.")).to_be_visible()
    expect(name).to_have_value("Devon D. Developer")


@pytest.mark.parametrize("link", ["Change or add an address", "Change your password", "Passkeys, authenticator app and recovery codes"])
def test_the_account_page_leads_to_everything_about_signing_in(visitor: Visitor, link: str) -> None:
    visitor.sign_in(DEVELOPER)
    visitor.open("/account/")
    visitor.page.get_by_role("link", name=link).click()
    visitor.page.wait_for_url(lambda url: not url.endswith("/account/"))
    visitor.look()


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
def test_a_person_signs_another_browser_out(visit: Callable[..., Visitor], scripts: bool) -> None:
    lost, visitor = visit(scripts=scripts), visit(scripts=scripts)
    lost.sign_in(DEVELOPER)
    visitor.sign_in(DEVELOPER)
    visitor.open("/account/")
    page = visitor.page
    table = page.get_by_role("table", name="Browsers that are signed in to your account")
    expect(table.get_by_role("row", name="This browser").get_by_role("button")).to_have_count(0)
    visitor.look("account-sessions")
    table.get_by_role("button", name="End now").first.click()
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    visitor.press("Continue")
    expect(page.get_by_text("That browser is signed out.")).to_be_visible()
    lost.open("/account/")
    expect(lost.page.get_by_role("heading", name="Sign in", exact=True)).to_be_visible()
