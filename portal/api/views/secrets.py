"""Secrets of an app. A value stands in exactly one answer: that of the request which made it."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from portal.api.lookups import get_client, get_secret
from portal.api.serializers.clients import NewSecretSerializer, SecretPageSerializer, SecretTerms
from portal.api.serializers.common import PageQuery
from portal.api.views.base import ApiView, answer
from registry.credentials import create_secret, end_secret


class SecretsView(ApiView):
    """The secrets of an app."""

    tag = "Secrets"

    @extend_schema(operation_id="list_secrets", parameters=[PageQuery], responses=SecretPageSerializer)
    def get(self, request: Request, reference: UUID) -> Response:  # noqa: ARG002
        """List the secrets of an app, ended ones too; never their values."""
        client = get_client(self.caller, reference)
        return self.page(client.secrets.all(), self.query(PageQuery), SecretPageSerializer)

    @extend_schema(operation_id="create_secret", request=SecretTerms, responses={201: NewSecretSerializer})
    def post(self, request: Request, reference: UUID) -> Response:  # noqa: ARG002
        """Make a secret. Its value is in this answer and never again."""
        client, terms = get_client(self.caller, reference), self.body(SecretTerms)
        now = timezone.now()
        made = create_secret(
            client,
            self.caller.actor,
            now=now,
            label=terms["label"],
            end_others_at=_after(now, terms.get("end_others_in")),
            expires_at=_after(now, terms.get("expires_in")),
        )
        return answer(NewSecretSerializer(made), status=201)


def _after(now: datetime, seconds: int | None) -> datetime | None:
    return None if seconds is None else now + timedelta(seconds=seconds)


class SecretView(ApiView):
    """One secret."""

    tag = "Secrets"

    @extend_schema(operation_id="end_secret", responses={204: None})
    def delete(self, request: Request, reference: UUID, secret: int) -> Response:  # noqa: ARG002
        """End a secret at once; one that ended already stays so."""
        end_secret(get_secret(get_client(self.caller, reference), secret), self.caller.actor, now=timezone.now())
        return Response(status=204)
