"""Whatever is sent, the answer is a problem that says what is wrong, and never a fault of ours."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pytest
from django.test import Client as Http
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from registry.json_endpoints import BODY_LIMIT
from registry.lifecycle import request_go_live
from registry.models import Client
from tests.conftest import Cast
from tests.portal.api.support import Machine
from tests.registry.support import json_values

pytestmark = pytest.mark.threat("J12", "J13")

ORGANIZATION = "/organizations/lighthouse-travel"
# Every body that the API reads: method, path, and a good one.
BODIES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "create": (
        "POST",
        "/organizations",
        {"legal_name": "Harbour", "contacts": {"technical": "a@b.example"}, "email_domains": ["b.example"]},
    ),
    "change": ("PATCH", ORGANIZATION, {"legal_name": "Lighthouse Travel", "country": "NO", "website": "", "registration_number": ""}),
    "step": ("POST", f"{ORGANIZATION}/transitions", {"step": "reopen", "reason": "", "digest": "0"}),
    "register": ("POST", f"{ORGANIZATION}/clients", {"metadata": {"client_name": "x", "grant_types": ["client_credentials"]}}),
    "initial access token": (
        "POST",
        f"{ORGANIZATION}/initial-access-tokens",
        {"label": "a", "expires_in": 60, "uses_limit": 1, "stage": "test", "restrictions": {}, "source_networks": [], "profile": "x"},
    ),
    "replace": ("PUT", "/clients/{client}", {"metadata": {"client_name": "x"}, "justification": ""}),
    "client step": ("POST", "/clients/{client}/transitions", {"step": "resume", "reason": ""}),
    "go live": ("POST", "/clients/{client}/go-live", {"justification": ""}),
    "secret": ("POST", "/clients/{client}/secrets", {"label": "a", "expires_in": 60, "end_others_in": 0}),
    "decide": ("POST", "/change-requests/{change}/decisions", {"step": "assign", "reason": "", "digest": "0"}),
}
ODD_VALUES: list[Any] = [None, True, 0, -1, 1.5, 10**15, "", "x" * 3000, "\u202e", [], [[]], [None], {}, {"a": {"b": []}}]


@pytest.fixture
def places(cast: Cast, own: Machine, now: datetime) -> dict[str, Any]:
    """The references of an app and of a change request about it."""
    change = request_go_live(own.client, cast.as_owner, now=now)
    return {"client": own.client.reference, "change": change.reference}


def assert_bad_request(answer: Any, status: int = 400) -> dict[str, Any]:
    assert answer.status_code == status, answer.content
    assert answer["Content-Type"] == "application/problem+json"
    return dict(answer.json())


@pytest.mark.parametrize("name", BODIES)
def test_an_unknown_member_is_named(admin: Machine, own: Machine, places: dict[str, Any], name: str) -> None:
    method, path, body = BODIES[name]
    answer = assert_bad_request(admin.send(method, path.format(**places), {**body, "surprise": 1}))
    assert {item["field"]: item["code"] for item in answer["errors"]}["surprise"] == "value.unknown"
    assert "surprise" in answer["detail"]


@pytest.mark.parametrize("name", BODIES)
def test_a_body_that_is_no_strict_json_object_is_refused(admin: Machine, own: Machine, places: dict[str, Any], name: str) -> None:
    method, path, body = BODIES[name]
    good = json.dumps(body)
    bad = [
        *("[]", "null", "1", '"x"', "{", "{'a': 1}", "{\"a\": NaN}", '{"a": 1, "a": 1}', good + "x", "\ufeff" + good),
        *('{"step": "\\ud800"}', '{"step": "\\u0000"}', '{"a": 1e999}', '{"a": ' + "9" * 400 + "}", "[" * 2000),
        *(b'{"step": "\xff"}', good.encode("utf-16"), '{"a": ' + "[" * 13 + "]" * 13 + "}"),
    ]  # fmt: skip
    for text in bad:
        assert_bad_request(admin.send(method, path.format(**places), text))


@pytest.mark.parametrize("name", BODIES)
def test_no_value_breaks_anything_wherever_it_stands(admin: Machine, own: Machine, places: dict[str, Any], name: str) -> None:
    method, path, body = BODIES[name]
    for machine in (admin, own):
        for member in body:
            for value in ODD_VALUES:
                answer = machine.send(method, path.format(**places), {**body, member: value})
                assert answer.status_code < 500, (member, value, answer.content)
                if answer.status_code >= 400:
                    assert answer["Content-Type"] == "application/problem+json"
                    assert answer.status_code in (400, 401, 403, 404, 409), (member, value)


WRONG_TYPES = [
    ("change", "legal_name", 5),
    ("change", "website", None),
    ("change", "email_domains", "b.example"),
    ("change", "email_domains", [5]),
    ("change", "contacts", []),
    ("change", "contacts", {"technical": 1}),
    ("change", "contacts", {"unknown": "a@b.example"}),
    ("step", "step", 1),
    ("step", "step", "fly"),
    ("step", "step", ["close"]),
    ("step", "reason", 1),
    ("register", "metadata", []),
    ("register", "metadata", None),
    ("register", "metadata", {"client_name": 5}),
    ("register", "metadata", {"grant_types": "client_credentials"}),
    ("secret", "expires_in", "60"),
    ("secret", "expires_in", True),
    ("secret", "expires_in", 59),
    ("secret", "expires_in", 60.5),
    ("secret", "end_others_in", -1),
    ("secret", "label", "x" * 61),
    ("go live", "justification", "x" * 2001),
    ("decide", "digest", 7),
]


@pytest.mark.parametrize(("name", "member", "value"), WRONG_TYPES)
def test_a_value_of_the_wrong_type_is_refused_and_its_place_named(
    own: Machine, places: dict[str, Any], name: str, member: str, value: Any
) -> None:
    method, path, body = BODIES[name]
    answer = assert_bad_request(own.send(method, path.format(**places), {**body, member: value}))
    assert answer["errors"]
    for item in answer["errors"]:
        assert item.keys() == {"field", "code", "sentence", "hint"}
        assert item["sentence"]
    fields = {item["field"] for item in answer["errors"]}
    assert any(field.startswith(member) or field in ("client_name", "grant_types") for field in fields)


def test_everything_that_is_wrong_is_said_at_once(own: Machine) -> None:
    answer = assert_bad_request(own.send("PATCH", ORGANIZATION, {"contacts": {"technical": 1, "x": ""}, "website": 2, "odd": 3}))
    assert {item["field"] for item in answer["errors"]} == {"contacts.technical", "contacts.x", "website", "odd"}


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "", "x"])
def test_a_body_of_another_media_type_is_refused(own: Machine, content_type: str) -> None:
    answer = Http().generic("PATCH", f"/api/v1{ORGANIZATION}", '{"website": ""}', content_type=content_type, headers=own.headers)
    assert_bad_request(answer, 415)


@pytest.mark.parametrize("charset", ["utf-16", "utf-7", "latin-1", "rubbish"])
def test_a_body_in_another_codec_is_refused(own: Machine, charset: str) -> None:
    kind = f"application/json; charset={charset}"
    assert_bad_request(Http().generic("PATCH", f"/api/v1{ORGANIZATION}", '{"website": ""}', content_type=kind, headers=own.headers), 415)
    fine = Http().generic(
        "PATCH", f"/api/v1{ORGANIZATION}", '{"website": ""}', content_type='application/json; charset="UTF-8"', headers=own.headers
    )
    assert fine.status_code == 200


def test_a_large_body_is_refused_before_it_is_read(own: Machine) -> None:
    answer = own.send("PATCH", ORGANIZATION, {"website": "x" * BODY_LIMIT})
    assert_bad_request(answer, 413)
    assert own.send("PATCH", ORGANIZATION, {"website": "x" * (300 * 1024)}).status_code == 413


LISTS = [
    *("/organizations", f"{ORGANIZATION}/clients", f"{ORGANIZATION}/change-requests", f"{ORGANIZATION}/audit"),
    *("/clients/{client}/secrets", "/change-requests", "/audit"),
]
BAD_QUERIES = [
    *("limit=0", "limit=101", "limit=x", "limit=", "limit=1&limit=2", "limit=1e1", "limit=" + "9" * 400, "surprise=1", "access_token=x"),
    *("limit=%00", "limit=%ff", "state=flying&stage=%00", "%00=1", "limit=-1", "offset=-1&since_id=-1", "format=html&x=1"),
]


@pytest.mark.parametrize("path", LISTS)
def test_a_query_that_makes_no_sense_is_refused(admin: Machine, own: Machine, places: dict[str, Any], path: str) -> None:
    for query in BAD_QUERIES:
        answer = Http().get(f"/api/v1{path.format(**places)}?{query}", headers=admin.headers)
        assert assert_bad_request(answer)["errors"], query


@pytest.mark.parametrize("query", ["event=%00", "event=", "event=" + "x" * 61, "since_id=9223372036854775808", "before_id=0"])
def test_a_filter_of_the_trail_that_makes_no_sense_is_refused(admin: Machine, query: str) -> None:
    assert_bad_request(Http().get(f"/api/v1/audit?{query}", headers=admin.headers))


def test_lists_start_beyond_their_end_without_a_fault(own: Machine) -> None:
    assert own.get("/organizations", offset=100_000) == {"items": [], "total": 1, "next": None}
    assert own.get(f"{ORGANIZATION}/audit", since_id=2**63 - 1) == {"items": [], "next": None}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(document=st.dictionaries(st.sampled_from(["redirect_uris", "jwks", "scope", "contacts", "client_name#de", "jwks_uri"]), json_values))
def test_no_metadata_breaks_anything(own: Machine, document: dict[str, Any]) -> None:
    try:
        text = json.dumps({"metadata": document}, allow_nan=False)
    except ValueError:
        return
    answer = own.send("POST", f"{ORGANIZATION}/clients", text)
    assert answer.status_code in (201, 400, 409), answer.content
    Client.objects.exclude(pk=own.client.pk).update(state="closed")
