"""The form of an app. It builds an RFC 7591 document and decides nothing; `registry.lifecycle` says what is wrong with it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from django import forms
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from portal.forms.findings import FindingsForm, lines_of
from portal.forms.once import OnceForm
from portal.templatetags.portal import state_badge
from registry.client_metadata.fields import TOKEN_ENDPOINT_AUTH_METHODS
from registry.findings import Finding
from registry.models import Client, Scope
from registry.pasted_keys import PastedKeys, read_pasted_keys

WEB, NATIVE, MACHINE = "web", "native", "machine"
# What each kind of app registers, in the words of RFC 7591.
PRESETS: Final[dict[str, dict[str, Any]]] = {
    MACHINE: {"application_type": "web", "grant_types": ["client_credentials"], "response_types": []},
    WEB: {"application_type": "web", "grant_types": ["authorization_code", "refresh_token"], "response_types": ["code"]},
    NATIVE: {"application_type": "native", "grant_types": ["authorization_code", "refresh_token"], "response_types": ["code"]},
}
SUGGESTED_METHOD: Final = {MACHINE: "private_key_jwt", WEB: "private_key_jwt", NATIVE: "none"}
_KINDS: Final = (
    (MACHINE, _("Machine-to-machine"), _("A server or job that calls APIs as itself. Works at once.")),
    (WEB, _("Web app"), _("People sign in to it in their browser, and it has a server of its own.")),
    (NATIVE, _("Native app"), _("People sign in to it on their phone or computer, or it runs in the browser alone; it keeps no secret.")),
)
_METHODS: Final = {
    "private_key_jwt": _("Key pair, private_key_jwt (recommended: nothing secret ever leaves you)"),
    "client_secret_basic": _("Secret in the Authorization header, client_secret_basic"),
    "client_secret_post": _("Secret in the request body, client_secret_post"),
    "none": _("None: public app with PKCE"),
}
_ALGORITHMS: Final = {
    "ES256": _("ES256 (recommended)"),
    "RS256": _("RS256 (for old libraries)"),
    "PS256": "PS256",
    "Ed25519": "Ed25519",
}
_URL: Final = {"inputmode": "url", "spellcheck": "false"}
_TEXT_MEMBERS: Final = ("client_name", "client_uri", "logo_uri", "policy_uri", "tos_uri", "jwks_uri")
_OWN_MEMBERS: Final = frozenset(
    (
        *_TEXT_MEMBERS,
        "application_type",
        "grant_types",
        "response_types",
        "token_endpoint_auth_method",
        "redirect_uris",
        "post_logout_redirect_uris",
        "id_token_signed_response_alg",
        "scope",
        "jwks",
        "contacts",
    )
)


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

    field_of_member = {"application_type": "kind", "grant_types": "kind", "response_types": "kind"}
    line_fields = ("redirect_uris", "post_logout_redirect_uris", "contacts")
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
            kwargs["initial"] = initial_values(client.metadata)
        super().__init__(*args, **kwargs)
        self.fields["kind"].choices = [(name, _choice(label, hint)) for name, label, hint in _KINDS]  # type: ignore[attr-defined]
        first = [] if client else [("", _("Recommended for this kind of app"))]
        methods = [(method, _METHODS[method]) for method in TOKEN_ENDPOINT_AUTH_METHODS]
        self.fields["token_endpoint_auth_method"].choices = [*first, *methods]  # type: ignore[attr-defined]
        algorithm = str(self.registered.get("id_token_signed_response_alg", "ES256"))
        self.fields["id_token_signed_response_alg"].choices = [*_ALGORITHMS.items()] + (  # type: ignore[attr-defined]
            [] if algorithm in _ALGORITHMS else [(algorithm, algorithm)]
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
        given = self.cleaned_data
        document = {name: value for name, value in self.declared.items() if name not in _OWN_MEMBERS}
        document |= {name: given[name] for name in _TEXT_MEMBERS if given.get(name)}
        document |= self._kind_members(given.get("kind", MACHINE))
        method = given.get("token_endpoint_auth_method") or SUGGESTED_METHOD[given.get("kind", MACHINE)]
        document["token_endpoint_auth_method"] = method
        if method != "private_key_jwt":
            document.pop("token_endpoint_auth_signing_alg", None)
        document["scope"] = " ".join(given.get("scope", ()))
        for name in self.line_fields:
            if entries := lines_of(given.get(name, "")):
                document[name] = entries
        if given.get("kind") == MACHINE:
            document.pop("post_logout_redirect_uris", None)
        elif (algorithm := given.get("id_token_signed_response_alg")) and not self._is_default(algorithm):
            document["id_token_signed_response_alg"] = algorithm
        if self.pasted.jwks is not None:
            document["jwks"] = self.pasted.jwks
        return document

    def _is_default(self, algorithm: str) -> bool:
        """Say whether an app that never named its ID token algorithm keeps the one that it has."""
        name = "id_token_signed_response_alg"
        return name not in self.declared and self.registered.get(name) == algorithm

    def _kind_members(self, kind: str) -> dict[str, Any]:
        """Return what the kind registers; an app that stays of its kind keeps what is registered, which may be more."""
        if self.registered and kind == kind_of(self.registered):
            return {name: self.registered[name] for name in PRESETS[kind] if name in self.registered}
        return PRESETS[kind]

    def show_assessment(self, findings: Iterable[Finding]) -> None:
        """Show the findings about the document, and those about the pasted text instead of its absence."""
        skipped = {"jwks.missing"} if self.keys_refused else set()
        self.show_findings([*self.pasted.findings, *(finding for finding in findings if finding.code not in skipped)])


class NewAppForm(AppForm, OnceForm):
    """The form of an app that does not exist yet."""


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


def kind_of(metadata: Mapping[str, Any]) -> str:
    """Return the kind of app that registered metadata amounts to."""
    if "authorization_code" not in metadata.get("grant_types", ()):
        return MACHINE
    return NATIVE if metadata.get("application_type") == "native" else WEB


def initial_values(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of the form for registered metadata."""
    values = {name: metadata.get(name, "") for name in _TEXT_MEMBERS}
    return values | {
        "kind": kind_of(metadata),
        "token_endpoint_auth_method": metadata.get("token_endpoint_auth_method", ""),
        "id_token_signed_response_alg": metadata.get("id_token_signed_response_alg", "ES256"),
        "redirect_uris": "\n".join(metadata.get("redirect_uris", [])),
        "post_logout_redirect_uris": "\n".join(metadata.get("post_logout_redirect_uris", [])),
        "contacts": "\n".join(metadata.get("contacts", [])),
        "scope": str(metadata.get("scope", "")).split(),
        "jwks": json.dumps(metadata["jwks"], indent=2) if "jwks" in metadata else "",
    }


def _choice(label: Any, hint: Any) -> Any:
    return format_html('<span>{} <span class="hint">{}</span></span>', label, hint)


def _scope_choice(scope: Scope) -> Any:
    badge = format_html(" {}", state_badge("needs_approval")) if scope.is_sensitive else ""
    words = scope.description or ""
    return format_html('<span>{} <code>{}</code>{} <span class="hint">{}</span></span>', scope.title, scope.name, badge, words)
