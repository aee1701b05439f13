"""The simulator behind a real HTTPS server: resolving through the real fetcher, with every fault as it happens on a network."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import parse_qs, urlsplit

import pytest

from federation.core.resolution import FailureClass, Resolution, StepNumber
from federation.core.resolver import ResolutionLimits, Resolver, configuration_url
from federation.core.statement_cache import MemoryStatementCache
from federation.core.trust_marks import fetch_trust_mark_status, review_trust_marks
from federation.simulator import Fault, SimulatedFederation
from federation.simulator.tls import FederationServer, serve
from protocol.errors import FetchError
from protocol.fetch import FetchPurpose, FetchRequest, HttpFetcher, standard_request
from protocol.jose import VerificationBudget
from tests.lateness import Lateness

pytestmark = [pytest.mark.threat("X08"), pytest.mark.allow_hosts(["127.0.0.1", "127.0.0.2"])]

MARGIN = 0.3
HOSTS = ("anchor.sim.test", "sector.sim.test", "rp.sim.test")


@pytest.fixture
def server() -> Iterator[FederationServer]:
    """A served federation of an anchor, an intermediate and a relying party."""
    with serve(SimulatedFederation()) as running:
        anchor, sector, party = (running.entity_id(host) for host in HOSTS)
        running.federation.add_authority(anchor)
        running.federation.add_authority(sector, [anchor])
        running.federation.add_relying_party(party, [sector])
        yield running


@pytest.fixture
def resolve(server: FederationServer) -> Callable[..., Resolution]:
    """Resolve an entity of the federation, by default its relying party, through the real fetcher."""

    def run(entity_id: str | None = None, *, seconds: float = 8.0, **settings: float) -> Resolution:
        anchor = server.federation.anchor(server.entity_id(HOSTS[0]))
        fetcher = HttpFetcher(server.fetch_config(**settings))
        limits = ResolutionLimits(seconds=seconds)
        found = Resolver(fetcher, [anchor], MemoryStatementCache(), limits=limits).resolve(entity_id or server.entity_id(HOSTS[2]))
        assert fetcher.sizes()["running"] == fetcher.sizes()["flights"] == 0
        return found

    return run


def test_a_chain_resolves_end_to_end(server: FederationServer, resolve: Callable[..., Resolution]) -> None:
    found = resolve()
    assert found.ok, found.failure
    assert found.chain
    assert found.chain.entities == tuple(server.entity_id(host) for host in reversed(HOSTS))
    assert found.fetches == 5


def test_an_entity_that_joins_and_one_that_is_expelled_show_at_once(server: FederationServer, resolve: Callable[..., Resolution]) -> None:
    anchor = server.entity_id(HOSTS[0])
    tenant = server.entity_id("late.sim.test", "/tenants/1")
    server.federation.add_relying_party(tenant, [anchor])
    assert resolve(tenant).ok
    server.federation.expel(anchor, tenant)
    found = resolve(tenant)
    assert found.failure
    assert (found.failure.step, found.failure.failure_class) == (StepNumber.FETCH_STATEMENT, FailureClass.UNSIGNED_NEGATIVE)


def test_the_status_of_a_trust_mark_is_asked_for_by_a_form(server: FederationServer) -> None:
    anchor, party, kind = server.entity_id(HOSTS[0]), server.entity_id(HOSTS[2]), "https://sim.test/marks/member"
    server.federation.entities[anchor].claims["trust_mark_issuers"] = {kind: [anchor]}
    raw = server.federation.grant_mark(anchor, party, kind)
    fetcher = HttpFetcher(server.fetch_config())
    resolver = Resolver(fetcher, [server.federation.anchor(anchor)], MemoryStatementCache())
    chain, issuer_chain = resolver.resolve(party).chain, resolver.resolve(anchor, entity_types=()).chain
    assert chain
    assert issuer_chain
    budget, now = VerificationBudget(), int(time.time())
    (finding,) = review_trust_marks(chain.subject, lambda _: issuer_chain, now=now, budget=budget)
    assert finding.mark, finding.sentence
    assert fetch_trust_mark_status(finding.mark, issuer_chain.subject, fetcher, now=now, budget=budget) == "active"
    server.federation.entities[anchor].revoked_marks.add(raw)
    assert fetch_trust_mark_status(finding.mark, issuer_chain.subject, fetcher, now=now, budget=budget) == "revoked"


TRANSIENT, UNSIGNED, SIGNED = FailureClass.TRANSIENT, FailureClass.UNSIGNED_NEGATIVE, FailureClass.SIGNED_NEGATIVE
OF_ANY_ANSWER = {
    Fault.SERVER_ERROR: TRANSIENT,
    Fault.HTML_PAGE: TRANSIENT,
    Fault.TOO_LARGE: TRANSIENT,
    Fault.TIMEOUT: TRANSIENT,
    Fault.DRIP_HEADERS: TRANSIENT,
    Fault.DRIP_BODY: TRANSIENT,
    Fault.NOT_FOUND: UNSIGNED,
    Fault.REDIRECT: UNSIGNED,
    Fault.NOT_A_JWT: UNSIGNED,
    Fault.WRONG_SIGNATURE: UNSIGNED,
    Fault.EXPIRED: SIGNED,
}
OF_THE_CONNECTION = (Fault.REFUSED, Fault.TLS, Fault.SLOW_HANDSHAKE)
READ_BEFORE_IT_IS_REFUSED = (Fault.NOT_A_JWT, Fault.EXPIRED, Fault.WRONG_SIGNATURE)


def test_every_fault_has_a_row_here() -> None:
    assert set(Fault) == {*OF_ANY_ANSWER, *OF_THE_CONNECTION}


@pytest.mark.parametrize(("fault", "kind"), [*OF_ANY_ANSWER.items(), *((fault, TRANSIENT) for fault in OF_THE_CONNECTION)])
def test_a_fault_of_the_entity_itself_fails_at_its_configuration(
    server: FederationServer, resolve: Callable[..., Resolution], fault: Fault, kind: FailureClass
) -> None:
    server.federation.entities[server.entity_id(HOSTS[2])].fault = fault
    found = resolve(deadline_seconds=0.3)
    step = StepNumber.VERIFY_CONFIGURATION if fault in READ_BEFORE_IT_IS_REFUSED else StepNumber.FETCH_CONFIGURATION
    assert found.failure
    assert (found.failure.step, found.failure.failure_class) == (step, kind)
    assert found.failure.entity == server.entity_id(HOSTS[2])


@pytest.mark.parametrize(("fault", "kind"), OF_ANY_ANSWER.items())
def test_a_fault_of_the_fetch_endpoint_fails_at_the_statement(
    server: FederationServer, resolve: Callable[..., Resolution], fault: Fault, kind: FailureClass
) -> None:
    server.federation.entities[server.entity_id(HOSTS[1])].statement_fault = fault
    found = resolve(deadline_seconds=0.3)
    step = StepNumber.VERIFY_STATEMENT if fault in READ_BEFORE_IT_IS_REFUSED else StepNumber.FETCH_STATEMENT
    assert found.failure
    assert (found.failure.step, found.failure.failure_class) == (step, kind)
    assert found.failure.entity == server.entity_id(HOSTS[1])


@pytest.mark.parametrize("fault", OF_THE_CONNECTION)
def test_a_superior_that_cannot_be_connected_to_fails_as_transient(
    server: FederationServer, resolve: Callable[..., Resolution], fault: Fault
) -> None:
    server.federation.entities[server.entity_id(HOSTS[1])].statement_fault = fault
    found = resolve(deadline_seconds=0.3)
    assert found.failure
    assert (found.failure.step, found.failure.failure_class) == (StepNumber.FETCH_SUPERIOR, TRANSIENT)


REASONS = {
    Fault.REFUSED: "refused",
    Fault.TLS: "tls",
    Fault.SLOW_HANDSHAKE: "deadline",
    Fault.TIMEOUT: "deadline",
    Fault.DRIP_HEADERS: "deadline",
    Fault.DRIP_BODY: "deadline",
}


@pytest.mark.parametrize(("fault", "reason"), REASONS.items())
def test_a_fault_of_the_network_is_the_real_one(server: FederationServer, fault: Fault, reason: str) -> None:
    party = server.entity_id(HOSTS[2])
    server.federation.entities[party].fault = fault
    with pytest.raises(FetchError) as caught:
        HttpFetcher(server.fetch_config(deadline_seconds=0.3)).fetch(_request(party))
    assert caught.value.reason == reason


@pytest.mark.threat("F10", "X09")
@pytest.mark.parametrize(
    ("fault", "at_once"), [(Fault.DRIP_BODY, 50), (Fault.DRIP_HEADERS, 50), (Fault.SLOW_HANDSHAKE, 50), (Fault.DRIP_BODY, 16)]
)
def test_of_fifty_dripping_servers_every_fetch_ends_by_its_deadline(server: FederationServer, fault: Fault, at_once: int) -> None:
    parties = [server.entity_id(f"slow-{number}.sim.test") for number in range(50)]
    for party in parties:
        server.federation.add_relying_party(party, [server.entity_id(HOSTS[0])]).fault = fault
    fetcher = HttpFetcher(server.fetch_config(deadline_seconds=1.0, max_concurrent=at_once))
    begin = threading.Barrier(len(parties))

    def fetch(party: str) -> tuple[float, str]:
        begin.wait(10)
        started = time.monotonic()
        with pytest.raises(FetchError) as caught:
            fetcher.fetch(_request(party))
        return time.monotonic() - started, caught.value.reason

    with Lateness() as late, ThreadPoolExecutor(len(parties)) as pool:
        results = list(pool.map(fetch, parties))
    assert max(seconds for seconds, _ in results) <= 1.0 + MARGIN + 3 * late.seconds
    # Those that found no place wait for one until their own deadline.
    assert {reason for _, reason in results} <= {"deadline", "busy"}
    assert sum(reason == "deadline" for _, reason in results) >= at_once
    assert fetcher.sizes()["running"] == fetcher.sizes()["flights"] == 0


@pytest.mark.threat("F10", "X09", "T01")
@pytest.mark.parametrize("hosts", [1, 10])
def test_a_resolution_ends_by_its_own_time_limit(server: FederationServer, resolve: Callable[..., Resolution], hosts: int) -> None:
    # Ten superiors that drip, on one host as on ten: two fetches at a time to one host must not make five turns of it.
    superiors = [server.entity_id(f"slow-{number % hosts}.sim.test", f"/{number}") for number in range(10)]
    for superior in superiors:
        server.federation.add_authority(superior).fault = Fault.DRIP_BODY
    party = server.entity_id("patient.sim.test")
    server.federation.add_relying_party(party, superiors)
    started = time.monotonic()
    with Lateness() as late:
        found = resolve(party, seconds=1.0, deadline_seconds=5.0)
    assert time.monotonic() - started <= 1.0 + MARGIN + 3 * late.seconds
    assert found.failure
    assert (found.failure.step, found.failure.failure_class) == (StepNumber.FETCH_SUPERIOR, TRANSIENT)


def test_nothing_is_left_running_when_the_server_stops() -> None:
    before = set(threading.enumerate())
    with serve(SimulatedFederation()) as running:
        party = running.entity_id("rp.sim.test")
        running.federation.add_authority(party).fault = Fault.DRIP_BODY
        config = running.fetch_config(deadline_seconds=0.3)
        with pytest.raises(FetchError):
            HttpFetcher(config).fetch(_request(party))
        stopping = time.monotonic()
    assert time.monotonic() - stopping < 1
    assert not [thread for thread in set(threading.enumerate()) - before if not thread.daemon]
    assert config.ca_bundle
    assert not config.ca_bundle.exists()


def test_what_is_served_is_what_the_federation_answers(server: FederationServer) -> None:
    anchor, sector = (server.entity_id(host) for host in HOSTS[:2])
    url = f"{server.federation.entities[anchor].fetch_endpoint}?iss=x&sub={sector}"
    assert parse_qs(urlsplit(url).query)["sub"] == [sector]
    answer = HttpFetcher(server.fetch_config()).fetch(standard_request(FetchPurpose.SUBORDINATE_STATEMENT, url))
    assert (answer.status, answer.media_type) == (200, "application/entity-statement+jwt")
    assert answer.body.count(b".") == 2


def _request(entity_id: str) -> FetchRequest:
    return standard_request(FetchPurpose.ENTITY_CONFIGURATION, configuration_url(entity_id))
