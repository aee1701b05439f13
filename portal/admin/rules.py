"""The registration policy and the scopes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Final

from allauth.account.decorators import reauthentication_required
from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import URLPattern, path
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from portal.admin.base import Crumb, StaffAdmin, staff_actor
from portal.admin.presentation import events_about, timeline
from portal.admin.site import staff_site
from protocol.errors import MetadataRefused, TransitionRefused
from registry.models import Organization, PolicyRecord, Scope
from registry.policies import get_policy
from registry.policy_records import save_policy
from registry.registration_policy import CHOICES, LIMITS, MAY_BE_EMPTY, RegistrationPolicy, merge_policy
from registry.scopes import EDITABLE, create_scope, update_scope

# Every value of the policy: its label and what it does. A test compares the names with RegistrationPolicy.
POLICY_WORDS: Final[Mapping[str, tuple[str, str]]] = {
    "grant_types": ("Grants", "What apps may register. This server serves some of them only; its metadata says which."),
    "token_endpoint_auth_methods": ("Authentication in test", "How apps in stage test may authenticate."),
    "live_token_endpoint_auth_methods": ("Authentication in live", "How live apps may authenticate. Fewer here means safer."),
    "client_assertion_algorithms": ("Signatures of apps", "Algorithms of signed assertions and request objects."),
    "id_token_algorithms": ("Signatures of ID tokens", "Algorithms that an app may ask its ID tokens to be signed with."),
    "default_scopes": ("Default scopes", "What an app gets that asks for no scope."),
    "federation_default_scopes": ("Default scopes in federations", "What an entity of a federation gets that declares no scope."),
    "federation_grant_types_by_mark": (
        "Grants that need a trust mark",
        "An entity of a federation uses these grants only while a trust mark entitles it to them.",
    ),
    "allowed_scopes": ("Scopes that may be registered", "None chosen means all of them."),
    "redirect_hosts": (
        "Places that may be redirected to",
        "Host names such as app.example.org, or private-use schemes such as org.example.app:, separated by spaces. Empty allows all.",
    ),
    "redirect_uris_limit": ("Redirect URIs per app", "At most so many."),
    "clients_limit": ("Apps per organization", "At most so many that are not closed."),
    "loopback_http_in_test": ("Loopback redirects in test", "Web apps in stage test may redirect to http on 127.0.0.1."),
    "require_pushed_authorization_requests": (
        "Require pushed requests",
        "Every app that signs people in must push its authorization requests.",
    ),
    "require_signed_request_object": ("Require signed requests", "Every app that signs people in must sign its authorization requests."),
    "access_token_lifetime_seconds": ("Lifetime of access tokens", "In seconds."),
    "org_id_in_id_token": ("Organization in ID tokens", "ID tokens carry org_id."),
    "dynamic_client_idle_days": (
        "Idle apps that registered themselves",
        "An app from dynamic registration without a token for so many days is warned, and suspended after the grace period. 0 is never.",
    ),
}


class WordsField(forms.CharField):
    """A list of words in one line."""

    def prepare_value(self, value: Any) -> Any:
        """Show a list as its words."""
        return " ".join(value) if isinstance(value, list | tuple) else value

    def to_python(self, value: Any) -> Any:
        """Return the words."""
        return (super().to_python(value) or "").split()

    def validate(self, value: Any) -> None:
        """Leave the judgement to the service."""

    def run_validators(self, value: Any) -> None:
        """Leave the judgement to the service."""


class PolicyForm(forms.Form):
    """Every value of the policy as a field. It decides nothing; the service says what is wrong with the values."""

    def __init__(self, *args: Any, base: RegistrationPolicy, current: RegistrationPolicy, scopes: list[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.base = base
        for field in fields(RegistrationPolicy):
            value = getattr(base, field.name)
            made = self._field(field.name, value, scopes)
            made.label, words = POLICY_WORDS[field.name]
            made.initial = list(now) if isinstance(now := getattr(current, field.name), tuple) else now
            made.help_text = f"{words} Otherwise: {_in_words(value)}."
            self.fields[field.name] = made

    def _field(self, name: str, value: Any, scopes: list[str]) -> forms.Field:
        if isinstance(value, bool):
            return forms.BooleanField(required=False)
        if isinstance(value, int):
            low, high = LIMITS[name]
            return forms.IntegerField(min_value=low, max_value=high)
        if name == "redirect_hosts":
            return WordsField(required=False)
        offered = CHOICES.get(name) or tuple(dict.fromkeys((*scopes, *value)))
        choices = [(one, one) for one in offered]
        required = name in CHOICES and name not in MAY_BE_EMPTY
        return forms.MultipleChoiceField(required=required, choices=choices, widget=forms.CheckboxSelectMultiple)

    @property
    def values(self) -> dict[str, Any]:
        """Return the values that differ from the base, which is what a record holds."""
        given = {
            name: tuple(value) if isinstance(value, list) else value for name, value in self.cleaned_data.items() if name in POLICY_WORDS
        }
        differing = {name: value for name, value in given.items() if value != getattr(self.base, name)}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in differing.items()}


def _in_words(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return (", ".join(value) or "none") if isinstance(value, tuple) else str(value)


@admin.register(PolicyRecord, site=staff_site)
class PolicyAdmin(StaffAdmin):
    """The registration policy: for all, and for single organizations."""

    label = "Registration policy"
    area = "rules"
    list_display = ("__str__", "organization", "updated_at", "updated_by")
    list_select_related = ("organization", "updated_by")
    search_fields = ("organization__legal_name", "organization__registration_number")

    def more_urls(self) -> list[URLPattern]:
        """Add the forms."""
        view = reauthentication_required(require_http_methods(["GET", "POST"])(self.policy_view), enabled=_is_post)
        wrapped = self.admin_site.admin_view(view)
        return [
            path("all/", wrapped, name=self.url_name("all")),
            path("organizations/<int:organization>/", wrapped, name=self.url_name("organization")),
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
        """Show the policy for all or for one organization, and save it."""
        subject = get_object_or_404(Organization, pk=organization) if organization else None
        if request.method == "POST":
            self.require_acting(request)
        base = get_policy() if subject else merge_policy()
        scopes = list(Scope.objects.filter(is_retired=False).values_list("name", flat=True))
        data = request.POST if request.method == "POST" else None
        form = PolicyForm(data, base=base, current=get_policy(subject), scopes=scopes)
        if form.is_valid() and self._save(request, subject, form):
            return redirect(request.path)
        title = f"Registration policy of {subject}" if subject else "Registration policy for all"
        record = PolicyRecord.objects.filter(organization=subject).first()
        events = timeline(events_about(("policyrecord", str(record.pk)))) if record else []
        disable_unless(self.may_act(request), form)
        context = {"form": form, "may_act": self.may_act(request), "subject": subject, "record": record, "events": events}
        return self.page(request, "admin/staff/policy.html", title, **context)

    def _save(self, request: HttpRequest, subject: Organization | None, form: PolicyForm) -> bool:
        try:
            save_policy(subject, form.values, staff_actor(request), now=timezone.now())
        except MetadataRefused as error:
            for finding in error.findings:
                form.add_error(finding.field if finding.field in form.fields else None, finding.sentence)
        except TransitionRefused as error:
            form.add_error(None, error.description)
        else:
            messages.success(
                request, "Saved. It counts for new apps and edits at once. Apps that break it are told, and suspended 30 days later."
            )
            return True
        return False


def _is_post(request: HttpRequest) -> bool:
    return request.method == "POST"


def disable_unless(allowed: bool, form: forms.BaseForm) -> None:
    """Show the fields of a form to those who may only read it."""
    for field in form.fields.values():
        field.disabled = not allowed


class ScopeForm(forms.ModelForm):
    """A scope. The name of one that exists is final."""

    class Meta:
        model = Scope
        fields = ("name", *EDITABLE)
        widgets = {"description": forms.Textarea(attrs={"rows": 3})}

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
        scope = self.get_subject(request, pk) if pk else None
        form = ScopeForm(request.POST if request.method == "POST" else None, instance=scope)
        if form.is_valid() and self._save(request, scope, form):
            return redirect(self.url_to("changelist"))
        disable_unless(self.may_act(request), form)
        events = timeline(events_about(("scope", str(pk)))) if pk else []
        title = f"Scope {scope}" if scope else "Add a scope"
        return self.page(request, "admin/staff/scope.html", title, form=form, may_act=self.may_act(request), events=events)

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
