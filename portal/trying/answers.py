"""Requests and answers of a try as a page may show them: tokens and codes shortened, credentials never there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from django.utils.translation import gettext as _

from portal.documentation.errors import ADVICE
from portal.trying.dispatch import FORM, Answer
from protocol.redaction import cut_credentials_from

_TOKENS: Final = ("access_token", "refresh_token", "id_token")
# Shown by their first characters, enough to recognize them in a log of one's own.
_SHORTENED: Final = ("code", "code_verifier", *_TOKENS)
_HEADERS: Final = ("Content-Type", "Cache-Control", "WWW-Authenticate", "Retry-After", "X-Request-ID")
SHOWN_CHARACTERS: Final = 8


@dataclass(frozen=True, slots=True)
class Check:
    """Something that an app should check in an answer, and whether it is so."""

    sentence: str
    passed: bool


@dataclass(frozen=True, slots=True)
class Try:
    """One try from request to answer, ready to be shown. Nothing in it can be used."""

    request: str
    answer: str
    error: str = ""
    sentence: str = ""
    advice: Any = ""
    header: str = ""
    claims: str = ""
    checks: tuple[Check, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def worked(self) -> bool:
        """Say whether tokens were issued."""
        return not self.error


def shorten(value: str) -> str:
    """Return the first characters of a value that must not be shown, and how long it is."""
    return _("%(start)s… (%(n)d characters)") % {"start": value[:SHOWN_CHARACTERS], "n": len(value)}


def show_request(path: str, parameters: Mapping[str, str], *, credential: Mapping[str, str], header: str = "") -> str:
    """Return a form request as text. `credential` says for secret parameters what stands in their place, `header` for Authorization."""
    lines = [f"POST {path}", f"Content-Type: {FORM}"]
    if header:
        lines.append(f"Authorization: {header}")
    lines.append("")
    for name, value in parameters.items():
        shown = credential.get(name) or (shorten(value) if name in _SHORTENED else cut_credentials_from(value))
        lines.append(f"{name}={shown}")
    return "\n".join(lines)


def show_answer(answer: Answer) -> str:
    """Return an answer as text, with its tokens shortened."""
    lines = [f"HTTP {answer.status}", *(f"{name}: {answer.headers[name]}" for name in _HEADERS if name in answer.headers), ""]
    members = {name: shorten(value) if name in _TOKENS and isinstance(value, str) else value for name, value in answer.members.items()}
    return "\n".join([*lines, cut_credentials_from(json.dumps(members, indent=2, ensure_ascii=False))])


def describe_error(answer: Answer) -> dict[str, Any]:
    """Return the error of an answer with its sentence and what to do, as members of a Try; none when it is no error."""
    if answer.status < 400:
        return {}
    code = str(answer.members.get("error", "server_error"))
    sentence = cut_credentials_from(str(answer.members.get("error_description", "")))
    return {"error": code, "sentence": sentence, "advice": advice_for(code)}


def advice_for(code: str) -> Any:
    """Return what the error catalogue says to do about `code`."""
    return ADVICE.get(code, ("", ""))[1]
