"""What is wrong with a registered client by today's rules, and from when on that is enforced."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import models

from registry.findings import Finding


class ClientCheck(models.Model):
    """A client that today's rules would not register. There is a row for as long as something is wrong (DCR-MGT-22).

    `findings` holds code, field, sentence, hint and `enforce_at` of each; a date never moves while its finding is there. `enforce_at` is
    the next date of them that comes or came, `enforced_at` when the client was suspended for it.
    """

    client = models.OneToOneField("registry.Client", on_delete=models.CASCADE, related_name="failed_check")
    findings = models.JSONField()
    found_at = models.DateTimeField()
    enforce_at = models.DateTimeField()
    enforced_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"{self.client}: {' '.join(self.sentences)}"

    @property
    def broken_rules(self) -> tuple[Finding, ...]:
        """Return what is wrong, in the words of the other findings."""
        return tuple(Finding(one["code"], "error", one["field"], one["sentence"], one["hint"]) for one in self.findings)

    @property
    def sentences(self) -> tuple[str, ...]:
        """Return what is wrong as sentences, each once."""
        return tuple(dict.fromkeys(one["sentence"] for one in self.findings))

    @property
    def is_open(self) -> bool:
        """Say whether something of it was not enforced yet."""
        return self.enforced_at is None or self.enforce_at > self.enforced_at

    def due(self, now: datetime) -> list[dict[str, Any]]:
        """Return the findings whose time has come and that were not enforced yet: what people undo is not done again."""
        return [one for one in self.pending() if date_of(one) <= now]

    def next_date(self) -> datetime:
        """Return when something is enforced next, or the first date when nothing is left to enforce."""
        return min(date_of(one) for one in self.pending() or self.findings)

    def pending(self) -> list[dict[str, Any]]:
        """Return the findings that were not enforced yet."""
        return [one for one in self.findings if self.enforced_at is None or date_of(one) > self.enforced_at]


def date_of(entry: dict[str, Any]) -> datetime:
    """Return from when on one of the `findings` is enforced."""
    return datetime.fromisoformat(entry["enforce_at"])
