"""The page that tries an app out: what it sends, what it shows, and what it leaves behind, which is nothing that can be used."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import datetime
from html import unescape
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from django.conf import settings
from django.contrib.sessions.models import Session
from django.test import Client as Browser
from django.urls import reverse

from authserver.models import AccessToken, Grant, RefreshToken
from authserver.throttling import failures
from portal.trying.addresses import add_callback
from portal.trying.dispatch import send_form
from portal.trying.started import KEPT_AT_ONCE, SESSION_KEY, callback_of
from registry.actors import job
from registry.lifecycle import change_client
from registry.models import AuditEvent, Client, ClientSecret, FailedRequest, SingleUseValue
from tests.authserver.authorization import conftest as people
from tests.authserver.authorization.support import make_app, sign_in
from tests.authserver.support import Caller, make_caller
from tests.conftest import Cast

Pages = Callable[..., str]
server_keys, standard_scopes = people.server_keys, people.standard_scopes


@pytest.fixture
def app(cast: Cast, now: datetime, standard_scopes: None, server_keys: None) -> Caller:
    """An app for people with a secret, and the test callback among its redirect URIs."""
    return with_callback(make_app(cast.organization, now, "client_secret_basic"), cast, now)


def with_callback(caller: Caller, cast: Cast, now: datetime) -> Caller:
    """Add the test callback."""
    add_callback(caller.client, cast.as_owner, now=now)
    caller.client.refresh_from_db()
    return caller


@pytest.fixture
def person_at_desk(cast: Cast) -> Browser:
    """A developer who is signed in as allauth leaves it behind."""
    browser = Browser(SERVER_NAME="127.0.0.1")
    sign_in(browser, cast.developer)
    return browser


def text_of(response: Any) -> str:
    """Return a page as its reader sees it."""
    return unescape(response.content.decode())


def build(browser: Browser, app_url: Pages, client: Client, **changes: Any) -> str:
    """Build a request on the page and return its address."""
    chosen = {"scope": ["openid", "email", "offline_access"], "prompt": "", **changes}
    response = browser.post(app_url("app_test", client), chosen)
    assert response.status_code == 200
    found = re.search(r'<a class="button primary" href="([^"]+)"', response.content.decode())
    assert found
    return unescape(found[1])


def come_back(browser: Browser, address: str) -> Any:
    """Follow the request through consent to the callback; return the page there and its address."""
    parts = urlsplit(address)
    answer = browser.get(f"{parts.path}?{parts.query}")
    assert answer.status_code == 302, answer.content
    page = browser.get(answer["Location"])
    if page.status_code == 200:
        page = browser.post(answer["Location"], {"answer": "allow"})
    assert page.status_code == 303, page.content
    back = urlsplit(page["Location"])
    return browser.get(f"{back.path}?{back.query}"), dict(parse_qsl(back.query))


def try_sign_in(browser: Browser, app_url: Pages, caller: Caller, **credential: str) -> Any:
    """Go through the whole test and return its last page."""
    _, given = come_back(browser, build(browser, app_url, caller.client))
    return browser.post(app_url("app_test_exchange", caller.client), {"state": given["state"], "code": given["code"], **credential})


def everything_ended(client: Client) -> bool:
    """Say whether no code and no token of `client` can be used any more."""
    from django.utils import timezone

    now = timezone.now()
    return not (
        AccessToken.objects.filter(application=client, expires__gt=now).exists()
        or RefreshToken.objects.filter(application=client, revoked=None).exists()
        or Grant.objects.filter(application=client, ended_at=None).exists()
    )


def test_the_page_explains_every_parameter_of_the_request(app: Caller, person_at_desk: Browser, app_url: Pages) -> None:
    response = person_at_desk.post(
        app_url("app_test", app.client), {"scope": ["openid"], "prompt": "login", "max_age": "60", "login_hint": "ada@example.org"}
    )
    text = text_of(response)
    for name in ("client_id", "redirect_uri", "scope", "state", "nonce", "code_challenge", "prompt", "max_age", "login_hint"):
        assert f">{name}</th>" in text
    assert callback_of(app.client) in text
    assert app.client_id in text


def test_code_and_pkce_run_from_end_to_end_by_secret(app: Caller, person_at_desk: Browser, app_url: Pages, cast: Cast) -> None:
    address = build(person_at_desk, app_url, app.client)
    assert dict(parse_qsl(urlsplit(address).query))["redirect_uri"] == callback_of(app.client)
    page, given = come_back(person_at_desk, address)
    assert "the one that was sent" in text_of(page)
    done = person_at_desk.post(
        app_url("app_test_exchange", app.client), {"state": given["state"], "code": given["code"], "client_secret": app.secret}
    )
    text = text_of(done)
    assert "It works" in text
    assert "HTTP 200" in text
    assert str(cast.developer.sub) in text  # in the claims of the ID token
    assert "Not so:" not in text
    assert str(cast.organization.org_id) in text
    assert "<code>test</code>" in text


@pytest.mark.threat("R05")
def test_nothing_that_the_page_shows_or_keeps_can_be_used(
    app: Caller, person_at_desk: Browser, app_url: Pages, capfd: pytest.CaptureFixture[str]
) -> None:
    done = try_sign_in(person_at_desk, app_url, app, client_secret=app.secret)
    text = text_of(done)
    assert "The tokens of this try have ended already" in text
    assert everything_ended(app.client)
    assert AccessToken.objects.filter(application=app.client).count() == 1
    assert app.secret not in text
    assert not re.search(r"(?:cat|crt|cac|ccs)_[A-Za-z0-9_-]{20,}|eyJ[A-Za-z0-9_-]{10,}\.", text)
    kept = " ".join(str(session.get_decoded()) for session in Session.objects.all())
    assert app.secret not in kept
    assert "cac_" not in kept
    assert all(app.secret not in str(vars(row)) for model in (AuditEvent, FailedRequest, ClientSecret) for row in model.objects.all())
    written = capfd.readouterr()
    assert app.secret not in written.out + written.err


@pytest.mark.parametrize("method", ["client_secret_post", "private_key_jwt", "none"])
def test_the_test_works_for_every_way_of_authentication(
    cast: Cast,
    now: datetime,
    standard_scopes: None,
    server_keys: None,
    person_at_desk: Browser,
    app_url: Pages,
    method: str,
) -> None:
    caller = with_callback(make_app(cast.organization, now, method), cast, now)
    credential = {
        "client_secret_post": {"client_secret": caller.secret},
        "private_key_jwt": {"client_assertion": caller.assertion() if caller.key else ""},
        "none": {},
    }[method]
    text = text_of(try_sign_in(person_at_desk, app_url, caller, **credential))
    assert "It works" in text
    assert everything_ended(caller.client)
    for value in credential.values():
        assert value not in text


def test_a_wrong_secret_shows_the_exact_error_and_where_to_read_about_it(app: Caller, person_at_desk: Browser, app_url: Pages) -> None:
    done = try_sign_in(person_at_desk, app_url, app, client_secret="ccs_this-is-a-wrong-secret")
    text = text_of(done)
    assert "<code>invalid_client</code>" in text
    assert "Client authentication failed" in text
    assert f'href="{reverse("docs_errors")}#invalid_client"' in text
    assert "wrong-secret" not in text
    assert everything_ended(app.client)
    row = FailedRequest.objects.get(client=app.client)
    assert (row.endpoint, row.error) == ("token", "invalid_client")
    assert row.request_id in text


def test_a_test_is_used_once(app: Caller, person_at_desk: Browser, app_url: Pages) -> None:
    _, given = come_back(person_at_desk, build(person_at_desk, app_url, app.client))
    url, data = app_url("app_test_exchange", app.client), {"state": given["state"], "code": given["code"], "client_secret": app.secret}
    session = person_at_desk.session
    before = dict(session)
    assert "It works" in text_of(person_at_desk.post(url, data))
    assert "This test is over" in text_of(person_at_desk.post(url, data, follow=True))
    # Of two posts at the same moment both still read the session as it was.
    session = person_at_desk.session
    session[SESSION_KEY] = before[SESSION_KEY]
    session.save()
    assert "This test is over" in text_of(person_at_desk.post(url, data, follow=True))
    assert SingleUseValue.objects.exists()


def test_a_forgotten_secret_loses_nothing(app: Caller, person_at_desk: Browser, app_url: Pages) -> None:
    _, given = come_back(person_at_desk, build(person_at_desk, app_url, app.client))
    url, data = app_url("app_test_exchange", app.client), {"state": given["state"], "code": given["code"]}
    assert "This field is required" in text_of(person_at_desk.post(url, {**data, "client_secret": ""}))
    assert "It works" in text_of(person_at_desk.post(url, {**data, "client_secret": app.secret}))


def test_a_code_that_is_not_the_tests_own_gets_nothing(app: Caller, person_at_desk: Browser, app_url: Pages) -> None:
    _, first = come_back(person_at_desk, build(person_at_desk, app_url, app.client))
    _, second = come_back(person_at_desk, build(person_at_desk, app_url, app.client))
    data = {"state": first["state"], "code": second["code"], "client_secret": app.secret}
    text = text_of(person_at_desk.post(app_url("app_test_exchange", app.client), data))
    assert "<code>invalid_grant</code>" in text


@pytest.mark.parametrize("query", ["", "state=x&code=cac_x&iss=y", "state=%00&code=%00", "state=x&error=access_denied", "code=a&code=b"])
def test_an_answer_that_nobody_waits_for_is_not_exchanged(app: Caller, person_at_desk: Browser, app_url: Pages, query: str) -> None:
    text = text_of(person_at_desk.get(f"{app_url('app_test_callback', app.client)}?{query}"))
    assert "No test that was started in this browser" in text
    assert 'name="code"' not in text


def test_an_answer_of_another_issuer_is_not_exchanged(app: Caller, person_at_desk: Browser, app_url: Pages) -> None:
    state = dict(parse_qsl(urlsplit(build(person_at_desk, app_url, app.client)).query))["state"]
    query = f"state={state}&code=cac_x&iss=https://elsewhere.example"
    text = text_of(person_at_desk.get(f"{app_url('app_test_callback', app.client)}?{query}"))
    assert "names another issuer" in text
    assert 'name="code"' not in text


def test_an_error_comes_back_with_its_sentence_and_what_to_do(app: Caller, person_at_desk: Browser, app_url: Pages) -> None:
    address = build(person_at_desk, app_url, app.client, prompt="none")
    page, given = None, {}
    parts = urlsplit(address)
    answer = person_at_desk.get(f"{parts.path}?{parts.query}")
    page = person_at_desk.get(answer["Location"])
    back = urlsplit(page["Location"])
    given = dict(parse_qsl(back.query))
    text = text_of(person_at_desk.get(f"{back.path}?{back.query}"))
    assert given["error"] == "consent_required"
    assert "<code>consent_required</code>" in text
    assert "#consent_required" in text
    assert "without prompt=none" in text


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post", "private_key_jwt"])
def test_client_credentials_are_tried_and_the_token_ends(
    cast: Cast, now: datetime, developer: Browser, app_url: Pages, method: str
) -> None:
    caller = make_caller(cast.organization, now, method)
    credential = {"client_assertion": caller.assertion()} if caller.key else {"client_secret": caller.secret}
    text = text_of(developer.post(app_url("app_test_token", caller.client), {"scope": ["bookings.read"], **credential}))
    assert "It works" in text
    assert "grant_type=client_credentials" in text
    assert "<code>bookings.read</code>" in text
    assert not AccessToken.objects.exists()
    assert next(iter(credential.values())) not in text


@pytest.mark.threat("R09")
def test_a_credential_of_another_app_is_refused(cast: Cast, now: datetime, developer: Browser, app_url: Pages) -> None:
    own, other = make_caller(cast.organization, now, "private_key_jwt"), make_caller(cast.organization, now, "private_key_jwt")
    text = text_of(developer.post(app_url("app_test_token", own.client), {"client_assertion": other.assertion()}))
    assert "<code>invalid_request</code>" in text
    assert "client_id differs" in text
    assert not AccessToken.objects.exists()
    assert not SingleUseValue.objects.exists()


@pytest.mark.threat("R15")
def test_wrong_secrets_count_for_the_address_they_come_from(cast: Cast, now: datetime, developer: Browser, app_url: Pages) -> None:
    caller = make_caller(cast.organization, now, "client_secret_basic")
    for _ in range(3):
        developer.post(app_url("app_test_token", caller.client), {"client_secret": "ccs_wrong"}, REMOTE_ADDR="192.0.2.77")
    assert failures.count("source", "192.0.2.77") == 4
    assert failures.count("client", caller.client_id) == 4


@pytest.mark.threat("R08")
def test_neither_session_nor_cookies_go_along(cast: Cast, now: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    from authserver.views.token import TokenView

    seen: list[Any] = []

    def answer(self: TokenView, request: Any) -> Any:
        seen.append((dict(request.COOKIES), hasattr(request, "session"), hasattr(request, "user"), request.META["REMOTE_ADDR"]))
        return original(self, request)

    original = TokenView.answer
    monkeypatch.setattr(TokenView, "answer", answer)
    reply = send_form("token", {"grant_type": "client_credentials", "client_id": "é\r\n&x=y"}, source="192.0.2.9")
    assert (reply.status, reply.members["error"]) == (401, "invalid_client")
    assert reply.headers["X-Request-ID"]
    assert seen == [({}, False, False, "192.0.2.9")]


def test_the_forms_ask_browsers_to_remember_no_secret(cast: Cast, now: datetime, developer: Browser, app_url: Pages) -> None:
    caller = make_caller(cast.organization, now, "client_secret_basic")
    html = developer.get(app_url("app_test", caller.client)).content.decode()
    found = re.search(r'<input type="password" name="client_secret"[^>]*>', html)
    assert found
    assert 'autocomplete="off"' in found[0]
    assert "value=" not in found[0]
    wrong = developer.post(app_url("app_test_token", caller.client), {"scope": ["nothing.like.it"], "client_secret": caller.secret})
    assert caller.secret not in wrong.content.decode()
    assert wrong["Cache-Control"].find("no-store") >= 0


def test_the_callback_is_added_and_taken_away_by_a_button(cast: Cast, now: datetime, developer: Browser, app_url: Pages) -> None:
    client = make_app(cast.organization, now, "client_secret_basic", scope="bookings.read", id_token_signed_response_alg=None).client
    assert "Build the request" not in text_of(developer.get(app_url("app_test", client)))
    for _ in range(2):
        text = text_of(developer.post(app_url("app_test_address", client, "add"), follow=True))
    assert "Build the request" in text
    client.refresh_from_db()
    assert client.registered_redirect_uris.count(callback_of(client)) == 1
    assert AuditEvent.objects.filter(event="client.updated").latest("id").actor_label == cast.developer.email
    developer.post(app_url("app_test_address", client, "remove"))
    client.refresh_from_db()
    assert callback_of(client) not in client.registered_redirect_uris
    assert developer.post(app_url("app_test_address", client, "explode")).status_code == 404


def test_an_app_that_registered_itself_is_told_where_to_add_the_callback(
    cast: Cast, now: datetime, developer: Browser, app_url: Pages
) -> None:
    client = make_app(cast.organization, now, "client_secret_basic", scope="bookings.read", id_token_signed_response_alg=None).client
    for source, words in (("dcr", "PUT to its registration address"), ("federation_explicit", "entity configuration")):
        Client.objects.filter(pk=client.pk).update(source=source)
        text = text_of(developer.get(app_url("app_test", client)))
        assert words in text
        assert "Add the test callback" not in text
        assert "cannot" in text or developer.post(app_url("app_test_address", client, "add")).status_code == 302
        client.refresh_from_db()
        assert callback_of(client) not in client.registered_redirect_uris


@pytest.mark.parametrize("stage", ["live", "closed"])
def test_a_live_or_closed_app_is_not_tried(app: Caller, person_at_desk: Browser, app_url: Pages, now: datetime, stage: str) -> None:
    address = build(person_at_desk, app_url, app.client)
    page, given = come_back(person_at_desk, address)
    assert page.status_code == 200
    if stage == "live":
        Client.objects.filter(pk=app.client.pk).update(stage="live")
    else:
        change_client(app.client, "close", job("test"), now=now)
    text = text_of(person_at_desk.get(app_url("app_test", app.client)))
    assert ("This app is live" if stage == "live" else "closed for good") in text
    assert "Build the request" not in text_of(person_at_desk.post(app_url("app_test", app.client), {"scope": ["openid"]}))
    data = {"state": given["state"], "code": given["code"], "client_secret": app.secret}
    person_at_desk.post(app_url("app_test_exchange", app.client), data)
    person_at_desk.post(app_url("app_test_token", app.client), {"client_secret": app.secret})
    assert not AccessToken.objects.exists()


def test_few_tests_are_kept_and_not_for_long(app: Caller, person_at_desk: Browser, app_url: Pages) -> None:
    states = [dict(parse_qsl(urlsplit(build(person_at_desk, app_url, app.client)).query))["state"] for _ in range(KEPT_AT_ONCE + 2)]
    kept = person_at_desk.session[SESSION_KEY]
    assert [entry["state"] for entry in kept] == states[2:]
    session = person_at_desk.session
    session[SESSION_KEY] = [{**entry, "started_at": int(time.time()) - 86_400} for entry in kept]
    session.save()
    query = f"state={states[-1]}&code=cac_x&iss={settings.ISSUER}"
    assert "No test that was started" in text_of(person_at_desk.get(f"{app_url('app_test_callback', app.client)}?{query}"))


def test_the_test_of_one_app_is_not_that_of_another(
    app: Caller, cast: Cast, now: datetime, person_at_desk: Browser, app_url: Pages
) -> None:
    other = with_callback(make_app(cast.organization, now, "client_secret_basic"), cast, now)
    _, given = come_back(person_at_desk, build(person_at_desk, app_url, app.client))
    data = {"state": given["state"], "code": given["code"], "client_secret": other.secret}
    assert "This test is over" in text_of(person_at_desk.post(app_url("app_test_exchange", other.client), data, follow=True))


HOSTILE = ("\0", "x" * 20_000, "\ud7ff\u202e", "-1", "[]", "<script>", "1e9")


@pytest.mark.parametrize("value", HOSTILE)
def test_bad_input_is_a_page_and_no_error(app: Caller, person_at_desk: Browser, app_url: Pages, value: str) -> None:
    names = ("scope", "prompt", "max_age", "login_hint", "state", "code", "client_secret", "client_assertion")
    for page in ("app_test", "app_test_exchange", "app_test_token"):
        assert person_at_desk.post(app_url(page, app.client), dict.fromkeys(names, value)).status_code in (200, 302), page


def test_the_claims_to_sign_stand_on_the_page(cast: Cast, now: datetime, developer: Browser, app_url: Pages) -> None:
    caller = make_caller(cast.organization, now, "private_key_jwt")
    text = text_of(developer.get(app_url("app_test", caller.client)))
    for member in (f'"iss": "{caller.client_id}"', f'"sub": "{caller.client_id}"', f'"aud": "{settings.ISSUER}"', '"jti":', '"exp":'):
        assert member in text


def test_only_who_may_edit_sees_the_tab(app: Caller, viewer: Browser, person_at_desk: Browser, app_url: Pages) -> None:
    link = f'href="{app_url("app_test", app.client)}"'
    assert link not in viewer.get(app_url("app", app.client)).content.decode()
    assert link in person_at_desk.get(app_url("app", app.client)).content.decode()
