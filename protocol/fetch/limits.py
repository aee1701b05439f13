"""How much is fetched at once and from one host: bulkheads and token buckets, both bounded (threats F10, F14, S11)."""

from __future__ import annotations

import contextlib
import math
import threading
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator

from protocol.fetch.failures import failure
from protocol.fetch.watchdog import Watch


class Bulkhead:
    """At most `total` fetches at once, and at most `per_host` to one host. Waiting counts against the deadline."""

    def __init__(self, total: int, per_host: int) -> None:
        self._total = total
        self._per_host = per_host
        self._changed = threading.Condition()
        self._running: Counter[str] = Counter()

    @property
    def running(self) -> int:
        """The number of slots taken."""
        with self._changed:
            return self._running.total()

    @contextlib.contextmanager
    def slot(self, host: str, watch: Watch) -> Iterator[None]:
        """Hold one slot; it is given back on every path. Raises `FetchError` busy when none is free before the deadline."""
        self._take(host, watch)
        try:
            yield
        finally:
            self._give_back(host)

    def _take(self, host: str, watch: Watch) -> None:
        with self._changed:
            if not self._changed.wait_for(lambda: self._is_free(host), timeout=watch.remaining()):
                raise failure("busy", f"no slot for {host}")
            self._running[host] += 1

    def _is_free(self, host: str) -> bool:
        return self._running.total() < self._total and self._running[host] < self._per_host

    def _give_back(self, host: str) -> None:
        with self._changed:
            self._running[host] -= 1
            # Reading a Counter does not add a key, so the map holds running hosts only.
            if self._running[host] <= 0:
                del self._running[host]
            self._changed.notify_all()


class HostRates:
    """A token bucket for each host: `burst` fetches at once, then `per_second`.

    A fetch for which the next token is near waits for it; otherwise it is refused. The host used longest ago is forgotten
    first.
    """

    def __init__(
        self,
        *,
        burst: int,
        per_second: float,
        longest_wait: float,
        max_hosts: int,
        monotonic: Callable[[], float],
        sleep: Callable[[float], None],
    ) -> None:
        self._burst = float(burst)
        self._per_second = per_second
        self._longest_wait = longest_wait
        self._max_hosts = max_hosts
        self._monotonic = monotonic
        self._sleep = sleep
        self._lock = threading.Lock()
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, host: str, watch: Watch) -> None:
        """Take a token, waiting a little if need be; raises `FetchError` rate_limited with `retry_after`."""
        wait = self._reserve(host, min(self._longest_wait, watch.remaining()))
        if wait > 0:
            self._sleep(wait)

    def _reserve(self, host: str, longest_wait: float) -> float:
        """Take one token, perhaps a future one, and return the seconds until it exists."""
        with self._lock:
            now = self._monotonic()
            tokens, since = self._buckets.get(host, (self._burst, now))
            tokens = min(self._burst, tokens + (now - since) * self._per_second) - 1
            wait = max(0.0, -tokens / self._per_second)
            if wait > longest_wait:
                raise failure("rate_limited", f"too many fetches from {host}", retry_after=math.ceil(wait))
            self._buckets[host] = (tokens, now)
            self._buckets.move_to_end(host)
            while len(self._buckets) > self._max_hosts:
                self._buckets.popitem(last=False)
            return wait
