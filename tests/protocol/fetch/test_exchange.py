"""What one fetch sends, accepts and refuses (F05, F11, F12, F15, F16), against real TLS servers on loopback."""

from __future__ import annotations

import dataclasses
import socket

import pytest

from protocol.errors import FetchError
from protocol.fetch import FetchConfig, FetchPurpose, FetchRequest, FetchResponse, HttpFetcher, standard_request
from tests.protocol.fetch.servers import answer

pytestmark = pytest.mark.allow_hosts(["127.0.0.1", "::1"])

JSON_TYPE = "application/json"


def test_a_complete_answer_is_returned_as_it_was_sent(serve, fetcher_for, request_to):
    server = serve(answer(b'{"keys":[1]}', "X-Extra: one", "X-Extra: two", media_type="Application/JSON; charset=utf-8"))
    response = fetcher_for(server, clock=lambda: 1234.9).fetch(request_to(server))
    assert response == FetchResponse(request_to(server).url, 200, JSON_TYPE, response.headers, b'{"keys":[1]}', fetched_at=1234)
    assert response.headers["x-extra"] == "one, two"
    assert set(response.headers) == {"content-type", "content-length", "x-extra"}


def test_a_response_cannot_be_changed(serve, fetcher_for, request_to):
    server = serve()
    response = fetcher_for(server).fetch(request_to(server))
    with pytest.raises(dataclasses.FrozenInstanceError):
        response.body = b""
    with pytest.raises(TypeError):
        response.headers["x"] = "y"


def test_the_request_carries_only_what_it_must(serve, fetcher_for, request_to):
    server = serve()
    fetcher_for(server).fetch(request_to(server, "/a%2fb/../c//d?sub=https%3A%2F%2Fb.test", accept=("application/jwk-set+json", JSON_TYPE)))
    lines = server.requests[0].decode().split("\r\n")
    assert lines[0] == "GET /a%2Fb/../c//d?sub=https%3A%2F%2Fb.test HTTP/1.1"
    assert sorted(lines[1:-2]) == sorted(
        [
            f"Host: a.example.test:{server.port}",
            "User-Agent: Credence",
            "Accept: application/jwk-set+json, application/json",
            "Accept-Encoding: identity",
            "Connection: close",
        ]
    )


def test_a_url_without_a_path_asks_for_the_root(serve, fetcher_for, request_to):
    server = serve()
    fetcher_for(server).fetch(request_to(server, ""))
    assert server.requests[0].startswith(b"GET / HTTP/1.1\r\n")


def test_a_form_is_posted(serve, fetcher_for):
    received = []

    def script(connection, head):
        body = head.partition(b"\r\n\r\n")[2]
        while len(body) < len(b"trust_mark=abc"):
            body += connection.recv(100)
        received.append(body)
        connection.sendall(answer(b"a.b.c", media_type="application/trust-mark-status-response+jwt"))

    server = serve(script)
    url = f"https://a.example.test:{server.port}/status"
    response = fetcher_for(server).fetch(standard_request(FetchPurpose.TRUST_MARK_STATUS, url, form=b"trust_mark=abc"))
    assert response.body == b"a.b.c"
    assert server.requests[0].startswith(b"POST /status HTTP/1.1\r\n")
    assert b"Content-Type: application/x-www-form-urlencoded\r\n" in server.requests[0]
    assert received == [b"trust_mark=abc"]


def test_a_chunked_answer_with_trailers_is_put_together(serve, fetcher_for, request_to):
    body = b'4\r\n{"a"\r\n3;note=1\r\n:1}\r\n0\r\nX-Trailer: 1\r\n\r\n'
    server = serve(answer(body, "Transfer-Encoding: chunked", length=False))
    assert fetcher_for(server).fetch(request_to(server)).body == b'{"a":1}'


def test_a_chunked_answer_of_the_largest_size_is_read_whole(serve, fetcher_for, request_to):
    pieces = b"".join(b"1000\r\n" + b"x" * 4096 + b"\r\n" for _ in range(16))
    server = serve(answer(pieces + b"0\r\n\r\n", "Transfer-Encoding: chunked", length=False))
    assert len(fetcher_for(server).fetch(request_to(server)).body) == 64 * 1024


def test_an_interim_100_is_skipped(serve, fetcher_for, request_to):
    server = serve(b"HTTP/1.1 100 Continue\r\n\r\n" + answer(b"{}"))
    assert fetcher_for(server).fetch(request_to(server)).body == b"{}"


def test_an_ipv6_literal_named_in_the_setting_is_fetched(serve, fetcher_for, request_to):
    server = serve(address="::1")
    fetcher = fetcher_for(server, host="[::1]", resolver=None)
    assert fetcher.fetch(request_to(server, host="[::1]")).status == 200


def test_the_next_address_is_tried_when_the_first_does_not_answer(serve, fetcher_for, request_to):
    server = serve()
    fetcher = fetcher_for(server, resolver=lambda _host, _port: ["::1", "127.0.0.1"])
    assert fetcher.fetch(request_to(server)).status == 200


# F05


@pytest.mark.threat("F05")
@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 305, 307, 308, 399])
def test_a_redirect_is_never_followed(serve, fetcher_for, request_to, error_of, status):
    target = serve()
    here = f"https://a.example.test:{target.port}/elsewhere"
    server = serve(answer(b"{}", f"Location: {here}", f"Refresh: 0; url={here}", status=f"{status} Moved"))
    error = error_of(fetcher_for(server, target), request_to(server))
    assert (error.reason, error.permanent, error.http_status) == ("redirect", True, status)
    assert (server.connections, len(server.requests), target.connections) == (1, 1, 0)


@pytest.mark.threat("F05")
def test_a_refresh_header_on_a_good_answer_does_nothing(serve, fetcher_for, request_to):
    target = serve()
    server = serve(answer(b"{}", f"Refresh: 0; url=https://a.example.test:{target.port}/"))
    assert fetcher_for(server, target).fetch(request_to(server)).body == b"{}"
    assert (server.connections, target.connections) == (1, 0)


@pytest.mark.threat("F05")
def test_a_redirect_is_remembered(serve, fetcher_for, request_to, error_of):
    server = serve(answer(b"", "Location: https://a.example.test/", status="302 Found"))
    fetcher = fetcher_for(server)
    assert [error_of(fetcher, request_to(server)).reason for _ in range(3)] == ["redirect"] * 3
    assert server.connections == 1


@pytest.mark.threat("F05")
def test_the_body_of_a_redirect_is_not_read(serve, fetcher_for, request_to, error_of):
    sent = []

    def script(connection, _head):
        connection.sendall(answer(b"", "Location: /x", "Content-Length: 99999999999", status="302 Found", length=False))
        try:
            for _ in range(2000):
                connection.sendall(b"x" * 65536)
                sent.append(65536)
        except OSError:
            pass

    server = serve(script)
    assert error_of(fetcher_for(server), request_to(server)).reason == "redirect"
    server.close()
    assert sum(sent) < 64 * 1024 * 1024


# F11


@pytest.mark.threat("F11")
@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", "deflate", "br", "zstd", "gzip, gzip", "identity", "", "unknown"])
def test_an_encoded_answer_is_refused_before_its_body_is_read(serve, fetcher_for, request_to, error_of, encoding):
    # No body ever arrives: a fetcher that waited for it would run into the deadline.
    def script(connection, _head):
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: {encoding}\r\nContent-Length: 50\r\n\r\n"
        connection.sendall(head.encode())
        connection.recv(1)

    server = serve(script)
    error = error_of(fetcher_for(server, deadline_seconds=3.0), request_to(server))
    assert (error.reason, error.permanent, error.http_status) == ("content_encoding", False, 200)


# F12


def _raw(*lines, body=b""):
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


OK = "HTTP/1.1 200 OK"
TYPE = "Content-Type: application/json"
CHUNKED = "Transfer-Encoding: chunked"

MALFORMED = {
    "nothing at all": (b"", "incomplete"),
    "not HTTP": (b"SSH-2.0-OpenSSH_9\r\n\r\n", "malformed"),
    "HTTP/0.9": (b"<html>hello</html>\n", "malformed"),
    "HTTP/2 version": (_raw("HTTP/2 200", TYPE, "Content-Length: 2", body=b"{}"), "malformed"),
    "status of two digits": (_raw("HTTP/1.1 20 OK", TYPE, "Content-Length: 2", body=b"{}"), "malformed"),
    "status not a number": (_raw("HTTP/1.1 abc OK", TYPE, "Content-Length: 2", body=b"{}"), "malformed"),
    "status line of 1 MiB": (b"HTTP/1.1 200 " + b"a" * 2**20, "headers_too_large"),
    "header cut in a line": (f"{OK}\r\n{TYPE}\r\nContent-Le".encode(), "incomplete"),
    "header cut after a line": (f"{OK}\r\n{TYPE}\r\nContent-Length: 0\r\n".encode(), "incomplete"),
    "header without colon": (_raw(OK, TYPE, "nonsense", "Content-Length: 2", body=b"{}"), "malformed"),
    "folded header": (_raw(OK, "Content-Type:", " application/json", "Content-Length: 2", body=b"{}"), "malformed"),
    "space before colon": (_raw(OK, TYPE, "Content-Length : 2", body=b"{}"), "malformed"),
    "NUL in header": (_raw(OK, TYPE, "X: \0", "Content-Length: 2", body=b"{}"), "malformed"),
    "lone CR in header": (_raw(OK, TYPE, "X: a\rContent-Length: 1", "Content-Length: 2", body=b"{}"), "malformed"),
    "one header of 33 KiB": (_raw(OK, TYPE, "X: " + "a" * 33 * 1024, "Content-Length: 2", body=b"{}"), "headers_too_large"),
    "many headers, 33 KiB": (_raw(OK, TYPE, *["X: " + "a" * 1000] * 34, "Content-Length: 2", body=b"{}"), "headers_too_large"),
    "101 short headers": (_raw(OK, TYPE, *["X: a"] * 101, "Content-Length: 2", body=b"{}"), "malformed"),
    "endless 100 answers": (b"HTTP/1.1 100 Continue\r\n\r\n" * 5000, "headers_too_large"),
    "length too small": (_raw(OK, TYPE, "Content-Length: 1", body=b"{}"), None),
    "length too large": (_raw(OK, TYPE, "Content-Length: 3", body=b"{}"), "incomplete"),
    "length of zero": (_raw(OK, TYPE, "Content-Length: 0"), "empty"),
    "length negative": (_raw(OK, TYPE, "Content-Length: -2", body=b"{}"), "malformed"),
    "length with plus": (_raw(OK, TYPE, "Content-Length: +2", body=b"{}"), "malformed"),
    "length hexadecimal": (_raw(OK, TYPE, "Content-Length: 0x2", body=b"{}"), "malformed"),
    "length in other digits": (_raw(OK, TYPE, "Content-Length: \xb2", body=b"{}"), "malformed"),
    "length empty": (_raw(OK, TYPE, "Content-Length:", body=b"{}"), "malformed"),
    "length list": (_raw(OK, TYPE, "Content-Length: 2, 2", body=b"{}"), "malformed"),
    "two equal lengths": (_raw(OK, TYPE, "Content-Length: 2", "Content-Length: 2", body=b"{}"), "malformed"),
    "two lengths": (_raw(OK, TYPE, "Content-Length: 2", "Content-Length: 1", body=b"{}"), "malformed"),
    "length of 5,000 digits": (_raw(OK, TYPE, "Content-Length: " + "9" * 5000), "malformed"),
    "length over the cap": (_raw(OK, TYPE, "Content-Length: 65537", body=b"x"), "too_large"),
    "length astronomic": (_raw(OK, TYPE, "Content-Length: 999999999999"), "too_large"),
    "no framing": (_raw(OK, TYPE, body=b"{}"), "incomplete"),
    "no framing, HTTP/1.0": (_raw("HTTP/1.0 200 OK", TYPE, "Connection: close", body=b"{}"), "incomplete"),
    "both framings": (_raw(OK, TYPE, CHUNKED, "Content-Length: 2", body=b"2\r\n{}\r\n0\r\n\r\n"), "malformed"),
    "gzip transfer encoding": (_raw(OK, TYPE, "Transfer-Encoding: gzip, chunked", body=b"2\r\n{}\r\n0\r\n\r\n"), "malformed"),
    "unknown transfer encoding": (_raw(OK, TYPE, "Transfer-Encoding: xchunked", body=b"{}"), "malformed"),
    "chunked twice": (_raw(OK, TYPE, CHUNKED, CHUNKED, body=b"2\r\n{}\r\n0\r\n\r\n"), "malformed"),
    "chunks without end": (_raw(OK, TYPE, CHUNKED, body=b"2\r\n{}\r\n"), "incomplete"),
    "chunks cut in the last line": (_raw(OK, TYPE, CHUNKED, body=b"2\r\n{}\r\n0\r\n"), "incomplete"),
    "chunks cut in the data": (_raw(OK, TYPE, CHUNKED, body=b"5\r\n{}"), "incomplete"),
    "large chunk cut at a read": (_raw(OK, TYPE, CHUNKED, body=b"8000\r\n" + b"x" * 16384), "incomplete"),
    "large chunk cut in a read": (_raw(OK, TYPE, CHUNKED, body=b"ffff\r\n{}"), "incomplete"),
    "chunk longer than it says": (_raw(OK, TYPE, CHUNKED, body=b"1\r\n{}\r\n0\r\n\r\n"), "malformed"),
    "chunk size negative": (_raw(OK, TYPE, CHUNKED, body=b"-2\r\n{}\r\n0\r\n\r\n"), "malformed"),
    "chunk size with 0x": (_raw(OK, TYPE, CHUNKED, body=b"0x2\r\n{}\r\n0\r\n\r\n"), "malformed"),
    "chunk size with underscore": (_raw(OK, TYPE, CHUNKED, body=b"0_2\r\n{}\r\n0\r\n\r\n"), "malformed"),
    "chunk size not a number": (_raw(OK, TYPE, CHUNKED, body=b"zz\r\n{}\r\n0\r\n\r\n"), "malformed"),
    "chunk size astronomic": (_raw(OK, TYPE, CHUNKED, body=b"fffffffff\r\n{}"), "malformed"),
    "chunk extension of 40 KiB": (
        _raw(OK, TYPE, CHUNKED, body=b"2;" + b"a" * 40960 + b"\r\n{}\r\n0\r\n\r\n"),
        "headers_too_large",
    ),
    "trailers of 40 KiB": (
        _raw(OK, TYPE, CHUNKED, body=b"2\r\n{}\r\n0\r\n" + b"X: aaaaaaa\r\n" * 4000 + b"\r\n"),
        "headers_too_large",
    ),
    "one-byte chunks over the cap": (_raw(OK, TYPE, CHUNKED, body=b"1\r\nx\r\n" * 65537 + b"0\r\n\r\n"), "headers_too_large"),
    "chunks over the cap": (
        _raw(OK, TYPE, CHUNKED, body=(b"1000\r\n" + b"x" * 4096 + b"\r\n") * 17 + b"0\r\n\r\n"),
        "too_large",
    ),
    "no body in chunks": (_raw(OK, TYPE, CHUNKED, body=b"0\r\n\r\n"), "empty"),
    "no content type": (_raw(OK, "Content-Length: 2", body=b"{}"), "media_type"),
    "HTML": (_raw(OK, "Content-Type: text/html", "Content-Length: 2", body=b"{}"), "media_type"),
    "longer media type": (_raw(OK, "Content-Type: application/json5", "Content-Length: 2", body=b"{}"), "media_type"),
    "media type list": (_raw(OK, "Content-Type: application/json, text/html", "Content-Length: 2", body=b"{}"), "media_type"),
    "two media types": (_raw(OK, TYPE, "Content-Type: text/html", "Content-Length: 2", body=b"{}"), "media_type"),
    "media type empty": (_raw(OK, "Content-Type:", "Content-Length: 2", body=b"{}"), "media_type"),
    "204": (_raw("HTTP/1.1 204 No Content", TYPE), "unexpected_status"),
    "206": (_raw("HTTP/1.1 206 Partial Content", TYPE, "Content-Length: 2", body=b"{}"), "unexpected_status"),
    "201": (_raw("HTTP/1.1 201 Created", TYPE, "Content-Length: 2", body=b"{}"), "unexpected_status"),
    "103 early hints": (_raw("HTTP/1.1 103 Early Hints", "Link: </x>"), "unexpected_status"),
    "101 upgrade": (_raw("HTTP/1.1 101 Switching Protocols", "Upgrade: h2c"), "unexpected_status"),
    "status 999": (_raw("HTTP/1.1 999 Denied", TYPE, "Content-Length: 2", body=b"{}"), "unexpected_status"),
}


@pytest.mark.threat("F12")
@pytest.mark.parametrize("case", [name for name, (_, reason) in MALFORMED.items() if reason])
def test_a_malformed_answer_is_a_typed_error(serve, fetcher_for, request_to, error_of, case):
    data, reason = MALFORMED[case]
    server = serve(data)
    error = error_of(fetcher_for(server), request_to(server))
    assert (error.reason, error.permanent) == (reason, False)
    assert type(error) is FetchError


@pytest.mark.threat("F12")
def test_bytes_after_the_announced_length_are_not_part_of_the_answer(serve, fetcher_for, request_to):
    server = serve(MALFORMED["length too small"][0])
    assert fetcher_for(server).fetch(request_to(server)).body == b"{"


@pytest.mark.threat("F12")
@pytest.mark.parametrize(("size", "reason"), [(99, None), (100, None), (101, "too_large"), (10_000, "too_large")])
@pytest.mark.parametrize("chunked", [False, True])
def test_the_size_cap_is_exact(serve, fetcher_for, request_to, error_of, size, reason, chunked):
    body = b"x" * size
    framed = answer(b"%x\r\n%b\r\n0\r\n\r\n" % (size, body), CHUNKED, length=False) if chunked else answer(body)
    server = serve(framed)
    fetcher, request = fetcher_for(server), request_to(server, max_bytes=100)
    if reason is None:
        assert len(fetcher.fetch(request).body) == size
    else:
        assert error_of(fetcher, request).reason == reason


@pytest.mark.threat("F12")
def test_an_endless_chunked_body_is_left_after_the_cap(serve, fetcher_for, request_to, error_of):
    sent = []

    def script(connection, _head):
        connection.sendall(_raw(OK, TYPE, CHUNKED))
        try:
            for _ in range(100_000):
                connection.sendall(b"4000\r\n" + b"x" * 0x4000 + b"\r\n")
                sent.append(1)
        except OSError:
            pass

    server = serve(script)
    assert error_of(fetcher_for(server), request_to(server)).reason == "too_large"
    server.close()
    assert len(sent) < 5000


@pytest.mark.threat("F12", "X08")
@pytest.mark.parametrize(
    ("status", "reason", "permanent"),
    [
        (400, "client_error", True),
        (401, "client_error", True),
        (403, "client_error", True),
        (404, "client_error", True),
        (410, "client_error", True),
        (408, "temporary_client_error", False),
        (425, "temporary_client_error", False),
        (429, "temporary_client_error", False),
        (500, "server_error", False),
        (502, "server_error", False),
        (503, "server_error", False),
        (599, "server_error", False),
    ],
)
def test_the_class_of_a_status_is_that_of_the_fault_table(serve, fetcher_for, request_to, error_of, status, reason, permanent):
    server = serve(answer(b'{"error": "not_found secret"}', status=f"{status} Secret reason"))
    error = error_of(fetcher_for(server), request_to(server))
    assert (error.reason, error.permanent, error.http_status) == (reason, permanent, status)
    assert "ecret" not in error.description


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0),
        ("120", 120),
        ("3600", 3600),
        ("999999999999999999999", 3600),
        ("Thu, 01 Jan 1970 00:01:30 GMT", 60),
        ("Thu, 01 Jan 1970 00:00:01 GMT", 0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 3600),
        ("-5", None),
        ("soon", None),
        ("", None),
        ("Thu, 99 Jan 1970 00:01:30 GMT", None),
    ],
)
def test_retry_after_is_read_in_both_forms_up_to_one_hour(serve, fetcher_for, request_to, error_of, value, seconds):
    server = serve(answer(b"", f"Retry-After: {value}", status="503 Busy"))
    assert error_of(fetcher_for(server, clock=lambda: 30.0), request_to(server)).retry_after == seconds


@pytest.mark.threat("F12")
def test_cookies_are_never_kept_or_sent(serve, fetcher_for, request_to):
    server = serve(answer(b"{}", "Set-Cookie: a=1; Path=/", "Set-Cookie2: b=2"))
    fetcher = fetcher_for(server)
    first = fetcher.fetch(request_to(server))
    fetcher.fetch(request_to(server))
    assert not any("cookie" in name for name in first.headers)
    assert all(b"cookie" not in request.lower() for request in server.requests)


# F15


@pytest.mark.threat("F15")
def test_proxies_and_netrc_of_the_environment_are_ignored(serve, fetcher_for, request_to, monkeypatch, tmp_path):
    proxy = serve(certificate=None)
    server = serve()
    netrc = tmp_path / ".netrc"
    netrc.write_text("default login alice password secret\n")
    netrc.chmod(0o600)
    for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "missing.pem"))
    key_log = tmp_path / "keys.log"
    monkeypatch.setenv("SSLKEYLOGFILE", str(key_log))
    assert fetcher_for(server).fetch(request_to(server)).status == 200
    assert proxy.connections == 0
    assert b"authorization" not in server.requests[0].lower()
    assert not key_log.exists()


# F16


@pytest.mark.threat("F16")
def test_the_settings_have_no_switch_for_verification():
    names = {field.name for field in dataclasses.fields(FetchConfig)}
    assert not [name for name in names if any(word in name for word in ("verify", "insecure", "check", "tls", "ssl", "cert"))]
    assert "ca_bundle" in names


@pytest.mark.threat("F16")
def test_a_self_signed_certificate_is_refused_before_the_request_is_sent(serve, certificates, fetcher_for, request_to, error_of):
    server = serve(certificate=certificates.stranger)
    error = error_of(fetcher_for(server), request_to(server))
    assert (error.reason, error.permanent) == ("tls", False)
    assert server.requests == []


@pytest.mark.threat("F16")
def test_a_certificate_for_another_name_is_refused(serve, fetcher_for, request_to, error_of):
    server = serve()
    error = error_of(fetcher_for(server, host="a.other.test"), request_to(server, host="a.other.test"))
    assert error.reason == "tls"
    assert server.requests == []


@pytest.mark.threat("F16")
def test_the_ca_bundle_setting_replaces_the_usual_authorities(serve, fetcher_for, request_to, error_of):
    server = serve()
    assert error_of(fetcher_for(server, ca_bundle=None), request_to(server)).reason == "tls"
    fetcher = fetcher_for(server)
    fetcher.fetch(request_to(server))
    assert fetcher._context.cert_store_stats()["x509_ca"] == 1


@pytest.mark.threat("F16")
def test_tls_older_than_1_2_is_not_offered(serve, fetcher_for):
    context = fetcher_for()._context
    assert context.minimum_version.name == "TLSv1_2"
    assert context.check_hostname
    assert context.verify_mode.name == "CERT_REQUIRED"


@pytest.mark.threat("F16")
def test_a_server_without_tls_gets_no_request(serve, fetcher_for, request_to, error_of):
    server = serve(lambda connection, _head: connection.sendall(answer()), certificate=None, raw=True)
    assert error_of(fetcher_for(server), request_to(server)).reason in {"tls", "reset"}


# Errors


def test_a_refused_and_a_reset_connection_are_transient(serve, fetcher_for, request_to, error_of):
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    listener.close()
    fetcher = HttpFetcher(FetchConfig(allowed_private=frozenset({f"a.example.test:{port}"}), resolver=lambda _host, _port: ["127.0.0.1"]))
    error = error_of(fetcher, request_to(f"https://a.example.test:{port}/"))
    assert (error.reason, error.permanent) == ("refused", False)
    server = serve(lambda connection, _head: connection.close(), certificate=None, raw=True)
    error = error_of(fetcher_for(server), request_to(server))
    assert (error.reason, error.permanent) in {("reset", False), ("tls", False)}


def test_a_name_that_does_not_resolve_is_transient(fetcher_for, request_to, error_of):
    def resolver(_host, _port):
        raise socket.gaierror(-2, "Name or service not known")

    for answers in (resolver, lambda _host, _port: []):
        error = error_of(fetcher_for(resolver=answers), request_to("https://a.example.test/"))
        assert (error.reason, error.permanent) == ("dns", False)


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"", None),
        (b"nonsense\r\n\r\n", None),
        (answer(b"", status="404 Not Found"), 404),
        (_raw(OK, TYPE, "Content-Length: 3", body=b"{}"), 200),
        (_raw(OK, TYPE, CHUNKED, body=b"5\r\n{}"), 200),
        (_raw(OK, TYPE, CHUNKED, body=b"zz\r\n{}"), 200),
        (_raw(OK, TYPE, "Content-Length: 65537"), 200),
    ],
)
def test_an_error_tells_the_status_once_there_was_one(serve, fetcher_for, request_to, error_of, data, status):
    server = serve(data)
    assert error_of(fetcher_for(server), request_to(server)).http_status == status


def test_a_request_that_makes_no_sense_cannot_be_built():
    with pytest.raises(ValueError, match="media types"):
        FetchRequest("https://a.example.test/", FetchPurpose.JWKS, (), 10)
    with pytest.raises(ValueError, match="size cap"):
        FetchRequest("https://a.example.test/", FetchPurpose.JWKS, (JSON_TYPE,), 0)
    with pytest.raises(ValueError, match="only POST"):
        FetchRequest("https://a.example.test/", FetchPurpose.JWKS, (JSON_TYPE,), 10, form=b"a=b")
