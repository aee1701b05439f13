"""Error pages for people: a request id, the next step, and who may do what was refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from allauth.core.internal.ratelimit import respond_429
from django.test import Client as Browser
from django.test import RequestFactory
from django.urls import reverse

from portal.admin.roles import AREAS, needed_role
from portal.views.errors import protocol_error
from protocol.errors import InvalidRequest, ServiceUnavailable, TooManyRequests
from tests.conftest import Cast


def test_a_staff_page_that_a_role_does_not_open_names_the_roles_that_do(cast: Cast, sign_in: Callable[..., Browser]) -> None:
    page = sign_in("reviewer").get(reverse("staff:registry_user_changelist"))
    assert page.status_code == 403
    assert "This takes the staff role operator or auditor or administrator; you are a reviewer." in page.content.decode()
    refused = sign_in("auditor").get(reverse("staff:registry_banner_add"))
    assert refused.status_code == 403
    assert "This takes the staff role operator or administrator; you are an auditor." in refused.content.decode()
    assert "Ask an administrator" in refused.content.decode()
    assert "request id" in refused.content.decode()


@pytest.mark.parametrize("area", AREAS)
def test_every_area_says_which_role_it_takes(cast: Cast, area: str) -> None:
    for acting in (False, True):
        sentence = needed_role(cast.reviewer, area, acting=acting)
        assert sentence.startswith("This takes the staff role ")
        assert sentence.endswith("administrator; you are a reviewer.")


def test_a_partner_page_names_the_role_and_who_can_help(cast: Cast, sign_in: Callable[..., Browser]) -> None:
    page = sign_in("viewer").get(reverse("app_new", args=[cast.organization.slug]))
    assert page.status_code == 403
    assert "This takes an owner or developer of Lighthouse Travel; you are a viewer." in page.content.decode()
    assert "Ask an owner" in page.content.decode()


def test_too_many_sign_ins_are_answered_with_our_page(rf: RequestFactory) -> None:
    page = respond_429(rf.get("/accounts/login/"))
    assert page.status_code == 429
    assert b"Wait a minute, then go back and try again." in page.content
    assert b"portal.css" in page.content


@pytest.mark.parametrize(
    ("error", "title", "wait"),
    [
        (TooManyRequests("Too many.", retry_after=60), "Too many requests", "60"),
        (ServiceUnavailable(retry_after=5), "This is away for a moment", "5"),
        (InvalidRequest("A parameter is missing."), "This cannot be done", None),
    ],
)
def test_an_error_on_a_page_has_a_next_step_and_is_explained(rf: RequestFactory, error: Any, title: str, wait: str | None) -> None:
    page = protocol_error(rf.get("/oauth/authorize"), error)
    text = page.content.decode()
    assert (page.status_code, page.get("Retry-After")) == (error.status, wait)
    assert f"<h1>{title}</h1>" in text
    assert f"/docs/errors/#{error.code}" in text
    assert "try again" in text
