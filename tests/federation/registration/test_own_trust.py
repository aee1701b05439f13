"""What the federations make of this server (OpenID Federation 1.0, 6.1.4.2, 12.2.5)."""

from __future__ import annotations

from datetime import datetime
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command

from authserver.documents import own_configuration
from authserver.tasks import check_own_trust
from federation.own_entity import join
from federation.own_trust import problems_with, review_own_trust
from registry.signing_keys import get_keys
from tests.federation.registration.support import ACTOR, ISSUER, NORTHLIGHT, World


def vouch(world: World, **claims: Any) -> None:
    """Let Northlight issue a statement about this server."""
    world.federation.vouch_for(NORTHLIGHT, ISSUER, get_keys("federation").public_jwks, **claims)
    world.forget()


def problems() -> tuple[str, ...]:
    (own,) = review_own_trust(own_configuration())
    return own.problems


@pytest.mark.spec("FED-OPM-09", "FED-EXP-30")
def test_a_server_that_its_superior_vouches_for_has_no_problems(world: World, now: datetime) -> None:
    assert "names no superior" in problems()[0]
    join(NORTHLIGHT, ACTOR, now=now)
    assert problems()  # the superior does not know us
    vouch(world)
    assert problems() == ()
    assert check_own_trust() == 0
    out = StringIO()
    call_command("check_own_trust", stdout=out)
    assert f"✓ {NORTHLIGHT}: {ISSUER} > {NORTHLIGHT}" in out.getvalue()


@pytest.mark.spec("FED-OPM-09", "FED-EXP-30")
def test_a_key_that_the_superior_does_not_know_is_a_problem(world: World, now: datetime) -> None:
    join(NORTHLIGHT, ACTOR, now=now)
    world.federation.vouch_for(NORTHLIGHT, ISSUER, {"keys": [world.federation.entities[NORTHLIGHT].keys[0].public_jwk()]})
    assert "does not vouch for" in problems()[0]
    with pytest.raises(SystemExit):
        call_command("check_own_trust", stdout=StringIO())


@pytest.mark.spec("FED-OPM-09")
@pytest.mark.parametrize(
    ("policy", "words"),
    [
        ({"id_token_signing_alg_values_supported": {"subset_of": ["ES256"]}}, ""),
        ({"id_token_signing_alg_values_supported": {"add": ["HS256"]}}, "promises HS256"),
        ({"issuer": {"value": "https://other.example"}}, "openid_provider.issuer"),
        ({"response_types_supported": {"value": None}}, "nothing is left"),
        ({"require_signed_request_object": {"value": True}}, "require_signed_request_object"),
        ({"service_documentation": {"value": "https://docs.example"}}, ""),
    ],
)
def test_what_a_superiors_policy_promises_in_our_name_must_be_something_we_do(
    world: World, now: datetime, policy: dict[str, Any], words: str
) -> None:
    join(NORTHLIGHT, ACTOR, now=now)
    vouch(world, metadata_policy={"openid_provider": policy})
    found = problems()
    assert words in found[0] if words else found == (), found
    assert check_own_trust() == len(found)


def test_a_member_that_nobody_declared_is_no_promise() -> None:
    base = {"issuer": "i", "token_endpoint": "t", "jwks_uri": "j", "response_types_supported": ["code"]}
    assert not list(problems_with("oauth_authorization_server", base, {**base, "x_new": "y"}))
    assert list(problems_with("oauth_authorization_server", base, {**base, "require_dpop": True}))
