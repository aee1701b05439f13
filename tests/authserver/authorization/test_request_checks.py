"""What the authorization endpoint refuses, and whom it tells: nothing leaves before client and redirect URI are proven (O05, BCP-01)."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from django.test import Client as Browser

from authserver.authorization.differences import nearest, show_difference
from authserver.models import AuthorizationRequest
from authserver.throttling import note_sign_in, sign_ins
from protocol.errors import TooManyRequests
from registry.models import Client, Entitlement, Scope
from tests.authserver.authorization.support import (
    AUTHORIZE,
    CALLBACK,
    CHALLENGE,
    GOODBYE,
    LOGOUT,
    Flow,
    page,
    parameters,
    request_object,
    said,
)
from tests.authserver.support import FORM, Caller

# Every refusal that an app may hear, by what is changed in a good request.
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "no response_type": ({"response_type": None}, "invalid_request"),
    "response_type token": ({"response_type": "token"}, "unsupported_response_type"),
    "response_type id_token": ({"response_type": "id_token"}, "unsupported_response_type"),
    "response_type code id_token": ({"response_type": "code id_token"}, "unsupported_response_type"),
    "response_type none": ({"response_type": "none"}, "unsupported_response_type"),
    "response_mode fragment": ({"response_mode": "fragment"}, "invalid_request"),
    "response_mode jwt": ({"response_mode": "query.jwt"}, "invalid_request"),
    "no scope": ({"scope": None}, "invalid_scope"),
    "unknown scope": ({"scope": "openid everything"}, "invalid_scope"),
    "scope of another app": ({"scope": "openid bookings.write"}, "invalid_scope"),
    "two spaces": ({"scope": "openid  profile"}, "invalid_scope"),
    "no challenge": ({"code_challenge": None}, "invalid_request"),
    "plain by name": ({"code_challenge_method": "plain"}, "invalid_request"),
    "plain by default": ({"code_challenge_method": None}, "invalid_request"),
    "method in lower case": ({"code_challenge_method": "s256"}, "invalid_request"),
    "short challenge": ({"code_challenge": CHALLENGE[:-1]}, "invalid_request"),
    "padded challenge": ({"code_challenge": CHALLENGE + "="}, "invalid_request"),
    "long nonce": ({"nonce": "n" * 256}, "invalid_request"),
    "unknown prompt": ({"prompt": "select_account"}, "invalid_request"),
    "none and login": ({"prompt": "none login"}, "invalid_request"),
    "negative max_age": ({"max_age": "-1"}, "invalid_request"),
    "fraction of max_age": ({"max_age": "1.5"}, "invalid_request"),
    "other digits": ({"max_age": "١"}, "invalid_request"),
    "claims that are no JSON": ({"claims": "{"}, "invalid_request"),
    "claims that are a list": ({"claims": "[]"}, "invalid_request"),
    "claims that hold a text": ({"claims": '{"id_token":"all"}'}, "invalid_request"),
    "claims that hold U+0000": ({"claims": '{"id_token":{"\\u0000":null}}'}, "invalid_request"),
    "deep claims": ({"claims": '{"a":' * 500 + "1" + "}" * 500}, "invalid_request"),
    "large claims": ({"claims": '{"a":"' + "x" * 9000 + '"}'}, "invalid_request"),
    "long state": ({"state": "s" * 2049}, "invalid_request"),
    "garbage as hint": ({"id_token_hint": "a.b.c"}, "invalid_request"),
}
UNKNOWN_URIS = (
    "https://evil.example/cb",
    "https://app.lighthouse.example.evil.example/cb",
    CALLBACK + "/",
    GOODBYE,
    "javascript:alert(1)",
    "",
)


@pytest.mark.spec("ISSP-01", "BCP-02", "BCP-03")
@pytest.mark.threat("O02", "O08")
@pytest.mark.parametrize("mode", ["query", "form_post"])
def test_a_refusal_is_told_to_the_app_with_state_and_issuer(flow: Flow, settings: Any, mode: str) -> None:
    for case, (changes, code) in REFUSED.items():
        answer = flow.start(**{"response_mode": mode, **changes})
        members = said(answer)
        assert (members["error"], members["iss"]) == (code, settings.ISSUER), (case, members)
        assert members["state"] == changes.get("state", "state-1"), case
        assert set(members) == {"error", "error_description", "iss", "state"}, case
        assert answer["Cache-Control"] == "no-store", case
    assert not AuthorizationRequest.objects.exists()


@pytest.mark.spec("BCP-01")
@pytest.mark.threat("O05")
@pytest.mark.parametrize("uri", UNKNOWN_URIS)
def test_no_refusal_is_sent_to_an_address_that_is_not_proven(flow: Flow, uri: str) -> None:
    for changes in ({}, *(changes for changes, _ in REFUSED.values())):
        for mode in ("query", "form_post"):
            answer = flow.start(**{"response_mode": mode, **changes}, redirect_uri=uri or None)
            assert "invalid_request" in page(answer), changes
            assert answer["X-Request-ID"] in answer.content.decode()


@pytest.mark.threat("O05")
@pytest.mark.parametrize("prompt", [None, "none", "login", "consent"])
@pytest.mark.parametrize("client_id", ["unknown", "https://unknown.example", None, "x" * 3000, "ü", "%00"])
def test_an_unknown_app_leads_nowhere(flow: Flow, client_id: str | None, prompt: str | None) -> None:
    page(flow.start(client_id=client_id, prompt=prompt), 400 if client_id is None else 401)


@pytest.mark.threat("O05")
def test_a_closed_app_leads_nowhere(flow: Flow) -> None:
    Client.objects.filter(pk=flow.app.client.pk).update(state=Client.State.CLOSED)
    page(flow.start(), 401)


def test_a_developer_sees_what_was_received_against_what_is_registered(flow: Flow) -> None:
    answer = flow.start(redirect_uri="https://app.lighthouse.example/callback")
    text = page(answer)
    assert "https://app.lighthouse.example/callback" in text
    assert "https://app.lighthouse.example/cb" in text
    assert "<del>" in text
    assert answer["X-Request-ID"] in text
    assert answer["Cache-Control"] == "no-store"
    for secret in (
        "secret",
        flow.browser.cookies["session"].value,
        "nonce-1",
        CHALLENGE,
        "state-1",
        str(flow.app.client.organization.org_id),
    ):
        assert secret not in text, secret


@pytest.mark.threat("O05")
def test_the_difference_is_shown_by_character_at_little_cost(flow: Flow) -> None:
    def pieces(one: str, other: str) -> list[tuple[str, str]]:
        return [(piece.kind, piece.text) for piece in show_difference(one, other)]

    assert pieces("https://a/cb/", "https://a/cb") == [("same", "https://a/cb"), ("received", "/")]
    assert pieces("https://a/x/cb", "https://a/y/cb") == [("same", "https://a/"), ("received", "x"), ("registered", "y"), ("same", "/cb")]
    assert pieces("https://a/Callback/", "https://a/callback") == [
        *(("same", "https://a/"), ("received", "C"), ("registered", "c"), ("same", "allback"), ("received", "/")),
    ]
    assert pieces("x" * 70, "y" * 70) == [("received", "x" * 70), ("registered", "y" * 70)]
    assert pieces("aa", "aaa") == [("same", "aa"), ("registered", "a")]
    assert pieces("", "a") == [("registered", "a")]
    assert nearest("https://a/x", ["https://b/y", "https://a/y/z", "com.x:/"]) == "https://a/y/z"
    assert nearest("", ["https://a/"]) is None
    assert nearest("https://a/", []) is None
    long = "https://app.lighthouse.example/" + "ab" * 300
    started = time.process_time()
    for received in ["a" * 500, long[:-30] + "ba" * 31] * 50:
        show_difference(received, nearest(received, [long] * 20) or "")
    assert time.process_time() - started < 1  # difflib took more than a second for each


def test_the_page_writes_hostile_addresses_out(flow: Flow) -> None:
    text = page(flow.start(redirect_uri='https://evil.example/"><script>alert(1)</script>'))
    assert "<script>alert" not in text
    assert "&lt;script&gt;" in text


@pytest.mark.spec("BCP-08", "BCP-11")
@pytest.mark.threat("O13")
def test_every_page_of_the_flow_keeps_frames_and_referrers_out(flow: Flow) -> None:
    started = flow.start()
    answers = {
        "consent": flow.go_on(started),
        "error page": flow.start(client_id="unknown"),
        "form_post": flow.start(response_mode="form_post", scope=None),
        "error": flow.start(scope=None),
        "answer": flow.allow(started),
    }
    for name, answer in answers.items():
        assert answer["X-Frame-Options"] == "DENY", name
        assert "frame-ancestors 'none'" in answer["Content-Security-Policy"], name
        assert answer["Referrer-Policy"] in ("no-referrer", "same-origin"), name
        assert "no-store" in answer["Cache-Control"], name
    # Pages with a form of our own keep same-origin: under no-referrer their POST would carry Origin: null, which the CSRF check refuses.
    assert {answers[name]["Referrer-Policy"] for name in ("form_post", "error", "answer")} == {"no-referrer"}


@pytest.mark.spec("BCP-11")
def test_pages_on_the_way_back_may_be_followed_by_redirects_and_are_strict_otherwise(flow: Flow) -> None:
    for answer in (flow.ask(), flow.start(response_mode="form_post", scope=None), flow.browser.get(LOGOUT)):
        directives = dict(part.strip().partition(" ")[::2] for part in answer["Content-Security-Policy"].split(";"))
        assert "form-action" not in directives  # docs/decisions/0014-no-form-action-on-the-way-back.md
        assert directives["default-src"] == directives["frame-ancestors"] == directives["base-uri"] == "'none'"
        assert directives["script-src"] == "'self'"


def near_misses(uri: str) -> list[str]:
    """Return addresses that are nearly `uri`: one character less, more, other or twice, and the classics."""
    generator = random.Random(uri)  # noqa: S311 - the same corpus each time
    scheme, _, rest = uri.partition("://")
    host, _, path = rest.partition("/")
    classics = [
        uri.upper(), f"{scheme.upper()}://{rest}", f"{scheme}://{host.upper()}/{path}", uri + "/", uri + "?", uri + "#", uri + "?a=b",
        uri + "#a", uri + "%20", uri + " ", " " + uri, uri + "\t", uri + "\n", uri + "\r\nLocation: https://evil.example", uri + "%00",
        uri + "/../cb", uri + "/..;/", uri + ";a=b", uri + "//", uri.replace("/cb", "//cb"), uri.replace("/cb", "/%63b"),
        uri.replace("/cb", "/./cb"), uri.replace("/cb", "\\cb"), f"{scheme}://{host}.evil.example/{path}", f"{scheme}://evil.example/{path}",
        f"{scheme}://{host}@evil.example/{path}", f"{scheme}://evil.example@{host}/{path}", f"{scheme}://a:b@{host}/{path}",
        f"{scheme}://{host}:443/{path}", f"{scheme}://{host}:/{path}", f"{scheme}://{host}:8443/{path}", f"{scheme}://www.{host}/{path}",
        f"{scheme}://{host}./{path}", f"http://{host}/{path}", f"//{host}/{path}", f"{scheme}:/{host}/{path}", f"{scheme}:{rest}",
        f"https://{host}\\@evil.example/{path}", f"https://evil.example/{uri}", uri + " https://evil.example/cb", uri + "*", "*", "https://*",
        f"{scheme}://{host}", f"{scheme}://{host}/", uri.replace(".", "."), uri.replace("/", "／"), quote(uri, safe=""), "null",
        "about:blank",
        uri.replace("example", "exаmple"), "data:text/html,x", "urn:ietf:wg:oauth:2.0:oob",
    ]  # fmt: skip
    while len(classics) < 110:
        place = generator.randrange(len(uri))
        letter = generator.choice("abcxyz019-._~/@:%")
        classics.append(
            generator.choice([uri[:place] + uri[place + 1 :], uri[:place] + letter + uri[place:], uri[:place] + letter + uri[place + 1 :]])
        )
    return [value for value in classics if value != uri]


@pytest.mark.spec("BCP-01")
@pytest.mark.threat("O03", "O05")
@pytest.mark.parametrize("uri", [CALLBACK, "https://app.lighthouse.example:8443/a%2Fb?tenant=1", "https://App.lighthouse.example/"])
def test_a_redirect_uri_is_accepted_exactly_when_it_is_equal(new_app: Callable[..., Caller], uri: str) -> None:
    app = new_app(redirect_uris=[uri], post_logout_redirect_uris=None)
    misses = near_misses(uri)
    assert len(misses) >= 100
    for value in misses:
        page(Flow(app).start(redirect_uri=value))
    assert Flow(app).start(redirect_uri=uri).status_code == 302


@pytest.mark.spec("BCP-01")
@pytest.mark.threat("O03")
def test_only_the_port_of_a_native_apps_loopback_address_may_differ(new_app: Callable[..., Caller]) -> None:
    loopback = "http://127.0.0.1/cb"
    private = "com.example.app:/cb"
    native = new_app("none", application_type="native", redirect_uris=[loopback, private], post_logout_redirect_uris=None)
    for uri in (loopback, "http://127.0.0.1:1/cb", "http://127.0.0.1:65535/cb", private):
        assert Flow(native).start(redirect_uri=uri).status_code == 302, uri
    refused = (
        "http://127.0.0.1:0/cb", "http://127.0.0.1:65536/cb", "http://127.0.0.1:08/cb", "http://127.0.0.1:80a/cb", "http://127.0.0.1:/cb",
        "http://127.0.0.1:1@evil.example/cb", "http://127.0.0.1:1/cb/", "http://127.0.0.1:1/cb?x", "http://localhost:1/cb", "http://127.1:1/cb",
        "http://127.0.0.1.evil.example:1/cb", "https://127.0.0.1:1/cb", "http://[::1]:1/cb", "http://127.0.0.1:1/cb#x", "http://127.0.0.2:1/cb",
        "com.example.app:/cb2", "com.example.app://cb", "COM.example.app:/cb", "com.example.app:/CB", "com.example.evil:/cb",
    )  # fmt: skip
    for uri in refused:
        page(Flow(native).start(redirect_uri=uri))
    web = new_app(redirect_uris=[loopback], post_logout_redirect_uris=None)  # allowed in the test stage, but exactly
    assert Flow(web).start(redirect_uri=loopback).status_code == 302
    page(Flow(web).start(redirect_uri="http://127.0.0.1:1/cb"))


@pytest.mark.spec("BCP-01")
def test_an_answer_keeps_the_query_of_the_registered_address(new_app: Callable[..., Caller]) -> None:
    app = new_app(redirect_uris=[CALLBACK + "?tenant=1"], post_logout_redirect_uris=None)
    assert said(Flow(app).start(redirect_uri=CALLBACK + "?tenant=1", scope=None))["tenant"] == "1"


def test_a_request_may_be_posted_from_anywhere_without_cookie_or_token(flow: Flow) -> None:
    foreign = Browser(SERVER_NAME="127.0.0.1", enforce_csrf_checks=True)
    body = urlencode(parameters(flow.app))
    answer = foreign.post(AUTHORIZE, body, content_type=FORM, headers={"Origin": "https://app.lighthouse.example"})
    assert answer.status_code == 302
    assert answer["Location"].startswith("/oauth/interaction/")
    assert not answer.cookies


@pytest.mark.parametrize("content_type", ["application/json", "multipart/form-data; boundary=x", "text/plain", ""])
def test_a_request_is_posted_as_a_form_or_not_at_all(flow: Flow, content_type: str) -> None:
    page(flow.browser.post(AUTHORIZE, urlencode(parameters(flow.app)), content_type=content_type), 415)


def test_a_request_is_read_from_the_body_or_from_the_query_never_from_both(flow: Flow) -> None:
    query = urlencode({"redirect_uri": CALLBACK})
    page(flow.browser.post(f"{AUTHORIZE}?{query}", urlencode(parameters(flow.app, redirect_uri=None)), content_type=FORM))


@pytest.mark.parametrize("method", ["put", "delete", "patch", "options", "head"])
def test_other_methods_are_refused_without_an_answer_to_the_app(flow: Flow, method: str) -> None:
    started = flow.start()
    for url in (f"{AUTHORIZE}?{urlencode(parameters(flow.app))}", started["Location"]):
        answer = getattr(flow.browser, method)(url)
        assert answer.status_code == 405, url
        assert "Location" not in answer
    assert flow.go_on(started).status_code == 200


@pytest.mark.parametrize("name", ["client_id", "redirect_uri", "scope", "state", "request", "request_uri", "prompt", "anything"])
@pytest.mark.parametrize("method", ["get", "post"])
def test_a_parameter_that_comes_twice_is_refused_on_a_page(flow: Flow, name: str, method: str) -> None:
    good = parameters(flow.app)
    query = urlencode([*good.items(), (name, good.get(name, "x")), (name, "https://evil.example")])
    answer = flow.browser.get(f"{AUTHORIZE}?{query}") if method == "get" else flow.browser.post(AUTHORIZE, query, content_type=FORM)
    assert "more than once" in page(answer)


def test_unknown_parameters_are_ignored_and_empty_ones_are_none(flow: Flow) -> None:
    assert flow.start(unknown="x", display="touch", ui_locales="de en", max_age="", prompt="", claims="").status_code == 302
    assert said(flow.start(scope=""))["error"] == "invalid_scope"


HOSTILE = [
    "%00", "a%00b", "%ed%a0%80", "%ff", "%", "%zz", "%u0041", "%0d%0aLocation:%20https://evil.example", "%e2%80%ae", "x" * 100_000,
    "%5B" * 5000,
    "{}" * 2000, "'", '"', "%3Cscript%3E", "%F0%9F%98%80", "../../etc/passwd", "1e999", "NaN", "true", "+", "%2B", "9" * 5000,
]  # fmt: skip
PARAMETERS = (
    "client_id", "redirect_uri", "response_type", "response_mode", "scope", "state", "nonce", "prompt", "max_age", "login_hint",
    "id_token_hint", "acr_values", "claims", "code_challenge", "code_challenge_method", "request", "request_uri", "x",
)  # fmt: skip


@pytest.mark.parametrize("name", PARAMETERS)
def test_hostile_values_are_answered_and_never_break_the_server(flow: Flow, name: str) -> None:
    flow.browser.raise_request_exception = False
    for value in HOSTILE:
        rest = urlencode({other: text for other, text in parameters(flow.app).items() if other != name})
        for answer in (
            flow.browser.get(f"{AUTHORIZE}?{rest}&{name}={value}"),
            flow.browser.post(AUTHORIZE, f"{rest}&{name}={value}", content_type=FORM),
        ):
            assert answer.status_code < 500, (name, value[:50])
            assert answer.headers.get("Location", CALLBACK).startswith((CALLBACK, "/oauth/interaction/")), (name, value[:50])
            if answer.status_code == 302:
                followed = flow.go_on(answer)
                assert followed.status_code in (200, 302, 303), (name, value[:50])


def test_state_comes_back_as_it_was_sent(flow: Flow) -> None:
    for state in ("a b&c=d", "ü😀", "%25", "\"'<>", "a+b", "x" * 2048, "\u202e"):
        assert said(flow.start(state=state, scope=None))["state"] == state
    assert "state" not in said(flow.start(state=None, scope=None))


@pytest.mark.spec("JAR-08", "JAR-04")
@pytest.mark.threat("F02", "F14")
def test_a_request_uri_of_the_app_is_never_fetched(flow: Flow, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a name was resolved")

    monkeypatch.setattr("socket.getaddrinfo", refuse)
    variants = (
        "https://app.lighthouse.example/request.jwt", "http://127.0.0.1:1/", "https://169.254.169.254/latest", "//evil.example", "file:///etc/passwd",
        "HTTPS://evil.example/", "urn:ietf:params:oauth:request_ur", "data:,x", "https://[::1]/", "gopher://x", " https://evil.example",
        "urn:x",
        "https://evil.example/#urn:ietf:params:oauth:request_uri:", "x", "https://2130706433/", "https://evil.example:22/", "ftp://evil.example",
        "URN:IETF:PARAMS:OAUTH:REQUEST_URI:par_x", "javascript:alert(1)", "https://user@evil.example/",
    )  # fmt: skip
    for request_uri in variants:
        for client_id in (flow.app.client_id, "unknown", "https://unknown.example"):
            assert "request_uri_not_supported" in page(flow.start(request_uri=request_uri, client_id=client_id)), request_uri


@pytest.mark.threat("F14")
def test_an_unsigned_or_unknown_request_causes_no_fetch(new_app: Callable[..., Caller]) -> None:
    app = new_app(jwks=None, jwks_uri="https://app.lighthouse.example/jwks.json")
    flow = Flow(app)
    assert flow.start().status_code == 302  # NoFetch fails the test on any fetch
    page(flow.start(client_id="https://unknown.example/"), 401)
    for claims in ({"aud": "https://other.example"}, {"exp": 1, "iat": 1}, {"sub": "x"}, {"iss": "someone"}):
        page(flow.start(request=request_object(app, **claims)))
    page(flow.start(request="eyJhbGciOiJub25lIn0.e30."))


@pytest.mark.threat("R15", "S11")
def test_behind_a_proxy_each_visitor_is_counted_alone(flow: Flow, monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    settings.TRUSTED_PROXY = True
    monkeypatch.setattr("authserver.throttling.SIGN_INS_PER_SOURCE", 1)
    sign_ins.forget()

    def status(address: str) -> int:
        return int(flow.browser.get(AUTHORIZE, parameters(flow.app), headers={"X-Forwarded-For": f"203.0.113.9, {address}"}).status_code)

    assert [status(address) for address in ("192.0.2.1", "192.0.2.1", "192.0.2.2", "no address")] == [302, 429, 302, 302]
    settings.TRUSTED_PROXY = False
    assert status("192.0.2.3") == 429  # which anybody can claim
    sign_ins.forget()


def test_a_refusal_is_in_the_log_with_its_detail(flow: Flow, caplog: pytest.LogCaptureFixture) -> None:
    token = request_object(flow.app)
    flow.start(request=token)
    page(flow.start(request=token))
    flow.start(response_type="token")
    logged = [record.msg for record in caplog.records if isinstance(record.msg, dict)]
    assert [(event["error"], event["detail"]) for event in logged] == [
        ("invalid_request_object", "replayed"),
        ("unsupported_response_type", ""),
    ]
    assert all(event["request_id"] for event in logged)


@pytest.mark.threat("S11")
def test_of_ipv6_the_network_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("authserver.throttling.SIGN_INS_PER_SOURCE", 2)
    for address in ("2001:db8::1", "2001:db8::ffff:2", "2001:db8:0:1::1", "192.0.2.1", "::ffff:192.0.2.7", "fe80::1%eth0", ""):
        note_sign_in(address)
    with pytest.raises(TooManyRequests):
        note_sign_in("2001:db8::3")


@pytest.mark.threat("S11")
def test_nobody_fills_the_table_of_requests_from_one_address(flow: Flow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("authserver.throttling.SIGN_INS_PER_SOURCE", 3)
    sign_ins.forget()
    ask = lambda address, **changes: flow.browser.get(AUTHORIZE, parameters(flow.app, **changes), REMOTE_ADDR=address)  # noqa: E731
    assert [ask("192.0.2.1").status_code for _ in range(3)] == [302] * 3
    refused = ask("192.0.2.1")
    assert "wait a minute" in page(refused, 429)
    assert refused["Retry-After"] == "60"
    assert AuthorizationRequest.objects.count() == 3
    assert ask("192.0.2.2").status_code == 302
    sign_ins.forget()


def test_a_refused_scope_is_named_with_the_reason(flow: Flow) -> None:
    assert said(flow.start(scope="openid nothing.such"))["error_description"] == "Not granted: nothing.such; the app did not register it."
    Entitlement.objects.filter(value="bookings.read").delete()
    Scope.objects.filter(name="bookings.read").update(is_sensitive=True)
    said_so = said(flow.start(scope="openid bookings.read"))["error_description"]
    assert said_so == "Not granted: bookings.read; it waits for approval."
