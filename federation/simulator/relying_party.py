"""What a relying party of a simulated federation signs to register and to authenticate (OpenID Federation 1.0, 12)."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Any, Final

from federation.core.issuing import build_entity_configuration, build_jwks
from federation.simulator.world import SimulatedEntity, SimulatedFederation
from protocol.constants import CLIENT_ASSERTION_TYPE, ENTITY_STATEMENT_TYPE, REQUEST_OBJECT_TYPE
from protocol.jose import SigningKey, generate_private_key, issue_jwt

REQUEST_LIFETIME: Final = 120


class SimulatedRelyingParty:
    """An entity with a protocol key apart from its federation keys; `audience` is the server that it talks to."""

    def __init__(
        self, federation: SimulatedFederation, entity_id: str, superiors: Iterable[str], audience: str, *, entity_type: str, **metadata: Any
    ) -> None:
        self.federation, self.entity_id, self.audience = federation, entity_id, audience
        self.key: SigningKey = generate_private_key(federation.algorithm)
        self.entity: SimulatedEntity = federation.add_relying_party(entity_id, superiors)
        self.entity.metadata = {entity_type: {"jwks": build_jwks([self.key]), **metadata}}

    def request_object(self, **parameters: Any) -> str:
        """Return a signed authorization request (12.1.1.1)."""
        claims = {"iss": self.entity_id, "client_id": self.entity_id, **self._once(), "response_type": "code", **parameters}
        return issue_jwt(claims, self.key, typ=REQUEST_OBJECT_TYPE)

    def authentication(self) -> dict[str, str]:
        """Return the parameters by which it authenticates (RFC 7523, 2.2)."""
        claims = {"iss": self.entity_id, "sub": self.entity_id, **self._once()}
        return {"client_assertion_type": CLIENT_ASSERTION_TYPE, "client_assertion": issue_jwt(claims, self.key, typ="JWT")}

    def registration(self) -> str:
        """Return its configuration made for the server, for explicit registration (12.2.1)."""
        claims = build_entity_configuration(
            self.entity_id,
            self.entity.keys,
            self.entity.metadata,
            now=int(self.federation.clock()),
            lifetime=self.entity.lifetime,
            authority_hints=self.entity.superiors,
            aud=self.audience,
        )
        return issue_jwt(claims, self.entity.keys[0], typ=ENTITY_STATEMENT_TYPE)

    def _once(self) -> dict[str, Any]:
        now = int(self.federation.clock())
        return {"aud": self.audience, "iat": now, "exp": now + REQUEST_LIFETIME, "jti": uuid.uuid4().hex}
