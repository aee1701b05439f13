"""What the registration of django-oauth-toolkit 3.4.1 gets wrong, one test each (django-oauth-toolkit.md, section 2)."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pytest
from django.test import Client as Browser
from django.urls import reverse

from authserver.models import AccessToken
from registry.models import Client, User
from tests.authserver.support import TOKEN, key, make_caller, outcome
from tests.conftest import Cast
from tests.dcr.support import MACHINE, WEBSITE, Machine, as_update, client_of, place_of

pytestmark = pytest.mark.django_db
IRU, ICM, IRQ, BAD_TOKEN = "400 invalid_redirect_uri", "400 invalid_client_metadata", "400 invalid_request", "401 invalid_token"


@pytest.mark.spec("DCR-RESP-01", "DCR-RESP-02", "DCR-HTTP-06")
def test_1_an_answer_has_the_times_the_defaults_and_no_store(machine: Machine) -> None:
    answer = machine.register(WEBSITE)
    wanted = {"client_id_issued_at", "client_secret_expires_at", "response_types", "grant_types", "token_endpoint_auth_method"}
    assert wanted <= answer.json().keys()
    assert answer["Cache-Control"] == "no-store"


@pytest.mark.spec("DCR-META-29", "DCR-META-23", "DCR-LANG-05")
def test_2_every_member_is_kept_or_refused(machine: Machine) -> None:
    keys = {"keys": [key().public_jwk()]}
    document = {
        **WEBSITE,
        "jwks": keys,
        "scope": "bookings.read",
        "response_types": ["code"],
        "contacts": ["a@lighthouse.example"],
        "client_uri": "https://lighthouse.example/",
        "application_type": "web",
        "software_id": "x",
        "software_version": "1",
        "client_name#de": "Leuchtturm",
    }
    told = machine.registered(document)
    assert {name: told[name] for name in document} == document
    assert outcome(machine.register({**document, "jwks_uri": "https://lighthouse.example/jwks"})) == ICM
    assert outcome(machine.register({**WEBSITE, "grant_types": ["authorization_code"], "response_types": ["token"]})) == ICM


@pytest.mark.spec("DCR-META-18")
def test_3_client_secret_post_stays_what_it_is(machine: Machine, post_form: Any) -> None:
    told = machine.registered(token_endpoint_auth_method="client_secret_post")
    assert told["token_endpoint_auth_method"] == "client_secret_post"
    credentials = {"client_id": told["client_id"], "client_secret": told["client_secret"]}
    assert outcome(post_form(TOKEN, {"grant_type": "client_credentials", **credentials})) == "200"


@pytest.mark.threat("R12")
def test_4_a_software_statement_that_is_none_is_refused(machine: Machine) -> None:
    for statement in ("not.a.jwt", "x", 5, {}, ["a.b.c"]):
        assert outcome(machine.register({**MACHINE, "software_statement": statement})) == "400 invalid_software_statement"
    assert not Client.objects.exists()


@pytest.mark.spec("DCR-META-11", "DCR-META-10", "DCR-IAT-02")
def test_5_the_codes_say_what_is_wrong(machine: Machine) -> None:
    for uris in (["https://lighthouse.example/#x"], ["ftp://lighthouse.example/"], [], None):
        assert outcome(machine.register({**WEBSITE, "redirect_uris": uris})) == IRU
    answer = Machine(Browser()).register()
    assert outcome(answer) == BAD_TOKEN
    assert answer["WWW-Authenticate"].startswith("Bearer ")


@pytest.mark.spec("DCR-META-21")
@pytest.mark.threat("O01")
def test_6_a_client_may_have_several_grants_but_never_password_or_implicit(machine: Machine, settings: Any) -> None:
    grants = ["authorization_code", "refresh_token", "client_credentials"]
    assert machine.registered({**WEBSITE, "grant_types": grants})["grant_types"] == grants
    settings.OPEN_REGISTRATION = True
    for grant in ("password", "implicit"):
        for sender in (machine, Machine(Browser())):
            assert outcome(sender.register({**WEBSITE, "grant_types": [grant]})) == ICM


@pytest.mark.spec("DCR-MGT-07", "DCR-MGT-08", "DCR-MGT-09", "DCR-MGT-10")
def test_7_an_update_names_its_client_and_its_secret_and_nothing_of_ours(machine: Machine, post_form: Any) -> None:
    told = machine.registered(WEBSITE, token_endpoint_auth_method="none")
    for more in ({"client_id": "other"}, {"client_secret": "wrong"}, {"client_id_issued_at": 1}, {"client_secret_expires_at": 0}):
        assert outcome(machine.replace(told, {**WEBSITE, **more})) == IRQ
    for more in ({"registration_access_token": told["registration_access_token"]}, {"registration_client_uri": "x"}):
        assert outcome(machine.replace(told, {**WEBSITE, **more})) == IRQ
    changed = machine.replace(told, {**MACHINE, "token_endpoint_auth_method": "client_secret_basic"}).json()
    basic = (told["client_id"], changed["client_secret"])
    assert outcome(post_form(TOKEN, {"grant_type": "client_credentials"}, basic=basic)) == "200"


@pytest.mark.spec("DCR-MGT-03")
@pytest.mark.threat("R04")
def test_8_a_token_at_the_wrong_place_ends(machine: Machine) -> None:
    mine, other = machine.registered(), machine.registered()
    assert outcome(machine.send("GET", place_of(other), token=mine["registration_access_token"])) == BAD_TOKEN
    assert outcome(machine.read(mine)) == BAD_TOKEN
    gone = machine.registered()
    Client.objects.filter(client_id=gone["client_id"]).update(state="closed")
    assert outcome(machine.read(gone)) == BAD_TOKEN
    Client.objects.filter(client_id=gone["client_id"]).update(state="active")
    assert outcome(machine.read(gone)) == BAD_TOKEN


@pytest.mark.spec("DCR-HTTP-03", "DCR-HTTP-04", "DCR-HTTP-05", "DCR-META-02", "DCR-META-03")
def test_9_wrong_types_and_hostile_json_are_refused_and_null_is_nothing(machine: Machine) -> None:
    for name in (5, ["x"], {"x": 1}, True):
        assert outcome(machine.register(client_name=name)) == ICM
    assert "client_name" not in machine.registered(client_name=None)
    texts = (b"[" * 100_000, b'{"x":' * 60_000, rb'{"client_name":"\ud800"}', rb'{"client_name":"a\u0000"}', b'{"a":1,"a":2}', b'{"a":NaN}')
    assert {machine.register(text).status_code for text in texts} == {400, 413}
    assert (
        machine.send("POST", "/register", json.dumps(MACHINE).encode(), token=machine.token, content_type="text/plain").status_code == 415
    )


@pytest.mark.spec("DCR-META-12", "DCR-HTTP-05", "DCR-META-14")
@pytest.mark.threat("F08", "O03")
def test_10_no_second_redirect_uri_is_smuggled_in(machine: Machine) -> None:
    hostile = ("https://rp.example/cb https://evil.example/cb", "https://user:pw@rp.example/cb", "http://localhost/cb")
    for uri in hostile:
        assert outcome(machine.register({**WEBSITE, "redirect_uris": [uri]})) == IRU
    assert outcome(machine.register({**WEBSITE, "redirect_uris": [f"https://rp.example/{number}" for number in range(2000)]})) == IRU
    two = ["https://rp.example/a", "https://rp.example/b"]
    client = client_of(machine.registered({**WEBSITE, "redirect_uris": two}))
    assert client.registered_redirect_uris == client.redirect_uris.split(" ") == two


@pytest.mark.spec("DCR-MGT-16")
@pytest.mark.threat("R04")
def test_11_a_registration_access_token_is_no_access_token(machine: Machine, cast: Cast, now: datetime, post_form: Any) -> None:
    machine.client.force_login(cast.owner)
    told = machine.registered()
    assert not AccessToken.objects.exists()
    server = make_caller(cast.organization, now, "client_secret_basic")
    value = told["registration_access_token"]
    assert post_form("/oauth/introspect", {"token": value}, basic=(server.client_id, server.secret)).json() == {"active": False}
    assert outcome(Browser().get("/oauth/userinfo", headers={"Authorization": f"Bearer {value}"})) == BAD_TOKEN


@pytest.mark.spec("DCR-HTTP-05", "DCR-HTTP-10", "DCR-HTTP-09")
@pytest.mark.threat("R01", "J14")
def test_12_sizes_and_rates_are_limited_and_other_origins_are_kept_out(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    assert machine.register(b" " * 2_000_000).status_code == 413
    answer = machine.send("OPTIONS", "/register", Origin="https://evil.example")
    assert (answer.status_code, "Access-Control-Allow-Origin" in answer) == (405, False)
    monkeypatch.setattr("dcr.throttling.PER_SOURCE", 1)
    answers = [machine.send_again("POST", "/register", MACHINE, token=machine.token) for _ in range(3)]
    assert answers[-1].status_code == 429


@pytest.mark.spec("DCR-MGT-19", "DCR-HTTP-08")
def test_13_an_address_of_an_entity_is_no_fault_of_ours(machine: Machine, cast: Cast) -> None:
    entity = "https://rp.example/path?a=b"
    Client.objects.create(organization=cast.organization, client_id=entity, source="federation_automatic", state="active", metadata={})
    assert reverse("registration", args=[entity])
    for path in (reverse("registration", args=[entity]), f"/register/{entity}"):
        for method in ("GET", "PUT", "DELETE"):
            assert outcome(machine.send(method, path, MACHINE, token="ccr_x")) == BAD_TOKEN


def test_14_nobody_s_leaving_takes_clients_away(machine: Machine, cast: Cast) -> None:
    machine.client.force_login(cast.developer)
    told = machine.registered()
    for user in (cast.developer, cast.owner):
        User.objects.get(pk=user.pk).memberships.all().delete()
    User.objects.get(pk=cast.developer.pk).delete()
    assert client_of(told).state == "active"
    assert machine.replace(told, as_update(told)).status_code == 200
