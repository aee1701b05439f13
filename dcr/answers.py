"""What is answered about a registration (RFC 7591, 3.2.1)."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.urls import reverse

from dcr.registration import Registration
from registry.sensitivity import reasons_for_review


def build_client_information(registration: Registration) -> dict[str, Any]:
    """Return the client information response: everything registered, defaults and changes of ours included (DCR-RESP-*).

    `stage` and `org_id` are ours, and so are `notes` (what was changed, by which rule) and `change_request` (what waits for a person).
    """
    client = registration.client
    answer: dict[str, Any] = {
        "client_id": client.client_id,
        "client_id_issued_at": int(client.created.timestamp()),
        **client.metadata,
        "registration_client_uri": registration_client_uri(client.client_id),
        "registration_access_token": registration.registration_access_token,
        "stage": client.stage,
        "org_id": str(client.organization.org_id),
    }
    if registration.secret is not None:
        answer |= {"client_secret": registration.secret, "client_secret_expires_at": 0}
    if registration.statement is not None:
        answer["software_statement"] = registration.statement
    if registration.notes:
        notes = registration.notes
        answer["notes"] = [
            {"member": note.field, "rule": note.code, "description": f"{note.sentence} {note.hint}".strip()} for note in notes
        ]
    if registration.change_request is not None:
        asked = registration.change_request.metadata
        reasons = list(reasons_for_review(client.metadata, asked))
        answer["change_request"] = {"state": registration.change_request.state, "reasons": reasons, "metadata": asked}
    return answer


def registration_client_uri(client_id: str) -> str:
    """Return where a client manages its registration."""
    return settings.ISSUER + reverse("registration", args=[client_id])
