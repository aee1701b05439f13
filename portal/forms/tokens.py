"""The form of an initial access token. It decides nothing; `dcr.initial_access_tokens` says what is wrong with the terms."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from django import forms
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from dcr.initial_access_tokens import USES_LIMIT, TokenTerms
from portal.forms.findings import FindingsForm, lines_of
from portal.forms.once import OnceForm
from portal.templatetags.portal import state_badge
from registry.client_metadata.fields import GRANT_TYPES, TOKEN_ENDPOINT_AUTH_METHODS
from registry.models import Scope
from registry.scopes import OPERATORS_OWN

LIFETIMES: Final = (("1", _("1 day")), ("7", _("7 days")), ("30", _("30 days")), ("90", _("90 days")), ("365", _("1 year")))
_METHODS: Final = {
    "private_key_jwt": _("Key pair"),
    "client_secret_basic": _("Secret in the Authorization header"),
    "client_secret_post": _("Secret in the request body"),
    "none": _("None: public app with PKCE"),
}
_GRANTS: Final = {
    "authorization_code": _("People sign in"),
    "refresh_token": _("Access goes on without asking again"),
    "client_credentials": _("The app acts as itself"),
}
_LINES: Final = {"spellcheck": "false", "class": "mono", "autocomplete": "off", "autocapitalize": "none"}


class TokenForm(FindingsForm, OnceForm):
    """What a new token allows. Whatever stays empty restricts nothing."""

    label = forms.CharField(
        label=_("Label"), help_text=_("Where it is used, such as: installer of the branch offices. At most 60 characters.")
    )
    uses_limit = forms.IntegerField(
        label=_("Apps it may register"),
        initial=1,
        help_text=_("It is used up after so many."),
        widget=forms.NumberInput(attrs={"min": 1, "max": USES_LIMIT}),
    )
    days = forms.ChoiceField(label=_("It ends after"), choices=LIFETIMES, initial="7")
    grant_types = forms.MultipleChoiceField(
        label=_("Grants"),
        required=False,
        choices=[],
        widget=forms.CheckboxSelectMultiple,
        help_text=_("None chosen means all that this server allows."),
    )
    token_endpoint_auth_methods = forms.MultipleChoiceField(
        label=_("Authentication methods"),
        required=False,
        choices=[],
        widget=forms.CheckboxSelectMultiple,
        help_text=_("None chosen means all that this server allows."),
    )
    allowed_scopes = forms.MultipleChoiceField(
        label=_("Scopes"), required=False, widget=forms.CheckboxSelectMultiple, help_text=_("None chosen means all.")
    )
    redirect_hosts = forms.CharField(
        label=_("Redirect hosts"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 3, **_LINES}),
        help_text=_("Where its apps may send people back to, one per line: app.example.org, or org.example.app: for the scheme of an app."),
    )
    source_networks = forms.CharField(
        label=_("Source networks"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 3, **_LINES}),
        help_text=_("Where it may be used from, one per line, such as 192.0.2.0/24. Empty allows every address."),
    )

    field_of_member = {"expires_at": "days"}
    line_fields = ("redirect_hosts", "source_networks")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        words = {"grant_types": (GRANT_TYPES, _GRANTS), "token_endpoint_auth_methods": (TOKEN_ENDPOINT_AUTH_METHODS, _METHODS)}
        for name, (values, labels) in words.items():
            self.fields[name].choices = [(value, _choice(labels.get(value, value), value)) for value in values]  # type: ignore[attr-defined]
        scopes = Scope.objects.filter(is_retired=False).exclude(name__in=OPERATORS_OWN)
        self.fields["allowed_scopes"].choices = [(scope.name, _scope_choice(scope)) for scope in scopes]  # type: ignore[attr-defined]

    def terms(self, now: datetime, **more: Any) -> TokenTerms:
        """Return what was filled in, for the service."""
        given = self.cleaned_data
        return TokenTerms(
            label=given["label"],
            expires_at=now + timedelta(days=int(given["days"])),
            uses_limit=given["uses_limit"],
            restrictions={
                "grant_types": given["grant_types"],
                "token_endpoint_auth_methods": given["token_endpoint_auth_methods"],
                "allowed_scopes": given["allowed_scopes"],
                "redirect_hosts": list(dict.fromkeys(lines_of(given["redirect_hosts"]))),
            },
            source_networks=tuple(lines_of(given["source_networks"])),
            **more,
        )


def _choice(label: Any, value: str) -> Any:
    return format_html("<span>{} <code>{}</code></span>", label, value)


def _scope_choice(scope: Scope) -> Any:
    badge = format_html(" {}", state_badge("needs_approval")) if scope.is_sensitive else ""
    return format_html("<span>{} <code>{}</code>{}</span>", scope.title, scope.name, badge)
