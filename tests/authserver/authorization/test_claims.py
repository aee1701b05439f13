"""Claims that a request names one by one (OpenID Connect Core, 5.5), and how the person signed in (Core, 2; RFC 8176)."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest

from authserver.models import Consent
from registry.models import Entitlement
from tests.authserver.authorization.support import Flow, page, said, sign_in
from tests.authserver.authorization.test_people import LOGIN, asks, sent_to
from tests.authserver.support import Caller
from tests.conftest import Cast

PASSWORD = {"method": "password"}
CODE = {"method": "mfa", "type": "totp"}
PASSKEY = {"method": "mfa", "type": "webauthn"}
MFA = "https://refeds.org/profile/mfa"


def asking(**places: Any) -> str:
    """Return a claims parameter."""
    return json.dumps(places)


def claims_in(tokens: dict[str, Any]) -> dict[str, Any]:
    """Return the claims of the ID token, whose signature other tests verify."""
    middle = tokens["id_token"].split(".")[1]
    return dict(json.loads(base64.urlsafe_b64decode(middle + "=" * (-len(middle) % 4))))


def test_a_claim_named_for_a_place_is_answered_there_and_nowhere_else(flow: Flow, cast: Cast) -> None:
    tokens = flow.tokens(claims=asking(id_token={"email": None}, userinfo={"name": {"essential": True}}))
    assert claims_in(tokens)["email"] == cast.owner.email
    assert not {"name", "email_verified"} & claims_in(tokens).keys()
    assert flow.userinfo(tokens["access_token"]).json() == {"sub": str(cast.owner.sub), "name": "Owner"}


def test_a_claim_is_consented_to_as_the_scope_it_belongs_to(flow: Flow) -> None:
    flow.code()
    claims = asking(userinfo={"email_verified": None})
    page = flow.ask(claims=claims)
    assert asks(page)
    assert b"See your e-mail address" in page.content
    assert said(flow.ask(claims=claims, prompt="none"))["error"] == "consent_required"
    flow.code(claims=claims)
    assert Consent.objects.get().scopes == ["email", "openid"]
    assert "code" in said(flow.ask(claims=claims, prompt="none"))


def test_a_claim_that_the_app_is_not_entitled_to_is_left_out(new_app: Callable[..., Caller], flow: Flow) -> None:
    flow = Flow(new_app(scope="openid email"), flow.browser)
    tokens = flow.tokens(claims=asking(id_token={"name": None, "email": None}, userinfo={"name": None, "email": None}))
    assert "name" not in claims_in(tokens)
    assert flow.userinfo(tokens["access_token"]).json().keys() == {"sub", "email"}
    Entitlement.objects.filter(value="email").delete()
    assert flow.userinfo(tokens["access_token"]).json().keys() == {"sub"}


def test_no_claim_changes_what_the_server_says_of_itself(flow: Flow, cast: Cast) -> None:
    forged = {name: {"value": "forged"} for name in ("iss", "aud", "org_id", "exp", "nonce", "acr", "amr")}
    claims = claims_in(flow.tokens(claims=asking(id_token={**forged, "sub": None})))
    assert "forged" not in claims.values()
    assert claims["sub"] == str(cast.owner.sub)


def test_a_refreshed_id_token_says_the_same_of_person_and_sign_in(flow: Flow, cast: Cast) -> None:
    sign_in(flow.browser, cast.owner, records=[PASSWORD, CODE])
    tokens = flow.tokens(scope="openid offline_access", claims=asking(id_token={"email": None}))
    again = flow.refresh(tokens["refresh_token"]).json()
    assert {name: claims_in(again)[name] for name in ("email", "acr", "amr")} == {
        "email": cast.owner.email,
        "acr": MFA,
        "amr": ["pwd", "otp", "mfa"],
    }


@pytest.mark.parametrize(
    ("records", "acr", "amr"),
    [
        ([PASSWORD], None, ["pwd"]),
        ([PASSWORD, CODE], MFA, ["pwd", "otp", "mfa"]),
        ([PASSWORD, {"method": "mfa", "type": "recovery_codes"}], MFA, ["pwd", "otp", "mfa"]),
        ([PASSWORD, PASSKEY], "phr", ["pwd", "pop", "mfa"]),
        ([{**PASSKEY, "passwordless": True}], "phr", ["pop", "mfa"]),
        ([PASSWORD, CODE, {**PASSWORD, "reauthenticated": True}], None, ["pwd"]),
        ([PASSWORD, CODE, PASSWORD], None, ["pwd"]),
        ([{**PASSKEY, "passwordless": True}, PASSWORD], None, ["pwd"]),
        ([PASSWORD, {**PASSWORD, "reauthenticated": True}, PASSWORD, CODE], MFA, ["pwd", "otp", "mfa"]),
        ([{"method": "something new"}], None, None),
    ],
)
def test_an_id_token_says_how_the_person_signed_in(flow: Flow, cast: Cast, records: Any, acr: str | None, amr: list[str] | None) -> None:
    sign_in(flow.browser, cast.owner, records=records)
    claims = claims_in(flow.tokens())
    assert (claims.get("acr"), claims.get("amr")) == (acr, amr)


def test_of_the_classes_that_are_reached_the_one_the_app_prefers_is_named(flow: Flow, cast: Cast) -> None:
    sign_in(flow.browser, cast.owner, records=[PASSWORD, PASSKEY])
    assert claims_in(flow.tokens(acr_values=f"urn:gold {MFA} phr"))["acr"] == MFA
    assert claims_in(flow.tokens(acr_values="urn:gold"))["acr"] == "phr"
    assert claims_in(flow.tokens(claims=asking(id_token={"acr": {"values": [MFA]}})))["acr"] == MFA


def test_a_class_that_is_only_wanted_keeps_nobody_out(flow: Flow) -> None:
    for changes in ({"acr_values": MFA}, {"claims": asking(id_token={"acr": {"values": [MFA]}})}):
        assert "acr" not in claims_in(flow.tokens(**changes))


def test_an_essential_class_asks_once_for_a_stronger_sign_in_and_then_says_that_it_cannot_be_had(flow: Flow, cast: Cast) -> None:
    flow.code()
    claims = asking(id_token={"acr": {"essential": True, "values": [MFA, "phr"]}})
    assert said(flow.ask(claims=claims, prompt="none"))["error"] == "login_required"
    started = flow.start(claims=claims)
    assert sent_to(flow.go_on(started)) == LOGIN
    sign_in(flow.browser, cast.owner, ago=-1, records=[PASSWORD, CODE])
    assert "code" in said(flow.go_on(started))
    sign_in(flow.browser, cast.owner)
    started = flow.start(claims=claims)
    sign_in(flow.browser, cast.owner, ago=-1)
    answer = said(flow.go_on(started))
    assert (answer["error"], answer["iss"], answer["state"]) == ("unmet_authentication_requirements", "http://127.0.0.1:8000", "state-1")
    page(flow.go_on(started))  # which is answered for good


def test_a_value_list_of_subjects_admits_each_of_them_and_no_other(flow: Flow, cast: Cast) -> None:
    flow.code()
    own, other = str(cast.owner.sub), str(cast.developer.sub)
    assert "code" in said(flow.ask(claims=asking(id_token={"sub": {"values": [other, own]}})))
    for places in (
        {"id_token": {"sub": {"values": [other]}}},
        {"id_token": {"sub": {"values": []}}},
        {"id_token": {"sub": {"value": own}}, "userinfo": {"sub": {"value": other}}},
    ):
        assert said(flow.ask(claims=asking(**places)))["error"] == "login_required", places


@pytest.mark.parametrize(
    "claims",
    [
        '{"userinfo":{"name":true}}',
        '{"userinfo":{"name":"x"}}',
        '{"userinfo":{"name":[]}}',
        '{"userinfo":[]}',
        '{"id_token":null}',
        '{"id_token":{"sub":{"value":{}}}}',
        '{"id_token":{"sub":{"values":"x"}}}',
        '{"id_token":{"acr":{"essential":true,"values":[1]}}}',
    ],
)
def test_a_request_for_claims_of_another_shape_is_refused(flow: Flow, claims: str) -> None:
    answer = said(flow.start(claims=claims))
    assert answer["error"] == "invalid_request"
    assert answer["error_description"].startswith("claims: ")
