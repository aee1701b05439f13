"""Who does something: a person, a client, a token or a job. Carried into every service call and every audit row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from registry.models import Membership, Organization, User
from registry.models.audit import ActorKind
from registry.transitions import ADMINISTRATOR, OPERATOR, REVIEWER, SYSTEM


@dataclass(frozen=True, slots=True)
class Actor:
    """An actor with what the audit trail says of it. `user` is set for people."""

    kind: ActorKind
    id: str = ""
    label: str = ""
    user: User | None = None
    request_id: str = ""
    source_address: str | None = None
    user_agent_family: str = ""
    roles: Callable[[Organization | None], frozenset[str]] = field(default=lambda _: frozenset())

    def has_role(self, organization: Organization | None, *wanted: str) -> bool:
        """Say whether the actor has one of the `wanted` roles towards `organization`, or towards this server when it is None."""
        return not self.roles(organization).isdisjoint(wanted)


_STAFF_ROLES: Final = frozenset((REVIEWER, OPERATOR))


def person(
    user: User, *, request_id: str = "", source_address: str | None = None, user_agent_family: str = "", staff: bool = False
) -> Actor:
    """Return the actor for a signed-in person: as staff (in the admin) or as a member of organizations (in the portal).

    A person never has both kinds of role in one call, so that nobody reviews the request of their own organization.
    """

    def member_roles(organization: Organization | None) -> frozenset[str]:
        if organization is None:
            return frozenset()
        rows = Membership.objects.filter(organization=organization, user=user, role__in=Membership.Role.values)
        return frozenset(rows.values_list("role", flat=True))

    def staff_roles(organization: Organization | None) -> frozenset[str]:
        if member_roles(organization):
            return frozenset()
        return _STAFF_ROLES | {ADMINISTRATOR} if user.is_superuser else _STAFF_ROLES & {user.staff_role}

    return Actor(
        kind=ActorKind.STAFF if staff else ActorKind.USER,
        id=str(user.sub),
        label=user.email,
        user=user,
        request_id=request_id,
        source_address=source_address,
        user_agent_family=user_agent_family,
        roles=staff_roles if staff else member_roles,
    )


def job(name: str) -> Actor:
    """Return the actor for a task or a management command."""
    return Actor(kind=ActorKind.JOB, id=name, label=name, roles=lambda _: frozenset((SYSTEM,)))


COMMAND_LINE: Final = job("command line")


def federation_entity(entity_id: str) -> Actor:
    """Return the actor for an entity of a federation that registers itself, or whose trust changes, by signed statements."""
    return Actor(kind=ActorKind.FEDERATION, id=entity_id, label=entity_id, roles=lambda _: frozenset((SYSTEM,)))
