"""A production server on loopback over TLS, with a certificate authority of its own, for implementations that are not ours."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from tests.foreign.loopback import ADDRESS, session_on_loopback

ROOT = Path(__file__).resolve().parent.parent.parent
START_SECONDS = 60
AUTHORITY = "Test authority"

# What `manage.py run` does before it starts gunicorn.
MAKE_KEYS = """
from django.utils import timezone
from registry.actors import COMMAND_LINE
from registry.signing_keys import ensure_signing_keys
ensure_signing_keys(COMMAND_LINE, now=timezone.now())
"""

# Registers the clients of standard input in an approved organization and prints what they authenticate with.
SET_UP = """
import json, sys
from django.utils import timezone
from registry.actors import COMMAND_LINE as actor
from registry.credentials import create_secret
from registry.lifecycle import register_client
from registry.models import Organization, Scope
now, made = timezone.now(), {}
Scope.objects.create(name="bookings.read", title="See your bookings")
organization = Organization.objects.get(is_operator=False)
for name, document in json.load(sys.stdin).items():
    client = register_client(actor, organization, document, now=now)
    secret = create_secret(client, actor, now=now).value if client.uses_secret else ""
    made[name] = {"client_id": client.client_id, "client_secret": secret}
print(json.dumps({"clients": made, "org_id": str(organization.org_id)}))
"""


@dataclass(frozen=True)
class TlsServer:
    """A server: its issuer, the authority that its certificate comes from, and how to run its commands and itself."""

    issuer: str
    ca_file: Path
    environment: dict[str, str]
    tls_arguments: tuple[str, ...] = ()

    def manage(self, *arguments: str, stdin: str = "") -> str:
        """Run a management command of the server and return what it prints."""
        command = [sys.executable, "manage.py", *arguments]
        options: dict[str, Any] = {"cwd": ROOT, "env": self.environment, "input": stdin, "timeout": 120}
        done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def register(self, documents: dict[str, Any]) -> dict[str, Any]:
        """Register clients by name in the partner's organization; return identifiers, secrets and org_id."""
        return dict(json.loads(self.manage("shell", "--verbosity", "0", "--command", SET_UP, stdin=json.dumps(documents))))


def issue_certificates(folder: Path, host: str) -> tuple[Path, Path, Path]:
    """Write an authority, and a certificate of it for `host` with its key; return the three files."""
    authority_key, server_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    usage = x509.KeyUsage(
        digital_signature=True, key_cert_sign=True, crl_sign=True, content_commitment=False, key_encipherment=False,
        data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    names = x509.SubjectAlternativeName([x509.IPAddress(ip_address(host)) if host == ADDRESS else x509.DNSName(host)])
    authority = certificate_builder(AUTHORITY, authority_key, authority_key, is_authority=True).add_extension(usage, critical=True)
    server = certificate_builder(host, server_key, authority_key).add_extension(names, critical=False)
    files = folder / "ca.pem", folder / "server.pem", folder / "server.key"
    files[0].write_bytes(authority.sign(authority_key, hashes.SHA256()).public_bytes(Encoding.PEM))
    files[1].write_bytes(server.sign(authority_key, hashes.SHA256()).public_bytes(Encoding.PEM))
    files[2].write_bytes(server_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return files


def certificate_builder(subject: str, key: Any, authority_key: Any, *, is_authority: bool = False) -> x509.CertificateBuilder:
    """Return a certificate of `subject`, by the authority, with what every certificate has."""
    now = datetime.now(UTC)
    issuer_name, subject_name = (x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]) for name in (AUTHORITY, subject))
    return (
        x509.CertificateBuilder(issuer_name, subject_name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False)
    )


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((ADDRESS, 0))
        return int(probe.getsockname()[1])


def prepare_server(folder: Path, host: str = ADDRESS, **settings: str) -> TlsServer:
    """Return a server that can be started: with keys, a database and an approved organization; `settings` are of its environment."""
    ca_file, certificate, key = issue_certificates(folder, host)
    issuer = f"https://{host}:{free_port()}"
    (folder / "data").mkdir(mode=0o700)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("CREDENCE_", "DJANGO_", "PYTEST_", "OUTBOUND_"))}
    inherited = {name: value for name, value in inherited.items() if name not in ("DATABASE_URL", "REDIS_URL", "SECRET_KEY")}
    environment = {**inherited, "CREDENCE_ISSUER": issuer, "CREDENCE_DATA_DIR": str(folder / "data"), "CREDENCE_WEB_WORKERS": "1"}
    server = TlsServer(issuer, ca_file, {**environment, **settings}, ("--certfile", str(certificate), "--keyfile", str(key)))
    server.manage("migrate", "--verbosity", "0")
    server.manage("shell", "--verbosity", "0", "--command", MAKE_KEYS)
    server.manage("create_organization", "Lighthouse Travel", "--approved")
    server.manage("run", "--prepare")  # what the pages for people need: static files and the cache table
    return server


@contextmanager
def run_server(server: TlsServer, log_file: Path, application: str = "portal.wsgi:application") -> Iterator[None]:
    """Run gunicorn with the production settings until the end of the block."""
    address = f"{ADDRESS}:{urlsplit(server.issuer).port}"
    arguments = ["-c", "python:portal.gunicorn", "--bind", address, *server.tls_arguments, application]
    with log_file.open("w") as log:
        command = [sys.executable, "-m", "gunicorn", *arguments]
        process = subprocess.Popen(command, cwd=ROOT, env=server.environment, stdout=log, stderr=log)
        try:
            wait_until_it_answers(server, process, log_file)
            yield
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@pytest.fixture(scope="session")
def tls_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsServer]:
    """gunicorn with the production settings, a database of its own and an approved organization; gone afterwards."""
    folder = tmp_path_factory.mktemp("live")
    server = prepare_server(folder)
    with run_server(server, folder / "gunicorn.log"):
        yield server


def wait_until_it_answers(server: TlsServer, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait for the first answer."""
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            session_on_loopback(server.ca_file).get(f"{server.issuer}/oauth/jwks", timeout=5)
        except requests.ConnectionError:
            time.sleep(0.2)
        else:
            return
    pytest.fail(f"The server did not start:\n{log.read_text()}")
