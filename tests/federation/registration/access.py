"""What a client of a federation can do at this moment: get tokens, and what a resource server hears about them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from federation.models import TrustAnchorRecord
from registry.models import AuditEvent, Scope
from registry.resource_servers import create_resource_server
from tests.authserver.support import INTROSPECT, TOKEN, basic
from tests.federation.registration.support import ACTOR, FORM, RelyingParty, World


@dataclass
class Access:
    """A resource server that introspects, and the token endpoint."""

    world: World
    credentials: dict[str, str]

    @classmethod
    def build(cls, world: World, now: datetime) -> Access:
        """Return a resource server; machine clients below every accepted anchor may register at the token endpoint."""
        Scope.objects.get_or_create(name="bookings.read", defaults={"title": "See your bookings"})
        TrustAnchorRecord.objects.update(registers_at_token_endpoint=True)
        server, secret = create_resource_server("Bookings API", ACTOR, now=now)
        return cls(world, basic(server.client_id, secret.value))

    def ask_token(self, party: RelyingParty, *, chain: bool = False, **parameters: str) -> Any:
        """Ask for a token of the client itself; with `chain` the assertion brings the entity's trust chain."""
        headers = {"trust_chain": party.chain()} if chain else {}
        form = {"grant_type": "client_credentials", **party.authentication(party.assertion(headers=headers)), **parameters}
        return self.world.post(TOKEN, form)

    def token(self, party: RelyingParty, *, chain: bool = False) -> str:
        """Return a token; with `chain` the client is registered by it."""
        answer = self.ask_token(party, chain=chain)
        assert answer.status_code == 200, answer.content
        return str(answer.json()["access_token"])

    def introspect(self, token: str) -> dict[str, Any]:
        """Return what the resource server hears."""
        answer = self.world.browser.post(INTROSPECT, urlencode({"token": token}), content_type=FORM, headers=self.credentials)
        assert answer.status_code == 200, answer.content
        return dict(answer.json())

    def is_live(self, token: str) -> bool:
        return bool(self.introspect(token)["active"])


def last_event() -> int:
    """Return the number of the last audit row."""
    return AuditEvent.objects.order_by("-id").values_list("id", flat=True).first() or 0


def events_after(last: int) -> list[str]:
    """Return what was written since."""
    return list(AuditEvent.objects.filter(id__gt=last).order_by("id").values_list("event", flat=True))
