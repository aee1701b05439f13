"""Keys that a person pasted into a form, as text. Pure; a private key is refused here and never handed on (threats.md J07, J12, J13)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from protocol.constants import KEYS_PER_SET_LIMIT
from protocol.errors import InvalidJson, InvalidKeySet
from protocol.jose import PublicKey, parse_jwk_set, parse_public_pem
from protocol.jose.key_rules import find_private_member
from protocol.jose.pem import is_private_pem
from protocol.strict_json import parse_json_object
from registry.client_metadata.rules import review_key_set
from registry.findings import Finding, Findings

SIZE_LIMIT: Final = 64 * 1024
# What betrays a private key in text that is not JSON: a PEM label, or a private member with a value.
_PRIVATE_TEXT: Final = re.compile(r"PRIVATE KEY|[\"'](?:d|p|q|dp|dq|qi|oth|k)[\"']\s*:")
LEAKED: Final = Finding(
    "jwks.private",
    "error",
    "jwks",
    "This contains a private or secret key. It was not stored, but it has left your hands.",
    "Treat this key as leaked: make a new one, and give us only its public part.",
)
# The same in a text that is about something else: a key, or a PEM label. A name alone, such as private_key_jwt, is none.
_KEY_TYPE: Final = re.compile(r"[\"']kty[\"']")
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


@dataclass(frozen=True, slots=True)
class KeyReview:
    """Everything there is to say about a key set, and its keys when it can be used."""

    findings: tuple[Finding, ...]
    keys: tuple[PublicKey, ...] = ()


def read_pasted_keys(text: str) -> PastedKeys:
    """Read a JWK Set, or one JWK, from text. What the keys are worth is for `read_client_metadata` to say."""
    if not text.strip():
        return PastedKeys(None)
    try:
        value = parse_json_object(text, max_bytes=SIZE_LIMIT, max_nodes=KEYS_PER_SET_LIMIT * 40)
    except InvalidJson as error:
        if _PRIVATE_TEXT.search(text):
            return PastedKeys(None, (LEAKED,), holds_private=True)
        hint = "A key in PEM form must be turned into a JWK first." if "-----BEGIN" in text else "Paste the JSON of a JWK Set."
        return PastedKeys(None, (Finding(f"jwks.{error.reason}", "error", "jwks", error.description, hint),))
    if find_private_member(value):
        return PastedKeys(None, (LEAKED,), holds_private=True)
    if "keys" not in value:
        return PastedKeys({"keys": [value]}, (_SINGLE,)) if "kty" in value else PastedKeys(None, (_NOT_A_SET,))
    return PastedKeys(value)


def review_keys(jwks: object, *, now: int) -> KeyReview:
    """Say what a key set is worth for any app; `now` is in seconds, for certificates in keys."""
    findings = Findings()
    review_key_set(jwks, findings, now=now)
    try:
        keys = parse_jwk_set(jwks).keys
    except InvalidKeySet:
        keys = ()
    return KeyReview(tuple(findings.items), keys)


def read_pasted_pem(text: str, *, now: int) -> PastedKeys:
    """Read public keys and certificates in PEM form from text, into a JWK Set; `now` is in seconds."""
    try:
        found = parse_public_pem(text)
    except InvalidKeySet as error:
        if error.reason == "private_key":
            return PastedKeys(None, (LEAKED,), holds_private=True)
        path = "jwks" if error.position is None else f"jwks[{error.position}]"
        hint = "Paste the whole block, with its first and its last line."
        return PastedKeys(None, (Finding(f"jwks.{error.reason}", "error", path, error.description, hint),))
    words, hint = "The certificate around this key is expired.", "Only its key counts here, which does not end with it."
    expired = (position for position, end in found.certificate_ends.items() if end <= now)
    findings = tuple(Finding("jwks.certificate_expired", "warning", f"jwks[{position}]", words, hint) for position in expired)
    return PastedKeys({"keys": list(found.jwks)}, findings)


def holds_private_key(text: str) -> bool:
    """Say whether a text of any kind holds a private key, or something that looks like one, and must be forgotten (threats.md J07)."""
    if is_private_pem(text):
        return True
    if not _KEY_TYPE.search(text):
        return False
    try:
        return holds_private_jwk(parse_json_object(text, max_bytes=len(text) * 4))
    except InvalidJson:
        return bool(_PRIVATE_TEXT.search(text))


def holds_private_jwk(value: object) -> bool:
    """Say whether parsed JSON holds a private or symmetric JWK, however deep, or a private key in PEM form."""
    stack: list[Any] = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, str) and is_private_pem(item):
            return True
        if isinstance(item, Mapping):
            if "kty" in item and find_private_member(dict(item)):
                return True
            stack.extend(item.values())
        elif isinstance(item, list):
            stack.extend(item)
    return False
