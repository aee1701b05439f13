"""Doing one thing from many threads at the same time, each with its own connection."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from django.db import connections


def together(count: int, act: Callable[[int], Any]) -> list[Any]:
    """Return what `act` returns or raises in each of `count` threads, which all start at once. For committed data only."""
    barrier = threading.Barrier(count)

    def run(number: int) -> Any:
        try:
            barrier.wait(timeout=30)
            return act(number)
        except Exception as error:  # noqa: BLE001 - the caller looks at it
            return error
        finally:
            connections.close_all()

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))
