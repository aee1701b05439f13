"""Noting what endpoints refused to a known client, after the answer went out (portal.md 4.3, page 22).

Never before: writing takes longer for a client that exists, and the time of an answer must not tell (threats.md J19, R15). So the answer is
neither slower nor another one, whatever becomes of the note, and no transaction of the request can take the note back.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import structlog
from django.core.exceptions import SuspiciousOperation
from django.core.signals import request_finished
from django.http import HttpRequest, UnreadablePostError
from django.utils import timezone

from authserver.authorization.parameters import RedirectUriUnproven
from authserver.client_authentication import read_credentials
from protocol.errors import ConsentRequired, InvalidClient, InvalidRequest, LoginRequired, ProtocolError
from registry.failed_requests import note_failure
from registry.models import Scope

log = structlog.get_logger(__name__)

# Answers to prompt=none that every app meets in the normal course of things; they would push out what is worth reading.
_EXPECTED: Final = (LoginRequired, ConsentRequired)
# As registry.entitlements.explain_refused_scopes writes it; what the request asked for stands between.
_REFUSED_SCOPES: Final = re.compile(r"(?<=^Not granted: )[^;]*")
WAITING_LIMIT: Final = 20


@dataclass(frozen=True, slots=True)
class _Refusal:
    """What is written down when the answer is out."""

    client_id: str
    endpoint: str
    error: str
    description: str
    request_id: str
    now: datetime
    redirect_uri: str
    source: str


class _Waiting(threading.local):
    """The refusals of the request that this thread answers."""

    def __init__(self) -> None:
        self.refusals: list[_Refusal] = []


_waiting: Final = _Waiting()


def note_refusal(request: HttpRequest, endpoint: str, error: ProtocolError, client_id: str) -> None:
    """Remember that `endpoint` refuses a request that names `client_id`, proven or not; it is written when the answer is out."""
    if not client_id or error.status >= 500 or isinstance(error, _EXPECTED) or len(_waiting.refusals) >= WAITING_LIMIT:
        return
    _waiting.refusals.append(
        _Refusal(
            client_id=client_id,
            endpoint=endpoint,
            error=error.code,
            description=error.description,
            request_id=getattr(request, "request_id", ""),
            now=timezone.now(),
            redirect_uri=error.received if isinstance(error, RedirectUriUnproven) else "",
            source=request.META.get("REMOTE_ADDR", ""),
        )
    )


def read_refused_form(request: HttpRequest) -> dict[str, str]:
    """Return the parameters of a request that was refused, as far as they can be read; none of one that is no form."""
    if request.method != "POST" or request.content_type != "application/x-www-form-urlencoded":
        return {name: str(value) for name, value in request.GET.items() if value}
    try:
        return {name: value for name, value in request.POST.items() if isinstance(value, str) and value}
    except (SuspiciousOperation, UnreadablePostError, UnicodeError):
        return {}


def named_client(authorization: str, parameters: Mapping[str, str]) -> str:
    """Return the client_id that a request names by its credentials or beside them, unverified; empty for none."""
    try:
        return read_credentials(authorization, parameters).client_id
    except (InvalidRequest, InvalidClient) as error:
        log.debug("refused_credentials_unread", error=error.code)
    # More than one credential, or a malformed one: the request still says in whose name it comes.
    try:
        return parameters.get("client_id") or read_credentials(authorization, {}).client_id
    except (InvalidRequest, InvalidClient):
        return ""


def write_waiting_notes(**_: Any) -> None:
    """Write what this thread's request left. Nothing is raised: the answer is out, and a note is not worth the thread."""
    refusals, _waiting.refusals = _waiting.refusals, []
    for refusal in refusals:
        try:
            note_failure(
                refusal.client_id,
                refusal.endpoint,
                refusal.error,
                without_unknown_scopes(refusal.description),
                refusal.request_id,
                now=refusal.now,
                redirect_uri=refusal.redirect_uri,
                source=refusal.source,
            )
        except Exception:  # whatever goes wrong here is ours alone
            log.warning("failed_request_not_noted", request_id=refusal.request_id, exc_info=True)


def without_unknown_scopes(description: str) -> str:
    """Return the sentence of a refusal with only those scopes that this server has: other words are the request's, and not kept."""

    def known(match: re.Match[str]) -> str:
        names = match[0].split()
        found = set(Scope.objects.filter(name__in=names).values_list("name", flat=True))
        return " ".join(dict.fromkeys(name if name in found else "…" for name in names))

    return _REFUSED_SCOPES.sub(known, description)


def write_notes_after_answers() -> None:
    """Start writing notes: called once when the process starts."""
    request_finished.connect(write_waiting_notes, dispatch_uid="write failed requests")
