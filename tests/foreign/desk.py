"""A registration desk on loopback: our server as in production, what partners serve for it to fetch, and who makes software statements."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from federation.simulator import SimulatedFederation
from federation.simulator.tls import FederationServer, serve
from protocol.fetch import FetchRequest, Page
from protocol.jose import SigningKey, generate_private_key, issue_jwt
from tests.foreign.conftest import TlsServer, prepare_server, run_server
from tests.foreign.loopback import session_on_loopback
from tests.foreign.people import set_up_apps

HOST: Final = "app.lighthouse.example"
PUBLISHER: Final = "https://directory.example"
SLUG: Final = "lighthouse-travel"
MACHINE: Final[dict[str, Any]] = {"client_name": "Back office", "grant_types": ["client_credentials"], "scope": "bookings.read"}

# A scope, and somebody whose statements register for the partner without any token: what operators do.
SET_UP: Final = """
import json, sys
from django.utils import timezone
from dcr.software_statements import save_issuer
from registry.actors import COMMAND_LINE
from registry.models import Organization, Scope
given = json.load(sys.stdin)
Scope.objects.create(name="bookings.read", title="See your bookings")
save_issuer(None, {**given, "organization": Organization.objects.get(is_operator=False)}, COMMAND_LINE, now=timezone.now())
"""


class Documents(SimulatedFederation):
    """What partners serve: pages by their address."""

    def __init__(self) -> None:
        super().__init__(time.time)
        self.pages: dict[str, Page] = {}
        self.asked: list[str] = []

    def answer(self, request: FetchRequest) -> Any:
        """Return what is served."""
        self.asked.append(request.url)
        return self.pages.get(request.url)


@dataclass(frozen=True)
class Desk:
    """A running server of ours, where partners' documents are served, and the key of whoever makes software statements."""

    server: TlsServer
    served: FederationServer
    documents: Documents
    publisher_key: SigningKey

    @property
    def issuer(self) -> str:
        return self.server.issuer

    def initial_access_token(self, *options: str) -> str:
        """Return a new initial access token of the partner's."""
        return self.server.manage("create_initial_access_token", "--organization", SLUG, *options).strip()

    def publish(self, path: str, document: Any) -> str:
        """Serve JSON for the partner; return its address."""
        url = self.served.entity_id(HOST, path)
        self.documents.pages[url] = Page(json.dumps(document).encode(), "application/json")
        return url

    def statement(self, *, key: SigningKey | None = None, **claims: Any) -> str:
        """Return a software statement, good but for what is given."""
        now = int(time.time())
        good = {"iss": PUBLISHER, "aud": self.issuer, "iat": now, "exp": now + 3600, "jti": uuid.uuid4().hex, "software_id": "4NRB1"}
        return issue_jwt({**good, **claims}, key or self.publisher_key, typ="JWT")

    def metadata(self, document: str) -> dict[str, Any]:
        """Return what the server says of itself."""
        return dict(session_on_loopback(self.server.ca_file).get(f"{self.issuer}/.well-known/{document}", timeout=30).json())


@contextmanager
def run_desk(folder: Path, email: str) -> Iterator[Desk]:
    """Run our server, with a member of the partner's organization of that address."""
    documents, publisher_key = Documents(), generate_private_key("ES256")
    with serve(documents) as served:
        outbound = {"OUTBOUND_CA_BUNDLE": str(served.authority.bundle), "OUTBOUND_ALLOWED_HOSTS": f"{HOST}:{served.port}"}
        server = prepare_server(folder, **outbound)
        set_up_apps(server, {}, email=email, name="Rosa Register")
        issuer = {
            "issuer": PUBLISHER, "name": "Directory", "jwks": {"keys": [publisher_key.public_jwk()]}, "algorithms": ["ES256"],
            "claims": ["client_name", "software_id"], "replaces_initial_access_token": True,
        }  # fmt: skip
        server.manage("shell", "--verbosity", "0", "--command", SET_UP, stdin=json.dumps(issuer))
        with run_server(server, folder / "gunicorn.log", "tests.foreign.application:application"):
            yield Desk(server, served, documents, publisher_key)
