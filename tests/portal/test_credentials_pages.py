"""Secrets and keys: made by POST, shown once, rotated with overlap, never anywhere else (threats.md R05)."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.apps import apps as django_apps
from django.core import mail, serializers
from django.core.cache import cache
from django.test import Client as Browser
from pytest_django.asserts import assertContains, assertNotContains

from protocol.fetch.memory import InMemoryFetcher, Page
from protocol.jose import generate_private_key
from registry.credentials import create_secret, live_secrets
from registry.models import Client
from registry.outbound import use_fetcher
from tests.conftest import Cast
from tests.registry.support import secret_matches


def make_secret(browser: Browser, client: Client, app_url: Callable[..., str], fill: Callable[..., Any], **values: Any) -> Any:
    return fill(browser, app_url("app_credentials", client), "label", to=app_url("app_secret_create", client), follow=False, **values)


def test_a_secret_is_shown_in_the_answer_and_authenticates(
    developer: Browser, make_client: Callable[..., Client], app_url: Callable[..., str], fill: Callable[..., Any], now: datetime
) -> None:
    client = make_client()
    response = make_secret(developer, client, app_url, fill, label="staging")
    value = response.context["secret"]
    assertContains(response, value)
    assertContains(response, "CLIENT_SECRET")
    assert response["Cache-Control"].find("no-store") >= 0
    assert secret_matches(client, value, now)
    assertNotContains(developer.get(app_url("app_credentials", client)), value)


def test_sending_the_page_again_shows_no_secret_and_makes_none(
    developer: Browser,
    make_client: Callable[..., Client],
    app_url: Callable[..., str],
    form_on: Callable[..., dict[str, Any]],
    now: datetime,
) -> None:
    client = make_client()
    data = form_on(developer.get(app_url("app_credentials", client)), "label")
    first = developer.post(app_url("app_secret_create", client), data)
    second = developer.post(app_url("app_secret_create", client), data, follow=True)
    assertContains(second, "This secret was shown already. If it is lost, make another one.")
    assertNotContains(second, first.context["secret"])
    assert live_secrets(client, now).count() == 1


@pytest.mark.parametrize(("overlap", "ends"), [("now", 0), ("24h", 1), ("7d", 7), ("30d", 30)])
def test_rotating_ends_the_secret_before_when_it_was_asked_to(
    developer: Browser,
    make_client: Callable[..., Client],
    app_url: Callable[..., str],
    fill: Callable[..., Any],
    cast: Cast,
    now: datetime,
    overlap: str,
    ends: int,
) -> None:
    client = make_client()
    old = create_secret(client, cast.as_owner, now=now)
    new = make_secret(developer, client, app_url, fill, overlap=overlap).context["secret"]
    soon = timedelta(minutes=5)
    assert secret_matches(client, new, now + timedelta(days=60))
    assert ends == 0 or secret_matches(client, old.value, now + timedelta(days=ends) - soon)
    assert not secret_matches(client, old.value, now + timedelta(days=ends) + soon)


def test_a_third_live_secret_is_refused_in_words(
    developer: Browser, make_client: Callable[..., Client], app_url: Callable[..., str], fill: Callable[..., Any], cast: Cast, now: datetime
) -> None:
    client = make_client()
    create_secret(client, cast.as_owner, now=now)
    create_secret(client, cast.as_owner, now=now)
    assertContains(make_secret(developer, client, app_url, fill, overlap="7d"), "end one first")


def test_ending_a_secret_works_at_once(
    developer: Browser, make_client: Callable[..., Client], app_url: Callable[..., str], cast: Cast, now: datetime
) -> None:
    client = make_client()
    made = create_secret(client, cast.as_owner, now=now)
    developer.post(app_url("app_secret_end", client, made.row.pk))
    assert not secret_matches(client, made.value, now + timedelta(minutes=1))


def test_a_secret_of_another_app_is_not_found_under_this_one(
    developer: Browser, make_client: Callable[..., Client], app_url: Callable[..., str], cast: Cast, now: datetime
) -> None:
    client, other = make_client(), make_client()
    made = create_secret(other, cast.as_owner, now=now)
    assert developer.post(app_url("app_secret_end", client, made.row.pk)).status_code == 404
    assert secret_matches(other, made.value, now)


def test_a_viewer_neither_makes_nor_ends_secrets(
    viewer: Browser, make_client: Callable[..., Client], app_url: Callable[..., str], cast: Cast, now: datetime
) -> None:
    client = make_client()
    made = create_secret(client, cast.as_owner, now=now)
    assertNotContains(viewer.get(app_url("app_credentials", client)), "Rotate secret")
    assert viewer.post(app_url("app_secret_create", client), {"once": "x" * 20}).status_code == 403
    assert viewer.post(app_url("app_secret_end", client, made.row.pk)).status_code == 403
    assert secret_matches(client, made.value, now)


@pytest.fixture
def everything_logged() -> Iterator[io.StringIO]:
    """Collect every log record at the lowest level."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield stream
    root.removeHandler(handler)
    root.setLevel(level)


@pytest.mark.threat("R05")
def test_the_secret_stands_in_one_answer_and_in_no_table_log_mail_or_cache(
    owner: Browser,
    make_client: Callable[..., Client],
    app_url: Callable[..., str],
    fill: Callable[..., Any],
    everything_logged: io.StringIO,
    django_capture_on_commit_callbacks: Any,
) -> None:
    client = make_client()
    bodies: list[str] = []
    with django_capture_on_commit_callbacks(execute=True):
        response = make_secret(owner, client, app_url, fill)
        value = response.context["secret"]
        bodies.append(response.content.decode())
        for name in ("app", "app_credentials", "app_edit", "app_activity", "app_go_live"):
            bodies.append(owner.get(app_url(name, client)).content.decode())
        owner.post(app_url("app_step", client, "pause"))
    assert [value in body for body in bodies] == [True, *(False,) * 5]
    tables = [serializers.serialize("json", model.objects.all()) for model in django_apps.get_models() if model._meta.managed]
    assert value not in "".join(tables)
    assert value not in everything_logged.getvalue()
    assert value not in repr(getattr(cache, "_cache", ""))
    assert mail.outbox
    assert value not in "".join(message.body for message in mail.outbox)
    assert value not in repr(dict(owner.session))


def test_checking_a_key_address_says_how_it_went(
    developer: Browser, make_client: Callable[..., Client], app_url: Callable[..., str]
) -> None:
    key = dict(generate_private_key("ES256").public_jwk())
    good, bad = "https://keys.example/good", "https://keys.example/none"
    pages = {good: Page(json.dumps({"keys": [key]}).encode(), "application/jwk-set+json")}
    with use_fetcher(InMemoryFetcher(pages)):
        client = make_client(token_endpoint_auth_method="private_key_jwt", jwks_uri=good)
        response = developer.post(app_url("app_keys_check", client), follow=True)
        assertContains(response, "Fetched 1 keys.")
        assertContains(response, key["kid"])
        other = make_client(token_endpoint_auth_method="private_key_jwt", jwks_uri=bad)
        assertContains(developer.post(app_url("app_keys_check", other), follow=True), "The keys could not be fetched")
        assertContains(developer.get(app_url("app", other)), "Its keys cannot be fetched")
