"""What staff want everybody to read on top of every page, from one moment to another."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from django.db import Error, transaction
from django.utils import timezone

from protocol.errors import MetadataRefused, TransitionRefused
from registry import audit
from registry.actors import Actor
from registry.client_metadata.values import read_text
from registry.findings import Findings
from registry.models import Banner
from registry.snapshots import Snapshot
from registry.transitions import OPERATOR, SYSTEM

TEXT_LIMIT: Final = 300
SNAPSHOT_SECONDS: Final = 30.0
# More than a reader could use; staff see all of them in their list.
SHOWN_LIMIT: Final = 3
_FIELDS: Final = ("text", "tone", "starts_at", "ends_at")


def save_banner(
    banner: Banner | None, actor: Actor, *, text: str, tone: str, starts_at: datetime, ends_at: datetime, now: datetime
) -> Banner:
    """Write a new banner, or change `banner`; return it. Saving what is there already writes nothing, a new one like it neither.

    Raises TransitionRefused with reason permission, MetadataRefused for a text that cannot be shown, an unknown tone, or times that no
    reader would ever meet.
    """
    _check_operator(actor)
    values = {"text": text.strip(), "tone": tone, "starts_at": starts_at, "ends_at": ends_at}
    _review(values, now)
    with transaction.atomic():
        row = Banner.objects.select_for_update().get(pk=banner.pk) if banner else Banner.objects.filter(**values).first() or Banner()
        before = _values(row) if row.pk else {}
        for name, value in values.items():
            setattr(row, name, value)
        changed = audit.difference_between(before, _values(row))
        if changed:
            row.save()
            audit.record(actor, "banner.changed" if banner else "banner.written", row, organization=None, difference=changed)
    due_snapshot.forget()
    return row


def remove_banner(banner: Banner, actor: Actor) -> bool:
    """Remove a banner; say whether it was still there. Raises TransitionRefused with reason permission."""
    _check_operator(actor)
    with transaction.atomic():
        row = Banner.objects.select_for_update().filter(pk=banner.pk).first()
        if row is not None:
            audit.record(actor, "banner.removed", row, organization=None, difference=audit.difference_between(_values(row), {}))
            row.delete()
    due_snapshot.forget()
    return row is not None


def due_banners(now: datetime) -> list[Banner]:
    """Return what is to be read at `now`, from memory; nothing while the database is away and was never asked."""
    try:
        known = due_snapshot.get()
    except Error:
        return []
    return [banner for banner in known if banner.starts_at <= now < banner.ends_at][:SHOWN_LIMIT]


def _read_banners() -> tuple[Banner, ...]:
    """Return every banner that is due or will be: one that begins before the next look is shown in time."""
    return tuple(Banner.objects.filter(ends_at__gt=timezone.now()).order_by("-starts_at", "-pk"))


due_snapshot: Final[Snapshot[tuple[Banner, ...]]] = Snapshot(_read_banners, seconds=SNAPSHOT_SECONDS)


def _review(values: dict[str, Any], now: datetime) -> None:
    findings = Findings()
    if not values["text"]:
        findings.error("banner.text", "text", "A banner needs a text.", "Say in one sentence what happens and until when.")
    else:
        read_text(values["text"], "text", findings, limit=TEXT_LIMIT)
    if values["tone"] not in Banner.Tone.values:
        findings.error("banner.tone", "tone", "There is no such tone.", f"Choose one of {', '.join(Banner.Tone.values)}.")
    if values["ends_at"] <= values["starts_at"]:
        findings.error("banner.times", "ends_at", "A banner ends after it starts.", "Choose a later end.")
    elif values["ends_at"] <= now:
        findings.error("banner.times", "ends_at", "This moment is over, so nobody would read the banner.", "Choose an end in the future.")
    if findings.items:
        raise MetadataRefused(tuple(findings.items))


def _values(row: Banner) -> dict[str, Any]:
    return {name: value.isoformat() if isinstance(value := getattr(row, name), datetime) else value for name in _FIELDS}


def _check_operator(actor: Actor) -> None:
    if not actor.has_role(None, OPERATOR, SYSTEM):
        raise TransitionRefused("permission", "Only an operator may write banners.")
