"""What the staff pages about federations share."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from allauth.account.decorators import reauthentication_required
from django import forms
from django.contrib import messages
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path
from django.views.decorators.http import require_http_methods

from federation.trust_anchors import clients_depending_on
from portal.admin.base import Crumb, StaffAdmin
from portal.admin.organizations import count_live_tokens
from portal.admin.presentation import events_about, timeline
from portal.admin.rules import disable_unless
from protocol.constants import CLIENT_ID_LIMIT
from protocol.errors import InvalidKeySet, InvalidUrl, MetadataRefused, TransitionRefused
from registry.models import Client, Organization

APPS_SHOWN: Final = 100
ORGANIZATIONS_PROPOSED: Final = 200
_AT_ONCE: Final = 1000
URL_ATTRIBUTES: Final = {"inputmode": "url", "autocomplete": "off", "autocapitalize": "none", "spellcheck": "false"}
Refused = (InvalidUrl, InvalidKeySet, MetadataRefused, TransitionRefused)


class FederationAdmin(StaffAdmin):
    """A list of something about federations, and its pages."""

    area = "federation"

    def route(self, address: str, view: Callable[..., HttpResponse], name: str, *, guarded: bool = True) -> URLPattern:
        """Return the URL of a page with a form; what is `guarded` asks for the password again before it changes something."""
        answered = require_http_methods(["GET", "POST"])(view)
        if guarded:
            answered = reauthentication_required(answered, enabled=_is_post)
        return path(address, self.admin_site.admin_view(answered), name=self.url_name(name))

    def confirm(
        self, request: HttpRequest, subject: Any, change: Callable[[], str], *, title: str, text: str, button: str, then: str
    ) -> HttpResponse:
        """Ask before `change` is made, make it, and say what it returns."""
        self.require_acting(request)
        if request.method != "POST":
            crumbs = [(str(subject), self.url_to("change", subject.pk))]
            return self.page(request, "admin/staff/confirm.html", title, text=text, button=button, crumbs=crumbs)
        try:
            messages.success(request, change())
        except TransitionRefused as error:
            messages.error(request, error.description)
        return redirect(then)


class RuleAdmin(FederationAdmin):
    """A list of rules, each with a form and a way to remove it; `noun` is what people call one."""

    noun: ClassVar[str] = "rule"

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

    def rule_page(self, request: HttpRequest, rule: Any, form: forms.Form, text: str) -> HttpResponse:
        """Return the page of a rule with its form."""
        disable_unless(self.may_act(request), form)
        context = {
            "form": form,
            "may_act": self.may_act(request),
            "rule": rule,
            "noun": self.noun,
            "text": text,
            "remove_url": self.url_to("remove", rule.pk) if rule and self.may_act(request) else "",
            "events": timeline(events_about((rule._meta.model_name, str(rule.pk)))) if rule else [],
        }
        return self.page(request, "admin/staff/federation_rule.html", str(rule) if rule else f"Add a {self.noun}", **context)

    def confirm_removal(self, request: HttpRequest, rule: Any, change: Callable[[], str], text: str) -> HttpResponse:
        """Ask, and forget a rule."""
        page = {"title": f"Remove the {self.noun}", "text": text, "button": "Remove it", "then": self.url_to("changelist")}
        return self.confirm(request, rule, change, **page)


def _is_post(request: HttpRequest) -> bool:
    return request.method == "POST"


def show_refusal(form: forms.Form, error: Exception, fields: Mapping[object, str]) -> None:
    """Show what a service refused, at the field that `fields` names by error class or reason, or above the form."""
    if isinstance(error, MetadataRefused):
        for finding in error.findings:
            form.add_error(finding.member if finding.member in form.fields else None, finding.sentence)
        return
    field = fields.get(type(error)) or fields.get(getattr(error, "reason", ""))
    form.add_error(field if field in form.fields else None, error.description if isinstance(error, Refused) else str(error))


class ReasonForm(forms.Form):
    """Why something is done."""

    reason = forms.CharField(label="Reason", max_length=2000, widget=forms.Textarea(attrs={"rows": 3}))

    def __init__(self, *args: Any, readers: str = "The partners read these words.", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["reason"].help_text = readers


def entity_field(label: str, help_text: str = "") -> forms.CharField:
    """Return a field for an entity identifier; services say whether it is one."""
    widget = forms.TextInput(attrs=URL_ATTRIBUTES)
    return forms.CharField(label=label, help_text=help_text, max_length=CLIENT_ID_LIMIT, widget=widget)


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


@dataclass(frozen=True, slots=True)
class Carried:
    """The apps whose chain goes through an entity, by organization."""

    every: Sequence[Client]

    @property
    def shown(self) -> Sequence[Client]:
        """Return those that a page lists."""
        return self.every[:APPS_SHOWN]

    @property
    def more(self) -> int:
        """Return how many a page does not list."""
        return len(self.every) - len(self.shown)

    @property
    def organizations(self) -> int:
        """Return how many organizations they belong to."""
        return len({app.organization_id for app in self.every})

    @property
    def ending(self) -> Sequence[Client]:
        """Return those that have trust to lose."""
        return [app for app in self.every if app.trust not in (Client.Trust.NONE, Client.Trust.BROKEN)]

    def count_tokens(self) -> int:
        """Return how many access tokens of them are live. One query for each thousand."""
        numbers = [app.pk for app in self.every]
        parts = (numbers[start : start + _AT_ONCE] for start in range(0, len(numbers), _AT_ONCE))
        return sum(count_live_tokens(application__in=part) for part in parts)


def carried_by(entity_id: str) -> Carried:
    """Return what an entity carries. One query."""
    return Carried(clients_depending_on(entity_id))
