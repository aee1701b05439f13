"""What people are told because time passed: each step once, anew when it was prolonged, and nothing that is no news."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from django.db import connection
from django.test.utils import CaptureQueriesContext

from dcr.initial_access_tokens import TokenTerms, create_initial_access_token, revoke_initial_access_token
from dcr.models import InitialAccessToken
from federation.models import FederationRecord, RegistrationRequest
from portal.reminders import ENDINGS, INCIDENTS, remind, summarize, watch_trust
from protocol.jose import certificate_ends
from registry.actors import Actor, job
from registry.credentials import create_secret, end_secret
from registry.endings import find_ending_secrets
from registry.lifecycle import TrustedMetadata, lose_trust, register_trusted_client, request_go_live
from registry.models import AuditEvent, ChangeRequest, Client, ClientKeySet, ClientSecret, Membership, Notice, Organization, Reminder
from registry.models.audit import ActorKind
from registry.notices import record_news
from registry.reminders import Ending, note_told, remind_of_endings, step_of
from registry.review_times import median_review_time
from registry.working_days import add_working_days
from tests.conftest import Cast, later, make_organization
from tests.registry.threads import together

MakeClient = Callable[..., Client]


def told(*events: str) -> list[str]:
    """Return the events of these names that have a notice, oldest first."""
    rows = AuditEvent.objects.filter(notice__isnull=False).order_by("id").values_list("event", flat=True)
    return [event for event in rows if event in events or any(event.startswith(one) for one in events if one.endswith("."))]


def ending(moment: datetime, cast: Cast, **values: Any) -> Ending:
    return Ending("secret:1", "It.", cast.organization, cast.organization, moment, "secret.ending", "secret.expired", **values)


@pytest.mark.parametrize(
    ("left", "step"),
    [
        (31, None),
        (30, "30"),
        (15, "30"),
        (14, "14"),
        (7, "7"),
        (6.9, "7"),
        (1, "1"),
        (0.01, "1"),
        (0, "ended"),
        (-2.9, "ended"),
        (-3, None),
    ],
)
def test_steps_are_thirty_fourteen_seven_and_one_day_and_the_end(cast: Cast, now: datetime, left: float, step: str | None) -> None:
    assert step_of(ending(later(now, days=left), cast), now) == step


def test_what_is_made_for_a_week_is_no_news_for_having_a_week_left(cast: Cast, now: datetime) -> None:
    made = ending(later(now, days=7), cast, since=now)
    assert step_of(made, now) is None
    assert step_of(made, later(now, days=6)) == "1"


@pytest.mark.threat("X06")
def test_a_secret_is_told_of_at_each_step_once_and_at_its_end(cast: Cast, make_client: MakeClient, now: datetime) -> None:
    row = create_secret(make_client(), cast.as_owner, now=now, expires_at=later(now, days=40)).row
    for day in (0, 9, 10, 11, 26, 27, 33, 34, 39, 39.5, 40, 41):
        remind(later(now, days=day))
        remind(later(now, days=day))
    assert told("secret.ending", "secret.expired") == ["secret.ending"] * 4 + ["secret.expired"]
    reason = AuditEvent.objects.filter(event="secret.ending").latest("id").reason
    assert f"{row.expires_at:%Y-%m-%d %H:%M} UTC" in reason
    assert "in 24 hours" in reason


def test_what_is_prolonged_is_told_of_anew(cast: Cast, make_client: MakeClient, now: datetime) -> None:
    row = create_secret(make_client(), cast.as_owner, now=later(now, days=-90), expires_at=later(now, days=5)).row
    remind(now)
    ClientSecret.objects.filter(pk=row.pk).update(expires_at=later(now, days=6))
    remind(now)
    assert told("secret.ending") == ["secret.ending"] * 2


def test_a_lasting_sibling_and_a_closed_app_mean_no_mail(cast: Cast, make_client: MakeClient, now: datetime) -> None:
    client = make_client()
    create_secret(client, cast.as_owner, now=later(now, days=-90), expires_at=later(now, days=5))
    create_secret(client, cast.as_owner, now=now)
    closed = make_client()
    create_secret(closed, cast.as_owner, now=later(now, days=-90), expires_at=later(now, days=5))
    Client.objects.filter(pk=closed.pk).update(state=Client.State.CLOSED)
    remind(now)
    assert told("secret.ending") == []


def test_a_secret_that_a_person_ended_is_not_told_of_twice(cast: Cast, make_client: MakeClient, now: datetime) -> None:
    row = create_secret(make_client(), cast.as_owner, now=later(now, days=-1)).row
    end_secret(row, cast.as_owner, now=now)
    remind(later(now, hours=1))
    assert told("secret.ended", "secret.expired") == ["secret.ended"]


def certified(end: datetime) -> dict[str, Any]:
    """Return a public key with its certificate, which ends at `end`."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "app")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(end - timedelta(days=90)).not_valid_after(end)
    raw = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)
    numbers = key.public_key().public_numbers()
    x, y = (base64.urlsafe_b64encode(one.to_bytes(32)).rstrip(b"=").decode() for one in (numbers.x, numbers.y))
    return {"kty": "EC", "crv": "P-256", "x": x, "y": y, "kid": "signing-1", "use": "sig", "x5c": [base64.b64encode(raw).decode()]}


def test_a_certificate_of_a_registered_key_is_told_of(cast: Cast, make_client: MakeClient, now: datetime) -> None:
    jwks = {"keys": [certified(later(now, days=6))]}
    make_client(token_endpoint_auth_method="private_key_jwt", jwks=jwks)
    remind(now)
    remind(later(now, hours=2))
    assert told("certificate.") == ["certificate.ending"]
    assert "signing-1" in AuditEvent.objects.get(event="certificate.ending").reason


@pytest.mark.parametrize(
    "value", [None, {}, {"keys": 7}, {"keys": [None]}, {"keys": [{"x5c": "no"}]}, {"keys": [{"kty": "EC", "x5c": ["AA=="]}]}]
)
def test_keys_that_cannot_be_read_have_no_certificates(value: Any) -> None:
    assert certificate_ends(value) == []


def test_a_registration_token_with_uses_left_is_told_of_until_it_is_revoked(cast: Cast, now: datetime) -> None:
    terms = TokenTerms(label="Installer", expires_at=later(now, days=20), uses_limit=3)
    token = create_initial_access_token(cast.organization, cast.as_owner, terms, now=now).row
    used = create_initial_access_token(cast.organization, cast.as_owner, terms, now=now).row
    InitialAccessToken.objects.filter(pk=used.pk).update(uses=3)
    remind(now)
    assert told("token.") == []
    remind(later(now, days=6))
    assert told("token.") == ["token.ending"]
    assert "3 of 3 uses left" in AuditEvent.objects.get(event="token.ending").reason
    revoke_initial_access_token(token, cast.as_owner, now=later(now, days=7))
    remind(later(now, days=13))
    assert told("token.") == ["token.ending"]


@pytest.fixture
def entity(cast: Cast, make_client: MakeClient, now: datetime) -> Client:
    """A client that a trust chain vouches for, until in five days."""
    client = make_client()
    Client.objects.filter(pk=client.pk).update(
        trust="valid", trust_expires_at=later(now, days=5), source=Client.Source.FEDERATION_AUTOMATIC
    )
    FederationRecord.objects.create(
        client=client, entity_id="https://entity.example", twin_digest="x", anchor="a", superior="s", registered_at=later(now, days=-60)
    )
    client.refresh_from_db()
    return client


def test_a_chain_that_is_renewed_is_no_news_and_one_that_is_not_is(cast: Cast, entity: Client, now: datetime) -> None:
    remind(now)
    assert told("trust.") == []
    lose_trust(entity, "miss", job("sweep"), reason="No answer.")
    FederationRecord.objects.update(failure={"sentence": "The superior does not answer."})
    remind(now)
    remind(later(now, hours=1))
    assert told("trust.") == ["trust.ending"]
    assert "The superior does not answer." in AuditEvent.objects.get(event="trust.ending").reason


def test_an_explicit_registration_is_told_of_before_it_ends(cast: Cast, entity: Client, now: datetime) -> None:
    FederationRecord.objects.update(registration_ends=later(now, days=5))
    remind(now)
    assert told("trust.") == ["trust.ending"]


def test_a_doubt_is_told_after_fifteen_minutes_once_and_that_it_is_over(cast: Cast, entity: Client, now: datetime) -> None:
    lose_trust(entity, "doubt", job("sweep"), reason="It is no member.")
    watch_trust(later(now, minutes=14))
    assert told("trust.") == []
    for minutes in (20, 25, 90):
        watch_trust(later(now, minutes=minutes))
    assert told("trust.") == ["trust.unconfirmed"]
    Client.objects.filter(pk=entity.pk).update(trust="valid")
    for minutes in (95, 100):
        watch_trust(later(now, minutes=minutes))
    assert told("trust.") == ["trust.unconfirmed", "trust.recovered"]
    assert not Reminder.objects.filter(step="open").exists()


def test_a_doubt_that_ends_in_loss_has_the_notice_of_the_loss_alone(cast: Cast, entity: Client, now: datetime) -> None:
    client = lose_trust(entity, "doubt", job("sweep"), reason="It is no member.")
    watch_trust(later(now, minutes=20))
    lose_trust(client, "break", job("sweep"), reason="It is no member.")
    watch_trust(later(now, minutes=25))
    assert told("trust.") == ["trust.unconfirmed", "trust.broken"]


def test_keys_that_cannot_be_fetched_for_a_day_are_one_incident(cast: Cast, make_client: MakeClient, now: datetime) -> None:
    uri = "https://app.lighthouse.example/jwks"
    client = make_client()
    Client.objects.filter(pk=client.pk).update(metadata={**client.metadata, "jwks_uri": uri})
    row = ClientKeySet.objects.create(
        client=client, jwks_uri=uri, attempted_at=now, fresh_until=later(now, hours=-23), failure="Timed out."
    )
    remind(now)
    assert told("keys.") == []
    remind(later(now, hours=2))
    remind(later(now, hours=3))
    assert told("keys.") == ["keys.unreachable"]
    ClientKeySet.objects.filter(pk=row.pk).update(failure="", fresh_until=later(now, hours=9))
    remind(later(now, hours=4))
    remind(later(now, hours=5))
    assert told("keys.") == ["keys.unreachable", "keys.reachable"]


def test_staff_hear_once_of_an_organization_that_nobody_leads_and_anew_after_it_was_led(cast: Cast, now: datetime) -> None:
    remind(now)
    assert told("org.orphaned") == []
    cast.owner.is_active = False
    cast.owner.save()
    for hours in (1, 2):
        remind(later(now, hours=hours))
    assert told("org.orphaned") == ["org.orphaned"]
    Membership.objects.filter(user=cast.developer).update(role="owner")
    remind(later(now, hours=3))
    Membership.objects.filter(user=cast.developer).update(role="viewer")
    remind(later(now, hours=4))
    assert told("org.orphaned") == ["org.orphaned"] * 2


@pytest.mark.parametrize(
    ("since", "due"),
    [
        ("2026-11-23 10:00", "2026-11-25 10:00"),  # Monday
        ("2026-11-26 10:00", "2026-11-30 10:00"),  # Thursday
        ("2026-11-27 10:00", "2026-12-01 10:00"),  # Friday
        ("2026-11-28 10:00", "2026-12-02 00:00"),  # Saturday
        ("2026-11-29 23:59", "2026-12-02 00:00"),  # Sunday
    ],
)
def test_working_days_leave_out_the_weekend(since: str, due: str) -> None:
    moment, end = (datetime.fromisoformat(text).replace(tzinfo=UTC) for text in (since, due))
    assert add_working_days(moment, 2) == end


def test_what_waits_for_more_than_two_working_days_is_told_once(cast: Cast, make_client: MakeClient, now: datetime) -> None:
    change = request_go_live(make_client(), cast.as_owner, now=now)
    waiting = make_organization(cast.stranger, cast.reviewer, now, "Driftwood Labs", approve=False)
    Organization.objects.filter(pk=waiting.pk).update(state="pending", submitted_at=now)
    entity = RegistrationRequest.objects.create(entity_id="https://entity.example", first_seen_at=now)
    remind(later(now, hours=47))
    assert told("review.delayed") == []
    for days in (6, 7):
        remind(later(now, days=days))
    events = AuditEvent.objects.filter(event="review.delayed").values_list("object_type", "object_label")
    assert set(events) == {
        ("changerequest", str(change)),
        ("organization", "Driftwood Labs"),
        ("registrationrequest", entity.entity_id),
    }
    ChangeRequest.objects.update(state="approved")
    remind(later(now, days=8))
    assert Reminder.objects.filter(step="open").count() == 2


def registered(client: Client, name: str, when: datetime, *, is_news: bool = False) -> None:
    """Write that an app registered itself by a token at `when`."""
    client.name = name
    actor = Actor(kind=ActorKind.INITIAL_ACCESS_TOKEN, id="1", label="Installer …abcd")
    event = record_news(actor, "client.registered", client, client.organization, is_news=is_news)
    # The trail refuses changes; a test that needs another day writes it past the trigger.
    with connection.cursor() as cursor:
        cursor.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'registry_auditevent'")
        triggers = cursor.fetchall()
        for trigger, _ in triggers:
            cursor.execute(f"DROP TRIGGER {trigger}")
        AuditEvent.objects.filter(pk=event.pk).update(time=when)
        for _, sql in triggers:
            cursor.execute(sql)


@pytest.mark.skipif("connection.vendor == 'postgresql'", reason="moves events past the triggers of SQLite")
def test_registrations_of_a_day_are_one_mail_with_the_list_and_those_told_at_once_are_not_in_it(
    make_client: MakeClient, now: datetime
) -> None:
    now = now.replace(hour=12)  # five minutes on it is still the same day
    client, yesterday = make_client(), later(now, days=-1)
    registered(client, "First", yesterday, is_news=True)
    for number in range(55):
        registered(client, f"Kiosk {number}", yesterday)
    registered(client, "Today", now)
    assert summarize(now) == 1
    assert summarize(later(now, minutes=5)) == 0
    event = AuditEvent.objects.get(event="registrations.summarized")
    assert "55 apps registered" in event.reason
    assert "- Kiosk 0 (by Installer …abcd)" in event.reason
    assert "and 5 more" in event.reason
    assert "First" not in event.reason
    assert "Today" not in event.reason
    assert Notice.objects.filter(event=event).exists()
    assert summarize(later(now, days=1)) == 1


def test_the_first_app_of_a_federation_is_told_at_once_and_the_next_is_not(cast: Cast, now: datetime) -> None:
    document = {"client_name": "Entity", "grant_types": ["client_credentials"], "token_endpoint_auth_method": "private_key_jwt",
                "jwks": {"keys": [certified(later(now, days=80)) | {"kid": "a"}]}}  # fmt: skip
    actor = Actor(kind=ActorKind.FEDERATION, id="x", label="x", roles=lambda _: frozenset(("system",)))
    for number in range(2):
        trusted = TrustedMetadata(document, document, later(now, days=1))
        register_trusted_client(actor, cast.organization, f"https://e{number}.example", "federation_automatic", trusted, now=now)
    assert told("client.registered") == ["client.registered"]


def test_a_chunk_takes_the_same_number_of_queries_for_much_as_for_little(cast: Cast, make_client: MakeClient, now: datetime) -> None:
    def count() -> int:
        with CaptureQueriesContext(connection) as queries:
            for find in ENDINGS:
                for chunk in find(now):
                    remind_of_endings(chunk, job("test"), now=later(now, days=-60))
            for kind in INCIDENTS:
                for find_incidents in kind.find:
                    list(find_incidents(now))
        return len(queries)

    def grow(number: int) -> None:
        for _ in range(number):
            client = make_client(token_endpoint_auth_method="client_secret_basic")
            create_secret(client, cast.as_owner, now=later(now, days=-90), expires_at=later(now, days=5))
            terms = TokenTerms(label="Installer", expires_at=later(now, days=5))
            create_initial_access_token(cast.organization, cast.as_owner, terms, now=now)

    grow(1)
    little = count()
    grow(7)
    assert count() == little


def test_the_median_is_of_what_was_decided_in_the_last_thirty_days(cast: Cast, make_client: MakeClient, now: datetime) -> None:
    ChangeRequest.objects.all().delete()
    for hours in (2, 4, 90):
        change = request_go_live(make_client(), cast.as_owner, now=later(now, hours=-hours))
        ChangeRequest.objects.filter(pk=change.pk).update(state="approved", decided_at=now)
    old = request_go_live(make_client(), cast.as_owner, now=later(now, days=-90))
    ChangeRequest.objects.filter(pk=old.pk).update(state="approved", decided_at=later(now, days=-31))
    found = median_review_time(now)
    assert found is not None
    # The organization of the cast was decided within a second.
    assert timedelta(hours=1.9) < found < timedelta(hours=4.1)
    assert median_review_time(later(now, days=40)) is None


def test_what_was_told_long_ago_is_forgotten(cast: Cast, now: datetime) -> None:
    note_told("secret:1", later(now, days=-91), "ended", now=now)
    note_told("orphaned:1", later(now, days=-91), "open", now=now)
    assert remind(now)["forgotten"] == 1


@pytest.mark.services
@pytest.mark.django_db(transaction=True)
@pytest.mark.threat("S05", "X16")
def test_two_clocks_at_once_tell_a_step_once(on_postgresql: None, cast: Cast, make_client: MakeClient, now: datetime) -> None:
    create_secret(make_client(), cast.as_owner, now=later(now, days=-90), expires_at=later(now, days=5))
    chunk = next(iter(find_ending_secrets(now)))
    results = together(4, lambda _: remind_of_endings(chunk, job("test"), now=now))
    assert sorted(results) == [0, 0, 0, 1]
    assert told("secret.ending") == ["secret.ending"]
