"""What a person sees when the app that they come from cannot be registered."""

from __future__ import annotations

import pytest

from tests.federation.registration.support import HARBOUR, RelyingParty, World


@pytest.mark.spec("FED-AUT-33", "FED-AUT-34")
def test_the_page_says_where_the_chain_breaks_and_who_can_mend_it(world: World, lighthouse: RelyingParty) -> None:
    world.federation.expel(HARBOUR, lighthouse.entity_id)
    answer = lighthouse.authorize()
    page = answer.content.decode()
    assert answer.status_code == 400
    assert "Location" not in answer
    parts = ("This sign-in cannot go on", "Fetch the subordinate statement", HARBOUR, "the federation operator", answer["X-Request-ID"])
    assert not [part for part in parts if part not in page]


@pytest.mark.threat("R06", "F09")
def test_a_hostile_name_is_shown_as_text(world: World, lighthouse: RelyingParty) -> None:
    lighthouse.entity.claims["authority_hints"] = ["https://<script>alert(1)</script>.example"]
    page = lighthouse.authorize().content.decode()
    assert "<script>alert(1)" not in page
