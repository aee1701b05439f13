"""Organizations, their members and invitations."""

from __future__ import annotations

from typing import Any, Final

from allauth.mfa.models import Authenticator
from django.contrib import admin
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest
from django.urls import URLPattern, path
from django.utils import timezone

from authserver.live_tokens import count_live_access_tokens
from portal.admin.drafts import DraftPage
from portal.admin.filters import CountryFilter, HasLiveApps, MfaGaps, Orphaned
from portal.admin.presentation import events_about, plain_rows, timeline
from portal.admin.review_pages import ReviewPage
from portal.admin.roles import may_act
from portal.admin.site import staff_site
from portal.admin.steps import Step, StepForm
from portal.templatetags.portal import state_badge
from registry.actors import Actor
from registry.homepages import last_homepage_check
from registry.lifecycle import change_organization, submission_digest
from registry.models import CannedReason, Client, Organization
from registry.review_checks import ORGANIZATION_CHECKS, changes_since_review, check_organization, results_of
from registry.reviews import approve_reviewed_organization, needs_override
from registry.transitions import ORGANIZATION

APPS_SHOWN: Final = 50

STEPS: Final = {
    "assign": Step("Assign to me", "Assign to me", "You review it from now on.", on_page=True, done="You review it now."),
    "approve": Step("Approve", "Approve", "Its apps may go live.", on_page=True, done="The organization is approved."),
    "request_changes": Step(
        "Request changes",
        "Send back",
        "It goes back to the owners, who can correct and submit it again.",
        done="It was sent back.",
        canned=CannedReason.Step.REQUEST_CHANGES,
    ),
    "reject": Step(
        "Reject the organization",
        "Reject",
        "Its apps can no longer get tokens. The owners can reopen it once.",
        danger=True,
        done="The organization is rejected.",
        canned=CannedReason.Step.REJECT,
    ),
    "suspend": Step(
        "Suspend the organization",
        "Suspend",
        "Every token of its apps ends at once, and no app can get new ones until you reinstate it.",
        danger=True,
        done="The organization is suspended; every token of its apps has ended.",
        canned=CannedReason.Step.SUSPEND,
    ),
    "reinstate": Step(
        "Reinstate the organization",
        "Reinstate",
        "Its apps can get tokens again, with the secrets they have. Tokens that ended stay ended.",
        done="The organization is reinstated.",
    ),
    "reopen": Step(
        "Reopen the organization", "Reopen", "It becomes a draft that the owners can correct and submit.", done="It is a draft again."
    ),
    "close": Step(
        "Close the organization",
        "Close for good",
        "Every token of its apps ends at once. A closed organization cannot be opened again.",
        danger=True,
        typed_name=True,
        done="The organization is closed.",
    ),
}


@admin.register(Organization, site=staff_site)
class OrganizationAdmin(DraftPage, ReviewPage):
    """Organizations: the list, the page on which they are reviewed, and their steps."""

    label = "Organizations"
    steps = STEPS
    transitions = ORGANIZATION
    object_template = "admin/staff/organization.html"
    list_display = ("legal_name", "state_shown", "country", "registration_number", "reviewer", "submitted_at")
    list_filter = ("state", HasLiveApps, MfaGaps, Orphaned, CountryFilter)
    csv_extra = ("slug", "website", "created_at")
    list_select_related = ("reviewer",)
    search_fields = ("legal_name", "slug", "registration_number", "contacts__email", "memberships__user__email", "clients__client_id")
    search_help_text = "Name, registration number, e-mail address of a member or contact, or client ID"

    @admin.display(description="State", ordering="state")
    def state_shown(self, subject: Organization) -> Any:
        """Return the state as badge; waiting with a reviewer is called in review."""
        in_review = subject.state == Organization.State.PENDING and subject.reviewer_id
        return state_badge("in_review" if in_review else subject.state)

    def more_urls(self) -> list[URLPattern]:
        """Add the page that drafts an app, and the check of the website."""
        draft = path("<int:pk>/draft/", self.admin_site.admin_view(self.draft_view), name=self.url_name("draft"))
        return [*super().more_urls(), draft, self.posted("homepage", self.homepage_view)]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Organization]:
        """Load the reviewer with the organization."""
        return super().get_queryset(request).select_related("reviewer", "created_by")

    def organization_of(self, subject: Organization) -> Organization:
        """Return the organization itself."""
        return subject

    def run_step(self, subject: Organization, name: str, actor: Actor, form: StepForm) -> None:
        """Make the step; approving carries what the reviewer saw, and why it is fine in spite of the checks."""
        given, now = form.cleaned_data, timezone.now()
        if name == "approve":
            override = given.get("override", "")
            approve_reviewed_organization(subject, actor, digest=given["digest"], now=now, reason=given["reason"], override=override)
        else:
            change_organization(subject, name, actor, now=now, reason=given["reason"])

    def must_override(self, subject: Organization) -> bool:
        """Say whether the automatic checks found something."""
        return needs_override(check_organization(subject))

    def step_context(self, subject: Organization, name: str) -> dict[str, Any]:
        """Return the apps that the step affects, and how many tokens would end."""
        if name not in ("suspend", "reject", "close", "reinstate"):
            return {}
        apps = subject.clients.exclude(state=Client.State.CLOSED)
        return {"apps": apps[:APPS_SHOWN], "apps_count": apps.count(), "tokens_count": count_live_tokens(application__organization=subject)}

    def object_context(self, request: HttpRequest, subject: Organization) -> dict[str, Any]:
        """Return everything a reviewer reads."""
        second_step = Authenticator.objects.filter(user=OuterRef("user"), type__in=("totp", "webauthn"))
        members = subject.memberships.select_related("user").annotate(has_second_step=Exists(second_step))
        apps = subject.clients.all()
        return {
            "state": "in_review" if subject.state == "pending" and subject.reviewer_id else subject.state,
            "offered": self.offered(request, subject),
            "may_act": self.may_act(request),
            "is_own": any(member.user_id == request.user.pk for member in members),
            "digest": submission_digest(subject),
            "checks": results_of(ORGANIZATION_CHECKS, check_organization(subject)),
            "homepage": last_homepage_check(subject),
            "diff": plain_rows(changes_since_review(subject)),
            "contacts": subject.contacts.all(),
            "members": members,
            "apps": apps.order_by("name")[:APPS_SHOWN],
            "apps_count": apps.count(),
            "events": timeline(events_about(("organization", str(subject.org_id)))),
            "may_set_policy": may_act(request.user, "rules"),  # type: ignore[arg-type]
            **self.review_context(request, subject),
        }


def count_live_tokens(**which: Any) -> int:
    """Return how many access tokens are live now. One query on an index."""
    return count_live_access_tokens(timezone.now(), **which)
