"""What a client_credentials token request costs in process: ours against stock django-oauth-toolkit with a fast hash for secrets.

    benchmarks/token_requests.py [--rounds N] [--database-url postgres://...] [--check]

With a database URL each side uses an empty database of its own, made beforehand: the URL's name followed by `_stock`,
`_client_secret_basic` and `_private_key_jwt`.
Each side is a process of its own, through its whole WSGI application; rounds alternate, so that a busy machine disturbs both alike.
`--check` exits with 1 when ours needs more than LIMIT times the processor time of stock.
"""

from __future__ import annotations

import argparse
import statistics
import sys

from benchmarks._side_by_side import measure_in_turns

SIDES = {"stock": "stock, secret", "client_secret_basic": "ours, secret", "private_key_jwt": "ours, private_key_jwt ES256"}
REQUESTS_PER_ROUND = 60
LIMIT = 1.1


def report(results: dict[str, list[list[float]]]) -> dict[str, float]:
    """Print a table and return the median processor time of each side as a multiple of stock."""
    medians = {side: [statistics.median(column) * 1000 for column in zip(*rounds, strict=True)] for side, rounds in results.items()}
    # Round by round, so that what slows the machine down for a while cancels out.
    pairs = {side: [one[0] / other[0] for one, other in zip(rounds, results["stock"], strict=True)] for side, rounds in results.items()}
    ratios = {side: statistics.median(values) for side, values in pairs.items()}
    print(f"{'client_credentials request':<32}{'CPU ms':>9}{'wall ms':>9}{'x stock':>9}")
    for side, label in SIDES.items():
        print(f"{label:<32}{medians[side][0]:>9.2f}{medians[side][1]:>9.2f}{ratios[side]:>9.2f}")
    return ratios


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument(
        "--database-url", default="", help="empty databases of this name with _stock, _client_secret_basic and _private_key_jwt at its end"
    )
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    command = lambda side: ["-m", "benchmarks._token_worker", side, str(REQUESTS_PER_ROUND)]  # noqa: E731
    ratios = report(measure_in_turns(SIDES, options.rounds, command=command, database_url=options.database_url))
    if options.check and ratios["client_secret_basic"] > LIMIT:
        sys.exit(f"Ours takes {ratios['client_secret_basic']:.2f} times the processor time of stock; the limit is {LIMIT}.")


if __name__ == "__main__":
    main()
