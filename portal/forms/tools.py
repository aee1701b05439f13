"""The forms of the toolbox. They read text and decide nothing; a private key in any of them is forgotten at once (threats.md J07)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Final

from django import forms
from django.core.validators import MaxLengthValidator
from django.utils.translation import gettext_lazy as _

from federation.client_documents import OAUTH_CLIENT, RELYING_PARTY, Way
from portal.forms.findings import numbered_lines
from protocol.errors import InvalidJson, InvalidUrl, StatementInvalid
from protocol.strict_json import parse_json_object
from protocol.urls import parse_entity_identifier, parse_https_url
from registry.models import Organization
from registry.pasted_keys import LEAKED, holds_private_key

_CODE: Final = {"spellcheck": "false", "class": "mono", "autocomplete": "off", "autocapitalize": "none"}
_URL: Final = {"inputmode": "url", "spellcheck": "false", "autocomplete": "off", "autocapitalize": "none"}
_KEYS_LIMIT: Final = 64 * 1024
_TOKEN_LIMIT: Final = 200_000
_LINES_LIMIT: Final = 120_000


def text_area(label: Any, hint: Any, *, rows: int, limit: int, required: bool = True) -> forms.CharField:
    """Return a field for text that is pasted. Its limit is not in the page, where browsers would cut the text without a word."""
    widget = forms.Textarea(attrs={**_CODE, "rows": rows})
    field = forms.CharField(label=label, help_text=hint, required=required, strip=False, widget=widget)
    field.validators.append(MaxLengthValidator(limit))
    return field


def entity_field(*, required: bool = True, hint: Any = "") -> forms.CharField:
    """Return a field for an entity identifier."""
    label = _("Entity identifier")
    return forms.CharField(label=label, help_text=hint, required=required, widget=forms.TextInput(attrs=_URL))


def rules_field() -> forms.ChoiceField:
    """Return the field that says by whose rules is judged."""
    return forms.ChoiceField(label=_("By the rules for"), required=False, choices=[("", _("every organization"))])


class ToolForm(forms.Form):
    """A form whose answer is shown beside it. `makes_fetch` says whether answering means an outbound request.

    One that judges by rules has a field `organization`, which offers those of `organizations`, of which the visitor is a member.
    """

    use_required_attribute = False
    makes_fetch: bool = False
    # A field whose text is given back only once it was understood: it may hold a private key in a form that nobody knows.
    never_given_back: ClassVar[tuple[str, ...]] = ()

    def __init__(self, data: Mapping[str, Any] | None = None, *, organizations: Iterable[Organization] = (), **options: Any) -> None:
        given = None if data is None else {name: data.get(name, "") for name in self.base_fields}
        self.leaks = [name for name, value in (given or {}).items() if isinstance(value, str) and holds_private_key(value)]
        for name in self.leaks:
            given[name] = ""  # type: ignore[index]
        super().__init__(given, **options)
        self._organizations = {one.slug: one for one in organizations} if "organization" in self.fields else {}
        if self._organizations:
            field = self.fields["organization"]
            field.choices = [*field.choices, *((slug, one.legal_name) for slug, one in self._organizations.items())]  # type: ignore[attr-defined]
            field.initial = next(iter(self._organizations))
        else:
            self.fields.pop("organization", None)

    @property
    def judged_for(self) -> Organization | None:
        """Return by whose rules is judged; None for those for every organization."""
        return self._organizations.get(self.cleaned_data.get("organization", ""))

    def clean(self) -> dict[str, Any]:
        """Refuse the form when a private key was in it."""
        cleaned: dict[str, Any] = super().clean() or {}
        for name in self.leaks:
            self.forget(name)
        return cleaned

    def forget(self, name: str) -> None:
        """Refuse the form for a private key in the field `name`, and do not give the text back."""
        self.data = {**self.data, name: ""}
        self.errors.pop(name, None)
        self.add_error(name, f"{LEAKED.sentence} {LEAKED.hint}")


class KeysForm(ToolForm):
    """A key set, pasted or behind an address."""

    jwks = text_area(
        _("Public keys"), _("A JWK Set or one JWK, as JSON. Never paste a private key."), rows=10, limit=_KEYS_LIMIT, required=False
    )
    jwks_uri = forms.CharField(
        label=_("Or the address of a key set"),
        help_text=_("The https address where a JWK Set is published. We fetch it, so that you must be signed in."),
        required=False,
        widget=forms.TextInput(attrs=_URL),
    )

    def clean(self) -> dict[str, Any]:
        """Ask for one of the two."""
        cleaned = super().clean()
        if not self.leaks and not self.errors and bool(cleaned.get("jwks", "").strip()) == bool(cleaned.get("jwks_uri")):
            self.add_error("jwks", _("Paste keys, or give an address: one of the two."))
        self.makes_fetch = bool(cleaned.get("jwks_uri"))
        return cleaned

    def clean_jwks_uri(self) -> str:
        """Return the address if it is one that could be fetched."""
        text = str(self.cleaned_data["jwks_uri"])
        try:
            return parse_https_url(text).text if text else ""
        except InvalidUrl as error:
            raise forms.ValidationError(error.description) from None


class RedirectUrisForm(ToolForm):
    """Redirect URIs of one app."""

    redirect_uris = text_area(
        _("Redirect URIs"), _("One per line. They are compared exactly, character by character."), rows=8, limit=_LINES_LIMIT
    )
    application_type = forms.ChoiceField(
        label=_("Application type"),
        initial="web",
        choices=[("web", _("Web app (web)")), ("native", _("On a phone or a computer (native)"))],
    )
    stage = forms.ChoiceField(label=_("Stage"), initial="test", choices=[("test", _("Test")), ("live", _("Live"))])
    organization = rules_field()

    def clean_redirect_uris(self) -> list[tuple[int, str]]:
        """Return the lines that are not empty, with their numbers."""
        return numbered_lines(self.cleaned_data["redirect_uris"])


class TokenForm(ToolForm):
    """A JWT, and keys to check it by."""

    token = text_area(
        _("JWT"),
        _("Three parts with dots between them. It is neither stored nor logged; still, paste no credential that others could use."),
        rows=8,
        limit=_TOKEN_LIMIT,
    )
    jwks = text_area(
        _("Public keys to check the signature with"),
        _("A JWK Set or one JWK, as JSON. Nothing is fetched; without keys only an entity configuration is checked, by its own."),
        rows=5,
        limit=_KEYS_LIMIT,
        required=False,
    )


class EntityForm(ToolForm):
    """An entity of a federation."""

    makes_fetch = True
    entity_id = entity_field(hint=_("The https address that names it in its federation, such as https://app.example.org."))

    def clean_entity_id(self) -> str:
        """Return the identifier, exactly as given."""
        return read_entity_identifier(str(self.cleaned_data["entity_id"]))


class ChainForm(EntityForm):
    """An entity whose chain is resolved, and by whose rules it would register."""

    organization = rules_field()


class PemForm(ToolForm):
    """Public keys in PEM form."""

    never_given_back = ("pem",)
    pem = text_area(
        _("Public keys or certificates"),
        _("Blocks that begin with -----BEGIN PUBLIC KEY----- or -----BEGIN CERTIFICATE-----. Never paste a private key."),
        rows=12,
        limit=_KEYS_LIMIT,
    )


class DryRunForm(ToolForm):
    """Metadata, and the rules that it would come under."""

    metadata = text_area(
        _("Metadata"),
        _("What the app declares, as a JSON object: the members of RFC 7591, such as redirect_uris."),
        rows=12,
        limit=_KEYS_LIMIT,
    )
    way = forms.ChoiceField(
        label=_("How it registers"),
        initial=Way.AUTOMATIC.value,
        choices=[
            (Way.AUTOMATIC.value, _("By a federation, automatically")),
            (Way.EXPLICIT.value, _("By a federation, explicitly")),
            ("client", _("By hand or by dynamic registration, without a federation")),
        ],
    )
    entity_type = forms.ChoiceField(
        label=_("Entity type"),
        initial=RELYING_PARTY,
        choices=[(RELYING_PARTY, _("OpenID relying party (openid_relying_party)")), (OAUTH_CLIENT, _("OAuth client (oauth_client)"))],
    )
    stage = forms.ChoiceField(label=_("Stage"), initial="live", choices=[("live", _("Live")), ("test", _("Test"))])
    organization = rules_field()
    policy_1 = text_area(
        _("Policy of the trust anchor"),
        _("A metadata_policy, or the claims of the whole subordinate statement, as JSON."),
        rows=6,
        limit=_KEYS_LIMIT,
        required=False,
    )
    policy_2 = text_area(_("Policy of the superior below it"), "", rows=6, limit=_KEYS_LIMIT, required=False)
    policy_3 = text_area(_("Policy of the superior below that"), "", rows=6, limit=_KEYS_LIMIT, required=False)
    entity_id = entity_field(
        required=False,
        hint=_("Instead of policies: use those of the chain above this entity. We fetch them, so that you must be signed in."),
    )

    def clean(self) -> dict[str, Any]:
        """Take policies from one place only."""
        cleaned = super().clean()
        self.makes_fetch = bool(cleaned.get("entity_id"))
        if self.makes_fetch and any(cleaned.get(f"policy_{number}") for number in (1, 2, 3)):
            self.add_error("entity_id", _("Paste policies, or name an entity: one of the two."))
        if cleaned.get("way") == "client" and (self.makes_fetch or any(cleaned.get(f"policy_{number}") for number in (1, 2, 3))):
            self.add_error("way", _("Without a federation there are no policies: choose another way, or leave them out."))
        return cleaned

    def clean_metadata(self) -> dict[str, Any]:
        """Return the object."""
        return read_object(self.cleaned_data["metadata"])

    def clean_policy_1(self) -> dict[str, Any] | None:
        """Return the object, None without one."""
        return read_optional_object(self.cleaned_data["policy_1"])

    def clean_policy_2(self) -> dict[str, Any] | None:
        """Return the object, None without one."""
        return read_optional_object(self.cleaned_data["policy_2"])

    def clean_policy_3(self) -> dict[str, Any] | None:
        """Return the object, None without one."""
        return read_optional_object(self.cleaned_data["policy_3"])

    def clean_entity_id(self) -> str:
        """Return the identifier, exactly as given."""
        text = str(self.cleaned_data["entity_id"])
        return read_entity_identifier(text) if text else ""

    def refuse_policy(self, number: int, error: StatementInvalid) -> None:
        """Show what is wrong with a policy next to its field."""
        self.add_error(f"policy_{number}", error.description)


def read_object(text: str) -> dict[str, Any]:
    """Return the JSON object of a text. Raises ValidationError."""
    try:
        return parse_json_object(text.strip(), max_bytes=_KEYS_LIMIT)
    except InvalidJson as error:
        raise forms.ValidationError(error.description) from None


def read_optional_object(text: str) -> dict[str, Any] | None:
    """Return the JSON object of a text, None for an empty one. Raises ValidationError."""
    return read_object(text) if text.strip() else None


def read_entity_identifier(text: str) -> str:
    """Return the entity identifier of a text. Raises ValidationError."""
    try:
        return parse_entity_identifier(text).text
    except InvalidUrl as error:
        raise forms.ValidationError(error.description) from None
