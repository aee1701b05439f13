"""The scopes of this server: added, described and retired by operators."""

from __future__ import annotations

import re
from typing import Any, Final

from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from protocol.errors import TransitionRefused
from registry import audit
from registry.actors import Actor
from registry.models import Organization, Scope
from registry.transitions import OPERATOR, SYSTEM

EDITABLE: Final = ("title", "description", "is_sensitive", "is_retired")
# Counts for apps of this server's operator only, so nobody else is offered it.
OPERATORS_OWN: Final = ("registry.admin",)
_SCOPE_TOKEN = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]{1,100}")


def scopes_offered_to(organization: Organization) -> QuerySet[Scope]:
    """Return the scopes that apps of an organization may find in a form."""
    return Scope.objects.all() if organization.is_operator else Scope.objects.exclude(name__in=OPERATORS_OWN)


def create_scope(name: str, actor: Actor, **values: Any) -> Scope:
    """Add a scope. Its name is final, because apps register it. `values` are of EDITABLE.

    Raises TransitionRefused with reason permission, name or duplicate.
    """
    _check_operator(actor)
    if not _SCOPE_TOKEN.fullmatch(name):
        raise TransitionRefused("name", "A scope name is printable ASCII without space, quotation mark and backslash (RFC 6749, 3.3).")
    try:
        with transaction.atomic():
            scope = Scope.objects.create(name=name, **_editable(values))
            audit.record(actor, "scope.created", scope, organization=None, difference=audit.difference_between({}, _editable(vars(scope))))
            return scope
    except IntegrityError:
        raise TransitionRefused("duplicate", f"There is a scope {name} already.") from None


def update_scope(scope: Scope, actor: Actor, **values: Any) -> Scope:
    """Change how a scope is described, whether it is sensitive and whether it is retired; return it.

    What apps were granted stays until they are edited; a retired scope can no longer be asked for. Saving what is there already writes
    nothing. Raises TransitionRefused with reason permission.
    """
    _check_operator(actor)
    with transaction.atomic():
        row = Scope.objects.select_for_update().get(pk=scope.pk)
        before = _editable(vars(row))
        changed = audit.difference_between(before, {**before, **_editable(values)})
        if changed:
            for name, (_, value) in changed.items():
                setattr(row, name, value)
            row.save()
            event = "scope.retired" if changed.get("is_retired") == [False, True] else "scope.updated"
            audit.record(actor, event, row, organization=None, difference=changed)
        return row


def _editable(values: dict[str, Any]) -> dict[str, Any]:
    return {name: values[name] for name in EDITABLE if name in values}


def _check_operator(actor: Actor) -> None:
    if not actor.has_role(None, OPERATOR, SYSTEM):
        raise TransitionRefused("permission", "Only an operator may change scopes.")
