"""Single flight for equal requests, and a bounded memory of failures whose time grows (threats F14, S11)."""

from __future__ import annotations

import contextlib
import math
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass

from protocol.errors import FetchError
from protocol.fetch.failures import FAILURES, copy_of, failure
from protocol.fetch.messages import FetchResponse


class _Flight:
    """One fetch under way and what became of it."""

    def __init__(self) -> None:
        self.landed = threading.Event()
        self.result: FetchResponse | FetchError = failure("network", "the fetch that was waited for did not end properly")


class SingleFlight:
    """Equal requests at the same time are one fetch; the others wait for its result, at most until their own deadline."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._flights: dict[Hashable, _Flight] = {}

    def __len__(self) -> int:
        return len(self._flights)

    def run(self, key: Hashable, fetch: Callable[[], FetchResponse], *, wait_seconds: float) -> FetchResponse:
        """Return the result of `fetch`, or of the equal one that is under way; raises `FetchError`."""
        with self._lock:
            flight = self._flights.get(key)
            leads = flight is None
            if flight is None:
                flight = self._flights[key] = _Flight()
        if leads:
            return self._lead(key, flight, fetch)
        if not flight.landed.wait(wait_seconds):
            raise failure("deadline", "an equal fetch is still under way")
        if isinstance(flight.result, FetchError):
            raise copy_of(flight.result)
        return flight.result

    def _lead(self, key: Hashable, flight: _Flight, fetch: Callable[[], FetchResponse]) -> FetchResponse:
        try:
            response = fetch()
            flight.result = response
        except FetchError as error:
            flight.result = copy_of(error)
            raise
        finally:
            with self._lock:
                del self._flights[key]
            flight.landed.set()
        return response


@dataclass(frozen=True, slots=True)
class _Remembered:
    error: FetchError
    failures: int
    until: float


class NegativeCache:
    """Failures by document: 60 s after the first, twice as long after each further one, at most an hour; a success forgets.

    Keys are digests and texts are cut, so `max_entries` bounds the bytes too. The entry used longest ago goes first.
    """

    def __init__(self, *, seconds: float, longest: float, max_entries: int, monotonic: Callable[[], float]) -> None:
        self._seconds = seconds
        self._longest = longest
        self._max_entries = max_entries
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._entries: OrderedDict[bytes, _Remembered] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def check(self, key: bytes) -> None:
        """Raise the remembered error, with the seconds until it is forgotten as `retry_after`."""
        with self._lock:
            entry = self._entries.get(key)
        if entry is None or entry.until <= (now := self._monotonic()):
            return
        raise copy_of(entry.error, retry_after=math.ceil(entry.until - now))

    def remember(self, key: bytes, error: FetchError) -> None:
        """Keep the error, longer if the answer asked for it by Retry-After; errors of our own limits are not kept."""
        if not FAILURES[error.reason].remembered:
            return
        with self._lock:
            entry = self._entries.pop(key, None)
            # Eleven doublings are past any limit; the exponent stays small for a host that fails for years.
            failures = min(entry.failures + 1, 12) if entry else 1
            seconds = min(max(self._seconds * 2 ** (failures - 1), error.retry_after or 0), self._longest)
            self._entries[key] = _Remembered(copy_of(error), failures, self._monotonic() + seconds)
            while len(self._entries) > self._max_entries:
                self._entries.popitem(last=False)

    def forget(self, key: bytes) -> None:
        """Drop what is remembered of this document."""
        with self._lock, contextlib.suppress(KeyError):
            del self._entries[key]
