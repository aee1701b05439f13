"""Whose an entity is: rules of staff, and entities that wait for an organization."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django import forms
from django.contrib import admin, messages
from django.db.models import Case, QuerySet, Value, When
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from federation.models import OrganizationRule, RegistrationRequest
from federation.organizations import assign_request, delete_organization_rule, dismiss_request, save_organization_rule
from federation.rule_preview import OrganizationRuleReport, preview_organization_rule
from portal.admin.base import staff_actor
from portal.admin.federation.pages import FederationAdmin, ValueFilter, column, entity_field
from portal.admin.presentation import LABELS, events_about, plain, timeline
from portal.admin.rules import OrganizationField, ReasonForm, Refused, RuleAdmin, is_done_already, show_refusal
from portal.admin.site import staff_site
from portal.templatetags.portal import state_badge, when
from protocol.errors import InvalidUrl


class RuleForm(forms.Form):
    """Everything below a superior belongs to an organization; the superior of a rule is final."""

    superior = entity_field(
        gettext_lazy("Superior"),
        gettext_lazy("Everything whose trust chain goes through it is meant; the nearest superior with a rule decides."),
    )
    organization = OrganizationField()

    def __init__(self, *args: Any, is_new: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not is_new:
            del self.fields["superior"]


@admin.register(OrganizationRule, site=staff_site)
class OrganizationRuleAdmin(RuleAdmin):
    """Rules that say whose the entities below a superior are."""

    area = "federation"
    is_previewed = True
    label = gettext_lazy("Organization rules")
    list_display = ("shown_superior", "shown_organization", "shown_maker", "shown_since")
    list_select_related = ("organization", "created_by")
    search_fields = ("superior", "organization__legal_name", "organization__slug")
    shown_superior = column("superior", gettext_lazy("Superior"))
    shown_organization = column("organization", gettext_lazy("Organization"))
    shown_maker = column("created_by", gettext_lazy("Made by"))
    shown_since = column("created_at", gettext_lazy("Created"))

    def get_queryset(self, request: HttpRequest) -> QuerySet[OrganizationRule]:
        """Load whose rule it is."""
        return super().get_queryset(request).select_related("organization", "created_by")

    def rule_view(self, request: HttpRequest, pk: int | None = None) -> HttpResponse:
        """Show a rule, and save it."""
        rule: OrganizationRule | None = self.get_rule(request, pk)
        initial = {"organization": rule.organization.slug} if rule else None
        form = RuleForm(request.POST if request.method == "POST" else None, is_new=rule is None, initial=initial)
        report = self._look_at(rule, form) if form.is_valid() else None
        if report and request.POST.get("seen") == report.digest and self._save(request, rule, form):
            return redirect(self.url_to("changelist"))
        text = _("Apps that are registered keep their organization; a rule counts for entities that register from now on.")
        return self.rule_page(request, rule, form, text, decides=report)

    def _look_at(self, rule: OrganizationRule | None, form: RuleForm) -> OrganizationRuleReport | None:
        """Return what the rule would decide, None when its superior is refused."""
        try:
            return preview_organization_rule(rule.superior if rule else form.cleaned_data["superior"], form.cleaned_data["organization"])
        except Refused as error:
            show_refusal(form, error, {InvalidUrl: "superior"})
            return None

    def _save(self, request: HttpRequest, rule: OrganizationRule | None, form: RuleForm) -> bool:
        superior = rule.superior if rule else form.cleaned_data["superior"]
        organization = form.cleaned_data["organization"]
        try:
            save_organization_rule(superior, organization, staff_actor(request), now=timezone.now(), only_new=rule is None)
        except Refused as error:
            if is_done_already(request, error):
                return True
            show_refusal(form, error, {InvalidUrl: "superior", "duplicate": "superior", "permission": "organization"})
            return False
        given = {"superior": superior, "organization": organization}
        messages.success(request, _("Saved. What registers below %(superior)s from now on belongs to %(organization)s.") % given)
        return True

    def remove_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Ask, and forget a rule."""
        rule: OrganizationRule = self.get_subject(request, pk)

        def change() -> str:
            delete_organization_rule(rule, staff_actor(request))
            return _("The rule is removed.")

        text = _("Apps that are registered keep their organization. What registers from now on gets one by the rule of its trust anchor.")
        return self.confirm_removal(request, rule, change, text)


class AssignForm(forms.Form):
    """Whose an entity is."""

    organization = OrganizationField()


_STATES: Final = {
    RegistrationRequest.State.OPEN: "pending",
    RegistrationRequest.State.ASSIGNED: "approved",
    RegistrationRequest.State.DISMISSED: "closed",
}


class StateFilter(ValueFilter):
    """Entities by what became of them."""

    title = gettext_lazy("state")
    parameter_name = "state__exact"
    words = dict(RegistrationRequest.State.choices)


@admin.register(RegistrationRequest, site=staff_site)
class RegistrationRequestAdmin(FederationAdmin):
    """Entities that are trusted and belong to nobody yet."""

    label = gettext_lazy("Unassigned entities")
    area = "entities"
    list_display = ("shown_entity", "shown_state", "shown_attempts", "shown_last")
    list_filter = (StateFilter,)
    search_fields = ("entity_id", "name")
    search_help_text = gettext_lazy("Entity identifier, or what the entity calls itself")
    ordering = (Case(When(state=RegistrationRequest.State.OPEN, then=Value(0)), default=Value(1)), "-last_seen_at")

    shown_attempts = column("attempts", gettext_lazy("Attempts"))

    @admin.display(description=gettext_lazy("Entity"), ordering="entity_id")
    def shown_entity(self, subject: RegistrationRequest) -> Any:
        """Return the identifier and the name that the entity gives itself."""
        return format_html('{}<span class="sub">{}</span>', subject.entity_id, subject.name or _("without name"))

    @admin.display(description=gettext_lazy("State"), ordering="state")
    def shown_state(self, subject: RegistrationRequest) -> Any:
        """Return the state as badge."""
        return request_badge(subject)

    @admin.display(description=gettext_lazy("Last seen"), ordering="last_seen_at")
    def shown_last(self, subject: RegistrationRequest) -> Any:
        """Return when it last tried."""
        return when(subject.last_seen_at)

    def get_queryset(self, request: HttpRequest) -> QuerySet[RegistrationRequest]:
        """Load who decided; a list needs no statements."""
        return super().get_queryset(request).select_related("organization", "decided_by").defer("statements")

    def more_urls(self) -> list[URLPattern]:
        """Add the two decisions."""
        return [
            self.route("<int:pk>/assign/", self.assign_view, "assign", guarded=False),
            self.route("<int:pk>/dismiss/", self.dismiss_view, "dismiss", guarded=False),
        ]

    def object_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Show everything that helps to decide, and both forms."""
        return self._show(request, self.get_subject(request, pk), AssignForm(), dismiss_form())

    def assign_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Say whose the entity is."""
        subject: RegistrationRequest = self.get_subject(request, pk)
        self.require_acting(request)
        form = AssignForm(request.POST if request.method == "POST" else None)
        if form.is_valid():
            organization = form.cleaned_data["organization"]
            try:
                assign_request(subject, organization, staff_actor(request), now=timezone.now())
            except Refused as error:
                if is_done_already(request, error):
                    return redirect(self.url_to("change", pk))
                show_refusal(form, error, {"organization": "organization", "permission": "organization"})
            else:
                words = _("It belongs to %(organization)s now, and registers with its next try.")
                messages.success(request, words % {"organization": organization})
                return redirect(self.url_to("change", pk))
        return self._show(request, subject, form, dismiss_form())

    def dismiss_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Leave the entity outside."""
        subject: RegistrationRequest = self.get_subject(request, pk)
        self.require_acting(request)
        form = dismiss_form(request.POST if request.method == "POST" else None)
        if form.is_valid():
            try:
                dismiss_request(subject, staff_actor(request), now=timezone.now(), reason=form.cleaned_data["reason"])
            except Refused as error:
                if is_done_already(request, error):
                    return redirect(self.url_to("change", pk))
                show_refusal(form, error, {"reason_missing": "reason"})
            else:
                messages.success(request, _("It stays outside. It can still be assigned later."))
                return redirect(self.url_to("change", pk))
        return self._show(request, subject, AssignForm(), form)

    def _show(self, request: HttpRequest, subject: RegistrationRequest, assign: forms.Form, dismiss: forms.Form) -> HttpResponse:
        is_decided = subject.state == RegistrationRequest.State.ASSIGNED
        context = {
            "subject": subject,
            "state": request_badge(subject),
            "metadata": [(entity_type, members(values)) for entity_type, values in subject.resolved_metadata.items()],
            "forms": () if is_decided or not self.may_act(request) else self._forms(subject, assign, dismiss),
            "errors": next((form for form in (assign, dismiss) if form.errors), None),
            "is_decided": is_decided,
            "events": timeline(events_about(("registrationrequest", str(subject.pk)))),
        }
        return self.page(request, "admin/staff/registration_request.html", str(subject), **context)

    def _forms(self, subject: RegistrationRequest, assign: forms.Form, dismiss: forms.Form) -> tuple[dict[str, Any], ...]:
        is_dismissed = subject.state == RegistrationRequest.State.DISMISSED
        return (
            {"form": assign, "url": self.url_to("assign", subject.pk), "button": _("Assign it"), "is_primary": True},
            *(() if is_dismissed else ({"form": dismiss, "url": self.url_to("dismiss", subject.pk), "button": _("Dismiss it")},)),
        )


def dismiss_form(data: Any = None) -> ReasonForm:
    """Return the form that asks why an entity stays outside."""
    return ReasonForm(data, readers=_("Colleagues read these words."))


def request_badge(subject: RegistrationRequest) -> Any:
    """Return the state of a request as badge."""
    return state_badge(_STATES[RegistrationRequest.State(subject.state)], subject.get_state_display())


def members(values: Any) -> list[tuple[str, str, str]]:
    """Return label, name and value of the members of metadata; what is no metadata has none."""
    found = values.items() if isinstance(values, Mapping) else ()
    return [(str(LABELS.get(name, name.replace("_", " ").capitalize())), name, plain(value)) for name, value in found]
