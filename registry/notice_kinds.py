"""Which events people hear of, who they are, and what can be switched off: data (portal.md 4.8). The words are the portal's.

Where the table says developers, owners are told too: they may do all that developers may, and most organizations have nobody else.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from registry.models import Contact, Membership
from registry.models.users import StaffRole


class Voice(StrEnum):
    """As whom somebody is told: which words they read, and when they may read them."""

    PARTNER = "partner"
    PERSON = "person"
    STAFF = "staff"


class Group(StrEnum):
    """What one switch on the account page is about."""

    SECURITY = "security"
    REVIEWS = "reviews"
    MEMBERS = "members"
    REGISTRATIONS = "registrations"
    ENDINGS = "endings"
    TRUST = "trust"
    QUEUE = "queue"


@dataclass(frozen=True, slots=True)
class Part:
    """Who is told of an event in one voice: members by role, contacts by kind, staff by role, and whoever asked or is meant."""

    group: Group
    voice: Voice = Voice.PARTNER
    roles: tuple[str, ...] = ()
    contacts: tuple[str, ...] = ()
    staff: tuple[str, ...] = ()
    to_submitter: bool = False


_OWNERS: Final = (Membership.Role.OWNER,)
_EDITORS: Final = (Membership.Role.OWNER, Membership.Role.DEVELOPER)
_SECURITY: Final = (Contact.Kind.SECURITY,)
_TECHNICAL: Final = (Contact.Kind.TECHNICAL,)

_ORGANIZATION: Final = (Part(Group.REVIEWS, roles=_OWNERS),)
_ORGANIZATION_STOP: Final = (Part(Group.SECURITY, roles=_OWNERS, contacts=_SECURITY),)
_CHANGE: Final = (Part(Group.REVIEWS, roles=_OWNERS, to_submitter=True),)
_STOP: Final = (Part(Group.SECURITY, roles=_EDITORS, contacts=_SECURITY),)
_CREDENTIAL: Final = (Part(Group.SECURITY, roles=_EDITORS),)
_ENDING: Final = (Part(Group.ENDINGS, roles=_EDITORS, contacts=_TECHNICAL),)
_INCIDENT: Final = (Part(Group.TRUST, roles=_EDITORS, contacts=_TECHNICAL),)
_MEMBER: Final = Part(Group.MEMBERS, roles=_OWNERS)
_PERSON: Final = Part(Group.SECURITY, Voice.PERSON)
_QUEUE: Final = Part(Group.QUEUE, Voice.STAFF, staff=(StaffRole.REVIEWER,))
_ENTITIES: Final = Part(Group.QUEUE, Voice.STAFF, staff=(StaffRole.REVIEWER, StaffRole.OPERATOR))

# The one event that is told to an address that is nobody's any more.
EMAIL_CHANGED: Final = "account.email_changed"

KINDS: Final[dict[str, tuple[Part, ...]]] = {
    "org.submitted": (*_ORGANIZATION, _QUEUE),
    "org.withdrawn": (_QUEUE,),
    "org.changes_requested": _ORGANIZATION,
    "org.approved": _ORGANIZATION,
    "org.rejected": _ORGANIZATION,
    "org.suspended": _ORGANIZATION_STOP,
    "org.reinstated": _ORGANIZATION_STOP,
    "org.orphaned": (Part(Group.QUEUE, Voice.STAFF, staff=(StaffRole.OPERATOR, StaffRole.REVIEWER)),),
    "review.delayed": (_ENTITIES,),
    "registration_request.opened": (_ENTITIES,),
    "change.requested": (*_CHANGE, _QUEUE),
    "change.commented": (_QUEUE,),
    "change.answered": _CHANGE,
    "change.approved": _CHANGE,
    "change.sent_back": _CHANGE,
    "change.rejected": _CHANGE,
    "member.joined": (_MEMBER,),
    "member.role_changed": (_MEMBER, _PERSON),
    "member.removed": (_MEMBER, _PERSON),
    "account.password_changed": (_PERSON,),
    EMAIL_CHANGED: (_PERSON,),
    "account.factor_added": (_PERSON,),
    "account.factor_removed": (_PERSON,),
    "account.recovery_codes_made": (_PERSON,),
    "client.drafted": (Part(Group.REVIEWS, roles=_OWNERS),),
    "client.registered": (Part(Group.REGISTRATIONS, roles=_OWNERS),),
    "registrations.summarized": (Part(Group.REGISTRATIONS, roles=_OWNERS),),
    "client.updated": (Part(Group.SECURITY, roles=_OWNERS, contacts=_SECURITY),),
    "client.suspended": _STOP,
    "client.reinstated": _STOP,
    "client.closed": (Part(Group.SECURITY, roles=_EDITORS),),
    "client.check_failed": (Part(Group.ENDINGS, roles=_OWNERS),),
    "secret.created": _CREDENTIAL,
    "secret.ended": _CREDENTIAL,
    "registration_token.reset": _CREDENTIAL,
    "registration_token.revoked": _CREDENTIAL,
    "statement.ended": (Part(Group.ENDINGS, roles=_OWNERS),),
    "secret.ending": _ENDING,
    "secret.expired": _ENDING,
    "certificate.ending": _ENDING,
    "certificate.expired": _ENDING,
    "token.ending": _ENDING,
    "token.expired": _ENDING,
    "trust.ending": _ENDING,
    "keys.unreachable": _INCIDENT,
    "keys.reachable": _INCIDENT,
    "trust.unconfirmed": _INCIDENT,
    "trust.recovered": _INCIDENT,
    "trust.broken": (Part(Group.SECURITY, roles=_EDITORS, contacts=(*_SECURITY, *_TECHNICAL)),),
    "trust.revived": (Part(Group.SECURITY, roles=_EDITORS, contacts=(*_SECURITY, *_TECHNICAL)),),
}
# What nobody can switch off.
FIXED: Final = frozenset((Group.SECURITY,))
