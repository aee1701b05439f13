"""The endpoints as such: media types, strict JSON, limits, methods, cookies, other origins, throttles (DCR-HTTP-*)."""

from __future__ import annotations

import io
import json
from datetime import datetime
from typing import Any
from wsgiref.util import setup_testing_defaults

import pytest
from django.core.signals import request_started
from django.db import close_old_connections
from django.test import Client as Browser

from dcr import throttling
from dcr.models import RegistrationAccessToken
from portal.wsgi import application
from protocol.constants import REGISTRATION_BODY_LIMIT
from registry.models import Client
from tests.authserver.support import key, outcome
from tests.conftest import Cast
from tests.dcr.support import MACHINE, WEBSITE, Machine, as_update, client_of, make_token, place_of, row_counts

pytestmark = pytest.mark.django_db
REFUSED, NOT_JSON = "400 invalid_client_metadata", "415 invalid_request"


def through_wsgi(
    machine: Machine, body: bytes, *, method: str = "POST", path: str = "/register", **environment: str
) -> tuple[str, dict[str, Any]]:
    """Send a request as gunicorn hands it on; return the status and what was answered."""
    environ: dict[str, Any] = {"REQUEST_METHOD": method, "PATH_INFO": path, "CONTENT_TYPE": "application/json"}
    environ |= {"CONTENT_LENGTH": str(len(body)), "wsgi.input": io.BytesIO(body), "HTTP_HOST": "127.0.0.1"}
    environ |= {"HTTP_AUTHORIZATION": f"Bearer {machine.token}", **environment}
    setup_testing_defaults(environ)
    said: list[str] = []
    request_started.disconnect(close_old_connections)  # as Django's test client does: this connection is the test's
    try:
        content = b"".join(application(environ, lambda status, headers, *_: said.append(status)))
    finally:
        request_started.connect(close_old_connections)
    return said[0][:3], json.loads(content)


# Media types


@pytest.mark.spec("DCR-HTTP-02")
@pytest.mark.parametrize(
    "media_type",
    [
        *("application/json", "Application/JSON", "application/json;charset=utf-8", "application/json; charset=UTF-8"),
        *('application/json; charset="utf-8"', "application/json; x=y", "application/json;", "application/json ; charset=us-ascii"),
    ],
)
def test_json_is_read_whatever_its_harmless_parameters(machine: Machine, media_type: str) -> None:
    assert machine.send("POST", "/register", MACHINE, token=machine.token, content_type=media_type).status_code == 201
    assert through_wsgi(machine, json.dumps(MACHINE).encode(), CONTENT_TYPE=media_type)[0] == "201"


@pytest.mark.spec("DCR-HTTP-02", "DCR-HTTP-03")
@pytest.mark.parametrize("charset", ["latin-1", "iso-8859-1", "utf-16", "utf-7", "rot13", "idna", "hex", "nothing", ""])
def test_json_in_another_character_set_is_refused(machine: Machine, charset: str) -> None:
    media_type = f"application/json; charset={charset}"
    assert outcome(machine.send("POST", "/register", MACHINE, token=machine.token, content_type=media_type)) == NOT_JSON
    status, told = through_wsgi(machine, json.dumps(MACHINE).encode(), CONTENT_TYPE=media_type)
    assert (status, told["error"]) == ("415", "invalid_request")
    assert not Client.objects.exists()


@pytest.mark.spec("DCR-HTTP-03")
@pytest.mark.parametrize(
    "media_type",
    [
        *("", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/jwt", "text/json"),
        *("application/jsonx", "application/merge-patch+json", "application/json, text/plain", "*/*", "json", ";application/json"),
    ],
)
def test_other_media_types_are_refused(machine: Machine, media_type: str) -> None:
    body = json.dumps(MACHINE).encode()
    assert outcome(machine.send("POST", "/register", body, token=machine.token, content_type=media_type)) == NOT_JSON
    status, told = through_wsgi(machine, body, CONTENT_TYPE=media_type)
    assert (status, told["error"]) == ("415", "invalid_request")
    assert not Client.objects.exists()


@pytest.mark.spec("DCR-HTTP-03")
def test_an_update_in_another_media_type_is_refused(machine: Machine) -> None:
    told = machine.registered()
    body = json.dumps(as_update(told)).encode()
    for media_type in ("text/plain", "", "application/json; charset=utf-16"):
        answer = machine.send("PUT", place_of(told), body, token=told["registration_access_token"], content_type=media_type)
        assert outcome(answer) == NOT_JSON, media_type


# Strict JSON

NAMED = b'{"grant_types":["client_credentials"],"client_name":"%s"}'
CORPUS = {
    "nothing": b"",
    "nothing but space": b"   ",
    "no JSON": b"client_name=x",
    "an array": b"[]",
    "an array of objects": b"[{}]",
    "a text": b'"x"',
    "a number": b"1",
    "null": b"null",
    "true": b"true",
    "half an object": b'{"client_name":',
    "something after it": b"{} {}",
    "a comma too many": b'{"client_name":"x",}',
    "a comment": b'{"client_name":"x"/* why */}',
    "single quotes": b"{'client_name':'x'}",
    "a name twice": b'{"client_name":"x","client_name":"x"}',
    "a name twice, escaped once": b'{"client_name":"x","client\\u005fname":"y"}',
    "a name twice deep inside": b'{"jwks":{"keys":[{"kty":"EC","kty":"RSA"}]}}',
    "NaN": b'{"default_max_age":NaN}',
    "Infinity": b'{"default_max_age":Infinity}',
    "minus Infinity": b'{"x":-Infinity}',
    "a number without end": b'{"default_max_age":1e999}',
    "a number of five thousand digits": b'{"default_max_age":' + b"9" * 5000 + b"}",
    "a lone surrogate": NAMED % rb"\ud800",
    "a lone low surrogate": NAMED % rb"\udc00x",
    "a lone surrogate in a name": b'{"\\ud800":1}',
    "a raw surrogate": NAMED % b"\xed\xa0\x80",
    "NUL": NAMED % rb"a\u0000b",
    "NUL in a name": b'{"a\\u0000":1}',
    "raw NUL": NAMED % b"a\0b",
    "a raw line break": NAMED % b"a\nb",
    "bytes that are no UTF-8": NAMED % b"\xff\xfe",
    "overlong UTF-8": NAMED % b"\xc0\xaf",
    "UTF-16": '{"client_name":"x"}'.encode("utf-16"),
    "UTF-32": '{"client_name":"x"}'.encode("utf-32"),
    "a byte order mark": b"\xef\xbb\xbf{}",
    "seventeen levels": b'{"x":' * 16 + b"{}" + b"}" * 16,
    "thirty thousand levels of arrays": b'{"x":' + b"[" * 30_000 + b"]" * 30_000 + b"}",
    "ten thousand levels without end": b'{"x":' * 10_000,
    "257 members": json.dumps({f"member{number}": 1 for number in range(257)}).encode(),
    "a long text": json.dumps({"client_uri": "https://a.example/" + "x" * 2048}).encode(),
    "a long text under an unknown name": json.dumps({"x": "x" * 2049}).encode(),
    "a long text deep inside": json.dumps({"x": [{"y": "x" * 2049}]}).encode(),
    "a long name": json.dumps({"x" * 2049: 1}).encode(),
    "a long name deep inside": json.dumps({"x": {"x" * 2049: 1}}).encode(),
}


@pytest.mark.spec("DCR-HTTP-03", "DCR-HTTP-04", "DCR-HTTP-05")
@pytest.mark.threat("J06", "J10", "R17")
@pytest.mark.parametrize("name", CORPUS)
def test_what_is_no_plain_json_object_is_refused(machine: Machine, name: str) -> None:
    told = machine.registered()
    before = row_counts()
    answer = machine.register(CORPUS[name])
    assert outcome(answer) == REFUSED, answer.content
    assert answer["Cache-Control"] == "no-store"
    answer = machine.send("PUT", place_of(told), CORPUS[name], token=told["registration_access_token"])
    assert outcome(answer) == REFUSED, answer.content
    after = row_counts()
    assert after.pop("dcr_refusedregistration") == before.pop("dcr_refusedregistration") + 1  # of the POST, for the owners
    assert after == before


@pytest.mark.spec("DCR-HTTP-05")
def test_what_is_just_within_the_limits_is_read(machine: Machine) -> None:
    deep: Any = 1
    for _ in range(15):
        deep = {"x": deep}
    members = {f"member{number}": 1 for number in range(254 - len(MACHINE))}
    machine.registered({**MACHINE, **members, "deep": deep, "long": "x" * 2048})
    certificate = "A" * 3000  # keys and statements may be longer than any other text
    assert (
        "longer than" not in machine.register({**MACHINE, "jwks": {"keys": [{"kty": "x", "x": certificate}]}}).json()["error_description"]
    )
    assert outcome(machine.register({**MACHINE, "software_statement": certificate})) == "400 invalid_software_statement"


@pytest.mark.spec("DCR-HTTP-05")
def test_lists_have_their_limits(machine: Machine) -> None:
    fifty = [f"https://lighthouse.example/{number}" for number in range(50)]
    assert "allowed here" in machine.register(WEBSITE, redirect_uris=fifty).json()["error_description"]  # read, and refused by the policy
    assert outcome(machine.register(WEBSITE, redirect_uris=[*fifty, "https://lighthouse.example/50"])) == "400 invalid_redirect_uri"
    assert machine.register(contacts=[f"a{number}@lighthouse.example" for number in range(20)]).status_code == 201
    assert outcome(machine.register(contacts=[f"a{number}@lighthouse.example" for number in range(21)])) == REFUSED
    keys = [{**key("ES256", number).public_jwk(), "kid": str(number)} for number in range(21)]
    many = {"token_endpoint_auth_method": "private_key_jwt", "jwks": {"keys": keys}}
    assert outcome(machine.register(**many)) == REFUSED
    large = {"keys": [{**keys[0], "x": keys[0]["x"], "note": "x" * 33_000}]}
    assert outcome(machine.register(token_endpoint_auth_method="private_key_jwt", jwks=large)) == REFUSED


@pytest.mark.spec("DCR-HTTP-05")
@pytest.mark.threat("J14")
def test_a_large_body_is_refused_before_it_is_parsed(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    body = json.dumps(MACHINE).encode()
    fitting = body + b" " * (REGISTRATION_BODY_LIMIT - len(body))
    assert machine.register(fitting).status_code == 201
    told = machine.registered()
    monkeypatch.setattr("dcr.documents.parse_json_object", None)
    for size in (REGISTRATION_BODY_LIMIT + 1, 200_000, 300_000, 5_000_000):
        large = body + b" " * (size - len(body))
        assert outcome(machine.register(large)) == "413 invalid_request", size
        answer = machine.send("PUT", place_of(told), large, token=told["registration_access_token"])
        assert outcome(answer) == "413 invalid_request", size


@pytest.mark.spec("DCR-HTTP-05")
@pytest.mark.parametrize("length", ["", "-1", "0", "99999999999999999999"])
def test_a_length_that_does_not_fit_the_body_is_no_fault_of_ours(machine: Machine, length: str) -> None:
    status, told = through_wsgi(machine, json.dumps(MACHINE).encode(), CONTENT_LENGTH=length)
    assert (status, told["error"]) in (("400", "invalid_client_metadata"), ("400", "invalid_request"), ("413", "invalid_request"))
    assert not Client.objects.exists()


@pytest.mark.spec("DCR-HTTP-05")
def test_a_body_in_chunks_without_a_length_is_never_read_beyond_the_limit(machine: Machine) -> None:
    class Endless(io.RawIOBase):
        given = 0

        def read(self, size: int = -1) -> bytes:
            if size < 0:
                raise AssertionError("asked for everything")
            self.given += size
            return b" " * size

    source = Endless()
    environ = {"HTTP_TRANSFER_ENCODING": "chunked", "CONTENT_LENGTH": "", "wsgi.input": source, "wsgi.input_terminated": True}
    status, _ = through_wsgi(machine, b"", **environ)  # type: ignore[arg-type]
    assert status in ("400", "413")
    assert source.given <= 4 * REGISTRATION_BODY_LIMIT


# Answers


@pytest.mark.spec("DCR-HTTP-06", "DCR-MGT-01")
def test_no_answer_may_be_kept_by_anybody(machine: Machine) -> None:
    told = machine.registered()
    place, token = place_of(told), told["registration_access_token"]
    answers = [
        machine.register(),
        machine.read(told),
        machine.replace(told),
        machine.register(b"{"),
        machine.register(redirect_uris=["http://x#"]),
        machine.send("POST", "/register", MACHINE),
        machine.send("POST", "/register", MACHINE, token="cci_unknown"),
        machine.send("GET", "/register", token=machine.token),
        machine.send("PUT", place, b"x" * 100_000, token=token),
        machine.send("PUT", place, {}, token=token),
        machine.send("GET", place),
        machine.send("GET", "/register/nobody", token=token[:-1]),
        machine.delete(told),
    ]
    assert [answer.status_code for answer in answers] == [201, 200, 200, 400, 400, 401, 401, 405, 413, 400, 401, 401, 204]
    for answer in answers:
        assert (answer["Cache-Control"], answer["Pragma"]) == ("no-store", "no-cache"), answer.content
        assert "Set-Cookie" not in answer
        assert not answer.cookies
        if answer.status_code != 204:
            assert answer["Content-Type"] == "application/json"
    assert answers[-1].content == b""


@pytest.mark.spec("DCR-HTTP-07", "DCR-ERR-03")
def test_an_error_is_ascii_and_bounded_and_repeats_no_secret(machine: Machine) -> None:
    told = machine.registered()
    hostile = {
        **{f"client_name#{'x' * 2000}{number}": 5 for number in range(20)},
        "client_name": "\u202e" + "x" * 2000,
        "redirect_uris": [f"javascript:alert({number})//ä\u2028\r\nX-Injected: 1" for number in range(50)],
        "grant_types": ["authorization_code", "größe\r\n" * 200],
        "contacts": [told["client_secret"], told["registration_access_token"]],
        "token_endpoint_auth_method": told["client_secret"],
        "software_id": 5,
    }
    answer = machine.register(hostile)
    body = answer.json()
    assert outcome(answer) == "400 invalid_redirect_uri"
    assert body["error_description"].isascii()
    assert body["error_description"].isprintable()
    assert not set('"\\') & set(body["error_description"])
    assert len(body["error_description"]) <= 1000
    assert len(answer.content) < 8000
    assert "X-Injected" not in answer
    for secret in (told["client_secret"], told["registration_access_token"], machine.token):
        assert secret not in answer.content.decode()
    assert {"redirect_uris", "client_name", "grant_types", "software_id"} <= set(body["invalid_members"])
    assert machine.register(hostile).json()["error_description"] == body["error_description"]


# Methods and paths


@pytest.mark.spec("DCR-HTTP-08", "DCR-MGT-04")
def test_other_methods_are_refused_with_those_there_are(machine: Machine) -> None:
    told = machine.registered()
    for path, allowed in (("/register", ["POST"]), (place_of(told), ["GET", "PUT", "DELETE"])):
        for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "get_extra"):
            if method in allowed:
                continue
            answer = machine.send(method, path, MACHINE, token=told["registration_access_token"], X_HTTP_Method_Override="DELETE")
            assert (answer.status_code, answer["Allow"]) == (405, ", ".join(allowed)), (method, path)
            assert answer["Cache-Control"] == "no-store"
    assert machine.read(told).status_code == 200


@pytest.mark.spec("DCR-HTTP-08", "DCR-MGT-02")
def test_an_unknown_registration_is_answered_as_a_bad_token_is(machine: Machine) -> None:
    told = machine.registered()
    unknown = (
        "00000000-0000-4000-8000-000000000000",
        "x",
        "https://rp.example",
        "a/b/c",
        "%00",
        "..%2f",
        "é",
        "x" * 3000,
        place_of(told)[10:] + "/",
    )
    bodies = []
    for place in (*(f"/register/{name}" for name in unknown), place_of(told)):
        for method in ("GET", "PUT", "DELETE"):
            answer = machine.send(method, place, as_update(told), token="ccr_" + "A" * 43)
            assert outcome(answer) == "401 invalid_token", place
            assert 'error="invalid_token"' in answer["WWW-Authenticate"]
            bodies.append({name: value for name, value in answer.json().items() if name != "instance"})
    assert all(body == bodies[0] for body in bodies)
    assert outcome(machine.send("POST", "/register/", MACHINE, token=machine.token)) == "404 not_found"


# Repetition, cookies, other origins


@pytest.mark.spec("DCR-HTTP-11")
def test_the_same_document_makes_another_client_each_time(machine: Machine) -> None:
    made = [machine.registered() for _ in range(3)]
    for member in ("client_id", "client_secret", "registration_access_token", "registration_client_uri"):
        assert len({told[member] for told in made}) == 3, member
    assert Client.objects.count() == 3


@pytest.mark.spec("DCR-HTTP-13")
@pytest.mark.threat("R08")
def test_a_session_registers_nothing_and_a_form_token_is_not_asked_for(cast: Cast, now: datetime) -> None:
    browser = Browser(enforce_csrf_checks=True)
    browser.force_login(cast.owner)
    signed_in = Machine(browser, make_token(cast.organization, now))
    told = signed_in.registered()  # no anti-forgery token, so it is not asked for
    staff = Browser(enforce_csrf_checks=True)
    staff.force_login(cast.operator)
    for visitor in (browser, staff):
        machine = Machine(visitor)
        assert outcome(machine.register()) == "401 invalid_token"
        for method in ("GET", "PUT", "DELETE"):
            assert outcome(machine.send(method, place_of(told), as_update(told))) == "401 invalid_token"
    assert Client.objects.count() == 1


@pytest.mark.spec("DCR-HTTP-09")
def test_no_other_origin_is_let_in(machine: Machine) -> None:
    told = machine.registered()
    origin = {"Origin": "https://evil.example", "Access_Control_Request_Method": "POST", "Access_Control_Request_Headers": "authorization"}
    answers = [
        machine.send("OPTIONS", "/register", **origin),
        machine.send("OPTIONS", place_of(told), **origin),
        machine.send("POST", "/register", MACHINE, token=machine.token, **origin),
        machine.send("GET", place_of(told), token=told["registration_access_token"], **origin),
    ]
    assert [answer.status_code for answer in answers] == [405, 405, 201, 200]
    assert not [name for answer in answers for name in answer.headers if name.lower().startswith("access-control")]


@pytest.mark.spec("DCR-HTTP-01")
def test_plain_http_is_refused_by_the_proxy_that_ends_tls_and_never_redirected(settings: Any) -> None:
    """As for every endpoint, TLS ends before this server: what it is delivered with passes nothing on that came in clear."""
    plain, secure = (settings.BASE_DIR / "deploy" / "nginx.conf").read_text().split("listen 443", 1)
    assert "listen 80;" in plain
    assert "location / { return 403; }" in plain
    assert "proxy_pass" not in plain
    assert "proxy_set_header X-Forwarded-Proto https;" in secure
    assert not settings.SECURE_SSL_REDIRECT  # a client would send its token in clear again


@pytest.mark.spec("DCR-HTTP-14")
def test_what_discovery_names_is_what_serves(client: Browser, machine: Machine, settings: Any) -> None:
    from authserver.documents import metadata_snapshot

    settings.ISSUER = "https://id.credence.example"
    metadata_snapshot.forget()
    for document in ("openid-configuration", "oauth-authorization-server"):
        named = client.get(f"/.well-known/{document}").json()["registration_endpoint"]
        assert named == "https://id.credence.example/register"
    told = machine.registered()
    assert told["registration_client_uri"] == f"{named}/{told['client_id']}"
    assert machine.read(told).json()["registration_client_uri"] == told["registration_client_uri"]


def test_no_host_that_a_visitor_names_is_in_an_answer(machine: Machine, settings: Any) -> None:
    hostile = {"X_Forwarded_Host": "evil.example", "X_Forwarded_Proto": "gopher", "Forwarded": "host=evil.example"}
    answer = machine.send("POST", "/register", MACHINE, token=machine.token, **hostile)
    assert answer.json()["registration_client_uri"].startswith(settings.ISSUER + "/register/")
    assert "evil" not in answer.content.decode()


# Throttles


@pytest.mark.spec("DCR-HTTP-10", "DCR-ERR-01")
@pytest.mark.threat("R01")
def test_requests_of_one_network_are_limited(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throttling, "PER_SOURCE", 3)
    told = machine.registered()
    throttling.requests.forget()
    for _ in range(3):
        assert machine.send_again("POST", "/register", b"{", token="cci_x").status_code == 400
    for method, path in (("POST", "/register"), ("GET", place_of(told)), ("OPTIONS", "/register")):
        answer = machine.send_again(method, path, MACHINE, token=machine.token)
        assert outcome(answer) == "429 temporarily_unavailable"
        assert answer["Retry-After"] == "60"
        assert answer["Cache-Control"] == "no-store"
    assert Client.objects.count() == 1
    other = Machine(Browser(REMOTE_ADDR="192.0.2.7"), machine.token)
    assert other.send_again("POST", "/register", MACHINE, token=other.token).status_code == 201
    for _ in range(3):  # everybody of one IPv6 network counts together
        Machine(Browser(REMOTE_ADDR="2001:db8::1")).send_again("POST", "/register", b"{")
    assert Machine(Browser(REMOTE_ADDR="2001:db8::ffff")).send_again("POST", "/register", b"{").status_code == 429
    assert Machine(Browser(REMOTE_ADDR="2001:db8:0:1::1")).send_again("POST", "/register", b"{").status_code == 400


@pytest.mark.spec("DCR-HTTP-10", "DCR-ERR-01")
@pytest.mark.threat("R01")
def test_requests_with_one_token_are_limited_wherever_they_come_from(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throttling, "PER_TOKEN", 2)
    answers = [Machine(Browser(REMOTE_ADDR=f"192.0.2.{n}")).send_again("POST", "/register", MACHINE, token=machine.token) for n in range(3)]
    assert [outcome(answer) for answer in answers] == ["201", "201", "429 temporarily_unavailable"]
    assert answers[2]["Retry-After"] == "60"
    assert Client.objects.count() == RegistrationAccessToken.objects.count() == 2
    told = answers[0].json()
    read = [
        Machine(Browser(REMOTE_ADDR=f"192.0.3.{n}")).send_again("GET", place_of(told), token=told["registration_access_token"])
        for n in range(3)
    ]
    assert [outcome(answer) for answer in read] == ["200", "200", "429 temporarily_unavailable"]


@pytest.mark.spec("DCR-HTTP-10")
@pytest.mark.threat("R01")
def test_all_requests_together_are_limited(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throttling, "IN_ALL", 5)
    answers = [Machine(Browser(REMOTE_ADDR=f"192.0.2.{number}")).send_again("POST", "/register", b"{") for number in range(7)]
    assert [answer.status_code for answer in answers] == [400] * 5 + [429] * 2


@pytest.mark.spec("DCR-HTTP-10", "DCR-IAT-01")
@pytest.mark.threat("R01")
def test_open_registration_has_the_tightest_limit(client: Browser, db: None, settings: Any) -> None:
    assert throttling.OPEN_PER_SOURCE < throttling.PER_TOKEN
    assert throttling.OPEN_IN_ALL < throttling.IN_ALL
    stranger = Machine(client)
    assert outcome(stranger.register()) == "401 invalid_token"
    settings.OPEN_REGISTRATION = True
    throttling.requests.forget()
    answers = [stranger.send_again("POST", "/register", WEBSITE) for _ in range(throttling.OPEN_PER_SOURCE + 2)]
    assert [answer.status_code for answer in answers] == [201] * throttling.OPEN_PER_SOURCE + [429] * 2
    assert {answer["Retry-After"] for answer in answers[-2:]} == {"60"}
    elsewhere = [Machine(Browser(REMOTE_ADDR=f"192.0.2.{number}")).send_again("POST", "/register", WEBSITE) for number in range(40)]
    assert [answer.status_code for answer in elsewhere].count(201) == throttling.OPEN_IN_ALL - throttling.OPEN_PER_SOURCE - 2
    assert {client.stage for client in Client.objects.all()} == {"test"}
    assert client_of(answers[0].json()).organization.state == "draft"
