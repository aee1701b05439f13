"""Loopback servers that say exactly what a test wants, in threads, with certificates of a CA made for the test run."""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

# What a script gets: the connection after TLS, and the head of the request.
Script = Callable[[socket.socket, bytes], None]


@dataclass(frozen=True)
class Certificates:
    """Files of the test CA; `good` is for *.example.test, 127.0.0.1 and ::1, `stranger` is self-signed for the same names."""

    bundle: Path
    good: Path
    stranger: Path


def make_certificates(directory: Path) -> Certificates:
    authority_key = ec.generate_private_key(ec.SECP256R1())
    authority = _certificate("Test CA", authority_key, None, None)
    bundle = directory / "ca.pem"
    bundle.write_bytes(authority.public_bytes(serialization.Encoding.PEM))
    paths = []
    for name, issuer in (("good", (authority, authority_key)), ("stranger", (None, None))):
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = _certificate("*.example.test", key, *issuer)
        path = directory / f"{name}.pem"
        path.write_bytes(
            key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
            + certificate.public_bytes(serialization.Encoding.PEM)
        )
        paths.append(path)
    return Certificates(bundle, *paths)


def _certificate(name, key, issuer, issuer_key):
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=2))
        .add_extension(x509.BasicConstraints(ca=name == "Test CA", path_length=None), critical=True)
    )
    if name != "Test CA":
        addresses = [x509.IPAddress(ipaddress.ip_address(address)) for address in ("127.0.0.1", "::1")]
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name), *addresses]), critical=False)
    return builder.sign(issuer_key or key, hashes.SHA256())


class LoopbackServer:
    """Accepts on a loopback port and runs the script for each connection; `connections` and `requests` record what arrived."""

    def __init__(self, script: Script, certificate: Path | None, address: str = "127.0.0.1", *, raw: bool = False) -> None:
        self._script = script
        self._raw = raw
        self._context: ssl.SSLContext | None = None
        if certificate is not None:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.load_cert_chain(certificate)
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._listener = socket.socket(family, socket.SOCK_STREAM)
        self._listener.bind((address, 0))
        self._listener.listen(64)
        self.port: int = self._listener.getsockname()[1]
        self.connections = 0
        self.bytes_received = 0
        self.requests: list[bytes] = []
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self.connections += 1
                thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
                self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            connection.settimeout(10)
            if self._context is not None:
                connection = self._context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
                with self._lock:
                    self._open.add(connection)
                connection.do_handshake()
            else:
                with self._lock:
                    self._open.add(connection)
            head = b"" if self._raw else self._read_head(connection)
            if head or self._raw:
                with self._lock:
                    self.requests.append(head)
                self._script(connection, head)
        with self._lock:
            self._open.discard(connection)
        connection.close()

    def _read_head(self, connection: socket.socket) -> bytes:
        head = b""
        while b"\r\n\r\n" not in head:
            piece = connection.recv(4096)
            self.bytes_received += len(piece)
            if not piece:
                return b""
            head += piece
        return head

    def wait_for_connections(self, number: int) -> None:
        """Return when so many connections were accepted, or after three seconds."""
        ends = time.monotonic() + 3
        while self.connections < number and time.monotonic() < ends:
            time.sleep(0.005)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)


def answer(
    body: bytes = b'{"keys": []}',
    *headers: str,
    status: str = "200 OK",
    media_type: str = "application/json",
    length: bool = True,
) -> bytes:
    """An HTTP answer as bytes."""
    lines = [f"HTTP/1.1 {status}", *headers]
    if media_type:
        lines.append(f"Content-Type: {media_type}")
    if length:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def saying(data: bytes) -> Script:
    """A script that sends these bytes and closes."""
    return lambda connection, _head: connection.sendall(data)


def dripping(start: bytes, drop: bytes, *, every: float = 0.05, seconds: float = 6.0) -> Script:
    """A script that sends `start` and then one `drop` at a time."""

    def script(connection: socket.socket, _head: bytes) -> None:
        connection.sendall(start)
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            time.sleep(every)
            connection.sendall(drop)

    return script


@contextlib.contextmanager
def serving(script: Script, certificate: Path | None, address: str = "127.0.0.1", *, raw: bool = False) -> Iterator[LoopbackServer]:
    server = LoopbackServer(script, certificate, address, raw=raw)
    try:
        yield server
    finally:
        server.close()
