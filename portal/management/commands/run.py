"""`manage.py run`: prepare whatever is missing, then serve the site and its background worker until Ctrl-C."""

from __future__ import annotations

import fcntl
import hashlib
import os
import socket
import stat
import sys
from argparse import ArgumentParser
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

from django.apps import apps
from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.core.checks import Tags
from django.core.management import call_command
from django.core.management.base import BaseCommand
from django.db import connection, connections, transaction
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from portal.supervisor import Program, Supervisor

ADDRESS = "127.0.0.1"


class CannotStartError(Exception):
    """The message is a sentence that says what to do."""


class Command(BaseCommand):
    """Serve the site: gunicorn and a Celery worker with beat, supervised."""

    help = "Prepare the data directory and the database, then serve the site and its background worker until Ctrl-C."
    requires_system_checks = [Tags.security]  # what an operator can get wrong; `make lint` runs the slow ones, for developers

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the options of the command line."""
        parser.add_argument("--no-worker", action="store_true", help="serve only; background work waits for a worker elsewhere")
        parser.add_argument("--prepare", action="store_true", help="prepare and exit, for servers that systemd starts")

    def handle(self, *args: Any, no_worker: bool = False, prepare: bool = False, **options: Any) -> None:
        """Claim the port and the data directory, prepare, and run until told to stop."""
        os.umask(0o077)  # database, keys and queue are for this user alone
        try:
            with ExitStack() as claims:
                listener = None if prepare else claims.enter_context(claim_port(settings.PORT))
                claims.enter_context(claim_data_dir(settings.DATA_DIR))
                self.prepare()
                exit_code = self.serve(listener, with_worker=not no_worker) if listener else 0
        except CannotStartError as problem:
            self.stderr.write(str(problem))
            exit_code = 1
        if exit_code:
            sys.exit(exit_code)

    def serve(self, listener: socket.socket, *, with_worker: bool) -> int:
        """Run the web server and the worker until told to stop; return the exit code."""
        connections.close_all()
        programs = [web_program(listener)]
        if with_worker:
            programs.append(worker_program())
        return Supervisor(programs, say=self.stdout.write, on_ready=self.announce).run()

    def prepare(self) -> None:
        """Do what a first start or a new version needs; say only what is really done."""
        for folder in queue_folders():
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if pending := count_pending_migrations():
            self.stdout.write(f"Preparing the database ({pending} migrations) ...")
            call_command("migrate", interactive=False, verbosity=0)
        if settings.CACHES["default"]["BACKEND"].endswith("DatabaseCache"):
            call_command("createcachetable", verbosity=0)
        if collect_static_files():
            self.stdout.write("Collected the static files.")
        if load_demo_data_once():  # before the keys: its history is older than they are, and the trail is in the order of time
            self.stdout.write("Loaded demo organizations and applications.")
        ensure_signing_keys()

    def announce(self) -> None:
        """Say where the site is and, for a demo, who can sign in."""
        lines = ["", f"Credence is ready at {settings.ISSUER}", ""]
        if settings.ISSUER_IS_LOOPBACK and demo_sign_ins_path().exists():
            lines += ["Demo sign-ins (e-mail, password):", demo_sign_ins_path().read_text().rstrip(), ""]
            lines += ["A federation to play with: .venv/bin/python manage.py sandbox", ""]
        if not settings.ISSUER.endswith(f"//{ADDRESS}:{settings.PORT}"):
            lines.insert(2, f"It listens on {ADDRESS}:{settings.PORT}.")
        if os.geteuid() == 0:
            lines += ["It runs as root: fine for a trial; give a real server a user of its own.", ""]
        self.stdout.write("\n".join([*lines, "Ctrl-C stops it."]))
        self.stdout.flush()


def claim_port(port: int) -> socket.socket:
    """Return a bound socket, not listening yet, that the web server inherits: nobody can take the port in between."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((ADDRESS, port))
    except OSError as problem:
        listener.close()
        raise CannotStartError(
            f"Cannot listen on {ADDRESS}:{port}: {problem.strerror}. Stop what uses that port, or choose another one, "
            f"for example: make run PORT={port % 65535 + 1}"
        ) from problem
    return listener


def claim_data_dir(folder: Path) -> IO[bytes]:
    """Make the data directory private and return its lock, which this process holds as long as it lives."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    mode = folder.stat().st_mode
    if mode & stat.S_IWOTH:
        raise CannotStartError(f"Everybody may write to {folder}. Set CREDENCE_DATA_DIR to a folder that only Credence uses.")
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        folder.chmod(0o700)
    lock = (folder / "run.lock").open("ab")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as problem:
        lock.close()
        raise CannotStartError(
            f"Credence is already running in {folder}. Stop it first, or set CREDENCE_DATA_DIR to another folder for this one."
        ) from problem
    return lock


def queue_folders() -> Iterable[Path]:
    """Return the folders that Kombu's filesystem transport expects to exist; none with another broker."""
    options = getattr(settings, "CELERY_BROKER_TRANSPORT_OPTIONS", {})
    return [Path(path) for name, path in options.items() if name.startswith("data_folder_") or name.endswith("_folder")]


def count_pending_migrations() -> int:
    """Return how many migrations this database still lacks."""
    executor = MigrationExecutor(connection)
    return len(executor.migration_plan(executor.loader.graph.leaf_nodes()))


def ensure_signing_keys() -> None:
    """Make this server's signing keys when it has none."""
    from registry.actors import COMMAND_LINE
    from registry.signing_keys import ensure_signing_keys as ensure

    ensure(COMMAND_LINE, now=timezone.now())


def collect_static_files() -> bool:
    """Copy the static files to where they are served from, when one of them changed; return whether it was needed."""
    stamp = settings.DATA_DIR / "static.stamp"
    fingerprint = fingerprint_of_static_files()
    if stamp.exists() and stamp.read_text() == fingerprint and Path(settings.STATIC_ROOT).is_dir():
        return False
    call_command("collectstatic", interactive=False, clear=True, verbosity=0)
    stamp.write_text(fingerprint)
    return True


def fingerprint_of_static_files() -> str:
    """Return a digest over path, size and time of every source file; it notices removed and older files too."""
    digest = hashlib.sha256(str(settings.STATIC_ROOT).encode())
    for finder in get_finders():
        for name, storage in sorted(finder.list([]), key=lambda found: found[0]):
            status = Path(storage.path(name)).stat()
            digest.update(f"{storage.path(name)} {status.st_size} {status.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def demo_sign_ins_path() -> Path:
    """Return the file that keeps the demo passwords for the next start."""
    return settings.DATA_DIR / "demo-sign-ins.txt"


def load_demo_data_once() -> bool:
    """Fill an empty loopback server with the demo; return whether that happened."""
    partners = apps.get_model("registry", "Organization").objects.filter(is_operator=False)
    if not settings.ISSUER_IS_LOOPBACK or partners.exists():
        return False
    from portal.demo.data import load_demo_data, make_sandbox
    from portal.notices import silenced

    path = demo_sign_ins_path()
    # Mails wait for the commit, so silence outlasts it. The file is written before: a password that nobody was told is of no use.
    with silenced(), transaction.atomic():
        sign_ins = load_demo_data()
        path.unlink(missing_ok=True)
        path.touch(mode=0o600)
        path.write_text("".join(f"  {label:<32}  {email:<26}  {password}\n" for label, email, password in sign_ins))
        make_sandbox()
    return True


def web_program(listener: socket.socket) -> Program:
    """Return gunicorn on the claimed port."""
    arguments = ["-c", "python:portal.gunicorn", "--bind", f"fd://{listener.fileno()}", "--log-level", "warning"]
    return Program("The web server", "gunicorn", arguments, [listener.fileno()], is_ready=web_server_answers)


def worker_program() -> Program:
    """Return one Celery worker with beat inside; prefork, because only that pool can end a task that hangs."""
    options = ["--beat", "--pool", "prefork", "--concurrency", "1", "--loglevel", "warning"]
    fewer_messages = ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    arguments = ["--quiet", "--app", "portal", "worker", *options, *fewer_messages]
    calm = {"PYTHONWARNINGS": "ignore:You're running the worker with superuser privileges"}  # said by us, in one line
    return Program("The background worker", "celery", arguments, environment=calm if os.geteuid() == 0 else {})


def web_server_answers() -> bool:
    """Tell whether a worker process answers a request, whatever the answer is."""
    host = settings.ALLOWED_HOSTS[0]
    try:
        with socket.create_connection((ADDRESS, settings.PORT), timeout=5) as probe:
            probe.sendall(f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
            return probe.recv(16).startswith(b"HTTP/1.")
    except OSError:
        return False
