"""Requests as commands of curl."""

from __future__ import annotations

import json
from typing import Any, Final
from urllib.parse import urlencode

from portal.snippets.facts import AppFacts
from portal.snippets.quoting import for_shell

_ASSERTION: Final = (
    "--data client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
    '--data-urlencode client_assertion="$CLIENT_ASSERTION"',
)
_BREAK: Final = " \\\n  "


def discovery(facts: AppFacts) -> str:
    """Return the command that reads what this server offers."""
    return f"curl {for_shell(facts.issuer + '/.well-known/openid-configuration')}"


def own_token(facts: AppFacts) -> str:
    """Return the command that gets a token of the app itself."""
    return _token_request(facts, "--data grant_type=client_credentials", *([_parameter("scope", facts.scope)] if facts.scope else []))


def authorization_address(facts: AppFacts) -> str:
    """Return commands that make a PKCE verifier and print the address to open."""
    parameters = {
        "client_id": facts.client_id,
        "response_type": "code",
        "redirect_uri": facts.redirect_uri,
        "scope": facts.scope,
        "code_challenge_method": "S256",
    }
    start = f"{facts.authorization_endpoint}?{urlencode(parameters)}"
    return (
        "CODE_VERIFIER=$(openssl rand -base64 48 | tr '+/' '-_' | tr -d '=\\n')\n"
        "CODE_CHALLENGE=$(printf %s \"$CODE_VERIFIER\" | openssl dgst -sha256 -binary | openssl base64 | tr '+/' '-_' | tr -d '=\\n')\n"
        "STATE=$(openssl rand -hex 16)\n"
        f'echo {for_shell(start)}"&state=$STATE&code_challenge=$CODE_CHALLENGE"'
    )


def code_exchange(facts: AppFacts) -> str:
    """Return the command that exchanges the code."""
    return _token_request(
        facts,
        "--data grant_type=authorization_code",
        '--data-urlencode code="$CODE"',
        _parameter("redirect_uri", facts.redirect_uri),
        '--data-urlencode code_verifier="$CODE_VERIFIER"',
    )


def refreshing(facts: AppFacts) -> str:
    """Return the command that uses a refresh token."""
    return _token_request(facts, "--data grant_type=refresh_token", '--data-urlencode refresh_token="$REFRESH_TOKEN"')


def registration(endpoint: str, document: dict[str, Any]) -> str:
    """Return the command that registers another app like this one with an initial access token (RFC 7591, 3.1)."""
    parts = [
        f"curl {for_shell(endpoint)}",
        '--header "Authorization: Bearer $INITIAL_ACCESS_TOKEN"',
        "--header 'Content-Type: application/json'",
        f"--data {for_shell(json.dumps(document))}",
    ]
    return _BREAK.join(parts)


def _token_request(facts: AppFacts, grant: str, *rest: str) -> str:
    """Return a request to the token endpoint, authenticated by the registered method, with the secret from the environment."""
    parts = [f"curl {for_shell(facts.token_endpoint)}"]
    if facts.method == "client_secret_basic":
        parts.append(f'--user {for_shell(facts.client_id)}:"$CLIENT_SECRET"')
    parts.append(grant)
    if facts.method in ("client_secret_post", "none"):
        parts.append(_parameter("client_id", facts.client_id))
    if facts.method == "client_secret_post":
        parts.append('--data-urlencode client_secret="$CLIENT_SECRET"')
    if facts.method == "private_key_jwt":
        parts += _ASSERTION
    return _BREAK.join([*parts, *rest])


def _parameter(name: str, value: str) -> str:
    return f"--data-urlencode {for_shell(f'{name}={value}')}"
