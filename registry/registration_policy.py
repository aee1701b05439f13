"""What this server allows of client metadata: each value is accepted, stripped, replaced or refused, and the answer says why. Pure.

A policy is data: the built-in values, then the record for all, then the record of the organization (`PolicyRecord.values`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Final, Literal

from registry.client_metadata.fields import ALL_ALGORITHMS, GRANT_TYPES, ID_TOKEN_ALGORITHMS, TOKEN_ENDPOINT_AUTH_METHODS
from registry.findings import Finding, Findings
from registry.redirect_uris import redirect_place

Action = Literal["stripped", "replaced", "refused"]
Metadata = dict[str, Any]


@dataclass(frozen=True, slots=True)
class RegistrationPolicy:
    """The rules. Lifetimes are in seconds; a limit counts registered values or clients.

    Empty `allowed_scopes` and `redirect_hosts` allow all; a redirect host is a host name, or a private-use scheme with its colon.
    `dynamic_client_idle_days` 0 lets clients that registered themselves be idle for ever.
    """

    grant_types: tuple[str, ...] = GRANT_TYPES
    token_endpoint_auth_methods: tuple[str, ...] = TOKEN_ENDPOINT_AUTH_METHODS
    live_token_endpoint_auth_methods: tuple[str, ...] = TOKEN_ENDPOINT_AUTH_METHODS
    client_assertion_algorithms: tuple[str, ...] = ALL_ALGORITHMS
    id_token_algorithms: tuple[str, ...] = ID_TOKEN_ALGORITHMS
    default_scopes: tuple[str, ...] = ()
    federation_default_scopes: tuple[str, ...] = ("openid", "profile", "email")
    federation_grant_types_by_mark: tuple[str, ...] = ()
    allowed_scopes: tuple[str, ...] = ()
    redirect_hosts: tuple[str, ...] = ()
    redirect_uris_limit: int = 20
    clients_limit: int = 50
    loopback_http_in_test: bool = True
    require_pushed_authorization_requests: bool = False
    require_signed_request_object: bool = False
    access_token_lifetime_seconds: int = 600
    org_id_in_id_token: bool = True
    dynamic_client_idle_days: int = 0


@dataclass(frozen=True, slots=True)
class ScopeRule:
    """What the policy needs to know of a scope."""

    is_sensitive: bool
    is_retired: bool


@dataclass(frozen=True, slots=True)
class Decision:
    """What the policy did to one member: `before` and `after` are its values, `rule` is stable, `sentence` says why."""

    member: str
    action: Action
    before: Any
    after: Any
    rule: str
    sentence: str


@dataclass(frozen=True, slots=True)
class PolicyOutcome:
    """Metadata after the policy, and every decision that changed or refused a value."""

    metadata: Metadata
    decisions: tuple[Decision, ...]

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Return the decisions as findings, in the words of the other findings."""
        return tuple(
            Finding(f"policy.{made.rule}", "error" if made.action == "refused" else "note", made.member, made.sentence)
            for made in self.decisions
        )


LIMITS: Final = {
    "redirect_uris_limit": (1, 50),
    "clients_limit": (1, 10_000),
    "access_token_lifetime_seconds": (60, 3600),
    "dynamic_client_idle_days": (0, 3650),
}
CHOICES: Final = {
    "grant_types": GRANT_TYPES,
    "federation_grant_types_by_mark": GRANT_TYPES,
    "token_endpoint_auth_methods": TOKEN_ENDPOINT_AUTH_METHODS,
    "live_token_endpoint_auth_methods": TOKEN_ENDPOINT_AUTH_METHODS,
    "client_assertion_algorithms": ALL_ALGORITHMS,
    "id_token_algorithms": ID_TOKEN_ALGORITHMS,
}
MAY_BE_EMPTY: Final = ("federation_grant_types_by_mark",)
# What the registration of one client may be held to beyond the policy of its organization: the initial access token that it came with,
# or the profile of that, says so. Lists that allow are intersected, of the scopes and hosts an empty one allows all.
NARROWABLE: Final = (
    *("grant_types", "token_endpoint_auth_methods", "live_token_endpoint_auth_methods", "client_assertion_algorithms"),
    *("id_token_algorithms", "allowed_scopes", "redirect_hosts", "redirect_uris_limit", "loopback_http_in_test", "default_scopes"),
    *("require_pushed_authorization_requests", "require_signed_request_object"),
)
_EMPTY_ALLOWS_ALL: Final = ("allowed_scopes", "redirect_hosts")
_PLACE: Final = re.compile(r"(?:[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?|::1|[a-z][a-z0-9+.-]{1,60}:)")
NOTHING: Final = ("",)  # two lists that have nothing in common allow nothing, which is not the same as an empty list


def review_policy_values(values: object) -> tuple[Finding, ...]:
    """Return what is wrong with the values of a policy record: unknown members, wrong types, choices and limits."""
    findings = Findings()
    if not isinstance(values, dict):
        findings.error("policy.type", "values", "The policy must be a JSON object.")
        return tuple(findings.items)
    known = {field.name: field.default for field in fields(RegistrationPolicy)}
    for name, value in values.items():
        if name not in known:
            findings.error("policy.unknown", str(name)[:60], f"{str(name)[:60]} is not a policy value.", f"Known are {', '.join(known)}.")
        elif isinstance(known[name], bool):
            if not isinstance(value, bool):
                findings.error("policy.type", name, f"{name} must be true or false.")
        elif isinstance(known[name], int):
            low, high = LIMITS[name]
            if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
                findings.error("policy.limit", name, f"{name} must be a whole number from {low} to {high}.")
        else:
            _review_list(name, value, findings)
    return tuple(findings.items)


def _review_list(name: str, value: object, findings: Findings) -> None:
    if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
        findings.error("policy.type", name, f"{name} must be a list of strings.")
        return
    if name == "redirect_hosts":
        for entry in value:
            if not _PLACE.fullmatch(entry):
                findings.error(
                    "policy.place", name, f"{entry[:60]!r} is no host name in lower case and no private-use scheme with a colon."
                )
    choices = CHOICES.get(name)
    if choices is None:
        return
    if not value and name not in MAY_BE_EMPTY:
        findings.error("policy.empty", name, f"{name} must not be empty: nothing could be registered.")
    for entry in value:
        if entry not in choices:
            findings.error("policy.choice", name, f"{name} contains {entry!r}; this server has {', '.join(choices)}.")


def merge_policy(*records: Mapping[str, Any]) -> RegistrationPolicy:
    """Return the built-in policy with the values of `records` laid over it, later ones winning. Values must be reviewed before."""
    policy = RegistrationPolicy()
    for values in records:
        changes: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
        policy = replace(policy, **changes)
    return policy


def narrow_policy(policy: RegistrationPolicy, restrictions: Mapping[str, Any]) -> RegistrationPolicy:
    """Return `policy` held to `restrictions`, a mapping of NARROWABLE values: whatever they say, nothing is allowed that was not before."""
    changes: dict[str, Any] = {}
    for name, value in restrictions.items():
        before = getattr(policy, name)
        if name == "default_scopes":
            changes[name] = tuple(value)
        elif isinstance(before, tuple):
            open_to_all = name in _EMPTY_ALLOWS_ALL and not before
            changes[name] = tuple(value) if open_to_all else tuple(one for one in before if one in value)
            if name in _EMPTY_ALLOWS_ALL and not changes[name]:
                changes[name] = NOTHING
        elif isinstance(before, bool):
            changes[name] = before and value if name == "loopback_http_in_test" else before or value
        else:
            changes[name] = min(before, value)
    return replace(policy, **changes)


def apply_registration_policy(
    policy: RegistrationPolicy, metadata: Mapping[str, Any], *, stage: str, scopes: Mapping[str, ScopeRule]
) -> PolicyOutcome:
    """Return what the policy makes of `metadata` (as read by `read_client_metadata`) for a client of `stage`.

    `scopes` are the scopes of this server by name. Refused values stay in the metadata: the caller must not register it.
    """
    result, decisions = dict(metadata), []
    decisions += _choose_id_token_algorithm(policy, result)
    decisions += _check_allowed(policy, result, stage)
    decisions += _limit_redirect_uris(policy, result)
    decisions += _check_redirect_hosts(policy, result)
    decisions += _grant_scopes(policy, result, scopes)
    decisions += _force_switches(policy, result)
    return PolicyOutcome(result, tuple(decisions))


def _choose_id_token_algorithm(policy: RegistrationPolicy, metadata: Metadata) -> list[Decision]:
    """Choose another algorithm where the standard's default, which nobody asked for, is not allowed."""
    before = metadata.get("id_token_signed_response_alg")
    if before != "RS256" or before in policy.id_token_algorithms or not policy.id_token_algorithms:
        return []
    metadata["id_token_signed_response_alg"] = after = policy.id_token_algorithms[0]
    sentence = f"ID tokens are signed with {after} here; RS256 is not allowed."
    return [Decision("id_token_signed_response_alg", "replaced", before, after, "id_token_signed_response_alg.replaced", sentence)]


def _check_allowed(policy: RegistrationPolicy, metadata: Metadata, stage: str) -> list[Decision]:
    methods = policy.token_endpoint_auth_methods if stage == "test" else policy.live_token_endpoint_auth_methods
    allowed = {
        "token_endpoint_auth_method": methods,
        "token_endpoint_auth_signing_alg": policy.client_assertion_algorithms,
        "request_object_signing_alg": policy.client_assertion_algorithms,
        "id_token_signed_response_alg": policy.id_token_algorithms,
        "grant_types": policy.grant_types,
    }
    decisions = []
    for member, choices in allowed.items():
        value = metadata.get(member)
        wrong = [entry for entry in (value if isinstance(value, list) else [value]) if entry is not None and entry not in choices]
        if wrong:
            sentence = f"{member} {', '.join(wrong)} is not allowed here in stage {stage}. Allowed: {', '.join(choices) or 'nothing'}."
            decisions.append(Decision(member, "refused", value, value, f"{member}.not_allowed", sentence))
    return decisions


def _limit_redirect_uris(policy: RegistrationPolicy, metadata: Metadata) -> list[Decision]:
    count = len(metadata.get("redirect_uris", []))
    if count <= policy.redirect_uris_limit:
        return []
    sentence = f"At most {policy.redirect_uris_limit} redirect URIs are allowed here; {count} were given."
    return [Decision("redirect_uris", "refused", count, count, "redirect_uris.limit", sentence)]


def _check_redirect_hosts(policy: RegistrationPolicy, metadata: Metadata) -> list[Decision]:
    if not policy.redirect_hosts:
        return []
    allowed = ", ".join(host for host in policy.redirect_hosts if host) or "nothing"
    return [
        Decision(
            f"{member}[{position}]", "refused", uri, uri, f"{member}.host",
            f"Addresses at {place[:100]} are not allowed for this registration. Allowed: {allowed}.",
        )
        for member in ("redirect_uris", "post_logout_redirect_uris")
        for position, uri in enumerate(metadata.get(member, []))
        if (place := redirect_place(uri)) not in policy.redirect_hosts
    ]  # fmt: skip


def _grant_scopes(policy: RegistrationPolicy, metadata: Metadata, scopes: Mapping[str, ScopeRule]) -> list[Decision]:
    known = {name for name, rule in scopes.items() if not rule.is_retired}
    offered = known & set(policy.allowed_scopes) if policy.allowed_scopes else known
    asked = metadata.pop("scope", None)
    words = (asked or "").split()
    kept = [name for name in words if name in offered]
    decisions = []
    for rule, dropped, why in (
        ("scope.unknown", [name for name in words if name not in known], "This server has no scope {names}; it was left out."),
        (
            "scope.not_allowed",
            [name for name in words if name in known - offered],
            "This registration may not have {names}; it was left out.",
        ),
    ):
        if dropped:
            sentence = why.format(names=", ".join(name[:60] for name in dropped[:10]))
            decisions.append(Decision("scope", "stripped", asked, " ".join(kept), rule, sentence))
    # A registration that is left without scopes says so by having no member: an empty one would read as absent when it comes back.
    if not kept and (kept := [name for name in policy.default_scopes if name in offered]):
        sentence = "No scope of this server was asked for; these are the default."
        decisions.append(Decision("scope", "replaced", asked, " ".join(kept), "scope.default", sentence))
    if kept:
        metadata["scope"] = " ".join(kept)
    return decisions


def _force_switches(policy: RegistrationPolicy, metadata: Metadata) -> list[Decision]:
    if "authorization_code" not in metadata.get("grant_types", []):
        return []
    decisions = []
    for member in ("require_pushed_authorization_requests", "require_signed_request_object"):
        if getattr(policy, member) and not metadata.get(member):
            before, metadata[member] = metadata.get(member), True
            decisions.append(Decision(member, "replaced", before, True, f"{member}.forced", f"This server requires {member} of every app."))
    if policy.require_signed_request_object and metadata.keys().isdisjoint(("jwks", "jwks_uri")):
        sentence = "This server requires signed request objects of every app, so this app needs jwks or jwks_uri."
        decisions.append(Decision("jwks", "refused", None, None, "require_signed_request_object.keys", sentence))
    return decisions
