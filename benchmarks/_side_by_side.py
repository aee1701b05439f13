"""Measuring ours beside stock django-oauth-toolkit: a process for each side, in turns, so that a busy machine disturbs both alike."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
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
