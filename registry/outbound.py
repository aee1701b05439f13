"""The fetcher of this process, built from settings. Tests and the demo put another in its place with `use_fetcher`."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from django.conf import settings

from protocol.errors import FetchError
from protocol.fetch import FetchConfig, Fetcher, FetchRequest, FetchResponse, HttpFetcher

_lock = threading.Lock()
_fetcher: Fetcher | None = None
_wrap: Callable[[Fetcher], Fetcher] | None = None


def wrap_fetcher(wrap: Callable[[Fetcher], Fetcher]) -> None:
    """Put something before the one fetcher of this process, for the sandbox of a server on loopback."""
    global _wrap, _fetcher
    _wrap, _fetcher = wrap, None


def get_fetcher() -> Fetcher:
    """Return the one fetcher of this process."""
    global _fetcher  # noqa: PLW0603 - one connection budget per process is the point
    with _lock:
        if _fetcher is None:
            fetcher = HttpFetcher(build_fetch_config())
            _fetcher = _wrap(fetcher) if _wrap else fetcher
        return _fetcher


def build_fetch_config() -> FetchConfig:
    """Return the limits and surroundings that the settings ask for. Raises ValueError for a bad OUTBOUND_ALLOWED_HOSTS."""
    bundle = Path(settings.OUTBOUND_CA_BUNDLE) if settings.OUTBOUND_CA_BUNDLE else None
    return FetchConfig(allowed_private=frozenset(settings.OUTBOUND_ALLOWED_HOSTS), ca_bundle=bundle)


@contextmanager
def use_fetcher(fetcher: Fetcher) -> Iterator[None]:
    """Use `fetcher` in this process inside the with block."""
    global _fetcher  # noqa: PLW0603
    before, _fetcher = _fetcher, fetcher
    try:
        yield
    finally:
        _fetcher = before


class BudgetedFetcher:
    """Fetches as `fetcher` does, within what one question of a person may cost altogether: fetches and seconds (threats.md T01).

    What does not fit is answered by a transient error with reason budget.
    """

    def __init__(self, fetcher: Fetcher, *, fetches: int, seconds: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._fetcher, self._monotonic = fetcher, monotonic
        self._left, self._ends = fetches, monotonic() + seconds

    def fetch(self, request: FetchRequest) -> FetchResponse:
        """Return the complete answer, or raise `FetchError`."""
        (answer,) = self.fetch_many([request])
        if isinstance(answer, FetchError):
            raise answer
        return answer

    def fetch_many(self, requests: Sequence[FetchRequest]) -> list[FetchResponse | FetchError]:
        """Return one result for each request, in order."""
        seconds = self._ends - self._monotonic()
        room = self._left if seconds > 0 else 0
        tried = [replace(one, deadline_seconds=min(one.deadline_seconds or seconds, seconds)) for one in requests[:room]]
        self._left -= len(tried)
        spent = FetchError("budget", "This question used up what one question may fetch.", permanent=False)
        return [*self._fetcher.fetch_many(tried), *(spent for _ in requests[len(tried) :])]
