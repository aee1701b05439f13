"""This server's own keys: next, current, retired; encrypted at rest; known while the database is away (X02, S07, S08)."""

from __future__ import annotations

import base64
import os
from datetime import timedelta
from itertools import count

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from django.db import IntegrityError, OperationalError, connection, transaction

from protocol.errors import TransitionRefused
from protocol.jose import parse_jwk_set
from registry import digests, signing_keys
from registry.actors import job, person
from registry.digests import server_secret
from registry.field_encryption import decrypt, encrypt, encrypt_again
from registry.models import AuditEvent, ServerSecret, SigningKey, User
from registry.signing_keys import ensure_signing_keys, forget_snapshots, get_keys, rotate_signing_key
from registry.snapshots import Snapshot
from tests.registry.support import private_key

PROTOCOL, FEDERATION = "protocol", "federation"


@pytest.fixture(autouse=True)
def _quick_keys(monkeypatch):
    """Hand out the same keys to every test, in order: making RSA keys takes seconds."""
    numbers = count()
    monkeypatch.setattr(signing_keys, "generate_private_key", lambda algorithm: private_key(algorithm, next(numbers)))


@pytest.fixture
def keys(db, now):
    ensure_signing_keys(job("test"), now=now)
    return get_keys(PROTOCOL)


def states(algorithm="ES256"):
    return list(SigningKey.objects.filter(purpose=PROTOCOL, algorithm=algorithm).order_by("id").values_list("state", flat=True))


def test_missing_keys_are_made_once(db, now):
    assert ensure_signing_keys(job("test"), now=now) == 2 * sum(map(len, signing_keys.ALGORITHMS.values())) == 10
    assert ensure_signing_keys(job("test"), now=now) == 0
    assert states() == states("RS256") == states("PS256") == states("Ed25519") == ["current", "next"]
    SigningKey.objects.filter(algorithm="RS256", state="next").delete()
    assert ensure_signing_keys(job("test"), now=now) == 1
    assert AuditEvent.objects.filter(event="signing_key.created").count() == 11


def test_the_published_set_holds_all_public_keys_and_signs_with_the_current_ones(keys):
    published = keys.public_jwks["keys"]
    assert {key["kid"] for key in published} == set(SigningKey.objects.filter(purpose=PROTOCOL).values_list("kid", flat=True))
    assert all({"kid", "use", "alg", "kty"} <= key.keys() for key in published)
    assert len(parse_jwk_set(keys.public_jwks).keys) == 8  # which refuses private members
    current = SigningKey.objects.filter(purpose=PROTOCOL, state="current")
    assert {algorithm: key.kid for algorithm, key in keys.current.items()} == dict(current.values_list("algorithm", "kid"))


def test_a_rotation_signs_with_the_key_that_was_published_before(keys, now):
    following = SigningKey.objects.get(purpose=PROTOCOL, algorithm="ES256", state="next").kid
    before = get_keys(PROTOCOL).current["ES256"].kid
    assert rotate_signing_key(PROTOCOL, "ES256", job("test"), now=now).kid == following
    after = get_keys(PROTOCOL)
    assert after.current["ES256"].kid == following
    assert {before, following} < {key["kid"] for key in after.public_jwks["keys"]}
    assert states() == ["retired", "current", "next"]
    assert states("RS256") == ["current", "next"]


def test_a_retired_key_is_published_for_a_week(keys, now, time_machine):
    old = keys.current["ES256"].kid
    rotate_signing_key(PROTOCOL, "ES256", job("test"), now=now)
    for days, published in ((6.99, True), (7.01, False)):
        time_machine.move_to(now + timedelta(days=days), tick=False)
        forget_snapshots()
        assert (old in {key["kid"] for key in get_keys(PROTOCOL).public_jwks["keys"]}) == published


def test_rotating_is_for_operators_and_the_command_line(keys, cast, now):
    for name in ("owner", "reviewer", "auditor"):
        actor = person(getattr(cast, name), staff=name != "owner")
        with pytest.raises(TransitionRefused):
            rotate_signing_key(PROTOCOL, "ES256", actor, now=now)
    assert states() == ["current", "next"]
    rotate_signing_key(PROTOCOL, "ES256", person(cast.operator, staff=True), now=now)


def test_a_form_sent_twice_rotates_once(keys, now):
    kid = keys.current["ES256"].kid
    rotate_signing_key(PROTOCOL, "ES256", job("test"), now=now, current_kid=kid)
    with pytest.raises(TransitionRefused):
        rotate_signing_key(PROTOCOL, "ES256", job("test"), now=now, current_kid=kid)
    assert states() == ["retired", "current", "next"]


@pytest.mark.parametrize("state", ["current", "next"])
def test_there_is_one_current_and_one_next_key_per_purpose_and_algorithm(keys, state):
    def make(purpose, algorithm, kid):
        SigningKey.objects.create(purpose=purpose, algorithm=algorithm, kid=kid, state=state, public_jwk={}, private_key_encrypted="")

    with pytest.raises(IntegrityError), transaction.atomic():
        make(PROTOCOL, "ES256", "another")
    make(FEDERATION, "ES384", "another")
    make(PROTOCOL, "ES384", "yet another")
    with pytest.raises(IntegrityError), transaction.atomic():
        make(FEDERATION, "RS256", "another")


@pytest.mark.spec("FED-JOS-07")
def test_protocol_and_federation_keys_are_kept_apart(keys):
    federation = get_keys(FEDERATION)
    assert federation.current.keys() == {"ES256"}
    kids = [{key["kid"] for key in one.public_jwks["keys"]} for one in (keys, federation)]
    assert kids[0].isdisjoint(kids[1])
    assert len(kids[1]) == 2


@pytest.mark.threat("S08", "R05")
def test_private_keys_are_encrypted_at_rest_and_shown_nowhere(keys):
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM registry_signingkey")
        stored = repr(cursor.fetchall())
    assert "PRIVATE" not in stored
    assert '"d"' not in stored
    for row in SigningKey.objects.all():
        assert load_pem_private_key(decrypt(row.private_key_encrypted).encode(), None)
        assert row.private_key_encrypted not in f"{row!r}{row}"
    for key in keys.current.values():
        assert "PRIVATE" not in f"{key!r}{keys!r}"
    assert "PRIVATE" not in repr(list(AuditEvent.objects.values()))


@pytest.mark.threat("X02")
def test_the_keys_are_known_while_the_database_is_away(keys, monkeypatch, time_machine, now):
    calls = []

    def away(purpose):
        calls.append(purpose)
        raise OperationalError

    time_machine.move_to(now + timedelta(seconds=signing_keys.SNAPSHOT_SECONDS + 1), tick=False)
    monkeypatch.setattr(signing_keys._snapshots[PROTOCOL], "_read", lambda: away(PROTOCOL))
    monkeypatch.setattr(signing_keys._snapshots[PROTOCOL], "_seconds", 0.0)
    assert get_keys(PROTOCOL) is keys
    assert calls == [PROTOCOL]
    forget_snapshots()
    with pytest.raises(OperationalError):
        get_keys(PROTOCOL)


class Source:
    """A value that can be away."""

    def __init__(self):
        self.value, self.reads, self.away = 0, 0, False

    def read(self):
        self.reads += 1
        if self.away:
            raise OperationalError
        self.value += 1
        return self.value


@pytest.fixture
def clock(monkeypatch):
    moment = [1000.0]
    monkeypatch.setattr("registry.snapshots.time.monotonic", lambda: moment[0])
    return moment


def test_a_snapshot_is_read_again_when_it_is_old(clock):
    source = Source()
    snapshot = Snapshot(source.read, seconds=30)
    assert [snapshot.get(), snapshot.get()] == [1, 1]
    clock[0] += 29.9
    assert snapshot.get() == 1
    clock[0] += 0.1
    assert snapshot.get() == 2
    snapshot.forget()
    assert (snapshot.get(), source.reads) == (3, 3)


@pytest.mark.threat("X02")
def test_a_snapshot_outlives_the_database_and_does_not_ask_it_at_every_request(clock):
    source = Source()
    snapshot = Snapshot(source.read, seconds=30)
    snapshot.get()
    source.away = True
    clock[0] += 60
    assert [snapshot.get() for _ in range(100)] == [1] * 100
    assert source.reads == 2
    source.away = False
    clock[0] += 30
    assert snapshot.get() == 2


@pytest.mark.threat("X02")
def test_a_snapshot_that_was_never_read_says_that_the_database_is_away():
    source = Source()
    source.away = True
    snapshot = Snapshot(source.read, seconds=30)
    for _ in range(2):
        with pytest.raises(OperationalError):
            snapshot.get()


def test_threads_that_find_a_snapshot_old_read_it_once():
    import threading
    from concurrent.futures import ThreadPoolExecutor

    source, started = Source(), threading.Event()

    def slow():
        started.wait(5)
        return source.read()

    snapshot = Snapshot(slow, seconds=30)
    with ThreadPoolExecutor(8) as pool:
        values = [pool.submit(snapshot.get) for _ in range(8)]
        started.set()
        assert {value.result() for value in values} == {1}
    assert source.reads == 1


def new_key():
    return base64.urlsafe_b64encode(os.urandom(32)).decode()


@pytest.mark.threat("S07")
def test_the_first_key_encrypts_and_every_key_decrypts(settings):
    old, new = new_key(), new_key()
    settings.FIELD_ENCRYPTION_KEYS = [old]
    stored = encrypt("value")
    assert "value" not in stored
    assert encrypt("value") != stored
    settings.FIELD_ENCRYPTION_KEYS = [new, old]
    assert decrypt(stored) == "value"
    again = encrypt_again(stored)
    settings.FIELD_ENCRYPTION_KEYS = [new]
    assert decrypt(again) == "value"
    for act in (decrypt, encrypt_again):
        with pytest.raises(ImproperlyConfigured, match="FIELD_ENCRYPTION_KEYS"):
            act(stored)


@pytest.mark.threat("S06", "S07")
@pytest.mark.parametrize("keys", [[], ["short"], ["x" * 44], [new_key()[:-4]], [""]])
def test_a_bad_field_encryption_key_is_named(settings, keys):
    from registry.checks import check_field_encryption

    settings.FIELD_ENCRYPTION_KEYS = keys
    assert [message.id for message in check_field_encryption(None)] == ["credence.E001"]


@pytest.mark.threat("S07")
def test_the_command_encrypts_every_stored_value_again(keys, settings, capsys):
    server_secret("audit-seal")
    secret = server_secret("digest")
    old, new = settings.FIELD_ENCRYPTION_KEYS, new_key()
    settings.FIELD_ENCRYPTION_KEYS = [new, *old]
    call_command("rotate_field_encryption")
    call_command("rotate_field_encryption")  # it may be stopped and run again
    assert capsys.readouterr().out.splitlines()[-1] == "12 values are encrypted under the first key."
    settings.FIELD_ENCRYPTION_KEYS = [new]
    digests.forget()
    forget_snapshots()
    assert server_secret("digest") == secret
    assert get_keys(PROTOCOL).current["ES256"].kid == keys.current["ES256"].kid


@pytest.mark.threat("S07")
def test_the_command_knows_every_encrypted_column():
    from django.apps import apps

    encrypted = {
        (model.__name__, field.name)
        for model in apps.get_models()
        for field in model._meta.concrete_fields
        if field.name.endswith("_encrypted")
    }
    assert encrypted == {("SigningKey", "private_key_encrypted"), ("ServerSecret", "value_encrypted")}


@pytest.mark.threat("S06")
def test_each_purpose_has_its_own_secret(db):
    assert len({server_secret("digest"), server_secret("audit-seal"), server_secret("another")}) == 3
    assert all(len(server_secret(name)) == 32 for name in ("digest", "audit-seal"))
    assert ServerSecret.objects.count() == 3
    digests.forget()
    assert server_secret("digest") == server_secret("digest")
    assert ServerSecret.objects.count() == 3


def test_the_rotation_command_makes_what_is_missing_and_says_which_key_signs(db, capsys):
    call_command("rotate_signing_key", "--algorithm", "ES256")
    current = SigningKey.objects.filter(algorithm="ES256", state="current")
    assert capsys.readouterr().out == f"ES256: {current.get(purpose=PROTOCOL).kid} signs now.\n"
    assert (states(), states("RS256")) == (["retired", "current", "next"], ["current", "next"])
    call_command("rotate_signing_key", "--purpose", "federation")
    assert capsys.readouterr().out == f"ES256: {current.get(purpose=FEDERATION).kid} signs now.\n"
    assert states() == ["retired", "current", "next"]
    with pytest.raises(CommandError, match="--algorithm"):
        call_command("rotate_signing_key", "--purpose", "federation", "--algorithm", "RS256")
    assert not User.objects.exists()
