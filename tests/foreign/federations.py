"""A federation on loopback in which a foreign relying party and this server are leaves, and the server that accepts its anchor."""

from __future__ import annotations

import base64
import json
import secrets
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from joserfc import jws, jwt
from joserfc.jwk import KeySet

from federation.core.issuing import build_jwks
from federation.core.resolver import configuration_url
from federation.simulator import SimulatedFederation
from federation.simulator.tls import FederationServer, serve
from federation.simulator.world import STATEMENT_MEDIA_TYPE
from protocol.fetch import FetchRequest, Page
from protocol.jose import SigningKey
from tests.foreign.conftest import TlsServer, prepare_server, run_server
from tests.foreign.loopback import session_on_loopback
from tests.foreign.people import set_up_apps

OWN_HOST: Final = "id.credence.example"
ANCHOR_HOST: Final = "anchor.foreign.example"
SUPERIOR_HOST: Final = "superior.foreign.example"
LIFETIME: Final = 3600
# What the superior adds, so that one sees that its policy was applied.
CONTACT: Final = "operations@superior.foreign.example"
POLICY: Final = {"openid_relying_party": {"contacts": {"add": [CONTACT]}}}


class Federation(SimulatedFederation):
    """An anchor and a superior below it. Their statements are of one moment, so that everybody sees a chain end at the same time."""

    def __init__(self) -> None:
        made_at = time.time()
        super().__init__(lambda: made_at)
        self.published: dict[str, str] = {}

    def answer(self, request: FetchRequest) -> Any:
        """Return what is served: also the configurations that others signed."""
        token = self.published.get(request.url)
        return Page(token.encode(), STATEMENT_MEDIA_TYPE) if token else super().answer(request)


@dataclass(frozen=True)
class Lab:
    """A running server of ours and the federation around it. `ca_file` has the authorities of all its certificates."""

    server: TlsServer
    served: FederationServer
    federation: Federation
    anchor_id: str
    superior_id: str
    ca_file: Path

    @property
    def anchor_keys(self) -> dict[str, Any]:
        """Return the anchor's public keys, as they are pinned."""
        return dict(build_jwks(self.federation.entities[self.anchor_id].keys))

    def admit(self, entity_id: str, jwks: dict[str, Any]) -> None:
        """Let the superior vouch for a leaf."""
        self.federation.vouch_for(self.superior_id, entity_id, jwks, metadata_policy=POLICY)

    def read_id_token(self, token: str, audience: str) -> dict[str, Any]:
        """Verify an ID token with the server's published keys and return its claims."""
        keys = session_on_loopback(self.server.ca_file).get(f"{self.server.issuer}/oauth/jwks", timeout=30).json()
        claims = dict(jwt.decode(token, KeySet.import_key_set(keys), algorithms=["ES256", "RS256"]).claims)
        assert (claims["iss"], claims["aud"]) == (self.server.issuer, audience)
        assert claims["exp"] > time.time()
        return claims


def prepare_entity(folder: Path, bundle: Path, hosts: Iterable[str], anchor_id: str, anchor_keys: Iterable[SigningKey]) -> TlsServer:
    """Return a server that accepts an anchor and may connect to `hosts`, whose certificates are of the authorities in `bundle`."""
    server = prepare_server(
        folder,
        OWN_HOST,
        SECRET_KEY=secrets.token_urlsafe(48),
        FIELD_ENCRYPTION_KEYS=base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        OUTBOUND_CA_BUNDLE=str(bundle),
        OUTBOUND_ALLOWED_HOSTS=",".join(hosts),
    )
    pinned = folder / "anchor.json"
    pinned.write_text(json.dumps(build_jwks(anchor_keys)))
    server.manage("add_trust_anchor", anchor_id, "--jwks", str(pinned), "--organizations", "create")
    return server


@contextmanager
def run_lab(folder: Path, email: str, leaf_host: str, leaf_ca: Path | None = None) -> Iterator[Lab]:
    """Run a federation and our server in it, with a person of that address who is no partner's.

    The leaf's host is host:port where it serves itself by a certificate of `leaf_ca`, a name where the federation serves it.
    """
    federation = Federation()
    with serve(federation) as served:
        anchor_id, superior_id = served.entity_id(ANCHOR_HOST), served.entity_id(SUPERIOR_HOST)
        for authority in (federation.add_authority(anchor_id), federation.add_authority(superior_id, [anchor_id])):
            authority.lifetime = LIFETIME
        bundle = folder / "bundle.pem"
        bundle.write_text("".join(file.read_text() for file in (served.authority.bundle, leaf_ca) if file))
        names = (ANCHOR_HOST, SUPERIOR_HOST, leaf_host)
        hosts = [name if ":" in name else f"{name}:{served.port}" for name in names]
        server = prepare_entity(folder, bundle, hosts, anchor_id, federation.entities[anchor_id].keys)
        server.manage("federation_membership", "--join", anchor_id)
        set_up_apps(server, {}, email=email, name="Tilda Traveller")
        bundle.write_text(bundle.read_text() + server.ca_file.read_text())
        with run_server(server, folder / "gunicorn.log", "tests.foreign.application:application"):
            own = session_on_loopback(server.ca_file).get(configuration_url(server.issuer), timeout=30)
            federation.vouch_for(anchor_id, server.issuer, json.loads(jws.extract_compact(own.content).payload)["jwks"])
            yield Lab(server, served, federation, anchor_id, superior_id, bundle)


def answer_of(lab: Lab, back: str, redirect_uri: str) -> dict[str, str]:
    """Return the single-valued parameters that a person brought back to `redirect_uri`."""
    parts = urlsplit(back)
    assert parts._replace(query="").geturl() == redirect_uri
    members = {name: value for name, (value,) in parse_qs(parts.query, strict_parsing=True).items()}
    assert members["iss"] == lab.server.issuer
    return members
