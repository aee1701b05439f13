"""What people write about a review: partner and reviewer to each other, our staff among themselves (portal.md 4.3, page 23; 4.5).

Pages and endpoints of partners read `thread_for_partner` and nothing else: it has no internal note and no name of our staff.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db import transaction
from django.db.models import Q, QuerySet

from protocol.errors import TransitionRefused
from registry import audit
from registry.actors import Actor
from registry.lifecycle.steps import record_step
from registry.models import ChangeRequest, Organization, ReviewComment
from registry.transitions import DEVELOPER, OPERATOR, OWNER, REVIEWER

TEXT_LIMIT: Final = 4000
COMMENTS_LIMIT: Final = 200
# While a partner can still do something about a request, or waits for it.
_TALKED_ABOUT: Final = (ChangeRequest.State.OPEN, ChangeRequest.State.SENT_BACK)


@dataclass(frozen=True, slots=True)
class ThreadEntry:
    """One comment as both sides read it; `author` is empty for our staff, who write as one."""

    author: str
    by_staff: bool
    text: str
    time: datetime


def thread_for_partner(request: ChangeRequest) -> list[ThreadEntry]:
    """Return what partner and reviewer wrote to each other about `request`, oldest first. One query."""
    rows = request.review_comments.filter(is_internal=False).select_related("author")
    return [ThreadEntry("" if row.by_staff else str(row.author or ""), row.by_staff, row.text, row.created_at) for row in rows]


def comments_for_staff(organization: Organization, request: ChangeRequest | None = None) -> QuerySet[ReviewComment]:
    """Return what our staff reads beside a review, oldest first: notes about the organization, and everything about `request`."""
    about = Q(change_request=None) if request is None else Q(change_request=None) | Q(change_request=request)
    return ReviewComment.objects.filter(about, organization=organization).select_related("author")


def may_comment(request: ChangeRequest, actor: Actor) -> bool:
    """Say whether `actor` may write to the other side about `request` now. At most one query."""
    return request.state in _TALKED_ABOUT and actor.has_role(request.client.organization, OWNER, DEVELOPER, REVIEWER)


def add_comment(request: ChangeRequest, actor: Actor, text: str, *, now: datetime) -> ReviewComment:
    """Write to the other side about a request, loaded with its client: a reviewer at any time, an owner or developer while it is open
    or sent back.

    Raises TransitionRefused with reason permission, state, text_missing, text_too_long, text or too_many.
    """
    organization, words = request.client.organization, _read(text)
    with transaction.atomic():
        row = ChangeRequest.objects.select_for_update().get(pk=request.pk)
        by_staff = actor.has_role(organization, REVIEWER)
        if not by_staff and not actor.has_role(organization, OWNER, DEVELOPER):
            raise TransitionRefused("permission", "Only an owner, a developer or a reviewer may write here.")
        if not by_staff and row.state not in _TALKED_ABOUT:
            raise TransitionRefused("state", f"This request is {row.state.replace('_', ' ')}; nobody reads new comments.")
        _check_room(ReviewComment.objects.filter(change_request=row))
        comment = ReviewComment.objects.create(
            organization=organization, change_request=row, author=actor.user, by_staff=by_staff, text=words, created_at=now
        )
        record_step(actor, "change.answered" if by_staff else "change.commented", row, organization, reason=words)
        return comment


def add_note(organization: Organization, actor: Actor, text: str, *, now: datetime, request: ChangeRequest | None = None) -> ReviewComment:
    """Write a note that only our staff reads, about an organization or about a request of one of its apps.

    Its audit event belongs to no organization and has no text: what partners read of the trail has neither.
    Raises TransitionRefused with reason permission, text_missing, text_too_long, text or too_many.
    """
    words = _read(text)
    with transaction.atomic():
        if not actor.has_role(organization, REVIEWER, OPERATOR):
            raise TransitionRefused("permission", "Only a reviewer or an operator may write notes, and not about their own organization.")
        Organization.objects.select_for_update().get(pk=organization.pk)
        _check_room(ReviewComment.objects.filter(organization=organization, change_request=request))
        note = ReviewComment.objects.create(
            organization=organization,
            change_request=request,
            author=actor.user,
            by_staff=True,
            is_internal=True,
            text=words,
            created_at=now,
        )
        audit.record(actor, "review.noted", request or organization, organization=None)
        return note


def _check_room(rows: QuerySet[ReviewComment]) -> None:
    if rows.count() >= COMMENTS_LIMIT:
        raise TransitionRefused("too_many", f"There are {COMMENTS_LIMIT} comments here already, and no room for more.")


def _read(text: str) -> str:
    words = text.replace("\r\n", "\n").strip()
    if not words:
        raise TransitionRefused("text_missing", "Write something.")
    if len(words) > TEXT_LIMIT:
        raise TransitionRefused("text_too_long", f"At most {TEXT_LIMIT} characters; this has {len(words)}.")
    if "\0" in words:
        raise TransitionRefused("text", "A comment is text, without null characters.")
    return words
