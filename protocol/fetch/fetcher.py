"""The real fetcher: the order in which the rules of this package are applied to one request, and to many."""

from __future__ import annotations

import collections
import os
import ssl
import time
import weakref
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import MappingProxyType
from typing import Final

import requests

from protocol.errors import FetchError, InvalidUrl
from protocol.fetch.adapter import build_tls_context, collect_headers, open_adapter, prepare
from protocol.fetch.answers import check_framing, check_head, read_body
from protocol.fetch.caches import NegativeCache, SingleFlight
from protocol.fetch.config import FETCH_URL_LIMIT, FetchConfig
from protocol.fetch.failures import NETWORK_EXCEPTIONS, failure, failure_from
from protocol.fetch.limits import Bulkhead, HostRates
from protocol.fetch.messages import FetchRequest, FetchResponse
from protocol.fetch.resolving import ResolverPool, Route, plan_route
from protocol.fetch.watchdog import Watch, Watchdog
from protocol.urls import WebUrl, parse_https_url

# Below this a first turn is taken for immediate, so that equal requests keep equal deadlines and share one flight.
_NO_WAIT: Final = 0.05


# A process that is forked off has none of the threads, and any lock may be held by one of them for ever.
_fetchers: Final[weakref.WeakSet[HttpFetcher]] = weakref.WeakSet()


def _begin_anew_in_forked_process() -> None:
    for fetcher in list(_fetchers):
        fetcher.begin_anew()


os.register_at_fork(after_in_child=_begin_anew_in_forked_process)


class HttpFetcher:
    """Fetches over https; one for each process, safe to use from many threads and after a fork."""

    def __init__(self, config: FetchConfig | None = None) -> None:
        self._config = config or FetchConfig()
        self._context: ssl.SSLContext = build_tls_context(self._config)
        self.begin_anew()
        _fetchers.add(self)

    def begin_anew(self) -> None:
        """Start with nothing under way and nothing remembered."""
        config = self._config
        self._watchdog = Watchdog()
        self._resolvers = ResolverPool(config.resolver_threads)
        self._bulkhead = Bulkhead(config.max_concurrent, config.max_concurrent_per_host)
        self._rates = HostRates(
            burst=config.host_burst,
            per_second=config.host_fetches_per_second,
            longest_wait=config.longest_rate_wait_seconds,
            max_hosts=config.max_remembered_hosts,
            monotonic=config.monotonic,
            sleep=config.sleep,
        )
        self._failures = NegativeCache(
            seconds=config.negative_seconds,
            longest=config.longest_negative_seconds,
            max_entries=config.max_negative_entries,
            monotonic=config.monotonic,
        )
        self._flights = SingleFlight()

    def fetch(self, request: FetchRequest) -> FetchResponse:
        """Return the complete answer; raises `FetchError` and nothing else, within the deadline."""
        url = admit_url(request, self._config)
        key = request.document_key
        if not request.past_caches:
            self._failures.check(key)
        seconds = self._deadline_of(request)
        flight_key = (key, seconds)
        return self._flights.run(flight_key, lambda: self._fetch_and_remember(request, url, key), wait_seconds=seconds)

    def fetch_many(self, requests: Sequence[FetchRequest]) -> list[FetchResponse | FetchError]:
        """Return one result for each request, in order; several at a time, but to one host no more than its limit.

        The configured deadline of each request starts when its turn comes, so a long list to one host does not time out in the line.
        A deadline that a request brings is its caller's and starts now: waiting for a turn does not make it later (threats F10, T01).
        """
        if len(requests) == 1:
            return [self._fetch_or_error(requests[0])]
        results: dict[int, FetchResponse | FetchError] = {}
        lanes, started = self._plan_lanes(requests), time.monotonic()
        if lanes:
            with ThreadPoolExecutor(min(len(lanes), self._config.max_concurrent), "fetch-many") as pool:
                for lane_done in [pool.submit(self._run_lane, requests, lane, started, results) for lane in lanes]:
                    lane_done.result()
        return [results[position] for position in range(len(requests))]

    def sizes(self) -> dict[str, int]:
        """Return how full the bounded things are, for metrics (threats S11)."""
        return {
            "running": self._bulkhead.running,
            "flights": len(self._flights),
            "remembered_failures": len(self._failures),
            "remembered_hosts": len(self._rates),
        }

    def _deadline_of(self, request: FetchRequest) -> float:
        seconds = self._config.deadline_seconds
        return seconds if request.deadline_seconds is None else max(0.0, min(seconds, request.deadline_seconds))

    def _fetch_or_error(self, request: FetchRequest) -> FetchResponse | FetchError:
        try:
            return self.fetch(request)
        except FetchError as error:
            return error

    def _plan_lanes(self, requests: Sequence[FetchRequest]) -> list[collections.deque[int]]:
        """Return the positions by host, each host as often as it may be fetched from at once."""
        by_host: dict[str, collections.deque[int]] = {}
        for position, request in enumerate(requests):
            try:
                host = admit_url(request, self._config).host
            except FetchError:
                host = ""
            by_host.setdefault(host, collections.deque()).append(position)
        widest = self._config.max_concurrent_per_host
        return [line for turn in range(widest) for line in by_host.values() if len(line) > turn]

    def _run_lane(
        self,
        requests: Sequence[FetchRequest],
        lane: collections.deque[int],
        started: float,
        results: dict[int, FetchResponse | FetchError],
    ) -> None:
        while True:
            try:
                position = lane.popleft()
            except IndexError:
                return
            results[position] = self._fetch_or_error(_after_waiting(requests[position], time.monotonic() - started))

    def _fetch_and_remember(self, request: FetchRequest, url: WebUrl, key: bytes) -> FetchResponse:
        try:
            response = self._fetch_within_limits(request, url)
        except FetchError as error:
            # A deadline that the caller shortened says nothing about the host.
            if error.reason != "deadline" or self._deadline_of(request) >= self._config.deadline_seconds:
                self._failures.remember(key, error)
            raise
        self._failures.forget(key)
        return response

    def _fetch_within_limits(self, request: FetchRequest, url: WebUrl) -> FetchResponse:
        watch = self._watchdog.watch(self._deadline_of(request))
        try:
            self._rates.take(url.host, watch)
            with self._bulkhead.slot(url.host, watch):
                route = plan_route(url, self._config, self._resolvers, watch)
                return self._exchange(request, url, route, watch)
        finally:
            watch.release()

    def _exchange(self, request: FetchRequest, url: WebUrl, route: Route, watch: Watch) -> FetchResponse:
        """Send and read; whatever happened, a deadline that has passed decides, because a cut answer can look whole."""
        try:
            response = self._send(request, url, route, watch)
        except FetchError as error:
            if watch.expired:
                raise failure("deadline", error.detail, http_status=error.http_status) from error
            raise
        except NETWORK_EXCEPTIONS as error:
            raise (failure("deadline", str(error)) if watch.expired else failure_from(error)) from error
        if watch.expired:
            raise failure("deadline")
        return response

    def _send(self, request: FetchRequest, url: WebUrl, route: Route, watch: Watch) -> FetchResponse:
        with open_adapter(request, url, route, watch, self._config, self._context) as adapter:
            prepared = prepare(request, url, self._headers(request))
            with adapter.send(prepared, stream=True, timeout=watch.remaining()) as answer:
                headers = collect_headers(answer.raw)
                now = self._config.clock()
                media_type = check_head(request, answer.status_code, headers, now=now)
                length = check_framing(request, headers)
                body = self._read(request, length, answer)
        joined = MappingProxyType({name: ", ".join(values) for name, values in headers.items()})
        return FetchResponse(request.url, 200, media_type, joined, body, int(now))

    def _read(self, request: FetchRequest, length: int | None, answer: requests.Response) -> bytes:
        """Return the body; whatever fails from here on, the status was 200."""
        try:
            return read_body(request, length, lambda size: answer.raw.read(size, decode_content=False))
        except FetchError as error:
            error.http_status = 200
            raise
        except NETWORK_EXCEPTIONS as error:
            raise failure_from(error, http_status=200) from error

    def _headers(self, request: FetchRequest) -> dict[str, str]:
        headers = {
            "User-Agent": self._config.user_agent,
            "Accept": ", ".join(request.accept),
            "Accept-Encoding": "identity",
            "Connection": "close",
        }
        if request.method == "POST":
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        return headers


def _after_waiting(request: FetchRequest, seconds: float) -> FetchRequest:
    """Return the request with what is left of its own deadline, if it has one."""
    if request.deadline_seconds is None or seconds < _NO_WAIT:
        return request
    return replace(request, deadline_seconds=request.deadline_seconds - seconds)


def admit_url(request: FetchRequest, config: FetchConfig) -> WebUrl:
    """Return the URL of a request that may be tried at all; raises `FetchError` url_refused without any network activity."""
    try:
        url = parse_https_url(request.url, allow_ip_literal=True, allow_single_label=True, max_length=FETCH_URL_LIMIT)
    except InvalidUrl as error:
        raise failure("url_refused", f"{error.reason}: {error.description}") from error
    if url.host_and_port in config.allowed_private_folded:
        return url
    if url.port not in config.ports:
        raise failure("url_refused", f"port {url.port}")
    if url.host_kind != "name" or "." not in url.host:
        raise failure("url_refused", f"host {url.host}")
    return url
