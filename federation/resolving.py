"""The resolver of this process: the core with our fetcher, our anchors and one cache."""

from __future__ import annotations

from typing import Final

from federation.core.resolver import Resolver
from federation.core.statement_cache import MemoryStatementCache, StatementCache
from federation.trust_anchors import get_refused_entities, get_trust_anchors
from registry.outbound import get_fetcher

statement_cache: Final = MemoryStatementCache()


def get_resolver(only_anchor: str | None = None, *, cache: StatementCache = statement_cache) -> Resolver:
    """Return a resolver over the accepted trust anchors, or over one of them; two queries.

    Statements are shared by all resolvers of the process but those that bring a `cache` of their own.
    """
    anchors = [anchor for anchor in get_trust_anchors() if only_anchor in (None, anchor.entity_id)]
    return Resolver(get_fetcher(), anchors, cache, refused=get_refused_entities())
