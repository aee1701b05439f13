"""Clients that register themselves over RFC 7591: written in few statements, since a machine may send many."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from protocol.errors import MetadataRefused
from registry.actors import Actor
from registry.audit import difference_between
from registry.client_keys import note_first_keys
from registry.client_metadata import known_members
from registry.client_secrets import NewSecret, write_secret
from registry.compiled import CompiledInsert
from registry.entitlements import grant_scopes
from registry.lifecycle.assessment import Assessment, Rules, assess_metadata
from registry.lifecycle.clients import check_room
from registry.lifecycle.records import project_metadata
from registry.lifecycle.steps import record_step
from registry.models import Client, Entitlement, Organization
from registry.policies import get_registration_facts

_CLIENTS: Final = CompiledInsert(Client)


@dataclass(frozen=True, slots=True)
class DynamicRegistration:
    """A client that registered itself, what the rules made of its document, and its first secret if its method needs one."""

    client: Client
    assessment: Assessment
    secret: NewSecret | None


def register_dynamic_client(
    actor: Actor,
    organization: Organization,
    document: Mapping[str, object],
    *,
    now: datetime,
    stage: str,
    restrictions: Mapping[str, Any],
    is_news: bool = False,
) -> DynamicRegistration:
    """Register a client of `organization`, whose row the caller has locked in its transaction; active at once.

    `is_news` sends the owners a mail. Raises MetadataRefused with all findings, or TransitionRefused with reason organization or limit.
    At most five statements.
    """
    facts = get_registration_facts(organization)
    check_room(organization, limit=facts.policy.clients_limit, count=facts.clients)
    rules = Rules(facts.policy, facts.scopes)
    assessment = assess_metadata(document, organization, stage=stage, now=now, restrictions=restrictions, rules=rules)
    if assessment.errors:
        raise MetadataRefused(assessment.findings)
    client = Client(
        organization=organization,
        source=Client.Source.DCR,
        stage=stage,
        state=Client.State.ACTIVE,
        state_changed_at=now,
        declared_metadata=known_members(document),
        restrictions=dict(restrictions),
    )
    project_metadata(client, assessment.metadata)
    _CLIENTS.insert(client)
    note_first_keys(client)
    grant_scopes(client, [name for name in client.scopes if not facts.scopes[name].is_sensitive], Entitlement.Because.POLICY)
    secret = write_secret(client, None, now=now, label="registration") if client.uses_secret else None
    difference = difference_between({}, assessment.metadata)
    if secret:
        difference["secret"] = [None, str(secret.row)]
    record_step(actor, "client.registered", client, organization, difference=difference, is_news=is_news)
    return DynamicRegistration(client, assessment, secret)
