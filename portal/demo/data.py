"""Small data for a first look, made through the same services that partners and staff use."""

from __future__ import annotations

import secrets
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
from registry.actors import COMMAND_LINE, person
from registry.credentials import create_secret
from registry.lifecycle import approve_change, change_organization, create_organization, register_client, request_go_live
from registry.models import Client, Membership, Organization, Scope, User
from registry.models.users import StaffRole

SignIn = tuple[str, str, str]

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
    _lighthouse(cast, reviewer, now)
    _tidewater(cast, reviewer, now)
    _driftwood(cast, now)
    return cast.sign_ins


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


def _approved(organization: Organization, owner: User, reviewer: User, now: datetime) -> Organization:
    staff = person(reviewer, staff=True)
    change_organization(organization, "submit", person(owner), now=now)
    change_organization(organization, "assign", staff, now=now + timedelta(hours=2))
    return change_organization(organization, "approve", staff, now=now + timedelta(hours=3))


def _lighthouse(cast: _Cast, reviewer: User, now: datetime) -> None:
    """An approved organization with a live app, a test app and one that waits for approval."""
    owner = cast.person("owner of Lighthouse Travel", "olga@lighthouse.example", "Olga Owner")
    developer = cast.person("developer at Lighthouse Travel", "devon@lighthouse.example", "Devon Developer")
    started = now - timedelta(days=21)
    organization = _approved(_organization(owner, "Lighthouse Travel", "lighthouse.example", "NO", started), owner, reviewer, started)
    Membership.objects.create(organization=organization, user=developer, role=Membership.Role.DEVELOPER)
    back_office = _machine(owner, organization, "Booking back office", "bookings.read prices.read", started + timedelta(days=2))
    create_secret(back_office, person(owner), now=started + timedelta(days=2), label="production", expires_at=now + timedelta(days=6))
    request = request_go_live(
        back_office, person(owner), now=started + timedelta(days=3), justification="Nightly reconciliation of bookings."
    )
    approve_change(request, person(reviewer, staff=True), digest=request.digest, now=started + timedelta(days=4))
    waiting = _machine(owner, organization, "Partner feed", "bookings.read bookings.write", now - timedelta(days=3))
    request_go_live(waiting, person(owner), now=now - timedelta(days=1), justification="Resellers book through us.")
    _branch_offices(owner, organization, started + timedelta(days=5), now)
    register_client(
        person(developer),
        organization,
        {
            "client_name": "Lighthouse app",
            "application_type": "native",
            "token_endpoint_auth_method": "none",
            "grant_types": ["authorization_code", "refresh_token"],
            "redirect_uris": ["example.lighthouse.app:/callback", "http://127.0.0.1/callback"],
            "scope": "bookings.read",
            "id_token_signed_response_alg": "ES256",
        },
        now=now - timedelta(hours=5),
    )


def _branch_offices(owner: User, organization: Organization, made: datetime, now: datetime) -> None:
    """A registration token that was used twice, and once in vain."""
    restrictions = {"grant_types": ["client_credentials"], "allowed_scopes": ["bookings.read", "prices.read"]}
    terms = TokenTerms("Branch offices", now + timedelta(days=5), uses_limit=5, restrictions=restrictions)
    token = create_initial_access_token(organization, person(owner), terms, now=made)
    for number, (name, grant) in enumerate(
        (("Oslo branch", "client_credentials"), ("Bergen branch", "client_credentials"), ("Narvik", "password"))
    ):
        document = {"client_name": name, "grant_types": [grant], "scope": "bookings.read"}
        submission = Submission(document, token.value, "192.0.2.17", uuid4().hex)
        with suppress(ProtocolError):  # one is refused, for the owner to see
            register(submission, now=made + timedelta(days=number))


def _machine(owner: User, organization: Organization, name: str, scope: str, now: datetime) -> Client:
    document = {
        "client_name": name,
        "grant_types": ["client_credentials"],
        "scope": scope,
        "contacts": ["tech@lighthouse.example"],
        "client_uri": "https://www.lighthouse.example/",
    }
    return register_client(person(owner), organization, document, now=now)


def _tidewater(cast: _Cast, reviewer: User, now: datetime) -> None:
    """A suspended organization: its app is intact and cannot act."""
    owner = cast.person("owner of Tidewater Insurance", "tom@tidewater.example", "Tom Tide")
    started = now - timedelta(days=18)
    organization = _approved(_organization(owner, "Tidewater Insurance", "tidewater.example", "DK", started), owner, reviewer, started)
    key = generate_private_key("ES256")
    document = {
        "client_name": "Claims robot",
        "grant_types": ["client_credentials"],
        "token_endpoint_auth_method": "private_key_jwt",
        "jwks": {"keys": [key.public_jwk()]},
        "scope": "prices.read",
    }
    register_client(person(owner), organization, document, now=started + timedelta(days=1))
    reason = "The membership fee of this year was not paid. Write to billing@credence.example."
    change_organization(organization, "suspend", person(reviewer, staff=True), now=now - timedelta(days=2), reason=reason)


def _driftwood(cast: _Cast, now: datetime) -> None:
    """An organization that waits for approval."""
    owner = cast.person("owner of Driftwood Labs", "dora@driftwood.example", "Dora Drift")
    organization = _organization(owner, "Driftwood Labs", "driftwood.example", "SE", now - timedelta(days=1))
    change_organization(organization, "submit", person(owner), now=now - timedelta(hours=20))


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
