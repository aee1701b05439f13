"""What this server allows of metadata: accepted, stripped, replaced or refused, and the answer says which and why."""

from __future__ import annotations

from dataclasses import asdict, fields

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry.client_metadata.fields import GRANT_TYPES, ID_TOKEN_ALGORITHMS, TOKEN_ENDPOINT_AUTH_METHODS
from registry.findings import errors_among
from registry.registration_policy import (
    CHOICES,
    LIMITS,
    RegistrationPolicy,
    ScopeRule,
    apply_registration_policy,
    merge_policy,
    review_policy_values,
)
from tests.registry.support import documents, json_values, jwks, machine, read, website

SCOPES = {
    "bookings.read": ScopeRule(is_sensitive=False, is_retired=False),
    "bookings.write": ScopeRule(is_sensitive=True, is_retired=False),
    "old": ScopeRule(is_sensitive=False, is_retired=True),
}


def apply(document, stage="live", **values):
    return apply_registration_policy(RegistrationPolicy(**values), read(document).metadata, stage=stage, scopes=SCOPES)


def rules(outcome):
    return [(made.action, made.rule) for made in outcome.decisions]


def test_what_the_policy_allows_is_left_alone():
    for document in (machine(scope="bookings.read"), website(scope="bookings.write bookings.read")):
        outcome = apply(document)
        assert outcome.decisions == ()
        assert outcome.metadata == read(document).metadata


REFUSED = [
    (machine(), {"grant_types": ("authorization_code",)}, "grant_types", "client_credentials"),
    (website(), {"grant_types": ("client_credentials",)}, "grant_types", "authorization_code"),
    (machine(), {"live_token_endpoint_auth_methods": ("private_key_jwt",)}, "token_endpoint_auth_method", "client_secret_basic"),
    (website(id_token_signed_response_alg="PS256"), {"id_token_algorithms": ("ES256",)}, "id_token_signed_response_alg", "PS256"),
    (
        website(token_endpoint_auth_method="private_key_jwt", token_endpoint_auth_signing_alg="RS256", jwks=jwks("RS256")),
        {"client_assertion_algorithms": ("ES256",)}, "token_endpoint_auth_signing_alg", "RS256",
    ),
    (website(request_object_signing_alg="RS256", jwks=jwks("RS256")),
    {"client_assertion_algorithms": ("ES256",)}, "request_object_signing_alg", "RS256"),
]  # fmt: skip


@pytest.mark.spec("DCR-META-19", "DCR-META-21", "DCR-META-36", "DCR-META-20", "DCR-META-39")
@pytest.mark.parametrize(("document", "policy", "member", "value"), REFUSED)
def test_a_value_the_policy_does_not_allow_is_refused_with_what_is_allowed(document, policy, member, value):
    outcome = apply(document, **policy)
    assert rules(outcome) == [("refused", f"{member}.not_allowed")]
    (decision,) = outcome.decisions
    allowed = next(iter(policy.values()))
    assert value in decision.sentence
    assert all(choice in decision.sentence for choice in allowed)
    (finding,) = errors_among(outcome.findings)
    assert (finding.code, finding.member) == (f"policy.{member}.not_allowed", member)


@pytest.mark.spec("DCR-META-19")
def test_the_live_stage_may_be_stricter_about_secrets_than_the_test_stage():
    strict = {"live_token_endpoint_auth_methods": ("private_key_jwt",)}
    assert rules(apply(machine(), stage="test", **strict)) == []
    assert rules(apply(machine(), stage="live", **strict)) == [("refused", "token_endpoint_auth_method.not_allowed")]


def test_more_redirect_uris_than_the_limit_are_refused():
    document = website(redirect_uris=[f"https://app.example.org/{number}" for number in range(4)])
    assert rules(apply(document, redirect_uris_limit=3)) == [("refused", "redirect_uris.limit")]
    assert rules(apply(document, redirect_uris_limit=4)) == []


@pytest.mark.spec("DCR-META-28", "DCR-META-04")
def test_unknown_and_retired_scopes_are_left_out_and_named():
    outcome = apply(machine(scope="nonsense bookings.read old"))
    assert outcome.metadata["scope"] == "bookings.read"
    (decision,) = outcome.decisions
    assert (decision.action, decision.rule, decision.before, decision.after) == (
        "stripped", "scope.unknown", "nonsense bookings.read old", "bookings.read",
    )  # fmt: skip
    assert "nonsense" in decision.sentence
    assert "old" in decision.sentence
    assert "bookings.read" not in decision.sentence


@pytest.mark.spec("DCR-META-28", "DCR-META-04")
@pytest.mark.parametrize("scope", [..., "nonsense", "old nonsense"])
def test_without_a_usable_scope_the_default_applies_and_is_shown(scope):
    outcome = apply(machine(scope=scope), default_scopes=("bookings.read", "old", "nonsense"))
    assert outcome.metadata["scope"] == "bookings.read"
    assert rules(outcome)[-1] == ("replaced", "scope.default")


@pytest.mark.spec("DCR-META-28", "DCR-META-04")
def test_when_no_scope_is_left_the_member_is_absent_because_empty_reads_as_absent():
    assert "scope" not in apply(machine(scope="nonsense")).metadata
    assert "scope" not in apply(machine(), default_scopes=("nonsense",)).metadata


@pytest.mark.spec("DCR-META-40", "DCR-META-41")
@pytest.mark.parametrize("member", ["require_signed_request_object", "require_pushed_authorization_requests"])
@pytest.mark.parametrize("asked", [..., False])
def test_what_the_server_requires_of_every_app_is_forced_and_shown(member, asked):
    outcome = apply(website(jwks=jwks(), **{member: asked}), **{member: True})
    assert outcome.metadata[member] is True
    assert rules(outcome) == [("replaced", f"{member}.forced")]
    assert rules(apply(website(jwks=jwks(), **{member: True}), **{member: True})) == []
    assert rules(apply(machine(), **{member: True})) == []


@pytest.mark.spec("DCR-META-31", "DCR-META-40")
@pytest.mark.threat("R02")
def test_signed_request_objects_cannot_be_forced_on_a_client_without_keys():
    outcome = apply(website(), require_signed_request_object=True)
    assert rules(outcome)[-1] == ("refused", "require_signed_request_object.keys")
    assert [finding.member for finding in errors_among(outcome.findings)] == ["jwks"]
    assert rules(apply(website(jwks_uri="https://app.example.org/jwks"), require_signed_request_object=True)) == [
        ("replaced", "require_signed_request_object.forced")
    ]


def test_a_decision_is_a_finding_in_the_same_words():
    refused = apply(machine(scope="nonsense"), grant_types=("authorization_code",))
    assert [(finding.level, finding.code) for finding in refused.findings] == [
        ("error", "policy.grant_types.not_allowed"),
        ("note", "policy.scope.unknown"),
    ]
    assert [finding.sentence for finding in refused.findings] == [made.sentence for made in refused.decisions]
    assert all(finding.sentence.endswith(".") for finding in refused.findings)


def subsets(choices, least=1):
    return st.lists(st.sampled_from(choices), unique=True, min_size=least).map(tuple)


policies = st.builds(
    RegistrationPolicy,
    grant_types=subsets(GRANT_TYPES),
    token_endpoint_auth_methods=subsets(TOKEN_ENDPOINT_AUTH_METHODS),
    live_token_endpoint_auth_methods=subsets(TOKEN_ENDPOINT_AUTH_METHODS),
    client_assertion_algorithms=subsets(CHOICES["client_assertion_algorithms"]),
    id_token_algorithms=subsets(ID_TOKEN_ALGORITHMS),
    default_scopes=subsets([*SCOPES, "nonsense"], least=0),
    redirect_uris_limit=st.integers(1, 4),
    require_pushed_authorization_requests=st.booleans(),
    require_signed_request_object=st.booleans(),
)
stages = st.sampled_from(["test", "live"])


def assess(policy, document, stage):
    """Do what registry.lifecycle.assess_metadata does, without a database."""
    reading = read(document, loopback=policy.loopback_http_in_test and stage == "test")
    outcome = apply_registration_policy(policy, reading.metadata, stage=stage, scopes=SCOPES)
    return outcome.metadata, errors_among((*reading.findings, *outcome.findings))


@pytest.mark.spec("DCR-META-04", "DCR-META-28")
@pytest.mark.threat("R02")
@settings(max_examples=150)
@given(policies, documents, stages)
def test_what_was_registered_is_a_document_that_changes_nothing(policy, document, stage):
    metadata, errors = assess(policy, document, stage)
    if not errors:
        assert assess(policy, metadata, stage) == (metadata, ())


@pytest.mark.threat("R02")
@settings(max_examples=150)
@given(policies, policies, documents, stages)
def test_a_narrower_policy_never_admits_more(one, other, document, stage):
    values = {}
    for field in fields(RegistrationPolicy):
        mine, yours = getattr(one, field.name), getattr(other, field.name)
        if isinstance(mine, bool):
            values[field.name] = mine or yours if field.name.startswith("require_") else mine and yours
        elif isinstance(mine, int):
            values[field.name] = min(mine, yours)
        else:
            values[field.name] = tuple(entry for entry in mine if entry in yours)
    _, errors_wide = assess(one, document, stage)
    _, errors_narrow = assess(RegistrationPolicy(**values), document, stage)
    assert not (errors_wide and not errors_narrow)


WRONG = [
    ([], "policy.type"), (None, "policy.type"), ("x", "policy.type"),
    ({"unheard_of": 1}, "policy.unknown"), ({"__class__": 1}, "policy.unknown"),
    ({"grant_types": "authorization_code"}, "policy.type"), ({"grant_types": [1]}, "policy.type"), ({"grant_types": []}, "policy.empty"),
    ({"grant_types": ["implicit"]}, "policy.choice"), ({"grant_types": None}, "policy.type"),
    ({"token_endpoint_auth_methods": ["tls_client_auth"]}, "policy.choice"), ({"client_assertion_algorithms": ["HS256"]}, "policy.choice"),
    ({"id_token_algorithms": ["none"]}, "policy.choice"), ({"default_scopes": "a"}, "policy.type"),
    ({"default_scopes": [None]}, "policy.type"),
    ({"redirect_uris_limit": 0}, "policy.limit"), ({"redirect_uris_limit": 51}, "policy.limit"),
    ({"redirect_uris_limit": True}, "policy.limit"),
    ({"redirect_uris_limit": "20"}, "policy.limit"), ({"redirect_uris_limit": 2.5}, "policy.limit"),
    ({"clients_limit": -1}, "policy.limit"),
    ({"access_token_lifetime_seconds": 59}, "policy.limit"), ({"access_token_lifetime_seconds": 3601}, "policy.limit"),
    ({"loopback_http_in_test": 1}, "policy.type"), ({"require_signed_request_object": "true"}, "policy.type"),
    ({"org_id_in_id_token": None}, "policy.type"),
]  # fmt: skip


@pytest.mark.parametrize(("values", "code"), WRONG)
def test_wrong_policy_values_are_refused(values, code):
    assert [finding.code for finding in review_policy_values(values)] == [code]


@given(json_values | st.dictionaries(st.sampled_from([field.name for field in fields(RegistrationPolicy)]), json_values, max_size=4))
def test_reviewing_policy_values_never_raises_and_what_it_passes_can_be_merged(values):
    if not review_policy_values(values):
        merged = merge_policy(values)
        assert {name: getattr(merged, name) for name in values} == {
            name: tuple(value) if isinstance(value, list) else value for name, value in values.items()
        }


def test_every_value_of_the_built_in_policy_passes_its_own_review():
    values = {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(RegistrationPolicy()).items()}
    assert review_policy_values(values) == ()
    assert merge_policy(values) == RegistrationPolicy()
    numbers = {name for name, value in values.items() if isinstance(value, int) and not isinstance(value, bool)}
    assert LIMITS.keys() == numbers


def test_later_records_win():
    merged = merge_policy({"clients_limit": 5, "redirect_uris_limit": 2}, {"redirect_uris_limit": 3, "grant_types": ["client_credentials"]})
    assert (merged.clients_limit, merged.redirect_uris_limit, merged.grant_types) == (5, 3, ("client_credentials",))
