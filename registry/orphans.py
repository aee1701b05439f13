"""Organizations that nobody leads any more (portal.md 4.1)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from django.db.models import Exists, OuterRef, QuerySet

from registry.models import Membership, Organization, Reminder
from registry.reminders import CHUNK, Incident, Recovery

ORPHANED: Final = "orphaned"


def orphaned_organizations() -> QuerySet[Organization]:
    """Return the organizations of partners without an owner who can sign in; one that never had a member was made by a machine."""
    members = Membership.objects.filter(organization=OuterRef("pk"))
    owners = members.filter(role=Membership.Role.OWNER, user__is_active=True)
    rows = Organization.objects.filter(~Exists(owners), Exists(members), is_operator=False)
    return rows.exclude(state__in=(Organization.State.CLOSED, Organization.State.REJECTED))


def find_orphaned(_now: datetime) -> Iterator[list[Incident]]:
    """Yield the orphaned organizations, in chunks of one query each."""
    after = 0
    while rows := list(orphaned_organizations().filter(pk__gt=after).order_by("pk")[:CHUNK]):
        yield [Incident(f"{ORPHANED}:{row.pk}", "No owner who can sign in is left.", row, row, "org.orphaned") for row in rows]
        after = rows[-1].pk


def led_again(rows: list[Reminder]) -> list[Recovery]:
    """Return which of the told incidents are over. One query."""
    numbers = {int(row.subject.rpartition(":")[2]): row for row in rows}
    still = set(orphaned_organizations().filter(pk__in=numbers).values_list("pk", flat=True))
    return [Recovery(row) for number, row in numbers.items() if number not in still]
