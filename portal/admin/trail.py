"""The audit trail: read, exported and checked, never changed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.http import urlencode
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_GET, require_safe

from portal.admin.base import StaffAdmin, staff_actor
from portal.admin.presentation import EVENT_WORDS
from portal.admin.roles import needed_role
from portal.admin.site import staff_site
from portal.csv_export import csv_response
from registry import audit
from registry.audit_search import (
    COUNTED,
    AuditQuestion,
    count_events,
    export_events,
    find_events,
    object_types,
    page_of_events,
    span_of_trail,
)
from registry.models import AuditEvent, AuditSeal
from registry.models.audit import ActorKind

_COLUMNS: Final = tuple(field.attname for field in AuditEvent._meta.concrete_fields if field.name != "organization")
_MONTHS_SHOWN: Final = 24
_TIMES: Final = ("%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d")
_LARGEST_ID: Final = 2**63 - 1


def _text(label: Any, limit: int = 254) -> forms.CharField:
    return forms.CharField(label=label, required=False, max_length=limit)


def _time(label: Any) -> forms.DateTimeField:
    # Written so that the browser's own control reads it back.
    widget = forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M")
    return forms.DateTimeField(label=label, required=False, input_formats=_TIMES, widget=widget)


class AuditForm(forms.Form):
    """What is asked of the trail. Fields are members of AuditQuestion."""

    since = _time(_("From (UTC)"))
    until = _time(_("Until, not with it (UTC)"))
    event = _text(_("Event"), 60)
    actor_kind = forms.ChoiceField(label=_("Kind of actor"), required=False, choices=[("", _("Every kind")), *ActorKind.choices])
    actor = _text(_("Actor: e-mail address or identifier"))
    organization = _text(_("Organization: part of its name"), 200)
    object_type = forms.ChoiceField(label=_("Kind of object"), required=False)
    object = _text(_("Object: name, client ID or number"), 2048)
    result = _text(_("Result"), 10)
    source_address = forms.GenericIPAddressField(label=_("Source address"), required=False)
    request_id = _text(_("Request ID"), 64)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        every: list[tuple[str, Any]] = [("", _("Every kind"))]
        self.fields["object_type"].choices = every + [(name, name) for name in object_types()]  # type: ignore[attr-defined]
        self.fields["event"].widget.attrs["list"] = "known-events"

    @property
    def question(self) -> AuditQuestion:
        """Return the question of a valid form."""
        given: dict[str, Any] = {name: value.strip() if isinstance(value, str) else value for name, value in self.cleaned_data.items()}
        return AuditQuestion(**given)

    @property
    def address(self) -> str:
        """Return what was asked as the query of an address, without what is empty."""
        return urlencode([(name, self.data[name]) for name in self.fields if self.data.get(name)])


@admin.register(AuditEvent, site=staff_site)
class AuditEventAdmin(StaffAdmin):
    """The trail, newest first."""

    label = "Audit trail"
    area = "trail"
    has_csv = False  # its export has more columns, and is in the trail itself

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
            path("export/", self.admin_site.admin_view(require_GET(self.export_view)), name=self.url_name("export")),
            path("verify/", self.admin_site.admin_view(require_safe(self.verify_view)), name=self.url_name("verify")),
        ]

    def _require_reading(self, request: HttpRequest) -> None:
        if not self.has_view_permission(request):
            raise PermissionDenied(needed_role(request.user, self.area))  # type: ignore[arg-type]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:  # noqa: ARG002
        """Show the events that are asked for, a page at a time; pages go on by number, whatever the size of the trail."""
        self._require_reading(request)
        form = AuditForm(request.GET)
        context: dict[str, Any] = {"form": form, "known_events": sorted(EVENT_WORDS), "counted": COUNTED}
        if form.is_valid():
            question, before = form.question, _number(request.GET.get("before", ""))
            page = page_of_events(question, before=before)
            context |= {
                "events": page.events,
                "older": f"?{_with(form, before=str(page.before))}" if page.before else "",
                "searched_to": page.searched_to,
                "newest": f"?{form.address}" if before else "",
                "count": count_events(question) if before is None else None,
                "days": _days_to_choose(form, question),
                "export_url": self.url_to("export"),
                "address": form.address,
            }
        response = self.page(request, "admin/staff/trail.html", self.label, verify_url=self.url_to("verify"), **context)
        response.context_data = {**(response.context_data or {}), "crumbs": []}  # this is the list that other pages lead back to
        return response

    def export_view(self, request: HttpRequest) -> HttpResponseBase:
        """Send the events that are asked for, oldest first, as JSON lines or CSV. That it was done is in the trail."""
        self._require_reading(request)
        form = AuditForm(request.GET)
        if not form.is_valid():
            return self.changelist_view(request)
        wanted = "csv" if request.GET.get("format") == "csv" else "jsonl"
        events = export_events(form.question, staff_actor(request), form=wanted)
        name = f"credence-audit-{timezone.now():%Y%m%d-%H%M%S}.{wanted}"
        if wanted == "csv":
            response = csv_response(name, [*_COLUMNS, "org_id"], _cells(events))
        else:
            headers = {"Content-Disposition": f'attachment; filename="{name}"'}
            response = StreamingHttpResponse(_lines(events), content_type="application/jsonl", headers=headers)
        response["Cache-Control"] = "no-store"
        return response

    def verify_view(self, request: HttpRequest) -> HttpResponse:
        """Check seals for a few seconds and say what was found; a trail too long for that goes on by a link."""
        self._require_reading(request)
        found = audit.verify_for_a_while(after=_number(request.GET.get("after", "")) or 0)
        last = AuditSeal.objects.order_by("-last_id").first()
        context = {
            "found": found,
            "faults": found.faults,
            "last": last,
            "unsealed": find_events(AuditQuestion()).filter(id__gt=last.last_id if last else 0)[: COUNTED + 1].count(),
        }
        return self.page(request, "admin/staff/verify.html", "Seals of the audit trail", **context)


def _number(text: str) -> int | None:
    """Return the number of an event in an address, None for what is none."""
    return min(int(text), _LARGEST_ID) if text.isascii() and text.isdigit() and len(text) < 25 else None


def _with(form: AuditForm, **more: str) -> str:
    """Return the query of the form with other values."""
    kept = {name: form.data[name] for name in form.fields if form.data.get(name)}
    return urlencode({**kept, **more})


def _days_to_choose(form: AuditForm, question: AuditQuestion) -> list[tuple[str, str]]:
    """Return what a reader may narrow the time to, each as words and address: days inside a month, else months. At most two queries."""
    if question.since is not None and question.until is not None and question.until - question.since <= timedelta(days=31):
        days = (question.until - question.since).days
        starts = [question.since + timedelta(days=day) for day in range(days if days > 1 else 0)]
        return [(f"{start:%-d %b}", f"?{_range(form, start, start + timedelta(days=1))}") for start in starts]
    span = span_of_trail()
    if span is None:
        return []
    months: list[tuple[str, str]] = []
    first = span[0].astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    start = span[1].astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    while start >= first and len(months) < _MONTHS_SHOWN:
        following = (start + timedelta(days=32)).replace(day=1)
        months.append((f"{start:%b %Y}", f"?{_range(form, start, following)}"))
        start = (start - timedelta(days=1)).replace(day=1)
    return months


def _range(form: AuditForm, since: datetime, until: datetime) -> str:
    return _with(form, since=f"{since:%Y-%m-%dT%H:%M}", until=f"{until:%Y-%m-%dT%H:%M}")


def _values(event: AuditEvent) -> dict[str, Any]:
    """Return an event as columns: the time as ISO 8601, the organization by its public identifier."""
    content = {name: getattr(event, name) for name in _COLUMNS}
    content["time"] = event.time.isoformat()
    content["org_id"] = str(event.organization.org_id) if event.organization else None
    return content


def _lines(events: Iterable[AuditEvent]) -> Iterator[str]:
    for event in events:
        # In ASCII: readers of lines take U+2028 and U+0085 for the end of one.
        yield json.dumps(_values(event)) + "\n"


def _cells(events: Iterable[AuditEvent]) -> Iterator[list[Any]]:
    for event in events:
        values = _values(event)
        values["difference"] = json.dumps(event.difference, ensure_ascii=False)
        yield list(values.values())
