"""Client secrets: made here, shown once, two live at a time (house decision 14; threats.md R15)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from django.db import transaction
from django.db.models import Q, QuerySet

from protocol.errors import TransitionRefused
from registry.actors import Actor
from registry.client_secrets import NewSecret, digest_of_secret, write_secret
from registry.compiled import CompiledQuery
from registry.digests import digests_equal
from registry.endings import subject_of_secret
from registry.models import Client, ClientSecret
from registry.notices import record_news
from registry.reminders import ENDED, note_told
from registry.transitions import DEVELOPER, OWNER, SYSTEM

LIVE_SECRETS: Final = 2
USE_SAMPLED_EVERY: Final = timedelta(hours=1)
# What the gate and the token endpoint read; the rest is loaded when it is asked for. Half the columns, half the time.
_NEEDED_TO_ACT: Final = (
    *(f"client__{name}" for name in ("client_id", "name", "metadata", "state", "stage", "trust", "trust_expires_at", "paused_by_owner")),
    *(f"client__{name}" for name in ("credential_generation", "is_resource_server", "last_used_at")),
    *(f"client__organization__{name}" for name in ("state", "org_id")),
)
# Compared when a client has no secret, so that an unknown client costs the same work.
_NO_DIGEST: Final = "0" * 64


def live_secrets(client: Client, now: datetime) -> QuerySet[ClientSecret]:
    """Return the secrets of `client` that work at `now`, newest first."""
    return ClientSecret.objects.filter(Q(expires_at__isnull=True) | Q(expires_at__gt=now), client_id=client.pk)


def create_secret(
    client: Client,
    actor: Actor,
    *,
    now: datetime,
    label: str = "",
    end_others_at: datetime | None = None,
    expires_at: datetime | None = None,
) -> NewSecret:
    """Make a secret for `client`; with `end_others_at` the other live secrets end at that time (rotation with overlap).

    Raises TransitionRefused with reason permission, method, state or limit.
    """
    with transaction.atomic():
        row = Client.objects.select_for_update(of=("self",)).select_related("organization").get(pk=client.pk)
        if not actor.has_role(row.organization, OWNER, DEVELOPER, SYSTEM):
            raise TransitionRefused("permission", "Only an owner or developer may make a secret.")
        if not row.uses_secret:
            raise TransitionRefused("method", f"This app authenticates by {row.token_endpoint_auth_method}; a secret would not work.")
        if row.state in (Client.State.DRAFT, Client.State.CLOSED):
            raise TransitionRefused("state", "Activate this app first." if row.state == Client.State.DRAFT else "This app is closed.")
        difference: dict[str, list[str | None]] = {}
        if end_others_at is not None:
            lasting = Q(expires_at__isnull=True) | Q(expires_at__gt=end_others_at)
            if live_secrets(row, now).filter(lasting).update(expires_at=end_others_at):
                difference["other_secrets_end"] = [None, end_others_at.isoformat(timespec="seconds")]
        if live_secrets(row, now).count() >= LIVE_SECRETS:
            raise TransitionRefused("limit", f"This app has {LIVE_SECRETS} live secrets; end one first.")
        secret = write_secret(row, actor.user, now=now, label=label, expires_at=expires_at)
        difference["secret"] = [None, str(secret.row)]
        record_news(actor, "secret.created", row, row.organization, difference=difference)
        return secret


def end_secret(secret: ClientSecret, actor: Actor, *, now: datetime) -> None:
    """End a secret at once. Raises TransitionRefused with reason permission."""
    with transaction.atomic():
        row = Client.objects.select_for_update(of=("self",)).select_related("organization").get(pk=secret.client_id)
        if not actor.has_role(row.organization, OWNER, DEVELOPER, SYSTEM):
            raise TransitionRefused("permission", "Only an owner or developer may end a secret.")
        ended = live_secrets(row, now).filter(pk=secret.pk).update(expires_at=now)
        if ended:
            note_told(subject_of_secret(secret), now, ENDED, now=now)  # this is the news of it
            record_news(actor, "secret.ended", row, row.organization, difference={"secret": [str(secret), None]})


def is_secret_of(client: Client, presented: str, now: datetime) -> bool:
    """Say whether `presented` is a live secret of `client`, compared in constant time. One query."""
    digest = digest_of_secret(presented)
    matches = [digests_equal(secret.digest, digest) for secret in live_secrets(client, now)]
    return any(matches)


def client_with_secret(client_id: str, presented: str, method: str, now: datetime) -> Client | None:
    """Return the client called `client_id`, with its organization, when it authenticates by `method` and `presented` is a live secret
    of it; otherwise None. One query for all of it; the work is the same when the client is unknown.
    """
    live = [secret for secret in _SECRETS_OF.rows(client_id) if secret.expires_at is None or secret.expires_at > now]
    digest = digest_of_secret(presented)
    matches = [secret for secret in live if digests_equal(secret.digest, digest)]
    if not live:
        digests_equal(_NO_DIGEST, digest)
    match = matches[0] if matches else None
    if match is None or match.client.token_endpoint_auth_method != method:
        return None
    _note_use(match, now)
    return match.client


_SECRETS_OF: Final = CompiledQuery(
    lambda client_id: (
        ClientSecret.objects.select_related("client__organization")
        .filter(client__client_id=client_id)
        .only("digest", "expires_at", "last_used_at", *_NEEDED_TO_ACT)
        .order_by()
    )
)


def _note_use(secret: ClientSecret, now: datetime) -> None:
    """Note when a secret was used, at most once an hour, never on each request."""
    if secret.last_used_at is None or secret.last_used_at <= now - USE_SAMPLED_EVERY:
        ClientSecret.objects.filter(pk=secret.pk).update(last_used_at=now)
