"""Noting where people are signed in: when they sign in, and as they go on (registry.sessions)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

import structlog
from allauth.account.authentication import get_authentication_records
from django.conf import settings
from django.db import Error
from django.http import HttpRequest, HttpResponseBase
from django.utils import timezone

from portal.access import source_address, user_agent_family
from registry.models import User
from registry.sessions import note_session
from registry.windows import WindowCounter

log = structlog.get_logger(__name__)

# In the memory of one process, as all counting is: a page costs no query for it, and one a minute writes.
noted: Final = WindowCounter()


class SessionNotesMiddleware:
    """Notes that a session is used. It stands behind what loads the person for every page anyway."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Note the session of whoever is signed in. Machines have none, and most visitors bring no cookie."""
        if settings.SESSION_COOKIE_NAME in request.COOKIES and hasattr(request, "session"):
            try:
                user = request.user
                if isinstance(user, User):
                    _note(request, user)
            except Error as error:  # no page is refused for want of a note; whatever needs the database next says that it is away
                log.warning("session_not_noted", error=type(error).__name__)
        return self.get_response(request)


def note_sign_in(sender: object, request: HttpRequest, user: User, **_: object) -> None:  # noqa: ARG001 - as the signal calls it
    """Note the session that somebody signs in to. One that has no key yet is noted when it is used."""
    _note(request, user)


def _note(request: HttpRequest, user: User) -> None:
    key = request.session.session_key
    if key is None or noted.count("session", key) > 1:
        return
    now = timezone.now()
    # A new password gives the session another key, and what was noted goes with the old one; when it began is in the session itself.
    proven = (record["at"] for record in get_authentication_records(request, user) if "at" in record)
    began_at = min((datetime.fromtimestamp(moment, UTC) for moment in proven), default=now)
    note_session(
        user,
        key,
        began_at=began_at,
        source_address=source_address(request),
        user_agent_family=user_agent_family(request.headers.get("User-Agent", "")),
        now=now,
    )
