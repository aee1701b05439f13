"""Counting tokens that work now: what would end, before somebody ends it (portal.md 4.3, page 24; 4.5)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db.models import F

from authserver.families import REFRESH_IDLE
from authserver.models import AccessToken, RefreshToken

_LIVE = {"credential_generation": F("application__credential_generation")}


def count_live_access_tokens(now: datetime, **which: Any) -> int:
    """Return how many access tokens of `which` (conditions on the token) are live at `now`. One query on an index."""
    return AccessToken.objects.filter(expires__gt=now, **_LIVE, **which).count()


def count_live_refresh_tokens(now: datetime, **which: Any) -> int:
    """Return how many refresh tokens of `which` still get new access tokens: in how many places somebody stays signed in. One query."""
    return RefreshToken.objects.filter(revoked__isnull=True, created__gte=now - REFRESH_IDLE, **_LIVE, **which).count()
