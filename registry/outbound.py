"""The fetcher of this process, built from settings. Tests and the demo put another in its place with `use_fetcher`."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings

from protocol.fetch import FetchConfig, Fetcher, HttpFetcher

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
