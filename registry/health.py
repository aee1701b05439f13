"""Whether an app can get tokens right now, why not, and who can change that (portal.md 4.3, page 15)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from django.db.models import Exists, OuterRef, Q, prefetch_related_objects
from django.db.models.fields.json import KeyTextTransform

from protocol.errors import InvalidKeySet
from protocol.jose import parse_jwk_set_once
from registry.entitlements import scopes_waiting_for_approval
from registry.gate import Action, Fixer, client_may_act
from registry.key_addresses import KEPT_AFTER_FAILURE
from registry.models import Client, ClientKeySet, ClientSecret, Organization
from registry.reminders import FIRST_TOLD_BEFORE, ends_soon


@dataclass(frozen=True, slots=True)
class Cause:
    """One reason or remark: `code` is stable, `fixer` who can change it."""

    code: str
    sentence: str
    fixer: Fixer


@dataclass(frozen=True, slots=True)
class Access:
    """The answer: `reasons` keep the app from tokens, `remarks` do not; `expires_at` is when something it needs ends next."""

    reasons: tuple[Cause, ...]
    remarks: tuple[Cause, ...]
    waiting_scopes: tuple[str, ...] = ()
    expires_at: datetime | None = None

    @property
    def can(self) -> bool:
        """Say whether the app can get tokens."""
        return not self.reasons


class Health(Enum):
    """How an app is, whatever people decided about it: what stops it, what will, what should be looked at (portal.md 4.4)."""

    OK = "ok"
    EXPIRING = "expiring"
    DEGRADED = "degraded"
    BROKEN = "broken"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Checkup:
    """The health of an app in a list; `expires_at` is when something it needs ends next."""

    health: Health
    expires_at: datetime | None


def check_health(clients: Collection[Client], now: datetime) -> dict[int, Checkup]:
    """Return the health of each of `clients`, which are loaded with their organizations, by primary key. Two queries, however many."""
    prefetch_related_objects(list(clients), "secrets")
    key_sets = {row.client_id: row for row in ClientKeySet.objects.filter(client__in=clients)}
    return {client.pk: _check_up(client, key_sets.get(client.pk), now) for client in clients}


def _check_up(client: Client, key_set: ClientKeySet | None, now: datetime) -> Checkup:
    if client.state in (Client.State.DRAFT, Client.State.CLOSED):
        return Checkup(Health.UNKNOWN, None)
    verdict = client_may_act(client, Action.TOKEN, now)
    # What people decided about the app is its state, which stands beside its health.
    stopped = not verdict.allowed and not verdict.reason.startswith("client_")
    wanting, noted, ends = _describe_credentials(client, _of_its_address(client, key_set), now)
    moment = min((one for one in (ends, client.trust_expires_at) if one is not None), default=None)
    codes = {cause.code for cause in noted}
    if stopped or wanting:
        return Checkup(Health.BROKEN, moment)
    if client.trust == Client.Trust.STALE or "keys_stale" in codes:
        return Checkup(Health.DEGRADED, moment)
    if ends is not None and ends_soon(ends, now):
        return Checkup(Health.EXPIRING, moment)
    return Checkup(Health.UNKNOWN if codes & {"keys_unchecked", "keys_unreachable"} else Health.OK, moment)


def needs_attention(now: datetime) -> Q:
    """Return the condition for apps whose health is expiring, degraded or broken, as far as SQL can tell.

    It cannot read key sets, which are read before they are stored; an app that people stopped counts by what else is wrong with it.
    """
    organization = Q(organization__state__in=(Organization.State.SUSPENDED, Organization.State.REJECTED, Organization.State.CLOSED))
    organization |= Q(stage=Client.Stage.LIVE) & ~Q(organization__state=Organization.State.APPROVED)
    trust = Q(trust__in=(Client.Trust.STALE, Client.Trust.SUSPECT, Client.Trust.BROKEN))
    trust |= ~Q(trust=Client.Trust.NONE) & (Q(trust_expires_at=None) | Q(trust_expires_at__lte=now))
    lasting = ClientSecret.objects.filter(Q(expires_at=None) | Q(expires_at__gt=now + FIRST_TOLD_BEFORE), client=OuterRef("pk"))
    secrets = Q(metadata__token_endpoint_auth_method__startswith="client_secret_") & ~Exists(lasting)
    address = KeyTextTransform("jwks_uri", OuterRef("metadata"))
    failing = ClientKeySet.objects.filter(client=OuterRef("pk"), jwks_uri=address).exclude(failure="")
    keys = Q(metadata__token_endpoint_auth_method="private_key_jwt") & Exists(failing)
    return Q(state__in=(Client.State.ACTIVE, Client.State.SUSPENDED)) & (organization | trust | secrets | keys)


def describe_access(client: Client, now: datetime) -> Access:
    """Say whether `client`, loaded with its organization, can get tokens at `now`. At most two queries; nothing is fetched or written."""
    reasons, remarks = [], []
    verdict = client_may_act(client, Action.TOKEN, now)
    if not verdict.allowed:
        reasons.append(Cause(verdict.reason, verdict.sentence, verdict.fixer))
    fetched = ClientKeySet.objects.filter(client=client).first() if _fetches_keys(client) else None
    wanting, noted, ends = _describe_credentials(client, _of_its_address(client, fetched), now)
    reasons += wanting
    remarks += noted
    waiting = tuple(sorted(scopes_waiting_for_approval(client, now)))
    if waiting:
        words = f"Not approved yet: {', '.join(waiting)}. A request that asks for {'it' if len(waiting) == 1 else 'them'} is refused."
        remarks.append(Cause("scope_waiting", words, Fixer.STAFF))
    moments = [moment for moment in (ends, client.trust_expires_at) if moment is not None]
    return Access(tuple(reasons), tuple(remarks), waiting, min(moments, default=None))


_Described = tuple[list[Cause], list[Cause], datetime | None]


def _fetches_keys(client: Client) -> bool:
    return client.client_type != Client.CLIENT_PUBLIC and not client.uses_secret and "jwks" not in client.metadata


def _of_its_address(client: Client, row: ClientKeySet | None) -> ClientKeySet | None:
    """Return what was fetched from the key address that is registered now, not from one before it."""
    return row if row is not None and row.jwks_uri == client.metadata.get("jwks_uri") else None


def _describe_credentials(client: Client, fetched: ClientKeySet | None, now: datetime) -> _Described:
    if client.client_type == Client.CLIENT_PUBLIC:
        return [], [], None
    if client.uses_secret:
        return _describe_secrets(list(client.secrets.all()), now)
    if "jwks" in client.metadata:
        return _describe_registered_keys(client)
    return _describe_fetched_keys(fetched, now)


def _describe_secrets(secrets: list[ClientSecret], now: datetime) -> _Described:
    live = [secret for secret in secrets if secret.expires_at is None or secret.expires_at > now]
    if live:
        lasting = any(secret.expires_at is None for secret in live)
        ends = max(secret.expires_at for secret in live if secret.expires_at) if not lasting else None
        soon = ends is not None and ends_soon(ends, now)
        noted = [Cause("secret_ending", "Its last secret ends soon. Make another one before.", Fixer.PARTNER)] if soon else []
        return [], noted, ends
    sentence = "All its secrets have ended." if secrets else "It has no secret yet."
    return [Cause("secret_missing", sentence, Fixer.PARTNER)], [], None


def _describe_registered_keys(client: Client) -> _Described:
    try:
        parse_jwk_set_once(client.metadata["jwks"])
    except InvalidKeySet:
        return [Cause("keys_unusable", "None of its keys can be used.", Fixer.PARTNER)], [], None
    return [], [], None


def _describe_fetched_keys(row: ClientKeySet | None, now: datetime) -> _Described:
    if row is None:
        return [], [Cause("keys_unchecked", "Its keys were not fetched from its key address yet.", Fixer.PARTNER)], None
    usable = row.jwks is not None and row.fresh_until is not None and now < row.fresh_until + KEPT_AFTER_FAILURE
    if not usable:
        sentence = f"Its keys cannot be fetched: {row.failure}" if row.failure else "Its keys were not fetched for more than a day."
        # Keys that are merely old are fetched again at the next request; keys that fail are not there.
        cause = Cause("keys_unreachable", sentence, Fixer.PARTNER)
        return ([cause], [], None) if row.failure else ([], [cause], None)
    if row.failure:
        assert row.fresh_until is not None  # noqa: S101 - for the type checker
        sentence = f"The last fetch of its keys failed: {row.failure} The copy from before is still used."
        return [], [Cause("keys_stale", sentence, Fixer.PARTNER)], row.fresh_until + KEPT_AFTER_FAILURE
    return [], [], None
