"""What happens at the same time: issuing against suspending, one value used twice (threats.md S02, J16).

On PostgreSQL many rounds between real connections (a thousand of issuing against suspending); on SQLite, where writers take turns, few.
"""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timedelta
from threading import Barrier
from typing import Any

import pytest
from django.db import connection, connections
from django.db.models import F
from django.test import RequestFactory
from django.utils import timezone

from authserver.introspection import introspect
from authserver.models import AccessToken
from authserver.views.token import TokenView
from protocol.errors import TransitionRefused, UnauthorizedClient
from registry.actors import person
from registry.lifecycle import change_client, change_organization
from registry.models import Client, Organization
from registry.single_use import use_once
from tests.authserver.support import FORM, TOKEN, Caller
from tests.conftest import Cast

Job = Callable[[], Any]
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def rounds() -> int:
    """How often to try."""
    return 500 if connection.vendor == "postgresql" else 30


class Ring:
    """Threads that start their jobs together, each with a connection that it keeps."""

    def __init__(self, pool: ThreadPoolExecutor, size: int) -> None:
        self._pool, self._size = pool, size

    def together(self, *jobs: Job) -> list[Any]:
        """Run one job per thread, begun at the same moment; return their results in order."""
        assert len(jobs) == self._size
        barrier = Barrier(self._size)

        def run(job: Job) -> Any:
            barrier.wait(30)
            return job()

        return [future.result(60) for future in [self._pool.submit(run, job) for job in jobs]]


@contextmanager
def ring(size: int) -> Iterator[Ring]:
    """Open a ring of `size` threads and close their connections afterwards."""
    with ThreadPoolExecutor(size) as pool:
        threads = Ring(pool, size)
        try:
            yield threads
        finally:
            threads.together(*[connections.close_all] * size)


def issue(caller: Caller) -> str:
    """Return an access token, or nothing when the gate refused it."""
    _, headers = caller.credentials()
    request = RequestFactory().post(TOKEN, "grant_type=client_credentials&scope=bookings.read", content_type=FORM, headers=headers)
    try:
        content: bytes = TokenView.as_view()(request).content
    except UnauthorizedClient:
        return ""
    return str(json.loads(content)["access_token"])


def live_tokens(caller: Caller) -> int:
    """Return how many tokens of the client belong to its present generation."""
    current = F("application__credential_generation")
    return AccessToken.objects.filter(application=caller.client.pk, credential_generation=current).count()


def seconds(job: Job) -> float:
    """Return how long a job takes."""
    started = time.perf_counter()
    job()
    return time.perf_counter() - started


def race(caller: Caller, rounds: int, suspend: Job, reinstate: Job) -> Counter[bool]:
    """Issue against `suspend`; return how often a token came of it. None may ever be valid once the suspension is committed."""
    issued: Counter[bool] = Counter()
    head_start = random.Random(7)  # noqa: S311 - only to vary the rounds

    with ring(2) as threads:
        for _ in range(2):  # each in turn, to see how long it takes here and now
            (issuing, _), (_, suspending) = (threads.together(one, other) for one, other in _in_turn(caller, suspend))
            reinstate()
        for _ in range(rounds):
            ahead = head_start.uniform(-issuing, suspending)

            def suspend_and_look(wait: float = max(0, -ahead)) -> int:
                time.sleep(wait)
                suspend()
                return live_tokens(caller)

            def wait_and_issue(wait: float = max(0, ahead)) -> str:
                time.sleep(wait)
                return issue(caller)

            token, live = threads.together(wait_and_issue, suspend_and_look)
            assert live == 0
            issued[bool(token)] += 1
            assert introspect(token, now=timezone.now()) == {"active": False}
            reinstate()
            assert live_tokens(caller) == 0
            assert introspect(token, now=timezone.now()) == {"active": False}
    return issued


def _in_turn(caller: Caller, suspend: Job) -> list[tuple[Job, Job]]:
    return [(lambda: seconds(lambda: issue(caller)), lambda: None), (lambda: None, lambda: seconds(suspend))]


def assert_both_happened(issued: Counter[bool], rounds: int) -> None:
    """Check that sometimes one was first and sometimes the other: else nothing raced."""
    if connection.vendor == "postgresql":
        assert min(issued[True], issued[False]) > rounds // 50, issued


@pytest.mark.threat("S02", "O10")
def test_no_token_survives_the_suspension_of_its_client(cast: Cast, with_secret: Caller, now: datetime, rounds: int) -> None:
    staff = person(cast.reviewer, staff=True)
    clients = Client.objects.filter(pk=with_secret.client.pk)
    issued = race(
        with_secret,
        rounds,
        lambda: change_client(with_secret.client, "suspend", staff, now=now, reason="found abuse"),
        lambda: clients.update(state=Client.State.ACTIVE),
    )
    assert_both_happened(issued, rounds)


@pytest.mark.threat("S02", "O10")
def test_no_token_survives_the_suspension_of_its_organization(cast: Cast, with_secret: Caller, now: datetime, rounds: int) -> None:
    staff = person(cast.reviewer, staff=True)
    organizations = Organization.objects.filter(pk=cast.organization.pk)
    issued = race(
        with_secret,
        rounds,
        lambda: change_organization(cast.organization, "suspend", staff, now=now, reason="found abuse"),
        lambda: organizations.update(state=Organization.State.APPROVED),
    )
    assert_both_happened(issued, rounds)


@pytest.mark.threat("J16", "J17")
def test_a_value_is_used_once_whoever_is_first(db: None, now: datetime, rounds: int) -> None:
    later = now + timedelta(minutes=5)
    with ring(4) as threads:
        for number in range(1000 if connection.vendor == "postgresql" else rounds):
            jobs = [lambda number=number: use_once("client_assertion", "client", f"jti {number}", expires_at=later)] * 4
            assert sorted(threads.together(*jobs)) == [False, False, False, True], number


@pytest.mark.threat("S02")
def test_suspending_twice_at_once_ends_one_generation_and_refuses_the_other(
    cast: Cast, with_secret: Caller, now: datetime, rounds: int
) -> None:
    staff = person(cast.reviewer, staff=True)

    def suspend() -> str:
        try:
            change_client(with_secret.client, "suspend", staff, now=now, reason="found abuse")
        except TransitionRefused as error:
            return type(error).__name__
        return "suspended"

    clients = Client.objects.filter(pk=with_secret.client.pk)
    with ring(2) as threads:
        for number in range(rounds // 10):
            assert sorted(threads.together(suspend, suspend)) == ["TransitionRefused", "suspended"]
            assert clients.get().credential_generation == number + 2
            clients.update(state=Client.State.ACTIVE)
