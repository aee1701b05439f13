"""House rules that a machine can hold: what imports what, how long things are, how errors reach the wire (house.md)."""

from __future__ import annotations

import ast
import inspect
import pkgutil
import re
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

import protocol
import protocol.errors as errors_module
from protocol.errors import InternalError, OAuthError, ProtocolError, wire_body, wire_headers

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("portal", "authserver", "dcr", "federation", "registry", "protocol")
SOURCES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py") if "migrations" not in path.parts)
TREES = {path.relative_to(ROOT).as_posix(): ast.parse(path.read_text()) for path in SOURCES}

BLOCKER = """
import importlib, pkgutil, sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"django", "rest_framework", "celery", "oauth2_provider", "allauth", "registry",
        "portal", "authserver", "dcr"}:
            raise ImportError(f"{name} is not for plain Python")

sys.meta_path.insert(0, Blocker())
for name in sys.argv[1:]:
    package = importlib.import_module(name)
    for module in pkgutil.walk_packages(package.__path__, f"{name}."):
        importlib.import_module(module.name)
        print(module.name)
"""


@pytest.mark.parametrize("package", ["protocol", "federation.core"])
def test_plain_packages_load_without_django(package):
    done = subprocess.run([sys.executable, "-c", BLOCKER, package], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert len(done.stdout.split()) >= 5


def _imports(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module


def _importers(*roots):
    return {name for name, tree in TREES.items() if any(module.split(".")[0] in roots for module in _imports(tree))}


@pytest.mark.threat("J01", "J06")
def test_only_the_jose_package_imports_a_jose_library():
    assert all(name.startswith("protocol/jose/") for name in _importers("jwt", "jwcrypto", "joserfc", "jose", "authlib"))


@pytest.mark.threat("F01")
def test_only_the_fetch_package_imports_an_http_client():
    assert all(name.startswith("protocol/fetch/") for name in _importers("requests", "urllib3", "httpx", "aiohttp"))


@pytest.mark.parametrize(("room", "never"), [
    ("protocol", {"django", "rest_framework", "celery", "registry", "federation", "dcr", "authserver", "portal"}),
    ("federation/core", {"django", "rest_framework", "celery", "registry", "dcr", "authserver", "portal"}),
    ("registry", {"federation", "dcr", "authserver", "portal"}),
    ("dcr", {"federation", "authserver", "portal"}),
    ("federation", {"dcr", "authserver", "portal"}),
    ("authserver", {"portal"}),
])  # fmt: skip
def test_imports_point_down(room, never):
    found = {
        f"{name} imports {module}"
        for name, tree in TREES.items()
        if name.startswith(f"{room}/")
        for module in _imports(tree)
        if module.split(".")[0] in never
    }
    assert found == set()


def _functions(tree):
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def test_no_function_is_longer_than_60_lines_and_nine_of_ten_have_at_most_35():
    lengths = {f"{name}:{node.name}": node.end_lineno - node.lineno + 1 for name, tree in TREES.items() for node in _functions(tree)}
    assert {name: length for name, length in lengths.items() if length > 60} == {}
    assert sorted(lengths.values())[len(lengths) * 9 // 10] <= 35


def test_a_file_near_400_lines_becomes_a_package():
    long = {name: len((ROOT / name).read_text().splitlines()) for name in TREES}
    assert {name: lines for name, lines in long.items() if lines > 450} == {}
    if near := [name for name, lines in long.items() if lines > 400]:
        with warnings.catch_warnings():
            warnings.simplefilter("default")
            warnings.warn(f"over 400 lines: {', '.join(near)}", stacklevel=1)


def test_every_public_function_and_class_says_what_it_does():
    silent = [
        f"{name}:{node.name}"
        for name, tree in TREES.items()
        if name.startswith(("protocol/", "registry/"))
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_") and not ast.get_docstring(node)
    ]
    assert silent == []


def _calls(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield node, ast.unparse(node.func)


# What reads JSON without the strict loader, and why it may.
LAX_READERS = {
    "authserver/views/base.py": "reads back a body that the toolkit wrote in this process",
    "portal/demo/story.py": "reads the answers of this server as a client of it",
    "portal/management/commands/sandbox.py": "reads the answers of this server as a client of it",
    "protocol/strict_json.py": "is the strict loader",
    "registry/policies.py": "reads back what Django wrote into a column",
}


@pytest.mark.threat("J12", "J13")
def test_json_from_outside_is_read_by_the_strict_loader_only():
    readers = re.compile(r"(json|orjson|simplejson|ujson)\.loads?|(json\.)?JSONDecoder|.*\.json")
    lax = {name for name, tree in TREES.items() for _, called in _calls(tree) if readers.fullmatch(called)}
    assert lax <= LAX_READERS.keys()


@pytest.mark.threat("R06")
def test_nothing_is_marked_as_safe_html():
    names = {"mark_safe", "SafeString", "SafeText"}
    assert not [name for name, tree in TREES.items() for _, called in _calls(tree) if called.split(".")[-1] in names]


# What a template writes unescaped: words from our own code, never data.
UNESCAPED = {"templates/forms/help.html": "field.help_text"}


@pytest.mark.threat("R06")
def test_templates_escape_everything_but_the_help_texts_of_our_own_forms():
    for path in (ROOT / "templates").rglob("*"):
        if path.is_file() and path.suffix in (".html", ".txt", ".xml", ".svg"):
            text, name = path.read_text(), path.relative_to(ROOT).as_posix()
            unescaped = re.findall(r"([\w.]+)\s*\|\s*safe(?:seq)?\b", text)
            assert set(unescaped) <= {UNESCAPED.get(name)}, name
            if path.suffix == ".html":
                assert "autoescape off" not in text, name


@pytest.mark.threat("R03")
def test_no_request_or_document_is_unpacked_into_the_orm():
    hostile = re.compile(r"^(request|self\.request|document|body|payload|parameters|given|json|data)\b")
    verbs = ("create", "filter", "get", "update", "get_or_create", "update_or_create", "exclude")
    for name, tree in TREES.items():
        for call, called in _calls(tree):
            if called.split(".")[-1] in verbs and ("objects" in called or "_set" in called):
                unpacked = [ast.unparse(keyword.value) for keyword in call.keywords if keyword.arg is None]
                assert not [value for value in unpacked if hostile.match(value)], f"{name}:{call.lineno}"


@pytest.mark.threat("S03", "J12")
def test_nothing_evaluates_or_unpickles():
    names = {"eval", "exec", "pickle.loads", "pickle.load", "marshal.loads", "yaml.load", "dill.loads"}
    assert not [(name, called) for name, tree in TREES.items() for _, called in _calls(tree) if called in names]


def test_the_clock_is_read_at_the_edge_only():
    pure = (
        "protocol/jose/",
        "protocol/urls.py",
        "protocol/strict_json.py",
        "federation/core/",
        "registry/client_metadata/",
        "registry/redirect_uris.py",
    )
    pure += (
        "registry/registration_policy.py",
        "registry/gate.py",
        "registry/sensitivity.py",
        "registry/transitions.py",
        "registry/lifecycle/",
    )
    clocks = {"time.time", "timezone.now", "datetime.now", "datetime.utcnow", "date.today"}
    assert not [(name, called) for name, tree in TREES.items() if name.startswith(pure) for _, called in _calls(tree) if called in clocks]


def _subclasses(kind):
    for child in kind.__subclasses__():
        yield child
        yield from _subclasses(child)


for _module in pkgutil.walk_packages(protocol.__path__, "protocol."):
    __import__(_module.name)
ERRORS = sorted({kind for kind in _subclasses(ProtocolError) if kind.__module__.startswith(ROOMS)}, key=lambda kind: kind.__name__)
SECRET = "internal detail 10.0.0.7"


def _make(kind):
    """Return an error of this class whose every text is `SECRET`."""
    parameters = inspect.signature(kind).parameters
    known = {
        "reason": "word",
        "description": SECRET,
        "detail": SECRET,
        "permanent": True,
        "findings": (),
        "received": SECRET,
        "registered": (SECRET,),
        "allow": ("GET", "POST"),
        "for_staff": True,
        "kept": {},
    }
    return kind(**{name: known[name] for name in parameters if name in known})


@pytest.mark.spec("DCR-HTTP-07")
@pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: kind.__name__)
def test_every_error_has_a_code_and_a_status_that_fit_the_wire(kind):
    assert re.fullmatch(r"[\x20-\x21\x23-\x5b\x5d-\x7e]+", kind.code)  # RFC 6749, 5.2
    assert re.fullmatch(r"[a-z_]+", kind.code)
    assert 400 <= kind.status <= 599
    assert kind.__doc__
    assert (kind.code == "server_error") == (kind.status == 500)
    if kind.code == "server_error":  # only what is never answered as it is, and the bases of the two families
        assert issubclass(kind, InternalError) or kind in (OAuthError, errors_module.FederationError)


@pytest.mark.spec("DCR-HTTP-07", "DCR-ERR-04")
@pytest.mark.threat("J19", "R05")
@pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: kind.__name__)
def test_no_error_tells_the_wire_what_is_internal(kind):
    error = _make(kind)
    error.detail = SECRET
    body, headers = wire_body(error, request_id="r1", documentation="https://id.example.org/docs/errors/"), wire_headers(error, realm="x")
    if issubclass(kind, InternalError):
        assert body["error"] == "server_error"
        assert SECRET not in f"{body}{headers}"
    else:
        error.description = "Public words."
        assert SECRET not in f"{wire_body(error)}{wire_headers(error, realm='x')}"
    assert body["status"] == (500 if issubclass(kind, InternalError) else kind.status)
    assert headers["Cache-Control"] == "no-store"
    assert headers["Pragma"] == "no-cache"
    for text in (body["error_description"], *headers.values()):
        assert text.isascii()
        assert text.isprintable()


@pytest.mark.spec("DCR-HTTP-07")
@pytest.mark.parametrize("text", ['quote " and \\ slash', "line\r\nSet-Cookie: x", "caf\u00e9 \u202e", "x" * 5000, "\x00"])
def test_a_description_fits_rfc_6749_whatever_was_said(text):
    for kind in (errors_module.InvalidToken, errors_module.InvalidClientMetadata):
        error = kind(text)
        described = wire_body(error)["error_description"]
        assert re.fullmatch(r"[\x20-\x21\x23-\x5b\x5d-\x7e]{1,1000}", described)
        assert not {"\r", "\n"} & set("".join(wire_headers(error, realm="x").values()))


def test_the_errors_of_registration_have_the_codes_and_statuses_of_the_specification():
    expected = {
        "InvalidRedirectUri": ("invalid_redirect_uri", 400), "InvalidClientMetadata": ("invalid_client_metadata", 400),
        "InvalidSoftwareStatement": ("invalid_software_statement", 400),
        "UnapprovedSoftwareStatement": ("unapproved_software_statement", 400),
        "InvalidToken": ("invalid_token", 401), "InsufficientScope": ("insufficient_scope", 403), "AccessDenied": ("access_denied", 403),
        "TooManyRequests": ("temporarily_unavailable", 429), "ServiceUnavailable": ("temporarily_unavailable", 503),
    }  # fmt: skip
    assert {name: (getattr(errors_module, name).code, getattr(errors_module, name).status) for name in expected} == expected
    assert all(issubclass(getattr(errors_module, name), OAuthError) for name in expected)
