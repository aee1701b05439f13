"""The part of the story that plays in a federation: Northlight, Harbour, and two partners that register themselves."""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Callable
from typing import Any, Final, Protocol
from urllib.parse import parse_qsl, urlencode, urlsplit

from allauth.account.models import EmailAddress
from django.conf import settings
from django.test import Client as Browser
from django.utils import timezone

from federation.checking import check_client
from federation.core.issuing import build_jwks
from federation.entity_claims import claim_entity, prove_by_signature
from federation.models import FederationRecord, TrustAnchorRecord
from federation.resolving import get_resolver, statement_cache
from federation.simulator import SimulatedFederation, SimulatedRelyingParty
from federation.trust_anchors import add_trust_anchor
from protocol.jose import issue_jwt, parse_unverified
from protocol.jose.purposes import ENTITY_CLAIM_TYP, ID_TOKEN
from registry.actors import COMMAND_LINE, person
from registry.models import Client, Organization, User

NORTHLIGHT: Final = "https://northlight.example"
HARBOUR: Final = "https://harbour.example"
LIGHTHOUSE: Final = "https://app.lighthouse.example"
TIDEWATER: Final = "https://robot.tidewater.example"
OWNER: Final = "olga@lighthouse.example"
CALLBACK: Final = f"{LIGHTHOUSE}/callback"
# What Harbour lets its members ask for: a scope that Lighthouse declares is not among them.
HARBOUR_SCOPES: Final = ["openid", "profile", "bookings.read"]


class Story(Protocol):
    """What the other chapters of the story offer."""

    http: Browser

    def post(self, path: str, parameters: dict[str, str], basic: tuple[str, str] | None = None) -> tuple[int, dict[str, Any]]:
        """Post a form through the whole server."""
        ...

    def introspect(self, token: str | None = None) -> dict[str, Any]:
        """Ask about a token as the resource server."""
        ...


class Chapter:
    """The federation, and what happens in it. `expect` says what must be true."""

    def __init__(self, story: Story, expect: Callable[[bool, object], None]) -> None:
        self.story, self.expect = story, expect
        self.world = build_world()
        self.lighthouse, self.tidewater = add_partners(self.world, settings.ISSUER)
        self.token = ""

    def accept_anchor(self) -> str:
        """Our operator pins Northlight's keys."""
        add_trust_anchor(
            NORTHLIGHT,
            build_jwks(self.world.entities[NORTHLIGHT].keys),
            COMMAND_LINE,
            now=timezone.now(),
            organizations=TrustAnchorRecord.Organizations.CREATE,
        )
        resolution = get_resolver().resolve(LIGHTHOUSE)
        self.expect(resolution.ok and not Client.objects.filter(client_id=LIGHTHOUSE).exists(), resolution.failure)
        return " > ".join(resolution.chain.entities if resolution.chain else ())

    def claim(self) -> str:
        """Lighthouse Travel says that the entity is its own, and signs a challenge with the entity's federation key."""
        owner, now = person(User.objects.get(email=OWNER)), timezone.now()
        claim = claim_entity(Organization.objects.get(legal_name="Lighthouse Travel"), LIGHTHOUSE, owner, now=now)
        claims = {"iss": LIGHTHOUSE, "aud": settings.ISSUER, "challenge": claim.challenge, "exp": int(now.timestamp()) + 60}
        proof = issue_jwt(claims, self.lighthouse.entity.keys[0], typ=ENTITY_CLAIM_TYP)
        proven = prove_by_signature(claim, proof, owner, now=now)
        return f"{proven.entity_id} belongs to {proven.organization}"

    def first_request(self) -> str:
        """Lighthouse sends a signed request; nobody here has ever seen it."""
        self.verifier = secrets.token_urlsafe(48)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(self.verifier.encode()).digest()).rstrip(b"=").decode()
        request = self.lighthouse.request_object(
            redirect_uri=CALLBACK,
            scope="openid profile",
            state="demo",
            nonce="demo",
            code_challenge=challenge,
            code_challenge_method="S256",
        )
        parameters = {"client_id": LIGHTHOUSE, "response_type": "code", "scope": "openid", "request": request}
        answer = self.story.http.get("/oauth/authorize", parameters)
        self.expect(answer.status_code == 302, answer.content.decode()[:500])
        self.interaction = answer["Location"]
        client = Client.objects.select_related("organization").get(client_id=LIGHTHOUSE)
        record = FederationRecord.objects.get(client=client)
        removed = next(change for change in record.changes if change["member"] == "scope")
        before, after = removed["before"].split(), removed["after"].split()
        self.expect("bookings.write" in before and "bookings.write" not in client.scopes, removed)
        gone = ", ".join(scope for scope in before if scope not in after)
        return f"client_id {client.client_id}, organization {client.organization}; {', '.join(removed['set_by'])} took away {gone}"

    def id_token(self) -> str:
        """A person signs in and allows it; Lighthouse gets an ID token by its key."""
        visitor, password = User.objects.get(email=OWNER), secrets.token_urlsafe(12)
        visitor.set_password(password)
        visitor.save()
        EmailAddress.objects.create(user=visitor, email=visitor.email, verified=True, primary=True)
        sign_in(self.story.http, visitor.email, password)
        answer = self.story.http.post(self.interaction, {"answer": "allow"})
        self.expect(answer.status_code in (302, 303), answer.content.decode()[:500])
        told = dict(parse_qsl(urlsplit(answer["Location"]).query))
        self.expect("code" in told, told)
        parameters = {"grant_type": "authorization_code", "code": told["code"], "redirect_uri": CALLBACK, "code_verifier": self.verifier}
        status, tokens = self.story.post("/oauth/token", {**parameters, **self.lighthouse.authentication()})
        self.expect(status == 200, tokens)
        claims = parse_unverified(tokens["id_token"], max_length=ID_TOKEN.max_length).unverified_claims
        self.expect(claims["aud"] == LIGHTHOUSE, claims)
        return f"sub {claims['sub'][:8]}…, aud {claims['aud']}, org_id {claims['org_id']}, scope {tokens['scope']}"

    def register_explicitly(self) -> str:
        """Tidewater posts its configuration and gets a token with its key."""
        answer = self.story.http.post(
            "/federation/register", self.tidewater.registration(), content_type="application/entity-statement+jwt"
        )
        self.expect(answer.status_code == 200, answer.content.decode()[:500])
        status, tokens = self.story.post("/oauth/token", {"grant_type": "client_credentials", **self.tidewater.authentication()})
        self.expect(status == 200, tokens)
        self.token = tokens["access_token"]
        self.expect(self.story.introspect(self.token)["active"], "the token is not active")
        client = Client.objects.select_related("organization").get(client_id=TIDEWATER)
        return f"organization {client.organization}, until {client.trust_expires_at:%Y-%m-%d %H:%M} UTC, answered with a signed statement"

    def expulsion(self) -> str:
        """Harbour no longer vouches for Tidewater; the check finds out, and the token is dead."""
        self.kept_statement = self.world.entities[HARBOUR].subordinates.pop(TIDEWATER)
        outcome = self._check()
        self.expect(self.story.introspect(self.token) == {"active": False}, "the token is still active")
        status, answer = self.story.post("/oauth/token", {"grant_type": "client_credentials", **self.tidewater.authentication()})
        self.expect(status == 400, answer)
        failure = get_resolver().resolve(TIDEWATER, entity_types=(), past_caches=True).failure
        self.expect(failure is not None, "the entity still resolves")
        words = f"step {failure.step.value}: {failure.sentence} Who can fix it: {failure.fixer.value}" if failure else ""
        return f"{outcome}; introspection: inactive; {words} ({HARBOUR})"

    def readmission(self) -> str:
        """Harbour vouches again."""
        self.world.entities[HARBOUR].subordinates[TIDEWATER] = self.kept_statement
        outcome = self._check()
        status, answer = self.story.post("/oauth/token", {"grant_type": "client_credentials", **self.tidewater.authentication()})
        self.expect(status == 200, answer)
        return f"{outcome}; Tidewater gets tokens again"

    def _check(self) -> str:
        statement_cache.clear()
        record = FederationRecord.objects.select_related("client__organization").get(entity_id=TIDEWATER)
        outcome = check_client(record, now=timezone.now())
        return f"the check says {outcome.value}"


def build_world() -> SimulatedFederation:
    """Return anchor and intermediate."""
    world = SimulatedFederation()
    world.add_authority(NORTHLIGHT)
    world.add_authority(HARBOUR, [NORTHLIGHT])
    return world


def add_partners(world: SimulatedFederation, issuer: str) -> tuple[SimulatedRelyingParty, SimulatedRelyingParty]:
    """Add Lighthouse, which signs people in, and Tidewater, a machine; return them."""
    lighthouse = SimulatedRelyingParty(
        world,
        LIGHTHOUSE,
        [HARBOUR],
        issuer,
        entity_type="openid_relying_party",
        client_name="Lighthouse guest app",
        organization_name="Lighthouse Travel",
        redirect_uris=[CALLBACK],
        response_types=["code"],
        client_registration_types=["automatic"],
        token_endpoint_auth_method="private_key_jwt",
        id_token_signed_response_alg="ES256",
        scope="openid profile bookings.read bookings.write",
    )
    policy = {"openid_relying_party": {"scope": {"subset_of": HARBOUR_SCOPES}}}
    world.entities[HARBOUR].subordinates[LIGHTHOUSE]["metadata_policy"] = policy
    tidewater = SimulatedRelyingParty(
        world,
        TIDEWATER,
        [HARBOUR],
        issuer,
        entity_type="oauth_client",
        client_name="Tidewater claims robot",
        organization_name="Tidewater Insurance",
        grant_types=["client_credentials"],
        response_types=[],
        client_registration_types=["explicit"],
        token_endpoint_auth_method="private_key_jwt",
        scope="bookings.read",
    )
    return lighthouse, tidewater


def sign_in(browser: Browser, email: str, password: str) -> None:
    """Sign a person in as the sign-in page does."""
    browser.post("/accounts/login/", urlencode({"login": email, "password": password}), content_type="application/x-www-form-urlencoded")
