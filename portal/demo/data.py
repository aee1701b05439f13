"""Small data for a first look, made through the same services that partners and staff use."""

from __future__ import annotations

import heapq
import secrets
from collections.abc import Generator, Iterable
from contextlib import suppress
from datetime import datetime, timedelta
from uuid import uuid4

from allauth.account.models import EmailAddress
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from dcr.initial_access_tokens import TokenTerms, create_initial_access_token
from dcr.registration import Submission, register
from federation.core.issuing import build_jwks
from federation.models import EntityClaim, TrustAnchorRecord
from federation.trust_anchors import add_trust_anchor
from portal.demo.federation import LIGHTHOUSE, NORTHLIGHT
from portal.demo.sandbox import Sandbox, save_sandbox
from portal.notices import silenced
from protocol.errors import ProtocolError
from protocol.jose import generate_private_key
from registry import audit
from registry.actors import COMMAND_LINE, person
from registry.credentials import create_secret
from registry.lifecycle import approve_change, change_organization, create_organization, register_client, request_go_live
from registry.models import Client, Membership, Organization, Scope, User
from registry.models.users import StaffRole

SignIn = tuple[str, str, str]
# What happened to somebody: yields the moment of what comes next, and is sent it to do it.
Story = Generator[datetime, datetime, None]

SCOPES = (
    ("bookings.read", "See your bookings", "Read bookings of the organization's customers.", False),
    ("bookings.write", "Make and change bookings", "Create, change and cancel bookings.", True),
    ("prices.read", "See prices", "Read the public price list.", False),
)


class _Cast:
    """Makes people with random passwords and remembers how they sign in."""

    def __init__(self) -> None:
        self.sign_ins: list[SignIn] = []

    def person(self, label: str, email: str, name: str, *, role: str = StaffRole.NONE) -> User:
        password = secrets.token_urlsafe(9)
        user = User.objects.create_user(email, password, name=name, staff_role=role)
        EmailAddress.objects.create(user=user, email=user.email, verified=True, primary=True)
        self.sign_ins.append((label, user.email, password))
        return user


def load_demo_data() -> list[SignIn]:
    """Fill an empty database and return how to sign in: label, e-mail address and random password.

    Raises RuntimeError when the issuer is not on loopback or the database has organizations already.
    """
    if not settings.ISSUER_IS_LOOPBACK or Organization.objects.filter(is_operator=False).exists():
        raise RuntimeError("Demo data is only loaded into an empty database of a server on loopback.")
    with silenced(), transaction.atomic():
        return _load(timezone.now())


def _load(now: datetime) -> list[SignIn]:
    for name, title, description, sensitive in SCOPES:
        Scope.objects.create(name=name, title=title, description=description, is_sensitive=sensitive)
    cast = _Cast()
    reviewer = cast.person("reviewer (staff)", "rona@credence.example", "Rona Reviewer", role=StaffRole.REVIEWER)
    cast.person("operator (staff)", "otto@credence.example", "Otto Operator", role=StaffRole.OPERATOR)
    _tell([_lighthouse(cast, reviewer, now), _tidewater(cast, reviewer, now), _driftwood(cast, now)])
    return cast.sign_ins


def _tell(stories: Iterable[Story]) -> None:
    """Go through stories side by side, what is longest ago first: a trail is in the order of time, and its readers count on that.

    A story yields the moment of what it does next, and gets it back to do it.
    """
    waiting = [(next(story), number, story) for number, story in enumerate(stories)]
    heapq.heapify(waiting)
    while waiting:
        moment, number, story = heapq.heappop(waiting)
        with audit.dated(moment):
            following = _go_on(story, moment)
        # The toolkit dates its rows itself; what is newer than this moment was made just now.
        Client.objects.filter(organization__is_operator=False, created__gt=moment).update(created=moment)
        if following is not None:
            heapq.heappush(waiting, (following, number, story))


def _go_on(story: Story, moment: datetime) -> datetime | None:
    """Return the next moment of a story, None when it is over."""
    try:
        return story.send(moment)
    except StopIteration:
        return None


def _organization(owner: User, name: str, host: str, country: str, now: datetime) -> Organization:
    contacts = {"technical": f"tech@{host}", "security": f"security@{host}"}
    return create_organization(
        person(owner),
        name,
        now=now,
        owner=owner,
        country=country,
        website=f"https://www.{host}",
        email_domains=[host],
        registration_number=f"{country}-{secrets.randbelow(10**8):08d}",
        contacts=contacts,
    )


def _approval(organization: Organization, owner: User, reviewer: User, submitted: datetime) -> Story:
    """Submitted at once, and approved three hours later."""
    staff = person(reviewer, staff=True)
    change_organization(organization, "submit", person(owner), now=submitted)
    at = yield submitted + timedelta(hours=2)
    change_organization(organization, "assign", staff, now=at)
    at = yield submitted + timedelta(hours=3)
    change_organization(organization, "approve", staff, now=at)


def _lighthouse(cast: _Cast, reviewer: User, now: datetime) -> Story:
    """An approved organization with a live app, a test app and one that waits for approval."""
    owner = cast.person("owner of Lighthouse Travel", "olga@lighthouse.example", "Olga Owner")
    developer = cast.person("developer at Lighthouse Travel", "devon@lighthouse.example", "Devon Developer")
    at = yield now - timedelta(days=21)
    organization = _organization(owner, "Lighthouse Travel", "lighthouse.example", "NO", at)
    Membership.objects.create(organization=organization, user=developer, role=Membership.Role.DEVELOPER)
    yield from _approval(organization, owner, reviewer, at)
    at = yield now - timedelta(days=19)
    back_office = _machine(owner, organization, "Booking back office", "bookings.read prices.read", at)
    create_secret(back_office, person(owner), now=at, label="production", expires_at=now + timedelta(days=6))
    at = yield now - timedelta(days=18)
    request = request_go_live(back_office, person(owner), now=at, justification="Nightly reconciliation of bookings.")
    at = yield now - timedelta(days=17)
    approve_change(request, person(reviewer, staff=True), digest=request.digest, now=at)
    yield from _branch_offices(owner, organization, now)
    at = yield now - timedelta(days=3)
    waiting = _machine(owner, organization, "Partner feed", "bookings.read bookings.write", at)
    at = yield now - timedelta(days=1)
    request_go_live(waiting, person(owner), now=at, justification="Resellers book through us.")
    at = yield now - timedelta(hours=5)
    _native(developer, organization, at)


def _branch_offices(owner: User, organization: Organization, now: datetime) -> Story:
    """A registration token that was used twice, and once in vain."""
    at = yield now - timedelta(days=16)
    restrictions = {"grant_types": ["client_credentials"], "allowed_scopes": ["bookings.read", "prices.read"]}
    terms = TokenTerms("Branch offices", now + timedelta(days=5), uses_limit=5, restrictions=restrictions)
    token = create_initial_access_token(organization, person(owner), terms, now=at)
    for days, name, grant in (
        (16, "Oslo branch", "client_credentials"),
        (9, "Bergen branch", "client_credentials"),
        (8, "Narvik", "password"),
    ):
        at = yield now - timedelta(days=days)
        document = {"client_name": name, "grant_types": [grant], "scope": "bookings.read"}
        submission = Submission(document, token.value, "192.0.2.17", uuid4().hex)
        with suppress(ProtocolError):  # one is refused, for the owner to see
            register(submission, now=at)


def _machine(owner: User, organization: Organization, name: str, scope: str, now: datetime) -> Client:
    document = {
        "client_name": name,
        "grant_types": ["client_credentials"],
        "scope": scope,
        "contacts": ["tech@lighthouse.example"],
        "client_uri": "https://www.lighthouse.example/",
    }
    return register_client(person(owner), organization, document, now=now)


def _native(developer: User, organization: Organization, now: datetime) -> Client:
    document = {
        "client_name": "Lighthouse app",
        "application_type": "native",
        "token_endpoint_auth_method": "none",
        "grant_types": ["authorization_code", "refresh_token"],
        "redirect_uris": ["example.lighthouse.app:/callback", "http://127.0.0.1/callback"],
        "scope": "bookings.read",
        "id_token_signed_response_alg": "ES256",
    }
    return register_client(person(developer), organization, document, now=now)


def _tidewater(cast: _Cast, reviewer: User, now: datetime) -> Story:
    """A suspended organization: its app is intact and cannot act."""
    owner = cast.person("owner of Tidewater Insurance", "tom@tidewater.example", "Tom Tide")
    at = yield now - timedelta(days=18)
    organization = _organization(owner, "Tidewater Insurance", "tidewater.example", "DK", at)
    yield from _approval(organization, owner, reviewer, at)
    at = yield now - timedelta(days=17)
    key = generate_private_key("ES256")
    document = {
        "client_name": "Claims robot",
        "grant_types": ["client_credentials"],
        "token_endpoint_auth_method": "private_key_jwt",
        "jwks": {"keys": [key.public_jwk()]},
        "scope": "prices.read",
    }
    register_client(person(owner), organization, document, now=at)
    at = yield now - timedelta(days=2)
    reason = "The membership fee of this year was not paid. Write to billing@credence.example."
    change_organization(organization, "suspend", person(reviewer, staff=True), now=at, reason=reason)


def _driftwood(cast: _Cast, now: datetime) -> Story:
    """An organization that waits for approval."""
    owner = cast.person("owner of Driftwood Labs", "dora@driftwood.example", "Dora Drift")
    at = yield now - timedelta(days=1)
    organization = _organization(owner, "Driftwood Labs", "driftwood.example", "SE", at)
    at = yield now - timedelta(hours=20)
    change_organization(organization, "submit", person(owner), now=at)


def make_sandbox() -> None:
    """Write the sandbox, accept its trust anchor, and let Lighthouse Travel have its entity."""
    sandbox, now = Sandbox(), timezone.now()
    save_sandbox(sandbox)
    keys = build_jwks(sandbox.world.entities[NORTHLIGHT].keys)
    add_trust_anchor(NORTHLIGHT, keys, COMMAND_LINE, now=now, organizations=TrustAnchorRecord.Organizations.CREATE)
    EntityClaim.objects.create(
        organization=Organization.objects.get(legal_name="Lighthouse Travel"),
        entity_id=LIGHTHOUSE,
        proof=EntityClaim.Proof.STAFF,
        challenged_at=now,
        proven_at=now,
    )
