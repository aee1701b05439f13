"""What a registration costs in process: ours, which checks everything, against the view of stock django-oauth-toolkit, which lets all in.

    benchmarks/register.py [--rounds N] [--database-url postgres://...] [--check]

Both make a client with a secret; stock hashes it fast. With a database URL each side uses an empty database of its own, made beforehand:
the URL's name followed by `_stock` and `_ours`. `--check` exits with 1 when ours needs more than LIMIT times the processor time of stock.
"""

from __future__ import annotations

import argparse
import sys

from benchmarks._side_by_side import measure_in_turns, report_ratios

SIDES = {"stock": "stock, open to all", "ours": "ours, initial access token"}
REQUESTS_PER_ROUND = 60
LIMIT = 1.2


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--database-url", default="", help="empty databases of this name with _stock and _ours at its end")
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    command = lambda side: ["-m", "benchmarks._register_worker", side, str(REQUESTS_PER_ROUND)]  # noqa: E731
    results = measure_in_turns(SIDES, options.rounds, command=command, database_url=options.database_url)
    ratios = report_ratios("registration", SIDES, results)
    if options.check and ratios["ours"] > LIMIT:
        sys.exit(f"Ours takes {ratios['ours']:.2f} times the processor time of stock; the limit is {LIMIT}.")


if __name__ == "__main__":
    main()
