"""The pages that everybody reads: the landing page, the documentation and the reference."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from portal.documentation.pages import PAGES
from tests.browser.visitor import Visitor

pytestmark = [pytest.mark.browser, pytest.mark.enable_socket]


@pytest.mark.parametrize("scripts", [True, False])
def test_a_visitor_finds_how_to_register_and_what_a_code_means(visit: Callable[..., Visitor], scripts: bool) -> None:
    visitor = visit(scripts=scripts)
    page = visitor.page
    visitor.open("/")
    visitor.look("home")
    page.get_by_role("link", name="Dynamic registration").click()
    expect(page.get_by_role("heading", name="Register by software")).to_be_visible()
    visitor.look("docs-dynamic")
    page.goto(f"{visitor.site.issuer}/docs/")
    visitor.look("docs")
    page.get_by_label("Search pages and codes").fill("redirect_uri.fragment")
    visitor.press("Search")
    visitor.look("docs-search")
    page.get_by_role("link", name="redirect_uri.fragment").click()
    expect(page.locator("[id='redirect_uri.fragment']")).to_be_in_viewport()


@pytest.mark.parametrize("name", [page.name for page in PAGES])
def test_every_page_of_the_documentation_can_be_read_by_everybody(visit: Callable[..., Visitor], name: str) -> None:
    visitor = visit()
    visitor.open(f"/docs/{name}/")
    visitor.look(f"docs-{name}")


def test_the_reference_gives_the_issuer_to_copy(visit: Callable[..., Visitor]) -> None:
    visitor = visit()
    visitor.open("/reference/")
    visitor.look("reference")
    expect(visitor.page.get_by_label("Issuer", exact=True)).to_have_value(visitor.site.issuer)
    visitor.press("Copy Issuer")
    visitor.open("/docs/unheard-of/")
    visitor.look("docs-missing")
