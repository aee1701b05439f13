"""Verified statements kept between resolutions (FED-TCV-09, FED-HTT-01; performance.md, recommended targets)."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Final, NamedTuple, Protocol

from federation.core.statements import EntityStatement, is_current

DEFAULT_LIMIT: Final = 4096
# What a superior took back is believed no longer than this, in seconds (threats.md T13).
DEFAULT_MAX_AGE: Final = 900


class StatementKey(NamedTuple):
    """What a statement is found by. `endpoint` is where it was fetched: two authorities may share a host but not an answer."""

    issuer: str
    subject: str
    endpoint: str


class StatementCache(Protocol):
    """Where verified statements are kept; in memory here, shared between processes elsewhere."""

    def get(self, key: StatementKey, now: int) -> EntityStatement | None:
        """Return a statement that may still be used at `now`, in seconds, or None."""
        ...

    def put(self, key: StatementKey, statement: EntityStatement, now: int) -> None:
        """Keep a verified statement."""
        ...

    def forget(self, entity_id: str) -> None:
        """Forget everything by or about an entity."""
        ...


class MemoryStatementCache:
    """Keeps the `limit` statements used last, none longer than `max_age` seconds or past its own end."""

    def __init__(self, limit: int = DEFAULT_LIMIT, max_age: int = DEFAULT_MAX_AGE) -> None:
        self._limit, self._max_age = limit, max_age
        self._kept: OrderedDict[StatementKey, tuple[int, EntityStatement]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: StatementKey, now: int) -> EntityStatement | None:
        """Return a statement that may still be used at `now`, in seconds, or None."""
        with self._lock:
            kept = self._kept.get(key)
            if kept is None:
                return None
            stored_at, statement = kept
            if not stored_at <= now < stored_at + self._max_age or not is_current(statement, now):
                del self._kept[key]
                return None
            self._kept.move_to_end(key)
            return statement

    def put(self, key: StatementKey, statement: EntityStatement, now: int) -> None:
        """Keep a verified statement."""
        with self._lock:
            self._kept[key] = (now, statement)
            self._kept.move_to_end(key)
            while len(self._kept) > self._limit:
                self._kept.popitem(last=False)

    def forget(self, entity_id: str) -> None:
        """Forget everything by or about an entity."""
        with self._lock:
            for key in [key for key in self._kept if entity_id in (key.issuer, key.subject)]:
                del self._kept[key]

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._kept.clear()

    def __len__(self) -> int:
        return len(self._kept)
