"""Resolve once, judge every answer, connect to a judged address, and ask the kernel where that led (threats F06, F07)."""

from __future__ import annotations

import collections
import ipaddress
import socket
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass

from protocol.fetch.addresses import Address, why_denied
from protocol.fetch.config import FetchConfig
from protocol.fetch.failures import failure, failure_from
from protocol.fetch.sockets import peer_of
from protocol.fetch.watchdog import Watch
from protocol.urls import WebUrl

_IDLE_SECONDS = 30.0


class ResolverPool:
    """A few daemon threads that resolve names, since `getaddrinfo` has no deadline and cannot be cancelled.

    When all of them hang, further names wait in a bounded line until their own deadline.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._line: collections.deque[tuple[Callable[[], Sequence[str]], Future[Sequence[str]]]] = collections.deque()
        self._changed = threading.Condition()
        self._threads: list[threading.Thread] = []
        self._idle = 0

    def call(self, work: Callable[[], Sequence[str]], watch: Watch) -> Sequence[str]:
        """Return what `work` returns or raise what it raises; raises `FetchError` deadline or busy."""
        future: Future[Sequence[str]] = Future()
        with self._changed:
            self._threads = [thread for thread in self._threads if thread.is_alive()]
            if not self._threads:  # none yet, or this process was forked off
                self._idle = 0
            if len(self._line) >= 8 * self._size:
                raise failure("busy", "all resolver threads are waiting for answers")
            self._line.append((work, future))
            if self._idle < len(self._line) and len(self._threads) < self._size:
                thread = threading.Thread(target=self._run, name="fetch-resolver", daemon=True)
                self._threads.append(thread)
                thread.start()
            self._changed.notify()
        try:
            return future.result(timeout=watch.remaining())
        except FutureTimeoutError:
            future.cancel()
            raise failure("deadline", "name resolution took too long") from None

    def _run(self) -> None:
        while (task := self._next_task()) is not None:
            work, future = task
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(work())
            except BaseException as error:  # noqa: BLE001 - it is raised again in the thread that waits
                future.set_exception(error)

    def _next_task(self) -> tuple[Callable[[], Sequence[str]], Future[Sequence[str]]] | None:
        with self._changed:
            self._idle += 1
            try:
                if not self._changed.wait_for(lambda: self._line, timeout=_IDLE_SECONDS):
                    self._threads.remove(threading.current_thread())
                    return None
                return self._line.popleft()
            finally:
                self._idle -= 1


@dataclass(frozen=True, slots=True)
class Route:
    """A host whose addresses were resolved and judged: the only thing a connection is made from."""

    host: str
    port: int
    addresses: tuple[Address, ...]

    def open_socket(self, config: FetchConfig, watch: Watch) -> socket.socket:
        """Return a socket connected to one of the judged addresses and guarded by the watch; raises `FetchError`.

        Addresses are tried in order, each with an equal share of the time that is left.
        """
        candidates = self.addresses[: config.addresses_tried]
        error = failure("network", "no address was tried")
        for position, address in enumerate(candidates):
            share = watch.remaining() / (len(candidates) - position)
            try:
                connection = config.connector(address, self.port, share)
            except OSError as problem:
                error = failure_from(problem)
                continue
            try:
                self._check_peer(connection)
                watch.guard(connection)
                connection.settimeout(watch.remaining())
            except BaseException:
                connection.close()
                raise
            return connection
        raise error

    def _check_peer(self, connection: socket.socket) -> None:
        """Refuse a connection that ended anywhere else, before a byte is sent."""
        try:
            address, port = peer_of(connection)
        except (OSError, ValueError) as problem:
            raise failure_from(problem) from problem
        if address not in self.addresses or port != self.port:
            raise failure("address_refused", f"connected to {address}, which was not asked for")


def plan_route(url: WebUrl, config: FetchConfig, pool: ResolverPool, watch: Watch) -> Route:
    """Resolve the host of `url` exactly once and judge all answers; one denied answer refuses them all. Raises `FetchError`."""
    if url.host_kind != "name":
        answers: Sequence[str] = (url.host,)
    else:
        try:
            answers = pool.call(lambda: config.resolver(url.host, url.port), watch)
        except (OSError, UnicodeError) as problem:
            raise failure("dns", str(problem)) from problem
    if not answers:
        raise failure("dns", "the name has no address")
    allow_private = url.host_and_port in config.allowed_private_folded
    return Route(url.host, url.port, tuple(_judge(answer, config, allow_private=allow_private) for answer in answers))


def _judge(answer: str, config: FetchConfig, *, allow_private: bool) -> Address:
    try:
        address = ipaddress.ip_address(answer)
    except ValueError:
        raise failure("address_refused", f"the resolver answered {answer!r}") from None
    reason = why_denied(address, allow_private=allow_private, extra=config.denied_networks)
    if reason is not None:
        raise failure("address_refused", f"{address}: {reason}")
    return address
