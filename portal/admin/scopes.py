"""The scopes of this server."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path
from django.views.decorators.http import require_http_methods

from portal.admin.base import Crumb, StaffAdmin, staff_actor
from portal.admin.presentation import events_about, timeline
from portal.admin.rules import disable_unless
from portal.admin.site import staff_site
from protocol.errors import TransitionRefused
from registry.entitlements import count_entitled
from registry.models import Scope
from registry.scopes import EDITABLE, create_scope, update_scope


class ScopeForm(forms.ModelForm):
    """A scope. The name of one that exists is final."""

    class Meta:
        model = Scope
        fields = ("name", *EDITABLE)
        widgets = {"description": forms.Textarea(attrs={"rows": 3})}
        help_texts = {
            "is_sensitive": "A reviewer approves it for each app, in test as well. Otherwise, every app that registers it has it at once."
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            del self.fields["name"]
        else:
            self.fields["name"].help_text = "What apps ask for, such as bookings.read. It can never be changed."


@admin.register(Scope, site=staff_site)
class ScopeAdmin(StaffAdmin):
    """The scopes of this server."""

    label = "Scopes"
    area = "rules"
    list_display = ("name", "title", "is_sensitive", "is_retired")
    list_filter = ("is_sensitive", "is_retired")
    search_fields = ("name", "title")

    def more_urls(self) -> list[URLPattern]:
        """Add the form of a new scope."""
        view = require_http_methods(["GET", "POST"])(self.scope_view)
        return [
            path("new/", self.admin_site.admin_view(view), name=self.url_name("add")),
            path("<int:pk>/", self.admin_site.admin_view(view), name=self.url_name("change")),
        ]

    def tools(self, request: HttpRequest) -> tuple[Crumb, ...]:
        """Link the form of a new scope."""
        return (("Add a scope", self.url_to("add")),) if self.may_act(request) else ()

    def scope_view(self, request: HttpRequest, pk: int | None = None) -> HttpResponse:
        """Show a scope, and save it."""
        if pk is None or request.method == "POST":
            self.require_acting(request)
        scope = self.get_subject(request, pk) if pk is not None else None
        form = ScopeForm(request.POST if request.method == "POST" else None, instance=scope)
        if form.is_valid() and self._save(request, scope, form):
            return redirect(self.url_to("changelist"))
        disable_unless(self.may_act(request), form)
        events = timeline(events_about(("scope", str(pk)))) if pk else []
        held = count_entitled(scope.name) if scope else []
        title = f"Scope {scope}" if scope else "Add a scope"
        return self.page(request, "admin/staff/scope.html", title, form=form, may_act=self.may_act(request), events=events, held=held)

    def _save(self, request: HttpRequest, scope: Scope | None, form: ScopeForm) -> bool:
        values = {name: form.cleaned_data[name] for name in EDITABLE}
        try:
            if scope is None:
                create_scope(form.cleaned_data["name"], staff_actor(request), **values)
            else:
                update_scope(scope, staff_actor(request), **values)
        except TransitionRefused as error:
            form.add_error("name" if error.reason in ("name", "duplicate") else None, error.description)
            return False
        messages.success(request, "Saved.")
        return True
