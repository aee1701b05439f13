"""How many statements registering and managing take; a machine may send many."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from protocol.fetch import InMemoryFetcher
from tests.dcr.support import MACHINE, WEBSITE, Machine, signer, statements
from tests.dcr.test_remote_documents import BY_URI, KEYS, keys_page

pytestmark = pytest.mark.django_db
DOCUMENTS: dict[str, dict[str, Any]] = {
    "client_secret_basic": {**WEBSITE, "scope": "bookings.read"},
    "client_secret_post": {**MACHINE, "token_endpoint_auth_method": "client_secret_post"},
    "private_key_jwt": signer(),
    "none": {**WEBSITE, "scope": "bookings.read", "token_endpoint_auth_method": "none"},
}


@pytest.mark.parametrize("method", DOCUMENTS)
def test_registering_takes_at_most_eight_statements(machine: Machine, method: str) -> None:
    machine.registered(DOCUMENTS[method])  # the first registration of a token tells the owners
    with CaptureQueriesContext(connection) as queries:
        machine.registered(DOCUMENTS[method])
    assert len(statements(queries)) <= 8, statements(queries)


def test_registering_with_an_address_of_keys_takes_few_more(machine: Machine, web: InMemoryFetcher) -> None:
    web.put(KEYS, keys_page())
    machine.registered(BY_URI)
    with CaptureQueriesContext(connection) as queries:
        machine.registered(BY_URI)
    assert len(statements(queries)) <= 14, statements(queries)


@pytest.mark.parametrize("method", DOCUMENTS)
def test_reading_takes_three_statements(machine: Machine, method: str) -> None:
    told = machine.registered(DOCUMENTS[method])
    machine.read(told)  # the first use is written down
    with CaptureQueriesContext(connection) as queries:
        assert machine.read(told).status_code == 200
    assert len(statements(queries)) == 3, statements(queries)


def test_a_token_that_is_none_takes_one_statement(machine: Machine) -> None:
    told = machine.registered()
    machine.read(told)
    with CaptureQueriesContext(connection) as queries:
        assert machine.read({**told, "registration_access_token": "ccr_x"}).status_code == 401
    assert len(statements(queries)) == 1, statements(queries)
    with CaptureQueriesContext(connection) as queries:
        assert Machine(machine.client).register().status_code == 401
    asked = [one for one in statements(queries) if " FROM " in one]
    assert len(asked) <= 1, asked  # whether a statement alone would be enough


@pytest.mark.parametrize("method", DOCUMENTS)
def test_updating_takes_the_same_number_of_statements_however_large_the_table(machine: Machine, method: str) -> None:
    count = 17 if method == "private_key_jwt" else 16
    told = machine.registered(DOCUMENTS[method])
    machine.read(told)
    numbers = []
    for round_number in range(3):
        document = {**DOCUMENTS[method], "client_name": f"Round {round_number}"}
        with CaptureQueriesContext(connection) as queries:
            assert machine.replace(told, document).status_code == 200
        numbers.append(len(statements(queries)))
        machine.registered(DOCUMENTS[method])
    assert numbers == [count] * 3, statements(queries)
