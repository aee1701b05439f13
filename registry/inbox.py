"""The notices of one person: what they may read, and what they have read.

Receipts are written by the task that sends a notice, in the transaction that claims it: who is told is decided in one place for inbox and
mail alike, and a registration or a sweep does not pay for it. The transition's own transaction holds the notice, so none is lost.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from django.db.models import Count, Exists, OuterRef, Q, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce

from registry.models import Membership, Notice, NoticeReceipt, Organization, User
from registry.notice_kinds import Voice
from registry.notice_recipients import Recipient


def write_receipts(notice: Notice, recipients: Iterable[Recipient]) -> None:
    """Put a notice into the inbox of everybody it is for; again is harmless. One statement, none when it is for no account."""
    rows = [NoticeReceipt(notice=notice, user=one.user, voice=one.voice) for one in recipients if one.user is not None]
    NoticeReceipt.objects.bulk_create(rows, ignore_conflicts=True)


def inbox_of(user: User) -> QuerySet[NoticeReceipt]:
    """Return what `user` may read, newest first, with event and organization.

    Notices of an organization are for its members, those of the queue for staff; what is about oneself stays readable.
    """
    member = Membership.objects.filter(user=user, organization=OuterRef("notice__event__organization"))
    own = [Voice.PERSON, Voice.STAFF] if user.is_staff else [Voice.PERSON]
    readable = Q(voice__in=own) | (Q(voice=Voice.PARTNER) & Exists(member))
    return NoticeReceipt.objects.filter(readable, user=user).select_related("notice__event__organization").order_by("-notice_id")


def mark_all_read(user: User, *, now: datetime) -> int:
    """Mark every notice of `user` as read; return how many were not. One statement."""
    return NoticeReceipt.objects.filter(user=user, read_at=None).update(read_at=now)


def forget_notices(user: User, organization: Organization) -> None:
    """Empty the inbox of somebody who leaves `organization` of what is about it, in the caller's transaction."""
    NoticeReceipt.objects.filter(user=user, voice=Voice.PARTNER, notice__event__organization=organization).delete()


def with_unread(users: QuerySet[User]) -> QuerySet[User]:
    """Return `users` with the number of their unread notices as `unread_notices`, in the same query."""
    unread = NoticeReceipt.objects.filter(user=OuterRef("pk"), read_at=None).order_by().values("user").annotate(count=Count("pk"))
    return users.annotate(unread_notices=Coalesce(Subquery(unread.values("count")), Value(0)))
