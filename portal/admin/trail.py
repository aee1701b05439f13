"""The audit trail: read, exported and checked, never changed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC
from itertools import islice
from typing import Any, Final

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.http import urlencode
from django.views.decorators.http import require_safe

from portal.admin.base import Crumb, StaffAdmin
from portal.admin.filters import EventFilter, OrganizationFilter
from portal.admin.site import staff_site
from registry import audit
from registry.models import AuditEvent, AuditSeal

FAULTS_SHOWN: Final = 100
_CHUNK: Final = 1000


@admin.register(AuditEvent, site=staff_site)
class AuditEventAdmin(StaffAdmin):
    """The trail, newest first."""

    label = "Audit trail"
    area = "trail"
    list_display = ("shown_time", "event", "shown_actor", "shown_object", "organization")
    list_filter = (EventFilter, "actor_kind", "object_type", "result", OrganizationFilter)
    list_select_related = ("organization",)
    date_hierarchy = "time"
    search_fields = ("object_id", "object_label", "actor_label", "request_id", "organization__registration_number")
    search_help_text = "App, organization, e-mail address of an actor, request ID, or registration number"

    @admin.display(description="Time (UTC)", ordering="id")
    def shown_time(self, subject: AuditEvent) -> str:
        """Return the time to the second, in UTC as everywhere in the trail."""
        return f"{subject.time.astimezone(UTC):%Y-%m-%d %H:%M:%S}"

    @admin.display(description="By")
    def shown_actor(self, subject: AuditEvent) -> str:
        """Return who did it."""
        return subject.actor_label or subject.get_actor_kind_display()

    @admin.display(description="About")
    def shown_object(self, subject: AuditEvent) -> str:
        """Return what it was done to."""
        return subject.object_label

    def get_queryset(self, request: HttpRequest) -> QuerySet[AuditEvent]:
        """Load the organization."""
        return super().get_queryset(request).select_related("organization")

    def shown(self, subject: Any, field: Any) -> Any:
        """Return the difference as JSON."""
        if field.name == "difference":
            return json.dumps(subject.difference, indent=2, ensure_ascii=False)
        return super().shown(subject, field)

    def more_urls(self) -> list[URLPattern]:
        """Add export and check."""
        return [
            path("export/", self.admin_site.admin_view(require_safe(self.export_view)), name=self.url_name("export")),
            path("verify/", self.admin_site.admin_view(require_safe(self.verify_view)), name=self.url_name("verify")),
        ]

    def tools(self, request: HttpRequest) -> tuple[Crumb, ...]:
        """Link both; the export keeps the filters."""
        filters = urlencode([(name, value) for name, values in request.GET.lists() for value in values])
        return (("Export as JSON lines", f"{self.url_to('export')}?{filters}"), ("Verify seals", self.url_to("verify")))

    def export_view(self, request: HttpRequest) -> HttpResponse | StreamingHttpResponse:
        """Send the events that the list would show, oldest first, one JSON object a line."""
        if not self.has_view_permission(request):
            raise PermissionDenied("Your role does not open this page.")
        try:
            events = self.get_changelist_instance(request).queryset.order_by("id")
        except IncorrectLookupParameters:
            return redirect(self.url_to("changelist"))
        names = [field.attname for field in self.opts.concrete_fields if field.name != "organization"]
        name = f"credence-audit-{timezone.now():%Y%m%d-%H%M%S}.jsonl"
        headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
        return StreamingHttpResponse(_lines(events, names), content_type="application/jsonl", headers=headers)

    def verify_view(self, request: HttpRequest) -> HttpResponse:
        """Check every seal and say what was found."""
        if not self.has_view_permission(request):
            raise PermissionDenied("Your role does not open this page.")
        faults = list(islice(audit.verify(), FAULTS_SHOWN))
        last = AuditSeal.objects.order_by("-last_id").first()
        context = {
            "faults": faults,
            "more": len(faults) == FAULTS_SHOWN,
            "seals": AuditSeal.objects.count(),
            "last": last,
            "unsealed": AuditEvent.objects.filter(id__gt=last.last_id if last else 0).count(),
        }
        return self.page(request, "admin/staff/verify.html", "Seals of the audit trail", **context)


def _lines(events: QuerySet[AuditEvent], names: list[str]) -> Iterator[str]:
    """Return each event as one line: the columns `names`, the time as ISO 8601, the organization by its public identifier."""
    for event in events.iterator(chunk_size=_CHUNK):
        content = {name: getattr(event, name) for name in names}
        content["time"] = event.time.isoformat()
        content["org_id"] = str(event.organization.org_id) if event.organization else None
        yield json.dumps(content, ensure_ascii=False) + "\n"
