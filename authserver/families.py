"""A code and everything that descends from it: issued, refreshed, and ended together (threats.md O06, O07).

The code's row is what all of these lock, so that no token can be born into a family that has ended.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db import transaction
from oauth2_provider.models import set_token_value

from authserver.models import AccessToken, Grant, RefreshToken
from authserver.tokens import checksum_of, generate_access_token, generate_refresh_token
from protocol.errors import InvalidGrant
from registry.models import Client, User

REFRESH_IDLE: Final = timedelta(days=30)


def use_code(grant: Grant, *, now: datetime) -> None:
    """Use a code, inside the caller's transaction; its row stays locked until that ends. Raises InvalidGrant when it was used before."""
    if not Grant.objects.filter(pk=grant.pk, used_at=None, ended_at=None).update(used_at=now):
        raise InvalidGrant(detail="code used twice")


def lock_family(family: UUID) -> Grant:
    """Lock the head of a family for this transaction. Raises InvalidGrant when the family has ended."""
    head = Grant.objects.select_for_update().filter(family=family, ended_at=None).first()
    if head is None:
        raise InvalidGrant(detail="the family of this token has ended")
    return head


def end_family(family: UUID, *, now: datetime) -> None:
    """End a code and everything that descends from it (BCP-06, -09)."""
    with transaction.atomic():
        Grant.objects.filter(family=family, ended_at=None).update(ended_at=now, used_at=now)
        RefreshToken.objects.filter(token_family=family, revoked=None).update(revoked=now)
        AccessToken.objects.filter(family=family, expires__gt=now).update(expires=now)


def end_family_of_code(code: str, client: Client, *, now: datetime) -> None:
    """End a code of `client`, used or not, and everything that descends from it; an unknown or foreign one is left alone."""
    family = Grant.objects.filter(code=code, application=client).values_list("family", flat=True).first()
    if family is not None:
        end_family(family, now=now)


def issue_access_token(
    grant: Grant, client: Client, scopes: Iterable[str], lifetime: int, *, resources: Iterable[str] = (), now: datetime
) -> str:
    """Store an access token of a family and return its value; `lifetime` is in seconds, `resources` whom it is for (RFC 8707)."""
    row = AccessToken(
        user=grant.user,
        application=client,
        expires=now + timedelta(seconds=lifetime),
        scope=" ".join(scopes),
        resource=list(resources),
        family=grant.family,
        credential_generation=grant.credential_generation,
    )
    value = generate_access_token(None)
    set_token_value(row, value)
    row.save(force_insert=True)
    return value


def issue_refresh_token(grant: Grant, client: Client, scopes: Iterable[str]) -> str:
    """Store a refresh token of a family and return its value."""
    row = RefreshToken(
        user=grant.user,
        application=client,
        scope=" ".join(scopes),
        token_family=grant.family,
        credential_generation=grant.credential_generation,
    )
    value = generate_refresh_token(None)
    set_token_value(row, value)
    row.save(force_insert=True)
    return value


def find_refresh_token(value: str) -> RefreshToken | None:
    """Return the row of a presented refresh token with its person, live or not. One query."""
    return RefreshToken.objects.select_related("user").filter(token_checksum=checksum_of(value)).order_by("revoked").first()


def use_refresh_token(row: RefreshToken, *, now: datetime) -> None:
    """Use a refresh token, inside the caller's transaction that holds its family. Raises InvalidGrant when it was used before."""
    if not RefreshToken.objects.filter(pk=row.pk, revoked=None).update(revoked=now):
        raise InvalidGrant(detail="refresh token used twice")


def is_idle(row: RefreshToken, now: datetime) -> bool:
    """Say whether a refresh token was not used for so long that it counts no more."""
    return row.created + REFRESH_IDLE <= now


def wants_refresh_token(client: Client, scopes: Iterable[str]) -> bool:
    """Say whether a refresh token goes along: registered for it, and offline_access granted where the request is an OpenID Connect one."""
    granted = set(scopes)
    return "refresh_token" in client.grant_types and ("offline_access" in granted or "openid" not in granted)


def end_families_of(user: User, client: Client, *, now: datetime) -> None:
    """End everything that `user` let `client` have."""
    for family in list(Grant.objects.filter(user=user, application=client, ended_at=None).values_list("family", flat=True)):
        end_family(family, now=now)


def revoke(value: str, client: Client, *, now: datetime) -> None:
    """Revoke a token that `client` presents, with its family if it has one (RFC 7009, 2.1); another client's is left alone."""
    checksum = checksum_of(value)
    refresh_token = RefreshToken.objects.filter(token_checksum=checksum, application=client).first()
    access_token = AccessToken.objects.filter(token_checksum=checksum, application=client).first()
    family = refresh_token.token_family if refresh_token else access_token.family if access_token else None
    if family is not None:
        end_family(family, now=now)
    elif access_token is not None:
        access_token.delete()
