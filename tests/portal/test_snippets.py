"""Code for an app: it runs as it stands, and no value of a partner is ever more than a string in it."""

from __future__ import annotations

import ast
import json
import re
import shlex
import subprocess
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from django.conf import settings
from django.test import Client as Browser
from hypothesis import given
from hypothesis import strategies as st

from dcr.initial_access_tokens import TokenTerms, create_initial_access_token
from portal.snippets import curl, go, java, node, python
from portal.snippets.assertions import assertion_code
from portal.snippets.catalogue import groups_for
from portal.snippets.documents import entity_configuration
from portal.snippets.facts import AppFacts, facts_of
from portal.snippets.quoting import for_go, for_java, for_javascript, for_python, for_shell
from registry.models import Client
from tests.authserver.authorization import conftest as people
from tests.authserver.authorization.support import CALLBACK, VERIFIER, Flow, make_app, sign_in
from tests.authserver.support import Caller, make_caller
from tests.conftest import Cast, later

HERE = Path(__file__).parent
server_keys, standard_scopes = people.server_keys, people.standard_scopes
HOSTILE = [
    *[line.encode().decode("unicode_escape") for line in (HERE / "hostile_redirect_uris.txt").read_text().splitlines()],
    *(HERE / "markup_corpus.txt").read_text().splitlines(),
    *[
        "'; rm -rf / #",
        '"; rm -rf / #',
        "$(id)",
        "`id`",
        "\\",
        "\\\\",
        "\\'",
        '\\"',
        "@{issuer}",
        "@",
        "${issuer}",
        "%s",
        "{}",
        "\u2028",
        "\u202e",
    ],
    *[
        "\\u0022+x+\\u0022",
        "\\u000a",
        "a\nb",
        "a\rb",
        "\x00",
        "\x7f",
        "é",
        "\U0001f600",
        "-x",
        "=",
        "!!",
        "*/",
        "//",
        "#",
        "</script>",
        "?",
        "%0a",
    ],
]
METHODS = ("client_secret_basic", "client_secret_post", "private_key_jwt", "none")
MODULES = (python, node, java, go)
FACTS = AppFacts(
    client_id="client",
    method="client_secret_basic",
    scope="openid email",
    redirect_uri=CALLBACK,
    key_id="key",
    algorithm="ES256",
    acts_alone=True,
    signs_in=True,
    refreshes=True,
    issuer="https://id.example.org",
    token_endpoint="https://id.example.org/oauth/token",
    authorization_endpoint="https://id.example.org/oauth/authorize",
)


def as_shell_reads(word: str) -> list[str]:
    """Return the words that a real shell makes of `word`."""
    done = subprocess.run(["/bin/sh", "-c", f"printf '%s\\0' {word}"], capture_output=True, check=True, timeout=30)
    return done.stdout.decode("utf-8", "replace").split("\0")[:-1]


def as_java_reads(literal: str) -> str:
    """Return what a Java compiler makes of a literal: Unicode escapes first, then the string (JLS 3.3, 3.10.7)."""

    def unit(match: re.Match[str]) -> str:
        return match[1] + chr(int(match[2], 16))

    source = re.sub(r"(?<!\\)((?:\\\\)*)\\u([0-9a-f]{4})", unit, literal)
    assert source[0] == source[-1] == '"'
    body = source[1:-1]
    assert not re.search(r"[\r\n]", body)
    assert not re.search(r'(?<!\\)(?:\\\\)*"', body)

    def escape(match: re.Match[str]) -> str:
        return chr(int(match[1], 8)) if match[1].isdigit() else match[1]

    text = re.sub(r"\\([0-7]{3}|[\\\"])", escape, body)
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def as_go_reads(literal: str) -> str:
    """Return what Go makes of an interpreted literal; \\u and \\U mean to it what they mean to Python, but for halves of pairs."""
    assert not re.search(r"\\u[dD][89a-fA-F]", literal.replace("\\\\", ""))
    return str(ast.literal_eval(literal))


READERS: dict[str, tuple[Callable[[str], str], Callable[[str], str]]] = {
    "python": (for_python, lambda literal: str(ast.literal_eval(literal))),
    "javascript": (for_javascript, lambda literal: str(json.loads(literal))),
    "java": (for_java, as_java_reads),
    "go": (for_go, as_go_reads),
}


@pytest.mark.threat("R06")
@pytest.mark.parametrize("language", READERS)
def test_no_text_breaks_out_of_a_literal(language: str) -> None:
    quote, read = READERS[language]
    for text in HOSTILE:
        assert read(quote(text)) == text
        assert quote(text).isascii()
        assert quote(text).isprintable()


@pytest.mark.threat("R06")
@given(st.text())
def test_whatever_text_is_quoted_reads_as_itself(text: str) -> None:
    for quote, read in READERS.values():
        assert read(quote(text)) == text


@pytest.mark.threat("R06")
def test_no_text_is_more_than_one_word_of_a_shell() -> None:
    texts = [text for text in HOSTILE if "\0" not in text]
    words = [for_shell(text) for text in texts]
    assert all(word.isascii() and word.isprintable() for word in words)
    assert as_shell_reads(" ".join(words)) == texts


def test_half_a_surrogate_pair_is_no_go_literal() -> None:
    assert for_go("a\ud800b") == '"a\\ufffdb"'
    assert as_java_reads(for_java("a\ud800b")) == "a\ud800b"


def strings_in(code: str) -> set[str]:
    """Return every string constant of Python code."""
    return {node.value for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Constant) and isinstance(node.value, str)}


@pytest.mark.parametrize("method", METHODS)
def test_python_compiles_whatever_the_values_are(method: str) -> None:
    plain = replace(FACTS, method=method, client_id="p", redirect_uri="p", scope="p", key_id="p", algorithm="p")
    for program in [python.sign_in, assertion_code, *([python.own_token] if method != "none" else [])]:
        expected = shape(program(plain))
        for text in HOSTILE:
            facts = replace(plain, client_id=text, redirect_uri=text, scope=text, key_id=text, algorithm=text)
            assert text in strings_in(program(facts))
            assert shape(program(facts)) == expected


def shape(code: str) -> list[str]:
    """Return the kinds of the nodes of Python code: what it does, whatever its strings say."""
    return [type(node).__name__ for node in ast.walk(ast.parse(code))]


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
@pytest.mark.parametrize("method", METHODS)
def test_every_language_has_a_program_for_every_method(module: Any, method: str) -> None:
    facts = replace(FACTS, method=method)
    programs = [module.sign_in(facts), *([module.own_token(facts)] if method != "none" else [])]
    for program in programs:
        assert "@{" not in program
        assert FACTS.client_id in program
        for opening, closing in ("{}", "()", "[]"):
            assert program.count(opening) == program.count(closing)
    if method.startswith("client_secret"):
        assert all("CLIENT_SECRET" in program for program in programs)


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_a_hostile_value_stands_nowhere_but_in_its_literal(module: Any) -> None:
    quote = {python: for_python, node: for_javascript, java: for_java, go: for_go}[module]
    mark = "MARKEDVALUE"
    marked = module.sign_in(replace(FACTS, client_id=mark, redirect_uri=mark, key_id=mark))
    for text in HOSTILE:
        facts = replace(FACTS, client_id=text, redirect_uri=text, key_id=text)
        assert module.sign_in(facts) == marked.replace(quote(mark), quote(text))


def asked(command: str, **variables: str) -> tuple[str, dict[str, str], dict[str, str]]:
    """Return address, form and headers that a curl command sends, with its variables filled in as a shell would."""
    words = shlex.split(command.replace("\\\n", " "))
    words = [re.sub(r"\$([A-Z_]+)", lambda match: variables[match[1]], word) for word in words]
    assert words[0] == "curl"
    form, headers = {}, {}
    for option, value in zip(words[2::2], words[3::2], strict=True):
        name, _, text = value.partition("=")
        if option == "--user":
            headers["Authorization"] = f"Basic {value}"
        elif option == "--header":
            name, _, text = value.partition(": ")
            headers[name] = text
        elif option == "--data-urlencode":
            form[name] = text
        else:
            assert option == "--data", option
            form.update({"": value} if value.startswith("{") else {name: text})
    return words[1], form, headers


def send(browser: Browser, command: str, **variables: str) -> Any:
    """Send what a curl command sends to the endpoint it names."""
    import base64

    address, form, headers = asked(command, **variables)
    assert address.startswith(settings.ISSUER)
    if "Authorization" in headers and headers["Authorization"].startswith("Basic "):
        headers["Authorization"] = "Basic " + base64.b64encode(headers["Authorization"][6:].encode()).decode()
    path = address.removeprefix(settings.ISSUER)
    if not form:
        return browser.get(path, headers=headers)
    if "" in form:
        return browser.post(path, form[""], content_type=headers.pop("Content-Type"), headers=headers)
    return browser.post(path, urlencode(form), content_type="application/x-www-form-urlencoded", headers=headers)


def variables_of(caller: Caller) -> dict[str, str]:
    """Return the credential of a caller as the snippets expect it."""
    return {"CLIENT_ASSERTION": caller.assertion()} if caller.key else {"CLIENT_SECRET": caller.secret}


@pytest.mark.parametrize("method", METHODS[:3])
def test_the_command_for_a_token_gets_one(cast: Cast, now: datetime, client: Browser, method: str) -> None:
    caller = make_caller(cast.organization, now, method)
    facts = facts_of(caller.client, waiting_scopes=())
    assert send(client, curl.discovery(facts)).json()["issuer"] == settings.ISSUER
    answer = send(client, curl.own_token(facts), **variables_of(caller))
    assert answer.status_code == 200, answer.content
    assert answer.json()["scope"] == "bookings.read"


@pytest.mark.parametrize("method", METHODS)
def test_the_commands_for_signing_in_do_it(
    cast: Cast,
    now: datetime,
    client: Browser,
    standard_scopes: None,
    server_keys: None,
    method: str,
) -> None:
    caller = make_app(cast.organization, now, method)
    facts = facts_of(caller.client, waiting_scopes=())
    script = curl.authorization_address(facts)
    done = subprocess.run(["/bin/sh", "-c", f'{script}\necho "$CODE_VERIFIER"'], capture_output=True, text=True, check=True, timeout=30)
    address, verifier = done.stdout.split()
    flow = Flow(caller)
    sign_in(flow.browser, cast.owner)
    parameters = dict(parse_qsl(urlsplit(address).query))
    code = flow.finish(flow.browser.get(urlsplit(address).path, parameters))
    answer = send(client, curl.code_exchange(facts), CODE=code, CODE_VERIFIER=verifier, **variables_of(caller))
    assert answer.status_code == 200, answer.content
    refreshed = send(client, curl.refreshing(facts), REFRESH_TOKEN=answer.json()["refresh_token"], **variables_of(caller))
    assert refreshed.status_code == 200, refreshed.content
    assert verifier != VERIFIER


def test_the_command_for_registration_registers_an_app_like_this_one(
    cast: Cast, now: datetime, client: Browser, make_client: Callable[..., Client]
) -> None:
    original = make_client(client_name='It\'s "quoted" $(id)')
    terms = TokenTerms(label="Snippets", expires_at=later(now, days=1))
    token = create_initial_access_token(cast.organization, cast.as_owner, terms, now=now).value
    command = next(
        snippet.value
        for group in groups_for(original, facts_of(original, waiting_scopes=()))
        for snippet in group.snippets
        if snippet.id == "curl-register"
    )
    answer = send(client, command, INITIAL_ACCESS_TOKEN=token)
    assert answer.status_code == 201, answer.content
    assert answer.json()["client_name"] == original.name


def test_an_entity_configuration_is_json_with_its_own_metadata(make_client: Callable[..., Client]) -> None:
    client = make_client(client_name="</script>\u2028")
    claims = json.loads(entity_configuration(client))
    assert claims["iss"] == claims["sub"]
    assert claims["metadata"]["oauth_client"]["client_name"] == client.name
    assert claims["metadata"]["oauth_client"]["client_registration_types"] == ["automatic"]


def test_scopes_that_wait_are_left_out(make_client: Callable[..., Client]) -> None:
    client = make_client(scope="bookings.read bookings.write")
    assert facts_of(client, waiting_scopes=("bookings.write",)).scope == "bookings.read"


def test_the_page_shows_what_fits_the_app(
    cast: Cast, now: datetime, viewer: Browser, app_url: Callable[..., str], make_client: Callable[..., Client]
) -> None:
    machine = make_caller(cast.organization, now, "private_key_jwt").client
    html = viewer.get(app_url("app_code", machine)).content.decode()
    for name in ("discovery", "curl-own-token", "assertion-python", "python-own-token", "node-own-token", "java-own-token", "go-own-token"):
        assert f'id="{name}"' in html, name
    assert "-sign-in" not in html
    assert machine.client_id in unescape(html)
    public = make_client(
        token_endpoint_auth_method="none", grant_types=["authorization_code"], redirect_uris=["https://app.lighthouse.example/cb"]
    )
    html = viewer.get(app_url("app_code", public)).content.decode()
    for name in ("curl-authorize", "curl-code", "python-sign-in", "node-sign-in", "java-sign-in", "go-sign-in"):
        assert f'id="{name}"' in html, name
    assert "own-token" not in html
    assert "CLIENT_SECRET" not in html
    assert len(html) < 60_000


def test_ids_are_unique_on_the_page(cast: Cast, now: datetime, viewer: Browser, app_url: Callable[..., str]) -> None:
    client = make_caller(cast.organization, now, "private_key_jwt").client
    ids = re.findall(r' id="([^"]+)"', viewer.get(app_url("app_code", client)).content.decode())
    assert len(ids) == len(set(ids))
