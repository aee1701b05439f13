"""The dry run between the form of a policy and saving it (portal.md 4.5)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from portal import policy_previews
from registry.models import AuditEvent, Client, PolicyRecord
from registry.policy_preview import propose
from registry.policy_records import save_policy
from tests.conftest import Cast
from tests.portal.admin.conftest import messages_in, page_of
from tests.portal.admin.test_rules_and_server import POLICY, filled_in
from tests.registry.support import jwks
from tests.registry.test_policy_preview import ACTOR, KEYS_ONLY


@pytest.fixture(autouse=True)
def _empty_cache() -> Iterator[None]:
    yield
    cache.clear()


@pytest.fixture
def as_operator(cast: Cast, sign_in: Callable[[Any], Browser]) -> Browser:
    """A browser of the operator."""
    return sign_in(cast.operator)


def send(browser: Browser, **changes: Any) -> str:
    """Send the form of the policy for all; return the address of the report."""
    response = browser.post(reverse(POLICY), filled_in(browser.get(reverse(POLICY)), **changes))
    assert response.status_code == 302
    return str(response.url)


def test_sending_the_form_shows_who_would_change_and_saves_nothing(
    as_operator: Browser, make_client: Callable[..., Client], now: Any
) -> None:
    client = make_client(client_name="Back office")
    make_client(client_name="Front office", token_endpoint_auth_method="private_key_jwt", jwks=jwks())
    page = as_operator.get(send(as_operator, **KEYS_ONLY))
    text = page.content.decode()
    assert page_of(client) in text
    assert "Front office" not in text
    assert (now + timedelta(days=30)).strftime("%b %Y") in text
    assert page.context["report"].clients["suspended"] == 1
    assert "Authentication in live" in text
    assert not PolicyRecord.objects.exists()


def test_saving_takes_the_report_that_was_shown_and_happens_once(as_operator: Browser, make_client: Callable[..., Client]) -> None:
    make_client()
    address = send(as_operator, **KEYS_ONLY)
    as_operator.get(address)
    assert "Saved." in messages_in(as_operator.post(address, follow=True))
    assert "This report is gone" in messages_in(as_operator.post(address, follow=True))
    assert PolicyRecord.objects.get().values == KEYS_ONLY
    assert AuditEvent.objects.filter(event="policy.changed").count() == 1


def test_a_policy_that_changed_since_the_report_is_not_overwritten(as_operator: Browser, now: Any) -> None:
    address = send(as_operator, clients_limit=7)
    as_operator.get(address)
    save_policy(None, {"clients_limit": 9}, ACTOR, now=now)
    assert "The policy changed meanwhile" in as_operator.get(address).content.decode()
    assert "changed since this report" in messages_in(as_operator.post(address, follow=True))
    assert PolicyRecord.objects.get().values == {"clients_limit": 9}


def test_a_report_that_takes_long_comes_in_pieces_and_saves_nothing_before_it_is_complete(
    as_operator: Browser, make_client: Callable[..., Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        make_client()
    monkeypatch.setattr(policy_previews, "SLICE_SECONDS", 0)
    address = send(as_operator, **KEYS_ONLY)
    first = as_operator.get(address)
    assert (first.context["report"].covered, first.context["is_waiting"]) == (1, True)
    text = first.content.decode()
    assert "1 of 3 apps" in text
    assert 'hx-trigger="every 3s"' in text
    assert "Save the policy" not in text
    assert as_operator.post(address).status_code == 200
    assert not PolicyRecord.objects.exists()
    part = as_operator.get(address, headers={"HX-Request": "true"})
    assert part.context["report"].covered == 3
    last = as_operator.get(address, headers={"HX-Request": "true"})
    assert last["HX-Refresh"] == "true"
    assert "Save the policy" in as_operator.get(address).content.decode()


def test_a_page_stops_asking_after_a_minute_and_offers_to_go_on(cast: Cast, make_client: Callable[..., Client]) -> None:
    make_client()
    proposal = propose(None, KEYS_ONLY)
    policy_previews.begin(proposal, timezone.now() - timedelta(seconds=61))
    shown = policy_previews.go_on(proposal.digest, timezone.now())
    assert shown
    shown.report.is_done = False
    assert not shown.is_polled(timezone.now())


def test_every_app_that_would_change_is_in_the_csv_file(as_operator: Browser, make_client: Callable[..., Client]) -> None:
    names = {make_client(client_name=name).name for name in ("=cmd()", "Front <b>office</b>")}
    response = as_operator.get(send(as_operator, **KEYS_ONLY) + "apps.csv")
    text = b"".join(response.streaming_content).decode()  # type: ignore[attr-defined]
    assert len(text.splitlines()) == 1 + len(names)
    assert "'=cmd()" in text
    assert "policy.token_endpoint_auth_method.not_allowed" in text


def test_names_of_apps_are_shown_as_text(as_operator: Browser, make_client: Callable[..., Client]) -> None:
    make_client(client_name="<img src=x onerror=alert(1)>")
    assert "<img src=x" not in as_operator.get(send(as_operator, **KEYS_ONLY)).content.decode()


def test_a_report_that_nobody_asked_for_leads_back_to_the_list(as_operator: Browser) -> None:
    for digest in ("0" * 64, "nothing"):
        response = as_operator.get(reverse("staff:registry_policyrecord_preview", args=(digest,)), follow=True)
        assert "This report is gone" in messages_in(response)
        assert as_operator.get(reverse("staff:registry_policyrecord_preview_csv", args=(digest,))).status_code == 404


def test_the_report_takes_the_same_queries_for_many_apps_as_for_few(as_operator: Browser, make_client: Callable[..., Client]) -> None:
    def count(limit: int) -> int:
        address = send(as_operator, clients_limit=limit, **KEYS_ONLY)
        with CaptureQueriesContext(connection) as queries:
            assert as_operator.get(address).context["report"].is_done
        return len(queries)

    make_client()
    little = count(30)
    for _ in range(8):
        make_client()
    assert count(31) == little
