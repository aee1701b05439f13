"""What was answered about an app that is not registered yet, as rows to read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from portal.forms.apps import ALGORITHMS, KINDS_OF_APP, METHODS, AppForm
from portal.views.metadata_rows import shown
from registry.app_answers import SUGGESTED_METHOD
from registry.models import AppDraft, Scope
from registry.pasted_keys import read_pasted_keys


@dataclass(frozen=True, slots=True)
class AnswerRow:
    """One answer: the label of its field, and the answer in words, empty when there is none."""

    name: str
    label: str
    value: str


def answer_rows(answers: Mapping[str, Any], names: Iterable[str], scopes: Iterable[Scope]) -> list[AnswerRow]:
    """Return the answers `names` in the words of their fields."""
    titles = {scope.name: f"{scope.title} ({scope.name})" for scope in scopes}
    return [AnswerRow(name, str(AppForm.base_fields[name].label), _words(name, answers, titles)) for name in names]


def _words(name: str, answers: Mapping[str, Any], titles: Mapping[str, str]) -> str:
    value = answers.get(name, "")
    if name == "kind":
        return str(kind_words(value))
    if name == "scope":
        return "\n".join(titles.get(scope, scope) for scope in value)
    if name == "jwks":
        return shown(read_pasted_keys(value).jwks)
    if name == "token_endpoint_auth_method":
        return str(METHODS[value or SUGGESTED_METHOD[answers["kind"]]])
    if name == "id_token_signed_response_alg":
        return str(ALGORITHMS.get(value, value))
    return str(value)


def kind_words(kind: str) -> str:
    """Return what a kind of app is called."""
    return next((str(label) for name, label, _choose in KINDS_OF_APP if name == kind), _("not said"))


def draft_rows(drafts: Iterable[AppDraft]) -> list[dict[str, Any]]:
    """Return open drafts as the list of apps shows them."""
    return [
        {
            "draft": draft,
            "name": str(draft.answers.get("client_name") or "") or _("Without a name"),
            "kind": kind_words(draft.answers.get("kind", "")),
        }
        for draft in drafts
    ]
