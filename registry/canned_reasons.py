"""Words that reviewers use often, kept for all of them (portal.md 4.5, "Reason code")."""

from __future__ import annotations

from typing import Any, Final

from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from protocol.errors import TransitionRefused
from registry import audit
from registry.actors import Actor
from registry.models import CannedReason
from registry.transitions import OPERATOR, REVIEWER

EDITABLE: Final = ("name", "step", "text", "is_active")
TEXT_LIMIT: Final = 2000


def reasons_for(step: str) -> QuerySet[CannedReason]:
    """Return the words offered for a step of `CannedReason.Step`."""
    return CannedReason.objects.filter(step=step, is_active=True)


def save_canned_reason(reason: CannedReason | None, actor: Actor, **values: Any) -> CannedReason:
    """Write new words, or change those of `reason`; `values` are of EDITABLE. Saving what is there already writes nothing.

    Raises TransitionRefused with reason permission, step, text or duplicate.
    """
    if not actor.has_role(None, REVIEWER, OPERATOR):
        raise TransitionRefused("permission", "Only a reviewer or an operator may change these words.")
    _check(values)
    try:
        with transaction.atomic():
            if reason is None:
                row = CannedReason.objects.create(**values)
                audit.record(actor, "canned_reason.added", row, organization=None, difference=audit.difference_between({}, values))
                return row
            row = CannedReason.objects.select_for_update().get(pk=reason.pk)
            changed = audit.difference_between({name: getattr(row, name) for name in values}, values)
            if changed:
                for name in changed:
                    setattr(row, name, values[name])
                row.save()
                audit.record(actor, "canned_reason.changed", row, organization=None, difference=changed)
            return row
    except IntegrityError:
        raise TransitionRefused("duplicate", "There are words of this name already.") from None


def _check(values: dict[str, Any]) -> None:
    if values["step"] not in CannedReason.Step.values:
        raise TransitionRefused("step", "Say for which step the words are.")
    if not values["name"].strip() or not values["text"].strip() or len(values["text"]) > TEXT_LIMIT:
        raise TransitionRefused("text", f"They need a name, and between 1 and {TEXT_LIMIT} characters.")
