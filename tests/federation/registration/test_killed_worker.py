"""A Celery worker behind a real broker that is killed with SIGKILL in the middle of a sweep (house decision 16; threats.md X06, S04).

The broker is Redis where one runs, and else the folder of the embedded mode. The message of the dead worker may be lost or come again:
what is to be done is in the rows, and the next tick of the clock finds it once the leases are over.
"""

from __future__ import annotations

import os
import signal
import time
import traceback
import uuid
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from celery import current_app
from django.conf import settings as product
from django.db import connections
from django.utils import timezone

from federation import sweep
from federation.models import FederationRecord
from federation.tasks import refresh_due_trust
from registry.models import AuditEvent, Client, Notice
from tests.federation.registration.support import HARBOUR, World

PARTNERS, TAKEN_AT_ONCE = 10, 4
LEASE = timedelta(seconds=6)
PATIENCE = 25.0

_claim_due, _look_again = sweep.claim_due, sweep.look_again


class Workers:
    """Workers of this test: forked off, so that they see its federation, each with its pool in a process group of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.groups = folder, set[int]()
        self.looks, self.stuck = folder / "looks", folder / "stuck"

    def start(self, name: str, *, hangs_at: int = 0) -> int:
        """Start a worker as production does; with `hangs_at` it stands still in the midst of its so many-th look."""
        connections.close_all()
        child = os.fork()
        if child:
            self.groups.add(child)
            return child
        try:
            os.setsid()
            warnings.simplefilter("ignore")  # that it runs as root, where tests do
            sweep.look_again = self._watched(name, hangs_at)
            current_app.Worker(
                pool="prefork", concurrency=1, hostname=f"{name}@test", loglevel="ERROR", without_gossip=True, without_mingle=True
            ).start()
        except BaseException:  # noqa: BLE001 - a child of a test says why, and ends
            traceback.print_exc()
        finally:
            os._exit(3)

    def _watched(self, name: str, hangs_at: int) -> Callable[..., Any]:
        seen = [0]

        def look(record: FederationRecord, *args: Any, **options: Any) -> Any:
            seen[0] += 1
            if seen[0] == hangs_at:
                self.stuck.touch()
                time.sleep(600)
            found = _look_again(record, *args, **options)
            with self.looks.open("a") as file:
                file.write(f"{name} {record.entity_id}\n")
            return found

        return look

    def kill(self, child: int) -> None:
        """Kill a worker and its pool, and see them dead."""
        self.groups.discard(child)
        os.killpg(child, signal.SIGKILL)
        os.waitpid(child, 0)

    def looked(self, name: str) -> Counter[str]:
        """Return how often a worker looked at each entity to the end."""
        lines = self.looks.read_text().split("\n") if self.looks.exists() else []
        return Counter(line.partition(" ")[2] for line in lines if line.startswith(f"{name} "))


@pytest.fixture
def workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workers]:
    """A broker with a queue of its own, and the workers behind it."""
    changed: dict[str, Any] = {"task_always_eager": False, "task_default_queue": f"killed-{uuid.uuid4().hex}"}
    if not product.REDIS_URL:
        folders = {name: tmp_path / name for name in ("queue", "control", "done")}
        for folder in folders.values():
            folder.mkdir()
        queue, control, done = map(str, folders.values())
        changed["broker_transport_options"] = {
            "data_folder_in": queue, "data_folder_out": queue, "control_folder": control, "processed_folder": done, "polling_interval": 0.1,
        }  # fmt: skip
    conf = current_app.conf
    before = {name: conf[name] for name in changed}
    conf.update(changed)
    _forget_connections()
    monkeypatch.setattr(sweep, "claim_due", lambda now: _claim_due(now, limit=TAKEN_AT_ONCE))
    monkeypatch.setattr(sweep, "LEASE", LEASE)
    found = Workers(tmp_path)
    yield found
    for child in tuple(found.groups):
        found.kill(child)
    conf.update(before)
    _forget_connections()


def _forget_connections() -> None:
    """Let the next message go where the settings say by then."""
    current_app._pool = None
    current_app.__dict__.pop("amqp", None)


def wait_until(what: Callable[[], bool]) -> bool:
    ends = time.monotonic() + PATIENCE
    while not (done := what()) and time.monotonic() < ends:
        time.sleep(0.1)
    return done


def due() -> int:
    return FederationRecord.objects.filter(next_check_at__lte=timezone.now()).count()


@pytest.mark.django_db(transaction=True)
@pytest.mark.enable_socket
@pytest.mark.threat("X06", "S04", "S05")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_another_worker_takes_over_what_a_killed_one_held_and_nothing_is_skipped_or_done_twice(world: World, workers: Workers) -> None:
    parties = [world.add(f"https://partner-{number}.example") for number in range(PARTNERS)]
    for party in parties:
        assert party.push(request=party.request_object()).status_code == 201
    # One of the first four, which the first worker settles, and one of those that it dies with.
    lost = {parties[1].entity_id, parties[6].entity_id}
    policy = {"openid_relying_party": {"redirect_uris": {"one_of": [["https://elsewhere.example/"]]}}}
    for entity_id in lost:
        world.federation.entities[HARBOUR].subordinates[entity_id]["metadata_policy"] = policy
    for number, party in enumerate(parties):
        long_ago = timezone.now() - timedelta(hours=2) + timedelta(minutes=number)
        FederationRecord.objects.filter(entity_id=party.entity_id).update(next_check_at=long_ago)
    world.forget()

    first = workers.start("first", hangs_at=TAKEN_AT_ONCE + 3)
    refresh_due_trust.delay()
    assert wait_until(workers.stuck.exists)
    workers.kill(first)
    held = set(FederationRecord.objects.exclude(lease="").values_list("entity_id", flat=True))
    assert held == {party.entity_id for party in parties[TAKEN_AT_ONCE : 2 * TAKEN_AT_ONCE]}
    settled = {party.entity_id for party in parties[:TAKEN_AT_ONCE]}
    assert due() == PARTNERS - TAKEN_AT_ONCE

    workers.start("second")
    refresh_due_trust.delay()
    assert wait_until(lambda: due() <= TAKEN_AT_ONCE)
    assert held.isdisjoint(workers.looked("second"))  # they are leased still
    assert wait_until(lambda: not FederationRecord.objects.filter(leased_until__gt=timezone.now()).exists())
    refresh_due_trust.delay()  # the next tick
    assert wait_until(lambda: due() == 0)
    refresh_due_trust.delay()  # and one for which nothing is left

    assert wait_until(lambda: not FederationRecord.objects.exclude(lease="").exists())
    assert workers.looked("second") == dict.fromkeys({one.entity_id for one in parties} - settled, 1)
    trust = dict(Client.objects.filter(federation__isnull=False).values_list("client_id", "trust"))
    assert trust == {one.entity_id: "broken" if one.entity_id in lost else "valid" for one in parties}
    generations = dict(Client.objects.filter(federation__isnull=False).values_list("client_id", "credential_generation"))
    assert generations == {one.entity_id: 2 if one.entity_id in lost else 1 for one in parties}
    broken = AuditEvent.objects.filter(event="trust.broken")
    assert broken.count() == Notice.objects.filter(event__event="trust.broken").count() == len(lost)
