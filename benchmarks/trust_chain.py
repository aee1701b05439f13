"""What resolving costs: counts exactly, times as multiples of one bare ES256 verification measured in the same run.

    python benchmarks/trust_chain.py [--leaves 10000] [--intermediates 100] [--check]

Statements are signed beforehand and served from a dict, so that HTTP is left out. Cold means a process that has just started: the cache and
everything else that the process remembers is empty. The bare verification repeats one check with everything prepared, at best speed; the
figures in brackets take as unit a check with another prepared key each time, which is what a resolution has. `--check` exits 1 when a
target is missed.
"""

from __future__ import annotations

import argparse
import base64
import gc
import itertools
import resource
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from federation.core.resolution import Resolution
from federation.core.resolver import Resolver, configuration_url, statement_url
from federation.core.statement_cache import MemoryStatementCache
from federation.core.statements import parse_entity_statement
from federation.core.trust_chains import TrustAnchor
from federation.simulator import SimulatedFederation
from protocol.errors import FetchError
from protocol.fetch import FetchRequest, FetchResponse
from protocol.jose import forget_headers, forget_key_sets
from protocol.urls import forget_urls

ANCHOR = "https://anchor.example"
ANCHOR_POLICY = {
    "openid_relying_party": {
        "grant_types": {"subset_of": ["authorization_code", "refresh_token"]},
        "token_endpoint_auth_method": {"one_of": ["private_key_jwt", "tls_client_auth"], "essential": True},
        "id_token_signed_response_alg": {"one_of": ["ES256", "PS256", "RS256"], "default": "ES256"},
        "contacts": {"add": ["ops@anchor.example"]},
    }
}
INTERMEDIATE_POLICY = {
    "openid_relying_party": {
        "grant_types": {"subset_of": ["authorization_code"]},
        "id_token_signed_response_alg": {"one_of": ["ES256", "PS256"]},
        "contacts": {"add": ["ops@sector.example"]},
        "response_types": {"value": ["code"]},
    }
}
MEDIA_TYPE = "application/entity-statement+jwt"
TARGETS = {"cold chain": 18.0, "cached leaf": 7.0}
ROUNDS, PER_ROUND = 15, 20

Pages = Mapping[str, bytes]


class DictFetcher:
    """Answers from a dict and does nothing else."""

    def __init__(self, pages: Pages) -> None:
        self.pages = pages

    def fetch(self, request: FetchRequest) -> FetchResponse:
        """Return the page."""
        return FetchResponse(request.url, 200, MEDIA_TYPE, MappingProxyType({}), self.pages[request.url], 0)

    def fetch_many(self, requests: Sequence[FetchRequest]) -> list[FetchResponse | FetchError]:
        """Return the pages."""
        return [self.fetch(request) for request in requests]


def build(leaves: int, intermediates: int) -> tuple[Pages, TrustAnchor, list[str]]:
    """Return signed pages by URL, the anchor, and the leaves."""
    federation = SimulatedFederation()
    federation.add_authority(ANCHOR)
    authorities = [f"https://sector-{number}.example" for number in range(intermediates)]
    parties = [f"https://rp-{number}.example" for number in range(leaves)]
    for authority in authorities:
        federation.add_authority(authority, [ANCHOR], metadata_policy=ANCHOR_POLICY)
    for number, party in enumerate(parties):
        federation.add_relying_party(party, [authorities[number % intermediates]], metadata_policy=INTERMEDIATE_POLICY)
    pages = {configuration_url(name): federation.configuration(name).encode() for name in federation.entities}
    for superior, entity in federation.entities.items():
        for subject in entity.subordinates:
            pages[statement_url(entity.fetch_endpoint, subject)] = federation.statement(superior, subject).encode()
    return pages, federation.anchor(ANCHOR), parties


def bare_verification(page: bytes) -> Callable[[], None]:
    """Return one ES256 verification with everything prepared."""
    statement = parse_entity_statement(page)
    members = statement.jwt.unverified_claims["jwks"]["keys"][0]
    x, y = (int.from_bytes(_decoded(members[name])) for name in ("x", "y"))
    key = ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
    raw = statement.jwt.signature
    signature = encode_dss_signature(int.from_bytes(raw[:32]), int.from_bytes(raw[32:]))
    signed, algorithm = statement.jwt.signing_input, ec.ECDSA(hashes.SHA256())
    return lambda: key.verify(signature, signed, algorithm)


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def cpu_seconds(action: Callable[[], object], times: int) -> float:
    """Return the CPU seconds of one call, over `times` calls."""
    started = time.process_time()
    for _ in range(times):
        action()
    return (time.process_time() - started) / times


def resolve(resolver: Resolver, party: str) -> Resolution:
    """Return what was found, which must be a valid chain."""
    found = resolver.resolve(party)
    if not found.ok:
        raise RuntimeError(str(found.failure))
    return found


def resident_megabytes() -> float:
    """Return how much memory the process has now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def forget() -> None:
    """Empty what the process remembers beside the statement cache."""
    forget_headers()
    forget_key_sets()
    forget_urls()


def measure_ratios(pages: Pages, anchor: TrustAnchor, parties: list[str]) -> dict[str, tuple[float, float]]:
    """Return the medians of interleaved rounds, as multiples of either unit in the same round."""
    fetcher = DictFetcher(pages)
    bares = [bare_verification(pages[configuration_url(party)]) for party in parties]
    others, fresh = itertools.cycle(bares), itertools.cycle(parties)

    def check_with_another_key() -> None:
        next(others)()

    def cold() -> None:
        forget()
        resolve(Resolver(fetcher, [anchor], MemoryStatementCache()), next(fresh))

    ratios: dict[str, list[tuple[float, float]]] = {name: [] for name in TARGETS}
    for _ in range(ROUNDS):
        unit, other = cpu_seconds(bares[0], 400), cpu_seconds(check_with_another_key, 400)
        spent = cpu_seconds(cold, PER_ROUND)
        ratios["cold chain"].append((spent / unit, spent / other))
        forget()
        kept = Resolver(fetcher, [anchor], MemoryStatementCache())
        for party in parties[:10]:  # one below each intermediate
            kept.resolve(party)
        batch = iter(parties[10 : 10 + PER_ROUND])
        spent = cpu_seconds(lambda batch=batch, kept=kept: resolve(kept, next(batch)), PER_ROUND)
        ratios["cached leaf"].append((spent / unit, spent / other))
    return {
        name: (statistics.median(one for one, _ in values), statistics.median(two for _, two in values)) for name, values in ratios.items()
    }


def sweep(pages: Pages, anchor: TrustAnchor, parties: list[str]) -> dict[str, float]:
    """Resolve every leaf once with one cache and return counts, CPU seconds and how much memory it took, in MB."""
    forget()
    resolver = Resolver(DictFetcher(pages), [anchor], MemoryStatementCache())
    before = halfway = resident_megabytes()
    started, fetches, checks = time.process_time(), 0, 0
    for number, party in enumerate(parties):
        found = resolve(resolver, party)
        fetches += found.fetches
        checks += found.signature_checks
        if number == len(parties) // 2:
            halfway = resident_megabytes()
    spent, after = time.process_time() - started, resident_megabytes()
    return {"fetches": fetches, "checks": checks, "cpu": spent, "grown": after - before, "late": after - halfway}


def report_ratios() -> list[str]:
    """Measure and print the times; return which targets were missed."""
    fixture = build(250, 10)
    # The fixture is not the engine: the garbage collector need not walk through it.
    gc.collect()
    gc.freeze()
    ratios = measure_ratios(*fixture)
    for name, (ratio, other) in ratios.items():
        print(f"{name:12} {ratio:6.1f} x a bare ES256 verification (target {TARGETS[name]:.0f}) [{other:.1f}]")
    return [name for name, (ratio, _) in ratios.items() if ratio > TARGETS[name]]


def report_sweep(leaves: int, intermediates: int) -> list[str]:
    """Measure and print a sweep; return which counts were missed."""
    pages, anchor, parties = build(leaves, intermediates)
    gc.collect()
    gc.freeze()
    found = sweep(pages, anchor, parties)
    minimum = 2 * leaves + 2 * intermediates + 1
    unit = cpu_seconds(bare_verification(pages[configuration_url(parties[0])]), 400)
    print(f"sweep of {leaves} leaves under {intermediates} intermediates:")
    print(f"  fetches {found['fetches']:.0f}, signature checks {found['checks']:.0f}; the minimum is {minimum}")
    print(f"  {found['cpu']:.1f} CPU s, {found['cpu'] / (found['checks'] * unit):.1f} x its verifications")
    print(f"  grew by {found['grown']:.0f} MB, {found['late']:.0f} MB of it in the second half")
    return [name for name, wrong in (("fetches", found["fetches"] != minimum), ("checks", found["checks"] > minimum)) if wrong]


def main() -> int:
    """Measure, print and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--leaves", type=int, default=10_000)
    parser.add_argument("--intermediates", type=int, default=100)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    missed = report_ratios() + report_sweep(options.leaves, options.intermediates)
    if missed:
        print("missed:", ", ".join(missed))
    return 1 if missed and options.check else 0


if __name__ == "__main__":
    sys.exit(main())
