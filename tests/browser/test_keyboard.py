"""Registering an app and rotating its secret with the keyboard alone: every stop is seen, and nothing needs a mouse (portal.md 5.9)."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser.live import OWNER, PASSWORD
from tests.browser.visitor import Visitor

pytestmark = [pytest.mark.browser, pytest.mark.enable_socket]

STOPS_LIMIT = 80
# Notes how everything looks that can have the focus while it has none.
WATCH = """() => {
  const look = (element) => {
    const style = getComputedStyle(element);
    return [style.outlineStyle, style.outlineWidth, style.outlineColor, style.boxShadow].join(" ");
  };
  window.resting = new Map();
  document.querySelectorAll("a, button, input, select, textarea, summary, [tabindex]").forEach((element) => {
    if (element !== document.activeElement) window.resting.set(element, look(element));
  });
}"""
# Tells of the element that has the focus: what it is called, and whether it can be seen that it has it.
STOP = """() => {
  const element = document.activeElement;
  const style = getComputedStyle(element), box = element.getBoundingClientRect();
  const look = [style.outlineStyle, style.outlineWidth, style.outlineColor, style.boxShadow].join(" ");
  // A browser is content with a part of what does not fit beside the rest: a high text area, a row of tabs on a phone.
  const seen = (from, to, size) => to > from && Math.min(to, size) - Math.max(from, 0) >= Math.min(24, to - from) - 1;
  const named = element.labels && element.labels.length ? element.labels[0] : element;
  return {
    tag: element.tagName.toLowerCase(),
    name: (element.getAttribute("aria-label") || named.innerText || element.value || "").trim().replace(/\\s+/g, " "),
    field: element.name || "",
    rests: window.resting && window.resting.get(element),
    look: look,
    indicated: (style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2) || style.boxShadow !== "none",
    inside: seen(box.top, box.bottom, window.innerHeight) && seen(box.left, box.right, window.innerWidth),
  };
}"""


class Keyboard:
    """Somebody who has a keyboard and no mouse."""

    def __init__(self, visitor: Visitor) -> None:
        self.page = visitor.page
        self.stops = 0

    def arrive(self, heading: str) -> None:
        """Wait for the page with `heading`, and look at it while nothing has the focus."""
        expect(self.page.get_by_role("heading", name=heading, exact=True, level=1)).to_be_visible()
        self.page.wait_for_load_state()
        self.page.evaluate(WATCH)

    def step(self, key: str = "Tab") -> dict[str, Any]:
        """Press Tab, or Shift+Tab; return the stop, at which it must be seen where one is."""
        self.page.keyboard.press(key)
        stop: dict[str, Any] = self.page.evaluate(STOP)
        self.stops += 1
        assert stop["tag"] != "body", f"the focus is lost on {self.page.url}"
        assert stop["indicated"], f"nothing shows the focus: {stop}"
        assert stop["look"] != stop["rests"], f"it looks the same without the focus: {stop}"
        assert stop["inside"], f"the focus is outside of what is seen: {stop}"
        return stop

    def go_to(self, name: str, tag: str = "", *, key: str = "Tab") -> None:
        """Go on to the stop that is called `name`, or is the field of that name."""
        seen = []
        for _ in range(STOPS_LIMIT):
            stop = self.step(key)
            if name in (stop["name"], stop["field"]) and tag in ("", stop["tag"]):
                return
            seen.append(stop["name"] or stop["field"])
        raise AssertionError(f"{name} is not among the stops of {self.page.url}: {seen}")

    def type(self, field: str, text: str) -> None:
        """Go to a field and type."""
        self.go_to(field)
        self.page.keyboard.type(text)

    def press(self, name: str, tag: str = "button", *, with_key: str = "Enter") -> None:
        """Go to a button or link and press it."""
        self.go_to(name, tag)
        self.page.keyboard.press(with_key)


def sign_in(keyboard: Keyboard, visitor: Visitor) -> None:
    visitor.open("/accounts/login/")
    keyboard.arrive("Sign in")
    # The first field may have the focus already.
    if visitor.page.evaluate("document.activeElement.name") != "login":
        keyboard.go_to("login")
    visitor.page.keyboard.type(OWNER)
    keyboard.type("password", PASSWORD)
    visitor.page.keyboard.press("Enter")
    keyboard.arrive("Your organizations")


def register_app(keyboard: Keyboard) -> None:
    """Register a web app with a secret, from the first page of the organization to the page of the app."""
    keyboard.press("Lighthouse Travel", "a")
    keyboard.arrive("Lighthouse Travel")
    keyboard.press("Register an app", "a")
    keyboard.arrive("Register an app")
    keyboard.press("Continue")
    keyboard.arrive("Basics")
    keyboard.type("client_name", "Timetable")
    keyboard.press("Save and continue")
    keyboard.arrive("Redirects")
    keyboard.type("redirect_uris", "https://timetable.lighthouse.example/callback")
    keyboard.press("Save and continue", with_key="Space")
    keyboard.arrive("Authentication and keys")
    keyboard.type("token_endpoint_auth_method", "Secret in the A")
    keyboard.press("Save and continue")
    keyboard.arrive("Scopes")
    keyboard.go_to("scope")
    keyboard.page.keyboard.press("Space")
    keyboard.press("Save and continue")
    keyboard.arrive("Review and register")
    keyboard.press("Register app")
    keyboard.arrive("Timetable")
    expect(keyboard.page.get_by_text("Registered. It is a test app")).to_be_visible()


def make_secret(keyboard: Keyboard, button: str) -> str:
    """Make a secret and note it as stored; return it."""
    keyboard.press(button)
    expect(keyboard.page.get_by_role("heading", name="shown only now")).to_be_visible()
    keyboard.arrive("Timetable")
    secret = keyboard.page.locator("#secret-value").input_value()
    keyboard.go_to("I stored it", "input")
    keyboard.page.keyboard.press("Space")
    keyboard.press("Done", "a")
    expect(keyboard.page.get_by_role("heading", name="Secrets")).to_be_visible()
    keyboard.arrive("Timetable")
    return secret


@pytest.mark.parametrize("width", [1280, 375])
def test_an_app_is_registered_and_its_secret_rotated_with_the_keyboard_alone(visitor: Visitor, width: int) -> None:
    visitor.page.set_viewport_size({"width": width, "height": 812})
    keyboard = Keyboard(visitor)
    sign_in(keyboard, visitor)
    register_app(keyboard)
    keyboard.press("Credentials", "a")
    expect(visitor.page.get_by_role("heading", name="Make a secret")).to_be_visible()
    keyboard.arrive("Timetable")
    first = make_secret(keyboard, "Make secret")
    second = make_secret(keyboard, "Rotate secret")
    assert first != second
    rows = visitor.page.locator("table").first.locator("tbody tr")
    expect(rows).to_have_count(2)
    keyboard.go_to("Rotate secret", "button")
    # Back to the secret from before, which ends now rather than in seven days.
    keyboard.go_to(f"End now …{first[-4:]}", "button", key="Shift+Tab")
    visitor.page.keyboard.press("Enter")
    expect(visitor.page.get_by_text("Requests with it are refused from now on.")).to_be_visible()
    expect(rows.filter(has_text=f"…{first[-4:]}").locator(".badge")).to_have_text("Expired")
    expect(rows.filter(has_text=f"…{second[-4:]}").locator(".badge")).to_have_text("Active")
    assert keyboard.stops > 100
