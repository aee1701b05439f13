"""Which mails a person does not want. The inbox holds everything all the same; what is about security is always mailed too."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from django.db import transaction

from protocol.errors import TransitionRefused
from registry.models import MutedNotices, User
from registry.notice_kinds import FIXED, Group

MUTABLE: Final = tuple(group for group in Group if group not in FIXED)


def groups_for(user: User) -> tuple[Group, ...]:
    """Return the groups that `user` can get mails of: the queue is for staff alone."""
    return tuple(group for group in Group if group != Group.QUEUE or user.is_staff)


def muted_groups(user: User) -> frozenset[str]:
    """Return the groups that `user` wants no mail of. One query."""
    return frozenset(MutedNotices.objects.filter(user=user).values_list("kind", flat=True)) - FIXED


def set_muted_groups(user: User, groups: Collection[str]) -> None:
    """Mute exactly `groups` for `user`. Raises TransitionRefused with reason group for one that does not exist or is always mailed."""
    if unknown := sorted(set(groups) - set(MUTABLE)):
        raise TransitionRefused("group", f"There are no such mails to switch off: {unknown[0][:40]!r}.")
    with transaction.atomic():
        User.objects.select_for_update().get(pk=user.pk)
        MutedNotices.objects.filter(user=user).exclude(kind__in=groups).delete()
        MutedNotices.objects.bulk_create([MutedNotices(user=user, kind=group) for group in sorted(groups)], ignore_conflicts=True)
