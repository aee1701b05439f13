"""What a person says of an app, answer by answer, and the RFC 7591 document that it amounts to. Pure.

An answer has the name of its metadata member; only `kind` stands for several. Lists of addresses are texts with one entry per line.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from registry.findings import Finding, Findings
from registry.redirect_uris import lower_scheme_and_host

Answers = Mapping[str, Any]

WEB, BROWSER, NATIVE, MACHINE = KINDS = ("web", "browser", "native", "machine")
_FOR_PEOPLE: Final = {"grant_types": ["authorization_code", "refresh_token"], "response_types": ["code"]}
# What each kind of app registers. Always the code flow, with PKCE; an app that keeps no secret authenticates by none.
PRESETS: Final[dict[str, dict[str, Any]]] = {
    WEB: {"application_type": "web", **_FOR_PEOPLE},
    BROWSER: {"application_type": "web", **_FOR_PEOPLE},
    NATIVE: {"application_type": "native", **_FOR_PEOPLE},
    MACHINE: {"application_type": "web", "grant_types": ["client_credentials"], "response_types": []},
}
SUGGESTED_METHOD: Final = {WEB: "private_key_jwt", BROWSER: "none", NATIVE: "none", MACHINE: "private_key_jwt"}
TEXT_ANSWERS: Final = ("client_name", "client_uri", "logo_uri", "policy_uri", "tos_uri", "jwks_uri")
REDIRECT_ANSWERS: Final = ("redirect_uris", "post_logout_redirect_uris")
LINE_ANSWERS: Final = (*REDIRECT_ANSWERS, "contacts")
_ALGORITHM: Final = "id_token_signed_response_alg"

# Which answers belong together: a group is a step of the wizard, and a part of the settings page.
GROUPS: Final[dict[str, tuple[str, ...]]] = {
    "kind": ("kind",),
    "basics": ("client_name", "contacts", "client_uri", "policy_uri", "tos_uri", "logo_uri"),
    "redirects": REDIRECT_ANSWERS,
    "authentication": ("token_endpoint_auth_method", "jwks_uri", "jwks", _ALGORITHM),
    "scopes": ("scope",),
}
ANSWER_OF_MEMBER: Final = {"application_type": "kind", "grant_types": "kind", "response_types": "kind"}
_OWN_MEMBERS: Final = frozenset(name for names in GROUPS.values() for name in names) | frozenset(ANSWER_OF_MEMBER)


def groups_of(kind: str) -> dict[str, tuple[str, ...]]:
    """Return the groups of answers that make sense for a kind of app: one that calls APIs as itself redirects nobody."""
    if kind != MACHINE:
        return dict(GROUPS)
    return {name: tuple(answer for answer in answers if answer != _ALGORITHM) for name, answers in GROUPS.items() if name != "redirects"}


def group_of(finding: Finding) -> str:
    """Return the group whose answer a finding is about, empty when it is about none."""
    answer = ANSWER_OF_MEMBER.get(finding.member, finding.member)
    return next((name for name, answers in GROUPS.items() if answer in answers), "")


def kind_of(metadata: Mapping[str, Any]) -> str:
    """Return the kind of app that registered metadata amounts to."""
    if "authorization_code" not in metadata.get("grant_types", ()):
        return MACHINE
    if metadata.get("application_type") == "native":
        return NATIVE
    return BROWSER if metadata.get("token_endpoint_auth_method") == "none" else WEB


def answers_from(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return the answers that registered metadata amounts to."""
    answers: dict[str, Any] = {name: metadata.get(name, "") for name in (*TEXT_ANSWERS, "token_endpoint_auth_method")}
    answers |= {name: "\n".join(metadata.get(name, [])) for name in LINE_ANSWERS}
    return answers | {
        "kind": kind_of(metadata),
        _ALGORITHM: metadata.get(_ALGORITHM, "ES256"),
        "scope": str(metadata.get("scope", "")).split(),
        "jwks": json.dumps(metadata["jwks"], indent=2) if "jwks" in metadata else "",
    }


def build_document(
    answers: Answers, *, jwks: dict[str, Any] | None, registered: Mapping[str, Any] | None = None, declared: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return the document of an app. `jwks` is what was read from the pasted keys.

    Of an app that exists, `registered` and `declared` are its metadata: members without an answer stay as they were declared.
    """
    registered, declared = registered or {}, declared or {}
    kind = answers.get("kind") or MACHINE
    document = {name: value for name, value in declared.items() if name not in _OWN_MEMBERS}
    document |= {name: answers[name] for name in TEXT_ANSWERS if answers.get(name)}
    document |= _kind_members(kind, registered)
    document["token_endpoint_auth_method"] = method = answers.get("token_endpoint_auth_method") or SUGGESTED_METHOD[kind]
    if method != "private_key_jwt":
        document.pop("token_endpoint_auth_signing_alg", None)
    document["scope"] = " ".join(answers.get("scope") or ())
    for name in LINE_ANSWERS:
        entries = lines_of(answers.get(name) or "")
        if name in REDIRECT_ANSWERS:
            kept = registered.get(name, ())
            entries = [entry if entry in kept else lower_scheme_and_host(entry) for entry in entries]
        if entries:
            document[name] = entries
    if kind == MACHINE:
        document.pop("post_logout_redirect_uris", None)
    elif (algorithm := answers.get(_ALGORITHM)) and not (_ALGORITHM not in declared and registered.get(_ALGORITHM) == algorithm):
        # An app that never named its algorithm keeps the one that it has.
        document[_ALGORITHM] = algorithm
    if jwks is not None:
        document["jwks"] = jwks
    return document


def _kind_members(kind: str, registered: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the kind registers; an app that stays of its kind keeps what is registered, which may be more."""
    if registered and PRESETS[kind] == PRESETS[kind_of(registered)]:
        return {name: registered[name] for name in PRESETS[kind] if name in registered}
    return PRESETS[kind]


def notes_on_answers(answers: Answers, document: Mapping[str, Any]) -> tuple[Finding, ...]:
    """Return what was made of the answers on the way to their document: addresses whose scheme or host is now in lower case."""
    findings = Findings()
    for name in REDIRECT_ANSWERS:
        for position, (typed, made) in enumerate(zip(lines_of(answers.get(name) or ""), document.get(name, ()), strict=False)):
            if typed != made:
                sentence = f"The scheme and the host are registered in lower case: {made[:200]}"
                findings.note("redirect_uri.lowered", f"{name}[{position}]", sentence, "Browsers and apps send them so.")
    return tuple(findings.items)


def numbered_lines(text: str) -> list[tuple[int, str]]:
    """Return the lines of a text that are not empty, trimmed, with their numbers."""
    return [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1) if line.strip()]


def lines_of(text: str) -> list[str]:
    """Return the lines of a text that are not empty, trimmed."""
    return [line for _, line in numbered_lines(text)]
