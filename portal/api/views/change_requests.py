"""What waits for a person, and the decisions about it."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from portal.api.lookups import change_requests_for, get_change_request, get_organization
from portal.api.serializers.change_requests import (
    ChangeDecision,
    ChangeRequestPageSerializer,
    ChangeRequestQuery,
    ChangeRequestSerializer,
)
from portal.api.views.base import ApiView, answer
from registry.actors import Actor
from registry.lifecycle import assign_change, decide_change
from registry.models import ChangeRequest
from registry.reviews import approve_reviewed_change

_TAG: Final = "Change requests"


class ChangeRequestsView(ApiView):
    """Every change request."""

    tag = _TAG
    admin_methods = ("GET", "HEAD")

    @extend_schema(operation_id="list_all_change_requests", parameters=[ChangeRequestQuery], responses=ChangeRequestPageSerializer)
    def get(self, request: Request) -> Response:  # noqa: ARG002
        """List the change requests of all organizations, newest first."""
        query = self.query(ChangeRequestQuery)
        return self.page(change_requests_for(self.caller), query, ChangeRequestPageSerializer, **_filters(query))


class OrganizationChangeRequestsView(ApiView):
    """The change requests of an organization."""

    tag = _TAG

    @extend_schema(operation_id="list_change_requests", parameters=[ChangeRequestQuery], responses=ChangeRequestPageSerializer)
    def get(self, request: Request, slug: str) -> Response:  # noqa: ARG002
        """List the change requests of an organization, newest first."""
        organization, query = get_organization(self.caller, slug), self.query(ChangeRequestQuery)
        rows = change_requests_for(self.caller).filter(client__organization=organization)
        return self.page(rows, query, ChangeRequestPageSerializer, **_filters(query))


def _filters(query: dict[str, Any]) -> dict[str, Any]:
    return {name: query.get(name) for name in ("state", "kind")}


class ChangeRequestView(ApiView):
    """One change request."""

    tag = _TAG

    @extend_schema(operation_id="get_change_request", responses=ChangeRequestSerializer)
    def get(self, request: Request, reference: UUID) -> Response:  # noqa: ARG002
        """Return a change request."""
        return answer(ChangeRequestSerializer(get_change_request(self.caller, reference)))


class ChangeDecisionsView(ApiView):
    """Decisions about a change request."""

    tag = _TAG

    @extend_schema(operation_id="decide_change_request", request=ChangeDecision, responses={200: ChangeRequestSerializer})
    def post(self, request: Request, reference: UUID) -> Response:  # noqa: ARG002
        """Withdraw a request of your own organization, or review one of another."""
        change, decision = get_change_request(self.caller, reference), self.body(ChangeDecision)
        _decide(change, self.caller.actor, decision)
        return answer(ChangeRequestSerializer(get_change_request(self.caller, reference)))


def _decide(change: ChangeRequest, actor: Actor, decision: dict[str, Any]) -> None:
    now, step, reason = timezone.now(), decision["step"], decision["reason"]
    if step == "assign":
        assign_change(change, actor)
    elif step == "approve":
        approve_reviewed_change(change, actor, digest=decision["digest"], now=now, reason=reason, override=decision["override"])
    else:
        decide_change(change, step, actor, now=now, reason=reason)
