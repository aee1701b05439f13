"""Which initial access tokens somebody should look at before a registration fails."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from django.db.models import F

from dcr.initial_access_tokens import standing_of, with_keeper
from dcr.models import InitialAccessToken
from registry.attention import Attention
from registry.models import Organization
from registry.reminders import ends_soon


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenAttention(Attention):
    """Something to look at that is about a token."""

    token: InitialAccessToken


def find_token_attention(organizations: Collection[Organization], now: datetime) -> list[TokenAttention]:
    """Return the tokens of `organizations` that end soon with uses left, or ended with their keeper. One query.

    One that was made for a short time ends soon when half of that is over.
    """
    by_id = {organization.pk: organization for organization in organizations}
    unused = with_keeper().filter(organization__in=by_id, revoked_at=None, uses__lt=F("uses_limit"), expires_at__gt=now)
    items = []
    for token in unused.order_by("expires_at", "id"):
        standing, _ = standing_of(token, now)
        if standing == "unkept":
            sentence = f"The registration token {token} stopped working, as nobody keeps it; an owner can adopt it."
            items.append(TokenAttention("token_unkept", sentence, by_id[token.organization_id], token=token))
        elif standing == "active" and ends_soon(token.expires_at, now, since=token.created_at):
            left = token.uses_limit - token.uses
            sentence = f"The registration token {token} ends with {left} of {token.uses_limit} uses left."
            item = TokenAttention("token_ending", sentence, by_id[token.organization_id], moment=token.expires_at, token=token)
            items.append(item)
    return items
