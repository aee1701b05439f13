"""manage.py distrust: first what it would end, then the end."""

from __future__ import annotations

from datetime import datetime
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from federation.models import RefusedEntity
from registry.models import AuditEvent
from tests.federation.registration.access import Access
from tests.federation.registration.support import HARBOUR, NORTHLIGHT, World

MACHINE, OTHER = "https://machine.example", "https://other-machine.example"


@pytest.fixture
def registered(world: World, now: datetime) -> World:
    """Two machine clients below Harbour."""
    access = Access.build(world, now)
    for entity_id in (MACHINE, OTHER):
        access.token(world.add_machine(entity_id), chain=True)
    return world


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("distrust", *arguments, stdout=out)
    return out.getvalue()


@pytest.mark.parametrize("entity_id", [HARBOUR, NORTHLIGHT])
def test_without_end_it_says_what_would_end_and_changes_nothing(registered: World, entity_id: str) -> None:
    before = AuditEvent.objects.count()
    told = run(entity_id)
    assert f"{entity_id} carries 2 apps." in told
    assert "  https://machine.example  Machine  trust valid" in told
    assert "Nothing was changed." in told
    assert AuditEvent.objects.count() == before
    assert not RefusedEntity.objects.exists()


def test_with_end_it_ends_them(registered: World) -> None:
    assert "Apps that lost their trust: 2." in run(HARBOUR, "--reason", "It was broken into.", "--end")
    assert RefusedEntity.objects.get().reason == "It was broken into."
    event = AuditEvent.objects.get(event="entity.refused")
    assert (event.actor_kind, event.actor_label) == ("job", "command line")
    assert "trust broken" in run(HARBOUR)


def test_an_entity_that_carries_nothing_is_said_to(registered: World) -> None:
    assert "https://nobody.example carries 0 apps." in run("https://nobody.example")


@pytest.mark.parametrize(("arguments", "words"), [
    ((HARBOUR, "--end"), "--reason: Say why"),
    ((HARBOUR, "--end", "--reason", "  "), "--reason: Say why"),
    (("http://harbour.example",), "ENTITY_ID:"),
])  # fmt: skip
def test_what_is_wrong_is_said_in_a_sentence(registered: World, arguments: tuple[str, ...], words: str) -> None:
    with pytest.raises(CommandError, match=words):
        run(*arguments)
    assert not RefusedEntity.objects.exists()
