"""Who may call what: every endpoint of the API against every kind of caller (threats.md R09)."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import transaction
from django.test import Client as Http
from django.urls import URLPattern, reverse

from authserver.models import AccessToken
from dcr.initial_access_tokens import TokenTerms, create_initial_access_token
from portal.api.throttling import REQUESTS_PER_CLIENT
from portal.api.urls import urlpatterns
from registry.actors import person
from registry.credentials import create_secret
from registry.lifecycle import change_client, change_organization, register_client, request_go_live
from registry.models import Entitlement, Organization
from tests.conftest import Cast
from tests.portal.api.support import API, Machine, ask_for_token, make_machine

pytestmark = pytest.mark.threat("R09")

OWN, ADMIN = "registry", "registry.admin"
# For each URL name and method: which scope is needed for anything there, and what a good request to one's own organization is.
ROWS: dict[str, dict[str, tuple[str, dict[str, Any]]]] = {
    "api_organizations": {"GET": (OWN, {}), "POST": (ADMIN, {"legal_name": "Harbour Ferries"})},
    "api_organization": {"GET": (OWN, {}), "PATCH": (OWN, {"website": "https://www.lighthouse.example"})},
    "api_organization_transitions": {"POST": (OWN, {"step": "close"})},
    "api_clients": {"GET": (OWN, {}), "POST": (OWN, {"metadata": {"client_name": "New", "grant_types": ["client_credentials"]}})},
    "api_organization_change_requests": {"GET": (OWN, {})},
    "api_organization_audit": {"GET": (OWN, {})},
    "api_initial_access_tokens": {"GET": (OWN, {}), "POST": (OWN, {"label": "Fleet", "expires_in": 3600})},
    "api_initial_access_token": {"GET": (OWN, {}), "DELETE": (OWN, {})},
    "api_refused_registrations": {"GET": (OWN, {})},
    "api_client": {"GET": (OWN, {}), "PUT": (OWN, {"metadata": {"client_name": "Newer", "grant_types": ["client_credentials"]}})},
    "api_client_transitions": {"POST": (OWN, {"step": "pause"})},
    "api_go_live": {"POST": (OWN, {"justification": "Please."})},
    "api_secrets": {"GET": (OWN, {}), "POST": (OWN, {"label": "spare"})},
    "api_secret": {"DELETE": (OWN, {})},
    "api_change_requests": {"GET": (ADMIN, {})},
    "api_change_request": {"GET": (OWN, {})},
    "api_change_decisions": {"POST": (OWN, {"step": "withdraw"})},
    "api_audit": {"GET": (ADMIN, {})},
}
CASES = [(name, method) for name, methods in ROWS.items() for method in methods]
PUBLIC = {"api_document"}
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
PATTERNS: dict[str, URLPattern] = {str(pattern.name): pattern for pattern in urlpatterns}


def test_every_endpoint_has_a_row() -> None:
    assert PATTERNS.keys() == ROWS.keys() | PUBLIC
    for name, methods in ROWS.items():
        served = set(PATTERNS[name].callback.view_class.http_method_names) - {"head"}
        assert {method for method in served if hasattr(PATTERNS[name].callback.view_class, method)} == {
            method.lower() for method in methods
        }


@dataclass
class Place:
    """An organization with one of everything that a path can name."""

    arguments: dict[str, Any]

    def path(self, name: str) -> str:
        return reverse(name, kwargs={key: self.arguments[key] for key in PATTERNS[name].pattern.converters}).removeprefix(API)


def furnish(organization: Organization, cast: Cast, now: datetime, name: str) -> Place:
    """Put a test app, a secret and a change request into an organization that is approved for as long as that takes."""
    actor = cast.as_owner if organization == cast.organization else person(cast.stranger)
    client = register_client(actor, organization, {"client_name": "App", "grant_types": ["client_credentials"]}, now=now)
    secret = create_secret(client, actor, now=now).row.pk
    asks = register_client(actor, organization, {"client_name": "Asks", "grant_types": ["client_credentials"]}, now=now)
    Organization.objects.filter(pk=organization.pk).update(state="approved")
    change = request_go_live(asks, actor, now=now)
    reference = change.reference if name.startswith("api_change") else client.reference
    terms = TokenTerms(label="Fleet", expires_at=now + timedelta(days=1))
    token = create_initial_access_token(organization, actor, terms, now=now).row.reference
    return Place({"slug": organization.slug, "reference": reference, "secret": secret, "token": token})


@pytest.fixture
def place(cast: Cast, now: datetime, request: pytest.FixtureRequest) -> Place:
    return furnish(cast.organization, cast, now, request.node.callspec.params["name"])


@pytest.fixture
def elsewhere(cast: Cast, foreign: Organization, now: datetime, request: pytest.FixtureRequest) -> Place:
    return furnish(foreign, cast, now, request.node.callspec.params["name"])


def ask(machine: Machine, method: str, path: str, body: dict[str, Any]) -> Any:
    """Send one request whose effects are taken back."""
    with transaction.atomic():
        answer = machine.send(method, path, body if method != "GET" else None)
        transaction.set_rollback(True)
    return answer


def assert_problem(answer: Any, status: int, code: str) -> None:
    assert answer.status_code == status, answer.content
    assert answer["Content-Type"] == "application/problem+json"
    assert answer["Cache-Control"] == "no-store"
    body = answer.json()
    assert body["code"] == code
    assert body["status"] == status
    assert body["type"].endswith(f"#{code}")
    assert body["instance"].endswith(answer["X-Request-ID"])
    assert "error" not in body


@pytest.mark.parametrize(("name", "method"), CASES)
def test_an_app_with_the_scope_registry_does_everything_in_its_own_organization(place: Place, own: Machine, name: str, method: str) -> None:
    needed, body = ROWS[name][method]
    answer = ask(own, method, place.path(name), body)
    if needed == ADMIN:
        assert_problem(answer, 403, "insufficient_scope")
        assert 'scope="registry.admin"' in answer["WWW-Authenticate"]
    else:
        assert answer.status_code in (200, 201, 204), answer.content
        assert answer["Cache-Control"] == "no-store"


@pytest.mark.parametrize(("name", "method"), [case for case in CASES if PATTERNS[case[0]].pattern.converters])
def test_for_an_app_with_the_scope_registry_nothing_of_another_organization_exists(
    elsewhere: Place, own: Machine, name: str, method: str
) -> None:
    answer = ask(own, method, elsewhere.path(name), ROWS[name][method][1])
    assert_problem(answer, 404, "not_found")
    unknown = Place({"slug": "nobody", "reference": uuid.uuid4(), "secret": 1, "token": uuid.uuid4()})
    other = ask(own, method, unknown.path(name), ROWS[name][method][1])
    assert {**other.json(), "instance": ""} == {**answer.json(), "instance": ""}


@pytest.mark.parametrize("name", ["api_secret"])
def test_a_secret_of_another_app_is_not_found_under_this_one(
    place: Place, elsewhere: Place, own: Machine, admin: Machine, name: str
) -> None:
    mixed = Place({**place.arguments, "secret": elsewhere.arguments["secret"]})
    for machine in (own, admin):
        assert_problem(ask(machine, "DELETE", mixed.path(name), {}), 404, "not_found")


@pytest.mark.parametrize(("name", "method"), CASES)
def test_the_operators_app_reads_everything_and_reviews_but_is_not_an_owner(place: Place, admin: Machine, name: str, method: str) -> None:
    answer = ask(admin, method, place.path(name), ROWS[name][method][1])
    owners_only = {"api_client": "PUT", "api_client_transitions": "POST", "api_go_live": "POST", "api_change_decisions": "POST"}
    if owners_only.get(name) == method or (name, method) in (("api_secrets", "POST"), ("api_secret", "DELETE")):
        assert_problem(answer, 403, "access_denied")
        assert answer.json()["reason"] == "permission"
    else:
        assert answer.status_code in (200, 201, 204), answer.content


def _refused_tokens(cast: Cast, own: Machine, now: datetime) -> dict[str, tuple[Callable[[], Any], int, str]]:
    """Return what makes a good caller a bad one, with the answer it gets then."""
    rows = AccessToken.objects.filter(application=own.client)

    def person_behind() -> None:
        rows.update(user=cast.owner)

    def stop(step: str) -> Callable[[], Any]:
        return lambda: change_client(own.client, step, cast.as_reviewer, now=now, reason="Odd.")

    return {
        "of a person": (person_behind, 401, "invalid_token"),
        "expired": (lambda: rows.update(expires=now - timedelta(seconds=1)), 401, "invalid_token"),
        "for another resource": (lambda: rows.update(resource=["https://bookings.example"]), 401, "invalid_token"),
        "with another scope": (lambda: rows.update(scope="bookings.read"), 403, "insufficient_scope"),
        "with a longer name of the scope": (lambda: rows.update(scope="registry2 xregistry registry.adm"), 403, "insufficient_scope"),
        "whose scope is no longer entitled": (
            lambda: Entitlement.objects.filter(client=own.client).delete(),
            403,
            "insufficient_scope",
        ),
        "whose entitlement ended": (
            lambda: Entitlement.objects.filter(client=own.client).update(expires_at=now - timedelta(seconds=1)),
            403,
            "insufficient_scope",
        ),
        "of a suspended app": (stop("suspend"), 401, "invalid_token"),
        "of a closed app": (stop("close"), 401, "invalid_token"),
        "of a suspended organization": (
            lambda: change_organization(cast.organization, "suspend", cast.as_reviewer, now=now, reason="Odd."),
            401,
            "invalid_token",
        ),
    }


KINDS = [
    *("of a person", "expired", "for another resource", "with another scope", "with a longer name of the scope"),
    *("whose scope is no longer entitled", "whose entitlement ended"),
    *("of a suspended app", "of a closed app", "of a suspended organization"),
]


@pytest.mark.parametrize("kind", KINDS)
def test_a_token_that_does_not_count_opens_no_endpoint(cast: Cast, own: Machine, now: datetime, kind: str) -> None:
    worsen, status, code = _refused_tokens(cast, own, now)[kind]
    unknown = Place({"slug": cast.organization.slug, "reference": own.client.reference, "secret": 1, "token": uuid.uuid4()})
    worsen()
    for name, method in CASES:
        answer = own.send(method, unknown.path(name), ROWS[name][method][1])
        assert_problem(answer, status, code)
        assert answer["WWW-Authenticate"].startswith("Bearer ")
        assert f'error="{code}"' in answer["WWW-Authenticate"]


@pytest.mark.parametrize(("name", "method"), CASES)
def test_without_a_token_there_is_a_challenge_and_nothing_else(db: None, name: str, method: str) -> None:
    path = API + Place({"slug": "any", "reference": uuid.uuid4(), "secret": 1, "token": uuid.uuid4()}).path(name)
    answer = Http().generic(method, path, "{}", content_type="application/json")
    assert_problem(answer, 401, "invalid_token")
    assert answer["WWW-Authenticate"].startswith('Bearer realm="')
    assert "error=" not in answer["WWW-Authenticate"]


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", "Basic YTpi", "Token x", "Bearer cat_unknown", "Bearer \x7f", "bearer\tx", "Bearer a b"]
)
def test_a_malformed_authorization_header_is_refused(own: Machine, header: str) -> None:
    answer = Http().get(f"{API}/organizations", headers={"Authorization": header})
    assert_problem(answer, 401, "invalid_token")


def test_the_word_bearer_may_be_written_in_any_case(own: Machine) -> None:
    assert Http().get(f"{API}/organizations", headers={"Authorization": f"bEARER {own.token}"}).status_code == 200


def test_a_token_counts_in_the_header_only(own: Machine) -> None:
    assert Http().get(f"{API}/organizations?access_token={own.token}").status_code == 401
    assert Http().post(f"{API}/organizations", {"access_token": own.token}).status_code == 401
    assert Http(headers={"Cookie": f"access_token={own.token}"}).get(f"{API}/organizations").status_code == 401


@pytest.mark.parametrize("who", ["owner", "reviewer", "operator"])
def test_a_persons_session_authorizes_nothing(cast: Cast, who: str) -> None:
    browser = Http()
    browser.force_login(getattr(cast, who))
    assert browser.get("/account/").status_code == 200
    assert_problem(browser.get(f"{API}/organizations/{cast.organization.slug}"), 401, "invalid_token")
    answer = browser.post(f"{API}/organizations", {"legal_name": "X"}, content_type="application/json")
    assert_problem(answer, 401, "invalid_token")
    assert "Set-Cookie" not in answer


def test_registry_admin_counts_for_nothing_outside_the_operators_organization(cast: Cast, now: datetime) -> None:
    pretender = make_machine(cast.organization, "registry.admin", now)
    assert_problem(pretender.send("GET", "/organizations"), 403, "insufficient_scope")
    both = make_machine(cast.organization, "registry registry.admin", now)
    assert [row["slug"] for row in both.get("/organizations")["items"]] == [cast.organization.slug]
    assert_problem(both.send("GET", "/audit"), 403, "insufficient_scope")
    assert_problem(both.post("/organizations", {"legal_name": "X"}), 403, "insufficient_scope")


def test_an_app_of_the_operator_with_the_scope_registry_sees_its_own_organization_only(cast: Cast, admin: Machine, now: datetime) -> None:
    small = make_machine(admin.client.organization, "registry", now)
    assert [row["slug"] for row in small.get("/organizations")["items"]] == [admin.client.organization.slug]
    assert_problem(small.send("GET", f"/organizations/{cast.organization.slug}"), 404, "not_found")


def test_an_app_that_only_registered_the_scope_gets_no_token_with_it(cast: Cast, now: datetime) -> None:
    document = {"client_name": "Hopeful", "grant_types": ["client_credentials"], "scope": "registry registry.admin"}
    client = register_client(cast.as_owner, cast.organization, document, now=now)
    secret = create_secret(client, cast.as_owner, now=now).value
    for scope in ("registry", "registry.admin"):
        assert ask_for_token(client, secret, scope).json()["error"] == "invalid_scope"


def test_a_token_for_this_server_as_resource_counts(own: Machine, settings: Any) -> None:
    AccessToken.objects.filter(application=own.client).update(resource=["https://other.example", f"{settings.ISSUER}/"])
    assert own.get("/organizations")["total"] == 1


@pytest.mark.parametrize("name", [*ROWS, *PUBLIC])
def test_other_methods_are_refused_and_the_answer_says_which_there_are(place: Place, own: Machine, name: str) -> None:
    served = set(ROWS.get(name, {"GET": None}))
    for method in {*METHODS, "OPTIONS", "TRACE", "QUERY"} - served:
        answer = own.send(method, place.path(name))
        if method == "GET" or answer.status_code == 403:  # what takes registry.admin says so first
            continue
        assert_problem(answer, 405, "invalid_request")
        assert set(answer["Allow"].split(", ")) - {"HEAD"} == served


def test_an_unknown_address_under_the_api_is_a_problem_too(own: Machine) -> None:
    for path in ("/", "/nothing", "/organizations/", "/organizations/a/b/c", "/clients/not-a-uuid", "/clients/%00"):
        assert_problem(own.send("GET", path), 404, "not_found")


def test_an_app_that_asks_too_often_waits(own: Machine, admin: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    assert REQUESTS_PER_CLIENT == 600
    monkeypatch.setattr("portal.api.throttling.REQUESTS_PER_CLIENT", 3)
    for _ in range(3):
        own.get("/organizations")
    answer = own.send("GET", "/organizations")
    assert_problem(answer, 429, "temporarily_unavailable")
    assert int(answer["Retry-After"]) > 0
    admin.get("/organizations")
