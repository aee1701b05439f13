"""When a client was last used, sampled so that a request rarely writes it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from registry.models import Client

SAMPLED_EVERY: Final = timedelta(hours=1)


def note_use(client: Client, now: datetime) -> None:
    """Note that `client` was used at `now`, at most once an hour."""
    if client.last_used_at is None or client.last_used_at <= now - SAMPLED_EVERY:
        Client.objects.filter(pk=client.pk).update(last_used_at=now)
        client.last_used_at = now
