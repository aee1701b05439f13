"""Approving what was reviewed: the automatic checks are green, or a reviewer says why it is fine nonetheless (portal.md 4.4)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from django.db import transaction

from protocol.errors import TransitionRefused
from registry import audit
from registry.actors import Actor
from registry.findings import Finding
from registry.lifecycle import approve_change, change_organization
from registry.models import ChangeRequest, Organization
from registry.review_checks import check_change_request, check_organization
from registry.review_comments import add_note

# As much of what the checks found as a refusal repeats.
_SAID: Final = 1000


def needs_override(findings: Iterable[Finding]) -> bool:
    """Say whether approving in spite of these findings takes an explanation."""
    return any(finding.level != "note" for finding in findings)


def approve_reviewed_organization(
    organization: Organization, actor: Actor, *, digest: str | None, now: datetime, reason: str = "", override: str = ""
) -> Organization:
    """Approve an organization as `change_organization` does; `override` says why it is fine in spite of what the checks found.

    It becomes a note of our staff. Raises TransitionRefused as `change_organization` and `add_note`, or with reason override_missing.
    """
    with transaction.atomic():
        row = change_organization(organization, "approve", actor, now=now, reason=reason, digest=digest)
        findings = check_organization(row)  # as it is now that it is locked, whatever was read before
        _check_override(findings, override)
        _note_override(row, None, findings, actor, override, now)
        return row


def approve_reviewed_change(
    request: ChangeRequest, actor: Actor, *, digest: str, now: datetime, reason: str = "", override: str = ""
) -> ChangeRequest:
    """Approve a change request, loaded with its client, as `approve_change` does; `override` as for organizations.

    Raises TransitionRefused or MetadataRefused as `approve_change` and `add_note`, or TransitionRefused with reason override_missing.
    """
    with transaction.atomic():
        findings = check_change_request(request, now=now) if request.state == ChangeRequest.State.OPEN else ()
        row = approve_change(request, actor, digest=digest, now=now, reason=reason)
        _check_override(findings, override)
        _note_override(request.client.organization, row, findings, actor, override, now)
        return row


def _check_override(findings: Iterable[Finding], override: str) -> None:
    """Refuse, after all else was found in order, so that what is said first is what matters most; the transaction is rolled back."""
    findings = tuple(findings)
    if needs_override(findings) and not override.strip():
        found = " ".join(finding.sentence for finding in findings if finding.level != "note")[:_SAID]
        raise TransitionRefused("override_missing", f"The automatic checks found something. Say why it is fine nonetheless. {found}")


def _note_override(
    organization: Organization, request: ChangeRequest | None, findings: Iterable[Finding], actor: Actor, override: str, now: datetime
) -> None:
    """Keep what was said, and which findings it was said about."""
    if not override.strip():
        return
    add_note(organization, actor, override, now=now, request=request)
    codes = sorted({finding.code for finding in findings if finding.level != "note"})
    audit.record(actor, "review.overridden", request or organization, organization=None, difference={"findings": [codes, None]})
