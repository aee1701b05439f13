"""What registering by a request costs: a warm automatic client beside a manual one, and entities that nobody has seen.

    benchmarks/registration.py [--rounds 20] [--entities 300] [--check]

In process, through the whole application, with a simulated federation in memory (its signing is measured apart and taken off). Warm: the
same signed authorization request by a client that a person registered and by one that its trust chain did. Cold: entities below two levels
of superiors register by their first request. `--check` exits with 1 when a warm request costs more than EXTRA_MS more, fewer than
ENTITIES_PER_SECOND register on two cores, or a superior is fetched twice.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from benchmarks._in_process import set_up

EXTRA_MS = 3.0
ENTITIES_PER_SECOND = 20
REQUESTS_PER_ROUND = 40


class Side:
    """Something that signs authorization requests."""

    def __init__(self, client_id: str, callback: str, key: Any) -> None:
        self.client_id, self.callback, self.key = client_id, callback, key

    def requests(self, count: int) -> list[str]:
        """Return the URLs of fresh requests, signed before the clock runs."""
        import uuid

        from django.conf import settings

        from protocol.jose import issue_jwt

        urls = []
        for _ in range(count):
            claims = {
                "iss": self.client_id, "client_id": self.client_id, "aud": settings.ISSUER, "exp": int(time.time()) + 200,
                "jti": uuid.uuid4().hex, "response_type": "code", "redirect_uri": self.callback, "scope": "openid",
                "code_challenge": "c" * 43, "code_challenge_method": "S256",
            }  # fmt: skip
            token = issue_jwt(claims, self.key, typ="oauth-authz-req+jwt")
            outside = {"client_id": self.client_id, "response_type": "code", "scope": "openid", "request": token}
            urls.append("/oauth/authorize?" + urlencode(outside))
        return urls


def spent(act: Callable[[], Any]) -> float:
    """Return the processor seconds of an act."""
    started = time.process_time()
    act()
    return time.process_time() - started


def send(urls: list[str]) -> None:
    """Send requests; each must be accepted."""
    from django.test import Client as Browser

    browser = Browser(SERVER_NAME="127.0.0.1", REMOTE_ADDR="")
    for url in urls:
        answer = browser.get(url)
        if answer.status_code != 302:
            sys.exit(answer.content.decode()[:2000])


def build() -> tuple[Any, Side]:
    """Return the federation, accepted here, and a client registered by hand."""
    from django.utils import timezone

    from federation.core.issuing import build_jwks
    from federation.simulator import SimulatedFederation
    from federation.trust_anchors import add_trust_anchor
    from protocol.jose import generate_private_key
    from registry.actors import COMMAND_LINE
    from registry.lifecycle import register_client
    from registry.policy_records import save_policy
    from registry.resource_servers import get_operator_organization
    from registry.signing_keys import ensure_signing_keys

    now = timezone.now()
    ensure_signing_keys(COMMAND_LINE, now=now)
    world = SimulatedFederation()
    world.add_authority("https://anchor.example")
    world.add_authority("https://intermediate.example", ["https://anchor.example"])
    keys = build_jwks(world.entities["https://anchor.example"].keys)
    add_trust_anchor("https://anchor.example", keys, COMMAND_LINE, now=now, organizations="create")
    organization = get_operator_organization(COMMAND_LINE, now=now)
    save_policy(None, {"clients_limit": 10_000}, COMMAND_LINE, now=now)
    key = generate_private_key("ES256")
    document = {
        "client_name": "By hand", "redirect_uris": ["https://manual.example/cb"], "token_endpoint_auth_method": "private_key_jwt",
        "jwks": build_jwks([key]), "scope": "openid", "id_token_signed_response_alg": "ES256",
    }  # fmt: skip
    client = register_client(COMMAND_LINE, organization, document, now=now, stage="live")
    return world, Side(client.client_id, "https://manual.example/cb", key)


def add(world: Any, number: int, key: Any) -> Side:
    """Add an entity that nobody has seen."""
    from federation.core.issuing import build_jwks

    entity_id = f"https://partner-{number}.example"
    world.add_relying_party(entity_id, ["https://intermediate.example"], {"jwks": build_jwks([key]), "scope": "openid"})
    return Side(entity_id, f"{entity_id}/callback", key)


def measure_warm(world: Any, manual: Side, rounds: int) -> float:
    """Return how many milliseconds more a request of a registered entity costs, and print both."""
    from protocol.jose import generate_private_key

    entity = add(world, 0, generate_private_key("ES256"))
    figures: dict[str, list[float]] = {"manual": [], "automatic": []}
    send(entity.requests(5) + manual.requests(5))
    for number in range(rounds):
        for label, side in sorted({"manual": manual, "automatic": entity}.items(), reverse=bool(number % 2)):
            urls = side.requests(REQUESTS_PER_ROUND)
            figures[label].append(spent(lambda urls=urls: send(urls)) / REQUESTS_PER_ROUND * 1000)  # type: ignore[misc]
    ours, theirs = statistics.median(figures["automatic"]), statistics.median(figures["manual"])
    print(f"warm authorization request: {theirs:.2f} ms by a manual client, {ours:.2f} ms by an entity of a federation")
    return ours - theirs


def measure_cold(world: Any, fetcher: Any, entities: int) -> tuple[float, int]:
    """Return how many entities a second register on one core, without what their simulation costs, and how often superiors were fetched."""
    from federation.core.resolver import configuration_url
    from federation.resolving import statement_cache
    from protocol.jose import generate_private_key

    key = generate_private_key("ES256")
    sides = [add(world, number, key) for number in range(1, entities + 1)]
    urls = [side.requests(1)[0] for side in sides]
    statement_cache.clear()
    fetcher.reset_counts()
    whole = spent(lambda: send(urls))
    superiors = [configuration_url(name) for name in ("https://intermediate.example", "https://anchor.example")]
    often = sum(request.url in superiors for request in fetcher.requests)

    def simulate() -> None:
        for side in sides:
            world.configuration(side.client_id)
            world.statement("https://intermediate.example", side.client_id)

    own = whole - spent(simulate)
    print(f"cold: {entities} entities, {own / entities * 1000:.1f} ms of processor each: {entities / own:.0f} a second and core")
    print(f"configurations of the two superiors fetched {often} times, {len(fetcher.requests)} fetches")
    return entities / own, often


def main() -> None:
    """Measure, print, and check."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--entities", type=int, default=300)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    from registry.outbound import use_fetcher

    world, manual = build()
    fetcher = world.fetcher()
    with use_fetcher(fetcher):
        more = measure_warm(world, manual, options.rounds)
        per_second, often = measure_cold(world, fetcher, options.entities)
    print(f"an automatic request costs {more:+.2f} ms; limit {EXTRA_MS} ms")
    if options.check and (more > EXTRA_MS or 2 * per_second < ENTITIES_PER_SECOND or often != 2):
        sys.exit("Registration costs more than it may.")


if __name__ == "__main__":
    set_up()
    main()
