"""An entity that names the token endpoint in its assertions goes on doing so when its trust has to be looked at again there."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest

from registry.models import Client
from tests.federation.registration.support import ISSUER, RelyingParty, World

ENDPOINT = f"{ISSUER}/oauth/token"


@pytest.mark.parametrize(
    ("audience", "error"),
    [
        (ISSUER, "invalid_grant"),
        (ENDPOINT, "invalid_grant"),
        ([ENDPOINT], "invalid_client"),
        (f"{ISSUER}/oauth/par", "invalid_client"),
        ("", "invalid_client"),
    ],
)
def test_trust_that_ran_out_comes_back_by_either_name_of_this_server(
    world: World, lighthouse: RelyingParty, audience: Any, error: str
) -> None:
    assert lighthouse.authorize().status_code == 302
    ended = lighthouse.client.trust_expires_at
    assert ended
    with world.at(ended + timedelta(seconds=1)):
        form = {"grant_type": "authorization_code", "code": uuid.uuid4().hex, "redirect_uri": lighthouse.callback}
        answer = world.post("/oauth/token", {**form, **lighthouse.authentication(lighthouse.assertion(aud=audience))})
    # The code is none, which is said only to a client that was authenticated.
    assert answer.json()["error"] == error
    client = lighthouse.client
    assert client.trust == Client.Trust.VALID
    assert (client.trust_expires_at != ended) == (error == "invalid_grant")
