"""Which roles an app has that uses the API."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import pytest

from protocol.errors import TransitionRefused
from registry.actors import client_actor, job, person
from registry.lifecycle import create_organization, register_client, set_client_switch
from registry.models import Client
from registry.transitions import ADMINISTRATOR, DEVELOPER, OPERATOR, OWNER, REVIEWER, SYSTEM
from tests.conftest import Cast

pytestmark = pytest.mark.threat("R09")

EVERY_ROLE = (OWNER, DEVELOPER, REVIEWER, OPERATOR, ADMINISTRATOR, SYSTEM)


def test_an_app_is_an_owner_of_its_own_organization_and_nothing_else(cast: Cast, make_client: Callable[..., Client], now: datetime) -> None:
    other = create_organization(person(cast.stranger), "Tidewater", now=now, owner=cast.stranger)
    actor = client_actor(make_client())
    assert actor.roles(cast.organization) == {OWNER, DEVELOPER}
    assert not actor.has_role(other, *EVERY_ROLE)
    assert not actor.has_role(None, *EVERY_ROLE)
    assert actor.speaks_for(cast.organization)


def test_an_app_as_staff_reviews_every_organization_but_its_own(cast: Cast, make_client: Callable[..., Client], now: datetime) -> None:
    other = create_organization(person(cast.stranger), "Tidewater", now=now, owner=cast.stranger)
    actor = client_actor(make_client(), as_staff=True)
    assert actor.roles(cast.organization) == {OWNER, DEVELOPER}
    assert actor.roles(other) == actor.roles(None) == {REVIEWER, OPERATOR}
    assert actor.speaks_for(cast.organization)
    assert not actor.speaks_for(other)


@pytest.mark.parametrize("as_staff", [False, True])
def test_an_app_makes_nothing_live_and_no_resource_server_without_a_review(
    cast: Cast, make_client: Callable[..., Client], now: datetime, as_staff: bool
) -> None:
    client = make_client()
    actor = client_actor(client, as_staff=as_staff)
    document = {"client_name": "x", "grant_types": ["client_credentials"]}
    for options in ({"stage": Client.Stage.LIVE}, {"is_resource_server": True}):
        with pytest.raises(TransitionRefused) as refused:
            register_client(actor, cast.organization, document, now=now, **options)
        assert refused.value.reason == "permission"
    with pytest.raises(TransitionRefused):
        set_client_switch(client, "is_resource_server", True, actor, now=now)


def test_a_job_decides_whatever_a_person_took_on(cast: Cast) -> None:
    assert job("test").is_reviewer(cast.reviewer.pk)
    assert person(cast.reviewer, staff=True).is_reviewer(cast.reviewer.pk)
    assert not person(cast.operator, staff=True).is_reviewer(cast.reviewer.pk)
