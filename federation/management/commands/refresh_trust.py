"""manage.py refresh_trust [--all] [ENTITY_ID …]"""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from federation.checking import Outcome
from federation.models import FederationRecord
from federation.sweep import CHUNK, Sweep, due_records
from registry.models import Client

BAR = 30
TOLD = (Outcome.UPDATED, Outcome.REVIVED, Outcome.STALE, Outcome.SUSPECT, Outcome.BROKEN)


class Command(BaseCommand):
    """Look at the trust of registered entities again, in the foreground, past all caches."""

    help = "Look at the trust chains of registered entities again: of those that are due, of all, or of the named ones."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the arguments."""
        parser.add_argument("entity_ids", nargs="*", metavar="ENTITY_ID", help="entity identifiers of registered clients")
        parser.add_argument("--all", action="store_true", help="look at every registered entity, due or not")

    def handle(self, *args: Any, **options: Any) -> None:
        """Look, with a progress bar on a terminal, and say what came of it."""
        numbers = self._chosen(options)
        self.done, self.total = 0, len(numbers)
        sweep = Sweep(timezone.now, report=self._report)
        for start in range(0, len(numbers), CHUNK):
            chunk = FederationRecord.objects.filter(pk__in=numbers[start : start + CHUNK]).select_related("client__organization")
            sweep.take(list(chunk.order_by("pk")))
        if sys.stderr.isatty() and self.total:
            self.stderr.write("")
        counts = ", ".join(f"{count} {outcome.value}" for outcome, count in sweep.outcomes.items())
        self.stdout.write(f"{self.total} looked at{': ' + counts if counts else '; nothing was due'}.")

    def _chosen(self, options: dict[str, Any]) -> list[int]:
        if options["all"] and options["entity_ids"]:
            raise CommandError("Name entities, or say --all, not both.")
        if not options["all"] and not options["entity_ids"]:
            return list(due_records(timezone.now()).values_list("pk", flat=True))
        records = FederationRecord.objects.order_by("pk")
        if options["all"]:
            return list(records.exclude(client__state=Client.State.CLOSED).values_list("pk", flat=True))
        known = dict(records.filter(entity_id__in=options["entity_ids"]).values_list("entity_id", "pk"))
        if unknown := [entity_id for entity_id in options["entity_ids"] if entity_id not in known]:
            raise CommandError(
                f"Not registered here: {', '.join(unknown)}. Entities that registered are apps with their identifier as client_id."
            )
        return list(known.values())

    def _report(self, record: FederationRecord, outcome: Outcome) -> None:
        self.done += 1
        if sys.stderr.isatty():
            filled = BAR * self.done // self.total
            self.stderr.write(f"\r[{'#' * filled}{'.' * (BAR - filled)}] {self.done}/{self.total}", ending="")
        if outcome in TOLD:
            current = FederationRecord.objects.get(pk=record.pk)
            words = (current.failure or {}).get("sentence", "")
            self.stdout.write(f"{outcome.value:9} {record.entity_id}{'  ' + words if words else ''}")
