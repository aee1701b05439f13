"""What protocol endpoints read: POST, one form, every parameter once, of a bounded size; nothing hostile ends in a 500."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from django.test import Client as Browser

from authserver.views.base import BODY_LIMIT
from protocol.constants import CLIENT_ASSERTION_LIMIT
from tests.authserver.support import ENDPOINTS, EVERY_ENDPOINT, FORM, INTROSPECT, REVOKE, TOKEN, Caller, assertion_parameters, outcome
from tests.protocol.jose.support import base64url

Call = Callable[..., Any]
every_endpoint = pytest.mark.parametrize("endpoint", EVERY_ENDPOINT)
OK, MALFORMED = "200", "400 invalid_request"


@every_endpoint
def test_only_post_is_answered(client: Browser, db: None, endpoint: str) -> None:
    for method in ("get", "head", "put", "patch", "delete", "options", "trace"):
        answer = getattr(client, method)(endpoint)
        assert (answer.status_code, answer["Allow"]) == (405, "POST"), method


@every_endpoint
def test_other_media_types_are_refused(client: Browser, with_secret: Caller, endpoint: str) -> None:
    _, headers = with_secret.credentials()
    for media_type in ("application/json", "text/plain", "multipart/form-data; boundary=x", "", FORM + "x", "application/xml"):
        answer = client.post(endpoint, urlencode(ENDPOINTS[endpoint]), content_type=media_type, headers=headers)
        assert outcome(answer) == "415 invalid_request", media_type
    for media_type in (FORM, FORM.upper(), FORM + "; charset=utf-8", FORM + ";charset=UTF-8"):
        answer = client.post(endpoint, urlencode(ENDPOINTS[endpoint]), content_type=media_type, headers=headers)
        assert outcome(answer) == OK, media_type


@every_endpoint
def test_a_form_has_no_other_character_set(client: Browser, db: None, endpoint: str) -> None:
    for charset in ("utf-7", "utf-16", "idna", "punycode", "base64", "x", ""):
        answer = client.generic("POST", endpoint, urlencode(ENDPOINTS[endpoint]), content_type=f"{FORM}; charset={charset}")
        assert outcome(answer) in (MALFORMED, "401 invalid_client"), charset


@every_endpoint
def test_nothing_is_read_from_the_url(client: Browser, with_secret: Caller, endpoint: str) -> None:
    _, headers = with_secret.credentials()
    for name in ("token", "client_secret", "grant_type", "client_assertion", "anything", "%00", "%ff"):
        answer = client.post(f"{endpoint}?{name}=x", urlencode(ENDPOINTS[endpoint]), content_type=FORM, headers=headers)
        assert outcome(answer) == MALFORMED, name


@every_endpoint
def test_a_parameter_that_comes_twice_is_refused(with_secret: Caller, post_form: Call, endpoint: str) -> None:
    _, headers = with_secret.credentials()
    for name in ("scope", "client_id", "state", "anything", *ENDPOINTS[endpoint]):
        pairs = [*ENDPOINTS[endpoint].items(), (name, "x"), (name, "x")]
        assert outcome(post_form(endpoint, pairs, **headers)) == MALFORMED, name


@every_endpoint
def test_a_large_body_is_refused(with_secret: Caller, post_form: Call, endpoint: str) -> None:
    _, headers = with_secret.credentials()
    body = urlencode(ENDPOINTS[endpoint]) + "&padding="
    fitting = body + "x" * (BODY_LIMIT - len(body))
    assert outcome(post_form(endpoint, fitting, **headers)) == OK
    assert outcome(post_form(endpoint, fitting + "x", **headers)) == "413 invalid_request"
    assert outcome(post_form(endpoint, body + "x" * 10_000_000, **headers)) == "413 invalid_request"


@every_endpoint
def test_a_thousand_parameters_are_refused(post_form: Call, db: None, endpoint: str) -> None:
    assert outcome(post_form(endpoint, "&".join(f"a{number}=1" for number in range(1000)))) == MALFORMED


BODIES = {
    "an ampersand": b"&&&&",
    "an equals sign": b"====",
    "NUL": b"grant_type=client_credentials%00&token=%00&client_id=%00&scope=%00",
    "raw NUL": b"grant_type=client_credentials&token=a\0b&client_id=a\0b",
    "invalid percent-encoding": b"grant_type=%zz&token=%&client_id=%f&scope=%u0041",
    "bytes that are no UTF-8": b"grant_type=%ff%fe&token=%ff&client_id=%c3%28",
    "raw bytes that are no UTF-8": b"grant_type=\xff\xfe&token=\xff",
    "raw UTF-8": "grant_type=client_credentials&scope=größe".encode(),
    "UTF-8": b"grant_type=client_credentials&scope=gr%C3%B6%C3%9Fe&token=%F0%9F%92%A9",
    "an encoded surrogate": b"grant_type=%ED%A0%80&token=%ED%A0%80&client_id=%ED%A0%80",
    "line breaks": b"grant_type=client_credentials&scope=a%0D%0Ab&token=a%0D%0AX-Injected:+1",
    "JSON": b'{"grant_type":"client_credentials"}',
    "names of attributes": b"__class__=x&_params=x&client=x&user=1&request=x&headers=x",
    "semicolons": b"grant_type=client_credentials;token=x",
    "a long scope": b"grant_type=client_credentials&scope=" + b"a+" * 20_000,
    "a long token": b"token=" + b"a" * 60_000,
    "a long name": b"a" * 60_000 + b"=1",
    "brackets": b"grant_type[]=client_credentials&grant_type[a]=b&token[$ne]=1",
}


@every_endpoint
def test_a_hostile_body_is_refused_or_answered_never_an_error_of_ours(client: Browser, with_secret: Caller, endpoint: str) -> None:
    for name, body in BODIES.items():
        for headers in ({}, with_secret.credentials()[1]):
            answer = client.post(endpoint, body, content_type=FORM, headers=headers)
            assert answer.status_code in (200, 400, 401), (name, answer.content)
            assert "X-Injected" not in answer, name


def part(value: object) -> str:
    """Return one part of a compact JWS."""
    return base64url(value if isinstance(value, bytes) else json.dumps(value).encode())


HEADER, SIGNATURE = part({"alg": "ES256", "typ": "JWT"}), part(b"x" * 64)
JSON_TEXTS = {
    "deep arrays": b"[" * 3000,
    "deep objects": b'{"a":' * 2000 + b"1" + b"}" * 2000,
    "many members": b"{" + b",".join(b'"a%d":1' % number for number in range(1000)) + b"}",
    "a long number": b'{"sub":"x","exp":' + b"9" * 5000 + b"}",
    "an infinite number": b'{"sub":"x","exp":1e999}',
    "NaN": b'{"sub":"x","exp":NaN}',
    "Infinity": b'{"sub":"x","exp":-Infinity}',
    "a member twice": b'{"sub":"x","sub":"y"}',
    "a lone surrogate": b'{"sub":"\\ud800","iss":"\\ud800"}',
    "NUL": b'{"sub":"\\u0000","iss":"\\u0000"}',
    "not UTF-8": b'{"sub":"\xff"}',
    "UTF-16": '{"sub":"x"}'.encode("utf-16"),
    "a byte order mark": b"\xef\xbb\xbf{}",
    "an array": b"[]",
    "a text": b'"x"',
    "null": b"null",
    "nothing but space": b"   ",
    "types": b'{"sub":{},"iss":[],"aud":{},"exp":{},"jti":[],"iat":"x"}',
    "a client id that is too long": b'{"sub":"' + b"x" * 5000 + b'","iss":"' + b"x" * 5000 + b'"}',
}
WHOLE = {
    "nothing": "",
    "dots": "..",
    "four dots": "a.b.c.d.e",
    "spaces": "a b.c d.e f",
    "padding": "e30=.e30=.e30=",
    "not canonical": "e31.e31.e31",
    "no base64": "!.!.!",
    "too long": "a" * (CLIENT_ASSERTION_LIMIT + 1),
    "very long": "a." * 25_000,
    "JSON": '{"payload":"","signatures":[]}',
    "not ASCII": "é.é.é",
    "NUL": "\0.\0.\0",
}


@every_endpoint
@pytest.mark.threat("J06", "J10", "J12", "J13", "J14")
def test_a_hostile_assertion_is_refused_with_401(call: Call, db: None, endpoint: str) -> None:
    corpus = {f"payload: {name}": f"{HEADER}.{part(text)}.{SIGNATURE}" for name, text in JSON_TEXTS.items()}
    corpus |= {f"header: {name}": f"{part(text)}.{part({'sub': 'x', 'iss': 'x'})}.{SIGNATURE}" for name, text in JSON_TEXTS.items()}
    corpus |= WHOLE
    for name, assertion in corpus.items():
        assert outcome(call(endpoint, assertion_parameters(assertion))) == "401 invalid_client", name


def test_every_refusal_of_a_body_is_json_without_a_page(client: Browser, db: None) -> None:
    for path in ("/oauth/token/", "/oauth/nothing", "/oauth/", "/.well-known/nothing", "/federation/nothing"):
        answer = client.post(path, "a=b", content_type=FORM)
        assert (answer.status_code, answer["Content-Type"], answer.json()["error"]) == (404, "application/json", "not_found")
        assert answer["X-Request-ID"]


def test_a_broken_upload_is_the_fault_of_the_sender(client: Browser, db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    from django.core.handlers.wsgi import WSGIRequest
    from django.http import UnreadablePostError

    def broken(self: WSGIRequest) -> bytes:
        raise UnreadablePostError("the client went away")

    monkeypatch.setattr(WSGIRequest, "body", property(broken))
    assert outcome(client.post(TOKEN, "a=b", content_type=FORM)) == MALFORMED


# Attributes that the request object of oauthlib has; a parameter of that name must not become one.
ATTRIBUTES = (
    "client", "user", "scopes", "expires_in", "extra_credentials", "access_token", "refresh_token", "refresh_token_instance",
    "decoded_body", "headers", "uri", "http_method", "validator_log", "duplicate_params", "oauth_params", "_params", "grant", "claims",
    "code", "organization", "org_id", "stage", "application", "credential_generation", "is_resource_server", "policy", "token_type",
    "entitled_scopes", "resource_list",
)  # fmt: skip


def test_a_parameter_never_becomes_an_attribute_of_the_request(with_secret: Caller, call_as: Call, introspect: Call) -> None:
    plain = call_as(with_secret, TOKEN, scope="bookings.read").json()
    for value in ("1", "True", "bookings.write", with_secret.client_id, quote('{"a":1}')):
        answer = call_as(with_secret, TOKEN, scope="bookings.read", **dict.fromkeys(ATTRIBUTES, value))
        assert answer.status_code == 200, answer.content
        body = answer.json()
        assert {**body, "access_token": ""} == {**plain, "access_token": ""}
        seen = introspect(with_secret, body["access_token"])
        assert (seen["sub"], seen["scope"], "aud" in seen) == (with_secret.client_id, "bookings.read", False)
    for endpoint in (REVOKE, INTROSPECT):
        assert call_as(with_secret, endpoint, **dict.fromkeys(ATTRIBUTES, "1")).status_code == 200
