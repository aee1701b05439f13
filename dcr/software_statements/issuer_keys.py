"""The keys of a statement's issuer: pinned here, or fetched from its `jwks_uri` and kept (DCR-SS-06; threats.md F13)."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from dcr.models import SoftwareStatementIssuer, StatementIssuerKeys
from protocol.errors import FetchError, InvalidJson, InvalidKeySet, ServiceUnavailable
from protocol.fetch import FetchPurpose, standard_request
from protocol.jose import KeySet, parse_jwk_set_once
from protocol.strict_json import parse_json_object
from registry.client_keys import COOL_DOWN, KEPT_AFTER_FAILURE, freshness_of
from registry.outbound import get_fetcher

RETRY_AFTER: Final = int(COOL_DOWN.total_seconds())


def get_issuer_keys(issuer: SoftwareStatementIssuer, *, kid: str | None, now: datetime) -> KeySet:
    """Return the keys to verify a statement of `issuer` with; `kid` is the key that the statement names, if it names one.

    Keys behind an address are fetched when there are none or they are no longer fresh, and once more for an unknown `kid`; not more often
    than every 30 seconds, whatever comes in. Raises ServiceUnavailable when that fails: it says nothing about the statement.
    """
    if issuer.jwks is not None:
        return parse_jwk_set_once(issuer.jwks)
    row = StatementIssuerKeys.objects.filter(issuer=issuer, jwks_uri=issuer.jwks_uri).first()
    if row is None or row.fresh_until is None or now >= row.fresh_until:
        row = _refetch(issuer, row, now)
    keys = _keys_of(row, now)
    if kid is not None and all(key.kid != kid for key in keys.keys):
        row = _refetch(issuer, row, now)
        keys = _keys_of(row, now)
        if row.failure and all(key.kid != kid for key in keys.keys):
            raise _unavailable()
    return keys


def _unavailable() -> ServiceUnavailable:
    return ServiceUnavailable("The keys of the software statement's issuer cannot be fetched; try again.", retry_after=RETRY_AFTER)


def _keys_of(row: StatementIssuerKeys, now: datetime) -> KeySet:
    """Return the last good keys, unless they are too old to be trusted."""
    if row.jwks is None or row.fresh_until is None or now >= row.fresh_until + KEPT_AFTER_FAILURE:
        raise _unavailable()
    return parse_jwk_set_once(row.jwks)


def _refetch(issuer: SoftwareStatementIssuer, row: StatementIssuerKeys | None, now: datetime) -> StatementIssuerKeys:
    if row is not None and row.attempted_at > now - COOL_DOWN:
        return row
    # The attempt is noted before it is made, so that parallel requests see the cool-down.
    fresh_start: dict[str, Any] = {"jwks": None, "fetched_at": None, "fresh_until": None, "failure": ""} if row is None else {}
    attempt = {"jwks_uri": issuer.jwks_uri, "attempted_at": now, **fresh_start}
    StatementIssuerKeys.objects.update_or_create(issuer=issuer, defaults=attempt)
    try:
        answer = get_fetcher().fetch(standard_request(FetchPurpose.JWKS, issuer.jwks_uri))
        found = parse_json_object(answer.body, max_bytes=len(answer.body))
        parse_jwk_set_once(found)
    except (FetchError, InvalidJson, InvalidKeySet) as error:
        changes: dict[str, Any] = {"failure": error.description[:200]}
    else:
        changes = {"jwks": found, "fetched_at": now, "fresh_until": now + freshness_of(answer), "failure": ""}
    StatementIssuerKeys.objects.filter(issuer=issuer).update(**changes)
    return StatementIssuerKeys.objects.get(issuer=issuer)
