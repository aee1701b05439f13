"""Counting per name in windows of a minute, in the memory of one process (threats.md R15, S11)."""

from __future__ import annotations

import ipaddress
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

WINDOW_SECONDS: Final = 60
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


def network_of(source: str) -> str:
    """Return what is counted for an address: of IPv6 the /64, of which one customer has all addresses."""
    return str(ipaddress.ip_network((source, 64), strict=False)) if ":" in source and "%" not in source else source
