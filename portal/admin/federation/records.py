"""What an app's page shows of its federation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.utils.translation import gettext as _

from federation.models import FederationRecord
from portal.admin.presentation import LABELS, in_order, plain
from registry.models import Client


@dataclass(frozen=True, slots=True)
class RuledRow:
    """One member of metadata: as declared, after the federation's rules, and on this server."""

    member: str
    label: str
    declared: str
    federation: str
    server: str
    changed: bool
    because: str


@dataclass(frozen=True, slots=True)
class ShownMark:
    """One trust mark that a rule of ours is about."""

    trust_mark_type: str
    issuer: str
    state: str
    word: str
    sentence: str
    expires_at: datetime | None


def federation_context(client: Client) -> dict[str, Any]:
    """Return the record of an app's federation for its page; nothing for an app of another source. One query."""
    if client.source not in (Client.Source.FEDERATION_AUTOMATIC, Client.Source.FEDERATION_EXPLICIT):
        return {}
    record = FederationRecord.objects.filter(client=client).defer("statements").first()
    if record is None:
        return {}
    return {"federation": record, "ruled": _ruled_rows(client, record), "marks": [_mark(verdict) for verdict in record.trust_marks]}


def _ruled_rows(client: Client, record: FederationRecord) -> list[RuledRow]:
    declared, resolved, server = client.declared_metadata, record.resolved_metadata, client.metadata
    return [
        RuledRow(
            name,
            str(LABELS.get(name, name.replace("_", " ").capitalize())),
            plain(declared.get(name)),
            plain(resolved.get(name)),
            plain(server.get(name)),
            not declared.get(name) == resolved.get(name) == server.get(name),
            " ".join(_because(name, record.changes))
            or ("" if name in declared or name in resolved else _("Not declared; this is the default.")),
        )
        for name in in_order({*declared, *resolved, *server})
    ]


def _because(member: str, changes: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    """Yield why a member is as it is, the federation's rules first."""
    for change in changes:
        if change.get("member") != member:
            continue
        if change.get("by") == "federation":
            set_by = ", ".join(change.get("set_by") or ()) or _("a superior")
            yield _("%(rule)s of %(entities)s.") % {"rule": change.get("rule"), "entities": set_by}
        else:
            yield str(change.get("sentence", ""))


def _mark(verdict: Mapping[str, Any]) -> ShownMark:
    if verdict["counts"]:
        state, word = "valid", _("Counts")
    elif verdict["is_unsure"]:
        state, word = "unknown", _("Not known")
    else:
        state, word = "blocked", _("Counts not")
    ends = verdict["expires_at"]
    expires_at = None if ends is None else datetime.fromtimestamp(ends, UTC)
    return ShownMark(verdict["trust_mark_type"], verdict["issuer"], state, word, verdict["sentence"], expires_at)
