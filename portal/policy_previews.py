"""Dry runs of policies under way: kept in the cache by the digest of what is proposed, and taken further by whoever looks (portal.md 5.10).

Judging 10,000 apps twice takes several seconds, so each request gives it a little time and the page comes back for the rest: no worker is
needed, no thread is held for long, and what is lost begins anew.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.core.cache import cache

from protocol.errors import MetadataRefused
from registry.models import Organization
from registry.policy_preview import Proposal, Report, propose, start_report
from registry.policy_preview import go_on as look_further

SLICE_SECONDS: Final = 2.0
KEPT_SECONDS: Final = 3600
POLLED_FOR: Final = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class ShownPreview:
    """A dry run as far as it went. It is stale when the policy in force is no longer the one that it was made for."""

    digest: str
    proposal: Proposal
    report: Report
    begun_at: datetime

    @property
    def is_stale(self) -> bool:
        """Say whether it can no longer be saved."""
        return self.proposal.digest != self.digest

    def is_polled(self, now: datetime) -> bool:
        """Say whether the page comes back by itself."""
        return not self.report.is_done and not self.is_stale and now < self.begun_at + POLLED_FOR


def begin(proposal: Proposal, now: datetime) -> None:
    """Begin a dry run, unless the same is under way or done."""
    organization = proposal.organization.pk if proposal.organization else None
    kept = {"organization": organization, "values": dict(proposal.values), "report": start_report(proposal), "begun_at": now}
    cache.add(_key(proposal.digest), kept, KEPT_SECONDS)


def go_on(digest: str, now: datetime) -> ShownPreview | None:
    """Return the dry run of `digest` after some further seconds of it, None when there is none any more."""
    kept: dict[str, Any] | None = cache.get(_key(digest))
    proposal = _proposal_of(kept)
    if kept is None or proposal is None:
        return None
    shown = ShownPreview(digest, proposal, kept["report"], kept["begun_at"])
    if not shown.report.is_done and not shown.is_stale:
        end = time.monotonic() + SLICE_SECONDS
        look_further(shown.report, proposal, now, is_over=lambda: time.monotonic() >= end)
        cache.set(_key(digest), kept, KEPT_SECONDS)
    return shown


def get_proposal(digest: str) -> Proposal | None:
    """Return what the dry run of `digest` is about, None when there is none any more."""
    return _proposal_of(cache.get(_key(digest)))


def forget(digest: str) -> None:
    """Forget a dry run that was saved."""
    cache.delete(_key(digest))


def _key(digest: str) -> str:
    return f"policy-preview:{digest}"


def _proposal_of(kept: dict[str, Any] | None) -> Proposal | None:
    """Return the proposal on top of what is in force now; None when its organization or one of its scopes is gone."""
    if kept is None:
        return None
    organization = Organization.objects.filter(pk=kept["organization"]).first() if kept["organization"] else None
    try:
        return propose(organization, kept["values"]) if organization or not kept["organization"] else None
    except MetadataRefused:
        return None
