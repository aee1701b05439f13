"""Forms about organizations and their members."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from django import forms
from django.utils.translation import gettext_lazy as _

from portal.forms.countries import COUNTRIES
from portal.forms.findings import FindingsForm, lines_of
from portal.forms.once import OnceForm
from registry.lifecycle.organizations import IDENTITY, identity_is_settled
from registry.models import Membership, Organization
from registry.organization_details import CONTACT_KINDS

_CONTACT_HINTS: Final = {
    "technical": _("Who we write to when an app stops working."),
    "security": _("Who we write to about leaked keys and suspensions. Best a shared mailbox."),
}
_CONTACT_LABELS: Final = {
    "technical": _("Technical contact"),
    "security": _("Security contact"),
    "business": _("Business contact"),
    "billing": _("Billing contact"),
    "incident": _("Incident contact"),
}
_SETTLED: Final = _("Reviewed by our staff; ask them to change it.")


def _contact_field(kind: str) -> forms.CharField:
    widget = forms.EmailInput(attrs={"autocomplete": "email"})
    return forms.CharField(
        label=_CONTACT_LABELS[kind], required=False, max_length=254, help_text=_CONTACT_HINTS.get(kind, ""), widget=widget
    )


class OrganizationDetailsForm(FindingsForm):
    """What an organization says of itself. What is right is said by `registry.organization_details`."""

    legal_name = forms.CharField(label=_("Legal name"), help_text=_("As in the register of companies."), max_length=200)
    registration_number = forms.CharField(
        label=_("Registration number"), required=False, max_length=60, help_text=_("Of the register of companies, or the VAT number.")
    )
    country = forms.ChoiceField(label=_("Country"), required=False, choices=(("", _("Choose a country")), *COUNTRIES))
    website = forms.CharField(
        label=_("Website"),
        required=False,
        max_length=500,
        help_text=_("Such as https://www.example.org."),
        widget=forms.TextInput(attrs={"inputmode": "url", "autocomplete": "url"}),
    )
    email_domains = forms.CharField(
        label=_("E-mail domains"),
        required=False,
        help_text=_("One per line, such as example.org. A reviewer compares them with your members."),
        widget=forms.Textarea(attrs={"rows": 3, "spellcheck": "false"}),
    )

    contact_technical = _contact_field("technical")
    contact_security = _contact_field("security")
    contact_business = _contact_field("business")
    contact_billing = _contact_field("billing")
    contact_incident = _contact_field("incident")

    line_fields: ClassVar[tuple[str, ...]] = ("email_domains",)
    need_words = dict.fromkeys(("country", "website", "contact_technical", "contact_security"), _("(needed for approval)"))

    @property
    def details(self) -> dict[str, Any]:
        """Return what was typed, for the service."""
        names = ("legal_name", "registration_number", "country", "website")
        return {**{name: self.cleaned_data[name] for name in names}, "email_domains": lines_of(self.cleaned_data["email_domains"])}

    @property
    def contacts(self) -> dict[str, str]:
        """Return the contacts that were typed, by kind; an empty one is removed."""
        return {kind: self.cleaned_data[f"contact_{kind}"] for kind in CONTACT_KINDS}


class NewOrganizationForm(OrganizationDetailsForm, OnceForm):
    """The first page of a new organization; what an entity identifier is, is said by `federation.entity_claims`."""

    entity_ids = forms.CharField(
        label=_("Entity identifiers"),
        required=False,
        help_text=_(
            "Only if your apps are in a federation: one https address per line. You prove them afterwards, on the page Federation."
        ),
        widget=forms.Textarea(attrs={"rows": 3, "spellcheck": "false", "autocapitalize": "none"}),
    )

    line_fields = (*OrganizationDetailsForm.line_fields, "entity_ids")


class ProfileForm(OrganizationDetailsForm):
    """The same for an organization that exists; what is settled cannot be typed over."""

    def __init__(self, *args: Any, organization: Organization, editable: bool = True, **kwargs: Any) -> None:
        contacts = {f"contact_{contact.kind}": contact.email for contact in organization.contacts.all()}
        names = ("legal_name", "registration_number", "country", "website")
        values = {name: getattr(organization, name) for name in names}
        kwargs["initial"] = {**values, "email_domains": "\n".join(organization.email_domains), **contacts}
        super().__init__(*args, **kwargs)
        for name, field in self.fields.items():
            if not editable or (name in IDENTITY and identity_is_settled(organization)):
                field.disabled = True
                field.widget.attrs["readonly"] = True
                field.need_word = ""  # type: ignore[attr-defined]
                field.help_text = _SETTLED if name in IDENTITY else ""


class CloseForm(forms.Form):
    """Confirms by typing the name; whether it is the name is checked here because only people type it."""

    typed_name = forms.CharField(label=_("Type the name to confirm"), max_length=300, widget=forms.TextInput(attrs={"autocomplete": "off"}))

    def __init__(self, *args: Any, name: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.name = name

    def clean_typed_name(self) -> str:
        """Refuse any other text than the name."""
        if " ".join(self.cleaned_data["typed_name"].split()) != " ".join(self.name.split()):
            raise forms.ValidationError(_("This is not the name. Nothing was closed."), code="name")
        return self.cleaned_data["typed_name"]


class InvitationForm(OnceForm):
    """Whom to invite, and as what."""

    email = forms.EmailField(label=_("E-mail address"), max_length=254, widget=forms.EmailInput(attrs={"autocomplete": "off"}))
    role = forms.ChoiceField(
        label=_("Role"),
        choices=Membership.Role.choices,
        initial=Membership.Role.DEVELOPER,
        help_text=_("Owners manage members and ask to go live. Developers create and edit apps. Viewers read."),
    )


class RoleForm(forms.Form):
    """Another role for a member."""

    role = forms.ChoiceField(label=_("Role"), choices=Membership.Role.choices)
