"""Keeping what apps asked for and did not get, so that their developers see why (portal.md 4.3, page 22).

A stranger who knows a client_id, which is public, can make requests in its name that are refused, and each would be a row. So there are
few a minute, for each client and for each source, and few in all; rows say nothing of the request but a refused redirect URI.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from django.db import connection
from django.db.models import QuerySet

from protocol.constants import CLIENT_ID_LIMIT
from protocol.redaction import cut_credentials_from
from registry.models import Client, FailedRequest
from registry.windows import WindowCounter, network_of

KEPT: Final = timedelta(days=14)
ROWS_PER_CLIENT: Final = 200
PER_CLIENT: Final = 10
PER_SOURCE: Final = 30
DESCRIPTION_LIMIT: Final = 500
REDIRECT_URI_LIMIT: Final = 2000

# In the memory of one process, as all counting of strangers is: what is over the limit costs no query.
notes: Final = WindowCounter()

# One statement whether there is such a client or not, so that its cost does not tell; nothing is written for an unknown one.
_INSERT: Final = (
    "INSERT INTO registry_failedrequest (client_id, time, endpoint, error, description, request_id, redirect_uri) "
    "SELECT id, %s, %s, %s, %s, %s, %s FROM registry_client WHERE client_id = %s"
)


def note_failure(
    client_id: str,
    endpoint: str,
    error: str,
    description: str,
    request_id: str,
    *,
    now: datetime,
    redirect_uri: str = "",
    source: str = "",
) -> bool:
    """Keep that `endpoint` refused a request in the name of the client `client_id`; say whether it was counted in.

    `client_id` need not be proven, and nothing happens for one that nobody has. `description` is our sentence for the error; `redirect_uri`
    one that was refused; `source` the address that asked. Two statements at most. Call it outside the transaction of the request, whose end
    must not take the row along. May raise DatabaseError.
    """
    if not _is_possible(client_id) or not _is_within_limits(client_id, source):
        return False
    values = [
        connection.ops.adapt_datetimefield_value(now),
        endpoint[:40],
        error[:60],
        _one_line(description)[:DESCRIPTION_LIMIT],
        _one_line(request_id)[:64],
        _one_line(redirect_uri)[:REDIRECT_URI_LIMIT],
    ]
    with connection.cursor() as cursor:
        cursor.execute(_INSERT, [*values, client_id])
    _drop_oldest(client_id)
    return True


def _is_possible(client_id: str) -> bool:
    return 0 < len(client_id) <= CLIENT_ID_LIMIT and client_id.isascii() and client_id.isprintable()


def _is_within_limits(client_id: str, source: str) -> bool:
    """Count the note; what is over the share of its source does not use up the client's."""
    if source and notes.count("source", network_of(source)) > PER_SOURCE:
        return False
    return notes.count("client", client_id) <= PER_CLIENT


def _one_line(text: str) -> str:
    """Return `text` without credentials and without characters that nobody sees."""
    return "".join(character if character.isprintable() else " " for character in cut_credentials_from(text)).strip()


def _drop_oldest(client_id: str) -> None:
    """Delete the oldest rows of a client beyond ROWS_PER_CLIENT. One statement, for an unknown client too."""
    rows = FailedRequest.objects.filter(client__in=Client.objects.filter(client_id=client_id).order_by())
    oldest_kept = rows.order_by("-id").values("id")[ROWS_PER_CLIENT - 1 : ROWS_PER_CLIENT]
    too_old = rows.filter(id__lt=oldest_kept).order_by()
    too_old._raw_delete(too_old.db)


def failures_of_client(client: Client, now: datetime) -> QuerySet[FailedRequest]:
    """Return what was refused to `client` in the last 14 days, newest first."""
    return FailedRequest.objects.filter(client=client, time__gt=now - KEPT)


def purge_old_failures(now: datetime) -> int:
    """Delete what is older than 14 days; return how many rows. One statement."""
    deleted, _ = FailedRequest.objects.filter(time__lte=now - KEPT).delete()
    return deleted
