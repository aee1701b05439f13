"""How and when a person signed in: from the records that allauth keeps to the words of OpenID Connect (Core, 2; RFC 8176). Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from protocol.constants import ACR_VALUES, MULTI_FACTOR, PHISHING_RESISTANT
from registry.models import User

# RFC 8176, 2
_METHODS: Final = {"password": "pwd", "password_reset": "pwd", "totp": "otp", "recovery_codes": "otp", "webauthn": "pop"}


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Who is signed in, since when, in seconds and parts of one, and by which methods (RFC 8176)."""

    user: User
    auth_time: float
    methods: tuple[str, ...] = ()

    @property
    def contexts(self) -> tuple[str, ...]:
        """Return the authentication context classes that the sign-in reaches, the strongest first."""
        reached = {PHISHING_RESISTANT: "pop" in self.methods, MULTI_FACTOR: "mfa" in self.methods}
        return tuple(name for name in ACR_VALUES if reached[name])

    def context(self, preferred: Sequence[str]) -> str:
        """Return the class to name: the first of `preferred` that is reached, or the strongest; empty when none is."""
        return next((name for name in (*preferred, *self.contexts) if name in self.contexts), "")


def read_sign_in(user: User, records: Sequence[Mapping[str, Any]]) -> SignedIn | None:
    """Return how `user` signed in by allauth's records of the session, oldest first; None when nothing says when.

    Only the last sign-in counts, from its first step on, and of somebody who proved themselves again only that: what was proven before
    says nothing about who sits there now.
    """
    dated = [record for record in records if "at" in record]
    if not dated:
        return None
    begins = max((place for place, record in enumerate(dated) if _begins_sign_in(record)), default=0)
    counted = dated[-1:] if dated[-1].get("reauthenticated") else dated[begins:]
    return SignedIn(user, float(counted[-1]["at"]), _methods(counted))


def _begins_sign_in(record: Mapping[str, Any]) -> bool:
    return not record.get("reauthenticated") and (record.get("method") != "mfa" or bool(record.get("passwordless")))


def _methods(records: Collection[Mapping[str, Any]]) -> tuple[str, ...]:
    words = [_METHODS.get(str(record.get("type") or record.get("method"))) for record in records]
    found: Iterable[str] = dict.fromkeys(word for word in words if word)
    # A passkey used alone proves who unlocked it as well.
    is_multiple = len(set(found)) > 1 or any(record.get("passwordless") for record in records)
    return (*found, *(("mfa",) if is_multiple else ()))
