"""What the members of client metadata must say together."""

from __future__ import annotations

import pytest

from tests.registry.support import REDIRECT, errors, jwks, machine, public_jwk, read, website

URI = "https://app.example.org/jwks.json"
SIGNING = {"token_endpoint_auth_method": "private_key_jwt"}


@pytest.mark.spec("DCR-META-10")
@pytest.mark.parametrize("grants", [..., ["authorization_code"], ["authorization_code", "client_credentials"]])
@pytest.mark.parametrize("uris", [..., [], None])
def test_a_client_that_redirects_needs_a_redirect_uri(grants, uris):
    reading = read(website(redirect_uris=uris, grant_types=grants))
    assert [(error.member, error.code) for error in reading.errors] == [("redirect_uris", "redirect_uris.missing")]


@pytest.mark.spec("DCR-META-10")
@pytest.mark.parametrize("uris", [..., [], None])
def test_a_client_that_does_not_redirect_needs_none(uris):
    reading = read(machine(redirect_uris=uris))
    assert reading.errors == ()
    assert "redirect_uris" not in reading.metadata


@pytest.mark.spec("DCR-META-10")
def test_there_are_at_most_50_redirect_uris_without_duplicates():
    uris = [f"{REDIRECT}/{number}" for number in range(50)]
    assert errors(website(redirect_uris=uris)) == set()
    assert errors(website(redirect_uris=[*uris, REDIRECT])) == {("redirect_uris", "value.too_many")}
    assert read(website(redirect_uris=[*uris[:3], *uris[:2]])).metadata["redirect_uris"] == uris[:3]


def test_two_redirect_uris_that_differ_in_the_last_slash_are_a_warning():
    assert "redirect_uri.slash_twin" in [finding.code for finding in read(website(redirect_uris=[REDIRECT, f"{REDIRECT}/"])).findings]


@pytest.mark.spec("DCR-META-14")
def test_a_web_client_may_use_loopback_http_only_where_the_policy_lets_it():
    document = website(redirect_uris=["http://127.0.0.1:8080/cb"])
    assert errors(document) == {("redirect_uris", "redirect_uri.http")}
    assert errors(document, loopback=True) == set()
    assert errors(website(redirect_uris=["http://localhost/cb"]), loopback=True) == {("redirect_uris", "redirect_uri.localhost")}


@pytest.mark.spec("DCR-META-15")
def test_a_native_client_may_use_what_a_web_client_may_not():
    document = website(redirect_uris=["com.example.app:/cb", "http://127.0.0.1/cb"])
    assert errors(document) == {("redirect_uris", "redirect_uri.scheme"), ("redirect_uris", "redirect_uri.http")}
    assert errors({**document, "application_type": "native"}) == set()


GRANTS = [
    # grant_types, response_types, registered as, or the codes of the errors
    (..., ..., (["authorization_code"], ["code"])),
    (["authorization_code"], ..., (["authorization_code"], ["code"])),
    (["refresh_token", "authorization_code"], ..., (["refresh_token", "authorization_code"], ["code"])),
    (["client_credentials"], ..., (["client_credentials"], [])),
    (["client_credentials", "authorization_code"], ..., (["client_credentials", "authorization_code"], ["code"])),
    (..., ["code"], (["authorization_code"], ["code"])),
    (..., [], (["client_credentials"], [])),
    (["client_credentials"], [], (["client_credentials"], [])),
    (["authorization_code"], [], {"grant_types.response_types"}),
    (["client_credentials"], ["code"], {"grant_types.response_types"}),
    (["refresh_token"], ..., {"grant_types.refresh"}),
    (["refresh_token", "client_credentials"], ..., {"grant_types.refresh"}),
    ([], ..., {"grant_types.empty"}),
    ([], [], {"grant_types.empty"}),
]


@pytest.mark.spec("DCR-META-21", "DCR-META-22", "DCR-META-23", "DCR-META-24")
@pytest.mark.parametrize(("grants", "responses", "outcome"), GRANTS)
def test_grants_and_response_types_go_together(grants, responses, outcome):
    reading = read(website(grant_types=grants, response_types=responses))
    if isinstance(outcome, set):
        assert {error.code for error in reading.errors} == outcome
    else:
        assert reading.errors == ()
        assert (reading.metadata["grant_types"], reading.metadata["response_types"]) == outcome


@pytest.mark.spec("DCR-META-19", "DCR-META-21")
def test_a_client_without_authentication_cannot_act_for_itself():
    assert errors(machine(token_endpoint_auth_method="none")) == {("token_endpoint_auth_method", "grant_types.public")}
    both = ["authorization_code", "client_credentials"]
    assert errors(website(token_endpoint_auth_method="none", grant_types=both)) == {("token_endpoint_auth_method", "grant_types.public")}
    assert errors(website(token_endpoint_auth_method="none")) == set()


@pytest.mark.spec("DCR-META-29")
def test_jwks_and_jwks_uri_do_not_go_together():
    assert errors(website(jwks=jwks(), jwks_uri=URI)) == {("jwks", "jwks.both")}


@pytest.mark.spec("DCR-META-31")
@pytest.mark.parametrize("members", [SIGNING, {"request_object_signing_alg": "ES256"}, {"require_signed_request_object": True}])
def test_a_client_that_signs_needs_keys(members):
    assert errors(website(**members)) == {("jwks", "jwks.missing")}
    assert errors(website(**members, jwks_uri=URI)) == set()
    assert errors(website(**members, jwks=jwks())) == set()


@pytest.mark.spec("DCR-META-20", "DCR-META-39", "DCR-JWK-05")
@pytest.mark.parametrize(("member", "other"), [("token_endpoint_auth_signing_alg", SIGNING), ("request_object_signing_alg", {})])
@pytest.mark.parametrize(
    ("algorithm", "keys", "fits"),
    [
        ("ES256", "ES256", True),
        ("PS256", "RS256", False),
        ("RS256", "RS256", True),
        ("Ed25519", "ES256", False),
        ("EdDSA", "Ed25519", True),
    ],
)
def test_a_key_of_the_set_must_fit_the_registered_algorithm(member, other, algorithm, keys, fits):
    found = errors(website(**{member: algorithm}, **other, jwks=jwks(keys)))
    assert found == (set() if fits else {("jwks", "jwks.algorithm")})


@pytest.mark.spec("DCR-JWK-05")
@pytest.mark.parametrize(
    "keys",
    [
        {"keys": [public_jwk("ES512")]},
        {"keys": [public_jwk("RS256", use="enc", alg="RSA-OAEP-256")]},
        {"keys": [public_jwk("ES256", use=None, alg=None, key_ops=["deriveKey"])]},
    ],
    ids=["a curve this server does not verify", "an encryption key", "key_ops"],
)  # fmt: skip
def test_a_client_that_signs_needs_a_key_that_can_sign_what_this_server_verifies(keys):
    assert errors(website(jwks=keys)) == set()
    assert errors(website(jwks=keys, **SIGNING)) == {("jwks", "jwks.algorithm")}


@pytest.mark.spec("DCR-META-20")
@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post", "none"])
def test_a_signing_algorithm_goes_with_private_key_jwt_only(method):
    found = errors(website(token_endpoint_auth_method=method, token_endpoint_auth_signing_alg="ES256", jwks=jwks()))
    assert found == {("token_endpoint_auth_signing_alg", "auth_signing_alg.method")}


@pytest.mark.spec("DCR-META-36")
def test_a_client_without_people_gets_no_id_token_algorithm():
    assert "id_token_signed_response_alg" not in read(machine()).metadata
    assert read(machine(id_token_signed_response_alg="ES256")).metadata["id_token_signed_response_alg"] == "ES256"
