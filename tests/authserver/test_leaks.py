"""No credential in a log, a table or a mail, at the most talkative level (threats.md R05)."""

from __future__ import annotations

import base64
import io
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog
from django.core import mail
from django.db import connection
from django.test import Client as Browser

from portal import logs
from portal.logs import CUT
from tests.authserver.support import INTROSPECT, REVOKE, TOKEN, Caller, assertion_parameters, basic, key

Call = Callable[..., Any]
SECRETS = ("ccs_" + "A" * 43, "cat_" + "b" * 43, "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln")


@pytest.fixture
def everything_logged(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """Everything that the process writes to its log at DEBUG level, with every logger talking."""
    root = logging.getLogger()
    before = root.handlers, root.level, {name: logging.getLogger(name).level for name in ("django.request", *QUIET)}
    stream = io.StringIO()
    with monkeypatch.context() as patched:
        patched.setattr("sys.stderr", stream)
        logs.configure({"level": "DEBUG"})
    for name in (*QUIET, "django.request", "portal", "authserver", "registry"):
        logging.getLogger(name).setLevel(logging.DEBUG if name not in QUIET else logging.getLogger(name).level)
    yield stream
    root.handlers, level, levels = before[0], before[1], before[2]
    root.setLevel(level)
    for name, value in levels.items():
        logging.getLogger(name).setLevel(value)


QUIET = ("django.db.backends", "oauthlib", "oauth2_provider", "urllib3")


def database_dump() -> str:
    """Return every value of every table as text."""
    with connection.cursor() as cursor:
        tables = connection.introspection.table_names(cursor)
        assert "authserver_accesstoken" in tables
        lines = []
        for table in tables:
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")  # noqa: S608 - the database named it
            lines += [" ".join(_as_text(value) for value in row) for row in cursor.fetchall()]
    return "\n".join(lines)


def _as_text(value: object) -> str:
    return bytes(value).hex() + bytes(value).decode("latin-1") if isinstance(value, bytes | memoryview) else str(value)


@pytest.mark.threat("R05")
def test_no_credential_of_the_journey_is_found_anywhere(
    with_secret: Caller, caller_by: Call, call: Call, client: Browser, everything_logged: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_post, by_key = caller_by("client_secret_post"), caller_by("private_key_jwt", signing_key=key("ES256", 3))
    used: set[str] = {with_secret.secret, by_post.secret}
    for caller in (with_secret, by_post, by_key):
        for endpoint in (TOKEN, INTROSPECT, REVOKE):
            parameters, headers = caller.credentials()
            answer = call(endpoint, parameters, headers)
            assert answer.status_code == 200
            used |= {*parameters.values(), *(value.partition(" ")[2] for value in headers.values())}
            if endpoint == TOKEN:
                used.add(answer.json()["access_token"])
    failing = [
        (assertion_parameters(by_key.assertion(jti="once")), {}),
        (assertion_parameters(by_key.assertion(aud="x")), {}),
        ({}, basic(with_secret.client_id, by_post.secret)),
        ({"client_id": by_post.client_id, "client_secret": with_secret.secret, "code": "cat_" + "z" * 43}, {}),
    ]
    for parameters, headers in failing * 2:
        call(TOKEN, parameters, headers)
        used |= {value for name, value in parameters.items() if name not in ("client_id", "client_assertion_type")}
    monkeypatch.setattr("authserver.client_authentication.load_client", _fail)
    call(TOKEN, *by_post.credentials())
    used -= {by_post.client_id, "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}
    assert len(used) > 10
    written = {"log": everything_logged.getvalue(), "database": database_dump(), "mail": "".join(str(m.message()) for m in mail.outbox)}
    assert "request_refused" in written["log"]
    found = [(place, value) for place, text in written.items() for value in used if value in text]
    assert found == []


def _fail(client_id: str) -> None:
    raise RuntimeError(f"something about {client_id} and {SECRETS[0]}")


@pytest.mark.threat("R05")
def test_whatever_is_logged_is_cut_however_deep(everything_logged: io.StringIO) -> None:
    log = structlog.get_logger("authserver.test")
    basic_value = "Basic " + base64.b64encode(b"client:ccs_" + b"A" * 43).decode()
    for value in (*SECRETS, basic_value):
        log.warning("event", text=value, nested={"a": [value, {"b": (value,)}]}, quoted=f"x={value}&y", data=value.encode())
        log.warning(f"in the event {value}")
        logging.getLogger("library").warning("message %s", value)
        logging.getLogger("library").warning("mapping %(a)s", {"a": value})
        logging.getLogger("library").debug("message %s", {"Authorization": value})
        logging.getLogger("library").warning("arguments that do not fit %d %d", value)  # noqa: PLE1206 - that is the point
        try:
            raise ValueError(value)  # noqa: TRY301
        except ValueError as error:
            log.exception("failed", error=error)
            logging.getLogger("library").exception("failed")
            logging.getLogger("library").exception(error)  # noqa: TRY401
    written = everything_logged.getvalue()
    assert not [value for value in (*SECRETS, basic_value, basic_value[6:]) if value in written]
    assert written.count(CUT) > 20


@pytest.mark.threat("R05")
def test_values_under_secret_names_are_cut_whatever_they_are(everything_logged: io.StringIO) -> None:
    structlog.get_logger("authserver.test").warning(
        "event", password="hunter2", form={"Client_Secret": "hunter2", "scope": "a"}, code=["hunter2"]
    )
    line = json.loads(everything_logged.getvalue().splitlines()[-1])
    assert "hunter2" not in everything_logged.getvalue()
    assert line["form"] == {"Client_Secret": CUT, "scope": "a"}


@pytest.mark.threat("R05")
def test_a_log_line_is_one_line_of_json(everything_logged: io.StringIO) -> None:
    structlog.get_logger("authserver.test").warning("a\nb\r\nc", value="x\n{'level': 'forged'}", number=7, nothing=None, yes=True)
    lines = everything_logged.getvalue().splitlines()
    assert len(lines) == 1
    line = json.loads(lines[0])
    assert (line["event"], line["number"], line["nothing"], line["yes"]) == ("a\nb\r\nc", 7, None, True)


@pytest.mark.threat("R05")
def test_an_exception_keeps_its_traceback(everything_logged: io.StringIO) -> None:
    try:
        raise ValueError("why")  # noqa: TRY301
    except ValueError:
        structlog.get_logger("authserver.test").exception("failed")
        logging.getLogger("library").exception("failed")
    for line in everything_logged.getvalue().splitlines():
        assert "ValueError: why" in json.loads(line)["exception"]


@pytest.mark.threat("R05")
def test_a_credential_is_in_no_repr(with_key: Caller, with_secret: Caller) -> None:
    from authserver.client_authentication import read_credentials
    from registry.actors import job
    from registry.credentials import create_secret

    assertion = with_key.assertion()
    made = create_secret(with_secret.client, job("test"), now=with_secret.now)
    presented = [
        read_credentials("", assertion_parameters(assertion)),
        read_credentials("", {"client_id": "a", "client_secret": made.value}),
    ]
    assert made.value not in repr(made)
    assert not [one for one in presented if assertion in repr(one) or made.value in repr(one)]
