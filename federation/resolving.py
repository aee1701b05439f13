"""The resolver of this process: the core with our fetcher, our anchors and one cache."""

from __future__ import annotations

import threading
from typing import Final

from federation.core.resolver import Resolver
from federation.core.statement_cache import MemoryStatementCache, StatementCache
from federation.trust_anchors import get_refused_entities, get_trust_anchors
from protocol.fetch import Fetcher
from registry.outbound import get_fetcher

statement_cache: Final = MemoryStatementCache()
_lock: Final = threading.Lock()
_trusted: object = None


def get_resolver(only_anchor: str | None = None, *, cache: StatementCache = statement_cache, fetcher: Fetcher | None = None) -> Resolver:
    """Return a resolver over the accepted trust anchors, or over one of them; two queries.

    Statements are shared by all resolvers of the process but those that bring a `cache` of their own; one with a `fetcher` of its own
    fetches by that. When operators changed whom they
    trust, every process forgets its statements before it uses them again (threats.md T13).
    """
    (anchors, changed_at), refused = get_trust_anchors(), get_refused_entities()
    _forget_if_changed((tuple(anchor.entity_id for anchor in anchors), changed_at, refused))
    chosen = [anchor for anchor in anchors if only_anchor in (None, anchor.entity_id)]
    return Resolver(fetcher or get_fetcher(), chosen, cache, refused=refused)


def _forget_if_changed(trusted: object) -> None:
    global _trusted  # noqa: PLW0603 - it is about the cache of this process
    with _lock:
        if trusted != _trusted:
            statement_cache.clear()
            _trusted = trusted
