"""A sweep over TLS: every client below every intermediate looked at once, by one worker, while the token endpoint serves.

    benchmarks/sweep.py [--clients 10000] [--intermediates 100] [--check]

The database is DATABASE_URL (PostgreSQL for the figure that counts), or SQLite. The federation is simulated by a process of its own, over
real TLS on loopback; what it needs of the processor is on top. `--check` exits with 1 when the sweep needs other than 2N+2M+1 fetches,
more than SECONDS for 10,000 clients, or memory that grows with their number.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from benchmarks._in_process import set_up

SECONDS_FOR_TEN_THOUSAND = 90
# What a sweep may hold: one chunk and the bounded cache, whatever the number of clients.
MEMORY_LIMIT_KIB = 120 * 1024
ENTITIES_PER_HOST = 50
# The first request of a process loads what it needs, which is no latency of the endpoint.
WARM_UP = 20
FORM = "application/x-www-form-urlencoded"


def build_federation(clients: int, intermediates: int) -> Any:
    """Return the federation; identifiers get the port when the server has one."""
    from federation.simulator import SimulatedFederation

    world = SimulatedFederation()
    world.add_authority(name("anchor"))
    for number in range(intermediates):
        world.add_authority(name(f"intermediate-{number}"), [name("anchor")])
    for number in range(clients):
        superior = name(f"intermediate-{number % intermediates}")
        keys = {"jwks": {"keys": [SHARED_KEY.public_jwk()]}, "scope": "openid"}
        world.add_relying_party(f"{name(f'partners-{number // ENTITIES_PER_HOST}')}/{number}", [superior], keys)
    return world


def name(host: str) -> str:
    """Return the identifier of the entity on a host."""
    return f"https://{host}.example:{PORT}"


def hosts_of(world: Any) -> frozenset[str]:
    """Return host and port of every entity, which may be private here."""
    return frozenset(entity_id.split("/")[2] for entity_id in world.entities)


def serve_forever(world: Any, directory: str, ready: Any) -> None:
    """Serve the federation in this process until it is ended."""
    from pathlib import Path

    from federation.simulator.tls import CertificateAuthority, FederationServer

    os.nice(5)
    server = FederationServer(world, CertificateAuthority(Path(directory)), PORT)
    ready.set()
    server.serve_forever()


@contextmanager
def federation_over_tls(world: Any) -> Iterator[Any]:
    """Serve the federation from a process of its own and use a fetcher that reaches it; yields the counter of its fetches."""
    from pathlib import Path

    from protocol.fetch import FetchConfig, HttpFetcher
    from registry.outbound import use_fetcher

    with tempfile.TemporaryDirectory(prefix="credence-benchmark-") as directory:
        context = multiprocessing.get_context("fork")
        ready = context.Event()
        process = context.Process(target=serve_forever, args=(world, directory, ready), daemon=True)
        process.start()
        ready.wait(60)
        bundle = next(Path(directory).glob("*.pem"))
        config = FetchConfig(ca_bundle=bundle, allowed_private=hosts_of(world), resolver=lambda host, port: ["127.0.0.1"])
        counting = CountingFetcher(HttpFetcher(config))
        try:
            with use_fetcher(counting):
                yield counting
        finally:
            process.terminate()
            process.join()


class CountingFetcher:
    """Counts what goes over the wire."""

    def __init__(self, inner: Any) -> None:
        self.inner, self.count, self.lock = inner, 0, threading.Lock()

    def fetch(self, request: Any) -> Any:
        self._count(1)
        return self.inner.fetch(request)

    def fetch_many(self, requests: Any) -> Any:
        self._count(len(requests))
        return self.inner.fetch_many(requests)

    def _count(self, number: int) -> None:
        with self.lock:
            self.count += number


def register_all(world: Any) -> None:
    """Register every relying party without a fetch, in bulk, and let all of them be due."""
    from datetime import timedelta

    from django.utils import timezone

    from federation.client_documents import Way
    from federation.core.issuing import build_jwks
    from federation.models import FederationRecord
    from federation.registration import prepare, read_surroundings, record_values, twin_digest
    from federation.resolving import get_resolver
    from federation.trust_anchors import add_trust_anchor
    from protocol.fetch import FetchConfig
    from registry.actors import COMMAND_LINE
    from registry.lifecycle import Rules, assess_metadata
    from registry.models import Client
    from registry.outbound import use_fetcher
    from registry.policies import get_scope_rules
    from registry.resource_servers import get_operator_organization

    now = timezone.now()
    add_trust_anchor(name("anchor"), build_jwks(world.entities[name("anchor")].keys), COMMAND_LINE, now=now)
    organization = get_operator_organization(COMMAND_LINE, now=now)
    with use_fetcher(world.fetcher(FetchConfig(allowed_private=hosts_of(world)))):
        around = read_surroundings(get_resolver())
        rules = Rules(around.policies.of(organization.pk), get_scope_rules())
        for entity_id, entity in world.entities.items():
            if "openid_relying_party" not in entity.metadata:
                continue
            candidate = prepare(around.resolver.resolve(entity_id), Way.AUTOMATIC, around, organization)
            found = assess_metadata(candidate.trusted.document, organization, stage="live", now=now, restrictions={}, rules=rules)
            client = Client.objects.create(
                client_id=entity_id, organization=organization, source=Client.Source.FEDERATION_AUTOMATIC, stage="live", state="active",
                trust="valid", trust_expires_at=candidate.trusted.expires_at, metadata=found.metadata, client_type="confidential",
                declared_metadata=dict(candidate.trusted.declared), authorization_grant_type="authorization-code",
            )  # fmt: skip
            values = record_values(candidate, found.decisions, now=now) | {"next_check_at": now - timedelta(seconds=1)}
            FederationRecord.objects.create(client=client, entity_id=entity_id, twin_digest=twin_digest(entity_id), **values)


@contextmanager
def token_requests(latencies: list[float]) -> Iterator[None]:
    """Ask for tokens in a process of its own, ten a second, as long as the context lasts; their seconds are added to `latencies`."""
    context = multiprocessing.get_context("fork")
    receiving, sending = context.Pipe(duplex=False)
    stop = context.Event()
    process = context.Process(target=_ask_for_tokens, args=(stop, sending), daemon=True)
    process.start()
    try:
        yield
    finally:
        stop.set()
        latencies += receiving.recv() if receiving.poll(30) else []
        process.join()


def _ask_for_tokens(stop: Any, answers: Any) -> None:
    from django.db import connections
    from django.test import Client as Browser

    connections.close_all()
    browser, seconds = Browser(SERVER_NAME="127.0.0.1"), []
    headers = {"Authorization": TOKEN_CREDENTIALS}
    for _ in range(WARM_UP):
        browser.post("/oauth/token", b"grant_type=client_credentials", content_type=FORM, headers=headers)
    while not stop.is_set():
        started = time.perf_counter()
        answer = browser.post("/oauth/token", b"grant_type=client_credentials", content_type=FORM, headers=headers)
        seconds.append(time.perf_counter() - started)
        if answer.status_code != 200:
            raise SystemExit(answer.content)
        time.sleep(0.1)
    answers.send(seconds)


def percentile(values: list[float], percent: int) -> float:
    """Return a percentile in milliseconds."""
    return statistics.quantiles(values, n=100)[percent - 1] * 1000


def measure(clients: int, intermediates: int) -> dict[str, float]:
    """Run one sweep and return its figures."""
    from django.db import connections
    from django.utils import timezone

    from federation.sweep import Sweep

    world = build_federation(clients, intermediates)
    register_all(world)
    idle: list[float] = []
    with token_requests(idle):
        time.sleep(10)
    busy: list[float] = []
    connections.close_all()
    with federation_over_tls(world) as fetcher, token_requests(busy) if clients >= 1000 else nullcontext():
        Sweep(timezone.now).take([])  # what a process reads once
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        os.nice(10)  # as in a worker (portal/celery.py)
        started, processor = time.perf_counter(), time.process_time()
        outcomes = Sweep(timezone.now).run()
        seconds, processor = time.perf_counter() - started, time.process_time() - processor
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    told = ", ".join(f"{count} {outcome.value}" for outcome, count in outcomes.items())
    print(f"{clients} clients, {intermediates} intermediates: {told}")
    print(f"{fetcher.count} fetches (2N+2M+1 = {2 * clients + 2 * intermediates + 1}), {seconds:.1f} s, {processor:.1f} s of processor")
    print(f"memory grew by {grown} KiB")
    if busy:
        figures = (percentile(idle, 50), percentile(busy, 50), percentile(idle, 99), percentile(busy, 99))
        print("token endpoint: median {:.1f} ms idle, {:.1f} ms during the sweep; p99 {:.1f} ms idle, {:.1f} ms".format(*figures))
    return {"fetches": fetcher.count, "seconds": seconds, "grown": grown}


def main() -> None:
    """Measure, print, and check."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clients", type=int, default=10_000)
    parser.add_argument("--intermediates", type=int, default=100)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    figures = measure(options.clients, options.intermediates)
    wanted = 2 * options.clients + 2 * options.intermediates + 1
    slow = figures["seconds"] > SECONDS_FOR_TEN_THOUSAND * max(options.clients, 1000) / 10_000
    if options.check and (figures["fetches"] != wanted or slow or figures["grown"] > MEMORY_LIMIT_KIB):
        sys.exit("The sweep costs more than it may.")


if __name__ == "__main__":
    import base64
    import socket

    set_up()
    from django.utils import timezone

    from protocol.jose import generate_private_key
    from registry.actors import COMMAND_LINE
    from registry.resource_servers import create_resource_server
    from registry.signing_keys import ensure_signing_keys

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        PORT = probe.getsockname()[1]
    SHARED_KEY = generate_private_key("ES256")
    ensure_signing_keys(COMMAND_LINE, now=timezone.now())
    server, secret = create_resource_server("Benchmark", COMMAND_LINE, now=timezone.now())
    TOKEN_CREDENTIALS = "Basic " + base64.b64encode(f"{server.client_id}:{secret.value}".encode()).decode()
    main()
