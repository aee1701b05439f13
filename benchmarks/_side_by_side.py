"""Measuring ours beside stock django-oauth-toolkit: a process for each side, in turns, so that a busy machine disturbs both alike."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


def measure_in_turns(sides: Iterable[str], rounds: int, *, command: Callable[[str], list[str]], database_url: str) -> dict[str, list[Any]]:
    """Return what the worker of each side answered, round by round.

    `command` are the arguments of Python for a side. A worker prints a line when it is ready, and a line of JSON for each line that it
    reads. It has a data directory of its own; with `database_url` a side uses the database of that name followed by `_` and the side.
    """
    results: dict[str, list[Any]] = {side: [] for side in sides}
    with ExitStack() as stack:
        workers = {}
        for side in results:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="credence-benchmark-"))
            url = f"{database_url}_{side}" if database_url else ""
            workers[side] = stack.enter_context(_worker(side, command(side), folder, url))
            _answer(workers[side])
        for number in range(rounds):
            for side in list(results) if number % 2 else reversed(results):
                print("go", file=workers[side].stdin, flush=True)
                results[side].append(json.loads(_answer(workers[side])))
    return results


@contextmanager
def _worker(side: str, command: list[str], folder: str, database_url: str) -> Iterator[subprocess.Popen[str]]:
    """Start the process of one side, ready to measure, and end it afterwards."""
    module = "benchmarks.stock_dot.settings" if side == "stock" else "portal.settings"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CREDENCE_") and name != "DATABASE_URL"}
    environment |= {"DJANGO_SETTINGS_MODULE": module, "CREDENCE_DATA_DIR": folder, "PYTHONPATH": str(ROOT), "CREDENCE_LOG_LEVEL": "WARNING"}
    if database_url:
        environment["DATABASE_URL"] = database_url
    arguments = [sys.executable, *command]
    with subprocess.Popen(arguments, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def _answer(process: subprocess.Popen[str]) -> str:
    """Return the next line of a worker."""
    line = process.stdout.readline() if process.stdout else ""
    if not line:
        sys.exit("A worker ended early; see its message above.")
    return line


def report_ratios(what: str, sides: Mapping[str, str], results: dict[str, list[list[float]]]) -> dict[str, float]:
    """Print a table and return the median processor time of each side as a multiple of stock."""
    medians = {side: [statistics.median(column) * 1000 for column in zip(*rounds, strict=True)] for side, rounds in results.items()}
    # Round by round, so that what slows the machine down for a while cancels out.
    pairs = {side: [one[0] / other[0] for one, other in zip(rounds, results["stock"], strict=True)] for side, rounds in results.items()}
    ratios = {side: statistics.median(values) for side, values in pairs.items()}
    print(f"{what:<32}{'CPU ms':>9}{'wall ms':>9}{'x stock':>9}")
    for side, label in sides.items():
        print(f"{label:<32}{medians[side][0]:>9.2f}{medians[side][1]:>9.2f}{ratios[side]:>9.2f}")
    return ratios
