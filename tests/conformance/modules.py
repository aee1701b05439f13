"""Every module of the plans: the tests that mirror it, or why there is none. As the suite was on 20 August 2026."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

# Names of tests, or a sentence.
Entry = tuple[str, ...] | str

BASIC: Final[Mapping[str, Entry]] = {
    "oidcc-server": ("test_the_whole_flow_succeeds",),
    "oidcc-response-type-missing": ("test_a_request_without_response_type_is_refused",),
    "oidcc-idtoken-signature": ("test_an_id_token_is_signed_by_rs256_when_nothing_was_registered",),
    "oidcc-idtoken-unsigned": "The suite skips it where metadata does not offer ID tokens without a signature.",
    "oidcc-userinfo-get": ("test_userinfo_is_had_by_get",),
    "oidcc-userinfo-post-header": ("test_userinfo_is_had_by_post_with_the_token_in_the_header",),
    "oidcc-userinfo-post-body": "A token in the body is refused here, which the standard leaves open and the suite warns of.",
    "oidcc-ensure-request-without-nonce-succeeds-for-code-flow": ("test_a_request_succeeds_with_or_without_what_may_be_there",),
    "oidcc-scope-profile": ("test_the_scope_profile_gives_the_name_in_userinfo",),
    "oidcc-scope-email": ("test_the_scope_email_gives_the_address_in_userinfo_in_any_order",),
    "oidcc-scope-address": "The suite skips it where metadata does not offer the scope address.",
    "oidcc-scope-phone": "The suite skips it where metadata does not offer the scope phone.",
    "oidcc-scope-all": "The suite skips it where metadata does not offer the scopes address and phone.",
    "oidcc-alternate-happy-flow": ("test_the_scope_email_gives_the_address_in_userinfo_in_any_order",),
    "oidcc-display-page": ("test_a_request_succeeds_with_or_without_what_may_be_there",),
    "oidcc-display-popup": ("test_a_request_succeeds_with_or_without_what_may_be_there",),
    "oidcc-prompt-login": ("test_prompt_login_makes_the_person_sign_in_again",),
    "oidcc-prompt-none-not-logged-in": ("test_prompt_none_is_refused_when_nobody_is_signed_in",),
    "oidcc-prompt-none-logged-in": ("test_who_is_signed_in_is_not_asked_again",),
    "oidcc-max-age-1": ("test_max_age_makes_the_person_sign_in_again",),
    "oidcc-max-age-10000": ("test_who_is_signed_in_is_not_asked_again",),
    "oidcc-ensure-request-with-unknown-parameter-succeeds": ("test_a_request_succeeds_with_or_without_what_may_be_there",),
    "oidcc-id-token-hint": ("test_who_is_signed_in_is_not_asked_again",),
    "oidcc-login-hint": ("test_a_request_succeeds_with_or_without_what_may_be_there",),
    "oidcc-ui-locales": ("test_a_request_succeeds_with_or_without_what_may_be_there",),
    "oidcc-claims-locales": ("test_a_request_succeeds_with_or_without_what_may_be_there",),
    "oidcc-ensure-request-with-acr-values-succeeds": ("test_asking_for_the_offered_context_classes_gives_one_of_them",),
    "oidcc-codereuse": ("test_a_code_used_twice_is_refused_and_ends_its_access_token",),
    "oidcc-codereuse-30seconds": ("test_a_code_used_twice_is_refused_and_ends_its_access_token",),
    "oidcc-ensure-registered-redirect-uri": ("test_an_unregistered_redirect_uri_is_told_on_a_page",),
    "oidcc-ensure-post-request-succeeds": ("test_a_request_may_be_posted",),
    "oidcc-server-client-secret-post": ("test_the_whole_flow_succeeds_with_the_secret_in_the_form",),
    "oidcc-request-uri-unsigned-supported-correctly-or-rejected-as-unsupported": (
        "The suite skips it where metadata does not offer request objects without a signature, and for clients registered by hand."
    ),
    "oidcc-unsigned-request-object-supported-correctly-or-rejected-as-unsupported": (
        "The suite skips it where metadata does not offer request objects without a signature."
    ),
    "oidcc-claims-essential": ("test_an_essential_claim_comes_in_userinfo_without_its_scope",),
    "oidcc-ensure-request-object-with-redirect-uri": (
        "The suite skips it where metadata does not offer request objects without a signature."
    ),
    "oidcc-refresh-token": ("test_a_refresh_token_works_for_its_client_alone",),
    "oidcc-ensure-request-with-valid-pkce-succeeds": ("test_a_request_succeeds_with_or_without_what_may_be_there",),
}

CONFIG: Final[Mapping[str, Entry]] = {
    "oidcc-discovery-endpoint-verification": ("test_the_discovery_document_says_what_it_has_to",),
}

_NO_REQUEST_URI: Final = "The suite fails it: this server fetches no request objects, as RFC 9101 lets it, and says so in its metadata."
DYNAMIC: Final[Mapping[str, Entry]] = {
    "oidcc-idtoken-rs256": ("test_an_id_token_is_signed_by_rs256_when_that_was_registered",),
    "oidcc-idtoken-unsigned": "The suite skips it where metadata does not offer ID tokens without a signature.",
    "oidcc-userinfo-rs256": "The suite fails it: this server signs no userinfo answers, and refuses to register a client that wants them.",
    "oidcc-ensure-redirect-uri-in-authorization-request": ("test_a_request_without_redirect_uri_is_told_on_a_page",),
    "oidcc-redirect-uri-query-OK": ("test_a_registered_query_comes_back_with_the_answer",),
    "oidcc-redirect-uri-query-mismatch": ("test_another_query_than_the_registered_one_is_told_on_a_page",),
    "oidcc-redirect-uri-query-added": ("test_another_query_than_the_registered_one_is_told_on_a_page",),
    "oidcc-redirect-uri-regfrag": ("test_a_redirect_uri_with_a_fragment_is_not_registered",),
    "oidcc-discovery-endpoint-verification": ("test_the_discovery_document_names_where_clients_register",),
    "oidcc-server": ("test_the_whole_flow_succeeds",),
    "oidcc-registration-logo-uri": ("test_a_person_who_is_asked_sees_where_the_app_explains_itself",),
    "oidcc-registration-policy-uri": ("test_a_person_who_is_asked_sees_where_the_app_explains_itself",),
    "oidcc-registration-tos-uri": ("test_a_person_who_is_asked_sees_where_the_app_explains_itself",),
    "oidcc-registration-jwks-uri": ("test_keys_are_taken_from_where_they_are_served",),
    "oidcc-registration-sector-uri": ("test_a_sector_has_to_name_the_redirect_uris",),
    "oidcc-registration-sector-bad": ("test_a_sector_has_to_name_the_redirect_uris",),
    "oidcc-server-rotate-keys": ("test_new_keys_of_the_server_stand_beside_the_old_ones",),
    "oidcc-refresh-token-rp-key-rotation": ("test_a_refresh_token_works_with_new_keys_of_the_client",),
    "oidcc-request-uri-unsigned": "The suite skips it where metadata does not offer request objects without a signature.",
    "oidcc-request-uri-signed-rs256": _NO_REQUEST_URI,
    "oidcc-ensure-request-object-with-redirect-uri": (
        "The suite skips it where metadata does not offer request objects without a signature."
    ),
    "oidcc-refresh-token": ("test_a_refresh_token_works_for_its_client",),
    "oidcc-ensure-client-assertion-with-iss-aud-succeeds": ("test_the_whole_flow_succeeds",),
}

_NO_DPOP: Final = "It is about DPoP, which this server does not support."
_FAPI2: Final[Mapping[str, Entry]] = {
    "discovery-end-point-verification": ("test_the_documents_name_what_the_profile_wants",),
    "happy-flow": ("test_two_clients_go_through_the_whole_flow",),
    "user-rejects-authentication": ("test_a_person_who_refuses_is_reported_to_both_clients",),
    "ensure-authorization-request-without-state-success": ("test_a_request_succeeds_and_comes_back_as_it_was_sent",),
    "ensure-authorization-request-without-nonce-success": ("test_a_request_succeeds_and_comes_back_as_it_was_sent",),
    "ensure-authorization-request-with-64-char-nonce-success": ("test_a_request_succeeds_and_comes_back_as_it_was_sent",),
    "ensure-other-scope-order-succeeds": ("test_a_request_succeeds_and_comes_back_as_it_was_sent",),
    "test-claims-parameter-identity-claims": ("test_every_claim_that_is_offered_comes_when_it_is_requested",),
    "access-token-type-header-case-sensitivity": ("test_the_scheme_of_the_authorization_header_has_no_case",),
    "check-dpop-proof-nbf-exp": _NO_DPOP,
    "ensure-dpopproof-with-iat-10seconds-before-succeeds": _NO_DPOP,
    "ensure-dpopproof-with-iat-10seconds-after-succeeds": _NO_DPOP,
    "ensure-mismatched-dpop-jkt-fails": _NO_DPOP,
    "ensure-token-endpoint-fails-with-mismatched-dpop-proof-jkt": _NO_DPOP,
    "ensure-token-endpoint-fails-with-mismatched-dpop-jkt": _NO_DPOP,
    "ensure-dpopproof-at-par-endpoint-binding-success": _NO_DPOP,
    "ensure-dpop-auth-code-binding-success": _NO_DPOP,
    "ensure-different-nonce-inside-and-outside-request-object": ("test_what_was_pushed_counts_and_nothing_beside_it",),
    "ensure-different-state-inside-and-outside-request-object": ("test_what_was_pushed_counts_and_nothing_beside_it",),
    "ensure-authorization-request-with-long-nonce": ("test_a_nonce_is_kept_whole_or_refused",),
    "ensure-authorization-request-with-long-state": ("test_a_request_succeeds_and_comes_back_as_it_was_sent",),
    "state-only-outside-request-object-not-used": ("test_what_was_pushed_counts_and_nothing_beside_it",),
    "ensure-request-object-without-redirect-uri-fails": ("test_a_request_is_refused_when_it_is_pushed",),
    "ensure-registered-redirect-uri": "The suite leaves it out for plain_fapi; the module that tolerates more stands for it.",
    "plain-fapi-tolerate-unregistered-redirect-uri": ("test_a_request_is_refused_when_it_is_pushed",),
    "ensure-unsigned-authorization-request-without-using-par-fails": ("test_a_request_that_was_not_pushed_is_refused",),
    "ensure-redirect-uri-in-authorization-request": ("test_a_request_is_refused_when_it_is_pushed",),
    "ensure-response-type-code-idtoken-fails": ("test_a_request_is_refused_when_it_is_pushed",),
    "australia-connectid-ensure-invalid-purpose-fails": "It is for the ConnectID profile of Australia.",
    "ensure-response-type-token-fails": ("test_a_request_is_refused_when_it_is_pushed",),
    "ensure-client-id-in-token-endpoint": ("test_a_code_is_refused_with_the_name_of_another_client",),
    "ensure-holder-of-key-required": "It wants tokens that are bound to a key, and looks at TLS, which the proxy in front ends.",
    "ensure-authorization-code-is-bound-to-client": ("test_a_code_is_refused_when_another_client_brings_it",),
    "attempt-reuse-authorization-code-after-one-second": ("test_a_code_used_twice_is_refused_and_ends_its_access_token",),
    "ensure-token-endpoint-fails-with-expired-auth-code": ("test_a_code_is_refused_after_a_minute",),
    "ensure-signed-client-assertion-with-RS256-fails": ("test_an_assertion_by_rs256_is_refused",),
    "ensure-client-assertion-in-token-endpoint": ("test_a_code_is_refused_without_an_assertion",),
    "ensure-client-assertion-with-exp-is-5-minutes-in-past-fails": ("test_a_code_is_refused_with_a_bad_assertion",),
    "ensure-client-assertion-with-wrong-aud-fails": ("test_a_code_is_refused_with_a_bad_assertion",),
    "ensure-client-assertion-with-no-sub-fails": ("test_a_code_is_refused_with_a_bad_assertion",),
    "dpop-negative-tests": _NO_DPOP,
    "refresh-token": ("test_a_refresh_token_works_for_its_client_when_it_authenticates",),
    "ensure-server-handles-non-matching-intent-id": "It is for the Open Banking profile of the United Kingdom.",
    "test-essential-acr-sca-claim": "It is for the Open Banking profile of the United Kingdom.",
    "brazil-ensure-bad-payment-signature-fails": "It is for the Open Finance profile of Brazil.",
    "australia-connectid-test-claims-parameter-idtoken-identity-claims": "It is for the ConnectID profile of Australia.",
    "par-ensure-reused-request-uri-prior-to-auth-completion-succeeds": ("test_looking_at_a_pushed_request_does_not_use_it_up",),
    "par-attempt-reuse-request_uri": ("test_a_pushed_request_is_answered_once",),
    "par-attempt-to-use-expired-request_uri": ("test_a_pushed_request_is_refused_when_its_time_is_over",),
    "par-ensure-jwt-client-assertions-nbf-8-seconds-in-the-future-is-accepted": (
        "test_an_assertion_from_a_clock_that_is_ahead_a_little_is_accepted",
    ),
    "par-ensure-jwt-client-assertions-nbf-over-60-seconds-in-the-future-fails": (
        "test_an_assertion_from_more_than_a_minute_ahead_is_refused",
    ),
    "par-attempt-to-use-request_uri-for-different-client": ("test_a_pushed_request_is_refused_for_another_client",),
    "par-authorization-request-containing-request_uri-form-param": ("test_a_request_is_refused_when_it_is_pushed",),
    "par-attempt-invalid-http-method": ("test_nothing_is_pushed_by_put",),
    "par-ensure-pkce-required": ("test_a_request_is_refused_when_it_is_pushed",),
    "ensure-pkce-code-verifier-required": ("test_a_code_is_refused_without_its_verifier",),
    "incorrect-pkce-code-verifier-rejected": ("test_a_code_is_refused_without_its_verifier",),
    "par-plain-pkce-rejected": ("test_a_request_is_refused_when_it_is_pushed",),
    "par-without-duplicate-parameters": ("test_what_was_pushed_counts_and_nothing_beside_it",),
    "par-test-array-as-audience-fails": ("test_a_push_is_refused_for_another_audience_than_the_issuer_alone",),
    "par-test-par-endpoint-url-as-audience-fails": ("test_a_push_is_refused_for_another_audience_than_the_issuer_alone",),
    "par-test-token-endpoint-url-as-audience-fails": ("test_a_push_is_refused_for_another_audience_than_the_issuer_alone",),
}
FAPI2: Final[Mapping[str, Entry]] = {f"fapi2-security-profile-final-{name}": entry for name, entry in _FAPI2.items()}

_NO_MTLS: Final = "It wants a client certificate at the endpoints of registration, where this server asks for none."
_HAPPY: Final = ("test_software_that_a_directory_vouches_for_registers_and_signs_a_person_in",)
_NOT_VOUCHED: Final = ("test_what_the_directory_does_not_vouch_for_is_not_registered",)
_NOT_CHANGED: Final = ("test_a_registration_is_not_changed_to_what_the_directory_does_not_vouch_for",)
_BRAZIL: Final[Mapping[str, Entry]] = {
    "brazildcr-happy-flow": _HAPPY,
    "brazildcr-happy-flow-variant": _HAPPY,
    "brazildcr-happy-flow-variant-2": _HAPPY,
    "brazildcr-client-delete": ("test_a_deleted_client_is_gone",),
    "brazildcr-invalid-registration-access-token": ("test_a_wrong_registration_access_token_is_refused",),
    "brazil-dcr-invalid-software-statement-signature": ("test_a_statement_with_a_spoilt_signature_is_refused",),
    "brazil-dcr-no-software-statement": ("test_nobody_registers_without_a_statement",),
    "brazil-dcr-no-mtls": _NO_MTLS,
    "brazil-dcr-bad-mtls": _NO_MTLS,
    "brazildcr-update-client-config": ("test_a_redirect_uri_is_changed_by_who_may_and_with_a_good_statement",),
    "brazildcr-update-client-config-bad-jwks-uri": _NOT_CHANGED,
    "brazildcr-update-client-config-invalid-jwks-by-value": _NOT_CHANGED,
    "brazildcr-update-client-config-invalid-redirect-uri": _NOT_CHANGED,
    "brazil-dcr-no-redirect-uri": _NOT_VOUCHED,
    "brazil-dcr-invalid-redirect-uri": _NOT_VOUCHED,
    "brazil-dcr-invalid-jwks-uri": _NOT_VOUCHED,
    "brazil-dcr-invalid-jwks-by-value": _NOT_VOUCHED,
}
BRAZIL: Final[Mapping[str, Entry]] = {f"fapi2-security-profile-final-{name}": entry for name, entry in _BRAZIL.items()}

FEDERATION_PREFIX: Final = "openid-federation-automatic-client-registration-"
_SIGNS_IN: Final = ("test_an_unknown_relying_party_registers_and_signs_a_person_in",)
_IS_REFUSED: Final = ("test_a_wrong_request_registers_nobody_and_signs_nobody_in",)
_FEDERATION: Final[Mapping[str, Entry]] = {
    "with-jar-and-get": (*_SIGNS_IN, "test_statements_of_the_module_before_may_end_between_consent_and_token"),
    "with-jar-and-post": _SIGNS_IN,
    "with-par": _SIGNS_IN,
    "with-jar-and-get-and-trust-chain": _SIGNS_IN,
    "with-jar-and-post-and-trust-chain": _SIGNS_IN,
    "with-par-and-trust-chain": _SIGNS_IN,
    "with-jar-and-encrypted-request-object": "The suite skips it where metadata does not offer encryption of request objects.",
    "invalid-client-id-in-request-object": _IS_REFUSED,
    "invalid-client-id-in-query-parameters": _IS_REFUSED,
    "invalid-signature-on-request-object": _IS_REFUSED,
    "invalid-signature-with-other-keys-on-request-object": _IS_REFUSED,
    "invalid-request-object-exp": _IS_REFUSED,
    "invalid-request-object-iss": _IS_REFUSED,
    "invalid-request-object-aud": _IS_REFUSED,
    "invalid-request-object-sub": _IS_REFUSED,
    "invalid-missing-request-object-jti": _IS_REFUSED,
    "invalid-missing-request-object-exp": _IS_REFUSED,
    "invalid-missing-request-object-iss": _IS_REFUSED,
    "invalid-missing-request-object-aud": _IS_REFUSED,
    "invalid-duplicate-request-object-jti": ("test_an_identifier_of_a_request_is_used_once",),
}
FEDERATION: Final[Mapping[str, Entry]] = {f"{FEDERATION_PREFIX}{name}": entry for name, entry in _FEDERATION.items()}


class Plan(NamedTuple):
    """A plan of the suite: where its tests are, its modules, and how many it had."""

    file: str
    modules: Mapping[str, Entry]
    count: int


PLANS: Final = {
    "oidcc-basic-certification-test-plan": Plan("conformance.test_basic", BASIC, 38),
    "oidcc-config-certification-test-plan": Plan("conformance.test_config", CONFIG, 1),
    "oidcc-dynamic-certification-test-plan": Plan("conformance.test_dynamic_registration", DYNAMIC, 23),
    "fapi2-security-profile-final-brazil-dcr-test-plan": Plan("conformance.test_brazil_registration", BRAZIL, 17),
    "fapi2-security-profile-final-test-plan": Plan("conformance.test_fapi2", FAPI2, 62),
    # Over TLS, with an anchor and a relying party that the server fetches from: run by make e2e.
    "openid-federation-entity-joined-to-test-federation-op-test-plan": Plan("foreign.test_federation_conformance", FEDERATION, 20),
}

# Where the suite would pass a module with a warning, or would want in it what this server does not have.
REMARKS: Final[Mapping[str, str]] = {
    "oidcc-server": "The suite warns of org_id in ID tokens, which the policy org_id_in_id_token takes away.",
    "oidcc-scope-profile": "Of the claims of this scope only name is known here; the suite warns of the others that are missing.",
    "oidcc-ensure-request-with-acr-values-succeeds": "The suite warns when the person of the test signs in by a password alone.",
    "fapi2-security-profile-final-discovery-end-point-verification": "The suite also wants metadata of DPoP, or of tokens bound by mTLS.",
    "fapi2-security-profile-final-happy-flow": "The suite also wants tokens that are bound to a key, and warns of org_id.",
    "fapi2-security-profile-final-test-claims-parameter-identity-claims": "The suite warns of org_id in ID tokens.",
    "oidcc-idtoken-rs256": "Clients of the suite ask for no scope; the policy default_scopes has to give them openid and offline_access.",
    "oidcc-registration-logo-uri": "The suite wants a picture of the logo on the page, which loads nothing from other places.",
    "oidcc-registration-sector-uri": "The suite skips it where metadata does not offer pairwise subjects.",
    "oidcc-registration-sector-bad": "The suite skips it where metadata does not offer pairwise subjects.",
    "oidcc-ensure-client-assertion-with-iss-aud-succeeds": (
        "In the other modules of its plan the suite sends the token endpoint as audience of assertions, which is refused here (PKJ-04)."
    ),
    "fapi2-security-profile-final-brazildcr-happy-flow": (
        "The suite wants tokens that are bound to a key and the metadata of mTLS, as the profile of Brazil demands."
    ),
    "fapi2-security-profile-final-brazildcr-update-client-config": "The suite also changes it without a client certificate, as in no-mtls.",
    "fapi2-security-profile-final-refresh-token": (
        "The suite also wants tokens that are bound to a key, and a refresh token that works again half a minute after it was used, where "
        "docs/decisions/0013-refresh-tokens-rotate.md says otherwise."
    ),
}
