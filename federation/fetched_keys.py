"""Key sets that were fetched for strangers, remembered for a short while: a bad signature makes nobody fetch again (threats.md F14)."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from protocol.errors import ProtocolError
from protocol.jose import KeySet

SECONDS: Final = 30.0
LIMIT: Final = 1024


class KeyMemory:
    """Remembers by name what fetching keys came to, keys or error, for SECONDS and a bounded number of names."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._kept: OrderedDict[tuple[str, str], tuple[float, KeySet | ProtocolError]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, name: tuple[str, str], fetch: Callable[[], KeySet]) -> KeySet:
        """Return the keys of this name, fetched if they are not remembered. Raises what fetching raises, remembered too."""
        with self._lock:
            until, found = self._kept.get(name, (0.0, None))
        if found is None or until <= self._monotonic():
            found = self._fetch(fetch)
            with self._lock:
                self._kept[name] = (self._monotonic() + SECONDS, found)
                self._kept.move_to_end(name)
                while len(self._kept) > LIMIT:
                    self._kept.popitem(last=False)
        if isinstance(found, ProtocolError):
            raise found
        return found

    def _fetch(self, fetch: Callable[[], KeySet]) -> KeySet | ProtocolError:
        try:
            return fetch()
        except ProtocolError as error:
            return error

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._kept.clear()


keys_of_strangers: Final = KeyMemory()
