"""The gate at every endpoint that serves people, for every state of app, organization and trust (threats.md O10; house decision 4)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from itertools import count
from typing import Any

import pytest

from authserver import client_authentication
from authserver.families import issue_access_token, issue_refresh_token
from authserver.models import Grant
from registry.models import Client
from tests.authserver.authorization.support import CALLBACK, CHALLENGE, LOGOUT, Flow, introspected, page, said
from tests.authserver.support import Caller, outcome
from tests.authserver.test_who_may_act import may_act, put, situations
from tests.conftest import Cast, later

SCOPES = ["openid", "offline_access"]
CLOSED = Client.State.CLOSED


@pytest.mark.threat("O10")
def test_every_step_asks_the_gate_in_every_situation(new_app: Any, cast: Cast, flow: Flow, now: datetime) -> None:
    flow = Flow(new_app("none"), flow.browser)
    flow.code()
    numbers = count()

    def new_grant() -> tuple[Grant, str]:
        code = f"cac_{next(numbers)}"
        bound = {"redirect_uri": CALLBACK, "code_challenge": CHALLENGE, "scope": " ".join(SCOPES), "auth_time": 1}
        row = Grant.objects.create(application=flow.app.client, user=cast.owner, code=code, expires=later(now, hours=1), **bound)
        return row, code

    grant, _ = new_grant()
    token = issue_access_token(grant, flow.app.client, SCOPES, 3600, now=now)
    everything = [one for one in situations() if may_act(one)]
    assert len(everything) > 5
    for situation in situations():
        put(flow.app, {**situation, "state": Client.State.ACTIVE, "organization": "approved", "trust": "none", "expires": None}, now)
        started = flow.start()
        fresh, code = new_grant()
        refresh_token = issue_refresh_token(fresh, flow.app.client, SCOPES)
        put(flow.app, situation, now)
        good, closed = may_act(situation), situation["state"] == CLOSED
        refused = "401 invalid_client" if closed else "400 unauthorized_client"
        got = {
            "pushing": outcome(flow.push()),
            "exchanging": outcome(flow.exchange(code)),
            "refreshing": outcome(flow.refresh(refresh_token)),
            "userinfo": outcome(flow.userinfo(token)),
        }
        wanted = {
            "pushing": "201" if good else refused,
            "exchanging": "200" if good else refused,
            "refreshing": "200" if good else refused,
            "userinfo": "200" if good else "401 invalid_token",
        }
        assert got == wanted, situation
        begun, answered = flow.start(), flow.go_on(started)
        if good:
            assert begun.status_code == 302, situation
            assert "code" in said(answered), situation
        else:
            assert "unauthorized_client" in page(answered)
            assert ("invalid_client" if closed else "unauthorized_client") in page(begun, 401 if closed else 400), situation


def test_a_client_may_be_found_anew_at_authorize_par_and_token_and_nowhere_else(
    flow: Flow, monkeypatch: pytest.MonkeyPatch, resource_server: Caller
) -> None:
    found: list[str] = []
    find = client_authentication.find_client
    monkeypatch.setattr(
        client_authentication, "find_client", lambda name, *args, **options: found.append(name) or find(name, *args, **options)
    )

    def asked(act: Callable[[], object]) -> bool:
        found.clear()
        act()
        return found == [flow.app.client_id]

    tokens = flow.tokens(scope="openid offline_access")
    code = flow.code()
    assert asked(flow.start)
    assert asked(flow.push)
    assert asked(lambda: flow.exchange(code))
    assert asked(lambda: flow.refresh(tokens["refresh_token"]))
    assert not asked(lambda: flow.userinfo(tokens["access_token"]))
    assert not asked(lambda: introspected(resource_server, tokens["access_token"]))
    assert not asked(lambda: flow.revoke(tokens["access_token"]))
    assert not asked(lambda: flow.browser.get(LOGOUT, {"client_id": flow.app.client_id}))
