"""Who is staff, and in which role (portal.md 4.1)."""

from __future__ import annotations

from django.db import transaction

from protocol.errors import TransitionRefused
from registry import audit
from registry.actors import Actor
from registry.models import User
from registry.models.users import StaffRole
from registry.transitions import ADMINISTRATOR, SYSTEM


def change_staff_role(user: User, role: str, actor: Actor) -> User:
    """Give `user` a staff role, or none; return the user. The role that a user has already is left alone.

    Nobody changes their own role, so that nobody locks themselves out. Raises TransitionRefused with reason permission, own or role.
    """
    with transaction.atomic():
        if not actor.has_role(None, ADMINISTRATOR, SYSTEM):
            raise TransitionRefused("permission", "Only an administrator may change who is staff.")
        if role not in StaffRole.values:
            raise TransitionRefused("role", f"There is no role {role[:20]!r}.")
        row = User.objects.select_for_update().get(pk=user.pk)
        if actor.user is not None and actor.user.pk == row.pk:
            raise TransitionRefused("own", "Nobody changes their own role; ask another administrator.")
        before = row.staff_role
        if before != role:
            row.staff_role = role
            row.save(update_fields=["staff_role"])
            audit.record(actor, "user.staff_role_changed", row, organization=None, difference={"staff_role": [before, role]})
        return row
