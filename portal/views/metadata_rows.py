"""Client metadata as rows to read: declared against effective, before against after."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from registry.registration_policy import Decision

if TYPE_CHECKING:
    from django.utils.functional import _StrPromise

LABELS: Final[dict[str, _StrPromise]] = {
    "client_name": gettext_lazy("Name"),
    "application_type": gettext_lazy("Application type"),
    "grant_types": gettext_lazy("Grants"),
    "response_types": gettext_lazy("Response types"),
    "token_endpoint_auth_method": gettext_lazy("Authentication"),
    "token_endpoint_auth_signing_alg": gettext_lazy("Signing algorithm"),
    "redirect_uris": gettext_lazy("Redirect URIs"),
    "scope": gettext_lazy("Scopes"),
    "jwks": gettext_lazy("Public keys"),
    "jwks_uri": gettext_lazy("Key address"),
    "contacts": gettext_lazy("Contacts"),
    "client_uri": gettext_lazy("Home page"),
    "logo_uri": gettext_lazy("Logo"),
    "policy_uri": gettext_lazy("Privacy policy"),
    "tos_uri": gettext_lazy("Terms of service"),
    "subject_type": gettext_lazy("Subject type"),
    "id_token_signed_response_alg": gettext_lazy("ID token algorithm"),
}


@dataclass(frozen=True, slots=True)
class Row:
    """One member, as templates/components/diff_table.html wants it."""

    member: str
    label: str
    declared: str
    effective: str
    changed: bool
    because: str
    origin: str = ""


def declared_rows(declared: Mapping[str, Any], effective: Mapping[str, Any], decisions: Iterable[Decision]) -> list[Row]:
    """Return what was declared beside what holds, and the rule that made the difference."""
    because = {decision.member: decision.sentence for decision in decisions}
    rows = _rows(declared, effective)
    return [_with_reason(row, because.get(row.member), declared) for row in rows]


def _with_reason(row: Row, because: str | None, declared: Mapping[str, Any]) -> Row:
    if because:
        return Row(row.member, row.label, row.declared, row.effective, row.changed, because)
    if row.changed and declared.get(row.member) in (None, "", []):
        return Row(row.member, row.label, row.declared, row.effective, False, _("Filled in: the default."))
    return row


def with_origin(rows: Iterable[Row], asserted: Collection[str]) -> list[Row]:
    """Return rows that say who says each member: the software statement with the members `asserted`, or the app alone (DCR-SS-08)."""
    words = {True: _("Asserted by the software statement"), False: _("Self-asserted")}
    return [replace(row, origin=words[row.member in asserted]) if row.declared else row for row in rows]


def changed_rows(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Row]:
    """Return the members that differ."""
    return [row for row in _rows(before, after) if row.changed]


def all_rows(metadata: Mapping[str, Any]) -> list[Row]:
    """Return every member, for what is no longer compared with anything."""
    return _rows(metadata, metadata)


def _rows(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Row]:
    names = [*LABELS, *sorted((set(before) | set(after)) - set(LABELS))]
    rows = []
    for name in names:
        one, other = before.get(name), after.get(name)
        if one in (None, "", []) and other in (None, "", []):
            continue
        label = str(LABELS.get(name, name))
        rows.append(Row(name, label, shown(one), shown(other), one != other, ""))
    return rows


def shown(value: Any) -> str:
    """Return a value as text; key sets as the names of their keys, so that a page stays readable."""
    if value is None:
        return ""
    if isinstance(value, dict) and isinstance(value.get("keys"), list):
        return ", ".join(_key_name(key) for key in value["keys"])
    if isinstance(value, list):
        return "\n".join(str(entry) for entry in value)
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    return str(value)


def _key_name(key: Any) -> str:
    return f"{key.get('kty')} {key.get('kid', '')}".strip() if isinstance(key, dict) else str(key)
