"""What an error looks like on the wire, and that every error of oauthlib has one of ours (RFC 6749, 5.2; RFC 9457)."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest
from django.test import Client as Browser
from oauth2_provider import oauth2_validators
from oauthlib.oauth2.rfc6749 import errors as oauthlib_errors
from oauthlib.oauth2.rfc6749.endpoints import base as endpoint_base
from oauthlib.oauth2.rfc6749.endpoints import revocation, token
from oauthlib.oauth2.rfc6749.grant_types import base as grant_base

from authserver.errors import _BY_CODE, our_error
from authserver.server import Server
from authserver.validator import Validator
from protocol import errors
from tests.authserver.support import EVERY_ENDPOINT, FORM, INTROSPECT, REVOKE, TOKEN, Caller, basic, outcome

Call = Callable[..., Any]
DESCRIPTION = re.compile(r"[\x20-\x21\x23-\x5b\x5d-\x7e]+")
STANDARD = {
    "invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type", "invalid_scope",
    "invalid_target",
}  # fmt: skip

# Errors that are written down in the modules our grants run through, but that end as server_error, and why that is right.
FAULTS_OF_OURS = {
    "server_error": "oauthlib says it when the validator contradicts itself",
    "temporarily_unavailable": "only when an endpoint is switched off, which we never do",
    "unsupported_token_type": "only when the server does not support refresh tokens for revocation; it does",
    "": "FatalClientError without a code: a token without scope, which oauthlib always sets",
}
ERRORS = (
    (TOKEN, {}, {}),
    (TOKEN, {}, basic("unknown", "wrong")),
    (TOKEN, {"grant_type": 'pass"word\\é\n'}, {}),
    (REVOKE, {"token": ""}, {}),
    (INTROSPECT, {"client_id": 'a"b\\c\0é'}, {}),
)


@pytest.mark.parametrize(("endpoint", "parameters", "headers"), ERRORS)
def test_an_error_has_the_members_of_both_standards(call: Call, db: None, endpoint: str, parameters: Any, headers: Any) -> None:
    answer = call(endpoint, parameters, headers)
    body = answer.json()
    assert answer["Content-Type"] == "application/json"
    assert body["error"] in STANDARD
    assert DESCRIPTION.fullmatch(body["error_description"])
    assert body["detail"] == body["error_description"]
    assert body["status"] == answer.status_code
    assert body["type"] == body["error_uri"] == f"http://127.0.0.1:8000/docs/errors/#{body['error']}"
    assert body["title"]
    assert body["instance"] == f"urn:request:{answer['X-Request-ID']}"
    assert (answer["Cache-Control"], answer["Pragma"]) == ("no-store", "no-cache")


def test_a_client_that_asks_for_problem_details_gets_that_media_type(call: Call, db: None) -> None:
    answer = call(TOKEN, {}, {"Accept": "application/problem+json"})
    assert answer["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("endpoint", EVERY_ENDPOINT)
def test_a_good_answer_is_not_kept_either(with_secret: Caller, call_as: Call, endpoint: str) -> None:
    answer = call_as(with_secret, endpoint)
    assert (answer["Cache-Control"], answer["Pragma"]) == ("no-store", "no-cache")
    assert answer["X-Request-ID"]


def modules_our_grants_run_through() -> list[ModuleType]:
    """Return the modules of oauthlib and the toolkit whose errors can reach us: endpoints, the grants that exist, the validator."""
    grants = {inspect.getmodule(type(grant)) for grant in Server(Validator()).grant_types.values()}
    return [endpoint_base, token, revocation, grant_base, oauth2_validators, *(module for module in grants if module)]


def raised_names(module: ModuleType) -> Iterator[str]:
    """Return the names of what a module raises or makes as an error."""
    for node in ast.walk(ast.parse(inspect.getsource(module))):
        if isinstance(node, ast.Call):
            function = node.func
            name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
            if isinstance(getattr(oauthlib_errors, name, None), type):
                yield name


def test_every_error_of_oauthlib_that_can_reach_us_is_mapped() -> None:
    names = {name for module in modules_our_grants_run_through() for name in raised_names(module)}
    assert {"InvalidRequestError", "InvalidScopeError", "UnsupportedGrantTypeError"} <= names
    for name in sorted(names - {"CustomOAuth2Error"}):
        code = getattr(oauthlib_errors, name).error or ""
        assert code in _BY_CODE or code in FAULTS_OF_OURS, f"{name} ({code}) is not mapped"


def test_every_code_that_the_validator_makes_up_is_mapped() -> None:
    made_up = re.findall(r'CustomOAuth2Error\(\s*error="([a-z_]+)"', inspect.getsource(oauth2_validators))
    assert made_up
    assert set(made_up) <= _BY_CODE.keys()


def test_the_map_keeps_code_and_sentence() -> None:
    for code, kind in _BY_CODE.items():
        error = oauthlib_errors.OAuth2Error(description="because")
        error.error = code
        ours = our_error(error)
        assert (type(ours), ours.code, ours.description) == (kind, code, "because")


def test_an_unknown_error_becomes_server_error_and_says_nothing() -> None:
    ours = our_error(oauthlib_errors.CustomOAuth2Error("brand_new", description="secret"))
    assert (ours.code, ours.status) == ("server_error", 500)
    assert "secret" not in errors.wire_body(ours)["error_description"]


@pytest.mark.parametrize("endpoint", EVERY_ENDPOINT)
def test_a_fault_of_ours_is_answered_as_json_and_says_nothing(
    client: Browser, with_secret: Caller, monkeypatch: pytest.MonkeyPatch, endpoint: str
) -> None:
    def broken(*args: object, **kwargs: object) -> None:
        raise RuntimeError("the inner secret")

    monkeypatch.setattr("authserver.client_authentication.read_credentials", broken)
    answer = client.post(endpoint, "grant_type=client_credentials&token=x", content_type=FORM)
    assert outcome(answer) == "500 server_error"
    assert b"inner secret" not in answer.content
