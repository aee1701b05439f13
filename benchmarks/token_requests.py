"""What a client_credentials token request costs in process: ours against stock django-oauth-toolkit with a fast hash for secrets.

    benchmarks/token_requests.py [--rounds N] [--database-url postgres://...] [--check]

With a database URL each side uses an empty database of its own, made beforehand: the URL's name followed by `_stock`,
`_client_secret_basic` and `_private_key_jwt`.
Each side is a process of its own, through its whole WSGI application; rounds alternate, so that a busy machine disturbs both alike.
`--check` exits with 1 when ours needs more than LIMIT times the processor time of stock.
"""

from __future__ import annotations

import argparse
import sys

from benchmarks._side_by_side import measure_in_turns, report_ratios

SIDES = {"stock": "stock, secret", "client_secret_basic": "ours, secret", "private_key_jwt": "ours, private_key_jwt ES256"}
REQUESTS_PER_ROUND = 60
LIMIT = 1.1


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
    results = measure_in_turns(SIDES, options.rounds, command=command, database_url=options.database_url)
    ratios = report_ratios("client_credentials request", SIDES, results)
    if options.check and ratios["client_secret_basic"] > LIMIT:
        sys.exit(f"Ours takes {ratios['client_secret_basic']:.2f} times the processor time of stock; the limit is {LIMIT}.")


if __name__ == "__main__":
    main()
