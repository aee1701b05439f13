"""Change requests, and the page on which they are reviewed."""

from __future__ import annotations

from typing import Any, Final

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import URLPattern
from django.utils import timezone

from portal.admin.presentation import events_about, metadata_rows, timeline
from portal.admin.review_pages import CommentForm, ReviewPage
from portal.admin.site import staff_site
from portal.admin.steps import Step, StepForm
from portal.templatetags.portal import state_badge
from registry.actors import Actor
from registry.findings import Finding
from registry.homepages import last_homepage_check
from registry.lifecycle import assign_change, decide_change
from registry.models import CannedReason, ChangeRequest, Organization
from registry.review_checks import CHANGE_CHECKS, check_change_request, checks_of_client, results_of
from registry.reviews import approve_reviewed_change, needs_override
from registry.transitions import CHANGE_REQUEST

STEPS: Final = {
    "assign": Step("Assign to me", "Assign to me", "You review it from now on.", on_page=True, done="You review it now."),
    "approve": Step("Approve", "Approve", "What is asked for takes effect at once.", on_page=True, done="Approved. It is in effect now."),
    "send_back": Step(
        "Send back",
        "Send back",
        "The app stays as it is. The owners can ask again.",
        done="It was sent back.",
        canned=CannedReason.Step.REQUEST_CHANGES,
    ),
    "reject": Step(
        "Reject the request",
        "Reject",
        "The app stays as it is.",
        danger=True,
        done="The request is rejected.",
        canned=CannedReason.Step.REJECT,
    ),
}


@admin.register(ChangeRequest, site=staff_site)
class ChangeRequestAdmin(ReviewPage):
    """Requests to go live and sensitive edits of live apps."""

    label = "Change requests"
    steps = STEPS
    transitions = CHANGE_REQUEST
    object_template = "admin/staff/change_request.html"
    list_display = ("client", "organization", "kind", "shown_state", "reviewer", "submitted_at")
    list_filter = ("state", "kind")
    list_select_related = ("client__organization", "reviewer")
    search_fields = ("client__name", "client__client_id", "client__organization__legal_name", "client__organization__registration_number")
    ordering = ("-submitted_at",)

    @admin.display(description="Organization")
    def organization(self, subject: ChangeRequest) -> str:
        """Return whose app it is."""
        return str(subject.client.organization)

    @admin.display(description="State", ordering="state")
    def shown_state(self, subject: ChangeRequest) -> Any:
        """Return the state as badge."""
        return state_badge(subject.state)

    def get_queryset(self, request: HttpRequest) -> QuerySet[ChangeRequest]:
        """Load what a review needs."""
        related = ("client__organization", "client__created_by", "submitted_by", "decided_by", "reviewer")
        return super().get_queryset(request).select_related(*related)

    def organization_of(self, subject: ChangeRequest) -> Organization:
        """Return the organization of the app."""
        return subject.client.organization

    def run_step(self, subject: ChangeRequest, name: str, actor: Actor, form: StepForm) -> None:
        """Make the step; approving carries the digest of what the reviewer saw."""
        now, reason = timezone.now(), form.cleaned_data["reason"]
        if name == "assign":
            assign_change(subject, actor)
        elif name == "approve":
            given = form.cleaned_data
            approve_reviewed_change(subject, actor, digest=given["digest"], now=now, reason=reason, override=given.get("override", ""))
        else:
            decide_change(subject, name, actor, now=now, reason=reason)

    def must_override(self, subject: ChangeRequest) -> bool:
        """Say whether the automatic checks found something."""
        return needs_override(self._findings(subject))

    def _findings(self, subject: ChangeRequest) -> tuple[Finding, ...]:
        """Return what the automatic checks find, asked for once however often a page needs it."""
        known: tuple[Finding, ...] | None = getattr(subject, "known_findings", None)
        if known is None:
            known = check_change_request(subject, now=timezone.now()) if subject.state == ChangeRequest.State.OPEN else ()
            subject.known_findings = known  # type: ignore[attr-defined]
        return known

    def more_urls(self) -> list[URLPattern]:
        """Add the comments to the partner."""
        return [*super().more_urls(), self.posted("comment", self.comment_view)]

    def object_context(self, request: HttpRequest, subject: ChangeRequest) -> dict[str, Any]:
        """Return everything a reviewer reads."""
        client = subject.client
        offered = self.offered(request, subject)
        is_own = subject.submitted_by_id == request.user.pk or (self.may_act(request) and not offered and subject.state == "open")
        return {
            "offered": [] if is_own else offered,
            "may_act": self.may_act(request),
            "is_own": is_own,
            "checks": results_of(checks_of_client(client, CHANGE_CHECKS), self._findings(subject)),
            "homepage": last_homepage_check(client.organization),
            "diff": metadata_rows(client.metadata, subject.metadata),
            "contacts": client.organization.contacts.all(),
            "events": timeline(events_about(("client", str(client.reference)), ("changerequest", str(subject.pk)))),
            "comment_form": CommentForm(),
            "comment_url": self.url_to("comment", subject.pk),
            **self.review_context(request, subject),
        }
