"""Resolve once, judge all answers, connect where was judged (F06, F07, F08, F09)."""

from __future__ import annotations

import ipaddress
import os
import signal
import socket
from contextlib import ExitStack

import pytest

from protocol.errors import FetchError
from protocol.fetch import FetchConfig
from protocol.fetch.resolving import ResolverPool
from protocol.fetch.sockets import connect_tcp, resolve_by_system
from protocol.fetch.watchdog import Watchdog

pytestmark = pytest.mark.allow_hosts(["127.0.0.1", "127.0.0.2", "::1"])


class Resolver:
    """Gives one list of answers after another and counts."""

    def __init__(self, *answers):
        self.answers = answers
        self.calls = []

    def __call__(self, host, port):
        self.calls.append((host, port))
        return self.answers[min(len(self.calls), len(self.answers)) - 1]


class Connector:
    """Connects nowhere and records where to."""

    def __init__(self):
        self.targets = []

    def __call__(self, address, port, _timeout):
        self.targets.append((str(address), port))
        raise ConnectionRefusedError("closed")


@pytest.mark.threat("F06")
def test_a_name_is_resolved_once_and_the_connection_goes_to_that_answer(fetcher_for, request_to, error_of):
    resolver, connector = Resolver(["192.0.1.1"], ["127.0.0.1"]), Connector()
    fetcher = fetcher_for(resolver=resolver, connector=connector)
    error = error_of(fetcher, request_to("https://a.example.test/x"))
    assert error.reason == "refused"
    assert resolver.calls == [("a.example.test", 443)]
    assert connector.targets == [("192.0.1.1", 443)]


@pytest.mark.threat("F06", "F07")
@pytest.mark.parametrize(
    "answers",
    [
        ["127.0.0.1"],
        ["192.0.1.1", "127.0.0.1"],
        ["127.0.0.1", "192.0.1.1"],
        ["192.0.1.1", "2a00:1450::1", "64:ff9b::7f00:1"],
        ["::ffff:192.0.1.1"],
        ["169.254.169.254"],
        ["fe80::1%eth0"],
        ["not an address"],
        ["0"],
    ],
)
def test_one_denied_answer_refuses_the_name(fetcher_for, request_to, error_of, answers):
    connector = Connector()
    fetcher = fetcher_for(resolver=lambda _host, _port: answers, connector=connector)
    error = error_of(fetcher, request_to("https://a.example.test/x"))
    assert (error.reason, error.permanent) == ("address_refused", False)
    assert connector.targets == []


@pytest.mark.threat("F06")
def test_a_connection_that_lands_elsewhere_is_dropped_before_a_byte_is_sent(serve, fetcher_for, request_to, error_of):
    server = serve(address="127.0.0.2")

    def connector(_address, port, timeout):
        return connect_tcp(ipaddress.ip_address("127.0.0.2"), port, timeout)

    error = error_of(fetcher_for(server, connector=connector), request_to(server))
    assert (error.reason, error.permanent) == ("address_refused", False)
    server.wait_for_connections(1)
    server.close()
    assert (server.connections, server.bytes_received, server.requests) == (1, 0, [])


@pytest.mark.threat("F06")
def test_a_connection_to_another_port_is_dropped(serve, fetcher_for, request_to, error_of):
    server, other = serve(), serve()

    def connector(address, _port, timeout):
        return connect_tcp(address, other.port, timeout)

    assert error_of(fetcher_for(server, connector=connector), request_to(server)).reason == "address_refused"
    assert other.requests == []


@pytest.mark.threat("F06")
def test_a_connection_that_is_gone_already_is_an_error(fetcher_for, request_to, error_of):
    def connector(_address, _port, _timeout):
        left, right = socket.socketpair()
        left.close()
        right.close()
        return left

    error = error_of(fetcher_for(resolver=lambda _host, _port: ["192.0.1.1"], connector=connector), request_to("https://a.example.test/"))
    assert error.reason == "network"


@pytest.mark.threat("F07")
def test_an_operator_can_deny_networks_for_every_host(fetcher_for, request_to, error_of):
    connector = Connector()
    fetcher = fetcher_for(
        resolver=lambda _host, _port: ["192.0.1.1"],
        connector=connector,
        denied_networks=(ipaddress.ip_network("192.0.1.0/24"),),
    )
    assert error_of(fetcher, request_to("https://a.example.test/x")).reason == "address_refused"


@pytest.mark.threat("F07")
def test_the_private_exception_is_for_exact_host_and_port(serve, fetcher_for, request_to, error_of):
    server = serve()
    fetcher = fetcher_for(server, ports=frozenset({443, server.port}))
    assert fetcher.fetch(request_to(server)).status == 200
    assert fetcher.fetch(request_to(server, host="A.Example.TEST")).status == 200
    for host in ("b.example.test", "a.example.test.example.test", "x.a.example.test", "example.test"):
        assert error_of(fetcher, request_to(server, host=host)).reason == "address_refused"
    assert error_of(fetcher, request_to("https://a.example.test/jwks")).reason == "address_refused"


@pytest.mark.threat("F07")
@pytest.mark.parametrize("address", ["169.254.169.254", "fe80::1", "0.0.0.1", "::ffff:127.0.0.1"])
def test_the_private_exception_does_not_open_metadata_addresses(fetcher_for, request_to, error_of, address):
    fetcher = fetcher_for(allowed_private=frozenset({"a.example.test:443"}), resolver=lambda _host, _port: [address])
    assert error_of(fetcher, request_to("https://a.example.test/")).reason == "address_refused"


HOSTILE = [
    "http://a.example.test/",
    "file:///etc/passwd",
    "gopher://a.example.test/",
    "https://127.0.0.1/",
    "https://[::1]/",
    "https://2130706433/",
    "https://0x7f000001/",
    "https://0177.0.0.1/",
    "https://127.1/",
    "https://0/",
    "https://localhost/",
    "https://user@a.example.test/",
    "https://good.test\\@evil.test/",
    "https://a.example.test\t/",
    "https://a.example.test/\n",
    "https://ａ.example.test/",
    "https://a.example.test./",
    "https:a.example.test/",
    "https://a.example.test/#f",
    "https://a.example.test:/",
    "https://a.example.test:0/",
    "https://[fe80::1%25eth0]/",
    "",
    "https://",
    "\ud800",
    "https://a.example.test/" + "a" * 20_000,
]


@pytest.mark.threat("F01", "F08")
@pytest.mark.parametrize("url", HOSTILE)
def test_a_hostile_url_is_refused_without_any_network_activity(fetcher_for, request_to, error_of, url):
    resolver, connector = Resolver(["192.0.1.1"]), Connector()
    error = error_of(fetcher_for(resolver=resolver, connector=connector), request_to(url))
    assert (error.reason, error.permanent) == ("url_refused", True)
    assert resolver.calls == connector.targets == []


@pytest.mark.threat("F09")
@pytest.mark.parametrize("port", [1, 22, 25, 80, 444, 6379, 8443, 65535])
def test_a_port_outside_the_list_is_refused_without_any_network_activity(fetcher_for, request_to, error_of, port):
    resolver = Resolver(["192.0.1.1"])
    error = error_of(fetcher_for(resolver=resolver), request_to(f"https://a.example.test:{port}/"))
    assert error.reason == "url_refused"
    assert resolver.calls == []


@pytest.mark.threat("F09")
def test_a_further_port_can_be_configured(fetcher_for, request_to, error_of):
    connector = Connector()
    fetcher = fetcher_for(resolver=lambda _host, _port: ["192.0.1.1"], connector=connector, ports=frozenset({443, 8443}))
    error_of(fetcher, request_to("https://a.example.test:8443/"))
    assert connector.targets == [("192.0.1.1", 8443)]


@pytest.mark.threat("F09")
def test_closed_open_filtered_and_forbidden_targets_get_the_same_sentence(request_to, error_of, serve, fetcher_for):
    server = serve(lambda connection, _head: connection.sendall(b"SSH-2.0-OpenSSH_9 secret banner\r\n"), certificate=None, raw=True)

    def closed(_address, _port, _timeout):
        raise ConnectionRefusedError(111, "Connection refused by 192.0.1.1")

    def filtered(_address, _port, _timeout):
        raise TimeoutError("timed out")

    def unreachable(_address, _port, _timeout):
        raise OSError(113, "No route to host 192.0.1.1")

    def unknown(_host, _port):
        raise socket.gaierror(-2, "Name or service not known")

    url = "https://a.example.test/"
    errors = [error_of(fetcher_for(server), request_to(server))]
    for connector in (closed, filtered, unreachable):
        fetcher = fetcher_for(resolver=lambda _host, _port: ["192.0.1.1"], connector=connector)
        errors.append(error_of(fetcher, request_to(url)))
    errors.extend(error_of(fetcher_for(resolver=resolver), request_to(url)) for resolver in (unknown, lambda _host, _port: ["10.0.0.1"]))
    assert {error.reason for error in errors} == {"tls", "refused", "deadline", "network", "dns", "address_refused"}
    assert {error.description for error in errors} == {"The URL could not be fetched."}
    assert {error.permanent for error in errors} == {False}
    assert {str(error) for error in errors} == {"The URL could not be fetched."}


@pytest.mark.parametrize(
    "settings",
    [
        {"allowed_private": frozenset({"a.example.test"})},
        {"allowed_private": frozenset({"a.example.test:0"})},
        {"allowed_private": frozenset({"https://a.example.test:443"})},
        {"allowed_private": frozenset({"*.example.test:443"})},
        {"allowed_private": frozenset({"10.0.0.0/8:443"})},
        {"deadline_seconds": 0},
        {"max_concurrent": 0},
        {"max_negative_entries": -1},
    ],
)
def test_a_wrong_setting_is_a_loud_error(settings):
    with pytest.raises(ValueError, match=r"host:port|above zero"):
        FetchConfig(**settings)


def test_the_system_resolver_gives_distinct_addresses_in_order(monkeypatch):
    answers = [(2, 1, 6, "", ("192.0.1.2", 443)), (2, 1, 6, "", ("192.0.1.1", 443)), (2, 1, 6, "", ("192.0.1.2", 443))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_options: answers)
    assert resolve_by_system("a.example.test", 443) == ["192.0.1.2", "192.0.1.1"]


def test_a_full_line_of_names_to_resolve_is_busy():
    pool, dog = ResolverPool(1), Watchdog()
    pool._line.extend((lambda: ["192.0.1.1"], None) for _ in range(8))
    with pytest.raises(FetchError) as caught:
        pool.call(lambda: ["192.0.1.1"], dog.watch(1))
    assert caught.value.reason == "busy"


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_fetcher_works_in_a_forked_process(serve, fetcher_for, request_to):
    server = serve()
    fetcher = fetcher_for(server)
    assert fetcher.fetch(request_to(server)).status == 200
    locks = [fetcher._watchdog._changed, fetcher._resolvers._changed, fetcher._bulkhead._changed, fetcher._rates._lock]
    locks += [fetcher._failures._lock, fetcher._flights._lock]
    with ExitStack() as held:
        for lock in locks:  # whatever other threads hold at this moment, nobody gives back over there
            held.enter_context(lock)
        child = os.fork()
        if child == 0:
            signal.alarm(20)
            status = 1
            try:
                status = 0 if fetcher.fetch(request_to(server, "/child", deadline_seconds=10)).status == 200 else 1
            finally:
                os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    assert fetcher.fetch(request_to(server, "/parent")).status == 200
