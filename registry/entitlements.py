"""What a client may be granted right now (house decision 7)."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Final

from django.db import connection
from django.db.models import Count, Q

from registry.models import Client, Entitlement, Scope
from registry.registration_policy import RegistrationPolicy

_ENTITLED_SCOPES: Final = (
    "SELECT value FROM registry_entitlement WHERE client_id = %s AND kind = %s AND (expires_at IS NULL OR expires_at > %s)"
)


def entitled_scopes(client: Client, now: datetime) -> frozenset[str]:
    """Return the scopes that `client` is entitled to at `now` and has registered. One query.

    In SQL, because every token and every introspection asks it, and the ORM takes longer to write it than the database to answer it.
    """
    with connection.cursor() as cursor:
        cursor.execute(_ENTITLED_SCOPES, [client.pk, Entitlement.Kind.SCOPE, connection.ops.adapt_datetimefield_value(now)])
        return frozenset(value for (value,) in cursor.fetchall()) & frozenset(client.scopes)


def count_entitled(scope: str) -> list[tuple[str, int]]:
    """Return why apps are entitled to `scope`, and how many for each reason, the most frequent first. One query."""
    rows = Entitlement.objects.filter(kind=Entitlement.Kind.SCOPE, value=scope).exclude(client__state=Client.State.CLOSED)
    counted = rows.order_by().values_list("because").annotate(count=Count("pk")).order_by("-count", "because")
    return [(str(Entitlement.Because(because).label), count) for because, count in counted]


def lacks_grant(client: Client, grant_type: str, policy: RegistrationPolicy, now: datetime) -> bool:
    """Say whether `client`, an entity of a federation, needs a trust mark for a grant and has none. One query, none for all others."""
    if client.trust == Client.Trust.NONE or grant_type not in policy.federation_grant_types_by_mark:
        return False
    held = Entitlement.objects.filter(client=client, kind=Entitlement.Kind.GRANT, value=grant_type)
    return not held.filter(Q(expires_at=None) | Q(expires_at__gt=now)).exists()


def grant_scopes(client: Client, names: Iterable[str], because: str, *, evidence: str = "") -> None:
    """Entitle `client` to the scopes `names` because of `because`; what is there already stays. One statement, none without names."""
    rows = [Entitlement(client=client, value=name, because=because, evidence=evidence[:500]) for name in sorted(set(names))]
    if rows:
        Entitlement.objects.bulk_create(rows, ignore_conflicts=True)


def grant_scopes_by_policy(client: Client) -> None:
    """Entitle `client` to the registered scopes that need no approval, and end policy entitlements that are no longer registered."""
    free = set(Scope.objects.filter(name__in=client.scopes, is_sensitive=False).values_list("name", flat=True))
    by_policy = Entitlement.objects.filter(client=client, kind=Entitlement.Kind.SCOPE, because=Entitlement.Because.POLICY)
    by_policy.exclude(value__in=free).delete()
    grant_scopes(client, free, Entitlement.Because.POLICY)


def scopes_waiting_for_approval(client: Client, now: datetime) -> frozenset[str]:
    """Return the registered scopes that `client` is not entitled to."""
    return frozenset(client.scopes) - entitled_scopes(client, now)


def explain_refused_scopes(refused: Collection[str], client: Client) -> str:
    """Return the sentence for scopes that `client` asked for and is not entitled to."""
    is_waiting = set(refused) <= set(client.scopes)
    why = "it waits for approval" if is_waiting else "the app did not register it"
    return f"Not granted: {' '.join(scope[:60] for scope in list(refused)[:10])}; {why}."
