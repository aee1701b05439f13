"""What each page costs on the server when the desk is in use, and what a browser loads first.

    benchmarks/pages.py [--clients 10000] [--organizations 200] [--events 1000000] [--requests 40] [--only WORD] [--check]

The database is DATABASE_URL, empty, or SQLite. Every page that opens without anything being done is asked for, in process, with everything
between the WSGI handler and the database. `--check` exits with 1 when the 95th percentile of a page is over LIMIT_MS, its
HTML over LIMIT_HTML_KB or a first load over LIMIT_KB.
"""

from __future__ import annotations

import argparse
import re
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from benchmarks._desk_data import Desk, fill
from benchmarks._in_process import set_up

LIMIT_MS: Final = 150
LIMIT_KB: Final = 120
LIMIT_HTML_KB: Final = 60
WARM_UP: Final = 2
PUBLIC: Final = ("home", "docs_errors")
OF_A_PERSON: Final = ("organizations", "organization_new", "account")
# Opening these does something, or answers with another page.
LEFT_OUT: Final = frozenset(("registration_token_adopt", "app_check"))


def pages(desk: Desk) -> Iterator[tuple[str, Any, str]]:
    """Yield name, who opens it, and address of every page that takes nothing but an organization, an app or a row of a list."""
    from django.urls import reverse

    from portal.admin import staff_site
    from portal.urls import urlpatterns

    for pattern in urlpatterns:
        name = getattr(pattern, "name", None)
        if (
            name in OF_A_PERSON
            or (name and str(pattern.pattern).startswith(("docs/", "reference", "tools/", "account/")))
            or name == "home"
        ):
            yield from _page(name, desk.owner, {})
    for pattern in _resolver("org/").url_patterns:
        yield from _page(
            pattern.name, desk.owner, {"slug": desk.organization.slug, "reference": desk.client.reference, "change": desk.change.reference}
        )
    for pattern in staff_site.get_urls():
        if getattr(pattern, "name", None) not in (None, "login"):
            yield from _page(f"staff:{pattern.name}", desk.administrator, {})
    for model in staff_site._registry:  # noqa: SLF001 - Django has no public list of what is registered
        options = model._meta
        base = f"staff:{options.app_label}_{options.model_name}"
        yield f"{base}_changelist", desk.administrator, reverse(f"{base}_changelist")
        first = model.objects.order_by("-pk").values_list("pk", flat=True).first()
        if first is not None:
            yield f"{base}_change", desk.administrator, reverse(f"{base}_change", args=[first])


def _resolver(prefix: str) -> Any:
    from portal.urls import urlpatterns

    return next(pattern for pattern in urlpatterns if str(pattern.pattern) == prefix)


def _page(name: str, user: Any, known: dict[str, Any]) -> Iterator[tuple[str, Any, str]]:
    from django.urls import NoReverseMatch, reverse

    if name in LEFT_OUT:
        return
    for arguments in ({}, {"slug": known.get("slug")}, {key: known.get(key) for key in ("slug", "reference")}, known):
        try:
            yield name, user, reverse(name, kwargs=arguments)
        except NoReverseMatch:
            continue
        return


class Measured:
    """The figures of one page."""

    def __init__(self, name: str, browser: Any, url: str, requests: int) -> None:
        from django.db import connection
        from django.test.utils import CaptureQueriesContext

        self.name, self.times = name, []
        for _ in range(WARM_UP):
            self.answer = browser.get(url)
        if self.is_page:
            with CaptureQueriesContext(connection) as queries:
                browser.get(url)
            self.queries = len(queries)
            for _ in range(requests):
                started = time.perf_counter()
                browser.get(url)
                self.times.append((time.perf_counter() - started) * 1000)

    @property
    def is_page(self) -> bool:
        """Say whether it answers with a page."""
        return self.answer.status_code == 200 and self.answer["Content-Type"].startswith("text/html")

    @property
    def percentile(self) -> float:
        """Return the 95th percentile in milliseconds."""
        return statistics.quantiles(self.times, n=20)[-1]

    @property
    def kilobytes(self) -> float:
        """Return what a first visit carries: the page, and its styles and scripts as a browser gets them, compressed."""
        return (len(self.answer.content) + carried_beside(self.answer.content.decode())) / 1024


def carried_beside(html: str) -> int:
    """Return the bytes of the style sheets and scripts that a page names, as the server sends them."""
    from django.conf import settings

    names = set(re.findall(r'(?:src|href)="/static/([^"?]+\.(?:css|js))"', html))
    files = [Path(settings.STATIC_ROOT) / name for name in names]
    return sum(min(file.stat().st_size for file in (file, Path(f"{file}.gz")) if file.exists()) for file in files)


def measure(desk: Desk, requests: int, only: str) -> Iterator[Measured]:
    """Yield the figures of each page."""
    from django.test import Client as Browser

    browsers = {}
    for name, user, url in pages(desk):
        if only not in name:
            continue
        if user.pk not in browsers:
            browsers[user.pk] = Browser(SERVER_NAME="127.0.0.1")
            browsers[user.pk].force_login(user, backend="portal.accounts.AuthenticationBackend")
        yield Measured(name, browsers[user.pk], url, requests)


def main() -> None:
    """Fill, measure and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("clients", 10_000), ("organizations", 200), ("events", 1_000_000), ("requests", 40)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--only", default="", help="pages whose name has this in it")
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    set_up()
    from django.core.management import call_command
    from django.utils import timezone

    call_command("collectstatic", verbosity=0, interactive=False)
    started = time.perf_counter()
    desk = fill(clients=options.clients, organizations=options.organizations, events=options.events, now=timezone.now())
    took = time.perf_counter() - started
    print(f"{options.clients} clients, {options.organizations} organizations, {options.events} events in {took:.0f} s")
    print(f"{'page':52} {'status':>6} {'queries':>7} {'p50 ms':>7} {'p95 ms':>7} {'HTML KB':>7} {'KB':>6}")
    slow = [row for row in measure(desk, options.requests, options.only) if not report(row)]
    print(f"{len(slow)} over {LIMIT_MS} ms or {LIMIT_KB} KB")
    if options.check and slow:
        sys.exit(1)


def report(row: Measured) -> bool:
    """Print the figures of a page; say whether it keeps the limits."""
    if not row.is_page:
        print(f"{row.name:52} {row.answer.status_code:6}")
        return row.answer.status_code < 500
    html = len(row.answer.content) / 1024
    kept = row.percentile <= LIMIT_MS and row.kilobytes <= LIMIT_KB and html <= LIMIT_HTML_KB
    times = f"{statistics.median(row.times):7.1f} {row.percentile:7.1f}"
    print(f"{row.name:52} {200:6} {row.queries:7} {times} {html:7.0f} {row.kilobytes:6.0f}{'' if kept else '  <<<'}", flush=True)
    return kept


if __name__ == "__main__":
    main()
