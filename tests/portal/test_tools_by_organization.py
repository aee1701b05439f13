"""The tools judge a member by the rules of their organization, and tell nobody what stands in the network behind this server."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import pytest
from django.test import Client as Browser
from django.urls import reverse
from pytest_django.asserts import assertContains, assertNotContains

from federation.core.resolution import StepNumber
from protocol.fetch import FetchConfig, HttpFetcher
from registry.actors import job
from registry.outbound import use_fetcher
from registry.policy_records import save_policy
from registry.tool_limits import questions
from tests.conftest import Cast, make_organization
from tests.federation.registration.conftest import lighthouse, server_keys, standard_scopes, world
from tests.federation.registration.support import HARBOUR, LIGHTHOUSE, NORTHLIGHT, RelyingParty, World

__all__ = ["lighthouse", "server_keys", "standard_scopes", "world"]

URI = "https://app.example.org/callback"
TWO = f'{{"client_name": "App", "redirect_uris": ["{URI}", "{URI}2"]}}'


@pytest.fixture(autouse=True)
def _forget_questions() -> Iterator[None]:
    questions.forget()
    yield
    questions.forget()


@pytest.fixture
def strict(cast: Cast, now: datetime) -> Cast:
    """The cast, whose organization may have one redirect URI in each app."""
    save_policy(cast.organization, {"redirect_uris_limit": 1}, job("test"), now=now)
    return cast


def dry_run(browser: Browser, **data: str) -> Any:
    chosen = {"way": "client", "entity_type": "openid_relying_party", "stage": "test", "metadata": TWO}
    return browser.post(reverse("tool_dry_run"), {**chosen, **data})


def test_a_member_chooses_by_whose_rules_is_judged(strict: Cast, owner: Browser) -> None:
    form = owner.get(reverse("tool_dry_run")).context["form"]
    assert form["organization"].initial == strict.organization.slug
    assert dry_run(owner, organization=strict.organization.slug).context["trial"].is_refused
    assert not dry_run(owner, organization="").context["trial"].is_refused
    assert not dry_run(owner).context["trial"].is_refused
    lines = {"redirect_uris": f"{URI}\n{URI}2", "application_type": "web", "stage": "test"}
    url = reverse("tool_redirect_uris")
    assert "redirect_uris.too_many" not in str(owner.post(url, lines).context["review"])
    page = owner.post(url, {**lines, "organization": strict.organization.slug})
    assertContains(page, f"by the rules for {strict.organization.legal_name}.")
    assert page.context["review"].findings


@pytest.mark.threat("R09")
def test_nobody_is_judged_by_the_rules_of_an_organization_that_is_not_theirs(
    strict: Cast, owner: Browser, sign_in: Callable[..., Browser], now: datetime
) -> None:
    other = make_organization(strict.stranger, strict.reviewer, now, "Tidewater")
    page = dry_run(owner, organization=other.slug)
    assert page.context["form"].errors.keys() == {"organization"}
    assertNotContains(page, "Tidewater")
    for browser in (Browser(), sign_in(strict.reviewer)):
        assert "organization" not in browser.get(reverse("tool_dry_run")).context["form"].fields
        assert not dry_run(browser, organization=strict.organization.slug).context["trial"].is_refused


def test_a_chain_ends_at_the_rules_of_the_organization(world: World, lighthouse: RelyingParty, strict: Cast, owner: Browser) -> None:
    lighthouse.metadata["redirect_uris"] = [URI, f"{URI}2"]
    url = reverse("tool_chain")
    page = owner.post(url, {"entity_id": LIGHTHOUSE})
    assertContains(page, "Checked by the rules for every organization.")
    page = owner.post(url, {"entity_id": LIGHTHOUSE, "organization": strict.organization.slug})
    assert page.context["report"].failure.step == StepNumber.LOCAL_RULES


class Names:
    """Names as a resolver knows them: inside ones have private addresses, one answers with nonsense, the others do not exist."""

    def __call__(self, host: str, _port: int) -> list[str]:
        if host.startswith("inside"):
            return ["10.0.0.1"]
        if host.startswith("meta"):
            return ["169.254.169.254"]
        if host.startswith("strange"):
            return ["no address"]
        raise socket.gaierror(socket.EAI_NONAME, "no such name")


def answer_about(browser: Browser, name: str, host: str, accept: str) -> bytes:
    """Return what a tool answers, without the name of the host and what differs in every answer."""
    field = "jwks_uri" if name == "tool_keys" else "entity_id"
    response = browser.post(reverse(name), {field: f"https://{host}"}, headers={"Accept": accept})
    assert response.status_code == 200
    content = response.content.replace(host.encode(), b"HOST")
    return re.sub(
        rb'csrfmiddlewaretoken" value="[^"]*"|nonce="[^"]*"|[0-9a-f]{32}|\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:[\d.]+)?|"now": \d+', b"", content
    )


@pytest.mark.threat("F09")
@pytest.mark.parametrize("accept", ["text/html", "application/json"])
@pytest.mark.parametrize("name", ["tool_keys", "tool_entity", "tool_chain"])
def test_a_private_address_and_an_unknown_host_get_the_same_answer_byte_for_byte(
    cast: Cast, world: World, owner: Browser, name: str, accept: str
) -> None:
    with use_fetcher(HttpFetcher(FetchConfig(resolver=Names()))):
        answers = {answer_about(owner, name, f"{host}.example", accept) for host in ("inside", "meta", "strange", "nowhere")}
    assert len(answers) == 1


@pytest.mark.threat("F09")
def test_a_superior_with_a_private_address_looks_like_one_that_does_not_exist(
    cast: Cast, world: World, lighthouse: RelyingParty, owner: Browser
) -> None:
    class Mixed(HttpFetcher):
        """Reaches the federation, and asks the resolver about everybody else."""

        def fetch_many(self, requests: Any) -> Any:
            known = (LIGHTHOUSE, HARBOUR, NORTHLIGHT)
            return [(world.fetcher if one.url.startswith(known) else super(Mixed, self)).fetch_many([one])[0] for one in requests]

    answers = set()
    for host in ("inside.example", "nowhere.example"):
        lighthouse.entity.superiors[:] = [f"https://{host}"]
        world.forget()
        with use_fetcher(Mixed(FetchConfig(resolver=Names()))):
            answers.add(answer_about(owner, "tool_chain", host, "text/html"))
            assert lighthouse.authorize().status_code in (400, 503)
    assert len(answers) == 1


@pytest.mark.threat("F09")
def test_strangers_cannot_tell_a_private_address_from_an_unknown_host_by_registering(cast: Cast, world: World) -> None:
    answers = set()
    with use_fetcher(HttpFetcher(FetchConfig(resolver=Names()))):
        for host in ("inside.example", "nowhere.example"):
            party = world.add(f"https://{host}")
            response = party.push(request=party.request_object())
            body = {name: value for name, value in response.json().items() if name != "instance"}
            answers.add((response.status_code, str(body).replace(host, "HOST"), response.headers.get("Retry-After")))
    assert len(answers) == 1
    assert "HOST" in str(answers)
