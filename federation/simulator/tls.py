"""A simulated federation behind a real HTTPS server on loopback, with a CA of its own and faults as they happen on a network.

    with serve(federation) as server:
        federation.add_authority(server.entity_id("anchor.sim.test"))
        fetcher = HttpFetcher(server.fetch_config())

One port serves all hosts: names are told apart by SNI and the Host header, so entity identifiers carry the port. Certificates are made
when a name is first asked for. Nothing here is for use outside of a test, a demo or an operator's own machine.
"""

from __future__ import annotations

import contextlib
import datetime
import ssl
import tempfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from federation.simulator.world import Fault, SimulatedEntity, SimulatedFederation
from protocol.errors import FetchError
from protocol.fetch import FetchConfig, FetchPurpose, Page, standard_request

ADDRESS: Final = "127.0.0.1"
# Nobody listens here: the address of hosts that refuse connections.
REFUSING_ADDRESS: Final = "127.0.0.2"
SECONDS_PER_BYTE: Final = 0.2
LONGEST_STALL: Final = 60.0
# How long a client may say nothing, and so how long stopping may take.
LONGEST_SILENCE: Final = 2.0
_WRONG_NAME: Final = "another-host.invalid"
_FORM_LIMIT: Final = 64 * 1024
_VALID_FOR: Final = datetime.timedelta(days=1)


class CertificateAuthority:
    """A CA for one run: makes a server context for a name when it is first asked for, and keeps it."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._authority_key, self._key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Simulated federation CA")])
        self._contexts: dict[str, ssl.SSLContext] = {}
        self._lock = threading.Lock()
        self.bundle = directory / "ca.pem"
        root = self._certificate(self._name, self._authority_key, x509.BasicConstraints(ca=True, path_length=0))
        self.bundle.write_bytes(root.public_bytes(Encoding.PEM))

    def context_for(self, host: str) -> ssl.SSLContext:
        """Return a server context with a certificate for `host`."""
        with self._lock:
            if host not in self._contexts:
                self._contexts[host] = self._make_context(host)
            return self._contexts[host]

    def _make_context(self, host: str) -> ssl.SSLContext:
        names = x509.SubjectAlternativeName([x509.DNSName(host)])
        certificate = self._certificate(x509.Name([]), self._key, names)
        secret = self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        path = self._directory / f"{len(self._contexts)}.pem"
        path.write_bytes(secret + certificate.public_bytes(Encoding.PEM))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context

    def _certificate(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, extension: x509.ExtensionType) -> x509.Certificate:
        # The clock of the network, not of the simulation: TLS has no other.
        now = datetime.datetime.now(datetime.UTC)
        builder = x509.CertificateBuilder(
            issuer_name=self._name,
            subject_name=subject,
            public_key=key.public_key(),
            serial_number=x509.random_serial_number(),
            not_valid_before=now - _VALID_FOR,
            not_valid_after=now + _VALID_FOR,
        )
        return builder.add_extension(extension, critical=True).sign(self._authority_key, hashes.SHA256())


class FederationServer(ThreadingHTTPServer):
    """Serves a federation over TLS, one thread for each connection; `port` is where."""

    daemon_threads = False  # so that closing waits for them
    request_queue_size = 256

    def __init__(self, federation: SimulatedFederation, authority: CertificateAuthority, port: int) -> None:
        super().__init__((ADDRESS, port), _Handler)
        self.federation = federation
        self.authority = authority
        self.port: int = self.server_address[1]
        self.stopped = threading.Event()
        self._by_host: dict[str, list[SimulatedEntity]] = {}
        self._sorted = 0
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.sni_callback = self._greet

    def entity_id(self, host: str, path: str = "") -> str:
        """Return the identifier of an entity on `host` that this server can serve."""
        return f"https://{host}:{self.port}{path}"

    def fetch_config(self, **settings: Any) -> FetchConfig:
        """Return settings with which an `HttpFetcher` reaches every entity that is in the federation now; `settings` are others."""
        hosts = {urlsplit(entity_id).hostname for entity_id in self.federation.entities}
        allowed = frozenset(f"{host}:{self.port}" for host in hosts)
        return FetchConfig(ca_bundle=self.authority.bundle, allowed_private=allowed, resolver=self._resolve, **settings)

    def _resolve(self, host: str, _port: int) -> list[str]:
        return [REFUSING_ADDRESS if self._fault_of_host(host) is Fault.REFUSED else ADDRESS]

    def _fault_of_host(self, host: str) -> Fault | None:
        """Return what is wrong with the connection to a host: before HTTP nobody knows which document is wanted."""
        faults = [fault for entity in self._entities_of(host) for fault in (entity.fault, entity.statement_fault)]
        return next((fault for fault in faults if fault in (Fault.REFUSED, Fault.TLS, Fault.SLOW_HANDSHAKE)), None)

    def _entities_of(self, host: str) -> list[SimulatedEntity]:
        """Return the entities on a host; sorted anew when there are more, so that a large federation stays quick."""
        known = self.federation.entities
        if len(known) != self._sorted:
            by_host: dict[str, list[SimulatedEntity]] = {}
            for entity_id, entity in tuple(known.items()):
                by_host.setdefault(urlsplit(entity_id).hostname or "", []).append(entity)
            self._by_host, self._sorted = by_host, len(known)
        return self._by_host.get(host, [])

    def _greet(self, connection: ssl.SSLObject, host: str | None, _context: ssl.SSLContext) -> int | None:
        """Choose the certificate for the name that the client asks for (RFC 6066, 3)."""
        fault = self._fault_of_host(host or "")
        if fault is Fault.SLOW_HANDSHAKE:
            self.stopped.wait(LONGEST_STALL)
            return ssl.ALERT_DESCRIPTION_INTERNAL_ERROR
        connection.context = self.authority.context_for(_WRONG_NAME if fault is Fault.TLS or not host else host)
        return None

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Shake hands and answer, in the thread of the connection; clients that leave are no errors here."""
        with contextlib.suppress(OSError):
            request.settimeout(LONGEST_SILENCE)
            with self._context.wrap_socket(request, server_side=True, do_handshake_on_connect=False) as secured:
                secured.do_handshake()
                super().finish_request(secured, client_address)

    def stop(self) -> None:
        """Stop, end what drips and stalls, and wait for the thread of every connection."""
        self.stopped.set()
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    """Answers one request on one connection, as `SimulatedFederation.answer` would."""

    server: FederationServer

    def do_GET(self) -> None:
        """Answer a GET request."""
        self._answer(None)

    def do_POST(self) -> None:
        """Answer a POST request with a form."""
        length = int(self.headers.get("Content-Length", "0"))
        self._answer(self.rfile.read(min(length, _FORM_LIMIT)))

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is http.server's
        """Say nothing."""

    def _answer(self, form: bytes | None) -> None:
        url = f"https://{self.headers.get('Host', '')}{self.path}"
        fault = self.server.federation.fault_at(url)
        if fault is Fault.TIMEOUT:
            self.server.stopped.wait(LONGEST_STALL)
        elif fault is Fault.DRIP_HEADERS:
            self._drip(b"HTTP/1.1 200 OK\r\n", b"X-Drip: " + b"a" * 1000)
        elif fault is Fault.DRIP_BODY:
            self._drip(b"HTTP/1.1 200 OK\r\nContent-Type: application/entity-statement+jwt\r\nContent-Length: 1000\r\n\r\n", b"e" * 1000)
        else:
            # Which purpose it is for only the client knows; the federation looks at URL and form alone.
            self._send(self.server.federation.answer(standard_request(FetchPurpose.ENTITY_CONFIGURATION, url, form=form)))

    def _send(self, page: Page | FetchError | None) -> None:
        if isinstance(page, FetchError):
            return
        page = page or Page(b"", "text/plain", 404)
        self.send_response(page.status)
        for name, value in page.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", page.media_type)
        self.send_header("Content-Length", str(len(page.body)))
        self.end_headers()
        self.wfile.write(page.body)

    def _drip(self, start: bytes, rest: bytes) -> None:
        self.wfile.write(start)
        for octet in rest:
            if self.server.stopped.wait(SECONDS_PER_BYTE):
                return
            self.wfile.write(bytes([octet]))


@contextlib.contextmanager
def serve(federation: SimulatedFederation, *, port: int = 0) -> Iterator[FederationServer]:
    """Serve `federation` on a loopback port while the context lasts; entities may be added and changed meanwhile.

    Faults of the connection (refused, TLS, slow handshake) concern the whole host of an entity.
    """
    with tempfile.TemporaryDirectory(prefix="simulated-federation-") as directory:
        server = FederationServer(federation, CertificateAuthority(Path(directory)), port)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, name="simulated-federation")
        thread.start()
        try:
            yield server
        finally:
            server.stop()
            thread.join()
