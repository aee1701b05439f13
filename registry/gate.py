"""The one question before every protocol action: may this client act now? (house decisions 4, 9, 10; threats.md O10)

Pure over a client with its organization loaded: no query, no clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Final

from registry.models import Client, Organization


class Action(Enum):
    """What a client wants to do."""

    AUTHORIZE = "authorize"
    PUSH_AUTHORIZATION = "push authorization request"
    TOKEN = "token"
    REFRESH = "refresh"
    INTROSPECT = "introspect"
    USERINFO = "userinfo"
    MANAGE_REGISTRATION = "manage registration"
    USE_API = "use the API"


class Fixer(Enum):
    """Who can change the answer."""

    NOBODY = "nobody"
    PARTNER = "your organization"
    STAFF = "our staff"
    FEDERATION = "the federation operator"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer: `reason` is a stable word, `sentence` is for people, `fixer` says who can change it."""

    allowed: bool
    reason: str
    sentence: str
    fixer: Fixer = Fixer.NOBODY


ALLOWED: Final = Verdict(True, "allowed", "This app can get tokens right now.")

_BY_CLIENT_STATE: Final = {
    Client.State.DRAFT: Verdict(False, "client_draft", "This app is a draft and was not activated yet.", Fixer.PARTNER),
    Client.State.SUSPENDED: Verdict(False, "client_suspended", "This app is suspended.", Fixer.STAFF),
    Client.State.CLOSED: Verdict(False, "client_closed", "This app is closed for good.", Fixer.NOBODY),
}
_BY_ORGANIZATION_STATE: Final = {
    Organization.State.SUSPENDED: Verdict(False, "organization_suspended", "The organization is suspended.", Fixer.STAFF),
    Organization.State.REJECTED: Verdict(False, "organization_rejected", "The organization was rejected.", Fixer.PARTNER),
    Organization.State.CLOSED: Verdict(False, "organization_closed", "The organization is closed.", Fixer.NOBODY),
}
_NOT_APPROVED: Final = Verdict(False, "organization_not_approved", "The organization is not approved yet.", Fixer.STAFF)
_BY_TRUST: Final = {
    Client.Trust.BROKEN: Verdict(False, "trust_broken", "The trust chain of this app is broken.", Fixer.FEDERATION),
    Client.Trust.SUSPECT: Verdict(
        False, "trust_suspect", "The trust chain of this app is in doubt and is being checked again.", Fixer.FEDERATION
    ),
}
_TRUST_EXPIRED: Final = Verdict(False, "trust_expired", "The trust chain of this app is expired.", Fixer.FEDERATION)
_PAUSED: Final = Verdict(False, "client_paused", "This app was paused by its owner.", Fixer.PARTNER)


def client_may_act(client: Client, action: Action, now: datetime) -> Verdict:
    """Say whether `client` may do `action` at `now`, and if not, why and who can change it.

    The answer is the same for every action today; the action is asked for so that a later rule can tell them apart in this one place.
    """
    del action
    if client.state != Client.State.ACTIVE:
        return (
            _PAUSED if client.paused_by_owner and client.state == Client.State.SUSPENDED else _BY_CLIENT_STATE[Client.State(client.state)]
        )
    organization = client.organization
    if verdict := _BY_ORGANIZATION_STATE.get(Organization.State(organization.state)):
        return verdict
    if client.stage == Client.Stage.LIVE and organization.state != Organization.State.APPROVED:
        return _NOT_APPROVED
    if verdict := _BY_TRUST.get(Client.Trust(client.trust)):
        return verdict
    if client.trust != Client.Trust.NONE and (client.trust_expires_at is None or client.trust_expires_at <= now):
        return _TRUST_EXPIRED
    return ALLOWED
