"""What reaches Django through the WSGI application, past the test client."""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import Any
from wsgiref.util import setup_testing_defaults

import pytest

from portal.wsgi import application


def call(path: str, content_type: str, body: bytes = b"a=b", *, method: str = "POST") -> tuple[str, dict[str, str], bytes]:
    """Return status, headers and body of an answer."""
    environ: dict[str, Any] = {"REQUEST_METHOD": method, "PATH_INFO": path, "QUERY_STRING": "a=b", "CONTENT_TYPE": content_type}
    environ |= {"CONTENT_LENGTH": str(len(body)), "wsgi.input": io.BytesIO(body), "HTTP_HOST": "127.0.0.1"}
    setup_testing_defaults(environ)
    said: list[Any] = []
    content: Iterable[bytes] = application(environ, lambda status, headers, *_: said.extend([status, dict(headers)]))
    return said[0], said[1], b"".join(content)


@pytest.mark.django_db
@pytest.mark.threat("J12")
@pytest.mark.parametrize(
    "charset",
    [
        *(
            "Charset=rot13",
            "charset=utf-16",
            "charset=idna",
            "charset=zlib",
            "charset=nothing",
            'charset="',
            "charset=utf-8; charset=rot13",
        ),
        *("charset =hex", "charset\t=idna", "charset*=utf-8''hex", "charset*0=he; charset*1=x", "charset*=x''utf-16"),
    ],
)
@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x"])
@pytest.mark.parametrize("path", ["/oauth/token", "/oauth/authorize", "/accounts/login/"])
def test_no_charset_that_a_visitor_names_is_believed(path: str, kind: str, charset: str) -> None:
    for method in ("GET", "POST"):
        status, headers, _ = call(path, f"{kind}; {charset}", method=method)
        assert status[0] in "24"
        assert headers["X-Request-ID"]


@pytest.mark.django_db
def test_a_form_with_files_keeps_its_boundary() -> None:
    body = b'--x\r\nContent-Disposition: form-data; name="login"\r\n\r\nsomebody@example.org\r\n--x--\r\n'
    environ_type = "multipart/form-data; boundary=x"
    assert call("/accounts/login/", environ_type, body)[0].startswith("403")  # read as a form, whose token is missing
