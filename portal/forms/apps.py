"""The form of an app. It builds an RFC 7591 document and decides nothing; `registry.lifecycle` says what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from django import forms
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from portal.forms.findings import FindingsForm
from portal.forms.once import OnceForm
from portal.templatetags.portal import state_badge
from registry.app_answers import (
    ANSWER_OF_MEMBER,
    BROWSER,
    GROUPS,
    LINE_ANSWERS,
    MACHINE,
    NATIVE,
    WEB,
    answers_from,
    build_document,
    notes_on_answers,
)
from registry.client_metadata.fields import TOKEN_ENDPOINT_AUTH_METHODS
from registry.findings import Finding
from registry.models import Client, Scope
from registry.pasted_keys import PastedKeys, read_pasted_keys

KINDS_OF_APP: Final = (
    (WEB, _("Web server app"), _("Choose this if people sign in to it in a browser and it has a server of its own, which can keep a key.")),
    (BROWSER, _("Single-page app"), _("Choose this if it runs in the browser alone, where nothing can be kept secret.")),
    (NATIVE, _("Native app"), _("Choose this if people install it on a phone or computer, where nothing can be kept secret.")),
    (MACHINE, _("Machine-to-machine"), _("Choose this if a server or job calls APIs as itself, and nobody signs in.")),
)
# The groups of registry.app_answers in words: headings of the settings page, and names of the steps of a new app.
GROUP_TITLES: Final = {
    "kind": _("Kind of app"),
    "basics": _("Basics"),
    "redirects": _("Redirects"),
    "authentication": _("Authentication and keys"),
    "scopes": _("Scopes"),
}
METHODS: Final = {
    "private_key_jwt": _("Key pair, private_key_jwt (recommended: nothing secret ever leaves you)"),
    "client_secret_basic": _("Secret in the Authorization header, client_secret_basic"),
    "client_secret_post": _("Secret in the request body, client_secret_post"),
    "none": _("None: public app with PKCE"),
}
ALGORITHMS: Final = {
    "ES256": _("ES256 (recommended)"),
    "RS256": _("RS256 (for old libraries)"),
    "PS256": "PS256",
    "Ed25519": "Ed25519",
}
_URL: Final = {"inputmode": "url", "spellcheck": "false"}


class AppForm(FindingsForm):
    """Everything a person says about an app, on one page. Field names are RFC 7591 members."""

    client_name = forms.CharField(label=_("Name"), help_text=_("What people see. At most 80 characters read well."))
    kind = forms.ChoiceField(label=_("Kind of app"), widget=forms.RadioSelect, initial=MACHINE)
    token_endpoint_auth_method = forms.ChoiceField(
        label=_("Method"),
        required=False,
        help_text=_("Apps on a phone, on a desktop or in a browser alone cannot keep a secret: they use none."),
    )
    jwks_uri = forms.CharField(
        label=_("Key address"),
        required=False,
        widget=forms.TextInput(attrs=_URL),
        help_text=_("For a key pair: where you publish your public keys as a JWK Set. You can then change keys without us."),
    )
    jwks = forms.CharField(
        label=_("Public keys"),
        required=False,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 6, "spellcheck": "false", "class": "mono", "autocomplete": "off"}),
        help_text=_("Or paste the public keys here as JSON. Never paste a private key."),
    )
    redirect_uris = forms.CharField(
        label=_("Redirect URIs"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 4, "spellcheck": "false", "class": "mono"}),
        help_text=_("One per line. They are compared exactly, character by character."),
    )
    post_logout_redirect_uris = forms.CharField(
        label=_("Sign-out URIs"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 2, "spellcheck": "false", "class": "mono"}),
        help_text=_("Where people may come back to after your app signed them out here. One per line."),
    )
    id_token_signed_response_alg = forms.ChoiceField(
        label=_("ID token signature"),
        required=False,
        initial="ES256",
        help_text=_("With which algorithm we sign the ID tokens that your app gets."),
    )
    scope = forms.MultipleChoiceField(
        label=_("Scopes"),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=_("What the app may ask for. Take only what it uses."),
    )
    contacts = forms.CharField(
        label=_("Contacts"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 2, "spellcheck": "false"}),
        help_text=_("E-mail addresses of the people who run it, one per line."),
    )
    client_uri = forms.CharField(label=_("Home page"), required=False, widget=forms.TextInput(attrs=_URL))
    policy_uri = forms.CharField(label=_("Privacy policy"), required=False, widget=forms.TextInput(attrs=_URL))
    tos_uri = forms.CharField(label=_("Terms of service"), required=False, widget=forms.TextInput(attrs=_URL))
    logo_uri = forms.CharField(
        label=_("Logo"), required=False, widget=forms.TextInput(attrs=_URL), help_text=_("The address of an image. We never fetch it.")
    )

    field_of_member = ANSWER_OF_MEMBER
    line_fields = LINE_ANSWERS
    need_words = {
        "token_endpoint_auth_method": "",
        "id_token_signed_response_alg": "",
        "scope": "",
        "redirect_uris": _("(for apps that people sign in to)"),
    }

    def __init__(self, *args: Any, scopes: Iterable[Scope], client: Client | None = None, **kwargs: Any) -> None:
        self.registered = client.metadata if client else {}
        self.declared = client.declared_metadata if client else {}
        if client:
            kwargs["initial"] = answers_from(client.metadata)
        super().__init__(*args, **kwargs)
        self.fields["kind"].choices = [(name, _choice(label, hint)) for name, label, hint in KINDS_OF_APP]  # type: ignore[attr-defined]
        first = [] if client else [("", _("Recommended for this kind of app"))]
        methods = [(method, METHODS[method]) for method in TOKEN_ENDPOINT_AUTH_METHODS]
        self.fields["token_endpoint_auth_method"].choices = [*first, *methods]  # type: ignore[attr-defined]
        algorithm = str(self.registered.get("id_token_signed_response_alg", "ES256"))
        self.fields["id_token_signed_response_alg"].choices = [*ALGORITHMS.items()] + (  # type: ignore[attr-defined]
            [] if algorithm in ALGORITHMS else [(algorithm, algorithm)]
        )
        held = str(self.registered.get("scope", "")).split()
        offered = [scope for scope in scopes if not scope.is_retired or scope.name in held]
        self.fields["scope"].choices = [(scope.name, _scope_choice(scope)) for scope in offered]  # type: ignore[attr-defined]
        self.pasted = PastedKeys(None)

    def clean(self) -> dict[str, Any]:
        """Read the pasted keys; a private one is forgotten at once, so that no page shows it again."""
        self.pasted = read_pasted_keys(self.cleaned_data.get("jwks", ""))
        if self.pasted.holds_private:
            self.cleaned_data["jwks"] = ""
            data = self.data.copy()  # type: ignore[attr-defined]
            data["jwks"] = ""
            self.data = data
        return self.cleaned_data

    @property
    def keys_refused(self) -> bool:
        """Say whether what was pasted as keys is no key set, so that nothing may be registered."""
        return any(finding.level == "error" for finding in self.pasted.findings)

    @property
    def document(self) -> dict[str, Any]:
        """Return the RFC 7591 document; members that this form does not show stay as they were declared."""
        return build_document(self.cleaned_data, jwks=self.pasted.jwks, registered=self.registered, declared=self.declared)

    def show_assessment(self, findings: Iterable[Finding]) -> None:
        """Show the findings about the document, and those about the pasted text instead of its absence."""
        skipped = {"jwks.missing"} if self.keys_refused else set()
        kept = [finding for finding in findings if finding.code not in skipped]
        self.show_findings([*self.pasted.findings, *kept, *self._notes()])

    def _notes(self) -> Iterable[Finding]:
        """Return what was made of the answers of a whole form; those of one step come with its assessment."""
        return notes_on_answers(self.cleaned_data, self.document) if "kind" in self.cleaned_data else ()

    @property
    def groups(self) -> list[dict[str, Any]]:
        """Return the fields by subject, as templates/apps/fields.html shows them."""
        return [{"name": name, "title": GROUP_TITLES[name], "fields": [self[answer] for answer in names]} for name, names in GROUPS.items()]


class NewAppForm(AppForm, OnceForm):
    """The form of an app that does not exist yet, on one page, for our staff; partners go step by step (portal.forms.app_steps)."""


class EditAppForm(AppForm):
    """The form of an app that exists; the justification is for the reviewer of a live one."""

    justification = forms.CharField(
        label=_("What is this change for?"),
        required=False,
        max_length=2000,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text=_("A reviewer reads this when the change needs approval."),
    )

    def __init__(self, *args: Any, client: Client, **kwargs: Any) -> None:
        super().__init__(*args, client=client, **kwargs)
        if client.stage != Client.Stage.LIVE:
            del self.fields["justification"]


class GoLiveForm(OnceForm):
    """Asks to go live."""

    justification = forms.CharField(
        label=_("What is the app for?"),
        required=False,
        max_length=2000,
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text=_("A reviewer reads this. Say why it needs each scope that needs approval."),
    )


class SecretForm(OnceForm):
    """A new secret, and when the ones before it end."""

    OVERLAPS = (("now", _("Now")), ("24h", _("In 24 hours")), ("7d", _("In 7 days")), ("30d", _("In 30 days")))
    label = forms.CharField(label=_("Label"), required=False, max_length=60, help_text=_("Where it is used, such as: production server."))
    overlap = forms.ChoiceField(
        label=_("The present secret ends"), choices=OVERLAPS, initial="7d", help_text=_("Until then both work, so that nothing stops.")
    )

    def __init__(self, *args: Any, rotates: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not rotates:
            del self.fields["overlap"]


def _choice(label: Any, hint: Any) -> Any:
    return format_html('<span>{} <span class="hint">{}</span></span>', label, hint)


def _scope_choice(scope: Scope) -> Any:
    badge = format_html(" {}", state_badge("needs_approval")) if scope.is_sensitive else ""
    words = scope.description or ""
    return format_html('<span>{} <code>{}</code>{} <span class="hint">{}</span></span>', scope.title, scope.name, badge, words)
