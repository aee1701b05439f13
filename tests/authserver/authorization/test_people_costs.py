"""What the code flow costs in statements, transactions included (performance.md; stock django-oauth-toolkit: 15 and 18)."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.db import connection

from tests.authserver.authorization.support import Flow, sign_in
from tests.authserver.support import Caller, counted
from tests.conftest import Cast

pytestmark = pytest.mark.django_db(transaction=True)
STOCK = {"exchange": 15, "refresh": 18}


@pytest.mark.parametrize(("method", "exchange", "refresh"), [("client_secret_basic", 8, 9), ("private_key_jwt", 9, 10), ("none", 8, 9)])
def test_exchange_and_refresh_cost_less_than_stock(
    new_app: Callable[..., Caller], cast: Cast, method: str, exchange: int, refresh: int
) -> None:
    flow = Flow(new_app(method))
    sign_in(flow.browser, cast.owner)
    scope = "openid offline_access bookings.read"
    flow.refresh(flow.tokens(scope=scope)["refresh_token"])  # what a process reads once is read now
    code = flow.code(scope=scope)
    with counted() as exchanging:
        answer = flow.exchange(code)
    with counted() as refreshing:
        assert flow.refresh(answer.json()["refresh_token"]).status_code == 200
    statements = "\n".join(query["sql"][:160] for query in [*exchanging, *refreshing])
    assert (len(exchanging), len(refreshing)) == (exchange, refresh), statements
    assert exchange < STOCK["exchange"]
    assert refresh < STOCK["refresh"]
    assert connection.in_atomic_block is False
