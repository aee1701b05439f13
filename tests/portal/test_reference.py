"""The reference: made from the running configuration and policy, so that nothing on it can be old."""

from __future__ import annotations

import html
import json
import re
from dataclasses import fields
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from authserver.documents import configuration_snapshot, metadata_snapshot
from federation.models import TrustAnchorRecord
from portal.documentation.facts import lifetimes, limits, policy_names, rules
from protocol.jose import generate_private_key
from registry.actors import COMMAND_LINE
from registry.models import Scope, SigningKey
from registry.policy_records import save_policy
from registry.registration_policy import CHOICES, RegistrationPolicy, merge_policy
from registry.signing_keys import PUBLISHED_AFTER_RETIREMENT, ensure_signing_keys, rotate_signing_key

pytestmark = pytest.mark.django_db


def page() -> str:
    """Return the text of the page, made anew."""
    metadata_snapshot.forget()
    configuration_snapshot.forget()
    answer = Browser(SERVER_NAME="127.0.0.1").get(reverse("reference"))
    assert answer.status_code == 200
    return html.unescape(answer.content.decode())


def value_of(text: str, name: str) -> str:
    """Return what stands beside the name of a member of discovery."""
    found = re.search(rf"<div><dt[^>]*>{name}</dt><dd>(.*?)</dd></div>", text, re.DOTALL)
    assert found, name
    return " ".join(re.sub(r"<[^>]+>", " ", found[1]).split())


def policy_of(text: str, name: str) -> str:
    """Return what stands above the name of a policy value or setting."""
    found = re.search(rf'<dd>([^<]*)<span class="meta mono">{name}</span>', text)
    assert found, name
    return found[1]


def test_every_member_of_discovery_is_on_the_page_with_every_value(settings: Any) -> None:
    text = page()
    told = Browser(SERVER_NAME="127.0.0.1").get(reverse("openid-configuration")).json()
    plain = Browser(SERVER_NAME="127.0.0.1").get(reverse("oauth-authorization-server")).json()
    assert set(plain) <= set(told)
    assert told.pop("issuer") == settings.ISSUER
    assert f'value="{settings.ISSUER}"' in text
    assert len(told) > 25
    for name, value in told.items():
        shown = value_of(text, name)
        for one in value if isinstance(value, list) else [value]:
            assert (one if isinstance(one, str) else json.dumps(one)) in re.split(r" · | ", shown), name


def test_every_document_is_linked(settings: Any) -> None:
    text = page()
    for name in ("openid-configuration", "oauth-authorization-server", "jwks", "openid-federation", "signed-jwks"):
        assert f'href="{settings.ISSUER}{reverse(name)}"' in text


def test_every_value_of_the_policy_is_shown_somewhere() -> None:
    assert {field.name for field in fields(RegistrationPolicy)} <= set(policy_names(merge_policy()))


CHANGED = {
    "access_token_lifetime_seconds": (900, "15 minutes"), "dynamic_client_idle_days": (45, "45 days"), "clients_limit": (33, "33"),
    "redirect_uris_limit": (7, "7"), "require_pushed_authorization_requests": (True, "yes"), "org_id_in_id_token": (False, "no"),
    "live_token_endpoint_auth_methods": (["private_key_jwt"], "private_key_jwt"), "id_token_algorithms": (["PS256"], "PS256"),
    "redirect_hosts": (["app.example.org"], "app.example.org"), "loopback_http_in_test": (False, "no"),
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGED)
def test_a_changed_policy_value_changes_the_page(name: str, now: datetime) -> None:
    value, words = CHANGED[name]
    before = policy_of(page(), name)
    save_policy(None, {name: value}, COMMAND_LINE, now=now)
    assert policy_of(page(), name) == words != before


def test_a_changed_policy_changes_what_discovery_says_on_the_page(now: datetime) -> None:
    assert "none" in value_of(page(), "token_endpoint_auth_methods_supported")
    save_policy(None, {"token_endpoint_auth_methods": ["private_key_jwt"], "id_token_algorithms": ["ES256"]}, COMMAND_LINE, now=now)
    text = page()
    assert value_of(text, "token_endpoint_auth_methods_supported") == "private_key_jwt"
    assert value_of(text, "id_token_signing_alg_values_supported") == "ES256"
    Scope.objects.create(name="brand.new", title="New")
    assert "brand.new" in value_of(page(), "scopes_supported")


def test_a_changed_setting_changes_the_page(settings: Any) -> None:
    assert "15 minutes" in page()
    settings.TRUST_CHECK_SECONDS = 7200
    settings.OPEN_REGISTRATION = True
    text = page()
    assert "2 hours" in text
    assert policy_of(text, "CREDENCE_OPEN_REGISTRATION") == "yes"


@pytest.mark.parametrize("name", CHOICES)
def test_lists_of_the_policy_are_shown_whole(name: str) -> None:
    value = CHOICES[name]
    everything = {fact.source: fact.value for fact in rules(merge_policy({name: list(value)}))}
    assert everything[name] == ", ".join(value)


def test_lifetimes_are_exact() -> None:
    words = [fact.value for fact in lifetimes(merge_policy({"access_token_lifetime_seconds": 61}))]
    assert "61 seconds" in words
    assert "90 seconds" in words  # of a pushed request, which is not "2 minutes"
    assert all(fact.value for fact in limits(merge_policy()))


def test_keys_are_listed_with_state_and_age_and_without_private_parts(now: datetime) -> None:
    long_ago = now - timedelta(days=40)
    ensure_signing_keys(COMMAND_LINE, now=long_ago)
    old = SigningKey.objects.get(purpose="protocol", algorithm="ES256", state="current")
    rotate_signing_key("protocol", "ES256", COMMAND_LINE, now=now)
    text = page()
    for key in SigningKey.objects.all():
        assert key.kid in text
        assert key.private_key_encrypted not in text
    assert f"{long_ago:%Y-%m-%dT%H:%M:%SZ}" in text
    assert all(word in text for word in ("Retired", "Next", "Current"))
    SigningKey.objects.filter(pk=old.pk).update(retired_at=now - PUBLISHED_AFTER_RETIREMENT - timedelta(days=1))
    assert old.kid not in page()


def test_our_entity_configuration_is_decoded_and_accepted_anchors_are_named(now: datetime) -> None:
    assert "None, so nothing registers by federation here." in page()
    ensure_signing_keys(COMMAND_LINE, now=now)
    keys = {"keys": [generate_private_key("ES256").public_jwk()]}
    TrustAnchorRecord.objects.create(entity_id="https://northlight.example", jwks=keys)
    TrustAnchorRecord.objects.create(entity_id="https://former.example", jwks=keys, is_enabled=False)
    text = page()
    assert "https://northlight.example" in text
    assert "https://former.example" not in text
    assert all(f'"{word}"' in text for word in ("openid_provider", "federation_registration_endpoint"))


def test_without_a_federation_key_the_page_says_so_and_stays() -> None:
    assert "entity-configuration" not in page()


def test_it_takes_the_same_queries_however_much_there_is(now: datetime) -> None:
    def count() -> int:
        with CaptureQueriesContext(connection) as queries:
            page()
        return len(queries)

    ensure_signing_keys(COMMAND_LINE, now=now)
    little = count()
    for number in range(5):
        TrustAnchorRecord.objects.create(entity_id=f"https://anchor{number}.example", jwks={"keys": []})
        Scope.objects.create(name=f"more.{number}", title="More")
        rotate_signing_key("protocol", "ES256", COMMAND_LINE, now=now)
    assert abs(count() - little) <= 1  # the keys themselves are read again after a rotation
