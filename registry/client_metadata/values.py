"""Readers of single metadata values. Each takes the raw value and returns it normalized, or None after reporting why not."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from typing import Any, Final

from protocol.errors import InvalidUrl
from protocol.urls import parse_https_url
from registry.findings import Findings
from registry.scripts import imitates_latin, scripts_belong_together

Reader = Callable[[object, str, Findings], Any]

STRING_LIMIT: Final = 2048
SAFE_INTEGER: Final = 2**53 - 1
CONTACTS_LIMIT: Final = 20
NAME_LIMIT: Final = 255
NAME_ADVICE: Final = 80

# RFC 6749, appendix A.4: the characters of a scope-token.
_SCOPE_TOKEN = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")
_EMAIL = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])")
# Characters that nobody sees, beside those of the categories that format, separate or turn direction (threats.md R07): fillers, joiners
# and selectors that make one name look like another.
_DECEPTIVE = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0")


def read_text(value: object, path: str, findings: Findings, *, limit: int = STRING_LIMIT) -> str | None:
    """Return a string without control characters, at most `limit` characters, trimmed."""
    if not isinstance(value, str):
        findings.error("value.type", path, f"{path} must be a string.")
        return None
    text = value.strip()
    if value and not text:
        findings.error("value.blank", path, f"{path} must not be blank.", f"Leave out {path}, or give it a value.")
        return None
    if len(text) > limit:
        findings.error("value.too_long", path, f"{path} must have at most {limit} characters.")
        return None
    if any(unicodedata.category(character) in ("Cc", "Cs", "Co", "Cn") for character in text):
        findings.error("value.control", path, f"{path} must not contain control or unassigned characters.")
        return None
    return text


def read_identifier(value: object, path: str, findings: Findings) -> str | None:
    """Return a string of at most 255 characters (software_id, software_version)."""
    return read_text(value, path, findings, limit=255)


def read_name(value: object, path: str, findings: Findings) -> str | None:
    """Return a name that a person will read (DCR-META-25; threats.md R06, R07): NFC, nothing invisible or turning direction."""
    text = read_text(unicodedata.normalize("NFC", value) if isinstance(value, str) else value, path, findings, limit=NAME_LIMIT)
    if text is None:
        return None
    if any(character in _DECEPTIVE or unicodedata.category(character) in ("Cf", "Zl", "Zp") for character in text):
        findings.error("name.invisible", path, f"{path} must not contain invisible or direction-changing characters.")
        return None
    if len(text) > NAME_ADVICE:
        findings.warning("name.long", path, f"{path} is longer than {NAME_ADVICE} characters and will be cut on small screens.")
    if not scripts_belong_together(text):
        findings.warning("name.mixed_scripts", path, f"{path} mixes letters of different scripts; a reviewer will look at it.")
    if imitates_latin(text):
        findings.warning("name.look_alike", path, f"{path} uses letters that look like others; a reviewer will look at it.")
    return text


def read_https_url(value: object, path: str, findings: Findings) -> str | None:
    """Return an https URL, exactly as given (DCR-META-26)."""
    if not isinstance(value, str):
        findings.error("value.type", path, f"{path} must be a string.")
        return None
    try:
        return parse_https_url(value).text
    except InvalidUrl as error:
        sentence = f"{path} must be an https URL." if error.reason == "scheme" else f"{path}: {error.description}"
        findings.error(f"url.{error.reason}", path, sentence, "Give the full https address of a public page.")
        return None


def read_strings(value: object, path: str, findings: Findings, *, limit: int = 50) -> list[str] | None:
    """Return a JSON array of non-empty strings without duplicates, in order (DCR-META-03)."""
    if not isinstance(value, list):
        findings.error("value.type", path, f"{path} must be an array of strings.")
        return None
    if len(value) > limit:
        findings.error("value.too_many", path, f"{path} must have at most {limit} entries.")
        return None
    for position, entry in enumerate(value):
        if not isinstance(entry, str) or not entry:
            findings.error("value.type", f"{path}[{position}]", f"{path} must be an array of non-empty strings.")
            return None
    return list(dict.fromkeys(value))


def read_contacts(value: object, path: str, findings: Findings) -> list[str] | None:
    """Return e-mail addresses (DCR-META-27)."""
    addresses = read_strings(value, path, findings, limit=CONTACTS_LIMIT)
    if addresses is None:
        return None
    wrong = [position for position, address in enumerate(addresses) if not is_email_address(address)]
    for position in wrong:
        findings.error("contacts.email", f"{path}[{position}]", "A contact must be a plain e-mail address.", "Write it without mailto:.")
    return None if wrong else addresses


def is_email_address(value: object) -> bool:
    """Say whether `value` is a plain e-mail address."""
    return isinstance(value, str) and len(value) <= 254 and bool(_EMAIL.fullmatch(value))


def read_scope(value: object, path: str, findings: Findings) -> str | None:
    """Return a space-separated list of scope tokens without duplicates, None when it holds none (RFC 6749, 3.3; DCR-META-28)."""
    if not isinstance(value, str):
        findings.error("value.type", path, "scope must be one string with spaces between the scopes.")
        return None
    tokens = [token for token in value.split(" ") if token]
    if len(value) > STRING_LIMIT or not all(_SCOPE_TOKEN.fullmatch(token) for token in tokens):
        findings.error("scope.characters", path, "scope contains a character that a scope cannot have.")
        return None
    return " ".join(dict.fromkeys(tokens)) or None


def read_boolean(value: object, path: str, findings: Findings) -> bool | None:
    """Return a JSON boolean."""
    if not isinstance(value, bool):
        findings.error("value.type", path, f"{path} must be true or false.")
        return None
    return value


def read_seconds(value: object, path: str, findings: Findings) -> int | None:
    """Return a non-negative whole number of seconds."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= SAFE_INTEGER:
        findings.error("value.type", path, f"{path} must be a whole number of seconds, 0 or more.")
        return None
    return value
