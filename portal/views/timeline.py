"""The audit trail as partners read it: sentences, and nothing about our staff but that it was them (portal.md 4.9)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db.models import BigIntegerField, Q, QuerySet, Value
from django.db.models.functions import Coalesce
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from registry.audit import done_by_staff
from registry.models import AuditEvent, Client, Organization
from registry.models.audit import ActorKind
from registry.transitions import ORGANIZATION

# Event, sentence, tone. A test holds this table against the transitions.
_SENTENCES: Final = {
    "org.created": (gettext_lazy("Organization created"), ""),
    "org.updated": (gettext_lazy("Organization details changed"), ""),
    "org.submitted": (gettext_lazy("Organization submitted for approval"), "blue"),
    "org.assigned": (gettext_lazy("A reviewer looks at the organization"), "blue"),
    "org.changes_requested": (gettext_lazy("Reviewer asked for changes"), "amber"),
    "org.approved": (gettext_lazy("Organization approved"), "green"),
    "org.rejected": (gettext_lazy("Organization rejected"), "red"),
    "org.reopened": (gettext_lazy("Organization reopened"), ""),
    "org.withdrawn": (gettext_lazy("Submission withdrawn"), ""),
    "org.suspended": (gettext_lazy("Organization suspended; every token ended"), "red"),
    "org.reinstated": (gettext_lazy("Organization reinstated"), "green"),
    "org.closed": (gettext_lazy("Organization closed"), "red"),
    "client.drafted": (gettext_lazy("App prepared by our staff"), "amber"),
    "client.registered": (gettext_lazy("App registered"), "green"),
    "client.activated": (gettext_lazy("App activated"), "green"),
    "client.updated": (gettext_lazy("App changed"), ""),
    "client.suspended": (gettext_lazy("App stopped; every token ended"), "red"),
    "client.reinstated": (gettext_lazy("App works again"), "green"),
    "client.closed": (gettext_lazy("App closed"), "red"),
    "client.check_failed": (gettext_lazy("App breaks rules of this server"), "amber"),
    "client.check_passed": (gettext_lazy("App keeps the rules again"), "green"),
    "change.requested": (gettext_lazy("Asked for approval"), "blue"),
    "change.assigned": (gettext_lazy("A reviewer looks at the request"), "blue"),
    "change.approved": (gettext_lazy("Request approved"), "green"),
    "change.sent_back": (gettext_lazy("Request sent back"), "amber"),
    "change.rejected": (gettext_lazy("Request rejected"), "red"),
    "change.withdrawn": (gettext_lazy("Request withdrawn"), ""),
    "change.superseded": (gettext_lazy("Request replaced by a newer one"), ""),
    "change.commented": (gettext_lazy("Comment on a request"), ""),
    "change.answered": (gettext_lazy("The reviewer wrote about a request"), "blue"),
    "review.delayed": (gettext_lazy("A review takes longer than two working days; our staff was reminded"), "amber"),
    "org.orphaned": (gettext_lazy("Nobody leads the organization any more; our staff was told"), "red"),
    "registrations.summarized": (gettext_lazy("Apps registered themselves"), ""),
    "secret.ending": (gettext_lazy("Secret ends soon"), "amber"),
    "secret.expired": (gettext_lazy("The last secret ended"), "red"),
    "certificate.ending": (gettext_lazy("Certificate of a key ends soon"), "amber"),
    "certificate.expired": (gettext_lazy("Certificate of a key ended"), "red"),
    "token.ending": (gettext_lazy("Registration token ends soon"), "amber"),
    "token.expired": (gettext_lazy("Registration token ended"), "amber"),
    "keys.unreachable": (gettext_lazy("Keys could not be fetched for a day"), "red"),
    "keys.reachable": (gettext_lazy("Keys can be fetched again"), "green"),
    "trust.ending": (gettext_lazy("Trust ends soon"), "amber"),
    "trust.unconfirmed": (gettext_lazy("Trust in doubt for more than fifteen minutes"), "red"),
    "trust.recovered": (gettext_lazy("Trust confirmed again after a doubt"), "green"),
    "secret.created": (gettext_lazy("Secret made"), "green"),
    "secret.ended": (gettext_lazy("Secret ended"), "amber"),
    "token.created": (gettext_lazy("Registration token made"), "green"),
    "token.revoked": (gettext_lazy("Registration token revoked"), "amber"),
    "token.adopted": (gettext_lazy("Registration token adopted"), ""),
    "registration_token.reset": (gettext_lazy("Registration access token replaced"), "amber"),
    "registration_token.revoked": (gettext_lazy("Registration access token revoked"), "amber"),
    "trust.restored": (gettext_lazy("Trust confirmed again"), "green"),
    "trust.revived": (gettext_lazy("Trust came back; the app works again"), "green"),
    "trust.stale": (gettext_lazy("Trust could not be checked; the last result still counts"), "amber"),
    "trust.suspect": (gettext_lazy("Trust in doubt; the app gets no tokens until a second look"), "amber"),
    "trust.broken": (gettext_lazy("Trust lost; every token ended"), "red"),
    "statement.ended": (gettext_lazy("Software statement ended, and the scopes that came with it"), "amber"),
    "entity.claimed": (gettext_lazy("Entity claimed"), ""),
    "entity.proven": (gettext_lazy("Entity proven"), "green"),
    "entity.given_up": (gettext_lazy("Entity given up"), "amber"),
    "member.invited": (gettext_lazy("Somebody was invited"), ""),
    "member.joined": (gettext_lazy("Somebody joined"), "green"),
    "member.invitation_revoked": (gettext_lazy("Invitation withdrawn"), ""),
    "member.role_changed": (gettext_lazy("Role changed"), ""),
    "member.removed": (gettext_lazy("Member removed"), "amber"),
}
# How the trail calls what an event is about: model names.
_CLIENT, _CHANGE, _ORGANIZATION = "client", "changerequest", "organization"
# What a change of these says is shown with its values; all others by name only.
_SHOWN_VALUES: Final = ("member", "invitation", "secret", "state")


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a timeline, as templates/components/timeline.html wants it."""

    sentence: str
    time: datetime
    actor: str
    detail: str
    tone: str


def events_of_organization(organization: Organization) -> QuerySet[AuditEvent]:
    """Return every event of the organization, newest first."""
    return AuditEvent.objects.filter(organization=organization)


def review_events_of_organization(organization: Organization) -> QuerySet[AuditEvent]:
    """Return what was asked and decided about the organization itself, newest first."""
    names = [step.event for step in ORGANIZATION.values()]
    # Not by organization as well: a database would then read through everything that its apps ever did.
    return AuditEvent.objects.filter(object_type=_ORGANIZATION, object_id=str(organization.org_id), event__in=names)


def events_of_client(client: Client) -> QuerySet[AuditEvent]:
    """Return the events of one app and of its change requests, newest first."""
    requests = [str(pk) for pk in client.change_requests.values_list("pk", flat=True)]
    # A reference of an app is a UUID, that of a request a number: neither is ever taken for the other.
    return _events_about(client.organization, (_CLIENT, _CHANGE), [str(client.reference), *requests])


def trust_events_of_client(client: Client) -> QuerySet[AuditEvent]:
    """Return what happened to the trust of one app and to what it registered by it, newest first."""
    about = Q(event__startswith="trust.") | Q(event__in=("client.registered", "client.updated"))
    return _events_about(client.organization, (_CLIENT,), [str(client.reference)]).filter(about)


def _events_about(organization: Organization, types: Sequence[str], references: Sequence[str]) -> QuerySet[AuditEvent]:
    """Return the events about these objects that `organization` may read, newest first."""
    # Compared as an expression: SQLite would read every event of the organization by its index rather than those of the objects.
    read_by = Coalesce("organization_id", Value(0), output_field=BigIntegerField())
    return AuditEvent.objects.alias(read_by=read_by).filter(read_by=organization.pk, object_type__in=types, object_id__in=references)


def entries(events: Iterable[AuditEvent]) -> list[Entry]:
    """Return events as lines to read."""
    events = list(events)
    by_staff = done_by_staff(events)
    return [_entry(event, by_staff=event.id in by_staff) for event in events]


def _entry(event: AuditEvent, *, by_staff: bool) -> Entry:
    sentence, tone = _SENTENCES.get(event.event, (event.event.replace(".", ": ").replace("_", " "), ""))
    about = "" if event.object_type == _ORGANIZATION else f": {event.object_label}"
    return Entry(f"{sentence}{about}", event.time, _actor(event, by_staff=by_staff), _detail(event), tone)


def _actor(event: AuditEvent, *, by_staff: bool) -> str:
    """Return who did it. Of our staff neither name nor address is shown; of a colleague both."""
    if by_staff:
        return _("Our staff")
    if event.actor_kind == ActorKind.JOB:
        return _("This server")
    return " · ".join(part for part in (event.actor_label, event.source_address, event.user_agent_family) if part)


def _detail(event: AuditEvent) -> str:
    parts = [event.reason] if event.reason else []
    for name, change in event.difference.items():
        if not isinstance(change, list) or len(change) != 2:
            continue
        if event.event == "member.role_changed":
            parts.append(_("%(who)s: %(before)s, now %(after)s") % {"who": name, "before": change[0], "after": change[1]})
        elif name in _SHOWN_VALUES and name != "state":
            parts.append(str(change[1] if change[1] is not None else change[0]))
    changed = [name for name in event.difference if name not in _SHOWN_VALUES]
    if event.event in ("org.updated", "client.updated") and changed:
        parts.append(_("Changed: %(names)s") % {"names": ", ".join(changed)})
    return " · ".join(parts)
