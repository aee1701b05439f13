"""What every transition has in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import models

from protocol.errors import TransitionRefused
from registry.actors import Actor
from registry.models import AuditEvent, Organization
from registry.notices import record_news
from registry.transitions import Transition


def check_step(step: Transition, state: str, actor: Actor, organization: Organization, reason: str) -> None:
    """Refuse `step` when the actor has no role for it, the state does not allow it or its reason is missing.

    Raises TransitionRefused with reason permission, state or reason_missing.
    """
    if not actor.has_role(organization, *step.roles):
        needed = " or ".join(sorted(step.roles))
        raise TransitionRefused("permission", f"Only {needed} may do this.")
    if state not in step.sources:
        raise TransitionRefused("state", f"This cannot be done while it is {state.replace('_', ' ')}.")
    if step.needs_reason and not reason.strip():
        raise TransitionRefused("reason_missing", "Say why, in words that the partner will read.")


def record_step(
    actor: Actor,
    event: str,
    subject: models.Model,
    organization: Organization,
    *,
    reason: str = "",
    difference: Mapping[str, Any] | None = None,
    is_news: bool = True,
) -> AuditEvent:
    """Write the audit row of a transition, with the notice that it asks for if it `is_news`, and tell listeners after commit."""
    return record_news(actor, event, subject, organization, reason=reason, difference=difference, is_news=is_news)
