"""Issuers of software statements, as operators set them (DCR-SS-06)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from dcr.models import SoftwareStatementIssuer, StatementIssuerKeys
from dcr.software_statements import disable_issuer, enable_issuer, save_issuer, verify_statement
from dcr.software_statements.issuers import Dependants, what_depends_on
from protocol.errors import MetadataRefused, TransitionRefused
from protocol.fetch import InMemoryFetcher
from registry.actors import Actor, job, person
from registry.client_metadata.fields import READERS
from registry.models import AuditEvent, Client, Entitlement, Membership, Scope
from registry.outbound import use_fetcher
from registry.scopes import update_scope
from tests.conftest import Cast, make_organization
from tests.dcr.statements import ISSUER, JWKS_URI, KEY, OTHER_KEY, issuer_values, key_page, make_issuer, register, sign, verified
from tests.registry.support import private_key

SYSTEM = job("test")


@pytest.fixture
def operator(cast: Cast) -> Actor:
    """The operator, as staff."""
    return person(cast.operator, staff=True)


def members_refused(cast: Cast, now: datetime, **changes: Any) -> set[str]:
    """Return which members of an issuer with `changes` are refused."""
    with pytest.raises(MetadataRefused) as caught:
        make_issuer(now=now, **{"organization": cast.organization, **changes})
    assert not SoftwareStatementIssuer.objects.exists()
    return {finding.member for finding in caught.value.findings}


@pytest.mark.spec("DCR-SS-06")
def test_an_operator_adds_an_issuer_and_the_trail_says_which_keys(cast: Cast, operator: Actor, now: datetime) -> None:
    row = save_issuer(None, issuer_values(cast.organization), operator, now=now)
    assert (row.issuer, row.is_enabled, row.organization, row.created_at) == (ISSUER, True, cast.organization, now)
    event = AuditEvent.objects.get(event="statement_issuer.added")
    assert event.difference["kids"] == [None, [KEY.kid]]
    assert event.difference["organization"] == [None, cast.organization.slug]
    assert "jwks" not in event.difference
    assert save_issuer(row, issuer_values(cast.organization), operator, now=now) == row
    assert AuditEvent.objects.filter(event__startswith="statement_issuer").count() == 1
    save_issuer(row, {"max_age_seconds": 300}, operator, now=now)
    assert AuditEvent.objects.get(event="statement_issuer.changed").difference == {"max_age_seconds": [None, 300]}


@pytest.mark.parametrize("role", ["reviewer", "auditor", "owner", "operator who is a member"])
def test_only_an_operator_says_whose_statements_count(role: str, cast: Cast, now: datetime) -> None:
    row = make_issuer(cast.organization, now)
    if role == "operator who is a member":
        Membership.objects.create(organization=cast.organization, user=cast.operator, role="owner")
        actor = person(cast.operator, staff=True)
    else:
        actor = person(getattr(cast, role), staff=role != "owner")
        for act in (lambda: disable_issuer(row, actor, now=now, reason="R"), lambda: enable_issuer(row, actor)):
            with pytest.raises(TransitionRefused) as caught:
                act()
            assert caught.value.reason == "permission"
    with pytest.raises(TransitionRefused) as caught:
        save_issuer(None, issuer_values(cast.organization, issuer="https://new.example"), actor, now=now)
    assert caught.value.reason == "permission"
    assert SoftwareStatementIssuer.objects.get().is_enabled


@pytest.mark.spec("DCR-SS-06")
@pytest.mark.parametrize(("member", "value"), [
    ("issuer", ""), ("issuer", " "), ("issuer", "http://directory.example"), ("issuer", "https://"), ("issuer", "urn:directory"),
    ("issuer", "javascript:alert(1)"), ("issuer", "https://user@directory.example"), ("issuer", "a\nb"), ("issuer", "x" * 2049),
    ("issuer", 5),
    ("issuer", "https://directory.example/#x"), ("name", ""), ("name", "x" * 101), ("name", "a\x00"), ("name", None),
    ("jwks", None), ("jwks", {}), ("jwks", {"keys": []}), ("jwks", {"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}), ("jwks", "x"),
    ("jwks", {"keys": [{**KEY.public_jwk(), "d": "leaked"}]}), ("jwks", {"keys": [{**KEY.public_jwk(), "use": "enc"}, {"kty": "EC"}]}),
    ("jwks_uri", "http://directory.example/jwks"), ("jwks_uri", "directory"), ("jwks_uri", "https://user@directory.example/jwks"),
    ("algorithms", []), ("algorithms", ["none"]), ("algorithms", ["HS256"]), ("algorithms", ["ES256", "HS512"]), ("algorithms", "ES256"),
    ("algorithms", ["ES256", "ES256"]), ("algorithms", ["RS256"]), ("algorithms", None), ("algorithms", [5]),
    ("max_age_seconds", 0), ("max_age_seconds", -1), ("max_age_seconds", True), ("max_age_seconds", "300"), ("max_age_seconds", 10**12),
    ("single_use", "yes"), ("single_use", None), ("is_mandatory_profile", 1), ("replaces_initial_access_token", "on"),
    ("claims", ["client_id"]), ("claims", ["client_secret"]), ("claims", ["unheard_of"]), ("claims", ["client_name#de"]),
    ("claims", "scope"),
    ("claims", ["scope", "scope"]), ("claims", [["scope"]]), ("software_ids", [""]), ("software_ids", ["x" * 256]),
    ("software_ids", [" x"]),
    ("software_ids", [str(number) for number in range(501)]), ("organizations", "guess"), ("organization", None),
    ("organization_claim", "iss"), ("organization_claim", "x" * 61), ("organization_claim", " x"), ("organization_name_claim", "a\nb"),
    ("roles_claim", ""), ("roles_claim", "aud"), ("role_scopes", {}), ("role_scopes", {"r": ["unknown"]}),
    ("role_scopes", {"": ["bookings.read"]}),
    ("role_scopes", {"r": "bookings.read"}), ("role_scopes", ["r"]), ("role_scopes", {"r": [5]}), ("role_scopes", {"r": ["retired"]}),
    ("stage", "production"), ("stage", None),
])  # fmt: skip
def test_values_that_an_issuer_cannot_have_are_refused(cast: Cast, now: datetime, member: str, value: Any) -> None:
    Scope.objects.create(name="retired", title="No more", is_retired=True)
    changes = {member: value, **({"jwks": None} if member == "jwks_uri" else {})}
    blamed = {("role_scopes", "{}"): "roles_claim"}.get((member, str(value)), member)
    assert members_refused(cast, now, **changes) == {blamed}


@pytest.mark.spec("DCR-SS-06")
def test_values_that_do_not_fit_together_are_refused(cast: Cast, now: datetime) -> None:
    assert members_refused(cast, now, jwks_uri=JWKS_URI) == {"jwks"}
    assert members_refused(cast, now, organizations="match") == {"organization", "organization_claim"}
    assert members_refused(cast, now, organizations="create", organization_claim="org_id") == {"organization"}
    assert members_refused(cast, now, is_mandatory_profile=True, claims=["jwks"]) == {"claims"}
    waiting = make_organization(cast.stranger, cast.reviewer, now, "Tidewater", approve=False)
    assert members_refused(cast, now, organization=waiting) == {"organization"}


@pytest.mark.spec("DCR-SS-06")
def test_every_known_member_may_be_vouched_for_and_an_issuer_may_have_a_plain_name(cast: Cast, now: datetime) -> None:
    row = make_issuer(cast.organization, now, claims=list(READERS), issuer="Open Finance Directory")
    assert set(row.claims) == set(READERS)
    assert verified(now, iss="Open Finance Directory").issuer == row


def test_an_issuer_is_known_once_and_its_identifier_is_final(cast: Cast, now: datetime) -> None:
    row = make_issuer(cast.organization, now)
    with pytest.raises(MetadataRefused) as caught:
        make_issuer(cast.organization, now)
    assert [(finding.code, finding.member) for finding in caught.value.findings] == [("statement_issuer.duplicate", "issuer")]
    with pytest.raises(TransitionRefused) as refused:
        save_issuer(row, {"issuer": "https://other.example"}, SYSTEM, now=now)
    assert refused.value.reason == "final"
    row.delete()
    for act in (
        lambda: save_issuer(SoftwareStatementIssuer(pk=999), {"name": "X"}, SYSTEM, now=now),
        lambda: disable_issuer(SoftwareStatementIssuer(pk=999), SYSTEM, now=now, reason="R"),
    ):
        with pytest.raises(TransitionRefused) as refused:
            act()
        assert refused.value.reason == "state"


def test_of_a_pinned_key_only_public_members_are_kept(cast: Cast, now: datetime) -> None:
    row = make_issuer(cast.organization, now, jwks={"keys": [{**KEY.public_jwk(), "x-note": "mine"}], "more": 1})
    assert row.jwks == {"keys": [KEY.public_jwk()]}


@pytest.mark.spec("DCR-SS-06")
def test_new_keys_count_at_once_and_the_old_ones_no_more(cast: Cast, now: datetime) -> None:
    row = make_issuer(cast.organization, now)
    save_issuer(row, {"jwks": {"keys": [OTHER_KEY.public_jwk()]}}, SYSTEM, now=now)
    assert verify_statement(sign(now, key=OTHER_KEY), now=now)
    with use_fetcher(InMemoryFetcher({JWKS_URI: key_page(KEY)})):
        save_issuer(row, {"jwks": None, "jwks_uri": JWKS_URI}, SYSTEM, now=now)
        assert verified(now)
        assert StatementIssuerKeys.objects.count() == 1
        save_issuer(row, {"jwks_uri": JWKS_URI + "?2"}, SYSTEM, now=now)
    assert not StatementIssuerKeys.objects.exists()


def test_a_scope_taken_from_a_role_ends_at_once_and_a_new_one_needs_a_statement(cast: Cast, now: datetime) -> None:
    row = make_issuer(cast.organization, now, role_scopes={"data": ["bookings.read", "bookings.write"], "payment": ["bookings.write"]})
    both, one = register(cast.organization, verified(now), now), register(cast.organization, verified(now, roles=["data"]), now)

    def held(client: Client) -> set[str]:
        return set(Entitlement.objects.filter(client=client, because="statement").values_list("value", flat=True))

    assert held(both) == held(one) == {"bookings.read", "bookings.write"}
    save_issuer(row, {"role_scopes": {"data": ["bookings.read"], "payment": ["bookings.write"]}}, SYSTEM, now=now)
    assert held(both) == {"bookings.read", "bookings.write"}
    assert held(one) == {"bookings.read"}
    save_issuer(row, {"role_scopes": {"data": ["bookings.read", "bookings.write"]}}, SYSTEM, now=now)
    assert held(one) == {"bookings.read"}
    assert held(both) == {"bookings.read", "bookings.write"}


def test_a_retired_scope_stays_where_a_role_has_it(cast: Cast, now: datetime) -> None:
    row = make_issuer(cast.organization, now)
    update_scope(Scope.objects.get(name="bookings.write"), person(cast.operator, staff=True), is_retired=True)
    save_issuer(row, {"name": "Other"}, SYSTEM, now=now)
    assert SoftwareStatementIssuer.objects.get().name == "Other"


def test_disabling_needs_a_reason_and_happens_once(cast: Cast, operator: Actor, now: datetime) -> None:
    row = make_issuer(cast.organization, now)
    for reason, word in (("  ", "reason_missing"), ("It lost its key.", ""), ("Again.", "state")):
        try:
            assert disable_issuer(row, operator, now=now, reason=reason) == 0
            refusal = ""
        except TransitionRefused as error:
            refusal = error.reason
        assert refusal == word
    enable_issuer(row, operator)
    with pytest.raises(TransitionRefused):
        enable_issuer(row, operator)
    events = AuditEvent.objects.filter(actor_kind="staff", event__startswith="statement_issuer").order_by("id")
    assert [(event.event, event.reason) for event in events] == [
        ("statement_issuer.disabled", "It lost its key."),
        ("statement_issuer.enabled", ""),
    ]


def test_what_depends_on_an_issuer_is_counted_before_it_ends(cast: Cast, now: datetime, django_assert_num_queries: Any) -> None:
    row = make_issuer(cast.organization, now, replaces_initial_access_token=True)
    other = make_issuer(cast.organization, now, issuer="https://other.example", replaces_initial_access_token=True)
    register(cast.organization, verified(now), now)
    register(cast.organization, verified(now, roles=["data"]), now)
    register(cast.organization, verified(now, iss="https://other.example"), now)
    with django_assert_num_queries(3):
        assert what_depends_on(row) == Dependants(2, 2, [("bookings.read", 2), ("bookings.write", 1)])
    save_issuer(row, {"replaces_initial_access_token": False}, SYSTEM, now=now)
    register(cast.organization, verified(now), now)
    assert what_depends_on(row).alone == 2
    assert disable_issuer(row, SYSTEM, now=now, reason="Because.") == 3
    assert what_depends_on(row) == Dependants(0, 0, [])
    assert what_depends_on(other).clients == 1
    assert Client.objects.filter(state="suspended").count() == 2


@pytest.mark.spec("DCR-SS-01")
@pytest.mark.parametrize("algorithm", ["ES384", "ES512", "PS256", "RS256", "Ed25519", "EdDSA"])
def test_every_asymmetric_algorithm_can_be_allowed(cast: Cast, now: datetime, algorithm: str) -> None:
    key = private_key(algorithm, 71)
    make_issuer(cast.organization, now, jwks={"keys": [key.public_jwk()]}, algorithms=[algorithm])
    assert verify_statement(sign(now, key=key), now=now)
