"""The supervisor with dummy programs: no gunicorn, no Celery, no Django."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from portal.supervisor import Child, Limits, Program, Supervisor, describe_exit

ROOT = Path(__file__).resolve().parents[2]
Start = Callable[..., subprocess.Popen[str]]
IMPATIENT = Limits(start=10, grace=0.6, quick=60, quick_deaths=3, first_delay=0.05, longest_delay=1)

pytestmark = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="finds processes in /proc")

DUMMY = """
import os, signal, sys, time

log, name, mode = sys.argv[1:]

def note(word):
    with open(log, "a") as file:
        file.write(f"{name} {word} {os.getpid()}\\n")

def stop(number, frame):
    note("stopped")
    os._exit(0)

signal.signal(signal.SIGTERM, signal.SIG_IGN if mode == "stubborn" else stop)
if mode == "forking" and os.fork() == 0:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    note("forked")
else:
    note("started")
if mode == "dying":
    sys.exit(7)
while True:
    time.sleep(1)
"""

HARNESS = """
import os
import signal
import sys
from pathlib import Path
from portal.supervisor import Limits, Program, Supervisor

signal.signal(signal.SIGHUP, signal.SIG_DFL)  # also where the tests themselves run under nohup
log = sys.argv[1]
limits = Limits(start=10, grace=float(os.environ["GRACE"]), quick=60, quick_deaths=3, first_delay=0.05, longest_delay=1)
programs = [Program(name, "dummy", [log, name, mode]) for name, mode in (word.split(":") for word in sys.argv[2:])]
sys.exit(Supervisor(programs, say=lambda line: print(line, flush=True), limits=limits).run())
"""


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put the dummy module on the path of child processes; return the file they note their life in."""
    (tmp_path / "dummy.py").write_text(DUMMY)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("SUPERVISOR_TEST", str(tmp_path))
    monkeypatch.setenv("GRACE", str(IMPATIENT.grace))
    path = tmp_path / "log"
    path.touch()
    return path


@pytest.fixture
def start(log: Path) -> Iterator[Start]:
    """Start a supervisor in a process of its own, so that it can be killed."""
    started: list[subprocess.Popen[str]] = []

    def start_supervisor(*programs: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", HARNESS, str(log), *programs]
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        started.append(process)
        return process

    yield start_supervisor
    for process in started:
        process.kill()
        process.communicate()


def wait_for(condition: Callable[[], object], seconds: float = 15) -> None:
    """Wait until the condition holds; fail when it does not in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.02)


def words(log: Path) -> list[str]:
    """Return what the dummies noted, without process ids: `web started`."""
    return [line.rsplit(" ", 1)[0] for line in log.read_text().splitlines()]


def process_id(log: Path, note: str) -> int:
    """Return the process that noted this last."""
    return [int(line.rsplit(" ", 1)[1]) for line in log.read_text().splitlines() if line.startswith(note)][-1]


def living_processes(marker: str) -> set[int]:
    """Return every process that was started with this value in its environment, but not this one."""
    found = set()
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdigit() and f"SUPERVISOR_TEST={marker}\0".encode() in (folder / "environ").read_bytes():
                found.add(int(folder.name))
        except OSError:  # it ended while we looked
            continue
    return found - {os.getpid()}


def test_a_program_that_dies_at_once_is_restarted_later_each_time_and_then_given_up(log: Path) -> None:
    said: list[str] = []
    supervisor = Supervisor([Program("The web server", "dummy", [str(log), "web", "dying"])], said.append, limits=IMPATIENT)
    assert supervisor.run() == 1
    assert words(log) == ["web started"] * 3
    assert said == [
        "The web server stopped with exit code 7; starting it again in 0.1 seconds.",
        "The web server stopped with exit code 7; starting it again in 0.1 seconds.",
        "The web server stopped with exit code 7, 3 times in a row; giving up. Its messages above should say why.",
    ]


def test_giving_up_on_one_program_stops_the_others(log: Path) -> None:
    programs = [
        Program("web", "dummy", [str(log), "web", "serving"], is_ready=lambda: "web started" in words(log)),
        Program("worker", "dummy", [str(log), "worker", "dying"]),
    ]
    assert Supervisor(programs, lambda _line: None, limits=IMPATIENT).run() == 1
    assert words(log)[-1] == "web stopped"
    assert living_processes(str(log.parent)) == set()


def test_the_delay_doubles_with_each_quick_death_up_to_a_limit(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    limits = Limits(quick_deaths=6, first_delay=1, longest_delay=5)
    supervisor = Supervisor([], said.append, limits=limits)
    child = _child()
    for _ in range(5):
        child.started_at = time.monotonic()
        supervisor._after_death(child, 2**22 + 1, 1)
    assert [line.split(" in ")[1] for line in said] == [f"{delay} seconds." for delay in ("1.0", "2.0", "4.0", "5.0", "5.0")]


def test_a_program_that_lived_long_enough_is_restarted_without_counting(log: Path) -> None:
    supervisor = Supervisor([], lambda _line: None, limits=Limits(quick=10, quick_deaths=2))
    child = _child()
    child.quick_deaths, child.was_ready = 1, True
    child.started_at = time.monotonic() - 11
    supervisor._after_death(child, 2**22 + 1, 1)
    assert child.quick_deaths == 0


def test_a_program_that_dies_before_it_was_ready_counts_however_long_it_took(log: Path) -> None:
    supervisor = Supervisor([], lambda _line: None, limits=Limits(quick=10, quick_deaths=5))
    child = _child()
    child.started_at = time.monotonic() - 60
    supervisor._after_death(child, 2**22 + 1, 1)
    assert child.quick_deaths == 1


def test_a_slow_start_is_reported_once_and_waited_for(log: Path) -> None:
    said: list[str] = []
    ready_at = time.monotonic() + 0.8
    program = Program("web", "dummy", [str(log), "web", "serving"], is_ready=lambda: time.monotonic() > ready_at)
    stop = lambda: os.kill(os.getpid(), signal.SIGTERM)  # noqa: E731
    assert Supervisor([program], said.append, stop, Limits(start=0.2)).run() == 0
    assert said == ["web is not ready after 0 seconds; still waiting."]


def test_the_second_program_waits_until_the_first_one_is_ready(log: Path) -> None:
    supervisor: Supervisor
    seen: list[list[str]] = []

    def web_is_ready() -> bool:
        seen.append(words(log))
        return "web started" in seen[-1]

    def stop_when_the_worker_runs() -> None:
        wait_for(lambda: "worker started" in words(log))
        os.kill(os.getpid(), signal.SIGTERM)

    programs = [
        Program("web", "dummy", [str(log), "web", "serving"], is_ready=web_is_ready),
        Program("worker", "dummy", [str(log), "worker", "serving"]),
    ]
    supervisor = Supervisor(programs, lambda _line: None, stop_when_the_worker_runs, IMPATIENT)
    assert supervisor.run() == 0
    assert all("worker started" not in notes for notes in seen)
    assert words(log)[:2] == ["web started", "worker started"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_all_programs(number: signal.Signals, log: Path, start: Start) -> None:
    supervisor = start("web:serving", "worker:serving")
    wait_for(lambda: len(words(log)) == 2)
    supervisor.send_signal(number)
    assert supervisor.wait(10) == 0
    assert set(words(log)[-2:]) == {"web stopped", "worker stopped"}
    assert living_processes(str(log.parent)) == set()


def test_a_program_that_does_not_stop_is_killed_after_the_grace_period(log: Path, start: Start) -> None:
    supervisor = start("web:stubborn")
    wait_for(lambda: words(log))
    began = time.monotonic()
    supervisor.terminate()
    output, _ = supervisor.communicate(timeout=10)
    assert time.monotonic() - began >= IMPATIENT.grace
    assert "web did not stop in time; killing it." in output
    assert living_processes(str(log.parent)) == set()


def test_a_second_signal_kills_at_once(log: Path, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRACE", "60")
    supervisor = start("web:stubborn")
    wait_for(lambda: words(log))
    supervisor.send_signal(signal.SIGINT)
    time.sleep(0.5)
    assert supervisor.poll() is None
    supervisor.send_signal(signal.SIGINT)
    output, _ = supervisor.communicate(timeout=10)
    assert "Killing web." in output
    assert living_processes(str(log.parent)) == set()


def test_what_a_killed_program_left_behind_is_removed_before_it_is_started_again(log: Path, start: Start) -> None:
    start("web:forking")
    wait_for(lambda: {"web started", "web forked"} <= set(words(log)))
    leftover = process_id(log, "web forked")
    os.kill(process_id(log, "web started"), signal.SIGKILL)
    wait_for(lambda: words(log).count("web started") == 2)
    assert leftover not in living_processes(str(log.parent))


def test_killing_the_supervisor_leaves_no_process_behind(log: Path, start: Start) -> None:
    supervisor = start("web:forking", "worker:stubborn")
    wait_for(lambda: len(words(log)) == 3)
    assert len(living_processes(str(log.parent))) == 4
    supervisor.kill()
    supervisor.wait()
    wait_for(lambda: not living_processes(str(log.parent)), seconds=5)


def test_an_exit_is_described_in_words() -> None:
    assert describe_exit(3) == "stopped with exit code 3"
    assert describe_exit(-9) == "was ended by SIGKILL"
    assert describe_exit(-200) == "was ended by signal 200"


def _child() -> Child:
    return Child(Program("web", "dummy"))
