"""Whose software statements count, what they may say, and which organizations they mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern
from django.utils import timezone

from dcr.models import SoftwareStatementIssuer, StatementOrganization
from dcr.software_statements import disable_issuer, enable_issuer, save_issuer
from dcr.software_statements.issuers import EDITABLE, what_depends_on
from dcr.software_statements.organizations import link_organization, unlink_organization
from portal.admin.base import Crumb, staff_actor
from portal.admin.federation.trust_anchors import KeysForm
from portal.admin.presentation import events_about, timeline
from portal.admin.rules import (
    URL_ATTRIBUTES,
    GuardedAdmin,
    OrganizationField,
    ReasonForm,
    Refused,
    disable_unless,
    show_refusal,
)
from portal.admin.site import staff_site
from portal.templatetags.portal import state_badge
from protocol.constants import SIGNING_ALGORITHMS, URL_LIMIT
from protocol.errors import InvalidKeySet
from protocol.jose import parse_jwk_set
from registry.client_metadata.fields import READERS
from registry.models import Client

ORGANIZATIONS_SHOWN: Final = 50
LINES_LIMIT: Final = 64 * 1024
_COUNTS_FROM: Final = "It counts from the next statement; scopes that were taken from a role ended at once."


def _lines(rows: int) -> forms.Textarea:
    return forms.Textarea(attrs={"rows": rows, "class": "mono", "spellcheck": "false"})


class OptionalOrganizationField(OrganizationField):
    """An organization, or none."""

    def clean(self, value: Any) -> Any:
        """Return the organization, None when nothing was typed."""
        return super().clean(value) if str(value or "").strip() else None


class IssuerForm(KeysForm):
    """An issuer of software statements. It decides nothing; the service says what is wrong with the values."""

    issuer = forms.CharField(
        label="Issuer",
        max_length=URL_LIMIT,
        widget=forms.TextInput(attrs=URL_ATTRIBUTES),
        help_text="The claim iss of its statements, exactly. It can never be changed.",
    )
    name = forms.CharField(label="Name", max_length=100, help_text="What colleagues and partners read.")
    jwks_uri = forms.CharField(
        label="Address of its keys", required=False, max_length=URL_LIMIT, widget=forms.TextInput(attrs=URL_ATTRIBUTES)
    )
    algorithms = forms.MultipleChoiceField(
        label="Signature algorithms",
        required=False,
        widget=forms.CheckboxSelectMultiple,
        choices=[(name, name) for name in SIGNING_ALGORITHMS],
        initial=["ES256", "PS256"],
    )
    max_age_seconds = forms.IntegerField(
        label="Maximum age in seconds",
        required=False,
        min_value=1,
        help_text="Older statements are refused, and those without iat. Empty: any age.",
    )
    single_use = forms.BooleanField(label="Each statement counts once", required=False, help_text="Statements need a jti.")
    claims = forms.MultipleChoiceField(
        label="Claims that it may set",
        required=False,
        widget=forms.CheckboxSelectMultiple,
        choices=[(name, name) for name in READERS],
        help_text="They win over what the body of a registration says. Other claims are ignored.",
    )
    software_ids = forms.CharField(
        label="Approved software",
        required=False,
        max_length=LINES_LIMIT,
        widget=_lines(3),
        help_text="Values of software_id, one a line. Empty approves all of its software.",
    )
    organizations = forms.ChoiceField(label="Organizations", choices=SoftwareStatementIssuer.Organizations.choices)
    organization = OptionalOrganizationField(label="The one organization", required=False)
    organization_claim = forms.CharField(label="Claim that names the organization", required=False, max_length=60)
    organization_name_claim = forms.CharField(
        label="Claim with its name",
        required=False,
        max_length=60,
        help_text="For an organization that is made; it is never found by its name.",
    )
    roles_claim = forms.CharField(label="Claim that lists roles", required=False, max_length=60)
    role_scopes = forms.CharField(
        label="Scopes by role",
        required=False,
        max_length=LINES_LIMIT,
        widget=_lines(4),
        help_text="One role a line, a colon, its scopes. Apps have them while their statement lasts, sensitive ones without a reviewer.",
    )
    replaces_initial_access_token = forms.BooleanField(
        label="A statement alone registers", required=False, help_text="Without it, a registration needs an initial access token too."
    )
    stage = forms.ChoiceField(label="Stage", choices=Client.Stage.choices, help_text="Of clients that register by a statement alone.")
    is_mandatory_profile = forms.BooleanField(
        label="Ecosystem profile",
        required=False,
        help_text="Addresses and keys are the statement's: the body chooses among its redirect URIs, and scopes stay within its roles.",
    )
    field_order = EDITABLE

    def __init__(self, *args: Any, subject: SoftwareStatementIssuer | None, **kwargs: Any) -> None:
        if subject:
            kwargs["initial"] = _initial(subject)
        super().__init__(*args, **kwargs)
        self.subject = subject
        keys = self.fields["jwks"]
        keys.required = False
        keys.help_text = "A JWK Set, got by another way than its website; or else give the address of its keys."
        if subject:
            del self.fields["issuer"]
        if subject and subject.jwks is not None:
            keys.help_text = "Empty keeps the pinned ones unless an address is given; what is pasted here replaces them all."

    def clean_software_ids(self) -> list[str]:
        """Return the identifiers as a list, each once."""
        lines = (line.strip() for line in self.cleaned_data["software_ids"].splitlines())
        return list(dict.fromkeys(line for line in lines if line))

    def clean_role_scopes(self) -> dict[str, list[str]]:
        """Return the scopes by role."""
        found: dict[str, list[str]] = {}
        for line in filter(None, (line.strip() for line in self.cleaned_data["role_scopes"].splitlines())):
            role, colon, scopes = line.rpartition(":")
            if not colon or role.strip() in found:
                raise forms.ValidationError("Write each role once, on a line of its own, such as: payments: accounts.read payments.write")
            found[role.strip()] = list(dict.fromkeys(scopes.split()))
        return found

    @property
    def values(self) -> dict[str, Any]:
        """Return what the service wants: pinned keys stay where nothing else is given."""
        values = dict(self.cleaned_data)
        if values["jwks"] is None and not values["jwks_uri"] and self.subject:
            values["jwks"] = self.subject.jwks
        return values


def _initial(subject: SoftwareStatementIssuer) -> dict[str, Any]:
    values = {name: getattr(subject, name) for name in EDITABLE if name != "jwks"}
    return {
        **values,
        "organization": subject.organization.slug if subject.organization else "",
        "software_ids": "\n".join(subject.software_ids),
        "role_scopes": "\n".join(f"{role}: {' '.join(scopes)}" for role, scopes in subject.role_scopes.items()),
    }


@admin.register(SoftwareStatementIssuer, site=staff_site)
class StatementIssuerAdmin(GuardedAdmin):
    """Issuers of software statements: what they may say, and what depends on them."""

    label = "Software statements"
    area = "rules"
    list_display = ("name", "issuer", "shown_state", "organizations", "stage")
    list_filter = ("is_enabled", "organizations", "stage")
    search_fields = ("name", "issuer")

    @admin.display(description="State", ordering="is_enabled")
    def shown_state(self, subject: SoftwareStatementIssuer) -> Any:
        """Return whether it counts as badge."""
        return issuer_badge(subject)

    def get_queryset(self, request: HttpRequest) -> QuerySet[SoftwareStatementIssuer]:
        """Load whose the clients are."""
        return super().get_queryset(request).select_related("organization")

    def more_urls(self) -> list[URLPattern]:
        """Add the forms."""
        return [
            self.route("new/", self.issuer_view, "add"),
            self.route("<int:pk>/", self.issuer_view, "change"),
            self.route("<int:pk>/disable/", self.disable_view, "disable"),
            self.route("<int:pk>/enable/", self.enable_view, "enable"),
        ]

    def tools(self, request: HttpRequest) -> tuple[Crumb, ...]:
        """Link the form of a new issuer."""
        return (("Add an issuer", self.url_to("add")),) if self.may_act(request) else ()

    def issuer_view(self, request: HttpRequest, pk: int | None = None) -> HttpResponse:
        """Show an issuer, and save it."""
        if pk is None or request.method == "POST":
            self.require_acting(request)
        subject: SoftwareStatementIssuer | None = self.get_subject(request, pk) if pk is not None else None
        form = IssuerForm(request.POST if request.method == "POST" else None, subject=subject)
        if form.is_valid():
            try:
                saved = save_issuer(subject, form.values, staff_actor(request), now=timezone.now())
            except Refused as error:
                show_refusal(form, error, {"permission": "organization"})
            else:
                messages.success(request, f"Saved. {_COUNTS_FROM}")
                return redirect(self.url_to("change", saved.pk))
        disable_unless(self.may_act(request), form)
        title = str(subject) if subject else "Add an issuer"
        context = {"form": form, "may_act": self.may_act(request), "subject": subject, **(self._about(subject) if subject else {})}
        return self.page(request, "admin/staff/statement_issuer.html", title, **context)

    def _about(self, subject: SoftwareStatementIssuer) -> dict[str, Any]:
        known = StatementOrganization.objects.select_related("organization").filter(issuer=subject)
        return {
            "state": issuer_badge(subject),
            "keys": _pinned_keys(subject),
            "dependants": what_depends_on(subject),
            "organizations": list(known[:ORGANIZATIONS_SHOWN]),
            "organizations_count": known.count(),
            "disable_url": self.url_to("disable", subject.pk),
            "enable_url": self.url_to("enable", subject.pk),
            "events": timeline(events_about(("softwarestatementissuer", str(subject.pk)))),
        }

    def disable_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Show what ends without the issuer, and believe it no more."""
        subject: SoftwareStatementIssuer = self.get_subject(request, pk)
        self.require_acting(request)
        back = self.url_to("change", pk)
        if not subject.is_enabled:
            messages.info(request, "It is disabled already.")
            return redirect(back)
        form = ReasonForm(request.POST if request.method == "POST" else None, readers="Colleagues read these words.")
        if form.is_valid():
            try:
                ended = disable_issuer(subject, staff_actor(request), now=timezone.now(), reason=form.cleaned_data["reason"])
            except Refused as error:
                show_refusal(form, error, {"reason_missing": "reason"})
            else:
                messages.success(request, f"It is disabled. Software statements that ended: {ended}.")
                return redirect(back)
        context = {"form": form, "dependants": what_depends_on(subject), "crumbs": [(str(subject), back)], "back": back}
        return self.page(request, "admin/staff/statement_issuer_disable.html", f"Disable {subject}", **context)

    def enable_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Ask, and believe an issuer again."""
        subject: SoftwareStatementIssuer = self.get_subject(request, pk)

        def change() -> str:
            enable_issuer(subject, staff_actor(request))
            return "It is enabled. Its next statements count."

        text = "Its next statements count. What ended stays ended: scopes come back with a new statement, and a reviewer reinstates apps."
        page = {"title": f"Enable {subject}", "text": text, "button": "Enable it", "then": self.url_to("change", pk)}
        return self.confirm(request, subject, change, **page)


def issuer_badge(subject: SoftwareStatementIssuer) -> Any:
    """Return whether an issuer counts as badge."""
    return state_badge("active", "Enabled") if subject.is_enabled else state_badge("revoked", "Disabled")


def _pinned_keys(subject: SoftwareStatementIssuer) -> tuple[Any, ...]:
    try:
        return parse_jwk_set(subject.jwks).keys if subject.jwks is not None else ()
    except InvalidKeySet:
        return ()


_FIELD_OF_REFUSAL: Final[Mapping[object, str]] = {
    "permission": "organization", "organization": "organization", "value": "value", "duplicate": "value"
}  # fmt: skip


class LinkForm(forms.Form):
    """Which organization an issuer means by a value."""

    issuer = forms.ModelChoiceField(
        label="Issuer", queryset=SoftwareStatementIssuer.objects.exclude(organizations=SoftwareStatementIssuer.Organizations.FIXED)
    )
    value = forms.CharField(label="Value", max_length=255, strip=False, help_text="Exactly as in the claim that names the organization.")
    organization = OrganizationField()


@admin.register(StatementOrganization, site=staff_site)
class StatementOrganizationAdmin(GuardedAdmin):
    """Organizations that issuers of software statements mean. A link is made and removed, and never changed."""

    label = "Organizations in statements"
    area = "rules"
    object_template = "admin/staff/statement_organization.html"
    list_display = ("value", "issuer", "organization", "created_at")
    list_filter = ("issuer",)
    search_fields = ("value", "organization__legal_name", "organization__slug")

    def get_queryset(self, request: HttpRequest) -> QuerySet[StatementOrganization]:
        """Load who means whom."""
        return super().get_queryset(request).select_related("issuer", "organization")

    def more_urls(self) -> list[URLPattern]:
        """Add the forms."""
        return [self.route("new/", self.link_view, "add"), self.route("<int:pk>/remove/", self.remove_view, "remove")]

    def tools(self, request: HttpRequest) -> tuple[Crumb, ...]:
        """Link the form of a new link."""
        return (("Link an organization", self.url_to("add")),) if self.may_act(request) else ()

    def object_context(self, request: HttpRequest, subject: StatementOrganization) -> dict[str, Any]:
        """Return whom an issuer means by a value."""
        return {
            **super().object_context(request, subject),
            "remove_url": self.url_to("remove", subject.pk) if self.may_act(request) else "",
            "events": timeline(events_about(("statementorganization", str(subject.pk)))),
        }

    def link_view(self, request: HttpRequest) -> HttpResponse:
        """Say which organization an issuer means by a value."""
        self.require_acting(request)
        form = LinkForm(request.POST if request.method == "POST" else None)
        if form.is_valid() and self._save(request, form):
            return redirect(self.url_to("changelist"))
        return self.page(request, "admin/staff/form.html", "Link an organization", form=form, button="Link it")

    def _save(self, request: HttpRequest, form: LinkForm) -> bool:
        given = form.cleaned_data
        try:
            link_organization(given["issuer"], given["value"], given["organization"], staff_actor(request), now=timezone.now())
        except Refused as error:
            show_refusal(form, error, _FIELD_OF_REFUSAL)
            return False
        messages.success(request, f"Saved. Statements that name {given['value']} are about {given['organization']} from now on.")
        return True

    def remove_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Ask, and forget a link."""
        link: StatementOrganization = self.get_subject(request, pk)

        def change() -> str:
            unlink_organization(link, staff_actor(request))
            return "The link is removed."

        text = "Apps that are registered keep their organization. What registers with this value from now on finds none, or gets a new one."
        page = {"title": "Remove the link", "text": text, "button": "Remove it", "then": self.url_to("changelist")}
        return self.confirm(request, link, change, **page)
