"""Initial access tokens through the API: made by an app, they end with it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from dcr.initial_access_tokens import adopt_initial_access_token, check_usable, find_initial_access_token, why_unusable, with_keeper
from dcr.models import InitialAccessToken, RegistrationProfile
from registry.lifecycle import change_client
from registry.models import AuditEvent
from tests.conftest import Cast
from tests.portal.api.support import Machine

PATH = "/organizations/lighthouse-travel/initial-access-tokens"


def make(machine: Machine, **terms: Any) -> Any:
    return machine.post(PATH, {"label": "Fleet", "expires_in": 3600, **terms})


def test_an_app_makes_a_token_that_registers_apps(cast: Cast, own: Machine, now: datetime) -> None:
    answer = make(own, uses_limit=3, restrictions={"grant_types": ["client_credentials"]}, source_networks=["127.0.0.0/8"])
    assert answer.status_code == 201
    made = answer.json()["initial_access_token"]
    assert (made["standing"], made["uses"], made["uses_limit"], made["made_by_staff"]) == ("active", 0, 3, False)
    assert made["restrictions"] == {"grant_types": ["client_credentials"]}
    value = answer.json()["value"]
    check_usable(find_initial_access_token(value), "127.0.0.1", now=now)
    event = AuditEvent.objects.get(event="token.created")
    assert (event.actor_kind, event.actor_id) == ("client", own.client.client_id)
    assert value not in str(own.get(PATH)) + str(own.get("/organizations/lighthouse-travel/audit", limit=100))
    assert own.get(PATH)["items"] == [made] == [own.get(f"{PATH}/{made['reference']}")]


def test_a_token_of_an_app_is_held_back_while_the_app_is_and_adopted_by_an_owner(cast: Cast, own: Machine, now: datetime) -> None:
    reference = make(own).json()["initial_access_token"]["reference"]

    def why() -> str:
        return why_unusable(with_keeper().get(reference=reference), now)

    assert why() == ""
    change_client(own.client, "suspend", cast.as_reviewer, now=now, reason="Odd.")
    assert "no active app" in why()
    change_client(own.client, "reinstate", cast.as_reviewer, now=now)
    assert why() == ""
    adopt_initial_access_token(InitialAccessToken.objects.get(reference=reference), cast.as_owner)
    change_client(own.client, "close", cast.as_owner, now=now)
    assert why() == ""


def test_an_app_gives_nothing_live_and_no_profile(cast: Cast, own: Machine, admin: Machine) -> None:
    RegistrationProfile.objects.create(name="fapi")
    for terms in ({"stage": "live"}, {"profile": "fapi"}):
        refused = make(own, **terms)
        assert (refused.status_code, refused.json()["reason"]) == (403, "permission")
    made = make(admin, stage="live", profile="fapi").json()["initial_access_token"]
    assert (made["stage"], made["profile"], made["made_by_staff"]) == ("live", "fapi", True)
    unknown = make(admin, profile="nothing")
    assert [(item["field"], item["code"]) for item in unknown.json()["errors"]] == [("profile", "value.unknown")]


def test_wrong_terms_are_said_all_at_once(own: Machine) -> None:
    answer = make(own, label="", restrictions={"allowed_scopes": ["nothing"]}, source_networks=["x"])
    assert answer.status_code == 400
    assert {item["code"] for item in answer.json()["errors"]} == {"token.label", "token.scope", "token.network"}


def test_a_token_is_revoked_and_stays_so(own: Machine, admin: Machine) -> None:
    reference = make(own).json()["initial_access_token"]["reference"]
    assert admin.send("DELETE", f"{PATH}/{reference}").status_code == 204
    assert own.send("DELETE", f"{PATH}/{reference}").status_code == 204
    assert own.get(f"{PATH}/{reference}")["standing"] == "revoked"
    assert AuditEvent.objects.filter(event="token.revoked").count() == 1


def test_what_was_refused_with_a_token_is_listed(own: Machine, client: Any) -> None:
    made = make(own).json()
    body = {"redirect_uris": ["javascript:alert(1)"], "client_name": "Odd"}
    headers = {"Authorization": f"Bearer {made['value']}"}
    refused = client.post("/register", body, content_type="application/json", headers=headers)
    assert refused.status_code == 400
    listed = own.get(f"{PATH}/{made['initial_access_token']['reference']}/refused")["items"]
    assert [(row["error"], row["members"]) for row in listed] == [("invalid_redirect_uri", ["redirect_uris"])]
    assert listed[0]["request_id"] == refused["X-Request-ID"]
