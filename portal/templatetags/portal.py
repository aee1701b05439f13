"""Tags of the portal's pages: icons, state badges, times. `{% load portal %}`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from django import template
from django.templatetags.static import static
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from portal.documentation.links import documentation_of
from registry.labels import within_sentence

if TYPE_CHECKING:
    from django.forms import BoundField
    from django.utils.functional import _StrPromise
    from django.utils.safestring import SafeString

register = template.Library()


@dataclass(frozen=True)
class Badge:
    """How one state looks: a word, a colour and a shape, so that none of them is needed alone."""

    word: _StrPromise
    tone: str
    shape: str


DRAFT = ("grey", "shape-draft")
PENDING = ("blue", "shape-pending")
ACTION = ("amber", "shape-action")
ACTIVE = ("green", "shape-active")
STOPPED = ("red", "shape-stopped")
OVER = ("grey", "shape-stopped")
TEST = ("purple", "shape-test")

# One word per state for lists, pages and mails (portal.md 5.4). A state name that two kinds of object share means the same.
BADGES = {
    # organization
    "draft": Badge(gettext_lazy("Draft"), *DRAFT),
    "pending": Badge(gettext_lazy("Waiting for approval"), *PENDING),
    "in_review": Badge(gettext_lazy("In review"), *PENDING),
    "changes_requested": Badge(gettext_lazy("Changes requested"), *ACTION),
    "approved": Badge(gettext_lazy("Approved"), *ACTIVE),
    "rejected": Badge(gettext_lazy("Rejected"), *STOPPED),
    "suspended": Badge(gettext_lazy("Suspended"), *STOPPED),
    "closed": Badge(gettext_lazy("Closed"), *OVER),
    # client
    "active": Badge(gettext_lazy("Active"), *ACTIVE),
    "test": Badge(gettext_lazy("Test"), *TEST),
    "live": Badge(gettext_lazy("Live"), *ACTIVE),
    # trust
    "none": Badge(gettext_lazy("Not from a federation"), *DRAFT),
    "valid": Badge(gettext_lazy("Valid"), *ACTIVE),
    "stale": Badge(gettext_lazy("Stale"), *ACTION),
    "suspect": Badge(gettext_lazy("Suspect"), *ACTION),
    "broken": Badge(gettext_lazy("Broken"), *STOPPED),
    # change request
    "open": Badge(gettext_lazy("Waiting for review"), *PENDING),
    "sent_back": Badge(gettext_lazy("Sent back"), *ACTION),
    "withdrawn": Badge(gettext_lazy("Withdrawn"), *OVER),
    "superseded": Badge(gettext_lazy("Superseded"), *OVER),
    # health, credentials, people
    "ok": Badge(gettext_lazy("Working"), *ACTIVE),
    "blocked": Badge(gettext_lazy("Blocked"), *STOPPED),
    "expiring": Badge(gettext_lazy("Expiring"), *ACTION),
    "degraded": Badge(gettext_lazy("Degraded"), *ACTION),
    "unknown": Badge(gettext_lazy("Not checked"), *DRAFT),
    "ending": Badge(gettext_lazy("Ending"), *ACTION),
    "expired": Badge(gettext_lazy("Expired"), *STOPPED),
    "revoked": Badge(gettext_lazy("Revoked"), *STOPPED),
    "used_up": Badge(gettext_lazy("Used up"), *OVER),
    "unkept": Badge(gettext_lazy("Nobody keeps it"), *ACTION),
    "verified": Badge(gettext_lazy("Verified"), *ACTIVE),
    "unverified": Badge(gettext_lazy("Not verified"), *ACTION),
    "on": Badge(gettext_lazy("On"), *ACTIVE),
    "off": Badge(gettext_lazy("Off"), *DRAFT),
    "needs_approval": Badge(gettext_lazy("Needs approval"), *ACTION),
}

# Levels of findings, notices and messages, and the icon that stands beside the word.
LEVEL_ICONS = {"error": "blocked", "danger": "blocked", "warning": "warning", "success": "success"}
LEVEL_WORDS = {"error": gettext_lazy("Error"), "warning": gettext_lazy("Warning"), "note": gettext_lazy("Note")}


@register.simple_tag
def icon(name: str) -> SafeString:
    """Return one icon of the sprite, hidden from assistive technology: the word beside it says the same."""
    return format_html('<svg class="icon" aria-hidden="true" focusable="false"><use href="{}#{}"/></svg>', static("portal/icons.svg"), name)


@register.simple_tag
def state_badge(state: object, word: str = "") -> SafeString:
    """Return the badge of a state; `word` replaces the usual word and keeps colour and shape."""
    name = str(getattr(state, "value", state))
    known = BADGES.get(name) or Badge(gettext_lazy(name.replace("_", " ").capitalize()), *DRAFT)
    return format_html('<span class="badge tone-{}">{}{}</span>', known.tone, icon(known.shape), word or known.word)


@register.filter
def level_icon(level: str) -> str:
    """Return the icon name of a finding, notice or message level."""
    return LEVEL_ICONS.get(str(getattr(level, "value", level)), "info")


@register.filter
def level_word(level: str) -> str:
    """Return the word that stands before a finding."""
    return str(LEVEL_WORDS.get(str(getattr(level, "value", level)), LEVEL_WORDS["note"]))


@register.filter
def documentation(code: object) -> str:
    """Return the address where a code is explained, or nothing."""
    return documentation_of(str(code))


@register.simple_tag
def when(moment: datetime | None, none: str = "") -> SafeString | str:
    """Return a moment as people and machines read it: "in 6 days, 29 Nov 2026 14:00 UTC" in a `<time>`."""
    if moment is None:
        return none or _("never")
    utc = moment.astimezone(UTC)
    return format_html(
        '<time class="when" datetime="{}"><span class="when-relative">{}<span class="when-comma">, </span></span>'
        '<span class="when-absolute">{}</span></time>',
        utc.strftime("%Y-%m-%dT%H:%M:%SZ"),
        relative(utc, timezone.now()),
        utc.strftime("%-d %b %Y %H:%M UTC"),
    )


def relative(moment: datetime, now: datetime) -> str:
    """Return the distance between two moments in words, rounded to the largest useful unit."""
    seconds = (moment - now).total_seconds()
    if abs(seconds) < 60:
        return _("now") if seconds > -10 else _("less than a minute ago")
    words = duration(abs(seconds))
    return _("in %(duration)s") % {"duration": words} if seconds > 0 else _("%(duration)s ago") % {"duration": words}


@register.filter
def duration(seconds: float) -> str:
    """Return a number of seconds in words: "10 minutes", "3 days"."""
    minutes, hours, days = round(seconds / 60), round(seconds / 3600), round(seconds / 86400)
    if seconds < 60:
        return ngettext("%(n)d second", "%(n)d seconds", int(seconds)) % {"n": int(seconds)}
    if minutes < 60:
        return ngettext("%(n)d minute", "%(n)d minutes", minutes) % {"n": minutes}
    if hours < 48:
        return ngettext("%(n)d hour", "%(n)d hours", hours) % {"n": hours}
    if days < 60:
        return ngettext("%(n)d day", "%(n)d days", days) % {"n": days}
    if days < 730:
        return ngettext("%(n)d month", "%(n)d months", round(days / 30.44)) % {"n": round(days / 30.44)}
    return ngettext("%(n)d year", "%(n)d years", round(days / 365.25)) % {"n": round(days / 365.25)}


register.filter("within_sentence", within_sentence)


@register.filter
def first_control_id(field: BoundField) -> str:
    """Return the id an error link jumps to: the control, or the first choice of a group."""
    if field.field.widget.use_fieldset and getattr(field.field.widget, "add_id_index", False):
        return f"{field.auto_id}_0"
    return field.id_for_label or field.auto_id


@register.filter
def initial_of(person: Any) -> str:
    """Return the letter in a person's round badge."""
    return str(getattr(person, "name", "") or getattr(person, "email", "") or "?")[:1]
