"""Registration without any token: off unless a setting opens it, for the test stage only, and soon over (threats.md R01)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from django.db import IntegrityError, transaction

from dcr.models import OpenRegistration
from registry.actors import Actor, job
from registry.lifecycle import change_client, create_organization
from registry.models import Client, Organization

NEVER_USED_FOR: Final = timedelta(hours=24)
OPEN_REGISTRATION: Final = job("open registration")
OPEN_RESTRICTIONS: Final[dict[str, Any]] = {"redirect_uris_limit": 5}


def get_open_organization(*, now: datetime) -> Organization:
    """Return the organization of open registration, made at first use; a draft forever, so that nothing in it goes live."""
    known = OpenRegistration.objects.select_related("organization").first()
    if known is not None:
        return known.organization
    try:
        with transaction.atomic():
            organization = create_organization(OPEN_REGISTRATION, "Open registration", now=now)
            OpenRegistration.objects.create(organization=organization)
            return organization
    except IntegrityError:  # another request was first
        return OpenRegistration.objects.select_related("organization").get().organization


def close_unused_clients(actor: Actor, *, now: datetime, limit: int = 500) -> int:
    """Close clients of open registration that were not used in their first day; return how many."""
    unused = Client.objects.filter(source=Client.Source.DCR, last_used_at=None, created__lte=now - NEVER_USED_FOR)
    unused = unused.filter(organization__in=OpenRegistration.objects.values("organization")).exclude(state=Client.State.CLOSED)
    closed = 0
    for client in unused.order_by("pk")[:limit]:
        change_client(client, "close", actor, now=now, reason="It was registered without a token and not used for a day.")
        closed += 1
    return closed
