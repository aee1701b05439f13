"""One side of benchmarks/register.py: registers clients. Run by register.py, not by hand."""

from __future__ import annotations

import json
import sys
from datetime import timedelta
from typing import Any

from benchmarks._rounds import Maker, answer_rounds, environ

DOCUMENT: dict[str, Any] = {
    "client_name": "Benchmark",
    "redirect_uris": ["https://app.example.org/callback"],
    "grant_types": ["authorization_code", "refresh_token"],
    "token_endpoint_auth_method": "client_secret_basic",
}
BODY = json.dumps(DOCUMENT).encode()


def stock_maker() -> Maker:
    """Return what makes requests to the registration view of stock django-oauth-toolkit, which lets everybody in."""
    return lambda count: [environ("/register/", BODY, "application/json") for _ in range(count)]


def our_maker() -> Maker:
    """Make an initial access token; return what makes requests with it."""
    from django.utils import timezone

    from dcr.initial_access_tokens import TokenTerms, create_initial_access_token
    from dcr.models import InitialAccessToken
    from dcr.throttling import requests
    from registry.actors import COMMAND_LINE
    from registry.policy_records import save_policy
    from registry.resource_servers import get_operator_organization

    now = timezone.now()
    organization = get_operator_organization(COMMAND_LINE, now=now)
    save_policy(None, {"clients_limit": 10_000}, COMMAND_LINE, now=now)
    terms = TokenTerms("benchmark", now + timedelta(days=1))
    made = create_initial_access_token(organization, COMMAND_LINE, terms, now=now)
    InitialAccessToken.objects.update(uses_limit=10_000)  # more than anybody may have

    def make(count: int) -> list[dict[str, Any]]:
        requests.forget()
        return [environ("/register", BODY, "application/json", f"Bearer {made.value}") for _ in range(count)]

    return make


if __name__ == "__main__":
    side = sys.argv[1]
    answer_rounds(side, stock_maker if side == "stock" else our_maker, int(sys.argv[2]), status="201 Created")
