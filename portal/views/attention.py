"""What needs attention, from every room of the server (portal.md, page 9)."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from dcr.token_attention import find_token_attention
from federation.trust_attention import find_trust_attention
from registry.attention import Attention, find_attention
from registry.models import Organization


def find_everything(organizations: Collection[Organization], now: datetime) -> list[Attention]:
    """Return what the members of `organizations` should look at. As many queries for one as for many."""
    return [
        *find_attention(organizations, now),
        *find_token_attention(organizations, now),
        *find_trust_attention(organizations, now),
    ]
