"""The OpenAPI document: what drf-spectacular cannot see by itself."""

from __future__ import annotations

from typing import Any, Final

from django.conf import settings
from django.urls import reverse
from drf_spectacular.extensions import OpenApiAuthenticationExtension, OpenApiSerializerExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import Direction

from portal.api.authentication import REGISTRY, REGISTRY_ADMIN
from portal.api.serializers.common import ProblemSerializer, StrictSerializer
from portal.api.serializers.metadata import metadata_schema

PREFIX: Final = "/api/v1/"
_OAUTH: Final = "oauth2"
_PROBLEM: Final = "application/problem+json"
_ALWAYS: Final = {"400": "The request is malformed.", "429": "Too many requests.", "503": "Away for a moment."}
_SIGNED: Final = {"401": "No token that counts.", "403": "The token or the app may not do this."}
_WITH_BODY: Final = {"409": "Not as things are now.", "413": "The body is too large.", "415": "The body is not JSON."}


class ApiSchema(AutoSchema):
    """Describes a view of the API with every error it can answer."""

    view: Any  # portal.api.views.base.ApiView, which has this class as its schema

    def get_tags(self) -> list[str]:
        """Return the resource."""
        return [self.view.tag]

    def _is_list_view(self, serializer: Any = None) -> bool:  # noqa: ARG002
        """Say no: lists are pages, with serializers of their own."""
        return False

    def _get_response_bodies(self, direction: Direction = "response") -> dict[str, Any]:
        """Return the answers of an operation, refusals included."""
        bodies: dict[str, Any] = super()._get_response_bodies(direction)
        problem = self.resolve_serializer(ProblemSerializer(), direction).ref
        for status, words in self._refusals().items():
            bodies.setdefault(status, {"description": words, "content": {_PROBLEM: {"schema": problem}}})
        return dict(sorted(bodies.items()))

    def _refusals(self) -> dict[str, str]:
        refusals = {**_ALWAYS, **(_SIGNED if self.view.authentication_classes else {})}
        if "{" in self.path:
            refusals["404"] = "Nothing here that you may see."
        if self.method in ("POST", "PUT", "PATCH"):
            refusals |= _WITH_BODY
        if self.method == "DELETE":
            refusals["409"] = _WITH_BODY["409"]
        if self.method in self.view.conditional_methods:
            refusals["412"] = "It was changed after you read it."
        return refusals

    def _postprocess_serializer_schema(self, schema: dict[str, Any], serializer: Any, direction: Direction) -> Any:
        """Say of strict bodies that they have no other members."""
        schema = super()._postprocess_serializer_schema(schema, serializer, direction)
        return {**schema, "additionalProperties": False} if isinstance(serializer, StrictSerializer) else schema


class BearerTokenScheme(OpenApiAuthenticationExtension):
    """Client credentials tokens with one of two scopes."""

    target_class = "portal.api.authentication.BearerToken"
    name = _OAUTH

    def get_security_requirement(self, auto_schema: AutoSchema) -> Any:
        """Return the scopes of which one is needed."""
        admin = {_OAUTH: [REGISTRY_ADMIN]}
        view: Any = auto_schema.view
        return admin if auto_schema.method in view.admin_methods else [{_OAUTH: [REGISTRY]}, admin]

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:  # noqa: ARG002
        """Return where tokens are from."""
        scopes = {REGISTRY: "The app's own organization.", REGISTRY_ADMIN: "Every organization, for apps of this server's operator."}
        flow = {"tokenUrl": settings.ISSUER + reverse("token"), "scopes": scopes}
        return {"type": "oauth2", "flows": {"clientCredentials": flow}}


class _ClientMetadataSchema(OpenApiSerializerExtension):
    target_class = "portal.api.serializers.metadata.ClientMetadataSerializer"

    def map_serializer(self, auto_schema: AutoSchema, direction: Direction) -> dict[str, Any]:  # noqa: ARG002
        return metadata_schema(closed=False)


class _ClientMetadataDocumentSchema(OpenApiSerializerExtension):
    target_class = "portal.api.serializers.metadata.ClientMetadataDocument"

    def map_serializer(self, auto_schema: AutoSchema, direction: Direction) -> dict[str, Any]:  # noqa: ARG002
        return metadata_schema(closed=True)


def without_the_document(endpoints: list[Any]) -> list[Any]:
    """Return the endpoints but for the document that describes them."""
    return [endpoint for endpoint in endpoints if not endpoint[0].endswith(".json")]


def without_hints(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Take out what drf-spectacular leaves for its own use in enumerations."""
    return {name: _cleaned(value) for name, value in result.items()}


def _cleaned(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _cleaned(inner) for name, inner in value.items() if name != "x-spec-enum-id"}
    return [_cleaned(inner) for inner in value] if isinstance(value, list) else value
