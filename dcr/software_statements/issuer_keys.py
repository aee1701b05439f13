"""The keys of a statement's issuer: pinned here, or fetched from its `jwks_uri` and kept (DCR-SS-06; threats.md F13)."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from dcr.models import SoftwareStatementIssuer, StatementIssuerKeys
from protocol.errors import ServiceUnavailable
from protocol.jose import KeySet, parse_jwk_set_once
from registry.key_addresses import COOL_DOWN, is_fresh, kept_keys, refetch

RETRY_AFTER: Final = int(COOL_DOWN.total_seconds())


def get_issuer_keys(issuer: SoftwareStatementIssuer, *, kid: str | None, now: datetime) -> KeySet:
    """Return the keys to verify a statement of `issuer` with; `kid` is the key that the statement names, if it names one.

    Keys behind an address are fetched when there are none or they are no longer fresh, and once more for an unknown `kid`; not more often
    than every 30 seconds, whatever comes in. Raises ServiceUnavailable when that fails: it says nothing about the statement.
    """
    if issuer.jwks is not None:
        return parse_jwk_set_once(issuer.jwks)
    row = StatementIssuerKeys.objects.filter(issuer=issuer, jwks_uri=issuer.jwks_uri).first()
    if row is None or not is_fresh(row, now):
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
    keys = kept_keys(row, now)
    if keys is None:
        raise _unavailable()
    return keys


def _refetch(issuer: SoftwareStatementIssuer, row: StatementIssuerKeys | None, now: datetime) -> StatementIssuerKeys:
    return refetch(StatementIssuerKeys.objects, {"issuer": issuer}, issuer.jwks_uri, row, now)
