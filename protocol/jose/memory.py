"""Key sets parsed once: the same keys come again and again, in statements, assertions and requests. Bounded (threats S11)."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Final

from protocol.jose.keys import CLIENT_KEYS, KeySet, KeySetPurpose, parse_jwk_set

KEY_SETS_REMEMBERED: Final = 4096

_parsed: OrderedDict[tuple[str, str], KeySet] = OrderedDict()
_lock = threading.Lock()


def parse_jwk_set_once(value: object, *, purpose: KeySetPurpose = CLIENT_KEYS) -> KeySet:
    """Return what `parse_jwk_set` returns, from memory when the same set was parsed for the same purpose before. Raises InvalidKeySet.

    `value` is parsed JSON, whose repr tells any two values apart.
    """
    key = (purpose.name, repr(value))
    with _lock:
        if (known := _parsed.get(key)) is not None:
            _parsed.move_to_end(key)
            return known
    keys = parse_jwk_set(value, purpose=purpose)
    with _lock:
        _parsed[key] = keys
        while len(_parsed) > KEY_SETS_REMEMBERED:
            _parsed.popitem(last=False)
    return keys


def forget_key_sets() -> None:
    """Forget every key set, as in a process that has just started; for measuring."""
    with _lock:
        _parsed.clear()
