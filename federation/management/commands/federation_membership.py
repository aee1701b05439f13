"""manage.py federation_membership [--join ID] [--leave ID] [--publish-trust-mark FILE] [--withdraw-trust-mark TYPE]"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from federation import own_entity
from federation.core.resolver import configuration_url
from federation.models import OwnTrustMark, Superior
from protocol.errors import InvalidUrl, NotFound, StatementInvalid
from registry.actors import COMMAND_LINE
from registry.models import SigningKey
from registry.signing_keys import ensure_signing_keys, get_keys


class Command(BaseCommand):
    """Show and change what this server is in its federations."""

    help = "Show what this server publishes about itself as an entity of federations, and what its superiors need to know; change it."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the arguments."""
        parser.add_argument("--join", metavar="ENTITY_ID", help="name this immediate superior, once it has issued a statement about us")
        parser.add_argument("--leave", metavar="ENTITY_ID", help="name it no more")
        parser.add_argument("--publish-trust-mark", metavar="FILE", type=Path, help="file with a trust mark that was issued to us")
        parser.add_argument("--withdraw-trust-mark", metavar="TYPE", help="publish trust marks of this type no more")

    def handle(self, *args: Any, **options: Any) -> None:
        """Change what is asked for, then show everything."""
        now = timezone.now()
        ensure_signing_keys(COMMAND_LINE, now=now)
        try:
            entity_id = own_entity.own_entity_id()
            if options["join"]:
                own_entity.join(options["join"], COMMAND_LINE, now=now)
            if options["leave"] and not own_entity.leave(options["leave"], COMMAND_LINE):
                raise CommandError(f"--leave: {options['leave']} is no superior of this server.")
            if options["publish_trust_mark"]:
                own_entity.publish_trust_mark(options["publish_trust_mark"].read_text(), COMMAND_LINE, now=now)
            if options["withdraw_trust_mark"] and not own_entity.withdraw_trust_mark(options["withdraw_trust_mark"], COMMAND_LINE):
                raise CommandError(f"--withdraw-trust-mark: none of type {options['withdraw_trust_mark']} is published.")
        except NotFound as error:
            raise CommandError(f"{error.description} Set CREDENCE_ISSUER.") from error
        except InvalidUrl as error:
            raise CommandError(f"--join: {error.description}") from error
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(f"--publish-trust-mark: {error}") from error
        except StatementInvalid as error:
            raise CommandError(f"--publish-trust-mark: {error.description}") from error
        self.stdout.write(f"Entity identifier: {entity_id}\nConfiguration: {configuration_url(entity_id)}")
        self.stdout.write("Superiors: " + (", ".join(map(str, Superior.objects.all())) or "none"))
        self.stdout.write("Trust marks: " + (", ".join(map(str, OwnTrustMark.objects.all())) or "none"))
        keys = json.dumps(get_keys(SigningKey.Purpose.FEDERATION).public_jwks, indent=2)
        self.stdout.write(f"Keys for superiors, the next one too, before it signs anything:\n{keys}")
