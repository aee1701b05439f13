"""Rates, single flight, remembered failures and many at once, all bounded (F14, S11)."""

from __future__ import annotations

import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import FetchError
from protocol.fetch import FetchResponse
from protocol.fetch.caches import NegativeCache, SingleFlight
from protocol.fetch.failures import FAILURES, failure
from protocol.fetch.limits import HostRates
from protocol.fetch.watchdog import Watchdog
from tests.protocol.fetch.servers import answer

pytestmark = pytest.mark.allow_hosts(["127.0.0.1", "::1"])


class Clock:
    """Monotonic time that moves when told to; sleeping moves it too."""

    def __init__(self):
        self.now = 1000.0
        self.slept = []

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def clock():
    return Clock()


# Negative cache


@pytest.fixture
def cache(clock):
    return NegativeCache(seconds=60, longest=3600, max_entries=100, monotonic=clock)


def _remembered_for(cache, clock, key=b"key"):
    start = clock.now
    step = 1.0
    while True:
        try:
            cache.check(key)
        except FetchError:
            clock.now += step
        else:
            return clock.now - start


@pytest.mark.threat("F14")
def test_a_failure_is_remembered_longer_each_time_up_to_one_hour(cache, clock):
    seconds = []
    for _ in range(9):
        cache.remember(b"key", failure("dns"))
        seconds.append(_remembered_for(cache, clock))
    assert seconds == [60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]


@pytest.mark.threat("F14")
def test_a_success_forgets_the_failures_before_it(cache, clock):
    cache.remember(b"key", failure("dns"))
    cache.remember(b"key", failure("dns"))
    cache.forget(b"key")
    cache.check(b"key")
    cache.remember(b"key", failure("dns"))
    assert _remembered_for(cache, clock) == 60


def test_retry_after_of_the_answer_is_honoured_up_to_one_hour(cache, clock):
    cache.remember(b"key", failure("server_error", retry_after=600))
    assert _remembered_for(cache, clock) == 600
    cache.remember(b"other", failure("server_error", retry_after=100_000))
    assert _remembered_for(cache, clock, b"other") == 3600


def test_a_remembered_error_says_when_to_come_back_and_is_otherwise_the_same(cache, clock):
    cache.remember(b"key", failure("client_error", "gone", http_status=410))
    clock.now += 19.5
    with pytest.raises(FetchError) as caught:
        cache.check(b"key")
    error = caught.value
    assert (error.reason, error.permanent, error.http_status, error.detail, error.retry_after) == (
        "client_error",
        True,
        410,
        "gone",
        41,
    )


def test_our_own_limits_are_not_remembered_against_a_url(cache):
    for reason, row in FAILURES.items():
        cache.remember(reason.encode(), failure(reason))
        if not row.remembered:
            cache.check(reason.encode())
    assert len(cache) == sum(row.remembered for row in FAILURES.values())
    assert [reason for reason, row in FAILURES.items() if not row.remembered] == ["url_refused", "busy", "rate_limited"]


@pytest.mark.threat("S11")
@given(st.lists(st.binary(max_size=4), max_size=400))
def test_remembered_failures_are_bounded(keys):
    cache = NegativeCache(seconds=60, longest=3600, max_entries=10, monotonic=lambda: 0.0)
    for key in keys:
        cache.remember(key, failure("dns", "x" * 10_000))
        assert len(cache) <= 10
        with pytest.raises(FetchError) as caught:
            cache.check(key)
        assert len(caught.value.detail) <= 300


@pytest.mark.threat("F14")
def test_a_failed_url_is_asked_once_a_minute_and_then_less(serve, fetcher_for, request_to, error_of, clock):
    server = serve(answer(status="404 Not Found"))
    fetcher = fetcher_for(server, monotonic=clock, sleep=clock.sleep)
    asked = []
    for _ in range(600):
        error_of(fetcher, request_to(server))
        clock.now += 1
        asked.append(server.connections)
    assert (asked[59], asked[179], asked[419], asked[599]) == (1, 2, 3, 4)


def test_a_second_look_goes_past_remembered_failures(serve, fetcher_for, request_to, error_of):
    server = serve(answer(status="404 Not Found"))
    fetcher = fetcher_for(server)
    for _ in range(2):
        error_of(fetcher, request_to(server, past_caches=True))
    assert server.connections == 2


def test_another_document_of_the_host_is_asked_for_all_the_same(serve, fetcher_for, request_to, error_of):
    server = serve(answer(status="404 Not Found"))
    fetcher = fetcher_for(server)
    for path in ("/a", "/b"):
        error_of(fetcher, request_to(server, path))
    error_of(fetcher, request_to(server, "/a", accept=("application/jwk-set+json",)))
    assert server.connections == 3


def test_a_deadline_that_the_caller_shortened_is_not_held_against_the_url(serve, fetcher_for, request_to, error_of):
    wait = threading.Event()

    def script(connection, _head):
        wait.wait(2)
        connection.sendall(answer(b"{}"))

    server = serve(script)
    fetcher = fetcher_for(server)
    assert error_of(fetcher, request_to(server, deadline_seconds=0.1)).reason == "deadline"
    wait.set()
    assert fetcher.fetch(request_to(server)).body == b"{}"


# Rates


def _rates(clock, **settings):
    defaults = {"burst": 3, "per_second": 2.0, "longest_wait": 0.6, "max_hosts": 5, "monotonic": clock, "sleep": clock.sleep}
    return HostRates(**(defaults | settings))


@pytest.mark.threat("F14")
def test_a_host_gets_its_burst_then_a_short_wait_then_a_refusal(clock):
    rates, watch = _rates(clock, sleep=lambda _seconds: None), Watchdog().watch(60)
    for _ in range(3):
        rates.take("a", watch)
    rates.take("a", watch)  # the next token is half a second away
    with pytest.raises(FetchError) as caught:
        rates.take("a", watch)
    assert (caught.value.reason, caught.value.permanent, caught.value.retry_after) == ("rate_limited", False, 1)
    rates.take("b", watch)
    clock.now += 1.5
    rates.take("a", watch)


@pytest.mark.threat("F14")
def test_over_time_a_host_gets_no_more_than_its_rate(clock):
    rates, taken, start = _rates(clock), 0, clock.now
    while clock.now < start + 100:
        try:
            rates.take("a", Watchdog().watch(60))
            taken += 1
        except FetchError:
            clock.now += 0.01
    assert 195 <= taken <= 204


@pytest.mark.threat("S11")
def test_remembered_hosts_are_bounded(clock):
    rates, watch = _rates(clock), Watchdog().watch(60)
    for number in range(1000):
        rates.take(f"h{number}.example.test", watch)
    assert len(rates) == 5


@pytest.mark.threat("F14")
def test_a_fetcher_applies_the_rate_to_the_host_and_not_to_the_url(serve, fetcher_for, request_to):
    server = serve()
    fetcher = fetcher_for(server, host_burst=3, host_fetches_per_second=0.01)
    results = [fetcher.fetch_many([request_to(server, f"/{number}")])[0] for number in range(10)]
    assert server.connections == 3
    assert [result.reason for result in results[3:]] == ["rate_limited"] * 7


# Single flight


@pytest.mark.threat("F14")
def test_equal_requests_at_the_same_time_are_one_fetch(serve, fetcher_for, request_to):
    go = threading.Event()

    def script(connection, _head):
        go.wait(3)
        connection.sendall(answer(b"{}"))

    server = serve(script)
    fetcher = fetcher_for(server)
    results = []
    threads = [threading.Thread(target=lambda: results.append(fetcher.fetch(request_to(server)))) for _ in range(12)]
    for thread in threads:
        thread.start()
    while server.connections == 0:
        time.sleep(0.005)
    time.sleep(0.1)
    go.set()
    for thread in threads:
        thread.join()
    assert len(results) == 12
    assert {result.body for result in results} == {b"{}"}
    assert server.connections == 1
    assert fetcher.sizes()["flights"] == 0


def test_an_error_reaches_everybody_who_waited_as_an_object_of_their_own():
    flights, go, started, caught = SingleFlight(), threading.Event(), threading.Event(), []

    def fetch():
        started.set()
        go.wait(3)
        raise failure("dns", "detail")

    def run():
        with pytest.raises(FetchError) as error:
            flights.run("key", fetch, wait_seconds=3)
        caught.append(error.value)

    threads = [threading.Thread(target=run) for _ in range(5)]
    for thread in threads:
        thread.start()
    started.wait(3)
    time.sleep(0.05)
    go.set()
    for thread in threads:
        thread.join()
    assert {(error.reason, error.detail) for error in caught} == {("dns", "detail")}
    assert len({id(error) for error in caught}) == 5


def test_who_waits_for_an_equal_fetch_waits_no_longer_than_its_own_deadline():
    flights, go, started = SingleFlight(), threading.Event(), threading.Event()
    response = FetchResponse("https://a.example.test/", 200, "application/json", {}, b"{}", 0)

    def fetch():
        started.set()
        go.wait(3)
        return response

    leader = threading.Thread(target=flights.run, args=("key", fetch), kwargs={"wait_seconds": 3})
    leader.start()
    started.wait(3)
    with pytest.raises(FetchError) as caught:
        flights.run("key", fetch, wait_seconds=0.05)
    assert caught.value.reason == "deadline"
    go.set()
    leader.join()


def test_a_fetch_that_breaks_leaves_nobody_waiting():
    flights, go, started, caught = SingleFlight(), threading.Event(), threading.Event(), []

    def fetch():
        started.set()
        go.wait(3)
        raise KeyError("a fault of ours")

    def lead():
        with pytest.raises(KeyError):
            flights.run("key", fetch, wait_seconds=3)

    def follow():
        with pytest.raises(FetchError) as error:
            flights.run("key", fetch, wait_seconds=3)
        caught.append(error.value.reason)

    leader, follower = threading.Thread(target=lead), threading.Thread(target=follow)
    leader.start()
    started.wait(3)
    follower.start()
    time.sleep(0.05)
    go.set()
    leader.join()
    follower.join()
    assert caught == ["network"]
    assert len(flights) == 0


def test_requests_that_differ_are_not_one_fetch(serve, fetcher_for, request_to):
    server = serve()
    fetcher = fetcher_for(server)
    requests = [request_to(server), request_to(server, max_bytes=10_000), request_to(server, method="POST", form=b"a=b")]
    assert len({request.document_key for request in requests}) == 3
    fetcher.fetch_many(requests)
    assert server.connections == 3


# Many


def test_many_requests_give_their_results_in_order(serve, fetcher_for, request_to):
    def script(connection, head):
        path = head.split(b" ")[1].decode()
        time.sleep(0.02 if path < "/5" else 0)
        connection.sendall(answer(path.encode(), status="404 Not Found" if path == "/3" else "200 OK"))

    server = serve(script)
    requests = [request_to(server, f"/{number}") for number in range(9)] + [request_to("http://a.example.test/")]
    results = fetcher_for(server, max_concurrent_per_host=4).fetch_many(requests)
    bodies = [result.body.decode() if isinstance(result, FetchResponse) else result.reason for result in results]
    assert bodies == ["/0", "/1", "/2", "client_error", "/4", "/5", "/6", "/7", "/8", "url_refused"]


def test_many_requests_run_at_the_same_time_but_two_to_a_host(serve, fetcher_for, request_to):
    running, most, lock = {"a": 0, "b": 0}, {"a": 0, "b": 0}, threading.Lock()

    def script(connection, head):
        host = head.partition(b"Host: ")[2][:1].decode()
        with lock:
            running[host] += 1
            most[host] = max(most[host], running[host])
        time.sleep(0.05)
        with lock:
            running[host] -= 1
        connection.sendall(answer(b"{}"))

    server = serve(script)
    fetcher = fetcher_for(server, hosts=("b.example.test",))
    requests = [request_to(server, f"/{number}", host=f"{host}.example.test") for number in range(6) for host in "ab"]
    start = time.monotonic()
    assert all(result.status == 200 for result in fetcher.fetch_many(requests))
    assert time.monotonic() - start < 0.05 * 12
    assert most == {"a": 2, "b": 2}


def test_a_long_list_to_one_slow_host_does_not_time_out_in_its_own_line(serve, fetcher_for, request_to):
    def script(connection, _head):
        time.sleep(0.1)
        connection.sendall(answer(b"{}"))

    server = serve(script)
    results = fetcher_for(server, deadline_seconds=0.4).fetch_many([request_to(server, f"/{number}") for number in range(14)])
    assert [result.status for result in results] == [200] * 14


def test_no_requests_give_no_results(fetcher_for):
    assert fetcher_for().fetch_many([]) == []
