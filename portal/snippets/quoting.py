"""Any text as one string literal of a language. Pure.

What comes out is ASCII on one line, so that neither line separators nor bidirectional marks make code read other than it runs.
"""

from __future__ import annotations

import json
import re
import shlex
from string import Template
from typing import Final

_PLAIN: Final = re.compile(r"[ -~]*")
_HALF_PAIR: Final = re.compile(r"[\ud800-\udfff]")


def for_shell(text: str) -> str:
    """Return `text` as one word of a POSIX shell; what is not printable ASCII by the octal escapes of printf."""
    if _PLAIN.fullmatch(text):
        return shlex.quote(text)
    octal = "".join(
        chr(byte) if 0x20 <= byte < 0x7F and chr(byte) not in "\\%'" else f"\\{byte:03o}" for byte in text.encode("utf-8", "replace")
    )
    return f"\"$(printf '{octal}')\""


def for_python(text: str) -> str:
    """Return `text` as a Python string literal in double quotes."""
    return '"' + "".join(_escaped(character) for character in text) + '"'


def _escaped(character: str) -> str:
    """Return a character as Python and Go write it in a literal."""
    code = ord(character)
    if 0x20 <= code < 0x7F:
        return f"\\{character}" if character in '"\\' else character
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def for_javascript(text: str) -> str:
    """Return `text` as a JavaScript string literal, which JSON's are."""
    return json.dumps(text)


def for_java(text: str) -> str:
    """Return `text` as a Java string literal. Control characters are octal: a Unicode escape of one is read before the literal is."""
    return '"' + "".join(_java_character(unit) for unit in _utf16(text)) + '"'


def _java_character(unit: int) -> str:
    if unit < 0x20 or unit == 0x7F:
        return f"\\{unit:03o}"
    if unit > 0x7E:
        return f"\\u{unit:04x}"
    return f"\\{chr(unit)}" if chr(unit) in '"\\' else chr(unit)


def _utf16(text: str) -> list[int]:
    encoded = text.encode("utf-16-be", "surrogatepass")
    return [int.from_bytes(encoded[place : place + 2], "big") for place in range(0, len(encoded), 2)]


def for_go(text: str) -> str:
    """Return `text` as an interpreted Go string literal; halves of surrogate pairs, which Go cannot write, become U+FFFD."""
    return for_python(_HALF_PAIR.sub("\ufffd", text))


class Code(Template):
    """Code with places for literals, written @{name}. Filled in one pass, so that no value is read as a place."""

    delimiter = "@"
    pattern = r"""@(?:(?P<escaped>@)|\{(?P<braced>[a-z_]+)\}|(?P<named>(?!))|(?P<invalid>))"""  # type: ignore[assignment]
