"""Writing clients and their change requests, for the transitions of this package only."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db.models import Q

from protocol.strict_json import canonical_json
from registry.actors import Actor
from registry.audit import difference_between
from registry.client_keys import note_keys
from registry.client_metadata import known_members
from registry.entitlements import grant_scopes_by_policy
from registry.lifecycle.steps import record_step
from registry.models import ChangeRequest, Client


def lock_client(client: Client) -> Client:
    """Return the client's row, locked for this transaction, with its organization."""
    return Client.objects.select_for_update(of=("self",)).select_related("organization").get(pk=client.pk)


def write_metadata(client: Client, metadata: dict[str, Any], *, now: datetime) -> None:
    """Store registered metadata, its projection onto the toolkit's columns, and what follows from it for entitlements and secrets."""
    project_metadata(client, metadata)
    client.save()
    if "jwks_uri" not in metadata:  # which keys are behind one is noted when they are fetched
        note_keys(client, metadata.get("jwks"))
    grant_scopes_by_policy(client)
    if not client.uses_secret:  # a secret must not come back to life with the method (DCR-MGT-10)
        client.secrets.filter(Q(expires_at__isnull=True) | Q(expires_at__gt=now)).update(expires_at=now)


def project_metadata(client: Client, metadata: dict[str, Any]) -> None:
    """Set registered metadata and its projection onto the toolkit's columns."""
    client.metadata = metadata
    client.name = metadata.get("client_name", "")
    client.redirect_uris = " ".join(metadata.get("redirect_uris", []))
    client.post_logout_redirect_uris = " ".join(metadata.get("post_logout_redirect_uris", []))
    public = metadata["token_endpoint_auth_method"] == "none"
    client.client_type = Client.CLIENT_PUBLIC if public else Client.CLIENT_CONFIDENTIAL
    redirects = "authorization_code" in metadata["grant_types"]
    client.authorization_grant_type = Client.GRANT_AUTHORIZATION_CODE if redirects else Client.GRANT_CLIENT_CREDENTIALS


def apply_metadata(
    row: Client, metadata: dict[str, Any], actor: Actor, *, now: datetime, declared: Mapping[str, object] | None = None
) -> None:
    """Register `metadata` for the locked `row` and write the difference to the trail; requests about the old content are superseded."""
    difference = difference_between(row.metadata, metadata)
    if declared is not None:
        row.declared_metadata = known_members(declared)
    write_metadata(row, metadata, now=now)
    if difference:
        supersede_open_requests(row, actor)
        record_step(actor, "client.updated", row, row.organization, difference=difference)


def supersede_open_requests(row: Client, actor: Actor) -> None:
    """Mark the open requests of the locked `row` as superseded."""
    for request in row.change_requests.filter(state=ChangeRequest.State.OPEN):
        request.state = ChangeRequest.State.SUPERSEDED
        request.save(update_fields=["state"])
        record_step(actor, "change.superseded", request, row.organization)


def content_digest(client: Client, kind: str, metadata: Mapping[str, Any]) -> str:
    """Return the SHA-256 of what a reviewer decides on: which client, what is asked, the metadata asked for."""
    content = {"client": str(client.reference), "kind": str(kind), "metadata": dict(metadata)}
    return hashlib.sha256(canonical_json(content)).hexdigest()


def open_change_request(
    row: Client, kind: str, metadata: dict[str, Any], actor: Actor, *, now: datetime, justification: str
) -> ChangeRequest:
    """Open a request for the locked `row`; an open one before it is superseded."""
    supersede_open_requests(row, actor)
    request = ChangeRequest.objects.create(
        client=row,
        kind=kind,
        metadata=metadata,
        base_digest=content_digest(row, "base", row.metadata),
        digest=content_digest(row, kind, metadata),
        justification=justification,
        submitted_by=actor.user,
        submitted_at=now,
    )
    record_step(actor, "change.requested", request, row.organization, reason=justification)
    return request
