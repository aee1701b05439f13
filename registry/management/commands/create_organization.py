"""manage.py create_organization NAME [--approved]"""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from registry.actors import COMMAND_LINE
from registry.lifecycle import create_organization
from registry.lifecycle.organizations import approve_without_review


class Command(BaseCommand):
    """Create an organization and print its slug."""

    help = "Create an organization and print its slug."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the arguments."""
        parser.add_argument("name", help="legal name")
        parser.add_argument("--approved", action="store_true", help="approve it at once, without a review")

    def handle(self, *args: Any, **options: Any) -> None:
        """Create it."""
        now = timezone.now()
        organization = create_organization(COMMAND_LINE, options["name"], now=now)
        if options["approved"]:
            approve_without_review(organization, COMMAND_LINE, now=now)
        self.stdout.write(organization.slug)
