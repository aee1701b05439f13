"""Keys that a person pasted into a form, as text. Pure; a private key is refused here and never handed on (threats.md J07, J12, J13)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from protocol.constants import KEYS_PER_SET_LIMIT
from protocol.errors import InvalidJson
from protocol.jose.key_rules import find_private_member
from protocol.strict_json import parse_json_object
from registry.findings import Finding

SIZE_LIMIT: Final = 64 * 1024
# What betrays a private key in text that is not JSON: a PEM label, or a private member with a value.
_PRIVATE_TEXT: Final = re.compile(r"PRIVATE KEY|[\"'](?:d|p|q|dp|dq|qi|oth|k)[\"']\s*:")
_LEAKED: Final = Finding(
    "jwks.private",
    "error",
    "jwks",
    "This contains a private or secret key. It was not stored, but it has left your hands.",
    "Treat this key as leaked: make a new one, and give us only its public part.",
)
_SINGLE: Final = Finding("jwks.single", "note", "jwks", "This is one key; it was put into a key set.")
_NOT_A_SET: Final = Finding(
    "jwks.not_set",
    "error",
    "jwks",
    "This is not a JWK Set.",
    'Paste an object with an array "keys", or the address of one as the key address.',
)


@dataclass(frozen=True, slots=True)
class PastedKeys:
    """What was pasted: the key set if it is one, what there is to say, and whether the text must be forgotten."""

    jwks: dict[str, Any] | None
    findings: tuple[Finding, ...] = ()
    holds_private: bool = False


def read_pasted_keys(text: str) -> PastedKeys:
    """Read a JWK Set, or one JWK, from text. What the keys are worth is for `read_client_metadata` to say."""
    if not text.strip():
        return PastedKeys(None)
    try:
        value = parse_json_object(text, max_bytes=SIZE_LIMIT, max_nodes=KEYS_PER_SET_LIMIT * 40)
    except InvalidJson as error:
        if _PRIVATE_TEXT.search(text):
            return PastedKeys(None, (_LEAKED,), holds_private=True)
        hint = "A key in PEM form must be turned into a JWK first." if "-----BEGIN" in text else "Paste the JSON of a JWK Set."
        return PastedKeys(None, (Finding(f"jwks.{error.reason}", "error", "jwks", error.description, hint),))
    if find_private_member(value):
        return PastedKeys(None, (_LEAKED,), holds_private=True)
    if "keys" not in value:
        return PastedKeys({"keys": [value]}, (_SINGLE,)) if "kty" in value else PastedKeys(None, (_NOT_A_SET,))
    return PastedKeys(value)
