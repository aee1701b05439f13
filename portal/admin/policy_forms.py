"""The registration policy as a form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Final

from django import forms

from registry.policy_preview import Proposal
from registry.registration_policy import CHOICES, LIMITS, MAY_BE_EMPTY, RegistrationPolicy

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
        differing = {name: value for name, value in given.items() if not _is_same(value, getattr(self.base, name))}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in differing.items()}


def _is_same(one: Any, other: Any) -> bool:
    """Compare two values; boxes that are ticked come in the order of the page, which says nothing."""
    return sorted(one) == sorted(other) if isinstance(one, tuple) and isinstance(other, tuple) else bool(one == other)


def _in_words(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return (", ".join(value) or "none") if isinstance(value, tuple) else str(value)


def policy_rows(proposal: Proposal) -> list[tuple[str, str, str]]:
    """Return label, value today and proposed value of everything that a proposal changes."""
    owner = proposal.organization.pk if proposal.organization else None
    before, after = proposal.old.policies.of(owner), proposal.new.policies.of(owner)
    return [
        (words, _in_words(getattr(before, name)), _in_words(getattr(after, name)))
        for name, (words, _) in POLICY_WORDS.items()
        if getattr(before, name) != getattr(after, name)
    ]
