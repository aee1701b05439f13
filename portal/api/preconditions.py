"""Edits that say what they were made from (RFC 9110, 13.1.1)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import transaction

from dcr.client_configuration import check_version
from registry.actors import Actor
from registry.lifecycle import Update, update_client
from registry.models import Client


def update_client_if_match(
    client: Client, actor: Actor, document: dict[str, Any], *, if_match: str | None, now: datetime, justification: str
) -> Update:
    """Replace the metadata of `client`, if it is still what `if_match` names; of two edits that read the same version one fails.

    Raises PreconditionFailed, and what `update_client` raises.
    """
    with transaction.atomic():
        check_version(client, if_match)
        return update_client(client, actor, document, now=now, justification=justification)
