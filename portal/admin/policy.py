"""The registration policy: its form, the dry run over all apps that comes before saving, and saving."""

from __future__ import annotations

from allauth.account.decorators import reauthentication_required
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from portal import policy_previews
from portal.admin.base import Crumb, StaffAdmin, staff_actor
from portal.admin.policy_forms import PolicyForm, policy_rows
from portal.admin.presentation import events_about, timeline
from portal.admin.roles import needed_role
from portal.admin.rules import disable_unless, is_post
from portal.admin.site import staff_site
from portal.csv_export import csv_response
from portal.policy_previews import ShownPreview
from protocol.errors import MetadataRefused, TransitionRefused
from registry.models import Organization, PolicyRecord, Scope
from registry.policies import get_policy
from registry.policy_preview import Proposal, is_change, preview, propose, save_proposal
from registry.policy_records import check_may_change
from registry.registration_policy import merge_policy


@admin.register(PolicyRecord, site=staff_site)
class PolicyAdmin(StaffAdmin):
    """The registration policy: for all, and for single organizations."""

    label = "Registration policy"
    area = "rules"
    list_display = ("__str__", "organization", "updated_at", "updated_by")
    list_select_related = ("organization", "updated_by")
    search_fields = ("organization__legal_name", "organization__registration_number")

    def more_urls(self) -> list[URLPattern]:
        """Add the forms, and the report that stands between a form and saving it."""
        form = self.admin_site.admin_view(require_http_methods(["GET", "POST"])(self.policy_view))
        save = reauthentication_required(require_http_methods(["GET", "POST"])(self.preview_view), enabled=is_post)
        return [
            path("all/", form, name=self.url_name("all")),
            path("organizations/<int:organization>/", form, name=self.url_name("organization")),
            path("previews/<slug:digest>/", self.admin_site.admin_view(save), name=self.url_name("preview")),
            path(
                "previews/<slug:digest>/apps.csv",
                self.admin_site.admin_view(require_safe(self.csv_of_preview)),
                name=self.url_name("preview_csv"),
            ),
        ]

    def tools(self, request: HttpRequest) -> tuple[Crumb, ...]:  # noqa: ARG002
        """Link the policy for all; one of an organization is reached from the organization's page."""
        return (("Policy for all", self.url_to("all")),)

    def get_queryset(self, request: HttpRequest) -> QuerySet[PolicyRecord]:
        """Load what the list shows."""
        return super().get_queryset(request).select_related("organization", "updated_by")

    def object_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Lead to the form of the record."""
        record = self.get_subject(request, pk)
        return redirect(self.url_to("organization", record.organization_id) if record.organization_id else self.url_to("all"))

    def policy_view(self, request: HttpRequest, organization: int | None = None) -> HttpResponse:
        """Show the policy for all or for one organization; sending it leads to the report of who would change."""
        subject = get_object_or_404(Organization, pk=organization) if organization is not None else None
        if request.method == "POST":
            self.require_acting(request)
        base = get_policy() if subject else merge_policy()
        scopes = list(Scope.objects.filter(is_retired=False).values_list("name", flat=True))
        data = request.POST if request.method == "POST" else None
        form = PolicyForm(data, base=base, current=get_policy(subject), scopes=scopes)
        if form.is_valid() and (address := self._propose(request, subject, form)):
            return redirect(address)
        title = f"Registration policy of {subject}" if subject else "Registration policy for all"
        record = PolicyRecord.objects.filter(organization=subject).first()
        events = timeline(events_about(("policyrecord", str(record.pk)))) if record else []
        disable_unless(self.may_act(request), form)
        context = {"form": form, "may_act": self.may_act(request), "subject": subject, "record": record, "events": events}
        return self.page(request, "admin/staff/policy.html", title, **context)

    def _propose(self, request: HttpRequest, subject: Organization | None, form: PolicyForm) -> str:
        """Return where the report about the values of the form is, nothing when they are refused."""
        try:
            check_may_change(subject, staff_actor(request))
            proposal = propose(subject, form.values)
        except MetadataRefused as error:
            for finding in error.findings:
                form.add_error(finding.field if finding.field in form.fields else None, finding.sentence)
            return ""
        except TransitionRefused as error:
            form.add_error(None, error.description)
            return ""
        if not is_change(proposal):
            messages.info(request, _("Nothing is different from the policy in force, so there is nothing to save."))
            return request.path
        policy_previews.begin(proposal, timezone.now())
        return self.url_to("preview", proposal.digest)

    def _require_reading(self, request: HttpRequest) -> None:
        if not self.has_view_permission(request):
            raise PermissionDenied(needed_role(request.user, self.area))  # type: ignore[arg-type]

    def _form_of(self, proposal: Proposal) -> str:
        return self.url_to("organization", proposal.organization.pk) if proposal.organization else self.url_to("all")

    def preview_view(self, request: HttpRequest, digest: str) -> HttpResponse:
        """Show who would change so far, look at some more apps, and save when all were looked at."""
        self._require_reading(request)
        if request.method == "POST":
            self.require_acting(request)
        shown = policy_previews.go_on(digest, timezone.now())
        if shown is None:
            messages.info(request, _("This report is gone. Send the form again for a new one."))
            return redirect(self.url_to("changelist"))
        if request.method == "POST" and shown.report.is_done:
            return self._save(request, shown)
        is_waiting = shown.is_polled(timezone.now())
        context = {
            "shown": shown,
            "report": shown.report,
            "values": policy_rows(shown.proposal),
            "is_waiting": is_waiting,
            "may_act": self.may_act(request),
            "form_url": self._form_of(shown.proposal),
            "csv_url": self.url_to("preview_csv", digest),
        }
        if request.htmx and is_waiting:  # type: ignore[attr-defined]
            return TemplateResponse(request, "admin/staff/policy_report.html", context)
        crumbs = [("Policy", self._form_of(shown.proposal))]
        response = self.page(request, "admin/staff/policy_preview.html", str(_("Who would change")), crumbs=crumbs, **context)
        if request.htmx:  # type: ignore[attr-defined]
            response["HX-Refresh"] = "true"  # it is complete: the whole page has the button
        return response

    def _save(self, request: HttpRequest, shown: ShownPreview) -> HttpResponse:
        try:
            save_proposal(shown.proposal, shown.digest, staff_actor(request), now=timezone.now())
        except (MetadataRefused, TransitionRefused) as error:
            messages.error(request, error.description)
        else:
            policy_previews.forget(shown.digest)
            messages.success(
                request, _("Saved. It counts for new apps and edits at once. Apps that break it are told, and suspended 30 days later.")
            )
        return redirect(self._form_of(shown.proposal))

    def csv_of_preview(self, request: HttpRequest, digest: str) -> HttpResponseBase:
        """Send every app that would change, as they are found."""
        self._require_reading(request)
        proposal = policy_previews.get_proposal(digest)
        if proposal is None:
            raise Http404
        header = ("app", "client_id", "organization", "source", "state", "effect", "rule", "member", "sentence", "suspended_from")
        rows = (
            (
                found.name,
                found.client_id,
                found.organization,
                found.source,
                found.state,
                one.effect,
                one.code,
                one.member,
                one.sentence,
                found.suspended_from,
            )
            for _client, found in preview(proposal, timezone.now())
            if found
            for one in found.changes
        )
        return csv_response("policy-changes.csv", header, rows)
