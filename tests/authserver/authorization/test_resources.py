"""Whom an access token is for, in the code flow (RFC 8707)."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

import pytest

from authserver.models import AccessToken
from tests.authserver.authorization.support import (
    AUTHORIZE,
    CALLBACK,
    PAR,
    TOKEN,
    VERIFIER,
    Flow,
    introspected,
    parameters,
    request_object,
    said,
)
from tests.authserver.support import FORM, Caller, outcome

ONE, TWO, OTHER = "https://api.one.example/", "https://api.two.example/v1?x=y", "https://api.other.example/"
SCOPE = "openid offline_access"


def exchange(flow: Flow, code: str, *resources: str) -> Any:
    """Exchange a code for tokens for `resources`."""
    credentials, headers = flow.app.credentials()
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK, "code_verifier": VERIFIER, **credentials}
    body = urlencode([*form.items(), *(("resource", uri) for uri in resources)])
    return flow.browser.post(TOKEN, body, content_type=FORM, headers=headers)


def code_for(flow: Flow, *resources: str) -> str:
    """Return a code for `resources`."""
    return flow.finish(flow.browser.get(AUTHORIZE, {**parameters(flow.app, scope=SCOPE), "resource": list(resources)}))


def test_a_token_is_for_the_resources_that_the_code_is_for(flow: Flow, resource_server: Caller) -> None:
    tokens = exchange(flow, code_for(flow, ONE, TWO)).json()
    assert introspected(resource_server, tokens["access_token"])["aud"] == [ONE, TWO]
    again = flow.refresh(tokens["refresh_token"]).json()
    assert introspected(resource_server, again["access_token"])["aud"] == [ONE, TWO]
    narrower = flow.refresh(again["refresh_token"], resource=TWO).json()
    assert introspected(resource_server, narrower["access_token"])["aud"] == [TWO]


def test_a_token_may_be_for_fewer_and_never_for_others(flow: Flow) -> None:
    assert exchange(flow, code_for(flow, ONE, TWO), TWO).status_code == 200
    assert AccessToken.objects.latest("pk").resource == [TWO]
    code = code_for(flow, ONE)
    for others in ((OTHER,), (ONE, OTHER)):
        assert outcome(exchange(flow, code, *others)) == "400 invalid_target"
    assert exchange(flow, code, ONE).status_code == 200  # the refusals used nothing up
    assert exchange(flow, code_for(flow), OTHER, OTHER).status_code == 200
    assert AccessToken.objects.latest("pk").resource == [OTHER]


@pytest.mark.parametrize("uri", ["api", "/api", "https://api.example/#x", "https://a b/", "//api.example/", "https://api.example:x/"])
def test_what_is_no_absolute_uri_is_refused(flow: Flow, uri: str) -> None:
    assert said(flow.start(resource=uri))["error"] == "invalid_target"
    assert flow.push(resource=uri).json()["error"] == "invalid_target"
    assert outcome(exchange(flow, flow.code(), uri)) == "400 invalid_target"


def test_resources_may_be_pushed_and_signed(flow: Flow, resource_server: Caller) -> None:
    credentials, headers = flow.app.credentials()
    body = urlencode([*parameters(flow.app).items(), ("resource", ONE), ("resource", TWO), *credentials.items()])
    pushed = flow.browser.post(PAR, body, content_type=FORM, headers=headers).json()["request_uri"]
    for started in (flow.visit(pushed), flow.start(request=request_object(flow.app, resource=[ONE, TWO]))):
        tokens = flow.exchange(flow.finish(started)).json()
        assert introspected(resource_server, tokens["access_token"])["aud"] == [ONE, TWO]
    assert json.dumps(said(flow.start(request=request_object(flow.app, resource="api")))).count("invalid_target") == 1
