"""What happens at the same time: one use left, two updates, an end and a change (DCR-IAT-04, DCR-MGT-17; threats.md S02)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from django.db import connection
from django.test import Client as Browser

from dcr.initial_access_tokens import revoke_initial_access_token
from dcr.models import InitialAccessToken, OpenRegistration, RefusedRegistration, RegistrationAccessToken
from registry.models import AuditEvent, ChangeRequest, Client, ClientSecret, Organization, PolicyRecord
from tests.conftest import Cast
from tests.dcr.support import MACHINE, WEBSITE, Machine, client_of, make_profile, make_token
from tests.registry.threads import together

pytestmark = pytest.mark.django_db(transaction=True)
Holder = Callable[..., Machine]


def statuses(answers: list[Any]) -> Counter[Any]:
    """Return how often each status was answered; what was raised counts as itself."""
    return Counter(getattr(answer, "status_code", repr(answer)) for answer in answers)


def many() -> int:
    return 50 if connection.vendor == "postgresql" else 20


def alone(machine: Machine) -> Machine:
    """Return the machine with a browser of its own, for a thread."""
    return Machine(Browser(), machine.token)


@pytest.mark.spec("DCR-IAT-04")
@pytest.mark.threat("R01", "J16")
def test_fifty_at_once_with_a_token_for_one_register_one(holder: Holder) -> None:
    machine = holder(uses_limit=1)
    answers = together(50, lambda number: alone(machine).register(client_name=f"App {number}"))
    assert statuses(answers) == {201: 1, 401: 49}
    assert Client.objects.count() == RegistrationAccessToken.objects.count() == ClientSecret.objects.count() == 1
    assert InitialAccessToken.objects.get().uses == 1
    assert AuditEvent.objects.filter(event="client.registered").count() == 1
    assert RefusedRegistration.objects.count() <= 50


@pytest.mark.spec("DCR-IAT-04")
@pytest.mark.threat("R01")
def test_a_token_for_five_registers_five(holder: Holder) -> None:
    machine = holder(uses_limit=5)
    answers = together(many(), lambda number: alone(machine).register(client_name=f"App {number}"))
    assert statuses(answers) == {201: 5, 401: many() - 5}
    assert Client.objects.count() == InitialAccessToken.objects.get().uses == 5


@pytest.mark.spec("DCR-ERR-01")
@pytest.mark.threat("R01")
def test_an_organization_has_its_number_of_clients_whatever_tokens_race(cast: Cast, now: datetime, holder: Holder) -> None:
    PolicyRecord.objects.create(organization=cast.organization, values={"clients_limit": 3})
    machines = [holder() for _ in range(10)]
    answers = together(10, lambda number: alone(machines[number]).register())
    assert statuses(answers) == {201: 3, 403: 7}
    assert Client.objects.count() == 3
    assert sum(InitialAccessToken.objects.values_list("uses", flat=True)) == 3


@pytest.mark.threat("S02")
def test_a_token_that_is_being_revoked_registers_nothing_afterwards(cast: Cast, now: datetime, holder: Holder) -> None:
    for _ in range(10):
        machine = holder()
        row = InitialAccessToken.objects.order_by("-id")[0]
        counted: list[int] = []

        def act(number: int, row: Any = row, machine: Machine = machine, counted: list[int] = counted) -> Any:
            if number:
                return alone(machine).register()
            revoke_initial_access_token(row, cast.as_owner, now=now)
            counted.append(Client.objects.filter(registration_access_token__initial_access_token=row).count())
            return None

        answers = together(3, act)[1:]
        made = Client.objects.filter(registration_access_token__initial_access_token=row).count()
        assert statuses(answers) == Counter({201: made, 401: 2 - made})
        assert counted == [made]


@pytest.mark.spec("DCR-MGT-17")
@pytest.mark.threat("R02", "R11")
def test_of_updates_at_once_that_read_the_same_version_one_is_written(machine: Machine) -> None:
    response = machine.register(WEBSITE)
    told, version = response.json(), response["ETag"]
    answers = together(10, lambda number: alone(machine).replace(told, {**WEBSITE, "client_name": f"App {number}"}, If_Match=version))
    assert statuses(answers) == {200: 1, 412: 9}
    written = next(answer for answer in answers if answer.status_code == 200).json()
    assert client_of(told).metadata["client_name"] == written["client_name"]
    assert AuditEvent.objects.filter(event="client.updated").count() == 1


@pytest.mark.spec("DCR-MGT-17")
@pytest.mark.threat("R02")
def test_updates_at_once_take_turns_and_leave_one_of_them_whole(machine: Machine) -> None:
    told = machine.registered(WEBSITE)

    def document(number: int) -> dict[str, Any]:
        return {**WEBSITE, "client_name": f"App {number}", "redirect_uris": [f"https://lighthouse.example/{number}"]}

    answers = together(10, lambda number: alone(machine).replace(told, document(number)))
    assert statuses(answers) == {200: 10}
    client = client_of(told)
    number = client.name.removeprefix("App ")
    assert client.redirect_uris == f"https://lighthouse.example/{number}" == client.metadata["redirect_uris"][0]
    changes = [event.difference["client_name"] for event in AuditEvent.objects.filter(event="client.updated").order_by("id")]
    assert [before for before, _ in changes] == ["Lighthouse", *(after for _, after in changes[:-1])]
    assert ClientSecret.objects.count() == 1


@pytest.mark.spec("DCR-MGT-10")
def test_updates_at_once_that_need_a_secret_make_one(machine: Machine) -> None:
    told = machine.registered(WEBSITE, token_endpoint_auth_method="none")
    answers = together(6, lambda number: alone(machine).replace(told, WEBSITE))
    assert statuses(answers) == {200: 6}
    assert ClientSecret.objects.count() == 1
    assert len([answer for answer in answers if "client_secret" in answer.json()]) == 1


@pytest.mark.spec("DCR-MGT-18")
@pytest.mark.threat("R11")
def test_updates_at_once_of_a_live_client_leave_one_request(holder: Holder) -> None:
    machine = holder(stage="live")
    told = machine.registered(WEBSITE)
    answers = together(6, lambda number: alone(machine).replace(told, {**WEBSITE, "redirect_uris": [f"https://host{number}.example/"]}))
    assert statuses(answers) == {200: 6}
    assert ChangeRequest.objects.filter(state="open").count() == 1
    assert client_of(told).metadata["redirect_uris"] == WEBSITE["redirect_uris"]


@pytest.mark.spec("DCR-MGT-14", "DCR-MGT-17")
@pytest.mark.threat("R04", "S02")
def test_an_update_never_comes_after_the_end(machine: Machine) -> None:
    for number in range(15):
        told = machine.registered()

        def act(thread: int, told: dict[str, Any] = told, number: int = number) -> Any:
            sender = alone(machine)
            return sender.delete(told) if thread == 0 else sender.replace(told, {**MACHINE, "client_name": f"New {number}"})

        deleted, replaced = together(2, act)
        assert deleted.status_code == 204, deleted
        assert replaced.status_code in (200, 401, 403), replaced
        client = client_of(told)
        assert client.state == "closed"
        assert (client.name == f"New {number}") == (replaced.status_code == 200)
        order = list(AuditEvent.objects.filter(object_id=str(client.reference)).order_by("id").values_list("event", flat=True))
        assert order.index("client.closed") > order.index("client.updated") if "client.updated" in order else True
        assert machine.read(told).status_code == 401


@pytest.mark.spec("DCR-MGT-14")
@pytest.mark.threat("S02")
def test_an_end_at_the_same_time_happens_once(machine: Machine) -> None:
    for _ in range(8):
        told = machine.registered()
        answers = together(4, lambda number, told=told: alone(machine).delete(told))
        assert statuses(answers)[204] == 1, statuses(answers)
        assert set(statuses(answers)) <= {204, 401, 403}
        assert AuditEvent.objects.filter(event="client.closed", object_id=str(client_of(told).reference)).count() == 1


@pytest.mark.spec("DCR-MGT-13")
@pytest.mark.threat("R04")
def test_a_token_that_is_replaced_twice_at_once_leaves_both_answers_usable(holder: Holder) -> None:
    machine = holder(profile=make_profile(is_hardened=True))
    for _ in range(5):
        told = machine.registered()
        answers = together(2, lambda number, told=told: alone(machine).replace(told))
        assert statuses(answers) == {200: 2}
        values = {answer.json()["registration_access_token"] for answer in answers}
        assert len(values) == 2
        for value in values:  # the later one for good, the earlier one for a minute: whoever sent both has a token that works
            assert machine.read({**told, "registration_access_token": value}).status_code == 200


@pytest.mark.threat("R01")
def test_first_open_registrations_at_once_share_one_organization(db: None, settings: Any) -> None:
    settings.OPEN_REGISTRATION = True
    before = Organization.objects.count()
    answers = together(5, lambda number: Machine(Browser(REMOTE_ADDR=f"192.0.2.{number + 1}")).register(WEBSITE))
    assert statuses(answers) == {201: 5}
    assert OpenRegistration.objects.count() == 1
    assert Organization.objects.count() == before + 1
    assert Client.objects.filter(organization=OpenRegistration.objects.get().organization).count() == 5


def test_tokens_of_two_organizations_do_not_wait_for_each_other(cast: Cast, now: datetime) -> None:
    from tests.conftest import make_organization

    other = make_organization(cast.stranger, cast.reviewer, now, "Tidewater")
    tokens = [make_token(cast.organization, now), make_token(other, now)]
    answers = together(10, lambda number: Machine(Browser(), tokens[number % 2]).register())
    assert statuses(answers) == {201: 10}
    assert cast.organization.clients.count() == other.clients.count() == 5
