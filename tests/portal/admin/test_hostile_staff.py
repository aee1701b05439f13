"""What people who mean harm send to the staff pages, by addresses and forms: nothing breaks, nothing slips in, nothing happens twice."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import pytest
from django.apps import apps as django_apps
from django.core import serializers
from django.db import transaction
from django.test import Client as Browser
from django.urls import reverse

from portal.admin import staff_site
from registry.models import AuditEvent, Banner, Scope, User
from tests.conftest import Cast
from tests.portal.admin.test_roles import EXPECTED, browsers, homepages, payload, world

__all__ = ["browsers", "homepages", "world"]

VALUES = ("a\x00b", "9" * 40, "<script>'\"%s" + "x" * 5000, "0001-01-01T00:00", "9999-12-31T23:59")
PARAMETERS = ("q", "o", "p", "e", "all", "page", "show", "kind", "before", "after", "format", "way", "step", "entity_id", "seen", "back")
QUESTION = (
    "since",
    "until",
    "event",
    "actor_kind",
    "actor",
    "organization",
    "object_type",
    "object",
    "result",
    "source_address",
    "request_id",
)
ANSWERS = (200, 302, 400, 403, 404, 405)
TAKING = [name for name, expected in EXPECTED.items() if expected.post]


def everything() -> str:
    """Return a digest of every row that is not a session."""
    models = [model for model in django_apps.get_models() if model._meta.app_label != "sessions"]
    text = "".join(serializers.serialize("json", model.objects.order_by("pk")) for model in models)
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.fixture
def administrator_browser(browsers: dict[str, Browser]) -> Browser:
    return browsers["administrator"]


def read(response: Any) -> int:
    """Return the status of an answer that was read to its end."""
    if response.streaming:
        b"".join(response.streaming_content)
    return int(response.status_code)


def filters() -> Iterator[tuple[str, str]]:
    """Yield the name of every list with the name of a parameter that filters it."""
    for model_admin in staff_site._registry.values():
        for one in model_admin.list_filter:
            yield model_admin.url_name("changelist"), one if isinstance(one, str) else one.parameter_name


def test_no_address_of_the_staff_pages_breaks_by_what_is_behind_its_question_mark(
    administrator_browser: Browser, world: dict[str, str]
) -> None:
    for value in VALUES:
        for name in EXPECTED:
            assert read(administrator_browser.get(world[name], dict.fromkeys(PARAMETERS, value))) in ANSWERS, (name, value)
        for name in ("registry_auditevent_changelist", "registry_auditevent_export"):
            for field in QUESTION:
                assert read(administrator_browser.get(world[name], {field: value})) in ANSWERS, (name, field, value)


def test_no_filter_of_a_list_breaks_by_its_value(administrator_browser: Browser, world: dict[str, str]) -> None:
    for name, parameter in filters():
        for value in VALUES:
            for lookup in (parameter, f"{parameter}__exact", f"{parameter}__isnull", f"{parameter}__id__exact"):
                assert administrator_browser.get(world[name], {lookup: value}).status_code in ANSWERS, (name, lookup, value)


def test_a_list_with_a_null_character_in_its_address_is_shown_whole_before_a_database_sees_it(
    administrator_browser: Browser, world: dict[str, str]
) -> None:
    before = AuditEvent.objects.count()
    for name in dict.fromkeys(name for name, _ in filters()):
        for query in ({"q": "a\x00"}, {"a\x00": "b"}):
            assert administrator_browser.get(world[name], query).status_code == 302, name
    assert AuditEvent.objects.count() == before


@pytest.mark.threat("R05")
def test_lists_do_not_answer_guesses_about_what_no_page_shows(administrator_browser: Browser, cast: Cast) -> None:
    cast.owner.set_password("correct horse battery")
    cast.owner.save()
    hidden = {
        "registry_user": ("password__startswith", cast.owner.password[:20]),
        "registry_signingkey": ("private_key_encrypted__startswith", "g"),
        "registry_invitation": ("digest__startswith", "a"),
        "dcr_initialaccesstoken": ("digest__startswith", "a"),
        "registry_client": ("secrets__digest__startswith", "a"),
    }
    for name, (lookup, value) in hidden.items():
        for what in ("changelist", "csv"):
            assert administrator_browser.get(reverse(f"staff:{name}_{what}"), {lookup: value}).status_code == 400, lookup


def test_filters_of_lists_still_filter(administrator_browser: Browser, cast: Cast) -> None:
    users = reverse("staff:registry_user_changelist")
    page = administrator_browser.get(users, {"staff_role__exact": "reviewer"})
    assert [user.email for user in page.context["cl"].result_list] == [cast.reviewer.email]
    page = administrator_browser.get(users, {"is_superuser__exact": "1"})
    assert [user.email for user in page.context["cl"].result_list] == ["root@credence.example"]
    assert administrator_browser.get(users, {"unknown": "1"}).status_code == 302


def fields_of(name: str, browser: Browser, world: dict[str, str], data: dict[str, Any]) -> list[str]:
    """Return the fields that a page takes: those of its form, and what its row in the table sends."""
    context = browser.get(world[name]).context
    form = context.get("form") if context else None
    return list(dict.fromkeys([*data, *(form.fields if form else ()), "seen", "do", "value", "back", "page"]))


@pytest.mark.parametrize("name", TAKING)
def test_no_form_of_the_staff_pages_breaks_by_what_is_in_a_field(name: str, administrator_browser: Browser, world: dict[str, str]) -> None:
    data = payload(name, administrator_browser, world)
    for field in fields_of(name, administrator_browser, world, data):
        for value in ("\x00", "9" * 40, "x" * 5000, "0001-01-01T00:00", "9999-12-31T23:59"):
            with transaction.atomic():
                answer = administrator_browser.post(world[name], {**data, field: value}, follow=True)
                transaction.set_rollback(True)
            assert answer.status_code in ANSWERS, (field, value)


@pytest.mark.threat("R08")
def test_no_staff_form_is_taken_without_its_anti_forgery_token(administrator: User, world: dict[str, str]) -> None:
    browser = Browser(SERVER_NAME="127.0.0.1", enforce_csrf_checks=True)
    browser.force_login(administrator, backend="portal.accounts.AuthenticationBackend")
    before = everything()
    for name, expected in EXPECTED.items():
        assert browser.post(world[name], expected.data or {}).status_code in (302, 403, 405), name
        if expected.post:
            assert browser.post(world[name], expected.data or {}).status_code == 403, name
    assert everything() == before


@pytest.mark.threat("R08")
def test_reading_staff_pages_changes_nothing_but_that_a_list_was_taken_away(administrator_browser: Browser, world: dict[str, str]) -> None:
    before = everything()
    for name in EXPECTED:
        if name.endswith(("_csv", "_export")):
            continue
        administrator_browser.get(world[name])
        administrator_browser.head(world[name])
    assert everything() == before


# Rows of the table whose second post is another one here: a form of its own for each token, a key that has moved on, another look.
SAID_AGAIN = ("dcr_initialaccesstoken_add", "registry_signingkey_rotate", "federation_trustanchorrecord_fetch")


@pytest.mark.parametrize("name", [name for name in TAKING if name not in SAID_AGAIN])
def test_a_form_that_is_sent_twice_does_it_once(name: str, administrator_browser: Browser, world: dict[str, str]) -> None:
    data = payload(name, administrator_browser, world)
    for _ in range(2):
        assert administrator_browser.post(world[name], data, follow=True).status_code in (200, 404), name
    assert AuditEvent.objects.filter(event=EXPECTED[name].event).count() == 1


def test_a_number_that_is_no_number_of_a_row_opens_no_form_of_a_new_one(administrator_browser: Browser, db: None) -> None:
    for address in ("registry/scope/0/", "registry/policyrecord/organizations/0/", "registry/cannedreason/0/", "registry/banner/0/"):
        assert administrator_browser.get(f"/staff/{address}").status_code == 404, address
        assert administrator_browser.post(f"/staff/{address}", {"name": "new.scope", "title": "New"}).status_code == 404, address
    assert not Scope.objects.filter(name="new.scope").exists()
    assert not Banner.objects.exists()


def test_numbers_too_large_for_any_row_are_not_found(administrator_browser: Browser, world: dict[str, str]) -> None:
    for name in EXPECTED:
        address = world[name]
        parts = ["9" * 30 if part.isdigit() else part for part in address.split("/")]
        if "/".join(parts) != address:
            assert administrator_browser.get("/".join(parts)).status_code == 404, name
            assert administrator_browser.post("/".join(parts)).status_code in (404, 405), name
