"""Where people are signed in: noted as sessions are used, shown to the person, ended by them (portal.md 4.3, page 28).

The session itself is Django's row. Deleting it signs the browser out with its next request, and takes what is noted along.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from django.contrib.auth import HASH_SESSION_KEY
from django.contrib.sessions.models import Session
from django.db import transaction
from django.db.models import QuerySet

from registry import audit
from registry.actors import Actor
from registry.models import User, UserSession

LISTED: Final = 25
_PURGED_AT_ONCE: Final = 1000
# What one run leaves is the work of the next: an old server may have years of sessions to delete.
_PURGES_PER_RUN: Final = 100


def note_session(
    user: User, session_key: str, *, began_at: datetime, source_address: str | None, user_agent_family: str, now: datetime
) -> None:
    """Note that the session was used at `now`, from where and by which browser; `began_at` counts when it was not noted before.

    May raise DatabaseError, an IntegrityError when the session is over meanwhile.
    """
    seen = {"last_seen_at": now, "source_address": source_address, "user_agent_family": user_agent_family}
    with transaction.atomic():
        if not UserSession.objects.filter(session_id=session_key).update(**seen):
            row = UserSession(session_id=session_key, user_id=user.pk, began_at=began_at, **seen)
            UserSession.objects.bulk_create([row], ignore_conflicts=True)


def list_sessions(user: User, now: datetime) -> tuple[list[UserSession], bool]:
    """Return where `user` is signed in, the last used first, at most LISTED, and whether there are more. One query."""
    # A new password ends every session but the one at hand, which is used later than those: what is left out here comes last anyway.
    rows = list(_unexpired(user, now)[: LISTED + 1])
    return _signed_in(user, rows[:LISTED]), len(rows) > LISTED


def _unexpired(user: User, now: datetime) -> QuerySet[UserSession]:
    return UserSession.objects.filter(user=user, session__expire_date__gt=now).select_related("session")


def _signed_in(user: User, rows: Iterable[UserSession]) -> list[UserSession]:
    """Return the sessions that are good for the password of today, as Django asks with every request."""
    hashes = {user.get_session_auth_hash(), *user.get_session_auth_fallback_hash()}
    return [row for row in rows if row.session.get_decoded().get(HASH_SESSION_KEY) in hashes]


def end_session(row: UserSession, actor: Actor) -> None:
    """End a session: its next request is signed out. One that is over already is left alone."""
    with transaction.atomic():
        locked = UserSession.objects.select_for_update().filter(pk=row.pk).first()
        if locked is None:
            return
        audit.record(actor, "session.ended", locked, organization=None)
        Session.objects.filter(pk=locked.session_id).delete()


def end_other_sessions(user: User, session_key: str | None, actor: Actor, *, now: datetime) -> int:
    """End every session of `user` but the one of `session_key`; return how many there were."""
    with transaction.atomic():
        others = _signed_in(user, _unexpired(user, now).exclude(session_id=session_key))
        for row in others:
            end_session(row, actor)
    return len(others)


def purge_expired(now: datetime) -> int:
    """Delete sessions that are over, of visitors too, with what is noted of them; return how many. In pieces, and not too many."""
    expired, deleted = Session.objects.filter(expire_date__lte=now), 0
    for _ in range(_PURGES_PER_RUN):
        keys = list(expired.values_list("pk", flat=True)[:_PURGED_AT_ONCE])
        if not keys:
            break
        expired.filter(pk__in=keys).delete()
        deleted += len(keys)
    return deleted
