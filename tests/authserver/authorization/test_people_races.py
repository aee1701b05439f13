"""Codes, refresh tokens, requests and their jti between real connections: one success, whoever is first (O06, O07, O09, J16).

A thousand rounds each on PostgreSQL; on SQLite, where writers take turns, few.
"""

from __future__ import annotations

import json
import uuid
from collections import Counter
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import RequestFactory
from django.utils import timezone

from authserver.authorization.authentication import SignedIn
from authserver.authorization.codes import issue_code
from authserver.authorization.parameters import AuthorizationParameters
from authserver.authorization.requests import prove_request
from authserver.consents import remember_consent, withdraw_consent
from authserver.families import issue_access_token, issue_refresh_token, revoke
from authserver.introspection import introspect
from authserver.models import AuthorizationRequest, Grant, RefreshToken
from authserver.views.token import TokenView
from protocol.errors import OAuthError
from tests.authserver.authorization.support import CALLBACK, CHALLENGE, TOKEN, VERIFIER, make_app, request_object
from tests.authserver.support import FORM, Caller
from tests.authserver.test_races import ring
from tests.conftest import Cast

pytestmark = pytest.mark.django_db(transaction=True)
SCOPE = "bookings.read offline_access"
ANSWER = dict[str, Any]


@pytest.fixture
def rounds() -> int:
    """How often to try."""
    return 1000 if connection.vendor == "postgresql" else 15


@pytest.fixture
def app(cast: Cast, standard_scopes: None, now: datetime) -> Caller:
    """An app that authenticates by secret."""
    return make_app(cast.organization, now, "client_secret_basic", id_token_signed_response_alg=None)


def ask(app: Caller, **form: str) -> ANSWER:
    """Return what the token endpoint answers, or the error."""
    _, headers = app.credentials()
    request = RequestFactory().post(TOKEN, "&".join(f"{name}={value}" for name, value in form.items()), content_type=FORM, headers=headers)
    try:
        return dict(json.loads(TokenView.as_view()(request).content))
    except OAuthError as error:
        return {"error": error.code}


def new_code(app: Caller, cast: Cast, number: int) -> tuple[str, Grant]:
    """Return a code and its row."""
    code = f"cac_{number}_{uuid.uuid4().hex}"
    expires = timezone.now() + timedelta(minutes=1)
    grant = Grant.objects.create(
        application=app.client, user=cast.owner, code=code, expires=expires, redirect_uri=CALLBACK, scope=SCOPE, code_challenge=CHALLENGE
    )
    return code, grant


def assert_ended(grant: Grant, answers: list[ANSWER]) -> None:
    """Check that nothing of a family lives."""
    assert Grant.objects.get(pk=grant.pk).ended_at is not None
    assert not RefreshToken.objects.filter(token_family=grant.family, revoked=None).exists()
    for answer in answers:
        if "access_token" in answer:
            assert introspect(answer["access_token"], now=timezone.now()) == {"active": False}


def errors(answers: list[ANSWER]) -> Counter[str]:
    """Count the outcomes."""
    return Counter(answer.get("error", "success") for answer in answers)


@pytest.mark.spec("BCP-09")
@pytest.mark.threat("O06")
def test_a_code_is_exchanged_by_one_and_then_nothing_of_it_lives(app: Caller, cast: Cast, rounds: int) -> None:
    with ring(3) as threads:
        for number in range(rounds):
            code, grant = new_code(app, cast, number)
            job = lambda: ask(app, grant_type="authorization_code", code=code, redirect_uri=CALLBACK, code_verifier=VERIFIER)  # noqa: B023, E731
            answers = threads.together(job, job, job)
            assert errors(answers) == {"success": 1, "invalid_grant": 2}, (number, answers)
            assert_ended(grant, answers)


@pytest.mark.spec("BCP-06")
@pytest.mark.threat("O07")
def test_a_refresh_token_is_used_by_one_and_then_nothing_of_its_family_lives(app: Caller, cast: Cast, rounds: int) -> None:
    with ring(2) as threads:
        for number in range(rounds):
            _, grant = new_code(app, cast, number)
            value = issue_refresh_token(grant, app.client, SCOPE.split())
            job = lambda: ask(app, grant_type="refresh_token", refresh_token=value)  # noqa: B023, E731
            answers = threads.together(job, job)
            assert errors(answers) == {"success": 1, "invalid_grant": 1}, (number, answers)
            assert_ended(grant, answers)


@pytest.mark.threat("O07")
def test_nothing_is_born_into_a_family_that_was_given_up(app: Caller, cast: Cast, rounds: int) -> None:
    seen: Counter[str] = Counter()
    with ring(2) as threads:
        for number in range(rounds):
            _, grant = new_code(app, cast, number)
            value = issue_refresh_token(grant, app.client, SCOPE.split())
            access = issue_access_token(grant, app.client, SCOPE.split(), 600, now=timezone.now())
            refresh = lambda: ask(app, grant_type="refresh_token", refresh_token=value)  # noqa: B023, E731
            give_up = lambda: revoke(access, app.client, now=timezone.now())  # noqa: B023, E731
            answer, _ = threads.together(refresh, give_up)
            seen += errors([answer])
            assert_ended(grant, [answer, {"access_token": access}])
    assert seen.keys() <= {"success", "invalid_grant"}


@pytest.mark.spec("PAR-11")
@pytest.mark.threat("O09")
def test_a_request_gives_one_code(app: Caller, cast: Cast, now: datetime, rounds: int) -> None:
    parameters = AuthorizationParameters(app.client_id, CALLBACK, tuple(SCOPE.split()), CHALLENGE)
    remember_consent(cast.owner, app.client, SCOPE.split(), cast.as_owner, now=now)

    def answer(row: AuthorizationRequest) -> ANSWER:
        try:
            return {"code": issue_code(row, parameters, SignedIn(cast.owner, 1.0), now=timezone.now())}
        except OAuthError as error:
            return {"error": error.code}

    with ring(3) as threads:
        for number in range(rounds):
            row = AuthorizationRequest.objects.create(
                application=app.client,
                origin="pushed",
                digest=uuid.uuid4().hex,
                parameters=parameters.as_json(),
                expires=now + timedelta(hours=9),
            )
            answers = threads.together(*[lambda row=row: answer(row)] * 3)
            assert errors(answers) == {"success": 1, "invalid_request_uri": 2}, (number, answers)
    assert Grant.objects.count() == rounds


@pytest.mark.threat("O07")
def test_no_code_outlives_the_consent_that_it_came_of(app: Caller, cast: Cast, now: datetime, rounds: int) -> None:
    parameters = AuthorizationParameters(app.client_id, CALLBACK, tuple(SCOPE.split()), CHALLENGE)

    def answer(row: AuthorizationRequest) -> None:
        with suppress(OAuthError):
            issue_code(row, parameters, SignedIn(cast.owner, 1.0), now=timezone.now())

    with ring(2) as threads:
        for _ in range(rounds // 4):
            consent = remember_consent(cast.owner, app.client, SCOPE.split(), cast.as_owner, now=now)
            row = AuthorizationRequest.objects.create(
                application=app.client, origin="parameters", parameters=parameters.as_json(), expires=now + timedelta(hours=9)
            )
            withdraw = lambda: withdraw_consent(consent, cast.as_owner, now=timezone.now())  # noqa: B023, E731
            threads.together(lambda row=row: answer(row), withdraw)
            assert not Grant.objects.filter(ended_at=None).exists()


@pytest.mark.spec("JAR-09", "FED-SEC-11")
@pytest.mark.threat("J16")
def test_the_jti_of_a_request_object_counts_once(cast: Cast, standard_scopes: None, now: datetime, rounds: int) -> None:
    app = make_app(cast.organization, now)

    def prove(token: str) -> ANSWER:
        try:
            prove_request({"client_id": app.client_id, "request": token}, now=timezone.now())
        except OAuthError as error:
            return {"error": error.code}
        return {}

    with ring(3) as threads:
        for number in range(rounds):
            token = request_object(app)
            answers = threads.together(*[lambda token=token: prove(token)] * 3)
            assert errors(answers) == {"success": 1, "invalid_request_object": 2}, (number, answers)
