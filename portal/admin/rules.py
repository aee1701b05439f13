"""Lists that staff edit: rules, profiles, banners, each with a form, a history and a way to remove it; and the fields that they share."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, ClassVar, Final

from allauth.account.decorators import reauthentication_required
from django import forms
from django.contrib import messages
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path
from django.views.decorators.http import require_http_methods

from portal.admin.base import Crumb, StaffAdmin
from portal.admin.presentation import events_about, timeline
from protocol.errors import InvalidKeySet, InvalidUrl, MetadataRefused, TransitionRefused
from registry.models import Organization

ORGANIZATIONS_PROPOSED: Final = 200
URL_ATTRIBUTES: Final = {"inputmode": "url", "autocomplete": "off", "autocapitalize": "none", "spellcheck": "false"}
Refused = (InvalidUrl, InvalidKeySet, MetadataRefused, TransitionRefused)


class GuardedAdmin(StaffAdmin):
    """A list with pages that change something: each behind the password, or behind a question."""

    def route(self, address: str, view: Callable[..., HttpResponse], name: str, *, guarded: bool = True) -> URLPattern:
        """Return the URL of a page with a form; what is `guarded` asks for the password again before it changes something."""
        answered = require_http_methods(["GET", "POST"])(view)
        if guarded:
            answered = reauthentication_required(answered, enabled=self.is_sensitive)
        return path(address, self.admin_site.admin_view(answered), name=self.url_name(name))

    def is_sensitive(self, request: HttpRequest) -> bool:
        """Say whether a request to a guarded page changes something."""
        return is_post(request)

    def confirm(
        self,
        request: HttpRequest,
        subject: Any,
        change: Callable[[], str],
        *,
        title: str,
        text: str,
        button: str,
        then: str,
        **more: Any,
    ) -> HttpResponse:
        """Ask before `change` is made, make it, and say what it returns; `more` is what the page shows besides."""
        self.require_acting(request)
        if request.method != "POST":
            crumbs = [(str(subject), self.url_to("change", subject.pk))]
            return self.page(request, "admin/staff/confirm.html", title, text=text, button=button, crumbs=crumbs, **more)
        try:
            messages.success(request, change())
        except TransitionRefused as error:
            messages.error(request, error.description)
        return redirect(then)


class RuleAdmin(GuardedAdmin):
    """A list of rules, each with a form and a way to remove it; `noun` is what people call one."""

    noun: ClassVar[str] = "rule"
    is_previewed: ClassVar[bool] = False

    def is_sensitive(self, request: HttpRequest) -> bool:
        """Say whether a request changes something: a form that is previewed does so only with the digest of the report."""
        is_form = request.resolver_match is not None and request.resolver_match.url_name in (self.url_name("add"), self.url_name("change"))
        return is_post(request) and not (self.is_previewed and is_form and "seen" not in request.POST)

    def more_urls(self) -> list[URLPattern]:
        """Add the forms."""
        return [
            self.route("new/", self.rule_view, "add"),
            self.route("<int:pk>/", self.rule_view, "change"),
            self.route("<int:pk>/remove/", self.remove_view, "remove"),
        ]

    def tools(self, request: HttpRequest) -> tuple[Crumb, ...]:
        """Link the form of a new rule."""
        return ((f"Add a {self.noun}", self.url_to("add")),) if self.may_act(request) else ()

    def rule_view(self, request: HttpRequest, pk: int | None = None) -> HttpResponse:
        """Show a rule, and save it."""
        raise NotImplementedError

    def remove_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Ask, and forget a rule."""
        raise NotImplementedError

    def get_rule(self, request: HttpRequest, pk: int | None) -> Any:
        """Return the rule that a page is about, None for a new one; who only reads may not see the form of a new one, nor save."""
        if pk is None or request.method == "POST":
            self.require_acting(request)
        return self.get_subject(request, pk) if pk is not None else None

    def rule_page(self, request: HttpRequest, rule: Any, form: forms.Form, text: str, **more: Any) -> HttpResponse:
        """Return the page of a rule with its form; `more` is what it shows besides, such as the report of who would change."""
        disable_unless(self.may_act(request), form)
        context = {
            "form": form,
            "may_act": self.may_act(request),
            "rule": rule,
            "noun": self.noun,
            "text": text,
            "remove_url": self.url_to("remove", rule.pk) if rule and self.may_act(request) else "",
            "events": timeline(events_about((rule._meta.model_name, str(rule.pk)))) if rule else [],
            "is_previewed": self.is_previewed,
            **more,
        }
        return self.page(request, "admin/staff/rule.html", str(rule) if rule else f"Add a {self.noun}", **context)

    def confirm_removal(self, request: HttpRequest, rule: Any, change: Callable[[], str], text: str, **more: Any) -> HttpResponse:
        """Ask, and forget a rule; `more` is what the page shows besides, such as a report of who would change."""
        page = {"title": f"Remove the {self.noun}", "text": text, "button": "Remove it", "then": self.url_to("changelist")}
        return self.confirm(request, rule, change, **page, **more)


def is_post(request: HttpRequest) -> bool:
    """Say whether a request sends a form."""
    return request.method == "POST"


def disable_unless(allowed: bool, form: forms.BaseForm) -> None:
    """Show the fields of a form to those who may only read it."""
    for field in form.fields.values():
        field.disabled = not allowed


def show_refusal(form: forms.Form, error: Exception, fields: Mapping[object, str]) -> None:
    """Show what a service refused, at the field that `fields` names by error class or reason, or above the form."""
    if isinstance(error, MetadataRefused):
        for finding in error.findings:
            form.add_error(finding.member if finding.member in form.fields else None, finding.sentence)
        return
    field = fields.get(type(error)) or fields.get(getattr(error, "reason", ""))
    form.add_error(field if field in form.fields else None, error.description if isinstance(error, Refused) else str(error))


def is_done_already(request: HttpRequest, error: Exception) -> bool:
    """Say whether a service refused only because everything is as it was asked for, as when a form is sent twice; then say so on top."""
    if getattr(error, "reason", "") != "state":
        return False
    messages.info(request, str(getattr(error, "description", "")))
    return True


class ReasonForm(forms.Form):
    """Why something is done."""

    reason = forms.CharField(label="Reason", max_length=2000, widget=forms.Textarea(attrs={"rows": 3}))

    def __init__(self, *args: Any, readers: str = "The partners read these words.", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["reason"].help_text = readers


class OrganizationInput(forms.TextInput):
    """A text field for which the browser proposes approved organizations."""

    template_name = "admin/staff/organization_input.html"

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        """Add what is proposed. One query."""
        proposed = Organization.objects.filter(state=Organization.State.APPROVED).values_list("slug", "legal_name")
        context = super().get_context(name, value, {**(attrs or {}), "list": f"{name}-proposed"})
        return {**context, "proposed": proposed[:ORGANIZATIONS_PROPOSED]}


class OrganizationField(forms.CharField):
    """An organization, given by short name, legal name or org_id."""

    widget = OrganizationInput

    def __init__(self, **kwargs: Any) -> None:
        hint = "Its short name, legal name or org_id. Approved organizations are proposed as you type."
        super().__init__(**{"label": "Organization", "help_text": hint, "max_length": 200, **kwargs})

    def clean(self, value: Any) -> Any:
        """Return the organization."""
        text = str(super().clean(value))
        named = Q(slug=text) | Q(legal_name__iexact=text)
        with suppress(ValueError):
            named |= Q(org_id=uuid.UUID(text))
        found = list(Organization.objects.filter(named)[:10])
        found = [one for one in found if one.slug == text] or found
        if len(found) != 1:
            raise forms.ValidationError(
                "More than one organization has this name; type its short name or org_id." if found else "No organization is called so."
            )
        return found[0]
