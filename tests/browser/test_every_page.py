"""Every page that links lead to, in what `make run` gives a newcomer: looked at wide and narrow, light and dark (portal.md 6.1)."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser

from tests.browser.live import App, Server, Site, serve_demo
from tests.browser.visitor import Visitor

pytestmark = [pytest.mark.browser, pytest.mark.enable_socket]

# Where documents are, not pages; and leaving.
ELSEWHERE = re.compile(
    r"^/(static|oauth|\.well-known|register|federation|api|metrics|healthz|readyz)\b|/accounts/logout/|/export|/csv/|\.(csv|jsonl|json|pem|env)$"
)
# One page of each kind is looked at: what names an object, an anchor or a code does not make another kind.
OBJECTS = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|(?<=/)\d+(?=/)")
TOO_MANY = 140


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, dict[str, str]]]:
    """What a newcomer gets, with an entity of the sandbox that registered itself."""
    with serve_demo(tmp_path_factory.mktemp("demo")) as (server, passwords):
        server.manage("sandbox", "token")
        server.manage("sandbox", "expel", "tidewater")
        yield server, passwords


@pytest.fixture
def tour(browser: Browser, demo: tuple[Server, dict[str, str]], app: App, axe: str | None) -> Iterator[Callable[[], Visitor]]:
    """Return a function that brings a visitor to the demo."""
    server, _ = demo
    visitors: list[Visitor] = []

    def come() -> Visitor:
        visitors.append(Visitor(browser.new_context(), Site(server.issuer, {}, server.mails), app, axe))
        return visitors[-1]

    yield come
    for visitor in visitors:
        visitor.context.close()


def kind_of(url: str) -> str:
    return OBJECTS.sub("x", urlsplit(url).path)


def links_on(visitor: Visitor) -> list[str]:
    found = visitor.page.eval_on_selector_all("a[href]:not([download])", "links => links.map(link => link.href)")
    own = [url.partition("#")[0] for url in found if url.startswith(f"{visitor.site.issuer}/")]
    return [url for url in own if not ELSEWHERE.search(urlsplit(url).path) and "format=" not in url]


def walk(visitor: Visitor, start: str, name: str, *, below: tuple[str, ...]) -> list[str]:
    """Visit one page of each kind that links lead to from `start`, within paths that begin with one of `below`."""
    waiting, seen = deque([f"{visitor.site.issuer}{start}"]), set[str]()
    while waiting:
        url = waiting.popleft()
        kind = kind_of(url)
        if kind in seen or not kind.startswith(below):
            continue
        seen.add(kind)
        answer = visitor.page.goto(url)
        assert answer is not None
        assert answer.status == 200, f"{url} answers {answer.status}"
        if kind_of(visitor.page.url) == kind:
            visitor.look(f"every-{name}{re.sub(r'[^a-z0-9]+', '-', kind).rstrip('-')}")
        waiting.extend(links_on(visitor))
    assert len(seen) < TOO_MANY, "kinds of pages are not told apart"
    return sorted(seen)


def test_every_page_for_everybody_is_clean(tour: Callable[[], Visitor]) -> None:
    seen = walk(tour(), "/", "public", below=("/",))
    assert {"/", "/docs/", "/reference/", "/tools/", "/accounts/login/"} <= set(seen)


def test_every_page_of_a_partner_is_clean(tour: Callable[[], Visitor], demo: tuple[Server, dict[str, str]]) -> None:
    email = "olga@lighthouse.example"
    visitor = tour()
    visitor.sign_in(email, demo[1][email])
    seen = walk(visitor, "/org/", email.partition("@")[0], below=("/org/", "/account/", "/accounts/", "/invite/"))
    assert len(seen) >= 25, seen


def test_every_page_of_staff_is_clean(tour: Callable[[], Visitor], demo: tuple[Server, dict[str, str]]) -> None:
    email = "otto@credence.example"
    visitor = tour()
    visitor.sign_in(email, demo[1][email])
    seen = walk(visitor, "/staff/", email.partition("@")[0], below=("/staff/",))
    assert len(seen) >= 25, seen
