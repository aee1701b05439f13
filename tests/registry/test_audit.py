"""The audit trail: append-only, sealed, and a check that names the row at fault (house decision 17; S09)."""

from __future__ import annotations

import csv
import io
from contextlib import contextmanager
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction

from registry import audit, digests
from registry.actors import Actor, job
from registry.models import AuditEvent, AuditSeal, Organization, ServerSecret
from registry.models.audit import ActorKind
from registry.tasks import seal_audit

pytestmark = [pytest.mark.threat("S09"), pytest.mark.django_db]


def write(count, name="event"):
    organization = Organization(legal_name="Lighthouse")
    return [audit.record(job("test"), f"test.{name}", organization, organization=None, difference={"n": [None, n]}) for n in range(count)]


def faults():
    return [(fault.event_id, fault.sentence) for fault in audit.verify()]


@contextmanager
def without_triggers():
    """Do what an attacker with the rights of the database owner can do."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            for table in ("registry_auditevent", "registry_auditseal"):
                cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
            yield cursor
            for table in ("registry_auditevent", "registry_auditseal"):
                cursor.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")
            return
        cursor.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND name LIKE 'registry_audit%%'")
        triggers = cursor.fetchall()
        assert len(triggers) == 4
        for name, _ in triggers:
            cursor.execute(f"DROP TRIGGER {name}")
        yield cursor
        for _, sql in triggers:
            cursor.execute(sql)


def _sql(statement):
    with connection.cursor() as cursor:
        cursor.execute(statement)


REFUSED = {
    "update of an event": lambda: AuditEvent.objects.update(reason="x"),
    "delete of events": lambda: AuditEvent.objects.all().delete(),
    "delete of an event": lambda: AuditEvent.objects.get().delete(),
    "save of an event": lambda: AuditEvent.objects.get().save(),
    "update of a seal": lambda: AuditSeal.objects.update(signature="x"),
    "delete of a seal": lambda: AuditSeal.objects.get().delete(),
    "raw update of events": lambda: _sql("UPDATE registry_auditevent SET event = 'x'"),
    "raw delete of events": lambda: _sql("DELETE FROM registry_auditevent"),
    "raw update of seals": lambda: _sql("UPDATE registry_auditseal SET digest = 'x'"),
    "raw delete of seals": lambda: _sql("DELETE FROM registry_auditseal"),
}


@pytest.mark.parametrize("act", REFUSED.values(), ids=REFUSED)
def test_a_row_or_seal_is_never_changed_or_deleted(now, act):
    (row,) = write(1)
    audit.seal(now)
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        act()
    assert AuditEvent.objects.get(pk=row.pk).event == "test.event"
    assert faults() == []


def test_an_untouched_trail_is_intact_over_many_seals(now, capsys):
    for number in range(3):
        write(4, f"round{number}")
        assert audit.seal(now + timedelta(minutes=number)).last_id == AuditEvent.objects.first().pk
    write(2)
    assert faults() == []
    call_command("audit_verify")
    assert capsys.readouterr().out == "3 seals are intact; 2 events wait for the next seal.\n"


def test_no_event_is_sealed_twice_and_nothing_is_sealed_for_nothing(now):
    assert audit.seal(now) is None
    write(3)
    first = audit.seal(now)
    assert audit.seal(now) is None
    write(2)
    second = audit.seal(now)
    assert (second.first_id, second.previous_digest) == (first.last_id + 1, first.digest)
    assert not first.fingerprints.keys() & second.fingerprints.keys()
    assert len(first.fingerprints) + len(second.fingerprints) == 5


def test_a_seal_takes_a_chunk_and_the_task_takes_them_all(now, monkeypatch):
    monkeypatch.setattr(audit, "SEAL_SIZE", 4)
    events = write(10)
    assert seal_audit() == events[-1].pk
    assert [len(seal.fingerprints) for seal in AuditSeal.objects.all()] == [4, 4, 2]
    assert seal_audit() == 0
    assert faults() == []


COLUMNS = {
    "event": "x", "reason": "x", "actor_id": "x", "actor_label": "x", "actor_kind": "staff", "object_id": "x", "object_label": "x",
    "object_type": "x", "result": "x", "request_id": "x", "user_agent_family": "x", "source_address": "192.0.2.1",
    "difference": '{"n": [1, 2]}',
    "time": "2020-01-01 00:00:00+00:00", "organization_id": 7,
}  # fmt: skip


def test_the_columns_that_are_tried_are_all_there_are():
    assert {field.column for field in AuditEvent._meta.concrete_fields} == {*COLUMNS, "id"}


@pytest.mark.parametrize("column", COLUMNS)
def test_a_changed_column_is_named_with_its_row(now, column):
    events = write(5)
    audit.seal(now)
    with without_triggers() as cursor:
        statement = f"UPDATE registry_auditevent SET {column} = %s WHERE id = %s"  # noqa: S608 - a column of the table above
        cursor.execute(statement, [COLUMNS[column], events[2].pk])
    assert faults() == [(events[2].pk, f"Event {events[2].pk} was changed after sealing.")]


@pytest.mark.parametrize("position", [0, 2, 4])
def test_a_deleted_row_is_named(now, position):
    events = write(5)
    audit.seal(now)
    with without_triggers() as cursor:
        cursor.execute("DELETE FROM registry_auditevent WHERE id = %s", [events[position].pk])
    assert faults() == [(events[position].pk, f"Event {events[position].pk} is missing.")]


def _copy(cursor, row, new_id):
    columns = ", ".join(COLUMNS)
    table = "registry_auditevent"
    statement = f"INSERT INTO {table} (id, {columns}) SELECT %s, {columns} FROM {table} WHERE id = %s"  # noqa: S608 - columns of the table above
    cursor.execute(statement, [new_id, row.pk])


def test_a_row_slipped_into_a_gap_is_named(now):
    first, gap, last = write(3)
    with without_triggers() as cursor:
        cursor.execute("DELETE FROM registry_auditevent WHERE id = %s", [gap.pk])  # as a rollback leaves it
        audit.seal(now)
        _copy(cursor, first, gap.pk)
    assert faults() == [(gap.pk, f"Event {gap.pk} was added after sealing.")]
    assert last.pk == gap.pk + 1


@pytest.mark.parametrize("number", [0, -5])
def test_a_row_before_the_first_is_named(now, number):
    (row,) = write(1)
    audit.seal(now)
    with connection.cursor() as cursor:
        _copy(cursor, row, number)
    assert faults() == [(number, f"Event {number} was added: events are numbered from 1.")]


def test_two_rows_that_changed_places_are_both_named(now):
    events = write(5)
    audit.seal(now)
    one, other = events[1].pk, events[3].pk
    with without_triggers() as cursor:
        for before, after in ((one, -1), (other, one), (-1, other)):
            cursor.execute("UPDATE registry_auditevent SET id = %s WHERE id = %s", [after, before])
    assert [event for event, _ in faults()] == [one, other]


def test_several_faults_in_several_seals_are_told_in_order(now):
    events = write(3)
    audit.seal(now)
    events += write(3)
    audit.seal(now)
    with without_triggers() as cursor:
        cursor.execute("UPDATE registry_auditevent SET event = 'x' WHERE id IN (%s, %s)", [events[4].pk, events[0].pk])
        cursor.execute("DELETE FROM registry_auditevent WHERE id = %s", [events[2].pk])
    assert [event for event, _ in faults()] == [events[0].pk, events[2].pk, events[4].pk]


SEAL_COLUMNS = {
    "first_id": 2, "last_id": 99, "fingerprints": "{}", "previous_digest": "0" * 64, "digest": "0" * 64, "signature": "0" * 64,
    "sealed_at": "2020-01-01 00:00:00+00:00",
}  # fmt: skip


def test_the_columns_of_a_seal_that_are_tried_are_all_there_are():
    assert {field.column for field in AuditSeal._meta.concrete_fields} == {*SEAL_COLUMNS, "id"}


@pytest.mark.parametrize("column", SEAL_COLUMNS)
def test_a_changed_seal_is_noticed(now, column):
    write(3)
    seal = audit.seal(now)
    with without_triggers() as cursor:
        statement = f"UPDATE registry_auditseal SET {column} = %s WHERE id = %s"  # noqa: S608 - a column of the table above
        cursor.execute(statement, [SEAL_COLUMNS[column], seal.pk])
    assert faults()


@pytest.mark.parametrize("position", [0, 1])
def test_a_removed_seal_breaks_the_chain(now, position):
    seals = []
    for number in range(3):
        write(2, f"round{number}")
        seals.append(audit.seal(now))
    with without_triggers() as cursor:
        cursor.execute("DELETE FROM registry_auditseal WHERE id = %s", [seals[position].pk])
    assert [sentence for _, sentence in faults() if "does not follow the one before" in sentence]


def test_a_seal_made_anew_by_somebody_without_the_key_is_noticed(now):
    events = write(3)
    seal = audit.seal(now)
    with without_triggers() as cursor:
        cursor.execute("UPDATE registry_auditevent SET event = 'x' WHERE id = %s", [events[1].pk])
        cursor.execute("DELETE FROM registry_auditseal")
        ServerSecret.objects.filter(name="audit-seal").delete()
        digests.forget()
        forged = audit.seal(now)
        ServerSecret.objects.filter(name="audit-seal").delete()
        digests.forget()
    assert (forged.first_id, forged.last_id) == (seal.first_id, seal.last_id)
    assert faults() == [(None, f"The seal over {forged.first_id} to {forged.last_id} was not signed by this server.")]


def test_the_command_names_every_fault_and_fails(now, capsys):
    events = write(3)
    audit.seal(now)
    with without_triggers() as cursor:
        cursor.execute("UPDATE registry_auditevent SET event = 'x' WHERE id = %s", [events[1].pk])
    with pytest.raises(CommandError, match="1 faults"):
        call_command("audit_verify")
    assert f"Event {events[1].pk} was changed" in capsys.readouterr().err


def test_a_change_that_is_rolled_back_leaves_no_row(now):
    with transaction.atomic():
        write(2)
        transaction.set_rollback(True)
    assert not AuditEvent.objects.exists()
    assert audit.seal(now) is None


HOSTILE = ["one\r\ntwo", "tab\tbell\x07", "\x1b[31mred", "nul\x00", "line\u2028separator\x85next", '=cmd|"/c calc"!A1', "\u202eevil"]


@pytest.mark.parametrize("label", HOSTILE)
def test_no_label_can_fake_a_line_of_an_export_or_a_log(label):
    actor = Actor(kind=ActorKind.USER, id=label, label=label, request_id=label, user_agent_family=label)
    row = audit.record(actor, "test.event", Organization(legal_name=label), organization=None)
    row.refresh_from_db()
    for text in (row.actor_id, row.actor_label, row.request_id, row.user_agent_family, row.object_label, str(row)):
        assert len(text.splitlines()) == 1
        assert not any(ord(character) < 32 or 127 <= ord(character) < 160 for character in text)
    export = io.StringIO()
    csv.writer(export).writerow([row.actor_label, row.object_label])
    assert len(list(csv.reader(io.StringIO(export.getvalue())))) == 1


def test_what_is_too_long_for_a_column_is_cut_on_every_database():
    long = "https://client.example.org/" + "x" * 3000
    actor = Actor(kind=ActorKind.CLIENT, id=long, label=long, request_id=long, user_agent_family=long)
    row = audit.record(actor, "test.event", Organization(legal_name=long), organization=None)
    for field in AuditEvent._meta.concrete_fields:
        if getattr(field, "max_length", None):
            assert len(str(getattr(row, field.attname) or "")) <= field.max_length


@pytest.mark.threat("R05")
@pytest.mark.parametrize("member", ["client_secret", "software_statement", "registration_access_token", "digest", "password"])
def test_members_that_hold_a_secret_are_never_written(member):
    row = audit.record(job("test"), "test.event", Organization(), organization=None, difference={member: [None, "s3cr3t"], "name": [1, 2]})
    row.refresh_from_db()
    assert row.difference == {"name": [1, 2]}


def test_a_difference_names_what_differs():
    assert audit.difference_between({"a": 1, "b": 2, "c": None}, {"b": 3, "c": None, "d": 4}) == {
        "a": [1, None],
        "b": [2, 3],
        "d": [None, 4],
    }
    assert audit.difference_between({"a": [1]}, {"a": [1]}) == {}


@pytest.mark.django_db(transaction=True)
def test_sealers_at_the_same_time_seal_every_event_once(now):
    from tests.registry.threads import together

    write(20)
    for _ in range(3):
        outcomes = together(6, lambda number: audit.seal(now) or write(1, f"t{number}"))
        assert not [outcome for outcome in outcomes if isinstance(outcome, Exception)], outcomes
    while audit.seal(now):
        pass
    sealed = [key for seal in AuditSeal.objects.all() for key in seal.fingerprints]
    assert len(sealed) == len(set(sealed)) == AuditEvent.objects.count()
    assert faults() == []
