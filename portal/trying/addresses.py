"""The test callback among an app's redirect URIs: put there and taken away by the ordinary change of an app."""

from __future__ import annotations

from datetime import datetime

from portal.trying.started import callback_of
from registry.actors import Actor
from registry.lifecycle import Update, update_client
from registry.models import Client


def has_callback(client: Client) -> bool:
    """Say whether the test callback is registered."""
    return callback_of(client) in client.registered_redirect_uris


def add_callback(client: Client, actor: Actor, *, now: datetime) -> Update:
    """Register the test callback. Raises MetadataRefused or TransitionRefused, as every change of an app does."""
    return _change(client, [*_others(client), callback_of(client)], actor, now)


def remove_callback(client: Client, actor: Actor, *, now: datetime) -> Update:
    """Take the test callback away. Raises the same."""
    return _change(client, _others(client), actor, now)


def _others(client: Client) -> list[str]:
    declared = client.declared_metadata.get("redirect_uris", client.registered_redirect_uris)
    return [uri for uri in declared if uri != callback_of(client)]


def _change(client: Client, redirect_uris: list[str], actor: Actor, now: datetime) -> Update:
    return update_client(client, actor, {**client.declared_metadata, "redirect_uris": redirect_uris}, now=now)
