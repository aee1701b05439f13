"""What each member of client metadata may say (RFC 7591, 2; OpenID Connect Dynamic Client Registration 1.0, 2)."""

from __future__ import annotations

import pytest

from registry.client_metadata import error_for_findings, read_client_metadata
from registry.client_metadata.fields import NOT_OFFERED, READERS
from tests.registry.support import NOW, REDIRECT, errors, jwks, machine, read, website

ACCEPTED = [
    # spec, member, value given, value registered (... for the same)
    ("DCR-META-03", "contacts", ["b@example.org", "a@example.org", "b@example.org"], ["b@example.org", "a@example.org"]),
    ("DCR-META-03", "grant_types", ["refresh_token", "authorization_code", "refresh_token"], ["refresh_token", "authorization_code"]),
    ("DCR-META-13", "application_type", "web", ...),
    ("DCR-META-18", "token_endpoint_auth_method", "client_secret_basic", ...),
    ("DCR-META-18", "token_endpoint_auth_method", "client_secret_post", ...),
    ("DCR-META-18", "token_endpoint_auth_method", "none", ...),
    ("DCR-META-21", "grant_types", ["authorization_code"], ...),
    ("DCR-META-21", "grant_types", ["client_credentials", "authorization_code"], ...),
    ("DCR-META-24", "grant_types", ["authorization_code", "refresh_token"], ...),
    ("DCR-META-22", "response_types", ["code"], ...),
    ("DCR-META-22", "response_types", [" code "], ["code"]),
    ("DCR-META-25", "client_name", "  Bookings  ", "Bookings"),
    ("DCR-META-25", "client_name", "x" * 255, ...),
    ("DCR-META-25", "client_name", "Cafe\u0301", "Caf\u00e9"),
    ("DCR-META-26", "client_uri", "https://example.org/about?lang=en", ...),
    ("DCR-META-26", "logo_uri", "https://cdn.example.org/logo.png", ...),
    ("DCR-META-26", "tos_uri", "https://example.org/terms", ...),
    ("DCR-META-26", "policy_uri", "https://example.org/privacy", ...),
    ("DCR-META-27", "contacts", [f"a{number}@example.org" for number in range(20)], ...),
    ("DCR-META-28", "scope", "b a  b", "b a"),
    ("DCR-META-29", "jwks_uri", "https://app.example.org/jwks.json", ...),
    ("DCR-META-32", "software_id", "x" * 255, ...),
    ("DCR-META-32", "software_version", "1.0", ...),
    ("DCR-META-34", "subject_type", "public", ...),
    ("DCR-META-36", "id_token_signed_response_alg", "ES256", ...),
    ("DCR-META-36", "id_token_signed_response_alg", "PS256", ...),
    ("DCR-META-40", "require_signed_request_object", False, ...),
    ("DCR-META-41", "require_pushed_authorization_requests", True, ...),
    ("DCR-META-42", "request_uris", [], ...),
    ("DCR-META-43", "default_max_age", 0, ...),
    ("DCR-META-43", "default_max_age", 2**53 - 1, ...),
    ("DCR-META-43", "require_auth_time", True, ...),
    ("DCR-META-44", "initiate_login_uri", "https://app.example.org/login", ...),
    ("DCR-META-45", "post_logout_redirect_uris", ["https://app.example.org/bye"], ...),
    ("DCR-META-37", "id_token_encrypted_response_alg", None, None),
    ("DCR-META-46", "backchannel_logout_session_required", False, None),
    ("DCR-META-48", "dpop_bound_access_tokens", False, None),
]

REFUSED = [
    # spec, member, value, code
    ("DCR-META-03", "contacts", "a@example.org", "value.type"),
    ("DCR-META-03", "contacts", [""], "value.type"),
    ("DCR-META-03", "contacts", ["a@example.org", None], "value.type"),
    ("DCR-META-03", "grant_types", "authorization_code", "value.type"),
    ("DCR-META-03", "grant_types", [["authorization_code"]], "value.type"),
    ("DCR-META-03", "grant_types", {"authorization_code": True}, "value.type"),
    ("DCR-META-03", "response_types", "code", "value.type"),
    ("DCR-META-03", "redirect_uris", REDIRECT, "value.type"),
    ("DCR-META-03", "redirect_uris", [1] * 51, "value.too_many"),
    ("DCR-META-03", "redirect_uris", [{}], "redirect_uri.type"),
    ("DCR-META-03", "require_auth_time", "true", "value.type"),
    ("DCR-META-03", "require_auth_time", 1, "value.type"),
    ("DCR-META-03", "default_max_age", True, "value.type"),
    ("DCR-META-03", "default_max_age", -1, "value.type"),
    ("DCR-META-03", "default_max_age", 1.0, "value.type"),
    ("DCR-META-03", "default_max_age", 2**53, "value.type"),
    ("DCR-META-03", "default_max_age", "60", "value.type"),
    ("DCR-META-02", "client_name", 5, "value.type"),
    ("DCR-META-02", "client_name", False, "value.type"),
    ("DCR-META-02", "scope", ["a"], "value.type"),
    ("DCR-META-02", "jwks_uri", 0, "value.type"),
    ("DCR-META-10", "redirect_uris", [], "redirect_uris.missing"),
    ("DCR-META-10", "redirect_uris", None, "redirect_uris.missing"),
    ("DCR-META-13", "application_type", "desktop", "value.choice"),
    ("DCR-META-13", "application_type", "WEB", "value.choice"),
    ("DCR-META-13", "application_type", ["web"], "value.choice"),
    ("DCR-META-18", "token_endpoint_auth_method", "client_secret_jwt", "value.choice"),
    ("DCR-META-18", "token_endpoint_auth_method", "tls_client_auth", "value.choice"),
    ("DCR-META-47", "token_endpoint_auth_method", "self_signed_tls_client_auth", "value.choice"),
    ("DCR-META-18", "token_endpoint_auth_method", "client_secret_basic ", "value.choice"),
    ("DCR-META-18", "token_endpoint_auth_method", {}, "value.choice"),
    ("DCR-META-20", "token_endpoint_auth_signing_alg", "none", "value.choice"),
    ("DCR-META-20", "token_endpoint_auth_signing_alg", "HS256", "value.choice"),
    ("DCR-META-20", "token_endpoint_auth_signing_alg", "ES256", "auth_signing_alg.method"),
    ("DCR-META-21", "grant_types", ["password"], "value.choice"),
    ("DCR-META-21", "grant_types", ["implicit"], "value.choice"),
    ("DCR-META-21", "grant_types", ["authorization_code", "urn:ietf:params:oauth:grant-type:device_code"], "value.choice"),
    ("DCR-META-21", "grant_types", [], "grant_types.empty"),
    ("DCR-META-22", "response_types", ["token"], "value.choice"),
    ("DCR-META-22", "response_types", ["token id_token"], "value.choice"),
    ("DCR-META-22", "response_types", ["id_token  token"], "value.choice"),
    ("DCR-META-22", "response_types", ["code", "code id_token"], "value.choice"),
    ("DCR-META-22", "response_types", [" "], "value.type"),
    ("DCR-META-25", "client_name", "   ", "value.blank"),
    ("DCR-META-25", "client_name", "x" * 256, "value.too_long"),
    ("DCR-META-25", "client_name", "\u0958" * 255, "value.too_long"),
    ("DCR-META-25", "client_name", "Book\nings", "value.control"),
    ("DCR-META-25", "client_name", "Book\x00ings", "value.control"),
    ("DCR-META-25", "client_name", "\ud800", "value.control"),
    ("DCR-META-25", "client_name", "Bank \u202egnikoob", "name.invisible"),
    ("DCR-META-25", "client_name", "Book\u200bings", "name.invisible"),
    ("DCR-META-25", "client_name", "Book\u00adings", "name.invisible"),
    ("DCR-META-25", "client_name", "Book\u2062ings", "name.invisible"),
    ("DCR-META-25", "client_name", "Book\u2028ings", "name.invisible"),
    ("DCR-META-25", "client_name", "Book\U000e0041ings", "name.invisible"),
    ("DCR-META-25", "client_name", "\u3164", "name.invisible"),
    ("DCR-META-25", "client_name", "\u2800", "name.invisible"),
    *(
        (spec, member, value, code)
        for spec, member in (
            ("DCR-META-26", "client_uri"),
            ("DCR-META-26", "logo_uri"),
            ("DCR-META-26", "tos_uri"),
            ("DCR-META-26", "policy_uri"),
            ("DCR-META-29", "jwks_uri"),
            ("DCR-META-44", "initiate_login_uri"),
        )
        for value, code in (
            ("http://example.org/", "url.scheme"),
            ("javascript:alert(1)", "url.scheme"),
            ("data:image/svg+xml,x", "url.scheme"),
            ("//example.org/", "url.scheme"),
            ("https://user@example.org/", "url.userinfo"),
            ("https://example.org/#x", "url.fragment"),
            ("https://127.0.0.1/", "url.ip_literal"),
            ("https://2130706433/", "url.ip_form"),
            ("https://localhost/", "url.single_label"),
            ("https://ex\u00e4mple.org/", "url.non_ascii"),
            (f"https://example.org/{'a' * 2048}", "url.too_long"),
            (["https://example.org/"], "value.type"),
        )
    ),
    ("DCR-META-27", "contacts", [f"a{number}@example.org" for number in range(21)], "value.too_many"),
    ("DCR-META-27", "contacts", ["mailto:a@example.org"], "contacts.email"),
    ("DCR-META-27", "contacts", ["a@example.org\nBcc: b@example.org"], "contacts.email"),
    ("DCR-META-27", "contacts", ["Ada <a@example.org>"], "contacts.email"),
    ("DCR-META-27", "contacts", [f"{'a' * 60}@{'b' * 200}.org"], "contacts.email"),
    ("DCR-META-28", "scope", 'a"b', "scope.characters"),
    ("DCR-META-28", "scope", "a\\b", "scope.characters"),
    ("DCR-META-28", "scope", "a\tb", "scope.characters"),
    ("DCR-META-28", "scope", "\u00e4", "scope.characters"),
    ("DCR-META-28", "scope", "a" * 2049, "scope.characters"),
    ("DCR-META-30", "jwks", {"keys": []}, "jwks.no_usable_key"),
    ("DCR-META-30", "jwks", {}, "jwks.shape"),
    ("DCR-META-30", "jwks", [], "jwks.shape"),
    ("DCR-META-30", "jwks", "https://example.org/jwks", "jwks.shape"),
    ("DCR-META-30", "jwks", {"keys": {}}, "jwks.shape"),
    ("DCR-META-32", "software_id", "x" * 256, "value.too_long"),
    ("DCR-META-32", "software_version", 2, "value.type"),
    ("DCR-META-34", "subject_type", "pairwise", "value.choice"),
    ("DCR-META-36", "id_token_signed_response_alg", "none", "value.choice"),
    ("DCR-META-36", "id_token_signed_response_alg", "HS256", "value.choice"),
    ("DCR-META-36", "id_token_signed_response_alg", "ES512", "value.choice"),
    ("DCR-META-39", "request_object_signing_alg", "none", "value.choice"),
    ("DCR-META-39", "request_object_signing_alg", "HS512", "value.choice"),
    ("DCR-META-42", "request_uris", ["https://example.org/request"], "request_uris.not_offered"),
    ("DCR-META-43", "default_acr_values", ["urn:mace:incommon:iap:silver"], "value.choice"),
    ("DCR-META-45", "post_logout_redirect_uris", ["http://app.example.org/bye"], "redirect_uri.http"),
    ("DCR-META-45", "post_logout_redirect_uris", "https://app.example.org/bye", "value.type"),
    ("DCR-META-46", "backchannel_logout_uri", "https://app.example.org/logout", "value.not_offered"),
    ("DCR-META-46", "frontchannel_logout_uri", "https://app.example.org/logout", "value.not_offered"),
    ("DCR-META-46", "frontchannel_logout_session_required", True, "value.not_offered"),
    ("DCR-META-48", "dpop_bound_access_tokens", True, "value.not_offered"),
    ("DCR-META-48", "tls_client_certificate_bound_access_tokens", True, "value.not_offered"),
    *(("DCR-META-37", name, "RSA-OAEP-256", "value.not_offered") for name in NOT_OFFERED if "encrypt" in name),
]


def _cases(rows):
    return [
        pytest.param(*row[1:], id=f"{number:03} {row[1]} {str(row[2])[:30]}", marks=pytest.mark.spec(row[0]))
        for number, row in enumerate(rows)
    ]


@pytest.mark.spec(
    "DCR-META-03", "DCR-META-13", "DCR-META-18", "DCR-META-21", "DCR-META-22", "DCR-META-24", "DCR-META-26", "DCR-META-29", "DCR-META-34",
    "DCR-META-36", "DCR-META-44", "DCR-META-45",
)  # fmt: skip
@pytest.mark.parametrize(("member", "given", "registered"), _cases(ACCEPTED))
def test_a_value_within_the_rules_is_registered(member, given, registered):
    reading = read(website(**{member: given}))
    assert reading.errors == ()
    assert reading.metadata.get(member) == (given if registered is ... else registered)


@pytest.mark.spec(
    "DCR-META-02", "DCR-META-03", "DCR-META-10", "DCR-META-13", "DCR-META-18", "DCR-META-20", "DCR-META-21", "DCR-META-22", "DCR-META-26",
    "DCR-META-29", "DCR-META-30", "DCR-META-34", "DCR-META-36", "DCR-META-37", "DCR-META-39", "DCR-META-44", "DCR-META-45", "DCR-META-46",
)  # fmt: skip
@pytest.mark.threat("R07", "O04", "F01")
@pytest.mark.parametrize(("member", "value", "code"), _cases(REFUSED))
def test_a_value_outside_the_rules_is_refused_by_name(member, value, code):
    reading = read(website(**{member: value}))
    found = [finding for finding in reading.errors if (finding.member, finding.code) == (member, code)]
    assert found, reading.errors
    for finding in found:
        assert finding.sentence.endswith(".")
        assert finding.hint == "" or finding.hint.endswith(".")
        assert "Use ." not in finding.hint
    kind = "invalid_redirect_uri" if member == "redirect_uris" else "invalid_client_metadata"
    assert error_for_findings(found).code == kind


@pytest.mark.spec("DCR-META-13", "DCR-META-18", "DCR-META-21", "DCR-META-22", "DCR-META-36")
def test_the_defaults_are_filled_in_and_shown():
    assert read({"redirect_uris": [REDIRECT]}).metadata == {
        "redirect_uris": [REDIRECT],
        "application_type": "web",
        "token_endpoint_auth_method": "client_secret_basic",
        "grant_types": ["authorization_code"],
        "response_types": ["code"],
        "subject_type": "public",
        "id_token_signed_response_alg": "RS256",
    }


@pytest.mark.spec("DCR-META-02")
@pytest.mark.parametrize("nothing", [None, ""])
@pytest.mark.parametrize("member", READERS)
def test_null_and_the_empty_string_count_as_absent_for_every_member(member, nothing):
    document = machine(**{member: ...})
    with_nothing = {**document, member: nothing}
    assert read(with_nothing) == read(document)


@pytest.mark.spec("DCR-META-01", "DCR-META-49", "DCR-META-50", "DCR-META-51", "DCR-META-52", "DCR-META-47")
@pytest.mark.threat("R03")
@pytest.mark.parametrize(
    "name",
    [
        "unheard_of", "", "__class__", "pk", "id", "organization", "organization_id", "state", "trust",
        "trust_expires_at", "stage", "source",
        "skip_authorization", "registration_source", "dcr", "approved", "is_resource_server", "credential_generation", "created_by",
        "accepts_token_endpoint_audience", "_connector", "_negated", "client_id__in", "organization__state",
        "authorization_signed_response_alg",
        "response_modes", "authorization_details_types", "introspection_signed_response_alg", "use_mtls_endpoint_aliases",
        "tls_client_auth_subject_dn", "tls_client_auth_san_dns", "client_registration_types", "organization_name", "homepage_uri",
        "signed_jwks_uri", "authority_hints", "software_statement",
    ],
)  # fmt: skip
def test_an_unknown_member_is_neither_an_error_nor_registered(name):
    assert read(machine(**{name: "x"})) == read(machine())
    assert read(machine(**{name: {"deep": [1]}})) == read(machine())


@pytest.mark.spec("DCR-META-05")
@pytest.mark.threat("R03")
@pytest.mark.parametrize(
    "name",
    [
        "client_id",
        "client_secret",
        "client_id_issued_at",
        "client_secret_expires_at",
        "registration_access_token",
        "registration_client_uri",
    ],
)
def test_what_the_server_gives_is_never_taken_from_the_client(name):
    assert name not in READERS
    assert read(machine(**{name: "mine"})) == read(machine())


@pytest.mark.spec("DCR-META-06")
def test_all_errors_are_collected_and_a_redirect_uri_goes_first():
    findings = read(
        {"client_name": 5, "redirect_uris": ["http://x.example/cb", REDIRECT, "x"], "grant_types": ["password"], "contacts": ["x"]}
    ).errors
    error = error_for_findings(findings)
    assert error.code == "invalid_redirect_uri"
    assert set(error.members) == {"client_name", "redirect_uris", "grant_types", "contacts"}
    for member in error.members:
        assert member in error.description
    assert "redirect_uris[0]" in error.description
    assert "redirect_uris[2]" in error.description
    assert "redirect_uris[1]" not in error.description


@pytest.mark.spec("DCR-META-06")
def test_without_a_redirect_uri_at_fault_the_error_is_invalid_client_metadata():
    error = error_for_findings(read(website(client_name=5, post_logout_redirect_uris=["x"])).errors)
    assert (error.code, error.status) == ("invalid_client_metadata", 400)
    with pytest.raises(ValueError, match="no finding refuses"):
        error_for_findings(read(website()).findings)


@pytest.mark.spec("DCR-META-35")
def test_a_sector_identifier_is_an_https_address():
    sector = "https://app.example.org/sector.json"
    assert read(website(sector_identifier_uri=sector)).metadata["sector_identifier_uri"] == sector
    assert [error.member for error in read(website(sector_identifier_uri="http://app.example.org/s")).errors] == ["sector_identifier_uri"]


@pytest.mark.spec("DCR-META-07")
def test_reading_needs_no_database_network_or_clock():
    # No database mark on this module: a query would fail, and sockets are off.
    document = website(jwks_uri="https://app.example.org/jwks.json")
    assert read_client_metadata(document, now=NOW) == read_client_metadata(document, now=NOW)
    assert document == website(jwks_uri="https://app.example.org/jwks.json")


@pytest.mark.spec("DCR-META-26")
def test_a_page_on_another_host_than_the_redirect_uris_is_a_warning():
    findings = read(website(client_uri="https://elsewhere.example/", tos_uri="https://app.example.org/terms")).findings
    assert [(finding.code, finding.level, finding.field) for finding in findings] == [("url.other_host", "warning", "client_uri")]


@pytest.mark.threat("R07")
@pytest.mark.parametrize(
    ("name", "flagged"),
    [
        ("Bookings", False), ("Prénom & fils 2", False), ("Бронирование", False), ("予約サイト", False), ("예약 漢字", False),
        ("Κρατήσεις", False),
        ("Bооkings", True), ("Рaypal", True), ("Аpple", True), ("Gοοgle", True), ("Mіcrosoft", True), ("Ꮐoogle", True),
    ],
)  # fmt: skip
def test_a_name_that_mixes_scripts_is_flagged_for_a_reviewer(name, flagged):
    codes = [finding.code for finding in read(machine(client_name=name)).findings]
    assert ("name.mixed_scripts" in codes) == flagged


@pytest.mark.spec("DCR-META-30", "DCR-META-31")
def test_keys_that_are_not_needed_are_still_checked():
    assert errors(machine(jwks=jwks())) == set()
    assert errors(machine(jwks={"keys": [{"kty": "RSA"}]})) == {("jwks", "jwks.member_missing")}
