"""Redirect URIs that somebody wants to try, before they are registered, in the words of registration. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from registry.client_metadata.rules import REDIRECT_URIS_LIMIT
from registry.findings import Finding, Findings, errors_among
from registry.redirect_uris import review_redirect_uris
from registry.registration_policy import RegistrationPolicy, apply_registration_policy

_MEMBER = "redirect_uris"


@dataclass(frozen=True, slots=True)
class LineReview:
    """One redirect URI with its line, and everything there is to say about it."""

    number: int
    uri: str
    findings: tuple[Finding, ...]

    @property
    def is_refused(self) -> bool:
        """Say whether it cannot be registered."""
        return bool(errors_among(self.findings))


@dataclass(frozen=True, slots=True)
class RedirectReview:
    """The lines in order, and what there is to say about all of them together."""

    lines: tuple[LineReview, ...]
    findings: tuple[Finding, ...]


def review_redirect_lines(
    lines: Sequence[tuple[int, str]], policy: RegistrationPolicy, *, application_type: str, stage: str
) -> RedirectReview:
    """Say what registration would say of redirect URIs, given with their line numbers, for an app of this type and stage."""
    checked = lines[:REDIRECT_URIS_LIMIT]
    uris = [uri for _, uri in checked]
    findings = Findings()
    allowed = policy.loopback_http_in_test and stage == "test"
    review_redirect_uris(uris, _MEMBER, findings, native=application_type == "native", allow_loopback_http=allowed)
    said = apply_registration_policy(policy, {_MEMBER: uris}, stage=stage, scopes={}).findings
    findings.items += [finding for finding in said if finding.member == _MEMBER]
    if len(lines) > len(checked):
        findings.error("value.too_many", _MEMBER, f"Only the first {len(checked)} are checked: an app has at most so many.")
    _note_repetitions(checked, findings)
    of: dict[str, list[Finding]] = {}
    for finding in findings.items:
        of.setdefault(finding.field, []).append(finding)
    rows = (LineReview(number, uri, tuple(of.get(f"{_MEMBER}[{position}]", ()))) for position, (number, uri) in enumerate(checked))
    return RedirectReview(tuple(rows), tuple(of.get(_MEMBER, ())))


def _note_repetitions(lines: Sequence[tuple[int, str]], findings: Findings) -> None:
    first: dict[str, int] = {}
    for position, (number, uri) in enumerate(lines):
        if (before := first.setdefault(uri, number)) != number:
            findings.note("redirect_uri.repeated", f"{_MEMBER}[{position}]", f"This is the same as line {before}; it counts once.")
