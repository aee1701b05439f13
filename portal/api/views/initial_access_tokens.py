"""Initial access tokens: what lets software of an organization register apps by itself (RFC 7591, 3)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import ErrorDetail, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from dcr.initial_access_tokens import TokenTerms, create_initial_access_token, revoke_initial_access_token
from dcr.models import RegistrationProfile
from portal.api.lookups import get_initial_access_token, get_organization, initial_access_tokens_for
from portal.api.serializers.common import PageQuery
from portal.api.serializers.initial_access_tokens import (
    InitialAccessTokenPageSerializer,
    InitialAccessTokenSerializer,
    InitialAccessTokenTerms,
    NewInitialAccessTokenSerializer,
    RefusedRegistrationPageSerializer,
)
from portal.api.views.base import ApiView, answer

_TAG: Final = "Initial access tokens"


class InitialAccessTokensView(ApiView):
    """The tokens of an organization."""

    tag = _TAG

    @extend_schema(operation_id="list_initial_access_tokens", parameters=[PageQuery], responses=InitialAccessTokenPageSerializer)
    def get(self, request: Request, slug: str) -> Response:  # noqa: ARG002
        """List the tokens of an organization, newest first; never their values."""
        organization, query = get_organization(self.caller, slug), self.query(PageQuery)
        return self.page(initial_access_tokens_for(organization), query, InitialAccessTokenPageSerializer)

    @extend_schema(
        operation_id="create_initial_access_token",
        request=InitialAccessTokenTerms,
        responses={201: NewInitialAccessTokenSerializer},
    )
    def post(self, request: Request, slug: str) -> Response:  # noqa: ARG002
        """Make a token. Its value is in this answer and never again; one of yours ends with your app."""
        organization, now = get_organization(self.caller, slug), timezone.now()
        terms = _terms(self.body(InitialAccessTokenTerms), now)
        made = create_initial_access_token(organization, self.caller.actor, terms, now=now)
        return answer(NewInitialAccessTokenSerializer(made), status=201)


def _terms(wanted: dict[str, Any], now: datetime) -> TokenTerms:
    return TokenTerms(
        label=wanted["label"],
        expires_at=now + timedelta(seconds=wanted["expires_in"]),
        uses_limit=wanted["uses_limit"],
        stage=wanted["stage"],
        restrictions=wanted.get("restrictions", {}),
        source_networks=tuple(wanted.get("source_networks", ())),
        profile=_profile(wanted["profile"]) if "profile" in wanted else None,
    )


def _profile(name: str) -> RegistrationProfile:
    found = RegistrationProfile.objects.filter(name=name).first()
    if found is None:
        raise ValidationError({"profile": [ErrorDetail("There is no profile of this name.", code="unknown")]})
    return found


class InitialAccessTokenView(ApiView):
    """One token."""

    tag = _TAG

    @extend_schema(operation_id="get_initial_access_token", responses=InitialAccessTokenSerializer)
    def get(self, request: Request, slug: str, token: UUID) -> Response:  # noqa: ARG002
        """Return a token, without its value."""
        return answer(InitialAccessTokenSerializer(get_initial_access_token(self.caller, slug, token)))

    @extend_schema(operation_id="revoke_initial_access_token", responses={204: None})
    def delete(self, request: Request, slug: str, token: UUID) -> Response:  # noqa: ARG002
        """End a token at once; what it registered stays."""
        revoke_initial_access_token(get_initial_access_token(self.caller, slug, token), self.caller.actor, now=timezone.now())
        return Response(status=204)


class RefusedRegistrationsView(ApiView):
    """What was tried with a token and refused."""

    tag = _TAG

    @extend_schema(operation_id="list_refused_registrations", parameters=[PageQuery], responses=RefusedRegistrationPageSerializer)
    def get(self, request: Request, slug: str, token: UUID) -> Response:  # noqa: ARG002
        """List the last registrations that were refused with a token, newest first."""
        row = get_initial_access_token(self.caller, slug, token)
        return self.page(row.refused.all(), self.query(PageQuery), RefusedRegistrationPageSerializer)
