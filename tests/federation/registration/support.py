"""A federation around this server: anchor Northlight, intermediate Harbour, and relying parties that register."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any
from urllib.parse import urlencode

import time_machine
from django.conf import settings
from django.test import Client as Browser

from federation import resolving
from federation.core.issuing import build_jwks
from federation.core.resolver import configuration_url
from federation.fetched_keys import keys_of_strangers
from federation.lookups import lookups
from federation.models import EntityClaim, FederationRecord
from federation.simulator import SimulatedFederation
from federation.trust_anchors import add_trust_anchor
from protocol.constants import CLIENT_ASSERTION_TYPE
from protocol.fetch import InMemoryFetcher
from protocol.jose import SigningKey, generate_private_key, issue_jwt
from registry.actors import job
from registry.models import Client, Organization

ISSUER = "https://id.credence.example"
NORTHLIGHT, HARBOUR = "https://northlight.example", "https://harbour.example"
LIGHTHOUSE, TIDEWATER = "https://lighthouse.example", "https://tidewater.example"
FORM = "application/x-www-form-urlencoded"
ACTOR = job("test")


@dataclass
class RelyingParty:
    """An entity that is no client yet, with its protocol key apart from its federation key."""

    world: World
    entity_id: str
    key: SigningKey

    @property
    def entity(self) -> Any:
        """Return it as the simulator has it; change it and what it serves changes."""
        return self.world.federation.entities[self.entity_id]

    @property
    def metadata(self) -> dict[str, Any]:
        """Return its declared metadata, to be changed."""
        return next(iter(self.entity.metadata.values()))

    @property
    def callback(self) -> str:
        return f"{self.entity_id}/callback"

    @property
    def client(self) -> Client:
        return Client.objects.get(client_id=self.entity_id)

    @property
    def record(self) -> FederationRecord:
        return FederationRecord.objects.get(entity_id=self.entity_id)

    def chain(self) -> list[str]:
        """Return its trust chain as it is now, leaf first."""
        path = [self.entity_id]
        while hints := self.world.federation.entities[path[-1]].superiors:
            path.append(hints[0])
        steps = pairwise(path)
        federation = self.world.federation
        return [
            federation.configuration(path[0]),
            *(federation.statement(up, low) for low, up in steps),
            federation.configuration(path[-1]),
        ]

    def request_claims(self, **changes: Any) -> dict[str, Any]:
        """Return the claims of a request object, as bare as the conformance suite's; None drops one."""
        good = {
            "client_id": self.entity_id,
            "iss": self.entity_id,
            "aud": settings.ISSUER,
            "scope": "openid",
            "response_type": "code",
            "redirect_uri": self.callback,
            "jti": uuid.uuid4().hex,
            "exp": int(time.time()) + 300,
        }
        return {name: value for name, value in {**good, **changes}.items() if value is not None}

    def request_object(
        self, key: SigningKey | None = None, *, typ: str = "JWT", headers: Mapping[str, Any] | None = None, **changes: Any
    ) -> str:
        """Return a signed request object."""
        return issue_jwt(self.request_claims(**changes), key or self.key, typ=typ, headers=headers or {})

    def authorize(self, request: str | None = None, *, method: str = "get", browser: Browser | None = None, **outside: str) -> Any:
        """Send an authorization request; the parameters that OpenID Connect wants beside the object stand beside it."""
        beside = {"client_id": self.entity_id, "scope": "openid", "response_type": "code", **outside}
        parameters = {**beside, "request": self.request_object() if request is None else request}
        browser = browser or self.world.browser
        if method == "get":
            return browser.get("/oauth/authorize?" + urlencode(parameters))
        return browser.post("/oauth/authorize", urlencode(parameters), content_type=FORM)

    def assertion(
        self, audience: str | None = None, key: SigningKey | None = None, *, headers: Mapping[str, Any] | None = None, **changes: Any
    ) -> str:
        """Return a client assertion."""
        now = int(time.time())
        good = {"iss": self.entity_id, "sub": self.entity_id, "aud": audience or settings.ISSUER, "jti": uuid.uuid4().hex, "exp": now + 60}
        claims = {name: value for name, value in {**good, **changes}.items() if value is not None}
        return issue_jwt(claims, key or self.key, typ="JWT", headers=headers or {})

    def authentication(self, assertion: str | None = None) -> dict[str, str]:
        return {"client_assertion_type": CLIENT_ASSERTION_TYPE, "client_assertion": assertion or self.assertion()}

    def push(self, assertion: str | None = None, **parameters: str) -> Any:
        """Push an authorization request, authenticated by an assertion."""
        return self.world.post("/oauth/par", {**parameters, **self.authentication(assertion)})

    def explicit(
        self, *, key: SigningKey | None = None, typ: str = "entity-statement+jwt", headers: Mapping[str, Any] | None = None, **changes: Any
    ) -> str:
        """Return a configuration made for this server, for explicit registration."""
        now, entity = int(time.time()), self.entity
        good = {
            "iss": self.entity_id, "sub": self.entity_id, "aud": settings.ISSUER, "iat": now, "exp": now + 3600,
            "jwks": build_jwks(entity.keys), "authority_hints": entity.superiors, "metadata": entity.metadata,
            **({"trust_marks": entity.marks} if entity.marks else {}),
        }  # fmt: skip
        claims = {name: value for name, value in {**good, **changes}.items() if value is not None}
        return issue_jwt(claims, key or entity.keys[0], typ=typ, headers=headers or {})

    def register(self, body: str | None = None, content_type: str = "application/entity-statement+jwt") -> Any:
        """Post an explicit registration."""
        return self.world.browser.post("/federation/register", body or self.explicit(), content_type=content_type)


@dataclass
class World:
    """The federation, the fetcher that this server sees it through, and a browser."""

    federation: SimulatedFederation
    fetcher: InMemoryFetcher
    browser: Browser = field(default_factory=lambda: Browser(SERVER_NAME="127.0.0.1"))

    @classmethod
    def build(cls) -> World:
        """Return anchor and intermediate; the anchor is accepted, its rule makes organizations."""
        federation = SimulatedFederation(time.time)
        federation.add_authority(NORTHLIGHT)
        federation.add_authority(HARBOUR, [NORTHLIGHT])
        world = cls(federation, federation.fetcher())
        world.accept(NORTHLIGHT)
        return world

    def accept(self, anchor: str, organizations: str = "create") -> None:
        """Accept an anchor with its present keys."""
        add_trust_anchor(
            anchor, build_jwks(self.federation.entities[anchor].keys), ACTOR, now=datetime.now(UTC), organizations=organizations
        )

    def add(self, entity_id: str = LIGHTHOUSE, *, below: str = HARBOUR, name: str | None = None, **metadata: Any) -> RelyingParty:
        """Add a relying party below a superior, with a protocol key of its own."""
        key = generate_private_key("ES256")
        declared = {"client_name": name or "Lighthouse app", "jwks": build_jwks([key]), **metadata}
        entity = self.federation.add_relying_party(entity_id, [below], declared)
        own = entity.metadata["openid_relying_party"]
        for member in [member for member, value in own.items() if value is None]:
            del own[member]
        return RelyingParty(self, entity_id, key)

    def add_machine(self, entity_id: str, *, below: str = HARBOUR, **metadata: Any) -> RelyingParty:
        """Add an oauth_client that uses client_credentials."""
        party = self.add(entity_id, below=below)
        party.entity.metadata.clear()
        party.entity.metadata["oauth_client"] = {
            "client_name": "Machine", "grant_types": ["client_credentials"], "response_types": [],
            "token_endpoint_auth_method": "private_key_jwt", "jwks": build_jwks([party.key]), "scope": "bookings.read", **metadata,
        }  # fmt: skip
        return party

    def post(self, path: str, parameters: Mapping[str, str]) -> Any:
        return self.browser.post(path, urlencode(parameters), content_type=FORM)

    def fetched(self, *entity_ids: str) -> int:
        """Return how often configurations were fetched."""
        wanted = {configuration_url(entity_id) for entity_id in entity_ids}
        return sum(request.url in wanted for request in self.fetcher.requests)

    def forget(self) -> None:
        """Forget what this process has kept, as another process would not know it."""
        resolving.statement_cache.clear()
        keys_of_strangers.clear()
        lookups.forget()

    @contextmanager
    def at(self, moment: float | datetime) -> Iterator[None]:
        """Let the clock stand at a moment, with the caches of then."""
        self.forget()
        with time_machine.travel(moment, tick=False):
            yield
        self.forget()


def claim(entity_id: str, organization: Organization, now: datetime) -> EntityClaim:
    """Let an organization have proven an entity."""
    return EntityClaim.objects.create(organization=organization, entity_id=entity_id, proof="staff", challenged_at=now, proven_at=now)
