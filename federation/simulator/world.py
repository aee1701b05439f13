"""A federation in memory. Every document is made when it is asked for, so that changes show at once and times follow the clock."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from federation.core.issuing import (
    build_entity_configuration,
    build_jwks,
    build_subordinate_statement,
    issue_entity_statement,
    issue_trust_mark,
    issue_trust_mark_delegation,
)
from federation.core.resolver import configuration_url
from federation.core.trust_chains import TrustAnchor
from protocol.constants import ENTITY_STATEMENT_TYPE
from protocol.errors import FetchError
from protocol.fetch import FetchConfig, FetchRequest, InMemoryFetcher, Page, failure
from protocol.jose import FEDERATION_ENTITY_KEYS, SigningKey, generate_private_key, issue_jwt, parse_jwk_set
from protocol.jose.purposes import TRUST_MARK_STATUS_RESPONSE_TYPE

DEFAULT_LIFETIME: Final = 24 * 3600
STATEMENT_MEDIA_TYPE: Final = f"application/{ENTITY_STATEMENT_TYPE}"


class Fault(Enum):
    """What can be wrong with what an entity serves. Only over a real connection (`tls.serve`) do the slow ones take their time."""

    REFUSED = "refused"
    TIMEOUT = "deadline"
    TLS = "tls"
    SERVER_ERROR = "500"
    NOT_FOUND = "404"
    HTML_PAGE = "html"
    REDIRECT = "302"
    TOO_LARGE = "too large"
    NOT_A_JWT = "not a JWT"
    EXPIRED = "expired"
    WRONG_SIGNATURE = "wrong signature"
    SLOW_HANDSHAKE = "slow handshake"
    DRIP_HEADERS = "drip headers"
    DRIP_BODY = "drip body"


@dataclass(slots=True)
class SimulatedEntity:
    """One entity: change its fields and what it serves changes. `keys[0]` signs, all are published. Times are in seconds."""

    entity_id: str
    keys: list[SigningKey]
    metadata: dict[str, dict[str, Any]]
    superiors: list[str] = field(default_factory=list)
    subordinates: dict[str, dict[str, Any]] = field(default_factory=dict)
    claims: dict[str, Any] = field(default_factory=dict)
    marks: list[dict[str, str]] = field(default_factory=list)
    revoked_marks: set[str] = field(default_factory=set)
    lifetime: int = DEFAULT_LIFETIME
    fault: Fault | None = None
    statement_fault: Fault | None = None

    @property
    def fetch_endpoint(self) -> str:
        """Return where it answers about subordinates."""
        return f"{self.entity_id.removesuffix('/')}/fetch"

    @property
    def status_endpoint(self) -> str:
        """Return where it answers about its trust marks."""
        return f"{self.entity_id.removesuffix('/')}/trust-mark-status"


class SimulatedFederation:
    """Entities by identifier, and a fetcher that answers as they would. `clock` gives seconds."""

    def __init__(self, clock: Callable[[], float] = time.time, *, algorithm: str = "ES256") -> None:
        self.clock = clock
        self.algorithm = algorithm
        self.entities: dict[str, SimulatedEntity] = {}
        self._by_url: dict[str, Callable[[FetchRequest], Page | FetchError | None]] = {}
        self._faults: dict[str, Callable[[], Fault | None]] = {}

    def add_authority(
        self, entity_id: str, superiors: Iterable[str] = (), *, claims: Mapping[str, Any] | None = None, **statement: Any
    ) -> SimulatedEntity:
        """Add a trust anchor (no superiors) or an intermediate; `statement` are claims its superiors make about it."""
        entity = self._add(entity_id, {}, superiors, statement)
        entity.claims.update(claims or {})
        entity.metadata["federation_entity"] = {
            "organization_name": f"Authority {entity_id}",
            "federation_fetch_endpoint": entity.fetch_endpoint,
            "federation_list_endpoint": f"{entity_id.removesuffix('/')}/list",
            "federation_trust_mark_status_endpoint": entity.status_endpoint,
        }
        return entity

    def add_relying_party(
        self, entity_id: str, superiors: Iterable[str], metadata: Mapping[str, Any] | None = None, **statement: Any
    ) -> SimulatedEntity:
        """Add a leaf with `openid_relying_party` metadata; `statement` are claims its superiors make about it."""
        declared = {
            "client_name": f"App of {entity_id}",
            "redirect_uris": [f"{entity_id.removesuffix('/')}/callback"],
            "response_types": ["code"],
            "grant_types": ["authorization_code"],
            "token_endpoint_auth_method": "private_key_jwt",
            "client_registration_types": ["automatic", "explicit"],
        }
        return self._add(entity_id, {"openid_relying_party": {**declared, **(metadata or {})}}, superiors, statement)

    def _add(
        self, entity_id: str, metadata: dict[str, dict[str, Any]], superiors: Iterable[str], statement: Mapping[str, Any]
    ) -> SimulatedEntity:
        entity = SimulatedEntity(entity_id, [generate_private_key(self.algorithm)], metadata, list(superiors))
        self.entities[entity_id] = entity
        for superior in entity.superiors:
            self.entities[superior].subordinates[entity_id] = dict(statement)
        self._by_url[configuration_url(entity_id)] = lambda _: self._configuration_page(entity)
        self._by_url[entity.fetch_endpoint] = lambda request: self._statement_page(entity, request)
        self._by_url[entity.status_endpoint] = lambda request: self._status_page(entity, request)
        self._faults[configuration_url(entity_id)] = lambda: entity.fault
        self._faults[entity.fetch_endpoint] = lambda: entity.statement_fault
        return entity

    def vouch_for(self, superior: str, subject: str, jwks: Mapping[str, Any], **statement: Any) -> None:
        """Let a superior issue statements about an entity that is not simulated, such as the server under test."""
        self.entities[superior].subordinates[subject] = {"jwks": dict(jwks), **statement}

    def anchor(self, entity_id: str) -> TrustAnchor:
        """Return an entity as a trust anchor, its present keys pinned."""
        return TrustAnchor(entity_id, parse_jwk_set(build_jwks(self.entities[entity_id].keys), purpose=FEDERATION_ENTITY_KEYS))

    def expel(self, superior: str, subject: str) -> None:
        """Let a superior no longer know a subordinate."""
        del self.entities[superior].subordinates[subject]

    def roll_keys(self, entity_id: str, *, overlap: bool = True) -> SigningKey:
        """Give an entity a new signing key; with overlap the old one stays published. Superiors vouch for what is published."""
        entity = self.entities[entity_id]
        new = generate_private_key(self.algorithm)
        entity.keys = [new, *entity.keys] if overlap else [new]
        return new

    def grant_mark(self, issuer: str, subject: str, trust_mark_type: str, **options: Any) -> str:
        """Issue a trust mark and let its subject carry it; return it. `options` go to `issue_trust_mark`."""
        mark = issue_trust_mark(issuer, subject, trust_mark_type, self.entities[issuer].keys[0], now=self._now(), **options)
        self.entities[subject].marks.append({"trust_mark_type": trust_mark_type, "trust_mark": mark})
        return mark

    def delegate_mark(self, owner: str, issuer: str, trust_mark_type: str) -> str:
        """Return the delegation by which `owner` lets `issuer` issue a type."""
        return issue_trust_mark_delegation(owner, issuer, trust_mark_type, self.entities[owner].keys[0], now=self._now())

    def fetcher(self, config: FetchConfig | None = None) -> InMemoryFetcher:
        """Return a fetcher that answers as the entities would; it counts what was asked for."""
        return InMemoryFetcher(otherwise=self.answer, config=config, clock=self.clock)

    def answer(self, request: FetchRequest) -> Page | FetchError | None:
        """Return what is served under a URL now, None for nothing."""
        whole = self._by_url.get(request.url)
        found = whole or self._by_url.get(request.url.partition("?")[0])
        return found(request) if found else None

    def fault_at(self, url: str) -> Fault | None:
        """Return the fault that is set for what is served under a URL."""
        found = self._faults.get(url.partition("?")[0])
        return found() if found else None

    def configuration(self, entity_id: str) -> str:
        """Return the signed configuration of an entity as it is now."""
        entity = self.entities[entity_id]
        marks = {"trust_marks": entity.marks} if entity.marks else {}
        claims = build_entity_configuration(
            entity_id,
            entity.keys,
            entity.metadata,
            now=self._issued_at(entity.fault, entity),
            lifetime=entity.lifetime,
            authority_hints=entity.superiors,
            **marks,
        )
        return issue_entity_statement({**claims, **entity.claims}, self._signing_key(entity.fault, entity))

    def statement(self, superior: str, subject: str) -> str:
        """Return what a superior says about a subordinate now, signed."""
        issuer = self.entities[superior]
        simulated = self.entities.get(subject)
        claims = build_subordinate_statement(
            superior,
            subject,
            simulated.keys if simulated else (),
            now=self._issued_at(issuer.statement_fault, issuer),
            lifetime=issuer.lifetime,
        )
        return issue_entity_statement({**claims, **issuer.subordinates[subject]}, self._signing_key(issuer.statement_fault, issuer))

    def _now(self) -> int:
        return int(self.clock())

    def _issued_at(self, fault: Fault | None, entity: SimulatedEntity) -> int:
        return self._now() - (2 * entity.lifetime if fault is Fault.EXPIRED else 0)

    def _signing_key(self, fault: Fault | None, entity: SimulatedEntity) -> SigningKey:
        """Return the key that signs: for a wrong signature another one under the same name."""
        key = entity.keys[0]
        if fault is not Fault.WRONG_SIGNATURE:
            return key
        return SigningKey(key.kid, key.algorithm, generate_private_key(key.algorithm).private_key)

    def _configuration_page(self, entity: SimulatedEntity) -> Page | FetchError:
        return _faulty(entity.fault) or Page(self.configuration(entity.entity_id).encode(), STATEMENT_MEDIA_TYPE)

    def _statement_page(self, entity: SimulatedEntity, request: FetchRequest) -> Page | FetchError | None:
        if fault := _faulty(entity.statement_fault):
            return fault
        subject = parse_qs(urlsplit(request.url).query).get("sub", [""])[0]
        if subject not in entity.subordinates:
            return None
        return Page(self.statement(entity.entity_id, subject).encode(), STATEMENT_MEDIA_TYPE)

    def _status_page(self, entity: SimulatedEntity, request: FetchRequest) -> Page:
        mark = parse_qs(request.form.decode()).get("trust_mark", [""])[0]
        status = "revoked" if mark in entity.revoked_marks else "active"
        claims = {"iss": entity.entity_id, "iat": self._now(), "trust_mark": mark, "status": status}
        answer = issue_jwt(claims, entity.keys[0], typ=TRUST_MARK_STATUS_RESPONSE_TYPE)
        return Page(answer.encode(), f"application/{TRUST_MARK_STATUS_RESPONSE_TYPE}")


def _faulty(fault: Fault | None) -> Page | FetchError | None:
    """Return what a fault makes of any answer, or None when the answer itself must be made wrong."""
    if fault in (Fault.REFUSED, Fault.TIMEOUT, Fault.TLS):
        return failure(fault.value)
    if fault in (Fault.SLOW_HANDSHAKE, Fault.DRIP_HEADERS, Fault.DRIP_BODY):
        return failure("deadline")
    pages = {
        Fault.SERVER_ERROR: Page(b"sorry", "text/plain", 500),
        Fault.NOT_FOUND: Page(b"", "text/plain", 404),
        Fault.HTML_PAGE: Page(b"<html></html>", "text/html"),
        Fault.REDIRECT: Page(b"", "text/html", 302, {"location": "https://elsewhere.example/"}),
        Fault.TOO_LARGE: Page(b"a" * (64 * 1024 + 1), STATEMENT_MEDIA_TYPE),
        Fault.NOT_A_JWT: Page(b"{}", STATEMENT_MEDIA_TYPE),
    }
    return pages.get(fault) if fault else None
