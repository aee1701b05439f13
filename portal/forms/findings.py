"""Forms that show findings of the services next to the field they are about, in the services' words (portal.md 4.6)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Final

from django import forms
from django.utils.translation import gettext_lazy as _

from registry.app_answers import lines_of, numbered_lines
from registry.findings import Finding

__all__ = ["FindingsForm", "lines_of", "numbered_lines"]

_POSITION: Final = re.compile(r"\[(\d+)\]")


class FindingsForm(forms.Form):
    """A form that decides nothing itself: what is wrong is said by a service, as findings."""

    # Members whose field has another name.
    field_of_member: ClassVar[Mapping[str, str]] = {}
    # Fields with one entry per line: findings about them name the line.
    line_fields: ClassVar[tuple[str, ...]] = ()
    # What stands beside the label of a field that may stay empty, where "(optional)" would mislead.
    need_words: ClassVar[Mapping[str, Any]] = {}
    other_findings: tuple[Finding, ...] = ()
    # Where a page asks about one field as it is filled in; ends in ? or &.
    check_url: str = ""
    field_template: ClassVar[str] = "apps/field.html"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, field in self.fields.items():
            field.findings = []  # type: ignore[attr-defined]
            if not field.widget.is_hidden:
                field.template_name = self.field_template  # type: ignore[attr-defined]
                field.need_word = self.need_words.get(name, "" if field.required else _("(optional)"))  # type: ignore[attr-defined]

    def full_clean(self) -> None:
        """Clean, and turn what Django itself refuses into findings, so that a page shows one kind of thing."""
        super().full_clean()
        for name, errors in self.errors.items():
            if name in self.fields:
                self.fields[name].findings = [Finding("form", "error", name, str(error)) for error in errors]  # type: ignore[attr-defined]

    def show_findings(self, findings: Iterable[Finding]) -> None:
        """Put each finding next to its field; an error also makes the form invalid. What has no field is kept in `other_findings`."""
        for finding in findings:
            name = self.field_of_member.get(finding.member, finding.member)
            if name not in self.fields:
                self.other_findings += (finding,)
                if finding.level == "error":
                    self.add_error(None, f"{finding.field}: {finding.sentence} {finding.hint}".strip())
                continue
            placed = self._placed(finding, name)
            self.fields[name].findings.append(placed)  # type: ignore[attr-defined]
            if placed.level == "error":
                self.add_error(name, f"{placed.sentence} {placed.hint}".strip())

    def refuse(self, sentence: str, field: str | None = None) -> None:
        """Show why a service refused the whole, next to `field` when it is about one."""
        if field is None:
            self.add_error(None, sentence)
        else:
            self.show_findings([Finding("refused", "error", field, sentence)])

    def _placed(self, finding: Finding, name: str) -> Finding:
        """Return the finding with its position in words: the line of a text area, or the number of a key."""
        match = _POSITION.search(finding.field)
        if match is None:
            return finding
        position = int(match[1])
        if name in self.line_fields:
            lines = [number for number, _ in numbered_lines(self.data.get(name, ""))]
            place = f"Line {lines[position]}" if position < len(lines) else f"Entry {position + 1}"
        else:
            place = f"Key {position + 1}"
        return Finding(finding.code, finding.level, finding.field, f"{place}: {finding.sentence}", finding.hint)
