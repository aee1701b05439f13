"""The notices of the signed-in person: the inbox, and which of them are mailed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET, require_POST

from portal.notice_subjects import find_subjects
from portal.notice_words import GROUPS, actor_of, details_of, title_of
from portal.views.common import paginate
from protocol.errors import TransitionRefused
from registry.audit import done_by_staff
from registry.inbox import inbox_of, mark_all_read
from registry.models import NoticeReceipt, User
from registry.notice_kinds import FIXED, Voice
from registry.notice_preferences import groups_for, muted_groups, set_muted_groups


@dataclass(frozen=True, slots=True)
class Line:
    """One notice as the inbox shows it."""

    title: str
    path: str
    time: datetime
    actor: str
    organization: str
    text: str
    is_new: bool


@login_required
@require_GET
def notices(request: HttpRequest) -> HttpResponse:
    """List the notices of the signed-in person, newest first."""
    page = paginate(request, inbox_of(request.user))  # type: ignore[arg-type]
    return render(request, "account_page/notices.html", {"page": page, "lines": _lines(page)})


def _lines(receipts: Iterable[NoticeReceipt]) -> list[Line]:
    receipts = list(receipts)
    told = [(receipt.notice.event, Voice(receipt.voice)) for receipt in receipts]
    by_staff = done_by_staff(event for event, _ in told)
    return [
        Line(
            title_of(event, voice, about.name),
            about.path,
            event.time,
            actor_of(event, by_staff=event.id in by_staff),
            event.organization.legal_name if event.organization else "",
            "\n".join([*details_of(event), event.reason]).strip(),
            receipt.read_at is None,
        )
        for receipt, (event, voice), about in zip(receipts, told, find_subjects(told), strict=True)
    ]


@login_required
@require_POST
def notices_read(request: HttpRequest) -> HttpResponse:
    """Mark every notice as read."""
    count = mark_all_read(request.user, now=timezone.now())  # type: ignore[arg-type]
    if count:
        messages.success(request, ngettext("Marked %(n)d notice as read.", "Marked %(n)d notices as read.", count) % {"n": count})
    return redirect("account_notices")


@login_required
@require_POST
def notice_preferences(request: HttpRequest) -> HttpResponse:
    """Save which notices are mailed; those about security always are."""
    wanted = set(request.POST.getlist("mail"))
    muted = [group for group in groups_for(request.user) if group not in FIXED and group not in wanted]  # type: ignore[arg-type]
    try:
        set_muted_groups(request.user, muted)  # type: ignore[arg-type]
    except TransitionRefused as refused:
        messages.error(request, refused.description)
    else:
        messages.success(request, _("Saved which mails you get."))
    return redirect("account")


def preference_rows(user: User) -> list[dict[str, Any]]:
    """Return the switches of the account page. One query."""
    muted = muted_groups(user)
    return [
        {"group": group, "name": GROUPS[group][0], "text": GROUPS[group][1], "is_fixed": group in FIXED, "is_on": group not in muted}
        for group in groups_for(user)
    ]
