"""Who does something: a person, a client, a token or a job. Carried into every service call and every audit row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from registry.models import Membership, Organization, User
from registry.models.audit import ActorKind
from registry.models.users import StaffRole
from registry.transitions import REVIEWER, SYSTEM


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
    roles: Callable[[Organization], frozenset[str]] = field(default=lambda _: frozenset())

    def has_role(self, organization: Organization, *wanted: str) -> bool:
        """Say whether the actor has one of the `wanted` roles towards `organization`."""
        return not self.roles(organization).isdisjoint(wanted)


def person(user: User, *, request_id: str = "", source_address: str | None = None, user_agent_family: str = "", staff: bool = False) -> Actor:
    """Return the actor for a signed-in person: as staff (in the admin) or as a member of organizations (in the portal).

    A person never has both kinds of role in one call, so that nobody reviews the request of their own organization.
    """

    def member_roles(organization: Organization) -> frozenset[str]:
        return frozenset(Membership.objects.filter(organization=organization, user=user).values_list("role", flat=True))

    def staff_roles(organization: Organization) -> frozenset[str]:
        may_review = user.is_superuser or user.staff_role == StaffRole.REVIEWER
        return frozenset((REVIEWER,)) if may_review and not member_roles(organization) else frozenset()

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
