"""What reaches Django through the WSGI application, past the test client."""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import Any
from wsgiref.util import setup_testing_defaults

import pytest

from portal.wsgi import application


def call(path: str, content_type: str, body: bytes = b"a=b") -> tuple[str, dict[str, str], bytes]:
    """Return status, headers and body of a POST."""
    environ: dict[str, Any] = {"REQUEST_METHOD": "POST", "PATH_INFO": path, "QUERY_STRING": "a=b", "CONTENT_TYPE": content_type}
    environ |= {"CONTENT_LENGTH": str(len(body)), "wsgi.input": io.BytesIO(body), "HTTP_HOST": "127.0.0.1"}
    setup_testing_defaults(environ)
    said: list[Any] = []
    content: Iterable[bytes] = application(environ, lambda status, headers, *_: said.extend([status, dict(headers)]))
    return said[0], said[1], b"".join(content)


@pytest.mark.django_db
@pytest.mark.threat("J12")
@pytest.mark.parametrize("charset", ["rot13", "utf-16", "idna", "zlib", "nothing", '"', "utf-8; charset=rot13"])
@pytest.mark.parametrize("path", ["/oauth/token", "/oauth/authorize", "/accounts/login/"])
def test_no_charset_that_a_visitor_names_is_believed(path: str, charset: str) -> None:
    status, headers, _ = call(path, f"application/x-www-form-urlencoded; Charset={charset}")
    assert status[0] == "4"
    assert headers["X-Request-ID"]
