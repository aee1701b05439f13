"""The main job as a story: numbered steps that each prove something, on whatever empty database they are given."""

from __future__ import annotations

import base64
import time
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone

from dcr.initial_access_tokens import NewInitialAccessToken, TokenTerms, create_initial_access_token
from portal.demo.federation import Chapter
from protocol.constants import CLIENT_ASSERTION_TYPE
from protocol.jose import SigningKey, generate_private_key, issue_jwt
from registry import audit
from registry.actors import COMMAND_LINE, person
from registry.credentials import create_secret
from registry.lifecycle import approve_change, change_organization, create_organization, register_client, request_go_live
from registry.models import AuditEvent, Client, Organization, Scope, User
from registry.outbound import use_fetcher
from registry.resource_servers import create_resource_server
from registry.signing_keys import ensure_signing_keys


@dataclass(frozen=True)
class StepResult:
    """How one step went; `seconds` is how long it took, `detail` what was seen."""

    number: int
    title: str
    ok: bool
    seconds: float
    detail: str


class StoryError(Exception):
    """A step did not end as the story says; the message says what was seen instead."""


def expect(condition: bool, seen: object) -> None:
    """Raise StoryError with what was seen unless the condition holds."""
    if not condition:
        raise StoryError(str(seen))


class Story:
    """The people, apps and tokens of one telling."""

    owner: User
    reviewer: User
    organization: Organization
    app: Client
    signing_app: Client
    resource_server: tuple[str, str]
    app_secret: str
    key: SigningKey
    token: str
    initial_access_token: NewInitialAccessToken

    def __init__(self) -> None:
        self.http = Browser(SERVER_NAME="127.0.0.1", raise_request_exception=False)
        self.federation = Chapter(self, expect)

    def steps(self) -> list[tuple[str, Callable[[], str]]]:
        """Return the steps in order, each with its title."""
        return [
            ("An organization asks to join and a reviewer approves it", self.approve_organization),
            ("Its app is registered, reviewed and goes live", self.approve_app),
            ("The app gets a token by its secret", self.token_by_secret),
            ("Another app gets a token by private_key_jwt", self.token_by_assertion),
            ("The same assertion is refused a second time", self.replay),
            ("A resource server learns whose app it is", self.introspection),
            ("The organization is suspended: the very next introspection and token request are refused", self.suspension),
            ("It is reinstated: secrets work again, old tokens stay dead", self.reinstatement),
            ("Our operator accepts a federation: Northlight, below it Harbour, below it partners", self.federation.accept_anchor),
            ("Lighthouse Travel claims its entity and proves it with the entity's key", self.federation.claim),
            ("A partner that nobody here has seen sends a signed request and is registered by it", self.federation.first_request),
            ("A person signs in there, and the partner gets an ID token", self.federation.id_token),
            ("Another partner posts its configuration and gets a token", self.federation.register_explicitly),
            ("Harbour no longer vouches for it: its token is dead at the next request", self.federation.expulsion),
            ("Harbour vouches again, and it is back", self.federation.readmission),
            ("An owner makes a token for two apps, and a script registers one with it", self.self_registration),
            ("The third use is refused, and the owner sees why", self.third_use),
            ("The audit trail tells all of it, and its seal holds", self.trail),
        ]

    def approve_organization(self) -> str:
        """An owner submits, a reviewer approves."""
        now = timezone.now()
        ensure_signing_keys(COMMAND_LINE, now=now)
        Scope.objects.create(name="bookings.read", title="See your bookings")
        self.owner = User.objects.create_user("olga@lighthouse.example", name="Olga Owner")
        self.reviewer = User.objects.create_user("rona@credence.example", name="Rona Reviewer", staff_role="reviewer")
        contacts = {"technical": "tech@lighthouse.example", "security": "security@lighthouse.example"}
        organization = create_organization(
            person(self.owner),
            "Lighthouse Travel",
            now=now,
            owner=self.owner,
            country="NO",
            website="https://www.lighthouse.example",
            contacts=contacts,
        )
        change_organization(organization, "submit", person(self.owner), now=now)
        change_organization(organization, "assign", self.staff, now=now)
        self.organization = change_organization(organization, "approve", self.staff, now=now)
        expect(self.organization.state == "approved", self.organization.state)
        return f"{self.organization} has org_id {self.organization.org_id}"

    @property
    def staff(self) -> Any:
        """Return the reviewer as an actor."""
        return person(self.reviewer, staff=True)

    def approve_app(self) -> str:
        """Two apps are registered; one goes live after review."""
        now = timezone.now()
        common = {"grant_types": ["client_credentials"], "scope": "bookings.read"}
        self.app = register_client(person(self.owner), self.organization, {"client_name": "Back office", **common}, now=now)
        self.app_secret = create_secret(self.app, person(self.owner), now=now).value
        self.key = generate_private_key("ES256")
        keys = {"token_endpoint_auth_method": "private_key_jwt", "jwks": {"keys": [self.key.public_jwk()]}}
        self.signing_app = register_client(
            person(self.owner), self.organization, {"client_name": "Partner feed", **common, **keys}, now=now
        )
        request = request_go_live(self.app, person(self.owner), now=now, justification="Nightly reconciliation.")
        approve_change(request, self.staff, digest=request.digest, now=now)
        self.app.refresh_from_db()
        expect(self.app.stage == "live", self.app.stage)
        server, secret = create_resource_server("Bookings API", COMMAND_LINE, now=now)
        self.resource_server = (server.client_id, secret.value)
        return f"client_id {self.app.client_id}, stage {self.app.stage}"

    def post(self, path: str, parameters: dict[str, str], basic: tuple[str, str] | None = None) -> tuple[int, dict[str, Any]]:
        """Post a form through the whole server and return status and JSON answer."""
        headers = {"Authorization": "Basic " + base64.b64encode(":".join(basic).encode()).decode()} if basic else {}
        answer = self.http.post(path, urlencode(parameters), content_type="application/x-www-form-urlencoded", headers=headers)
        return answer.status_code, answer.json()

    def request_token(self) -> tuple[int, dict[str, Any]]:
        """Ask for a token with the secret."""
        parameters = {"grant_type": "client_credentials", "scope": "bookings.read"}
        return self.post("/oauth/token", parameters, (self.app.client_id, self.app_secret))

    def token_by_secret(self) -> str:
        """The app presents its secret."""
        status, answer = self.request_token()
        expect(status == 200 and answer["scope"] == "bookings.read", answer)
        self.token = answer["access_token"]
        return f"{answer['token_type']} token for {answer['expires_in']} s, scope {answer['scope']}"

    def token_by_assertion(self) -> str:
        """The other app signs an assertion."""
        now = int(time.time())
        client_id = self.signing_app.client_id
        claims = {"iss": client_id, "sub": client_id, "aud": settings.ISSUER, "iat": now, "exp": now + 60, "jti": str(uuid.uuid4())}
        assertion = issue_jwt(claims, self.key, typ="client-authentication+jwt")
        self.assertion = {
            "grant_type": "client_credentials",
            "client_assertion_type": CLIENT_ASSERTION_TYPE,
            "client_assertion": assertion,
        }
        status, answer = self.post("/oauth/token", self.assertion)
        expect(status == 200, answer)
        return f"signed with {self.key.algorithm}, audience {settings.ISSUER}"

    def replay(self) -> str:
        """The same assertion comes again."""
        status, answer = self.post("/oauth/token", self.assertion)
        expect(status == 401 and answer["error"] == "invalid_client", answer)
        return str(answer["error_description"])

    def introspect(self, token: str | None = None) -> dict[str, Any]:
        """Ask about a token, the app's if none is named, as the resource server."""
        status, answer = self.post("/oauth/introspect", {"token": token or self.token}, self.resource_server)
        expect(status == 200, answer)
        return answer

    def introspection(self) -> str:
        """The token is active and says its organization."""
        answer = self.introspect()
        expect(answer["active"] and answer["org_id"] == str(self.organization.org_id), answer)
        return f"org_id {answer['org_id']}, stage {answer['stage']}, scope {answer['scope']}"

    def suspension(self) -> str:
        """Staff suspend the organization."""
        change_organization(self.organization, "suspend", self.staff, now=timezone.now(), reason="Demonstration")
        expect(self.introspect() == {"active": False}, "the token is still active")
        status, answer = self.request_token()
        expect(status == 400 and answer["error"] == "unauthorized_client", answer)
        return f"introspection: inactive; token endpoint: {answer['error_description']}"

    def reinstatement(self) -> str:
        """Staff reinstate it."""
        change_organization(self.organization, "reinstate", self.staff, now=timezone.now())
        expect(self.introspect() == {"active": False}, "an old token came back to life")
        status, answer = self.request_token()
        expect(status == 200, answer)
        return "the secret gets a new token; the old one stays inactive"

    def register(self, name: str) -> tuple[int, dict[str, Any]]:
        """Register an app as a script does: one request with the owner's token."""
        document = {"client_name": name, "grant_types": ["client_credentials"], "scope": "bookings.read"}
        headers = {"Authorization": f"Bearer {self.initial_access_token.value}"}
        answer = self.http.post("/register", document, content_type="application/json", headers=headers)
        return answer.status_code, answer.json()

    def self_registration(self) -> str:
        """An owner makes a token; what registers with it works at once and belongs to the organization."""
        now = timezone.now()
        terms = TokenTerms("Branch installer", now + timedelta(days=7), uses_limit=2, restrictions={"allowed_scopes": ["bookings.read"]})
        self.initial_access_token = create_initial_access_token(self.organization, person(self.owner), terms, now=now)
        status, told = self.register("Oslo branch")
        expect(status == 201 and told["org_id"] == str(self.organization.org_id), told)
        parameters = {"grant_type": "client_credentials", "scope": "bookings.read"}
        status, answer = self.post("/oauth/token", parameters, (told["client_id"], told["client_secret"]))
        expect(status == 200, answer)
        return f"client_id {told['client_id']}, stage {told['stage']}, and it got a token with its secret"

    def third_use(self) -> str:
        """Two uses are two apps; why a third one was refused stands on the page of the token."""
        status, told = self.register("Bergen branch")
        expect(status == 201, told)
        status, told = self.register("Narvik branch")
        expect(status == 401 and told["error"] == "invalid_token", told)
        owner = Browser(SERVER_NAME="127.0.0.1", raise_request_exception=False)
        self.owner.refresh_from_db()  # who signed in meanwhile has a password
        owner.force_login(self.owner, backend="portal.accounts.AuthenticationBackend")
        page = owner.get(reverse("registration_token", args=[self.organization.slug, self.initial_access_token.row.reference]))
        html = page.content.decode()
        for seen in ("2 of 2", told["error_description"], "Oslo branch", "Bergen branch"):
            expect(page.status_code == 200 and seen in html, f"{seen!r} is not on the page of the token ({page.status_code})")
        return f"the owner reads: {told['error_description']}"

    def trail(self) -> str:
        """Seal the trail and check it."""
        audit.seal(timezone.now())
        faults = list(audit.verify())
        expect(not faults, faults)
        return f"{AuditEvent.objects.count()} events, sealed and verified"


def tell(on_step: Callable[[StepResult], None]) -> bool:
    """Tell the story, reporting each step; stop at the first that fails. Return whether all went well."""
    story = Story()
    with use_fetcher(story.federation.world.fetcher()):
        return _tell(story, on_step)


def _tell(story: Story, on_step: Callable[[StepResult], None]) -> bool:
    for number, (title, step) in enumerate(story.steps(), start=1):
        started = time.perf_counter()
        try:
            detail, ok = step(), True
        except StoryError as error:
            detail, ok = str(error), False
        on_step(StepResult(number, title, ok, round(time.perf_counter() - started, 3), detail))
        if not ok:
            return False
    return True


def as_json(result: StepResult) -> dict[str, Any]:
    """Return a step result as JSON members."""
    return asdict(result)
