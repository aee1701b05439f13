"""What a caller may see: the one place where a view of the API finds its objects (threats.md R09).

Every lookup starts from the organizations of the caller, so that what is not theirs does not exist for them.
"""

from __future__ import annotations

from typing import TypeVar
from uuid import UUID

from django.db.models import QuerySet
from django.http import Http404

from dcr.initial_access_tokens import with_keeper
from dcr.models import InitialAccessToken
from portal.api.authentication import Caller
from registry.models import AuditEvent, ChangeRequest, Client, ClientSecret, Organization

Row = TypeVar("Row")


def organizations_for(caller: Caller) -> QuerySet[Organization]:
    """Return every organization for the operator's apps, its own for any other."""
    rows = Organization.objects.order_by("legal_name", "pk").prefetch_related("contacts")
    return rows if caller.is_admin else rows.filter(pk=caller.client.organization_id)


def get_organization(caller: Caller, slug: str) -> Organization:
    """Return an organization. Raises Http404."""
    return _found(organizations_for(caller).filter(slug=slug).first())


def clients_for(caller: Caller) -> QuerySet[Client]:
    """Return the apps of the caller's organizations."""
    rows = Client.objects.select_related("organization").order_by("name", "pk")
    return rows if caller.is_admin else rows.filter(organization=caller.client.organization_id)


def get_client(caller: Caller, reference: UUID) -> Client:
    """Return an app with its organization. Raises Http404."""
    return _found(clients_for(caller).filter(reference=reference).first())


def get_secret(client: Client, number: int) -> ClientSecret:
    """Return a secret of an app. Raises Http404."""
    return _found(client.secrets.filter(pk=number).first())


def change_requests_for(caller: Caller) -> QuerySet[ChangeRequest]:
    """Return the change requests of the caller's organizations, newest first."""
    rows = ChangeRequest.objects.select_related("client__organization").order_by("-submitted_at", "-pk")
    return rows if caller.is_admin else rows.filter(client__organization=caller.client.organization_id)


def get_change_request(caller: Caller, reference: UUID) -> ChangeRequest:
    """Return a change request with its app and organization. Raises Http404."""
    return _found(change_requests_for(caller).filter(reference=reference).first())


def audit_events_for(caller: Caller) -> QuerySet[AuditEvent]:
    """Return the trail of the caller's organizations, newest first."""
    rows = AuditEvent.objects.select_related("organization").order_by("-pk")
    return rows if caller.is_admin else rows.filter(organization=caller.client.organization_id)


def initial_access_tokens_for(organization: Organization) -> QuerySet[InitialAccessToken]:
    """Return the tokens of an organization that the caller was found to see, newest first."""
    return with_keeper().filter(organization=organization)


def get_initial_access_token(caller: Caller, slug: str, reference: UUID) -> InitialAccessToken:
    """Return a token with its organization and keeper. Raises Http404."""
    return _found(initial_access_tokens_for(get_organization(caller, slug)).filter(reference=reference).first())


def _found(row: Row | None) -> Row:
    if row is None:
        raise Http404
    return row
