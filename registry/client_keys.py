"""The keys of a client: from its `jwks`, or fetched from its `jwks_uri` and kept (DCR-JWK-07, -08; threats.md F13)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db.models import QuerySet

from protocol.errors import InvalidKeySet
from protocol.fetch import FetchResponse
from protocol.jose import KeySet, parse_jwk_set_once
from registry.key_addresses import freshness_of, is_fresh, kept_keys, refetch
from registry.models import Client, ClientKeySet, ClientKeyUse


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
    if row is None or not is_fresh(row, now):
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


def _keys_of(row: ClientKeySet, now: datetime) -> KeySet:
    keys = kept_keys(row, now)
    if keys is None:
        raise InvalidKeySet("unavailable", "The keys of this client cannot be fetched.")
    return keys


def _refetch(client: Client, uri: str, row: ClientKeySet | None, now: datetime) -> ClientKeySet:
    fetched = refetch(ClientKeySet.objects, {"client": client}, uri, row, now)
    if fetched is not row and not fetched.failure:
        note_keys(client, fetched.jwks)
    return fetched
