"""How staff pages show metadata and events."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db.models import Q, QuerySet

from protocol.strict_json import canonical_json
from registry.client_metadata.fields import READERS
from registry.models import AuditEvent

LABELS: Final = {
    "client_name": "Name",
    "redirect_uris": "Redirect URIs",
    "token_endpoint_auth_method": "Authentication",
    "grant_types": "Grants",
    "response_types": "Response types",
    "application_type": "Kind of app",
    "scope": "Scopes",
    "jwks": "Keys",
    "jwks_uri": "Key address",
    "client_uri": "Home page",
    "logo_uri": "Logo",
    "tos_uri": "Terms",
    "policy_uri": "Privacy policy",
}
_ORDER: Final = {name: position for position, name in enumerate(("client_name", *READERS))}


def in_order(names: Iterable[str]) -> list[str]:
    """Return names of members in the order of the specifications, those of other languages beside their own."""
    return sorted(names, key=lambda name: (_ORDER.get(name.partition("#")[0], len(_ORDER)), name))


@dataclass(frozen=True, slots=True)
class MemberRow:
    """One member of metadata, before and after; the shape that components/diff_table.html reads."""

    member: str
    label: str
    declared: str
    effective: str
    changed: bool
    because: str = ""


def metadata_rows(before: Mapping[str, Any], after: Mapping[str, Any], because: Mapping[str, str] | None = None) -> list[MemberRow]:
    """Return every member of either document, in the order of the specifications, with `because` where it says why."""
    names = in_order({*before, *after})
    return [
        MemberRow(
            name,
            LABELS.get(name, name.replace("_", " ").capitalize()),
            plain(before.get(name)),
            plain(after.get(name)),
            before.get(name) != after.get(name),
            (because or {}).get(name, ""),
        )
        for name in names
    ]


def plain_rows(changes: Mapping[str, list[Any]]) -> list[MemberRow]:
    """Return what changed of an organization, each as [before, after], as rows of a difference."""
    return [
        MemberRow(name, name.replace("_", " ").capitalize(), plain(before), plain(after), True) for name, (before, after) in changes.items()
    ]


def plain(value: Any) -> str:
    """Return a JSON value in words: lists with commas, keys by their identifiers."""
    if value is None or value in ([], ""):
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(plain(entry) for entry in value)
    if isinstance(value, dict) and isinstance(value.get("keys"), list):
        return ", ".join(_key_words(key) for key in value["keys"])
    return canonical_json(value).decode() if isinstance(value, dict) else str(value)


def _key_words(key: Any) -> str:
    if not isinstance(key, dict):
        return "not a key"
    words = (str(key.get(name, ""))[:64] for name in ("kty", "crv", "alg"))
    return " ".join(word for word in (*words, f"kid {str(key.get('kid', 'none'))[:64]}") if word)


EVENT_WORDS: Final = {
    "banner.written": "Banner written",
    "banner.changed": "Banner changed",
    "banner.removed": "Banner removed",
    "org.created": "Organization created",
    "org.updated": "Organization changed",
    "org.submitted": "Submitted for review",
    "org.assigned": "Review assigned",
    "org.changes_requested": "Changes requested",
    "org.approved": "Organization approved",
    "org.rejected": "Organization rejected",
    "org.reopened": "Organization reopened",
    "org.withdrawn": "Submission withdrawn",
    "org.suspended": "Organization suspended",
    "org.reinstated": "Organization reinstated",
    "org.closed": "Organization closed",
    "client.drafted": "App drafted by staff",
    "client.registered": "App registered",
    "client.updated": "App changed",
    "client.activated": "App activated",
    "client.suspended": "App suspended",
    "client.reinstated": "App reinstated",
    "client.closed": "App closed",
    "client.switched": "Switch of an app changed",
    "client.check_failed": "App breaks today's rules",
    "client.check_passed": "App keeps today's rules again",
    "change.requested": "Change requested",
    "change.assigned": "Review assigned",
    "change.approved": "Change approved",
    "change.sent_back": "Change sent back",
    "change.rejected": "Change rejected",
    "change.withdrawn": "Change withdrawn",
    "change.superseded": "Change superseded by a newer one",
    "change.commented": "Comment of the partner",
    "change.answered": "Comment to the partner",
    "review.noted": "Internal note written",
    "review.overridden": "Approved in spite of what checks found",
    "review.homepage_checked": "Website checked",
    "canned_reason.added": "Words for reviewers added",
    "canned_reason.changed": "Words for reviewers changed",
    "member.removed": "Member removed",
    "member.invitation_revoked": "Invitation withdrawn",
    "trail.exported": "Audit trail exported",
    "list.exported": "List exported",
    "review.delayed": "Review takes longer than two working days",
    "org.orphaned": "No owner who can sign in is left",
    "notice.resent": "Notice sent again",
    "registrations.summarized": "Owners told of registrations",
    "secret.ending": "Secret ends soon",
    "secret.expired": "Last secret ended",
    "certificate.ending": "Certificate of a key ends soon",
    "certificate.expired": "Certificate of a key ended",
    "token.ending": "Initial access token ends soon",
    "token.expired": "Initial access token ended",
    "keys.unreachable": "Keys could not be fetched for a day",
    "keys.reachable": "Keys can be fetched again",
    "trust.ending": "Trust ends soon",
    "trust.unconfirmed": "Trust in doubt for more than fifteen minutes",
    "trust.recovered": "Trust confirmed again after a doubt",
    "secret.created": "Secret made",
    "secret.ended": "Secret ended",
    "token.created": "Initial access token made",
    "token.revoked": "Initial access token revoked",
    "token.adopted": "Initial access token adopted",
    "registration_token.reset": "Registration access token replaced",
    "registration_token.revoked": "Registration access token revoked",
    "registration_profile.added": "Registration profile made",
    "registration_profile.changed": "Registration profile changed",
    "registration_profile.deleted": "Registration profile removed",
    "policy.changed": "Registration policy changed",
    "job.requested": "Job started by hand",
    "trust_anchor.added": "Trust anchor accepted",
    "trust_anchor.fetched": "Trust anchor fetched",
    "trust_anchor.disabled": "Trust anchor trusted no more",
    "trust_anchor.enabled": "Trust anchor trusted again",
    "entity.refused": "Entity refused",
    "entity.accepted_again": "Refusal taken back",
    "statement.ended": "Software statement ended",
    "statement_issuer.added": "Issuer of software statements added",
    "statement_issuer.changed": "Issuer of software statements changed",
    "statement_issuer.disabled": "Issuer of software statements disabled",
    "statement_issuer.enabled": "Issuer of software statements enabled",
    "statement_organization.linked": "Organization linked to software statements",
    "statement_organization.unlinked": "Organization unlinked from software statements",
    "registration_request.opened": "Waiting for an organization",
    "registration_request.assigned": "Entity assigned",
    "registration_request.dismissed": "Entity dismissed",
}
_GOOD: Final = ("approved", "activated", "reinstated", "enabled", "assigned", "check_passed")
_BAD: Final = ("suspended", "rejected", "closed", "disabled", "refused", "broken", "check_failed")
_DETAIL_LIMIT: Final = 300


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """One event; the shape that components/timeline.html reads."""

    sentence: str
    time: datetime
    actor: str
    detail: str
    tone: str


def timeline(events: Iterable[AuditEvent]) -> list[TimelineEntry]:
    """Return events as the timeline shows them."""
    return [_entry(event) for event in events]


def _entry(event: AuditEvent) -> TimelineEntry:
    words = EVENT_WORDS.get(event.event) or event.event.replace(".", " ").replace("_", " ").capitalize()
    last = event.event.rpartition(".")[2]
    tone = "green" if last in _GOOD else "red" if last in _BAD else ""
    actor = f"{event.actor_label} ({event.get_actor_kind_display().lower()})" if event.actor_label else event.get_actor_kind_display()
    return TimelineEntry(f"{words}: {event.object_label}", event.time, actor, event_detail(event), tone)


def event_detail(event: AuditEvent) -> str:
    """Return the reason of an event and what it changed, shortened."""
    # What something was made with is on its page; the trail's own page shows it whole.
    made = event.event.rpartition(".")[2] in ("created", "registered", "drafted")
    changes = "" if made else "; ".join(_change_words(name, change) for name, change in event.difference.items())
    text = " ".join(part for part in (f"“{event.reason}”" if event.reason else "", changes) if part)
    return text if len(text) <= _DETAIL_LIMIT else text[: _DETAIL_LIMIT - 1] + "…"


def _change_words(name: str, change: Any) -> str:
    if not (isinstance(change, list) and len(change) == 2):
        return f"{name}: {plain(change)}"
    return f"{name}: {plain(change[0]) or 'nothing'} → {plain(change[1]) or 'nothing'}"


def events_about(*subjects: tuple[str, str], limit: int = 30) -> QuerySet[AuditEvent]:
    """Return the newest events about objects, each given as type and identifier. One query."""
    wanted = Q()
    for object_type, object_id in subjects:
        wanted |= Q(object_type=object_type, object_id=object_id)
    return AuditEvent.objects.filter(wanted)[:limit]
