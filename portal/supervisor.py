"""Start a few programs, restart the ones that die, stop them all together, leave nothing behind.

It knows neither Django nor gunicorn nor Celery. A program is a Python module, as in `python -m module`, and runs in a session
of its own, so that Ctrl-C reaches only the supervisor, which then stops the programs.

Every program inherits the reading end of one pipe, the lifeline, whose writing end only the supervisor holds. However the
supervisor ends, even by `kill -9`, the kernel closes that end, and each program kills its process group. On every POSIX system
that also reaches what a signal to the program alone would miss: gunicorn's workers, Celery's pool and its beat process.
"""

from __future__ import annotations

import math
import os
import runpy
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

TICK_SECONDS = 0.1


@dataclass(frozen=True)
class Program:
    """A Python module to run, and how to see that it works."""

    name: str
    module: str
    arguments: Sequence[str] = ()
    descriptors: Sequence[int] = ()  # open files it inherits, such as a listening socket
    environment: Mapping[str, str] = field(default_factory=dict)  # added to the supervisor's own
    is_ready: Callable[[], bool] = lambda: True


@dataclass(frozen=True)
class Limits:
    """How patient the supervisor is, in seconds and deaths."""

    start: float = 30.0  # after so long the operator is told that a program is not ready yet
    grace: float = 10.0  # from asking the programs to stop to killing them
    quick: float = 10.0  # a program that lived shorter than this, or was never ready, died quickly
    quick_deaths: int = 5  # so many in a row, and restarting it is of no use
    first_delay: float = 0.5  # doubles with each quick death
    longest_delay: float = 8.0


@dataclass
class Child:
    """A program with its process, while there is one, and its recent luck."""

    program: Program
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    restart_at: float = 0.0
    quick_deaths: int = 0
    was_ready: bool = False


class GiveUpError(Exception):
    """A program dies again and again; the message is a sentence for the operator."""


@dataclass
class Supervisor:
    """Runs its programs until it is asked to stop; `say` takes sentences for the operator."""

    programs: Sequence[Program]
    say: Callable[[str], None]
    on_ready: Callable[[], None] = lambda: None
    limits: Limits = field(default_factory=Limits)
    children: list[Child] = field(default_factory=list, init=False)
    stop_requests: int = field(default=0, init=False)
    _lifeline: int = field(default=-1, init=False)

    def run(self) -> int:
        """Start the programs in order, each when the one before is ready; keep them running until a signal; return the exit code."""
        self.children = [Child(program) for program in self.programs]
        with self._signals(), self._open_lifeline():
            try:
                self._keep_running()
            except GiveUpError as problem:
                self.say(str(problem))
                return 1
            finally:
                self._stop_all()
        return 0

    def _keep_running(self) -> None:
        for child in self.children:
            self._start(child)
            self._wait_until_ready(child)
        if not self.stop_requests:
            self.on_ready()
        while not self.stop_requests:
            self._look_after_children()
            time.sleep(TICK_SECONDS)

    def _wait_until_ready(self, child: Child) -> None:
        patience_ends = time.monotonic() + self.limits.start
        while not self.stop_requests and not child.program.is_ready():
            if time.monotonic() > patience_ends:
                self.say(f"{child.program.name} is not ready after {self.limits.start:.0f} seconds; still waiting.")
                patience_ends = math.inf
            self._look_after_children()
            time.sleep(TICK_SECONDS)
        child.was_ready = True

    def _start(self, child: Child) -> None:
        program = child.program
        command = [sys.executable, "-m", "portal.supervisor", str(self._lifeline), program.module, *program.arguments]
        child.started_at = time.monotonic()
        child.process = subprocess.Popen(
            command,
            cwd=Path(__file__).resolve().parent.parent,
            env={**os.environ, **program.environment},
            stdin=subprocess.DEVNULL,
            pass_fds=(self._lifeline, *program.descriptors),
            start_new_session=True,
        )

    def _look_after_children(self) -> None:
        for child in self.children:
            if child.process is None:
                if child.restart_at and time.monotonic() >= child.restart_at:
                    self._start(child)
            elif (exit_code := child.process.poll()) is not None:
                self._after_death(child, child.process.pid, exit_code)

    def _after_death(self, child: Child, group: int, exit_code: int) -> None:
        """Remove what the dead program left and plan its next start, or give up."""
        kill_group(group)
        child.process = None
        lived = time.monotonic() - child.started_at
        is_quick = lived < self.limits.quick or not child.was_ready
        child.quick_deaths = child.quick_deaths + 1 if is_quick else 0
        ended = f"{child.program.name} {describe_exit(exit_code)}"
        if child.quick_deaths >= self.limits.quick_deaths:
            raise GiveUpError(f"{ended}, {child.quick_deaths} times in a row; giving up. Its messages above should say why.")
        delay = min(self.limits.first_delay * 2 ** max(child.quick_deaths - 1, 0), self.limits.longest_delay)
        child.restart_at = time.monotonic() + delay
        self.say(f"{ended}; starting it again in {delay:.1f} seconds.")

    def _stop_all(self) -> None:
        """Ask every program to stop, in their order, then wait for all of them; what takes too long is killed."""
        running = [(child.program.name, child.process) for child in self.children if child.process is not None]
        for _name, process in running:
            process.terminate()
        deadline = time.monotonic() + self.limits.grace
        for name, process in running:
            self._wait_until_stopped(name, process, deadline)

    def _wait_until_stopped(self, name: str, process: subprocess.Popen[bytes], deadline: float) -> None:
        while process.poll() is None and self.stop_requests < 2 and time.monotonic() < deadline:
            time.sleep(TICK_SECONDS / 2)
        if process.poll() is None:
            self.say(f"{name} did not stop in time; killing it." if self.stop_requests < 2 else f"Killing {name}.")
        kill_group(process.pid)
        process.wait()

    @contextmanager
    def _open_lifeline(self) -> Iterator[None]:
        self._lifeline, writing_end = os.pipe()  # neither is inheritable; Popen passes on the reading end alone
        try:
            yield
        finally:
            os.close(writing_end)
            os.close(self._lifeline)

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """Count requests to stop; the handler does nothing more, so it is safe at any moment."""

        def request_stop(_number: int, _frame: FrameType | None) -> None:
            self.stop_requests += 1

        wanted = [signal.SIGINT, signal.SIGTERM]
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # under nohup we outlive the terminal
            wanted.append(signal.SIGHUP)
        before = {number: signal.signal(number, request_stop) for number in wanted}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def kill_group(group: int) -> None:
    """Kill every process of a group; a group that is gone already is fine."""
    with suppress(ProcessLookupError, PermissionError):  # macOS answers with the second one for a zombie
        os.killpg(group, signal.SIGKILL)


def describe_exit(exit_code: int) -> str:
    """Say in words how a process ended."""
    if exit_code >= 0:
        return f"stopped with exit code {exit_code}"
    try:
        return f"was ended by {signal.Signals(-exit_code).name}"
    except ValueError:
        return f"was ended by signal {-exit_code}"


def die_with_supervisor(lifeline: int) -> None:
    """Wait until the supervisor is gone, then kill this process group."""
    while os.read(lifeline, 1):
        pass
    kill_group(os.getpgrp())


def run_as_child(arguments: Sequence[str]) -> None:
    """Run a module bound to the supervisor: `python -m portal.supervisor LIFELINE MODULE [ARGUMENT...]`."""
    lifeline, module, *rest = arguments
    threading.Thread(target=die_with_supervisor, args=(int(lifeline),), name="lifeline", daemon=True).start()
    sys.argv = [module, *rest]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    run_as_child(sys.argv[1:])
