"""The keys of a client: from its `jwks`, or fetched from its `jwks_uri` and kept (DCR-JWK-07, -08; threats.md F13)."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any, Final

from django.db.models import QuerySet

from protocol.errors import FetchError, InvalidJson, InvalidKeySet
from protocol.fetch import FetchPurpose, FetchResponse, standard_request
from protocol.jose import KeySet, parse_jwk_set_once
from protocol.strict_json import parse_json_object
from registry.models import Client, ClientKeySet, ClientKeyUse
from registry.outbound import get_fetcher

SHORTEST_FRESHNESS: Final = timedelta(minutes=5)
LONGEST_FRESHNESS: Final = timedelta(hours=24)
KEPT_AFTER_FAILURE: Final = timedelta(hours=24)
COOL_DOWN: Final = timedelta(seconds=30)
_MAX_AGE = re.compile(r"(?:^|[,\s])max-age=([0-9]{1,9})(?:$|[,\s])", re.IGNORECASE)


def get_client_keys(client: Client, *, kid: str | None, now: datetime) -> KeySet:
    """Return the keys to verify a signature of `client` with; `kid` is the key the signature names, if it names one.

    Keys behind a `jwks_uri` are fetched when there are none or they are no longer fresh, and once more for an unknown `kid`; not more
    often than every 30 seconds, whatever comes in. Raises InvalidKeySet when there are no usable keys.
    """
    if (jwks := client.metadata.get("jwks")) is not None:
        return parse_jwk_set_once(jwks)
    uri = client.metadata.get("jwks_uri")
    if not uri:
        raise InvalidKeySet("none", "This client has no keys.")
    row = ClientKeySet.objects.filter(client=client, jwks_uri=uri).first()
    if row is None or not _is_fresh(row, now):
        row = _refetch(client, uri, row, now)
    keys = _keys_of(row, now)
    if kid is not None and all(key.kid != kid for key in keys.keys):
        keys = _keys_of(_refetch(client, uri, row, now), now)
    return keys


def fetch_client_keys(client: Client, *, now: datetime) -> ClientKeySet:
    """Fetch the keys behind the client's `jwks_uri` now, unless that was done in the last 30 seconds; return how it went."""
    uri = client.metadata["jwks_uri"]
    return _refetch(client, uri, ClientKeySet.objects.filter(client=client, jwks_uri=uri).first(), now)


def note_keys(client: Client, jwks: Any) -> None:
    """Write down which keys `client` has, from a key set that parses, or none."""
    thumbprints = {key.thumbprint for key in parse_jwk_set_once(jwks).keys} if jwks else set()
    ClientKeyUse.objects.filter(client=client).exclude(thumbprint__in=thumbprints).delete()
    ClientKeyUse.objects.bulk_create([ClientKeyUse(client=client, thumbprint=name) for name in sorted(thumbprints)], ignore_conflicts=True)


def note_first_keys(client: Client) -> None:
    """Write down the registered keys of a client just made. One statement, none without keys."""
    if jwks := client.metadata.get("jwks"):
        keys = {key.thumbprint for key in parse_jwk_set_once(jwks).keys}
        ClientKeyUse.objects.bulk_create([ClientKeyUse(client=client, thumbprint=name) for name in sorted(keys)])


def keep_fetched_keys(client: Client, jwks: Any, answer: FetchResponse, *, now: datetime) -> None:
    """Keep the keys that were fetched from the client's `jwks_uri` when it registered, so that its first request needs no fetch."""
    ClientKeySet.objects.update_or_create(
        client=client,
        defaults={
            "jwks_uri": client.metadata["jwks_uri"], "jwks": jwks, "fetched_at": now, "attempted_at": now, "failure": "",
            "fresh_until": now + freshness_of(answer),
        },
    )  # fmt: skip
    note_keys(client, jwks)


def clients_sharing_keys(client: Client, jwks: Any = None) -> QuerySet[Client]:
    """Return clients of other organizations that have a key of `client`, or of the key set `jwks` it asks for; a reviewer should
    ask why (DCR-JWK-09).
    """
    own = set(ClientKeyUse.objects.filter(client=client).values_list("thumbprint", flat=True))
    if jwks is not None:
        own |= {key.thumbprint for key in parse_jwk_set_once(jwks).keys}
    return Client.objects.filter(key_uses__thumbprint__in=own).exclude(organization=client.organization_id).distinct()


def _is_fresh(row: ClientKeySet, now: datetime) -> bool:
    return row.fresh_until is not None and now < row.fresh_until


def _keys_of(row: ClientKeySet, now: datetime) -> KeySet:
    """Return the last good keys, unless they are too old to be trusted."""
    if row.jwks is None or row.fresh_until is None or now >= row.fresh_until + KEPT_AFTER_FAILURE:
        raise InvalidKeySet("unavailable", "The keys of this client cannot be fetched.")
    return parse_jwk_set_once(row.jwks)


def _refetch(client: Client, uri: str, row: ClientKeySet | None, now: datetime) -> ClientKeySet:
    if row is not None and row.attempted_at > now - COOL_DOWN:
        return row
    # The attempt is noted before it is made, so that parallel requests see the cool-down.
    ClientKeySet.objects.update_or_create(client=client, defaults=_attempt(uri, row, now))
    try:
        response = get_fetcher().fetch(standard_request(FetchPurpose.JWKS, uri))
        found = parse_json_object(response.body, max_bytes=len(response.body))
        parse_jwk_set_once(found)
    except (FetchError, InvalidJson, InvalidKeySet) as error:
        changes: dict[str, Any] = {"failure": error.description[:200]}
    else:
        note_keys(client, found)
        changes = {"jwks": found, "fetched_at": now, "fresh_until": now + freshness_of(response), "failure": ""}
    ClientKeySet.objects.filter(client=client).update(**changes)
    return ClientKeySet.objects.get(client=client)


def _attempt(uri: str, row: ClientKeySet | None, now: datetime) -> dict[str, Any]:
    fresh_start = {"jwks": None, "fetched_at": None, "fresh_until": None, "failure": ""} if row is None else {}
    return {"jwks_uri": uri, "attempted_at": now, **fresh_start}


def freshness_of(response: FetchResponse) -> timedelta:
    """Return how long fetched keys count as fresh: Cache-Control max-age, between 5 minutes and 24 hours."""
    match = _MAX_AGE.search(response.headers.get("cache-control", ""))
    wanted = timedelta(seconds=int(match[1])) if match else SHORTEST_FRESHNESS
    return max(SHORTEST_FRESHNESS, min(wanted, LONGEST_FRESHNESS))
