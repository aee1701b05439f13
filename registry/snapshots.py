"""Values read from the database now and then and kept in memory, so that they outlive a short outage of it (threats.md X02)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeGuard, TypeVar

from django.db import Error

Value = TypeVar("Value")


class Snapshot(Generic[Value]):
    """A value read by `read`, at most `seconds` old while the database answers, and the last one known while it does not."""

    def __init__(self, read: Callable[[], Value], *, seconds: float) -> None:
        self._read, self._seconds = read, seconds
        self._known: tuple[float, Value] | None = None
        self._lock = threading.Lock()

    def get(self) -> Value:
        """Return the value. Raises django.db.Error when the database is away and nothing was read before."""
        known = self._known
        if self._is_fresh(known):
            return known[1]
        with self._lock:
            known = self._known
            if self._is_fresh(known):  # another thread read it while this one waited
                return known[1]
            try:
                value = self._read()
            except Error:
                if known is None:
                    raise
                value = known[1]  # asked for again when this is old, so that a database that hangs does not hold up every request
            self.keep(value)
            return value

    def _is_fresh(self, known: tuple[float, Value] | None) -> TypeGuard[tuple[float, Value]]:
        return known is not None and time.monotonic() - known[0] < self._seconds

    def keep(self, value: Value) -> None:
        """Take `value` as just read, where nobody has to ask the database, as tests that have none."""
        self._known = (time.monotonic(), value)

    def forget(self) -> None:
        """Read the value again at the next use, in this process."""
        self._known = None
