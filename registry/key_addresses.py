"""Keys behind an address: fetched when they are needed, and kept for a while (DCR-JWK-07, -08; DCR-SS-06; threats.md F13)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar

from django.db import models

from protocol.errors import FetchError, InvalidJson, InvalidKeySet
from protocol.fetch import FetchPurpose, FetchResponse, standard_request
from protocol.jose import KeySet, parse_jwk_set_once
from protocol.strict_json import parse_json_object
from registry.models import FetchedKeySet
from registry.outbound import get_fetcher

SHORTEST_FRESHNESS: Final = timedelta(minutes=5)
LONGEST_FRESHNESS: Final = timedelta(hours=24)
KEPT_AFTER_FAILURE: Final = timedelta(hours=24)
COOL_DOWN: Final = timedelta(seconds=30)
_MAX_AGE = re.compile(r"(?:^|[,\s])max-age=([0-9]{1,9})(?:$|[,\s])", re.IGNORECASE)

Row = TypeVar("Row", bound=FetchedKeySet)


def is_fresh(row: FetchedKeySet | None, now: datetime) -> bool:
    """Say whether the kept keys need not be fetched again yet."""
    return row is not None and row.fresh_until is not None and now < row.fresh_until


def kept_keys(row: FetchedKeySet, now: datetime) -> KeySet | None:
    """Return the last good keys, None when there are none or they are too old to be trusted."""
    if row.jwks is None or row.fresh_until is None or now >= row.fresh_until + KEPT_AFTER_FAILURE:
        return None
    return parse_jwk_set_once(row.jwks)


def refetch(rows: models.Manager[Row], owner: Mapping[str, Any], uri: str, row: Row | None, now: datetime) -> Row:
    """Fetch the keys behind `uri` of an owner whose row is `row`, unless that was tried in the last 30 seconds; return how it went."""
    if row is not None and row.attempted_at > now - COOL_DOWN:
        return row
    # The attempt is noted before it is made, so that parallel requests see the cool-down.
    fresh_start: dict[str, Any] = {"jwks": None, "fetched_at": None, "fresh_until": None, "failure": ""} if row is None else {}
    rows.update_or_create(**owner, defaults={"jwks_uri": uri, "attempted_at": now, **fresh_start})
    try:
        answer = get_fetcher().fetch(standard_request(FetchPurpose.JWKS, uri))
        found = parse_json_object(answer.body, max_bytes=len(answer.body))
        parse_jwk_set_once(found)
    except (FetchError, InvalidJson, InvalidKeySet) as error:
        changes: dict[str, Any] = {"failure": error.description[:200]}
    else:
        changes = {"jwks": found, "fetched_at": now, "fresh_until": now + freshness_of(answer), "failure": ""}
    rows.filter(**owner).update(**changes)
    return rows.get(**owner)


def freshness_of(response: FetchResponse) -> timedelta:
    """Return how long fetched keys count as fresh: Cache-Control max-age, between 5 minutes and 24 hours."""
    match = _MAX_AGE.search(response.headers.get("cache-control", ""))
    wanted = timedelta(seconds=int(match[1])) if match else SHORTEST_FRESHNESS
    return max(SHORTEST_FRESHNESS, min(wanted, LONGEST_FRESHNESS))
