"""What a client has by a statement it was registered or updated with: entitlements for as long as it lasts (house decision 7)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from dcr.models import AcceptedStatement, SoftwareStatementIssuer
from dcr.software_statements.claims import LATEST, scopes_of_roles
from dcr.software_statements.verification import VerifiedStatement
from protocol.constants import CLOCK_LEEWAY
from protocol.errors import InvalidSoftwareStatement, UnapprovedSoftwareStatement
from registry.models import Client, Entitlement
from registry.single_use import use_once

# Verification forgives the clocks of others by this much.
LEEWAY: Final = timedelta(seconds=CLOCK_LEEWAY)
_MEMBER: Final = ("software_statement",)


def accept_statement(client: Client, statement: VerifiedStatement, *, now: datetime) -> None:
    """Keep the statement that `client` was registered or updated with, in the caller's transaction, after its metadata was written.

    What the statement before entitled to is replaced: exactly the scopes of the new one's roles that the client registered remain, until
    the statement expires. Raises InvalidSoftwareStatement when it was used before and counts once; UnapprovedSoftwareStatement when its
    issuer was disabled since it was verified.
    """
    if statement.issuer.single_use:
        _use_once(statement)
    issuer = SoftwareStatementIssuer.objects.get(pk=statement.issuer.pk)
    if not issuer.is_enabled:
        raise UnapprovedSoftwareStatement(
            "The software statement is not approved for use by this authorization server any more.", members=_MEMBER
        )
    AcceptedStatement.objects.update_or_create(
        client=client,
        defaults={
            "issuer": issuer,
            "statement": statement.raw,
            "asserted": sorted(statement.asserted),
            "roles": list(statement.roles),
            "replaced_initial_access_token": issuer.replaces_initial_access_token,
            "accepted_at": now,
            "expires_at": statement.expires_at,
            "ended_at": None,
        },
    )
    _entitle(client, statement, scopes_of_roles(statement.roles, issuer.role_scopes) & frozenset(client.scopes))


def _use_once(statement: VerifiedStatement) -> None:
    """Use up the statement's jti; one without an end could come again at any time, so its jti is kept for good."""
    until = LATEST if statement.expires_at is None else min(LATEST, statement.expires_at + LEEWAY)
    if not use_once("software statement", statement.issuer.issuer, statement.claims["jti"], expires_at=until):
        raise InvalidSoftwareStatement("The software statement was used before and counts once; get a new one.", members=_MEMBER)


def _entitle(client: Client, statement: VerifiedStatement, scopes: frozenset[str]) -> None:
    by_statement = Entitlement.objects.filter(client=client, kind=Entitlement.Kind.SCOPE, because=Entitlement.Because.STATEMENT)
    by_statement.exclude(value__in=scopes).delete()
    evidence = f"{', '.join(statement.roles)} by {statement.issuer.issuer}"[:500]
    rows = [
        Entitlement(
            client=client, value=name, because=Entitlement.Because.STATEMENT, evidence=evidence, expires_at=statement.expires_at
        )
        for name in sorted(scopes)
    ]  # fmt: skip
    if rows:
        Entitlement.objects.bulk_create(
            rows, update_conflicts=True, unique_fields=["client", "kind", "value", "because"], update_fields=["expires_at", "evidence"]
        )
