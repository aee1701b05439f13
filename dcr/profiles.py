"""Registration profiles: named policies that staff give to initial access tokens (DCR-IAT-05)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from django.db import transaction

from dcr.models import RegistrationProfile
from protocol.errors import MetadataRefused, TransitionRefused
from registry import audit
from registry.actors import Actor
from registry.findings import Findings, errors_among
from registry.policies import get_scope_rules
from registry.registration_policy import NARROWABLE, review_policy_values
from registry.transitions import OPERATOR, SYSTEM

NAME_LIMIT: Final = 60
DESCRIPTION_LIMIT: Final = 200
_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?")
_SCOPES: Final = ("allowed_scopes", "default_scopes")


def save_profile(
    name: str,
    values: Mapping[str, Any],
    actor: Actor,
    *,
    description: str = "",
    is_hardened: bool = False,
    is_read_only: bool = False,
    only_new: bool = False,
) -> RegistrationProfile:
    """Make the profile `name`, or change it unless `only_new`; return it. Saving what is there already writes nothing.

    It counts for what registers with its tokens from now on; clients keep what they were registered with. Raises TransitionRefused with
    reason permission, or MetadataRefused with the findings about the values.
    """
    _check_operator(actor)
    told = {"description": description.strip(), "values": dict(values), "is_hardened": is_hardened, "is_read_only": is_read_only}
    with transaction.atomic():
        row = RegistrationProfile.objects.select_for_update().filter(name=name[:NAME_LIMIT]).first()
        findings = _review(name, told)
        if row is not None and only_new:
            findings.error("profile.duplicate", "name", "There is a profile of this name.")
        if errors_among(findings.items):
            raise MetadataRefused(tuple(findings.items))
        before = _told(row) if row else {}
        row = row or RegistrationProfile(name=name)
        for member, value in told.items():
            setattr(row, member, value)
        changed = audit.difference_between(before, _told(row))
        if changed:
            row.save()
            audit.record(actor, f"registration_profile.{'changed' if before else 'added'}", row, organization=None, difference=changed)
        return row


def delete_profile(profile: RegistrationProfile, actor: Actor) -> None:
    """Forget a profile that no token was made with. Raises TransitionRefused with reason permission or state."""
    _check_operator(actor)
    with transaction.atomic():
        row = RegistrationProfile.objects.select_for_update().filter(pk=profile.pk).first()
        if row is None:
            raise TransitionRefused("state", "This profile is gone meanwhile.")
        if row.tokens.exists():
            raise TransitionRefused("state", "Tokens were made with this profile, so it stays.")
        audit.record(actor, "registration_profile.deleted", row, organization=None, difference=audit.difference_between(_told(row), {}))
        row.delete()


def _check_operator(actor: Actor) -> None:
    if not actor.has_role(None, OPERATOR, SYSTEM):
        raise TransitionRefused("permission", "Only an operator may change registration profiles.")


def _told(row: RegistrationProfile) -> dict[str, Any]:
    """Return what a profile says, its values one by one."""
    return {"description": row.description, "is_hardened": row.is_hardened, "is_read_only": row.is_read_only, **row.values}


def _review(name: str, told: Mapping[str, Any]) -> Findings:
    """Return what is wrong with a profile. One query."""
    findings = Findings()
    if len(name) > NAME_LIMIT or not _NAME.fullmatch(name):
        hint = f"Such as partner-bank, at most {NAME_LIMIT} characters."
        findings.error("profile.name", "name", "A name has lower-case letters, digits and hyphens.", hint)
    if len(told["description"]) > DESCRIPTION_LIMIT or not told["description"].isprintable():
        findings.error("profile.description", "description", f"A description is one line of at most {DESCRIPTION_LIMIT} characters.")
    values = told["values"]
    for member in sorted(set(values) - set(NARROWABLE)):
        sentence = f"{member[:60]} cannot be narrowed for single registrations."
        findings.error("profile.value", member[:60], sentence, f"Known are {', '.join(NARROWABLE)}.")
    findings.items += review_policy_values({member: value for member, value in values.items() if member in NARROWABLE})
    rules = get_scope_rules()
    for member in _SCOPES:
        names = values.get(member)
        wrong = [scope for scope in names if scope not in rules or rules[scope].is_retired] if isinstance(names, list) else []
        if wrong:
            shown = ", ".join(str(scope)[:60] for scope in wrong[:10])
            findings.error("profile.scope", member, f"This server has no scope {shown}.")
    return findings
