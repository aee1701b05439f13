"""`manage.py run`: what it claims, prepares and says; once with real gunicorn and Celery."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.contrib.staticfiles import finders
from pytest_django import Settings

from portal.management.commands import run

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.enable_socket
def test_a_taken_port_is_refused_with_a_sentence_that_says_what_to_do() -> None:
    with socket.socket() as other:
        other.bind((run.ADDRESS, 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(run.CannotStartError) as refusal:
            run.claim_port(port)
    assert str(refusal.value) == (
        f"Cannot listen on 127.0.0.1:{port}: Address already in use. Stop what uses that port, or choose another one, "
        f"for example: make run PORT={port % 65535 + 1}"
    )


def test_a_second_server_in_the_same_data_directory_is_refused_until_the_first_ends(tmp_path: Path) -> None:
    with run.claim_data_dir(tmp_path), pytest.raises(run.CannotStartError, match="already running in"):
        run.claim_data_dir(tmp_path)
    run.claim_data_dir(tmp_path).close()


def test_the_data_directory_becomes_private(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "data"
    run.claim_data_dir(folder).close()
    folder.chmod(0o755)
    run.claim_data_dir(folder).close()
    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_directory_that_everybody_may_write_to_is_refused_and_left_alone(tmp_path: Path) -> None:
    tmp_path.chmod(0o1777)
    with pytest.raises(run.CannotStartError, match="Everybody may write"):
        run.claim_data_dir(tmp_path)
    assert tmp_path.stat().st_mode & 0o7777 == 0o1777


def test_static_files_are_collected_only_after_one_of_them_changed(tmp_path: Path, settings: Settings) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "site.css").write_text("p {}")
    settings.STATICFILES_DIRS = [source]
    settings.STATICFILES_FINDERS = ["django.contrib.staticfiles.finders.FileSystemFinder"]
    settings.STORAGES = {"staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}}
    settings.DATA_DIR, settings.STATIC_ROOT = tmp_path, tmp_path / "static"
    finders.get_finder.cache_clear()
    try:
        assert [run.collect_static_files() for _ in range(2)] == [True, False]
        (source / "site.css").write_text("p { color: red }")
        (source / "new.css").write_text("")
        assert [run.collect_static_files() for _ in range(2)] == [True, False]
        (source / "new.css").unlink()
        assert run.collect_static_files() is True
    finally:
        finders.get_finder.cache_clear()
    assert [path.name for path in (tmp_path / "static").iterdir()] == ["site.css"]


class Server:
    """A real `manage.py run` in a process of its own, on a data directory of its own."""

    def __init__(self, data_dir: Path, port: int) -> None:
        """Start it; nothing but the port and the directory is set."""
        self.data_dir, self.port = data_dir, port
        kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG")}
        environment = {**kept, "PORT": str(port), "CREDENCE_DATA_DIR": str(data_dir), "PYTHONUNBUFFERED": "1"}
        self.output = (data_dir.parent / f"output-{time.monotonic_ns()}").open("w+")
        command = [sys.executable, "manage.py", "run"]
        self.process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=self.output, stderr=subprocess.STDOUT)

    def said(self) -> str:
        """Return everything it printed so far."""
        return Path(self.output.name).read_text()

    def wait_until(self, condition: Callable[[], object], seconds: float) -> None:
        """Wait for a condition; a failure shows what the server said."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, self.said()
            time.sleep(0.05)

    def get(self, path: str) -> str:
        """Return the status line of the answer to one request."""
        with socket.create_connection((run.ADDRESS, self.port), timeout=30) as connection:
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: {run.ADDRESS}\r\nConnection: close\r\n\r\n".encode())
            return connection.recv(64).decode().splitlines()[0]

    def commands(self) -> list[str]:
        """Return the command line of every process that has this data directory in its environment."""
        marker = f"CREDENCE_DATA_DIR={self.data_dir}\0".encode()
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if marker in (folder / "environ").read_bytes():
                    found.append((folder / "cmdline").read_bytes().replace(b"\0", b" ").decode())
            except OSError:  # it ended while we looked
                continue
        return found

    def is_complete(self) -> bool:
        """Tell whether gunicorn with two workers and Celery with its pool and its clock run."""
        commands = self.commands()
        gunicorn = sum("gunicorn" in command for command in commands)
        return gunicorn == 3 and sum("celery" in command for command in commands) == 3


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[], Server]]:
    """Start real servers, one after the other, on one port and one data directory."""
    servers: list[Server] = []
    with socket.socket() as probe:
        probe.bind((run.ADDRESS, 0))
        port = probe.getsockname()[1]
    (tmp_path / "data").mkdir()

    def start_server() -> Server:
        servers.append(Server(tmp_path / "data", port))
        return servers[-1]

    yield start_server
    for server in servers:
        server.process.kill()
        server.process.wait()
        server.output.close()


@pytest.mark.enable_socket
@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="finds processes in /proc")
def test_the_whole_server_starts_from_nothing_survives_kill_9_without_orphans_and_starts_again(start: Callable[[], Server]) -> None:
    first = start()
    first.wait_until(lambda: "Ctrl-C stops it." in first.said(), 150)
    first.wait_until(first.is_complete, 60)
    long_line = first.get("/?request=" + 16_384 * "a")
    assert re.fullmatch(r"HTTP/1.1 [2-4]\d\d .*", long_line)
    assert "414" not in long_line

    second = start()
    second.wait_until(lambda: second.process.poll() is not None, 60)
    assert "Address already in use" in second.said()
    assert second.process.returncode == 1

    first.process.kill()
    first.process.wait()
    first.wait_until(lambda: not first.commands(), 5)

    again = start()
    again.wait_until(lambda: "Ctrl-C stops it." in again.said(), 60)
    assert sign_ins(again) == sign_ins(first) != []
    again.wait_until(again.is_complete, 60)
    again.process.send_signal(signal.SIGINT)
    assert again.process.wait(30) == 0
    assert again.commands() == []


def sign_ins(server: Server) -> list[str]:
    """Return the demo sign-ins that a server printed."""
    return [line for line in server.said().splitlines() if re.search(r"  \S+@\S+  ", line)]
