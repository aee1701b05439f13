"""What this server says of itself works, and nothing else does (BCP-08, ISSP-02)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest

from registry.models import Scope
from tests.authserver.authorization.support import AUTHORIZE, CALLBACK, Flow, parameters, request_object, said, sign_in
from tests.authserver.support import FORM, Caller, assertion_parameters, key, outcome
from tests.conftest import Cast

OPENID, OAUTH = "/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"


@pytest.fixture
def document(flow: Flow) -> dict[str, Any]:
    """The OpenID provider metadata."""
    return dict(flow.browser.get(OPENID).json())


@pytest.mark.spec("BCP-08")
def test_both_documents_say_the_same_where_they_overlap(flow: Flow, document: dict[str, Any]) -> None:
    other = flow.browser.get(OAUTH).json()
    assert {name: document[name] for name in other} == other
    for name in ("issuer", "authorization_endpoint", "token_endpoint", "jwks_uri", "response_types_supported", "subject_types_supported"):
        assert document[name], name
    assert "RS256" in document["id_token_signing_alg_values_supported"]


@pytest.mark.spec("ISSP-01", "ISSP-02")
@pytest.mark.threat("O02", "O12")
def test_the_issuer_is_said_byte_for_byte(flow: Flow, document: dict[str, Any], settings: Any) -> None:
    assert document["authorization_response_iss_parameter_supported"] is True
    assert said(flow.start(scope=None))["iss"] == document["issuer"] == settings.ISSUER
    spoofed = {"X-Forwarded-Host": "attacker.example", "X-Forwarded-Proto": "https"}
    answer = flow.browser.get(AUTHORIZE, parameters(flow.app, scope=None), headers=spoofed)
    assert said(answer)["iss"] == settings.ISSUER


@pytest.mark.spec("ISSP-03")
def test_a_redirect_uri_cannot_carry_an_issuer_of_its_own(new_app: Callable[..., Caller]) -> None:
    from protocol.errors import MetadataRefused

    for query in ("iss=x", "a=b&iss=", "%69ss=x"):
        with pytest.raises(MetadataRefused):
            new_app(redirect_uris=[f"{CALLBACK}?{query}"])


@pytest.mark.spec("BCP-08")
def test_every_endpoint_that_is_named_answers_on_our_own_address(flow: Flow, document: dict[str, Any]) -> None:
    named = {name: url for name, url in document.items() if name.endswith(("_endpoint", "_uri"))}
    assert len(named) == 9
    for name, url in named.items():
        assert url.startswith(document["issuer"] + "/"), name
        answer = flow.browser.get(urlsplit(url).path)
        assert answer.status_code in (200, 302, 303, 400, 401, 405), (name, answer.status_code)


@pytest.mark.spec("BCP-02", "BCP-03", "BCP-04")
def test_every_choice_that_is_named_works_and_no_dangerous_one_is_named(
    flow: Flow, document: dict[str, Any], new_app: Callable[..., Caller]
) -> None:
    assert document["response_types_supported"] == ["code"]
    assert document["code_challenge_methods_supported"] == ["S256"]
    assert not {"password", "implicit"} & set(document["grant_types_supported"])
    for mode in document["response_modes_supported"]:
        assert "code" in said(flow.allow(flow.start(response_mode=mode))), mode
    for prompt in document["prompt_values_supported"]:
        assert flow.start(prompt=prompt).status_code == 302, prompt
    for algorithm in document["id_token_signing_alg_values_supported"]:
        assert "id_token" in Flow(new_app(id_token_signed_response_alg=algorithm), flow.browser).tokens(), algorithm
    for algorithm in document["request_object_signing_alg_values_supported"]:
        signer = key(algorithm)
        app = new_app(jwks={"keys": [signer.public_jwk()]})
        assert Flow(app).start(request=request_object(app, signer=signer)).status_code == 302, algorithm
    sensitive = set(Scope.objects.filter(is_sensitive=True).values_list("name", flat=True))
    for scope in document["scopes_supported"]:
        assert (Flow(new_app(scope=scope)).start(scope=scope).status_code == 302) is (scope not in sensitive), scope


@pytest.mark.spec("BCP-07")
def test_every_client_authentication_that_is_named_works_for_people_too(
    flow: Flow, document: dict[str, Any], new_app: Callable[..., Caller]
) -> None:
    assert document["token_endpoint_auth_methods_supported"][0] == "private_key_jwt"
    for method in document["token_endpoint_auth_methods_supported"]:
        one = Flow(new_app(method), flow.browser)
        tokens = one.tokens(scope="openid offline_access")
        assert one.revoke(tokens["refresh_token"]).status_code == 200, method
    for algorithm in document["token_endpoint_auth_signing_alg_values_supported"]:
        signer = key(algorithm)
        app = new_app(jwks={"keys": [signer.public_jwk()]})
        body = urlencode({**parameters(app), **assertion_parameters(app.assertion(signer=signer))})
        assert outcome(flow.browser.post("/oauth/par", body, content_type=FORM)) == "201", algorithm


def test_the_claims_that_are_named_can_be_had(flow: Flow, cast: Cast, document: dict[str, Any]) -> None:
    import base64
    import json

    sign_in(flow.browser, cast.owner, records=[{"method": "password"}, {"method": "mfa", "type": "totp"}])
    tokens = flow.tokens(scope="openid profile email", claims='{"id_token":{"email":null,"name":null,"email_verified":null}}')
    middle = tokens["id_token"].split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(middle + "=" * (-len(middle) % 4)))
    assert set(document["claims_supported"]) <= claims.keys()
