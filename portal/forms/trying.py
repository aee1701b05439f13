"""The forms of the test page. Each sends a request that the endpoints decide about; only its shape is checked here."""

from __future__ import annotations

from typing import Any, Final

from django import forms
from django.utils.translation import gettext_lazy as _

from portal.trying.tokens import GivenCredential
from registry.models import Client

_PROMPTS: Final = (
    ("", _("Nothing: ask only what is needed")),
    ("login", _("login: sign in again")),
    ("consent", _("consent: ask for consent again")),
    ("none", _("none: ask nothing, answer with an error instead")),
)
_ASSERTION_LIMIT: Final = 16_384


def _scope_field(client: Client) -> forms.MultipleChoiceField:
    field = forms.MultipleChoiceField(
        label=_("Scopes"),
        required=False,
        choices=[(name, name) for name in client.scopes],
        widget=forms.CheckboxSelectMultiple,
        help_text=_("Those that the app registered."),
    )
    field.initial = client.scopes
    return field


class SignInTestForm(forms.Form):
    """What an authorization request asks for."""

    prompt = forms.ChoiceField(label=_("Prompt"), choices=_PROMPTS, required=False)
    max_age = forms.IntegerField(
        label=_("Oldest sign-in, in seconds"), required=False, min_value=0, max_value=999_999_999, help_text=_("max_age")
    )
    login_hint = forms.CharField(label=_("E-mail address to fill in"), required=False, max_length=254, help_text=_("login_hint"))

    def __init__(self, *args: Any, client: Client, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields = {"scope": _scope_field(client), **self.fields}

    @property
    def chosen(self) -> dict[str, str]:
        """Return the parameters that the person chose, without those left empty."""
        given = self.cleaned_data
        texts = {"scope": " ".join(given["scope"]), "prompt": given["prompt"], "login_hint": given["login_hint"]}
        if given["max_age"] is not None:
            texts["max_age"] = str(given["max_age"])
        return {name: text for name, text in texts.items() if text}


class CredentialForm(forms.Form):
    """What the app proves itself with, for one try. Neither field is ever filled in by us."""

    client_secret = forms.CharField(
        label=_("Secret"),
        max_length=255,
        strip=False,
        widget=forms.PasswordInput(render_value=False, attrs={"autocomplete": "off", "spellcheck": "false"}),
        help_text=_("Used for this one request, and kept nowhere."),
    )
    client_assertion = forms.CharField(
        label=_("Client assertion"),
        max_length=_ASSERTION_LIMIT,
        widget=forms.Textarea(attrs={"rows": 5, "spellcheck": "false", "autocomplete": "off", "class": "mono"}),
        help_text=_("A JWT signed with your key, by the claims shown on this page. It is good for one request."),
    )

    def __init__(self, *args: Any, client: Client, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not client.uses_secret:
            del self.fields["client_secret"]
        if client.token_endpoint_auth_method != "private_key_jwt":
            del self.fields["client_assertion"]

    def forget_credentials(self) -> None:
        """Take what was typed out of the form, so that no page shows it again."""
        data = self.data.copy()  # type: ignore[attr-defined]
        for name in ("client_secret", "client_assertion"):
            data.pop(name, None)
        self.data = data

    @property
    def credential(self) -> GivenCredential:
        """Return what was given."""
        return GivenCredential(self.cleaned_data.get("client_secret", ""), "".join(self.cleaned_data.get("client_assertion", "").split()))


class ExchangeForm(CredentialForm):
    """Exchanges the code that came back."""

    state = forms.CharField(widget=forms.HiddenInput, max_length=100)
    code = forms.CharField(widget=forms.HiddenInput, max_length=200)


class OwnTokenForm(CredentialForm):
    """Asks for a token of the app itself."""

    def __init__(self, *args: Any, client: Client, **kwargs: Any) -> None:
        super().__init__(*args, client=client, **kwargs)
        self.fields = {"scope": _scope_field(client), **self.fields}
