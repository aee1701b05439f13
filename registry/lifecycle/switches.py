"""Switches of a client that are no metadata: only staff may set them."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from django.db import transaction

from protocol.errors import TransitionRefused
from registry.actors import Actor
from registry.lifecycle.records import lock_client
from registry.lifecycle.steps import record_step
from registry.models import Client
from registry.transitions import OPERATOR, REVIEWER

# Introspection shows a resource server the tokens of every organization, so granting it is the operator's decision.
SWITCHES: Final = {
    "accepts_token_endpoint_audience": (REVIEWER, OPERATOR),
    "is_resource_server": (OPERATOR,),
}


def set_client_switch(client: Client, name: str, value: bool, actor: Actor, *, now: datetime) -> Client:
    """Set the switch `name` of `SWITCHES`; return the client. A switch that has this value already is left alone.

    Raises TransitionRefused with reason permission or state.
    """
    roles = SWITCHES[name]
    with transaction.atomic():
        row = lock_client(client)
        if not actor.has_role(row.organization, *roles):
            raise TransitionRefused("permission", f"Only {' or '.join(roles)} may do this.")
        if row.state == Client.State.CLOSED:
            raise TransitionRefused("state", "This app is closed.")
        before = getattr(row, name)
        if before != value:
            setattr(row, name, value)
            row.updated = now
            row.save(update_fields=[name, "updated"])
            record_step(actor, "client.switched", row, row.organization, difference={name: [before, value]})
        return row
