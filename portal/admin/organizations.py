"""Organizations, their members and invitations."""

from __future__ import annotations

from typing import Any, Final

from allauth.mfa.models import Authenticator
from django.contrib import admin
from django.db.models import Exists, F, OuterRef, QuerySet
from django.http import HttpRequest
from django.urls import URLPattern, path
from django.utils import timezone

from authserver.models import AccessToken
from portal.admin.base import StaffAdmin
from portal.admin.drafts import DraftPage
from portal.admin.filters import CountryFilter, HasLiveApps, OrganizationFilter
from portal.admin.presentation import events_about, timeline
from portal.admin.roles import may_act
from portal.admin.site import staff_site
from portal.admin.steps import Step, StepForm, StepsAdmin
from portal.templatetags.portal import state_badge
from registry.actors import Actor
from registry.lifecycle import change_organization, submission_digest
from registry.models import Client, Invitation, Membership, Organization
from registry.review_checks import check_organization
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
    ),
    "reject": Step(
        "Reject the organization",
        "Reject",
        "Its apps can no longer get tokens. The owners can reopen it once.",
        danger=True,
        done="The organization is rejected.",
    ),
    "suspend": Step(
        "Suspend the organization",
        "Suspend",
        "Every token of its apps ends at once, and no app can get new ones until you reinstate it.",
        danger=True,
        done="The organization is suspended; every token of its apps has ended.",
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
class OrganizationAdmin(DraftPage, StepsAdmin):
    """Organizations: the list, the page on which they are reviewed, and their steps."""

    label = "Organizations"
    steps = STEPS
    transitions = ORGANIZATION
    object_template = "admin/staff/organization.html"
    list_display = ("legal_name", "state_shown", "country", "registration_number", "reviewer", "submitted_at")
    list_filter = ("state", HasLiveApps, CountryFilter)
    list_select_related = ("reviewer",)
    search_fields = ("legal_name", "slug", "registration_number", "contacts__email", "memberships__user__email", "clients__client_id")
    search_help_text = "Name, registration number, e-mail address of a member or contact, or client ID"

    @admin.display(description="State", ordering="state")
    def state_shown(self, subject: Organization) -> Any:
        """Return the state as badge; waiting with a reviewer is called in review."""
        in_review = subject.state == Organization.State.PENDING and subject.reviewer_id
        return state_badge("in_review" if in_review else subject.state)

    def more_urls(self) -> list[URLPattern]:
        """Add the page that drafts an app."""
        draft = path("<int:pk>/draft/", self.admin_site.admin_view(self.draft_view), name=self.url_name("draft"))
        return [*super().more_urls(), draft]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Organization]:
        """Load the reviewer with the organization."""
        return super().get_queryset(request).select_related("reviewer", "created_by")

    def organization_of(self, subject: Organization) -> Organization:
        """Return the organization itself."""
        return subject

    def run_step(self, subject: Organization, name: str, actor: Actor, form: StepForm) -> None:
        """Make the step; approving carries what the reviewer saw."""
        digest = form.cleaned_data["digest"] if name == "approve" else None
        reason = form.cleaned_data["reason"]
        change_organization(subject, name, actor, now=timezone.now(), reason=reason, digest=digest)

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
            "findings": check_organization(subject),
            "contacts": subject.contacts.all(),
            "members": members,
            "apps": apps.order_by("name")[:APPS_SHOWN],
            "apps_count": apps.count(),
            "events": timeline(events_about(("organization", str(subject.org_id)))),
            "may_set_policy": may_act(request.user, "rules"),  # type: ignore[arg-type]
        }


def count_live_tokens(**which: Any) -> int:
    """Return how many access tokens are live now. One query on an index."""
    live = AccessToken.objects.filter(expires__gt=timezone.now(), credential_generation=F("application__credential_generation"))
    return live.filter(**which).count()


@admin.register(Membership, site=staff_site)
class MembershipAdmin(StaffAdmin):
    """Who is in which organization."""

    label = "Members"
    list_display = ("user", "organization", "role", "created_at")
    list_filter = (OrganizationFilter, "role")
    list_select_related = ("user", "organization")
    search_fields = ("user__email", "user__name", "organization__legal_name", "organization__registration_number")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Membership]:
        """Load what the page shows."""
        return super().get_queryset(request).select_related("user", "organization")


@admin.register(Invitation, site=staff_site)
class InvitationAdmin(StaffAdmin):
    """Who was invited."""

    label = "Invitations"
    list_display = ("email", "organization", "role", "created_at", "expires_at", "accepted_at", "revoked_at")
    list_filter = (OrganizationFilter, "role")
    list_select_related = ("organization",)
    search_fields = ("email", "organization__legal_name", "organization__registration_number")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Invitation]:
        """Load what the page shows, without the digest of the link."""
        return super().get_queryset(request).select_related("organization", "invited_by").defer("digest")

    def rows(self, subject: Invitation) -> list[tuple[str, Any]]:
        """Return everything but the digest of the link."""
        fields = [field for field in self.opts.fields if field.name != "digest"]
        return [(str(field.verbose_name).capitalize(), self.shown(subject, field)) for field in fields]
