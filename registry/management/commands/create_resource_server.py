"""manage.py create_resource_server NAME"""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from registry.actors import COMMAND_LINE
from registry.resource_servers import create_resource_server


class Command(BaseCommand):
    """Create a resource server and print its client id and secret, once."""

    help = "Create a client of the operator organization that may introspect tokens; prints client id and secret, once."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the arguments."""
        parser.add_argument("name", help="what the resource server is called")

    def handle(self, *args: Any, **options: Any) -> None:
        """Create it."""
        client, secret = create_resource_server(options["name"], COMMAND_LINE, now=timezone.now())
        self.stdout.write(f"client_id={client.client_id}")
        self.stdout.write(f"client_secret={secret.value}")
