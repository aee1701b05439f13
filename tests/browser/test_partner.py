"""A partner's way from no account to an approved organization with a working secret, with and without scripts."""

from __future__ import annotations

import shlex
from collections.abc import Callable

import pytest
import requests
from playwright.sync_api import expect

from tests.browser.live import PASSWORD, REVIEWER
from tests.browser.visitor import Visitor

pytestmark = [pytest.mark.browser, pytest.mark.enable_socket]


def sign_up(visitor: Visitor, email: str) -> None:
    """Make an account and confirm its address by the link that was mailed."""
    visitor.open("/accounts/signup/")
    visitor.look("sign-up")
    visitor.fill_sign_up(email)
    visitor.page.goto(visitor.site.link_mailed_to(email))
    expect(visitor.page.get_by_role("heading", name="Confirm your address")).to_be_visible()
    visitor.look("confirm-address")
    visitor.press("Confirm address")
    visitor.page.wait_for_url(lambda url: "confirm-email" not in url)
    if visitor.page.get_by_role("heading", name="Sign in", exact=True).count():
        visitor.fill_sign_in(email)
    visitor.open("/org/")
    expect(visitor.page.get_by_role("heading", name="Your organizations")).to_be_visible()


def register_organization(visitor: Visitor, name: str) -> str:
    """Register an organization and submit it; return the address of its first page."""
    page = visitor.page
    visitor.look("organizations")
    page.get_by_role("link", name="Register your organization").click()
    visitor.look("organization-new")
    for field, value in {
        "legal_name": name,
        "registration_number": f"NO-{len(name)}",
        "website": "https://www.tidewater.example",
        "contact_technical": "tech@tidewater.example",
        "contact_security": "security@tidewater.example",
    }.items():
        page.locator(f"[name={field}]").fill(value)
    page.locator("[name=country]").select_option("NO")
    visitor.press("Save as draft")
    page.wait_for_url(lambda url: not url.endswith("/new/"))
    home = page.url.removesuffix("profile/")
    page.goto(f"{home}profile/")
    visitor.look("organization")
    visitor.press("Submit for approval")
    expect(page.get_by_text("Waiting for approval").first).to_be_visible()
    return home


def register_app(visitor: Visitor, home: str) -> str:
    """Register an app that has a secret, step by step; return the address of its first page."""
    page = visitor.page
    page.goto(f"{home}apps/")
    visitor.look("apps-empty")
    page.get_by_role("link", name="By hand").click()
    visitor.look("app-new")
    page.locator("[name=kind][value=machine]").check()
    visitor.press("Continue")
    expect(page.get_by_role("heading", name="Basics")).to_be_visible()
    visitor.press("Save and continue")
    expect(page.get_by_text("The app has no name.").first).to_be_visible()
    visitor.look("app-step-with-a-problem")
    page.locator("[name=client_name]").fill("Nightly export")
    visitor.press("Save and continue")
    expect(page.get_by_role("heading", name="Authentication and keys")).to_be_visible()
    visitor.look("app-step")
    page.locator("[name=token_endpoint_auth_method]").select_option("client_secret_basic")
    visitor.press("Save and continue")
    page.locator("[name=scope][value='bookings.read']").check()
    visitor.look("app-step-scopes")
    visitor.press("Save and continue")
    visitor.look("app-review")
    page.goto(f"{home}apps/")
    visitor.look("apps-draft")
    page.get_by_role("link", name="Nightly export", exact=True).click()
    visitor.press("Register app")
    expect(page.get_by_text("Registered. It is a test app")).to_be_visible()
    visitor.look("app")
    address = page.url
    page.goto(f"{home}apps/")
    visitor.look("apps")
    page.goto(address)
    return address


def make_secret(visitor: Visitor, app: str) -> str:
    """Make a secret; return it as the page shows it, once."""
    page = visitor.page
    page.goto(f"{app}credentials/")
    visitor.press("Make secret")
    expect(page.get_by_role("heading", name="shown only now")).to_be_visible()
    visitor.look("secret")
    secret = page.locator("#secret-value").input_value()
    if visitor.scripts:
        page.get_by_label("I stored it").check()
    page.get_by_role("link", name="Done").click()
    expect(page.get_by_role("heading", name="Secrets")).to_be_visible()
    assert secret not in page.content()
    visitor.look("credentials")
    return secret


def register_by_software(visitor: Visitor, home: str) -> None:
    """Make a registration token for one app, use it twice by the command on the page, and read why the second use was refused."""
    page = visitor.page
    page.goto(f"{home}tokens/")
    visitor.look("tokens-empty")
    page.get_by_role("link", name="Make a token").click()
    visitor.look("token-new")
    page.locator("[name=label]").fill("Branch offices")
    page.locator("[name=allowed_scopes][value='bookings.read']").check()
    visitor.press("Make the token")
    expect(page.get_by_role("heading", name="Branch offices: shown only now")).to_be_visible()
    visitor.look("token-shown")
    words = shlex.split(page.locator("#snippet").inner_text())
    headers = dict(words[place + 1].split(": ", 1) for place, word in enumerate(words) if word == "--header")
    data = words[words.index("--data") + 1]
    answers = [requests.post(words[1], data=data, headers=headers, timeout=30) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 401]
    if visitor.scripts:
        page.get_by_label("I stored it").check()
    page.get_by_role("link", name="Done").click()
    expect(page.get_by_text("It registers nothing now")).to_be_visible()
    expect(page.get_by_text(answers[1].headers["X-Request-ID"])).to_be_visible()
    visitor.look("token")
    page.get_by_role("link", name="My app").click()
    page.goto(f"{page.url}credentials/")
    visitor.press("Reset the token")
    expect(page.get_by_role("heading", name="shown only now")).to_be_visible()
    visitor.look("registration-token-reset")
    told = answers[0].json()
    for value, status in ((told["registration_access_token"], 401), (page.locator("#secret-value").input_value(), 200)):
        read = requests.get(told["registration_client_uri"], headers={"Authorization": f"Bearer {value}"}, timeout=30)
        assert read.status_code == status
    page.goto(f"{home}tokens/")
    visitor.look("tokens")
    page.get_by_role("link", name="Branch offices", exact=True).click()
    page.get_by_role("link", name="Revoke").click()
    visitor.look("token-revoke")
    visitor.press("Revoke the token")
    expect(page.get_by_text("The initial access token was revoked.")).to_be_visible()


def approve(visitor: Visitor, name: str) -> None:
    """Approve an organization as a reviewer."""
    page = visitor.page
    visitor.sign_in(REVIEWER)
    visitor.open("/staff/queue/")
    visitor.look("staff-queue")
    page.get_by_role("link", name=name).first.click()
    visitor.look("staff-organization")
    visitor.press("Assign to me")
    expect(page.get_by_text("You review it")).to_be_visible()
    if page.locator("[name=override]").count():
        page.locator("[name=override]").fill("We know the people.")
    visitor.press("Approve")
    page.locator("[name=password]").fill(PASSWORD)
    visitor.press("Continue")
    expect(page.locator(".badge", has_text="Approved").first).to_be_visible()


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
def test_a_partner_comes_and_leaves_with_an_approved_organization_and_a_secret(visit: Callable[..., Visitor], scripts: bool) -> None:
    partner, staff = visit(scripts=scripts), visit(scripts=scripts)
    name = "Tidewater Insurance" if scripts else "Driftwood Labs"
    sign_up(partner, f"tilda@{name.partition(' ')[0].lower()}.example")
    home = register_organization(partner, name)
    app = register_app(partner, home)
    client_id = partner.page.locator("#client-id").inner_text()
    secret = make_secret(partner, app)
    register_by_software(partner, home)
    approve(staff, name)
    partner.page.goto(home)
    expect(partner.page.locator(".page-header .badge")).to_have_text("Approved")
    partner.look("organization-approved")
    form = {"grant_type": "client_credentials", "scope": "bookings.read"}
    answer = requests.post(f"{partner.site.issuer}/oauth/token", data=form, auth=(client_id, secret), timeout=30)
    assert (answer.status_code, answer.json().get("scope")) == (200, "bookings.read")
