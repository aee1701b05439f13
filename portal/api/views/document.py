"""The OpenAPI document of this API."""

from __future__ import annotations

from functools import cache
from typing import Any

from django.urls import include, path
from drf_spectacular.generators import SchemaGenerator
from rest_framework.request import Request
from rest_framework.response import Response

from portal.api.schema import PREFIX
from portal.api.views.base import ApiView


@cache
def build_openapi_document() -> dict[str, Any]:
    """Return the document, built once in each process."""
    patterns = [path(PREFIX.lstrip("/"), include("portal.api.urls"))]
    document: dict[str, Any] = SchemaGenerator(patterns=patterns).get_schema(request=None, public=True)
    return document


class OpenApiView(ApiView):
    """What this API is, for programs."""

    authentication_classes = []

    def get(self, request: Request) -> Response:  # noqa: ARG002
        """Return the document to anybody."""
        return Response(build_openapi_document())
