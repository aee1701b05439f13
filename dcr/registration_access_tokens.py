"""Registration access tokens: one per client, for its own registration and nothing else (RFC 7592; DCR-MGT-13, -16; threats.md R04)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from django.db import transaction
from django.db.models import Q

from dcr.models import InitialAccessToken, RegistrationAccessToken
from protocol.errors import AccessDenied, InvalidToken, TransitionRefused
from registry.actors import Actor
from registry.compiled import CompiledInsert
from registry.digests import NewCredential, keyed_digest, random_credential
from registry.gate import Action, client_may_act
from registry.models import Client
from registry.models.audit import ActorKind
from registry.notices import record_news
from registry.transitions import OPERATOR, OWNER, SYSTEM

HARDENED_LIFE: Final = timedelta(days=90)
OVERLAP: Final = timedelta(seconds=60)
USE_SAMPLED_EVERY: Final = timedelta(hours=1)
NewRegistrationAccessToken = NewCredential[RegistrationAccessToken]
_PURPOSE: Final = "registration-access-token"
_TOKENS: Final = CompiledInsert(RegistrationAccessToken)


def issue_registration_access_token(
    client: Client, *, now: datetime, initial_access_token: InitialAccessToken | None = None
) -> NewRegistrationAccessToken:
    """Make the token of a client just registered; a profile of its initial access token says how strict it is. One statement."""
    profile = initial_access_token.profile if initial_access_token else None
    value = random_credential("ccr")
    row = RegistrationAccessToken(
        client=client,
        issued_at=now,
        is_hardened=bool(profile and profile.is_hardened),
        is_read_only=bool(profile and profile.is_read_only),
        initial_access_token=initial_access_token,
    )
    _set_value(row, value, now)
    _TOKENS.insert(row)
    return NewCredential(row, value)


def _set_value(row: RegistrationAccessToken, value: str, now: datetime) -> None:
    row.digest, row.tail, row.issued_at = keyed_digest(value, _PURPOSE), value[-4:], now
    row.expires_at = now + HARDENED_LIFE if row.is_hardened else None


def authenticate(presented: str, client_id: str, *, now: datetime) -> RegistrationAccessToken:
    """Return the token `presented` at the registration of `client_id`, with client and organization.

    A token that is presented at another client's registration, or whose client is closed, is revoked: it leaked or lost its purpose
    (DCR-MGT-03). One that merely may not act now stays. Raises InvalidToken, in the same words whatever is wrong.
    """
    digest = keyed_digest(presented, _PURPOSE)
    before = Q(previous_digest=digest, previous_until__gt=now)
    rows = RegistrationAccessToken.objects.select_related("client__organization").filter(Q(digest=digest) | before, revoked_at=None)
    row = rows.first()
    if row is None or (row.expires_at is not None and row.expires_at <= now):
        raise InvalidToken
    if row.client.client_id != client_id or row.client.state == Client.State.CLOSED:
        _revoke(row, registration_actor(row), now, "presented for another registration, or for one that is closed")
        raise InvalidToken
    if not client_may_act(row.client, Action.MANAGE_REGISTRATION, now).allowed:
        raise InvalidToken
    if row.last_used_at is None or row.last_used_at <= now - USE_SAMPLED_EVERY:
        RegistrationAccessToken.objects.filter(pk=row.pk).update(last_used_at=now)
    return row


def check_may_write(token: RegistrationAccessToken) -> None:
    """Refuse a token that only reads. Raises AccessDenied (DCR-MGT-04)."""
    if token.is_read_only:
        raise AccessDenied("This registration can be read, but not changed or deleted by its client.")


def rotate(token: RegistrationAccessToken, *, now: datetime) -> str:
    """Give a hardened token a new value, inside the caller's transaction; the old one works for OVERLAP more. Returns the value."""
    row = RegistrationAccessToken.objects.select_for_update().get(pk=token.pk)
    value = random_credential("ccr")
    row.previous_digest, row.previous_until = row.digest, now + OVERLAP
    _set_value(row, value, now)
    row.save()
    return value


def reset_registration_access_token(client: Client, actor: Actor, *, now: datetime) -> NewRegistrationAccessToken:
    """Replace the token of a client that registered itself; the old one ends at once. An owner may, who lost it or fears for it.

    Raises TransitionRefused with reason permission, source or state.
    """
    with transaction.atomic():
        row = (
            RegistrationAccessToken.objects.select_for_update(of=("self",))
            .filter(client=client)
            .select_related("client__organization")
            .first()
        )
        if row is None:
            raise TransitionRefused("source", "This app did not register itself, so it has no registration access token.")
        if not actor.has_role(row.client.organization, OWNER, OPERATOR, SYSTEM):
            raise TransitionRefused("permission", "Only an owner may reset the registration access token.")
        if row.client.state == Client.State.CLOSED:
            raise TransitionRefused("state", "This app is closed.")
        value = random_credential("ccr")
        row.previous_digest, row.previous_until, row.revoked_at = "", None, None
        _set_value(row, value, now)
        row.save()
        record_news(actor, "registration_token.reset", row.client, row.client.organization, difference={"tail": [None, row.tail]})
        return NewCredential(row, value)


def revoke(token: RegistrationAccessToken, actor: Actor, *, now: datetime, reason: str) -> None:
    """End a token at once, inside the caller's transaction or in one of its own."""
    _revoke(token, actor, now, reason)


def _revoke(token: RegistrationAccessToken, actor: Actor, now: datetime, reason: str) -> None:
    with transaction.atomic():
        if RegistrationAccessToken.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=now):
            client = token.client
            record_news(actor, "registration_token.revoked", client, client.organization, reason=reason)


def registration_actor(token: RegistrationAccessToken, *, request_id: str = "", source_address: str = "") -> Actor:
    """Return the actor for what a client does to its own registration."""
    organization = token.client.organization
    return Actor(
        kind=ActorKind.REGISTRATION_ACCESS_TOKEN,
        id=str(token.client.reference),
        label=str(token.client),
        request_id=request_id,
        source_address=source_address or None,
        roles=lambda wanted: frozenset((SYSTEM,)) if wanted == organization else frozenset(),
    )
