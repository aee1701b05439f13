"""How late this machine wakes a thread that is due, so that a test of deadlines asks nothing of a busy machine that it cannot do."""

from __future__ import annotations

import threading
import time
from types import TracebackType

TICK = 0.01


class Lateness:
    """Measures while its with block runs; `seconds` is the worst that was seen."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._measure, daemon=True)

    def __enter__(self) -> Lateness:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._done.set()
        self._thread.join()

    def _measure(self) -> None:
        while not self._done.is_set():
            started = time.monotonic()
            time.sleep(TICK)
            self.seconds = max(self.seconds, time.monotonic() - started - TICK)
