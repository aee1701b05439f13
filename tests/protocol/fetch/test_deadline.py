"""A deadline is wall-clock time, whatever drips, hangs or waits (F10, findings 1 and 2)."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import threading
import time
from pathlib import Path

import pytest

from protocol.errors import FetchError
from protocol.fetch import HttpFetcher
from protocol.fetch.limits import Bulkhead
from protocol.fetch.watchdog import Watchdog
from tests.protocol.fetch.servers import answer, dripping

pytestmark = [pytest.mark.threat("F10", "X09"), pytest.mark.allow_hosts(["127.0.0.1", "::1"])]

DEADLINE = 0.4
MARGIN = 0.3


@pytest.fixture
def fails_at_deadline(error_of):
    """Run a fetch that must fail by the deadline, in time."""

    def run(fetcher: HttpFetcher, request, reason="deadline"):
        start = time.monotonic()
        error = error_of(fetcher, request)
        seconds = time.monotonic() - start
        assert (error.reason, error.permanent) == (reason, False)
        assert DEADLINE - 0.05 <= seconds <= DEADLINE + MARGIN
        return error

    return run


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(dripping(b"", b""), id="silence"),
        pytest.param(dripping(b"HTTP/1.1 2", b"0"), id="status line"),
        pytest.param(dripping(HEAD, b"X-Drip: 1\r\n"), id="header lines"),
        pytest.param(dripping(HEAD + b"X-Drip: ", b"a"), id="inside a header"),
        pytest.param(dripping(b"", b"HTTP/1.1 100 Continue\r\n\r\n"), id="interim answers"),
        pytest.param(dripping(HEAD + b"Content-Length: 60\r\n\r\n", b"x"), id="body"),
        pytest.param(dripping(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"), id="chunks"),
        pytest.param(dripping(HEAD + b"Transfer-Encoding: chunked\r\n\r\n2;", b"x"), id="chunk extension"),
        pytest.param(dripping(HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n", b"X: 1\r\n"), id="trailers"),
    ],
)
def test_a_server_that_drips_is_left_at_the_deadline(serve, fetcher_for, request_to, fails_at_deadline, script):
    server = serve(script)
    fails_at_deadline(fetcher_for(server, deadline_seconds=DEADLINE), request_to(server))


def test_a_head_that_our_own_deadline_cuts_is_not_a_success(serve, fetcher_for, request_to, fails_at_deadline):
    # Complete but for its blank line: the standard library takes what is there for a 200 with an empty body.
    server = serve(dripping(HEAD + b"Content-Length: 0\r\n", b""))
    fails_at_deadline(fetcher_for(server, deadline_seconds=DEADLINE), request_to(server))


def test_a_handshake_that_drips_is_left_at_the_deadline(serve, fetcher_for, request_to, certificates, fails_at_deadline):
    def script(connection, _head):
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificates.good)
        session = context.wrap_bio(incoming, outgoing, server_side=True)
        incoming.write(connection.recv(4096))
        with pytest.raises(ssl.SSLWantReadError):
            session.do_handshake()
        for byte in outgoing.read():
            connection.sendall(bytes([byte]))
            time.sleep(0.05)

    server = serve(script, certificate=None, raw=True)
    fails_at_deadline(fetcher_for(server, deadline_seconds=DEADLINE), request_to(server))


def test_a_handshake_that_never_starts_is_left_at_the_deadline(serve, fetcher_for, request_to, fails_at_deadline):
    server = serve(lambda connection, _head: connection.recv(1) and time.sleep(1), certificate=None, raw=True)
    fails_at_deadline(fetcher_for(server, deadline_seconds=DEADLINE), request_to(server))


def test_name_resolution_that_hangs_is_left_at_the_deadline(fetcher_for, request_to, fails_at_deadline):
    release = threading.Event()

    def resolver(_host, _port):
        release.wait(5)
        return ["127.0.0.1"]

    fetcher = fetcher_for(resolver=resolver, deadline_seconds=DEADLINE)
    fails_at_deadline(fetcher, request_to("https://a.example.test/"))
    release.set()


def test_hanging_name_resolution_uses_a_bounded_number_of_threads(fetcher_for, request_to):
    release = threading.Event()
    running = []

    def resolver(_host, _port):
        running.append(threading.current_thread())
        release.wait(5)
        return ["127.0.0.1"]

    fetcher = fetcher_for(resolver=resolver, deadline_seconds=DEADLINE, resolver_threads=2)
    requests = [request_to(f"https://h{number}.example.test/") for number in range(6)]
    start = time.monotonic()
    results = fetcher.fetch_many(requests)
    assert time.monotonic() - start <= DEADLINE + MARGIN
    assert {result.reason for result in results} == {"deadline"}
    assert len(set(running)) == 2
    release.set()


def test_connecting_shares_the_deadline_among_the_addresses(fetcher_for, request_to, fails_at_deadline):
    tried = []

    def connector(address, _port, timeout):
        tried.append(str(address))
        time.sleep(timeout)
        raise TimeoutError("timed out")

    addresses = ["192.0.1.1", "192.0.1.2", "192.0.1.3", "192.0.1.4"]
    fetcher = fetcher_for(resolver=lambda _host, _port: addresses, connector=connector, deadline_seconds=DEADLINE)
    fails_at_deadline(fetcher, request_to("https://a.example.test/"))
    assert tried == addresses[:3]


def test_a_request_can_shorten_the_deadline_but_not_lengthen_it(serve, fetcher_for, request_to, error_of):
    server = serve(dripping(HEAD + b"Content-Length: 60\r\n\r\n", b"x"))
    for configured, asked, expected in ((5.0, 0.2, 0.2), (0.3, 5.0, 0.3)):
        start = time.monotonic()
        assert error_of(fetcher_for(server, deadline_seconds=configured), request_to(server, deadline_seconds=asked)).reason == "deadline"
        assert expected - 0.05 <= time.monotonic() - start <= expected + MARGIN


def test_no_time_left_is_a_deadline_without_a_connection(serve, fetcher_for, request_to, error_of):
    server = serve()
    assert error_of(fetcher_for(server), request_to(server, deadline_seconds=-1)).reason == "deadline"
    assert server.connections == 0


def test_at_most_two_fetches_run_to_one_host_and_the_rest_wait_for_their_deadline(serve, fetcher_for, request_to):
    server = serve(dripping(HEAD + b"Content-Length: 60\r\n\r\n", b"x"))
    fetcher = fetcher_for(server, deadline_seconds=DEADLINE)
    reasons = []

    def run(number):
        with pytest.raises(FetchError) as caught:
            fetcher.fetch(request_to(server, f"/{number}"))
        reasons.append(caught.value.reason)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(8)]
    start = time.monotonic()
    for thread in threads:
        thread.start()
    # Half-way, since a fetch in the line may get its slot in the last instant.
    time.sleep(DEADLINE / 2)
    assert (server.connections, fetcher.sizes()["running"]) == (2, 2)
    for thread in threads:
        thread.join()
    assert time.monotonic() - start <= DEADLINE + MARGIN
    assert set(reasons) <= {"deadline", "busy"}
    assert fetcher.sizes()["running"] == 0


def test_one_slow_host_does_not_hold_up_another(serve, fetcher_for, request_to):
    slow = serve(dripping(HEAD + b"Content-Length: 60\r\n\r\n", b"x"))
    quick = serve()
    fetcher = fetcher_for(slow, quick, hosts=("b.example.test",), deadline_seconds=DEADLINE)
    requests = [request_to(slow, f"/{number}") for number in range(2)] + [request_to(quick, host="b.example.test")]
    threads = [threading.Thread(target=fetcher.fetch_many, args=([request],)) for request in requests[:2]]
    for thread in threads:
        thread.start()
    start = time.monotonic()
    assert fetcher.fetch(requests[2]).status == 200
    assert time.monotonic() - start < DEADLINE
    for thread in threads:
        thread.join()


@pytest.mark.parametrize("data", [answer(), answer(status="404 Not Found"), b"nonsense", answer(b"", "Location: /", status="302 Found")])
def test_a_slot_is_given_back_on_every_path(serve, fetcher_for, request_to, data):
    server = serve(data)
    fetcher = fetcher_for(server, max_concurrent=1, max_concurrent_per_host=1)
    results = [fetcher.fetch_many([request_to(server, f"/{number}")]) for number in range(3)]
    assert len(results) == server.connections == 3
    assert fetcher.sizes()["running"] == fetcher.sizes()["flights"] == 0


@pytest.mark.threat("S11")
def test_no_descriptor_outlives_its_fetch(serve, fetcher_for, request_to):
    server = serve(lambda connection, head: connection.sendall(answer(b"{}") if b"/0" in head else b"nonsense"))
    fetcher = fetcher_for(server, deadline_seconds=60.0)
    fetcher.fetch(request_to(server, "/0"))
    settled = _connections_to(server.port)
    for number in range(10):
        fetcher.fetch_many([request_to(server, f"/{number}")])
    assert _connections_to(server.port) <= settled


def _connections_to(port: int) -> int:
    """How many sockets of this process are connected to the port, ours and the duplicates that watches hold."""
    count = 0
    for descriptor in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError), socket.socket(fileno=os.dup(int(descriptor.name))) as duplicate:
            count += duplicate.getpeername()[1] == port
    return count


def test_the_whole_process_has_a_limit(request_to):
    bulkhead, dog = Bulkhead(2, 2), Watchdog()
    with bulkhead.slot("a", dog.watch(1)), bulkhead.slot("b", dog.watch(1)):
        watch = dog.watch(0.05)
        with pytest.raises(FetchError) as caught, bulkhead.slot("c", watch):
            pass
        assert caught.value.reason == "busy"
    with bulkhead.slot("c", dog.watch(1)):
        assert bulkhead.running == 1
    assert bulkhead.running == 0


def test_a_watch_cuts_a_connection_even_after_tls_took_it_over():
    left, right = socket.socketpair()
    watch = Watchdog().watch(0.1)
    watch.guard(left)
    taken_over = socket.socket(left.family, left.type, left.proto, fileno=left.detach())
    taken_over.settimeout(2)
    start = time.monotonic()
    assert taken_over.recv(1) == b""
    assert 0.05 < time.monotonic() - start < 0.4
    assert watch.expired
    for end in (taken_over, right):
        end.close()


def test_a_released_watch_leaves_the_connection_alone():
    left, right = socket.socketpair()
    dog = Watchdog()
    watch = dog.watch(0.05)
    watch.guard(left)
    watch.release()
    dog.watch(0.1)
    time.sleep(0.15)
    right.sendall(b"x")
    assert left.recv(1) == b"x"
    for end in (left, right):
        end.close()


def test_a_watch_that_fired_guards_nothing_more():
    watch = Watchdog().watch(0.01)
    time.sleep(0.1)
    left, right = socket.socketpair()
    with pytest.raises(FetchError):
        watch.guard(left)
    with pytest.raises(FetchError):
        watch.remaining()
    for end in (left, right):
        end.close()


def test_one_thread_serves_all_deadlines():
    dog = Watchdog()
    before = threading.active_count()
    watches = [dog.watch(0.05 + number / 1000) for number in range(100)]
    assert threading.active_count() <= before + 1
    time.sleep(0.3)
    assert all(watch.expired for watch in watches)
