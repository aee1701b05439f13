"""The toolbox as people use it, with and without scripts."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.browser.live import DEVELOPER
from tests.browser.visitor import Visitor

pytestmark = [pytest.mark.browser, pytest.mark.enable_socket]

# Each tool that asks nobody else: its button, and what the answer to its example says.
ANSWERS = {
    "keys": ("Check keys", "These keys can be used"),
    "redirect-uris": ("Check redirect URIs", "3 of 6 cannot be registered"),
    "jwt": ("Decode", "Verified with the keys in it"),
    "dry-run": ("Try it out", "This would be registered"),
    "pem": ("Convert", "As a JWK Set"),
}


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
def test_every_tool_answers_its_example_to_a_visitor(visit: Callable[..., Visitor], scripts: bool) -> None:
    visitor = visit(scripts=scripts)
    page = visitor.page
    visitor.open("/tools/")
    visitor.look("tools")
    for name, (button, words) in ANSWERS.items():
        visitor.open(f"/tools/{name}/")
        page.get_by_role("link", name="Fill in an example").click()
        visitor.press(button)
        expect(page.locator("#result").get_by_text(words).first).to_be_visible()
        if scripts:
            expect(page.locator("#result [data-result]")).to_be_focused()
        visitor.look(f"tool-{name}")


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
def test_tools_that_fetch_ask_a_visitor_to_sign_in_and_answer_afterwards(visit: Callable[..., Visitor], scripts: bool) -> None:
    visitor = visit(scripts=scripts)
    page = visitor.page
    visitor.open("/tools/entity/")
    expect(page.get_by_text("Sign in first")).to_be_visible()
    page.get_by_label("Entity identifier").fill("https://nobody.example")
    visitor.press("Read")
    expect(page.locator("#result").get_by_text("Sign in first")).to_be_visible()
    page.locator("#result").get_by_role("link", name="Sign in").click()
    visitor.fill_sign_in(DEVELOPER)
    for name, button, words in (
        ("entity", "Read", "What the entity publishes"),
        ("chain", "Resolve", "No trust chain to an anchor of this server"),
    ):
        visitor.open(f"/tools/{name}/")
        page.get_by_label("Entity identifier").fill("https://nobody.invalid")
        visitor.press(button)
        expect(page.locator("#result").get_by_text(words).first).to_be_visible()
        visitor.look(f"tool-{name}")


def test_a_refusal_is_shown_like_an_answer(visitor: Visitor) -> None:
    visitor.open("/tools/keys/")
    visitor.page.get_by_label("Or the address of a key set").fill("https://nobody.example/jwks")
    visitor.press("Check keys")
    expect(visitor.page.locator("#result").get_by_text("Sign in first")).to_be_visible()
    expect(visitor.page.locator("#result [data-result]")).to_be_focused()
    expect(visitor.page.get_by_label("Or the address of a key set")).to_have_value("https://nobody.example/jwks")


def test_a_mistake_is_shown_beside_its_field_and_what_was_typed_stays(visitor: Visitor) -> None:
    visitor.open("/tools/dry-run/")
    page = visitor.page
    page.get_by_label("Metadata", exact=True).fill("{nonsense")
    visitor.press("Try it out")
    expect(page.locator("#fields").get_by_text("The text is not valid JSON").first).to_be_visible()
    expect(page.locator("#result [data-result]")).to_be_focused()
    expect(page.get_by_label("Metadata", exact=True)).to_have_value("{nonsense")
    visitor.look()
    page.get_by_label("Metadata", exact=True).fill('{"grant_types": ["client_credentials"]}')
    visitor.press("Try it out")
    expect(page.locator("#result").get_by_text("Findings").or_(page.locator("#result").get_by_text("This would be"))).to_be_visible()
    expect(page.locator("#fields").get_by_text("The text is not valid JSON")).to_have_count(0)
