"""Apps: registered by hand, edited, stopped, asked to go live."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from dcr.client_configuration import version_of
from portal.api.lookups import clients_for, get_client, get_organization
from portal.api.preconditions import update_client_if_match
from portal.api.serializers.change_requests import ChangeRequestSerializer
from portal.api.serializers.clients import (
    ClientPageSerializer,
    ClientQuery,
    ClientReplacement,
    ClientSerializer,
    ClientTransition,
    ClientUpdateSerializer,
    GoLive,
    NewClient,
)
from portal.api.views.base import ApiView, answer
from registry.lifecycle import change_client, register_client, request_go_live

_TAG: Final = "Apps"
_VERSION: Final = OpenApiParameter("ETag", OpenApiTypes.STR, OpenApiParameter.HEADER, response=True, description="Of its metadata.")
_IF_MATCH: Final = OpenApiParameter(
    "If-Match", OpenApiTypes.STR, OpenApiParameter.HEADER, description="The ETag that was read; refused when the metadata differs by now."
)


class ClientsView(ApiView):
    """The apps of an organization, however they were registered."""

    tag = _TAG

    @extend_schema(operation_id="list_clients", parameters=[ClientQuery], responses=ClientPageSerializer)
    def get(self, request: Request, slug: str) -> Response:  # noqa: ARG002
        """List the apps of an organization."""
        organization, query = get_organization(self.caller, slug), self.query(ClientQuery)
        filters = {name: query.get(name) for name in ("state", "stage", "source")}
        return self.page(clients_for(self.caller).filter(organization=organization), query, ClientPageSerializer, **filters)

    @extend_schema(operation_id="register_client", request=NewClient, responses={201: ClientSerializer}, parameters=[_VERSION])
    def post(self, request: Request, slug: str) -> Response:  # noqa: ARG002
        """Register an app of your organization, in test; of another one it is a draft that an owner claims."""
        organization = get_organization(self.caller, slug)
        client = register_client(
            self.caller.actor,
            organization,
            self.body(NewClient)["metadata"],
            now=timezone.now(),
            offer_to_owner=not self.caller.owns(organization),
        )
        return answer(ClientSerializer(client), status=201, ETag=version_of(client))


class ClientView(ApiView):
    """One app."""

    tag = _TAG
    conditional_methods = ("PUT",)

    @extend_schema(operation_id="get_client", responses=ClientSerializer, parameters=[_VERSION])
    def get(self, request: Request, reference: UUID) -> Response:  # noqa: ARG002
        """Return an app."""
        client = get_client(self.caller, reference)
        return answer(ClientSerializer(client), ETag=version_of(client))

    @extend_schema(
        operation_id="replace_client",
        request=ClientReplacement,
        responses={200: ClientUpdateSerializer, 202: ClientUpdateSerializer},
        parameters=[_VERSION, _IF_MATCH],
    )
    def put(self, request: Request, reference: UUID) -> Response:
        """Replace the metadata of an app registered by hand. A sensitive edit of a live app waits for a reviewer: 202."""
        client, wanted = get_client(self.caller, reference), self.body(ClientReplacement)
        update = update_client_if_match(
            client,
            self.caller.actor,
            wanted["metadata"],
            if_match=request.headers.get("If-Match"),
            now=timezone.now(),
            justification=wanted["justification"],
        )
        found = {
            "client": update.client,
            "change_request": update.change_request,
            "reasons": update.reasons,
            "findings": update.assessment.findings,
        }
        return answer(ClientUpdateSerializer(found), status=202 if update.change_request else 200, ETag=version_of(update.client))


class ClientTransitionsView(ApiView):
    """Steps of an app."""

    tag = _TAG

    @extend_schema(operation_id="step_client", request=ClientTransition, responses={200: ClientSerializer})
    def post(self, request: Request, reference: UUID) -> Response:  # noqa: ARG002
        """Make a step. Pausing, suspending and closing end every token of the app at once."""
        client, step = get_client(self.caller, reference), self.body(ClientTransition)
        return answer(ClientSerializer(change_client(client, step["step"], self.caller.actor, now=timezone.now(), reason=step["reason"])))


class GoLiveView(ApiView):
    """Asking for an app to go live."""

    tag = _TAG

    @extend_schema(operation_id="ask_to_go_live", request=GoLive, responses={201: ChangeRequestSerializer})
    def post(self, request: Request, reference: UUID) -> Response:  # noqa: ARG002
        """Ask for an app of your organization to go live; people decide."""
        client, asked = get_client(self.caller, reference), self.body(GoLive)
        made = request_go_live(client, self.caller.actor, now=timezone.now(), justification=asked["justification"])
        return answer(ChangeRequestSerializer(made), status=201)
