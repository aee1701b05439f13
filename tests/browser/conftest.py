"""A browser, the server it visits and the app it comes from."""

from __future__ import annotations

import shutil
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests.browser.live import ROOT, App, Site, serve_app, serve_site
from tests.browser.visitor import TIMEOUT, Visitor

CHROMIUM = Path("/usr/bin/chromium")
OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
AXE = ROOT / "build" / "axe"


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Debian's Chromium. When it is there and does not start, tests fail; they are only skipped when it is missing."""
    if not CHROMIUM.exists():
        pytest.skip(f"{CHROMIUM} is missing; .ci/services install-browser installs it")
    expect.set_options(timeout=TIMEOUT)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=OPTIONS, timeout=120_000)
        yield chromium
        chromium.close()


@pytest.fixture(scope="package")
def app() -> Iterator[App]:
    """The app on another origin."""
    with serve_app() as running:
        yield running


@pytest.fixture(scope="package")
def site(browser: Browser, app: App, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The production server."""
    with serve_site(tmp_path_factory.mktemp("site"), app) as running:
        yield running


@pytest.fixture(scope="session")
def axe() -> str | None:
    """The source of axe-core from the npm registry, never kept in the repository; None when it cannot be had."""
    script = AXE / "package" / "axe.min.js"
    if not script.exists():
        AXE.mkdir(parents=True, exist_ok=True)
        npm = shutil.which("npm")
        command = [str(npm), "pack", "axe-core@4", "--silent", "--pack-destination", str(AXE)]
        if npm is None or subprocess.run(command, cwd=AXE, capture_output=True, timeout=300, check=False).returncode:
            return None
        with tarfile.open(next(AXE.glob("axe-core-*.tgz"))) as archive:
            archive.extractall(AXE, filter="data")
    return script.read_text()


@pytest.fixture
def visit(browser: Browser, site: Site, app: App, axe: str | None) -> Iterator[Callable[..., Visitor]]:
    """Return a function that brings a new person with a browser of their own; afterwards, nothing they saw broke the policy."""
    visitors: list[Visitor] = []

    def come(*, scripts: bool = True) -> Visitor:
        visitors.append(Visitor(browser.new_context(java_script_enabled=scripts), site, app, axe, scripts=scripts))
        return visitors[-1]

    yield come
    for visitor in visitors:
        visitor.context.close()
    for visitor in visitors:
        visitor.assert_clean()


@pytest.fixture
def visitor(visit: Callable[..., Visitor]) -> Visitor:
    """A person with a browser that runs scripts."""
    return visit()
