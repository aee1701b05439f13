"""Counting failed client authentications and started sign-ins, so that guessing and flooding stop early (threats.md R15, S11).

Each process counts for itself, in memory: good requests cost nothing, a refused one costs no query, and no cache can be missing.
"""

from __future__ import annotations

import ipaddress
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from protocol.errors import TooManyRequests

WINDOW_SECONDS: Final = 60
FAILURES_PER_CLIENT: Final = 30
FAILURES_PER_SOURCE: Final = 60
SIGN_INS_PER_SOURCE: Final = 300
NAMES_REMEMBERED: Final = 10_000


class WindowCounter:
    """Counts per name in windows of WINDOW_SECONDS, for a bounded number of names (threats.md S11)."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._counts: OrderedDict[tuple[str, str], tuple[float, int]] = OrderedDict()
        self._lock = threading.Lock()

    def count(self, kind: str, name: str) -> int:
        """Count one and return how many there were in this window."""
        now, key = self._monotonic(), (kind, name[:200])
        with self._lock:
            started, count = self._counts.pop(key, (now, 0))
            if now - started >= WINDOW_SECONDS:
                started, count = now, 0
            self._counts[key] = (started, count + 1)
            while len(self._counts) > NAMES_REMEMBERED:
                self._counts.popitem(last=False)
            return count + 1

    def forget(self) -> None:
        """Forget every count."""
        with self._lock:
            self._counts.clear()


failures: Final = WindowCounter()
sign_ins: Final = WindowCounter()


def note_failed_authentication(client_id: str, source: str) -> None:
    """Count a failure for the client and for the address. Raises TooManyRequests when either has too many in a minute."""
    for kind, name, limit in (("client", client_id, FAILURES_PER_CLIENT), ("source", _network(source), FAILURES_PER_SOURCE)):
        if name and failures.count(kind, name) > limit:
            raise TooManyRequests("Too many failed client authentications; wait a minute.", retry_after=WINDOW_SECONDS)


def note_sign_in(source: str) -> None:
    """Count an authorization request that is about to be kept; anybody can send one. Raises TooManyRequests for too many in a minute."""
    if source and sign_ins.count("source", _network(source)) > SIGN_INS_PER_SOURCE:
        raise TooManyRequests("Too many sign-ins were started from your network; wait a minute.", retry_after=WINDOW_SECONDS)


def _network(source: str) -> str:
    """Return what is counted for an address: of IPv6 the /64, of which one customer has all addresses."""
    return str(ipaddress.ip_network((source, 64), strict=False)) if ":" in source and "%" not in source else source
