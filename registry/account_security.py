"""What changes how a person signs in: in the trail, and told to them at once (portal.md 4.8)."""

from __future__ import annotations

from typing import Final

from django.db import transaction

from registry.actors import Actor
from registry.models import User
from registry.notices import record_news

PASSWORD_CHANGED: Final = "account.password_changed"
FACTOR_ADDED: Final = "account.factor_added"
FACTOR_REMOVED: Final = "account.factor_removed"
RECOVERY_CODES_MADE: Final = "account.recovery_codes_made"


def record_change(event: str, user: User, actor: Actor, **difference: tuple[str | None, str | None]) -> None:
    """Write down `event`, which starts with `account.`, with what was before and after by name, never a secret, and the notice to them."""
    with transaction.atomic():
        record_news(actor, event, user, None, difference={name: list(pair) for name, pair in difference.items()}, person=user)
