"""Who does something: a person, a client, a token or a job. Carried into every service call and every audit row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from registry.models import Client, Membership, Organization, User
from registry.models.audit import ActorKind
from registry.transitions import ADMINISTRATOR, DEVELOPER, OPERATOR, OWNER, REVIEWER, SYSTEM


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

    @property
    def is_self_service(self) -> bool:
        """Say whether a person in the portal or an app acts: neither makes anything live, nor a resource server, without a review."""
        return self.kind in (ActorKind.USER, ActorKind.CLIENT)

    def is_reviewer(self, user_id: int) -> bool:
        """Say whether the actor may decide what the person `user_id` took on: that person, or a job, which nobody assigns anything to."""
        return self.user.pk == user_id if self.user else SYSTEM in self.roles(None)

    def speaks_for(self, organization: Organization) -> bool:
        """Say whether the actor acts for `organization` as its member or its app, and not as staff towards it."""
        return self.is_self_service and not self.has_role(organization, REVIEWER)


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


_OWN_ROLES: Final = frozenset((OWNER, DEVELOPER))


def client_actor(
    client: Client, *, as_staff: bool = False, request_id: str = "", source_address: str | None = None, user_agent_family: str = ""
) -> Actor:
    """Return the actor for an app that uses the API: an owner of its own organization and, `as_staff`, staff towards every other.

    As with people, nobody reviews their own organization.
    """

    def roles(organization: Organization | None) -> frozenset[str]:
        if organization is not None and organization.pk == client.organization_id:
            return _OWN_ROLES
        return _STAFF_ROLES if as_staff else frozenset()

    return Actor(
        kind=ActorKind.CLIENT,
        id=client.client_id,
        label=client.name,
        request_id=request_id,
        source_address=source_address,
        user_agent_family=user_agent_family,
        roles=roles,
    )


def job(name: str) -> Actor:
    """Return the actor for a task or a management command."""
    return Actor(kind=ActorKind.JOB, id=name, label=name, roles=lambda _: frozenset((SYSTEM,)))


COMMAND_LINE: Final = job("command line")


def federation_entity(entity_id: str) -> Actor:
    """Return the actor for an entity of a federation that registers itself, or whose trust changes, by signed statements."""
    return Actor(kind=ActorKind.FEDERATION, id=entity_id, label=entity_id, roles=lambda _: frozenset((SYSTEM,)))


def software_publisher(issuer: str) -> Actor:
    """Return the actor for a machine that registers by nothing but a software statement of `issuer`."""
    return Actor(kind=ActorKind.SOFTWARE_STATEMENT, id=issuer, label=issuer, roles=lambda _: frozenset((SYSTEM,)))
