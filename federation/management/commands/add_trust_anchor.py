"""manage.py add_trust_anchor ENTITY_ID --jwks FILE [--organizations create|match|queue]"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from federation.models import TrustAnchorRecord
from federation.trust_anchors import add_trust_anchor
from protocol.constants import JWKS_LIMIT
from protocol.errors import InvalidJson, InvalidKeySet, InvalidUrl
from protocol.strict_json import parse_json_object
from registry.actors import COMMAND_LINE


class Command(BaseCommand):
    """Accept a trust anchor with pinned keys."""

    help = "Accept a trust anchor with the keys of a JWK Set file, or pin new keys for one that is accepted already."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the arguments."""
        parser.add_argument("entity_id", help="its entity identifier, such as https://anchor.example")
        parser.add_argument("--jwks", required=True, type=Path, help="file with its federation keys, got by another way than its website")
        parser.add_argument(
            "--organizations",
            choices=TrustAnchorRecord.Organizations.values,
            help="how entities below it get their organization (default: as before, at first queue)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Add it."""
        try:
            jwks = parse_json_object(options["jwks"].read_bytes(), max_bytes=JWKS_LIMIT)
            row = add_trust_anchor(options["entity_id"], jwks, COMMAND_LINE, now=timezone.now(), organizations=options["organizations"])
        except OSError as error:
            raise CommandError(f"--jwks: {error.strerror}: {options['jwks']}") from error
        except InvalidUrl as error:
            raise CommandError(f"ENTITY_ID: {error.description}") from error
        except (InvalidJson, InvalidKeySet) as error:
            raise CommandError(f"--jwks: {error.description}") from error
        kids = ", ".join(str(key.get("kid")) for key in row.jwks["keys"])
        self.stdout.write(f"{row.entity_id} is accepted as trust anchor with the keys {kids}.")
