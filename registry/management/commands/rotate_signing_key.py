"""manage.py rotate_signing_key [--purpose protocol|federation] [--algorithm ES256]"""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from registry.actors import COMMAND_LINE
from registry.models import SigningKey
from registry.signing_keys import ALGORITHMS, PROTOCOL_ALGORITHMS, ensure_signing_keys, rotate_signing_key


class Command(BaseCommand):
    """Rotate the signing keys of this server."""

    help = "Retire the current signing key, make the published next one current and publish a new next one."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the arguments."""
        parser.add_argument("--purpose", choices=SigningKey.Purpose.values, default=SigningKey.Purpose.PROTOCOL, help="default: protocol")
        parser.add_argument("--algorithm", choices=PROTOCOL_ALGORITHMS, action="append", help="default: all")

    def handle(self, *args: Any, **options: Any) -> None:
        """Rotate."""
        now = timezone.now()
        ensure_signing_keys(COMMAND_LINE, now=now)
        offered = ALGORITHMS[SigningKey.Purpose(options["purpose"])]
        for algorithm in options["algorithm"] or offered:
            if algorithm not in offered:
                raise CommandError(f"--algorithm: {options['purpose']} keys are {', '.join(offered)}.")
            current = rotate_signing_key(options["purpose"], algorithm, COMMAND_LINE, now=now)
            self.stdout.write(f"{algorithm}: {current.kid} signs now.")
