"""This server as an entity of federations, read by the trust engine that reads others (OpenID Federation 1.0, 3.1.2, 5.1, 5.2.1, 9)."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.core.management import CommandError, call_command
from django.test import Client as Browser

from authserver.documents import configuration_snapshot, signed_jwks_snapshot
from federation.core.issuing import build_subordinate_statement, issue_entity_statement, issue_trust_mark
from federation.core.resolution import Resolution
from federation.core.resolver import Resolver, configuration_url, statement_url
from federation.core.statement_cache import MemoryStatementCache
from federation.core.statements import EntityConfiguration, parse_entity_statement, verify_entity_configuration
from federation.models import OwnTrustMark, Superior
from federation.own_entity import LIFETIME, join, leave, publish_trust_mark, withdraw_trust_mark
from federation.simulator import SimulatedFederation
from protocol.errors import InvalidUrl, StatementInvalid
from protocol.fetch import InMemoryFetcher, Page
from protocol.jose import FEDERATION_ENTITY_KEYS, VerificationBudget, parse_jwk_set, verify_jwt
from protocol.jose.purposes import SIGNED_JWKS
from registry.actors import job
from registry.models import AuditEvent, Contact, SigningKey
from registry.resource_servers import get_operator_organization
from registry.signing_keys import ensure_signing_keys, forget_snapshots, get_keys, rotate_signing_key
from tests.authserver.support import outcome
from tests.authserver.test_documents import database_away
from tests.federation.support import ANCHOR

WELL_KNOWN, SIGNED = "/.well-known/openid-federation", "/oauth/signed-jwks"
ISSUER = "https://id.credence.example"
MARK = "https://marks.example/certified"
ACTOR = job("test")


@pytest.fixture
def site(db: None, now: datetime, settings: Any) -> Browser:
    """The server on https, with keys."""
    settings.ISSUER = ISSUER
    ensure_signing_keys(ACTOR, now=now)
    return Browser(SERVER_NAME="127.0.0.1")


def read(site: Browser, now: float | None = None) -> EntityConfiguration:
    """Fetch and verify the configuration as any other entity would."""
    forget()
    answer = site.get(WELL_KNOWN)
    assert answer.status_code == 200, answer.content
    statement = parse_entity_statement(answer.content)
    return verify_entity_configuration(statement, ISSUER, now=int(now or time.time()), budget=VerificationBudget(5))


def forget() -> None:
    """Let the next answer be made anew."""
    forget_snapshots()
    configuration_snapshot.forget()


def federation_kids() -> set[str]:
    """Return the names of the federation keys that are in use or to come."""
    return set(SigningKey.objects.filter(purpose="federation").exclude(state="retired").values_list("kid", flat=True))


@pytest.mark.spec("FED-ECP-02", "FED-ECP-03", "FED-ECP-04", "FED-ECP-06", "FED-ECP-09")
@pytest.mark.spec("FED-FEP-01", "FED-FEP-02", "FED-HTT-02", "FED-HTT-04", "FED-HTT-05")
def test_the_configuration_is_served_at_its_exact_path_and_as_its_own_media_type(site: Browser) -> None:
    answer = site.get(WELL_KNOWN)
    assert configuration_url(ISSUER) == ISSUER + WELL_KNOWN
    assert answer["Content-Type"] == "application/entity-statement+jwt"
    assert answer["Access-Control-Allow-Origin"] == "*"
    assert int(answer["Cache-Control"].rpartition("=")[2]) < LIFETIME.total_seconds() / 2
    assert not answer.cookies
    assert answer.content.count(b".") == 2
    assert site.head(WELL_KNOWN).status_code == 200
    assert site.get(WELL_KNOWN, {"unknown": "x"}).status_code == 200
    assert site.get(WELL_KNOWN + "/").status_code == 404
    for path in (WELL_KNOWN, SIGNED):
        assert outcome(Browser(SERVER_NAME="127.0.0.1", enforce_csrf_checks=True).post(path)) == "405 invalid_request"


@pytest.mark.spec("FED-ECP-02", "FED-ECP-08", "FED-FEP-08", "FED-FEP-09")
@pytest.mark.parametrize("path", [WELL_KNOWN, SIGNED])
def test_a_server_whose_issuer_is_no_entity_identifier_says_so(site: Browser, settings: Any, path: str) -> None:
    settings.ISSUER = "http://127.0.0.1:8000"
    assert site.get(path).status_code == 200  # on one's own machine, for trying it out
    settings.ISSUER = "https://192.0.2.1"
    forget()
    signed_jwks_snapshot.forget()
    answer = site.get(path)
    assert outcome(answer) == "404 not_found"
    assert "https" in answer.json()["error_description"]


@pytest.mark.spec("FED-OPM-01", "FED-OPM-02", "FED-OPM-06", "FED-OPM-07", "FED-OPM-08", "FED-OPM-10", "FED-JWK-01", "FED-JWK-11")
def test_the_metadata_is_that_of_discovery(site: Browser) -> None:
    metadata = read(site).metadata
    for entity_type, path in (("openid_provider", "openid-configuration"), ("oauth_authorization_server", "oauth-authorization-server")):
        document = site.get(f"/.well-known/{path}").json()
        if entity_type == "openid_provider":  # there it would promise all of OpenID Connect Dynamic Client Registration
            assert document.pop("registration_endpoint") == ISSUER + "/register"
        assert metadata[entity_type] == {**document, "signed_jwks_uri": ISSUER + SIGNED}
        assert document["issuer"] == ISSUER
        assert document["request_uri_parameter_supported"] is False
        assert document["jwks_uri"].startswith("https://")
        assert {"require_signed_request_object", "request_object_signing_alg_values_supported"} < document.keys()
        assert "pushed_authorization_request_endpoint" in document
        assert "RS256" in document["request_object_signing_alg_values_supported"]
    assert "RS256" in metadata["openid_provider"]["id_token_signing_alg_values_supported"]


@pytest.mark.spec("FED-MET-06", "FED-FEP-07")
@pytest.mark.threat("T15")
def test_this_server_is_a_leaf_and_promises_nothing_that_authorities_serve(site: Browser) -> None:
    assert not {
        name
        for metadata in read(site).metadata.values()
        for name in metadata
        if name.startswith("federation_") and name != "federation_registration_endpoint"
    }
    for name in ("resolve", "fetch", "list", "trust_mark_status"):
        assert site.get(f"/federation/{name}", {"sub": ANCHOR, "trust_anchor": ANCHOR}).status_code == 404


@pytest.mark.spec("FED-OPM-03", "FED-OPM-04", "FED-OPM-05")
def test_no_registration_by_federation_is_promised_before_there_is_one(site: Browser) -> None:
    described = read(site).metadata
    for metadata in described.values():
        assert not {"client_registration_types_supported", "federation_registration_endpoint"} & metadata.keys()
    assert "registration_endpoint" not in described["openid_provider"]
    assert described["oauth_authorization_server"]["registration_endpoint"] == ISSUER + "/register"


def test_the_operator_says_who_runs_this(site: Browser, now: datetime) -> None:
    assert read(site).metadata["federation_entity"] == {}
    operator = get_operator_organization(ACTOR, now=now)
    operator.website = "https://www.credence.example/"
    operator.save()
    for kind, email in (("technical", "ops@credence.example"), ("security", "sec@credence.example"), ("business", "ops@credence.example")):
        Contact.objects.create(organization=operator, kind=kind, email=email)
    assert read(site).metadata["federation_entity"] == {
        "organization_name": operator.legal_name,
        "organization_uri": "https://www.credence.example/",
        "contacts": ["ops@credence.example", "sec@credence.example"],
    }


@pytest.mark.spec("FED-JOS-07", "FED-KEY-05", "FED-ECP-11")
def test_federation_keys_sign_it_and_are_announced_ahead(site: Browser, now: datetime) -> None:
    before = read(site)
    kids = {key.kid for key in before.keys.keys}
    assert before.signed_by.kid == get_keys("federation").current["ES256"].kid
    assert kids == federation_kids()
    assert kids.isdisjoint(key["kid"] for key in get_keys("protocol").public_jwks["keys"])
    following = (kids - {before.signed_by.kid}).pop()
    rotate_signing_key("federation", "ES256", ACTOR, now=now)
    after = read(site)
    assert after.signed_by.kid == following  # which superiors could know before it signed
    assert before.signed_by.kid in {key.kid for key in after.keys.keys}
    assert after.expires_at - after.issued_at == LIFETIME.total_seconds()


@pytest.mark.spec("FED-ECP-12", "FED-ECP-05")
def test_our_own_engine_resolves_this_server_below_an_anchor(site: Browser, now: datetime) -> None:
    world = SimulatedFederation()
    anchor = world.add_authority(ANCHOR)

    def resolve() -> Resolution:
        keys = parse_jwk_set(get_keys("federation").public_jwks, purpose=FEDERATION_ENTITY_KEYS).public_jwks()
        policy = {"openid_provider": {"id_token_signing_alg_values_supported": {"subset_of": ["ES256", "RS256"]}}}
        claims = build_subordinate_statement(ANCHOR, ISSUER, [], now=int(time.time()), lifetime=3600, jwks=keys, metadata_policy=policy)
        pages = {
            configuration_url(ISSUER): Page(site.get(WELL_KNOWN).content, "application/entity-statement+jwt"),
            statement_url(anchor.fetch_endpoint, ISSUER): Page(
                issue_entity_statement(claims, anchor.keys[0]).encode(), "application/entity-statement+jwt"
            ),
        }
        fetcher = InMemoryFetcher(pages, otherwise=world.answer)
        return Resolver(fetcher, [world.anchor(ANCHOR)], MemoryStatementCache()).resolve(ISSUER, entity_types=("openid_provider",))

    assert not resolve().ok  # it names no superior yet
    join(ANCHOR, ACTOR, now=now)
    forget()
    found = resolve()
    assert found.ok, found.failure
    assert found.metadata is not None
    assert set(found.metadata.metadata["openid_provider"]["id_token_signing_alg_values_supported"]) == {"ES256", "RS256"}
    assert leave(ANCHOR, ACTOR)
    assert not leave(ANCHOR, ACTOR)
    assert "authority_hints" not in read(site).jwt.unverified_claims
    assert list(AuditEvent.objects.filter(event__startswith="federation.").order_by("id").values_list("event", flat=True)) == [
        "federation.joined",
        "federation.left",
    ]


@pytest.mark.threat("T16")
def test_it_is_fresh_after_two_days_without_any_task(site: Browser, now: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    for hours in (0, 12, 24, 48):
        monkeypatch.setattr("registry.snapshots.time.monotonic", lambda hours=hours: 1e6 + hours * 3600)
        with time_machine.travel(now + timedelta(hours=hours), tick=True):
            statement = parse_entity_statement(site.get(WELL_KNOWN).content)
            left = statement.jwt.unverified_claims["exp"] - time.time()
        assert left > LIFETIME.total_seconds() / 2, hours


@pytest.mark.threat("X02", "T16")
def test_it_outlives_the_database_but_is_never_served_near_its_end(site: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    served = site.get(WELL_KNOWN).content
    monkeypatch.setattr("registry.snapshots.time.monotonic", lambda: 1e9)  # what is known is old
    with database_away():
        for hours, status in ((0, 200), (59, 200), (61, 503)):
            with time_machine.travel(time.time() + hours * 3600, tick=True):
                answer = site.get(WELL_KNOWN)
            assert answer.status_code == status, hours
            assert status != 200 or answer.content == served
        assert answer["Retry-After"] == "60"


@pytest.mark.spec("FED-JWK-02", "FED-JWK-03", "FED-JWK-04", "FED-JWK-05", "FED-JWK-06", "FED-JWK-07", "FED-JWK-09")
def test_the_protocol_keys_are_published_signed_too(site: Browser) -> None:
    answer = site.get(SIGNED)
    assert answer["Content-Type"] == "application/jwk-set+jwt"
    keys = read(site).keys
    verified = verify_jwt(SIGNED_JWKS, answer.content.decode(), keys, int(time.time()), issuer=ISSUER)
    assert (verified.claims["iss"], verified.claims["sub"]) == (ISSUER, ISSUER)
    assert not {"aud", "nbf", "jti"} & verified.claims.keys()
    assert verified.claims["keys"] == site.get("/oauth/jwks").json()["keys"]
    assert all(key["use"] == "sig" for key in verified.claims["keys"])


def test_without_a_federation_key_nothing_is_signed(site: Browser) -> None:
    SigningKey.objects.filter(purpose="federation").delete()
    forget()
    assert outcome(site.get(WELL_KNOWN)) == "503 temporarily_unavailable"
    assert site.get("/.well-known/openid-configuration").status_code == 200


@pytest.fixture
def marks(site: Browser) -> Any:
    """A function that issues trust marks, to this server if nothing else is said."""
    world = SimulatedFederation()
    issuer = world.add_authority("https://marks.example")

    def issue(lifetime: int | None = 3600, subject: str = ISSUER, **claims: Any) -> str:
        return issue_trust_mark("https://marks.example", subject, MARK, issuer.keys[0], now=int(time.time()), lifetime=lifetime, **claims)

    return issue


def test_trust_marks_are_published_until_they_end(site: Browser, marks: Any, now: datetime) -> None:
    publish_trust_mark(marks(lifetime=7200) + "\n", ACTOR, now=now)
    assert [mark.trust_mark_type for mark in read(site).trust_marks] == [MARK]
    with time_machine.travel(time.time() + 7300, tick=True):
        assert read(site).trust_marks == ()
    publish_trust_mark(endless := marks(lifetime=None), ACTOR, now=now)
    assert OwnTrustMark.objects.get().token == endless
    assert withdraw_trust_mark(MARK, ACTOR) == 1
    assert read(site).trust_marks == ()


def test_only_a_mark_about_this_server_is_published(marks: Any, now: datetime) -> None:
    for wrong in (
        marks(subject="https://other.example"),
        marks(lifetime=-3600),
        marks(lifetime=None, exp="soon"),
        "garbage",
        "a.b.c",
        marks(iss=5),
    ):
        with pytest.raises(StatementInvalid):
            publish_trust_mark(wrong, ACTOR, now=now)
    assert not OwnTrustMark.objects.exists()


def told(*arguments: str) -> str:
    """Return what the command says."""
    out = StringIO()
    call_command("federation_membership", *arguments, stdout=out)
    return out.getvalue()


def test_the_command_shows_and_changes_what_this_server_is(site: Browser, marks: Any, tmp_path: Path) -> None:
    file = tmp_path / "mark.jwt"
    file.write_text(marks())
    shown = told("--join", ANCHOR, "--publish-trust-mark", str(file))
    for text in (ISSUER + WELL_KNOWN, f"Superiors: {ANCHOR}", f"Trust marks: {MARK}", *federation_kids()):
        assert text in shown
    assert "Superiors: none\nTrust marks: none" in told("--leave", ANCHOR, "--withdraw-trust-mark", MARK)


def test_the_command_names_the_argument_that_is_wrong(site: Browser, tmp_path: Path, settings: Any) -> None:
    file = tmp_path / "mark.jwt"
    file.write_bytes(b"\xff")
    for arguments, problem in (
        (["--join", "http://anchor.example"], "--join"),
        (["--leave", ANCHOR], "--leave"),
        (["--publish-trust-mark", str(tmp_path / "none")], "--publish-trust-mark"),
        (["--publish-trust-mark", str(file)], "--publish-trust-mark"),
        (["--withdraw-trust-mark", MARK], "--withdraw-trust-mark"),
    ):
        with pytest.raises(CommandError, match=problem):
            told(*arguments)
    assert not Superior.objects.exists()
    with pytest.raises(InvalidUrl):
        join("x", ACTOR, now=datetime.now().astimezone() + timedelta())
    settings.ISSUER = "https://192.0.2.1"
    with pytest.raises(CommandError, match="CREDENCE_ISSUER"):
        told()
