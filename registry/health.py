"""Whether an app can get tokens right now, why not, and who can change that (portal.md 4.3, page 15)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from protocol.errors import InvalidKeySet
from protocol.jose import parse_jwk_set_once
from registry.entitlements import scopes_waiting_for_approval
from registry.gate import Action, Fixer, client_may_act
from registry.key_addresses import KEPT_AFTER_FAILURE
from registry.models import Client, ClientKeySet, ClientSecret


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


def describe_access(client: Client, now: datetime) -> Access:
    """Say whether `client`, loaded with its organization, can get tokens at `now`. At most two queries; nothing is fetched or written."""
    reasons, remarks = [], []
    verdict = client_may_act(client, Action.TOKEN, now)
    if not verdict.allowed:
        reasons.append(Cause(verdict.reason, verdict.sentence, verdict.fixer))
    wanting, noted, ends = _describe_credentials(client, now)
    reasons += wanting
    remarks += noted
    waiting = tuple(sorted(scopes_waiting_for_approval(client, now)))
    if waiting:
        words = f"Not approved yet: {', '.join(waiting)}. A request that asks for {'it' if len(waiting) == 1 else 'them'} is refused."
        remarks.append(Cause("scope_waiting", words, Fixer.STAFF))
    moments = [moment for moment in (ends, client.trust_expires_at) if moment is not None]
    return Access(tuple(reasons), tuple(remarks), waiting, min(moments, default=None))


_Described = tuple[list[Cause], list[Cause], datetime | None]


def _describe_credentials(client: Client, now: datetime) -> _Described:
    if client.client_type == Client.CLIENT_PUBLIC:
        return [], [], None
    if client.uses_secret:
        return _describe_secrets(list(client.secrets.all()), now)
    if "jwks" in client.metadata:
        return _describe_registered_keys(client)
    return _describe_fetched_keys(ClientKeySet.objects.filter(client=client, jwks_uri=client.metadata.get("jwks_uri")).first(), now)


def _describe_secrets(secrets: list[ClientSecret], now: datetime) -> _Described:
    live = [secret for secret in secrets if secret.expires_at is None or secret.expires_at > now]
    if live:
        lasting = any(secret.expires_at is None for secret in live)
        ends = max(secret.expires_at for secret in live if secret.expires_at) if not lasting else None
        noted = [Cause("secret_ending", "Its last secret ends soon. Make another one before.", Fixer.PARTNER)] if ends else []
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
