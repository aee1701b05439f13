"""Drafts of apps: what a person has said so far of an app, kept until it is registered or discarded (portal.md 4.3, page 14)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import transaction

from protocol.errors import MetadataRefused, TransitionRefused
from registry.actors import Actor
from registry.app_answers import GROUPS, KINDS, build_document, group_of, groups_of, notes_on_answers
from registry.findings import Finding, errors_among
from registry.lifecycle import assess_metadata, register_client
from registry.lifecycle.clients import check_room, count_clients
from registry.models import AppDraft, Client, Organization
from registry.pasted_keys import read_pasted_keys
from registry.policies import get_policy
from registry.transitions import DEVELOPER, OWNER

DRAFTS_LIMIT: Final = 20
KEPT_UNCHANGED: Final = timedelta(days=30)
# Fifty redirect URIs of full length and a key set of full size, with room to spare.
ANSWERS_LIMIT: Final = 256 * 1024
_NAMELESS: Final = Finding("client_name.missing", "error", "client_name", "The app has no name.", "People see it when they sign in.")


@dataclass(frozen=True, slots=True)
class DraftAssessment:
    """What this server makes of a draft: the `document` it amounts to, and everything there is to say about it."""

    document: dict[str, Any]
    findings: tuple[Finding, ...]

    @property
    def errors(self) -> tuple[Finding, ...]:
        """Return the findings for which it cannot be registered."""
        return errors_among(self.findings)

    def about(self, group: str) -> tuple[Finding, ...]:
        """Return the findings about the answers of a group; those about no answer have the empty group."""
        return tuple(finding for finding in self.findings if group_of(finding) == group)


def check_room_for_app(organization: Organization) -> None:
    """Refuse an organization that may not register another app by hand. Two queries. Raises TransitionRefused: organization or limit."""
    check_room(organization, limit=get_policy(organization).clients_limit, count=count_clients(organization))


def start_draft(actor: Actor, organization: Organization, kind: str, *, now: datetime) -> AppDraft:
    """Begin an app of `kind`. Raises TransitionRefused with reason permission, organization, limit or drafts."""
    if kind not in KINDS:
        raise TransitionRefused("kind", f"The kind of an app is one of {', '.join(KINDS)}.")
    with transaction.atomic():
        row = Organization.objects.select_for_update().get(pk=organization.pk)
        _check_permission(actor, row)
        check_room_for_app(row)
        if row.app_drafts.count() >= DRAFTS_LIMIT:
            words = f"This organization has {DRAFTS_LIMIT} drafts. Register one or discard one; any owner or developer can."
            raise TransitionRefused("drafts", words)
        return AppDraft.objects.create(organization=row, answers={"kind": kind}, created_by=actor.user, created_at=now, updated_at=now)


def save_answers(draft: AppDraft, actor: Actor, answers: Mapping[str, Any], *, now: datetime) -> AppDraft:
    """Keep answers of a draft, whatever is wrong with them, beside those it has, and return the draft as it is then.

    Keys that are private or unreadable are never kept, whoever calls. Raises TransitionRefused with reason permission, gone or size.
    """
    known = {name: answers[name] for names in GROUPS.values() for name in names if name in answers}
    if known.get("kind") not in KINDS:
        known.pop("kind", None)
    if "jwks" in known:
        jwks = read_pasted_keys(str(known["jwks"])).jwks
        known["jwks"] = json.dumps(jwks, indent=2) if jwks is not None else ""
    with transaction.atomic():
        row = _lock(draft, actor)
        merged = {**row.answers, **known}
        if len(json.dumps(merged)) > ANSWERS_LIMIT:
            raise TransitionRefused("size", f"This is more than a draft holds ({ANSWERS_LIMIT // 1024} KiB); nothing of it was saved.")
        row.answers, row.updated_at = merged, now
        row.save(update_fields=["answers", "updated_at"])
        return row


def discard_draft(draft: AppDraft, actor: Actor) -> None:
    """Delete a draft. Raises TransitionRefused with reason permission or gone."""
    with transaction.atomic():
        _lock(draft, actor).delete()


def assess_answers(organization: Organization, answers: Mapping[str, Any], *, now: datetime) -> DraftAssessment:
    """Say what this server makes of answers for a new app of `organization`, by the rules that register it. Two queries."""
    relevant = {name for names in groups_of(answers.get("kind", "")).values() for name in names}
    given = {name: value for name, value in answers.items() if name in relevant}
    document = build_document(given, jwks=read_pasted_keys(given.get("jwks") or "").jwks)
    made = assess_metadata(document, organization, stage=Client.Stage.TEST, now=now, restrictions={})
    nameless = () if given.get("client_name") else (_NAMELESS,)
    return DraftAssessment(document, (*nameless, *made.findings, *notes_on_answers(given, document)))


def register_draft(draft: AppDraft, actor: Actor, *, now: datetime) -> Client:
    """Register the app that a draft describes, and delete the draft in the same transaction.

    The app takes over the draft's `reference`, so that whoever comes to the draft later finds the app, and a second registration finds
    no draft. Raises MetadataRefused with all findings, or TransitionRefused with reason gone and those of `register_client`.
    """
    with transaction.atomic():
        row = _lock(draft, actor)
        assessment = assess_answers(row.organization, row.answers, now=now)
        if assessment.errors:
            raise MetadataRefused(assessment.findings)
        client = register_client(actor, row.organization, assessment.document, now=now, reference=row.reference)
        row.delete()
        return client


def purge_drafts(now: datetime) -> int:
    """Delete drafts that nobody changed for 30 days; return how many."""
    return AppDraft.objects.filter(updated_at__lt=now - KEPT_UNCHANGED).delete()[0]


def _lock(draft: AppDraft, actor: Actor) -> AppDraft:
    row = AppDraft.objects.select_for_update(of=("self",)).select_related("organization").filter(pk=draft.pk).first()
    if row is None:
        raise TransitionRefused("gone", "This draft is gone: it was registered or discarded.")
    _check_permission(actor, row.organization)
    return row


def _check_permission(actor: Actor, organization: Organization) -> None:
    if not actor.has_role(organization, OWNER, DEVELOPER):
        raise TransitionRefused("permission", "Only an owner or developer may do this.")
