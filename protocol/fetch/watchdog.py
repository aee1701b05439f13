"""A real wall-clock deadline: a watchdog that shuts the socket down, and a flag that says so (threats F10, findings 1 and
2).

A socket timeout bounds one operation, so a server that drips bytes is never late. And a connection that is cut can look
like a complete answer to the standard library, so whoever used a watch asks `expired` before trusting what was read.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import math
import socket
import threading
import time

from protocol.fetch.failures import failure

_LINGER_SECONDS = 30.0


class Watch:
    """One deadline. `at` is in `time.monotonic()` seconds."""

    def __init__(self, at: float) -> None:
        self.at = at
        self._lock = threading.Lock()
        self._fired = False
        self._released = False
        self._handle: socket.socket | None = None

    @property
    def expired(self) -> bool:
        """Whether the deadline has passed, or was acted upon."""
        return self._fired or time.monotonic() >= self.at

    @property
    def released(self) -> bool:
        """Whether nobody waits for this deadline any more."""
        return self._released

    def remaining(self) -> float:
        """Return the seconds left, more than zero; raises `FetchError` deadline when there are none."""
        seconds = self.at - time.monotonic()
        if self._fired or seconds <= 0:
            raise failure("deadline")
        return seconds

    def guard(self, connection: socket.socket) -> None:
        """Shut this connection down at the deadline; raises `FetchError` deadline when that is now.

        The watch holds a duplicate of the descriptor: TLS takes the original over, and its number may be reused.
        """
        with self._lock:
            self._close_handle()
            if not self._fired and not self._released:
                self._handle = connection.dup()
                return
        raise failure("deadline")

    def fire(self) -> None:
        """Called by the watchdog at the deadline."""
        with self._lock:
            if self._released:
                return
            self._fired = True
            if self._handle is not None:
                with contextlib.suppress(OSError):
                    self._handle.shutdown(socket.SHUT_RDWR)
            self._close_handle()

    def release(self) -> None:
        """End the watch; the connection is left alone from here on."""
        with self._lock:
            self._released = True
            self._close_handle()

    def _close_handle(self) -> None:
        if self._handle is not None:
            self._handle.close()
            self._handle = None


class Watchdog:
    """One thread for all deadlines of a fetcher, started when needed and gone when idle; a forked process starts its own."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._heap: list[tuple[float, int, Watch]] = []
        self._numbers = itertools.count()
        self._thread: threading.Thread | None = None
        self._wakes_at = math.inf

    def watch(self, seconds: float) -> Watch:
        """Return a watch that fires in `seconds`; the caller releases it on every path."""
        watch = Watch(time.monotonic() + seconds)
        with self._changed:
            self._drop_released()
            heapq.heappush(self._heap, (watch.at, next(self._numbers), watch))
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="fetch-watchdog", daemon=True)
                self._wakes_at = math.inf
                self._thread.start()
            # It looks at the heap when it wakes, so it is woken only for what comes before that: each waking costs two thread switches.
            if watch.at < self._wakes_at:
                self._changed.notify()
        return watch

    def _drop_released(self) -> None:
        while self._heap and self._heap[0][2].released:
            heapq.heappop(self._heap)

    def _run(self) -> None:
        while (due := self._next_due()) is not None:
            due.fire()

    def _next_due(self) -> Watch | None:
        """Wait for and return the next watch that is due; None, and no thread any more, after idling."""
        idle_until = time.monotonic() + _LINGER_SECONDS
        with self._changed:
            while True:
                self._drop_released()
                now = time.monotonic()
                if self._heap and self._heap[0][0] <= now:
                    return heapq.heappop(self._heap)[2]
                if not self._heap and now >= idle_until:
                    self._thread = None
                    return None
                self._wakes_at = self._heap[0][0] if self._heap else idle_until
                self._changed.wait(self._wakes_at - now)
