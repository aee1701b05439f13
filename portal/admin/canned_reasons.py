"""Words that reviewers use often."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from portal.admin.base import Crumb, StaffAdmin, staff_actor
from portal.admin.presentation import events_about, timeline
from portal.admin.rules import disable_unless
from portal.admin.site import staff_site
from protocol.errors import TransitionRefused
from registry.canned_reasons import EDITABLE, TEXT_LIMIT, save_canned_reason
from registry.models import CannedReason

_FIELD_OF_REASON = {"duplicate": "name", "step": "step", "text": "text"}


class CannedReasonForm(forms.ModelForm):
    """The words, and where they are offered."""

    class Meta:
        model = CannedReason
        fields = EDITABLE
        widgets = {"text": forms.Textarea(attrs={"rows": 5, "maxlength": TEXT_LIMIT})}
        help_texts = {
            "name": "What reviewers choose it by; the partner does not read it.",
            "text": "What the partner reads. A reviewer can still edit it before it is sent.",
        }
        labels = {"step": "Offered when you", "is_active": "Offered to reviewers"}


@admin.register(CannedReason, site=staff_site)
class CannedReasonAdmin(StaffAdmin):
    """Words for the steps that need a reason."""

    label = "Words for reviewers"
    area = "notes"
    list_display = ("name", "step", "is_active")
    list_filter = ("step", "is_active")
    search_fields = ("name", "text")
    csv_extra = ("text",)

    def more_urls(self) -> list[URLPattern]:
        """Add the forms."""
        view = require_http_methods(["GET", "POST"])(self.reason_view)
        return [
            path("new/", self.admin_site.admin_view(view), name=self.url_name("add")),
            path("<int:pk>/", self.admin_site.admin_view(view), name=self.url_name("change")),
        ]

    def tools(self, request: HttpRequest) -> tuple[Crumb, ...]:
        """Link the form of new words."""
        return ((_("Add words"), self.url_to("add")),) if self.may_act(request) else ()

    def reason_view(self, request: HttpRequest, pk: int | None = None) -> HttpResponse:
        """Show the words, and save them."""
        if pk is None or request.method == "POST":
            self.require_acting(request)
        reason = self.get_subject(request, pk) if pk is not None else None
        form = CannedReasonForm(request.POST if request.method == "POST" else None, instance=reason)
        if form.is_valid() and self._save(request, reason, form):
            return redirect(self.url_to("changelist"))
        disable_unless(self.may_act(request), form)
        events = timeline(events_about(("cannedreason", str(pk)))) if pk else []
        title = str(reason) if reason else _("Add words")
        return self.page(request, "admin/staff/canned_reason.html", title, form=form, may_act=self.may_act(request), events=events)

    def _save(self, request: HttpRequest, reason: CannedReason | None, form: CannedReasonForm) -> bool:
        values: dict[str, Any] = {name: form.cleaned_data[name] for name in EDITABLE}
        try:
            save_canned_reason(reason, staff_actor(request), **values)
        except TransitionRefused as error:
            form.add_error(_FIELD_OF_REASON.get(error.reason), error.description)
            return False
        messages.success(request, _("Saved."))
        return True
