"""Nothing outside `protocol/fetch` opens connections (F01)."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
ROOMS = ("portal", "authserver", "dcr", "federation", "registry", "protocol")

# Mail goes through Django and is not a fetch, so smtplib is not here.
HTTP_CLIENTS = {"requests", "urllib3", "http.client", "urllib.request", "httpx", "aiohttp", "pycurl", "httplib2", "ftplib"}
SOCKETS = {"socket", "socketserver", "asyncio.streams", "telnetlib", "xmlrpc", "xmlrpc.client"}

# Who may use sockets: the supervisor of `manage.py run` looks for a free port and waits for its children.
SOCKET_USERS = {"portal/supervisor.py", "portal/management/commands/run.py"}


def imported_modules(source: str) -> set[str]:
    """Every module that this source imports, statically or by a constant name."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) in {
            "import_module",
            "__import__",
        }:
            names |= {argument.value for argument in node.args if isinstance(argument, ast.Constant) and isinstance(argument.value, str)}
    return names


def forbidden_imports(source: str, forbidden: set[str]) -> set[str]:
    """Those of the imports that are a forbidden module or part of one."""
    return {name for name in imported_modules(source) if any(name == module or name.startswith(f"{module}.") for module in forbidden)}


def _files():
    for path in [ROOT / "manage.py", *(path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py")))]:
        relative = path.relative_to(ROOT).as_posix()
        if path.exists() and not relative.startswith("protocol/fetch/"):
            yield relative, path


@pytest.mark.threat("F01")
def test_no_module_outside_fetch_imports_an_http_client():
    offenders = {name: found for name, path in _files() if (found := forbidden_imports(path.read_text(), HTTP_CLIENTS))}
    assert offenders == {}


@pytest.mark.threat("F01")
def test_no_module_outside_fetch_imports_sockets():
    offenders = {
        name: found for name, path in _files() if name not in SOCKET_USERS and (found := forbidden_imports(path.read_text(), SOCKETS))
    }
    assert offenders == {}


@pytest.mark.threat("F01")
@pytest.mark.parametrize(
    "source",
    [
        "import requests",
        "import requests.adapters as a",
        "from requests import get",
        "from urllib import request",
        "from urllib.request import urlopen",
        "import http.client",
        "from http import client",
        "def f():\n    import httpx",
        "import importlib\nimportlib.import_module('aiohttp')",
        "__import__('urllib3')",
    ],
)
def test_the_check_sees_every_way_to_import(source):
    assert forbidden_imports(source, HTTP_CLIENTS)


@pytest.mark.threat("F01")
def test_the_check_lets_harmless_neighbours_pass():
    harmless = "from urllib.parse import quote\nfrom http import HTTPStatus\nimport requests_like\nfrom . import requests"
    assert forbidden_imports(harmless, HTTP_CLIENTS | SOCKETS) == set()


def test_fetch_and_urls_do_not_import_django():
    sources = [ROOT / "protocol" / "urls.py", *sorted((ROOT / "protocol" / "fetch").glob("*.py"))]
    assert len(sources) > 10
    assert [path for path in sources if forbidden_imports(path.read_text(), {"django", "rest_framework", "celery"})] == []
