"""Resource servers: clients of the operator organization with the right to introspect (house decision 8)."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from registry.actors import Actor
from registry.client_secrets import NewSecret
from registry.credentials import create_secret
from registry.lifecycle import create_organization, register_client
from registry.lifecycle.organizations import approve_without_review
from registry.models import Client, Organization


def get_operator_organization(actor: Actor, *, now: datetime) -> Organization:
    """Return the organization of this server's operator, made at first use."""
    organization = Organization.objects.filter(is_operator=True).first()
    if organization is None:
        organization = create_organization(actor, "Credence operator", now=now, is_operator=True)
        organization = approve_without_review(organization, actor, now=now)
    return organization


def create_resource_server(name: str, actor: Actor, *, now: datetime) -> tuple[Client, NewSecret]:
    """Create a resource server called `name`, live at once; return it with its first secret.

    Raises MetadataRefused when the name is refused.
    """
    with transaction.atomic():
        document = {"client_name": name, "grant_types": ["client_credentials"], "token_endpoint_auth_method": "client_secret_basic"}
        organization = get_operator_organization(actor, now=now)
        client = register_client(actor, organization, document, now=now, stage=Client.Stage.LIVE, is_resource_server=True)
        return client, create_secret(client, actor, now=now, label="first")
