"""What is told once is told once: by two workers together, around midnight, and after a server that stood still."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.core import mail

from federation.models import FederationRecord
from federation.trust_attention import find_trust_attention
from portal.notices import send_due_notices
from portal.reminders import remind, summarize
from protocol.jose import generate_private_key, issue_jwt
from registry.actors import Actor, job
from registry.credentials import create_secret
from registry.health import Health, check_health, describe_access
from registry.lifecycle import change_organization, lose_trust
from registry.models import AuditEvent, Client, ClientKeySet, Notice, NoticeReceipt, Reminder
from registry.models.audit import ActorKind
from registry.notices import record_news
from registry.reminders import FIRST_TOLD_BEFORE, ends_soon
from tests.conftest import Cast, later
from tests.registry.threads import together

MakeClient = Callable[..., Client]
INSTALLER = Actor(kind=ActorKind.INITIAL_ACCESS_TOKEN, id="1", label="Installer …abcd")


def told(*events: str) -> Counter[str]:
    """Return how often these events were told."""
    return Counter(AuditEvent.objects.filter(notice__isnull=False, event__in=events).values_list("event", flat=True))


def register_at(client: Client, moment: datetime) -> None:
    """Write that an app registered itself at a moment, which is no news at once."""
    with time_machine.travel(moment, tick=False):
        record_news(INSTALLER, "client.registered", client, client.organization, is_news=False)


def in_doubt(client: Client, now: datetime) -> Client:
    """Return an app that a federation vouched for until now."""
    Client.objects.filter(pk=client.pk).update(trust="valid", trust_expires_at=later(now, days=40))
    client.refresh_from_db()
    return lose_trust(client, "doubt", job("sweep"), reason="It is no member.")


@pytest.mark.django_db(transaction=True)
@pytest.mark.threat("X16", "S04", "S05")
def test_workers_at_once_whose_clocks_differ_tell_everything_once(
    on_postgresql: None, cast: Cast, make_client: MakeClient, now: datetime
) -> None:
    midnight = now.replace(hour=0, minute=10, second=0)
    client, doubted = make_client(), make_client()
    create_secret(client, cast.as_owner, now=later(midnight, days=-60), expires_at=later(midnight, days=20))
    in_doubt(doubted, now)
    uri = "https://app.lighthouse.example/jwks"
    Client.objects.filter(pk=client.pk).update(metadata={**client.metadata, "jwks_uri": uri})
    ClientKeySet.objects.create(
        client=client, jwks_uri=uri, attempted_at=now, fresh_until=later(midnight, days=-2), failure="The URL could not be fetched."
    )
    register_at(client, later(midnight, hours=-1))
    cast.owner.is_active = False
    cast.owner.save()
    tick = max(midnight, later(now, minutes=20))

    def work(number: int) -> None:
        moment = tick + timedelta(milliseconds=number)
        remind(moment)
        summarize(moment)

    assert together(6, work) == [None] * 6
    once = ("secret.ending", "keys.unreachable", "trust.unconfirmed", "org.orphaned", "registrations.summarized")
    assert told(*once) == dict.fromkeys(once, 1)
    Client.objects.filter(pk=doubted.pk).update(trust="valid")
    ClientKeySet.objects.update(failure="", fresh_until=later(tick, days=1))
    cast.owner.is_active = True
    cast.owner.save()
    assert together(6, work) == [None] * 6
    assert told("keys.reachable", "trust.recovered") == {"keys.reachable": 1, "trust.recovered": 1}
    assert not Reminder.objects.filter(step="open").exists()


@pytest.mark.threat("X16")
def test_an_incident_is_open_once_whenever_it_was_found(cast: Cast, now: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    from registry import reminders

    cast.owner.is_active = False
    cast.owner.save()
    # The other worker read what is known before the first wrote it.
    monkeypatch.setattr(reminders, "_open_rows", lambda _kind: Reminder.objects.none())
    for milliseconds in (0, 1):
        remind(now + timedelta(milliseconds=milliseconds))
    assert told("org.orphaned") == {"org.orphaned": 1}


def test_a_day_is_summed_up_when_what_was_dated_before_midnight_is_there(cast: Cast, make_client: MakeClient, now: datetime) -> None:
    client, midnight = make_client(), datetime(2026, 3, 1, tzinfo=UTC)
    register_at(client, midnight - timedelta(seconds=2))
    assert summarize(midnight + timedelta(seconds=1)) == 0
    register_at(client, midnight - timedelta(seconds=1))  # committed after midnight
    register_at(client, midnight)
    assert summarize(midnight + timedelta(minutes=6)) == 1
    event = AuditEvent.objects.get(event="registrations.summarized")
    assert event.reason.startswith("On 2026-02-28 (UTC), 2 apps registered:")
    assert summarize(midnight + timedelta(hours=23, minutes=59)) == 0
    assert summarize(midnight + timedelta(days=1, minutes=5)) == 1
    assert "On 2026-03-01 (UTC), 1 app registered:" in AuditEvent.objects.filter(event="registrations.summarized").latest("id").reason


@pytest.mark.threat("X21")
def test_a_server_that_stood_still_for_a_week_loses_no_notice_and_no_day(cast: Cast, make_client: MakeClient, now: datetime) -> None:
    client, stopped = make_client(), later(now, days=-8)
    register_at(client, stopped)
    with time_machine.travel(stopped, tick=False):
        change_organization(cast.organization, "suspend", cast.as_reviewer, now=stopped, reason="Abuse.")
    Notice.objects.exclude(event__event="org.suspended").delete()
    mail.outbox.clear()
    assert summarize(now) == 1
    assert send_due_notices(later(now, minutes=1)) == 2
    assert NoticeReceipt.objects.filter(user=cast.owner, notice__event__event="org.suspended").count() == 1
    (late,) = [one for one in mail.outbox if "suspended" in one.subject and one.to == [cast.owner.email]]
    assert f"{stopped:%Y-%m-%d %H:%M} UTC" in late.body
    assert summarize(later(now, hours=1)) == 0
    assert send_due_notices(later(now, hours=1)) == 0


def test_after_a_week_only_the_step_of_now_is_told_and_an_old_end_is_no_news(cast: Cast, make_client: MakeClient, now: datetime) -> None:
    for days in (-5, 3):
        create_secret(make_client(), cast.as_owner, now=later(now, days=-60), expires_at=later(now, days=days))
    remind(now)
    assert told("secret.ending", "secret.expired") == {"secret.ending": 1}
    assert set(Reminder.objects.filter(subject__startswith="secret").values_list("step", flat=True)) == {"7"}


def test_the_end_of_a_month_is_as_long_as_any_day(cast: Cast, make_client: MakeClient) -> None:
    ends = datetime(2028, 3, 1, tzinfo=UTC)  # thirty days before lies in January of a leap year
    create_secret(make_client(), cast.as_owner, now=datetime(2027, 12, 1, tzinfo=UTC), expires_at=ends)
    remind(ends - FIRST_TOLD_BEFORE - timedelta(seconds=1))
    assert told("secret.ending") == {}
    for moment in (datetime(2028, 1, 31, tzinfo=UTC), datetime(2028, 2, 29, tzinfo=UTC), ends):
        remind(moment)
    assert told("secret.ending", "secret.expired") == {"secret.ending": 2, "secret.expired": 1}


def test_what_ends_soon_has_thirty_days_left_and_half_of_its_life_behind_it(now: datetime) -> None:
    def soon(left: float, life: float | None = None) -> bool:
        end = later(now, days=left)
        return ends_soon(end, now, since=None if life is None else later(end, days=-life))

    assert [soon(left) for left in (31, 30, 0.1, 0, -1)] == [False, True, True, False, False]
    assert [soon(left, 90) for left in (31, 30, 7)] == [False, True, True]
    assert [soon(left, 8) for left in (7, 4, 1)] == [False, True, True]


def test_a_secret_that_lasts_is_not_said_to_end_soon(cast: Cast, make_client: MakeClient, now: datetime) -> None:
    client = make_client()
    create_secret(client, cast.as_owner, now=now, expires_at=later(now, days=300))
    client = Client.objects.select_related("organization").get(pk=client.pk)
    assert describe_access(client, now).remarks == ()
    assert check_health([client], now)[client.pk].health is Health.OK
    soon = later(now, days=271)
    assert [one.code for one in describe_access(client, soon).remarks] == ["secret_ending"]
    assert check_health([client], soon)[client.pk].health is Health.EXPIRING


@pytest.fixture
def explicit(make_client: MakeClient, now: datetime) -> Client:
    """An app that a federation registered explicitly a year ago, and renewed for forty days now."""
    client = make_client()
    ends = later(now, days=40)
    Client.objects.filter(pk=client.pk).update(trust="valid", trust_expires_at=ends, source=Client.Source.FEDERATION_EXPLICIT)
    posted = issue_jwt(
        {"iss": "https://rp.example", "sub": "https://rp.example", "iat": int(now.timestamp()), "exp": int(ends.timestamp())},
        generate_private_key("ES256"),
        typ="entity-statement+jwt",
    )
    FederationRecord.objects.create(
        client=client, entity_id="https://rp.example", twin_digest="x", anchor="a", superior="s", statements=[posted],
        registered_at=later(now, days=-365), registration_ends=ends,
    )  # fmt: skip
    return client


def test_an_explicit_registration_is_told_of_however_often_it_is_checked(cast: Cast, explicit: Client, now: datetime) -> None:
    for hours in range(0, 40 * 24, 6):
        moment = later(now, hours=hours)
        FederationRecord.objects.update(checked_at=moment)  # as each sweep does
        if hours % 24 == 18:
            remind(moment)
    assert told("trust.ending") == {"trust.ending": 4}


def test_an_explicit_registration_that_was_just_renewed_needs_no_attention(cast: Cast, explicit: Client, now: datetime) -> None:
    def attention(days: float) -> list[str]:
        return [one.code for one in find_trust_attention([cast.organization], later(now, days=days))]

    assert attention(0) == []
    assert attention(19) == []
    assert attention(20) == ["trust_ending"]
    FederationRecord.objects.update(registration_ends=later(now, days=10))
    assert attention(0) == []
    assert attention(5) == ["trust_ending"]


def test_a_doubt_about_an_app_that_people_closed_is_forgotten(cast: Cast, make_client: MakeClient, now: datetime) -> None:
    client = in_doubt(make_client(), now)
    remind(later(now, minutes=20))
    Client.objects.filter(pk=client.pk).update(state=Client.State.CLOSED)
    remind(later(now, minutes=40))
    assert told("trust.unconfirmed", "trust.recovered") == {"trust.unconfirmed": 1}
    assert not Reminder.objects.filter(step="open").exists()
