"""What a client_credentials token request costs in process: ours against stock django-oauth-toolkit with a fast hash for secrets.

    benchmarks/token_requests.py [--rounds N] [--database-url postgres://...] [--check]

With a database URL each side uses an empty database of its own, made beforehand: the URL's name followed by `_stock`,
`_client_secret_basic` and `_private_key_jwt`.
Each side is a process of its own, through its whole WSGI application; rounds alternate, so that a busy machine disturbs both alike.
`--check` exits with 1 when ours needs more than LIMIT times the processor time of stock.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SIDES = {"stock": "stock, secret", "client_secret_basic": "ours, secret", "private_key_jwt": "ours, private_key_jwt ES256"}
REQUESTS_PER_ROUND = 60
LIMIT = 1.1


@contextmanager
def worker(side: str, folder: str, database_url: str) -> Iterator[subprocess.Popen[str]]:
    """Start the process of one side, ready to measure, and end it afterwards."""
    module = "benchmarks.stock_dot.settings" if side == "stock" else "portal.settings"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CREDENCE_") and name != "DATABASE_URL"}
    environment |= {"DJANGO_SETTINGS_MODULE": module, "CREDENCE_DATA_DIR": folder, "PYTHONPATH": str(ROOT), "CREDENCE_LOG_LEVEL": "WARNING"}
    if database_url:
        environment["DATABASE_URL"] = database_url
    command = [sys.executable, "-m", "benchmarks._token_worker", side, str(REQUESTS_PER_ROUND)]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def answer(process: subprocess.Popen[str]) -> str:
    """Return the next line of a worker."""
    line = process.stdout.readline() if process.stdout else ""
    if not line:
        sys.exit("A worker ended early; see its message above.")
    return line


def measure(folder: str, rounds: int, database_url: str) -> dict[str, list[list[float]]]:
    """Return processor and wall seconds per request, by side and round."""
    results: dict[str, list[list[float]]] = {side: [] for side in SIDES}
    with ExitStack() as stack:
        workers = {}
        for side in SIDES:
            url = f"{database_url}_{side}" if database_url else ""
            workers[side] = stack.enter_context(worker(side, folder, url))
            answer(workers[side])
        for number in range(rounds):
            for side in list(SIDES) if number % 2 else reversed(list(SIDES)):
                process = workers[side]
                print("go", file=process.stdin, flush=True)
                results[side].append(json.loads(answer(process)))
    return results


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
    with tempfile.TemporaryDirectory(prefix="credence-benchmark-") as folder:
        ratios = report(measure(folder, options.rounds, options.database_url))
    if options.check and ratios["client_secret_basic"] > LIMIT:
        sys.exit(f"Ours takes {ratios['client_secret_basic']:.2f} times the processor time of stock; the limit is {LIMIT}.")


if __name__ == "__main__":
    main()
