"""Software statements: what verifies, and what is registered of a body and the statement beside it (RFC 7591, 2.3 and 3.1.1)."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from django.conf import settings
from django.db import connection

from dcr.models import SoftwareStatementIssuer, StatementIssuerKeys
from dcr.software_statements import disable_issuer, merge_statement, verify_statement
from protocol.errors import (
    InvalidClientMetadata,
    InvalidRedirectUri,
    InvalidSoftwareStatement,
    ServiceUnavailable,
    UnapprovedSoftwareStatement,
)
from protocol.fetch import FetchPurpose, InMemoryFetcher, Page, failure
from protocol.jose.purposes import VERIFIERS
from registry.actors import job
from registry.client_metadata.fields import READERS
from registry.outbound import use_fetcher
from tests.conftest import Cast
from tests.dcr.statements import (
    ISSUER,
    JWKS_URI,
    KEY,
    MACHINE,
    OTHER_KEY,
    claims_of,
    decode,
    encode,
    key_page,
    later,
    make_issuer,
    sign,
    verified,
)
from tests.registry.support import private_key


@pytest.fixture
def issuer(cast: Cast, now: datetime) -> SoftwareStatementIssuer:
    """An issuer with a pinned key."""
    return make_issuer(cast.organization, now)


@pytest.fixture
def directory() -> Iterator[InMemoryFetcher]:
    """The server of an issuer's keys."""
    with use_fetcher(fetcher := InMemoryFetcher({JWKS_URI: key_page(KEY)})):
        yield fetcher


@pytest.fixture
def remote(cast: Cast, now: datetime, directory: InMemoryFetcher) -> SoftwareStatementIssuer:
    """An issuer whose keys are behind an address."""
    return make_issuer(cast.organization, now, jwks=None, jwks_uri=JWKS_URI)


def refused(raw: object, now: datetime, kind: type[Exception] = InvalidSoftwareStatement) -> str:
    """Check that a statement is refused so and blames its member; return the words."""
    with pytest.raises(kind) as caught:
        verify_statement(raw, now=now)
    if kind is not ServiceUnavailable:
        assert caught.value.members == ("software_statement",)
        assert KEY.kid not in str(caught.value)
    return str(caught.value)


# What verifies


@pytest.mark.spec("DCR-SS-01", "DCR-SS-06")
def test_a_good_statement_says_what_it_sets_and_until_when(issuer: SoftwareStatementIssuer, now: datetime) -> None:
    raw = sign(now)
    statement = verify_statement(raw, now=now)
    assert (statement.issuer, statement.raw) == (issuer, raw)
    assert statement.asserted == {"client_name": "Vouched", "software_id": "4NRB1"}
    assert statement.roles == ("data", "payment")
    assert statement.expires_at == later(now, 3600)
    assert verified(now, exp=..., roles=...).expires_at is None
    assert raw not in repr(statement)


@pytest.mark.spec("DCR-SS-01")
@pytest.mark.parametrize("raw", [None, 7, True, {}, ["a.b.c"], b"a.b.c", "", "x", "a.b", "a.b.c.d", "a.b.c.d.e", "....", "é.é.é", "\x00"])
def test_what_is_no_compact_jwt_is_refused(issuer: SoftwareStatementIssuer, now: datetime, raw: object) -> None:
    refused(raw, now)


@pytest.mark.spec("DCR-SS-01")
@pytest.mark.threat("J01", "J02")
@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "HS256", "ES384", "RS256", "", None, 5])
def test_no_other_algorithm_than_the_issuers_is_accepted(issuer: SoftwareStatementIssuer, now: datetime, algorithm: Any) -> None:
    head, body, signature = sign(now).split(".")
    header = json.loads(decode(head)) | {"alg": algorithm}
    for part in (signature, "", encode(b"x")):
        refused(f"{encode(header)}.{body}.{part}", now)


@pytest.mark.spec("DCR-SS-01")
@pytest.mark.threat("J01")
def test_a_public_key_is_no_shared_secret(cast: Cast, now: datetime) -> None:
    key = private_key("RS256", 71)
    make_issuer(cast.organization, now, jwks={"keys": [key.public_jwk()]}, algorithms=["RS256"])
    assert verify_statement(sign(now, key=key), now=now)
    pem = json.dumps(key.public_jwk()).encode()
    for algorithm, digest in (("HS256", hashlib.sha256), ("HS512", hashlib.sha512)):
        text = f"{encode({'alg': algorithm, 'kid': key.kid, 'typ': 'JWT'})}.{encode(claims_of(now))}"
        refused(f"{text}.{encode(hmac.new(pem, text.encode(), digest).digest())}", now)


@pytest.mark.spec("DCR-SS-01", "DCR-SS-06")
def test_an_algorithm_counts_only_where_the_operator_allowed_it(cast: Cast, now: datetime) -> None:
    keys = {"keys": [KEY.public_jwk(), private_key("PS256", 71).public_jwk()]}
    make_issuer(cast.organization, now, jwks=keys, algorithms=["PS256"])
    assert verify_statement(sign(now, key=private_key("PS256", 71)), now=now)
    refused(sign(now), now)


@pytest.mark.spec("DCR-SS-01")
@pytest.mark.threat("J03", "J04")
@pytest.mark.parametrize("name", ["jwk", "jku", "x5u", "x5c", "x5t", "crit", "trust_chain"])
def test_a_header_cannot_bring_keys_of_its_own(
    issuer: SoftwareStatementIssuer, directory: InMemoryFetcher, now: datetime, name: str
) -> None:  # fmt: skip
    value = {"jwk": OTHER_KEY.public_jwk(), "crit": ["x"]}.get(name, JWKS_URI)
    for key in (KEY, OTHER_KEY):
        refused(sign(now, key=key, headers={name: value}), now)
    assert directory.total == 0


@pytest.mark.spec("DCR-SS-01")
def test_a_changed_payload_or_another_key_does_not_verify(issuer: SoftwareStatementIssuer, now: datetime) -> None:
    head, body, signature = sign(now).split(".")
    changed = json.loads(decode(body)) | {"client_name": "Forged"}
    refused(f"{head}.{encode(changed)}.{signature}", now)
    refused(f"{head}.{body}.{encode(bytes(64))}", now)
    refused(sign(now, key=OTHER_KEY), now)
    text = f"{encode({'alg': 'ES256', 'typ': 'JWT', 'kid': KEY.kid})}.{body}"
    refused(f"{text}.{sign(now, key=OTHER_KEY).rpartition('.')[2]}", now)


@pytest.mark.spec("DCR-SS-01")
@pytest.mark.threat("J12", "J13")
@pytest.mark.parametrize("payload", [
    b'{"iss":"%s","iss":"%s"}', b'{"iss":"%s","client_name":"a","client_name":"b"}', b'{"iss":"%s","x":NaN}', b'["%s"]', b'"%s"',
    b'{"iss":"%s","x":"\\ud800"}', b'{"iss":"%s"', b"\xef\xbb\xbf{}", b'{"iss":"%s","x":' + b"[" * 200 + b"]" * 200 + b"}",
])  # fmt: skip
def test_a_payload_is_strict_json(issuer: SoftwareStatementIssuer, now: datetime, payload: bytes) -> None:
    from protocol.jose.algorithms import ALGORITHMS

    text = f"{encode({'alg': 'ES256', 'kid': KEY.kid})}.{encode(payload.replace(b'%s', ISSUER.encode()))}"
    refused(f"{text}.{encode(ALGORITHMS['ES256'].sign(KEY.private_key, text.encode()))}", now)


@pytest.mark.spec("DCR-SS-01")
@pytest.mark.threat("J10")
def test_a_huge_statement_is_refused_by_its_length(issuer: SoftwareStatementIssuer, now: datetime) -> None:
    assert "longer than" in refused(sign(now, client_uri="x" * 70_000), now)
    assert "longer than" in refused("a" * 10_000_000, now)


@pytest.mark.spec("DCR-SS-01", "DCR-SS-05")
@pytest.mark.parametrize("changes", [
    {"exp": "tomorrow"}, {"exp": True}, {"exp": 0}, {"exp": -1}, {"exp": 2**60}, {"iat": "now"}, {"nbf": []}, {"iss": ""}, {"iss": 5},
    {"jti": 5}, {"aud": 5}, {"aud": [5]},
])  # fmt: skip
def test_claims_of_the_wrong_type_are_refused(issuer: SoftwareStatementIssuer, now: datetime, changes: dict[str, Any]) -> None:
    refused(sign(now, **changes), now)


@pytest.mark.spec("DCR-SS-01")
def test_a_statement_names_its_issuer(issuer: SoftwareStatementIssuer, now: datetime) -> None:
    assert "'iss'" in refused(sign(now, iss=...), now)


@pytest.mark.spec("DCR-SS-01", "DCR-SS-05")
def test_a_statement_counts_until_it_expires_and_from_when_it_says(issuer: SoftwareStatementIssuer, now: datetime) -> None:
    seconds = int(now.timestamp())
    assert verified(now, exp=seconds - 59)
    refused(sign(now, exp=seconds - 60), now)
    assert verified(now, iat=seconds + 60)
    refused(sign(now, iat=seconds + 61), now)
    assert verified(now, nbf=seconds + 60)
    refused(sign(now, nbf=seconds + 61), now)


def test_an_end_beyond_the_calendar_is_an_end_all_the_same(issuer: SoftwareStatementIssuer, now: datetime) -> None:
    end = verified(now, exp=2**40 - 1).expires_at
    assert end is not None
    assert end.year == 9999


@pytest.mark.spec("DCR-SS-05")
def test_a_statement_is_no_older_than_its_issuer_allows(cast: Cast, now: datetime) -> None:
    make_issuer(cast.organization, now, max_age_seconds=300)
    seconds = int(now.timestamp())
    assert verified(now, iat=seconds - 300)
    assert "older than the 300 seconds" in refused(sign(now, iat=seconds - 301), now)
    assert "'iat' is missing" in refused(sign(now, iat=...), now)


@pytest.mark.spec("DCR-SS-05")
def test_a_statement_that_counts_once_needs_a_name(cast: Cast, now: datetime) -> None:
    make_issuer(cast.organization, now, single_use=True)
    assert verified(now)
    assert "'jti' is missing" in refused(sign(now, jti=...), now)


@pytest.mark.spec("DCR-SS-01")
@pytest.mark.threat("O01")
def test_an_audience_has_to_hold_this_server(issuer: SoftwareStatementIssuer, now: datetime) -> None:
    own, endpoint = settings.ISSUER, settings.ISSUER + "/register"
    for aud in (..., own, endpoint, [own], [endpoint], ["https://other.example", endpoint], [endpoint, own]):
        assert verified(now, aud=aud)
    for aud in ("https://other.example", [], [""], own + "/", own.upper(), endpoint + "/", own + "/token", ["https://other.example"], ""):
        refused(sign(now, aud=aud), now)


@pytest.mark.spec("DCR-SS-03")
def test_a_statement_inside_a_statement_is_refused(issuer: SoftwareStatementIssuer, now: datetime) -> None:
    for nested in (sign(now), "", None, {}):
        assert "'software_statement'" in refused(sign(now, software_statement=nested), now)


@pytest.mark.spec("DCR-SS-01")
@pytest.mark.threat("J05")
def test_no_other_kind_of_jwt_passes_and_a_statement_passes_for_no_other(issuer: SoftwareStatementIssuer, now: datetime) -> None:
    assert verified(now, typ=None)
    assert verified(now, typ="JWT")
    others = {typ for verifier in VERIFIERS.values() for typ in verifier.types}
    assert len(others) > 8
    for typ in {*others, "at+jwt", "logout+jwt", "secevent+jwt", "dpop+jwt", "software-statement+jwt", "jwt", "", "application/jwt"}:
        assert "'typ'" in refused(sign(now, typ=typ), now)
    seconds = int(now.timestamp())
    assertion = {"sub": ISSUER}
    request_object = {"client_id": ISSUER, "response_type": "code"}
    logout = {"events": {"http://schemas.openid.net/event/backchannel-logout": {}}}
    for claims in (assertion, request_object, logout, {"nonce": "n"}, {"keys": []}, {"challenge": "c"}, {"trust_mark_type": "t"}):
        refused(sign(now, exp=seconds + 60, **claims), now)


# Whose keys


@pytest.mark.spec("DCR-SS-01", "DCR-SS-06")
@pytest.mark.threat("F13")
def test_an_unknown_kid_fetches_once_more_and_is_refused_then(
    remote: SoftwareStatementIssuer, directory: InMemoryFetcher, now: datetime
) -> None:
    assert verify_statement(sign(now), now=now)
    assert [request.purpose for request in directory.requests] == [FetchPurpose.JWKS]
    refused(sign(now, key=OTHER_KEY), later(now, 29))
    assert directory.total == 1
    refused(sign(now, key=OTHER_KEY), later(now, 30))
    assert directory.total == 2
    directory.put(JWKS_URI, key_page(KEY, OTHER_KEY))
    for second in range(31, 60):
        refused(sign(now, key=OTHER_KEY), later(now, second))
    assert directory.total == 2
    assert verify_statement(sign(now, key=OTHER_KEY), now=later(now, 60))
    assert directory.total == 3


@pytest.mark.threat("F13", "J18")
def test_nothing_is_fetched_for_what_is_refused_anyway(remote: SoftwareStatementIssuer, directory: InMemoryFetcher, now: datetime) -> None:
    refused(sign(now, exp=1), now)
    refused(sign(now, aud="https://other.example"), now)
    refused(sign(now, typ="at+jwt"), now)
    refused(sign(now, key=private_key("PS256", 71)), now)
    refused(sign(now, iss="https://unknown.example"), now, UnapprovedSoftwareStatement)
    disable_issuer(remote, job("test"), now=now, reason="Because.")
    refused(sign(now), now, UnapprovedSoftwareStatement)
    assert directory.total == 0


@pytest.mark.parametrize("answer", [
    failure("deadline"), None, Page(b"[]", "application/json"), Page(b'{"keys":[]}', "application/json"),
    Page(b'{"keys":[{"kty":"oct","k":"c2VjcmV0","kid":"%s"}]}' % KEY.kid.encode(), "application/json"),
    Page(b"{}", "text/html"), Page(b"{}", "application/json", 500),
])  # fmt: skip
def test_keys_that_cannot_be_had_say_nothing_about_a_statement(
    remote: SoftwareStatementIssuer, directory: InMemoryFetcher, now: datetime, answer: Any
) -> None:
    directory.put(JWKS_URI, answer)
    for second in (0, 1):
        with pytest.raises(ServiceUnavailable) as caught:
            verify_statement(sign(now), now=later(now, second))
        assert caught.value.retry_after == 30
    assert directory.total == 1
    directory.put(JWKS_URI, key_page(KEY))
    assert verify_statement(sign(now), now=later(now, 30))


def test_the_last_good_keys_count_for_a_day_after_they_cannot_be_fetched(
    remote: SoftwareStatementIssuer, directory: InMemoryFetcher, now: datetime
) -> None:
    verify_statement(sign(now), now=now)
    directory.put(JWKS_URI, failure("deadline"))
    for seconds in (299, 301, 300 + 86_399):
        assert verify_statement(sign(later(now, seconds)), now=later(now, seconds))
    refused(sign(later(now, 400), key=OTHER_KEY), later(now, 400), ServiceUnavailable)
    refused(sign(later(now, 90_000)), later(now, 90_000), ServiceUnavailable)


def test_another_address_forgets_the_keys_of_the_one_before(
    remote: SoftwareStatementIssuer, directory: InMemoryFetcher, now: datetime
) -> None:
    verify_statement(sign(now), now=now)
    remote.jwks_uri = "https://directory.example/other.json"
    remote.save()
    refused(sign(now), now, ServiceUnavailable)
    assert StatementIssuerKeys.objects.get().jwks is None


# What is approved


@pytest.mark.spec("DCR-SS-02")
def test_a_statement_of_nobody_here_is_not_approved(issuer: SoftwareStatementIssuer, now: datetime) -> None:
    for name in ("https://unknown.example", ISSUER + "/", ISSUER.upper()):
        words = refused(sign(now, iss=name, key=OTHER_KEY), now, UnapprovedSoftwareStatement)
        assert "not approved for use by this authorization server" in words
    disable_issuer(issuer, job("test"), now=now, reason="Because.")
    assert refused(sign(now), now, UnapprovedSoftwareStatement)
    # What is malformed is invalid, whoever made it.
    refused(sign(now, iss="https://unknown.example", exp=1), now)


@pytest.mark.spec("DCR-SS-02", "DCR-SS-06")
def test_software_is_approved_by_its_identifier_once_the_issuer_names_some(cast: Cast, now: datetime) -> None:
    make_issuer(cast.organization, now, software_ids=["4NRB1", "other"])
    assert verified(now)
    for software_id in ("4nrb1", "4NRB1 ", "", None, ["4NRB1"], {"4NRB1": 1}, ...):
        refused(sign(now, software_id=software_id), now, UnapprovedSoftwareStatement)
    refused(sign(now, software_id="bad", key=OTHER_KEY), now, InvalidSoftwareStatement)


# What counts of the claims


@pytest.mark.spec("DCR-SS-06")
def test_only_claims_that_the_issuer_may_set_count(issuer: SoftwareStatementIssuer, now: datetime) -> None:
    more = {
        "grant_types": ["client_credentials"], "token_endpoint_auth_method": "none", "org_id": "x", "unheard_of": [1], "tos_uri": "https://x.example",
        "logo_uri": None, "client_name#de": "Verbürgt", "tos_uri#de": "https://x.example/de", "client_secret": "mine", "scope": "",
    }  # fmt: skip
    found = verified(now, **more).asserted
    assert found == {"client_name": "Vouched", "client_name#de": "Verbürgt", "software_id": "4NRB1"}
    assert "client_secret" not in READERS


@pytest.mark.spec("DCR-SS-06")
@pytest.mark.parametrize("roles", [5, None, {}, [5], [""], ["x", None], [["data"]], ["r"] * 51])
def test_roles_are_a_list_of_texts(issuer: SoftwareStatementIssuer, now: datetime, roles: Any) -> None:
    refused(sign(now, roles=roles), now)


@pytest.mark.spec("DCR-SS-06")
def test_roles_are_read_from_the_claim_that_the_issuer_uses(issuer: SoftwareStatementIssuer, now: datetime) -> None:
    assert verified(now, roles=["data", "data", "x"]).roles == ("data", "x")
    assert verified(now, roles="data payment").roles == ("data", "payment")
    assert verified(now, roles=...).roles == verified(now, roles=[]).roles == ()
    SoftwareStatementIssuer.objects.update(roles_claim="")
    assert verified(now).roles == ()


# Merging


@pytest.mark.spec("DCR-SS-03")
def test_what_the_statement_says_wins_over_the_body(issuer: SoftwareStatementIssuer, now: datetime) -> None:
    said = {
        "client_name": "Vouched", "logo_uri": "https://directory.example/logo.png", "scope": "bookings.read", "software_id": "4NRB1",
        "redirect_uris": ["https://vouched.example/cb"],
    }  # fmt: skip
    body = {
        "client_name": "Forged", "client_name#de": "Gefälscht", "client_name#DE-CH": "Gefälscht", "logo_uri": "https://forged.example/x.png",
        "logo_uri#fr": "https://forged.example/fr.png", "scope": "bookings.write", "software_id": "OTHER",
        "redirect_uris": ["https://forged.example/cb"], "tos_uri": "https://body.example/tos", "tos_uri#de": "https://body.example/de",
        "grant_types": ["client_credentials"], "software_statement": "a.b.c",
    }  # fmt: skip
    before = dict(body)
    merged = merge_statement(body, verified(now, **said))
    assert merged == {
        **said, "tos_uri": "https://body.example/tos", "tos_uri#de": "https://body.example/de", "grant_types": ["client_credentials"],
    }  # fmt: skip
    assert body == before


@pytest.mark.spec("DCR-SS-03")
def test_other_languages_of_a_vouched_member_come_from_the_statement_only(issuer: SoftwareStatementIssuer, now: datetime) -> None:
    statement = verified(now, **{"client_name": ..., "client_name#de": "Verbürgt"})
    merged = merge_statement({"client_name": "Forged", "client_name#de": "Gefälscht", "client_name#fr": "Faux"}, statement)
    assert merged == {"client_name#de": "Verbürgt", "software_id": "4NRB1"}


@pytest.mark.spec("DCR-SS-03")
@pytest.mark.parametrize(("vouched", "body"), [("jwks_uri", "jwks"), ("jwks", "jwks_uri")])
def test_keys_are_the_statements_however_the_body_gives_them(cast: Cast, now: datetime, vouched: str, body: str) -> None:
    make_issuer(cast.organization, now, claims=["jwks", "jwks_uri"])
    values = {"jwks_uri": "https://vouched.example/jwks", "jwks": {"keys": [KEY.public_jwk()]}}
    statement = verified(now, **{vouched: values[vouched]})
    assert merge_statement({body: values[body], "client_name": "Body"}, statement) == {vouched: values[vouched], "client_name": "Body"}
    assert merge_statement({body: values[body]}, verified(now)) == {body: values[body]}


@pytest.mark.spec("DCR-SS-01", "DCR-SS-03")
def test_merging_asks_nothing_of_the_database(issuer: SoftwareStatementIssuer, now: datetime, django_assert_num_queries: Any) -> None:
    statement = verified(now)
    with django_assert_num_queries(0):
        merge_statement(MACHINE, statement)
    assert connection.vendor


# The ecosystem profile

URIS = ["https://app.example/a", "https://app.example/b"]
KEYS = "https://keys.directory.example/jwks"


@pytest.fixture
def profile(cast: Cast, now: datetime) -> SoftwareStatementIssuer:
    """An issuer of an ecosystem: addresses and keys come from the statement."""
    return make_issuer(cast.organization, now, is_mandatory_profile=True, claims=["client_name"])


def merged_in_profile(now: datetime, body: dict[str, Any], **claims: Any) -> dict[str, Any]:
    """Return what a body becomes beside a statement of the ecosystem."""
    said = {"software_redirect_uris": URIS, "software_jwks_uri": KEYS, **claims}
    return merge_statement(body, verified(now, **said))


@pytest.mark.spec("DCR-SS-04")
def test_the_body_chooses_among_the_redirect_uris_of_the_statement(profile: SoftwareStatementIssuer, now: datetime) -> None:
    for chosen in (URIS, URIS[1:], [URIS[1], URIS[0]], []):
        assert merged_in_profile(now, {"redirect_uris": chosen})["redirect_uris"] == chosen
        direct = {"software_redirect_uris": ..., "redirect_uris": URIS}
        assert merged_in_profile(now, {"redirect_uris": chosen}, **direct)["redirect_uris"] == chosen
    assert "redirect_uris" not in merged_in_profile(now, {})
    wrong: list[Any] = [["https://app.example/c"], [*URIS, "https://app.example/A"], [URIS[0] + "?x"], URIS[0], [[URIS[0]]], [None], {}]
    for chosen in wrong:
        with pytest.raises(InvalidRedirectUri) as caught:
            merged_in_profile(now, {"redirect_uris": chosen, "jwks": {}})
        assert caught.value.members == ("redirect_uris",)
    for own in (..., [], "https://app.example/a", {"https://app.example/a": 1}):
        with pytest.raises(InvalidRedirectUri):
            merged_in_profile(now, {"redirect_uris": URIS[:1]}, software_redirect_uris=own)


@pytest.mark.spec("DCR-SS-04")
def test_the_body_brings_no_keys_of_its_own(profile: SoftwareStatementIssuer, now: datetime) -> None:
    assert merged_in_profile(now, {})["jwks_uri"] == merged_in_profile(now, {"jwks_uri": KEYS})["jwks_uri"] == KEYS
    for body in ({"jwks": {"keys": []}}, {"jwks_uri": KEYS + "/"}, {"jwks_uri": 5}, {"jwks": {}, "jwks_uri": KEYS}):
        with pytest.raises(InvalidClientMetadata) as caught:
            merged_in_profile(now, body)
        assert caught.value.members[0] in body
    with pytest.raises(InvalidClientMetadata):
        merged_in_profile(now, {"jwks_uri": KEYS}, software_jwks_uri=...)


@pytest.mark.spec("DCR-SS-04")
def test_scopes_stay_within_the_roles(profile: SoftwareStatementIssuer, now: datetime) -> None:
    assert merged_in_profile(now, {"scope": "bookings.write"}, roles=["payment"])["scope"] == "bookings.write"
    assert merged_in_profile(now, {}, roles=["payment", "data"])["scope"] == "bookings.read bookings.write"
    assert "scope" not in merged_in_profile(now, {}, roles=["unknown"])
    for scope, roles in (("bookings.read", ["payment"]), ("bookings.read bookings.write", ["data"]), ("openid", ["data"]), ("x", [])):
        with pytest.raises(InvalidClientMetadata) as caught:
            merged_in_profile(now, {"scope": scope}, roles=roles)
        assert caught.value.members == ("scope",)


@pytest.mark.spec("DCR-SS-04", "DCR-SS-06")
def test_prefixed_claims_count_in_the_profile_only_and_behind_plain_ones(
    profile: SoftwareStatementIssuer, now: datetime
) -> None:  # fmt: skip
    said = {
        "client_name": ...,
        "software_client_name": "Prefixed",
        "software_client_name#de": "Mit",
        "software_logo_uri": "https://x.example",
    }
    assert verified(now, **said).asserted == {"client_name": "Prefixed", "client_name#de": "Mit"}
    assert verified(now, software_client_name="Prefixed").asserted == {"client_name": "Vouched"}
    SoftwareStatementIssuer.objects.update(is_mandatory_profile=False)
    assert verified(now, **said).asserted == {}


def test_outside_of_the_profile_the_body_says_what_the_statement_does_not(issuer: SoftwareStatementIssuer, now: datetime) -> None:
    body = {"redirect_uris": ["https://any.example/cb"], "jwks_uri": "https://any.example/jwks", "scope": "openid"}
    assert merge_statement(body, verified(now)) == {**body, "client_name": "Vouched", "software_id": "4NRB1"}
