"""Drafting an app for a partner: an owner claims it in the portal, and only then it can have a secret."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone

from portal.admin.base import StaffAdmin, staff_actor
from portal.forms.apps import NewAppForm
from portal.forms.once import run_once
from protocol.errors import MetadataRefused, TransitionRefused
from registry.lifecycle import register_client
from registry.models import Organization, Scope


class StaffAppForm(NewAppForm):
    """The partners' form of an app, without their pages' field checks while typing."""

    field_template = "admin/staff/field.html"


class DraftPage(StaffAdmin):
    """Adds the page that drafts an app to the organizations' admin."""

    def draft_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Show the form of an app, and register it as a draft for the owners."""
        organization: Organization = self.get_subject(request, pk)
        self.require_acting(request)
        scopes = Scope.objects.filter(is_retired=False)
        form = StaffAppForm(request.POST if request.method == "POST" else None, scopes=scopes)
        if form.is_valid() and not form.keys_refused and (response := self._draft(request, organization, form)):
            return response
        if form.is_bound and form.keys_refused:
            form.show_assessment(())
        context: dict[str, Any] = {"form": form, "crumbs": [(str(organization), self.url_to("change", pk))], "organization": organization}
        return self.page(request, "admin/staff/draft.html", "Draft an app for this partner", **context)

    def _draft(self, request: HttpRequest, organization: Organization, form: StaffAppForm) -> HttpResponse | None:
        def create() -> str:
            client = register_client(staff_actor(request), organization, form.document, now=timezone.now(), offer_to_owner=True)
            return reverse("staff:registry_client_change", args=(client.pk,))

        try:
            address = run_once(request, form, create, otherwise=self.url_to("change", organization.pk))
        except MetadataRefused as error:
            form.show_assessment(error.findings)
        except TransitionRefused as error:
            form.refuse(error.description)
        else:
            messages.success(request, "The draft is there. An owner of the organization can claim it now.")
            return HttpResponseRedirect(address)
        return None
