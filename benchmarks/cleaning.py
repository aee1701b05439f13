"""How long it takes to end a client with many tokens, and to delete them afterwards.

    benchmarks/cleaning.py [--tokens N] [--database-url postgres://...] [--check]

Suspending must not depend on the number of tokens. The database is migrated and then holds what was made; give it an empty one.
`--check` exits with 1 when deleting 20,000 access and 20,000 refresh tokens takes a second or more.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
LIMIT_SECONDS = 1.0
ROUNDS = 3


def seconds(work: Callable[[], object]) -> float:
    """Return how long `work` takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def make_client(count: int) -> Any:
    """Return an active client with `count` access tokens and as many refresh tokens."""
    from django.utils import timezone

    from authserver.models import AccessToken, RefreshToken
    from registry.actors import COMMAND_LINE
    from registry.lifecycle import register_client
    from registry.models import User
    from registry.resource_servers import get_operator_organization

    now = timezone.now()
    document = {"client_name": "Benchmark", "grant_types": ["client_credentials"], "token_endpoint_auth_method": "client_secret_basic"}
    client = register_client(COMMAND_LINE, get_operator_organization(COMMAND_LINE, now=now), document, now=now)
    user, _ = User.objects.get_or_create(email="somebody@example.org")
    common = {"application": client, "user": user, "credential_generation": client.credential_generation}
    names = [f"{client.client_id} {number}" for number in range(count)]
    access_tokens = [AccessToken(token=name, expires=now + timedelta(hours=1), scope="", **common) for name in names]
    AccessToken.objects.bulk_create(access_tokens, batch_size=5000)
    refresh_tokens = [RefreshToken(token=row.token, access_token=row, **common) for row in access_tokens]
    RefreshToken.objects.bulk_create(refresh_tokens, batch_size=5000)
    return client


def measure(count: int) -> tuple[float, float]:
    """Return the seconds to end a client with `count` token pairs and to delete those, the best of a few rounds."""
    from django.utils import timezone

    from authserver.cleaning import delete_tokens_of_ended_generations
    from registry.actors import COMMAND_LINE
    from registry.lifecycle import change_client

    ending, deleting = [], []
    for _ in range(ROUNDS):
        client = make_client(count)
        ending.append(seconds(lambda client=client: change_client(client, "close", COMMAND_LINE, now=timezone.now())))
        deleting.append(seconds(delete_tokens_of_ended_generations))
    return min(ending), min(deleting)


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, default=20_000)
    parser.add_argument("--database-url", default="")
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    with tempfile.TemporaryDirectory(prefix="credence-benchmark-") as folder:
        os.environ |= {"DJANGO_SETTINGS_MODULE": "portal.settings", "CREDENCE_DATA_DIR": folder}
        if options.database_url:
            os.environ["DATABASE_URL"] = options.database_url
        import django
        from django.core.management import call_command

        django.setup()
        call_command("migrate", interactive=False, verbosity=0)
        print(f"{'access + refresh tokens':<26}{'ending ms':>12}{'deleting ms':>14}")
        for count in (0, options.tokens):
            ending, deleting = measure(count)
            print(f"{count:>11,} + {count:<12,}{ending * 1000:>12.1f}{deleting * 1000:>14.1f}")
    if options.check and deleting >= LIMIT_SECONDS:
        sys.exit(f"Deleting took {deleting:.2f} s; the limit is {LIMIT_SECONDS} s.")


if __name__ == "__main__":
    main()
