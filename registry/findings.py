"""Findings: what is wrong or noteworthy about a value, in the same words for form, DCR, federation and toolbox (portal.md 4.6)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

Level = Literal["error", "warning", "note"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding. `code` is stable, `field` a path such as `redirect_uris[1]`, `sentence` says what, `hint` what to do."""

    code: str
    level: Level
    field: str
    sentence: str
    hint: str = ""

    @property
    def member(self) -> str:
        """Return the metadata member that the finding is about, without the position in it."""
        return self.field.partition("[")[0]


@dataclass(slots=True)
class Findings:
    """Collects findings in order."""

    items: list[Finding] = field(default_factory=list)

    def error(self, code: str, path: str, sentence: str, hint: str = "") -> None:
        """Add a finding that refuses the value."""
        self.items.append(Finding(code, "error", path, sentence, hint))

    def warning(self, code: str, path: str, sentence: str, hint: str = "") -> None:
        """Add a finding that a person should look at."""
        self.items.append(Finding(code, "warning", path, sentence, hint))

    def note(self, code: str, path: str, sentence: str, hint: str = "") -> None:
        """Add a finding that only informs."""
        self.items.append(Finding(code, "note", path, sentence, hint))


def errors_among(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return the findings that refuse."""
    return tuple(finding for finding in findings if finding.level == "error")
