"""What resolving costs: counts exactly, times as multiples of one bare ES256 verification measured in the same run.

    python benchmarks/trust_chain.py [--leaves 10000] [--intermediates 100] [--check]

Statements are signed beforehand and served from memory, so that fetching over a network is left out. `--check` exits 1 when a target is missed.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from federation.core.resolver import Resolver, configuration_url, statement_url
from federation.core.statement_cache import MemoryStatementCache
from federation.core.statements import parse_entity_statement
from federation.core.trust_chains import TrustAnchor
from federation.simulator import SimulatedFederation
from protocol.fetch import InMemoryFetcher, Page

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


def build(leaves: int, intermediates: int) -> tuple[dict[str, Page], TrustAnchor, list[str]]:
    """Return signed pages by URL, the anchor, and the leaves."""
    federation = SimulatedFederation()
    federation.add_authority(ANCHOR)
    authorities = [f"https://sector-{number}.example" for number in range(intermediates)]
    parties = [f"https://rp-{number}.example" for number in range(leaves)]
    for authority in authorities:
        federation.add_authority(authority, [ANCHOR], metadata_policy=ANCHOR_POLICY)
    for number, party in enumerate(parties):
        federation.add_relying_party(party, [authorities[number % intermediates]], metadata_policy=INTERMEDIATE_POLICY)
    pages = {configuration_url(name): Page(federation.configuration(name).encode(), MEDIA_TYPE) for name in federation.entities}
    for superior, entity in federation.entities.items():
        for subject in entity.subordinates:
            url = statement_url(entity.fetch_endpoint, subject)
            pages[url] = Page(federation.statement(superior, subject).encode(), MEDIA_TYPE)
    return pages, federation.anchor(ANCHOR), parties


def bare_verification(page: Page) -> Callable[[], None]:
    """Return one ES256 verification with everything prepared."""
    statement = parse_entity_statement(page.body)
    members = statement.jwt.unverified_claims["jwks"]["keys"][0]
    number = {name: int.from_bytes(_decoded(members[name])) for name in ("x", "y")}
    key = ec.EllipticCurvePublicNumbers(number["x"], number["y"], ec.SECP256R1()).public_key()
    raw = statement.jwt.signature
    signature = encode_dss_signature(int.from_bytes(raw[:32]), int.from_bytes(raw[32:]))
    signed, algorithm = statement.jwt.signing_input, ec.ECDSA(hashes.SHA256())
    return lambda: key.verify(signature, signed, algorithm)


def _decoded(text: str) -> bytes:
    import base64

    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def cpu_seconds(action: Callable[[], object], times: int) -> float:
    """Return the CPU seconds of one call, over `times` calls."""
    started = time.process_time()
    for _ in range(times):
        action()
    return (time.process_time() - started) / times


def measure_ratios(pages: dict[str, Page], anchor: TrustAnchor, parties: list[str]) -> dict[str, float]:
    """Return the medians of interleaved rounds, as multiples of a bare verification in the same round."""
    bare = bare_verification(pages[configuration_url(parties[0])])
    fetcher = InMemoryFetcher(pages)
    ratios: dict[str, list[float]] = {name: [] for name in TARGETS}

    def cold() -> None:
        assert Resolver(fetcher, [anchor], MemoryStatementCache()).resolve(parties[0]).ok

    warm = Resolver(fetcher, [anchor], MemoryStatementCache())
    leaves = iter(parties)
    warm.resolve(next(leaves))
    below = [party for party in parties[1:] if warm.resolve(party).ok and False] or parties
    for number in range(9):
        unit = cpu_seconds(bare, 400)
        ratios["cold chain"].append(cpu_seconds(cold, 60) / unit)
        kept = Resolver(fetcher, [anchor], MemoryStatementCache())
        for party in below[:10]:
            kept.resolve(party)
        batch = iter(below[10 + number * 20 :])
        ratios["cached leaf"].append(cpu_seconds(lambda batch=batch, kept=kept: kept.resolve(next(batch)), 20) / unit)
    return {name: statistics.median(values) for name, values in ratios.items()}


def sweep(pages: dict[str, Page], anchor: TrustAnchor, parties: list[str]) -> dict[str, float]:
    """Resolve every leaf once with one cache and return counts, CPU seconds and how much memory it took, in MB."""
    fetcher = InMemoryFetcher(pages)
    resolver = Resolver(fetcher, [anchor], MemoryStatementCache())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started, fetches, checks = time.process_time(), 0, 0
    for party in parties:
        found = resolver.resolve(party)
        assert found.ok, found.failure
        fetches += found.fetches
        checks += found.signature_checks
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    return {"fetches": fetches, "checks": checks, "cpu": time.process_time() - started, "grown": grown}


def main() -> int:
    """Measure, print and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--leaves", type=int, default=10_000)
    parser.add_argument("--intermediates", type=int, default=100)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    missed = []
    ratios = measure_ratios(*build(250, 10))
    for name, ratio in ratios.items():
        print(f"{name:12} {ratio:6.1f} x a bare ES256 verification (target {TARGETS[name]:.0f})")
        missed += [name] if ratio > TARGETS[name] else []
    pages, anchor, parties = build(options.leaves, options.intermediates)
    found = sweep(pages, anchor, parties)
    minimum = 2 * options.leaves + 2 * options.intermediates + 1
    unit = cpu_seconds(bare_verification(pages[configuration_url(parties[0])]), 400)
    print(f"sweep of {options.leaves} leaves under {options.intermediates} intermediates:")
    print(f"  fetches {found['fetches']:.0f}, signature checks {found['checks']:.0f}; the minimum is {minimum}")
    print(f"  {found['cpu']:.1f} CPU s, {found['cpu'] / (found['checks'] * unit):.1f} x its verifications; grew by {found['grown']:.0f} MB")
    missed += ["fetches"] if found["fetches"] != minimum else []
    missed += ["checks"] if found["checks"] > minimum else []
    if missed:
        print("missed:", ", ".join(missed))
    return 1 if missed and options.check else 0


if __name__ == "__main__":
    sys.exit(main())
