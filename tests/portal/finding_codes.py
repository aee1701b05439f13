"""Every code that a finding of this product can have, read from its sources, for the tests of the catalogue."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from portal.documentation.errors import ADVICE
from protocol import urls
from registry import client_checks
from registry.models import Client
from registry.redirect_uris import ANSWER_PARAMETERS

ROOT: Final = Path(__file__).resolve().parents[2]
ROOMS: Final = ("registry", "dcr", "federation", "authserver", "portal")
_LEVELS: Final = ("error", "warning", "note")


def finding_codes() -> set[str]:
    """Return every code. Raises AssertionError for one that is put together in a way that EXPANSIONS does not know."""
    found: set[str] = set()
    for node in _calls(ROOMS):
        code = _code_of(node)
        if isinstance(code, ast.Constant) and isinstance(code.value, str):
            found.add(code.value)
        elif isinstance(code, ast.JoinedStr):
            template = "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in code.values)
            names = [ast.unparse(part.value) for part in code.values if isinstance(part, ast.FormattedValue)]
            assert template in EXPANSIONS, f"tell tests/portal/finding_codes.py what {template} with {names} can become"
            found.update(template.replace("{}", value) for value in EXPANSIONS[template])
    return found | {client_checks.IDLE}


def _calls(rooms: Iterable[str]) -> Iterator[ast.Call]:
    for room in rooms:
        for path in sorted((ROOT / room).rglob("*.py")):
            yield from (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call))


def _code_of(node: ast.Call) -> ast.expr | None:
    """Return the expression of the code, when the call makes a finding."""
    called = ast.unparse(node.func)
    is_finding = called in ("Finding", "add") or (called.endswith(tuple(f"findings.{level}" for level in _LEVELS)))
    return node.args[0] if is_finding and len(node.args) >= 3 else None


def _reasons(error: str, *rooms: str) -> set[str]:
    """Return the first word that an error is raised with, wherever it is literal."""
    return {
        str(node.args[0].value)
        for node in _calls(rooms)
        if ast.unparse(node.func) == error and node.args and isinstance(node.args[0], ast.Constant)
    }


def _key_findings() -> set[str]:
    """Return what the review of a key set finds: its own findings, and why a key cannot be loaded."""
    found = _reasons("self._error", "protocol/jose")
    for node in _calls(("protocol/jose",)):
        if ast.unparse(node.func) in ("KeyFinding", "Problem"):
            found.update(part.value for part in node.args[1:2] if isinstance(part, ast.Constant))
    return {str(one) for one in found} | _material_reasons()


def _material_reasons() -> set[str]:
    path = ROOT / "protocol/jose/key_material.py"
    calls = (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call))
    return {
        str(node.args[0].value) for node in calls if ast.unparse(node.func) == "InvalidKeySet" and isinstance(node.args[0], ast.Constant)
    }


def _policy_rules() -> set[str]:
    """Return the rules of the decisions that the policy takes."""
    found = {"redirect_uris.host", "post_logout_redirect_uris.host", "scope.unknown", "scope.not_allowed"}
    found |= {f"require_{name}.forced" for name in ("pushed_authorization_requests", "signed_request_object")}
    members = (
        "token_endpoint_auth_method",
        "token_endpoint_auth_signing_alg",
        "request_object_signing_alg",
        "id_token_signed_response_alg",
    )
    found |= {f"{member}.not_allowed" for member in (*members, "grant_types")}
    for node in _calls(("registry",)):
        if ast.unparse(node.func) == "Decision" and len(node.args) >= 5 and isinstance(node.args[4], ast.Constant):
            found.add(str(node.args[4].value))
    return found


def _statement_reasons() -> set[str]:
    """Return why a statement of a federation is refused."""
    errors = ("StatementInvalid", "SignatureInvalid", "StatementExpired")
    found = set().union(*(_reasons(error, "federation") for error in errors), _reasons("InvalidJwt", "protocol", "federation"))
    for node in _calls(("federation/core",)):
        if ast.unparse(node.func) == "_invalid" and len(node.args) == 3 and isinstance(node.args[2], ast.Constant):
            found.add(str(node.args[2].value))
    return found


_JSON: Final = _reasons("InvalidJson", "protocol")
# What stands in the holes of codes that are put together, by the whole of the code.
EXPANSIONS: Final[dict[str, set[str]]] = {
    "redirect_uri.{}": set(urls._SENTENCES) | set(ANSWER_PARAMETERS),
    "url.{}": set(urls._SENTENCES),
    "jwks.{}": _JSON | _key_findings(),
    "policy.{}": _policy_rules(),
    "org.twin_{}": {"registration_number", "legal_name", "website"},
    "org.{}_elsewhere": {"owner", "contact"},
    "statement.{}": _statement_reasons(),
    "federation.{}": {code for code in ADVICE if code.startswith("invalid_")},
    "trust.{}": {Client.Trust.STALE, Client.Trust.SUSPECT, Client.Trust.BROKEN},
}
