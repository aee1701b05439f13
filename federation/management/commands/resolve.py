"""manage.py resolve ENTITY_ID [--trust-anchor ID] [--json] [--from-file CHAIN]"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from federation.core.resolution import Resolution
from federation.explaining import as_json, as_lines
from federation.resolving import get_resolver
from protocol.constants import TRUST_CHAIN_HEADER_LIMIT
from protocol.errors import InvalidJson, InvalidUrl
from protocol.strict_json import parse_strict_json
from protocol.urls import parse_entity_identifier


class Command(BaseCommand):
    """Explain step by step whether an entity is trusted here."""

    help = "Resolve an entity against the accepted trust anchors and explain each step; exit status 1 when trust is not established."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the arguments."""
        parser.add_argument("entity_id", help="the entity identifier, such as https://rp.example")
        parser.add_argument("--trust-anchor", help="use only this accepted trust anchor")
        parser.add_argument("--json", action="store_true", help="print JSON, with the raw statements")
        parser.add_argument("--from-file", type=Path, help="validate the trust chain of this file (a JSON array), without any fetch")

    def handle(self, *args: Any, **options: Any) -> None:
        """Resolve and explain."""
        resolution = self._resolve(options)
        if options["json"]:
            self.stdout.write(json.dumps(as_json(resolution), indent=2))
        else:
            for line in as_lines(resolution):
                self.stdout.write(line)
        if not resolution.ok:
            sys.exit(1)

    def _resolve(self, options: dict[str, Any]) -> Resolution:
        resolver = get_resolver(options["trust_anchor"])
        if not resolver.anchors:
            named = options["trust_anchor"]
            problem = f"{named} is no trust anchor that is accepted here." if named else "No trust anchor is accepted here."
            raise CommandError(f"{problem} Add one with: manage.py add_trust_anchor ENTITY_ID --jwks FILE")
        try:
            entity_id = parse_entity_identifier(options["entity_id"]).text
        except InvalidUrl as error:
            raise CommandError(f"ENTITY_ID: {error.description}") from error
        if options["from_file"] is None:
            return resolver.resolve(entity_id, entity_types=(), past_caches=True)
        resolution = resolver.resolve_supplied(_read_chain(options["from_file"]), entity_types=())
        if resolution.ok and resolution.entity_id != entity_id:
            raise CommandError(f"The chain is about {resolution.entity_id}, not about {entity_id}.")
        return resolution


def _read_chain(path: Path) -> list[str]:
    try:
        chain = parse_strict_json(path.read_bytes(), max_bytes=TRUST_CHAIN_HEADER_LIMIT)
    except OSError as error:
        raise CommandError(f"--from-file: {error.strerror}: {path}") from error
    except InvalidJson as error:
        raise CommandError(f"--from-file: {error.description}") from error
    if not isinstance(chain, list) or not all(isinstance(entry, str) for entry in chain):
        raise CommandError("--from-file: the file is not a JSON array of signed statements.")
    return chain
