"""The forms of a new app: what to register and how, then one group of answers at a time."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from django import forms
from django.utils.datastructures import MultiValueDict
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from portal.forms.apps import KINDS_OF_APP, AppForm
from portal.forms.once import OnceForm
from portal.registration_ways import BY_FEDERATION, BY_HAND, WAYS
from registry.app_answers import SUGGESTED_METHOD, WEB, groups_of
from registry.findings import Finding
from registry.models import AppDraft, Scope

ENTITY: Final = "entity"
_ASKS: Final = {
    "web": _("It asks for redirect URIs, a public key or a secret, and scopes."),
    "browser": _("It asks for redirect URIs and scopes. The app proves itself with PKCE."),
    "native": _("It asks for redirect URIs, which may be loopback addresses or a scheme of your own, and scopes."),
    "machine": _("It asks for a public key or a secret, and scopes."),
}
_ENTITY: Final = (
    ENTITY,
    _("Federation entity"),
    _("Choose this if it publishes an entity configuration in a federation that this server trusts."),
    _("It asks for its entity identifier; everything else stands in what it publishes."),
)


class StartForm(OnceForm):
    """What to register, and how."""

    kind = forms.ChoiceField(label=_("What do you register?"), widget=forms.RadioSelect, initial=WEB)
    way = forms.ChoiceField(label=_("How?"), widget=forms.RadioSelect, initial=BY_HAND)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        kinds = [*((name, label, choose, _ASKS[name]) for name, label, choose in KINDS_OF_APP), _ENTITY]
        self.fields["kind"].choices = [_choice(*kind) for kind in kinds]  # type: ignore[attr-defined]
        self.fields["way"].choices = [_choice(way.name, way.title, way.choose_if, way.how) for way in WAYS]  # type: ignore[attr-defined]

    @property
    def destination(self) -> str:
        """Return the way that was chosen; an entity of a federation has one only."""
        return BY_FEDERATION if self.cleaned_data["kind"] == ENTITY else str(self.cleaned_data["way"])


def _choice(name: str, label: Any, choose: Any, asks: Any) -> tuple[str, Any]:
    return name, format_html('<span>{} <span class="hint">{} {}</span></span>', label, choose, asks)


class StepForm(AppForm):
    """One group of answers about an app that is a draft. Whatever is wrong with them is said beside them, and they are kept."""

    need_words = {**AppForm.need_words, "redirect_uris": ""}

    def __init__(self, data: Mapping[str, Any] | None, *, draft: AppDraft, step: str, scopes: Iterable[Scope]) -> None:
        kind = draft.answers.get("kind", WEB)
        names = groups_of(kind)[step]
        super().__init__(_as_data(draft.answers, names) if data is None else data, scopes=scopes)
        for name in set(self.fields) - set(names):
            del self.fields[name]
        if "client_name" in self.fields:
            self.fields["client_name"].required = False
        if "token_endpoint_auth_method" in self.fields:
            field = self.fields["token_endpoint_auth_method"]
            field.choices = [choice for choice in field.choices if choice[0]]  # type: ignore[attr-defined]
            field.initial = SUGGESTED_METHOD[kind]

    @property
    def answers(self) -> dict[str, Any]:
        """Return what can be kept of the answers: keys only once they were read and found to be public."""
        given = {name: self.cleaned_data[name] for name in self.fields if name in self.cleaned_data}
        if "jwks" in given:
            given["jwks"] = json.dumps(self.pasted.jwks, indent=2) if self.pasted.jwks is not None else ""
        return given

    def show_assessment(self, findings: Iterable[Finding]) -> None:
        """Show the findings about the answers of this step; the review shows all."""
        shown = [finding for finding in findings if self.field_of_member.get(finding.member, finding.member) in self.fields]
        super().show_assessment(shown)


def _as_data(answers: Mapping[str, Any], names: Iterable[str]) -> MultiValueDict[str, Any] | None:
    """Return saved answers as a form's data, so that what is wrong with them is shown again; None before any was given."""
    given = {name: answers[name] for name in names if name in answers}
    if not given:
        return None
    return MultiValueDict({name: value if isinstance(value, list) else [value] for name, value in given.items()})
