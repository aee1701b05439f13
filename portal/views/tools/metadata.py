"""The tool that tries out metadata."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _

from federation.client_documents import Way
from federation.core.policy_trial import SuppliedPolicy, read_supplied_policy
from federation.core.trust_chains import PolicyStatement
from federation.inspecting import statements_above
from federation.trying import Trial, try_metadata
from portal.forms.tools import DryRunForm
from portal.views.tools.page import Answer, as_data, tool_view
from portal.views.trust import value_rows
from protocol.errors import StatementInvalid
from protocol.fetch import Fetcher
from protocol.jose import generate_private_key
from registry.lifecycle import Rules
from registry.policies import get_policy, get_scope_rules

_POLICIES: Final = 3


def _try(request: HttpRequest, form: DryRunForm, fetcher: Fetcher | None) -> Answer | None:  # noqa: ARG001
    given = form.cleaned_data
    statements: Sequence[PolicyStatement] = _supplied(form)
    if fetcher is not None:
        resolution, statements = statements_above(given["entity_id"], fetcher)
        if resolution.failure is not None:
            form.add_error("entity_id", _("No trust chain: %(why)s") % {"why": resolution.failure.sentence})
    if form.errors:
        return None
    way = None if given["way"] == "client" else Way(given["way"])
    rules = Rules(get_policy(form.judged_for), get_scope_rules())
    trial = try_metadata(given["metadata"], given["entity_type"], statements, way, rules=rules, stage=given["stage"], now=timezone.now())
    return Answer(_context(trial), _data(trial))


def _supplied(form: DryRunForm) -> list[SuppliedPolicy]:
    """Return the policies that were pasted, the immediate superior's first."""
    found = []
    for number in range(1, _POLICIES + 1):
        document = form.cleaned_data[f"policy_{number}"]
        if document is None:
            continue
        name = str(form.fields[f"policy_{number}"].label)
        try:
            found.append(read_supplied_policy(document, name, form.cleaned_data["entity_type"]))
        except StatementInvalid as error:
            form.refuse_policy(number, error)
    return found[::-1]


def _context(trial: Trial) -> dict[str, Any]:
    rows = value_rows(trial.declared, trial.resolved, trial.registered or {}, trial.changes) if trial.resolved is not None else []
    return {"trial": trial, "rows": rows if trial.registered is not None else [], "findings": trial.findings}


def _data(trial: Trial) -> dict[str, Any]:
    return {
        "refused": trial.is_refused,
        "step": trial.step,
        "declared": trial.declared,
        "after_federation_policy": trial.resolved,
        "after_our_policy": trial.registered,
        "changes": list(trial.changes),
        "findings": as_data(trial.findings),
    }


def _example(request: HttpRequest) -> dict[str, Any]:  # noqa: ARG001
    declared = {
        "client_name": "Example app",
        "redirect_uris": ["https://app.example.org/callback"],
        "grant_types": ["authorization_code", "refresh_token", "implicit"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "private_key_jwt",
        "scope": "openid profile email address",
        "jwks": {"keys": [generate_private_key("ES256").public_jwk()]},
    }
    anchor = {"openid_relying_party": {"grant_types": {"subset_of": ["authorization_code", "refresh_token"]}}}
    below = {"openid_relying_party": {"scope": {"subset_of": ["openid", "profile", "email"]}, "contacts": {"add": ["tech@example.org"]}}}
    texts = (json.dumps(document, indent=2) for document in (declared, anchor, below))
    return dict(zip(("metadata", "policy_1", "policy_2"), texts, strict=True))


dry_run = tool_view("tool_dry_run", DryRunForm, _try, _example)
