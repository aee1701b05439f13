"""A person with a browser, who notices what a page must not do."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from playwright.sync_api import BrowserContext, ConsoleMessage, Page, Request, expect

from tests.browser.live import PASSWORD, ROOT, App, Site, random_text

SCREENSHOTS = ROOT / "build" / "screenshots"
WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 375, "height": 812}
TIMEOUT = 60_000
# Heard on the console, so that a report survives the navigation that follows it.
LISTENER = """
document.addEventListener("securitypolicyviolation", (event) => {
  console.error(`Content Security Policy: ${event.violatedDirective} blocked ${event.blockedURI} at ${event.sourceFile}`);
});
"""


class Visitor:
    """One browser context: visits pages, answers forms, and collects what `look` finds wrong."""

    def __init__(self, context: BrowserContext, site: Site, app: App, axe: str | None, *, scripts: bool = True) -> None:
        self.context, self.site, self.app, self.axe, self.scripts = context, site, app, axe, scripts
        self.reports: list[str] = []
        self.foreign: list[str] = []
        self.breaks_policy = False  # a test that breaks the policy on purpose says so
        self.known_hosts = {urlsplit(site.issuer).netloc, urlsplit(app.origin).netloc}
        context.set_default_timeout(TIMEOUT)
        context.add_init_script(LISTENER)
        context.on("console", self._hear)
        context.on("weberror", lambda error: self.reports.append(f"script error: {error.error}"))
        context.on("request", self._see)
        self.page: Page = context.new_page()

    def _hear(self, message: ConsoleMessage) -> None:
        if "Content Security Policy" in message.text or message.text.startswith("Refused to"):
            self.reports.append(message.text)

    def _see(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme in ("http", "https", "ws", "wss") and parts.netloc not in self.known_hosts:
            self.foreign.append(request.url)

    def assert_clean(self) -> None:
        """Fail when any page so far broke the policy or asked a foreign host."""
        assert bool(self.reports) == self.breaks_policy, self.reports
        assert self.foreign == []

    # What a page must be like

    def look(self, name: str = "") -> None:
        """Check the page at hand; keep pictures of it under `name`."""
        name = name if self.scripts or not name else f"{name}-without-scripts"
        for scheme in ("light", "dark"):
            self.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            for size in (WIDE, NARROW):
                self.page.set_viewport_size(size)  # type: ignore[arg-type]
                if name:
                    self._picture(f"{name}-{size['width']}-{scheme}")
            self._check_width()
            self._check_accessibility()
        self.page.emulate_media(color_scheme="light")
        self.page.set_viewport_size(WIDE)  # type: ignore[arg-type]
        self.assert_clean()

    def _picture(self, name: str) -> None:
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        # Hiding the caret would put a style into the page, which the policy refuses and reports.
        self.page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True, caret="initial")

    def _check_width(self) -> None:
        width = self.page.evaluate("document.documentElement.scrollWidth")
        # A browser rounds what is a fraction wide up to a whole pixel.
        assert width <= NARROW["width"] + 1, f"{self.page.url} scrolls sideways: {width} pixels"

    def _check_accessibility(self) -> None:
        if self.axe is None or not self.scripts:
            return
        self.page.evaluate(self.axe)
        found = self.page.evaluate("async () => (await axe.run(document, {resultTypes: ['violations']})).violations")
        serious = [
            f"{finding['id']}: {finding['help']} – {finding['nodes'][0]['html'][:200]}"
            for finding in found
            if finding["impact"] in ("serious", "critical")
        ]
        assert serious == [], f"{self.page.url}: {serious}"

    # What a person does

    def open(self, path: str) -> None:
        """Open a page of the site."""
        self.page.goto(f"{self.site.issuer}{path}")

    def press(self, name: str, *, exact: bool = True) -> None:
        """Press the button that is called `name`."""
        self.page.get_by_role("button", name=name, exact=exact).click()

    def fill_sign_up(self, email: str) -> None:
        """Fill in the sign-up page and send it."""
        self.page.locator("[name=email]").fill(email)
        self.page.locator("[name=password1]").fill(PASSWORD)
        self.page.locator("[name=password2]").fill(PASSWORD)
        self.press("Create account")
        expect(self.page.get_by_role("heading", name="Check your mail")).to_be_visible()

    def fill_sign_in(self, email: str, password: str = PASSWORD) -> None:
        """Fill in the sign-in page and send it."""
        expect(self.page.get_by_role("heading", name="Sign in", exact=True)).to_be_visible()
        self.page.get_by_label("Email").fill(email)
        self.page.get_by_label("Password", exact=True).fill(password)
        self.press("Sign in")

    def sign_in(self, email: str, password: str = PASSWORD) -> None:
        """Sign in at the portal."""
        self.open("/accounts/login/")
        self.fill_sign_in(email, password)
        expect(self.page.get_by_role("heading", name="Your organizations")).to_be_visible()

    def start(self, name: str = "native", *, redirect_uri: str = "", **parameters: str) -> dict[str, str]:
        """Come from the app `name` with an authorization request; return its parameters."""
        request = self.request(name, redirect_uri=redirect_uri, **parameters)
        self.page.goto(f"{self.site.issuer}/oauth/authorize?{urlencode(request)}")
        return request

    def request(self, name: str, *, redirect_uri: str = "", **parameters: str) -> dict[str, str]:
        """Return the parameters of an authorization request."""
        challenge = base64.urlsafe_b64encode(hashlib.sha256(random_text().encode()).digest()).rstrip(b"=").decode()
        return {
            "client_id": self.site.clients[name]["client_id"],
            "response_type": "code",
            "redirect_uri": redirect_uri or self.app.callback,
            "scope": "openid profile bookings.read",
            "state": random_text(),
            "code_challenge": challenge,
            "code_challenge_method": "S256",
            **parameters,
        }

    def expect_consent(self) -> None:
        """Wait for the consent page."""
        expect(self.page.get_by_role("heading", name="Lighthouse Travel asks for access")).to_be_visible()

    def expect_back(self, request: dict[str, str], *, method: str = "GET") -> dict[str, Any]:
        """Wait for the app's page; return what the app was told, with the state and issuer proven."""
        expect(self.page.get_by_role("heading", name="Back in the app")).to_be_visible()
        arrival = self.app.last()
        assert arrival.method == method
        assert arrival.parameters["state"] == request["state"]
        assert arrival.parameters["iss"] == self.site.issuer
        return arrival.parameters


def pictures_of(name: str) -> list[Path]:
    """Return the pictures that `look` keeps of a page."""
    return [SCREENSHOTS / f"{name}-{size['width']}-{scheme}.png" for scheme in ("light", "dark") for size in (WIDE, NARROW)]
