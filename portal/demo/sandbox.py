"""The sandbox of `make run`: a small federation that exists in a file, which all processes of this server read instead of a network.

Only a server on loopback with demo data has one. What `manage.py sandbox` changes shows at the next fetch of any process.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from django.conf import settings

from federation.core.issuing import build_jwks
from federation.simulator import SimulatedFederation, SimulatedRelyingParty
from portal.demo.federation import HARBOUR, LIGHTHOUSE, NORTHLIGHT, TIDEWATER, add_partners, build_world
from protocol.errors import FetchError
from protocol.fetch import Fetcher, FetchRequest, FetchResponse
from protocol.jose import parse_private_jwk
from protocol.strict_json import parse_json_object

LIMIT: Final = 64 * 1024
HOSTS: Final = frozenset(urlsplit(entity_id).netloc for entity_id in (NORTHLIGHT, HARBOUR, LIGHTHOUSE, TIDEWATER))


class Sandbox:
    """The federation with the keys of the file, and its two partners."""

    world: SimulatedFederation
    lighthouse: SimulatedRelyingParty
    tidewater: SimulatedRelyingParty

    def __init__(self) -> None:
        self.world = build_world()
        self.lighthouse, self.tidewater = add_partners(self.world, settings.ISSUER)

    @property
    def partners(self) -> dict[str, SimulatedRelyingParty]:
        """Return the partners by the names that the command takes."""
        return {"lighthouse": self.lighthouse, "tidewater": self.tidewater}

    @property
    def expelled(self) -> list[str]:
        """Return the partners that Harbour no longer vouches for."""
        return [name for name, party in self.partners.items() if party.entity_id not in self.world.entities[HARBOUR].subordinates]

    def as_json(self) -> dict[str, Any]:
        """Return what the file keeps: private keys of made-up entities, and who is expelled."""
        entities = {entity_id: entity.keys[0].to_private_jwk() for entity_id, entity in self.world.entities.items()}
        return {
            "entities": entities,
            "partners": {name: party.key.to_private_jwk() for name, party in self.partners.items()},
            "expelled": self.expelled,
        }

    @classmethod
    def from_json(cls, members: dict[str, Any]) -> Sandbox:
        """Return the sandbox that `as_json` wrote."""
        sandbox = cls()
        for entity_id, jwk in members["entities"].items():
            sandbox.world.entities[entity_id].keys = [parse_private_jwk(jwk)]
        for name, party in sandbox.partners.items():
            party.key = parse_private_jwk(members["partners"][name])
            for metadata in party.entity.metadata.values():
                metadata["jwks"] = build_jwks([party.key])
            if name in members["expelled"]:
                sandbox.world.expel(HARBOUR, party.entity_id)
        return sandbox


def sandbox_path() -> Path:
    """Return the file of the sandbox."""
    return Path(settings.DATA_DIR) / "sandbox.json"


def save_sandbox(sandbox: Sandbox) -> None:
    """Write the sandbox down, at once for whoever reads it."""
    path = sandbox_path()
    fresh = path.with_suffix(".new")
    fresh.touch(mode=0o600)
    fresh.write_text(json.dumps(sandbox.as_json()))
    fresh.replace(path)


def load_sandbox() -> Sandbox | None:
    """Return the sandbox of this server, None if it has none."""
    try:
        written = sandbox_path().read_bytes()
    except FileNotFoundError:
        return None
    return Sandbox.from_json(parse_json_object(written, max_bytes=LIMIT))


class SandboxFetcher:
    """Answers for the entities of the sandbox, and leaves every other host to the real fetcher."""

    def __init__(self, inner: Fetcher) -> None:
        self._inner = inner
        self._lock = threading.Lock()
        self._seen: float | None = None
        self._fetcher: Fetcher | None = None

    def fetch(self, request: FetchRequest) -> FetchResponse:
        """Return the complete answer, or raise `FetchError`."""
        return self._for(request).fetch(request)

    def fetch_many(self, requests: Sequence[FetchRequest]) -> list[FetchResponse | FetchError]:
        """Return one result for each request, in order."""
        if all(self._for(request) is self._inner for request in requests):
            return self._inner.fetch_many(requests)
        return [self._for(request).fetch_many([request])[0] for request in requests]

    def _for(self, request: FetchRequest) -> Fetcher:
        if urlsplit(request.url).netloc not in HOSTS:
            return self._inner
        with self._lock:
            changed = sandbox_path().stat().st_mtime if sandbox_path().exists() else None
            if changed != self._seen:
                sandbox = load_sandbox()
                self._fetcher, self._seen = sandbox.world.fetcher() if sandbox else None, changed
            return self._fetcher or self._inner
