"""The notice log: what people are told, how it went, and sending it again. Addresses are not shown, roles and numbers are."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern
from django.utils import timezone

from portal.admin.base import Crumb, staff_actor
from portal.admin.filters import TextFilter
from portal.admin.rules import GuardedAdmin
from portal.admin.site import staff_site
from portal.notice_words import GROUPS
from portal.notices import REFUSED, SENT, wake_sender
from portal.templatetags.portal import state_badge, when
from registry.models import Contact, Membership, Notice
from registry.models.users import StaffRole
from registry.notice_kinds import KINDS, Part, Voice
from registry.notices import MOST_ATTEMPTS, resend_notice


class KindFilter(TextFilter):
    """Notices whose kind starts with the text, such as client. or org.approved."""

    title = "kind"
    parameter_name = "kind"

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:  # noqa: ARG002
        """Filter."""
        text = (self.value() or "").strip()
        return queryset.filter(event__event__startswith=text) if text else queryset


class SentFilter(admin.SimpleListFilter):
    """Notices by whether they went."""

    title = "sent"
    parameter_name = "sent"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ARG002
        """Return the choices."""
        return [("yes", "Sent"), ("no", "Not sent yet")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:  # noqa: ARG002
        """Filter; another value shows everything."""
        return queryset.filter(sent_at__isnull=self.value() == "no") if self.value() in ("yes", "no") else queryset


@admin.register(Notice, site=staff_site)
class NoticeAdmin(GuardedAdmin):
    """The outbox, newest first."""

    label = "Notice log"
    area = "notices"
    object_template = "admin/staff/notice.html"
    list_display = ("shown_kind", "shown_state", "shown_recipients", "organization", "attempts", "shown_moment")
    list_filter = (KindFilter, SentFilter)
    search_fields = ("event__object_label", "event__request_id", "event__organization__legal_name")
    search_help_text = "App, organization or request ID"
    ordering = ("-id",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Notice]:
        """Load event and organization."""
        return super().get_queryset(request).select_related("event__organization")

    @admin.display(description="Kind", ordering="event__event")
    def shown_kind(self, subject: Notice) -> str:
        """Return which event it is about."""
        return f"{subject.event.event}: {subject.event.object_label}"

    @admin.display(description="State")
    def shown_state(self, subject: Notice) -> Any:
        """Return how it went."""
        if subject.sent_at is not None:
            refused = REFUSED in subject.deliveries.values()
            return state_badge("sent_back" if refused else "active", "Sent, an address was refused" if refused else "Sent")
        if subject.attempts >= MOST_ATTEMPTS:
            return state_badge("rejected", "Given up")
        return state_badge("pending", "Waiting")

    @admin.display(description="To")
    def shown_recipients(self, subject: Notice) -> str:
        """Return the roles it is for, in words."""
        return recipients_in_words(subject)

    @admin.display(description="Organization")
    def organization(self, subject: Notice) -> str:
        """Return whose notice it is."""
        return subject.event.organization.legal_name if subject.event.organization else "this server"

    @admin.display(description="Sent, or next try", ordering="due_at")
    def shown_moment(self, subject: Notice) -> Any:
        """Return when it was sent, or when it is tried next."""
        return when(subject.sent_at or subject.due_at)

    @admin.display(description="Sent", ordering="sent_at")
    def shown_sent(self, subject: Notice) -> Any:
        """Return when it was sent."""
        return when(subject.sent_at, "not yet")

    @admin.display(description="Next try", ordering="due_at")
    def shown_due(self, subject: Notice) -> Any:
        """Return when it is tried next; nothing once it was sent."""
        return "" if subject.sent_at else when(subject.due_at)

    def more_urls(self) -> list[URLPattern]:
        """Add sending again."""
        return [self.route("<int:pk>/send-again/", self.resend_view, "resend", guarded=False)]

    def rows(self, subject: Notice) -> list[tuple[str, Any]]:
        """Return what there is to know, without addresses."""
        event = subject.event
        groups = ", ".join(dict.fromkeys(str(GROUPS[part.group][0]) for part in KINDS.get(event.event, ())))
        return [
            ("Kind", event.event),
            ("Group", groups),
            ("About", event.object_label),
            ("Organization", self.organization(subject)),
            ("What was said", event.reason),
            ("To", recipients_in_words(subject)),
            ("State", self.shown_state(subject)),
            ("Mailed", list(subject.deliveries.values()).count(SENT)),
            ("Refused by the mail server", list(subject.deliveries.values()).count(REFUSED)),
            ("In inboxes", subject.receipts.count()),
            ("Tries", subject.attempts),
            ("Happened", when(event.time)),
            ("Sent", self.shown_sent(subject)),
            ("Next try", self.shown_due(subject)),
            ("Request ID", event.request_id),
        ]

    def object_context(self, request: HttpRequest, subject: Notice) -> dict[str, Any]:
        """Add the way to send it again, for those who may."""
        return {
            **super().object_context(request, subject),
            "resend_url": self.url_to("resend", subject.pk) if self.may_act(request) else "",
        }

    def tools(self, request: HttpRequest) -> tuple[Crumb, ...]:  # noqa: ARG002
        """Return nothing: notices are made by what happens."""
        return ()

    def resend_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Ask, and send a notice again."""
        subject: Notice = self.get_subject(request, pk)

        def change() -> str:
            wake_sender(resend_notice(subject, staff_actor(request), now=timezone.now()))
            return "It is being sent again."

        text = "Everybody it is for by now gets the mail again, also those who got it before."
        page = {"title": "Send the notice again", "button": "Send it again", "then": self.url_to("change", pk)}
        return self.confirm(request, subject, change, text=text, **page)


def recipients_in_words(notice: Notice) -> str:
    """Return the roles and kinds of contact that a notice is for."""
    return ", ".join(dict.fromkeys(word for part in KINDS.get(notice.event.event, ()) for word in _words(part)))


def _words(part: Part) -> list[str]:
    words = [f"{Membership.Role(role).label.lower()}s" for role in part.roles]
    words += [f"{Contact.Kind(kind).label.lower()} contact" for kind in part.contacts]
    words += [f"staff: {StaffRole(role).label.lower()}s" for role in part.staff]
    words += ["whoever asked"] if part.to_submitter else []
    return [*words, *(["the person"] if part.voice == Voice.PERSON else [])]
