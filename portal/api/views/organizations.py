"""Organizations."""

from __future__ import annotations

from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from portal.api.lookups import get_organization, organizations_for
from portal.api.serializers.organizations import (
    NewOrganization,
    OrganizationChanges,
    OrganizationDetailSerializer,
    OrganizationPageSerializer,
    OrganizationQuery,
    OrganizationTransition,
)
from portal.api.views.base import ApiView, answer
from registry.actors import Actor
from registry.lifecycle import change_organization, create_organization, update_organization
from registry.models import Organization
from registry.reviews import approve_reviewed_organization

_TAG = "Organizations"


class OrganizationsView(ApiView):
    """All organizations that the caller may see."""

    tag = _TAG
    admin_methods = ("POST",)

    @extend_schema(operation_id="list_organizations", parameters=[OrganizationQuery], responses=OrganizationPageSerializer)
    def get(self, request: Request) -> Response:  # noqa: ARG002
        """List organizations: every one with registry.admin, your own otherwise."""
        query = self.query(OrganizationQuery)
        return self.page(organizations_for(self.caller), query, OrganizationPageSerializer, state=query.get("state"))

    @extend_schema(operation_id="create_organization", request=NewOrganization, responses={201: OrganizationDetailSerializer})
    def post(self, request: Request) -> Response:  # noqa: ARG002
        """Create a draft organization."""
        values = self.body(NewOrganization)
        name, contacts = values.pop("legal_name"), values.pop("contacts", None)
        made = create_organization(self.caller.actor, name, now=timezone.now(), contacts=contacts, **values)
        return answer(OrganizationDetailSerializer(made), status=201)


class OrganizationView(ApiView):
    """One organization."""

    tag = _TAG

    @extend_schema(operation_id="get_organization", responses=OrganizationDetailSerializer)
    def get(self, request: Request, slug: str) -> Response:  # noqa: ARG002
        """Return an organization."""
        return answer(OrganizationDetailSerializer(get_organization(self.caller, slug)))

    @extend_schema(operation_id="change_organization", request=OrganizationChanges, responses={200: OrganizationDetailSerializer})
    def patch(self, request: Request, slug: str) -> Response:  # noqa: ARG002
        """Change details and contacts; what is not in the body stays."""
        organization = get_organization(self.caller, slug)
        values: dict[str, Any] = self.body(OrganizationChanges)
        contacts = values.pop("contacts", None)
        return answer(OrganizationDetailSerializer(update_organization(organization, self.caller.actor, contacts=contacts, **values)))


class OrganizationTransitionsView(ApiView):
    """Steps of an organization: submitted, reviewed, suspended, closed."""

    tag = _TAG

    @extend_schema(operation_id="step_organization", request=OrganizationTransition, responses={200: OrganizationDetailSerializer})
    def post(self, request: Request, slug: str) -> Response:  # noqa: ARG002
        """Make a step. Which there are for you depends on the state, and on whether it is your own organization."""
        organization, step = get_organization(self.caller, slug), self.body(OrganizationTransition)
        return answer(OrganizationDetailSerializer(_make_step(organization, self.caller.actor, step)))


def _make_step(organization: Organization, actor: Actor, step: dict[str, Any]) -> Organization:
    given: dict[str, Any] = {"now": timezone.now(), "reason": step["reason"], "digest": step.get("digest")}
    if step["step"] == "approve":
        return approve_reviewed_organization(organization, actor, override=step["override"], **given)
    return change_organization(organization, step["step"], actor, **given)
