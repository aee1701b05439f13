"""Who is in which organization, and who was invited. Staff take away and never add: an owner invites."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from portal.admin.base import StaffAdmin, staff_actor
from portal.admin.filters import InvitationState, OrganizationFilter
from portal.admin.site import staff_site
from protocol.errors import TransitionRefused
from registry.members import remove_member, revoke_invitation
from registry.models import Invitation, Membership

if TYPE_CHECKING:
    from django.utils.functional import _StrPromise


class ReasonForm(forms.Form):
    """Why something is taken away."""

    reason = forms.CharField(
        label=gettext_lazy("Reason"),
        max_length=2000,
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text=gettext_lazy("The partner reads these words."),
    )


class RevocableAdmin(StaffAdmin):
    """Rows that a reviewer may take away on a page that asks why."""

    object_template = "admin/staff/revocable.html"
    revoke_title: ClassVar[_StrPromise]
    revoke_text: ClassVar[_StrPromise]

    def more_urls(self) -> list[URLPattern]:
        """Add the page that asks."""
        view = require_http_methods(["GET", "POST"])(self.revoke_view)
        return [path("<int:pk>/revoke/", self.admin_site.admin_view(view), name=self.url_name("revoke"))]

    def may_revoke(self, subject: Any) -> bool:  # noqa: ARG002
        """Say whether there is anything to take away."""
        return True

    def revoke(self, request: HttpRequest, subject: Any, reason: str) -> None:
        """Take it away by a service. Raises TransitionRefused."""
        raise NotImplementedError

    def object_context(self, request: HttpRequest, subject: Any) -> dict[str, Any]:
        """Add the way to the page that asks."""
        offered = self.may_act(request) and self.may_revoke(subject)
        url = self.url_to("revoke", subject.pk) if offered else ""
        return {**super().object_context(request, subject), "revoke_url": url, "revoke_title": self.revoke_title}

    def revoke_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Ask why, and take it away."""
        subject = self.get_subject(request, pk)
        self.require_acting(request)
        form = ReasonForm(request.POST if request.method == "POST" else None)
        if form.is_valid() and self._run(request, form, lambda: self.revoke(request, subject, form.cleaned_data["reason"])):
            return redirect(self.url_to("changelist"))
        crumbs = [(str(subject), self.url_to("change", pk))]
        context = {"form": form, "button": self.revoke_title, "text": self.revoke_text, "crumbs": crumbs, "subject": subject}
        return self.page(request, "admin/staff/revoke.html", f"{self.revoke_title}: {subject}", **context)

    def _run(self, request: HttpRequest, form: ReasonForm, change: Callable[[], None]) -> bool:
        try:
            change()
        except TransitionRefused as error:
            form.add_error("reason" if error.reason == "reason_missing" else None, error.description)
            return False
        messages.success(request, _("Done. The owners can read why."))
        return True


@admin.register(Membership, site=staff_site)
class MembershipAdmin(RevocableAdmin):
    """Who is in which organization."""

    label = "Members"
    revoke_title = gettext_lazy("Remove the member")
    revoke_text = gettext_lazy("They lose access to the organization at once. Its last owner stays; suspend the organization instead.")
    list_display = ("user", "organization", "role", "created_at")
    list_filter = (OrganizationFilter, "role")
    list_select_related = ("user", "organization")
    search_fields = ("user__email", "user__name", "organization__legal_name", "organization__registration_number")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Membership]:
        """Load what the page shows."""
        return super().get_queryset(request).select_related("user", "organization")

    def revoke(self, request: HttpRequest, subject: Membership, reason: str) -> None:
        """Remove the member."""
        remove_member(subject, staff_actor(request), reason=reason)


@admin.register(Invitation, site=staff_site)
class InvitationAdmin(RevocableAdmin):
    """Who was invited."""

    label = "Invitations"
    revoke_title = gettext_lazy("Withdraw the invitation")
    revoke_text = gettext_lazy("Its link stops working. An owner can send another one.")
    list_display = ("email", "organization", "role", "created_at", "expires_at", "accepted_at", "revoked_at")
    list_filter = (InvitationState, OrganizationFilter, "role")
    list_select_related = ("organization",)
    search_fields = ("email", "organization__legal_name", "organization__registration_number")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Invitation]:
        """Load what the page shows, without the digest of the link."""
        return super().get_queryset(request).select_related("organization", "invited_by").defer("digest")

    def rows(self, subject: Invitation) -> list[tuple[str, Any]]:
        """Return everything but the digest of the link."""
        fields = [field for field in self.opts.fields if field.name != "digest"]
        return [(str(field.verbose_name).capitalize(), self.shown(subject, field)) for field in fields]

    def may_revoke(self, subject: Invitation) -> bool:
        """Say whether the link still works."""
        return subject.accepted_at is None and subject.revoked_at is None and subject.expires_at > timezone.now()

    def revoke(self, request: HttpRequest, subject: Invitation, reason: str) -> None:
        """Withdraw the invitation."""
        revoke_invitation(subject, staff_actor(request), now=timezone.now(), reason=reason)
