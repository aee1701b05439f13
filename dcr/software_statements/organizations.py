"""Whose the client of a statement is: by the issuer's rule and a claim, never by a name (house decision 8)."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from django.db import IntegrityError, transaction

from dcr.models import SoftwareStatementIssuer, StatementOrganization
from dcr.software_statements.verification import VerifiedStatement
from protocol.errors import MetadataRefused, TransitionRefused, UnapprovedSoftwareStatement
from registry import audit
from registry.actors import Actor
from registry.lifecycle import create_organization
from registry.lifecycle.organizations import approve_without_review
from registry.models import Organization
from registry.transitions import OPERATOR, SYSTEM

VALUE_LIMIT: Final = 255
NAME_LIMIT: Final = 200
_RULES = SoftwareStatementIssuer.Organizations
_MEMBER: Final = ("software_statement",)


def organization_of(statement: VerifiedStatement, actor: Actor, *, now: datetime) -> Organization:
    """Return the organization that a statement alone registers for, in the caller's transaction; one is made if its issuer's rule says so.

    `actor` needs the role SYSTEM to make one. Raises UnapprovedSoftwareStatement when the statement names none that is known.
    """
    issuer = statement.issuer
    if issuer.organizations == _RULES.FIXED and issuer.organization is not None:
        return issuer.organization
    value = _claimed(statement)
    known = _find(issuer, value)
    if known is not None:
        return known
    if issuer.organizations != _RULES.CREATE:
        raise _unknown()
    return _create(statement, value, actor, now=now)


def require_same_organization(statement: VerifiedStatement, organization: Organization) -> None:
    """Refuse a statement about another organization than that of the initial access token it came with. At most one query.

    An issuer with one fixed organization vouches for software that others run too, so its statements go with any token.
    Raises UnapprovedSoftwareStatement.
    """
    if statement.issuer.organizations == _RULES.FIXED:
        return
    named = _find(statement.issuer, _claimed(statement))
    if named is None or named.pk != organization.pk:
        raise UnapprovedSoftwareStatement(
            "The software statement is not approved for use here: it is about another organization than the initial access token.",
            members=_MEMBER,
        )


def _unknown() -> UnapprovedSoftwareStatement:
    sentence = "The software statement is not approved for use by this authorization server: it names no organization that is known here."
    return UnapprovedSoftwareStatement(sentence, members=_MEMBER)


def _claimed(statement: VerifiedStatement) -> str:
    """Return the value by which a statement names its organization, compared code point by code point."""
    value = statement.claims.get(statement.issuer.organization_claim)
    if not isinstance(value, str) or not 0 < len(value) <= VALUE_LIMIT or not value.isprintable():
        raise _unknown()
    return value


def _find(issuer: SoftwareStatementIssuer, value: str) -> Organization | None:
    row = StatementOrganization.objects.select_related("organization").filter(issuer=issuer, value=value).first()
    return row.organization if row else None


def _create(statement: VerifiedStatement, value: str, actor: Actor, *, now: datetime) -> Organization:
    """Make an organization, approved because the issuer vouches for it; who comes second at the same moment gets the first one's."""
    try:
        with transaction.atomic():
            organization = approve_without_review(_create_named(statement, value, actor, now=now), actor, now=now)
            row = StatementOrganization.objects.create(issuer=statement.issuer, value=value, organization=organization, created_at=now)
            audit.record(actor, "statement_organization.linked", row, organization=organization)
            return organization
    except IntegrityError:
        known = _find(statement.issuer, value)
        if known is None:
            raise
        return known


def _create_named(statement: VerifiedStatement, value: str, actor: Actor, *, now: datetime) -> Organization:
    claimed = statement.claims.get(statement.issuer.organization_name_claim)
    name = claimed.strip()[:NAME_LIMIT] if isinstance(claimed, str) else ""
    for candidate in filter(None, (name, value[:NAME_LIMIT])):
        try:
            return create_organization(actor, candidate, now=now)
        except MetadataRefused:  # a name that no organization may have here
            continue
    raise _unknown()


def link_organization(
    issuer: SoftwareStatementIssuer, value: str, organization: Organization, actor: Actor, *, now: datetime
) -> StatementOrganization:
    """Say which organization an issuer means by a value of its claim; clients that are registered keep theirs.

    Raises TransitionRefused with reason permission, rule, value, organization or duplicate.
    """
    if not actor.has_role(organization, OPERATOR, SYSTEM):
        raise TransitionRefused("permission", "Only an operator may say whose software is, and not about an organization of their own.")
    if issuer.organizations == _RULES.FIXED:
        raise TransitionRefused("rule", "All statements of this issuer are for one organization.")
    if not 0 < len(value) <= VALUE_LIMIT or not value.isprintable():
        raise TransitionRefused("value", f"A value has 1 to {VALUE_LIMIT} printable characters, exactly as in the claim.")
    if organization.state != Organization.State.APPROVED:
        raise TransitionRefused("organization", "The organization must be approved first.")
    with transaction.atomic():
        row, created = StatementOrganization.objects.get_or_create(
            issuer=issuer, value=value, defaults={"organization": organization, "created_at": now}
        )
        if not created:
            raise TransitionRefused("duplicate", f"This value names {row.organization} already; take that back first.")
        audit.record(actor, "statement_organization.linked", row, organization=organization)
        return row


def unlink_organization(row: StatementOrganization, actor: Actor) -> None:
    """Forget which organization an issuer means by a value; clients that are registered keep theirs. Raises TransitionRefused."""
    if not actor.has_role(row.organization, OPERATOR, SYSTEM):
        raise TransitionRefused("permission", "Only an operator may say whose software is, and not about an organization of their own.")
    with transaction.atomic():
        audit.record(actor, "statement_organization.unlinked", row, organization=row.organization)
        row.delete()
