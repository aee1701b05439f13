"""What endpoints refuse to a known client is kept for its developers: once, after the answer, and never at the price of one."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import pytest
from django.conf import settings
from django.db import DatabaseError, connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext

from authserver import refusals
from authserver.client_authentication import FAILED
from authserver.refusals import without_unknown_scopes
from registry.actors import job
from registry.entitlements import explain_refused_scopes
from registry.failed_requests import PER_CLIENT
from registry.lifecycle import change_client
from registry.models import Client, FailedRequest
from tests.authserver.authorization import conftest as people
from tests.authserver.authorization.support import AUTHORIZE, CALLBACK, PAR, Flow, parameters
from tests.authserver.support import INTROSPECT, REVOKE, TOKEN, Caller, assertion_parameters, basic, key

Call = Callable[..., Any]
server_keys, standard_scopes, no_network = people.server_keys, people.standard_scopes, people.no_network
new_app, app, flow = people.new_app, people.app, people.flow
NAMES = {TOKEN: "token", REVOKE: "revocation", INTROSPECT: "introspection"}
every_endpoint = pytest.mark.parametrize("endpoint", NAMES)


def noted(client: Client) -> list[tuple[str, str]]:
    """Return endpoint and error of what is kept, oldest first."""
    return [(row.endpoint, row.error) for row in FailedRequest.objects.filter(client=client).order_by("id")]


@every_endpoint
def test_a_failed_client_authentication_is_noted_for_the_client_it_names(
    with_secret: Caller, with_key: Caller, call: Call, endpoint: str
) -> None:
    call(endpoint, {}, basic(with_secret.client_id, "ccs_wrong"))
    call(endpoint, {"client_id": with_secret.client_id, "client_secret": "ccs_wrong"})
    call(endpoint, assertion_parameters(with_key.assertion(aud="https://elsewhere.example")))
    call(endpoint, assertion_parameters(with_key.assertion(signer=key("ES256", 1))))
    assert noted(with_secret.client) == [(NAMES[endpoint], "invalid_client")] * 2
    assert noted(with_key.client) == [(NAMES[endpoint], "invalid_client")] * 2
    texts = FailedRequest.objects.filter(client=with_key.client).order_by("id").values_list("description", flat=True)
    assert f"Expected: {settings.ISSUER}" in texts[0]
    assert texts[1] == FAILED


@every_endpoint
def test_the_note_carries_the_request_id_of_the_answer_and_nothing_of_the_request(with_secret: Caller, call: Call, endpoint: str) -> None:
    answer = call(endpoint, {"state": "a-value-of-the-request"}, basic(with_secret.client_id, "ccs_a-guessed-secret-of-many-letters"))
    row = FailedRequest.objects.get()
    assert row.request_id == answer["X-Request-ID"]
    everything = " ".join(str(value) for value in vars(row).values())
    assert "a-value-of-the-request" not in everything
    assert "guessed" not in everything


@pytest.mark.parametrize("case", ["two methods", "no form", "twice", "in the address", "wrong verb"])
def test_a_malformed_request_of_a_named_client_is_noted(with_secret: Caller, call: Call, client: Browser, case: str) -> None:
    headers = basic(with_secret.client_id, with_secret.secret)
    form = "application/x-www-form-urlencoded"
    if case == "two methods":
        call(TOKEN, {"client_id": with_secret.client_id, "client_secret": with_secret.secret}, headers)
    elif case == "no form":
        client.post(TOKEN, '{"grant_type": "client_credentials"}', content_type="application/json", headers=headers)
    elif case == "twice":
        client.post(TOKEN, "grant_type=client_credentials&grant_type=x", content_type=form, headers=headers)
    elif case == "in the address":
        client.post(f"{TOKEN}?scope=x", "grant_type=client_credentials", content_type=form, headers=headers)
    else:
        client.get(TOKEN, headers=headers)
    assert noted(with_secret.client) == [("token", "invalid_request")]


def test_a_body_that_cannot_be_read_is_answered_as_ever(with_secret: Caller, client: Browser) -> None:
    form, headers = "application/x-www-form-urlencoded", basic(with_secret.client_id, with_secret.secret)
    for body, status in (("a=1&" * 600, 400), ("a=" + "x" * 70_000, 413), ("a=" + "x" * 300_000, 413), (b"a=\xff", 400)):
        assert client.post(TOKEN, body, content_type=form, headers=headers).status_code == status
    assert client.get(AUTHORIZE, {"client_id": "\0" * 50, "redirect_uri": "\0"}).status_code == 400


def test_what_a_proven_client_may_not_do_is_noted(with_secret: Caller, call_as: Call) -> None:
    call_as(with_secret, TOKEN, grant_type="authorization_code", code="x", redirect_uri="x")
    call_as(with_secret, TOKEN, scope="bookings.read unheard.of")
    change_client(with_secret.client, "suspend", job("test"), now=with_secret.now, reason="A test.")
    call_as(with_secret, TOKEN)
    rows = FailedRequest.objects.order_by("id")
    assert [row.error for row in rows] == ["unauthorized_client", "invalid_scope", "unauthorized_client"]
    assert rows[1].description == "Not granted: …; the app did not register it."
    assert rows[2].description == "This app is suspended."


def test_scopes_that_this_server_has_are_named(with_secret: Caller, db: None) -> None:
    sentence = explain_refused_scopes(["bookings.write", "evil.example", "<b>", "bookings.read"], with_secret.client)
    assert without_unknown_scopes(sentence) == "Not granted: bookings.write … bookings.read; the app did not register it."


def test_a_good_request_leaves_no_note(with_secret: Caller, call_as: Call) -> None:
    for endpoint in NAMES:
        call_as(with_secret, endpoint)
    assert not FailedRequest.objects.exists()


@pytest.mark.threat("O05")
def test_a_refused_redirect_uri_is_kept(flow: Flow) -> None:
    refused = f"{CALLBACK}/?token=cat_{'x' * 40}"
    flow.start(redirect_uri=refused)
    row = FailedRequest.objects.get()
    assert (row.client, row.endpoint, row.error) == (flow.app.client, "authorization", "invalid_request")
    assert row.redirect_uri == f"{CALLBACK}/?token=[cut]"
    flow.push(redirect_uri="https://elsewhere.example/")
    assert FailedRequest.objects.get(endpoint="par").redirect_uri == "https://elsewhere.example/"


def test_refused_authorization_requests_are_noted_wherever_they_end(flow: Flow) -> None:
    flow.start(code_challenge=None)
    flow.start(scope="unheard.of")
    started = flow.start()
    flow.go_on(started)
    flow.browser.post(started["Location"], {"answer": "deny"})
    flow.ask(client_id="5f3c7a52-0000-4000-8000-000000000000")
    assert noted(flow.app.client) == [("authorization", code) for code in ("invalid_request", "invalid_scope", "access_denied")]
    assert FailedRequest.objects.count() == 3


def test_what_prompt_none_answers_in_the_normal_course_of_things_is_no_failure(flow: Flow) -> None:
    flow.ask(prompt="none")
    Flow(flow.app).ask(prompt="none")
    assert not FailedRequest.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_note_outlives_the_transaction_that_the_refusal_rolls_back(flow: Flow) -> None:
    code = flow.code(resource="https://api.example")
    # Found out after the code was used, inside the transaction that is then taken back.
    assert flow.exchange(code, resource="https://other.example").json()["error"] == "invalid_target"
    assert noted(flow.app.client) == [("token", "invalid_target")]
    assert flow.exchange(code).status_code == 200


@pytest.mark.threat("J19", "R15")
def test_noting_costs_the_same_for_a_client_that_does_not_exist(with_secret: Caller, call: Call) -> None:
    costs = []
    for name in (with_secret.client_id, "5f3c7a52-0000-4000-8000-000000000000"):
        with CaptureQueriesContext(connection) as queries:
            call(TOKEN, {}, basic(name, "ccs_wrong"))
        costs.append([query["sql"].split()[0] for query in queries if "registry_failedrequest" in query["sql"]])
    assert costs == [["INSERT", "DELETE"]] * 2
    assert FailedRequest.objects.count() == 1


@pytest.mark.threat("S11")
def test_a_stranger_who_knows_a_client_id_causes_few_rows(with_secret: Caller, call: Call) -> None:
    for _ in range(PER_CLIENT + 15):
        call(TOKEN, {}, basic(with_secret.client_id, "ccs_wrong"))
    assert FailedRequest.objects.count() == PER_CLIENT


@pytest.mark.django_db(transaction=True)
def test_trouble_with_a_note_is_not_the_trouble_of_the_client(with_secret: Caller, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: object, **kwargs: object) -> None:
        raise DatabaseError("the disk is full")

    monkeypatch.setattr(refusals, "note_failure", broken)
    assert call(TOKEN, {}, basic(with_secret.client_id, "ccs_wrong")).status_code == 401


def test_a_request_leaves_its_notes_to_no_other_one(with_secret: Caller, call: Call, call_as: Call) -> None:
    call(TOKEN, {}, basic(with_secret.client_id, "ccs_wrong"))
    call_as(with_secret, TOKEN)
    assert FailedRequest.objects.count() == 1
    assert refusals._waiting.refusals == []


def test_the_name_is_read_from_whatever_the_request_brings(with_key: Caller) -> None:
    pair = base64.b64encode(b"one:x").decode()
    assert refusals.named_client(f"Basic {pair}", {}) == "one"
    assert refusals.named_client(f"Basic {pair}", {"client_secret": "x"}) == "one"
    assert refusals.named_client("", {"client_id": "two", "client_assertion": "x"}) == "two"
    assert refusals.named_client("Basic !", {}) == ""
    assert refusals.named_client("", assertion_parameters(with_key.assertion())) == with_key.client_id


def test_a_pushed_request_is_noted_for_its_client(flow: Flow, client: Browser) -> None:
    client.post(PAR, parameters(flow.app), content_type="application/x-www-form-urlencoded")
    flow.push(scope="unheard.of")
    assert noted(flow.app.client)[-1] == ("par", "invalid_scope")
