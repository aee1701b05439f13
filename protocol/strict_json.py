"""Strict JSON: one reading of every document, and a refusal for whatever two parsers could read differently.

Every failure is one `InvalidJson` with a stable `reason`: too_large, encoding, byte_order_mark, nul, surrogate, too_deep,
too_many_values, number, constant, duplicate, syntax or not_object.
Threats J12, J13 and J14; RFC 8259; RFC 7493 (I-JSON) for duplicates, surrogates and numbers.
"""

from __future__ import annotations

import json
import math
import re
from itertools import accumulate
from typing import Any, Final, NoReturn

from protocol.errors import InvalidJson

DEFAULT_DEPTH: Final = 12
DEFAULT_NODES: Final = 5000
DIGITS_LIMIT: Final = 20

_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_TOO_MANY_DIGITS: Final = b"0" * (DIGITS_LIMIT + 1)
# One table makes the shape of a document visible: every opener is "[", every closer "]", every digit "0".
_SHAPE: Final = bytes.maketrans(b"{}123456789", b"[]000000000")
_ALL_BUT_BRACKETS: Final = bytes(octet for octet in range(256) if octet not in b"[]")
_STEP: Final = {ord("["): 1, ord("]"): -1}
_SURROGATE_PAIR: Final = re.compile(rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}")
_SURROGATE: Final = re.compile(rb"\\u[dD][89a-fA-F]")
_QUOTABLE: Final = re.compile(r"[A-Za-z0-9_.#:/+-]{1,64}")


def parse_strict_json(data: bytes | str, *, max_bytes: int, max_depth: int = DEFAULT_DEPTH, max_nodes: int = DEFAULT_NODES) -> Any:
    """Return the value that `data` holds, or raise `InvalidJson` and nothing else (threats J12, J13).

    `max_bytes` counts UTF-8 bytes, `max_depth` nested objects and arrays (a scalar is 0, `[]` is 1), `max_nodes` values.
    """
    encoded = _encode(data, max_bytes)
    _check_shape(encoded, max_depth, max_nodes)
    try:
        text = encoded.decode()
        # Machines write no white space around a document, and `decode` would spend its time on looking for some.
        value, end = _DECODER.raw_decode(text) if text.startswith("{") else (None, -1)
        return value if end == len(text) else _DECODER.decode(text)
    except UnicodeDecodeError:
        raise InvalidJson("encoding", "The text is not valid UTF-8.") from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise InvalidJson("syntax", f"The text is not valid JSON at {where}.") from None
    except (ValueError, TypeError, OverflowError, RecursionError, MemoryError):
        raise InvalidJson("syntax", "The text is not JSON that can be read.") from None


def parse_json_object(
    data: bytes | str, *, max_bytes: int, max_depth: int = DEFAULT_DEPTH, max_nodes: int = DEFAULT_NODES
) -> dict[str, Any]:
    """Return the JSON object that `data` holds; limits and errors are those of `parse_strict_json`, plus `not_object`."""
    value = parse_strict_json(data, max_bytes=max_bytes, max_depth=max_depth, max_nodes=max_nodes)
    if not isinstance(value, dict):
        raise InvalidJson("not_object", "The text is JSON, but not a JSON object.")
    return value


def canonical_json(value: object) -> bytes:
    """Return `value` as one byte string per content: sorted names, no whitespace, UTF-8; for digests, not a wire format.

    Raises `InvalidJson` when the value is not JSON (NaN, other types, lone surrogates, cycles).
    """
    try:
        return _ENCODER.encode(value).encode()
    except (ValueError, TypeError, RecursionError):
        raise InvalidJson("syntax", "The value cannot be written as JSON.") from None


def quotable(name: object) -> str:
    """Return `name` in quotes for a sentence when it is a short plain word, else a phrase that carries nothing of the input."""
    return f"'{name}'" if isinstance(name, str) and _QUOTABLE.fullmatch(name) else "with an unusual name"


def _encode(data: bytes | str, max_bytes: int) -> bytes:
    """Return `data` as bytes within `max_bytes`, without byte order mark and NUL."""
    if len(data) > max_bytes:
        raise InvalidJson("too_large", f"The text is larger than {max_bytes} bytes.")
    try:
        encoded = data.encode() if isinstance(data, str) else bytes(data)
    except UnicodeEncodeError:
        raise InvalidJson("surrogate", "The text holds half of a surrogate pair.") from None
    if len(encoded) > max_bytes:
        raise InvalidJson("too_large", f"The text is larger than {max_bytes} bytes.")
    if encoded.startswith(_BYTE_ORDER_MARK):
        raise InvalidJson("byte_order_mark", "The text starts with a byte order mark.")
    if b"\0" in encoded:
        raise InvalidJson("nul", "The text holds the character U+0000.")
    return encoded


def _check_shape(encoded: bytes, max_depth: int, max_nodes: int) -> None:
    """Refuse depth, number of values, long numbers and bad escapes before any parser sees the text.

    Without escapes, quotes alternate, so every second piece between them is outside of strings. Text where that does not
    hold has a backslash outside of a string, where the parser stops, or an open string, which it refuses.
    """
    if b"\\" in encoded:
        encoded = encoded.replace(b"\\\\", b"")
        _check_escapes(encoded)
        encoded = encoded.replace(b'\\"', b"")
    if max_nodes >= len(encoded) and _is_plainly_flat(encoded, max_depth):
        return
    outside = b'"'.join(encoded.split(b'"')[::2]).translate(_SHAPE)
    if _TOO_MANY_DIGITS in outside:
        raise InvalidJson("number", f"A number has more than {DIGITS_LIMIT} digits.")
    if outside.count(b",") + outside.count(b"[") + 1 > max_nodes:
        raise InvalidJson("too_many_values", f"The text holds more than {max_nodes} values.")
    brackets = outside.translate(None, delete=_ALL_BUT_BRACKETS)
    # Each round takes away the innermost level, so balanced text within the limit ends empty.
    rest, rounds = brackets, max_depth
    while rest and rounds:
        rest, rounds = rest.replace(b"[]", b""), rounds - 1
    if rest and max(accumulate(map(_STEP.__getitem__, brackets))) > max_depth:
        raise InvalidJson("too_deep", f"The text is nested deeper than {max_depth} levels.")


def _is_plainly_flat(encoded: bytes, max_depth: int) -> bool:
    """Say whether a short text is within the limits at first sight: counted as if nothing stood in strings, it has no more in it."""
    shape = encoded.translate(_SHAPE)
    return shape.count(b"[") <= max_depth and _TOO_MANY_DIGITS not in shape


def _check_escapes(encoded: bytes) -> None:
    """Refuse escaped U+0000 and lone surrogates; `encoded` has no escaped backslashes left."""
    if b"\\u" not in encoded:
        return
    if b"\\u0000" in encoded:
        raise InvalidJson("nul", "The text holds the character U+0000.")
    if _SURROGATE.search(encoded) and _SURROGATE.search(_SURROGATE_PAIR.sub(b" ", encoded)):
        raise InvalidJson("surrogate", "The text holds half of a surrogate pair.")


def _object_of_pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the object of `pairs`, refusing a member name that occurs twice."""
    members = dict(pairs)
    if len(members) != len(pairs):
        seen: set[str] = set()
        repeated = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise InvalidJson("duplicate", f"A member {quotable(repeated)} occurs twice in one object.")
    return members


def _finite_float(text: str) -> float:
    """Return the number, refusing one that would become infinite (threat J14)."""
    number = float(text)
    if math.isinf(number):
        raise InvalidJson("number", "A number is too large.")
    return number


def _refuse_constant(_name: str) -> NoReturn:
    """Refuse NaN, Infinity and -Infinity, which are not JSON."""
    raise InvalidJson("constant", "NaN and Infinity are not JSON.")


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_object_of_pairs, parse_float=_finite_float, parse_constant=_refuse_constant)
_ENCODER: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
