"""A trust anchor fetched by hand: what it publishes, beside the keys that are pinned here."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from django.test import Client as Browser

from federation.core.issuing import build_jwks
from federation.models import TrustAnchorRecord
from federation.simulator import Fault
from protocol.jose import generate_private_key
from registry.models import AuditEvent, User
from registry.tool_limits import QUESTIONS_PER_PERSON, questions
from tests.conftest import Cast
from tests.federation.registration.conftest import server_keys, standard_scopes, world
from tests.federation.registration.support import NORTHLIGHT, World
from tests.portal.admin.conftest import messages_in, page_of, subpage_of

__all__ = ["server_keys", "standard_scopes", "world"]


@pytest.fixture(autouse=True)
def _forget_questions() -> Iterator[None]:
    questions.forget()
    yield
    questions.forget()


@pytest.fixture
def anchor(world: World) -> TrustAnchorRecord:
    """The anchor of the simulated federation."""
    return TrustAnchorRecord.objects.get(entity_id=NORTHLIGHT)


@pytest.fixture
def fetch(cast: Cast, sign_in: Callable[[User], Browser]) -> Callable[[TrustAnchorRecord], str]:
    """Return a function by which the operator fetches an anchor and reads what the page says on top."""
    browser = sign_in(cast.operator)
    return lambda row: messages_in(browser.post(subpage_of(row, "fetch"), follow=True))


def kids(world: World) -> list[str]:
    return [key["kid"] for key in build_jwks(world.federation.entities[NORTHLIGHT].keys)["keys"]]


def event_of_fetch() -> AuditEvent:
    return AuditEvent.objects.get(event="trust_anchor.fetched")


def test_an_anchor_that_publishes_the_pinned_keys_is_said_to_do_so(
    world: World, anchor: TrustAnchorRecord, fetch: Callable[..., str], cast: Cast
) -> None:
    assert fetch(anchor) == "It publishes the keys that are pinned here, and no others."
    event = event_of_fetch()
    assert (event.actor_label, event.actor_kind, event.result, event.difference) == (cast.operator.email, "staff", "ok", {})
    assert world.fetched(NORTHLIGHT) == 1


def test_keys_that_are_announced_and_not_pinned_are_named(world: World, anchor: TrustAnchorRecord, fetch: Callable[..., str]) -> None:
    before = kids(world)
    world.federation.entities[NORTHLIGHT].keys.append(generate_private_key("ES256"))
    said = fetch(anchor)
    assert f"It announces the key {kids(world)[-1]}, not pinned here." in said
    assert "signed with a key that is not pinned" not in said
    assert event_of_fetch().difference == {"kids": [before, kids(world)]}
    anchor.refresh_from_db()
    assert [key["kid"] for key in anchor.jwks["keys"]] == before


def test_pinned_keys_that_are_gone_are_named(world: World, anchor: TrustAnchorRecord, fetch: Callable[..., str]) -> None:
    gone = generate_private_key("ES256").public_jwk()
    anchor.jwks = {"keys": [*anchor.jwks["keys"], gone]}
    anchor.save()
    said = fetch(anchor)
    assert f"It publishes no more the key {gone['kid']}" in said
    assert "announces" not in said


@pytest.mark.spec("FED-TCV-06")
def test_a_configuration_that_no_pinned_key_signed_ends_every_chain_and_is_said_to(
    world: World, anchor: TrustAnchorRecord, fetch: Callable[..., str]
) -> None:
    before = kids(world)
    world.federation.entities[NORTHLIGHT].keys[:] = [generate_private_key("ES256")]
    said = fetch(anchor)
    assert said.startswith("It is signed with a key that is not pinned here")
    assert kids(world)[0] in said
    assert before[0] in said


def test_the_same_name_for_another_key_is_another_key(world: World, anchor: TrustAnchorRecord, fetch: Callable[..., str]) -> None:
    stranger = generate_private_key("ES256").public_jwk()
    anchor.jwks = {"keys": [{**stranger, "kid": anchor.jwks["keys"][0]["kid"]}]}
    anchor.save()
    said = fetch(anchor)
    assert said.startswith("It is signed with a key that is not pinned here")


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Fault.NOT_FOUND, "Step 1, fetch the entity configuration: "),
        (Fault.TLS, "Step 1, fetch the entity configuration: "),
        (Fault.EXPIRED, "Step 2, its signature and times: "),
    ],
)
def test_an_anchor_that_cannot_be_read_is_said_to_fail_at_its_step(
    world: World, anchor: TrustAnchorRecord, fetch: Callable[..., str], fault: Fault, words: str
) -> None:
    world.federation.entities[NORTHLIGHT].fault = fault
    assert fetch(anchor).startswith(f"It cannot be read. {words}")
    assert (event_of_fetch().result, event_of_fetch().difference) == ("failed", {})


def test_the_page_keeps_what_was_found_last(
    world: World, anchor: TrustAnchorRecord, fetch: Callable[..., str], cast: Cast, sign_in: Callable[[User], Browser]
) -> None:
    world.federation.entities[NORTHLIGHT].keys.append(generate_private_key("ES256"))
    fetch(anchor)
    fetch(anchor)
    reader = sign_in(cast.auditor)
    page = reader.get(page_of(anchor)).content.decode()
    assert f"the key {kids(world)[-1]}, not pinned here" in page
    assert "Fetched by hand" in page
    assert "Fetch now" not in page


def test_a_get_leads_to_the_page_and_fetches_nothing(
    world: World, anchor: TrustAnchorRecord, cast: Cast, sign_in: Callable[[User], Browser]
) -> None:
    assert sign_in(cast.operator).get(subpage_of(anchor, "fetch")).url == page_of(anchor)
    assert (world.fetched(NORTHLIGHT), AuditEvent.objects.filter(event="trust_anchor.fetched").count()) == (0, 0)


@pytest.mark.threat("F14")
def test_an_anchor_is_fetched_within_the_limits_of_the_tools(world: World, anchor: TrustAnchorRecord, fetch: Callable[..., str]) -> None:
    for _ in range(QUESTIONS_PER_PERSON):
        fetch(anchor)
    assert "Wait a minute" in fetch(anchor)
    assert world.fetched(NORTHLIGHT) == QUESTIONS_PER_PERSON


@pytest.mark.threat("R06")
def test_the_name_of_a_key_is_shown_as_text(
    world: World, anchor: TrustAnchorRecord, fetch: Callable[..., str], cast: Cast, sign_in: Callable[[User], Browser]
) -> None:
    name = "<img src=x onerror=alert(1)>" + "k" * 300
    anchor.jwks = {"keys": [*anchor.jwks["keys"], {**generate_private_key("ES256").public_jwk(), "kid": name}]}
    anchor.save()
    fetch(anchor)
    page = sign_in(cast.operator).get(page_of(anchor)).content.decode()
    assert "<img src=x" not in page
    assert "k" * 65 not in event_of_fetch().reason
