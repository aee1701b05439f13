"""The OpenAPI document is complete, and true of what is served."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.test import Client as Http
from django.urls import resolve
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.validation import validate_schema

from portal.api.serializers.metadata import ClientMetadataDocument
from portal.api.serializers.organizations import ContactChanges, ContactsSerializer
from portal.api.throttling import REQUESTS_PER_CLIENT
from portal.api.urls import urlpatterns
from portal.api.views.document import build_openapi_document
from registry.client_metadata.fields import READERS
from registry.json_endpoints import BODY_LIMIT
from registry.models import Contact
from registry.transitions import CHANGE_REQUEST, CLIENT, ORGANIZATION


@pytest.fixture
def document() -> dict[str, Any]:
    """The document as it is served."""
    return dict(Http().get("/api/v1/openapi.json").json())


def test_the_document_is_made_without_a_warning_and_is_openapi() -> None:
    build_openapi_document.cache_clear()
    with GENERATOR_STATS.silence():
        made = build_openapi_document()
        assert (list(GENERATOR_STATS._warn_cache), list(GENERATOR_STATS._error_cache)) == ([], [])
    validate_schema(made)


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer rubbish"}, {"Accept": "text/html"}])
def test_anybody_reads_the_document(headers: dict[str, str]) -> None:
    answer = Http().get("/api/v1/openapi.json", headers=headers)
    assert answer.status_code == 200
    assert answer["Content-Type"] == "application/json"
    assert answer["Cache-Control"] == "no-store"
    assert answer.json()["openapi"].startswith("3.1")


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield path, method.upper(), operation


def test_every_endpoint_is_in_the_document(document: dict[str, Any]) -> None:
    served = set()
    for pattern in urlpatterns:
        view = pattern.callback.view_class
        served |= {(pattern.name, method.upper()) for method in view.http_method_names if method != "head" and hasattr(view, method)}
    assert len(list(operations(document))) == len(served - {("api_document", "GET")})
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(names) == len(set(names))


def test_every_operation_says_what_it_needs_and_how_it_refuses(document: dict[str, Any], settings: Any) -> None:
    flow = document["components"]["securitySchemes"]["oauth2"]["flows"]["clientCredentials"]
    assert flow["tokenUrl"] == f"{settings.ISSUER}/oauth/token"
    assert set(flow["scopes"]) == {"registry", "registry.admin"}
    for path, method, operation in operations(document):
        assert operation["security"] in ([{"oauth2": ["registry"]}, {"oauth2": ["registry.admin"]}], [{"oauth2": ["registry.admin"]}])
        assert operation["description"]
        refused = {status for status in operation["responses"] if int(status) >= 400}
        assert refused >= {"400", "401", "403", "429", "503"}, (path, method)
        assert ("404" in refused) == ("{" in path)
        assert ("409" in refused) == (method != "GET")
        for status in refused:
            content = operation["responses"][status]["content"]
            assert content == {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}


def test_bodies_say_that_they_have_no_other_members(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    for _, _, operation in operations(document):
        if "requestBody" in operation:
            name = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
            assert schemas[name]["additionalProperties"] is False
    assert schemas["ClientMetadataDocument"]["additionalProperties"] is False
    assert schemas["ClientMetadataDocument"]["properties"].keys() == READERS.keys()
    assert set(schemas["OrganizationTransition"]["properties"]["step"]["enum"]) == set(ORGANIZATION)
    assert set(schemas["ClientTransition"]["properties"]["step"]["enum"]) == set(CLIENT)
    assert set(schemas["ChangeDecision"]["properties"]["step"]["enum"]) == set(CHANGE_REQUEST) - {"supersede"}


def test_every_kind_of_contact_is_read_and_set() -> None:
    assert set(ContactsSerializer().fields) == set(ContactChanges().fields) == set(Contact.Kind.values)


def test_every_address_in_the_guide_is_served() -> None:
    guide = (Path(__file__).resolve().parents[3] / "docs/api.md").read_text()
    paths = set(re.findall(r"\$BASE(/api/v1/[^\s\"?]*)", guide))
    assert len(paths) > 10
    for path in paths:
        resolve(path.replace("$REFERENCE", str(uuid.uuid4())))
    assert f"more than {REQUESTS_PER_CLIENT} requests" in guide
    assert f"at most {BODY_LIMIT // 1024} KiB" in guide


def test_every_member_of_metadata_is_taken() -> None:
    document = dict.fromkeys(READERS) | {"client_name#de": "x", "backchannel_logout_uri": "x"}
    assert ClientMetadataDocument().to_internal_value(document) == document
