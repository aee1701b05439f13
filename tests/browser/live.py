"""What the browser talks to: `manage.py run` as a process of its own, and an app on another origin."""

from __future__ import annotations

import json
import os
import re
import secrets
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import requests

ROOT = Path(__file__).resolve().parent.parent.parent
START_SECONDS = 120
PASSWORD = "correct horse battery"
OWNER, DEVELOPER, REVIEWER, STRANGER = (
    f"{name}.example" for name in ("olga@lighthouse", "devon@lighthouse", "rona@credence", "sven@elsewhere")
)
SCHEME = "com.example.lighthouse"

# An approved organization with people, a native app and a web app; prints what they are known by.
SET_UP = """
import json, sys
from allauth.account.models import EmailAddress
from django.utils import timezone
from registry.actors import COMMAND_LINE, person
from registry.credentials import create_secret
from registry.lifecycle import approve_change, change_organization, create_organization, register_client, request_go_live
from registry.models import Membership, Scope, User
given, now, made = json.load(sys.stdin), timezone.now(), {}
def somebody(email, name, **fields):
    user = User.objects.create_user(email, given["password"], name=name, **fields)
    EmailAddress.objects.create(user=user, email=email, verified=True, primary=True)
    return user
owner, developer, reviewer, stranger = (somebody(*who) for who in given["people"])
reviewer.staff_role = "reviewer"
reviewer.save()
Scope.objects.create(name="bookings.read", title="See your bookings", description="Read the bookings you made, and no others.")
Scope.objects.create(name="prices.read", title="See prices", description="Read the public price list.")
contacts = {"technical": "tech@lighthouse.example", "security": "security@lighthouse.example"}
organization = create_organization(
    person(owner), "Lighthouse Travel", now=now, owner=owner, country="NO", website="https://lighthouse.example",
    registration_number="NO-1", contacts=contacts,
)
Membership.objects.create(organization=organization, user=developer, role="developer")
change_organization(organization, "submit", person(owner), now=now)
change_organization(organization, "assign", person(reviewer, staff=True), now=now)
organization = change_organization(organization, "approve", person(reviewer, staff=True), now=now)
for name, document in given["clients"].items():
    client = register_client(COMMAND_LINE, organization, document, now=now)
    secret = create_secret(client, COMMAND_LINE, now=now).value if client.uses_secret else ""
    made[name] = {"client_id": client.client_id, "client_secret": secret}
    if name == "live":
        change = request_go_live(client, person(owner), now=now, justification="People book trips with it.")
        approve_change(change, person(reviewer, staff=True), digest=change.digest, now=now)
print(json.dumps(made))
"""


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class Arrival:
    """What came in at the app."""

    method: str
    path: str
    parameters: dict[str, str]


@dataclass
class App:
    """The app that people are sent back to: an origin of its own that remembers who came."""

    port: int
    arrivals: list[Arrival] = field(default_factory=list)

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def callback(self) -> str:
        return f"{self.origin}/callback"

    def last(self) -> Arrival:
        """Return the newest arrival at the callback."""
        return [arrival for arrival in self.arrivals if arrival.path == "/callback"][-1]


@contextmanager
def serve_app() -> Iterator[App]:
    """Serve the app until the end of the block."""

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            parts = urlsplit(self.path)
            query = parts.query if self.command == "GET" else self.rfile.read(length).decode()
            app.arrivals.append(Arrival(self.command, parts.path, dict(parse_qsl(query))))
            if parts.path == "/hop":
                self.send_response(302)
                self.send_header("Location", f"http://localhost:{app.port}/callback?{query}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            body = b"<!DOCTYPE html><html lang=en><title>The app</title><link rel=icon href=data:,><h1>Back in the app</h1>"
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = answer  # noqa: N815 - the parent's names

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the parent's name
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    app = App(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1})
    thread.start()
    try:
        yield app
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass(frozen=True)
class Site:
    """The running server: where it is, its apps by name, and the folder its mails are written to."""

    issuer: str
    clients: dict[str, dict[str, str]]
    mails: Path

    def push(self, name: str, parameters: dict[str, str]) -> str:
        """Push an authorization request as the app `name`; return its request_uri."""
        credentials = self.clients[name]
        basic = credentials["client_id"], credentials["client_secret"]
        answer = requests.post(f"{self.issuer}/oauth/par", data=parameters, auth=basic, timeout=30)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["request_uri"])

    def link_mailed_to(self, address: str) -> str:
        """Return the link in the newest mail to `address`."""
        texts = [path.read_text() for path in sorted(self.mails.iterdir(), key=lambda path: path.stat().st_mtime)]
        text = [text for text in texts if f"To: {address}" in text][-1].replace("=\n", "")
        return re.findall(rf"{re.escape(self.issuer)}/accounts/confirm-email/\S+", text)[-1]


def documents(app: App) -> dict[str, Any]:
    """Return what the apps of the story register."""
    common = {
        "grant_types": ["authorization_code", "refresh_token"],
        "scope": "openid profile email offline_access bookings.read",
        "client_uri": "https://www.lighthouse.example/",
        "policy_uri": "https://www.lighthouse.example/privacy",
    }
    native = {"application_type": "native", "token_endpoint_auth_method": "none", "client_name": "Lighthouse on your phone"}
    return {
        "native": {**common, **native, "redirect_uris": ["http://127.0.0.1/callback", f"{SCHEME}:/callback"]},
        "reviewed": {**common, **native, "client_name": "Lighthouse on your watch", "redirect_uris": ["http://127.0.0.1/callback"]},
        "live": {**common, **native, "client_name": "Lighthouse for everybody", "redirect_uris": ["http://127.0.0.1/callback"]},
        "web": {
            **common,
            "client_name": "Lighthouse bookings",
            "token_endpoint_auth_method": "client_secret_basic",
            "redirect_uris": [app.callback, f"{app.origin}/hop"],
            "post_logout_redirect_uris": [f"{app.origin}/bye"],
        },
    }


@dataclass(frozen=True)
class Server:
    """A production server to be: where it will listen and keep its data, and how its commands are run."""

    folder: Path
    port: int

    @property
    def issuer(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def mails(self) -> Path:
        return self.folder / "mails"

    @property
    def environment(self) -> dict[str, str]:
        dropped = ("CREDENCE_", "DJANGO_", "PYTEST_", "OUTBOUND_", "DATABASE_URL", "REDIS_URL", "SECRET_KEY", "DEBUG")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
        environment |= {"PORT": str(self.port), "CREDENCE_DATA_DIR": str(self.folder / "data"), "EMAIL_URL": f"filemail:///{self.mails}"}
        return environment | {"CREDENCE_WEB_WORKERS": "1", "PYTHONUNBUFFERED": "1"}

    def manage(self, *arguments: str, stdin: str = "") -> str:
        """Run a command; return what it printed."""
        command = [sys.executable, "manage.py", *arguments]
        done = subprocess.run(
            command, cwd=ROOT, env=self.environment, input=stdin, capture_output=True, text=True, timeout=180, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    @contextmanager
    def run(self) -> Iterator[None]:
        """Run it until the end of the block."""
        log = self.folder / "server.log"
        with log.open("w") as output:
            command = [sys.executable, "manage.py", "run", "--no-worker"]
            process = subprocess.Popen(command, cwd=ROOT, env=self.environment, stdout=output, stderr=subprocess.STDOUT)
            try:
                _wait_until_ready(process, log)
                yield
            finally:
                process.terminate()
                try:
                    process.wait(30)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()


@contextmanager
def serve_site(folder: Path, app: App) -> Iterator[Site]:
    """Run the production server with a data directory of its own until the end of the block."""
    server = Server(folder, free_port())
    people = [(OWNER, "Olga Owner"), (DEVELOPER, "Devon Developer"), (REVIEWER, "Rona Reviewer"), (STRANGER, "Sven Stranger")]
    server.manage("migrate", "--verbosity", "0")
    given = {"password": PASSWORD, "people": people, "clients": documents(app)}
    clients = json.loads(server.manage("shell", "--verbosity", "0", "--command", SET_UP, stdin=json.dumps(given)))
    with server.run():
        yield Site(server.issuer, clients, server.mails)


@contextmanager
def serve_demo(folder: Path) -> Iterator[tuple[Server, dict[str, str]]]:
    """Run what a newcomer gets from `make run`; yield it with the passwords of its people by address."""
    server = Server(folder, free_port())
    with server.run():
        lines = (folder / "data" / "demo-sign-ins.txt").read_text().splitlines()
        yield server, dict(line.split()[-2:] for line in lines)


def _wait_until_ready(process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        if "Credence is ready" in log.read_text():
            return
        time.sleep(0.1)
    raise AssertionError(f"The server did not start:\n{log.read_text()}")


def random_text() -> str:
    """Return a value that nobody can guess."""
    return secrets.token_urlsafe(32)
