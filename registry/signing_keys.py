"""This server's signing keys: made, published, rotated (house decision 13).

A key is `next` (published ahead, so that nobody meets it by surprise), then `current` (signs), then `retired` (still verifies).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from itertools import product
from typing import Any, Final

from django.db import transaction
from django.utils import timezone

from protocol.errors import TransitionRefused
from protocol.jose import SigningKey as PrivateKey
from protocol.jose import generate_private_key, parse_private_key_pem
from registry import audit
from registry.actors import Actor
from registry.field_encryption import decrypt, encrypt
from registry.models import SigningKey
from registry.snapshots import Snapshot
from registry.transitions import OPERATOR, SYSTEM

PROTOCOL_ALGORITHMS: Final = ("ES256", "RS256", "PS256", "Ed25519")
FEDERATION_ALGORITHM: Final = "ES256"
ALGORITHMS: Final = {SigningKey.Purpose.PROTOCOL: PROTOCOL_ALGORITHMS, SigningKey.Purpose.FEDERATION: (FEDERATION_ALGORITHM,)}
PUBLISHED_AFTER_RETIREMENT: Final = timedelta(days=7)
SNAPSHOT_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class PublishedKeys:
    """The keys of one purpose: the public ones as a JWK Set, and the private ones in use by algorithm."""

    public_jwks: dict[str, Any]
    current: dict[str, PrivateKey]


def ensure_signing_keys(actor: Actor, *, now: datetime) -> int:
    """Make the keys that are missing: a current and a next one per purpose and algorithm. Return how many were made."""
    made = 0
    wanted = [(purpose, algorithm) for purpose, algorithms in ALGORITHMS.items() for algorithm in algorithms]
    for (purpose, algorithm), state in product(wanted, (SigningKey.State.CURRENT, SigningKey.State.NEXT)):
        with transaction.atomic():
            if not SigningKey.objects.filter(purpose=purpose, algorithm=algorithm, state=state).exists():
                _make(purpose, algorithm, state, actor, now)
                made += 1
    return made


def _make(purpose: str, algorithm: str, state: str, actor: Actor, now: datetime) -> SigningKey:
    key = generate_private_key(algorithm)
    row = SigningKey.objects.create(
        purpose=purpose,
        algorithm=algorithm,
        kid=key.kid,
        state=state,
        public_jwk=key.public_jwk(),
        private_key_encrypted=encrypt(key.to_pem().decode()),
        created_at=now,
        activated_at=now if state == SigningKey.State.CURRENT else None,
    )
    audit.record(actor, "signing_key.created", row, organization=None, difference={"state": [None, state]})
    forget_snapshots()
    return row


def rotate_signing_key(purpose: str, algorithm: str, actor: Actor, *, now: datetime, current_kid: str | None = None) -> SigningKey:
    """Retire the current key, make the next one current and publish a new next one; return the current one.

    With `current_kid` only while that key is the current one, so that a form sent twice rotates once.
    Raises TransitionRefused with reason permission or changed.
    """
    with transaction.atomic():
        if not actor.has_role(None, OPERATOR, SYSTEM):
            raise TransitionRefused("permission", "Only an operator may rotate signing keys.")
        rows = SigningKey.objects.select_for_update().filter(purpose=purpose, algorithm=algorithm)
        # Compared here, since a form may send what a database refuses to compare.
        if current_kid is not None and current_kid not in [row.kid for row in rows if row.state == SigningKey.State.CURRENT]:
            raise TransitionRefused("changed", "The key was rotated meanwhile.")
        following = rows.filter(state=SigningKey.State.NEXT).first() or _make(purpose, algorithm, SigningKey.State.NEXT, actor, now)
        for old in rows.filter(state=SigningKey.State.CURRENT):
            old.state, old.retired_at = SigningKey.State.RETIRED, now
            old.save(update_fields=["state", "retired_at"])
        following.state, following.activated_at = SigningKey.State.CURRENT, now
        following.save(update_fields=["state", "activated_at"])
        _make(purpose, algorithm, SigningKey.State.NEXT, actor, now)
        audit.record(actor, "signing_key.rotated", following, organization=None)
    forget_snapshots()
    return following


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """One published key as everybody may know it: `state` is next, current or retired, `until` when a retired one disappears."""

    kid: str
    purpose: str
    algorithm: str
    state: str
    created_at: datetime
    activated_at: datetime | None
    until: datetime | None


def list_published_keys(now: datetime) -> list[KeyRecord]:
    """Return every key that is published at `now`, those that sign first. Private parts are not loaded. One query."""
    names = ("kid", "purpose", "algorithm", "state", "created_at", "activated_at", "retired_at")
    order = {SigningKey.State.CURRENT: 0, SigningKey.State.NEXT: 1, SigningKey.State.RETIRED: 2}
    found = []
    for row in SigningKey.objects.only(*names):
        until = row.retired_at + PUBLISHED_AFTER_RETIREMENT if row.retired_at else None
        if until is None or until > now:
            found.append(KeyRecord(row.kid, row.purpose, row.algorithm, row.state, row.created_at, row.activated_at, until))
    return sorted(found, key=lambda key: (key.purpose == SigningKey.Purpose.FEDERATION, order[SigningKey.State(key.state)], key.algorithm))


def get_keys(purpose: str) -> PublishedKeys:
    """Return the keys of `purpose`, at most SNAPSHOT_SECONDS old, and the last ones known while the database is away.

    Raises django.db.Error when the database is away and nothing was read before.
    """
    return _snapshots[purpose].get()


def _read_keys(purpose: str) -> PublishedKeys:
    still_published = timezone.now() - PUBLISHED_AFTER_RETIREMENT
    rows = [row for row in SigningKey.objects.filter(purpose=purpose) if row.retired_at is None or row.retired_at > still_published]
    current = {
        row.algorithm: parse_private_key_pem(decrypt(row.private_key_encrypted).encode(), row.algorithm)
        for row in rows
        if row.state == SigningKey.State.CURRENT
    }
    order = {SigningKey.State.CURRENT: 0, SigningKey.State.NEXT: 1, SigningKey.State.RETIRED: 2}
    rows.sort(key=lambda row: (order[SigningKey.State(row.state)], row.algorithm))
    return PublishedKeys({"keys": [row.public_jwk for row in rows]}, current)


_snapshots: Final = {purpose: Snapshot(partial(_read_keys, purpose), seconds=SNAPSHOT_SECONDS) for purpose in SigningKey.Purpose.values}


def forget_snapshots() -> None:
    """Read the keys again at the next use, in this process; others follow within SNAPSHOT_SECONDS."""
    for snapshot in _snapshots.values():
        snapshot.forget()
