"""People sign in to an app: the authorization code flow as a browser lives it, under the policy that is really sent."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Route, expect

from tests.browser.live import DEVELOPER, OWNER, SCHEME, STRANGER
from tests.browser.visitor import Visitor, pictures_of

pytestmark = [pytest.mark.browser, pytest.mark.enable_socket]


def test_pages_are_checked_for_accessibility(axe: str | None) -> None:
    if axe is None:
        pytest.skip("npm is missing or could not pack axe-core: no page was checked for accessibility")
    assert axe.startswith("/*! axe")


@pytest.mark.spec("ISSP-01")
def test_a_person_signs_in_consents_and_is_back_at_another_origin(visitor: Visitor) -> None:
    request = visitor.start(prompt="consent")
    visitor.look("sign-in")
    visitor.fill_sign_in(OWNER)
    visitor.expect_consent()
    expect(visitor.page.get_by_text("See your bookings")).to_be_visible()
    visitor.look("consent")
    visitor.press("Allow")
    assert visitor.expect_back(request)["code"]
    assert all(picture.stat().st_size > 5000 for name in ("sign-in", "consent") for picture in pictures_of(name))


def test_a_remembered_consent_is_not_asked_for_again(visitor: Visitor) -> None:
    visitor.start("web")
    visitor.fill_sign_in(OWNER)
    if visitor.page.get_by_role("button", name="Allow", exact=True).count():
        visitor.press("Allow")
    expect(visitor.page.get_by_role("heading", name="Back in the app")).to_be_visible()
    request = visitor.start("web")
    assert visitor.expect_back(request)["code"]


def test_an_app_that_any_program_can_imitate_is_asked_about_each_time(visitor: Visitor) -> None:
    visitor.sign_in(OWNER)
    for _ in range(2):
        request = visitor.start()
        visitor.expect_consent()
        visitor.press("Allow")
        assert visitor.expect_back(request)["code"]


def test_a_callback_may_lead_on_to_another_origin(visitor: Visitor) -> None:
    visitor.known_hosts |= {f"localhost:{visitor.app.port}"}
    visitor.sign_in(OWNER)
    request = visitor.start("web", redirect_uri=f"{visitor.app.origin}/hop", prompt="consent")
    visitor.expect_consent()
    visitor.press("Allow")
    assert visitor.expect_back(request)["code"]
    assert visitor.page.url.startswith(f"http://localhost:{visitor.app.port}/callback")


@pytest.mark.parametrize("through_sign_in", [True, False], ids=["straight from sign-in", "from consent"])
def test_a_private_use_scheme_is_reached_from_both_pages(visitor: Visitor, through_sign_in: bool) -> None:
    request = visitor.start(redirect_uri=f"{SCHEME}:/callback", prompt="" if through_sign_in else "consent")
    page = visitor.page
    with page.expect_event("requestfailed", lambda sent: sent.url.startswith(f"{SCHEME}:")) as failed:
        visitor.fill_sign_in(STRANGER if through_sign_in else OWNER)  # a stranger is refused straight away
        if not through_sign_in:
            visitor.expect_consent()
            visitor.press("Allow")
    # No program of this machine is registered for the scheme, so the browser stops there, and not because of the policy.
    assert f"state={request['state']}" in failed.value.url
    assert ("error=access_denied" if through_sign_in else "code=") in failed.value.url
    assert "BLOCKED" not in (failed.value.failure or "")


@pytest.mark.parametrize("uri", ["app", f"{SCHEME}:/callback"])
def test_without_the_app_in_form_action_the_browser_would_not_go_there(visit: Callable[..., Visitor], uri: str) -> None:
    """Proves that these tests would notice a policy that is too narrow."""
    visitor = visit()
    visitor.breaks_policy = True

    def narrow(route: Route) -> None:
        answer = route.fetch()
        policy = answer.headers["content-security-policy"].split("; ")
        kept = [part for part in policy if not part.startswith("form-action")]
        route.fulfill(response=answer, headers={**answer.headers, "content-security-policy": "; ".join([*kept, "form-action 'self'"])})

    visitor.sign_in(OWNER)
    visitor.start(redirect_uri="" if uri == "app" else uri, prompt="consent")
    visitor.expect_consent()
    visitor.page.route("**/oauth/interaction/*", lambda route: narrow(route) if route.request.method == "GET" else route.continue_())
    visitor.page.reload()
    visitor.expect_consent()
    with visitor.page.expect_event("console", lambda message: "form-action" in message.text):
        visitor.press("Allow")


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
def test_form_post_arrives_at_another_origin(visit: Callable[..., Visitor], scripts: bool) -> None:
    visitor = visit(scripts=scripts)
    request = visitor.start("web", response_mode="form_post", prompt="consent")
    visitor.fill_sign_in(OWNER)
    visitor.expect_consent()
    visitor.press("Allow")
    if not scripts:
        expect(visitor.page.get_by_role("heading", name="Back to the app")).to_be_visible()
        visitor.look("form-post")
        visitor.press("Continue")
    assert visitor.expect_back(request, method="POST")["code"]


def test_form_post_carries_a_refusal_too(visitor: Visitor) -> None:
    request = visitor.start("web", response_mode="form_post", scope="openid nothing.such")
    assert visitor.expect_back(request, method="POST")["error"] == "invalid_scope"


@pytest.mark.parametrize("parameters", [{"prompt": "login"}, {"max_age": "0"}], ids=["prompt=login", "max_age=0"])
def test_the_password_is_asked_for_again_when_the_app_wants_that(visitor: Visitor, parameters: dict[str, str]) -> None:
    visitor.sign_in(DEVELOPER)
    first = visitor.start("web")
    if visitor.page.get_by_role("button", name="Allow", exact=True).count():
        visitor.press("Allow")
    visitor.expect_back(first)
    request = visitor.start("web", **parameters)
    expect(visitor.page.get_by_role("heading", name="Confirm that it is you")).to_be_visible()
    visitor.look("confirm")
    visitor.page.get_by_label("Password", exact=True).fill("not the password")
    visitor.press("Continue")
    expect(visitor.page.get_by_role("heading", name="Confirm that it is you")).to_be_visible()
    visitor.page.get_by_label("Password", exact=True).fill("correct horse battery")
    visitor.press("Continue")
    assert visitor.expect_back(request)["code"]


def test_a_person_who_does_not_allow_it_goes_back_with_that_answer(visitor: Visitor) -> None:
    request = visitor.start(prompt="consent")
    visitor.fill_sign_in(OWNER)
    visitor.expect_consent()
    visitor.press("Do not allow")
    assert visitor.expect_back(request)["error"] == "access_denied"


def test_nobody_is_asked_anything_with_prompt_none(visitor: Visitor) -> None:
    request = visitor.start(prompt="none")
    assert visitor.expect_back(request)["error"] == "login_required"


@pytest.mark.threat("O05")
def test_a_wrong_redirect_uri_is_shown_with_its_difference_and_goes_nowhere(visitor: Visitor) -> None:
    arrived = len(visitor.app.arrivals)
    visitor.start("web", redirect_uri=f"{visitor.app.origin}/Callback/")
    expect(visitor.page.get_by_role("heading", name="This sign-in cannot go on")).to_be_visible()
    assert visitor.page.locator("del").all_inner_texts() == ["C", "/"]
    assert visitor.page.locator("ins").all_inner_texts() == ["c"]
    visitor.look("error")
    assert len(visitor.app.arrivals) == arrived


@pytest.mark.spec("PAR-11")
def test_a_pushed_request_survives_sign_in_and_reloading_the_consent_page(visitor: Visitor) -> None:
    parameters = visitor.request("web", prompt="consent")
    request_uri = visitor.site.push("web", parameters)
    address = f"/oauth/authorize?client_id={parameters['client_id']}&request_uri={request_uri}"
    visitor.open(address)
    visitor.fill_sign_in(OWNER)
    visitor.expect_consent()
    visitor.page.reload()
    visitor.expect_consent()
    visitor.open(address)
    visitor.expect_consent()
    visitor.press("Allow")
    assert visitor.expect_back(parameters)["code"]
    visitor.open(address)
    expect(visitor.page.get_by_role("heading", name="This sign-in cannot go on")).to_be_visible()


def test_a_stranger_never_meets_the_consent_page_of_a_test_app(visitor: Visitor) -> None:
    request = visitor.start()
    visitor.fill_sign_in(STRANGER)
    assert visitor.expect_back(request)["error"] == "access_denied"


def test_an_app_signs_a_person_out_after_asking(visitor: Visitor) -> None:
    visitor.sign_in(OWNER)
    client_id = visitor.site.clients["web"]["client_id"]
    visitor.open(f"/oauth/logout?client_id={client_id}&state=s&post_logout_redirect_uri={visitor.app.origin}/bye")
    expect(visitor.page.get_by_role("heading", name="Sign out?")).to_be_visible()
    visitor.look("sign-out")
    visitor.press("Sign out")
    expect(visitor.page.get_by_role("heading", name="Back in the app")).to_be_visible()
    assert (visitor.app.arrivals[-1].path, visitor.app.arrivals[-1].parameters) == ("/bye", {"state": "s"})
    visitor.open("/account/")
    expect(visitor.page.get_by_role("heading", name="Sign in", exact=True)).to_be_visible()


def test_a_stranger_makes_an_account_on_the_way_to_a_live_app(visitor: Visitor) -> None:
    request, email = visitor.start("live"), "nina@newcomers.example"
    visitor.page.get_by_role("link", name="Create one").click()
    visitor.fill_sign_up(email)
    visitor.page.goto(visitor.site.link_mailed_to(email))
    visitor.press("Confirm address")
    if visitor.page.get_by_role("heading", name="Sign in", exact=True).count():
        visitor.fill_sign_in(email)
    visitor.expect_consent()
    expect(visitor.page.locator(".badge", has_text="Test")).to_have_count(0)
    visitor.press("Allow")
    assert visitor.expect_back(request)["code"]
