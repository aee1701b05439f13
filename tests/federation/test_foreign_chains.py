"""What foreign implementations issued resolves here to what they make of it themselves, or is refused with the rule that it breaks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from federation.core.resolution import StepNumber
from federation.core.resolver import Resolver, configuration_url, statement_url
from federation.core.statement_cache import MemoryStatementCache
from federation.core.trust_chains import TrustAnchor
from federation.core.trust_marks import review_trust_marks
from protocol.fetch import InMemoryFetcher, Page
from protocol.jose import VerificationBudget, parse_jwk_set

FOLDER = Path(__file__).parent.parent / "vectors" / "foreign-chains"
VECTORS = {path.stem: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}
ACCEPTED = [(name, leaf) for name, vector in VECTORS.items() if "refused" not in vector for leaf in vector["resolved"]]
REFUSED = [(name, leaf) for name, vector in VECTORS.items() if "refused" in vector for leaf in vector["resolved"]]


def resolver_for(vector: dict[str, Any], statements: dict[str, str] | None = None) -> Resolver:
    """Return a resolver for whom it is the time of the vector and who is served what it holds."""
    pages = {url: Page(text.encode(), "application/entity-statement+jwt") for url, text in (statements or vector["statements"]).items()}
    anchor = TrustAnchor(vector["trust_anchor"]["entity_id"], parse_jwk_set(vector["trust_anchor"]["jwks"]))
    clock = lambda: vector["now"]  # noqa: E731
    return Resolver(InMemoryFetcher(pages, clock=clock), [anchor], MemoryStatementCache(), clock=clock)


def as_sets(metadata: dict[str, Any]) -> dict[str, Any]:
    """Return metadata in which arrays are compared as sets; implementations order them as they like."""
    return {name: sorted(value) if isinstance(value, list) else value for name, value in metadata.items()}


def test_two_foreign_implementations_are_here() -> None:
    assert len({name for name, _ in ACCEPTED}) >= 2


@pytest.mark.parametrize(("name", "leaf"), ACCEPTED)
def test_a_foreign_chain_resolves_to_what_its_implementation_makes_of_it(name: str, leaf: str) -> None:
    vector = VECTORS[name]
    found = resolver_for(vector).resolve(leaf)
    assert found.ok, found.failure
    assert found.metadata
    assert as_sets(dict(found.metadata.metadata["openid_relying_party"])) == as_sets(vector["resolved"][leaf])


@pytest.mark.parametrize(("name", "leaf"), ACCEPTED)
def test_a_foreign_chain_that_is_supplied_is_accepted_without_a_fetch(name: str, leaf: str) -> None:
    chain = resolver_for(VECTORS[name]).resolve(leaf).statements
    found = resolver_for(VECTORS[name]).resolve_supplied(chain)
    assert found.ok
    assert found.fetches == 0


@pytest.mark.parametrize(("name", "leaf"), [(name, leaf) for name, leaf in ACCEPTED if "https://app." in leaf])
def test_a_foreign_trust_mark_is_valid(name: str, leaf: str) -> None:
    vector = VECTORS[name]
    resolver = resolver_for(vector)
    chain = resolver.resolve(leaf).chain
    assert chain
    anchor = resolver.resolve(vector["trust_anchor"]["entity_id"], entity_types=()).chain
    (finding,) = review_trust_marks(chain.subject, lambda _: anchor, now=vector["now"], budget=VerificationBudget())
    assert finding.mark, finding.sentence


@pytest.mark.parametrize(("name", "leaf"), ACCEPTED)
def test_a_foreign_chain_ends_when_it_says(name: str, leaf: str) -> None:
    vector = VECTORS[name]
    chain = resolver_for(vector).resolve(leaf).chain
    assert chain
    assert not resolver_for({**vector, "now": chain.expires_at + 120}).resolve(leaf).ok


@pytest.mark.spec("FED-ESV-02")
@pytest.mark.parametrize(("name", "leaf"), REFUSED)
def test_a_foreign_chain_outside_of_the_standard_is_refused_for_its_reason(name: str, leaf: str) -> None:
    found = resolver_for(VECTORS[name]).resolve(leaf)
    assert found.failure
    assert (found.failure.step, found.failure.sentence) == (
        StepNumber(VECTORS[name]["refused"]["step"]),
        VECTORS[name]["refused"]["sentence"],
    )


@pytest.mark.parametrize(("name", "leaf"), ACCEPTED)
def test_foreign_urls_are_those_that_we_ask_for(name: str, leaf: str) -> None:
    statements = VECTORS[name]["statements"]
    chain = resolver_for(VECTORS[name]).resolve(leaf).chain
    assert chain
    assert {configuration_url(entity) for entity in chain.entities} <= statements.keys()
    assert {statement_url(f"{found.issuer}/fetch", found.subject) for found in chain.statements} <= statements.keys()
