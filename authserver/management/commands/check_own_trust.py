"""manage.py check_own_trust"""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from authserver.documents import own_configuration
from federation.own_trust import review_own_trust
from protocol.errors import NotFound, StatementInvalid


class Command(BaseCommand):
    """Say what the federations make of this server."""

    help = "Resolve this server up to each accepted trust anchor and say what clients would find wrong; exit status 1 when something is."

    def handle(self, *args: Any, **options: Any) -> None:
        """Review and report."""
        try:
            found = review_own_trust(own_configuration())
        except (NotFound, StatementInvalid) as error:
            raise CommandError(f"{error.description} Set CREDENCE_ISSUER.") from error
        if not found:
            raise CommandError("No trust anchor is accepted here. Add one with: manage.py add_trust_anchor ENTITY_ID --jwks FILE")
        for own in found:
            path = " > ".join(own.entities) or "no trust chain"
            self.stdout.write(f"{'✗' if own.problems else '✓'} {own.anchor}: {path}")
            for problem in own.problems:
                self.stdout.write(f"    {problem}")
        if any(own.problems for own in found):
            sys.exit(1)
