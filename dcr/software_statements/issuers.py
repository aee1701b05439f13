"""Whose software statements count here, as operators say it; what follows for clients is `acceptance` and `ending`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db import IntegrityError, transaction
from django.db.models import Count, Q

from dcr.models import AcceptedStatement, SoftwareStatementIssuer, StatementIssuerKeys
from dcr.software_statements.claims import scopes_of_roles
from dcr.software_statements.ending import CHUNK, end_statements_of
from dcr.software_statements.issuer_rules import review_issuer
from protocol.errors import MetadataRefused, TransitionRefused
from protocol.jose import parse_jwk_set
from registry import audit
from registry.actors import Actor
from registry.findings import Finding, errors_among
from registry.models import Client, Entitlement, Organization
from registry.policies import get_scope_rules
from registry.transitions import OPERATOR, SYSTEM

EDITABLE: Final = (
    *("issuer", "name", "jwks", "jwks_uri", "algorithms", "max_age_seconds", "single_use", "claims", "software_ids", "organizations"),
    *("organization", "organization_claim", "organization_name_claim", "roles_claim", "role_scopes", "replaces_initial_access_token"),
    *("stage", "is_mandatory_profile"),
)
_DUPLICATE: Final = Finding("statement_issuer.duplicate", "error", "issuer", "This issuer is known here already.")


def save_issuer(
    issuer: SoftwareStatementIssuer | None, values: Mapping[str, Any], actor: Actor, *, now: datetime
) -> SoftwareStatementIssuer:
    """Make an issuer, or change `issuer`; return it. `values` are of EDITABLE; what is not given stays. Saving the same writes nothing.

    It counts from the next statement; a scope that is taken from a role ends at once for every client that has it by that role. The
    identifier of an issuer is final: known organizations belong to it. Raises TransitionRefused with reason permission, state or final,
    or MetadataRefused with the findings about the values.
    """
    _check_operator(actor)
    try:
        with transaction.atomic():
            row = _lock(issuer) if issuer else SoftwareStatementIssuer(created_at=now)
            before = _told(row) if issuer else {}
            given = {name: values.get(name, getattr(row, name)) for name in EDITABLE}
            if issuer and given["issuer"] != row.issuer:
                raise TransitionRefused("final", "The identifier of an issuer is final; disable this one and add another.")
            _review(given, row if issuer else None, actor)
            for name, value in given.items():
                setattr(row, name, value)
            if row.jwks is not None:
                row.jwks = parse_jwk_set(row.jwks).public_jwks()
            changed = audit.difference_between(before, _told(row))
            if changed:
                row.save()
                event = "statement_issuer.changed" if issuer else "statement_issuer.added"
                audit.record(actor, event, row, organization=None, difference=changed)
                _follow(row, changed)
            return row
    except IntegrityError:
        raise MetadataRefused((_DUPLICATE,)) from None


def _review(values: Mapping[str, Any], row: SoftwareStatementIssuer | None, actor: Actor) -> None:
    held = scopes_of_roles(row.role_scopes, row.role_scopes) if row else frozenset()
    offered = {name for name, rule in get_scope_rules().items() if not rule.is_retired or name in held}
    findings = review_issuer(values, offered_scopes=offered)
    if errors_among(findings):
        raise MetadataRefused(findings)
    organization = values["organization"]
    if organization is None or (row is not None and row.organization_id == organization.pk):
        return
    if organization.state != Organization.State.APPROVED:
        raise MetadataRefused(
            (Finding("statement_issuer.organization", "error", "organization", "The organization must be approved first."),)
        )
    _check_operator(actor, organization)


def _follow(row: SoftwareStatementIssuer, changed: Mapping[str, Any]) -> None:
    """Let a change count where it must at once: keys of another address are forgotten, scopes that a role has no more end."""
    if "jwks_uri" in changed:
        StatementIssuerKeys.objects.filter(issuer=row).delete()
    if "role_scopes" not in changed:
        return
    by_roles: dict[tuple[str, ...], list[int]] = {}
    for number, roles in AcceptedStatement.objects.filter(issuer=row, ended_at=None).values_list("client_id", "roles"):
        by_roles.setdefault(tuple(sorted(roles)), []).append(number)
    for roles, numbers in by_roles.items():
        allowed = scopes_of_roles(roles, row.role_scopes)
        for start in range(0, len(numbers), CHUNK):
            rows = Entitlement.objects.filter(client_id__in=numbers[start : start + CHUNK], because=Entitlement.Because.STATEMENT)
            rows.exclude(value__in=allowed).delete()


def disable_issuer(issuer: SoftwareStatementIssuer, actor: Actor, *, now: datetime, reason: str) -> int:
    """Believe an issuer no more; return how many clients lost what they had by its statements, in this transaction.

    A registration that is being written in this very moment is ended by the next tick of `end_statements`. Raises TransitionRefused with
    reason permission, state or reason_missing.
    """
    _check_operator(actor)
    if not reason.strip():
        raise TransitionRefused("reason_missing", "Say why, for the colleagues who are asked about it.")
    with transaction.atomic():
        row = _lock(issuer)
        if not row.is_enabled:
            raise TransitionRefused("state", "This issuer is disabled already.")
        row.is_enabled = False
        row.save(update_fields=["is_enabled"])
        audit.record(actor, "statement_issuer.disabled", row, organization=None, reason=reason)
        return end_statements_of(row, actor, now=now)


def enable_issuer(issuer: SoftwareStatementIssuer, actor: Actor) -> SoftwareStatementIssuer:
    """Believe an issuer again, from its next statement; what ended stays ended. Raises TransitionRefused: permission, state."""
    _check_operator(actor)
    with transaction.atomic():
        row = _lock(issuer)
        if row.is_enabled:
            raise TransitionRefused("state", "This issuer is enabled already.")
        row.is_enabled = True
        row.save(update_fields=["is_enabled"])
        audit.record(actor, "statement_issuer.enabled", row, organization=None)
        return row


@dataclass(frozen=True, slots=True)
class Dependants:
    """What rests on the statements of an issuer: how many clients, how many of them on nothing else, and how many by scope."""

    clients: int
    alone: int
    scopes: Sequence[tuple[str, int]]


def what_depends_on(issuer: SoftwareStatementIssuer) -> Dependants:
    """Return what ends when an issuer is disabled. Three queries."""
    accepted = AcceptedStatement.objects.filter(issuer=issuer).exclude(client__state=Client.State.CLOSED)
    live = accepted.filter(ended_at=None)
    working = Q(client__state=Client.State.ACTIVE) | Q(client__state=Client.State.SUSPENDED, client__paused_by_owner=True)
    alone = accepted.filter(working, replaced_initial_access_token=True, client__source=Client.Source.DCR)
    alone = alone.exclude(client__registration_access_token__initial_access_token__isnull=False)
    entitled = Entitlement.objects.filter(because=Entitlement.Because.STATEMENT, client__in=live.values("client"))
    by_scope = entitled.order_by("value").values_list("value").annotate(clients=Count("client"))
    return Dependants(live.count(), alone.count(), list(by_scope))


def _lock(issuer: SoftwareStatementIssuer) -> SoftwareStatementIssuer:
    # Without the key: a registration that refers to the row need not wait, and cannot be waited for in a circle.
    locked = SoftwareStatementIssuer.objects.select_for_update(no_key=True)
    row = locked.filter(pk=issuer.pk).first()
    if row is None:
        raise TransitionRefused("state", "This issuer is gone meanwhile.")
    return row


def _told(row: SoftwareStatementIssuer) -> dict[str, Any]:
    """Return what the audit trail says of an issuer: of keys their identifiers and thumbprints."""
    told = {name: getattr(row, name) for name in EDITABLE if name not in ("jwks", "organization")}
    keys = parse_jwk_set(row.jwks).keys if row.jwks is not None else ()
    told["organization"] = row.organization.slug if row.organization else None
    return {**told, "kids": [key.kid for key in keys], "thumbprints": [key.thumbprint for key in keys]}


def _check_operator(actor: Actor, organization: Organization | None = None) -> None:
    if not actor.has_role(organization, OPERATOR, SYSTEM):
        raise TransitionRefused(
            "permission", "Only an operator may say whose software statements count, and not about an organization of their own."
        )
