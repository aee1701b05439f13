"""A worker that is killed with SIGKILL in the middle of a sweep: the next one comes to the same end (threats.md X06; house decision 16)."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connections
from django.utils import timezone

from federation import checking, sweep
from federation.models import FederationRecord
from federation.sweep import LEASE, Sweep
from registry import audit
from registry.models import AuditEvent, Client
from tests.federation.registration.support import HARBOUR, RelyingParty, World

PARTNERS = 5


def die(*_: Any, **__: Any) -> Any:
    os.kill(os.getpid(), signal.SIGKILL)


def after(function: Callable[..., Any], calls: int = 1) -> Callable[..., Any]:
    """Return `function`, after whose so many calls the process is dead."""
    left = [calls]

    def call(*args: Any, **kwargs: Any) -> Any:
        found = function(*args, **kwargs)
        left[0] -= 1
        return die() if left[0] <= 0 else found

    return call


# Where the child dies: what is replaced in it, and by what.
POINTS: dict[str, tuple[Any, str, Callable[[], Any]]] = {
    "after taking its records": (sweep, "claim_due", lambda: after(sweep.claim_due)),
    "while looking at the third": (sweep, "look_again", lambda: after(sweep.look_again, 3)),
    "before it breaks one": (checking, "lose_trust", lambda: die),
    "after the audit row, before the commit": (audit, "record", lambda: after(audit.record)),
    "after trust was extended, before the record": (sweep, "extend_trust", lambda: after(sweep.extend_trust)),
    "before the others are written": (sweep, "extend_trust", lambda: die),
    "after everything": (sweep, "write_unchanged", lambda: after(sweep.write_unchanged)),
}


def killed_sweep(world: World, module: Any, name: str, replacement: Any) -> None:
    """Sweep in a child process that dies at a point."""
    connections.close_all()
    child = os.fork()
    if child == 0:
        try:
            setattr(module, name, replacement)
            Sweep(timezone.now).run()
        finally:
            os._exit(3)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), status
    assert os.WTERMSIG(status) == signal.SIGKILL


def state() -> list[tuple[Any, ...]]:
    """Return what must be the same in the end."""
    rows = Client.objects.filter(federation__isnull=False).order_by("client_id")
    return [(row.client_id, row.trust, row.credential_generation, row.metadata) for row in rows]


@pytest.mark.django_db(transaction=True)
@pytest.mark.threat("X06", "S05")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("point", POINTS)
def test_what_a_killed_sweep_held_is_taken_up_and_ends_as_if_nobody_had_died(world: World, now: datetime, point: str) -> None:
    parties = [world.add(f"https://partner-{number}.example") for number in range(PARTNERS)]
    for party in parties:
        assert party.push(request=party.request_object()).status_code == 201
    lost: RelyingParty = parties[2]
    policy = {"openid_relying_party": {"redirect_uris": {"one_of": [["https://elsewhere.example/"]]}}}
    world.federation.entities[HARBOUR].subordinates[lost.entity_id]["metadata_policy"] = policy
    FederationRecord.objects.update(next_check_at=now - timedelta(seconds=1))
    module, name, make = POINTS[point]
    killed_sweep(world, module, name, make())
    with world.at(timezone.now() + LEASE + timedelta(seconds=5)):
        Sweep(timezone.now).run()
        assert Sweep(timezone.now).run().total() == 0
    wanted = [(party.entity_id, "broken" if party is lost else "valid", 2 if party is lost else 1) for party in parties]
    assert [row[:3] for row in state()] == sorted(wanted)
    assert AuditEvent.objects.filter(event="trust.broken").count() == 1
    assert not FederationRecord.objects.exclude(lease="").exists()
