"""What needs attention, from every room of the server (portal.md, page 9)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from datetime import datetime
from typing import Final

from dcr.token_attention import find_token_attention
from federation.trust_attention import find_trust_attention
from registry.attention import Attention, count_attention, find_attention
from registry.models import Organization

# What stopped, then what will stop, then what waits for somebody.
_MOST_URGENT_FIRST: Final = (
    *("organization_suspended", "organization_rejected", "organization_changes_requested"),
    *("trust_broken", "trust_suspect", "keys_unreachable", "client_suspended", "token_unkept"),
    *("rule_broken", "secret_ending", "trust_ending", "trust_stale", "token_ending"),
    *("change_sent_back", "client_offered", "draft_waiting"),
)
_RANKS: Final = {code: rank for rank, code in enumerate(_MOST_URGENT_FIRST)}


def count_everything(organizations: Collection[Organization], now: datetime) -> Counter[int]:
    """Return how many things `find_everything` finds, by organization."""
    others = [*find_token_attention(organizations, now), *find_trust_attention(organizations, now)]
    return count_attention(organizations, now) + Counter(item.organization.pk for item in others)


def find_everything(organizations: Collection[Organization], now: datetime) -> list[Attention]:
    """Return what the members of `organizations` should look at, the most urgent first. As many queries for one as for many."""
    items = [
        *find_attention(organizations, now),
        *find_token_attention(organizations, now),
        *find_trust_attention(organizations, now),
    ]
    return sorted(items, key=lambda item: (_RANKS.get(item.code, len(_RANKS)), item.moment or now))
