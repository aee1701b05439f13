"""manage.py distrust ENTITY_ID --reason TEXT [--end]"""

from __future__ import annotations

from itertools import groupby
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from federation.trust_anchors import clients_depending_on, distrust
from protocol.errors import InvalidUrl, TransitionRefused
from protocol.urls import parse_entity_identifier
from registry.actors import COMMAND_LINE


class Command(BaseCommand):
    """Trust an entity no more."""

    help = "Show which apps of which organizations a trust anchor, an intermediate or an entity carries; with --end, trust it no more."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the arguments."""
        parser.add_argument("entity_id", help="its entity identifier, such as https://anchor.example")
        parser.add_argument("--reason", default="", help="why, in words that the partners will read; needed with --end")
        parser.add_argument("--end", action="store_true", help="trust it no more: tokens of every app below it end at once")

    def handle(self, *args: Any, **options: Any) -> None:
        """Show what it carries, and end it if that is asked for."""
        try:
            entity_id = parse_entity_identifier(options["entity_id"]).text
            self._show(entity_id)
            if not options["end"]:
                self.stdout.write("Nothing was changed. With --end, it is trusted no more and the tokens of these apps end at once.")
                return
            ended = distrust(entity_id, COMMAND_LINE, now=timezone.now(), reason=options["reason"])
        except InvalidUrl as error:
            raise CommandError(f"ENTITY_ID: {error.description}") from error
        except TransitionRefused as error:
            raise CommandError(f"--reason: {error.description}" if error.reason == "reason_missing" else error.description) from error
        self.stdout.write(f"{entity_id} is trusted no more. Apps that lost their trust: {ended}.")

    def _show(self, entity_id: str) -> None:
        clients = clients_depending_on(entity_id)
        self.stdout.write(f"{entity_id} carries {len(clients)} app{'' if len(clients) == 1 else 's'}.")
        for organization, apps in groupby(clients, key=lambda client: client.organization):
            self.stdout.write(_shown(organization.legal_name))
            for app in apps:
                self.stdout.write(f"  {app.client_id}  {_shown(app.name)}  trust {app.trust}")


def _shown(name: str) -> str:
    """Return a foreign name so that it cannot steer a terminal."""
    return name if name.isprintable() else repr(name)
