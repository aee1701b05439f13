"""What every view of the API has in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, NoReturn, cast
from urllib.parse import urlencode

from django.conf import settings
from django.db.models import QuerySet
from django.http.response import HttpResponseBase
from rest_framework import exceptions
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer, Serializer
from rest_framework.views import APIView

from portal.api.authentication import BearerToken, Caller
from portal.api.errors import answer_error
from portal.api.schema import ApiSchema
from registry.json_endpoints import AlwaysJson, StrictJsonParser


class ApiView(APIView):
    """A resource. `tag` names its group in the document, `admin_methods` need registry.admin, `conditional_methods` heed If-Match."""

    tag: ClassVar[str] = ""
    admin_methods: ClassVar[tuple[str, ...]] = ()
    conditional_methods: ClassVar[tuple[str, ...]] = ()

    authentication_classes = [BearerToken]
    permission_classes = []
    throttle_classes = []
    parser_classes = [StrictJsonParser]
    renderer_classes = [JSONRenderer]
    content_negotiation_class = AlwaysJson
    metadata_class = None
    http_method_names = ["get", "post", "put", "patch", "delete", "head"]
    schema = ApiSchema()

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Authenticate the caller, and ask for the scope that the method needs."""
        super().initial(request, *args, **kwargs)
        if request.method in self.admin_methods:
            self.caller.require_admin()

    def finalize_response(self, request: Request, response: HttpResponseBase, *args: Any, **kwargs: Any) -> HttpResponseBase:  # type: ignore[override]
        """Answer what nobody may keep."""
        answer: HttpResponseBase = super().finalize_response(request, response, *args, **kwargs)  # type: ignore[arg-type]
        answer["Cache-Control"] = "no-store"
        return answer

    def http_method_not_allowed(self, request: Request, *args: Any, **kwargs: Any) -> NoReturn:  # type: ignore[override]
        """Say which methods there are."""
        raise exceptions.MethodNotAllowed(str(request.method))

    def get_exception_handler(self) -> Callable[[Exception, dict[str, Any]], Any]:
        """Return what answers errors."""
        return answer_error

    @property
    def caller(self) -> Caller:
        """Return who asks."""
        return cast("Caller", self.request.auth)

    def body(self, serializer: type[Serializer]) -> dict[str, Any]:
        """Return the members of the body. Raises ValidationError."""
        return _read(serializer(data=self.request.data))

    def query(self, serializer: type[Serializer]) -> dict[str, Any]:
        """Return the parameters of the query, each of which may be there once. Raises ValidationError."""
        given = self.request.query_params
        if repeated := [name for name in given if len(given.getlist(name)) > 1]:
            once = exceptions.ErrorDetail("This parameter is there more than once.", code="repeated")
            raise exceptions.ValidationError({name: [once] for name in repeated[:10]})
        return _read(serializer(data=given.dict()))

    def page(self, rows: QuerySet[Any], query: dict[str, Any], serializer: type[Serializer], **filters: Any) -> Response:
        """Answer with the part of `rows` that the query asks for, narrowed by those `filters` that it names."""
        wanted = {name: value for name, value in filters.items() if value is not None}
        rows = rows.filter(**wanted)
        first, limit = query["offset"], query["limit"]
        total = rows.count()
        items = rows[first : first + limit]
        following = self.address(offset=first + limit) if first + limit < total else None
        return answer(serializer({"items": items, "total": total, "next": following}))

    def address(self, **changed: Any) -> str:
        """Return the address of this request with parameters `changed`, on this server's issuer."""
        parameters = {**self.request.query_params.dict(), **changed}
        return f"{settings.ISSUER}{self.request.path}?{urlencode(parameters)}"


def answer(serializer: BaseSerializer, *, status: int = 200, **headers: str) -> Response:
    """Return an answer with what a serializer makes of a row."""
    return Response(serializer.data, status=status, headers={name.replace("_", "-"): value for name, value in headers.items()})


def _read(serializer: Serializer) -> dict[str, Any]:
    serializer.is_valid(raise_exception=True)
    return dict(serializer.validated_data)
